"""XMP tags of a photo: those of panoramas (GPano) and of the gimbals of drones (DJI)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from PIL import Image

from xview_localizer.photo.tag_values import heading_deg_of, number_of

XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\x00"  # of the segment of a JPEG file that holds XMP
# Width over height of an equirectangular panorama of the full sphere.
FULL_SPHERE_ASPECT, ASPECT_TOLERANCE = 2.0, 0.01


def is_sphere_size(width: float, height: float) -> bool:
    """Whether an image of that size has the shape of a panorama of the full sphere, 2 : 1."""
    return abs(width / height - FULL_SPHERE_ASPECT) < ASPECT_TOLERANCE


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


def xmp_packet(file: Image.Image) -> str:
    """The XMP packet as text, empty where there is none."""
    packet = file.info.get("xmp") or file.info.get("XML:com.adobe.xmp") or b""
    if not packet:  # Pillow before 10 leaves it in the JPEG's segments
        for _, segment in getattr(file, "applist", ()):
            if segment.startswith(XMP_HEADER):
                packet = segment[len(XMP_HEADER) :]
                break
    return packet.decode("utf-8", "replace") if isinstance(packet, bytes) else str(packet)


def xmp_tag(xmp: str, prefix: str, name: str) -> str | None:
    """The text of an XMP tag, written as an attribute or as an element; None where there is none."""
    found = re.search(rf'{prefix}:{name}\s*(?:=\s*["\']([^"\']*)["\']|>\s*([^<]*)<)', xmp)
    return (found[1] or found[2] or "").strip() if found else None


def panorama_tags(xmp: str) -> PanoramaTags | None:
    """GPano tags of an equirectangular projection; None without one, and where the sizes contradict each other."""

    def number(name: str) -> float | None:
        return number_of(xmp_tag(xmp, "GPano", name))

    if (xmp_tag(xmp, "GPano", "ProjectionType") or "").lower() != "equirectangular":
        return None
    full_width, full_height = number("FullPanoWidthPixels"), number("FullPanoHeightPixels")
    width, height = number("CroppedAreaImageWidthPixels"), number("CroppedAreaImageHeightPixels")
    if not (full_width and full_height and width and height):
        return None
    left, top = number("CroppedAreaLeftPixels") or 0.0, number("CroppedAreaTopPixels") or 0.0
    fits = left + width <= full_width + 1 and top + height <= full_height + 1
    if not (is_sphere_size(full_width, full_height) and fits):
        return None
    return PanoramaTags(
        full_width_px=full_width,
        full_height_px=full_height,
        cropped_left_px=left,
        cropped_top_px=top,
        cropped_width_px=width,
        cropped_height_px=height,
        heading_deg=heading_deg_of(xmp_tag(xmp, "GPano", "PoseHeadingDegrees")),
        pitch_deg=number("PosePitchDegrees") or 0.0,
        roll_deg=number("PoseRollDegrees") or 0.0,
    )


def gimbal_tags(xmp: str) -> GimbalTags | None:
    """The gimbal's angles. None without the tags, and where all are 0: drones that do not know them write zeros."""
    angles = [
        number_of(xmp_tag(xmp, "drone-dji", f"Gimbal{name}Degree")) for name in ("Yaw", "Pitch", "Roll")
    ]
    known = [angle for angle in angles if angle is not None]
    return GimbalTags(*known) if len(known) == len(angles) and any(known) else None
