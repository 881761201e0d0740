"""KITTI cross-view: front images of KITTI on aerial images (Shi and Li, HighlyAccurate, CVPR 2022).

    DIR/raw_data/DAY/calib_cam_to_cam.txt (P_rect_02)
    DIR/raw_data/DAY/DRIVE/image_02/data/NUMBER.png, DIR/raw_data/DAY/DRIVE/oxts/data/NUMBER.txt
    DIR/satmap/DAY/DRIVE/NUMBER.png: north up, its middle where the GPS receiver was
    DIR/test1_files.txt (same area), test2_files.txt (cross area): DAY/DRIVE/NUMBER.png LONGITUDINAL LATERAL ROTATION

Front images are localized in a part of the aerial image, turned and moved by the label: the part's right is the
vehicle's heading turned clockwise by ROTATION (a share of the ± degrees asked for), and seen from its middle the camera
lies LONGITUDINAL along the heading and LATERAL to the left of it (shares of 20 m). Networks of the field are trained
on such images, so the part is made the same way here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from xview_localizer.aerial.mercator import MAX_LATITUDE_DEG, metres_per_pixel
from xview_localizer.aerial.source import AerialImage
from xview_localizer.aerial.warp import resample
from xview_localizer.evaluation.cross_view import (
    CROSS,
    SAME,
    CrossViewSample,
    CrossViewSet,
    disc_prior,
    evenly_spaced,
    level_view,
    require_protocol,
)
from xview_localizer.evaluation.cross_view_files import (
    CrossViewError,
    UnreadableImageError,
    numbers_of,
    read_image,
    read_lines,
)
from xview_localizer.geometry.camera import PinholeCamera
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.pose import Pose2
from xview_localizer.recordings.pairs import Truth

ZOOM, TILE_PX = 18, 512  # of the aerial images: about 0.2 m/px
PART_PX = 512  # side of the part in which an image is localized: 100 m
SHIFT_M = 20.0  # what LONGITUDINAL and LATERAL are shares of
# The left colour camera seen from the GPS receiver, as the field uses it: 1.08 m ahead and 0.26 m to the right.
T_GPS_CAMERA = Pose2(1.08, -0.26, 0.0)
CAMERA_HEIGHT_M = 1.65
TEST_LISTS = {SAME: "test1_files.txt", CROSS: "test2_files.txt"}
LINE = "DAY/DRIVE/NUMBER.png LONGITUDINAL LATERAL ROTATION"
OXTS_FIELDS = 6  # of 30: latitude, longitude, altitude, roll, pitch, yaw


@dataclass(frozen=True)
class Intrinsics:
    """Intrinsics of the rectified left colour camera in pixels, whose centres lie at +0.5."""

    fx: float
    fy: float
    cx: float
    cy: float


@dataclass(frozen=True)
class KittiRecord:
    """A front image. `yaw_rad` is that of the vehicle in ENU; `T_part_camera` is the label."""

    id: str
    image_path: Path
    aerial_path: Path
    intrinsics: Intrinsics
    latitude_deg: float
    yaw_rad: float
    T_part_camera: Pose2
    heading_within_deg: float

    @property
    def image_paths(self) -> tuple[Path, ...]:
        return self.image_path, self.aerial_path

    @property
    def metres_per_pixel(self) -> float:
        return metres_per_pixel(self.latitude_deg, ZOOM, TILE_PX)

    def load(self) -> CrossViewSample:
        """See CrossViewRecord."""
        image = read_image(self.image_path)
        camera = PinholeCamera(image.shape[1], image.shape[0], **vars(self.intrinsics))
        label = self.T_part_camera
        return CrossViewSample(
            level_view(image, camera, CAMERA_HEIGHT_M),
            self._part(read_image(self.aerial_path)),
            disc_prior(float(np.hypot(SHIFT_M, SHIFT_M)), 0.0, self.heading_within_deg),
            Truth(label.x_m, label.y_m, label.yaw_rad, tolerance_m=0.0),
        )

    def _part(self, image: np.ndarray) -> AerialImage:
        """The part of the aerial image that the label describes."""
        T_gps_part = Pose2(0.0, 0.0, self.yaw_rad) @ T_GPS_CAMERA @ self.T_part_camera.inverse()
        whole = RasterGrid.centred(0.0, 0.0, self.metres_per_pixel, *image.shape[:2])
        grid = RasterGrid.centred(0.0, 0.0, self.metres_per_pixel, PART_PX, PART_PX)
        uv = whole.uv_from_xy(T_gps_part.transform(grid.cell_centres_xy_m)).reshape(PART_PX, PART_PX, 2)
        part, seen = resample(image, np.ones(image.shape[:2], dtype=bool), uv)
        if not seen.all():
            raise UnreadableImageError(
                f"{self.aerial_path} has {image.shape[1]} × {image.shape[0]} px and does not reach far enough; "
                f"expected are 1280 × 1280 px of {self.metres_per_pixel:.2f} m"
            )
        return AerialImage(part, seen, grid)


def open_kitti(
    folder: Path, area: str = SAME, heading_within_deg: float = 10.0, limit: int | None = None
) -> CrossViewSet:
    """The test images of an area ("same": test 1, "cross": test 2), at most `limit`. Raises CrossViewError."""
    require_protocol(area, heading_within_deg)
    path = folder / TEST_LISTS[area]
    expected = f"the list of test images, as published with HighlyAccurate: {LINE} in each line"
    lines = evenly_spaced(read_lines(path, expected), limit)
    read_intrinsics = lru_cache(_intrinsics)  # one file serves all images of a day
    records = []
    for number, words in lines:
        image, T_part_camera = _label(words, f"{path}, line {number}", heading_within_deg)
        day, drive, name = image.parts
        raw = folder / "raw_data" / day
        latitude_deg, yaw_rad = _pose(raw / drive / "oxts" / "data" / f"{image.stem}.txt")
        records.append(
            KittiRecord(
                str(image.with_suffix("")),
                raw / drive / "image_02" / "data" / name.lower(),
                folder / "satmap" / image,
                read_intrinsics(raw / "calib_cam_to_cam.txt"),
                latitude_deg,
                yaw_rad,
                T_part_camera,
                heading_within_deg,
            )
        )
    protocol = {
        "data_set": "KITTI", "area": area, "heading_within_deg": heading_within_deg, "labels": path.name
    }  # fmt: skip
    return CrossViewSet(protocol, records)


def _label(words: list[str], place: str, heading_within_deg: float) -> tuple[PurePosixPath, Pose2]:
    """The image's name and where its camera is in the part of the aerial image."""
    if len(words) != 4:
        raise CrossViewError(f"{place} has {len(words)} columns; expected is {LINE}")
    image = PurePosixPath(words[0])
    if len(image.parts) != 3:
        raise CrossViewError(f"{place}: {image} is not DAY/DRIVE/NUMBER.png")
    shares = numbers_of(words[1:], place, f"{LINE}, shares between -1 and 1")
    if np.abs(shares).max() > 1:
        raise CrossViewError(
            f"{place}: {' '.join(words[1:])} are no shares between -1 and 1; expected is {LINE}"
        )
    longitudinal, lateral, rotation = shares
    turn = Pose2(0.0, 0.0, float(np.radians(rotation * heading_within_deg)))
    return image, turn @ Pose2(SHIFT_M * longitudinal, SHIFT_M * lateral, 0.0)


