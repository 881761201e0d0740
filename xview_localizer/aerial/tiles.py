"""Tiled maps: a Web-Mercator pyramid, mosaicked and warped into the local frame."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from xview_localizer.aerial.fetch import TileMissing
from xview_localizer.aerial.mercator import metres_per_pixel as tile_metres_per_pixel
from xview_localizer.aerial.mercator import pixel_from_geodetic, zoom_for
from xview_localizer.aerial.source import AerialImage, MapSourceError, SourceLevel, crop_grid
from xview_localizer.aerial.tile_image import decode_tile
from xview_localizer.aerial.warp import lookup_geodetic, resample
from xview_localizer.encoded_image import image_format
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.local_frame import LocalFrame

MAX_TILES_PER_CROP = 400
PARALLEL_FETCHES = 8

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TileMatrix:
    """The pyramid's tile size and the zoom levels that exist."""

    tile_px: int = 256
    min_zoom: int = 0
    max_zoom: int = 19


@dataclass(frozen=True)
class _Tile:
    rgb: np.ndarray  # [tile_px, tile_px, 3]
    opaque: np.ndarray  # [tile_px, tile_px]


class TiledMap:
    """A Web-Mercator pyramid behind `tile(zoom, x, y) -> encoded image bytes` (y counted from the north).

    Missing tiles (TileMissing) and broken ones become invalid pixels; broken ones are logged and listed in
    `AerialImage.problems`. `read` raises MapSourceError where nothing could be had and a tile failed.
    """

    def __init__(
        self, tile: Callable[[int, int, int], bytes], frame: LocalFrame, matrix: TileMatrix = TileMatrix()
    ) -> None:
        self._tile, self._frame, self._matrix = tile, frame, matrix

    def read(self, bounds: Bounds, metres_per_pixel: float) -> AerialImage:
        """See MapSource.read."""
        grid = crop_grid(bounds, metres_per_pixel)
        zoom, tile_px = self._zoom(metres_per_pixel), self._matrix.tile_px
        uv = lookup_geodetic(grid, self._frame, lambda lat, lon: pixel_from_geodetic(lat, lon, zoom, tile_px))
        left, top = np.floor(uv.min(axis=(0, 1)) / tile_px).astype(int).tolist()
        right, bottom = np.floor(uv.max(axis=(0, 1)) / tile_px).astype(int).tolist()
        columns, rows = right - left + 1, bottom - top + 1
        if columns * rows > MAX_TILES_PER_CROP:
            raise MapSourceError(
                f"a crop of {bounds.width_m:.0f} × {bounds.height_m:.0f} m needs {columns * rows} tiles "
                f"of zoom {zoom}, more than {MAX_TILES_PER_CROP}; ask for less"
            )
        places = [(row, column) for row in range(rows) for column in range(columns)]
        tiles, failures = self._tiles(zoom, [(left + column, top + row) for row, column in places])
        mosaic = np.zeros((rows * tile_px, columns * tile_px, 3), np.uint8)
        valid = np.zeros(mosaic.shape[:2], bool)
        for (row, column), tile in zip(places, tiles, strict=True):
            if tile is not None:
                block = np.s_[row * tile_px : (row + 1) * tile_px, column * tile_px : (column + 1) * tile_px]
                mosaic[block], valid[block] = tile.rgb, tile.opaque
        image, seen = resample(mosaic, valid, uv - (left * tile_px, top * tile_px))
        return AerialImage(image, seen, grid, tuple(str(failure) for failure in failures))

    def level(self, x_m: float, y_m: float, metres_per_pixel: float) -> SourceLevel:
        """See MapSource.level."""
        latitude_deg, longitude_deg, _ = self._frame.geodetic_from_enu([x_m, y_m, 0.0])
        zoom, tile_px = self._zoom(metres_per_pixel), self._matrix.tile_px
        uv = pixel_from_geodetic(latitude_deg, longitude_deg, zoom, tile_px)
        x, y = (uv // tile_px).astype(int).tolist()
        try:
            kind = image_format(self._tile(zoom, x % 2**zoom, y)) or "unreadable"
        except TileMissing:
            kind = "no"
        except MapSourceError:
            kind = "unreadable"
        detail = f"{kind} tiles of {tile_px} px, zoom {zoom}"
        return SourceLevel(tile_metres_per_pixel(float(latitude_deg), zoom, tile_px), detail)

    def _zoom(self, metres_per_pixel: float) -> int:
        matrix = self._matrix
        latitude_deg = self._frame.latitude_deg
        return zoom_for(latitude_deg, metres_per_pixel, matrix.tile_px, matrix.min_zoom, matrix.max_zoom)

    def _tiles(self, zoom: int, xy: list[tuple[int, int]]) -> tuple[list[_Tile | None], list[MapSourceError]]:
        """The tiles (None where there is none) and what failed.

        A map that fails eight times without one success is given up, so that a dead server costs one
        timeout, not one per tile.
        """
        failures: list[MapSourceError] = []
        answered = threading.Event()

        def fetch(place: tuple[int, int]) -> _Tile | None:
            x, y = place[0] % 2**zoom, place[1]
            if not 0 <= y < 2**zoom:
                return None
            try:
                if len(failures) >= PARALLEL_FETCHES and not answered.is_set():
                    raise MapSourceError(f"tile {zoom}/{x}/{y} was not tried, the map had failed before")
                tile = _Tile(*decode_tile(self._tile(zoom, x, y), self._matrix.tile_px, f"{zoom}/{x}/{y}"))
            except TileMissing:
                answered.set()
                return None
            except MapSourceError as error:
                failures.append(error)
                return None
            answered.set()
            return tile

        with ThreadPoolExecutor(min(PARALLEL_FETCHES, len(xy))) as pool:
            tiles = list(pool.map(fetch, xy))
        if failures and all(tile is None for tile in tiles):
            raise failures[0]
        for failure in failures:
            log.warning("tile left out: %s", failure)
        return tiles, failures
