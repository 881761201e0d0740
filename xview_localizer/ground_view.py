"""One camera image and how the camera sits on the robot: what the localizer takes in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.camera import CameraModel


@dataclass(frozen=True)
class GroundView:
    """One camera image and how the camera sits on the robot.

    `R_base_camera` [3, 3] takes optical-frame directions into base_link; `camera_in_base_m` [3] is the
    camera's position in base_link. `gravity_base` [3] points down in base_link (None: base_link is level).
    `camera_height_m` is the height over the ground (None: unknown, the scale is then solved for).
    """

    image: np.ndarray  # [H, W, 3] uint8 RGB
    camera: CameraModel
    R_base_camera: np.ndarray
    camera_in_base_m: np.ndarray
    gravity_base: np.ndarray | None
    camera_height_m: float | None
    stamp_sec: float


@dataclass(frozen=True)
class LevelView:
    """What the networks see of a ground view: the image and how its camera is turned against gravity.

    `R_level_camera` [3, 3] takes optical-frame directions into the level frame. `camera_height_m` is the height over
    the ground, or the one assumed where it is unknown.
    """

    image: np.ndarray  # [H, W, 3] uint8 RGB
    camera: CameraModel
    R_level_camera: np.ndarray
    camera_height_m: float
