from dataclasses import replace

import numpy as np
import pytest

from xview_localizer.evaluation.synthetic_matches import ambiguous_field, log_softmax, random_pose
from xview_localizer.geometry.dense import DenseSolverConfig, solve_dense
from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.match_field import MatchField
from xview_localizer.geometry.pose import Pose2, Prior, wrap_angle_rad
from xview_localizer.geometry.similarity import as_complex

GRID = RasterGrid.centred(0.0, 0.0, 1.8, 41, 41)
FINE_GRID = RasterGrid.centred(0.0, 0.0, 1.2, 64, 64)
PRIOR = Prior(0.0, 0.0, 20.0)
CONFIG = DenseSolverConfig()


def error(solution, truth):
    """Position error (m) and yaw error (degrees)."""
    position_m = np.hypot(solution.pose.x_m - truth.x_m, solution.pose.y_m - truth.y_m)
    return position_m, abs(np.degrees(wrap_angle_rad(solution.pose.yaw_rad - truth.yaw_rad)))


def evidence_of(field):
    return Evidence.of(field, np.ones(len(field.ground_xy_m), dtype=bool))


@pytest.mark.parametrize("grid", [GRID, FINE_GRID], ids=["41x1.8m", "64x1.2m"])
@pytest.mark.parametrize("present,cells", [(0.4, 300), (0.3, 700), (0.35, 2000)])
def test_finds_the_pose_when_most_cells_are_wrong(grid, present, cells):
    rng = np.random.default_rng(0)
    for seed in range(6):
        truth, scale = random_pose(rng, 20.0), rng.uniform(0.92, 1.08)
        field = ambiguous_field(rng, truth, grid, cells, present, scale, contrast=2.5)
        solution = solve_dense(field, PRIOR, CONFIG, seed)
        position_m, yaw_deg = error(solution, truth)
        assert position_m < 0.6 and yaw_deg < 2.0
        assert solution.scale == pytest.approx(scale, rel=0.04)
        assert solution.reason == ""
        assert solution.second_mode.score_gap > 30
        assert np.all(np.linalg.eigvalsh(solution.covariance) > 0)
        assert np.sqrt(solution.covariance[0, 0]) < 1.0


def test_score_matches_brute_force():
    """Against a loop over cells that interpolates the likelihood ratio with SciPy."""
    from scipy.interpolate import RegularGridInterpolator

    rng = np.random.default_rng(1)
    field = ambiguous_field(rng, random_pose(rng, 20.0), GRID, cells=60)
    poses = [Pose2(*rng.uniform(-15, 15, 2), rng.uniform(-np.pi, np.pi)) for _ in range(5)]
    expected = []
    for pose in poses:
        uv = GRID.uv_from_xy(pose.transform(1.05 * field.ground_xy_m))
        ratio = np.exp(field.log_likelihood.astype(float)).reshape(-1, 41, 41) * 41 * 41
        total = 0.0
        for n, (u, v) in enumerate(uv):
            padded = np.pad(ratio[n], 1, constant_values=1.0)  # neutral outside
            axis = np.arange(-1, 42) + 0.5
            outside = max(abs(u - 20.5), abs(v - 20.5)) >= 21
            value = 1.0 if outside else RegularGridInterpolator((axis, axis), padded)((v, u)).item()
            total += np.log(0.4 * value + 0.6)
        expected.append(total)
    a = 1.05 * np.exp(1j * np.array([pose.yaw_rad for pose in poses]))
    t = as_complex([(pose.x_m, pose.y_m) for pose in poses])
    np.testing.assert_allclose(evidence_of(field).score(a, t), expected, atol=1e-3)


def test_no_pose_of_a_fine_search_scores_better():
    rng = np.random.default_rng(2)
    truth = random_pose(rng, 20.0)
    field = ambiguous_field(rng, truth, GRID, cells=120, scale=1.0)
    config = replace(CONFIG, scale_bounds=(1.0, 1.0))
    solution = solve_dense(field, PRIOR, config, 0)
    evidence = evidence_of(field)
    steps_m = np.arange(-20, 20.1, 1.0)
    t = (steps_m + 1j * steps_m[:, None]).ravel()
    t = t[np.abs(t) <= 20]
    best = max(
        evidence.score(np.full(len(t), np.exp(1j * yaw)), t).max()
        for yaw in np.radians(np.arange(-180, 180, 3))
    )
    assert solution.score >= 0.97 * best


