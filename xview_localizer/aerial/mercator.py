"""Web Mercator (EPSG:3857) tiles: their position on Earth and their resolution."""

from __future__ import annotations

import numpy as np

# Metres per pixel of 256-px tiles at zoom 0 on the equator: 2 π · 6378137 / 256.
EQUATOR_METRES_PER_PIXEL = 2 * np.pi * 6378137.0 / 256
MAX_LATITUDE_DEG = 85.05112878  # where the projection's square ends: atan(sinh(π))
ZOOM_GRACE = 1.2  # a zoom may be this much coarser than wanted before the next finer one is taken


def metres_per_pixel(latitude_deg: float, zoom: int, tile_px: int = 256) -> float:
    """Ground size of a tile's pixel; shrinks with the cosine of the latitude."""
    return float(EQUATOR_METRES_PER_PIXEL * np.cos(np.radians(latitude_deg)) / 2**zoom * 256 / tile_px)


def zoom_for(
    latitude_deg: float, wanted_metres_per_pixel: float, tile_px: int, lowest: int, highest: int
) -> int:
    """The coarsest zoom that is at least as fine as wanted (but for ZOOM_GRACE), within [lowest, highest]."""
    ratio = metres_per_pixel(latitude_deg, 0, tile_px) / (ZOOM_GRACE * wanted_metres_per_pixel)
    return int(np.clip(np.ceil(np.log2(ratio)), lowest, highest))


def pixel_from_geodetic(
    latitude_deg: np.ndarray, longitude_deg: np.ndarray, zoom: int, tile_px: int
) -> np.ndarray:
    """Global pixel coordinates [..., 2] (right, down; centres at +0.5) at a zoom level; float64."""
    latitude_rad = np.radians(np.clip(latitude_deg, -MAX_LATITUDE_DEG, MAX_LATITUDE_DEG))
    size_px = tile_px * 2.0**zoom
    u = (np.asarray(longitude_deg, dtype=np.float64) + 180) / 360 * size_px
    v = (0.5 - np.arcsinh(np.tan(latitude_rad)) / (2 * np.pi)) * size_px
    return np.stack([u, v], axis=-1)


def geodetic_from_pixel(uv: np.ndarray, zoom: int, tile_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude in degrees, each [...], of global pixel coordinates [..., 2] at a zoom level."""
    size_px = tile_px * 2.0**zoom
    longitude_deg = uv[..., 0] / size_px * 360 - 180
    latitude_deg = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * uv[..., 1] / size_px))))
    return latitude_deg, longitude_deg
