"""What reports draw of a map."""

import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.drawing import NO_MAP_RGB, map_on, pixels
from xview_localizer.geometry.grid import RasterGrid


def test_a_point_is_drawn_in_the_pixel_that_holds_it():
    assert pixels(np.array([[0.0, 0.49], [0.5, 1.5], [2.99, 7.0]])) == [[0, 0], [0, 1], [2, 7]]


def test_holes_of_a_map_are_as_grey_as_what_lies_beyond_it():
    valid = np.ones((8, 8), bool)
    valid[:, :4] = False
    image = np.where(valid[..., None], np.uint8(100), np.uint8(0)).repeat(3, axis=2)
    aerial = AerialImage(image, valid, RasterGrid.centred(0.0, 0.0, 1.0, 8, 8))
    shown = map_on(RasterGrid.centred(0.0, 0.0, 1.0, 8, 12), aerial)
    assert (shown[:, :6] == NO_MAP_RGB).all() and (shown[:, 6:10] == 100).all()
