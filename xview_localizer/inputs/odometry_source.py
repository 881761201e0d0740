"""Doubts about valid odometry that cannot carry poses: its messages are too rare, or its frame jumps."""

from __future__ import annotations

from collections import deque

import numpy as np

# The median of the last STEPS intervals between messages counts, from STEPS_LEAST of them on.
STEPS, STEPS_LEAST = 20, 10


class OdometrySource:
    """Follows the stamps and the frame of odometry; the tracker does not bridge intervals above `max_gap_sec`."""

    def __init__(self, max_gap_sec: float, map_frame: str) -> None:
        self._max_gap_sec, self._map_frame = max_gap_sec, map_frame
        self._last_sec: float | None = None
        self._steps_sec: deque[float] = deque(maxlen=STEPS)
        self._frame = ""

    def on_odometry(self, stamp_sec: float, frame: str) -> None:
        """A message was taken; `frame` is that of its poses, without a slash in front."""
        if self._last_sec is not None:
            self._steps_sec.append(stamp_sec - self._last_sec)
        self._last_sec, self._frame = stamp_sec, frame

    def doubts(self) -> list[str]:
        """One sentence with its remedy for each doubt."""
        doubts = []
        every_sec = float(np.median(self._steps_sec)) if len(self._steps_sec) >= STEPS_LEAST else 0.0
        if every_sec > self._max_gap_sec:
            doubts.append(
                f"odom comes every {every_sec:.1f} s, and gaps of more than odometry.max_gap_sec "
                f"({self._max_gap_sec:g} s) are not bridged, so that nothing is carried from image to image: publish "
                "it at 10 Hz or more, or raise odometry.max_gap_sec"
            )
        if self._frame and self._frame == self._map_frame:
            doubts.append(
                f"odom is in {self._frame}, as the poses published here: a filter in that frame jumps where GNSS or "
                "these poses correct it, and its jumps are taken for motion; take the odometry that it is fed with, or "
                "that of a filter in odom (REP 105)"
            )
        return doubts
