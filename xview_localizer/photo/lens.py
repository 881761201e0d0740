"""The camera model of a photo: a pinhole or a panorama, by its metadata, its shape or the user's field of view."""

from __future__ import annotations

import numpy as np

from xview_localizer.geometry.camera import CameraModel, EquirectangularCamera, PinholeCamera
from xview_localizer.photo.known import KnownByUser
from xview_localizer.photo.metadata import FULL_FRAME_DIAGONAL_MM, PhotoMetadata
from xview_localizer.photo.seam import edges_meet
from xview_localizer.photo.shape import is_cropped, is_sphere, is_stitched
from xview_localizer.photo.xmp import PanoramaTags

FULL_CIRCLE_DEG = 360.0
# Widest field of view of a rectilinear lens; a greater one is taken for a panorama's.
MAX_PINHOLE_FOV_DEG = 150.0


def camera_of_photo(
    image: np.ndarray, recorded: PhotoMetadata, known: KnownByUser, notes: list[str]
) -> CameraModel | None:
    """The camera by the user's field of view, GPano tags, the shape of a full panorama, or the focal length.

    These are tried in this order; None where all are missing. `notes` receives where the camera model comes from.
    """
    height, width = image.shape[:2]
    if known.hfov_deg is not None:
        return _camera_of_fov(width, height, known.hfov_deg)
    if recorded.panorama is not None:
        notes.append("panorama, by its XMP tags")
        return _tagged_panorama(width, height, recorded.panorama)
    full_sphere, tagged = is_sphere(image), recorded.projection == "equirectangular"
    untold = recorded.focal_35mm is None and not recorded.projection
    if full_sphere and (tagged or (untold and edges_meet(image))):
        notes.append("panorama of the full sphere, by its shape of 2 : 1")
        return _camera_of_fov(width, height, FULL_CIRCLE_DEG)
    of_one_shot = not (full_sphere or is_stitched(image, recorded) or is_cropped(image, recorded))
    if recorded.focal_35mm is not None and of_one_shot:
        focal_px = recorded.focal_35mm * float(np.hypot(width, height)) / FULL_FRAME_DIAGONAL_MM
        hfov_deg, zoom = _hfov_deg(width, focal_px), recorded.digital_zoom
        note = f"field of view {hfov_deg:.0f}°, from the focal length in its EXIF"
        if zoom:
            zoomed_deg = _hfov_deg(width, zoom * focal_px)
            note += f" (if that leaves out its digital zoom of {zoom:.2g}, give --hfov {zoomed_deg:.0f})"
        notes.append(note)
        return _camera_of_fov(width, height, hfov_deg)
    return None


def _hfov_deg(width: int, focal_px: float) -> float:
    return float(np.degrees(2 * np.arctan(width / 2 / focal_px)))


def _camera_of_fov(width: int, height: int, hfov_deg: float) -> CameraModel:
    if hfov_deg > MAX_PINHOLE_FOV_DEG:
        px_per_rad = float(width / np.radians(hfov_deg))
        return EquirectangularCamera(width, height, px_per_rad, px_per_rad, width / 2, height / 2)
    focal_px = float(width / 2 / np.tan(np.radians(hfov_deg) / 2))
    return PinholeCamera(width, height, focal_px, focal_px, width / 2, height / 2)


def _tagged_panorama(width: int, height: int, tags: PanoramaTags) -> EquirectangularCamera:
    """The camera of a panorama with GPano tags, whose sizes are those before the image was resized."""
    shrink_h, shrink_v = width / tags.cropped_width_px, height / tags.cropped_height_px
    return EquirectangularCamera(
        width,
        height,
        px_per_rad_h=float(shrink_h * tags.full_width_px / (2 * np.pi)),
        px_per_rad_v=float(shrink_v * tags.full_height_px / np.pi),
        centre_column=width / 2,
        horizon_row=float(shrink_v * (tags.full_height_px / 2 - tags.cropped_top_px)),
    )