def _pose(path: Path) -> tuple[float, float]:
    """Latitude, degrees, and yaw, radians from east counter-clockwise, of an oxts file."""
    expected = "an oxts file: latitude, longitude, altitude, roll, pitch, yaw and more in one line"
    lines = read_lines(path, expected)
    words = lines[0][1] if lines else []
    if len(words) < OXTS_FIELDS:
        raise CrossViewError(f"{path} has {len(words)} columns; expected is {expected}")
    latitude_deg, *_, yaw_rad = numbers_of(words[:OXTS_FIELDS], str(path), expected)
    if abs(latitude_deg) > MAX_LATITUDE_DEG:
        raise CrossViewError(f"{path}: {latitude_deg:g} is no latitude; expected is {expected}")
    return latitude_deg, yaw_rad


def _intrinsics(path: Path) -> Intrinsics:
    """The intrinsics of the rectified left colour camera, from a calibration file."""
    expected = "KITTI's calibration with the 12 numbers of P_rect_02"
    for _, words in read_lines(path, expected):
        if words[0] == "P_rect_02:":
            values = numbers_of(words[1:], f"{path}, P_rect_02", expected)
            if len(values) != 12:
                raise CrossViewError(f"{path}: P_rect_02 has {len(values)} numbers; expected is {expected}")
            if min(values[0], values[5]) <= 0:
                raise CrossViewError(f"{path}: P_rect_02 has no focal length; expected is {expected}")
            # KITTI's pixel centres lie at whole numbers.
            return Intrinsics(fx=values[0], fy=values[5], cx=values[2] + 0.5, cy=values[6] + 0.5)
    raise CrossViewError(f"{path} has no P_rect_02; expected is {expected}")
