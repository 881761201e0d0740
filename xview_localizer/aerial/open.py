"""From what a user writes (a file or a URL template) to a map source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xview_localizer.aerial.cache import TileCache
from xview_localizer.aerial.fetch import FetchConfig, Fetcher
from xview_localizer.aerial.raster import RasterMap
from xview_localizer.aerial.source import MapSource, MapSourceError
from xview_localizer.aerial.tiles import TiledMap, TileMatrix, mbtiles, template_tiles
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.local_frame import LocalFrame

RASTER_SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2", ".gpkg")


def open_map_source(
    uri: str,
    frame: LocalFrame,
    matrix: TileMatrix = TileMatrix(),
    fetch: FetchConfig = FetchConfig(),
    cache: TileCache | None = None,
) -> MapSource:
    """Open a map.

    `uri` is a tile template (http, https or file, see `template_tiles`), an .mbtiles file, or a
    georeferenced raster (.tif, .vrt, .jp2, .gpkg). `matrix`, `fetch` and `cache` apply to templates.
    Raises MapSourceError naming what is wrong.
    """
    if "{" in uri:
        return TiledMap(template_tiles(uri, Fetcher(fetch, cache)), frame, matrix)
    path = Path(uri.removeprefix("file://")).expanduser()
    if path.suffix.lower() == ".mbtiles":
        tile, found = mbtiles(path)
        return TiledMap(tile, frame, found)
    if path.suffix.lower() in RASTER_SUFFIXES:
        return RasterMap(path, frame)
    raise MapSourceError(
        f"cannot tell what map {uri!r} is: give a tile template such as http://localhost:8080/{{z}}/{{x}}/{{y}}.png, "
        f"an .mbtiles file, or a raster ({', '.join(RASTER_SUFFIXES)})"
    )


@dataclass(frozen=True)
class Probe:
    """What a start-up probe saw around a place."""

    metres_per_pixel: float
    valid_ratio: float
    zoom: int | None  # of tiled maps

    def __str__(self) -> str:
        level = f", zoom {self.zoom}" if self.zoom is not None else ""
        return f"{self.valid_ratio:.0%} imagery at {self.metres_per_pixel:g} m/px{level}"


def probe_map(source: MapSource, x_m: float, y_m: float, metres_per_pixel: float, half_extent_m: float = 20.0) -> Probe:
    """Read a small crop around (x, y). Raises MapSourceError where there is no imagery at all."""
    crop = source.read(Bounds.around(x_m, y_m, half_extent_m), metres_per_pixel)
    if not crop.valid.any():
        raise MapSourceError(
            f"the map has no imagery within {half_extent_m:.0f} m of ({x_m:.0f}, {y_m:.0f}) m; "
            "check that the datum lies on the map"
        )
    zoom = source.zoom(metres_per_pixel) if isinstance(source, TiledMap) else None
    return Probe(metres_per_pixel, crop.valid_ratio, zoom)
