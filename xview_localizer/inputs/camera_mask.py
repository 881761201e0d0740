"""Masks of the robot's own body in its cameras' images, as files of the user."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from xview_localizer.encoded_image import EncodedImageError
from xview_localizer.image_file import read_rgb
from xview_localizer.inputs.mountings import parameter_prefix
from xview_localizer.parameters.settings import Settings
from xview_localizer.parameters.table import SettingsError

# Pixels with a grey value below this count as covered: lossy formats and smoothed edges leave no pure black.
COVERED_BELOW = 128
# No robot covers a greater share of its camera's image; a mask with black and white swapped does.
MAX_COVERED = 0.75


def camera_masks(settings: Settings) -> dict[str, np.ndarray]:
    """By camera, where its image shows the world [H, W]; cameras without a mask are left out. Raises SettingsError."""
    paths = {camera: settings.mask_path(camera) for camera in settings.cameras}
    return {camera: _read(path, camera) for camera, path in paths.items() if path is not None}


def _read(path: Path, camera: str) -> np.ndarray:
    name = f"{parameter_prefix(camera)}.mask"
    try:
        grey = cv2.cvtColor(read_rgb(path), cv2.COLOR_RGB2GRAY)
    except EncodedImageError as error:
        raise SettingsError(f"{name}: {error}; give a PNG, black where the robot is seen") from error
    shows_world = grey >= COVERED_BELOW
    covered = 1.0 - float(shows_world.mean())
    if covered > MAX_COVERED:
        raise SettingsError(
            f"{name}: {path} covers {100 * covered:.0f} % of the image; black marks the robot, white the world"
        )
    return shows_world
