"""The shift of affine point maps."""

import numpy as np
import pytest

from xview_localizer.geometry.point_map import recovered_shift

RNG = np.random.default_rng(3)
RAYS = np.column_stack([RNG.uniform(-1, 1, (500, 2)), np.ones(500)])
RAYS /= np.linalg.norm(RAYS, axis=1, keepdims=True)
POINTS = RAYS * RNG.uniform(2.0, 60.0, (500, 1)) / RAYS[:, 2:]


@pytest.mark.parametrize("factor", [0.1, 10.0])
@pytest.mark.parametrize("shift", [-1.5, 0.0, 4.0])
def test_points_of_any_unit_come_back_to_their_rays(factor, shift):
    assert recovered_shift(factor * POINTS - (0, 0, shift), RAYS) == pytest.approx(shift, abs=1e-9)


def test_far_points_and_points_that_are_wrong_hardly_matter():
    noisy = POINTS * (1 + 0.02 * RNG.standard_normal((500, 3))) - (0, 0, 1.0)
    noisy[:100] = RNG.uniform(-30, 30, (100, 3))
    noisy[100:150] = np.nan
    assert recovered_shift(noisy, RAYS) == pytest.approx(1.0, abs=0.1)


def test_nothing_tells_the_shift_without_points_off_the_axis():
    assert np.isnan(recovered_shift(np.full((3, 3), np.nan), RAYS[:3]))
    assert np.isnan(recovered_shift(np.array([[0.0, 0.0, 5.0]]), np.array([[0.0, 0.0, 1.0]])))
