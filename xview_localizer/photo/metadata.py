"""Metadata of a photo file: EXIF, and the panorama tags of XMP (GPano)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import SupportsFloat

import numpy as np
from PIL import ExifTags, Image, ImageOps

# The diagonal of a 36 × 24 mm frame, to which FocalLengthIn35mmFilm refers.
FULL_FRAME_DIAGONAL_MM = float(np.hypot(36.0, 24.0))
# By FocalPlaneResolutionUnit: 2 is inch and 3 cm in EXIF 2.32; 4 for mm and 5 for µm are written by some cameras.
FOCAL_PLANE_UNIT_MM: Mapping[object, float] = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
# Stitched panoramas keep the lens's focal length, which is not theirs; no lens of a photo is outside of these.
MIN_FOCAL_35MM, MAX_FOCAL_35MM = 6.0, 1200.0
FULL_SPHERE_ASPECT, ASPECT_TOLERANCE = 2.0, 0.01
# Files of iPhones, whatever their suffix.
HEIF_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"hevc", b"avif")
XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\x00"


class PhotoError(ValueError):
    """A photo cannot be used; the message names the file, the cause, and the option to give."""


@dataclass(frozen=True)
class PanoramaTags:
    """XMP GPano of an equirectangular panorama; the sizes are those of the image when it was tagged."""

    full_width_px: float
    full_height_px: float
    cropped_left_px: float
    cropped_top_px: float
    cropped_width_px: float
    cropped_height_px: float
    heading_deg: float | None  # compass heading of the full panorama's centre column
    pitch_deg: float  # up positive, as in GPano
    roll_deg: float


@dataclass(frozen=True)
class PhotoMetadata:
    """A photo's metadata; entries that the file does not record are None. Headings: 0 is north, clockwise."""

    latitude_deg: float | None = None
    longitude_deg: float | None = None
    position_error_m: float | None = None
    heading_deg: float | None = None
    heading_is_magnetic: bool = False
    focal_35mm: float | None = None  # focal length of a 36 × 24 mm camera with the same angle of view, mm
    camera: str = ""
    panorama: PanoramaTags | None = None
    projection: str = ""  # GPano's, in lower case, whether or not its other tags can be used


def read_photo_file(path: Path) -> tuple[np.ndarray, PhotoMetadata]:
    """The upright image [H, W, 3] uint8 RGB and its metadata. Raises PhotoError."""
    try:
        with warnings.catch_warnings(), Image.open(path) as file:
            warnings.simplefilter("ignore")  # Pillow's, about damaged EXIF, which is then missing
            metadata = _metadata(file.getexif(), _xmp(file))
            upright = _rgb(ImageOps.exif_transpose(file), path)
    except FileNotFoundError as error:
        raise PhotoError(f"{path}: there is no such file") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PhotoError(f"{path} is no readable image: {error}; {_advice(path)}") from error
    return np.ascontiguousarray(upright), metadata


def _rgb(image: Image.Image, path: Path) -> Image.Image:
    """The image in RGB of 8 bits. Raises PhotoError where its values have no known range."""
    if not image.mode.startswith(("I", "F")):
        return image.convert("RGB")
    values = np.asarray(image)
    # Before version 10.3 Pillow reads 16 bits into 32. Its own conversion would cut off what is above 255.
    if image.mode == "F" or values.min() < 0 or values.max() >= 2**16:
        raise PhotoError(f"{path} holds values of 32 bits, not colours; export it as JPEG")
    return Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB")


def _advice(path: Path) -> str:
    """What to do about a file that cannot be read as an image."""
    with suppress(OSError):
        if path.is_dir():
            return "give a photo"
        with path.open("rb") as file:
            start = file.read(12)
        if start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS:
            return "it is a HEIF photo, as iPhones take them; convert it to JPEG"
    return "is it a whole JPEG, PNG, TIFF or WebP? If it is too large, scale it down"


def _metadata(exif: Image.Exif, xmp: str) -> PhotoMetadata:
    gps, camera = exif.get_ifd(ExifTags.IFD.GPSInfo), exif.get_ifd(ExifTags.IFD.Exif)
    tags = ExifTags.GPS
    latitude_deg = _angle_deg(gps.get(tags.GPSLatitude), gps.get(tags.GPSLatitudeRef), "S", 90.0)
    longitude_deg = _angle_deg(gps.get(tags.GPSLongitude), gps.get(tags.GPSLongitudeRef), "W", 180.0)
    if latitude_deg is None or longitude_deg is None or (latitude_deg == 0 and longitude_deg == 0):
        latitude_deg = longitude_deg = None  # cameras without a fix write zeros
    return PhotoMetadata(
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        position_error_m=_positive(gps.get(tags.GPSHPositioningError)),
        heading_deg=_number(gps.get(tags.GPSImgDirection)),
        heading_is_magnetic=str(gps.get(tags.GPSImgDirectionRef, "")).upper().startswith("M"),
        focal_35mm=_focal_35mm(camera),
        camera=" ".join(str(exif.get(tag, "")).strip(" \x00") for tag in (0x010F, 0x0110)).strip(),
        panorama=_panorama(xmp),
        projection=(_gpano(xmp, "ProjectionType") or "").lower(),
    )


