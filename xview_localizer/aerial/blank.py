"""Areas of one colour: there a mosaic ends, whose file has neither an alpha band nor a nodata value."""

from __future__ import annotations

import cv2
import numpy as np

# Lossy compression leaves these deviations (grey levels) in plain black and white.
BLACK_UP_TO, WHITE_FROM = 4, 252
# Shadows, roofs and lines of pure black or white are narrower than this.
NARROWEST_M = 8.0
# Lawns and roofs of any other pure colour, as drawn maps have them, are narrower than this.
NARROWEST_OF_ANY_COLOUR_M = 24.0


def is_blank(image: np.ndarray, metres_per_pixel: float) -> np.ndarray:
    """Mask [H, W] of the pixels of `image` [H, W, 3] in a square that is all black or all white, of NARROWEST_M, or of
    one colour to the last digit, of NARROWEST_OF_ANY_COLOUR_M.

    What lies beyond the image's border is taken to continue.
    """
    return (
        _opened(image.max(axis=2) <= BLACK_UP_TO, NARROWEST_M / metres_per_pixel)
        | _opened(image.min(axis=2) >= WHITE_FROM, NARROWEST_M / metres_per_pixel)
        | _opened(_repeats(image), NARROWEST_OF_ANY_COLOUR_M / metres_per_pixel)
    )


def _opened(plain: np.ndarray, width_px: float) -> np.ndarray:
    """Mask [H, W] of the pixels in a square of `width_px` that is all `plain` [H, W]."""
    side_px = 2 * round(width_px / 2) + 1  # odd, so that the square has a middle
    # A quarter of the square may be all that the image has of it.
    if 4 * np.count_nonzero(plain) < side_px**2:
        return np.zeros(plain.shape, dtype=bool)
    square = np.ones((side_px, side_px), np.uint8)
    return cv2.morphologyEx(plain.astype(np.uint8), cv2.MORPH_OPEN, square) > 0


def _repeats(image: np.ndarray) -> np.ndarray:
    """Mask [H, W] of the pixels of `image` [H, W, 3] whose right and lower neighbours have the same colour."""
    same = np.ones(image.shape[:2], dtype=bool)
    same[:, :-1] &= (image[:, 1:] == image[:, :-1]).all(axis=2)
    same[:-1] &= (image[1:] == image[:-1]).all(axis=2)
    return same
