"""Buffers by stamp: bounded, in order, and odometry's paths never joined across a reset or a gap."""

from __future__ import annotations

from contextlib import nullcontext, suppress

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xview_localizer.belief.hypotheses import OdometryDrift
from xview_localizer.geometry.pose import Pose2, wrap_angle_rad
from xview_localizer.tracking.motion import OdometryBuffer, SampleError, StampedBuffer
from xview_localizer.tracking.pose_estimate import PoseEstimate, carry


def straight_drive(until_sec: float = 10.0, span_sec: float = 100.0) -> OdometryBuffer:
    """5 m/s along x at 10 Hz."""
    odometry = OdometryBuffer(span_sec, 0.5, 15.0)
    for i in range(round(10 * until_sec) + 1):
        odometry.add_pose(0.1 * i, Pose2(0.5 * i, 0.0, 0.0))
    return odometry


def test_odometry_interpolates_turns_the_short_way_and_never_extrapolates():
    buffer = OdometryBuffer(100.0, max_gap_sec=0.5, max_speed_mps=15.0)
    buffer.add_pose(1.0, Pose2(0.0, 0.0, np.pi - 0.1))
    buffer.add_pose(1.2, Pose2(1.0, 2.0, -np.pi + 0.1))
    middle = buffer.at(1.1).pose
    assert (middle.x_m, middle.y_m) == pytest.approx((0.5, 1.0))
    assert abs(wrap_angle_rad(middle.yaw_rad - np.pi)) < 1e-9
    assert buffer.at(0.9) is None
    assert buffer.at(1.3) is None


def test_motion_is_relative_and_measures_the_path_not_the_chord():
    odometry = OdometryBuffer(100.0, 0.5, 15.0)
    for i in range(9):
        angle_rad = np.pi / 8 * i
        odometry.add_pose(0.1 * i, Pose2(float(np.cos(angle_rad)), float(np.sin(angle_rad)), angle_rad))
    motion = odometry.motion(0.0, 0.8)
    assert (motion.T_then_now.x_m, motion.T_then_now.y_m) == pytest.approx((-2.0, 0.0))
    assert abs(wrap_angle_rad(motion.T_then_now.yaw_rad - np.pi)) < 1e-9
    assert motion.travelled_m == pytest.approx(np.pi, rel=0.01)


@pytest.mark.parametrize("gap_sec", [0.55, 2.0, 4.0])
def test_gap_ends_the_path_whatever_the_poses(gap_sec):
    odometry = straight_drive(1.0)
    after_sec = round(1.0 + gap_sec, 3)
    odometry.add_pose(after_sec, Pose2(5.0, 0.0, 0.0))
    assert odometry.at(1.0 + gap_sec / 2) is None
    assert odometry.motion(0.5, after_sec) is None
    assert odometry.motion(0.2, 0.9) is not None


def test_longest_gap_allowed_does_not_end_the_path():
    odometry = straight_drive(1.0)
    odometry.add_pose(1.5, Pose2(6.0, 0.0, 0.0))
    assert odometry.motion(0.5, 1.25).T_then_now.x_m == pytest.approx(3.0)


def test_pose_is_known_between_the_first_two_samples_of_a_path_whatever_came_before():
    odometry = straight_drive(1.0)
    for stamp_sec in (4.0, 4.1):
        odometry.add_pose(stamp_sec, Pose2(10.0 * stamp_sec, 0.0, 0.0))
    assert odometry.at(4.05).pose.x_m == pytest.approx(40.5)
    assert odometry.at(0.05).pose.x_m == pytest.approx(0.25)


def test_step_that_no_robot_drives_ends_the_path_and_is_named():
    odometry = straight_drive(1.0)
    with pytest.raises(
        SampleError, match=r"odometry jumped by 7\.0 m and 0° within 0\.10 s; its path starts anew"
    ):
        odometry.add_pose(1.1, Pose2(-2.0, 0.0, 0.0))
    odometry.add_pose(1.2, Pose2(-1.5, 0.0, 0.0))
    assert odometry.at(1.05) is None
    assert odometry.motion(0.5, 1.2) is None
    assert odometry.motion(1.1, 1.2).T_then_now.x_m == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("gap_sec", "pose", "kept"),
    [
        (0.1, Pose2(6.6, 0.0, 0.0), True),  # 0.5 m expected; 1 m and 0.15 m of acceleration allowed
        (0.1, Pose2(6.7, 0.0, 0.0), False),
        (0.4, Pose2(5.0, 0.0, 0.0), True),  # full brakes from 5 m/s
        (0.4, Pose2(0.0, 0.0, 0.0), False),  # restarted at its origin while messages were lost
        (0.4, Pose2(7.0, 2.1, 0.9), True),  # a sharp bend
        (0.4, Pose2(7.0, 2.3, 0.9), False),
        (0.1, Pose2(5.5, 0.0, 0.79), True),
        (0.1, Pose2(5.5, 0.0, 0.81), False),
        (0.1, Pose2(5.5, 0.0, -0.81), False),
    ],
)  # fmt: skip
def test_path_goes_on_as_far_as_a_robot_can_change_its_motion(gap_sec, pose, kept):
    odometry = straight_drive(1.0)
    with nullcontext() if kept else pytest.raises(SampleError, match="odometry jumped"):
        odometry.add_pose(1.0 + gap_sec, pose)
    assert (odometry.motion(0.5, 1.0 + gap_sec) is not None) is kept


