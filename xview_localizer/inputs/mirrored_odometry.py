"""Odometry of a left-handed frame: its path is the mirror image of the one that GNSS shows."""

from __future__ import annotations

from collections import deque

import numpy as np

from xview_localizer.geometry.pose import Pose2
from xview_localizer.inputs.messages import MessageError
from xview_localizer.inputs.odometry_check import RESTART_STEP_M

# Positions that are compared, and the distance driven between two of them.
POSITIONS, POSITIONS_LEAST, SPACING_M = 60, 12, 2.0
# A position belongs to the last pose of odometry if it is not older.
MAX_AGE_SEC = 0.3
# The mirrored path has to fit this much better than the path itself, which misses the positions by more than GNSS does.
BETTER_BY, MISSES_BY_SIGMAS, MISSES_BY_M = 4.0, 3.0, 2.0


class MirrorCheck:
    """Compares odometry's path with GNSS's, as rigid shapes; on a straight road the two hands look the same."""

    def __init__(self) -> None:
        self._pairs: deque[tuple[complex, complex, float]] = deque(maxlen=POSITIONS)  # odometry, GNSS, sigma
        self._last: tuple[float, complex] | None = None
        self._mirrored = False

    def on_odometry(self, stamp_sec: float, pose: Pose2) -> None:
        """Take the next pose. Raises MessageError where the path so far is a mirror image."""
        at = complex(pose.x_m, pose.y_m)
        if self._last is not None and abs(at - self._last[1]) > RESTART_STEP_M:
            self._pairs.clear()
            self._mirrored = False
        self._last = (stamp_sec, at)
        if self._mirrored:
            raise MessageError(
                "Odometry's path is the mirror image of GNSS's: its frame is left-handed. y has to point left, and yaw "
                "to grow counter-clockwise (REP 103); let the driver negate both"
            )

    def on_position(self, stamp_sec: float, xy_m: np.ndarray, sigma_m: float) -> None:
        """A position [2] of GNSS in `map`."""
        if self._last is None or not 0 <= stamp_sec - self._last[0] <= MAX_AGE_SEC:
            return
        at = self._last[1]
        if not self._pairs or abs(at - self._pairs[-1][0]) >= SPACING_M:
            self._pairs.append((at, complex(xy_m[0], xy_m[1]), sigma_m))
            # For good: the next straight road, on which the hands look alike, shows nothing else.
            self._mirrored = self._mirrored or self._is_mirrored()

    def _is_mirrored(self) -> bool:
        if len(self._pairs) < POSITIONS_LEAST:
            return False
        odometry, gnss, sigmas_m = (np.array(values) for values in zip(*self._pairs, strict=True))
        path_m, mirrored_m = _misfit_m(odometry, gnss), _misfit_m(odometry.conj(), gnss)
        misses_by_m = max(MISSES_BY_M, MISSES_BY_SIGMAS * float(np.median(sigmas_m)))
        return path_m > misses_by_m and path_m > BETTER_BY * mirrored_m


def _misfit_m(path: np.ndarray, positions: np.ndarray) -> float:
    """RMS distance of a path [N] from positions [N], both complex, once it is turned and shifted onto them."""
    path, positions = path - path.mean(), positions - positions.mean()
    turn = np.exp(1j * np.angle(np.vdot(path, positions)))
    return float(np.sqrt(np.mean(np.abs(positions - turn * path) ** 2)))
