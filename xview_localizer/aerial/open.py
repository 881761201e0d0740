"""Opening the map that a user names by a file, a folder or a URL, and probing it before it is used."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.request import url2pathname

from xview_localizer.aerial.cache import TileCache
from xview_localizer.aerial.false_colour import colour_warnings
from xview_localizer.aerial.fetch import FetchConfig, Fetcher, parsed_url
from xview_localizer.aerial.folder import FolderMap
from xview_localizer.aerial.mbtiles import open_mbtiles
from xview_localizer.aerial.pmtiles_file import open_pmtiles
from xview_localizer.aerial.raster import RasterMap
from xview_localizer.aerial.redact import redacted
from xview_localizer.aerial.remote_file import RemoteFile
from xview_localizer.aerial.source import MapSource, MapSourceError, SourceLevel
from xview_localizer.aerial.template import template_tiles
from xview_localizer.aerial.tiles import TiledMap, TileMatrix
from xview_localizer.aerial.wms import is_wms, wms_tiles
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.local_frame import LocalFrame

RASTER_SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2", ".gpkg", ".png", ".jpg", ".jpeg")
PROBE_HALF_EXTENT_M = 20.0
COARSE_RATIO = 1.5  # a map is reported as coarse where its pixels are this much larger than wanted


def is_on_a_server(uri: str) -> bool:
    """Whether reading the map takes a network."""
    return "://" in uri and not uri.startswith("file:")


def open_map_source(
    uri: str,
    frame: LocalFrame,
    matrix: TileMatrix = TileMatrix(),
    fetch: FetchConfig = FetchConfig(),
    cache: TileCache | None = None,
) -> MapSource:
    """Open a map.

    `uri` is a tile template (http, https or file, see `template_tiles`); a WMS (see `wms_tiles`); an .mbtiles or
    .pmtiles file; a georeferenced raster (.tif, .vrt, .jp2, .gpkg; .png and .jpg with a world file); a folder of such
    rasters; or the URL of a .pmtiles or a .tif (COG). `matrix`, `fetch` and `cache` apply to templates and WMS,
    `matrix.max_zoom` to MBTiles and PMTiles, `fetch` to URLs. Raises MapSourceError naming what is wrong.
    """
    uri = uri.strip()
    if "%7B" in uri.upper():  # copied from a browser's address line
        uri = re.sub("%7[bB]", "{", re.sub("%7[dD]", "}", uri))
    if "{" in uri and not is_wms(uri):
        return TiledMap(template_tiles(uri, Fetcher(fetch, cache), matrix.tile_px), frame, matrix)
    parsed, remark = parsed_url(uri), ""
    if parsed.scheme in ("http", "https"):
        return _open_url(uri, parsed.path, frame, matrix, fetch, cache)
    if parsed.scheme in ("", "file"):
        path = Path(os.path.expanduser(url2pathname(parsed.path) if parsed.scheme == "file" else uri))
        suffix = path.suffix.lower()
        if suffix == ".mbtiles":
            tile, found = open_mbtiles(path)
            return TiledMap(tile, frame, _capped(found, matrix.max_zoom, path))
        if suffix == ".pmtiles":
            tile, found = open_pmtiles(path)
            return TiledMap(tile, frame, _capped(found, matrix.max_zoom, path))
        if suffix in RASTER_SUFFIXES:
            return RasterMap(path, frame)
        if uri and path.is_dir():
            return FolderMap(path, RASTER_SUFFIXES, frame)
        remark = " (there is no such file or folder)"
        if path.exists():
            remark = " (of most other rasters `gdal_translate FILE map.tif` makes one that is read)"
    raise MapSourceError(
        f"cannot tell what map {redacted(uri)!r} is{remark}: give a tile template such as "
        "http://localhost:8080/{z}/{x}/{y}.png, a WMS with its LAYERS, an .mbtiles or .pmtiles file, "
        f"a raster or a folder of rasters on this machine ({', '.join(RASTER_SUFFIXES)}), or the URL of a .tif (COG) "
        "or .pmtiles"
    )


def _open_url(
    url: str, path: str, frame: LocalFrame, matrix: TileMatrix, fetch: FetchConfig, cache: TileCache | None
) -> MapSource:
    """The map at a URL that is not a template: a WMS, a PMTiles file or a COG. Raises MapSourceError."""
    suffix = Path(path).suffix.lower()
    if is_wms(url):
        return TiledMap(wms_tiles(url, Fetcher(fetch, cache), matrix.tile_px), frame, matrix)
    if suffix == ".pmtiles":
        tile, found = open_pmtiles(url, fetch)
        return TiledMap(tile, frame, _capped(found, matrix.max_zoom, redacted(url)))
    if suffix in (".tif", ".tiff"):
        return RasterMap(RemoteFile(url, fetch), frame)
    raise MapSourceError(
        f"cannot tell what map {redacted(url)!r} is: a URL is a tile template with {{z}}, {{x}} and {{y}} (of a WMTS "
        "with {TileMatrix}, {TileRow} and {TileCol}; of ArcGIS …/MapServer/tile/{z}/{y}/{x}), a WMS with SERVICE=WMS "
        "and LAYERS, or ends with .tif (COG) or .pmtiles; other rasters have to be on this machine"
    )


def _capped(found: TileMatrix, max_zoom: int, path: Path | str) -> TileMatrix:
    """The matrix of a file, no finer than `max_zoom`. Raises MapSourceError where nothing is left."""
    if found.min_zoom > max_zoom:
        raise MapSourceError(
            f"{path} begins at zoom {found.min_zoom}, and map.max_zoom is {max_zoom}; raise it"
        )
    return replace(found, max_zoom=min(found.max_zoom, max_zoom))


@dataclass(frozen=True)
class Probe:
    """Resolution, share of valid pixels and problems of a map around a place."""

    level: SourceLevel
    wanted_metres_per_pixel: float
    valid_ratio: float
    problems: tuple[str, ...]

    def __str__(self) -> str:
        coarse = self.level.metres_per_pixel > COARSE_RATIO * self.wanted_metres_per_pixel
        remarks = [f" (coarser than the wanted {self.wanted_metres_per_pixel:.3g} m/px)"] if coarse else []
        remarks += [f"; {problem}" for problem in (*self.level.warnings, *self.problems[:1])]
        seen = f"{self.valid_ratio:.0%} imagery, {self.level.metres_per_pixel:.3g} m/px, {self.level.detail}"
        return seen + "".join(remarks)


def probe_map(source: MapSource, x_m: float, y_m: float, metres_per_pixel: float) -> Probe:
    """Read a small crop around (x, y). Raises MapSourceError where there is no imagery at all."""
    crop = source.read(Bounds.around(x_m, y_m, PROBE_HALF_EXTENT_M), metres_per_pixel)
    level = source.level(x_m, y_m, metres_per_pixel)
    level = replace(level, warnings=(*level.warnings, *colour_warnings(crop.image, crop.valid)))
    if not crop.valid.any():
        advice = (
            "check that the datum lies on the map, the tile template, and that its pyramid has this zoom; of a raster, "
            "that nodata, mask or alpha do not mark all as empty"
        )
        raise MapSourceError(
            f"the map has no imagery within {PROBE_HALF_EXTENT_M:.0f} m of ({x_m:.0f}, {y_m:.0f}) m "
            f"({level.detail}); {'; '.join(level.warnings) or advice}"
        )
    return Probe(level, metres_per_pixel, crop.valid_ratio, crop.problems)
