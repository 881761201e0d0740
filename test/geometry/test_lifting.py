"""Cells get the network's depth where the ground bears it out, and flat ground with a reason elsewhere."""

import numpy as np
import pytest

from xview_localizer.geometry.canonical_view import directions
from xview_localizer.geometry.depth import DepthKind, DepthPrediction
from xview_localizer.geometry.lifting import NETWORK_DEPTH, covered_area, lift_cells

HEIGHT_M, MAX_RANGE_M = 1.7, 40.0
RAYS = directions(np.radians(np.linspace(40, -40, 20)), np.radians(np.linspace(5, -40, 24)))
WALL_M = 9.0
with np.errstate(divide="ignore"):
    TRUE_M = np.where(RAYS[..., 2] < 0, np.minimum(-HEIGHT_M / RAYS[..., 2], WALL_M), WALL_M)
AXIS_COSINE = RAYS[..., 0]
# The fits let in a few cells of the wall that lie near the ground, hence 6 % below.
PREDICTIONS = {
    "metric": DepthPrediction(TRUE_M, DepthKind.METRIC),
    "metric, planar": DepthPrediction(TRUE_M * AXIS_COSINE, DepthKind.METRIC, AXIS_COSINE),
    "relative": DepthPrediction(0.02 * TRUE_M, DepthKind.RELATIVE),
    "relative, planar": DepthPrediction(70 * TRUE_M * AXIS_COSINE, DepthKind.RELATIVE, AXIS_COSINE),
    "affine inverse": DepthPrediction(5 / TRUE_M + 3, DepthKind.AFFINE_INVERSE),
    "affine inverse, planar": DepthPrediction(
        9 / (TRUE_M * AXIS_COSINE) - 0.2, DepthKind.AFFINE_INVERSE, AXIS_COSINE
    ),
}


@pytest.mark.parametrize("name", PREDICTIONS)
def test_every_kind_gives_metres_with_a_camera_height(name):
    lifted = lift_cells(PREDICTIONS[name], RAYS, HEIGHT_M, 2.0, MAX_RANGE_M)
    assert lifted.source == NETWORK_DEPTH and lifted.metric
    np.testing.assert_allclose(lifted.range_m, TRUE_M, rtol=0.06)


@pytest.mark.parametrize("name", PREDICTIONS)
def test_without_a_camera_height_only_metric_depth_keeps_its_unit(name):
    lifted = lift_cells(PREDICTIONS[name], RAYS, None, 2.0, MAX_RANGE_M)
    metric = name.startswith("metric")
    assert lifted.metric is metric
    np.testing.assert_allclose(lifted.range_m, TRUE_M * (1.0 if metric else 2.0 / HEIGHT_M), rtol=0.06)


@pytest.mark.parametrize("height_m", [HEIGHT_M, None])
def test_cells_near_the_ground_plane_are_put_on_it(height_m):
    """The network's error of 2 % is gone where the ground is seen, and stays where something stands on it."""
    noisy_m = TRUE_M * np.exp(np.random.default_rng(1).normal(0, 0.02, TRUE_M.shape))
    lifted = lift_cells(DepthPrediction(noisy_m, DepthKind.RELATIVE), RAYS, height_m, 2.0, MAX_RANGE_M)
    error = np.abs(np.log(lifted.range_m / TRUE_M * HEIGHT_M / (height_m or 2.0)))
    ground = -RAYS[..., 2] > HEIGHT_M / WALL_M
    assert np.mean(error[ground] < 1e-9) > 0.98
    assert 0.01 < np.median(error[RAYS[..., 2] > 0]) < 0.03


def test_metric_depth_without_a_camera_height_is_not_put_on_assumed_ground():
    lifted = lift_cells(PREDICTIONS["metric"], RAYS, None, 1.03 * HEIGHT_M, MAX_RANGE_M)
    np.testing.assert_allclose(lifted.range_m, TRUE_M)


def test_depth_that_contradicts_the_ground_is_replaced_by_flat_ground():
    noise = np.exp(np.random.default_rng(0).normal(0, 1, TRUE_M.shape))
    lifted = lift_cells(DepthPrediction(noise, DepthKind.RELATIVE), RAYS, HEIGHT_M, 2.0, MAX_RANGE_M)
    assert "flat ground: the depth agrees with the ground plane in only" in lifted.source
    assert lifted.metric
    below = -RAYS[..., 2] > HEIGHT_M / MAX_RANGE_M
    np.testing.assert_allclose(lifted.range_m[below], HEIGHT_M / -RAYS[..., 2][below])
    assert np.isinf(lifted.range_m[~below]).all()


def test_without_a_depth_network_the_ground_is_flat():
    lifted = lift_cells(None, RAYS, None, 2.0, MAX_RANGE_M)
    assert lifted.source == "flat ground: the model has no depth network" and not lifted.metric


def test_cells_cover_the_ground_between_their_corners():
    """Against the area of the quadrilateral in which the four corner rays of a cell meet the ground."""
    azimuth_deg, elevation_deg = np.arange(-40, 40, 3.5), np.arange(-12, -50, -1.75)
    rays = directions(np.radians(azimuth_deg), np.radians(elevation_deg))
    corners = directions(np.radians(np.arange(-41.75, 40, 3.5)), np.radians(np.arange(-11.125, -50.5, -1.75)))
    ground_m = corners[..., :2] * (HEIGHT_M / -corners[..., 2:])
    diagonal, other = ground_m[1:, 1:] - ground_m[:-1, :-1], ground_m[1:, :-1] - ground_m[:-1, 1:]
    expected_m2 = np.abs(diagonal[..., 0] * other[..., 1] - diagonal[..., 1] * other[..., 0]) / 2
    area_m2 = covered_area(rays, HEIGHT_M / -rays[..., 2], HEIGHT_M)
    np.testing.assert_allclose(area_m2, expected_m2, rtol=0.03)


def test_a_single_row_of_cells_covers_no_area():
    assert not covered_area(RAYS[:1], TRUE_M[:1], HEIGHT_M).any()
