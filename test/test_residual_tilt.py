"""A mounting that is off by some degrees shows in how well images match on ground that is tilted."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.observation import Observation
from xview_localizer.residual_tilt import FARTHEST_HEIGHTS, residual_tilt_rad, tilted

HEIGHT_M = 1.7


def observation(ground_xy_m, height=HEIGHT_M) -> Observation:
    cells = len(ground_xy_m)
    return Observation(
        np.array(ground_xy_m, dtype=float), np.zeros(2), np.ones((cells, 4)), np.zeros(cells), np.ones(cells), True,
        "network", stamp_sec=1.0, height=height,
    )  # fmt: skip


def intersection_m(ground_xy_m, R_tilted) -> np.ndarray:
    """Where the rays to points on the ground [N, 2], turned by a rotation, meet the ground."""
    rays = np.column_stack([ground_xy_m, np.full(len(ground_xy_m), -HEIGHT_M)]) @ R_tilted.as_matrix().T
    return rays[:, :2] * (-HEIGHT_M / rays[:, 2:])


@settings(deadline=None)
@given(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0), st.integers(0, 2**32 - 1))
def test_tilted_cells_lie_where_turned_rays_meet_the_ground(front_deg, left_deg, seed):
    rng = np.random.default_rng(seed)
    azimuth_rad, distance_m = rng.uniform(-np.pi, np.pi, 20), rng.uniform(1.5, 12.0, 20)
    xy_m = distance_m[:, None] * np.column_stack([np.cos(azimuth_rad), np.sin(azimuth_rad)])
    # A turn about the left axis (y) lowers the front, one against the forward axis (x) lowers the left.
    turn = Rotation.from_rotvec(np.radians([-left_deg, front_deg, 0.0]))
    tilt_rad = np.radians([front_deg, left_deg])
    expected_m = intersection_m(xy_m, turn)
    moved_m = np.linalg.norm(expected_m - xy_m, axis=1)
    error_m = np.linalg.norm(tilted(observation(xy_m), tilt_rad).ground_xy_m - expected_m, axis=1)
    # Of second order, but for the azimuth, which is kept: it turns by no more than the tilt times height over distance.
    assert np.all(error_m <= 0.05 * moved_m + 1.1 * np.abs(tilt_rad).sum() * HEIGHT_M + 1e-9)


def test_cells_that_would_leave_the_ground_stay_before_the_horizon():
    far = tilted(observation([(40.0, 0.0)]), np.radians([-5.0, 0.0]))
    np.testing.assert_allclose(far.ground_xy_m, [(FARTHEST_HEIGHTS * HEIGHT_M, 0.0)])


@pytest.mark.parametrize(
    ("roll_deg", "pitch_deg", "axis", "expected_deg"),
    [(0.0, 0.0, 0, 0.0), (0.0, 0.0, 1, 0.0), (0.0, 2.0, 0, -2.0), (0.0, -2.0, 0, 2.0), (-2.0, 0.0, 1, -2.0)],
)
def test_a_mounting_that_is_off_is_found(localizer, small_town, roll_deg, pitch_deg, axis, expected_deg):
    """The camera is level; where it is said to look down by 2°, the ground ahead is farther than lifted."""
    R_base_camera = R_base_optical_from_rpy(*np.radians([roll_deg, pitch_deg, 0.0]))
    seen = localizer.observe(small_town.view(R_base_camera=R_base_camera))
    tilt_rad = residual_tilt_rad(localizer, seen, small_town.pose)
    assert np.degrees(tilt_rad[axis]) == pytest.approx(expected_deg, abs=0.8)


def test_nothing_is_said_where_nothing_matches_or_heights_differ(localizer, small_town):
    seen = localizer.observe(small_town.view())
    assert residual_tilt_rad(localizer, replace(seen, height=None), small_town.pose) is None
    elsewhere = replace(small_town.pose, x_m=5000.0)
    assert residual_tilt_rad(localizer, seen, elsewhere) is None