def test_covariance_is_that_of_the_posterior():
    """Against the moments of a fine grid over (x, y, yaw), the scale fixed."""
    rng = np.random.default_rng(12)
    for seed in range(3):
        truth = random_pose(rng, 15.0)
        field = ambiguous_field(rng, truth, GRID, cells=300)
        config = replace(CONFIG, scale_bounds=(1.0, 1.0), position_floor_cells=0.0)
        solution = solve_dense(field, PRIOR, config, seed)
        half = 4 * np.sqrt(np.diag(solution.covariance))
        x, y, yaw = (
            axis.ravel() for axis in np.meshgrid(*(np.linspace(-h, h, 17) for h in half), indexing="ij")
        )
        a = np.exp(1j * (solution.pose.yaw_rad + yaw))
        t = solution.pose.x_m + x + 1j * (solution.pose.y_m + y)
        score = evidence_of(field).score(a, t) / config.evidence_temperature
        weight = np.exp(score - score.max())
        expected = np.cov(np.stack([x, y, yaw]), aweights=weight)
        ratio = np.sqrt(np.diag(solution.covariance) / np.diag(expected))
        assert np.all((ratio > 0.75) & (ratio < 1.3)), ratio
        offset = [np.average(values, weights=weight) for values in (x, y, yaw)]
        assert np.all(np.abs(offset) < 0.4 * np.sqrt(np.diag(expected)))


def test_noise_free_field_is_solved_exactly():
    rng = np.random.default_rng(3)
    truth = Pose2(4.3, -7.7, 2.0)
    field = ambiguous_field(rng, truth, GRID, present=1.0, distractors=0, contrast=6.0, spread_cells=0.0)
    solution = solve_dense(field, PRIOR, CONFIG, 0)
    position_m, yaw_deg = error(solution, truth)
    assert position_m < 0.1 and yaw_deg < 0.3
    assert solution.inlier_ratio > 0.8


def test_heading_prior_is_used():
    rng = np.random.default_rng(4)
    truth = random_pose(rng, 20.0)
    field = ambiguous_field(rng, truth, GRID)
    # The same evidence, twice: once as it is and once for a robot that faces the other way.
    flipped = MatchField(-field.ground_xy_m, field.log_likelihood, field.inlier_probability, GRID)
    both = MatchField(
        *(np.concatenate([getattr(f, key) for f in (field, flipped)]) for key in list(vars(field))[:3]), GRID
    )
    for offset in (0.0, np.pi):
        facing = replace(truth, yaw_rad=float(wrap_angle_rad(truth.yaw_rad + offset)))
        prior = replace(PRIOR, yaw_rad=facing.yaw_rad + 0.15, yaw_sigma_rad=float(np.radians(10)))
        solution = solve_dense(both, prior, CONFIG, 0)
        position_m, yaw_deg = error(solution, facing)
        assert position_m < 0.6 and yaw_deg < 2.0
        assert solution.second_mode is None or solution.second_mode.score_gap > 30
    unknown = solve_dense(both, PRIOR, CONFIG, 0)
    assert abs(unknown.second_mode.score_gap) < 0.02 * len(both.ground_xy_m)
    assert unknown.covariance[2, 2] > 1.0


def periodic_field(rng, truth, period_cells):
    """A street: every cell's match repeats along x; `period_cells` 0 means that x is not seen at all."""
    cells = 400
    ground = rng.uniform(-25, 25, (cells, 2))
    uv = GRID.uv_from_xy(truth.transform(ground))
    d_u = np.arange(41) + 0.5 - uv[:, :1]
    if period_cells:
        d_u = (d_u + period_cells / 2) % period_cells - period_cells / 2
    u = np.exp(-0.5 * d_u**2) if period_cells else np.ones_like(d_u)
    v = np.exp(-0.5 * (np.arange(41) + 0.5 - uv[:, 1:]) ** 2)
    logits = (3.0 * v[:, :, None] * u[:, None, :]).reshape(cells, -1).astype(np.float32)
    return MatchField(ground, log_softmax(logits), np.full(cells, 0.5, dtype=np.float32), GRID)


@pytest.mark.parametrize("period_cells", [0, 5])
def test_a_street_that_repeats_is_ambiguous_along_its_axis(period_cells):
    truth = Pose2(3.0, 5.0, 0.4)
    field = periodic_field(np.random.default_rng(5), truth, period_cells)
    prior = replace(PRIOR, yaw_rad=0.4, yaw_sigma_rad=0.1)
    solution = solve_dense(field, prior, CONFIG, 0)
    assert solution.second_mode.score_gap < 0.05 * len(field.ground_xy_m)
    assert abs(solution.second_mode.pose.y_m - truth.y_m) < 1.0
    assert np.sqrt(solution.covariance[0, 0]) > 4.0
    assert np.sqrt(solution.covariance[1, 1]) < 1.0
    assert abs(solution.pose.y_m - truth.y_m) < 0.5


def test_the_wrong_image_scores_low():
    rng = np.random.default_rng(6)
    truth = random_pose(rng, 20.0)
    right = solve_dense(ambiguous_field(rng, truth, GRID), PRIOR, CONFIG, 0)
    wrong = solve_dense(ambiguous_field(rng, truth, GRID, present=0.0), PRIOR, CONFIG, 0)
    assert wrong.score_per_cell < 0.5 * right.score_per_cell
    assert wrong.inlier_ratio < right.inlier_ratio
    assert wrong.second_mode.score_gap < 0.2 * right.second_mode.score_gap


