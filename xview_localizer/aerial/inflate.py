"""Tiles that were packed once more with gzip, as some servers and writers do with whatever they hold."""

from __future__ import annotations

import zlib

GZIP_MAGIC = b"\x1f\x8b"
# zlib's largest window; 32 more make it recognize the headers of gzip and of zlib.
_WINDOW_BITS = 32 + zlib.MAX_WBITS


class InflateError(ValueError):
    """Packed bytes are damaged, or too large unpacked."""


def inflated(data: bytes, max_bytes: int) -> bytes:
    """The bytes packed by gzip or deflate in `data`; no more than `max_bytes` are unpacked. Raises InflateError."""
    unpacker = zlib.decompressobj(_WINDOW_BITS)
    try:
        unpacked = unpacker.decompress(data, max_bytes)
    except zlib.error as error:
        raise InflateError(f"it is packed and damaged ({error})") from error
    if not unpacker.eof:
        raise InflateError(f"it is packed and cut short, or has more than {max_bytes} bytes")
    return unpacked
