"""Whether reading a raster file would contact another machine than those that the user configures."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from rasterio import DatasetReader

# Drivers of GDAL for services; it goes by a file's content, whatever the file is called.
_SERVICES = ("HTTP", "WMS", "WMTS", "WCS", "OGCAPI", "STACIT", "STACTA", "EEDAI", "PLMOSAIC", "DAAS")
_VRT_SOURCE = re.compile(r"<Source(?:Filename|Dataset)\b[^>]*>\s*([^<]*)<")
# GDAL's file systems that stay on this machine; others are /vsicurl/, /vsis3/ and the like.
_REMOTE = re.compile(r"://|/vsi(?!zip|tar|gzip|7z|rar|subfile|sparse|mem)|^<GDAL_WMS")


def remote_source(raster: DatasetReader) -> str | None:
    """What of a raster is on another machine; None where nothing is."""
    if raster.driver in _SERVICES:
        return f"a service ({raster.driver})"
    return _remote_source(Path(raster.name), set()) if raster.driver == "VRT" else None


def _remote_source(vrt: Path, seen: set[Path]) -> str | None:
    """The first source of a VRT, or of those that it refers to, that is on another machine."""
    seen.add(vrt)
    try:
        text = vrt.read_text(encoding="utf-8", errors="replace")
    except OSError:  # is reported where it is read
        return None
    for name in map(unescape, _VRT_SOURCE.findall(text)):
        if _REMOTE.search(name):
            return name
        inner = vrt.parent / name
        is_new_vrt = inner.suffix.lower() == ".vrt" and inner not in seen
        if is_new_vrt and (found := _remote_source(inner, seen)):
            return found
    return None
