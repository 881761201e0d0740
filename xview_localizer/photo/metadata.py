"""Metadata of a photo file: EXIF, and of XMP the tags of panoramas (GPano) and of gimbals (DJI)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import SupportsFloat

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

# The diagonal of a 36 × 24 mm frame, to which FocalLengthIn35mmFilm refers.
FULL_FRAME_DIAGONAL_MM = float(np.hypot(36.0, 24.0))
# By FocalPlaneResolutionUnit: 2 is inch and 3 cm in EXIF 2.32; 4 for mm and 5 for µm are written by some cameras.
FOCAL_PLANE_UNIT_MM: Mapping[object, float] = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
# Stitched panoramas keep the lens's focal length, which is not theirs; no lens of a photo is outside of these.
MIN_FOCAL_35MM, MAX_FOCAL_35MM = 6.0, 1200.0
# Phones write ratios near 1 for the correction of the lens.
LEAST_DIGITAL_ZOOM = 1.05
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
class GimbalTags:
    """XMP of DJI's cameras: how the gimbal held the camera. Which north the heading counts from is not documented."""

    heading_deg: float
    pitch_deg: float  # up positive
    roll_deg: float


@dataclass(frozen=True)
class PhotoMetadata:
    """A photo's metadata; entries that the file does not record are None. Headings: 0 is north, clockwise."""

    latitude_deg: float | None = None
    longitude_deg: float | None = None
    position_error_m: float | None = None
    heading_deg: float | None = None
    heading_is_magnetic: bool = False
    shot_size_px: tuple[float, float] | None = None  # of the image as it was taken, in either order
    gimbal: GimbalTags | None = None
    over_start_m: float | None = None  # height of a drone over the place where it took off
    focal_35mm: float | None = None  # focal length of a 36 × 24 mm camera with the same angle of view, mm
    digital_zoom: float | None = None  # above 1; whether the focal length includes it depends on the camera
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
    except UnidentifiedImageError as error:  # its text names the file once more
        raise PhotoError(f"{path} is no readable image; {_advice(path)}") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PhotoError(f"{path} is no readable image: {error}; {_advice(path)}") from error
    return np.ascontiguousarray(upright), metadata


