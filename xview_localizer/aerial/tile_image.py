"""Decoding a tile: whole images of the expected size only."""

from __future__ import annotations

import re

import cv2
import numpy as np

from xview_localizer.aerial.source import MapSourceError
from xview_localizer.encoded_image import (
    EncodedImageError,
    check_whole,
    decode_image,
    encoded_size,
    image_format,
)

# Least alpha of a pixel that counts as imagery: a partly transparent one is a mixture of imagery and nothing.
OPAQUE_FROM = 250
# No text has these bytes, and hardly any picture or packed data does without them.
_CONTROL_BYTES = set(range(32)) - set(b"\t\n\r")


def check_tile(data: bytes, name: str) -> None:
    """Raise MapSourceError where `data` is not a PNG, JPEG or WebP image, or is truncated."""
    if image_format(data) is None:
        raise MapSourceError(f"tile {name} is no PNG, JPEG or WebP image{_quoted(data)}; check the template")
    try:
        check_whole(data)
    except EncodedImageError as error:
        raise MapSourceError(f"tile {name} {error}") from error


def decode_tile(data: bytes, tile_px: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """RGB [tile_px, tile_px, 3] and opacity mask [tile_px, tile_px] of a PNG, JPEG or WebP tile.

    Raises MapSourceError naming the tile where it is broken or has another size; the size is read from the header
    before anything is decoded.
    """
    check_tile(data, name)
    try:
        width, height = encoded_size(data)
        if (width, height) != (tile_px, tile_px):
            raise MapSourceError(f"tile {name} is {width} × {height} px, not {tile_px}; set the tile size")
        image = decode_image(data)
    except EncodedImageError as error:
        raise MapSourceError(f"tile {name} is a corrupt {image_format(data)} image: it {error}") from error
    if image.dtype != np.uint8:
        raise MapSourceError(f"tile {name} holds {image.dtype}, 8-bit colours are needed")
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.ones(image.shape, bool)
    opaque = image[..., 3] >= OPAQUE_FROM if image.shape[2] == 4 else np.ones(image.shape[:2], bool)
    return np.ascontiguousarray(image[..., 2::-1]), opaque


def _quoted(data: bytes) -> str:
    """What a server sends in place of a tile, such as a web page or the exception of a WMS or WMTS."""
    start = data[:600]
    if not start or _CONTROL_BYTES & set(start):
        return ""
    text = "".join(c if c.isprintable() else " " for c in start.decode("utf-8", "ignore"))
    exception = re.search(r"<(?:ServiceException\b|\w+:ExceptionText>).*", text)
    if exception is None:  # it may repeat the key
        return " but a page or a message; open its address in a browser"
    # A server may repeat the request, and with it the key.
    words = [word for word in exception[0].split() if "=" not in word and "://" not in word]
    return f" but {' '.join(words)[:160]!r}"
