"""Areas of one colour hold no imagery; what is dark or bright on the ground does."""

import numpy as np
import pytest

from xview_localizer.aerial.blank import NARROWEST_M, NARROWEST_OF_ANY_COLOUR_M, is_blank

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


@pytest.mark.parametrize("colour", [(0, 0, 5), (251, 255, 255), (255, 0, 255), (128, 128, 128)])
def test_the_rest_of_a_mosaic_may_have_any_colour(ground, colour):
    ground[:, 120:] = colour
    blank = is_blank(ground, PIXEL_M)
    assert blank[:, 120:].all() and not blank[:, :120].any()


def test_a_lawn_of_one_colour_is_imagery(ground):
    width_px = int(NARROWEST_OF_ANY_COLOUR_M / PIXEL_M)
    ground[30 : 30 + width_px - 2, 60 : 60 + width_px + 20] = (90, 140, 60)
    assert not is_blank(ground, PIXEL_M).any()
    ground[30 : 30 + width_px + 4, 60 : 60 + width_px + 20] = (90, 140, 60)
    assert is_blank(ground, PIXEL_M).any()


@pytest.mark.parametrize("colour", [(0, 0, 5), (251, 255, 254), (40, 60, 70)])
def test_calm_water_is_imagery(ground, colour):
    """Colours other than black and white that vary by a grey level."""
    ground[:, 120:] = np.array(colour) + np.random.default_rng(1).integers(0, 2, (160, 80, 1))
    assert not is_blank(ground, PIXEL_M).any()


def test_black_beside_white_is_told_apart(ground):
    """A zebra crossing of metre-wide bars is no blank area."""
    ground[:, 100:] = np.where(np.arange(100) // 4 % 2, 255, 0)[None, :, None]
    assert not is_blank(ground, PIXEL_M).any()
