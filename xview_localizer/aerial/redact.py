"""Addresses for logs and messages: without keys, tokens and passwords."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

# Parameters of OGC services; the values of all others may be keys.
_PUBLIC_PARAMETERS = frozenset(
    "service request version layer layers style styles format tilematrixset tilematrix tilerow tilecol crs srs bbox "
    "width height transparent x y z".split()
)
# Providers also put keys into the path, before the tile's numbers: the last segments are shown, but no long one.
_SHOWN_SEGMENTS = 3
_KEY_LENGTH = 16


def redacted(url: str) -> str:
    """Scheme, host, the end of the path, and the names of the query's parameters; `url` may be a template.

    Text that is not a URL with a host (a path) is returned unchanged.
    """
    try:
        parts = urlsplit(url)
        if not parts.netloc:
            return url
    except ValueError:  # such as a bracket that is not closed
        return re.sub(r"[?;@].*", "…", url)
    segments = [_segment(text) for text in parts.path.split("/") if text]
    if len(segments) > _SHOWN_SEGMENTS:
        segments = ["…", *segments[-_SHOWN_SEGMENTS:]]
    query = "&".join(_parameter(text) for text in parts.query.split("&") if text)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{'/'.join(segments)}"
    return f"{shown}?{query}" if query else shown


def _segment(text: str) -> str:
    text = text.partition(";")[0]  # parameters of a path, such as ;key=…
    numbers_only = text.partition(".")[0].isdigit()  # a quadkey, which is long too
    return "…" if len(text) >= _KEY_LENGTH and not numbers_only and "{" not in text else text


def _parameter(text: str) -> str:
    name, _, value = text.partition("=")
    public = name.lower() in _PUBLIC_PARAMETERS or "{" in value
    return text if public else f"{name}=…"
