"""A comparison of odometry's path with GNSS's: one may be mirrored, of another scale, or stand still."""

from __future__ import annotations

from collections import deque

import numpy as np

from xview_localizer.geometry.pose import Pose2
from xview_localizer.inputs.messages import MessageError
from xview_localizer.inputs.odometry_check import RESTART_STEP_M

# The last POSITIONS positions are compared, at least POSITIONS_LEAST, with SPACING_M driven between two of them.
POSITIONS, POSITIONS_LEAST, SPACING_M = 60, 12, 2.0
# A position is compared with the last pose of odometry before it, if that is no older.
MAX_AGE_SEC = 0.3
# The mirrored or scaled path has to fit the positions BETTER_BY times better than the path itself, whose misfit has to
# exceed MISSES_BY_M and MISSES_BY_SIGMAS standard deviations of GNSS.
BETTER_BY, MISSES_BY_SIGMAS, MISSES_BY_M = 4.0, 3.0, 2.0
# A receiver that measures changes the last digits of its position. One that repeats them while the robot drives this
# far sends an old position.
REPEATED_OVER_M = 5.0
# Odometry stands still, or is in kilometres or degrees, where it moves by less than SPACING_M while GNSS moves by more
# than LEFT_BEHIND_M and than its own error. GNSS's motion is that between the medians of the first and the last FEW
# positions, since a single one may be a reflection.
LEFT_BEHIND_M, FEW = 20.0, 5


class PathCheck:
    """Compares the shapes of both paths. On a straight road a path and its mirror image look the same."""

    def __init__(self) -> None:
        # Positions by odometry and by GNSS, both as x + iy in metres, and the standard deviation of the latter.
        self._pairs: deque[tuple[complex, complex, float]] = deque(maxlen=POSITIONS)
        self._last_odometry: tuple[float, complex] | None = None  # stamp and position
        self._mirrored = False
        # The last position of GNSS, and odometry's position when it was received first.
        self._last_position: tuple[complex, complex] | None = None
        self._scale = 1.0  # of odometry's path against GNSS's, where they differ
        # GNSS's positions and standard deviations since odometry moved on: the first and the last FEW of them.
        self._since_moved: list[tuple[np.ndarray, float]] = []

    def on_odometry(self, stamp_sec: float, pose: Pose2) -> None:
        """Take the next pose. Raises MessageError once the path has been found to be a mirror image."""
        at = complex(pose.x_m, pose.y_m)
        if self._last_odometry is not None and abs(at - self._last_odometry[1]) > RESTART_STEP_M:
            self._pairs.clear()
            self._since_moved.clear()
            self._mirrored, self._last_position = False, None
        self._last_odometry = (stamp_sec, at)
        if self._mirrored:
            raise MessageError(
                "Odometry's path is the mirror image of GNSS's: its frame is left-handed. y has to point left, and yaw "
                "to grow counter-clockwise (REP 103); let the driver negate both"
            )

    def on_position(self, stamp_sec: float, xy_m: np.ndarray, sigma_m: float) -> None:
        """A position [2] of GNSS in `map`. Raises MessageError where it is repeated though the robot drives."""
        if self._last_odometry is None or not 0 <= stamp_sec - self._last_odometry[0] <= MAX_AGE_SEC:
            return
        at, position = self._last_odometry[1], complex(xy_m[0], xy_m[1])
        if self._last_position is None or self._last_position[0] != position:
            self._last_position = (position, at)
        if (driven_m := abs(at - self._last_position[1])) > REPEATED_OVER_M:
            raise MessageError(
                f"NavSatFix repeats a position to the last digit, and by odom the robot has driven {driven_m:.0f} m: "
                "the receiver has lost its fix, or holds its position at low speed; let the driver send status -1 then"
            )
        if not self._pairs or abs(at - self._pairs[-1][0]) >= SPACING_M:
            self._pairs.append((at, position, sigma_m))
            self._compare()
            self._since_moved.clear()
        self._since_moved.append((xy_m, sigma_m))
        del self._since_moved[FEW:-FEW]

    def doubts(self) -> list[str]:
        """A sentence with the remedy while the odometry of the last positions stands still or has another scale."""
        if left_behind_m := self._left_behind_m():
            return [
                f"by fix the robot has driven {left_behind_m:.0f} m, and by odom less than {SPACING_M:g} m, and few "
                "poses are found, if any: check that the wheels' driver runs, and that odometry is in metres"
            ]
        if self._scale == 1.0:
            return []
        return [
            f"by odom the robot has driven {self._scale:.2g} times as far as by fix, and few poses are found, if any: "
            "check the wheels' radius, the gear ratio, and that odometry is in metres"
        ]

    def _left_behind_m(self) -> float:
        """How far GNSS has gone since odometry moved on; 0 where that is no more than GNSS can be off."""
        if len(self._since_moved) < 2 * FEW:
            return 0.0
        positions_m, sigmas_m = (np.array(values) for values in zip(*self._since_moved, strict=True))
        first_m, last_m = (np.median(few_m, axis=0) for few_m in (positions_m[:FEW], positions_m[-FEW:]))
        gone_m = float(np.linalg.norm(last_m - first_m))
        return gone_m if gone_m > max(LEFT_BEHIND_M, MISSES_BY_SIGMAS * float(np.median(sigmas_m))) else 0.0

    def _compare(self) -> None:
        if len(self._pairs) < POSITIONS_LEAST:
            return
        odometry, gnss, sigmas_m = (np.array(values) for values in zip(*self._pairs, strict=True))
        path_m, misses_by_m = _misfit_m(odometry, gnss), MISSES_BY_SIGMAS * float(np.median(sigmas_m))

        def fits_better(changed: np.ndarray) -> bool:
            return path_m > max(MISSES_BY_M, misses_by_m) and path_m > BETTER_BY * _misfit_m(changed, gnss)

        # Once found, this stays: a straight road, which looks the same mirrored, cannot disprove it.
        self._mirrored = self._mirrored or fits_better(odometry.conj())
        self._scale, size_m = 1.0, float(np.std(gnss))
        if size_m > max(MISSES_BY_M, misses_by_m):
            scale = float(np.std(odometry)) / size_m
            self._scale = scale if fits_better(odometry / scale) else 1.0


def _misfit_m(path: np.ndarray, positions: np.ndarray) -> float:
    """RMS distance of a path [N] from positions [N], both complex, once it is turned and shifted onto them."""
    path, positions = path - path.mean(), positions - positions.mean()
    turn = np.exp(1j * np.angle(np.vdot(path, positions)))
    return float(np.sqrt(np.mean(np.abs(positions - turn * path) ** 2)))
