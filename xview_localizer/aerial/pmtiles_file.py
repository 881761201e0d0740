"""PMTiles: a tile pyramid in one file, local or at a URL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from xview_localizer.aerial.fetch import FetchConfig, TileMissing
from xview_localizer.aerial.remote_file import RemoteFile
from xview_localizer.aerial.source import MapSourceError
from xview_localizer.aerial.tiles import TileMatrix
from xview_localizer.encoded_image import EncodedImageError, encoded_size

_IMAGES = ("PNG", "JPEG", "WEBP")

ReadAt = Callable[[int, int], bytes]


def open_pmtiles(
    place: Path | str, fetch: FetchConfig = FetchConfig()
) -> tuple[Callable[[int, int, int], bytes], TileMatrix]:
    """Tile function `tile(zoom, x, y)` (y from the north, thread-safe) and matrix of a PMTiles file or URL.

    Raises MapSourceError where it is not a PMTiles file of images, or the package pmtiles is not installed.
    """
    try:
        from pmtiles.reader import Reader, traverse
        from pmtiles.tile import Compression, TileType
    except ModuleNotFoundError as error:
        raise MapSourceError(f"{place} needs the package pmtiles: pip install pmtiles") from error

    name, size, read_at = _opened(place, fetch)
    reader = Reader(read_at)
    try:
        header = reader.header()
        if header["tile_type"].name not in (*_IMAGES, TileType.UNKNOWN.name):
            raise MapSourceError(f"{name} holds {header['tile_type'].name} tiles, not PNG, JPEG or WebP")
        if header["tile_compression"] not in (Compression.NONE, Compression.UNKNOWN):
            packed = header["tile_compression"].name
            raise MapSourceError(f"{name} packs its images with {packed} once more; write it without")
        if (end := header["tile_data_offset"] + header["tile_data_length"]) > size:
            raise MapSourceError(f"{name} was cut short: it has {size} of {end} bytes; copy it again")
        first = next(traverse(read_at, header, header["root_offset"], header["root_length"]), None)
        if first is None:
            raise MapSourceError(f"{name} holds no tiles")
        tile_px, _ = encoded_size(first[1])
    except MapSourceError:
        raise
    except EncodedImageError as error:
        raise MapSourceError(
            f"{name} holds no PNG, JPEG or WebP tiles (vector tiles are not imagery)"
        ) from error
    except Exception as error:  # on damaged bytes the library may raise anything
        raise MapSourceError(f"{name} is no PMTiles file of version 3: {error!r}") from error

    def tile(zoom: int, x: int, y: int) -> bytes:
        try:
            data = reader.get(zoom, x, y)
        except MapSourceError:
            raise
        except Exception as error:
            raise MapSourceError(f"cannot read tile {zoom}/{x}/{y} of {name}: {error!r}") from error
        if not data:
            raise TileMissing(f"{name} {zoom}/{x}/{y}")
        return bytes(data)

    return tile, TileMatrix(tile_px, header["min_zoom"], header["max_zoom"])


def _opened(place: Path | str, fetch: FetchConfig) -> tuple[str, int, ReadAt]:
    """Name of the file for messages, its bytes, and a function (offset, length) -> bytes. Raises MapSourceError."""
    from pmtiles.reader import MmapSource

    if isinstance(place, str):
        file = RemoteFile(place, fetch)
        return file.name, file.size, file.read_at
    try:
        with place.open("rb") as file:
            return str(place), place.stat().st_size, MmapSource(file)
    except FileNotFoundError as error:
        raise MapSourceError(f"there is no PMTiles file {place}") from error
    except (OSError, ValueError) as error:  # ValueError: an empty file
        raise MapSourceError(f"cannot open {place}: {error}") from error
