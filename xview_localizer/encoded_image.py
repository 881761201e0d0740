"""Decoding of images (JPEG, PNG, WebP …) of untrusted origin: size and completeness are checked before decoding."""

from __future__ import annotations

import warnings
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

# Pillow identifies these by their headers alone; OpenCV decodes them.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
# A small file can claim any number of pixels. This many take 300 MB at 8 bits, far more than a robot's camera has.
MAX_IMAGE_PX = 100_000_000
# A PNG's last chunk; some writers append padding, so it is looked for near the end.
_PNG_END, _PNG_PADDING_BYTES = b"IEND\xaeB`\x82", 64
_JPEG_START_OF_SCAN, _JPEG_END = 0xDA, b"\xff\xd9"


class EncodedImageError(ValueError):
    """An encoded image cannot be used; the text names what is wrong with it."""


class TooLargeImageError(EncodedImageError):
    """An encoded image has more pixels than the caller takes; it was not decoded."""


def image_format(data: bytes) -> str | None:
    """One of "JPEG", "PNG" and "WebP", by the first bytes; None for anything else."""
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    return None


def check_whole(data: bytes) -> None:
    """Raise EncodedImageError where a JPEG, PNG or WebP image was cut short.

    Some decoders fill the rest of a cut image with grey, which must not pass for what a camera saw.
    """
    kind = image_format(data)
    whole = True
    if kind == "JPEG":
        whole = data.find(_JPEG_END, _jpeg_scan(data)) >= 0
    elif kind == "PNG":
        whole = _PNG_END in data.rstrip(b"\0")[-_PNG_PADDING_BYTES:]
    elif kind == "WebP":
        whole = len(data) >= 8 + int.from_bytes(data[4:8], "little")
    if not whole:
        raise EncodedImageError(
            f"is a {kind} image that was cut short ({len(data)} bytes) and cannot be decoded"
        )


def _jpeg_scan(data: bytes) -> int:
    """Index from which the end marker of a JPEG is looked for: where its pixels begin, or the end of the data.

    The segments before the pixels may hold a preview, which has an end marker of its own. Looking from the back would
    be wrong too: drivers that hand over a fixed buffer leave bytes of earlier, longer images behind the end.
    """
    at = 2
    while at + 4 <= len(data) and data[at + 1] != _JPEG_START_OF_SCAN:
        is_fill = data[at + 1] == 0xFF
        at += 1 if is_fill else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at


def encoded_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels as the header gives them; nothing is decoded. Raises EncodedImageError."""
    with warnings.catch_warnings():
        # The callers have limits of their own.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(BytesIO(data), formats=_FORMATS) as image:
                return image.size
        except Image.DecompressionBombError as error:
            raise EncodedImageError(
                f"claims to be far larger than {MAX_IMAGE_PX / 1e6:g} megapixels; it was not decoded"
            ) from error
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            raise EncodedImageError(
                f"cannot be decoded ({len(data)} bytes): not one of {', '.join(_FORMATS)}"
            ) from error


def decode_image(data: bytes, max_px: int = MAX_IMAGE_PX) -> np.ndarray:
    """Pixels as OpenCV stores them: [H, W] or [H, W, 3 (BGR) or 4 (BGRA)], uint8 or uint16.

    EXIF does not turn the image. Raises EncodedImageError where it is cut short or damaged, TooLargeImageError, before
    anything is decoded, where it has more than `max_px`.
    """
    check_whole(data)
    width, height = encoded_size(data)
    if width * height > max_px:
        raise TooLargeImageError(
            f"claims to be {width} × {height} px, more than {max_px / 1e6:g} megapixels; it was not decoded"
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        image = None
    if image is None:
        raise EncodedImageError(f"cannot be decoded ({len(data)} bytes): damaged")
    return image
