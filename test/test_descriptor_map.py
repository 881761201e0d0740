"""The aerial descriptor cache: one lattice, no seams in position, each block encoded once, failures not for good."""

from dataclasses import replace
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest

from xview_localizer.aerial.false_colour import INFRARED
from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.source import AerialImage, MapSourceError, crop_grid
from xview_localizer.descriptor_map import MARGIN_CELLS, DescriptorMap
from xview_localizer.kept_blocks import HOLD_OFF_SEC, HOLE_SEC
from xview_localizer.models.spec import AerialSpec


class CountingMap(InMemoryMap):
    """Counts the crops that are read."""

    reads = 0

    def read(self, bounds, metres_per_pixel):
        self.reads += 1
        return super().read(bounds, metres_per_pixel)


@pytest.fixture
def source(small_town):
    return CountingMap(small_town.aerial)


@pytest.fixture
def descriptor_map(source, networks, package):
    return DescriptorMap(source, networks.aerial, package.spec.aerial)


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


def test_covered_is_the_share_of_the_disc_with_imagery(descriptor_map):
    wide = descriptor_map.read(60.0, 0.0, 40.0)  # the town's imagery ends at x = 60 m
    assert wide.covered(30.0, 0.0, 10.0) == 1.0
    assert wide.covered(60.0, 0.0, 20.0) == pytest.approx(0.5, abs=0.06)
    assert wide.covered(90.0, 0.0, 5.0) == 0.0
    assert wide.covered(30.0, 0.0, 0.0) == 1.0  # no cell's centre, but a cell, lies within so small a disc
    assert wide.covered(500.0, 0.0, 5.0) == 0.0


def test_old_blocks_are_dropped(source, networks, package):
    small = DescriptorMap(source, networks.aerial, package.spec.aerial, capacity=1)
    stride_m = (package.spec.aerial.block_cells - 2 * MARGIN_CELLS) * package.spec.aerial.cell_m
    for x_m in (0.0, stride_m, -stride_m, 0.0):
        small.read(x_m, 0.0, 2.0)
    assert source.reads == 4


class FailingMap:
    """Gives `seen` (a share of the columns) and `problems`, or nothing at all."""

    def __init__(self):
        self.seen, self.problems, self.dead, self.reads = 1.0, (), False, 0

    def read(self, bounds, metres_per_pixel):
        self.reads += 1
        if self.dead:
            raise MapSourceError("the map server does not answer")
        grid = crop_grid(bounds, metres_per_pixel)
        valid = np.zeros((grid.rows, grid.columns), bool)
        valid[:, : round(self.seen * grid.columns)] = True
        ground = np.random.default_rng(0).integers(60, 120, (*valid.shape, 3), dtype=np.uint8)
        return AerialImage(ground, valid, grid, self.problems)


class ConstantEncoder:
    """Descriptors of ones, at once."""

    def describe(self, _image):
        cells = AerialSpec().block_cells
        return np.ones((cells, cells, 4), np.float32)


@pytest.fixture
def failing():
    return FailingMap()


@pytest.fixture
def quick_map(failing):
    return DescriptorMap(failing, ConstantEncoder(), AerialSpec())


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(sec=100.0)
    monkeypatch.setattr(
        "xview_localizer.kept_blocks.time", SimpleNamespace(monotonic=lambda: now.sec), raising=False
    )
    return now


@pytest.mark.parametrize("seen", [0.0, 0.5], ids=["nothing", "half"])
def test_a_block_with_problems_is_used_and_read_again_after_the_hold_off(failing, quick_map, clock, seen):
    failing.seen, failing.problems = seen, ("tile 1 timed out", "tile 2 timed out")
    during = quick_map.read(0.0, 0.0, 20.0)
    assert during.valid.mean() == pytest.approx(seen, abs=0.02)
    assert during.problems == ("tile 1 timed out", "tile 2 timed out")
    failing.seen, failing.problems = 1.0, ()
    clock.sec += HOLD_OFF_SEC - 0.1
    held = quick_map.read(0.0, 0.0, 20.0)
    assert held.problems == during.problems and failing.reads == 1  # not asked again with every image
    clock.sec += 0.2
    after = quick_map.read(0.0, 0.0, 20.0)
    assert after.valid.all() and after.problems == ()
    clock.sec += 1000.0
    quick_map.read(0.0, 0.0, 20.0)
    assert failing.reads == 2  # a whole block is kept


def test_neighbouring_blocks_tell_a_problem_once(failing, quick_map):
    failing.problems = ("tile 1 timed out",)
    assert quick_map.read(0.0, 0.0, 60.0).problems == ("tile 1 timed out",)
    assert failing.reads > 1


def test_holes_are_no_problems_and_are_kept_for_a_while(failing, quick_map, clock):
    quick_map.read(0.0, 0.0, 5.0)
    failing.seen = 0.0
    for _ in range(2):
        edge = quick_map.read(0.0, 0.0, 60.0)
        assert edge.valid.any() and not edge.valid.all() and edge.problems == ()
        reads = failing.reads
        clock.sec += HOLE_SEC - 1.0
    assert reads == failing.reads > 1
    failing.seen = 1.0
    assert quick_map.read(0.0, 0.0, 60.0).valid.all()


def test_a_map_without_any_imagery_is_asked_at_one_place_and_noticed_when_it_is_back(
    failing, quick_map, clock
):
    failing.seen = 0.0
    quick_map.read(0.0, 0.0, 60.0)
    first = failing.reads
    assert first > 1
    for number in range(3):
        quick_map.read(0.0, 0.0, 60.0)
        assert failing.reads == first + number
        clock.sec += HOLD_OFF_SEC
    failing.seen = 1.0
    assert quick_map.read(0.0, 0.0, 60.0).valid.any()
    assert quick_map.read(0.0, 0.0, 60.0).valid.all()
    clock.sec += 1000.0
    assert quick_map.read(0.0, 0.0, 60.0).valid.all()
    assert failing.reads == 2 * first + 2


