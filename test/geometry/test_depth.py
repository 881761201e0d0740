"""Calibrating predicted depth on the ground plane."""

import cv2
import numpy as np
import pytest

from xview_localizer.geometry.canonical_view import directions
from xview_localizer.geometry.depth import DepthKind, calibrate_depth, flat_ground_range_m

HEIGHT_M = 1.7
PITCH = np.radians(-8.0)  # the optical axis looks down by 8 degrees


def scene(walls=0.4, noise=0.04, seed=0):
    """Rays over 360 x 45 degrees, the true range with walls 2.5-8 m away on a share of the columns."""
    rng = np.random.default_rng(seed)
    azimuth, elevation = np.meshgrid(
        np.linspace(-np.pi, np.pi, 48, endpoint=False), np.radians(np.linspace(22, -22, 30))
    )
    rays = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], axis=-1
    )
    wall_m = np.where(rng.random(48) < walls, rng.uniform(2.5, 8, 48), 80.0) / np.cos(elevation)
    range_m = np.minimum(flat_ground_range_m(rays.reshape(-1, 3), HEIGHT_M), wall_m.ravel())
    return rays.reshape(-1, 3), range_m, range_m * np.exp(rng.normal(0, noise, range_m.shape))


@pytest.fixture(params=[0.0, 0.4, 0.7], ids="walls={}".format)
def walled(request):
    return scene(walls=request.param)


def assert_close_in_range(actual, truth, tolerance):
    assert np.median(np.abs(actual / truth - 1)) < tolerance


def test_range_to_flat_ground_is_infinite_above_and_beyond_the_limit():
    rays = np.array([[np.cos(e), 0, np.sin(e)] for e in (-np.pi / 2, -np.pi / 6, -0.01, 0.0, 0.3)])
    expected = [1.5, 3.0, np.inf, np.inf, np.inf]
    np.testing.assert_allclose(flat_ground_range_m(rays, 1.5, max_range_m=100), expected)


def test_relative_depth_becomes_metric(walled):
    rays, truth, noisy = walled
    result = calibrate_depth(0.013 * noisy, DepthKind.RELATIVE, rays, camera_height_m=HEIGHT_M)
    assert result.agrees and result.metric
    assert result.scale == pytest.approx(1 / 0.013, rel=0.03)
    assert_close_in_range(result.range_m, truth, 0.05)


def test_affine_inverse_depth_gets_scale_and_shift(walled):
    rays, truth, noisy = walled
    result = calibrate_depth(40.0 / noisy + 3.0, DepthKind.AFFINE_INVERSE, rays, camera_height_m=HEIGHT_M)
    assert result.agrees and result.metric
    assert 1 / result.scale == pytest.approx(40.0, rel=0.05)
    assert -result.shift / result.scale == pytest.approx(3.0, abs=0.4)
    assert_close_in_range(result.range_m, truth, 0.06)


def test_metric_depth_is_rescaled_by_the_camera_height(walled):
    rays, truth, noisy = walled
    result = calibrate_depth(1.2 * noisy, DepthKind.METRIC, rays, camera_height_m=HEIGHT_M)
    assert result.agrees
    assert_close_in_range(result.range_m, truth, 0.05)


@pytest.mark.parametrize("kind", [DepthKind.METRIC, DepthKind.AFFINE_INVERSE])
def test_planar_depth_becomes_range(kind):
    rays, truth, noisy = scene()
    cosine = rays @ [np.cos(PITCH), 0, np.sin(PITCH)]
    seen = cosine > 0.3
    planar = noisy[seen] * cosine[seen]
    prediction = planar if kind is DepthKind.METRIC else 5 / planar - 0.1
    result = calibrate_depth(prediction, kind, rays[seen], axis_cosine=cosine[seen], camera_height_m=HEIGHT_M)
    assert result.agrees
    assert_close_in_range(result.range_m, truth[seen], 0.06)


def test_depth_that_contradicts_the_ground_is_flagged():
    rays, truth, _ = scene()
    noise = np.random.default_rng(5).uniform(2, 60, len(truth))
    for kind, prediction in [
        (DepthKind.METRIC, noise),
        (DepthKind.RELATIVE, noise),
        (DepthKind.AFFINE_INVERSE, truth),
    ]:
        result = calibrate_depth(prediction, kind, rays, camera_height_m=HEIGHT_M)
        assert not result.agrees
        assert "ground plane" in result.reason


def test_metric_depth_in_the_wrong_unit_is_flagged():
    rays, _, noisy = scene()
    result = calibrate_depth(3.28 * noisy, DepthKind.METRIC, rays, camera_height_m=HEIGHT_M)
    assert not result.agrees and "factor of 0.3" in result.reason


def test_without_ground_nothing_is_checked():
    rays, truth, _ = scene()
    up = rays[:, 2] > 0
    result = calibrate_depth(truth[up], DepthKind.METRIC, rays[up], camera_height_m=HEIGHT_M)
    assert not result.agrees and "0 cells see the ground" in result.reason


