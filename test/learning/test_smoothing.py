"""Smoothed drives against closed forms, brute force, and anchors that are wrong."""

import numpy as np
import pytest
from scipy.optimize import minimize

from xview_localizer.belief.hypotheses import OdometryDrift
from xview_localizer.geometry.pose import Pose2
from xview_localizer.learning.smoothing import (
    DRIFT_CORRELATION_M,
    MAX_BRIDGE_M,
    MAX_NODES,
    Anchor,
    smooth_path,
)

DRIFT = OdometryDrift(0.03, float(np.radians(0.1)))
STEP_M = 2.0
T_MAP_ODOM = Pose2(40.0, -25.0, 2.1)


def drive(count, turn_rad=0.05):
    """T_odom_base of a bending drive, and the same in `map`."""
    odometry = [Pose2(3.0, 1.0, 0.4)]
    for _ in range(count - 1):
        odometry.append(odometry[-1] @ Pose2(STEP_M, 0.0, turn_rad))
    return odometry, [T_MAP_ODOM @ pose for pose in odometry]


def at(pose, sigma_m=0.2, sigma_deg=1.0, shift_m=(0.0, 0.0)):
    moved = Pose2(pose.x_m + shift_m[0], pose.y_m + shift_m[1], pose.yaw_rad)
    return Anchor(moved, np.diag([sigma_m**2, sigma_m**2, np.radians(sigma_deg) ** 2]))


def antenna(pose, lever_m=(-0.6, 0.2), sigma_m=0.05):
    return Anchor.without_yaw(pose.transform(np.array(lever_m)), sigma_m, np.array(lever_m))


def assert_poses(smoothed, expected, atol_m=0.01):
    for found, wanted in zip(smoothed, expected, strict=True):
        off = wanted.inverse() @ found.pose
        assert np.hypot(off.x_m, off.y_m) < atol_m and abs(off.yaw_rad) < 0.005


def test_poses_that_agree_are_kept_and_bridged():
    odometry, truth = drive(12)
    anchors = [at(pose) if n in (0, 5, 11) else None for n, pose in enumerate(truth)]
    assert_poses(smooth_path(odometry, anchors, DRIFT), truth)


def test_positions_of_an_antenna_give_the_heading():
    odometry, truth = drive(10, turn_rad=0.0)
    assert_poses(smooth_path(odometry, [antenna(pose) for pose in truth], DRIFT), truth)


def test_sigma_of_a_straight_drive_is_the_closed_form_along_it():
    """Two anchors of sigma s and steps of sigma d between: a Gaussian chain, 1 / var = 1 / left + 1 / right."""
    odometry, truth = drive(11, turn_rad=0.0)
    s, d = 0.3, DRIFT.position_ratio * np.sqrt(STEP_M * DRIFT_CORRELATION_M)
    anchors: list = [None] * 11
    # Yaw and odometry's yaw are known so well that the error along the drive is the largest that is left.
    anchors[0], anchors[10] = (at(truth[n], s, 1e-3) for n in (0, 10))
    drift = OdometryDrift(DRIFT.position_ratio, 1e-9)
    for n, smoothed in enumerate(smooth_path(odometry, anchors, drift)):
        variance = 1 / (1 / (s**2 + n * d**2) + 1 / (s**2 + (10 - n) * d**2))
        assert smoothed.sigma_m == pytest.approx(np.sqrt(variance), rel=0.01)


