"""Earlier images that are solved together with the current one, joined by odometry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from xview_localizer.geometry.pose import Pose2
from xview_localizer.observation import IDENTITY_POSE, Observation, PlacedObservation
from xview_localizer.tracking.motion import OdometryBuffer

# The stamps of cameras that are triggered together differ by less. At driving speed that is some decimetres.
SAME_MOMENT_SEC = 0.02


@dataclass(frozen=True)
class KeyframeConfig:
    """At most `count` images are solved together, the current one included, about `spacing_m` of road apart."""

    count: int = 5
    spacing_m: float = 2.5


@dataclass(frozen=True)
class Keyframes:
    """The last observations of a drive that were far enough apart, oldest first; immutable."""

    observations: tuple[Observation, ...] = ()

    def with_observation(
        self, observation: Observation, odometry: OdometryBuffer, config: KeyframeConfig
    ) -> Keyframes:
        """These and `observation`, if odometry covers it and the robot has driven `spacing_m` since the last one."""
        if odometry.at(observation.stamp_sec) is None:
            return self
        if self.observations:
            motion = odometry.motion(self.observations[-1].stamp_sec, observation.stamp_sec)
            if motion is not None and motion.travelled_m < config.spacing_m:
                return self
        return replace(self, observations=(*self.observations, observation)[-config.count :])

    def placed(
        self, current: Observation, odometry: OdometryBuffer, config: KeyframeConfig
    ) -> list[PlacedObservation]:
        """The keyframes that odometry joins to `current` and that lie at least half a spacing away, then `current`."""
        placed = [PlacedObservation(current, IDENTITY_POSE)]
        for keyframe in reversed(self.observations):
            motion = odometry.motion(keyframe.stamp_sec, current.stamp_sec)
            if motion is None or len(placed) == config.count:
                break
            if motion.travelled_m >= config.spacing_m / 2:
                placed.insert(0, PlacedObservation(keyframe, motion.T_then_now.inverse()))
        return placed


def of_one_moment(observations: Sequence[Observation], odometry: OdometryBuffer) -> list[PlacedObservation]:
    """Observations of several cameras, the current one last, each placed by odometry where it was made.

    Those that odometry does not join are left out, unless they are of the same moment.
    """
    *others, current = observations
    placed = [(other, _T_current_earlier(other, current, odometry)) for other in others]
    known = [PlacedObservation(other, T) for other, T in placed if T is not None]
    return [*known, PlacedObservation(current, IDENTITY_POSE)]


def _T_current_earlier(earlier: Observation, current: Observation, odometry: OdometryBuffer) -> Pose2 | None:
    motion = odometry.motion(earlier.stamp_sec, current.stamp_sec)
    if motion is not None:
        return motion.T_then_now.inverse()
    return IDENTITY_POSE if current.stamp_sec - earlier.stamp_sec <= SAME_MOMENT_SEC else None
