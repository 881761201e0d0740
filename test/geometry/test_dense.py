"""The dense solver: recovered poses, rival hypotheses, priors and unusual cells."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from xview_localizer.evaluation.synthetic_matches import ambiguous_field, likelihood_ratio, random_pose
from xview_localizer.geometry.dense import MAX_IMAGE_WEIGHT, DenseSolverConfig, PoseModes, joined, solve_dense
from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.match_field import MatchField
from xview_localizer.geometry.pose import Pose2, Prior, wrap_angle_rad
from xview_localizer.geometry.similarity import as_complex

GRID = RasterGrid.centred(0.0, 0.0, 1.8, 41, 41)
FINE_GRID = RasterGrid.centred(0.0, 0.0, 1.2, 64, 64)
PRIOR = Prior(0.0, 0.0, 20.0)
CONFIG = DenseSolverConfig()


def pose_error(pose, truth):
    """Position error (m) and yaw error (degrees)."""
    position_m = np.hypot(pose.x_m - truth.x_m, pose.y_m - truth.y_m)
    return position_m, abs(np.degrees(wrap_angle_rad(pose.yaw_rad - truth.yaw_rad)))


def error(solution, truth):
    """Position and heading error of the most probable mode."""
    return pose_error(solution.modes[0].pose, truth)


def score_gap(solution, config=CONFIG):
    """By how much the second mode's score is below the first's; infinite without a second one."""
    posterior = [mode.log_evidence + mode.log_prior for mode in solution.modes] + [-np.inf]
    return config.evidence_temperature * (posterior[0] - posterior[1])


def evidence_of(field):
    return Evidence.from_field(field, np.ones(len(field.lifted_xy_m), dtype=bool))


def complex_poses(poses, scale):
    a = scale * np.exp(1j * np.array([pose.yaw_rad for pose in poses]))
    return a, as_complex([(pose.x_m, pose.y_m) for pose in poses])


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
        best = solution.modes[0]
        assert best.scale == pytest.approx(scale, rel=0.04)
        assert solution.reason == ""
        assert score_gap(solution) > 30
        assert np.sqrt(best.covariance[0, 0]) < 1.0
        for mode in solution.modes:
            assert np.all(np.linalg.eigvalsh(mode.covariance) > 0)


def keyframe_field(rng, truth, scale, cells=300, **ambiguity):
    """Cells seen from three cameras at three places, the last the current one; each cell counts as it may."""
    field = ambiguous_field(rng, truth, GRID, cells, **ambiguity)
    offset = np.array([(-7.0, 1.0), (-3.0, 0.5), (2.0, 0.0)])[np.arange(cells) // (cells // 3)]
    return replace(
        field,
        lifted_xy_m=(field.lifted_xy_m - offset) / scale,
        offset_xy_m=offset,
        weight=rng.uniform(0.5, 1.5, cells),
        place_weight=rng.uniform(0.5, 1.5, cells),
        current=np.arange(cells) >= 2 * (cells // 3),
        overlap_discount=0.6,
    )


def cell_log_ratios_by_scipy(field, pose, scale):
    """Log likelihood ratio [N] of every cell, the likelihood interpolated by SciPy."""
    rows, columns = GRID.rows, GRID.columns
    points = pose.transform(scale * field.lifted_xy_m + field.offset_xy_m)
    ratio = field.likelihood_ratio.astype(float).reshape(-1, rows, columns)
    axis = np.arange(-1, rows + 1) + 0.5
    log_ratios = []
    for n, (u, v) in enumerate(GRID.uv_from_xy(points)):
        padded = np.pad(ratio[n], 1, constant_values=1.0)  # neutral outside
        outside = max(abs(u - rows / 2), abs(v - rows / 2)) >= (rows + 1) / 2
        value = 1.0 if outside else RegularGridInterpolator((axis, axis), padded)((v, u)).item()
        probability = field.inlier_probability[n]
        log_ratios.append(np.log(probability * value + 1 - probability))
    return np.array(log_ratios)


def test_score_matches_brute_force():
    rng = np.random.default_rng(1)
    field = keyframe_field(rng, random_pose(rng, 20.0), 1.0, cells=60)
    poses = [Pose2(*rng.uniform(-15, 15, 2), rng.uniform(-np.pi, np.pi)) for _ in range(5)]
    expected = [field.weight @ cell_log_ratios_by_scipy(field, pose, 1.05) for pose in poses]
    np.testing.assert_allclose(evidence_of(field).score(*complex_poses(poses, 1.05)), expected, atol=1e-3)


def test_some_cells_score_as_they_do_among_all():
    rng = np.random.default_rng(1)
    field = keyframe_field(rng, random_pose(rng, 20.0), 1.0, cells=60)
    at = complex_poses([Pose2(1.0, 2.0, 0.3)], 0.95)
    whole, some = evidence_of(field), np.flatnonzero(field.current)
    for part in (whole.take(some), Evidence.from_field(field, field.current)):
        np.testing.assert_array_equal(part.cell_log_ratios(*at), whole.cell_log_ratios(*at)[:, some])
        assert part.score(*at)[0] == pytest.approx(
            whole.cell_log_ratios(*at)[0, some].astype(float) @ field.weight[some]
        )


def test_a_mode_s_evidence_is_the_score_of_its_pose():
    """All images count by `place_weight`; the current image's evidence is that of the image alone."""
    rng = np.random.default_rng(20)
    field = keyframe_field(rng, Pose2(5.0, -4.0, 1.0), 1.04)
    solution = solve_dense(field, PRIOR, CONFIG, 0)
    for mode in solution.modes[:3]:
        weighted = field.place_weight * cell_log_ratios_by_scipy(field, mode.pose, mode.scale)
        assert mode.log_evidence == pytest.approx(weighted.sum() / 4.0, abs=0.01)
        assert mode.log_evidence_current == pytest.approx(weighted[field.current].sum() / 0.6 / 4.0, abs=0.01)
    here = cell_log_ratios_by_scipy(field, solution.modes[0].pose, solution.modes[0].scale)[field.current]
    assert solution.score_per_cell == pytest.approx(here.mean(), abs=1e-3)
    # Bayes: a cell of evidence L matches with probability 1 - (1 - pi) / e^L.
    matches = 1 - (1 - field.inlier_probability[field.current]) * np.exp(-here)
    assert solution.inliers == np.count_nonzero((matches > 0.5) & (here > 0))
    assert solution.inlier_ratio == solution.inliers / 100


