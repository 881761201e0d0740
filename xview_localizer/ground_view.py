"""One camera image and how the camera sits on the robot: what the localizer takes in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.camera import CameraModel

# Bounds far below and above the heights of cameras on robots, cars and people.
MIN_HEIGHT_M, MAX_HEIGHT_M = 0.05, 50.0
# An image whose grey levels have a smaller standard deviation shows nothing but the noise of a covered or dark camera.
# Every SAMPLED_PX-th pixel of every SAMPLED_PX-th row is examined.
BLANK_LEVELS, SAMPLED_PX = 3.0, 8


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


def unusable_reason(view: GroundView) -> str:
    """Why an image cannot be used, or an empty string."""
    image, camera = view.image, view.camera
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        return f"image must be [H, W, 3] uint8 RGB, got shape {image.shape} of {image.dtype}"
    if image.shape[:2] != (camera.height, camera.width):
        return (
            f"image is {image.shape[1]} × {image.shape[0]} but the camera model has {camera.width} × {camera.height}; "
            "check that its CameraInfo or calibration file belongs to this image"
        )
    if not (np.all(np.isfinite(view.R_base_camera)) and np.all(np.isfinite(view.camera_in_base_m))):
        return "the camera's mounting is not finite"
    if view.camera_height_m is not None and not MIN_HEIGHT_M < view.camera_height_m < MAX_HEIGHT_M:
        return (
            f"camera height {view.camera_height_m} m is not between {MIN_HEIGHT_M:g} and {MAX_HEIGHT_M:g} m"
        )
    if float(image[::SAMPLED_PX, ::SAMPLED_PX].std(axis=(0, 1)).max()) < BLANK_LEVELS:
        return "image is blank (no contrast)"
    return ""
