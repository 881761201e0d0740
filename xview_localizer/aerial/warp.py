"""Warping a source raster into a north-up grid of the local frame."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.local_frame import LocalFrame

# Map projections are smooth: exact at every 32nd pixel, bilinear between (under a millimetre over 32 × 0.3 m).
CONTROL_STEP_PX = 32


def lookup_geodetic(
    grid: RasterGrid, frame: LocalFrame, to_pixel: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Source pixels [rows, columns, 2] of the grid's pixel centres.

    `to_pixel(latitude_deg, longitude_deg)` maps arrays [...] to source pixels [..., 2] (centres at +0.5).
    """
    rows = np.arange(0, grid.rows + CONTROL_STEP_PX, CONTROL_STEP_PX) + 0.5
    columns = np.arange(0, grid.columns + CONTROL_STEP_PX, CONTROL_STEP_PX) + 0.5
    xy_m = grid.xy_from_uv(np.stack(np.meshgrid(columns, rows), axis=-1))
    xyz_m = np.concatenate([xy_m, np.zeros((*xy_m.shape[:2], 1))], axis=-1)
    latitude_deg, longitude_deg, _ = frame.geodetic_from_enu(xyz_m)
    control = to_pixel(latitude_deg, longitude_deg)
    # float64 interpolation: source pixels of large maps exceed float32's precision.
    fraction_r, fraction_c = np.arange(grid.rows) / CONTROL_STEP_PX, np.arange(grid.columns) / CONTROL_STEP_PX
    r, c = fraction_r.astype(int), fraction_c.astype(int)
    along_rows = control[r] + (fraction_r - r)[:, None, None] * (control[r + 1] - control[r])
    return along_rows[:, c] + (fraction_c - c)[None, :, None] * (along_rows[:, c + 1] - along_rows[:, c])


def resample(image: np.ndarray, valid: np.ndarray, uv: np.ndarray, grid: RasterGrid) -> AerialImage:
    """Sample `image` [h, w, 3] bilinearly at `uv` [rows, columns, 2] (centres at +0.5) onto `grid`.

    A pixel is valid where it lies inside the image and its nearest source pixel is valid.
    """
    u, v = (uv[..., 0] - 0.5).astype(np.float32), (uv[..., 1] - 0.5).astype(np.float32)
    sampled = cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    nearest = cv2.remap(valid.astype(np.uint8), u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    inside = (uv >= 0).all(axis=-1) & (uv[..., 0] <= image.shape[1]) & (uv[..., 1] <= image.shape[0])
    seen = (nearest > 0) & inside
    sampled[~seen] = 0
    return AerialImage(sampled, seen, grid)
