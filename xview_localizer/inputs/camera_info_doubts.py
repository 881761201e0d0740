"""Doubts about a CameraInfo that describes a possible camera, but hardly the one that took the images."""

from __future__ import annotations

import numpy as np

from xview_localizer.inputs.camera_info import CameraInfo

# A camera with a smaller field of view than this shows too little ground to distinguish places. More often its focal
# length is given in another unit than pixels.
NARROW_RAD = float(np.radians(20.0))
# No lens that keeps straight lines straight has a greater field of view; a focal length in another unit pretends one.
WIDE_PERSPECTIVE_RAD = float(np.radians(160.0))
PERSPECTIVE_MODELS = ("", "none", "plumb_bob", "rational_polynomial")
# A lens model without directions for this share of the image's width was calibrated in the image's middle only: its
# distortion turns back before the edges. Fisheye lenses with a field of view of HALF_THE_WORLD_RAD have dark edges.
BLIND_SHARE, HALF_THE_WORLD_RAD = 0.1, float(np.radians(160.0))
# Distance of the principal point from the image's middle, along both axes, as a share of the image's size. Real lenses
# are centred better. It is exceeded where k belongs to an image that is a fifth larger, or turned by 90°. Beyond
# MAX_OFF_CENTRE (geometry/camera.py) the CameraInfo is refused.
DOUBTFUL_OFF_CENTRE = 0.1


def doubt_of_camera_info(info: CameraInfo, horizontal_fov_rad: float, blind_share: float) -> str:
    """The first doubt about a CameraInfo, with a remedy, or an empty string.

    `horizontal_fov_rad` is the field of view by the CameraInfo, `blind_share` the share of the image's width for which
    its lens has no directions.
    """
    is_perspective = info.distortion_model.strip().lower() in PERSPECTIVE_MODELS
    return (
        doubt_of_field_of_view(horizontal_fov_rad, is_perspective)
        or doubt_of_principal_point(info)
        or doubt_of_blind_edges(blind_share, horizontal_fov_rad)
    )


def doubt_of_field_of_view(horizontal_fov_rad: float, is_perspective: bool = False) -> str:
    """A doubt about the field of view, or an empty string; `is_perspective` where the lens is no fisheye."""
    if is_perspective and horizontal_fov_rad > WIDE_PERSPECTIVE_RAD:
        return (
            f"by its CameraInfo the camera sees {np.degrees(horizontal_fov_rad):.0f}° across, more than a lens that is "
            "no fisheye can: is fx in another unit than pixels, or the lens an equidistant one? Calibrate it"
        )
    if horizontal_fov_rad >= NARROW_RAD:
        return ""
    return (
        f"by its CameraInfo the camera sees only {np.degrees(horizontal_fov_rad):.1f}° across, too little to tell "
        "places apart: is k of a larger image, or fx in another unit than pixels? Calibrate it at the size that it "
        "publishes, or mount a wider lens"
    )


def doubt_of_blind_edges(blind_share: float, horizontal_fov_rad: float) -> str:
    """A doubt about a lens without directions for `blind_share` of the image's width, or an empty string."""
    if blind_share < BLIND_SHARE or horizontal_fov_rad > HALF_THE_WORLD_RAD:
        return ""
    return (
        f"by its CameraInfo the lens has no directions for {blind_share:.0%} of the image's width, which is not used: "
        "its distortion turns back before the edges; calibrate it with the board there, too, or as equidistant"
    )


def doubt_of_principal_point(info: CameraInfo) -> str:
    """A doubt about the principal point of a CameraInfo of the whole image, or an empty string."""
    if info.distortion_model.strip().lower() == "equirectangular" or info.roi.width:
        return ""
    cx, cy = info.k[2] + 0.5, info.k[5] + 0.5
    off = abs(cx / info.width - 0.5), abs(cy / info.height - 0.5)
    if min(off) <= DOUBTFUL_OFF_CENTRE:
        return ""
    return (
        f"by its CameraInfo the camera's principal point is ({cx:.0f}, {cy:.0f}) in an image of {info.width} × "
        f"{info.height} px: is k that of a larger image, or of one that was turned? Calibrate it as it publishes"
    )
