"""Buffers of sensor samples by stamp, and of odometry; they are bounded and answer only for times that they cover."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from xview_localizer.geometry.pose import Pose2, wrap_angle_rad
from xview_localizer.geometry.time_jump import TIME_JUMP_SEC

Sample = TypeVar("Sample")

# Sensors may send nothing for a while, such as GNSS in a tunnel. A larger step ahead is more likely a wrong clock.
LARGEST_GAP_SEC = 60.0
# Odometry was reset where a step departs from the motion before it by more than RESET_STEP_M or RESET_TURN_RAD beyond
# what a robot can do: brakes and tyres give 10 m/s², and skid steering turns by 3 rad/s.
RESET_STEP_M, RESET_TURN_RAD = 1.0, 0.5
MAX_ACCELERATION_MPS2, MAX_TURN_RADPS = 10.0, 3.0
# The motion before a step is taken over VELOCITY_SPAN_SEC, long enough for stamps that jitter. While a path is shorter,
# a step may be RESET_SPEED_RATIO times as long as the robot can drive.
VELOCITY_SPAN_SEC, RESET_SPEED_RATIO = 0.2, 3.0


class SampleError(ValueError):
    """A sensor's sample was not used, or does not continue the samples before it; the text names the reason."""


class StampedBuffer(Generic[Sample]):
    """Samples in strictly increasing stamps, the last `span_sec` of them.

    A stamp far from the newest one may be a single wrong one, so its sample is held back. If the next stamp follows the
    odd one, time has jumped; if it follows the newest one, the sample held back is dropped. A smaller step ahead may be
    an ordinary gap, so its sample is kept, and dropped only where the next two follow the sample before it.
    """

    def __init__(self, span_sec: float) -> None:
        self._span_sec = span_sec
        self._stamps: list[float] = []
        self._samples: list[Sample] = []
        self._held_back: tuple[float, Sample] | None = None

    @property
    def newest_sec(self) -> float | None:
        return self._stamps[-1] if self._stamps else None

    def add(self, stamp_sec: float, sample: Sample) -> bool:
        """Append; True where time has jumped back, and all but this sample and the one before is forgotten.

        Raises SampleError where the stamp is not newer than the newest, or is the first one far off it.
        """
        held_back, self._held_back = self._held_back, None
        step_sec = stamp_sec - self._stamps[-1] if self._stamps else LARGEST_GAP_SEC
        jumped = not -TIME_JUMP_SEC <= step_sec <= LARGEST_GAP_SEC
        if jumped:
            if held_back is None or not 0 < stamp_sec - held_back[0] <= LARGEST_GAP_SEC:
                self._held_back = (stamp_sec, sample)
                raise SampleError(f"stamp {stamp_sec:.3f} is {step_sec:+.1f} s off the previous one")
            if step_sec < 0 and self._newest_was_ahead(held_back[0]):
                self._drop_newest()
                jumped = False
            elif step_sec < 0:
                self.clear()
            self._append(*held_back)
        elif step_sec <= 0:
            raise SampleError(f"stamp {stamp_sec:.3f} is not after the previous one, {self._stamps[-1]:.3f}")
        self._append(stamp_sec, sample)
        return jumped and step_sec < 0

    def clear(self) -> None:
        self._stamps.clear()
        self._samples.clear()
        self._held_back = None

    def holds_back(self, stamp_sec: float) -> bool:
        """Whether a sample from about `stamp_sec` is held back."""
        return self._held_back is not None and abs(stamp_sec - self._held_back[0]) <= LARGEST_GAP_SEC

    def restart(self, stamp_sec: float) -> None:
        """Time has jumped to `stamp_sec`: forget all but a sample held back that is from about then."""
        kept = self._held_back if self.holds_back(stamp_sec) else None
        self.clear()
        if kept is not None:
            self._append(*kept)

    def covers(self, stamp_sec: float) -> bool:
        """Whether nothing older than `stamp_sec` can still arrive. False for an empty buffer."""
        return bool(self._stamps) and self._stamps[-1] >= stamp_sec

    def between(self, after_sec: float, until_sec: float) -> list[tuple[float, Sample]]:
        """Samples with after_sec < stamp <= until_sec."""
        chosen = slice(bisect_right(self._stamps, after_sec), bisect_right(self._stamps, until_sec))
        return list(zip(self._stamps[chosen], self._samples[chosen], strict=True))

    def _newest_was_ahead(self, stamp_sec: float) -> bool:
        """Whether `stamp_sec`, before the newest stamp, follows the one before that."""
        return len(self._stamps) > 1 and self._stamps[-2] < stamp_sec

    def _drop_newest(self) -> None:
        del self._stamps[-1], self._samples[-1]

    def _append(self, stamp_sec: float, sample: Sample) -> None:
        self._stamps.append(stamp_sec)
        self._samples.append(sample)
        expired = bisect_left(self._stamps, stamp_sec - self._span_sec)
        del self._stamps[:expired], self._samples[:expired]

    def _index_after(self, stamp_sec: float) -> int:
        """Index of the first sample at or after `stamp_sec`."""
        return bisect_left(self._stamps, stamp_sec)


