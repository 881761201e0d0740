"""Doubts about settings and sensor data that are valid, but that an expert would question.

Each doubt is a sentence with a remedy. Data that contradict themselves are refused elsewhere: see messages.py,
geometry/camera.py and odometry_check.py.
"""

from __future__ import annotations

import re
from collections import deque

import numpy as np

from xview_localizer.inputs.camera_info import CameraInfo
from xview_localizer.inputs.camera_info_doubts import doubt_of_camera_info
from xview_localizer.inputs.settings_doubts import Values, doubts_of_settings

# An IMU that sends this many messages in a row with the default orientation (0, 0, 0, 1) has a driver that sets none.
DEFAULT_ORIENTATIONS = 100
# The scale is stuck where STUCK_SHARE of the last SCALES solved ones lie at the same bound: within AT_BOUND of the
# bounds' width, since a scale is the mean of a posterior that ends at the bound, which it approaches but never reaches.
SCALES, SCALES_LEAST, STUCK_SHARE, AT_BOUND = 30, 10, 0.8, 0.1
# A mounting is doubted where the median of the last TILTS tilts of the ground exceeds TILT_RAD. With right mountings
# it is 0.1° for a panorama and 0.2 to 0.7° for a narrow camera, whose network predicts a slightly short depth ahead.
TILTS, TILTS_LEAST, TILT_RAD = 24, 8, float(np.radians(1.5))
STATUS_UNKNOWN = -2  # of NavSatStatus
# Topics of image_proc, such as image_rect and image_rect_color; their CameraInfo is still that of the raw images.
RECTIFIED_TOPIC = re.compile(r"(?:^|[/_])rect(?:ified)?(?:[/_]|$)")


def doubt_of_unused(role: str, topic: str, count: int, why: str) -> str:
    """That messages of an input, `count` of them, were not used, with the last reason."""
    return f"{count} messages of {role} ({topic}) were not used, such as: {why}"


def lower_side(tilt_rad: np.ndarray) -> tuple[str, float]:
    """The side of the robot that a tilt [2] lowers most, and its angle.

    The tilt is positive where the front, and where the left side, is lower.
    """
    axis = int(np.abs(tilt_rad).argmax())
    return (("front", "rear"), ("left", "right"))[axis][int(tilt_rad[axis] < 0)], abs(float(tilt_rad[axis]))


class DriveDoubts:
    """Doubts about one robot's settings and data, as they come in."""

    def __init__(self, values: Values) -> None:
        self._of_settings = doubts_of_settings(values)
        self._of_status = ""
        self._of_camera_info: dict[str, str] = {}  # by camera
        self._rectified: dict[str, str] = {}  # topics of rectified images, by camera
        self._distorted: dict[str, bool] = {}  # whether images are distorted by their CameraInfo, by camera
        self._default_orientations = 0
        self._scales: deque[tuple[float, tuple[float, float]]] = deque(maxlen=SCALES)
        self._tilts_rad: deque[np.ndarray] = deque(maxlen=TILTS)

    def current(self) -> list[str]:
        """The doubts by all that has come in until now."""
        doubts = [
            *self._of_settings,
            *self._rectified_twice(),
            *self._of_camera_info.values(),
            self._of_status,
            self._attitude_missing(),
            self._stuck_scale(),
            self._tilted(),
        ]
        return [doubt for doubt in doubts if doubt]

    def on_camera_info(
        self, info: CameraInfo, horizontal_fov_rad: float, blind_share: float, camera: str
    ) -> None:
        """A CameraInfo was accepted; see doubt_of_camera_info. The name of an only camera is empty."""
        doubt = doubt_of_camera_info(info, horizontal_fov_rad, blind_share)
        self._of_camera_info[camera] = f"{camera}: {doubt}" if camera and doubt else doubt
        self._distorted[camera] = bool(np.any(info.d))

    def on_image_topic(self, topic: str, camera: str) -> None:
        """The full name of the topic that a camera's images come on."""
        if RECTIFIED_TOPIC.search(topic):
            self._rectified[camera] = topic

    def on_attitude(self, is_default: bool) -> None:
        """An accepted Imu message arrived; `is_default`: its orientation is (0, 0, 0, 1), as in a new message."""
        self._default_orientations = self._default_orientations + 1 if is_default else 0

    def on_status(self, status: int) -> None:
        """`status` of a NavSatFix that was used."""
        self._of_status = (
            "the driver never sets the status of NavSatFix (-2): what it sends without a fix would be taken for "
            "positions; let it set -1 without a fix, and 0 or more with one"
            if status == STATUS_UNKNOWN
            else ""
        )

    def on_scale(self, scale: float, bounds: tuple[float, float]) -> None:
        """The solved scale of an image, and the bounds it was solved within; NaN where nothing was solved."""
        if np.isfinite(scale):
            self._scales.append((scale, bounds))

    def on_tilt(self, tilt_rad: np.ndarray) -> None:
        """The tilt [2] of the ground under which an accepted image matches best (see residual_tilt.py)."""
        self._tilts_rad.append(tilt_rad)

    def _rectified_twice(self) -> list[str]:
        return [
            f"{topic} has rectified images, by its name, and its CameraInfo a distortion, which is taken out once "
            "more; remap to the raw images, or publish a CameraInfo with the k of p and without d"
            for camera, topic in self._rectified.items()
            if self._distorted.get(camera)
        ]

    def _attitude_missing(self) -> str:
        if self._default_orientations < DEFAULT_ORIENTATIONS:
            return ""
        return (
            "the orientation of every Imu is exactly 0, 0, 0, 1: its driver does not fill it in, and roll and "
            "pitch are not seen; let it set orientation_covariance[0] to -1, so that the acceleration is used"
        )

    def _tilted(self) -> str:
        if len(self._tilts_rad) < TILTS_LEAST:
            return ""
        tilt_rad = np.median(self._tilts_rad, axis=0)
        side, angle_rad = lower_side(tilt_rad)
        if angle_rad < TILT_RAD:
            return ""
        return (
            f"images match the map best with the robot's {side} {np.degrees(angle_rad):.0f}° lower than its "
            "mountings say: camera.rpy_deg or imu.rpy_deg, or the transforms in their place, are off; measure them"
        )

    def _stuck_scale(self) -> str:
        if len(self._scales) < SCALES_LEAST:
            return ""
        scales = np.array([scale for scale, _ in self._scales])
        low, high = np.array([bounds for _, bounds in self._scales]).T
        margin = AT_BOUND * (high - low)
        for bound, stuck in ((low, scales < low + margin), (high, scales > high - margin)):
            if stuck.mean() >= STUCK_SHARE:
                return (
                    f"the solved scale stays at its bound, {bound[-1]:g}: camera.height_m, or the map's scale or CRS, "
                    "is wrong by at least that factor; measure the height over the ground"
                )
        return ""
