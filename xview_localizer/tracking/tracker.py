"""A drive: GNSS, odometry and earlier images around single images.

No ROS here; the node and the offline replay share it. Each image is searched for (search.py), its modes weigh what is
believed (belief/hypotheses.py), and the gate decides (belief/gate.py).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from xview_localizer.belief.evidence import ImageEvidence
from xview_localizer.belief.fix import Fix
from xview_localizer.belief.gate import decide
from xview_localizer.belief.hypotheses import (
    Belief,
    OdometryDrift,
    gnss_log_weight,
    new_ground_share,
)
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.ground_view import GroundView
from xview_localizer.localizer import Localizer
from xview_localizer.modes import Modes
from xview_localizer.observation import Observation, PlacedObservation, joined_observation
from xview_localizer.rejection import Reason, Rejection
from xview_localizer.tracking.gnss import GnssSample
from xview_localizer.tracking.keyframes import KeyframeConfig, Keyframes, of_one_moment
from xview_localizer.tracking.motion import Motion, PathPose
from xview_localizer.tracking.search import LOST_AFTER_M, SearchConfig, gnss_disc, search_around
from xview_localizer.tracking.sensors import GravitySample, Sensors
from xview_localizer.tracking.track import PoseEstimate, carry

# Hypotheses below this weight are not passed to the search as expected poses, nor more than so many.
EXPECTED_WEIGHT, MAX_EXPECTED = 1e-3, 6
# When asked to relocalize, the next image searches so many times as far around GNSS, and each one more by as much.
RELOCALIZE_FACTOR = 3.0


@dataclass(frozen=True)
class TrackerConfig:
    """What a user may tune around the localizer."""

    search: SearchConfig = field(default_factory=SearchConfig)
    odometry_max_gap_sec: float = 0.5
    odometry_drift: OdometryDrift = field(default_factory=OdometryDrift)
    max_yaw_rate_radps: float = 1.0  # bounds the turn where there is no odometry
    keyframes: KeyframeConfig = field(default_factory=KeyframeConfig)


@dataclass(frozen=True)
class TrackedFix:
    """The answer for an image in a drive, and the best pose for its stamp.

    `estimate` is the fix where it is accepted, else the last accepted one carried on by odometry, else None.
    """

    fix: Fix
    prior: Prior | None
    keyframes: int  # images that took part, this one included
    estimate: PoseEstimate | None
    earlier: tuple[Pose2, ...] = ()  # T_current_past of the keyframes that took part


@dataclass(frozen=True)
class _Task:
    """What is known about an image before it is searched for."""

    belief: Belief
    search: Prior
    disc: Prior | None
    placed: list[PlacedObservation]
    travelled_m: (
        float | None
    )  # since the last image that was weighed; None where odometry does not reach there
    estimate: PoseEstimate | None
    epoch: int


@dataclass
class _Memory:
    """What earlier images of the drive left."""

    searched_sec: float | None = None  # stamp of the last image searched for
    weighed_sec: float | None = None  # stamp of the last image that weighed the belief
    belief: Belief = field(default_factory=Belief)
    keyframes: Keyframes = field(default_factory=Keyframes)
    published: PoseEstimate | None = None  # the last accepted pose
    unlocalized_m: float = 0.0  # driven since then
    gnss_factor: float = 1.0  # how much wider than GNSS reports it is searched


class DriveTracker:
    """Feeds a localizer with priors and keyframes, and carries what its images give along the drive.

    The `on_…` methods may be called from another thread than `locate`. Answers depend on stamps, not on the
    order in which different sensors' messages arrive, provided that all sensors have reached the image's
    stamp (see `awaits`). The same inputs give the same answers.

    `on_gnss`, `on_odometry` and `on_gravity` raise SampleError as `Sensors.add` does. An image's stamp has to come
    after that of the last image searched for; an image stamped too far ahead of the sensors is not searched for.
    """

    def __init__(
        self, localizer: Localizer, frame: LocalFrame, config: TrackerConfig = TrackerConfig()
    ) -> None:
        self._localizer, self._frame, self._config = localizer, frame, config
        self._sensors = Sensors(config.odometry_max_gap_sec, config.search.max_speed_mps)
        self._lock = threading.Lock()
        self._memory = _Memory()
        self._epoch = 0  # how often time has jumped
        self._image_epoch = 0  # and how often when the image was announced

    def on_gnss(
        self,
        stamp_sec: float,
        latitude_deg: float,
        longitude_deg: float,
        altitude_m: float,
        sigma_m: float,
        antenna_in_base_m: Sequence[float] | np.ndarray,
    ) -> None:
        """Position of the antenna, its standard deviation per axis, and the lever arm (x, y, …) in base_link.

        Raises ValueError where the position is not finite.
        """
        antenna_m = self._frame.enu_from_geodetic(latitude_deg, longitude_deg, altitude_m)[:2]
        lever_m = np.asarray(antenna_in_base_m, dtype=np.float64)[:2]
        self._add("gnss", stamp_sec, GnssSample(antenna_m, sigma_m, lever_m))

    def on_odometry(self, stamp_sec: float, T_odom_base: Pose2) -> None:
        """Where odometry was reset, neither hypotheses nor keyframes nor course reach across."""
        self._add("odometry", stamp_sec, T_odom_base)

    def on_gravity(self, stamp_sec: float, gravity_base: np.ndarray, from_acceleration: bool = False) -> None:
        """Direction [3] of down in base_link; `from_acceleration` where it holds the robot's acceleration too."""
        down_base = np.asarray(gravity_base, dtype=np.float64)
        self._add("gravity", stamp_sec, GravitySample(down_base, from_acceleration))

    def on_image(self, stamp_sec: float) -> None:
        """An image is about to be localized: it may confirm a sensor's stamp that time has jumped back."""
        with self._lock:
            if self._sensors.on_image(stamp_sec):
                self._forget()
            self._image_epoch = self._epoch

    def clear(self) -> None:
        """Forget everything: time has jumped."""
        with self._lock:
            self._sensors.clear()
            self._forget()

    def forget_belief(self) -> None:
        """Forget hypotheses, keyframes and the published pose, not what the sensors measured."""
        with self._lock:
            self._forget()

    def relocalize(self) -> None:
        """`forget_belief`, and trust GNSS less: search ever wider around it until an image is accepted."""
        with self._lock:
            self._forget()
            self._memory.gnss_factor = RELOCALIZE_FACTOR

    def awaits(self, stamp_sec: float) -> list[str]:
        """Of odometry and gravity, those that are present and have not reached `stamp_sec` yet."""
        with self._lock:
            return self._sensors.awaits(stamp_sec)

    def newest_sec(self) -> dict[str, float]:
        """The newest stamp of each sensor that has sent samples: gnss, odometry, gravity."""
        with self._lock:
            return self._sensors.newest_sec()

    def gravity_at(self, stamp_sec: float) -> np.ndarray | None:
        """Direction [3] of down in base_link; None where there is no IMU. Raises SampleError (see Sensors)."""
        with self._lock:
            return self._sensors.gravity_at(stamp_sec)

    def odometry_at(self, stamp_sec: float) -> PathPose | None:
        """T_odom_base and its path; None where odometry does not cover the stamp."""
        with self._lock:
            return self._sensors.odometry.at(stamp_sec)

    def odometry_motion(self, from_sec: float, to_sec: float) -> Motion | None:
        """See OdometryBuffer.motion."""
        with self._lock:
            return self._sensors.odometry.motion(from_sec, to_sec)

    def gnss_disc_at(self, stamp_sec: float) -> Prior | None:
        """Where base_link is by GNSS alone; None without a recent position."""
        with self._lock:
            return gnss_disc(self._sensors, stamp_sec, self._config.search)

    def joined(self, observations: Sequence[Observation]) -> Observation:
        """Observations of several cameras, the current one last, as one; see joined_observation.

        Odometry joins those of other stamps; without it they are left out, unless they are of the same moment.
        """
        with self._lock:
            placed = of_one_moment(observations, self._sensors.odometry)
        return joined_observation(placed)

    def localize(self, view: GroundView) -> TrackedFix:
        """`locate` what the localizer observes in `view`."""
        self.on_image(view.stamp_sec)
        return self.locate(self._localizer.observe(view))

    def locate(self, observation: Observation) -> TrackedFix:
        """Place an observation in the map. Call in the order of the images' stamps, each after `on_image`."""
        with self._lock:
            task = self._task(observation)
        if isinstance(task, TrackedFix):
            return task
        expected = [
            item.pose for item in task.belief.hypotheses if item.log_weight > np.log(EXPECTED_WEIGHT)
        ][:MAX_EXPECTED]
        modes = self._localizer.modes(task.placed, task.search, expected)
        with self._lock:
            if task.epoch != self._epoch or self._memory.searched_sec != observation.stamp_sec:
                return _rejected(observation, Rejection.of(Reason.OVERTAKEN))
            fix = self._weigh(task, modes)
            self._memory.keyframes = self._memory.keyframes.with_observation(
                observation, self._sensors.odometry, self._config.keyframes
            )
            estimate = self._followed(fix) if fix.accepted else task.estimate
        earlier = tuple(item.T_current_past for item in task.placed[:-1])
        return TrackedFix(fix, task.search, modes.images, estimate, earlier)

    # --- before the search ---

    def _task(self, observation: Observation) -> _Task | TrackedFix:
        """What to search for, or the answer where nothing can be."""
        stamp_sec = observation.stamp_sec
        if self._epoch != self._image_epoch:
            return _rejected(observation, Rejection.of(Reason.OVERTAKEN))
        if self._memory.searched_sec is not None and stamp_sec <= self._memory.searched_sec:
            stale = Rejection.of(
                Reason.STALE_IMAGE, stamp_sec=stamp_sec, previous_sec=self._memory.searched_sec
            )
            return _rejected(observation, stale)
        estimate = self._estimate_at(stamp_sec)
        clocks = self._sensors.clock_problem()
        if clocks:
            return _rejected(observation, Rejection.of(Reason.CLOCKS_DISAGREE, detail=clocks), estimate)
        if observation.reason:
            rejection = Rejection.of(Reason.BAD_IMAGE, detail=observation.reason)
            return _rejected(observation, rejection, estimate)
        config = self._config.search
        belief, travelled_m = self._predicted(stamp_sec)
        disc = self._widened(gnss_disc(self._sensors, stamp_sec, config))
        search = search_around(
            self._with_gnss(belief, disc), disc, self._memory.unlocalized_m + (travelled_m or 0.0), config
        )
        if search is None:
            no_prior = Rejection.of(Reason.NO_PRIOR, max_age_sec=config.gnss_max_age_sec)
            return _rejected(observation, no_prior, estimate)
        if search.radius_m > config.gnss_max_radius_m:
            too_wide = Rejection.of(
                Reason.PRIOR_TOO_WIDE, radius_m=search.radius_m, limit_m=config.gnss_max_radius_m
            )
            return _rejected(observation, too_wide, estimate, search)
        # An image from too far ahead of the sensors has no prior and was answered above: its stamp must not make those
        # that follow stale.
        self._memory.searched_sec = stamp_sec
        self._sensors.image_searched(stamp_sec)
        placed = self._memory.keyframes.placed(observation, self._sensors.odometry, self._config.keyframes)
        return _Task(belief, search, disc, placed, travelled_m, estimate, self._epoch)

    def _widened(self, disc: Prior | None) -> Prior | None:
        """GNSS's disc as wide as relocalizing has made it by now, within the largest that is searched."""
        if disc is None or self._memory.gnss_factor == 1.0:
            return disc
        limit_m = max(disc.radius_m, self._config.search.gnss_max_radius_m)
        return replace(disc, radius_m=min(limit_m, self._memory.gnss_factor * disc.radius_m))

    def _predicted(self, stamp_sec: float) -> tuple[Belief, float | None]:
        """What was believed after the last image, moved on, and how far; None without odometry."""
        if self._memory.weighed_sec is None:
            return self._memory.belief, None
        motion = self._sensors.odometry.motion(self._memory.weighed_sec, stamp_sec)
        if motion is not None:
            drift = self._config.odometry_drift
            return self._memory.belief.predicted(
                motion.T_then_now, motion.travelled_m, drift
            ), motion.travelled_m
        elapsed_sec = stamp_sec - self._memory.weighed_sec
        max_speed_mps = self._config.search.max_speed_mps
        return self._memory.belief.blurred(elapsed_sec, max_speed_mps, self._config.max_yaw_rate_radps), None

    def _estimate_at(self, stamp_sec: float) -> PoseEstimate | None:
        if self._memory.published is None:
            return None
        return carry(self._memory.published, stamp_sec, self._sensors.odometry, self._config.odometry_drift)

    # --- after the search ---

    def _weigh(self, task: _Task, modes: Modes) -> Fix:
        """Weigh what is believed by the image's modes, and decide."""
        calibration, gate = self._localizer.spec.calibration, self._localizer.config.gate
        if modes.rejection is not None:
            return decide(modes, task.belief, gate)
        evidence = ImageEvidence.of(modes.modes, calibration)
        travelled_m = task.travelled_m
        if travelled_m is None and task.belief.hypotheses:
            # Without odometry, how far the robot has come is where it is now seen to be.
            before = task.belief.hypotheses[0].pose.inverse() @ modes.modes[0].pose
            travelled_m = float(np.hypot(before.x_m, before.y_m))
        share = new_ground_share(travelled_m, calibration.independence_m)
        self._memory.belief = task.belief.updated(
            evidence, share, modes.log_prior(first=not task.belief.hypotheses)
        )
        self._memory.weighed_sec = modes.stamp_sec
        # A robot that was lost begins anew: the next pose is a first one again. So is each without odometry, since the
        # pose before says little about it.
        first = (
            self._memory.published is None
            or self._memory.unlocalized_m > LOST_AFTER_M
            or task.travelled_m is None
        )
        fix = decide(modes, self._with_gnss(self._memory.belief, task.disc), gate, first)
        self._memory.unlocalized_m = (
            0.0 if fix.accepted else self._memory.unlocalized_m + (travelled_m or 0.0)
        )
        if self._memory.gnss_factor > 1.0:
            self._memory.gnss_factor = 1.0 if fix.accepted else self._memory.gnss_factor + RELOCALIZE_FACTOR
        return fix

    def _with_gnss(self, belief: Belief, disc: Prior | None) -> Belief:
        """The belief with each hypothesis weighted by GNSS at its current position."""
        if disc is None or not belief.hypotheses:
            return belief
        residual_m = np.array(
            [np.hypot(item.pose.x_m - disc.x_m, item.pose.y_m - disc.y_m) for item in belief.hypotheses]
        )
        sigma_m = disc.radius_m / self._config.search.gnss_radius_sigmas
        return belief.reweighted(gnss_log_weight(residual_m, sigma_m, disc.radius_m).tolist())

    def _followed(self, fix: Fix) -> PoseEstimate:
        self._memory.published = PoseEstimate(
            fix.stamp_sec, Pose2(fix.x_m, fix.y_m, fix.yaw_rad), fix.covariance
        )
        return self._memory.published

    # --- time ---

    def _forget(self) -> None:
        """Drop what earlier images left; answers to images that are still worked on are discarded."""
        self._epoch += 1
        self._memory = _Memory()

    def _add(self, sensor: str, stamp_sec: float, sample: GnssSample | Pose2 | GravitySample) -> None:
        with self._lock:
            if self._sensors.add(sensor, stamp_sec, sample):
                self._forget()


def _rejected(
    observation: Observation,
    rejection: Rejection,
    estimate: PoseEstimate | None = None,
    search: Prior | None = None,
) -> TrackedFix:
    fix = Fix(observation.stamp_sec, rejection=rejection, depth_source=observation.depth_source)
    return TrackedFix(fix, search, 1, estimate)
