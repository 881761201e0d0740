"""The solver of point pairs: recovered poses, outliers and priors."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xview_localizer.evaluation.synthetic_matches import contaminated_pairs
from xview_localizer.geometry.dense import DenseSolverConfig
from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.pose import Prior, wrap_angle_rad
from xview_localizer.geometry.ransac import PairsSolverConfig, solve_pairs, squared_residuals
from xview_localizer.geometry.similarity import Similarity2, as_complex

CONFIG = PairsSolverConfig()


def random_similarity(rng):
    return Similarity2(rng.uniform(0.2, 5), rng.uniform(-np.pi, np.pi), *rng.uniform(-20, 20, 2))


def error(solution, truth):
    return np.array(
        [
            solution.pose.x_m - truth.x_m,
            solution.pose.y_m - truth.y_m,
            wrap_angle_rad(solution.pose.yaw_rad - truth.yaw_rad),
        ]
    )


def test_accuracy_and_consistency_with_60_percent_outliers():
    rng = np.random.default_rng(0)
    errors, nees = [], []
    for seed in range(200):
        truth = random_similarity(rng)
        pairs, _ = contaminated_pairs(rng, truth)
        solution = solve_pairs(pairs, None, CONFIG, seed)
        errors.append(error(solution, truth))
        nees.append(errors[-1] @ np.linalg.solve(solution.covariance, errors[-1]))
        assert solution.scale == pytest.approx(truth.scale, rel=0.02)
    position_m, yaw_deg = np.hypot(*np.transpose(errors)[:2]), np.degrees(np.abs(np.transpose(errors)[2]))
    assert np.median(position_m) <= 0.06 and np.median(yaw_deg) <= 0.1
    assert np.all((position_m <= 1) & (yaw_deg <= 2))
    assert 2.5 <= np.mean(nees) <= 3.6


@pytest.mark.parametrize("count,outliers", [(12, 0.0), (40, 0.3), (2000, 0.8)])
def test_covariance_stays_consistent_for_few_and_for_bad_pairs(count, outliers):
    rng = np.random.default_rng(1)
    nees = []
    for seed in range(150):
        truth = random_similarity(rng)
        pairs, _ = contaminated_pairs(rng, truth, count, outliers)
        solution = solve_pairs(pairs, None, CONFIG, seed)
        nees.append(error(solution, truth) @ np.linalg.solve(solution.covariance, error(solution, truth)))
    assert 2.0 <= np.mean(np.minimum(nees, 30)) <= 4.5


def test_residuals_are_one_product_and_right():
    rng = np.random.default_rng(2)
    pairs, _ = contaminated_pairs(rng, random_similarity(rng), count=50)
    ground, aerial = (
        as_complex(pairs.ground_xy_m),
        as_complex(pairs.aerial_xy_m) + 5e5 - 3e6j,
    )  # far from the datum
    a, t = rng.normal(size=30) + 1j * rng.normal(size=30), aerial.mean() + 20 * (rng.normal(size=30) + 1j)
    expected = np.abs(aerial - a[:, None] * ground - t[:, None]) ** 2
    np.testing.assert_allclose(squared_residuals(ground, aerial, a, t), expected, rtol=1e-4, atol=0.02)


def test_the_unit_of_the_ground_points_does_not_matter():
    rng = np.random.default_rng(3)
    pairs, _ = contaminated_pairs(rng, random_similarity(rng))
    reference = solve_pairs(pairs, None, CONFIG, 0)
    for unit in (1e-3, 0.1, 1e3):
        solution = solve_pairs(replace(pairs, ground_xy_m=pairs.ground_xy_m * unit), None, CONFIG, 0)
        np.testing.assert_allclose(error(solution, reference.pose), 0, atol=1e-3)
        assert solution.scale * unit == pytest.approx(reference.scale)


def test_inliers_are_the_right_ones_and_repeatable():
    rng = np.random.default_rng(4)
    truth = random_similarity(rng)
    pairs, right = contaminated_pairs(rng, truth)
    first, second = (solve_pairs(pairs, None, CONFIG, 5) for _ in range(2))
    assert first.pose == second.pose
    np.testing.assert_array_equal(first.covariance, second.covariance)
    assert np.mean(first.inliers == right) > 0.97
    assert first.inlier_ratio == pytest.approx(0.4, abs=0.05)


def test_prior_picks_between_two_equal_answers():
    rng = np.random.default_rng(5)
    here, there = Similarity2(1.0, 0.3, 5.0, 0.0), Similarity2(1.0, 2.8, -12.0, 4.0)
    halves = [contaminated_pairs(rng, truth, count=300, outliers=0.2)[0] for truth in (here, there)]
    both = Correspondences(
        *(np.concatenate(parts) for parts in zip(*(vars(h).values() for h in halves), strict=True))
    )
    for truth in (here, there):
        by_position = solve_pairs(both, Prior(truth.x_m, truth.y_m, 3.0), CONFIG, 0)
        by_heading = solve_pairs(both, Prior(0, 0, 40.0, truth.yaw_rad + 0.1, 0.1), CONFIG, 0)
        for solution in (by_position, by_heading):
            assert np.linalg.norm(error(solution, truth)) < 0.5


def test_known_scale_is_kept():
    rng = np.random.default_rng(6)
    truth = Similarity2(1.0, -1.0, 3.0, 4.0)
    pairs, _ = contaminated_pairs(rng, truth)
    free = solve_pairs(pairs, None, CONFIG, 0)
    fixed = solve_pairs(pairs, None, replace(CONFIG, scale_bounds=(1.0, 1.0)), 0)
    assert fixed.scale == pytest.approx(1.0)
    assert np.linalg.norm(error(fixed, truth)) < 0.2
    assert np.all(np.linalg.eigvalsh(free.covariance - fixed.covariance) > -1e-6)


@pytest.mark.parametrize(
    ("ground", "reason"),
    [
        (np.zeros((0, 2)), "only 0 usable pairs"),
        (np.eye(2), "only 2 usable pairs"),
        (np.ones((50, 2)), "coincident"),
        (np.outer(np.arange(50.0), [1, 2]), "collinear"),
        (np.full((50, 2), np.nan), "50 of 50 pairs are not finite"),
    ],
)
def test_hopeless_pairs_give_a_reason(ground, reason):
    aerial = np.random.default_rng(7).uniform(-30, 30, ground.shape)
    solution = solve_pairs(Correspondences(ground, aerial, np.ones(len(ground))), None, CONFIG, 0)
    assert solution.pose is None and reason in solution.reason
    assert solution.inliers.shape == (len(ground),) and not solution.inliers.any()
    assert solution.covariance.shape == (3, 3) and np.isnan(solution.covariance).all()


def test_a_prior_that_excludes_the_answer_gives_a_reason():
    rng = np.random.default_rng(8)
    pairs, _ = contaminated_pairs(rng, Similarity2(1.0, 0.0, 0.0, 0.0), outliers=0.0, sigma_m=0.1)
    solution = solve_pairs(
        pairs, Prior(300.0, 0.0, 1.0, 0.0, 0.1), replace(CONFIG, scale_bounds=(0.9, 1.1)), 0
    )
    assert solution.pose is None and "prior" in solution.reason


def test_inliers_on_one_line_are_not_trusted():
    rng = np.random.default_rng(9)
    line = np.outer(np.linspace(-30, 30, 60), [1.0, 0.5])
    stray = rng.uniform(-30, 30, (20, 2))
    ground = np.concatenate([line, stray])
    aerial = np.concatenate([line, rng.uniform(-30, 30, (20, 2))])
    solution = solve_pairs(Correspondences(ground, aerial, np.ones(80)), None, CONFIG, 0)
    assert solution.pose is None and "collinear" in solution.reason


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(allow_nan=True, allow_infinity=True, width=32)] * 5), max_size=12),
    st.integers(0, 9),
)
def test_never_raises(rows, seed):
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    solution = solve_pairs(Correspondences(table[:, :2], table[:, 2:4], table[:, 4]), None, CONFIG, seed)
    assert (solution.pose is None) == bool(solution.reason)
    if solution.pose is not None:
        assert np.all(np.isfinite(solution.covariance))


@pytest.mark.parametrize("bounds", [(0.0, 0.0), (-0.1, 1.0), (1.1, 1.0), (np.nan, 1.0)])
def test_impossible_scale_bounds_are_refused(bounds):
    with pytest.raises(ValueError, match="scale_bounds must be"):
        PairsSolverConfig(scale_bounds=bounds)
    with pytest.raises(ValueError, match="scale_bounds must be"):
        DenseSolverConfig(scale_bounds=bounds)