def test_more_cells_than_enough_make_an_image_no_surer():
    """The evidence of the current image has MAX_IMAGE_WEIGHT at most; earlier images are scaled alike."""
    field = keyframe_field(np.random.default_rng(20), Pose2(5.0, -4.0, 1.0), 1.04)
    field = replace(field, place_weight=10.0 * field.place_weight)
    mode = solve_dense(field, PRIOR, CONFIG, 0).modes[0]
    log_ratios = cell_log_ratios_by_scipy(field, mode.pose, mode.scale)
    mean = np.average(log_ratios[field.current], weights=field.place_weight[field.current])
    assert mode.log_evidence_current == pytest.approx(MAX_IMAGE_WEIGHT * mean / 4.0, rel=1e-3)
    scaled = MAX_IMAGE_WEIGHT / (field.place_weight[field.current].sum() / 0.6)
    assert mode.log_evidence == pytest.approx(scaled * (field.place_weight @ log_ratios) / 4.0, rel=1e-3)


def test_modes_are_distinct_and_most_probable_first():
    rng = np.random.default_rng(0)
    field = ambiguous_field(rng, random_pose(rng, 20.0), GRID, cells=300, present=0.4, contrast=2.5)
    solution = solve_dense(field, PRIOR, CONFIG, 0)
    posterior = [mode.log_evidence + mode.log_prior for mode in solution.modes]
    assert posterior == sorted(posterior, reverse=True)
    assert 2 <= len(solution.modes) <= CONFIG.max_modes
    for one, other in combinations(solution.modes, 2):
        position_m, yaw_deg = pose_error(one.pose, other.pose)
        assert position_m > CONFIG.mode_separation_m or yaw_deg > np.degrees(CONFIG.mode_separation_rad)