def test_holes_may_be_forgotten_while_others_are_read(failing, quick_map, clock):
    """What another thread does is done here within a read of the map: it finds imagery where there was none."""
    failing.seen = 0.0
    quick_map.read(500.0, 0.0, 5.0)
    clock.sec += HOLE_SEC
    read = failing.read

    def read_elsewhere(bounds, metres_per_pixel):
        if failing.reads == 9:  # of the last of nine blocks
            failing.read, failing.seen = read, 1.0
            quick_map.read(500.0, 0.0, 5.0)
            failing.seen = 0.0
        return read(bounds, metres_per_pixel)

    failing.read = read_elsewhere
    assert not quick_map.read(0.0, 0.0, 60.0).valid.any()
    assert failing.reads > 5


def test_a_dead_map_is_asked_again_after_the_hold_off(failing, quick_map, clock):
    failing.dead = True
    for _ in range(3):
        with pytest.raises(MapSourceError, match="does not answer"):
            quick_map.read(0.0, 0.0, 20.0)
    assert failing.reads == 1
    failing.dead = False
    clock.sec += HOLD_OFF_SEC
    assert quick_map.read(0.0, 0.0, 20.0).valid.all()


def test_what_is_not_the_maps_fault_is_tried_again_at_once(failing, quick_map):
    read, failing.read = failing.read, None
    with pytest.raises(TypeError):
        quick_map.read(0.0, 0.0, 20.0)
    failing.read = read
    assert quick_map.read(0.0, 0.0, 20.0).valid.all()


def test_a_block_whose_reading_was_interrupted_is_read_again(failing, quick_map):
    """As by Ctrl-C in a notebook that goes on afterwards."""

    def interrupted(*_):
        raise KeyboardInterrupt

    read, failing.read = failing.read, interrupted
    with pytest.raises(KeyboardInterrupt):
        quick_map.read(0.0, 0.0, 20.0)
    failing.read = read
    # In a thread that ends with the process: it would wait for ever for the block.
    answers = []
    again = Thread(target=lambda: answers.append(quick_map.read(0.0, 0.0, 20.0)), daemon=True)
    again.start()
    again.join(timeout=30.0)
    assert answers and answers[0].valid.all()


def test_a_wide_read_finds_its_blocks_again(failing, quick_map):
    quick_map.read(0.0, 0.0, 220.0)
    reads = failing.reads
    assert reads > 64
    quick_map.read(0.0, 0.0, 220.0)
    quick_map.read(100.0, 0.0, 220.0)  # where the prefetcher looks
    read_ahead = failing.reads
    quick_map.read(0.0, 0.0, 220.0)
    assert failing.reads == read_ahead < 2 * reads


@pytest.mark.parametrize("far_m", [0.0, 12_345.6, -7_000.4])
def test_blocks_fill_the_encoder_s_image_wherever_they_lie(failing, monkeypatch, far_m):
    """Grids whose ends lie on cell centres too: 41 cells of 1.775 m about an image of 40 of them."""
    spec = AerialSpec(71.0 / 40, 41, 630, 71.0)
    sides = []

    class Encoder:
        def describe(self, image):
            sides.append(image.shape)
            return np.ones((41, 41, 4), np.float32)

    read = DescriptorMap(failing, Encoder(), spec).read(far_m, -far_m, 60.0)
    assert set(sides) == {(630, 630, 3)}
    assert read.valid.all()


@pytest.mark.parametrize(("pixels", "shown"), [(3, False), (4, True)])
def test_a_cell_is_shown_where_more_than_half_of_its_pixels_are(failing, quick_map, pixels, shown):
    """Cells of 7 pixels, and a map that ends within the one east of the datum."""
    spec = AerialSpec()
    failing.seen = (spec.cell_px * spec.block_cells / 2 + pixels) / spec.image_px
    near = quick_map.read(0.0, 0.0, spec.cell_m)
    np.testing.assert_array_equal(near.valid.reshape(near.grid.rows, 2), [[True, shown]] * near.grid.rows)


def test_what_makes_the_map_doubtful_is_told_as_far_as_it_was_read(failing, quick_map):
    """Warnings of the map's own, and its colours."""
    assert quick_map.warnings == ()
    read = failing.read

    def read_infrared(bounds, metres_per_pixel):
        crop = read(bounds, metres_per_pixel)
        plants = np.full_like(crop.image, (180, 70, 90))
        return replace(crop, image=plants, warnings=("the map is upscaled",))

    failing.read = read_infrared
    quick_map.read(0.0, 0.0, 20.0)
    assert quick_map.warnings == ("the map is upscaled", INFRARED)


def test_the_black_rest_of_a_mosaic_is_no_map(small_town, networks, package):
    aerial = small_town.aerial
    image = aerial.image.copy()
    image[:, image.shape[1] // 2 :] = 0
    source = InMemoryMap(AerialImage(image, np.ones_like(aerial.valid), aerial.grid))
    near = DescriptorMap(source, networks.aerial, package.spec.aerial).read(0.0, 0.0, 20.0)
    east = near.grid.cell_centres_xy_m[:, 0] > package.spec.aerial.cell_m
    west = near.grid.cell_centres_xy_m[:, 0] < -package.spec.aerial.cell_m
    assert near.valid[west].all() and not near.valid[east].any()
