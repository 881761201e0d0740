"""A check for a wrong mounting of the IMU, by how base_link and the ground lean at the accepted poses of a drive.

With a wrong mounting base_link seems to lean the same way on every heading, and the ground seems to lean with it. On a
real slope the lean is fixed in the map: in base_link it changes when the robot turns. A robot that leans by itself, on
springs or under a load, does so on level ground. Only a winding road that climbs all the way looks the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.pose import Pose2
from xview_localizer.inputs.doubts import lower_side
from xview_localizer.slopes import SLOPE_FROM_RAD

POSES, POSES_LEAST = 200, 10  # accepted poses that are examined: the last ones, and how many are needed
SLOPE_SHARE = 0.8  # least share of poses on a slope among those that lean enough for one
# The lean turns with the robot where its standard deviation in base_link is less than this share of that in the map.
# With a lean of 3° and a robot that rocks by about 1°, the ratio is 0.55 after a turn by 60°, 0.45 after 80°, 1 without
# a turn, and above 1 on a real slope.
LESS_VARIED = 0.6


@dataclass(frozen=True)
class _LeaningPose:
    """How base_link leans at an accepted pose, and whether the ground was found to lean with it.

    The real part of the lean is positive where the front is lower, its imaginary part where the left side is lower.
    """

    lean_rad: complex
    yaw_rad: float
    on_slope: bool


class LeanCheck:
    """Follows the accepted poses of a drive."""

    def __init__(self) -> None:
        self._poses: deque[_LeaningPose] = deque(maxlen=POSES)

    def on_pose(self, gravity_base: np.ndarray | None, pose: Pose2, on_slope: bool) -> None:
        """Take an accepted pose: gravity [3] in base_link, and whether the ground was found parallel to base_link."""
        if gravity_base is not None:
            front_rad, left_rad = np.arctan2(gravity_base[:2], -gravity_base[2])
            self._poses.append(_LeaningPose(complex(front_rad, left_rad), pose.yaw_rad, on_slope))

    def doubts(self) -> list[str]:
        """A sentence with the remedy once the ground has leaned with base_link on several headings."""
        if len(self._poses) < POSES_LEAST:
            return []
        lean_rad = np.array([pose.lean_rad for pose in self._poses])
        yaw_rad = np.array([pose.yaw_rad for pose in self._poses])
        on_slope = np.array([pose.on_slope for pose in self._poses])
        steep = np.abs(lean_rad) >= SLOPE_FROM_RAD
        mean_rad = lean_rad.mean()
        turns_with_the_robot = np.std(lean_rad) < LESS_VARIED * np.std(lean_rad * np.exp(1j * yaw_rad))
        if abs(mean_rad) < SLOPE_FROM_RAD or on_slope[steep].mean() < SLOPE_SHARE or not turns_with_the_robot:
            return []
        side, _ = lower_side(np.array([mean_rad.real, mean_rad.imag]))
        return [
            f"by the IMU base_link leans by {np.degrees(abs(mean_rad)):.0f}°, its {side} lower, "
            "on every heading, and the ground along with it: unless the road climbs or falls all the way, imu.rpy_deg "
            "or the transform in its place is off by that; measure it. Until then images take twice as long"
        ]
