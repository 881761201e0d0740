"""ROS messages in, tracker inputs out: the one path that the node and the offline replay share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xview_localizer import messages
from xview_localizer.geometry.camera import CameraModel
from xview_localizer.localizer import Localizer, Observation
from xview_localizer.settings import Settings
from xview_localizer.tracker import DriveTracker


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
        self.camera: CameraModel | None = None

    def on_camera_info(self, message) -> None:
        self.camera = messages.camera_from_info(message)

    def on_fix(self, message) -> None:
        position = messages.position_from_nav_sat_fix(message, self._settings.values["gnss.default_sigma_m"])
        self.tracker.on_gnss(
            _stamp_sec(message),
            position.latitude_deg,
            position.longitude_deg,
            position.altitude_m,
            position.sigma_m,
        )

    def on_odom(self, message) -> None:
        self.tracker.on_odometry(_stamp_sec(message), messages.pose_from_odometry(message))

    def on_imu(self, message) -> None:
        gravity_base = self._settings.R_base_imu @ messages.gravity_from_imu(message)
        self.tracker.on_gravity(_stamp_sec(message), gravity_base)

    def on_image(self, message) -> float:
        """Announce an image that is about to be observed; returns its stamp in seconds."""
        stamp_sec = _stamp_sec(message)
        self.tracker.on_image(stamp_sec)
        return stamp_sec

    def observe(self, message) -> Observation:
        """What a sensor_msgs/Image or CompressedImage shows."""
        if self.camera is None:
            raise NoCameraError("no CameraInfo yet; publish it on camera_info, or remap the topic")
        compressed = not hasattr(message, "encoding")
        image = messages.rgb_from_compressed_image(message) if compressed else self._rgb_from_image(message)
        stamp_sec = messages.stamp_sec(message)
        gravity_base = self.tracker.gravity_at(stamp_sec)
        return self._localizer.observe(
            self._settings.mounting.view(image, self.camera, gravity_base, stamp_sec)
        )


def _stamp_sec(message) -> float:
    """The header's stamp. The tracker would take that of a driver which sets none for a jump back in time."""
    stamp_sec = messages.stamp_sec(message)
    if stamp_sec <= 0:
        raise messages.MessageError("header.stamp is not set (0)")
    return stamp_sec
