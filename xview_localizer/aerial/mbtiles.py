"""MBTiles files: a tile pyramid in one SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from xview_localizer.aerial.fetch import TileMissing
from xview_localizer.aerial.inflate import GZIP_MAGIC, InflateError, inflated
from xview_localizer.aerial.mercator import pixel_from_geodetic
from xview_localizer.aerial.source import MapSourceError
from xview_localizer.aerial.tiles import TileMatrix
from xview_localizer.encoded_image import EncodedImageError, encoded_size

# SQLite keeps any type in any column; as blobs, tiles are bytes or None.
_TILE = "SELECT CAST(tile_data AS BLOB) FROM tiles"
# No tile of imagery is larger; a damaged file must not fill the memory.
MAX_TILE_BYTES = 8_000_000
_PLACE = "zoom_level = ? AND tile_column = ? AND tile_row = ?"
_TILE_QUERY = f"{_TILE} WHERE {_PLACE} AND length(tile_data) <= {MAX_TILE_BYTES}"
# Some writers store empty tiles where there is no imagery.
_SAMPLE_QUERY = f"{_TILE} WHERE length(tile_data) BETWEEN 1 AND {MAX_TILE_BYTES} LIMIT 1"


def open_mbtiles(path: Path | str) -> tuple[Callable[[int, int, int], bytes], TileMatrix]:
    """Tile function `tile(zoom, x, y)` (y from the north, thread-safe) and matrix of an MBTiles file.

    An empty tile counts as absent, as does one of more than MAX_TILE_BYTES. Raises MapSourceError where the file does
    not exist or is not an MBTiles file of images.
    """
    path = Path(path)
    if not path.is_file():
        raise MapSourceError(f"there is no MBTiles file {path}")
    lock = threading.Lock()
    try:
        database = _connected(path)
        lowest, highest = database.execute("SELECT min(zoom_level), max(zoom_level) FROM tiles").fetchone()
        if isinstance(highest, str):
            raise MapSourceError(
                f"{path} stores zoom levels and rows as texts; write it again, with zoom_level, tile_column and "
                "tile_row as INTEGER"
            )
        sample = database.execute(_SAMPLE_QUERY).fetchone()
        from_north = _counts_from_north(database, highest)
    except sqlite3.Error as error:
        raise MapSourceError(f"{path} is no MBTiles file: {error}") from error
    if sample is None:
        raise MapSourceError(f"{path} holds no tiles")
    try:
        tile_px, _ = encoded_size(_unpacked(sample[0]))
    except (EncodedImageError, InflateError) as error:
        raise MapSourceError(
            f"{path} holds no PNG, JPEG or WebP tiles (vector tiles are not imagery)"
        ) from error

    def tile(zoom: int, x: int, y: int) -> bytes:
        row = y if from_north else 2**zoom - 1 - y
        try:
            with lock:
                found = database.execute(_TILE_QUERY, (zoom, x, row)).fetchone()
        except sqlite3.Error as error:
            raise MapSourceError(f"cannot read tile {zoom}/{x}/{y} of {path}: {error}") from error
        if found is None or not found[0]:
            raise TileMissing(f"{path} {zoom}/{x}/{y}")
        try:
            return _unpacked(found[0])
        except InflateError as error:
            raise MapSourceError(f"cannot read tile {zoom}/{x}/{y} of {path}: {error}") from error

    return tile, TileMatrix(tile_px, lowest, highest)


def _connected(path: Path) -> sqlite3.Connection:
    """The database for reading. In WAL mode it can be read only where files may be written beside it, unless it is said
    not to change. Raises sqlite3.Error."""
    address = f"{path.resolve().as_uri()}?mode=ro"
    database = sqlite3.connect(address, uri=True, check_same_thread=False)
    try:
        database.execute("PRAGMA schema_version")
    except sqlite3.OperationalError:
        return sqlite3.connect(f"{address}&immutable=1", uri=True, check_same_thread=False)
    return database


def _unpacked(data: bytes) -> bytes:
    """A tile; writers of vector tiles pack those of images with gzip, too. Raises InflateError."""
    return inflated(data, MAX_TILE_BYTES) if data.startswith(GZIP_MAGIC) else data


def _counts_from_north(database: sqlite3.Connection, zoom: int | None) -> bool:
    """Whether the rows are counted from the north, against the standard: by the file's bounds, else by its scheme.

    Writers copy the scheme of their source, so it is believed only where the bounds fit both ways of counting or none.
    """
    try:
        metadata = dict(database.execute("SELECT name, value FROM metadata"))
    except sqlite3.Error:  # some writers leave it out
        return False
    by_scheme = str(metadata.get("scheme") or "").strip().lower() == "xyz"
    try:
        _, south_deg, _, north_deg = (float(number) for number in str(metadata["bounds"]).split(","))
    except (KeyError, ValueError):
        return by_scheme
    if zoom is None or not -90 <= south_deg < north_deg <= 90:
        return by_scheme
    rows = database.execute("SELECT min(tile_row), max(tile_row) FROM tiles WHERE zoom_level = ?", (zoom,))
    first, last = rows.fetchone()
    edges_deg = np.array([north_deg, south_deg])
    top, bottom = np.floor(pixel_from_geodetic(edges_deg, np.zeros(2), zoom, 1)[:, 1]).astype(int)
    from_south = 2**zoom - 1 - last <= bottom and 2**zoom - 1 - first >= top
    from_north = bool(first <= bottom and last >= top)
    return by_scheme if from_south == from_north else from_north