def decoded(name: str) -> str:
    """A file's name as text that can be written anywhere: � stands for bytes that are no UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


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
    latitude_deg = _angle_deg(gps.get(tags.GPSLatitude), gps.get(tags.GPSLatitudeRef), "NS", 90.0)
    longitude_deg = _angle_deg(gps.get(tags.GPSLongitude), gps.get(tags.GPSLongitudeRef), "EW", 180.0)
    no_fix = latitude_deg == longitude_deg == 0 or str(gps.get(tags.GPSStatus, "")).upper().startswith("V")
    if latitude_deg is None or longitude_deg is None or no_fix:
        # Cameras without a fix write zeros, or the last position (status V).
        latitude_deg = longitude_deg = None
    return PhotoMetadata(
        latitude_deg=latitude_deg,
        longitude_deg=longitude_deg,
        position_error_m=_positive(gps.get(tags.GPSHPositioningError)),
        heading_deg=_heading_deg(gps.get(tags.GPSImgDirection)),
        heading_is_magnetic=str(gps.get(tags.GPSImgDirectionRef, "")).upper().startswith("M"),
        shot_size_px=_shot_size_px(camera),
        gimbal=_gimbal(xmp),
        over_start_m=_number(_tag(xmp, "drone-dji", "RelativeAltitude")),
        focal_35mm=_focal_35mm(camera),
        digital_zoom=_digital_zoom(camera),
        camera=" ".join(str(exif.get(tag, "")).strip(" \x00") for tag in (0x010F, 0x0110)).strip(),
        panorama=_panorama(xmp),
        projection=(_tag(xmp, "GPano", "ProjectionType") or "").lower(),
    )


def _shot_size_px(camera: Mapping[int, object]) -> tuple[float, float] | None:
    tags = ExifTags.Base
    across, down = (_positive(camera.get(tag)) for tag in (tags.ExifImageWidth, tags.ExifImageHeight))
    return (across, down) if across and down else None


def _digital_zoom(camera: Mapping[int, object]) -> float | None:
    ratio = _positive(camera.get(ExifTags.Base.DigitalZoomRatio))
    return ratio if ratio and ratio > LEAST_DIGITAL_ZOOM else None


def _focal_35mm(camera: Mapping[int, object]) -> float | None:
    """The recorded 35 mm equivalent of the focal length, or the one from focal length and sensor resolution; None where
    it is not that of any lens."""
    recorded = _positive(camera.get(ExifTags.Base.FocalLengthIn35mmFilm))
    focal_mm = recorded or _focal_by_sensor(camera)
    return focal_mm if focal_mm and MIN_FOCAL_35MM <= focal_mm <= MAX_FOCAL_35MM else None


def _focal_by_sensor(camera: Mapping[int, object]) -> float | None:
    tags = ExifTags.Base
    focal_mm, size_px = _positive(camera.get(tags.FocalLength)), _shot_size_px(camera)
    per_unit = _positive(camera.get(tags.FocalPlaneXResolution))
    unit_mm = FOCAL_PLANE_UNIT_MM.get(camera.get(tags.FocalPlaneResolutionUnit, 2))
    if not (focal_mm and size_px and per_unit and unit_mm):
        return None
    return focal_mm * FULL_FRAME_DIAGONAL_MM / (float(np.hypot(*size_px)) / per_unit * unit_mm)


def _xmp(file: Image.Image) -> str:
    """The XMP packet as text, empty where there is none."""
    packet = file.info.get("xmp") or file.info.get("XML:com.adobe.xmp") or b""
    if not packet:  # Pillow before 10 leaves it in the JPEG's segments
        for _, segment in getattr(file, "applist", ()):
            if segment.startswith(XMP_HEADER):
                packet = segment[len(XMP_HEADER) :]
                break
    return packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)


def _tag(xmp: str, prefix: str, name: str) -> str | None:
    """The text of an XMP tag, written as an attribute or as an element; None where there is none."""
    found = re.search(rf'{prefix}:{name}\s*(?:=\s*["\']([^"\']*)["\']|>\s*([^<]*)<)', xmp)
    return (found[1] or found[2] or "").strip() if found else None


def _panorama(xmp: str) -> PanoramaTags | None:
    """GPano tags of an equirectangular projection; None without one, and where the sizes contradict each other."""

    def number(name: str) -> float | None:
        return _number(_tag(xmp, "GPano", name))

    if (_tag(xmp, "GPano", "ProjectionType") or "").lower() != "equirectangular":
        return None
    full_width, full_height = number("FullPanoWidthPixels"), number("FullPanoHeightPixels")
    width, height = number("CroppedAreaImageWidthPixels"), number("CroppedAreaImageHeightPixels")
    if not (full_width and full_height and width and height):
        return None
    left, top = number("CroppedAreaLeftPixels") or 0.0, number("CroppedAreaTopPixels") or 0.0
    is_sphere = abs(full_width / full_height - FULL_SPHERE_ASPECT) < ASPECT_TOLERANCE
    if not is_sphere or left + width > full_width + 1 or top + height > full_height + 1:
        return None
    return PanoramaTags(
        full_width_px=full_width,
        full_height_px=full_height,
        cropped_left_px=left,
        cropped_top_px=top,
        cropped_width_px=width,
        cropped_height_px=height,
        heading_deg=_heading_deg(_tag(xmp, "GPano", "PoseHeadingDegrees")),
        pitch_deg=number("PosePitchDegrees") or 0.0,
        roll_deg=number("PoseRollDegrees") or 0.0,
    )


def _gimbal(xmp: str) -> GimbalTags | None:
    """None without the tags, and where all are 0, as models write them that do not know."""
    angles = [_number(_tag(xmp, "drone-dji", f"Gimbal{name}Degree")) for name in ("Yaw", "Pitch", "Roll")]
    known = [angle for angle in angles if angle is not None]
    return GimbalTags(*known) if len(known) == len(angles) and any(known) else None


def _angle_deg(parts: object, reference: object, hemispheres: str, limit_deg: float) -> float | None:
    """Degrees of a (degrees, minutes, seconds) triple; None where it is absent or impossible, or on either side of 0.

    `hemispheres` are the letters of the positive and the negative side, which the reference begins with.
    """
    if not (isinstance(parts, tuple) and len(parts) == 3):
        return None
    numbers = [number for part in parts if (number := _number(part)) is not None]
    if len(numbers) < 3:
        return None
    degrees, minutes, seconds = numbers
    angle_deg = abs(degrees) + minutes / 60 + seconds / 3600
    # Rounding makes 60 of 59.99; some programs write seconds a hundred times as large.
    if not (0 <= minutes <= 60 and 0 <= seconds <= 60 and angle_deg <= limit_deg):
        return None
    text = reference.decode("latin-1") if isinstance(reference, bytes) else str(reference or "")
    side = hemispheres.find(text.strip()[:1].upper() or " ")
    if degrees < 0 or side == 1:  # some write the sign, too
        return -angle_deg
    return angle_deg if side == 0 else None


def _heading_deg(value: object) -> float | None:
    """A compass heading. None for 0, which cameras and programs without a compass write, and where it is no angle,
    such as a negative number that was written as an unsigned one."""
    heading_deg = _number(value)
    return heading_deg if heading_deg and abs(heading_deg) <= 360 else None


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
