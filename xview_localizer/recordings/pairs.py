"""Reader of the `pairs` data-set format: ground images with their aerial crop, prior and truth."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.encoded_image import EncodedImageError
from xview_localizer.geometry.camera import CameraModel, camera_from_dict
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.pose import MAX_SEARCH_RADIUS_M, Pose2, Prior
from xview_localizer.ground_view import GroundView
from xview_localizer.image_file import read_rgb, read_unchanged


class PairsError(ValueError):
    """A pairs folder cannot be read; the message names the file, the line and what is wrong."""


class UnreadablePairError(PairsError):
    """A single image of a pairs folder cannot be read; the other pairs can."""


@dataclass(frozen=True)
class Truth:
    """The true position and yaw (None where unknown) of the camera, and the greatest error of the label itself."""

    x_m: float
    y_m: float
    yaw_rad: float | None
    tolerance_m: float

    @property
    def pose(self) -> Pose2 | None:
        """The true pose; None where the true yaw is unknown."""
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
        """Ground image [H, W, 3] uint8 RGB. Raises UnreadablePairError."""
        return _read_rgb(self.image_path)

    def load_aerial(self) -> AerialImage:
        """The aerial image on its grid. Raises UnreadablePairError."""
        image = _read_rgb(self.aerial_path)
        rows, columns = image.shape[:2]
        grid = RasterGrid.centred(0.0, 0.0, self.metres_per_pixel, rows, columns)
        return AerialImage(image, np.ones((rows, columns), dtype=bool), grid)

    def load_range_m(self) -> np.ndarray:
        """Range along the ray [H, W] in metres, 0 where nothing is hit. Raises UnreadablePairError."""
        if self.depth_path is None:
            raise UnreadablePairError(f"{self.id} has no depth image")
        try:
            millimetres = read_unchanged(self.depth_path)
        except EncodedImageError as error:
            raise UnreadablePairError(str(error)) from error
        if millimetres.dtype != np.uint16:
            raise UnreadablePairError(f"{self.depth_path} is no 16-bit PNG")
        return millimetres.astype(np.float32) / 1000


class PairsDataset:
    """All records of a folder, in file order. Raises PairsError."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        index = self.folder / "pairs.jsonl"
        if self.folder.is_file():
            raise PairsError(f"{self.folder} is a file; pairs are given as the folder that holds pairs.jsonl")
        if not index.is_file():
            raise PairsError(f"{self.folder} is no pairs folder: it has no pairs.jsonl")
        try:  # editors on Windows put a byte order mark in front, which utf-8-sig passes over
            lines = index.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise PairsError(f"{index} is not in UTF-8 ({error}); save it in UTF-8") from error
        self.records: list[PairRecord] = []
        line_of: dict[str, int] = {}
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = _record(self.folder, json.loads(line))
                if (first := line_of.setdefault(record.id, number)) != number:
                    raise ValueError(f"its id {record.id} is that of line {first}, too; ids must be unique")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                why = f"lacks {error}" if isinstance(error, KeyError) else error
                raise PairsError(f"{index}, line {number}: {why}") from error
            self.records.append(record)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[PairRecord]:
        return iter(self.records)

    def require_pairs(self) -> None:
        """Raise PairsError where there are none."""
        if not self.records:
            raise PairsError(f"{self.folder} holds no pairs")


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
    metres_per_pixel = _number(entry, "aerial.metres_per_pixel")
    if metres_per_pixel <= 0:
        raise ValueError(f"aerial.metres_per_pixel must be positive, got {metres_per_pixel:g}")
    return PairRecord(
        id=str(entry["id"]),
        sequence=entry.get("sequence"),
        stamp_sec=_optional(entry, "stamp"),
        image_path=_file(folder, "image", entry["image"]),
        camera=camera_from_dict(entry["camera"]),
        camera_height_m=_optional(entry, "camera.height_m"),
        roll_rad=_angle_rad(entry, "camera.roll_deg") or 0.0,
        pitch_rad=_angle_rad(entry, "camera.pitch_deg") or 0.0,
        aerial_path=_file(folder, "aerial.image", entry["aerial"]["image"]).resolve(),
        metres_per_pixel=metres_per_pixel,
        prior=_prior(entry),
        truth=Truth(
            x_m=_number(entry, "truth.x"),
            y_m=_number(entry, "truth.y"),
            yaw_rad=_angle_rad(entry, "truth.yaw_deg"),
            tolerance_m=_optional(entry, "truth.tolerance_m") or 0.0,
        ),
        depth_path=_file(folder, "depth", entry["depth"]) if entry.get("depth") else None,
        odom=_odom(entry) if entry.get("odom") else None,
    )


def _prior(entry: Mapping[str, Any]) -> Prior:
    radius_m, yaw_rad = _number(entry, "prior.sigma_m"), _angle_rad(entry, "prior.yaw_deg")
    if radius_m > MAX_SEARCH_RADIUS_M:
        raise ValueError(f"prior.sigma_m is at most {MAX_SEARCH_RADIUS_M:g} m, got {radius_m:g}")
    yaw_sigma_rad = None if yaw_rad is None else float(np.radians(_number(entry, "prior.yaw_sigma_deg")))
    return Prior(_number(entry, "prior.x"), _number(entry, "prior.y"), radius_m, yaw_rad, yaw_sigma_rad)


def _odom(entry: Mapping[str, Any]) -> Pose2:
    yaw_deg = _number(entry, "odom.yaw_deg")
    return Pose2(_number(entry, "odom.x"), _number(entry, "odom.y"), float(np.radians(yaw_deg)))


def _optional(entry: Mapping[str, Any], path: str) -> float | None:
    """The number at a dotted `path`, such as truth.x; None where it is absent or null.

    Raises ValueError where it is no finite number: Python writes NaN into JSON, and tables turn numbers into texts.
    """
    value: Any = entry
    for key in path.split("."):
        value = value.get(key) if value is not None else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{path} must be a finite number, got {value!r}")
    return float(value)


def _number(entry: Mapping[str, Any], path: str) -> float:
    """The number at a dotted `path`; raises ValueError where it is absent or no finite number."""
    number = _optional(entry, path)
    if number is None:
        raise ValueError(f"lacks {path}")
    return number


def _angle_rad(entry: Mapping[str, Any], path: str) -> float | None:
    angle_deg = _optional(entry, path)
    return None if angle_deg is None else float(np.radians(angle_deg))


def _file(folder: Path, key: str, name: object) -> Path:
    path = folder / str(name)
    if not path.is_file():
        raise ValueError(f"{key} is {path}, and there is no such file")
    return path


def _read_rgb(path: Path) -> np.ndarray:
    try:
        return read_rgb(path)
    except EncodedImageError as error:
        raise UnreadablePairError(str(error)) from error
