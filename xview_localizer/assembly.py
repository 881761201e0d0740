"""Building the map source and the localizer that settings ask for."""

from __future__ import annotations

from pathlib import Path

from xview_localizer.aerial.cache import TileCache
from xview_localizer.aerial.fetch import FetchConfig
from xview_localizer.aerial.interruption import Interruption
from xview_localizer.aerial.open import is_on_a_server, open_map_source
from xview_localizer.aerial.shifted import ShiftedMap
from xview_localizer.aerial.source import MapSource
from xview_localizer.aerial.tiles import TileMatrix
from xview_localizer.localizer import Localizer
from xview_localizer.models.networks import open_networks
from xview_localizer.models.package import ModelPackage
from xview_localizer.parameters.settings import Settings


def open_map(settings: Settings, interruption: Interruption | None = None) -> MapSource:
    """The map that the settings name; `interruption` can end waiting for its server. Raises MapSourceError."""
    v = settings.values
    cache_folder = Path(v["map.cache_dir"] or "~/.cache/xview_localizer/tiles").expanduser()
    cache = None
    if is_on_a_server(v["map.source"]):
        cache = TileCache(cache_folder, v["map.cache_mb"] * 1_000_000)
    source = open_map_source(
        v["map.source"],
        settings.frame,
        matrix=TileMatrix(tile_px=v["map.tile_px"], max_zoom=v["map.max_zoom"]),
        fetch=FetchConfig(timeout_sec=v["map.timeout_sec"], interruption=interruption),
        cache=cache,
    )
    east_m, north_m = v["map.shift_east_m"], v["map.shift_north_m"]
    return ShiftedMap(source, east_m, north_m) if east_m or north_m else source


def build_localizer(settings: Settings, map_source: MapSource) -> Localizer:
    """The localizer that the settings ask for. Raises ModelPackageError, EngineError."""
    package = ModelPackage.load(settings.package_path)
    folder = settings.values["model.depth"]
    if folder:
        package = package.with_depth(Path(folder).expanduser())
    networks = open_networks(package, settings.engines)
    return Localizer(networks, map_source, settings.localizer, settings.values["random_seed"])