@pytest.mark.parametrize("scale", [0.92, 1.0, 1.08])
def test_scale_moves_neither_lever_arm_nor_keyframes(scale):
    """The pose stays without bias whatever the unit of the lifted points."""
    errors = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        truth = random_pose(rng, 15.0)
        field = keyframe_field(rng, truth, scale, present=0.8, distractors=2, spread_cells=0.2)
        best = solve_dense(field, PRIOR, CONFIG, seed).modes[0]
        assert best.scale == pytest.approx(scale, rel=0.02)
        offset = truth.inverse() @ best.pose
        errors.append((offset.x_m, offset.y_m))
    assert np.all(np.abs(np.mean(errors, axis=0)) < 0.1)


def test_cells_of_weight_zero_have_no_effect():
    rng = np.random.default_rng(22)
    truth = random_pose(rng, 20.0)
    field, other = (ambiguous_field(rng, pose, GRID, cells=300) for pose in (truth, random_pose(rng, 20.0)))
    both = MatchField.of_one_image(
        np.concatenate([field.lifted_xy_m, other.lifted_xy_m]),
        np.concatenate([field.likelihood_ratio, other.likelihood_ratio]),
        np.concatenate([field.inlier_probability, other.inlier_probability]),
        GRID,
    )
    some = np.repeat([1.0, 0.0], 300)
    weighted = replace(both, weight=some, place_weight=some)
    assert (
        solve_dense(weighted, PRIOR, CONFIG, 0).modes[0].pose
        == solve_dense(field, PRIOR, CONFIG, 0).modes[0].pose
    )


def test_places_are_judged_by_place_weight():
    """Many cells near the camera match at a wrong place, a few further off at the right one."""
    rng = np.random.default_rng(24)
    right, wrong = Pose2(10.0, 5.0, 0.5), Pose2(-9.0, -6.0, -2.0)
    far, near = (ambiguous_field(rng, pose, GRID, cells) for pose, cells in ((right, 100), (wrong, 400)))
    both = MatchField.of_one_image(
        np.concatenate([far.lifted_xy_m, near.lifted_xy_m]),
        np.concatenate([far.likelihood_ratio, near.likelihood_ratio]),
        np.concatenate([far.inlier_probability, near.inlier_probability]),
        GRID,
    )
    for place_weight, expected in (((1.0, 1.0), wrong), ((1.0, 0.1), right)):
        field = replace(both, place_weight=np.repeat(place_weight, (100, 400)))
        only_one = replace(CONFIG, max_modes=1)
        assert pose_error(solve_dense(field, PRIOR, only_one, 0).modes[0].pose, expected)[0] < 0.5


def test_an_expected_pose_is_a_mode_of_its_own():
    """A rival too weak to be among the best of a search is reported where the robot may be, and only there."""
    rng = np.random.default_rng(23)
    truth, rival = Pose2(10.0, 5.0, 0.5), Pose2(-9.0, -6.0, -2.0)
    strong = ambiguous_field(rng, truth, GRID, cells=500, present=0.6)
    weak = ambiguous_field(rng, rival, GRID, cells=120, present=0.6)
    field = MatchField.of_one_image(
        np.concatenate([strong.lifted_xy_m, weak.lifted_xy_m]),
        np.concatenate([strong.likelihood_ratio, weak.likelihood_ratio]),
        np.concatenate([strong.inlier_probability, weak.inlier_probability]),
        GRID,
    )
    config = replace(  # nothing but the best pose comes out of the search itself
        CONFIG, max_modes=1, refined=1, voting=replace(CONFIG.voting, candidates=1)
    )
    alone = solve_dense(field, PRIOR, config, 0)
    assert len(alone.modes) == 1
    near = Pose2(rival.x_m + 0.7, rival.y_m - 0.5, rival.yaw_rad + 0.05)
    solution = solve_dense(field, PRIOR, config, 0, [truth, near])
    assert len(solution.modes) == 2
    assert error(solution, truth)[0] < 0.6
    position_m, yaw_deg = pose_error(solution.modes[1].pose, rival)
    assert position_m < 0.6 and yaw_deg < 2.0
    assert np.all(np.linalg.eigvalsh(solution.modes[1].covariance) > 0)
    nowhere = Pose2(200.0, 0.0, 0.0)
    assert len(solve_dense(field, PRIOR, config, 0, [nowhere]).modes) == 1