def _focal_35mm(camera: Mapping[int, object]) -> float | None:
    """The recorded 35 mm equivalent of the focal length, or the one from focal length and sensor resolution; None where
    it is not that of any lens."""
    recorded = _positive(camera.get(ExifTags.Base.FocalLengthIn35mmFilm))
    focal_mm = recorded or _focal_by_sensor(camera)
    return focal_mm if focal_mm and MIN_FOCAL_35MM <= focal_mm <= MAX_FOCAL_35MM else None


def _focal_by_sensor(camera: Mapping[int, object]) -> float | None:
    tags = ExifTags.Base
    focal_mm = _positive(camera.get(tags.FocalLength))
    across, down = (_positive(camera.get(tag)) for tag in (tags.ExifImageWidth, tags.ExifImageHeight))
    per_unit = _positive(camera.get(tags.FocalPlaneXResolution))

    unit_mm = FOCAL_PLANE_UNIT_MM.get(camera.get(tags.FocalPlaneResolutionUnit, 2))
    if not (focal_mm and across and down and per_unit and unit_mm):
        return None
    return focal_mm * FULL_FRAME_DIAGONAL_MM / (float(np.hypot(across, down)) / per_unit * unit_mm)


def _xmp(file: Image.Image) -> str:
    """The XMP packet as text, empty where there is none."""
    packet = file.info.get("xmp") or file.info.get("XML:com.adobe.xmp") or b""
    if not packet:  # Pillow before 10 leaves it in the JPEG's segments
        for _, segment in getattr(file, "applist", ()):
            if segment.startswith(XMP_HEADER):
                packet = segment[len(XMP_HEADER) :]
                break
    return packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)


def _gpano(xmp: str, name: str) -> str | None:
    """The text of a GPano tag, written as an attribute or as an element; None where there is none."""
    found = re.search(rf'GPano:{name}\s*(?:=\s*["\']([^"\']*)["\']|>\s*([^<]*)<)', xmp)
    return (found[1] or found[2] or "").strip() if found else None


def _panorama(xmp: str) -> PanoramaTags | None:
    """GPano tags of an equirectangular projection; None without one, and where the sizes contradict each other."""

    def number(name: str) -> float | None:
        return _number(_gpano(xmp, name))

    if (_gpano(xmp, "ProjectionType") or "").lower() != "equirectangular":
        return None
    full_width, full_height = number("FullPanoWidthPixels"), number("FullPanoHeightPixels")
    width, height = number("CroppedAreaImageWidthPixels"), number("CroppedAreaImageHeightPixels")
    if not (full_width and full_height and width and height):
        return None
    is_sphere = abs(full_width / full_height - FULL_SPHERE_ASPECT) < ASPECT_TOLERANCE
    if not is_sphere or width > full_width or height > full_height:
        return None
    return PanoramaTags(
        full_width_px=full_width,
        full_height_px=full_height,
        cropped_left_px=number("CroppedAreaLeftPixels") or 0.0,
        cropped_top_px=number("CroppedAreaTopPixels") or 0.0,
        cropped_width_px=width,
        cropped_height_px=height,
        heading_deg=number("PoseHeadingDegrees"),
        pitch_deg=number("PosePitchDegrees") or 0.0,
        roll_deg=number("PoseRollDegrees") or 0.0,
    )


def _angle_deg(parts: object, reference: object, negative: str, limit_deg: float) -> float | None:
    """Degrees of a (degrees, minutes, seconds) triple; None where it is absent or impossible."""
    if not (isinstance(parts, tuple) and len(parts) == 3):
        return None
    numbers = [number for part in parts if (number := _number(part)) is not None]
    if len(numbers) < 3:
        return None
    degrees, minutes, seconds = numbers
    angle_deg = degrees + minutes / 60 + seconds / 3600
    if abs(angle_deg) > limit_deg:
        return None
    return -angle_deg if str(reference).upper().startswith(negative) else angle_deg


def _number(value: object) -> float | None:
    """A finite number, or None; EXIF has rationals, and XMP text."""
    if not isinstance(value, (SupportsFloat, str)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if np.isfinite(number) else None


def _positive(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None
