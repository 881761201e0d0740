"""What a drive's sensors said, by stamp: bounded buffers that answer only for times they cover."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Generic, TypeVar

import numpy as np

from xview_localizer.geometry.pose import Pose2, wrap_angle_rad

Sample = TypeVar("Sample")


class StampedBuffer(Generic[Sample]):
    """Samples in strictly increasing stamps, the last `span_sec` of them."""

    def __init__(self, span_sec: float) -> None:
        self._span_sec = span_sec
        self._stamps: list[float] = []
        self._samples: list[Sample] = []

    @property
    def newest_sec(self) -> float | None:
        return self._stamps[-1] if self._stamps else None

    def add(self, stamp_sec: float, sample: Sample) -> bool:
        """Append; False (and nothing kept) where the stamp is not newer than the newest."""
        if self._stamps and stamp_sec <= self._stamps[-1]:
            return False
        self._stamps.append(stamp_sec)
        self._samples.append(sample)
        expired = bisect_left(self._stamps, stamp_sec - self._span_sec)
        del self._stamps[:expired], self._samples[:expired]
        return True

    def clear(self) -> None:
        self._stamps.clear()
        self._samples.clear()

    def covers(self, stamp_sec: float) -> bool:
        """Whether nothing older than `stamp_sec` can still arrive. An empty buffer promises nothing."""
        return bool(self._stamps) and self._stamps[-1] >= stamp_sec

    def between(self, after_sec: float, until_sec: float) -> list[tuple[float, Sample]]:
        """Samples with after_sec < stamp <= until_sec."""
        chosen = slice(bisect_right(self._stamps, after_sec), bisect_right(self._stamps, until_sec))
        return list(zip(self._stamps[chosen], self._samples[chosen], strict=True))

    def _index_after(self, stamp_sec: float) -> int:
        """Index of the first sample at or after `stamp_sec`."""
        return bisect_left(self._stamps, stamp_sec)


class OdometryBuffer(StampedBuffer[Pose2]):
    """T_odom_base by stamp, interpolated linearly."""

    def __init__(self, span_sec: float, max_gap_sec: float) -> None:
        super().__init__(span_sec)
        self._max_gap_sec = max_gap_sec

    def interpolate(self, stamp_sec: float) -> Pose2 | None:
        """T_odom_base at `stamp_sec`; None outside of what is kept or inside a gap above `max_gap_sec`."""
        after = self._index_after(stamp_sec)
        if after == len(self._stamps):
            return None
        if self._stamps[after] == stamp_sec:
            return self._samples[after]
        if after == 0 or self._stamps[after] - self._stamps[after - 1] > self._max_gap_sec:
            return None
        start, end = self._samples[after - 1], self._samples[after]
        share = (stamp_sec - self._stamps[after - 1]) / (self._stamps[after] - self._stamps[after - 1])
        return Pose2(
            start.x_m + share * (end.x_m - start.x_m),
            start.y_m + share * (end.y_m - start.y_m),
            float(wrap_angle_rad(start.yaw_rad + share * wrap_angle_rad(end.yaw_rad - start.yaw_rad))),
        )

    def travelled_m(self, from_sec: float, to_sec: float) -> float:
        """Length of the path driven between two covered stamps."""
        ends = [self.interpolate(from_sec), self.interpolate(to_sec)]
        inside = [pose for _, pose in self.between(from_sec, to_sec)]
        xy_m = np.array([(pose.x_m, pose.y_m) for pose in [ends[0], *inside, ends[1]] if pose is not None])
        return float(np.linalg.norm(np.diff(xy_m, axis=0), axis=1).sum())
