"""Image files, read and written by way of memory.

OpenCV's own functions for files turn images by their EXIF, fill what was cut short with grey, keep a full disk to
themselves, and end the process at names that are no UTF-8.
"""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image

from xview_localizer.encoded_image import EncodedImageError, check_whole

JPEG_QUALITY = 95
_UPRIGHT = (0, 1)  # EXIF's orientations that turn nothing; 0 is not allowed, and frequent


def read_rgb(path: Path) -> np.ndarray:
    """The image [H, W, 3] uint8 RGB.

    Raises EncodedImageError, naming the file, where it is missing, damaged, cut short, or stored turned: whether
    cameras and places are meant for what is stored or for what is shown cannot be known.
    """
    return np.ascontiguousarray(_read(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)[..., ::-1])


def read_unchanged(path: Path) -> np.ndarray:
    """The values as they are stored, in OpenCV's order of channels. Raises EncodedImageError as read_rgb does."""
    return _read(path, cv2.IMREAD_UNCHANGED)


def write_image(path: Path, image: np.ndarray, jpeg_quality: int = JPEG_QUALITY) -> None:
    """Write RGB [H, W, 3] uint8 or one channel [H, W] uint8 or uint16 in the format of the suffix. Raises OSError."""
    stored = image[..., ::-1] if image.ndim == 3 else image
    quality = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if path.suffix == ".jpg" else []
    _, data = cv2.imencode(path.suffix, stored, quality)
    path.write_bytes(data.tobytes())


def _read(path: Path, flags: int) -> np.ndarray:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EncodedImageError(f"{path} is missing or cannot be read: {error.strerror}") from error
    try:
        check_whole(data)
    except EncodedImageError as error:
        raise EncodedImageError(f"{path} {error}") from error
    if (orientation := _orientation(data)) not in _UPRIGHT:
        raise EncodedImageError(
            f"{path} is stored turned (EXIF orientation {orientation}); store its pixels as they are meant, without "
            "that tag"
        )
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if image is None:
        raise EncodedImageError(f"{path} is no readable image")
    return image


def _orientation(data: bytes) -> int:
    """EXIF's orientation; 1, as it is, where there is none."""
    with suppress(OSError, ValueError, SyntaxError), Image.open(BytesIO(data)) as image:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1
