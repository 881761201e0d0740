"""What is valid, but what an expert would doubt: in the settings, and in what the sensors send.

Each doubt is a sentence with a remedy. What contradicts itself is not here but refused: see messages.py, camera.py and
odometry_check.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

# Heights over the ground of the cameras that the embedded model was trained with.
TRAINED_HEIGHTS_M = (1.2, 2.6)
# A narrower image shows too little ground to tell places apart, or its focal length is in another unit.
NARROW_RAD = float(np.radians(20.0))
# The rotation from a camera's body to its optical frame (REP 103), as URDFs have it.
OPTICAL_RPY_DEG = (-90.0, 0.0, -90.0)
OPTICAL_TOLERANCE_DEG = 15.0
# Angles that are whole multiples of this in degrees once they are taken for radians, to rounding, are radians.
ROUND_DEG, ROUNDING_DEG = 5.0, 0.06
# Solved scales that are looked at, the share of them at the same bound, and how close to it (of the bounds' width).
SCALES, SCALES_LEAST, STUCK_SHARE, AT_BOUND = 30, 10, 0.8, 0.03
STATUS_UNKNOWN = -2

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


def doubt_of_lens(horizontal_fov_rad: float) -> str:
    """What is odd about the field of view of a CameraInfo, or an empty string."""
    if horizontal_fov_rad >= NARROW_RAD:
        return ""
    return (
        f"by its CameraInfo the camera sees only {np.degrees(horizontal_fov_rad):.1f}° across, too little to tell "
        "places apart: is k of a larger image, or fx in another unit than pixels? Calibrate it at the size that it "
        "publishes, or mount a wider lens"
    )


class DriveDoubts:
    """Doubts about one robot's settings and data, as they come in."""

    def __init__(self, values: Values) -> None:
        self._of_settings = doubts_of_settings(values)
        self._status = ""
        self._lenses: dict[str, str] = {}  # by camera
        self._scales: deque[tuple[float, tuple[float, float]]] = deque(maxlen=SCALES)

    def current(self) -> list[str]:
        return [
            *self._of_settings,
            *filter(None, (*self._lenses.values(), self._status, self._stuck_scale())),
        ]

    def on_lens(self, horizontal_fov_rad: float, camera: str) -> None:
        """The field of view of a camera; an only camera has an empty name."""
        doubt = doubt_of_lens(horizontal_fov_rad)
        self._lenses[camera] = f"{camera}: {doubt}" if camera and doubt else doubt

    def on_status(self, status: int) -> None:
        """`status` of a NavSatFix that was used."""
        self._status = (
            "the driver never sets the status of NavSatFix (-2): what it sends without a fix would be taken for "
            "positions; let it set -1 without a fix, and 0 or more with one"
            if status == STATUS_UNKNOWN
            else ""
        )

    def on_scale(self, scale: float, bounds: tuple[float, float]) -> None:
        """The solved scale of an image, and the bounds it was solved within; NaN where nothing was solved."""
        if np.isfinite(scale):
            self._scales.append((scale, bounds))

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
    as_degrees = np.degrees(turned)
    if len(turned) and np.all(np.abs(angles) <= 2 * np.pi) and np.all(_is_round(as_degrees)):
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
