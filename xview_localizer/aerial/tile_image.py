"""Decoding a tile: whole images only."""

from __future__ import annotations

import cv2
import numpy as np

from xview_localizer.aerial.source import MapSourceError

_JPEG_END, _PNG_END = b"\xff\xd9", b"IEND\xaeB`\x82"


def image_format(data: bytes) -> str | None:
    """ "JPEG", "PNG" or "WebP" by the first bytes, None for anything else."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    return None


def check_whole(data: bytes, name: str) -> None:
    """Raise MapSourceError where `data` is no JPEG, PNG or WebP image, or one that was cut short.

    Some decoders fill the rest of a cut image with grey, which must not pass for ground.
    """
    kind = image_format(data)
    if kind is None:
        raise MapSourceError(f"tile {name} is no PNG, JPEG or WebP image; check the template")
    # Encoders may append padding, so the end mark is looked for near the end.
    whole = {
        "JPEG": _JPEG_END in data[-64:],
        "PNG": _PNG_END in data[-64:],
        "WebP": len(data) >= 8 + int.from_bytes(data[4:8], "little"),
    }
    if not whole[kind]:
        raise MapSourceError(f"tile {name} is a {kind} image that was cut short ({len(data)} bytes)")


def decoded(data: bytes) -> np.ndarray | None:
    """The image as OpenCV stores it (BGR), None where `data` is none."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # such as a size beyond what OpenCV accepts
        return None


def decode_tile(data: bytes, tile_px: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """RGB [tile_px, tile_px, 3] and opacity mask [tile_px, tile_px] of a PNG, JPEG or WebP tile.

    Raises MapSourceError naming the tile where it is broken or has another size.
    """
    check_whole(data, name)
    image = decoded(data)
    if image is None:
        raise MapSourceError(f"tile {name} is a corrupt {image_format(data)} image ({len(data)} bytes)")
    if image.shape[:2] != (tile_px, tile_px):
        raise MapSourceError(
            f"tile {name} is {image.shape[1]} × {image.shape[0]} px, not {tile_px}; set the tile size"
        )
    if image.dtype != np.uint8:
        raise MapSourceError(f"tile {name} holds {image.dtype}, 8-bit colours are needed")
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), np.ones(image.shape, bool)
    opaque = image[..., 3] > 127 if image.shape[2] == 4 else np.ones(image.shape[:2], bool)
    return np.ascontiguousarray(image[..., 2::-1]), opaque