def test_stamps_that_jitter_are_no_reset():
    """A hiccup of 0.2 s, then the messages that waited all at once."""
    odometry = straight_drive(1.0)
    for i in range(1, 11):
        odometry.add_pose(1.2 + 1e-3 * i, Pose2(5.0 + 0.1 * i, 0.0, 0.0))
    odometry.add_pose(1.22, Pose2(6.1, 0.0, 0.0))
    odometry.add_pose(1.24, Pose2(6.2, 0.0, 0.0))
    assert odometry.motion(0.5, 1.24).travelled_m == pytest.approx(3.7)


@pytest.mark.parametrize("step_m, kept", [(4.4, True), (4.6, False)])
def test_at_a_paths_start_a_step_may_be_three_times_what_the_robot_drives(step_m, kept):
    odometry = OdometryBuffer(100.0, 0.5, 15.0)
    odometry.add_pose(0.0, Pose2(0.0, 0.0, 0.0))
    with nullcontext() if kept else pytest.raises(SampleError, match="odometry jumped"):
        odometry.add_pose(0.1, Pose2(0.0, step_m, 0.0))


@pytest.mark.parametrize("step_m, kept", [(1.6, True), (1.8, False)])
def test_motion_is_known_from_a_fifth_of_a_second_into_a_path(step_m, kept):
    """5 m/s: 0.5 m are expected, and 1.175 m more are allowed."""
    odometry = OdometryBuffer(100.0, 0.5, 15.0)
    for stamp_sec in (0.0, 0.25):
        odometry.add_pose(stamp_sec, Pose2(5.0 * stamp_sec, 0.0, 0.0))
    with nullcontext() if kept else pytest.raises(SampleError, match="odometry jumped"):
        odometry.add_pose(0.35, Pose2(1.25 + step_m, 0.0, 0.0))


@pytest.mark.parametrize("ahead_sec", [1.5, 5.0, 59.0])
def test_one_stamp_ahead_within_a_gap_is_dropped_when_the_next_two_go_on(ahead_sec):
    odometry = straight_drive(1.0)
    odometry.add_pose(1.0 + ahead_sec, Pose2(5.0, 0.0, 0.0))
    with pytest.raises(SampleError, match="s off the previous one"):
        odometry.add_pose(1.1, Pose2(5.5, 0.0, 0.0))
    assert not odometry.add_pose(1.2, Pose2(6.0, 0.0, 0.0))
    assert odometry.newest_sec == 1.2
    assert odometry.motion(0.5, 1.2).travelled_m == pytest.approx(3.5)


def test_step_ahead_of_time_ends_the_path_before_the_sample_held_back():
    odometry = straight_drive(1.0)
    with pytest.raises(SampleError):
        odometry.add_pose(90.0, Pose2(100.0, 0.0, 0.0))
    assert not odometry.add_pose(90.1, Pose2(100.5, 0.0, 0.0))
    assert odometry.at(50.0) is None
    assert odometry.motion(1.0, 90.0) is None
    assert odometry.motion(90.0, 90.1).travelled_m == pytest.approx(0.5)


def test_path_goes_on_through_the_samples_after_a_step_back():
    odometry = straight_drive(10.0)
    with pytest.raises(SampleError):
        odometry.add_pose(1.0, Pose2(0.0, 0.0, 0.0))
    assert odometry.add_pose(1.1, Pose2(0.5, 0.0, 0.0))
    odometry.add_pose(1.2, Pose2(1.0, 0.0, 0.0))
    assert odometry.motion(1.0, 1.2).travelled_m == pytest.approx(1.0)


def test_path_does_not_reach_across_a_gap_within_a_step_back():
    odometry = straight_drive(10.0)
    with pytest.raises(SampleError):
        odometry.add_pose(1.0, Pose2(0.0, 0.0, 0.0))
    assert odometry.add_pose(4.0, Pose2(0.5, 0.0, 0.0))
    assert odometry.motion(1.0, 4.0) is None