def test_an_expected_heading_picks_the_mode_that_faces_so():
    """Where two modes share a place, the expected pose is the one with its heading."""
    rng = np.random.default_rng(24)
    truth = Pose2(4.0, -6.0, 0.8)
    field = ambiguous_field(rng, truth, GRID, cells=500, present=0.6)
    weak = ambiguous_field(rng, truth, GRID, cells=250, present=0.6)
    both = MatchField.of_one_image(
        np.concatenate([field.lifted_xy_m, -weak.lifted_xy_m]),
        np.concatenate([field.likelihood_ratio, weak.likelihood_ratio]),
        np.concatenate([field.inlier_probability, weak.inlier_probability]),
        GRID,
    )
    turned = replace(truth, yaw_rad=truth.yaw_rad - np.pi)
    solution = solve_dense(both, PRIOR, replace(CONFIG, max_modes=1), 0, [turned])
    assert error(solution, truth)[1] < 2.0
    assert len(solution.modes) == 2 and pose_error(solution.modes[1].pose, turned)[1] < 2.0


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
    assert config.evidence_temperature * solution.modes[0].log_evidence >= 0.97 * best


def test_covariance_is_that_of_the_posterior():
    """Against the moments of a fine grid over (x, y, yaw), the scale fixed."""
    rng = np.random.default_rng(12)
    for seed in range(3):
        truth = random_pose(rng, 15.0)
        field = ambiguous_field(rng, truth, GRID, cells=300)
        config = replace(CONFIG, scale_bounds=(1.0, 1.0), position_floor_cells=0.0)
        solution = solve_dense(field, PRIOR, config, seed)
        mode = solution.modes[0]
        half = 4 * np.sqrt(np.diag(mode.covariance))
        x, y, yaw = (
            axis.ravel() for axis in np.meshgrid(*(np.linspace(-h, h, 17) for h in half), indexing="ij")
        )
        a = np.exp(1j * (mode.pose.yaw_rad + yaw))
        t = mode.pose.x_m + x + 1j * (mode.pose.y_m + y)
        score = evidence_of(field).score(a, t) / config.evidence_temperature
        weight = np.exp(score - score.max())
        expected = np.cov(np.stack([x, y, yaw]), aweights=weight)
        ratio = np.sqrt(np.diag(mode.covariance) / np.diag(expected))
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
    both = MatchField.of_one_image(
        np.concatenate([field.lifted_xy_m, -field.lifted_xy_m]),
        np.tile(field.likelihood_ratio, (2, 1)),
        np.tile(field.inlier_probability, 2),
        GRID,
    )
    for offset in (0.0, np.pi):
        facing = replace(truth, yaw_rad=float(wrap_angle_rad(truth.yaw_rad + offset)))
        prior = replace(PRIOR, yaw_rad=facing.yaw_rad + 0.15, yaw_sigma_rad=float(np.radians(10)))
        solution = solve_dense(both, prior, CONFIG, 0)
        position_m, yaw_deg = error(solution, facing)
        assert position_m < 0.6 and yaw_deg < 2.0
        assert score_gap(solution) > 30
    unknown = solve_dense(both, PRIOR, CONFIG, 0)
    assert score_gap(unknown) < 0.02 * len(both.lifted_xy_m)
    first, second = unknown.modes[:2]
    assert pose_error(first.pose, second.pose)[1] > 178
    assert np.sqrt(first.covariance[2, 2]) < np.radians(5)


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
    return MatchField.of_one_image(
        ground, likelihood_ratio(logits), np.full(cells, 0.5, dtype=np.float32), GRID
    )


