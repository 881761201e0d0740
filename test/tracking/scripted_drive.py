"""A drive along an arc whose truth is known, and a localizer whose modes are scripted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from xview_localizer.belief.calibration import CalibrationSpec
from xview_localizer.belief.gate import GateConfig
from xview_localizer.geometry.dense import PoseMode
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.modes import Modes
from xview_localizer.observation import Observation, PlacedObservation
from xview_localizer.rejection import Rejection
from xview_localizer.tracking.motion import SampleError
from xview_localizer.tracking.tracked_fix import TrackedFix
from xview_localizer.tracking.tracker import DriveTracker, TrackerConfig

FRAME = LocalFrame(48.0, 11.0, 500.0)
SPEED_MPS = 5.0
START = Pose2(20.0, -10.0, 0.5)
T_MAP_ODOM = Pose2(100.0, 50.0, 1.2)
ANTENNA_M = (1.5, -0.4)
CONFIG = TrackerConfig()
DOWN = np.array([0.0, 0.0, -1.0])
CLEAR, WEAK = 120.0, 6.0  # log evidence: of one image that settles the place, and of one that hints at it


def true_pose(stamp_sec: float) -> Pose2:
    """A drive along an arc."""
    return START @ Pose2(SPEED_MPS * stamp_sec, 0.2 * stamp_sec**2, 0.05 * stamp_sec)


def standing_pose(stamp_sec: float) -> Pose2:
    return START


def odometry_pose(stamp_sec: float) -> Pose2:
    return T_MAP_ODOM.inverse() @ true_pose(stamp_sec)


def shifted(pose: Pose2, east_m: float, north_m: float) -> Pose2:
    return Pose2(pose.x_m + east_m, pose.y_m + north_m, pose.yaw_rad)


def distance_m(a: Pose2 | Prior, b: Pose2) -> float:
    return float(np.hypot(a.x_m - b.x_m, a.y_m - b.y_m))


@dataclass(frozen=True)
class Place:
    """A mode at the true pose, moved by a constant offset: it moves along with the robot."""

    log_evidence: float = CLEAR
    east_m: float = 0.0
    north_m: float = 0.0


@dataclass(frozen=True)
class Asked:
    placed: Sequence[PlacedObservation]
    search: Prior
    expected: Sequence[Pose2]


@dataclass(frozen=True)
class ScriptedSpec:
    """Numbers of its own: a model that is calibrated anew changes nothing here."""

    calibration: CalibrationSpec = CalibrationSpec(
        mode_weight=0.09, none_share=0.85, none_bias=1.0, independence_m=16.0
    )


@dataclass(frozen=True)
class ScriptedConfig:
    gate: GateConfig = GateConfig(min_confidence=0.95, first_min_confidence=0.95)


@dataclass
class ScriptedLocalizer:
    """Finds `places`, and keeps what it was asked."""

    places: tuple[Place, ...] = (Place(),)
    truth: Callable[[float], Pose2] = true_pose
    rejection: Rejection | None = None
    on_slope: bool = False
    spec: ScriptedSpec = field(default_factory=ScriptedSpec)
    config: ScriptedConfig = field(default_factory=ScriptedConfig)
    asked: list[Asked] = field(default_factory=list)

    def modes(
        self, placed: Sequence[PlacedObservation], prior: Prior, expected: Sequence[Pose2] = ()
    ) -> Modes:
        self.asked.append(Asked(placed, prior, expected))
        stamp_sec = placed[-1].observation.stamp_sec
        if self.rejection is not None:
            return Modes(stamp_sec, prior, rejection=self.rejection)
        modes = [
            PoseMode(
                shifted(self.truth(stamp_sec), place.east_m, place.north_m),
                scale=1.02,
                covariance=np.diag([0.1, 0.1, 0.001]),
                log_evidence=place.log_evidence,
                log_evidence_current=place.log_evidence,
                log_prior=0.0,
            )
            for place in sorted(self.places, key=lambda place: -place.log_evidence)
        ]
        return Modes(
            stamp_sec, prior, tuple(modes), len(placed), 1.5, 80, 0.4, depth_source="network",
            on_slope=self.on_slope,
        )  # fmt: skip


def observation(stamp_sec: float, reason: str = "") -> Observation:
    return Observation(
        np.ones((3, 2)),
        np.zeros(2),
        np.ones((3, 4)),
        np.zeros(3),
        np.ones(3),
        True,
        "network",
        stamp_sec,
        reason,
    )


def feed(
    tracker: DriveTracker,
    until_sec: float,
    from_sec: float = 0.0,
    gnss_bias_m: tuple[float, float] = (0.0, 0.0),
    gnss_ahead_sec: float = 0.0,
    with_gnss: bool = True,
    with_odometry: bool = True,
    odometry: Callable[[float], Pose2] = odometry_pose,
    truth: Callable[[float], Pose2] = true_pose,
) -> None:
    """Odometry at 20 Hz and GNSS at 2 Hz; refused as in a node where time jumps."""
    for stamp_sec in np.round(np.arange(from_sec, until_sec + 1e-9, 0.05), 3).tolist():
        if with_odometry:
            with suppress(SampleError):
                tracker.on_odometry(stamp_sec, odometry(stamp_sec))
        if with_gnss and abs(stamp_sec * 2 - round(stamp_sec * 2)) < 1e-6:
            with suppress(SampleError):
                feed_gnss(tracker, stamp_sec, gnss_bias_m, gnss_ahead_sec, truth)


def feed_gnss(
    tracker: DriveTracker,
    stamp_sec: float,
    bias_m: tuple[float, float] = (0.0, 0.0),
    ahead_sec: float = 0.0,
    truth: Callable[[float], Pose2] = true_pose,
) -> None:
    xy_m = truth(stamp_sec).transform(ANTENNA_M) + bias_m
    tracker.on_gnss(stamp_sec + ahead_sec, *FRAME.geodetic_from_enu([*xy_m, 0.0]), 4.0, ANTENNA_M)


def look(tracker: DriveTracker, stamp_sec: float) -> TrackedFix:
    tracker.on_image(stamp_sec)
    return tracker.locate(observation(stamp_sec))


def drive(tracker: DriveTracker, stamps: Sequence[float], **inputs) -> list[TrackedFix]:
    """Everything up to the last stamp, then the images."""
    feed(tracker, stamps[-1], **inputs)
    return [look(tracker, stamp_sec) for stamp_sec in stamps]


def drive_on(tracker: DriveTracker, stamps: Iterable[float], from_sec: float, **inputs) -> list[TrackedFix]:
    """Image by image, each after the sensors have reached it; `from_sec` is the sensors' next stamp."""
    answers = []
    for stamp_sec in stamps:
        feed(tracker, stamp_sec, from_sec, **inputs)
        from_sec = round(stamp_sec + 0.05, 3)
        answers.append(look(tracker, stamp_sec))
    return answers
