"""OGC Web Map Service: GetMap as tiles of the Web-Mercator grid."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import numpy as np

from xview_localizer.aerial.fetch import Fetcher
from xview_localizer.aerial.mercator import EQUATOR_METRES_PER_PIXEL
from xview_localizer.aerial.redact import redacted
from xview_localizer.aerial.source import MapSourceError

# Half the width of the Web-Mercator square, metres.
_HALF_WIDTH_M = EQUATOR_METRES_PER_PIXEL * 256 / 2
# Parameters that the tile function sets itself.
_GIVEN = ("BBOX", "WIDTH", "HEIGHT", "CRS", "SRS", "REQUEST")
_PARAMETERS = (*_GIVEN, "SERVICE", "VERSION", "LAYERS", "STYLES", "FORMAT", "TRANSPARENT")


def is_wms(url: str) -> bool:
    """Whether a URL's query is that of a WMS; a malformed URL is none."""
    try:
        query = {name.lower(): value.lower() for name, value in parse_qsl(urlsplit(url).query)}
    except ValueError:
        return False
    return query.get("service") == "wms" or query.get("request") == "getmap"


def wms_tiles(url: str, fetcher: Fetcher, tile_px: int) -> Callable[[int, int, int], bytes]:
    """Tile function `tile(zoom, x, y)` (y from the north) of a WMS.

    `url` must name LAYERS, and may be that of GetCapabilities; it may give VERSION (default 1.3.0), STYLES, FORMAT
    (default image/png), TRANSPARENT and the provider's keys. Maps are requested in EPSG:3857. Raises MapSourceError
    without LAYERS or with another CRS.
    """
    parts = urlsplit(url)
    # Parameter names of WMS are case-insensitive; those of keys may not be.
    given = parse_qsl(parts.query, keep_blank_values=True)
    own = {name.upper(): value for name, value in given if name.upper() in _PARAMETERS}
    # Placeholders of other software, such as {bbox-epsg-3857} or {proj}, stand for what is set here.
    own = {name: value for name, value in own.items() if not (name in _GIVEN and "{" in value)}
    others = {name: value for name, value in given if name.upper() not in _PARAMETERS}
    if not own.get("LAYERS"):
        raise MapSourceError(f"the WMS {redacted(url)} needs LAYERS=…; see its GetCapabilities")
    crs = own.get("CRS") or own.get("SRS") or "EPSG:3857"
    if crs.upper() not in ("EPSG:3857", "EPSG:900913"):
        raise MapSourceError(
            f"the WMS {redacted(url)} is asked for {crs}; leave it out, maps are asked for in EPSG:3857"
        )
    fixed = {"SERVICE": "WMS", "VERSION": "1.3.0", "REQUEST": "GetMap", "STYLES": "", "FORMAT": "image/png"}
    fixed |= {name: value for name, value in own.items() if name not in _GIVEN}
    if "png" in fixed["FORMAT"].lower():
        fixed.setdefault("TRANSPARENT", "TRUE")
    fixed["CRS" if fixed["VERSION"] >= "1.3" else "SRS"] = crs
    fixed |= {"WIDTH": str(tile_px), "HEIGHT": str(tile_px), **others}

    def tile(zoom: int, x: int, y: int) -> bytes:
        side_m = 2 * _HALF_WIDTH_M / 2**zoom
        west_m, north_m = x * side_m - _HALF_WIDTH_M, _HALF_WIDTH_M - y * side_m
        bbox = ",".join(
            np.format_float_positional(v, 4) for v in (west_m, north_m - side_m, west_m + side_m, north_m)
        )
        asked = urlencode({**fixed, "BBOX": bbox}, safe=":,/")
        return fetcher.fetch(urlunsplit((parts.scheme, parts.netloc, parts.path, asked, "")))

    return tile
