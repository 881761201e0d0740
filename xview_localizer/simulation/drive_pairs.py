"""A drive in the `pairs` format: every image with its aerial crop about a prior."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.source import AerialImage
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.levelling import R_BODY_OPTICAL
from xview_localizer.geometry.pose import Pose2
from xview_localizer.simulation.pairs_writer import CROP_M, prior_disc, write_depth, write_jpeg

AERIAL_JPEG_QUALITY = 92


class DrivePairs:
    """Writes images one by one; `close` writes the index. Priors are drawn within 20 m of the truth."""

    def __init__(self, out: Path, aerial: AerialImage, rng: np.random.Generator) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._out, self._rng = out, rng
        self._map, self._metres_per_pixel = InMemoryMap(aerial), aerial.grid.spacing_m
        self._lines: list[str] = []

    def add(
        self, stamp_sec: float, jpeg: bytes, range_m: np.ndarray, camera: dict, height_m: float,
        camera_xy_m: np.ndarray, R_map_camera: np.ndarray, odom: Pose2,
    ) -> None:  # fmt: skip
        """One image; `R_map_camera` [3, 3] takes optical-frame directions to the map."""
        stem = f"{len(self._lines):04d}"
        (self._out / f"{stem}_ground.jpg").write_bytes(jpeg)
        write_depth(self._out / f"{stem}_depth.png", range_m)
        prior, centre = prior_disc(camera_xy_m, self._rng), self._rng.uniform(-2, 2, 2)
        centre = centre + (prior["x"], prior["y"])
        crop = self._map.read(Bounds.around(*centre, CROP_M / 2), self._metres_per_pixel)
        middle = crop.grid.bounds  # a whole number of pixels, so not quite `centre`
        origin = np.array([middle.west_m + middle.width_m / 2, middle.south_m + middle.height_m / 2])
        write_jpeg(self._out / f"{stem}_aerial.jpg", crop.image, AERIAL_JPEG_QUALITY)
        body = R_map_camera @ R_BODY_OPTICAL.T
        x, y = camera_xy_m - origin
        entry = {
            "id": stem, "sequence": "drive", "stamp": stamp_sec, "image": f"{stem}_ground.jpg",
            "camera": {
                **camera, "height_m": height_m, "roll_deg": float(np.degrees(np.arctan2(body[2, 1], body[2, 2]))),
                "pitch_deg": float(np.degrees(-np.arcsin(body[2, 0]))),
            },
            "aerial": {"image": f"{stem}_aerial.jpg", "metres_per_pixel": self._metres_per_pixel},
            "prior": {**prior, "x": float(prior["x"] - origin[0]), "y": float(prior["y"] - origin[1])},
            "truth": {
                "x": float(x), "y": float(y), "yaw_deg": float(np.degrees(np.arctan2(body[1, 0], body[0, 0]))),
                "tolerance_m": 0.0,
            },
            "depth": f"{stem}_depth.png",
            "odom": {"x": odom.x_m, "y": odom.y_m, "yaw_deg": float(np.degrees(odom.yaw_rad))},
        }  # fmt: skip
        self._lines.append(json.dumps(entry))

    def close(self) -> None:
        """Write pairs.jsonl."""
        (self._out / "pairs.jsonl").write_text("\n".join(self._lines) + "\n")
