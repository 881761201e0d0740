"""A check that odometry's yaw points where the robot drives.

It does not where yaw counts clockwise from north, or is that of a sensor that is mounted turned.
"""

from __future__ import annotations

import numpy as np

from xview_localizer.geometry.pose import Pose2
from xview_localizer.inputs.odometry_check import RESTART_STEP_M

# The direction is taken over steps of STEP_M. Slower steps do not count, since the odometry of a standing robot may
# drift sideways.
STEP_M, LEAST_SPEED_MPS = 0.5, 0.3
# No robot drives SIDEWAYS_PATH_M at a greater angle to its axis, unless its wheels are made for driving sideways.
SIDEWAYS_RAD, SIDEWAYS_PATH_M = float(np.radians(45.0)), 5.0
# Wheels that are made for it show in a twist along y of more than this share of the speed.
LATERAL_SHARE = 0.3
SIDEWAYS = (
    "by odom the robot has driven sideways: yaw has to be that of base_link's x, and to grow counter-clockwise from "
    "the x of odometry's frame (REP 103), not clockwise from north; few poses are found, if any"
)


class DrivingDirection:
    """Follows T_odom_base and sums up the path that is driven sideways; driving backwards is allowed."""

    def __init__(self) -> None:
        self._start: tuple[float, Pose2] | None = None
        self._sideways_m = 0.0
        self._has_driven_sideways = False

    def on_odometry(self, stamp_sec: float, pose: Pose2, lateral_mps: float) -> None:
        """Take the next T_odom_base, and the speed along base_link's y by the twist."""
        if self._start is None:
            self._start = (stamp_sec, pose)
        started_sec, start = self._start
        step = start.inverse() @ pose
        step_m, elapsed_sec = float(np.hypot(step.x_m, step.y_m)), stamp_sec - started_sec
        if step_m < STEP_M:
            return
        self._start = (stamp_sec, pose)
        # Along the chord of an arc the robot points halfway between both ends.
        off_rad = np.arctan2(step.y_m, step.x_m) - step.yaw_rad / 2
        slow = step_m < LEAST_SPEED_MPS * elapsed_sec
        intended = abs(lateral_mps) * elapsed_sec > LATERAL_SHARE * step_m
        restarted = step_m >= RESTART_STEP_M
        at_an_angle = abs(np.sin(off_rad)) > np.sin(SIDEWAYS_RAD)
        sideways = at_an_angle and not (slow or intended or restarted)
        self._sideways_m = self._sideways_m + step_m if sideways else 0.0
        self._has_driven_sideways |= self._sideways_m > SIDEWAYS_PATH_M

    def doubts(self) -> list[str]:
        """A sentence with the remedy once the robot has driven sideways for long, by its odometry."""
        return [SIDEWAYS] if self._has_driven_sideways else []
