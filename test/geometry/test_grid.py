"""Boxes and rasters: one crossing between cells and metres, and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xview_localizer.geometry.grid import Bounds, RasterGrid

metres = st.floats(-5e4, 5e4)
spacings_m = st.floats(0.05, 5.0)
sizes = st.integers(1, 40)


@settings(max_examples=50, deadline=None)
@given(metres, metres, spacings_m, sizes, sizes, st.floats(-3.0, 43.0), st.floats(-3.0, 43.0))
def test_cells_and_metres_are_inverse_to_each_other(west_m, north_m, spacing_m, rows, columns, u, v):
    grid = RasterGrid(west_m, north_m, spacing_m, rows, columns)
    xy_m = grid.xy_from_uv([u, v])
    np.testing.assert_allclose(xy_m, [west_m + u * spacing_m, north_m - v * spacing_m], atol=1e-9)
    np.testing.assert_allclose(grid.uv_from_xy(xy_m), [u, v], atol=1e-6)
    np.testing.assert_allclose(grid.uv_from_xy(xy_m[None]), [[u, v]], atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(metres, metres, spacings_m, sizes, sizes)
def test_a_centred_grid_lies_about_its_middle(x_m, y_m, spacing_m, rows, columns):
    bounds = RasterGrid.centred(x_m, y_m, spacing_m, rows, columns).bounds
    assert (bounds.width_m, bounds.height_m) == pytest.approx(
        (columns * spacing_m, rows * spacing_m), rel=1e-6
    )
    assert (bounds.west_m + bounds.east_m) / 2 == pytest.approx(x_m, abs=1e-6)
    assert (bounds.south_m + bounds.north_m) / 2 == pytest.approx(y_m, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.floats(1.0, 50.0), st.floats(1.0, 50.0), spacings_m)
def test_a_covering_grid_is_the_smallest_from_the_north_west(width_m, height_m, spacing_m):
    bounds = Bounds(10.0, -20.0, 10.0 + width_m, -20.0 + height_m)
    grid = RasterGrid.covering(bounds, spacing_m)
    assert (grid.bounds.west_m, grid.bounds.north_m) == (bounds.west_m, bounds.north_m)
    slack_m = 1e-4 * spacing_m
    for side_m, count in ((width_m, grid.columns), (height_m, grid.rows)):
        assert (count - 1) * spacing_m - slack_m < side_m <= count * spacing_m + slack_m


def test_a_box_of_whole_cells_is_covered_by_just_these():
    grid = RasterGrid.covering(Bounds.around(0.3, 0.7, 0.9), 0.6)
    assert (grid.rows, grid.columns) == (3, 3)


def test_cell_centres_go_row_by_row_from_the_north_west():
    grid = RasterGrid(100.0, 50.0, 2.0, 2, 3)
    np.testing.assert_array_equal(
        grid.cell_centres_xy_m, [[101, 49], [103, 49], [105, 49], [101, 47], [103, 47], [105, 47]]
    )


def test_a_box_contains_its_edges_and_nothing_beyond():
    bounds = Bounds.around(1.0, 2.0, 3.0)
    assert (bounds.west_m, bounds.south_m, bounds.east_m, bounds.north_m) == (-2.0, -1.0, 4.0, 5.0)
    inside = [[1, 2], [-2, 2], [4, 2], [1, -1], [1, 5]]
    outside = [[-2.01, 2], [4.01, 2], [1, -1.01], [1, 5.01]]
    assert bounds.contains(inside).all() and not bounds.contains(outside).any()


@pytest.mark.parametrize("edges", [(0, 0, 0, 1), (0, 0, 1, 0), (2, 0, 1, 1), (0, 2, 1, 1), (0, 0, np.inf, 1)])
def test_empty_and_endless_boxes_are_refused(edges):
    with pytest.raises(ValueError, match="bounds must be finite and non-empty"):
        Bounds(*edges)
