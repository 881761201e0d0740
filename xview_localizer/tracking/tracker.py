"""Localizing the images of a drive one after the other, with GNSS, odometry and earlier images.

The node and the offline replay both use it; it knows nothing of ROS. For each image the search area is chosen
(search.py), the image's modes weigh the hypotheses (belief/hypotheses.py), and the gate decides (belief/gate.py). What
the next image needs to know is kept in memory.py.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from xview_localizer.belief.evidence import ImageEvidence
from xview_localizer.belief.fix import Fix
from xview_localizer.belief.gate import decide
from xview_localizer.belief.hypotheses import Belief, OdometryDrift, new_ground_share
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.ground_view import GroundView
from xview_localizer.localizer import Localizer
from xview_localizer.modes import Modes
from xview_localizer.observation import Observation, PlacedObservation, joined_observation
from xview_localizer.rejection import Reason, Rejection
from xview_localizer.tracking.attitude import GravitySample
from xview_localizer.tracking.gnss import GnssSample
from xview_localizer.tracking.keyframes import KeyframeConfig, of_one_moment
from xview_localizer.tracking.memory import RELOCALIZE_FACTOR, DriveMemory
from xview_localizer.tracking.motion import Motion, PathPose
from xview_localizer.tracking.pose_estimate import PoseEstimate
from xview_localizer.tracking.search import SearchConfig, gnss_disc, search_around, weighed_by_gnss
from xview_localizer.tracking.sensors import Sensors
from xview_localizer.tracking.tracked_fix import TrackedFix

# The heaviest MAX_EXPECTED hypotheses of at least this weight are passed to the solver as expected poses.
EXPECTED_WEIGHT, MAX_EXPECTED = 1e-3, 6


@dataclass(frozen=True)
class TrackerConfig:
    """What a user may tune around the localizer."""

    search: SearchConfig = field(default_factory=SearchConfig)
    odometry_max_gap_sec: float = 0.5
    odometry_drift: OdometryDrift = field(default_factory=OdometryDrift)
    max_yaw_rate_radps: float = 1.0  # bounds the turn where there is no odometry
    keyframes: KeyframeConfig = field(default_factory=KeyframeConfig)


@dataclass(frozen=True)
class _Task:
    """What is known about an image before it is searched for."""

    belief: Belief
    search: Prior
    disc: Prior | None
    placed: list[PlacedObservation]
    travelled_m: float | None  # since the last image that was weighed; None where odometry does not reach it
    estimate: PoseEstimate | None
    epoch: int


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
        self._memory = DriveMemory()
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
        """T_odom_base. Hypotheses, keyframes and the course are not carried across a reset of odometry.

        Hypotheses are then blurred, as without odometry.
        """
        self._add("odometry", stamp_sec, T_odom_base)

    def on_gravity(self, stamp_sec: float, gravity_base: np.ndarray, from_acceleration: bool = False) -> None:
        """Direction [3] of down in base_link; `from_acceleration` where it holds the robot's acceleration too."""
        down_base = np.asarray(gravity_base, dtype=np.float64)
        self._add("gravity", stamp_sec, GravitySample(down_base, from_acceleration))

    def on_image(self, stamp_sec: float) -> None:
        """Announce an image that is about to be localized; its stamp may confirm a sensor's jump back in time."""
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
        """`forget_belief`, and trust GNSS less: the search widens from image to image until one is accepted."""
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
                return TrackedFix.rejected(observation, Rejection.of(Reason.OVERTAKEN))
            fix = self._weigh(task, modes)
            self._memory.keyframes = self._memory.keyframes.with_observation(
                observation.on_ground(modes.on_slope), self._sensors.odometry, self._config.keyframes
            )
            estimate = self._memory.published if fix.accepted else task.estimate
        earlier = tuple(item.T_current_past for item in task.placed[:-1])
        return TrackedFix(fix, task.search, modes.images, estimate, earlier, modes.on_slope)

    # --- before the search ---

    def _task(self, observation: Observation) -> _Task | TrackedFix:
        """What to search for, or the answer where nothing can be."""
        stamp_sec = observation.stamp_sec
        if self._epoch != self._image_epoch:
            return TrackedFix.rejected(observation, Rejection.of(Reason.OVERTAKEN))
        if self._memory.searched_sec is not None and stamp_sec <= self._memory.searched_sec:
            stale = Rejection.of(
                Reason.STALE_IMAGE, stamp_sec=stamp_sec, previous_sec=self._memory.searched_sec
            )
            return TrackedFix.rejected(observation, stale)
        drift, odometry = self._config.odometry_drift, self._sensors.odometry
        estimate = self._memory.estimate_at(stamp_sec, odometry, drift)
        clocks = self._sensors.clock_problem()
        if clocks:
            rejection = Rejection.of(Reason.CLOCKS_DISAGREE, detail=clocks)
            return TrackedFix.rejected(observation, rejection, estimate)
        if observation.reason:
            rejection = Rejection.of(Reason.BAD_IMAGE, detail=observation.reason)
            return TrackedFix.rejected(observation, rejection, estimate)
        config = self._config.search
        belief, travelled_m = self._memory.predicted(
            stamp_sec, odometry, drift, config.max_speed_mps, self._config.max_yaw_rate_radps
        )
        disc = self._memory.widened(gnss_disc(self._sensors, stamp_sec, config), config.gnss_max_radius_m)
        unlocalized_m = self._memory.unlocalized_m + (travelled_m or 0.0)
        search = search_around(weighed_by_gnss(belief, disc, config), disc, unlocalized_m, config)
        if search is None:
            newest = self._sensors.newest_position(stamp_sec)
            no_prior = Rejection.of(Reason.NO_PRIOR, max_age_sec=config.gnss_max_age_sec, newest=newest)
            return TrackedFix.rejected(observation, no_prior, estimate)
        if search.radius_m > config.gnss_max_radius_m:
            too_wide = Rejection.of(
                Reason.PRIOR_TOO_WIDE, radius_m=search.radius_m, limit_m=config.gnss_max_radius_m
            )
            return TrackedFix.rejected(observation, too_wide, estimate, search)
        # The stamp counts from here on only. An image stamped too far ahead of the sensors has no prior and was
        # answered above, so that it does not make the images after it stale.
        self._memory.searched_sec = stamp_sec
        self._sensors.image_searched(stamp_sec)
        placed = self._memory.keyframes.placed(observation, odometry, self._config.keyframes)
        return _Task(belief, search, disc, placed, travelled_m, estimate, self._epoch)

    # --- after the search ---

    def _weigh(self, task: _Task, modes: Modes) -> Fix:
        """Weigh the hypotheses by the image's modes, and decide."""
        calibration, gate = self._localizer.spec.calibration, self._localizer.config.gate
        if modes.rejection is not None:
            return decide(modes, task.belief, gate)
        evidence = ImageEvidence.of(modes.modes, calibration)
        travelled_m = task.travelled_m
        if travelled_m is None and task.belief.hypotheses:
            # Without odometry, the distance driven is that from the leading hypothesis to the best mode.
            before = task.belief.hypotheses[0].pose.inverse() @ modes.modes[0].pose
            travelled_m = float(np.hypot(before.x_m, before.y_m))
        share = new_ground_share(travelled_m, calibration.independence_m)
        belief = task.belief.updated(evidence, share, modes.log_prior(first=not task.belief.hypotheses))
        self._memory.on_weighed(belief, modes.stamp_sec)
        # Without odometry every pose has to meet the limit of a first one, since the pose before says little about it.
        first = self._memory.awaits_first_pose or task.travelled_m is None
        weighed = weighed_by_gnss(belief, task.disc, self._config.search)
        fix = decide(modes, weighed, gate, first)
        self._memory.on_decided(fix, travelled_m)
        return fix

    # --- time ---

    def _forget(self) -> None:
        """Drop what earlier images left; answers to images that are still worked on are discarded."""
        self._epoch += 1
        self._memory = DriveMemory()

    def _add(self, sensor: str, stamp_sec: float, sample: GnssSample | Pose2 | GravitySample) -> None:
        with self._lock:
            if self._sensors.add(sensor, stamp_sec, sample):
                self._forget()