@pytest.mark.parametrize("period_cells", [0, 5])
def test_a_street_that_repeats_is_ambiguous_along_its_axis(period_cells):
    truth = Pose2(3.0, 5.0, 0.4)
    field = periodic_field(np.random.default_rng(5), truth, period_cells)
    prior = replace(PRIOR, yaw_rad=0.4, yaw_sigma_rad=0.1)
    solution = solve_dense(field, prior, CONFIG, 0)
    assert score_gap(solution) < 0.05 * len(field.lifted_xy_m)
    first, second = solution.modes[:2]
    assert abs(second.pose.y_m - truth.y_m) < 1.0
    assert abs(first.pose.y_m - truth.y_m) < 0.5
    assert np.sqrt(first.covariance[1, 1]) < 1.0
    along_m = np.array([mode.pose.x_m for mode in solution.modes[:4]])
    assert np.ptp(along_m) > 6.0  # modes of their own all along the street
    if period_cells:
        period_m = period_cells * GRID.spacing_m
        off_period_m = (first.pose.x_m - second.pose.x_m + period_m / 2) % period_m - period_m / 2
        assert abs(off_period_m) < 0.7


def test_the_wrong_image_scores_low():
    rng = np.random.default_rng(6)
    truth = random_pose(rng, 20.0)
    right = solve_dense(ambiguous_field(rng, truth, GRID), PRIOR, CONFIG, 0)
    wrong = solve_dense(ambiguous_field(rng, truth, GRID, present=0.0), PRIOR, CONFIG, 0)
    assert wrong.score_per_cell < 0.5 * right.score_per_cell
    assert wrong.inlier_ratio < right.inlier_ratio
    assert score_gap(wrong) < 0.2 * score_gap(right)


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
    field = replace(field, lifted_xy_m=field.lifted_xy_m / 1.9)
    solution = solve_dense(field, PRIOR, replace(CONFIG, scale_bounds=(0.4, 2.5)), 0)
    assert error(solution, truth)[0] < 0.6
    assert solution.modes[0].scale == pytest.approx(1.9, rel=0.03)


def test_fixed_scale_is_kept_and_results_repeat():
    rng = np.random.default_rng(9)
    field = ambiguous_field(rng, random_pose(rng, 20.0), GRID)
    config = replace(CONFIG, scale_bounds=(1.0, 1.0))
    first, second = (solve_dense(field, PRIOR, config, 3) for _ in range(2))
    for one, other in zip(first.modes, second.modes, strict=True):
        assert one.scale == pytest.approx(1.0)
        assert one.pose == other.pose and one.log_evidence == other.log_evidence
        np.testing.assert_array_equal(one.covariance, other.covariance)


def test_one_confident_wrong_cell_does_not_exclude_the_pose():
    rng = np.random.default_rng(14)
    truth = random_pose(rng, 15.0)
    field = ambiguous_field(rng, truth, GRID, cells=300)
    field.likelihood_ratio[:5] = 0.0
    field.likelihood_ratio[:5, 700] = 41 * 41
    field.inlier_probability[:5] = 1.0
    assert error(solve_dense(field, PRIOR, CONFIG, 0), truth)[0] < 0.6


def test_values_of_cells_that_cannot_match_are_ignored():
    rng = np.random.default_rng(10)
    field = ambiguous_field(rng, random_pose(rng, 20.0), GRID, cells=300)
    reference = solve_dense(field, PRIOR, CONFIG, 0)
    padded = MatchField.of_one_image(
        np.concatenate([field.lifted_xy_m, np.full((50, 2), np.nan)]),
        np.concatenate([field.likelihood_ratio, np.full((50, 41 * 41), np.nan, dtype=np.float32)]),
        np.concatenate([field.inlier_probability, np.zeros(50, dtype=np.float32)]),
        GRID,
    )
    solution = solve_dense(padded, PRIOR, CONFIG, 0)
    assert solution.modes[0].pose == reference.modes[0].pose
    assert solution.score_per_cell == reference.score_per_cell


def spoiled(**changes):
    field = ambiguous_field(np.random.default_rng(11), Pose2(0, 0, 0), GRID, cells=20)
    return replace(field, **{key: change(getattr(field, key).copy()) for key, change in changes.items()})


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
        ({"weight": put(slice(2, None), 0.0)}, "only 2 ground cells can match"),
        ({"offset_xy_m": put(3, np.inf)}, "1 ground points are not finite"),
        ({"lifted_xy_m": put(3, np.nan)}, "1 ground points are not finite"),
        ({"likelihood_ratio": put((3, 5), np.nan)}, "match likelihoods are not finite"),
        ({"lifted_xy_m": put(slice(None), 4.0)}, "ground points are coincident"),
        ({"lifted_xy_m": put((slice(None), 1), 4.0)}, "ground points are collinear"),
        (
            {"likelihood_ratio": put(slice(None), 1.0)},
            "are no evidence for any pose",
        ),
    ],
)
def test_hopeless_fields_give_a_reason(changes, reason):
    solution = solve_dense(spoiled(**changes), PRIOR, CONFIG, 0)
    assert solution.modes == () and reason in solution.reason


