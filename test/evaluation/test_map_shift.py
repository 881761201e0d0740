"""The shift of the map that is estimated from a drive with truth, and when there is no estimate."""

from dataclasses import replace

import numpy as np
import pytest

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.shifted import ShiftedMap
from xview_localizer.evaluation.map_shift import estimate_map_shift
from xview_localizer.evaluation.trajectory import DriveResult
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.localizer import Localizer
from xview_localizer.records import ImageRecord

NO_SHIFT = {"map.shift_east_m": 0.0, "map.shift_north_m": 0.0}
INDEPENDENCE_M, SPACING_M = 16.0, 4.0


def drive_of(errors_m, yaws_rad):
    """Poses SPACING_M apart, off by `errors_m` [N, 2] in map, with headings of all sorts."""
    truth = [Pose2(SPACING_M * n, 5.0, float(yaw)) for n, yaw in enumerate(yaws_rad)]
    records = [
        ImageRecord(
            float(n), True, "", x_m=pose.x_m + east, y_m=pose.y_m + north, yaw_rad=pose.yaw_rad
        )
        for n, (pose, (east, north)) in enumerate(zip(truth, errors_m, strict=True))
    ]  # fmt: skip
    return DriveResult(records, truth, np.array([(p.x_m, p.y_m) for p in truth]), 1.0)


def noise(rng, count, sigma_m=0.3):
    """Errors of found poses: those on the same stretch are alike."""
    stretches = rng.normal(0, sigma_m, (count, 2))[
        (np.arange(count) * SPACING_M // INDEPENDENCE_M).astype(int)
    ]
    return stretches + rng.normal(0, 0.05, (count, 2))


def turned(xy_m, yaws_rad):
    cos, sin = np.cos(yaws_rad), np.sin(yaws_rad)
    return np.column_stack([cos * xy_m[0] - sin * xy_m[1], sin * xy_m[0] + cos * xy_m[1]])


def test_a_shifted_map_is_mended_by_the_shift_that_is_found(small_town, networks):
    """The map shows everything 1.5 m west and 0.8 m north of its place, and a shift was configured already."""
    aerial = small_town.aerial
    grid = replace(aerial.grid, west_m=aerial.grid.west_m - 1.5, north_m=aerial.grid.north_m + 0.8)
    shifted = InMemoryMap(replace(aerial, grid=grid))
    truth = small_town.pose
    prior = Prior(truth.x_m + 2.0, truth.y_m - 1.0, 8.0, truth.yaw_rad, 0.1)

    def drive_on(east_m, north_m):
        """The same street again every 20 m, by a map moved so."""
        localizer = Localizer(networks, ShiftedMap(shifted, east_m, north_m))
        fix = localizer.localize(small_town.view(), prior)
        off_m = np.array([fix.x_m - truth.x_m, fix.y_m - truth.y_m])
        return drive_of(np.tile(off_m, (40, 1)), np.linspace(0, 6, 40)), np.hypot(*off_m)

    set_now = {"map.shift_east_m": 0.2, "map.shift_north_m": 0.1}
    result, off_m = drive_on(*set_now.values())
    found = estimate_map_shift(result, set_now, INDEPENDENCE_M)
    assert off_m > 1.0 and found.is_significant
    assert (found.east_m, found.north_m) == pytest.approx((1.5, -0.8), abs=0.3)
    assert (
        f"      shift_east_m: {found.east_m:.2f}\n      shift_north_m: {found.north_m:.2f}" in found.advice()
    )
    mended, off_m = drive_on(found.east_m, found.north_m)
    assert off_m < 0.2
    assert not estimate_map_shift(mended, set_now, INDEPENDENCE_M).is_significant


def test_the_reported_sigma_matches_the_scatter_over_many_drives():
    rng = np.random.default_rng(3)
    yaws_rad = np.linspace(0, 9, 60)
    estimates = [
        estimate_map_shift(drive_of(noise(rng, 60) + (0.7, -0.4), yaws_rad), NO_SHIFT, INDEPENDENCE_M)
        for _ in range(300)
    ]
    found = np.array([(e.east_m, e.north_m) for e in estimates])
    np.testing.assert_allclose(found.mean(axis=0), (-0.7, 0.4), atol=0.03)
    np.testing.assert_allclose(found.std(axis=0), np.mean([e.sigma_m for e in estimates]), rtol=0.25)
    assert np.mean([e.is_significant for e in estimates]) > 0.9


@pytest.mark.parametrize("outliers", [0, 8])
def test_no_shift_is_advised_for_an_aligned_map(outliers):
    rng, advised = np.random.default_rng(4), 0
    for _ in range(200):
        errors_m = noise(rng, 60)
        errors_m[20 : 20 + outliers] += (12.0, 12.0)  # by a whole period of dashes
        found = estimate_map_shift(drive_of(errors_m, np.linspace(0, 9, 60)), NO_SHIFT, INDEPENDENCE_M)
        advised += found.advice() != ""
    assert advised <= 1


def test_a_wrong_mounting_is_no_shift_of_the_map():
    rng = np.random.default_rng(5)
    ahead_m = np.array([1.0, 0.0])
    mostly_north = np.where(np.arange(60) < 44, np.pi / 2, 0.0)
    errors_m = noise(rng, 60, 0.05) + turned(ahead_m, mostly_north)
    assert not estimate_map_shift(drive_of(errors_m, mostly_north), NO_SHIFT, INDEPENDENCE_M).is_significant
    # On a straight drive a shifted map and a wrong mounting look the same, and the advice mentions it.
    north = np.full(60, np.pi / 2)
    straight = estimate_map_shift(
        drive_of(noise(rng, 60, 0.05) + turned(ahead_m, north), north), NO_SHIFT, INDEPENDENCE_M
    )
    assert straight.north_m == pytest.approx(-1.0, abs=0.1)
    assert "wrong position of the camera looks the same" in straight.advice()
    winding = drive_of(noise(rng, 60, 0.05) + (0.0, 1.0), np.linspace(0, 9, 60))
    assert "camera" not in estimate_map_shift(winding, NO_SHIFT, INDEPENDENCE_M).advice()


def test_a_short_drive_gives_no_estimate():
    errors_m = np.tile((2.0, 0.0), (20, 1))
    assert estimate_map_shift(drive_of(errors_m, np.linspace(0, 6, 20)), NO_SHIFT, INDEPENDENCE_M) is None
    rejected = drive_of(np.tile((2.0, 0.0), (60, 1)), np.linspace(0, 6, 60))
    records = [replace(record, accepted=False) for record in rejected.records]
    assert estimate_map_shift(replace(rejected, records=records), NO_SHIFT, INDEPENDENCE_M) is None