@dataclass(frozen=True)
class Motion:
    """From one stamp to another along odometry's path."""

    T_then_now: Pose2
    travelled_m: float


@dataclass(frozen=True)
class PathPose:
    """T_odom_base and the number of the path it belongs to: poses of different paths have nothing in common."""

    pose: Pose2
    path: int


class OdometryBuffer(StampedBuffer[PathPose]):
    """T_odom_base by stamp, interpolated linearly along each path.

    A new path begins where a step departs from the motion before it by more than any robot can change it. It also
    begins after a gap above `max_gap_sec`, in which the driver may have been restarted without a visible step.
    """

    def __init__(self, span_sec: float, max_gap_sec: float, max_speed_mps: float) -> None:
        super().__init__(span_sec)
        self._max_gap_sec, self._max_speed_mps = max_gap_sec, max_speed_mps
        self._path = 0

    def add_pose(self, stamp_sec: float, pose: Pose2) -> bool:
        """As `add`. A step that no robot drives also raises SampleError: `pose` begins a new path then."""
        jumped_back = self.add(stamp_sec, PathPose(pose, self._path))
        if not jumped_back and len(self._samples) > 1 and self._was_reset():
            step = self._step(-2)
            raise SampleError(
                f"odometry jumped by {np.hypot(step.x_m, step.y_m):.1f} m and "
                f"{abs(np.degrees(step.yaw_rad)):.0f}° within {self._elapsed_sec(-2):.2f} s; its path starts anew"
            )
        return jumped_back

    def _append(self, stamp_sec: float, sample: PathPose) -> None:
        """Every sample, also one that was held back, is appended here and belongs to the path that it continues."""
        super()._append(stamp_sec, replace(sample, path=self._path))
        if len(self._samples) > 1:
            if self._elapsed_sec(-2) > self._max_gap_sec or self._was_reset():
                self._path += 1
                self._samples[-1] = replace(sample, path=self._path)

    def _drop_newest(self) -> None:
        super()._drop_newest()
        self._path = self._samples[-1].path

    def _was_reset(self) -> bool:
        """Whether no robot can drive the last step, given the motion before it."""
        step, gap_sec = self._step(-2), self._elapsed_sec(-2)
        if abs(step.yaw_rad) > RESET_TURN_RAD + MAX_TURN_RADPS * gap_sec:
            return True
        first = bisect_right(self._stamps, self._stamps[-2] - VELOCITY_SPAN_SEC) - 1
        if first < 0 or self._samples[first].path != self._samples[-2].path:
            step_m = np.hypot(step.x_m, step.y_m)
            return bool(step_m > max(RESET_STEP_M, RESET_SPEED_RATIO * self._max_speed_mps * gap_sec))
        start, before, now = (self._samples[index].pose for index in (first, -2, -1))
        span_sec = self._stamps[-2] - self._stamps[first]
        ahead = gap_sec / span_sec
        departure_m = np.hypot(
            now.x_m - before.x_m - ahead * (before.x_m - start.x_m),
            now.y_m - before.y_m - ahead * (before.y_m - start.y_m),
        )
        # The mean velocity of the span is the velocity at its middle. An acceleration since then departs by this much.
        possible_m = MAX_ACCELERATION_MPS2 * gap_sec * (gap_sec + span_sec) / 2
        return bool(departure_m > RESET_STEP_M + possible_m)

    def _step(self, since: int) -> Pose2:
        """The newest pose as seen from the sample `since`."""
        return self._samples[since].pose.inverse() @ self._samples[-1].pose

    def _elapsed_sec(self, since: int) -> float:
        return self._stamps[-1] - self._stamps[since]

    def at(self, stamp_sec: float) -> PathPose | None:
        """The pose at `stamp_sec`; None outside of what is kept and between two paths."""
        after = self._index_after(stamp_sec)
        if after == len(self._stamps):
            return None
        if self._stamps[after] == stamp_sec:
            return self._samples[after]
        if after == 0 or self._samples[after - 1].path != self._samples[after].path:
            return None
        start, end = self._samples[after - 1].pose, self._samples[after].pose
        share = (stamp_sec - self._stamps[after - 1]) / (self._stamps[after] - self._stamps[after - 1])
        return PathPose(
            Pose2(
                start.x_m + share * (end.x_m - start.x_m),
                start.y_m + share * (end.y_m - start.y_m),
                float(wrap_angle_rad(start.yaw_rad + share * wrap_angle_rad(end.yaw_rad - start.yaw_rad))),
            ),
            self._samples[after].path,
        )

    def motion(self, from_sec: float, to_sec: float) -> Motion | None:
        """From `from_sec` to a later `to_sec`; None where one path does not cover both."""
        start, end = self.at(from_sec), self.at(to_sec)
        if start is None or end is None or start.path != end.path:
            return None
        inside = [sample.pose for _, sample in self.between(from_sec, to_sec)]
        xy_m = np.array([(pose.x_m, pose.y_m) for pose in [start.pose, *inside, end.pose]])
        travelled_m = float(np.linalg.norm(np.diff(xy_m, axis=0), axis=1).sum())
        return Motion(start.pose.inverse() @ end.pose, travelled_m)
