"""The ground of a scene raised from an aerial photo, as the camera on the street sees it."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.simulation.ground import Drape, Ground, Surface, fractal_noise
from xview_localizer.simulation.photo import SCENE_M
from xview_localizer.simulation.segmentation import Segments, crown_mask, mask_of

TEXEL_M = 0.08
GRAIN_TILE_PX = 1024


def street_ground(picture: Drape, segments: Segments, rng: np.random.Generator) -> Ground:
    """The ground seen from the street: the photo without upright objects, sharpened, with grain and softer shadows."""
    grid = segments.grid
    stands = (
        mask_of(segments.roofs, grid, 0.6) | crown_mask(segments, 0.3) | mask_of(segments.cars, grid, 0.6)
    )
    side = round(SCENE_M / TEXEL_M)
    fine = RasterGrid.centred(0.0, 0.0, TEXEL_M, side, side)
    albedo = cv2.resize(picture.image, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    albedo = _filled(albedo, picture.image, stands, grid)
    sigma_px = picture.grid.spacing_m / TEXEL_M
    if sigma_px > 1.5:
        albedo = _crisp(albedo, sigma_px)
    own = albedo.mean(axis=-1)
    # The brightness around a pixel finds shadows; the pixel's own keeps bright kerbs beside them.
    brightness = np.maximum(np.maximum(cv2.GaussianBlur(own, (0, 0), 3 * sigma_px), own), 8.0)[..., None]
    usual = float(np.median(brightness[::8, ::8]))
    lift = rng.uniform(0.0, 0.6)  # by how much shadows are brightened: at another hour they lie elsewhere
    albedo *= np.clip(usual / brightness, 1.0, 3.0) ** lift
    tile = fractal_noise(rng, (GRAIN_TILE_PX, GRAIN_TILE_PX), [48, 16, 6, 2, 1])
    repeats = -(-side // GRAIN_TILE_PX)
    grain = np.tile(tile, (repeats, repeats))[:side, :side]
    rough = cv2.resize(np.where(segments.vegetation, 0.13, 0.05).astype(np.float32), (side, side))
    albedo *= (1 + rng.uniform(0.6, 1.6) * rough * grain)[..., None]
    green = cv2.resize(segments.vegetation.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    surface = np.where(green > 0, np.uint8(Surface.GRASS), np.uint8(Surface.PAVEMENT))
    return Ground(np.clip(albedo, 0, 255).astype(np.uint8), surface, fine, picture)


def _crisp(albedo: np.ndarray, sigma_px: float) -> np.ndarray:
    """A coarse photo with steeper edges, within the range of brightness around each pixel."""
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(sigma_px) + 1,) * 2)
    sharpened = albedo + 2.0 * (albedo - cv2.GaussianBlur(albedo, (0, 0), sigma_px))
    return np.clip(sharpened, cv2.erode(albedo, around), cv2.dilate(albedo, around))


def _filled(albedo: np.ndarray, picture: np.ndarray, stands: np.ndarray, grid: RasterGrid) -> np.ndarray:
    """`albedo` with the nearest free ground in place of upright objects (mask `stands` on `grid`)."""
    if not stands.any() or stands.all():
        return albedo
    small = cv2.resize(picture, (grid.columns, grid.rows), interpolation=cv2.INTER_AREA)
    nearest = ndimage.distance_transform_edt(stands, return_distances=False, return_indices=True)
    filled = cv2.GaussianBlur(small[tuple(nearest)].astype(np.float32), (0, 0), 2.0)
    size = albedo.shape[1::-1]
    weight = cv2.resize(cv2.GaussianBlur(stands.astype(np.float32), (0, 0), 0.7), size)[..., None]
    return albedo + weight * (cv2.resize(filled, size) - albedo)
