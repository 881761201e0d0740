"""Warping a source raster into a north-up grid of the local frame."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.local_frame import LocalFrame

# Map projections are smooth: exact at every 32nd pixel, bilinear between (under 0.1 mm over 32 × 0.3 m).
CONTROL_STEP_PX = 32
# Crops whose pixels are larger than this many source pixels are smoothed first, against aliasing.
SMOOTHING_FROM_STEP = 1.2
SMOOTHING_SIGMA = 0.4  # standard deviation of that Gaussian blur, in pixels of the crop


def lookup_geodetic(
    grid: RasterGrid, frame: LocalFrame, to_pixel: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Source pixels [rows, columns, 2] of the grid's pixel centres.

    `to_pixel(latitude_deg, longitude_deg)` maps arrays [...] to source pixels [..., 2] (centres at +0.5);
    the longitudes are within 180° of the datum's, so they do not jump at ±180°.
    """

    def at(uv: np.ndarray) -> np.ndarray:
        xy_m = grid.xy_from_uv(uv)
        xyz_m = np.concatenate([xy_m, np.zeros((*xy_m.shape[:2], 1))], axis=-1)
        latitude_deg, longitude_deg, _ = frame.geodetic_from_enu(xyz_m)
        east_of_datum_deg = (longitude_deg - frame.longitude_deg + 180) % 360 - 180
        return to_pixel(latitude_deg, frame.longitude_deg + east_of_datum_deg)

    return smooth_lookup(grid.rows, grid.columns, at)


def smooth_lookup(rows: int, columns: int, at: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Source pixels [rows, columns, 2] of the pixel centres of a raster.

    `at` maps pixels [..., 2] to source pixels [..., 2]; it is called for the control points only.
    """
    v = np.arange(0, rows + CONTROL_STEP_PX, CONTROL_STEP_PX) + 0.5
    u = np.arange(0, columns + CONTROL_STEP_PX, CONTROL_STEP_PX) + 0.5
    control = at(np.stack(np.meshgrid(u, v), axis=-1))
    # float64 interpolation: source pixels of large maps exceed float32's precision.
    fraction_r, fraction_c = np.arange(rows) / CONTROL_STEP_PX, np.arange(columns) / CONTROL_STEP_PX
    r, c = fraction_r.astype(int), fraction_c.astype(int)
    along_rows = control[r] + (fraction_r - r)[:, None, None] * (control[r + 1] - control[r])
    return along_rows[:, c] + (fraction_c - c)[None, :, None] * (along_rows[:, c + 1] - along_rows[:, c])


def source_step(uv: np.ndarray) -> float:
    """Source pixels per output pixel of a lookup `uv` [rows, columns, 2]; 1 where it has a single pixel."""
    along = [np.linalg.norm(np.diff(uv, axis=axis), axis=-1).ravel() for axis in (0, 1)]
    steps = np.concatenate(along)
    return float(np.median(steps)) if steps.size else 1.0


def resample(image: np.ndarray, valid: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sample `image` [h, w, 3] bilinearly at `uv` [rows, columns, 2] (centres at +0.5).

    Where the result is coarser than the source, the source is smoothed first.

    Returns the sampled image and which of its pixels are valid: they lie inside the image and are made
    of valid pixels only, so that no hole shines through. Invalid pixels of the result are 0.
    """
    step = source_step(uv)
    if step > SMOOTHING_FROM_STEP:
        image = _smooth(image, valid, SMOOTHING_SIGMA * step)
    u, v = (uv[..., 0] - 0.5).astype(np.float32), (uv[..., 1] - 0.5).astype(np.float32)
    sampled = cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = cv2.remap(valid.astype(np.uint8) * 255, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = (uv >= 0).all(axis=-1) & (uv[..., 0] <= image.shape[1]) & (uv[..., 1] <= image.shape[0])
    seen = (share == 255) & inside
    sampled[~seen] = 0
    return sampled, seen


def _smooth(image: np.ndarray, valid: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian blur over the valid pixels only."""
    if valid.all():
        return cv2.GaussianBlur(image, (0, 0), sigma_px)
    weight = valid.astype(np.float32)
    total = cv2.GaussianBlur(image * weight[..., None], (0, 0), sigma_px)
    mean = total / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma_px), 1e-3)[..., None]
    return np.rint(mean).astype(np.uint8)  # as OpenCV does where all is valid
