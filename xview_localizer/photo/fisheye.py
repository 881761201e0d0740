"""Detection of unstitched images of 360° cameras: the round pictures of their fisheye lenses, side by side."""

from __future__ import annotations

import cv2
import numpy as np

# A picture is examined at this height; the lens's rim is then a pixel or two wide.
_EXAMINED_PX = 128
# Around the circles no channel is brighter than this: JPEG and stray light lift black a little.
_DARK = 32
# A circle's rim lies between these shares of half the picture's height.
_WITHIN, _BEYOND = 0.9, 1.05
# Bounds of the shares of dark pixels beyond and within the circles. The black bands of a panorama whose top and bottom
# are missing reach into the circles, too, and exceed the second bound.
_LEAST_DARK_BEYOND, _MOST_DARK_WITHIN = 0.95, 0.2
_ASPECT_TOLERANCE = 0.05
_MOST_LENSES = 2


def fisheye_circles(image: np.ndarray) -> int:
    """How many round pictures an image [H, W, 3] uint8 consists of, side by side; 0 where it is another one."""
    height, width = image.shape[:2]
    circles = round(width / height)
    if not 1 <= circles <= _MOST_LENSES or abs(width / height - circles) > _ASPECT_TOLERANCE:
        return 0
    small = cv2.resize(image, (circles * _EXAMINED_PX, _EXAMINED_PX), interpolation=cv2.INTER_AREA)
    dark = small.max(axis=2) < _DARK
    v, u = np.indices(dark.shape)
    centre_px = (_EXAMINED_PX - 1) / 2
    radius = np.hypot(u % _EXAMINED_PX - centre_px, v - centre_px) / (_EXAMINED_PX / 2)
    is_round = (
        dark[radius > _BEYOND].mean() > _LEAST_DARK_BEYOND
        and dark[radius < _WITHIN].mean() < _MOST_DARK_WITHIN
    )
    return circles if is_round else 0
