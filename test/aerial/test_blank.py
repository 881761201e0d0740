"""Plain black and white areas hold no imagery; what is dark or bright on the ground does."""

import numpy as np
import pytest

from xview_localizer.aerial.blank import NARROWEST_M, is_blank

PIXEL_M = 0.25
NARROWEST_PX = int(NARROWEST_M / PIXEL_M) + 1


@pytest.fixture
def ground():
    return np.random.default_rng(0).integers(40, 200, (160, 200, 3), dtype=np.uint8)


@pytest.mark.parametrize("levels", [(0, 5), (252, 256)], ids=["black", "white"])
def test_the_rest_of_a_mosaic_is_blank_to_its_border(ground, levels):
    ground[:, 120:] = np.random.default_rng(1).integers(*levels, (160, 80, 3))
    blank = is_blank(ground, PIXEL_M)
    assert blank[:, 120:].all() and not blank[:, :120].any()


def test_a_strip_is_blank_from_the_narrowest_width_on(ground):
    ground[60 : 60 + NARROWEST_PX] = 0
    assert is_blank(ground, PIXEL_M)[60 : 60 + NARROWEST_PX].all()
    ground[60] = 90
    assert not is_blank(ground, PIXEL_M).any()
    assert is_blank(ground, 1.1 * PIXEL_M).any()  # of coarser imagery, the same pixels are wider


@pytest.mark.parametrize("colour", [(0, 0, 5), (251, 255, 255), (0, 0, 255), (128, 128, 128)])
def test_plain_colours_are_imagery(ground, colour):
    """A plain area of another colour than black and white, such as water, is imagery."""
    ground[:, 120:] = colour
    assert not is_blank(ground, PIXEL_M).any()


def test_black_beside_white_is_told_apart(ground):
    """A zebra crossing of metre-wide bars is no blank area."""
    ground[:, 100:] = np.where(np.arange(100) // 4 % 2, 255, 0)[None, :, None]
    assert not is_blank(ground, PIXEL_M).any()
