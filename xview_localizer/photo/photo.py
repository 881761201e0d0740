"""A single photo with its camera, position and heading, from its metadata and from the user."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xview_localizer.geometry.camera import CameraModel, EquirectangularCamera
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.pose import MAX_SEARCH_RADIUS_M, Prior
from xview_localizer.ground_view import GroundView
from xview_localizer.photo.fisheye import fisheye_circles
from xview_localizer.photo.known import KnownByUser
from xview_localizer.photo.lens import FULL_CIRCLE_DEG, camera_of_photo
from xview_localizer.photo.metadata import PhotoError, PhotoMetadata, decoded, read_photo_file
from xview_localizer.photo.shape import has_shape, is_cropped, is_sphere, is_stitched
from xview_localizer.photo.xmp import ASPECT_TOLERANCE, FULL_SPHERE_ASPECT

DEFAULT_RADIUS_M = 30.0
# Phones report the radius that holds the truth with a probability of 68 %. The search radius is POSITION_ERRORS times
# that, and at least MIN_RADIUS_M.
MIN_RADIUS_M, POSITION_ERRORS = 15.0, 2.0
# Accuracy of a phone's compass near cars and steel. It is also assumed for a heading that a user gives without one.
DEFAULT_HEADING_SIGMA_DEG = 15.0
# It includes the magnetic declination, which reaches some 15 degrees in inhabited areas.
MAGNETIC_HEADING_SIGMA_DEG = 30.0
# A drone that is further above its start has flown: its camera is higher than the solver searches.
MAX_OVER_START_M = 5.0


@dataclass(frozen=True)
class Photo:
    """A photo ready to be localized. `notes` list assumptions and the sources of values."""

    name: str
    image: np.ndarray  # [H, W, 3] uint8 RGB, upright
    camera: CameraModel
    latitude_deg: float
    longitude_deg: float
    radius_m: float
    heading_deg: float | None
    heading_sigma_deg: float | None
    height_m: float | None
    pitch_deg: float
    roll_deg: float
    pitch_known: bool = True  # else it is found together with the pose (tilt.py)
    notes: tuple[str, ...] = ()

    def view(self) -> GroundView:
        """The photo as a view of a camera at the origin of a level base_link."""
        return GroundView(
            image=self.image,
            camera=self.camera,
            R_base_camera=R_base_optical_from_rpy(np.radians(self.roll_deg), np.radians(self.pitch_deg), 0.0),
            camera_in_base_m=np.zeros(3),
            gravity_base=None,
            camera_height_m=self.height_m,
            stamp_sec=0.0,
        )

    def prior(self, frame: LocalFrame) -> Prior:
        """The prior of position and heading in `frame`. A yaw of 0 is east, a heading of 0 is north."""
        x_m, y_m, _ = frame.enu_from_geodetic(self.latitude_deg, self.longitude_deg, frame.altitude_m)
        if self.heading_deg is None or self.heading_sigma_deg is None:
            return Prior(float(x_m), float(y_m), self.radius_m)
        yaw_rad, sigma_rad = np.radians([90.0 - self.heading_deg, self.heading_sigma_deg])
        return Prior(float(x_m), float(y_m), self.radius_m, float(yaw_rad), float(sigma_rad))


def read_photo(path: Path | str, known: KnownByUser = KnownByUser()) -> Photo:
    """Read a photo and complete its metadata with the user's values.

    Raises PhotoError that names everything missing and the options by which to give it.
    """
    path = Path(path)
    image, recorded = read_photo_file(path)
    if circles := fisheye_circles(image):
        raise PhotoError(
            f"{path} shows {'a round picture' if circles == 1 else 'the round pictures'} of a fisheye camera, which is "
            "neither a photo of straight lines nor a panorama; let the camera's own software unroll and stitch it"
        )
    tags = recorded.panorama
    if tags is not None and not has_shape(image, (tags.cropped_width_px, tags.cropped_height_px)):
        recorded = replace(recorded, panorama=None)  # edited since it was tagged
    notes: list[str] = []
    position_deg = _position(recorded, known)
    camera = camera_of_photo(image, recorded, known, notes)
    flew = known.height_m is None and (recorded.over_start_m or 0.0) > MAX_OVER_START_M
    if position_deg is None or camera is None or flew:
        raise PhotoError(_missing(path, image, recorded, position_deg is None, camera is None, flew))
    heading_deg, sigma_deg = _heading(image, recorded, known, notes)
    if known.height_m is None:
        notes.append("camera height not given: estimated together with the pose, between 1.2 and 3.2 m")
    tilted = recorded.panorama or recorded.gimbal
    # Panoramas are stitched level.
    pitch_known = (
        known.pitch_deg is not None or tilted is not None or isinstance(camera, EquirectangularCamera)
    )
    return Photo(
        name=decoded(path.name),
        image=image,
        camera=camera,
        latitude_deg=position_deg[0],
        longitude_deg=position_deg[1],
        radius_m=_radius_m(recorded, known, notes),
        heading_deg=heading_deg,
        heading_sigma_deg=sigma_deg,
        height_m=known.height_m,
        pitch_deg=_given_or(known.pitch_deg, -tilted.pitch_deg if tilted else 0.0),
        roll_deg=_given_or(known.roll_deg, tilted.roll_deg if tilted else 0.0),
        pitch_known=pitch_known,
        notes=tuple(notes),
    )


def _position(recorded: PhotoMetadata, known: KnownByUser) -> tuple[float, float] | None:
    """Rough latitude and longitude, degrees; None where neither is known well enough for a search."""
    if known.latitude_deg is not None and known.longitude_deg is not None:
        return known.latitude_deg, known.longitude_deg
    too_rough = (
        known.radius_m is None and POSITION_ERRORS * (recorded.position_error_m or 0.0) > MAX_SEARCH_RADIUS_M
    )
    if recorded.latitude_deg is None or recorded.longitude_deg is None or too_rough:
        return None
    return recorded.latitude_deg, recorded.longitude_deg


def _radius_m(recorded: PhotoMetadata, known: KnownByUser, notes: list[str]) -> float:
    if known.radius_m is not None:
        return known.radius_m
    if known.latitude_deg is None and recorded.position_error_m:
        radius_m = max(MIN_RADIUS_M, POSITION_ERRORS * recorded.position_error_m)
        notes.append(f"search radius {radius_m:.0f} m, from the photo's own position error")
        return radius_m
    notes.append(f"search radius {DEFAULT_RADIUS_M:.0f} m")
    return DEFAULT_RADIUS_M


def _heading(
    image: np.ndarray, recorded: PhotoMetadata, known: KnownByUser, notes: list[str]
) -> tuple[float | None, float | None]:
    """Compass heading of the image's middle column and its standard deviation, degrees."""
    if known.heading_deg is not None:
        return known.heading_deg, _given_or(known.heading_sigma_deg, DEFAULT_HEADING_SIGMA_DEG)
    panorama = recorded.panorama
    if panorama is not None and panorama.heading_deg is not None:
        # GPano's heading is that of the full panorama's centre column, which may not be that of a crop.
        offset_px = panorama.cropped_left_px + panorama.cropped_width_px / 2 - panorama.full_width_px / 2
        heading_deg = panorama.heading_deg + FULL_CIRCLE_DEG * offset_px / panorama.full_width_px
        notes.append(f"heading {heading_deg % 360:.0f}° from the photo's XMP")
        return heading_deg, _given_or(known.heading_sigma_deg, DEFAULT_HEADING_SIGMA_DEG)
    if recorded.gimbal is not None:
        notes.append(f"heading {recorded.gimbal.heading_deg % 360:.0f}° and tilt from its gimbal's XMP")
        return recorded.gimbal.heading_deg, _given_or(known.heading_sigma_deg, MAGNETIC_HEADING_SIGMA_DEG)
    if recorded.heading_deg is not None and (is_sphere(image) or not is_stitched(image, recorded)):
        sigma_deg = MAGNETIC_HEADING_SIGMA_DEG if recorded.heading_is_magnetic else DEFAULT_HEADING_SIGMA_DEG
        kind = "magnetic north, so taken as rough" if recorded.heading_is_magnetic else "true north"
        notes.append(f"heading {recorded.heading_deg % 360:.0f}° from the photo's EXIF ({kind})")
        return recorded.heading_deg, _given_or(known.heading_sigma_deg, sigma_deg)
    notes.append("heading not known: all directions are searched (--heading makes the result more certain)")
    return None, None


