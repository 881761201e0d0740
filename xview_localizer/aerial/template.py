"""Tile URL templates: XYZ, TMS, WMTS, quadkeys, and further placeholders of map providers."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from xview_localizer.aerial.fetch import Fetcher, parsed_url
from xview_localizer.aerial.redact import redacted
from xview_localizer.aerial.source import MapSourceError

# In lower case; other software writes them in any.
_OTHER_NAMES = {
    "{zoom}": "{z}",
    "{tilematrix}": "{z}",
    "{tilecol}": "{x}",
    "{tilerow}": "{y}",
    "{quadkey}": "{q}",
    "{s}": "{switch:a,b,c}",  # as Leaflet has it
}
_OWN_NAMES = ("{z}", "{x}", "{y}", "{-y}", "{q}", "{r}", "{switch:a,b,c}")
_SCHEMES = ("http", "https", "file")
# OpenLayers writes ${z}.
_PLACEHOLDER = re.compile(r"\$?(\{-?\w+\})")
_SWITCH = re.compile(r"\{switch:([^{}]+)\}")
# OpenLayers' sub-domains: {a-c}, {0-3}.
_RANGE = re.compile(r"\{(\w)-(\w)\}")
# Web Mercator's codes; names of a WMTS's tile matrix sets hold others, or one of these words.
_MERCATOR_CODES = ("3857", "900913", "3785", "3587", "102100", "102113")
_EPSG = re.compile(r"EPSG[:_]*(\d{4,6})", re.IGNORECASE)
_MATRIX_SET = re.compile(r"tilematrixset=([^&]*)", re.IGNORECASE)
# In a path a set stands before the zoom. Alone there, a number of four digits may also be the year of the imagery.
_SET_IN_PATH = re.compile(
    r"/(utm\d\d[ns]?|wgs84|\w+Quad|(?!19\d\d/|20[0-4]\d/)\d{4,6})/\$?\{(?:z|zoom|tilematrix)\}", re.IGNORECASE
)
_OTHER_CRS = re.compile(r"(?:WGS|CRS|ETRS)_?(?:84|89|1984)|global_?geodetic|UTM|\d{4,6}", re.IGNORECASE)


def template_tiles(template: str, fetcher: Fetcher, tile_px: int = 256) -> Callable[[int, int, int], bytes]:
    """Tile function `tile(zoom, x, y)` (y from the north) of a URL template (http, https or file).

    Placeholders: {z} {x} {y} (XYZ), {-y} (TMS, y from the south), WMTS's {TileMatrix} {TileCol} {TileRow} in a path
    (REST) or a query (KVP), or {q} ({quadkey}, as Bing has it) alone; besides, {switch:a,b,c} or {a-c} for sub-domains,
    {s} for a, b and c, and {r}, which is @2x for tiles of 512 px and nothing else. Raises MapSourceError naming what is
    wrong with the template, such as a tile matrix set of another CRS.
    """
    if parsed_url(template).scheme not in _SCHEMES:
        raise MapSourceError(
            f"the tile template {redacted(template)!r} must begin with http://, https:// or file://"
        )
    if other := _other_matrix_set(unquote(template)):
        raise MapSourceError(
            f"the tile template {redacted(template)!r} is of the tile matrix set {other}, and tiles are taken in Web "
            "Mercator: choose the service's set of EPSG:3857, often GoogleMapsCompatible, or its WMS"
        )
    names = _RANGE.sub(_sub_domains, _PLACEHOLDER.sub(_own_name, template))
    names = names.replace("{r}", "@2x" if tile_px == 512 else "")
    fixed = _SWITCH.sub("", names)
    found = set(re.findall(r"\{[^{}]*\}", fixed))
    if re.search(r"[{}]", re.sub(r"\{[^{}]*\}", "", fixed)):
        raise MapSourceError(
            f"the tile template {redacted(template)!r} has braces that are doubled or not closed; write {{z}}"
        )
    by_numbers = {"{z}", "{x}"} <= found and len(found & {"{y}", "{-y}"}) == 1 and "{q}" not in found
    if not by_numbers and not ("{q}" in found and not found & {"{z}", "{x}", "{y}", "{-y}"}):
        raise MapSourceError(
            f"the tile template {redacted(template)!r} must hold {{z}}, {{x}} and one of {{y}} (XYZ) or {{-y}} (TMS), "
            "or WMTS's {TileMatrix}, {TileCol} and {TileRow}, or {q} (quadkey) alone"
        )
    if unknown := found - {"{z}", "{x}", "{y}", "{-y}", "{q}"}:
        raise MapSourceError(
            f"the tile template {redacted(template)!r} holds {', '.join(sorted(unknown))}; write its value in its place"
        )

    def tile(zoom: int, x: int, y: int) -> bytes:
        values = {"{z}": zoom, "{x}": x, "{y}": y, "{-y}": 2**zoom - 1 - y, "{q}": quadkey(zoom, x, y)}
        # The same tile always comes from the same sub-domain, so that it is cached once.
        address = _SWITCH.sub(lambda match: _chosen(match.group(1).split(","), x + y), names)
        return fetcher.fetch(re.sub(r"\{(?:-?[zxy]|q)\}", lambda match: str(values[match.group()]), address))

    return tile


def _other_matrix_set(template: str) -> str:
    """The tile matrix set of a WMTS or a TMS, where its name is that of another CRS than Web Mercator; else empty."""
    for code in _EPSG.findall(template):
        if code not in _MERCATOR_CODES:
            return f"EPSG:{code}"
    named = _MATRIX_SET.search(template)
    found = _OTHER_CRS.search(named[1]) if named else None
    if named and found and found[0] not in _MERCATOR_CODES:
        return named[1]
    in_path = _SET_IN_PATH.search(template)
    return in_path[1] if in_path and in_path[1] not in (*_MERCATOR_CODES, "WebMercatorQuad") else ""


def _sub_domains(ends: re.Match[str]) -> str:
    """A range of letters or digits as {switch:...} lists them."""
    first, last = map(ord, ends.groups())
    return f"{{switch:{','.join(map(chr, range(first, last + 1)))}}}"


def _own_name(placeholder: re.Match[str]) -> str:
    """A placeholder as it is written here; unknown ones stay as they are."""
    name = placeholder.group(1).lower()
    name = _OTHER_NAMES.get(name, name)
    return name if name in _OWN_NAMES else placeholder.group(1)


def quadkey(zoom: int, x: int, y: int) -> str:
    """Bing's name of a tile: a digit for each zoom level, its first bit from x and its second from y."""
    return "".join(str((x >> level & 1) + 2 * (y >> level & 1)) for level in reversed(range(zoom)))


def _chosen(options: list[str], number: int) -> str:
    return options[number % len(options)].strip()
