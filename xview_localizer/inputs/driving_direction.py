"""Odometry whose yaw is not where the robot drives: clockwise from north, or of a sensor that is mounted turned."""

from __future__ import annotations

import numpy as np

from xview_localizer.geometry.pose import Pose2
from xview_localizer.inputs.odometry_check import RESTART_STEP_M

# The direction is taken over this distance, driven at no less than this speed: standing robots may drift sideways.
STEP_M, LEAST_SPEED_MPS = 0.5, 0.3
# No wheels roll at a greater angle to the robot's axis over this distance, unless they are made for it (see the twist).
SIDEWAYS_RAD, SIDEWAYS_PATH_M = float(np.radians(45.0)), 5.0
# Wheels that drive sideways have a twist along y of more than this share of the speed.
LATERAL_SHARE = 0.3
SIDEWAYS = (
    "by odom the robot has driven sideways: yaw has to be that of base_link's x, and to grow counter-clockwise from "
    "the x of odometry's frame (REP 103), not clockwise from north; few poses are found, if any"
)


class DrivingDirection:
    """Follows T_odom_base; backwards is as good as forwards."""

    def __init__(self) -> None:
        self._start: tuple[float, Pose2] | None = None
        self._sideways_m = 0.0
        self._has_driven_sideways = False

    def on_odometry(self, stamp_sec: float, pose: Pose2, lateral_mps: float) -> None:
        """Take the next T_odom_base and the twist along y."""
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
        meant = abs(lateral_mps) * elapsed_sec > LATERAL_SHARE * step_m
        sideways = (
            abs(np.sin(off_rad)) > np.sin(SIDEWAYS_RAD) and not slow and not meant and step_m < RESTART_STEP_M
        )
        self._sideways_m = self._sideways_m + step_m if sideways else 0.0
        self._has_driven_sideways |= self._sideways_m > SIDEWAYS_PATH_M

    def doubts(self) -> list[str]:
        """A sentence with the remedy once the robot has driven sideways for long, by its odometry."""
        return [SIDEWAYS] if self._has_driven_sideways else []
