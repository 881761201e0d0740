"""Poses through two pairs: exact where the pairs are, whatever the cameras' places and the depth's unit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.hypotheses import SCALE_SLACK, two_point_poses

GRID = RasterGrid.centred(0.0, 0.0, 2.0, 4, 4)


def evidence_at(lifted, offset):
    n = len(lifted)
    return Evidence(
        lifted,
        offset,
        np.ones(n),
        np.ones(n, bool),
        1.0,
        np.full(n, 0.5, np.float32),
        np.zeros((n, 12, 12), np.float32),
        np.arange(n, dtype=np.int32),
        np.zeros(n, np.float32),
        GRID,
    )


def poses_of(lifted, offset, aerial, bounds, pairs=((0, 1),)):
    evidence = evidence_at(np.asarray(lifted, complex), np.asarray(offset, complex))
    first, second = np.transpose(pairs)
    return two_point_poses(
        evidence, np.arange(len(lifted)), np.asarray(aerial, complex), first, second, bounds
    )


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.4])
def test_noise_free_pairs_give_the_pose(scale):
    """Every two cells, of the same camera or of two."""
    rng = np.random.default_rng(0)
    lifted = rng.uniform(-20, 20, (30, 2)) @ [1, 1j]
    offset = np.array([2.0 + 0.5j, -4.0 + 1j, -9.0])[rng.integers(3, size=30)]
    u, t = np.exp(2.1j), 12.0 - 7.0j
    pairs = [(i, j) for i in range(30) for j in range(i)]
    # The other root of the quadratic fits as well where the cameras are further apart than the cells.
    pairs = [(i, j) for i, j in pairs if abs(lifted[i] - lifted[j]) * scale > abs(offset[i] - offset[j])]
    a, found_t = poses_of(lifted, offset, u * (scale * lifted + offset) + t, (0.5, 2.0), pairs)
    assert len(a) == len(pairs) > 200
    np.testing.assert_allclose(a, scale * u, atol=1e-8)
    np.testing.assert_allclose(found_t, t, atol=1e-8)


point = st.tuples(st.floats(-20, 20), st.floats(-20, 20)).map(lambda xy: complex(*xy))


@settings(deadline=None)
@given(lifted=st.tuples(point, point), offset=st.tuples(point, point), aerial=st.tuples(point, point))
def test_whatever_is_returned_goes_through_both_midpoints(lifted, offset, aerial):
    """And through both points where the scale was not clipped."""
    low, high = bounds = (0.8, 1.25)
    a, t = poses_of(lifted, offset, aerial, bounds)
    for a_n, t_n in zip(a, t, strict=True):
        assert low - 1e-9 <= abs(a_n) <= high + 1e-9
        sent = a_n * np.array(lifted) + a_n / abs(a_n) * np.array(offset) + t_n
        assert abs(sent.mean() - np.mean(aerial)) < 1e-6
        if low + 1e-6 < abs(a_n) < high - 1e-6:
            np.testing.assert_allclose(sent, aerial, atol=1e-4)


def test_scales_a_little_out_of_bounds_are_clipped_and_others_left_out():
    def scales(factor):
        return np.abs(poses_of([0, 10], [1, 1], [0, 10 * factor], (0.9, 1.1))[0])

    assert scales(1.1 * SCALE_SLACK * 0.999) == pytest.approx([1.1])
    assert scales(0.9 / SCALE_SLACK * 1.001) == pytest.approx([0.9])
    assert len(scales(1.1 * SCALE_SLACK * 1.001)) == len(scales(0.9 / SCALE_SLACK * 0.999)) == 0


@pytest.mark.parametrize(
    ("lifted", "offset", "aerial"),
    [
        ([5, 5], [0, 0], [1, 9]),  # one cell twice
        ([5, 5], [0, 3], [1, 4]),  # two cameras, but nothing that the scale moves
        ([0, 10], [0, 0], [3, 3]),  # one aerial cell for both
        ([0, 10], [0, 5j], [0, 1]),  # the cameras alone are further apart than the aerial points
    ],
)
def test_pairs_that_give_no_pose_are_left_out(lifted, offset, aerial):
    assert len(poses_of(lifted, offset, aerial, (0.5, 2.0))[0]) == 0
