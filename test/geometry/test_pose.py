"""Planar poses as transforms, and priors as what they allow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xview_localizer.geometry.pose import Pose2, Prior, wrap_angle_rad
from xview_localizer.geometry.prior_gate import PriorGate

metres = st.floats(-1e3, 1e3)
angles_rad = st.floats(-20.0, 20.0)
poses = st.builds(Pose2, metres, metres, angles_rad)
POINTS_M = np.array([[0.0, 0.0], [1.0, 0.0], [-3.0, 7.0]])


@settings(max_examples=50, deadline=None)
@given(angles_rad)
def test_wrapped_angles_point_the_same_way(angle_rad):
    wrapped_rad = wrap_angle_rad(angle_rad)
    assert -np.pi <= wrapped_rad < np.pi
    assert np.exp(1j * wrapped_rad) == pytest.approx(np.exp(1j * angle_rad))


@settings(max_examples=50, deadline=None)
@given(poses)
def test_a_pose_turns_counter_clockwise_and_then_moves(pose):
    turned = (POINTS_M @ [1, 1j]) * np.exp(1j * pose.yaw_rad) + (pose.x_m + 1j * pose.y_m)
    np.testing.assert_allclose(pose.transform(POINTS_M) @ [1, 1j], turned, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(poses, poses)
def test_a_product_of_poses_is_one_after_the_other(a, b):
    np.testing.assert_allclose((a @ b).transform(POINTS_M), a.transform(b.transform(POINTS_M)), atol=1e-9)
    assert -np.pi <= (a @ b).yaw_rad < np.pi


@settings(max_examples=50, deadline=None)
@given(poses)
def test_an_inverse_undoes_its_pose(pose):
    np.testing.assert_allclose(pose.inverse().transform(pose.transform(POINTS_M)), POINTS_M, atol=1e-9)
    assert -np.pi <= pose.inverse().yaw_rad < np.pi


def test_an_error_is_along_the_axes_of_the_map_and_turns_the_short_way():
    error = Pose2(3.0, -2.0, np.pi - 0.1).error(Pose2(1.0, 1.0, -np.pi + 0.1))
    np.testing.assert_allclose(error, [2.0, -3.0, -0.2])


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ((np.nan, 0.0, 1.0), "must be finite"),
        ((0.0, np.inf, 1.0), "must be finite"),
        ((0.0, 0.0, np.inf), "must be finite"),
        ((0.0, 0.0, 1.0, np.nan, 0.1), "must be finite"),
        ((0.0, 0.0, 1.0, 0.5), "give yaw_sigma_rad with yaw_rad"),
        ((0.0, 0.0, 0.0), "must be positive"),
        ((0.0, 0.0, 1.0, 0.5, 0.0), "must be positive"),
        ((0.0, 0.0, 1.0, None, -0.1), "must be positive"),
    ],
)
def test_impossible_priors_are_refused(values, complaint):
    with pytest.raises(ValueError, match=complaint):
        Prior(*values)


def test_a_heading_needs_its_uncertainty():
    assert Prior(1.0, 2.0, 3.0, 0.5, 0.1).heading == (0.5, 0.1)
    assert Prior(1.0, 2.0, 3.0).heading is None
    assert Prior(1.0, 2.0, 3.0, None, 0.1).heading is None
    np.testing.assert_array_equal(Prior(1.0, 2.0, 3.0).xy_m, [1.0, 2.0])


HEADED = PriorGate(Prior(10.0, -5.0, 20.0, 3.0, 0.1), edge_m=1.5, yaw_sigmas=3.0)


@pytest.mark.parametrize(
    ("off_m", "off_rad", "allowed"),
    [
        (0.0, 0.0, True),
        (22.9, 0.0, True),  # the radius and twice the edge
        (23.1, 0.0, False),
        (0.0, 0.29, True),
        (0.0, -0.29, True),  # beyond pi, where headings wrap
        (0.0, 0.31, False),
        (0.0, -0.31, False),
    ],
)
def test_a_prior_gates_position_and_heading(off_m, off_rad, allowed):
    a, t = (
        np.array([1.1 * np.exp(1j * (3.0 + off_rad))]),
        np.array([10.0 + 0.6 * off_m + 1j * (0.8 * off_m - 5.0)]),
    )
    assert HEADED.allows(a, t)[0] == allowed
    assert HEADED.allows_position(t)[0] == (off_m < 23)
    without_heading = PriorGate(Prior(10.0, -5.0, 20.0), 1.5, 3.0)
    assert without_heading.allows(a, t)[0] == (off_m < 23)


def test_the_density_of_a_prior_is_flat_with_a_soft_edge_and_gaussian_in_yaw():
    inside, outside = np.array([25.0 - 5.0j, 10.0 - 5.0j]), np.array([10.0 + 18.0j])  # 3 m beyond: two edges
    facing = np.exp(3.0j)
    np.testing.assert_allclose(HEADED.log_density(np.array([facing, facing]), inside), 0.0, atol=1e-12)
    np.testing.assert_allclose(HEADED.log_density(np.array([facing]), outside), -2.0)
    turned = np.array([1.2 * np.exp(3.2j)])  # by two standard deviations
    np.testing.assert_allclose(HEADED.log_density(turned, inside[:1]), -2.0)
    np.testing.assert_allclose(HEADED.log_density(turned, outside), -4.0)
    np.testing.assert_allclose(
        PriorGate(Prior(10.0, -5.0, 20.0), 1.5, 3.0).log_density(turned, outside), -2.0
    )
