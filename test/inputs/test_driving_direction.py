"""Odometry whose yaw is off where the robot drives is doubted; curves, reverse gear and mecanum wheels are not."""

import numpy as np
import pytest

from xview_localizer.geometry.pose import Pose2
from xview_localizer.inputs.driving_direction import SIDEWAYS, DrivingDirection


def drive(direction_rad, yaw_rad, speed_mps=1.0, lateral_mps=0.0, length_m=8.0):
    check, step_m = DrivingDirection(), 0.1
    for number in range(round(length_m / step_m)):
        along_m = number * step_m
        pose = Pose2(along_m * np.cos(direction_rad), along_m * np.sin(direction_rad), yaw_rad)
        check.on_odometry(100.0 + along_m / speed_mps, pose, lateral_mps)
    return check.doubts()


@pytest.mark.parametrize("heading_rad", [0.0, np.pi / 2, 0.2, 3.0])
def test_a_compass_is_doubted_where_it_is_off_to_the_side(heading_rad):
    assert drive(heading_rad, np.pi / 2 - heading_rad) == [SIDEWAYS]
    assert not drive(heading_rad, heading_rad)
    assert not drive(heading_rad, heading_rad + np.pi)  # in reverse gear
    assert not drive(heading_rad, heading_rad + 0.5)  # slips on a slope


def test_what_is_meant_or_short_or_slow_or_a_restart_is_not():
    assert not drive(0.0, np.pi / 2, lateral_mps=-1.0)  # mecanum wheels
    assert not drive(0.0, np.pi / 2, length_m=4.0)
    assert not drive(0.0, np.pi / 2, speed_mps=0.1)  # a filter that drifts while the robot stands
    check = DrivingDirection()
    for number in range(4):
        check.on_odometry(100.0 + number, Pose2(0.0, 30.0 * (number % 2), 0.0), 0.0)
    assert not check.doubts()


def test_a_tight_circle_is_no_sideways_drive():
    check, radius_m = DrivingDirection(), 0.3
    for number in range(300):
        angle_rad = 0.1 * number
        pose = Pose2(radius_m * np.sin(angle_rad), -radius_m * np.cos(angle_rad), angle_rad)
        check.on_odometry(100.0 + 0.05 * number, pose, 0.0)
    assert not check.doubts()