def _missing(
    path: Path, image: np.ndarray, recorded: PhotoMetadata, no_position: bool, no_camera: bool, flew: bool
) -> str:
    """The values that neither the photo nor the user gives, and the options by which to give them."""
    height, width = image.shape[:2]
    missing = []
    if no_position:
        error_m = recorded.position_error_m
        rough = recorded.latitude_deg is not None and error_m is not None
        cause = f"GPS in its EXIF may be {error_m:.0f} m off" if rough else "no usable GPS in its EXIF"
        missing.append(f"its rough position ({cause}): give --at LAT,LON")
    if no_camera:
        long = width >= (FULL_SPHERE_ASPECT - ASPECT_TOLERANCE) * height
        example = "360 if it is a panorama all around" if long else "a phone's main camera has about 65"
        cause = "its shape is also that of panoramas" if long else "no focal length in its EXIF"
        if is_sphere(image) and recorded.focal_35mm is None and not recorded.projection:
            cause = "it has the shape of a panorama, but its left and right edges do not meet"
        if not long and recorded.focal_35mm is not None and is_cropped(image, recorded):
            cause = "it was cropped, so that the focal length in its EXIF is not its own"
        missing.append(f"its horizontal field of view ({cause}): give --hfov DEGREES ({example})")
    if flew:
        missing.append(
            f"the height of its camera over the ground ({recorded.over_start_m:.0f} m over the drone's start): give "
            "--height METRES"
        )
    return f"{path} lacks " + "; and ".join(missing)


def _given_or(given: float | None, otherwise: float) -> float:
    return otherwise if given is None else given
