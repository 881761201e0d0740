"""The painted ground: its surface classes and its colour as north-up rasters, and the means to draw them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np

from xview_localizer.geometry.grid import RasterGrid

TEXEL_M = 0.06  # of the ground of towns
SUBPIXEL_BITS = 4  # of the coordinates at which OpenCV draws


class Surface(IntEnum):
    """What covers the ground; grass and fields have a season's colour, the others get wet."""

    GRASS = 0
    SOIL = 1
    PAVEMENT = 2
    KERB = 3
    ASPHALT = 4
    DRIVEWAY = 5
    FIELD = 6


@dataclass(frozen=True)
class Drape:
    """An aerial photo, `image` [H, W, 3] uint8 on `grid`, that colours the roofs and crowns under it."""

    image: np.ndarray
    grid: RasterGrid


@dataclass(frozen=True)
class Ground:
    """`albedo` [H, W, 3] uint8 and `surface` [H, W] (Surface) on `grid`; `drape` is for draped materials."""

    albedo: np.ndarray
    surface: np.ndarray
    grid: RasterGrid
    drape: Drape | None = None


def fractal_noise(
    rng: np.random.Generator, shape: tuple[int, int], wavelengths_px: list[float]
) -> np.ndarray:
    """Zero-mean noise of about unit variance, summed over wavelengths; [H, W] float32."""
    total = np.zeros(shape, np.float32)
    for wavelength in wavelengths_px:
        coarse = [max(2, int(np.ceil(side / wavelength)) + 1) for side in shape]
        field = rng.standard_normal(coarse, dtype=np.float32)
        total += cv2.resize(
            field, shape[::-1], interpolation=cv2.INTER_CUBIC if wavelength > 1 else cv2.INTER_NEAREST
        )
    return total / np.sqrt(len(wavelengths_px))


class Painter:
    """Draws metric shapes on a raster with sub-pixel precision."""

    def __init__(self, grid: RasterGrid) -> None:
        self.grid = grid

    def _fixed(self, xy_m: np.ndarray) -> np.ndarray:
        return np.round((self.grid.uv_from_xy(xy_m) - 0.5) * 2**SUBPIXEL_BITS).astype(np.int32)

    def polygon(self, raster: np.ndarray, xy_m: np.ndarray, value) -> None:
        """Fill a polygon [N, 2] with `value`."""
        cv2.fillPoly(raster, [self._fixed(xy_m)], value, cv2.LINE_8, SUBPIXEL_BITS)

    def line(self, raster: np.ndarray, xy_m: np.ndarray, width_m: float, value) -> None:
        """Draw a line through points [N, 2] with `value`."""
        thickness = max(1, round(width_m / self.grid.spacing_m))
        cv2.polylines(raster, [self._fixed(xy_m)], False, value, thickness, cv2.LINE_8, SUBPIXEL_BITS)
