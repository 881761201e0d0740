"""What the aspect ratio of a photo shows: whether it is a full panorama, was stitched, or was cropped."""

from __future__ import annotations

import numpy as np

from xview_localizer.photo.metadata import PhotoMetadata
from xview_localizer.photo.xmp import is_sphere_size

# A single shot has an aspect ratio of at most 21 : 9; a longer image was stitched from several shots.
STITCHED_ASPECT = 2.4
# Rounding and lens correction change a photo's aspect ratio by less than this factor; cropping changes it by more.
CROPPED_RATIO = 1.02


def is_sphere(image: np.ndarray) -> bool:
    """Whether an image has the shape of a panorama of the full sphere."""
    height, width = image.shape[:2]
    return is_sphere_size(width, height)


def has_shape(image: np.ndarray, size_px: tuple[float, float], may_be_turned: bool = False) -> bool:
    """Whether an image has the aspect ratio of `size_px` (width, height): it may have been resized, but not cropped."""
    height, width = image.shape[:2]
    across, down = size_px
    if may_be_turned and (width > height) != (across > down):
        across, down = down, across
    ratio = width * down / (height * across)
    return bool(1 / CROPPED_RATIO <= ratio <= CROPPED_RATIO)


def is_stitched(image: np.ndarray, recorded: PhotoMetadata) -> bool:
    """Whether an image was put together from several shots; its EXIF then describes only one of them."""
    height, width = image.shape[:2]
    return bool(recorded.projection) or max(width, height) > STITCHED_ASPECT * min(width, height)


def is_cropped(image: np.ndarray, recorded: PhotoMetadata) -> bool:
    """Whether an image is only a part of the shot; the focal length in its EXIF belongs to the whole shot."""
    shot_px = recorded.shot_size_px
    return shot_px is not None and not has_shape(image, shot_px, may_be_turned=True)
