"""Tiny data sets in the field's own layouts, rendered in a small town of which every pose is known."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.source import AerialImage
from xview_localizer.geometry.camera import PinholeCamera, camera_from_dict
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.pose import Pose2
from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.pairs_writer import sample_camera
from xview_localizer.simulation.town import Town

# Per city: number of a place along the street, and the label: how many pixels the aerial image's middle lies north
# (rows) and east (columns) of the panorama.
VIGOR_IMAGES = {"NewYork": (96, -70.0, 95.0), "Chicago": (86, 60.0, 105.0)}
VIGOR_METRES_PER_PIXEL = {"NewYork": 0.113248, "Chicago": 0.111262}
VIGOR_HEIGHT_M = 2.4
# Number of the place, turn against the street, longitudinal, lateral, rotation.
KITTI_IMAGES = {"0000000003": (90, 0.02, 0.45, -0.4, 0.8), "0000000007": (98, np.pi - 0.03, -0.3, 0.4, -0.6)}
KITTI_HEIGHT_M, KITTI_LATITUDE_DEG = 1.65, 49.0
KITTI_METRES_PER_PIXEL = 156543.03392 * np.cos(np.radians(KITTI_LATITUDE_DEG)) / 2**18 / 2
DAY, DRIVE = "2011_09_26", "2011_09_26_drive_0002_sync"
# Focal length 721.5 px, principal point at column 609.6 and row 172.9, counted from the first pixel's middle.
P_RECT_02 = (
    "7.215377e+02 0 6.095593e+02 4.485728e+01 0 7.215377e+02 1.728540e+02 2.163791e-01 0 0 1 2.745884e-03"
)


@dataclass(frozen=True)
class FieldTown:
    """A town and its orthophoto."""

    town: Town
    aerial: AerialImage

    @classmethod
    def make(cls) -> "FieldTown":
        town, rng = Town.generate(77, 130.0), np.random.default_rng(0)
        bounds = Bounds.around(0.0, 0.0, 60.0)
        return cls(town, town.render_orthophoto(bounds, 0.2, Capture.sample(rng, aerial=True), rng))


def write_vigor(folder: Path, field_town: FieldTown) -> Path:
    """A panorama in each of New York and Chicago; the lists of the other cities are empty."""
    for city in ("NewYork", "Seattle", "SanFrancisco", "Chicago"):
        for kind in ("panorama", "satellite"):
            (folder / city / kind).mkdir(parents=True)
        lines = [_vigor_image(folder / city, field_town, city)] if city in VIGOR_IMAGES else []
        labels = folder / "splits__corrected" / city
        labels.mkdir(parents=True)
        for name in ("same_area_balanced_test", "pano_label_balanced"):
            (labels / f"{name}__corrected.txt").write_text("".join(lines))
    return folder


def _vigor_image(folder: Path, field_town: FieldTown, city: str) -> str:
    place, rows, columns = VIGOR_IMAGES[city]
    metres_per_pixel = VIGOR_METRES_PER_PIXEL[city]
    x_m, y_m, _ = _place(field_town, place)
    camera = camera_from_dict(sample_camera(np.random.default_rng(0), "equirectangular", vary=False))
    image = _view(field_town, camera, Pose2(x_m, y_m, np.pi / 2), VIGOR_HEIGHT_M)
    middle_m = x_m + columns * metres_per_pixel, y_m + rows * metres_per_pixel
    bounds = Bounds.around(*middle_m, 320 * metres_per_pixel)
    panorama, satellite = f"{city},40.700000,-74.000000,.jpg", f"satellite_{city}.png"
    _write(folder / "panorama" / panorama, image)
    _write(folder / "satellite" / satellite, _aerial(field_town, bounds, metres_per_pixel))
    others = " ".join(f"{satellite} {rows + 320} {columns}" for _ in range(3))
    return f"{panorama} {satellite} {rows} {columns} {others}\n"


def write_kitti(folder: Path, field_town: FieldTown) -> Path:
    """Two images of one drive, there and back, both in test 1; test 2 has the first only."""
    raw, satmap = folder / "raw_data" / DAY, folder / "satmap" / DAY / DRIVE
    for path in (raw / DRIVE / "image_02" / "data", raw / DRIVE / "oxts" / "data", satmap):
        path.mkdir(parents=True)
    (raw / "calib_cam_to_cam.txt").write_text(
        f"calib_time: 09-Jan-2012 13:57:47\nS_rect_02: 1.242000e+03 3.750000e+02\nP_rect_02: {P_RECT_02}\n"
    )
    lines = []
    for name, (place, turn_rad, longitudinal, lateral, rotation) in KITTI_IMAGES.items():
        x_m, y_m, street_rad = _place(field_town, place)
        yaw_rad = street_rad + turn_rad
        camera = PinholeCamera(1242, 375, 721.5377, 721.5377, 610.0593, 173.354)
        image = _view(field_town, camera, Pose2(x_m, y_m, yaw_rad), KITTI_HEIGHT_M)
        _write(raw / DRIVE / "image_02" / "data" / f"{name}.png", image)
        forward, right = (
            np.array([np.cos(yaw_rad), np.sin(yaw_rad)]),
            np.array([np.sin(yaw_rad), -np.cos(yaw_rad)]),
        )
        gps_xy_m = np.array([x_m, y_m]) - 1.08 * forward - 0.26 * right
        bounds = Bounds.around(*gps_xy_m, 640 * KITTI_METRES_PER_PIXEL)
        _write(satmap / f"{name}.png", _aerial(field_town, bounds, KITTI_METRES_PER_PIXEL))
        oxts = f"{KITTI_LATITUDE_DEG} 8.43 112.0 0.03 0.01 {yaw_rad:.9f} " + " ".join(24 * ["0"])
        (raw / DRIVE / "oxts" / "data" / f"{name}.txt").write_text(oxts + "\n")
        lines.append(f"{DAY}/{DRIVE}/{name}.png {longitudinal} {lateral} {rotation}\n")
    (folder / "test1_files.txt").write_text("".join(lines))
    (folder / "test2_files.txt").write_text(lines[0])
    return folder


def _place(field_town: FieldTown, number: int) -> tuple[float, float, float]:
    """x, y and direction of a place on the street."""
    street = field_town.town.layout.streets[0]
    (x_m, y_m), (dx, dy) = street.line_xy_m[number], street.direction[number]
    return float(x_m), float(y_m), float(np.arctan2(dy, dx))


def _view(field_town: FieldTown, camera, pose: Pose2, height_m: float) -> np.ndarray:
    rng = np.random.default_rng(5)
    level = R_base_optical_from_rpy(0.0, 0.0, 0.0)
    return field_town.town.render_view(camera, pose, level, height_m, Capture.sample(rng), rng)[0]


def _aerial(field_town: FieldTown, bounds: Bounds, metres_per_pixel: float) -> np.ndarray:
    """The town from above; beyond its rim grey."""
    aerial = InMemoryMap(field_town.aerial).read(bounds, metres_per_pixel)
    return np.where(aerial.valid[..., None], aerial.image, np.uint8(128))


def _write(path: Path, image: np.ndarray) -> None:
    assert cv2.imwrite(str(path), image[..., ::-1])
