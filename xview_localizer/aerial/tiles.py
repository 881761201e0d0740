"""Tiled maps: XYZ, TMS and WMTS templates and MBTiles files, mosaicked and warped into the local frame."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from xview_localizer.aerial.fetch import Fetcher, TileMissing
from xview_localizer.aerial.mercator import pixel_from_geodetic, zoom_for
from xview_localizer.aerial.source import AerialImage, MapSourceError
from xview_localizer.aerial.warp import lookup_geodetic, resample
from xview_localizer.geometry.grid import Bounds, RasterGrid
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


class TiledMap:
    """A Web-Mercator pyramid behind `tile(zoom, x, y) -> encoded image bytes` (y counted from the north).

    Missing tiles (TileMissing) and broken ones become invalid pixels; broken ones are logged by name.
    `read` raises MapSourceError where no tile of the crop could be had and at least one failed.
    """

    def __init__(self, tile: Callable[[int, int, int], bytes], frame: LocalFrame, matrix: TileMatrix = TileMatrix()) -> None:
        self._tile, self._frame, self._matrix = tile, frame, matrix

    def zoom(self, metres_per_pixel: float) -> int:
        """The zoom level from which a crop at `metres_per_pixel` is made."""
        matrix = self._matrix
        return zoom_for(self._frame.latitude_deg, metres_per_pixel, matrix.tile_px, matrix.min_zoom, matrix.max_zoom)

    def read(self, bounds: Bounds, metres_per_pixel: float) -> AerialImage:
        """See MapSource.read."""
        grid = RasterGrid.covering(bounds, metres_per_pixel)
        zoom, tile_px = self.zoom(metres_per_pixel), self._matrix.tile_px
        uv = lookup_geodetic(grid, self._frame, lambda lat, lon: pixel_from_geodetic(lat, lon, zoom, tile_px))
        first = np.floor(uv.reshape(-1, 2).min(axis=0) / tile_px).astype(int)
        last = np.floor(uv.reshape(-1, 2).max(axis=0) / tile_px).astype(int)
        columns, rows = (last - first + 1).tolist()
        if columns * rows > MAX_TILES_PER_CROP:
            raise MapSourceError(
                f"a crop of {bounds.width_m:.0f} × {bounds.height_m:.0f} m at {metres_per_pixel} m/px needs "
                f"{columns * rows} tiles, more than {MAX_TILES_PER_CROP}; ask for less or for coarser pixels"
            )
        mosaic = np.zeros((rows * tile_px, columns * tile_px, 3), np.uint8)
        valid = np.zeros(mosaic.shape[:2], bool)
        places = [(row, column) for row in range(rows) for column in range(columns)]
        with ThreadPoolExecutor(PARALLEL_FETCHES) as pool:
            tiles = list(pool.map(lambda place: self._decoded(zoom, first[0] + place[1], first[1] + place[0]), places))
        failures = [tile for tile in tiles if isinstance(tile, MapSourceError)]
        if failures and not any(isinstance(tile, tuple) for tile in tiles):
            raise failures[0]
        for (row, column), tile in zip(places, tiles, strict=True):
            if isinstance(tile, tuple):
                block = np.s_[row * tile_px : (row + 1) * tile_px, column * tile_px : (column + 1) * tile_px]
                mosaic[block], valid[block] = tile
        for failure in failures:
            log.warning("tile left out: %s", failure)
        return resample(mosaic, valid, uv - first * tile_px, grid)

    def _decoded(self, zoom: int, x: int, y: int) -> tuple[np.ndarray, np.ndarray] | MapSourceError | None:
        """(RGB, valid) of a tile, None for a hole, or what went wrong."""
        side = 2**zoom
        if not 0 <= y < side:
            return None
        try:
            return decode_tile(self._tile(zoom, x % side, y), self._matrix.tile_px, f"{zoom}/{x}/{y}")
        except TileMissing:
            return None
        except MapSourceError as error:
            return error


def decode_tile(data: bytes, tile_px: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """RGB [tile_px, tile_px, 3] and opacity mask of a PNG, JPEG or WebP tile.

    Raises MapSourceError naming the tile where it is no image or has another size.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None:
        raise MapSourceError(f"tile {name} is no readable PNG, JPEG or WebP image ({len(data)} bytes)")
    if image.shape[:2] != (tile_px, tile_px):
        raise MapSourceError(f"tile {name} is {image.shape[1]} × {image.shape[0]} px, not {tile_px}; set the tile size")
    if image.dtype != np.uint8:
        raise MapSourceError(f"tile {name} holds {image.dtype}, 8-bit colours are needed")
    opaque = np.ones(image.shape[:2], bool)
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), opaque
    if image.shape[2] == 4:
        opaque = image[..., 3] > 127
    return np.ascontiguousarray(image[..., 2::-1]), opaque


def template_tiles(template: str, fetcher: Fetcher) -> Callable[[int, int, int], bytes]:
    """Tile function of a URL template.

    Placeholders: {z} {x} {y} (XYZ), {-y} (TMS, y from the south), or WMTS's {TileMatrix} {TileCol} {TileRow}.
    Raises MapSourceError naming what the template lacks.
    """
    names = template.replace("{TileMatrix}", "{z}").replace("{TileCol}", "{x}").replace("{TileRow}", "{y}")
    missing = [name for name in ("{z}", "{x}") if name not in names]
    if missing or ("{y}" in names) == ("{-y}" in names):
        raise MapSourceError(
            f"the tile template {template!r} must hold {{z}}, {{x}} and one of {{y}} (XYZ) or {{-y}} (TMS), "
            "or WMTS's {TileMatrix}, {TileCol} and {TileRow}"
        )

    def tile(zoom: int, x: int, y: int) -> bytes:
        url = names.replace("{z}", str(zoom)).replace("{x}", str(x)).replace("{y}", str(y))
        return fetcher.fetch(url.replace("{-y}", str(2**zoom - 1 - y)))

    return tile


def mbtiles(path: Path | str) -> tuple[Callable[[int, int, int], bytes], TileMatrix]:
    """Tile function and matrix of an MBTiles file (rows counted from the south, as its standard says).

    Raises MapSourceError where the file is no MBTiles.
    """
    path = Path(path)
    if not path.is_file():
        raise MapSourceError(f"there is no MBTiles file {path}")
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)
        lowest, highest = database.execute("SELECT min(zoom_level), max(zoom_level) FROM tiles").fetchone()
        sample = database.execute("SELECT tile_data FROM tiles WHERE zoom_level = ? LIMIT 1", (highest,)).fetchone()
    except sqlite3.DatabaseError as error:
        raise MapSourceError(f"{path} is no MBTiles file: {error}") from error
    if sample is None:
        raise MapSourceError(f"{path} holds no tiles")
    image = cv2.imdecode(np.frombuffer(sample[0], np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise MapSourceError(f"{path} holds no PNG, JPEG or WebP tiles (vector tiles are not imagery)")

    def tile(zoom: int, x: int, y: int) -> bytes:
        query = "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
        found = database.execute(query, (zoom, x, 2**zoom - 1 - y)).fetchone()
        if found is None:
            raise TileMissing(f"{path} {zoom}/{x}/{y}")
        return found[0]

    return tile, TileMatrix(image.shape[1], lowest, highest)
