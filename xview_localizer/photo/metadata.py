"""A photo file read: its image, and its metadata from EXIF and XMP."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from xview_localizer.photo.heif import is_heif, let_pillow_read_heif
from xview_localizer.photo.tag_values import heading_deg_of, number_of, positive_of
from xview_localizer.photo.xmp import (
    GimbalTags,
    PanoramaTags,
    gimbal_tags,
    panorama_tags,
    xmp_packet,
    xmp_tag,
)

# The diagonal of a 36 × 24 mm frame, to which FocalLengthIn35mmFilm refers.
FULL_FRAME_DIAGONAL_MM = float(np.hypot(36.0, 24.0))
# By FocalPlaneResolutionUnit: 2 is inch and 3 cm in EXIF 2.32; 4 for mm and 5 for µm are written by some cameras.
FOCAL_PLANE_UNIT_MM: Mapping[object, float] = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
# No lens of a photo has a focal length outside of these bounds. Stitched panoramas may record one that is not theirs.
MIN_FOCAL_35MM, MAX_FOCAL_35MM = 6.0, 1200.0
# Phones that correct the lens's distortion record a zoom near 1; that is no zoom.
LEAST_DIGITAL_ZOOM = 1.05


class PhotoError(ValueError):
    """A photo cannot be used; the message names the file, the cause, and the option to give."""


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
        with warnings.catch_warnings():
            # Pillow's, about photos of 100 megapixels and about damaged EXIF, which is then missing.
            warnings.simplefilter("ignore")
            with _opened(path) as file:
                metadata = _metadata(file.getexif(), xmp_packet(file))
                upright = _rgb(ImageOps.exif_transpose(file), path)
    except FileNotFoundError as error:
        raise PhotoError(f"{path}: there is no such file") from error
    except PhotoError:
        raise
    except UnidentifiedImageError as error:  # its text names the file once more
        raise PhotoError(f"{path} is no readable image; {_advice(path)}") from error
    # RuntimeError: pillow-heif's, about pixels that cannot be decoded.
    except (OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError) as error:
        raise PhotoError(f"{path} is no readable image: {error}; {_advice(path)}") from error
    return np.ascontiguousarray(upright), metadata


def decoded(name: str) -> str:
    """A file's name as text that can be written anywhere: � stands for bytes that are no UTF-8."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _opened(path: Path) -> Image.Image:
    if is_heif(path):
        try:
            let_pillow_read_heif()
        except ImportError as error:
            raise PhotoError(
                f"{path} is a HEIF photo, which needs the package pillow-heif: pip install pillow-heif, "
                "or convert it to JPEG"
            ) from error
    return Image.open(path)


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
    if path.is_dir():
        return "give a photo"
    return "is it a whole JPEG, HEIC, PNG, TIFF or WebP? If it is too large, scale it down"


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
        position_error_m=positive_of(gps.get(tags.GPSHPositioningError)),
        heading_deg=heading_deg_of(gps.get(tags.GPSImgDirection)),
        heading_is_magnetic=str(gps.get(tags.GPSImgDirectionRef, "")).upper().startswith("M"),
        shot_size_px=_shot_size_px(camera),
        gimbal=gimbal_tags(xmp),
        over_start_m=number_of(xmp_tag(xmp, "drone-dji", "RelativeAltitude")),
        focal_35mm=_focal_35mm(camera),
        digital_zoom=_digital_zoom(camera),
        camera=_camera_name(exif),
        panorama=panorama_tags(xmp),
        projection=(xmp_tag(xmp, "GPano", "ProjectionType") or "").lower(),
    )


def _camera_name(exif: Image.Exif) -> str:
    """Maker and model, as far as they are recorded; some cameras pad them with zeros."""
    names = [str(exif.get(tag, "")).strip(" \x00") for tag in (ExifTags.Base.Make, ExifTags.Base.Model)]
    return " ".join(names).strip()


def _shot_size_px(camera: Mapping[int, object]) -> tuple[float, float] | None:
    tags = ExifTags.Base
    across, down = (positive_of(camera.get(tag)) for tag in (tags.ExifImageWidth, tags.ExifImageHeight))
    return (across, down) if across and down else None


def _digital_zoom(camera: Mapping[int, object]) -> float | None:
    ratio = positive_of(camera.get(ExifTags.Base.DigitalZoomRatio))
    return ratio if ratio and ratio > LEAST_DIGITAL_ZOOM else None


def _focal_35mm(camera: Mapping[int, object]) -> float | None:
    """The 35 mm equivalent of the focal length, recorded or computed from the sensor's resolution.

    None where there is neither, or no lens has it.
    """
    recorded = positive_of(camera.get(ExifTags.Base.FocalLengthIn35mmFilm))
    focal_mm = recorded or _focal_by_sensor(camera)
    return focal_mm if focal_mm and MIN_FOCAL_35MM <= focal_mm <= MAX_FOCAL_35MM else None


def _focal_by_sensor(camera: Mapping[int, object]) -> float | None:
    tags = ExifTags.Base
    focal_mm, size_px = positive_of(camera.get(tags.FocalLength)), _shot_size_px(camera)
    per_unit = positive_of(camera.get(tags.FocalPlaneXResolution))
    unit_mm = FOCAL_PLANE_UNIT_MM.get(camera.get(tags.FocalPlaneResolutionUnit, 2))
    if not (focal_mm and size_px and per_unit and unit_mm):
        return None
    return focal_mm * FULL_FRAME_DIAGONAL_MM / (float(np.hypot(*size_px)) / per_unit * unit_mm)


def _angle_deg(parts: object, reference: object, hemispheres: str, limit_deg: float) -> float | None:
    """Degrees of a (degrees, minutes, seconds) triple; None where it is absent, impossible or has no known sign.

    `hemispheres` are the letters of the positive and the negative side; `reference` begins with one of them.
    """
    if not (isinstance(parts, tuple) and len(parts) == 3):
        return None
    numbers = [number for part in parts if (number := number_of(part)) is not None]
    if len(numbers) < 3:
        return None
    degrees, minutes, seconds = numbers
    angle_deg = abs(degrees) + minutes / 60 + seconds / 3600
    # 60 is allowed, since programs round 59.99. Some write seconds a hundred times too large, which is refused.
    if not (0 <= minutes <= 60 and 0 <= seconds <= 60 and angle_deg <= limit_deg):
        return None
    text = reference.decode("latin-1") if isinstance(reference, bytes) else str(reference or "")
    side = hemispheres.find(text.strip()[:1].upper() or " ")
    if degrees < 0 or side == 1:  # some programs write a sign beside the letter, or in its place
        return -angle_deg
    return angle_deg if side == 0 else None