def test_contradicting_anchors_are_weighted_as_by_brute_force():
    """The cost written down anew, without vectors, and minimized by a general method."""
    odometry, truth = drive(5, turn_rad=0.1)
    anchors = [
        at(truth[0]),
        None,
        at(truth[2], 0.4, shift_m=(0.3, -0.2)),
        antenna(truth[3], sigma_m=0.3),
        None,
    ]
    anchors[4] = at(truth[4], 0.1, shift_m=(-0.1, 0.1))
    sigma_m = DRIFT.position_ratio * np.sqrt(STEP_M * DRIFT_CORRELATION_M)
    sigma_rad = DRIFT.yaw_rad_per_m * np.sqrt(STEP_M * DRIFT_CORRELATION_M)

    def cost(x):
        poses = [Pose2(*row) for row in x.reshape(-1, 3)]
        total = 0.0
        for n in range(4):
            off = (poses[n].inverse() @ poses[n + 1], odometry[n].inverse() @ odometry[n + 1])
            total += ((off[0].x_m - off[1].x_m) ** 2 + (off[0].y_m - off[1].y_m) ** 2) / sigma_m**2
            total += (off[0].yaw_rad - off[1].yaw_rad) ** 2 / sigma_rad**2
        for pose, anchor in zip(poses, anchors, strict=True):
            if anchor is not None:
                x_m, y_m = pose.transform(np.array(anchor.point_in_base_m))
                turn = np.angle(np.exp(1j * (pose.yaw_rad - anchor.pose.yaw_rad)))
                r = np.array([x_m - anchor.pose.x_m, y_m - anchor.pose.y_m, turn])
                total += 4 * np.log1p(r @ np.linalg.inv(anchor.covariance) @ r / 4)
        return total

    start = np.array([(pose.x_m, pose.y_m, pose.yaw_rad) for pose in truth])
    brute = minimize(cost, start.ravel(), method="BFGS", options={"gtol": 1e-7}).x.reshape(-1, 3)
    found = smooth_path(odometry, anchors, DRIFT)
    np.testing.assert_allclose([(p.pose.x_m, p.pose.y_m) for p in found], brute[:, :2], atol=2e-3)
    assert np.hypot(*(brute[4, :2] - start[4, :2])) > 0.02  # there is something to weigh


def test_anchors_at_a_look_alike_do_not_move_the_path():
    odometry, truth = drive(40)
    wrong = {7, 8, 20}
    anchors = [at(pose, shift_m=(12.0, 0.0) if n in wrong else (0.0, 0.0)) for n, pose in enumerate(truth)]
    assert_poses(smooth_path(odometry, anchors, DRIFT), truth, atol_m=0.05)


def test_only_frames_between_sure_poses_get_a_pose():
    count = int(2 * MAX_BRIDGE_M / STEP_M) + 8
    odometry, truth = drive(count, turn_rad=0.01)
    known = {2, 5, count - 4, count - 2}  # a bridge too long in the middle
    smoothed = smooth_path(odometry, [at(p) if n in known else None for n, p in enumerate(truth)], DRIFT)
    there = {n for n, pose in enumerate(smoothed) if pose is not None}
    assert there == {2, 3, 4, 5, count - 4, count - 3, count - 2}


def test_an_outlier_anchor_supports_no_bridge():
    odometry, truth = drive(21, turn_rad=0.0)
    shift_m = {0: (0.0, 0.0), 1: (0.0, 0.0), 2: (0.0, 0.0), 20: (15.0, 9.0), 12: (0.0, 0.0)}
    anchors = [at(p, shift_m=shift_m[n]) if n in shift_m else None for n, p in enumerate(truth)]
    smoothed = smooth_path(odometry, anchors, DRIFT)
    assert all(pose is not None for pose in smoothed[:13]) and all(pose is None for pose in smoothed[13:])


def test_long_drives_are_smoothed_in_pieces():
    odometry, truth = drive(MAX_NODES + 20, turn_rad=0.01)
    smoothed = smooth_path(
        odometry, [at(pose) if n % 4 == 0 else None for n, pose in enumerate(truth)], DRIFT
    )
    there = [n for n, pose in enumerate(smoothed) if pose is not None]
    assert len(there) > MAX_NODES + 10
    assert_poses([smoothed[n] for n in there], [truth[n] for n in there], atol_m=0.05)


def test_a_lone_pose_is_not_enough():
    odometry, truth = drive(6)
    assert smooth_path(odometry, [None, at(truth[1]), None, None, None, None], DRIFT) == [None] * 6
