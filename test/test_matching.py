"""Ground cells against aerial cells: the softmax and its dustbin, which cells are drawn, what each counts for."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xview_localizer.aerial_descriptors import AerialDescriptors
from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.pose import Pose2
from xview_localizer.matching import (
    MatchConfig,
    best_matches,
    cell_weight,
    draw_cells,
    independent_images,
    match,
    match_cells,
    match_chance,
)
from xview_localizer.observation import IDENTITY_POSE, Observation, PlacedObservation

GRID = RasterGrid.centred(0.0, 0.0, 1.2, 30, 30)
CONFIG = MatchConfig(inverse_temperature=10.0, trained_cells=900, max_cells=600, independence_m=16.0)
DIMENSIONS = 8


def unit(rng, count):
    vectors = rng.standard_normal((count, DIMENSIONS)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def aerial_of(rng, valid=None):
    return AerialDescriptors(unit(rng, 900), np.ones(900, bool) if valid is None else valid, GRID)


def observation_of(rng, cells, camera_xy_m=(0.0, 0.0), ground_xy_m=None):
    return Observation(
        ground_xy_m=rng.uniform(-20, 20, (cells, 2)) if ground_xy_m is None else ground_xy_m,
        camera_xy_m=np.array(camera_xy_m),
        descriptor=unit(rng, cells),
        dustbin=rng.normal(0, 1, cells).astype(np.float32),
        covered_area=rng.uniform(0.0, 3.0, cells),
        scale_known=True,
        depth_source="network",
        stamp_sec=0.0,
    )


def test_softmax_and_dustbin():
    """Against the definition, cell by cell."""
    rng = np.random.default_rng(0)
    aerial, descriptor, dustbin = aerial_of(rng), unit(rng, 5), np.array([-3.0, 0.0, 2.0, 6.0, 60.0])
    likelihood_ratio, inlier_probability = match_cells(descriptor, dustbin, aerial, CONFIG)
    for n in range(5):
        weight = np.exp(10.0 * (aerial.descriptor @ descriptor[n]).astype(float))
        np.testing.assert_allclose(likelihood_ratio[n], weight / weight.mean(), rtol=1e-4)
        expected = weight.sum() / (weight.sum() + np.exp(dustbin[n]))
        assert inlier_probability[n] == pytest.approx(expected, rel=1e-4)


def test_dustbin_does_not_depend_on_the_size_of_the_crop():
    """Four times as many aerial cells of the same kind: as likely a match as before."""
    rng = np.random.default_rng(1)
    small, descriptor, dustbin = aerial_of(rng), unit(rng, 20), rng.normal(6, 2, 20)
    large = AerialDescriptors(
        np.tile(small.descriptor, (4, 1)), np.ones(3600, bool), RasterGrid.centred(0, 0, 1.2, 60, 60)
    )
    np.testing.assert_allclose(
        match_cells(descriptor, dustbin, large, CONFIG)[1],
        match_cells(descriptor, dustbin, small, CONFIG)[1],
        rtol=1e-4,
    )


def test_what_the_map_does_not_show_is_as_likely_as_chance():
    rng = np.random.default_rng(2)
    valid = (np.arange(900) % 30) < 15
    aerial, descriptor, dustbin = aerial_of(rng, valid), unit(rng, 6), np.zeros(6)
    likelihood_ratio, inlier_probability = match_cells(descriptor, dustbin, aerial, CONFIG)
    np.testing.assert_allclose(likelihood_ratio[:, ~valid], 1.0, rtol=1e-6)
    np.testing.assert_allclose(likelihood_ratio.mean(axis=1), 1.0, atol=1e-4)
    weight = np.exp(10.0 * descriptor @ aerial.descriptor[valid].T)
    np.testing.assert_allclose(
        likelihood_ratio[:, valid], weight / weight.mean(axis=1, keepdims=True), rtol=1e-4
    )
    # 450 cells of the 900 that the dustbin was trained against.
    np.testing.assert_allclose(inlier_probability, 1 / (1 + 0.5 / weight.sum(axis=1)), rtol=1e-4)


def test_best_matches_have_their_probability_though_half_of_the_map_is_hidden():
    rng = np.random.default_rng(3)
    aerial, observation = aerial_of(rng, valid=np.arange(900) % 2 == 0), observation_of(rng, 5)
    observation = replace(
        observation, dustbin=observation.dustbin + 8
    )  # some match nothing more likely than not
    weight = np.exp(10.0 * (observation.descriptor @ aerial.descriptor[aerial.valid].T).astype(float))
    none = np.exp(observation.dustbin) * 450 / 900  # the dustbin was trained against 900 cells
    matches = best_matches(observation, 1.0, aerial, CONFIG)
    np.testing.assert_allclose(matches.weight, weight.max(axis=1) / (weight.sum(axis=1) + none), rtol=1e-4)


def test_descriptors_that_are_all_alike_are_no_evidence():
    """Also where half the map is missing."""
    rng = np.random.default_rng(3)
    alike = np.full((900, DIMENSIONS), 1 / np.sqrt(DIMENSIONS), np.float32)
    aerial = AerialDescriptors(alike, (np.arange(900) % 30) < 15, GRID)
    field = match([PlacedObservation(observation_of(rng, 80), IDENTITY_POSE)], aerial, CONFIG, 0)
    evidence = Evidence.from_field(field, field.inlier_probability > 0)
    t = np.linspace(-15, 15, 7) + 0j
    np.testing.assert_allclose(evidence.score(np.ones(7, complex), t), 0.0, atol=1e-2)


def test_one_image_of_few_cells_counts_as_it_is():
    rng = np.random.default_rng(4)
    observation = observation_of(rng, 90, camera_xy_m=(2.0, 0.5))
    field = match([PlacedObservation(observation, IDENTITY_POSE)], aerial_of(rng), CONFIG, 0)
    np.testing.assert_array_equal(field.lifted_xy_m, observation.ground_xy_m)
    np.testing.assert_array_equal(field.offset_xy_m, np.tile([2.0, 0.5], (90, 1)))
    np.testing.assert_allclose(field.weight, cell_weight(np.linalg.norm(observation.ground_xy_m, axis=1)))
    # `place_weight` of a ground cell is the share of an aerial cell that it covers.
    np.testing.assert_allclose(field.place_weight, np.minimum(observation.covered_area / 1.2**2, 1.0))
    assert field.current.all()
    assert field.overlap_discount == 1.0


def test_one_image_alone_has_all_the_cells_that_may_be_matched():
    rng = np.random.default_rng(5)
    placed = [PlacedObservation(observation_of(rng, 100), IDENTITY_POSE)]
    assert len(match(placed, aerial_of(rng), replace(CONFIG, max_cells=40), 0).weight) == 40


def test_keyframes_and_lever_arms_are_placed_in_metres():
    """Their offsets turn and move with odometry; the lifted points only turn, so that a scale moves them alone."""
    rng = np.random.default_rng(5)
    past, now = observation_of(rng, 40, (1.5, -0.2)), observation_of(rng, 50, (1.5, -0.2))
    T_current_past = Pose2(-6.0, 1.0, 0.4)
    field = match(
        [PlacedObservation(past, T_current_past), PlacedObservation(now, IDENTITY_POSE)],
        aerial_of(rng),
        CONFIG,
        0,
    )
    assert field.current.tolist() == [False] * 40 + [True] * 50
    for scale in (0.8, 1.0, 1.3):
        points = scale * field.lifted_xy_m + field.offset_xy_m
        np.testing.assert_allclose(points[:40], T_current_past.transform(past.points_m(scale)), atol=1e-9)
        np.testing.assert_allclose(points[40:], now.points_m(scale), atol=1e-9)


def test_cells_of_several_cameras_keep_their_own_lever_arm():
    rng = np.random.default_rng(6)
    cells, cameras_m = 1500, np.random.default_rng(7).normal(0, 1, (1500, 2))
    observation = observation_of(rng, cells, cameras_m)
    field = match([PlacedObservation(observation, Pose2(1.0, 2.0, 0.3))], aerial_of(rng), CONFIG, 0)
    assert 0 < len(field.weight) < cells
    points_m = Pose2(1.0, 2.0, 0.3).transform(observation.points_m(1.0))
    known = {tuple(row) for row in points_m.round(6)}
    assert all(tuple(row) in known for row in (field.lifted_xy_m + field.offset_xy_m).round(6))


def joined(rng, counts, spacing_m, max_cells=600):
    """The match field of images one behind the other, the last the current one."""
    config = MatchConfig(10.0, 900, max_cells, 16.0)
    placed = [
        PlacedObservation(observation_of(rng, count), Pose2(-spacing_m * (len(counts) - 1 - k), 0.0, 0.0))
        for k, count in enumerate(counts)
    ]
    return match(placed, aerial_of(rng), config, 0), placed


@pytest.mark.parametrize("counts", [[800, 900, 1000], [50, 900, 40]])
def test_each_image_counts_as_all_of_its_cells(counts):
    """However few were drawn; all images together as the independent images that they amount to."""
    field, placed = joined(np.random.default_rng(6), counts, spacing_m=4.0)
    independent = 1 + 2 * 4.0 / 16.0
    assert independent_images(placed, 16.0) == independent
    assert field.overlap_discount == pytest.approx(independent / 3)
    of_images = [cell_weight(np.linalg.norm(item.observation.ground_xy_m, axis=1)).sum() for item in placed]
    assert field.weight.sum() == pytest.approx(sum(of_images) * independent / 3, rel=0.01)
    assert field.weight[field.current].sum() == pytest.approx(of_images[-1] * independent / 3, rel=0.01)
    covered = [np.minimum(item.observation.covered_area / 1.2**2, 1.0).sum() for item in placed]
    assert field.place_weight.sum() == pytest.approx(sum(covered) * independent / 3, rel=0.15)
    assert len(field.weight) <= 600
    assert np.count_nonzero(field.current) == pytest.approx(min(300, counts[-1]), abs=1)


def test_images_far_apart_are_independent():
    field, placed = joined(np.random.default_rng(7), [500, 500], spacing_m=30.0)
    assert field.overlap_discount == 1.0
    of_images = [cell_weight(np.linalg.norm(item.observation.ground_xy_m, axis=1)).sum() for item in placed]
    assert field.weight.sum() == pytest.approx(sum(of_images), rel=0.01)


def test_the_way_counts_not_the_distance():
    rng = np.random.default_rng(8)
    observation = observation_of(rng, 5)
    there_and_back = [
        PlacedObservation(observation, pose) for pose in (IDENTITY_POSE, Pose2(8.0, 0.0, 0.0), IDENTITY_POSE)
    ]
    assert independent_images(there_and_back, 16.0) == 2.0
    assert independent_images(there_and_back[:1], 16.0) == 1.0


def test_same_seed_same_cells():
    rng = np.random.default_rng(9)
    placed = [PlacedObservation(observation_of(rng, 2000), IDENTITY_POSE)]
    aerial = aerial_of(rng)
    first, second, other = (match(placed, aerial, CONFIG, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.lifted_xy_m, second.lifted_xy_m)
    assert not np.array_equal(first.lifted_xy_m, other.lifted_xy_m)


def test_all_cells_are_kept_where_they_are_few():
    cells, chance = draw_cells(
        np.array([0.2, 1.0, 0.4]), np.array([1.0, 0.0, 0.5]), 3, np.random.default_rng(0)
    )
    np.testing.assert_array_equal(cells, [0, 1, 2])
    np.testing.assert_array_equal(chance, 1.0)


def test_images_that_get_no_cell_are_left_out():
    """A wide search matches few cells at a time, of the current image and of as many earlier ones as are kept."""
    field, _ = joined(np.random.default_rng(10), [40] * 20, spacing_m=4.0, max_cells=24)
    assert len(field.weight) == 12 and field.current.all()


@settings(deadline=None)
@given(
    arrays(np.float64, st.integers(1, 500), elements=st.floats(0.15, 1.0)),
    st.floats(0.0, 1.0),
    st.integers(1, 400),
    st.integers(0, 2**32 - 1),
)
def test_drawn_cells_stand_for_all(weight, match_chance, max_cells, seed):
    """The sum of the weights is that of all cells, to one cell; no cell counts less than it would in full."""
    chances = np.full(len(weight), match_chance)
    cells, chance = draw_cells(weight, chances, max_cells, np.random.default_rng(seed))
    drawn = weight[cells] / chance
    assert len(np.unique(cells)) == len(cells)
    assert len(cells) == pytest.approx(min(max_cells, len(weight)), abs=1)
    assert drawn.sum() == pytest.approx(weight.sum(), abs=1.01 * drawn.max())
    assert np.all(drawn >= weight[cells] * (1 - 1e-9))


def test_a_weighted_mean_over_drawn_cells_is_that_over_all():
    """Averaged over draws, whatever the quantity; also where the heaviest cells are certain to be drawn."""
    rng = np.random.default_rng(1)
    weight, match_chance = rng.uniform(0.15, 1.0, 300), rng.uniform(0.0, 1.0, 300)
    value = np.sin(20 * weight) + match_chance
    sums = []
    for _ in range(2000):
        cells, chance = draw_cells(weight, match_chance, 200, rng)
        sums.append((weight[cells] / chance) @ value[cells])
    spread = np.std(sums) / np.sqrt(len(sums))
    assert spread > 0
    assert np.mean(sums) == pytest.approx(weight @ value, abs=4 * spread)


def test_heavy_cells_are_drawn_before_light_ones():
    weight = np.concatenate([np.full(3000, 0.15), np.full(300, 1.0)])
    cells, chance = draw_cells(weight, np.ones(3300), 800, np.random.default_rng(0))
    assert np.isin(np.flatnonzero(weight == 1.0), cells).all()
    np.testing.assert_allclose(chance[weight[cells] == 1.0], 1.0)
    again, _ = draw_cells(weight, np.ones(3300), 800, np.random.default_rng(0))
    np.testing.assert_array_equal(cells, again)


def test_cells_that_cannot_match_are_drawn_rarely():
    """A tenth as often as those that will, not less: each stands for ten times as many."""
    match_chance = np.repeat([1.0, 0.0], 1000)
    cells, chance = draw_cells(np.ones(2000), match_chance, 550, np.random.default_rng(0))
    assert np.count_nonzero(cells < 1000) == pytest.approx(500, abs=1)
    np.testing.assert_allclose(1 / chance, np.where(cells < 1000, 2.0, 20.0))


def test_the_dustbin_foretells_what_will_match():
    """Against the inlier probability where each ground cell is like one aerial cell and unlike all others."""
    aerial, dustbin = (
        AerialDescriptors(np.eye(900, dtype=np.float32), np.ones(900, bool), GRID),
        np.linspace(20, 40, 50),
    )
    config = replace(CONFIG, inverse_temperature=30.0)
    _, inlier_probability = match_cells(np.eye(50, 900, dtype=np.float32), dustbin, aerial, config)
    np.testing.assert_allclose(match_chance(dustbin, 30.0), inlier_probability, atol=1e-6)


def test_an_image_draws_the_cells_that_its_dustbin_leaves():
    rng = np.random.default_rng(12)
    observation = replace(observation_of(rng, 800), dustbin=np.repeat([-5.0, 40.0], 400).astype(np.float32))
    field = match(
        [PlacedObservation(observation, IDENTITY_POSE)], aerial_of(rng), replace(CONFIG, max_cells=200), 0
    )
    assert np.count_nonzero(field.inlier_probability > 0.5) > 170


def test_near_cells_weigh_less():
    np.testing.assert_allclose(cell_weight(np.array([0.5, 6.0, 15.0, 40.0])), [0.15, 0.4, 1.0, 1.0])
