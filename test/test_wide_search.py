"""Wide searches: small discs around the best coarse votes, within bounded memory."""

import tracemalloc
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from xview_localizer.aerial_descriptors import AerialDescriptors
from xview_localizer.geometry.dense import DenseSolverConfig
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.localizer import Localizer
from xview_localizer.localizer_config import MIN_MAP_HALF_EXTENT_M
from xview_localizer.matching import MatchConfig
from xview_localizer.models.contracts import Networks
from xview_localizer.models.spec import ModelSpec
from xview_localizer.observation import IDENTITY_POSE, Observation, PlacedObservation
from xview_localizer.rejection import Reason
from xview_localizer.wide_search import COARSE, DISC_RADIUS_M, WHOLE_RADIUS_M, _parts, discs_to_solve

CONFIG = MatchConfig(inverse_temperature=10.0, trained_cells=3600, max_cells=900, independence_m=16.0)
CELL_M = 1.2


@pytest.fixture(scope="module")
def aerial():
    """Random descriptors, 480 m across."""
    rng = np.random.default_rng(0)
    side = 400
    descriptor = rng.normal(size=(side * side, 32)).astype(np.float32)
    descriptor /= np.linalg.norm(descriptor, axis=1, keepdims=True)
    grid = RasterGrid.centred(0.0, 0.0, CELL_M, side, side)
    return AerialDescriptors(descriptor, np.ones(side * side, dtype=bool), grid)


def observed_at(truth: Pose2, aerial) -> PlacedObservation:
    """600 cells of a panorama that see exactly what the map has where they lie."""
    rng = np.random.default_rng(1)
    range_m, azimuth = rng.uniform(3.0, 25.0, 600), rng.uniform(-np.pi, np.pi, 600)
    ground_xy_m = range_m[:, None] * np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1)
    column, row = np.floor(aerial.grid.uv_from_xy(truth.transform(ground_xy_m))).astype(int).T
    descriptor = aerial.descriptor[row * aerial.grid.columns + column]
    observation = Observation(
        ground_xy_m,
        np.zeros(2),
        descriptor,
        np.full(600, -5.0, np.float32),
        np.full(600, 9.0),
        True,
        "network",
        0.0,
    )
    return PlacedObservation(observation, IDENTITY_POSE)


def localizer_in(aerial) -> Localizer:
    """A localizer that has the map's descriptors already."""
    localizer = Localizer(Networks(ModelSpec("none"), *3 * (None,)), None)
    localizer._aerial = SimpleNamespace(read=lambda *_: aerial)
    return localizer


def test_a_narrow_search_is_solved_whole(aerial):
    prior = Prior(0.0, 0.0, WHOLE_RADIUS_M)
    placed = [observed_at(Pose2(5.0, 5.0, 0.0), aerial)]
    assert discs_to_solve(placed, aerial, prior, DenseSolverConfig(), CONFIG, 0) == [prior]


