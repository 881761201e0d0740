"""ROS messages in, tracker inputs out: the one path that the node and the offline replay share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from xview_localizer import messages
from xview_localizer.geometry.camera import CameraModel
from xview_localizer.ground_view import GroundView
from xview_localizer.localizer import Localizer
from xview_localizer.observation import Observation, empty_observation
from xview_localizer.odometry_check import OdometryCheck
from xview_localizer.settings import Settings
from xview_localizer.tracking.motion import SampleError
from xview_localizer.tracking.tracker import DriveTracker

# Lengths of the map frame shrink by 0.05 % there; what is further off is a mistake.
MAX_FROM_DATUM_M = 200e3


class NoCameraError(messages.MessageError):
    """No CameraInfo has come yet; there is nothing wrong with the image."""


class DriveIntake:
    """Checks messages at the door and hands them to a DriveTracker; raises MessageError on bad ones.

    `rgb_from_image` converts a sensor_msgs/Image.
    """

    def __init__(
        self,
        localizer: Localizer,
        settings: Settings,
        rgb_from_image: Callable[[object], np.ndarray] = messages.rgb_from_image,
    ) -> None:
        self.tracker = DriveTracker(localizer, settings.frame, settings.tracker)
        self._localizer, self._settings, self._rgb_from_image = localizer, settings, rgb_from_image
        self._odometry_check = OdometryCheck()
        self.camera: CameraModel | None = None

    def on_camera_info(self, message) -> None:
        self.camera = messages.camera_from_info(message)

    def on_fix(self, message) -> None:
        position = messages.position_from_nav_sat_fix(message, self._settings.values["gnss.default_sigma_m"])
        geodetic = (position.latitude_deg, position.longitude_deg, position.altitude_m)
        from_datum_m = self._settings.frame.distance_m(*geodetic[:2])
        if not from_datum_m <= MAX_FROM_DATUM_M:
            raise messages.MessageError(
                f"NavSatFix is {1e-3 * from_datum_m:.0f} km from the datum; check its sign and the order of "
                "latitude and longitude"
            )
        with _refusals_as_message_errors():
            self.tracker.on_gnss(_stamp_sec(message), *geodetic, position.sigma_m)

    def on_odom(self, message) -> None:
        stamp_sec, pose = _stamp_sec(message), messages.pose_from_odometry(message)
        self._odometry_check.check(message)
        with _refusals_as_message_errors():
            self.tracker.on_odometry(stamp_sec, pose)

    def on_imu(self, message) -> None:
        gravity_base = self._settings.R_base_imu @ messages.gravity_from_imu(message)
        if gravity_base[2] > -np.cos(messages.MAX_LEAN_RAD):
            raise messages.MessageError(
                f"Imu makes base_link lean by {np.degrees(np.arccos(np.clip(-gravity_base[2], -1, 1))):.0f}° (down is "
                f"{np.round(gravity_base, 2).tolist()} in it), which no driving robot does; check the sign of the "
                "acceleration (+9.81 along up at rest), imu.rpy_deg, and that the attitude is ENU, not NED (REP 145)"
            )
        with _refusals_as_message_errors():
            self.tracker.on_gravity(_stamp_sec(message), gravity_base, messages.is_from_acceleration(message))

    def on_image(self, message) -> float:
        """Announce an image that is about to be observed; returns its stamp in seconds."""
        stamp_sec = _stamp_sec(message)
        self.tracker.on_image(stamp_sec)
        return stamp_sec

    def observe(self, message) -> Observation:
        """What a sensor_msgs/Image or CompressedImage shows; nothing, for a reason, where attitude is missing."""
        try:
            view = self.view(message)
        except SampleError as error:
            return empty_observation(messages.stamp_sec(message), str(error))
        return self._localizer.observe(view)

    def view(self, message) -> GroundView:
        """A sensor_msgs/Image or CompressedImage as the localizer takes it; raises SampleError without attitude."""
        if self.camera is None:
            raise NoCameraError("no CameraInfo yet; publish it on camera_info, or remap the topic")
        compressed = not hasattr(message, "encoding")
        if compressed:
            image = messages.rgb_from_compressed_image(message, self.camera.width * self.camera.height)
        else:
            image = self._rgb_from_image(message)
        stamp_sec = messages.stamp_sec(message)
        gravity_base = self.tracker.gravity_at(stamp_sec)
        return self._settings.mounting.view(image, self.camera, gravity_base, stamp_sec)


@contextmanager
def _refusals_as_message_errors() -> Iterator[None]:
    """The tracker knows nothing of messages, and those who count bad ones nothing of samples."""
    try:
        yield
    except SampleError as error:
        raise messages.MessageError(str(error)) from error


def _stamp_sec(message) -> float:
    """The header's stamp; a driver that sets none is told so, before its zeros pass for a time."""
    stamp_sec = messages.stamp_sec(message)
    if stamp_sec <= 0:
        raise messages.MessageError("header.stamp is not set (0)")
    return stamp_sec
