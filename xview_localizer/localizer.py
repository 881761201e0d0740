"""The method, step by step: one ground image and a prior in, a pose with covariance (or a reason) out."""

from __future__ import annotations

from dataclasses import dataclass, field

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
class Fix:
    """The localizer's answer. Position and yaw are those of base_link in `map`.

    When no pose was found at all, x, y, yaw, scale and covariance are NaN and `accepted` is False.
    A pose that was found but is not to be trusted has `accepted` False and a `reason`.
    """

    stamp_sec: float
    x_m: float
    y_m: float
    yaw_rad: float
    scale: float
    covariance: np.ndarray  # [3, 3] of (x, y, yaw)
    confidence: float  # in [0, 1], calibrated: chance that the position is within 2 m
    inlier_ratio: float
    inliers: int
    accepted: bool
    reason: str  # empty when accepted
    timings_ms: dict[str, float] = field(default_factory=dict)