def test_without_height_the_shape_is_still_calibrated():
    rays, truth, noisy = scene()
    result = calibrate_depth(40.0 / noisy + 3.0, DepthKind.AFFINE_INVERSE, rays)
    assert result.agrees and not result.metric
    ratio = result.range_m / truth
    assert_close_in_range(ratio / np.median(ratio), np.ones_like(ratio), 0.06)
    metric = calibrate_depth(noisy, DepthKind.METRIC, rays)
    assert metric.agrees and metric.metric
    np.testing.assert_allclose(metric.range_m, noisy)


def test_sky_and_missing_predictions():
    rays, _, noisy = scene()
    prediction = 40.0 / noisy + 3.0
    prediction[:5] = 2.9
    prediction[-5:] = np.nan
    result = calibrate_depth(prediction, DepthKind.AFFINE_INVERSE, rays, camera_height_m=HEIGHT_M)
    assert result.agrees
    assert np.isinf(result.range_m[:5]).all() and not np.isfinite(result.range_m[-5:]).any()


def test_kinds_go_by_name_and_unknown_ones_are_refused():
    rays, _, noisy = scene()
    by_name = calibrate_depth(40.0 / noisy + 3.0, "affine_inverse", rays, camera_height_m=HEIGHT_M)
    by_kind = calibrate_depth(40.0 / noisy + 3.0, DepthKind.AFFINE_INVERSE, rays, camera_height_m=HEIGHT_M)
    np.testing.assert_array_equal(by_name.range_m, by_kind.range_m)
    with pytest.raises(ValueError, match="disparity"):
        calibrate_depth(noisy, "disparity", rays)


@pytest.mark.parametrize("kind", list(DepthKind))
def test_a_constant_depth_is_rejected(kind):
    """A third of the ground cells agree with it, and more in a narrow view; all of them at one distance."""
    rays = directions(np.radians(np.arange(-40, 41, 4.0)), np.radians(np.arange(-4, -48, -1.5))).reshape(
        -1, 3
    )
    height_m = 1.8
    noise = np.random.default_rng(0).normal(0, 0.01, len(rays))
    constant = 2.9 * (1 + noise) if kind is DepthKind.METRIC else 1 + noise
    calibrated = calibrate_depth(constant, kind, rays, camera_height_m=height_m)
    assert not calibrated.agrees and "ground" in calibrated.reason


@pytest.mark.parametrize("kind", list(DepthKind))
def test_a_dozen_ground_cells_calibrate_and_eleven_do_not(kind):
    rays, truth, _ = scene(walls=0.0)
    near = np.flatnonzero(truth < 25.0)[:: max(1, np.count_nonzero(truth < 25.0) // 12)][:12]
    prediction = 40.0 / truth + 3.0 if kind is DepthKind.AFFINE_INVERSE else truth
    enough, few = (
        calibrate_depth(prediction[cells], kind, rays[cells], camera_height_m=HEIGHT_M)
        for cells in (near, near[1:])
    )
    assert enough.agrees
    np.testing.assert_allclose(enough.range_m, truth[near], rtol=1e-6)
    assert few.reason == "only 11 cells see the ground nearer than 25 m"


@pytest.mark.parametrize(
    ("factor", "agrees"), [(1.34, True), (1 / 1.34, True), (1.36, False), (1 / 1.36, False)]
)
def test_metric_depth_may_be_off_by_a_third_either_way(factor, agrees):
    rays, truth, _ = scene()
    result = calibrate_depth(factor * truth, DepthKind.METRIC, rays, camera_height_m=HEIGHT_M)
    assert result.agrees == agrees
    assert result.scale == pytest.approx(1 / factor)


def test_ground_without_a_depth_does_not_spoil_that_of_the_rest():
    """Zeros are what networks and depth cameras give for "nothing"; an inverse depth may well be negative."""
    rays, truth, _ = scene(walls=0.0)
    missing = np.flatnonzero(truth < 25.0)[::3]
    holes = truth.copy()
    holes[missing] = 0.0
    result = calibrate_depth(0.5 * holes, DepthKind.RELATIVE, rays, camera_height_m=HEIGHT_M)
    assert result.agrees and result.scale == pytest.approx(2.0)
    assert np.isinf(result.range_m[missing]).all()
    result = calibrate_depth(4.0 / truth - 30.0, DepthKind.AFFINE_INVERSE, rays, camera_height_m=HEIGHT_M)
    assert result.agrees
    near = truth < 25.0
    np.testing.assert_allclose(result.range_m[near], truth[near], rtol=1e-6)


def test_depth_that_has_nothing_to_do_with_the_ground_is_not_believed_by_chance():
    """A scale and a shift fit any blobs to some of the ground."""
    rays = directions(np.radians(np.linspace(45, -45, 24)), np.radians(np.linspace(14, -34, 18))).reshape(
        -1, 3
    )
    believed = 0
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(size=(18, 24))
        blobs = np.exp(2 * cv2.GaussianBlur(noise, (0, 0), 1.0)).ravel()
        believed += calibrate_depth(blobs, DepthKind.AFFINE_INVERSE, rays, camera_height_m=HEIGHT_M).agrees
    assert believed == 0
