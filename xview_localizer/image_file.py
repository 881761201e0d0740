"""Reading and writing image files: Python reads and writes the bytes, OpenCV only encodes and decodes them.

OpenCV's own file functions turn images by their EXIF orientation, fill the missing part of a truncated file with grey,
do not report a full disk, and abort the process at file names that are not UTF-8.
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
_UPRIGHT = (0, 1)  # EXIF orientations of images that are stored upright; 0 is invalid but common


def read_rgb(path: Path) -> np.ndarray:
    """The image [H, W, 3] uint8 RGB.

    Raises EncodedImageError, naming the file, where it is missing, damaged, cut short, or to be turned by its EXIF
    orientation: it cannot be known whether camera models and labels refer to the image before or after turning.
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
    """The EXIF orientation; 1 (upright) where there is none."""
    with suppress(OSError, ValueError, SyntaxError), Image.open(BytesIO(data)) as image:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1