def test_no_cells_and_a_prior_off_the_grid_give_a_reason():
    empty = MatchField.of_one_image(
        np.zeros((0, 2)), np.zeros((0, 41 * 41), np.float32), np.zeros(0, np.float32), GRID
    )
    assert "only 0 ground cells" in solve_dense(empty, PRIOR, CONFIG, 0).reason
    away = solve_dense(spoiled(), Prior(500.0, 0.0, 20.0), CONFIG, 0)
    assert away.modes == () and "no evidence" in away.reason


def test_searches_that_all_find_nothing_have_the_reason_of_the_first():
    searches = [PoseModes(reason="no cells"), PoseModes(reason="the prior is off the map")]
    assert joined(searches, CONFIG).reason == "no cells"


def test_the_best_of_several_searches_gives_the_figures_of_all():
    rng = np.random.default_rng(3)
    right = solve_dense(
        keyframe_field(rng, Pose2(5.0, -4.0, 1.0), 1.0), PRIOR, replace(CONFIG, max_modes=1), 0
    )
    wrong = solve_dense(keyframe_field(rng, Pose2(-9.0, 8.0, -2.0), 1.0, present=0.2), PRIOR, CONFIG, 0)
    both = joined([wrong, PoseModes(reason="no cells"), right], CONFIG)
    assert len(right.modes) == 1 and len(both.modes) > len(wrong.modes)
    assert both.modes[0] == right.modes[0]
    assert (both.inliers, both.score_per_cell) == (right.inliers, right.score_per_cell)


def test_the_covariance_has_a_floor_of_a_share_of_an_aerial_cell():
    field = ambiguous_field(np.random.default_rng(16), Pose2(2.0, 1.0, 0.3), GRID, cells=300)
    without, with_floor = (
        solve_dense(field, PRIOR, replace(CONFIG, position_floor_cells=share), 0) for share in (0.0, 0.2)
    )
    floor_m2 = (0.2 * GRID.spacing_m) ** 2
    turn_rad2 = floor_m2 / np.mean(np.sum(field.lifted_xy_m**2, axis=1))
    np.testing.assert_allclose(
        with_floor.modes[0].covariance - without.modes[0].covariance,
        np.diag([floor_m2, floor_m2, turn_rad2]),
        atol=1e-9,
    )


def test_covariance_of_modes_that_are_not_sampled_is_of_the_same_size():
    truth = Pose2(2.0, 1.0, 0.3)
    field = ambiguous_field(np.random.default_rng(17), truth, GRID, cells=300)
    for yaw_sigma_rad in (0.5, 0.002):
        prior = replace(PRIOR, yaw_rad=0.3, yaw_sigma_rad=yaw_sigma_rad)
        sampled, assigned = (
            solve_dense(field, prior, replace(CONFIG, described=count, position_floor_cells=0.0), 0).modes[0]
            for count in (1, 0)
        )
        ratio = np.sqrt(np.diag(assigned.covariance) / np.diag(sampled.covariance))
        assert np.all((ratio > 0.5) & (ratio < 2.0)), ratio
        assert np.sqrt(assigned.covariance[2, 2]) < yaw_sigma_rad


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("lifted_xy_m", (20, 3)),
        ("offset_xy_m", (19, 2)),
        ("likelihood_ratio", (20, 41 * 40)),
        ("inlier_probability", (19,)),
        ("weight", (20, 1)),
        ("current", (21,)),
    ],
)
def test_fields_whose_parts_do_not_fit_are_refused(name, shape):
    with pytest.raises(ValueError, match=rf"{name} must be \[.*got \({shape[0]},"):
        spoiled(**{name: lambda _: np.zeros(shape)})
