"""A lean that turns with the robot is a wrong mounting of the IMU; slopes and loads are not blamed on it."""

import numpy as np
import pytest

from xview_localizer.geometry.pose import Pose2
from xview_localizer.inputs.lean_check import POSES_LEAST, LeanCheck

HEADINGS_DEG = np.linspace(0.0, 90.0, 24)


def gravity(front_deg, left_deg):
    """Down in a base_link whose front and left side are lower by these angles."""
    return 9.81 * np.array([np.tan(np.radians(front_deg)), np.tan(np.radians(left_deg)), -1.0])


def drive(leans_deg, headings_deg=HEADINGS_DEG, on_slope=True):
    check = LeanCheck()
    slopes = np.broadcast_to(on_slope, len(headings_deg))
    for lean_deg, heading_deg, slope in zip(leans_deg, headings_deg, slopes, strict=True):
        check.on_pose(gravity(*lean_deg), Pose2(0.0, 0.0, np.radians(heading_deg)), bool(slope))
    return check.doubts()


@pytest.mark.parametrize(
    ("lean_deg", "words"),
    [
        ((3.0, 0.5), "leans by 3°, its front lower"),
        ((-4.0, 1.0), "leans by 4°, its rear lower"),
        ((1.0, 6.0), "its left lower"),
        ((0.0, -5.0), "its right lower"),
    ],
)
def test_an_imu_that_leans_on_every_heading_is_mounted_off(lean_deg, words):
    noise_deg = np.random.default_rng(0).normal(0.0, 0.3, (len(HEADINGS_DEG), 2))
    (doubt,) = drive(lean_deg + noise_deg)
    assert words in doubt and "imu.rpy_deg" in doubt


def test_a_slope_is_none():
    """Of 4° to the east: on other headings the robot leans to other sides."""
    along, across = np.cos(np.radians(HEADINGS_DEG)), np.sin(np.radians(HEADINGS_DEG))
    assert drive(np.column_stack([4.0 * along, -4.0 * across])) == []
    rocking_deg = np.random.default_rng(0).normal((4.0, 0.0), 1.0, (24, 2))
    assert drive(rocking_deg, headings_deg=np.linspace(0.0, 30.0, 24)) == []  # straight up a hill


def test_a_robot_that_leans_on_level_ground_is_none():
    assert drive([(3.0, 0.0)] * 24, on_slope=False) == []
    on_slope = np.arange(24) % 4 > 0  # three of four
    assert drive([(3.0, 0.0)] * 24, on_slope=on_slope) == []
    assert (
        drive([(1.8, 0.0), (2.1, 0.0)] * 12) == []
    )  # too little for a slope to be looked for, but now and then


def test_some_poses_are_needed_and_those_of_long_ago_do_not_count():
    headings_deg = np.linspace(0.0, 90.0, POSES_LEAST)
    assert drive([(3.0, 0.0)] * POSES_LEAST, headings_deg)
    assert drive([(3.0, 0.0)] * (POSES_LEAST - 1), headings_deg[1:]) == []
    later_deg = [(0.1, 0.0)] * 200 + [(3.0, 0.0)] * 200
    assert drive(later_deg, np.linspace(0.0, 180.0, 400), on_slope=np.arange(400) >= 200)


def test_without_an_imu_there_is_nothing_to_doubt():
    check = LeanCheck()
    for heading_rad in np.linspace(0.0, 3.0, 30):
        check.on_pose(None, Pose2(0.0, 0.0, heading_rad), on_slope=False)
    assert check.doubts() == []
