"""What is valid, but what an expert would doubt: in the settings, and in what the sensors send.

Each doubt is a sentence with a remedy. What contradicts itself is not here but refused: see messages.py, camera.py and
odometry_check.py.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

# Heights over the ground of the cameras that the embedded model was trained with.
TRAINED_HEIGHTS_M = (1.2, 2.6)
# A narrower image shows too little ground to tell places apart, or its focal length is in another unit.
NARROW_RAD = float(np.radians(20.0))
# No lens that keeps straight lines straight sees further across; with another unit of the focal length it seems to.
WIDE_PERSPECTIVE_RAD = float(np.radians(160.0))
PERSPECTIVE = ("", "none", "plumb_bob", "rational_polynomial")
# Share of the image's width for which a lens has no directions, since its distortion turns back before: a calibration
# that was made in the image's middle only. Fisheyes that see half the world have dark edges there.
BLIND_SHARE, HALF_THE_WORLD_RAD = 0.1, float(np.radians(160.0))
# Distance of the principal point from the image's middle, in both directions, in image sizes. Lenses are centred
# better; a k of an image that is a fifth larger, or turned by 90°, is not. What is further off is refused
# (MAX_OFF_CENTRE).
DOUBTFUL_OFF_CENTRE = 0.1
# So many messages of an IMU in a row, all with the default orientation (0, 0, 0, 1), show that its driver sets none.
DEFAULT_ORIENTATIONS = 100
# The rotation from a camera's body to its optical frame (REP 103), as URDFs have it.
OPTICAL_RPY_DEG = (-90.0, 0.0, -90.0)
OPTICAL_TOLERANCE_DEG = 15.0
# Angles that are whole multiples of this in degrees once they are taken for radians, to rounding, are radians.
ROUND_DEG, ROUNDING_DEG = 5.0, 0.06
# Solved scales that are looked at, the share of them at the same bound, and how close to it (of the bounds' width): a
# scale is the mean of a posterior that ends at the bound, so that it comes near and does not reach it.
SCALES, SCALES_LEAST, STUCK_SHARE, AT_BOUND = 30, 10, 0.8, 0.1
# Tilts of the ground that are looked at, and the median of them that blames a mounting. With right mountings it is 0.1°
# for a panorama and 0.2 to 0.7° for a narrow camera, since the depth that the network predicts ahead is a little short.
TILTS, TILTS_LEAST, TILT_RAD = 24, 8, float(np.radians(1.5))
STATUS_UNKNOWN = -2
# Topics of image_proc, such as image_rect and image_rect_color, whose CameraInfo stays that of the raw images.
RECTIFIED_TOPIC = re.compile(r"(?:^|[/_])rect(?:ified)?(?:[/_]|$)")

Values = Mapping[str, object]


def doubts_of_settings(values: Values) -> list[str]:
    """`values` are the parameters that were given, by name; the others come from TF or are left at their default."""
    doubts = [_rotation("imu.rpy_deg", values.get("imu.rpy_deg"))]
    for camera in dict.fromkeys(name.rpartition(".")[0] for name in values if name.startswith("camera.")):
        rpy_deg = f"{camera}.rpy_deg"
        doubts += [
            _zero_mounting(camera, values),
            _rotation(rpy_deg, values.get(rpy_deg)),
            _height(camera, values),
        ]
    return [doubt for doubt in doubts if doubt]


def doubt_of_lens(horizontal_fov_rad: float, perspective: bool = False) -> str:
    """What is odd about the field of view of a CameraInfo, or an empty string; `perspective`: it is no fisheye."""
    if perspective and horizontal_fov_rad > WIDE_PERSPECTIVE_RAD:
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
    """What is odd about a lens that has no directions for this share of the image's width, or an empty string."""
    if blind_share < BLIND_SHARE or horizontal_fov_rad > HALF_THE_WORLD_RAD:
        return ""
    return (
        f"by its CameraInfo the lens has no directions for {blind_share:.0%} of the image's width, which is not used: "
        "its distortion turns back before the edges; calibrate it with the board there, too, or as equidistant"
    )