def test_the_best_disc_of_a_wide_search_holds_the_truth_within_bounded_memory(aerial):
    truth = Pose2(-97.0, 61.0, 2.0)
    placed = [observed_at(truth, aerial)]
    tracemalloc.start()
    discs = discs_to_solve(placed, aerial, Prior(0.0, 0.0, 150.0), DenseSolverConfig(), CONFIG, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    best = discs[0]
    assert np.hypot(best.x_m - truth.x_m, best.y_m - truth.y_m) < DISC_RADIUS_M / 2
    assert abs(np.angle(np.exp(1j * (best.yaw_rad - truth.yaw_rad)))) < 2 * best.yaw_sigma_rad
    # The field of 600 cells over the whole map would take 380 MB.
    assert peak < 150e6


def test_votes_of_a_wide_search_are_cast_by_other_cells_in_every_part(aerial):
    parts = _parts([observed_at(Pose2(0.0, 0.0, 0.0), aerial)], aerial, CONFIG, 0)
    cells = np.concatenate([part.lifted for part in parts])
    assert len(cells) == COARSE.max_ground_cells
    assert len(np.unique(cells)) > 0.7 * len(cells)  # drawn anew for each part, so that some come twice


def test_discs_lie_within_the_search(aerial):
    """The image was taken 15 m outside of it."""
    placed = [observed_at(Pose2(75.0, 0.0, 2.0), aerial)]
    discs = discs_to_solve(placed, aerial, Prior(0.0, 0.0, 60.0), DenseSolverConfig(), CONFIG, 0)
    assert len(discs) > 1
    assert max(np.hypot(disc.x_m, disc.y_m) for disc in discs) < 60.0 + 3 * COARSE.spacing_m


def test_part_of_the_descriptors_keeps_its_place(aerial):
    part = aerial.around(-30.0, 50.0, 20.0)
    assert part.grid.bounds.contains(np.array([[-49.9, 30.1], [-10.1, 69.9]])).all()
    assert part.grid.rows < 36 and part.grid.columns < 36
    whole = {tuple(np.round(xy, 3)): k for k, xy in enumerate(aerial.grid.cell_centres_xy_m)}
    for k in (0, 7, len(part.descriptor) - 1):
        original = whole[tuple(np.round(part.grid.cell_centres_xy_m[k], 3))]
        np.testing.assert_array_equal(part.descriptor[k], aerial.descriptor[original])


def test_poses_of_a_wide_search_are_judged_by_its_prior_not_by_the_disc_they_were_found_in(aerial):
    """One that matches perfectly 6 m outside of the search, 2 sigmas off the heading."""
    truth = Pose2(66.0, 0.0, 2.0)
    prior = Prior(0.0, 0.0, 60.0, truth.yaw_rad - 0.2, 0.1)
    found = localizer_in(aerial).modes([observed_at(truth, aerial)], prior).modes
    best = max(found, key=lambda mode: mode.log_evidence)
    assert np.hypot(best.pose.x_m - truth.x_m, best.pose.y_m - truth.y_m) < 1.0
    assert best.log_prior == pytest.approx(-0.5 * (6.0**2 + 2.0**2), rel=0.2)
    assert [mode.log_evidence + mode.log_prior for mode in found] == sorted(
        (mode.log_evidence + mode.log_prior for mode in found), reverse=True
    )


@pytest.mark.parametrize(("radius_m", "half_extent_m"), [(5.0, MIN_MAP_HALF_EXTENT_M), (30.0, 50.0)])
def test_the_map_is_read_as_far_as_images_show_ground_beyond_the_search(aerial, radius_m, half_extent_m):
    localizer, asked = localizer_in(aerial), []
    localizer._aerial = SimpleNamespace(read=lambda *place: asked.append(place) or aerial)
    localizer.modes([observed_at(Pose2(1.0, 2.0, 0.0), aerial)], Prior(1.0, 2.0, radius_m))
    assert asked == [(1.0, 2.0, half_extent_m)]


@pytest.mark.parametrize("radius_m", [20.0, WHOLE_RADIUS_M + 10.0])
def test_an_image_without_cells_gives_no_pose(aerial, radius_m):
    seen = observed_at(Pose2(0.0, 0.0, 0.0), aerial).observation
    none = replace(
        seen, ground_xy_m=np.zeros((0, 2)), descriptor=seen.descriptor[:0], dustbin=seen.dustbin[:0]
    )
    modes = localizer_in(aerial).modes([PlacedObservation(none, IDENTITY_POSE)], Prior(0.0, 0.0, radius_m))
    assert modes.rejection.reason is Reason.NOTHING_TO_SOLVE and "only 0 ground cells" in modes.rejection.text


def test_descriptors_that_are_not_finite_give_no_pose(aerial):
    """As of an engine whose FP16 overflows."""
    spoilt = replace(aerial, descriptor=np.full_like(aerial.descriptor, np.nan))
    placed = [observed_at(Pose2(0.0, 0.0, 0.0), aerial)]
    modes = localizer_in(spoilt).modes(placed, Prior(0.0, 0.0, WHOLE_RADIUS_M + 10.0))
    assert modes.rejection.reason is Reason.NOTHING_TO_SOLVE and "not finite" in modes.rejection.text
