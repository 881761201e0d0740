"""Encoded images (JPEG, PNG, WebP …) of untrusted origin: their size is read before they are decoded."""

from __future__ import annotations

import warnings
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

# Pillow identifies these by their headers alone; OpenCV decodes them.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
# 300 MB at 8 bits. Cameras of robots have far fewer pixels, and a small file can claim any number of them.
MAX_IMAGE_PX = 100_000_000
# Encoders and drivers may append padding, so the end mark is looked for near the end.
_PADDING_BYTES = 64
_END_MARKS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}


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
    if kind == "WebP":
        whole = len(data) >= 8 + int.from_bytes(data[4:8], "little")
    else:
        # Drivers that hand over a fixed buffer leave zeros behind the picture.
        whole = kind is None or _END_MARKS[kind] in data.rstrip(b"\0")[-_PADDING_BYTES:]
    if not whole:
        raise EncodedImageError(
            f"is a {kind} image that was cut short ({len(data)} bytes) and cannot be decoded"
        )


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
