"""Streets that repeat: seen from above, a place looks like the one a period further on."""

from dataclasses import replace

import numpy as np
import pytest

from xview_localizer.geometry.grid import Bounds
from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.drive import DriveConfig, simulate_drive
from xview_localizer.simulation.route import plan_route
from xview_localizer.simulation.style import TownStyle
from xview_localizer.simulation.town import Town

SEED, SIZE_M, METRES_PER_PIXEL = 2, 160.0, 0.25


def town(seed, streets):
    """Repeating ones have a single street, through the middle."""
    style = replace(TownStyle.repeating(np.random.default_rng(seed)), streets_along=1)
    return Town.generate(seed, SIZE_M, style if streets == "repeating" else None)


def orthophoto(town):
    rng = np.random.default_rng(1)
    bounds = Bounds.around(0.0, 0.0, SIZE_M / 2)
    return town.render_orthophoto(bounds, METRES_PER_PIXEL, Capture.sample(rng, aerial=True), rng)


def likeness(town, aerial, along_m):
    """Correlation of a street's surroundings, 15 m to each side, with those `along_m` further on.

    What runs along the street without change, such as kerbs, is left out: it is everywhere alike.
    """
    street = town.layout.streets[0]
    inside = np.flatnonzero(np.abs(street.line_xy_m).max(axis=1) < SIZE_M / 2 - 36)
    aside_m = np.arange(-15, 15, 0.5)
    here = street.line_xy_m[inside, None] + aside_m[:, None] * street.left[inside, None]

    def seen(xy_m):
        u, v = np.floor(aerial.grid.uv_from_xy(xy_m.reshape(-1, 2))).astype(int).T
        grey = aerial.image[v, u].mean(axis=-1).reshape(xy_m.shape[:2])
        return (grey - grey.mean(axis=0)).ravel()

    return np.corrcoef(seen(here), seen(here + along_m * street.direction[inside, None]))[0, 1]


@pytest.fixture(scope="module")
def repeating():
    return town(SEED, "repeating")


def test_a_street_repeats_one_period_further_on(repeating):
    period_m = repeating.layout.style.repeat_m
    aerial, plain = orthophoto(repeating), town(SEED, "plain")
    again = likeness(repeating, aerial, period_m)
    assert again > 0.5
    assert again > likeness(repeating, aerial, period_m / 2) + 0.5
    assert again > likeness(plain, orthophoto(plain), period_m) + 0.4


def test_vacant_plots_distinguish_the_periods(repeating):
    """Plots are vacant here and there, on each side of a street at most about every 70 m."""
    streets, period_m = repeating.layout.streets, repeating.layout.style.repeat_m
    inside_m = sum(np.sum(np.abs(s.line_xy_m).max(axis=1) < SIZE_M / 2 - 20) for s in streets)
    assert 0.6 < len(repeating.layout.buildings) / (2 * inside_m / period_m) < 1.0


def test_a_drive_goes_all_along_the_street(repeating):
    path = plan_route(repeating, 100.0, 30.0, np.random.default_rng(0))
    assert len(path) * 0.25 > 95.0


def test_unknown_streets_are_refused(tmp_path):
    with pytest.raises(ValueError, match="streets must be 'plain' or 'repeating', got 'curved'"):
        simulate_drive(tmp_path, 3, DriveConfig(streets="curved"))
