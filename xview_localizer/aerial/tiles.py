"""Tiled maps: a Web-Mercator pyramid, mosaicked and warped into the local frame."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from xview_localizer.aerial.fetch import TileMissing
from xview_localizer.aerial.mercator import metres_per_pixel as tile_metres_per_pixel
from xview_localizer.aerial.mercator import pixel_from_geodetic, zoom_for
from xview_localizer.aerial.placeholder import Placeholders
from xview_localizer.aerial.source import (
    AerialImage,
    MapReadInterrupted,
    MapSourceError,
    SourceLevel,
    crop_grid,
)
from xview_localizer.aerial.tile_image import decode_tile
from xview_localizer.aerial.warp import lookup_geodetic, resample
from xview_localizer.encoded_image import image_format
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.local_frame import LocalFrame

MAX_TILES_PER_CROP = 400  # against flooding a server because of a wrong zoom or radius
# Zooms that may replace a missing one; a tile four levels coarser shows none of the structure that is matched.
COARSER_ZOOMS = 3
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
    """A decoded tile."""

    rgb: np.ndarray  # [tile_px, tile_px, 3] uint8
    opaque: np.ndarray  # [tile_px, tile_px] bool
    digest: bytes  # of the encoded picture

    def part(self, x: int, y: int, levels: int) -> _Tile:
        """The area of the tile (x, y), `levels` zooms finer, cut from this one and enlarged to a whole tile."""
        side = self.opaque.shape[0]
        part_px = side >> levels
        top, left = (y % 2**levels) * part_px, (x % 2**levels) * part_px
        part = np.s_[top : top + part_px, left : left + part_px]
        opaque = cv2.resize(self.opaque[part].astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
        return _Tile(cv2.resize(self.rgb[part], (side, side)), opaque > 0, self.digest)


Place = tuple[int, int]  # column and row, from the north, of a tile


class TiledMap:
    """A Web-Mercator pyramid behind `tile(zoom, x, y) -> encoded image bytes` (y counted from the north).

    Where a tile is missing (TileMissing) or a placeholder, one of up to COARSER_ZOOMS coarser levels replaces it. Where
    those are missing too, the pixels are invalid, as are those of broken tiles, which are logged and listed in
    `AerialImage.problems`. `read` raises MapSourceError where no tile could be read and one failed.
    """

    def __init__(
        self, tile: Callable[[int, int, int], bytes], frame: LocalFrame, matrix: TileMatrix = TileMatrix()
    ) -> None:
        self._tile, self._frame, self._matrix = tile, frame, matrix
        self._placeholders = Placeholders()

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
        places = [(left + column, top + row) for row in range(rows) for column in range(columns)]
        tiles, failures = self._tiles(zoom, places)
        mosaic = np.zeros((rows * tile_px, columns * tile_px, 3), np.uint8)
        valid = np.zeros(mosaic.shape[:2], bool)
        for (x, y), tile in tiles.items():
            u, v = (x - left) * tile_px, (y - top) * tile_px
            block = np.s_[v : v + tile_px, u : u + tile_px]
            mosaic[block], valid[block] = tile.rgb, tile.opaque
        image, seen = resample(mosaic, valid, uv - (left * tile_px, top * tile_px))
        problems = tuple(str(failure) for failure in failures)
        return AerialImage(image, seen, grid, problems, self._placeholders.warnings)

    def level(self, x_m: float, y_m: float, metres_per_pixel: float) -> SourceLevel:
        """See MapSource.level."""
        latitude_deg, longitude_deg, _ = self._frame.geodetic_from_enu([x_m, y_m, 0.0])
        wanted, tile_px = self._zoom(metres_per_pixel), self._matrix.tile_px
        for zoom in self._zooms(wanted):
            uv = pixel_from_geodetic(latitude_deg, longitude_deg, zoom, tile_px)
            x, y = (uv // tile_px).astype(int).tolist()
            if (kind := self._kind(zoom, x % 2**zoom, y)) != "no":
                break
        else:
            zoom = wanted
        detail = f"{kind} tiles of {tile_px} px, zoom {zoom}"
        metres_per_pixel = tile_metres_per_pixel(float(latitude_deg), zoom, tile_px)
        return SourceLevel(metres_per_pixel, detail, self._placeholders.warnings)

    def _kind(self, zoom: int, x: int, y: int) -> str:
        """Format of a tile; "no" where there is none."""
        try:
            data = self._tile(zoom, x, y)
            tile = self._decoded(data, zoom, x, y)
        except TileMissing:
            return "no"
        except MapSourceError:
            return "unreadable"
        return "no" if self._placeholders.holds(tile.digest) else image_format(data) or "unreadable"

    def _zoom(self, metres_per_pixel: float) -> int:
        matrix = self._matrix
        latitude_deg = self._frame.latitude_deg
        return zoom_for(latitude_deg, metres_per_pixel, matrix.tile_px, matrix.min_zoom, matrix.max_zoom)

    def _zooms(self, wanted: int) -> range:
        """The wanted zoom and the ones that may replace it, coarser and coarser."""
        return range(wanted, max(self._matrix.min_zoom, wanted - COARSER_ZOOMS) - 1, -1)

    def _tiles(self, zoom: int, places: list[Place]) -> tuple[dict[Place, _Tile], list[MapSourceError]]:
        """The existing tiles of a zoom, coarser ones in place of missing ones, and the errors of those that failed."""
        found: dict[Place, _Tile] = {}
        failures: list[MapSourceError] = []
        missing = list(places)
        for coarser, at in enumerate(self._zooms(zoom)):
            parents = sorted({(x >> coarser, y >> coarser) for x, y in missing})
            tiles, failed = self._fetched(at, parents)
            failures += failed.values()
            parent_of = {place: (place[0] >> coarser, place[1] >> coarser) for place in missing}
            found |= {
                place: tiles[parent].part(*place, coarser)
                for place, parent in parent_of.items()
                if parent in tiles
            }
            # A failed tile may exist; a coarser one would hide the failure.
            missing = [p for p, parent in parent_of.items() if parent not in tiles and parent not in failed]
            if not missing:
                break
        if failures and not found:
            raise failures[0]
        for failure in failures:
            log.warning("tile left out: %s", failure)
        return found, failures

    def _fetched(
        self, zoom: int, places: list[Place]
    ) -> tuple[dict[Place, _Tile], dict[Place, MapSourceError]]:
        """The existing tiles of one zoom, and the errors of those that failed.

        After PARALLEL_FETCHES failures without a success no further tile is tried, so that a dead server costs
        one timeout, not one per tile.
        """
        failed: dict[Place, MapSourceError] = {}
        answered = threading.Event()

        def fetch(place: Place) -> _Tile | None:
            x, y = place[0] % 2**zoom, place[1]
            if not 0 <= y < 2**zoom:
                return None
            try:
                if len(failed) >= PARALLEL_FETCHES and not answered.is_set():
                    raise MapSourceError(f"tile {zoom}/{x}/{y} was not tried, the map had failed before")
                tile = self._decoded(self._tile(zoom, x, y), zoom, x, y)
            except TileMissing:
                answered.set()
                return None
            except MapReadInterrupted:
                raise
            except MapSourceError as error:
                failed[place] = error
                return None
            answered.set()
            return tile

        with ThreadPoolExecutor(min(PARALLEL_FETCHES, len(places))) as pool:
            tiles = dict(zip(places, pool.map(fetch, places), strict=True))
        # Placeholders are recognized by repetition, hence only once all tiles have arrived.
        found = {p: tile for p, tile in tiles.items() if tile and not self._placeholders.holds(tile.digest)}
        return found, failed

    def _decoded(self, data: bytes, zoom: int, x: int, y: int) -> _Tile:
        rgb, opaque = decode_tile(data, self._matrix.tile_px, f"{zoom}/{x}/{y}")
        return _Tile(rgb, opaque, self._placeholders.learn(data, rgb, (zoom, x, y)))