def doubt_of_principal_point(message) -> str:
    """What is odd about the principal point of a CameraInfo of the whole image, or an empty string."""
    if message.distortion_model.strip().lower() == "equirectangular" or message.roi.width:
        return ""
    cx, cy = message.k[2] + 0.5, message.k[5] + 0.5
    off = abs(cx / message.width - 0.5), abs(cy / message.height - 0.5)
    if min(off) <= DOUBTFUL_OFF_CENTRE:
        return ""
    return (
        f"by its CameraInfo the camera's principal point is ({cx:.0f}, {cy:.0f}) in an image of {message.width} × "
        f"{message.height} px: is k that of a larger image, or of one that was turned? Calibrate it as it publishes"
    )


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
        return [
            *self._of_settings,
            *self._rectified_twice(),
            *filter(
                None,
                (
                    *self._of_camera_info.values(),
                    self._of_status,
                    self._attitude_missing(),
                    self._stuck_scale(),
                    self._tilted(),
                ),
            ),
        ]

    def on_camera_info(self, message, horizontal_fov_rad: float, blind_share: float, camera: str) -> None:
        """A CameraInfo that was taken, the field of view by it, and the share of the image's width without directions.

        An only camera has an empty name.
        """
        perspective = message.distortion_model.strip().lower() in PERSPECTIVE
        doubt = (
            doubt_of_lens(horizontal_fov_rad, perspective)
            or doubt_of_principal_point(message)
            or doubt_of_blind_edges(blind_share, horizontal_fov_rad)
        )
        self._of_camera_info[camera] = f"{camera}: {doubt}" if camera and doubt else doubt
        self._distorted[camera] = bool(np.any(message.d))

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


def _zero_mounting(camera: str, values: Values) -> str:
    names = (f"{camera}.position_in_base_m", f"{camera}.rpy_deg")
    given = [values.get(name) for name in names]
    if any(value is None or np.any(value) for value in given):
        return ""
    return (
        f"{' and '.join(names)} are all zero: a camera in base_link's origin, level, that looks straight ahead; give "
        "the robot's own mounting, or leave them out and publish it on /tf_static"
    )


def _rotation(name: str, rpy_deg: object) -> str:
    if not isinstance(rpy_deg, Sequence) or len(rpy_deg) != 3:
        return ""
    angles = np.array(rpy_deg, dtype=float)
    if np.all(np.abs(angles - OPTICAL_RPY_DEG) < OPTICAL_TOLERANCE_DEG):
        return (
            f"{name} {angles.tolist()} is the turn of an optical frame (REP 103); give that of the body, whose x "
            "points along the view: [0, 0, 0] looks ahead, a positive pitch down"
        )
    turned = angles[angles != 0]
    if len(turned) and np.all(np.abs(angles) <= 2 * np.pi) and np.all(_is_round(np.degrees(turned))):
        return (
            f"{name} {angles.tolist()} looks like radians, {np.round(np.degrees(angles), 1).tolist()} in degrees; "
            "write degrees"
        )
    return ""


def _is_round(angles_deg: np.ndarray) -> np.ndarray:
    nearest = ROUND_DEG * np.round(angles_deg / ROUND_DEG)
    return (np.abs(angles_deg - nearest) < ROUNDING_DEG) & (nearest != 0)


def _height(camera: str, values: Values) -> str:
    height_m, (low_m, high_m) = values.get(f"{camera}.height_m"), TRAINED_HEIGHTS_M
    if not isinstance(height_m, float) or height_m == 0 or low_m <= height_m <= high_m:
        return ""
    return (
        f"{camera}.height_m is {height_m:g}, and models are trained for {low_m:g} to {high_m:g} m over the ground: "
        "poses get rare and less sure outside of it; mount the camera within, or train a model for its height "
        "(docs/adapting.md)"
    )
