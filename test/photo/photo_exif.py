"""EXIF data as cameras write it."""

from __future__ import annotations

from PIL import ExifTags, Image


def dms(angle_deg: float) -> tuple[float, float, float]:
    """Degrees, minutes and seconds of an angle's absolute value, as EXIF has them."""
    minutes, seconds = divmod(abs(angle_deg) * 3600, 60)
    degrees, minutes = divmod(minutes, 60)
    return degrees, minutes, seconds


def exif(
    latitude_deg=None,
    longitude_deg=None,
    heading_deg=None,
    error_m=None,
    camera=None,
    reference="T",
    **gps_tags,
):
    """EXIF data with the given tags; `camera` are tags of the Exif IFD, `gps_tags` further ones by name."""
    tags, data = ExifTags.GPS, Image.Exif()
    gps = {tags[name]: value for name, value in gps_tags.items()}
    if latitude_deg is not None:
        gps[tags.GPSLatitudeRef] = "S" if latitude_deg < 0 else "N"
        gps[tags.GPSLatitude] = dms(latitude_deg)
        gps[tags.GPSLongitudeRef] = "W" if longitude_deg < 0 else "E"
        gps[tags.GPSLongitude] = dms(longitude_deg)
    if heading_deg is not None:
        gps[tags.GPSImgDirectionRef], gps[tags.GPSImgDirection] = reference, heading_deg
    if error_m is not None:
        gps[tags.GPSHPositioningError] = error_m
    data[ExifTags.IFD.GPSInfo] = gps
    if camera:
        data[ExifTags.IFD.Exif] = camera
    return data
