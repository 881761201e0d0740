"""A drive: GNSS, odometry and earlier images around single-image fixes.

No ROS here; the node and the offline replay share it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

import numpy as np

from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.ground_view import GroundView
from xview_localizer.localizer import HERE, Fix, Localizer, Observation, PlacedObservation, rejected_fix
from xview_localizer.tracking.gnss import GnssSample, Heading, base_position, heading_from_course
from xview_localizer.tracking.motion import TIME_JUMP_SEC, OdometryBuffer, SampleError, StampedBuffer
from xview_localizer.tracking.track import OdometryDrift, PoseEstimate, carry, disagreement_sigmas

# Longer than any bridge or keyframe window; bounds memory.
BUFFER_SEC = 120.0
# Odometry or an IMU silent for so long before an image no longer counts as there, until it speaks again.
GIVEN_UP_AFTER_SEC = 5.0
# Attitude is averaged over this window before the image; slow IMUs may miss it, but not by more than the reach.
GRAVITY_WINDOW_SEC = 0.1
GRAVITY_REACH_SEC = 0.5


@dataclass(frozen=True)
class TrackerConfig:
    """What a user may tune around the localizer."""

    antenna_in_base_m: tuple[float, float] = (0.0, 0.0)
    gnss_radius_sigmas: float = 3.0
    gnss_min_radius_m: float = 15.0
    gnss_max_radius_m: float = 200.0
    gnss_max_age_sec: float = 10.0
    gnss_drift_m: float = 3.0
    course_window_sec: float = 10.0
    course_min_baseline_m: float = 8.0
    max_speed_mps: float = 15.0
    odometry_max_gap_sec: float = 0.5
    odometry_drift: OdometryDrift = field(default_factory=OdometryDrift)
    keyframes: int = 5
    keyframe_spacing_m: float = 2.5
    track_min_radius_m: float = 4.0
    track_min_yaw_sigma_rad: float = float(np.radians(3.0))
    track_max_misses: int = 8
    gate_sigmas: float = 4.0
    confirm_distance_m: float = 2.5


@dataclass(frozen=True)
class TrackedFix:
    """The localizer's answer after the tracker's own checks, and the best pose for the image's stamp.

    `estimate` is the fix where it is accepted, else the last accepted one carried on by odometry, else None.
    """

    fix: Fix
    prior: Prior | None
    keyframes: int  # images that took part, this one included
    estimate: PoseEstimate | None


class DriveTracker:
    """Feeds a localizer with priors and keyframes, and checks its fixes against odometry and GNSS.

    The `on_…` methods may be called from another thread than `locate`. Answers depend on stamps, not on the
    order in which different sensors' messages arrive, provided that all sensors have reached the image's
    stamp (see `awaits`). The same inputs give the same answers.

    `on_gnss`, `on_odometry` and `on_gravity` raise SampleError for a sample that does not follow the one before.
    One odd stamp changes nothing. Where the sensor's next stamp follows the odd one, or an image steps back with
    it, time has jumped: back, and everything starts afresh; ahead, and that is only a gap in the data.
    An image alone moves no clock. Its stamp has to come after that of the last image searched for, which one
    stamped too far ahead of the sensors is not.
    """

    def __init__(
        self, localizer: Localizer, frame: LocalFrame, config: TrackerConfig = TrackerConfig()
    ) -> None:
        self._localizer, self._frame, self._config = localizer, frame, config
        self._antenna_m = np.asarray(config.antenna_in_base_m, dtype=np.float64)
        self._gnss: StampedBuffer[GnssSample] = StampedBuffer(BUFFER_SEC)
        self._odometry = OdometryBuffer(BUFFER_SEC, config.odometry_max_gap_sec, config.max_speed_mps)
        self._gravity: StampedBuffer[np.ndarray] = StampedBuffer(BUFFER_SEC)
        self._buffers = {"gnss": self._gnss, "odometry": self._odometry, "gravity": self._gravity}
        self._heard: set[str] = set()  # sensors that have ever spoken, whatever their buffers still hold
        self._lock = threading.Lock()
        self._epoch = 0  # how often time has jumped
        self._forget()
        self._image_epoch = self._epoch  # and how often when the image was announced

    def on_gnss(
        self, stamp_sec: float, latitude_deg: float, longitude_deg: float, altitude_m: float, sigma_m: float
    ) -> None:
        """Position of the antenna and its standard deviation per axis. Raises ValueError where not finite."""
        antenna_m = self._frame.enu_from_geodetic(latitude_deg, longitude_deg, altitude_m)[:2]
        self._add("gnss", stamp_sec, GnssSample(antenna_m, sigma_m))

    def on_odometry(self, stamp_sec: float, T_odom_base: Pose2) -> None:
        """Where odometry was reset, neither track nor keyframes nor course reach across."""
        self._add("odometry", stamp_sec, T_odom_base)

    def on_gravity(self, stamp_sec: float, gravity_base: np.ndarray) -> None:
        """Direction [3] of down in base_link."""
        self._add("gravity", stamp_sec, np.asarray(gravity_base, dtype=np.float64))

    def on_image(self, stamp_sec: float) -> None:
        """An image is about to be localized: it may confirm a sensor's stamp that time has jumped back."""
        with self._lock:
            steps_back = self._image_sec is not None and stamp_sec < self._image_sec - TIME_JUMP_SEC
            if steps_back and any(buffer.holds_back(stamp_sec) for buffer in self._buffers.values()):
                for buffer in self._buffers.values():
                    buffer.restart(stamp_sec)
                self._forget()
            self._image_epoch = self._epoch
            if self._first_image_sec is None:
                self._first_image_sec = stamp_sec

    def clear(self) -> None:
        """Forget everything: time has jumped."""
        with self._lock:
            for buffer in self._buffers.values():
                buffer.clear()
            self._forget()

    def awaits(self, stamp_sec: float) -> list[str]:
        """Of odometry and gravity, those that are there and have not reached `stamp_sec` yet.

        GNSS is slow and its newest position before the image is as good as any: nobody should wait for it.
        """
        with self._lock:
            return [
                name
                for name in ("odometry", "gravity")
                if self._is_there(name, stamp_sec) and not self._buffers[name].covers(stamp_sec)
            ]

    def gravity_at(self, stamp_sec: float) -> np.ndarray | None:
        """Mean direction [3] of down in base_link just before `stamp_sec`; None where there is no IMU.

        Of a slow IMU, the mean of the nearest samples on either side. Raises SampleError where none is near.
        """
        with self._lock:
            near = self._gravity.between(stamp_sec - GRAVITY_WINDOW_SEC, stamp_sec) or [
                *self._gravity.between(stamp_sec - GRAVITY_REACH_SEC, stamp_sec)[-1:],
                *self._gravity.between(stamp_sec, stamp_sec + GRAVITY_REACH_SEC)[:1],
            ]
            if not near and self._is_there("gravity", stamp_sec):
                raise SampleError(f"no attitude from the IMU within {GRAVITY_REACH_SEC} s of the image")
        return np.mean([gravity for _, gravity in near], axis=0) if near else None

    def localize(self, view: GroundView) -> TrackedFix:
        """`locate` what the localizer observes in `view`."""
        self.on_image(view.stamp_sec)
        return self.locate(self._localizer.observe(view))

    def locate(self, observation: Observation) -> TrackedFix:
        """Place an observation in the map. Call in the order of the images' stamps, each after `on_image`."""
        stamp_sec = observation.stamp_sec
        with self._lock:
            if self._epoch != self._image_epoch:
                return self._overtaken(observation)
            if self._image_sec is not None and stamp_sec <= self._image_sec:
                reason = f"image stamp {stamp_sec:.3f} is not after the previous one, {self._image_sec:.3f}"
                return TrackedFix(rejected_fix(observation, reason, {}), None, 1, None)
            predicted = self._predicted(stamp_sec)
            prior = self._prior(stamp_sec, predicted)
            placed = self._placed(observation)
            if prior is not None and not observation.reason:
                # One from too far ahead of the sensors has no prior, and must not shut out those that follow.
                self._image_sec = stamp_sec
        if observation.reason:
            return TrackedFix(rejected_fix(observation, observation.reason, {}), prior, 1, predicted)
        if prior is None:
            reason = f"no GNSS position within {self._config.gnss_max_age_sec:.0f} s before the image"
            return TrackedFix(rejected_fix(observation, reason, {}), None, len(placed), predicted)
        if prior.radius_m <= self._config.gnss_max_radius_m:
            fix = self._localizer.solve(placed, prior)
        else:
            reason = f"search radius {prior.radius_m:.0f} m is above {self._config.gnss_max_radius_m:.0f} m"
            fix = rejected_fix(observation, reason, {})
        with self._lock:
            if self._epoch != self._image_epoch:
                return self._overtaken(observation)
            fix = self._checked(fix, predicted)
            self._keep_as_keyframe(observation)
        estimate = _estimate(fix) if fix.accepted else predicted
        return TrackedFix(fix, prior, len(placed), estimate)

    def _overtaken(self, observation: Observation) -> TrackedFix:
        """An image from before the jump of time must not touch what has come since."""
        reason = "time jumped back while the image was worked on"
        return TrackedFix(rejected_fix(observation, reason, {}), None, 1, None)

    def _forget(self) -> None:
        """Time has jumped: what earlier images left counts no more, nor do those still in work."""
        self._epoch += 1
        self._image_sec: float | None = None  # the last one searched for
        self._first_image_sec: float | None = None
        self._keyframes: list[Observation] = []
        self._track: PoseEstimate | None = None  # last fix that was confirmed
        self._candidate: PoseEstimate | None = None  # a fix that waits to be confirmed
        self._misses = 0

    def _add(self, sensor: str, stamp_sec: float, sample) -> None:
        with self._lock:
            self._heard.add(sensor)
            if self._buffers[sensor].add(stamp_sec, sample):
                for other in self._buffers.keys() - {sensor}:
                    self._buffers[other].restart(stamp_sec)
                self._forget()

    def _is_there(self, sensor: str, stamp_sec: float) -> bool:
        """Whether a sensor has been heard and was not silent for too long before an image's stamp.

        One that says nothing after a jump of time is given up as long after the first image.
        """
        newest_sec = self._buffers[sensor].newest_sec
        since_sec = self._first_image_sec if newest_sec is None else newest_sec
        return sensor in self._heard and (since_sec is None or stamp_sec - since_sec <= GIVEN_UP_AFTER_SEC)

    @property
    def _trusts_track(self) -> bool:
        return self._track is not None and self._misses < self._config.track_max_misses

    def _predicted(self, stamp_sec: float) -> PoseEstimate | None:
        if self._track is None:
            return None
        return carry(self._track, stamp_sec, self._odometry, self._config.odometry_drift)

    # --- what is known before looking ---

    def _prior(self, stamp_sec: float, predicted: PoseEstimate | None) -> Prior | None:
        """The track's where it is trusted and GNSS does not contradict it twice in a row; else GNSS's."""
        config = self._config
        heading = self._heading(stamp_sec, predicted)
        gnss = self._gnss_priors(stamp_sec, heading)
        if predicted is None or not self._trusts_track:
            return gnss[-1] if gnss else None
        radius_m = max(config.track_min_radius_m, 3 * predicted.position_sigma_m)
        pose = predicted.pose
        contradicts = [
            np.hypot(disc.x_m - pose.x_m, disc.y_m - pose.y_m) > disc.radius_m + radius_m for disc in gnss
        ]
        if len(contradicts) == 2 and all(contradicts):
            self._track = None
            return self._gnss_priors(stamp_sec, self._heading(stamp_sec, None))[-1]
        yaw_sigma_rad = max(config.track_min_yaw_sigma_rad, predicted.yaw_sigma_rad)
        return Prior(pose.x_m, pose.y_m, radius_m, pose.yaw_rad, yaw_sigma_rad)

    def _heading(self, stamp_sec: float, predicted: PoseEstimate | None) -> Heading | None:
        config = self._config
        T_odom_base = self._odometry.interpolate(stamp_sec)
        if T_odom_base is not None and predicted is not None and self._trusts_track:
            return Heading(predicted.pose.yaw_rad - T_odom_base.yaw_rad, predicted.yaw_sigma_rad)
        samples = self._gnss.between(stamp_sec - config.course_window_sec, stamp_sec)
        return heading_from_course(
            samples, self._odometry, self._antenna_m, config.gnss_drift_m, config.course_min_baseline_m
        )

    def _gnss_priors(self, stamp_sec: float, heading: Heading | None) -> list[Prior]:
        """What GNSS's last two positions before the image say, the newest last; fewer where they are too old."""
        recent = self._gnss.between(stamp_sec - self._config.gnss_max_age_sec, stamp_sec)
        return [self._gnss_prior(*stamped, stamp_sec, heading) for stamped in recent[-2:]]

    def _gnss_prior(
        self, gnss_sec: float, sample: GnssSample, stamp_sec: float, heading: Heading | None
    ) -> Prior:
        """A disc about a GNSS position moved to the image's stamp, with the heading where one is known."""
        config = self._config
        antenna_xy_m = sample.antenna_xy_m.tolist()
        lever_m = float(np.hypot(*self._antenna_m))
        radius_m = max(config.gnss_min_radius_m, config.gnss_radius_sigmas * sample.sigma_m)
        then, now = self._odometry.interpolate(gnss_sec), self._odometry.interpolate(stamp_sec)
        if then is None or now is None:
            moved_m = config.max_speed_mps * (stamp_sec - gnss_sec)
            return Prior(*antenna_xy_m, radius_m + moved_m + lever_m)
        travelled_m = self._odometry.travelled_m(gnss_sec, stamp_sec)
        if heading is None:
            return Prior(*antenna_xy_m, radius_m + travelled_m + lever_m)
        xy_m = base_position(sample, then, now, heading, self._antenna_m).tolist()
        radius_m += travelled_m * (config.odometry_drift.position_ratio + heading.sigma_rad)
        yaw_rad = heading.yaw_map_odom_rad + now.yaw_rad
        return Prior(*xy_m, radius_m, float(yaw_rad), max(config.track_min_yaw_sigma_rad, heading.sigma_rad))

    # --- keyframes ---

    def _placed(self, observation: Observation) -> list[PlacedObservation]:
        """Keyframes that odometry still joins, half a spacing away or more, and the current observation."""
        spacing_m = self._config.keyframe_spacing_m
        now = self._odometry.interpolate(observation.stamp_sec)
        placed = [PlacedObservation(observation, HERE)]
        if now is None:
            return placed
        for keyframe in reversed(self._keyframes):
            then = self._odometry.interpolate(keyframe.stamp_sec)
            if then is None or len(placed) == self._config.keyframes:
                break
            if self._odometry.travelled_m(keyframe.stamp_sec, observation.stamp_sec) >= spacing_m / 2:
                placed.insert(0, PlacedObservation(keyframe, now.inverse() @ then))
        return placed

    def _keep_as_keyframe(self, observation: Observation) -> None:
        if self._odometry.interpolate(observation.stamp_sec) is None:
            return
        if self._keyframes:
            travelled_m = self._odometry.travelled_m(self._keyframes[-1].stamp_sec, observation.stamp_sec)
            if travelled_m < self._config.keyframe_spacing_m:
                return
        self._keyframes = [*self._keyframes, observation][-self._config.keyframes :]

    # --- what a fix has to agree with ---

    def _checked(self, fix: Fix, predicted: PoseEstimate | None) -> Fix:
        """Follow an accepted fix, hold it back until a second one confirms it, or turn it away."""
        if not fix.accepted:
            self._misses += 1
            return fix
        estimate = _estimate(fix)
        nothing_to_compare = not self._is_there("odometry", fix.stamp_sec)
        if nothing_to_compare or (self._config.confirm_distance_m == 0 and predicted is None):
            return self._follow(fix, estimate)
        if predicted is not None:
            sigmas = self._disagreement(estimate, predicted)
            if sigmas <= self._config.gate_sigmas:
                return self._follow(fix, estimate)
            if self._trusts_track:
                self._misses += 1
                return replace(fix, accepted=False, reason=f"disagrees with the track by {sigmas:.1f} sigmas")
        if self._confirms(estimate):
            return self._follow(fix, estimate)
        return replace(fix, accepted=False, reason="waits for a second fix that agrees, further on")

    def _follow(self, fix: Fix, estimate: PoseEstimate) -> Fix:
        self._track, self._candidate, self._misses = estimate, None, 0
        return fix

    def _confirms(self, estimate: PoseEstimate) -> bool:
        """Whether `estimate` agrees with the candidate, far enough on; else it may become the candidate."""
        if self._candidate is not None:
            carried = carry(self._candidate, estimate.stamp_sec, self._odometry, self._config.odometry_drift)
            if carried is not None and self._disagreement(estimate, carried) <= self._config.gate_sigmas:
                travelled_m = self._odometry.travelled_m(self._candidate.stamp_sec, estimate.stamp_sec)
                return travelled_m >= self._config.confirm_distance_m
        self._candidate = estimate
        return False

    def _disagreement(self, estimate: PoseEstimate, predicted: PoseEstimate) -> float:
        floor = np.array([0.3, 0.3, np.radians(1.0)])
        return disagreement_sigmas(estimate, predicted, floor)


def _estimate(fix: Fix) -> PoseEstimate:
    return PoseEstimate(fix.stamp_sec, Pose2(fix.x_m, fix.y_m, fix.yaw_rad), fix.covariance)
