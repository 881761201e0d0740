"""Heading from the course driven, and base_link's place from the antenna's."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_drive import ANTENNA_M, T_MAP_ODOM, odometry_pose, true_pose

from xview_localizer.geometry.pose import Pose2, wrap_angle_rad
from xview_localizer.tracking.gnss import GnssSample, base_position, heading_from_course
from xview_localizer.tracking.motion import OdometryBuffer, SampleError

ANTENNA = np.array(ANTENNA_M)


def odometry_until(until_sec: float, step_sec: float) -> OdometryBuffer:
    odometry = OdometryBuffer(100.0, 0.5, 15.0)
    for i in range(round(until_sec / step_sec) + 1):
        odometry.add_pose(step_sec * i, odometry_pose(step_sec * i))
    return odometry


def samples_at(stamps, off_m=lambda i: np.zeros(2)) -> list[tuple[float, GnssSample]]:
    return [
        (t, GnssSample(true_pose(t).transform(ANTENNA) + off_m(i), 4.0, ANTENNA))
        for i, t in enumerate(stamps)
    ]


def test_course_heading_is_as_good_as_it_says():
    rng = np.random.default_rng(3)
    odometry = odometry_until(10.0, 0.2)
    stamps = np.arange(0.0, 10.0, 0.2)
    normalized = []
    for _ in range(200):
        bias = rng.normal(0, 8, 2) + np.outer(stamps / stamps[-1], rng.normal(0, 2, 2))  # constant + drift
        noisy = bias + rng.normal(0, 0.8, bias.shape)
        samples = samples_at(stamps, lambda i, noisy=noisy: noisy[i])
        heading = heading_from_course(samples, odometry, drift_m=2.0, min_baseline_m=8.0)
        normalized.append(wrap_angle_rad(heading.yaw_map_odom_rad - T_MAP_ODOM.yaw_rad) / heading.sigma_rad)
    assert 0.5 < np.std(normalized) < 1.3
    assert abs(np.mean(normalized)) < 0.3


@pytest.mark.parametrize("outliers", [[4], [0, 9], [3, 11, 18], list(range(1, 19, 2))])
def test_course_heading_leaves_outliers_out(outliers):
    samples = samples_at(
        0.5 * np.arange(20), lambda i: np.array([400.0, -90.0 * i]) if i in outliers else np.zeros(2)
    )
    heading = heading_from_course(samples, odometry_until(10.0, 0.5), 2.0, 8.0)
    assert abs(wrap_angle_rad(heading.yaw_map_odom_rad - T_MAP_ODOM.yaw_rad)) < 1e-6


def test_three_positions_give_a_course_heading_and_two_none():
    samples, odometry = samples_at([0.0, 2.0, 4.0]), odometry_until(4.0, 0.5)
    heading = heading_from_course(samples, odometry, 2.0, 8.0)
    assert abs(wrap_angle_rad(heading.yaw_map_odom_rad - T_MAP_ODOM.yaw_rad)) < 1e-6
    assert heading_from_course(samples[1:], odometry, 2.0, 8.0) is None


@pytest.mark.parametrize(("off_m", "left_out"), [(14.0, True), (11.0, False)])
def test_outliers_lie_three_standard_deviations_off_the_path(off_m, left_out):
    samples = samples_at(0.5 * np.arange(20), lambda i: np.array([off_m, 0.0]) * (i == 2))
    heading = heading_from_course(samples, odometry_until(10.0, 0.5), 2.0, 8.0)
    error_rad = abs(wrap_angle_rad(heading.yaw_map_odom_rad - T_MAP_ODOM.yaw_rad))
    assert (error_rad < 1e-6) == left_out


def test_half_of_the_positions_is_no_majority():
    samples = samples_at(0.5 * np.arange(20), lambda i: np.array([400.0, -90.0 * i]) * (i % 2))
    assert heading_from_course(samples, odometry_until(10.0, 0.5), 2.0, 8.0) is None


def test_noise_that_the_receiver_reports_makes_no_outliers():
    noise_m = np.random.default_rng(5).normal(0, 3.0, (20, 2))
    samples = samples_at(0.5 * np.arange(20), lambda i: noise_m[i])
    heading = heading_from_course(samples, odometry_until(10.0, 0.5), 0.1, 8.0)
    assert abs(wrap_angle_rad(heading.yaw_map_odom_rad - T_MAP_ODOM.yaw_rad)) < 0.1


def test_no_course_heading_without_a_consensus():
    rng = np.random.default_rng(4)
    samples = [
        (t, sample if i % 4 == 0 else GnssSample(rng.uniform(-500.0, 500.0, 2), 4.0, ANTENNA))
        for i, (t, sample) in enumerate(samples_at(0.5 * np.arange(20)))
    ]
    for few in (samples, samples[:3], []):
        assert heading_from_course(few, odometry_until(10.0, 0.5), 2.0, 8.0) is None


def test_no_course_heading_from_a_path_that_is_too_short():
    samples, odometry = samples_at(0.2 * np.arange(11)), odometry_until(2.0, 0.2)  # 10 m
    assert heading_from_course(samples, odometry, 2.0, min_baseline_m=8.0) is not None
    assert heading_from_course(samples, odometry, 2.0, min_baseline_m=13.0) is None


def test_course_heading_is_that_of_odometrys_newest_path():
    odometry = odometry_until(5.0, 0.2)
    restarted = Pose2(-300.0, 40.0, 2.0)
    with pytest.raises(SampleError, match="odometry jumped"):
        odometry.add_pose(5.2, restarted @ odometry_pose(5.2))
    for i in range(27, 51):
        odometry.add_pose(0.2 * i, restarted @ odometry_pose(0.2 * i))
    heading = heading_from_course(samples_at(0.5 * np.arange(21)), odometry, 2.0, 8.0)
    expected_rad = (true_pose(10.0) @ (restarted @ odometry_pose(10.0)).inverse()).yaw_rad
    assert abs(wrap_angle_rad(heading.yaw_map_odom_rad - expected_rad)) < 1e-4


def test_base_position_takes_out_lever_arm_and_motion():
    then, now = true_pose(2.0), true_pose(2.4)
    sample = GnssSample(then.transform(ANTENNA), 4.0, ANTENNA)
    xy_m = base_position(sample, then.inverse() @ now, now.yaw_rad)
    np.testing.assert_allclose(xy_m, [now.x_m, now.y_m], atol=1e-9)