def test_an_off_centre_prior_and_grid():
    rng = np.random.default_rng(7)
    grid = RasterGrid.centred(1000.0, -5000.0, 1.8, 41, 41)
    truth = Pose2(1006.0, -5011.0, -1.0)
    solution = solve_dense(ambiguous_field(rng, truth, grid), Prior(998.0, -5004.0, 14.0), CONFIG, 0)
    assert error(solution, truth)[0] < 0.6


def test_a_prior_wider_than_the_grid():
    rng = np.random.default_rng(13)
    truth = random_pose(rng, 20.0)
    solution = solve_dense(ambiguous_field(rng, truth, GRID, cells=300), Prior(10.0, -5.0, 5000.0), CONFIG, 0)
    assert error(solution, truth)[0] < 0.6


def test_wide_scale_bounds():
    rng = np.random.default_rng(8)
    truth = random_pose(rng, 20.0)
    field = ambiguous_field(rng, truth, GRID, scale=1.0)
    field = replace(field, ground_xy_m=field.ground_xy_m / 1.9)
    solution = solve_dense(field, PRIOR, replace(CONFIG, scale_bounds=(0.4, 2.5)), 0)
    assert error(solution, truth)[0] < 0.6
    assert solution.scale == pytest.approx(1.9, rel=0.03)


def test_fixed_scale_is_kept_and_results_repeat():
    rng = np.random.default_rng(9)
    field = ambiguous_field(rng, random_pose(rng, 20.0), GRID)
    config = replace(CONFIG, scale_bounds=(1.0, 1.0))
    first, second = (solve_dense(field, PRIOR, config, 3) for _ in range(2))
    assert first.scale == pytest.approx(1.0)
    assert first.pose == second.pose and first.score == second.score
    np.testing.assert_array_equal(first.covariance, second.covariance)


def test_a_cell_that_is_sure_and_wrong_does_not_veto_the_pose():
    rng = np.random.default_rng(14)
    truth = random_pose(rng, 15.0)
    field = ambiguous_field(rng, truth, GRID, cells=300)
    field.log_likelihood[:5] = -np.inf
    field.log_likelihood[:5, 700] = 0.0
    field.inlier_probability[:5] = 1.0
    assert error(solve_dense(field, PRIOR, CONFIG, 0), truth)[0] < 0.6


def test_cells_that_cannot_match_may_hold_anything():
    rng = np.random.default_rng(10)
    field = ambiguous_field(rng, random_pose(rng, 20.0), GRID, cells=300)
    reference = solve_dense(field, PRIOR, CONFIG, 0)
    padded = MatchField(
        np.concatenate([field.ground_xy_m, np.full((50, 2), np.nan)]),
        np.concatenate([field.log_likelihood, np.full((50, 41 * 41), np.nan, dtype=np.float32)]),
        np.concatenate([field.inlier_probability, np.zeros(50, dtype=np.float32)]),
        GRID,
    )
    solution = solve_dense(padded, PRIOR, CONFIG, 0)
    assert solution.pose == reference.pose
    assert solution.score_per_cell == reference.score_per_cell


def spoiled(**changes):
    field = ambiguous_field(np.random.default_rng(11), Pose2(0, 0, 0), GRID, cells=20)
    values = {"ground_xy_m": field.ground_xy_m, "log_likelihood": field.log_likelihood}
    values["inlier_probability"] = field.inlier_probability
    return MatchField(
        **(values | {key: change(values[key].copy()) for key, change in changes.items()}), grid=GRID
    )


def put(index, value):
    def change(array):
        array[index] = value
        return array

    return change


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"inlier_probability": put(slice(None), 0.0)}, "only 0 ground cells can match"),
        ({"inlier_probability": put(slice(2, None), 0.0)}, "only 2 ground cells can match"),
        ({"inlier_probability": put(3, np.nan)}, "inlier probabilities must lie in"),
        ({"ground_xy_m": put(3, np.nan)}, "1 ground points are not finite"),
        ({"log_likelihood": put((3, 5), np.nan)}, "match likelihoods are not finite"),
        ({"ground_xy_m": put(slice(None), 4.0)}, "ground points are coincident"),
        ({"ground_xy_m": put((slice(None), 1), 4.0)}, "ground points are collinear"),
        (
            {"log_likelihood": put(slice(None), -np.log(41 * 41))},
            "say nothing about the poses",
        ),
    ],
)
def test_hopeless_fields_give_a_reason(changes, reason):
    solution = solve_dense(spoiled(**changes), PRIOR, CONFIG, 0)
    assert solution.pose is None and reason in solution.reason
    assert np.isnan(solution.covariance).all()


def test_no_cells_and_a_prior_off_the_grid_give_a_reason():
    empty = MatchField(np.zeros((0, 2)), np.zeros((0, 41 * 41), np.float32), np.zeros(0, np.float32), GRID)
    assert "only 0 ground cells" in solve_dense(empty, PRIOR, CONFIG, 0).reason
    away = solve_dense(spoiled(), Prior(500.0, 0.0, 20.0), CONFIG, 0)
    assert away.pose is None and "say nothing" in away.reason
