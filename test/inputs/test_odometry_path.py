"""A left-handed odometry is refused once the path has turned; noise, straight roads and restarts are no reason."""

import numpy as np
import pytest

from xview_localizer.geometry.pose import Pose2
from xview_localizer.inputs.messages import MessageError
from xview_localizer.inputs.odometry_path import PathCheck


def corner(length_m=30.0, step_m=2.5, turn_rad=np.pi / 2):
    """Positions [N, 2] along a street and, after a corner to the left, along another."""
    along = np.arange(0.0, length_m, step_m)
    street = np.column_stack([along, np.zeros_like(along)])
    return np.concatenate([street, [length_m, 0] + along[:, None] * [np.cos(turn_rad), np.sin(turn_rad)]])


def drive(check, odometry_m, gnss_m, sigma_m=1.0, start_sec=0.0):
    for number, (at_m, fix_m) in enumerate(zip(odometry_m, gnss_m, strict=True)):
        stamp_sec = start_sec + number
        check.on_odometry(stamp_sec, Pose2(*at_m, 0.0))
        check.on_position(stamp_sec + 0.1, fix_m, sigma_m)


def turned(path_m, by_rad):
    c, s = np.cos(by_rad), np.sin(by_rad)
    return path_m @ np.array([[c, -s], [s, c]]).T


@pytest.mark.parametrize("by_rad", [0.0, 2.0])
def test_a_mirrored_path_is_refused_after_the_corner(by_rad):
    path_m, rng = corner(), np.random.default_rng(0)
    gnss_m = turned(path_m, by_rad) + 100.0 + rng.normal(0.0, 1.0, path_m.shape)
    drive(PathCheck(), path_m, gnss_m)
    with pytest.raises(MessageError, match="mirror image of GNSS's: its frame is left-handed"):
        drive(PathCheck(), path_m * (1, -1), gnss_m)


def test_it_stays_refused_on_the_next_straight_road():
    path_m = np.concatenate([corner(), [30.0, 27.5] + 2.5 * np.arange(1, 100)[:, None] * [0.0, 1.0]])
    check, refused = PathCheck(), []
    for number, at_m in enumerate(path_m):
        try:
            check.on_odometry(float(number), Pose2(at_m[0], -at_m[1], 0.0))
        except MessageError:
            refused.append(number)
        check.on_position(number + 0.1, at_m, 1.0)
    assert refused == list(range(refused[0], len(path_m)))


@pytest.mark.parametrize("scale", [0.5, 1.15, 2.0])
def test_a_path_of_another_scale_is_doubted(scale):
    """Such as with the diameter of the wheels for their radius."""
    check, path_m = PathCheck(), corner(length_m=60.0)
    drive(
        check, scale * path_m, turned(path_m, 1.0) + np.random.default_rng(0).normal(0.0, 0.7, path_m.shape)
    )
    (doubt,) = check.doubts()
    assert float(doubt.split()[6]) == pytest.approx(scale, abs=0.06)


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1e-5])
def test_odometry_that_stands_while_gnss_drives_is_doubted(scale):
    """A driver of wheels that lost its motors, kilometres, degrees."""
    check, path_m = PathCheck(), corner()
    drive(check, scale * path_m, path_m + np.random.default_rng(0).normal(0.0, 1.0, path_m.shape))
    (doubt,) = check.doubts()
    assert doubt.startswith("by fix the robot has driven 3") and "by odom less than 2 m" in doubt
    drive(check, path_m, path_m, start_sec=100.0)
    assert check.doubts() == []  # it moves again


@pytest.mark.parametrize("sigma_m", [1.0, 15.0])
def test_a_robot_that_stands_is_not_doubted_for_gnss_that_strays(sigma_m):
    rng, check = np.random.default_rng(0), PathCheck()
    strays_m = rng.normal(0.0, sigma_m, (200, 2))
    strays_m[::10] += 100.0  # reflections
    drive(check, np.zeros((200, 2)), strays_m, sigma_m)
    assert check.doubts() == []


def test_a_position_that_is_repeated_while_the_robot_drives_is_refused():
    path_m = corner()
    with pytest.raises(MessageError, match="repeats a position to the last digit, and by odom .* driven 8 m"):
        drive(PathCheck(), path_m, np.zeros_like(path_m))
    drive(PathCheck(), np.zeros_like(path_m), np.zeros_like(path_m))  # it stands
    turning = PathCheck()
    angles_rad = np.arange(30.0)[:, None]
    drive(turning, 2.4 * np.hstack([np.cos(angles_rad), np.sin(angles_rad)]), np.zeros((30, 2)))
    assert turning.doubts() == []  # whose scale would be infinite
    drive(PathCheck(), path_m, np.repeat(path_m[::3], 3, axis=0))  # every third position is a new one
    lost = PathCheck()
    drive(lost, path_m[:3], np.ones((3, 2)))
    drive(lost, path_m[:3] + 100.0, np.ones((3, 2)), start_sec=10.0)  # odometry has begun anew


@pytest.mark.parametrize("scale", [0.97, 1.0, 1.03])
def test_what_wheels_slip_is_not_doubted(scale):
    check, path_m = PathCheck(), corner(length_m=60.0)
    drive(check, scale * path_m, path_m + np.random.default_rng(0).normal(0.0, 0.7, path_m.shape))
    assert check.doubts() == []


def test_hands_look_alike_on_a_straight_road():
    path_m = corner(turn_rad=0.0) + np.random.default_rng(0).normal(0.0, 0.1, (24, 2))
    drive(PathCheck(), path_m * (1, -1), path_m)


def test_what_gnss_cannot_tell_is_not_refused():
    path_m = corner(length_m=15.0, step_m=2.0)
    drive(PathCheck(), path_m * (1, -1), path_m, sigma_m=10.0)
    few = corner()[6:17]
    drive(PathCheck(), few * (1, -1), few)
    drive(PathCheck(), corner(turn_rad=1.0), corner(turn_rad=1.6))  # odometry that drifts


def test_a_restart_begins_anew():
    """Where it begins again is by chance: here so that the whole would be a mirror image, each half being straight."""
    path_m = np.delete(corner(length_m=45.0), slice(18, 24), axis=0)  # no odometry for 15 m after the corner
    drive(PathCheck(), path_m * (1, -1), path_m)
