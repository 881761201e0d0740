"""Tile URL templates: XYZ, TMS and WMTS."""

from __future__ import annotations

import re
from collections.abc import Callable

from xview_localizer.aerial.fetch import Fetcher, parsed_url
from xview_localizer.aerial.redact import redacted
from xview_localizer.aerial.source import MapSourceError

_WMTS_NAMES = {"{TileMatrix}": "{z}", "{TileCol}": "{x}", "{TileRow}": "{y}"}
_SCHEMES = ("http", "https", "file")


def template_tiles(template: str, fetcher: Fetcher) -> Callable[[int, int, int], bytes]:
    """Tile function `tile(zoom, x, y)` (y from the north) of a URL template (http, https or file).

    Placeholders: {z} {x} {y} (XYZ), {-y} (TMS, y from the south), or WMTS's {TileMatrix} {TileCol} {TileRow}
    in a path (REST) or a query (KVP). Raises MapSourceError naming what is wrong with the template.
    """
    if parsed_url(template).scheme not in _SCHEMES:
        raise MapSourceError(
            f"the tile template {redacted(template)!r} must begin with http://, https:// or file://"
        )
    names = template
    for wmts, xyz in _WMTS_NAMES.items():
        names = names.replace(wmts, xyz)
    found = set(re.findall(r"\{[^{}]*\}", names))
    if not ({"{z}", "{x}"} <= found and len(found & {"{y}", "{-y}"}) == 1):
        raise MapSourceError(
            f"the tile template {redacted(template)!r} must hold {{z}}, {{x}} and one of {{y}} (XYZ) or {{-y}} (TMS), "
            "or WMTS's {TileMatrix}, {TileCol} and {TileRow}"
        )
    if unknown := found - {"{z}", "{x}", "{y}", "{-y}"}:
        raise MapSourceError(
            f"the tile template {redacted(template)!r} holds {', '.join(sorted(unknown))}; write its value in its place"
        )

    def tile(zoom: int, x: int, y: int) -> bytes:
        values = {"{z}": zoom, "{x}": x, "{y}": y, "{-y}": 2**zoom - 1 - y}
        return fetcher.fetch(re.sub(r"\{-?[zxy]\}", lambda match: str(values[match.group()]), names))

    return tile
