"""The aerial descriptor cache: one lattice, no seams in position, each block encoded once."""

import numpy as np
import pytest

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.descriptor_map import MARGIN_CELLS, DescriptorMap
from xview_localizer.engines.onnx_engine import OnnxEngine


class CountingMap(InMemoryMap):
    """Counts the crops that are read."""

    reads = 0

    def read(self, bounds, metres_per_pixel):
        self.reads += 1
        return super().read(bounds, metres_per_pixel)


@pytest.fixture(scope="module")
def engines(package):
    return [OnnxEngine(package.graphs[name], threads=1) for name in ("backbone", "aerial_head")]


@pytest.fixture
def source(small_town):
    return CountingMap(small_town.aerial)


@pytest.fixture
def descriptor_map(source, engines, package):
    return DescriptorMap(source, *engines, package.spec.aerial)


def test_cells_lie_on_one_lattice_whatever_is_asked(descriptor_map, package):
    first = descriptor_map.read(0.0, 0.0, 20.0)
    second = descriptor_map.read(3.7, -5.1, 20.0)
    cell_m = package.spec.aerial.cell_m
    for grid in (first.grid, second.grid):
        assert grid.west_m / cell_m == pytest.approx(round(grid.west_m / cell_m))
        assert grid.north_m / cell_m == pytest.approx(round(grid.north_m / cell_m))
    # Where the two crops overlap they hold the same descriptors.
    xy_m = first.grid.cell_centres_xy_m
    uv = second.grid.uv_from_xy(xy_m)
    inside = ((uv > 0) & (uv < (second.grid.columns, second.grid.rows))).all(axis=1)
    index = uv[inside, 1].astype(int) * second.grid.columns + uv[inside, 0].astype(int)
    np.testing.assert_array_equal(first.descriptor[inside], second.descriptor[index])


def test_blocks_are_encoded_once(descriptor_map, source):
    descriptor_map.read(0.0, 0.0, 20.0)
    reads = source.reads
    descriptor_map.read(4.0, 4.0, 20.0)
    assert source.reads == reads == 1


def test_wide_crop_spans_blocks_and_marks_what_the_map_lacks(descriptor_map, small_town, package):
    wide = descriptor_map.read(30.0, 30.0, 40.0)
    seen = small_town.aerial.grid.bounds.contains(wide.grid.cell_centres_xy_m)
    assert not wide.valid[~seen].any()
    margin_m = package.spec.aerial.cell_m
    deep = seen & (np.abs(wide.grid.cell_centres_xy_m) < 60.0 - margin_m).all(axis=1)
    assert wide.valid[deep].all()
    np.testing.assert_allclose(np.linalg.norm(wide.descriptor[wide.valid], axis=1), 1.0, atol=1e-3)
    assert not wide.descriptor[~wide.valid].any()


def test_nothing_outside_the_map(descriptor_map):
    assert not descriptor_map.read(10_000.0, 0.0, 30.0).valid.any()


def test_old_blocks_are_dropped(source, engines, package):
    small = DescriptorMap(source, *engines, package.spec.aerial, capacity=1)
    stride_m = (package.spec.aerial.block_cells - 2 * MARGIN_CELLS) * package.spec.aerial.cell_m
    for x_m in (0.0, stride_m, 0.0):
        small.read(x_m, 0.0, 2.0)
    assert source.reads == 3
