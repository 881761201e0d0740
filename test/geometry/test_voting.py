"""The coarse vote against every pose scored one by one."""

from dataclasses import replace

import numpy as np
import pytest

from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.match_field import MatchField
from xview_localizer.geometry.pose import Prior
from xview_localizer.geometry.prior_gate import PriorGate
from xview_localizer.geometry.voting import VotingConfig, vote, vote_in_parts

GRID = RasterGrid.centred(50.0, 20.0, 1.5, 12, 14)
STEP_RAD = 2 * np.pi / 12


def random_field(rng, cells=25, rows=12, columns=14):
    ratio = rng.exponential(1.0, (cells, rows * columns)).astype(np.float32)
    field = MatchField.of_one_image(rng.uniform(-6, 6, (cells, 2)), ratio, rng.uniform(0.2, 0.8, cells), GRID)
    object.__setattr__(field, "weight", rng.uniform(0.5, 1.5, cells))
    return field


def score(field, a, t):
    """Sum of the weighted log ratios of the aerial cells into which a pose sends the ground cells."""
    points = a * (field.lifted_xy_m @ [1, 1j]) + t
    column = np.floor((points.real - GRID.west_m) / GRID.spacing_m).astype(int)
    row = np.floor((GRID.north_m - points.imag) / GRID.spacing_m).astype(int)
    inside = (column >= 0) & (column < GRID.columns) & (row >= 0) & (row < GRID.rows)
    cell = np.where(inside, row * GRID.columns + column, 0)
    ratio = field.likelihood_ratio[np.arange(len(cell)), cell]
    pi = field.inlier_probability
    return float(field.weight @ np.where(inside, np.log(pi * ratio + 1 - pi), 0.0))


@pytest.mark.parametrize("heading", [None, (1.0, 0.35)])
def test_candidates_are_the_highest_local_maxima(heading):
    rng = np.random.default_rng(7)
    field = random_field(rng)
    evidence = Evidence.from_field(field, np.ones(25, dtype=bool))
    prior = Prior(51.0, 19.0, 4.0, *(heading or ()))
    gate = PriorGate(prior, edge_m=1.0, yaw_sigmas=3.0)
    config = VotingConfig(yaw_step_rad=STEP_RAD, spacing_m=1.5, candidates=100)
    a, t = vote(evidence, gate, (1.0, 1.0), config, rng)

    yaws = STEP_RAD * np.arange(12) if heading is None else 1.0 + STEP_RAD * np.arange(-3, 4)
    # Positions at whole cells around the prior, within its radius and twice its edge: 6 m, or 4 cells.
    offsets_m = 1.5 * np.arange(-4, 5)
    positions = 51.0 + offsets_m[None, :] + 1j * (19.0 - offsets_m[:, None])
    volume = np.array(
        [
            [[score(field, np.exp(1j * yaw), position) for position in row] for row in positions]
            for yaw in yaws
        ]
    )
    volume[:, np.abs(positions - (51 + 19j)) > 6.0] = -np.inf
    padded = np.pad(volume, ((1, 1), (1, 1), (1, 1)), constant_values=-np.inf)
    if heading is None:
        padded[0], padded[-1] = padded[-2], padded[1]
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3, 3)).max(axis=(3, 4, 5))
    peaks = sorted(volume[(volume >= windows) & np.isfinite(volume)], reverse=True)
    assert len(peaks) > 10
    np.testing.assert_allclose([score(field, *at) for at in zip(a, t, strict=True)], peaks, atol=1e-3)


def test_parts_of_the_ground_cells_vote_as_the_whole():
    field = random_field(np.random.default_rng(8))
    whole = Evidence.from_field(field, np.ones(25, dtype=bool))
    gate, config = PriorGate(Prior(51.0, 19.0, 4.0), 1.0, 3.0), VotingConfig(STEP_RAD, 3.0, candidates=8)
    parts = [whole.take(np.arange(10)), whole.take(np.arange(10, 25))]
    for one, other in zip(
        vote_in_parts(parts, GRID, gate, (0.8, 1.3), config),
        vote_in_parts([whole], GRID, gate, (0.8, 1.3), config),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_scales_lie_in_the_middle_of_equal_parts_of_their_bounds():
    field = random_field(np.random.default_rng(9))
    gate = PriorGate(Prior(51.0, 19.0, 4.0, 1.0, 0.1), 1.0, 3.0)
    config = VotingConfig(STEP_RAD, 1.5, log_scale_step=0.25, candidates=1000)
    a, _ = vote_in_parts(
        [Evidence.from_field(field, np.ones(25, dtype=bool))], GRID, gate, (0.5, 2.0), config
    )
    parts = 6  # log 4 / 0.25, rounded up
    expected = 0.5 * 4 ** ((np.arange(parts) + 0.5) / parts)
    np.testing.assert_allclose(np.unique(np.abs(a).round(6)), expected, rtol=1e-5)


def test_where_cells_are_drawn_those_that_show_something_are():
    """Forty cells point to one place; five hundred match as well everywhere, or do not count."""
    rng = np.random.default_rng(10)
    ground_m, heading = rng.uniform(-5, 5, (540, 2)), 1.0
    place = 52.0 + 18.5j
    seen = np.exp(1j * heading) * (ground_m @ [1, 1j]) + place
    uv = GRID.uv_from_xy(np.stack([seen.real, seen.imag], axis=-1)).astype(int)
    ratio = np.ones((540, 168), np.float32)
    ratio[np.arange(540), uv[:, 1] * 14 + uv[:, 0]] = 30.0
    ratio[40:290] = 1.0
    ratio[290:] = rng.permuted(ratio[290:], axis=1)
    weight = np.where(np.arange(540) < 290, 1.0, 1e-6)
    field = replace(MatchField.of_one_image(ground_m, ratio, np.full(540, 0.5), GRID), weight=weight)
    gate = PriorGate(Prior(51.0, 19.0, 4.0, heading, 0.2), 1.0, 3.0)
    config = VotingConfig(STEP_RAD / 2, 1.5, max_ground_cells=45, candidates=1)
    _, t = vote(Evidence.from_field(field, np.ones(540, dtype=bool)), gate, (1.0, 1.0), config, rng)
    assert abs(t[0] - place) < 1.5
