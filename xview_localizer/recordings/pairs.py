"""Reader of the `pairs` data-set format: ground images with their aerial crop, prior and truth."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.geometry.camera import CameraModel, camera_from_dict
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.ground_view import GroundView


class PairsError(ValueError):
    """A pairs folder cannot be read; the message names the file, the line and what is wrong."""


@dataclass(frozen=True)
class Truth:
    """Position and yaw (None where unknown) of the camera, and how far the label itself can be off."""

    x_m: float
    y_m: float
    yaw_rad: float | None
    tolerance_m: float

    @property
    def pose(self) -> Pose2 | None:
        """None where the true yaw is unknown."""
        return None if self.yaw_rad is None else Pose2(self.x_m, self.y_m, self.yaw_rad)


@dataclass(frozen=True)
class PairRecord:
    """One line of pairs.jsonl. The local frame is ENU about the middle of the aerial image."""

    id: str
    sequence: str | None
    stamp_sec: float | None
    image_path: Path
    camera: CameraModel
    camera_height_m: float | None
    roll_rad: float
    pitch_rad: float
    aerial_path: Path
    metres_per_pixel: float
    prior: Prior
    truth: Truth
    depth_path: Path | None
    odom: Pose2 | None

    def load_image(self) -> np.ndarray:
        """Ground image [H, W, 3] uint8 RGB. Raises PairsError."""
        return _read_rgb(self.image_path)

    def load_aerial(self) -> AerialImage:
        """The aerial image on its grid. Raises PairsError."""
        image = _read_rgb(self.aerial_path)
        rows, columns = image.shape[:2]
        grid = RasterGrid.centred(0.0, 0.0, self.metres_per_pixel, rows, columns)
        return AerialImage(image, np.ones((rows, columns), dtype=bool), grid)

    def load_range_m(self) -> np.ndarray:
        """Range along the ray [H, W] in metres, 0 where nothing is hit. Raises PairsError."""
        if self.depth_path is None:
            raise PairsError(f"{self.id} has no depth image")
        millimetres = cv2.imread(str(self.depth_path), cv2.IMREAD_UNCHANGED)
        if millimetres is None or millimetres.dtype != np.uint16:
            raise PairsError(f"{self.depth_path} is no 16-bit PNG")
        return millimetres.astype(np.float32) / 1000


class PairsDataset:
    """All records of a folder, in file order. Raises PairsError."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        index = self.folder / "pairs.jsonl"
        if not index.is_file():
            raise PairsError(f"{self.folder} is no pairs folder: it has no pairs.jsonl")
        self.records: list[PairRecord] = []
        for number, line in enumerate(index.read_text().splitlines(), start=1):
            if not line.strip():
                continue
            try:
                self.records.append(_record(self.folder, json.loads(line)))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise PairsError(f"{index}, line {number}: {error!r}") from error

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[PairRecord]:
        return iter(self.records)


def ground_view(record: PairRecord) -> GroundView:
    """The record as the localizer takes it: the camera sits at base_link's origin, which is level."""
    return GroundView(
        image=record.load_image(),
        camera=record.camera,
        R_base_camera=R_base_optical_from_rpy(record.roll_rad, record.pitch_rad, 0.0),
        camera_in_base_m=np.zeros(3),
        gravity_base=None,
        camera_height_m=record.camera_height_m,
        stamp_sec=record.stamp_sec or 0.0,
    )


def _record(folder: Path, entry: Mapping[str, Any]) -> PairRecord:
    camera, aerial, prior, truth, odom = (
        entry["camera"], entry["aerial"], entry["prior"], entry["truth"], entry.get("odom")
    )  # fmt: skip
    yaw_deg = prior.get("yaw_deg")
    return PairRecord(
        id=str(entry["id"]),
        sequence=entry.get("sequence"),
        stamp_sec=entry.get("stamp"),
        image_path=folder / entry["image"],
        camera=camera_from_dict(camera),
        camera_height_m=camera.get("height_m"),
        roll_rad=float(np.radians(camera.get("roll_deg", 0.0))),
        pitch_rad=float(np.radians(camera.get("pitch_deg", 0.0))),
        aerial_path=(folder / aerial["image"]).resolve(),
        metres_per_pixel=float(aerial["metres_per_pixel"]),
        prior=Prior(
            prior["x"], prior["y"], prior["sigma_m"],
            None if yaw_deg is None else float(np.radians(yaw_deg)),
            None if yaw_deg is None else float(np.radians(prior["yaw_sigma_deg"])),
        ),
        truth=Truth(
            truth["x"], truth["y"],
            None if truth.get("yaw_deg") is None else float(np.radians(truth["yaw_deg"])),
            float(truth.get("tolerance_m", 0.0)),
        ),
        depth_path=folder / entry["depth"] if entry.get("depth") else None,
        odom=Pose2(odom["x"], odom["y"], float(np.radians(odom["yaw_deg"]))) if odom else None,
    )  # fmt: skip


def _read_rgb(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise PairsError(f"{path} is missing or no readable image")
    return np.ascontiguousarray(image[..., ::-1])