def test_buffers_are_bounded_and_refuse_old_stamps():
    buffer = StampedBuffer(10.0)
    for i in range(1000):
        buffer.add(float(i), i)
    with pytest.raises(SampleError, match=r"stamp 999\.000 is not after the previous one, 999\.000"):
        buffer.add(999.0, 0)
    assert len(buffer.between(-1.0, 2000.0)) == 11


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5, 50.0, 61.0, 61.5, 100.0, 130.0]), max_size=12))
@example([1.0, 3.5, 1.0, 2.0])  # what is held back repeats the stamp before the newest
def test_stamps_increase_whatever_arrives(stamps_sec):
    """Above all where a step back confirms that the newest stamp was a wrong one."""
    buffer = StampedBuffer(90.0)
    for stamp_sec in stamps_sec:
        with suppress(SampleError):
            buffer.add(stamp_sec, stamp_sec)
    kept = buffer.between(-1.0, 200.0)
    assert np.all(np.diff([stamp_sec for stamp_sec, _ in kept]) > 0)
    assert all(stamp_sec == sample for stamp_sec, sample in kept)
    assert not kept or kept[-1][0] - kept[0][0] <= 90.0


def test_first_stamp_of_all_may_be_the_wrong_one():
    buffer = StampedBuffer(100.0)
    buffer.add(500.0, "odd")
    with pytest.raises(SampleError):
        buffer.add(1.0, "first")
    assert buffer.add(1.1, "second")
    assert [sample for _, sample in buffer.between(0.0, 1000.0)] == ["first", "second"]


def test_between_leaves_its_start_out_and_takes_its_end():
    buffer = StampedBuffer(10.0)
    for i in range(5):
        buffer.add(float(i), i)
    assert buffer.between(1.0, 3.0) == [(2.0, 2), (3.0, 3)]


def test_buffers_keep_both_sides_of_a_gap():
    buffer = StampedBuffer(200.0)
    buffer.add(0.0, "before")
    with pytest.raises(SampleError, match=r"stamp 100\.000 is \+100\.0 s off the previous one"):
        buffer.add(100.0, "held back")
    assert not buffer.add(101.0, "after")
    assert [sample for _, sample in buffer.between(-1.0, 200.0)] == ["before", "held back", "after"]


def test_two_odd_stamps_that_do_not_follow_each_other_confirm_nothing():
    buffer = StampedBuffer(200.0)
    buffer.add(10.0, "before")
    for odd_sec in (3610.0, -3590.0, -3595.0, 100.0):
        with pytest.raises(SampleError, match="s off the previous one"):
            buffer.add(odd_sec, "odd")
    buffer.add(11.0, "after")
    assert [sample for _, sample in buffer.between(-4000.0, 4000.0)] == ["before", "after"]


def test_sample_held_back_is_from_about_its_stamp_and_forgotten_with_the_others():
    buffer = StampedBuffer(200.0)
    buffer.add(100.0, "before")
    with pytest.raises(SampleError):
        buffer.add(1.0, "held back")
    assert buffer.holds_back(50.0)
    assert not buffer.holds_back(70.0)
    buffer.clear()
    assert not buffer.holds_back(1.0)


def test_two_clocks_on_one_topic_leave_the_first_in_charge():
    buffer = StampedBuffer(100.0)
    for i in range(20):
        buffer.add(float(i), "first")
        with pytest.raises(SampleError):
            buffer.add(i - 1.5, "second")
    assert [sample for _, sample in buffer.between(-10.0, 100.0)] == ["first"] * 20


def test_carried_covariance_grows_with_the_lever_of_the_yaw_error():
    start = PoseEstimate(0.0, Pose2(3.0, 4.0, np.pi / 2), np.diag([0.01, 0.01, 0.0004]))
    carried = carry(start, 10.0, straight_drive(), OdometryDrift(0.0, 0.0))
    assert (carried.pose.x_m, carried.pose.y_m) == pytest.approx((3.0, 54.0))
    # 50 m north with 0.02 rad of yaw: 1 m to the east, nothing to the north.
    np.testing.assert_allclose(np.diag(carried.covariance), [0.01 + 1.0, 0.01, 0.0004], atol=1e-12)


def test_carried_covariance_grows_with_odometrys_drift():
    start = PoseEstimate(0.0, Pose2(0.0, 0.0, 0.0), np.zeros((3, 3)))
    carried = carry(start, 10.0, straight_drive(), OdometryDrift(0.02, 0.001))
    np.testing.assert_allclose(np.diag(carried.covariance), [1.0, 1.0, 0.0025], atol=1e-12)


def test_nothing_is_carried_where_odometry_does_not_reach():
    start = PoseEstimate(5.0, Pose2(0.0, 0.0, 0.0), np.eye(3))
    assert carry(start, 10.5, straight_drive(), OdometryDrift()) is None
