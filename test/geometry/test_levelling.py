"""Rotations between camera, base and levelled frames."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from xview_localizer.geometry.levelling import (
    R_BODY_OPTICAL,
    R_base_optical_from_rpy,
    R_level_base,
    lean_rad,
    rpy_from_R_base_body,
)

ANGLES = [(0.0, 0.0, 0.0), (0.1, 0.0, 0.0), (0.0, 0.2, 0.0), (0.0, 0.0, -2.0), (-0.3, 0.25, 1.1)]


@pytest.mark.parametrize("rpy", ANGLES)
def test_optical_rotation_matches_scipy(rpy):
    body = Rotation.from_euler("xyz", rpy).as_matrix()
    forward, left, up = body.T
    R = R_base_optical_from_rpy(*rpy)
    np.testing.assert_allclose(R @ [0, 0, 1], forward, atol=1e-12)
    np.testing.assert_allclose(R @ [-1, 0, 0], left, atol=1e-12)
    np.testing.assert_allclose(R @ [0, -1, 0], up, atol=1e-12)


def test_positive_pitch_looks_down_and_positive_yaw_left():
    assert (R_base_optical_from_rpy(0, 0.1, 0) @ [0, 0, 1])[2] < 0
    assert (R_base_optical_from_rpy(0, 0, 0.1) @ [0, 0, 1])[1] > 0


@pytest.mark.parametrize("roll,pitch", [(0.0, 0.0), (0.2, 0.0), (0.0, -0.3), (0.15, 0.25)])
def test_levelling_undoes_roll_and_pitch_and_keeps_yaw(roll, pitch):
    R_world_base = Rotation.from_euler("xyz", (roll, pitch, 0.0)).as_matrix()
    R = R_level_base(R_world_base.T @ [0, 0, -9.81])
    np.testing.assert_allclose(R, R_world_base, atol=1e-12)


@pytest.mark.parametrize("rpy", ANGLES)
def test_angles_come_back_from_their_rotation(rpy):
    R_base_body = R_base_optical_from_rpy(*rpy) @ R_BODY_OPTICAL.T
    np.testing.assert_allclose(rpy_from_R_base_body(R_base_body), rpy, atol=1e-12)


@pytest.mark.parametrize("pitch_rad", [np.pi / 2, -np.pi / 2])
def test_rotations_that_rounding_has_made_too_long_have_a_pitch(pitch_rad):
    R_base_body = R_base_optical_from_rpy(0.0, pitch_rad, 0.0) @ R_BODY_OPTICAL.T * (1 + 1e-9)
    assert rpy_from_R_base_body(R_base_body)[1] == pytest.approx(pitch_rad)


@pytest.mark.parametrize("rpy_deg", [(0, 90, 30), (20, 90, -40), (10, -90, 70)])
def test_a_body_that_points_straight_down_or_up_keeps_its_rotation(rpy_deg):
    """Roll and yaw are not unique at a pitch of ±90°; the rotation, which TF gives as a quaternion, is."""
    R_base_body = Rotation.from_quat(Rotation.from_euler("xyz", rpy_deg, degrees=True).as_quat()).as_matrix()
    again = R_base_optical_from_rpy(*rpy_from_R_base_body(R_base_body)) @ R_BODY_OPTICAL.T
    np.testing.assert_allclose(again, R_base_body, atol=1e-12)


def test_no_gravity_means_level():
    np.testing.assert_array_equal(R_level_base(None), np.eye(3))


@pytest.mark.parametrize("gravity", [(0, 0, 0), (np.nan, 0, -1), (0, -1), (-9.8, 0, 0.1)])
def test_useless_gravity_is_refused(gravity):
    with pytest.raises(ValueError, match="gravity_base"):
        R_level_base(np.array(gravity))


@pytest.mark.parametrize("rpy_deg", [(0.0, 0.0, 30.0), (7.0, 0.0, 0.0), (0.0, -4.0, 100.0), (3.0, 5.0, 0.0)])
def test_lean_is_the_angle_between_gravity_and_down_in_base_link(rpy_deg):
    rotation = Rotation.from_euler("xyz", rpy_deg, degrees=True)
    gravity_base = 9.8 * rotation.inv().apply([0.0, 0.0, -1.0])
    expected_rad = np.arccos(rotation.apply([0.0, 0.0, 1.0])[2])
    assert lean_rad(gravity_base) == pytest.approx(expected_rad, abs=1e-7)


def test_without_gravity_nothing_leans():
    assert lean_rad(None) == 0.0
