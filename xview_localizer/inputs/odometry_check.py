"""Checks of odometry over several messages: its position and orientation have to follow the motion that it reports."""

from __future__ import annotations

import numpy as np

from xview_localizer.inputs.messages import MessageError, stamp_sec

# A driver does not fill in the pose if it stays the same to the last digit while the twist covers this much ground.
STILL_PATH_M = 0.3
# A smaller twist is the noise of a robot that stands.
STANDING_SPEED_MPS = 0.02
# The twist is not integrated over longer gaps between messages.
MAX_GAP_SEC = 1.0
# A longer step between two poses is a restart of odometry: poses before and after it have nothing in common.
RESTART_STEP_M = 5.0
# No driving robot climbs more than it moves ahead, once it has climbed this much.
CLIMB_PATH_M = 3.0
# A driver does not fill in the orientation if it stays the same to the last digit while the direction of the path,
# taken over DIRECTION_M, turns by more than TURN_RAD. Reversing is no turn.
DIRECTION_M, TURN_RAD = 1.0, float(np.radians(45.0))


class OdometryCheck:
    """Follows one source of nav_msgs/Odometry; raises MessageError where its poses and twists contradict each other."""

    def __init__(self) -> None:
        self._pose: tuple[float, ...] | None = None
        self._stamp_sec = 0.0
        self._twist_path_m = 0.0  # covered by the twist since the pose last changed
        self._across_m = self._climbed_m = 0.0
        self._corner_m: np.ndarray | None = None  # where the path's direction was last taken
        self._direction_rad: float | None = None  # the first one with the present orientation
        self._has_turned = False  # with the present orientation

    def check(self, message) -> None:
        """Take the next message. A fault shows only after some messages, so the first of them pass."""
        position, orientation = message.pose.pose.position, message.pose.pose.orientation
        pose = (
            position.x,
            position.y,
            position.z,
            orientation.x,
            orientation.y,
            orientation.z,
            orientation.w,
        )
        twist_mps = message.twist.twist.linear
        speed_mps = float(np.hypot(twist_mps.x, twist_mps.y))
        now_sec = stamp_sec(message)
        previous, gap_sec = self._pose, now_sec - self._stamp_sec
        self._pose, self._stamp_sec = pose, now_sec
        drives_sideways = abs(twist_mps.y) > STANDING_SPEED_MPS
        if previous is None or previous[3:] != pose[3:] or drives_sideways or gap_sec > MAX_GAP_SEC:
            self._corner_m = self._direction_rad = None
            self._has_turned = False
        self._check_turn(np.array(pose[:2]))
        if previous != pose:
            self._twist_path_m = 0.0
            if previous is not None:
                self._check_climb(np.subtract(pose[:3], previous[:3]))
        elif speed_mps > STANDING_SPEED_MPS and 0 < gap_sec <= MAX_GAP_SEC:
            self._twist_path_m += speed_mps * gap_sec
        if self._twist_path_m > STILL_PATH_M:
            raise MessageError(
                f"Odometry's pose stands still while its twist is {speed_mps:.1f} m/s: the driver fills in the twist "
                "only; let it integrate the pose, or feed robot_localization's output"
            )

    def _check_turn(self, xy_m: np.ndarray) -> None:
        """Compare the path's direction with the first one that was seen with the present orientation."""
        if not np.all(np.isfinite(xy_m)):
            return
        if self._corner_m is None:
            self._corner_m = xy_m
        step_m = xy_m - self._corner_m
        if np.hypot(*step_m) >= DIRECTION_M:
            self._corner_m, direction_rad = xy_m, float(np.arctan2(step_m[1], step_m[0]))
            if self._direction_rad is None:
                self._direction_rad = direction_rad
            self._has_turned |= bool(abs(np.sin(direction_rad - self._direction_rad)) > np.sin(TURN_RAD))
        if self._has_turned:
            raise MessageError(
                "Odometry's orientation stands still while its path turns: the driver fills in the position only; let "
                "it fill in the orientation, or feed robot_localization's output"
            )

    def _check_climb(self, moved_m: np.ndarray) -> None:
        if not np.all(np.isfinite(moved_m)):
            return
        if np.linalg.norm(moved_m) > RESTART_STEP_M:
            # Odometry restarts, for instance, when the first GNSS fix lifts z from 0 to the altitude.
            self._across_m = self._climbed_m = 0.0
            return
        self._across_m += float(np.hypot(*moved_m[:2]))
        self._climbed_m += float(moved_m[2])
        if abs(self._climbed_m) > max(CLIMB_PATH_M, self._across_m):
            raise MessageError(
                f"Odometry has moved {self._climbed_m:.0f} m along z and {self._across_m:.0f} m across it: its frame "
                "has z forward, as a camera's optical frame; publish the pose of base_link with z up (REP 105)"
            )
