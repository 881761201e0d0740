"""Areas of one colour: there a mosaic ends, whose file has neither an alpha band nor a nodata value."""

from __future__ import annotations

import cv2
import numpy as np

# Lossy compression leaves these deviations (grey levels) in plain black and white.
BLACK_UP_TO, WHITE_FROM = 4, 252
# Shadows, roofs and lines of a pure colour are narrower than this; wider areas, such as plain water, show nothing.
NARROWEST_M = 8.0


def is_blank(image: np.ndarray, metres_per_pixel: float) -> np.ndarray:
    """Mask [H, W] of the pixels of `image` [H, W, 3] in a square of NARROWEST_M that is all black, all white or of one
    colour to the last digit.

    What lies beyond the image's border is taken to continue.
    """
    side_px = 2 * round(NARROWEST_M / metres_per_pixel / 2) + 1  # odd, so that the square has a middle
    square = np.ones((side_px, side_px), np.uint8)
    blank = np.zeros(image.shape[:2], dtype=bool)
    for plain in (image.max(axis=2) <= BLACK_UP_TO, image.min(axis=2) >= WHITE_FROM, _repeats(image)):
        # A quarter of the square may be all that the image has of it.
        if 4 * np.count_nonzero(plain) >= side_px**2:
            blank |= cv2.morphologyEx(plain.astype(np.uint8), cv2.MORPH_OPEN, square) > 0
    return blank


def _repeats(image: np.ndarray) -> np.ndarray:
    """Mask [H, W] of the pixels of `image` [H, W, 3] whose right and lower neighbours have the same colour."""
    same = np.ones(image.shape[:2], dtype=bool)
    same[:, :-1] &= (image[:, 1:] == image[:, :-1]).all(axis=2)
    same[:-1] &= (image[1:] == image[:-1]).all(axis=2)
    return same
