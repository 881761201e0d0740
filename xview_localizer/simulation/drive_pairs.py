"""A drive in the `pairs` format: each image with a prior, all on one orthophoto, so that keyframes can be joined."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.geometry.levelling import R_BODY_OPTICAL
from xview_localizer.geometry.pose import Pose2
from xview_localizer.image_file import write_image
from xview_localizer.simulation.drive_camera import Shot
from xview_localizer.simulation.pairs_writer import prior_disc, write_depth

AERIAL_JPEG_QUALITY = 92


class DrivePairs:
    """Writes images one by one; `close` writes the index. Priors are drawn within 20 m of the truth."""

    def __init__(self, out: Path, aerial: AerialImage, rng: np.random.Generator) -> None:
        out.mkdir(parents=True, exist_ok=True)
        write_image(out / "aerial.jpg", aerial.image, AERIAL_JPEG_QUALITY)
        bounds = aerial.grid.bounds
        self._middle_m = np.array([bounds.west_m + bounds.width_m / 2, bounds.south_m + bounds.height_m / 2])
        self._out, self._metres_per_pixel, self._rng = out, aerial.grid.spacing_m, rng
        self._lines: list[str] = []

    def add(self, shot: Shot, odom: Pose2) -> None:
        """Write one image. `odom` is base_link's pose in odom; the format holds the camera's pose instead."""
        stem = f"{len(self._lines):04d}"
        (self._out / f"{stem}_ground.jpg").write_bytes(shot.jpeg)
        write_depth(self._out / f"{stem}_depth.png", shot.range_m)
        body = shot.R_map_camera @ R_BODY_OPTICAL.T
        yaw_rad = float(np.arctan2(body[1, 0], body[0, 0]))
        camera_odom = odom @ shot.base.inverse() @ Pose2(*shot.camera_xy_m.tolist(), yaw_rad)
        x, y = shot.camera_xy_m - self._middle_m
        entry = {
            "id": stem, "sequence": "drive", "stamp": shot.stamp_sec, "image": f"{stem}_ground.jpg",
            "camera": {
                **shot.camera, "height_m": shot.height_m,
                "roll_deg": float(np.degrees(np.arctan2(body[2, 1], body[2, 2]))),
                "pitch_deg": float(np.degrees(-np.arcsin(body[2, 0]))),
            },
            "aerial": {"image": "aerial.jpg", "metres_per_pixel": self._metres_per_pixel},
            "prior": prior_disc(np.array([x, y]), self._rng),
            "truth": {"x": float(x), "y": float(y), "yaw_deg": float(np.degrees(yaw_rad)), "tolerance_m": 0.0},
            "depth": f"{stem}_depth.png",
            "odom": {"x": camera_odom.x_m, "y": camera_odom.y_m, "yaw_deg": float(np.degrees(camera_odom.yaw_rad))},
        }  # fmt: skip
        self._lines.append(json.dumps(entry))

    def close(self) -> None:
        """Write pairs.jsonl."""
        (self._out / "pairs.jsonl").write_text("\n".join(self._lines) + "\n")
