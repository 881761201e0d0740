"""A drive on another map than its own."""

import numpy as np
import pytest

from xview_localizer.aerial.source import AerialImage, SourceLevel
from xview_localizer.evaluation.off_map import doubts_of_map
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.records import ImageRecord
from xview_localizer.rejection import Reason


class MapWestOfTheDatum:
    """Imagery where x is negative, and none elsewhere."""

    def read(self, bounds, metres_per_pixel):
        grid = RasterGrid.centred(0.0, 0.0, metres_per_pixel, 40, 40)
        valid = np.full((40, 40), bounds.east_m < 0)
        return AerialImage(np.zeros((40, 40, 3), np.uint8), valid, grid)

    def level(self, x_m, y_m, metres_per_pixel):
        return SourceLevel(metres_per_pixel, f"whose nearest corner is {x_m:.0f} m away")


def off_map(x_m):
    return ImageRecord(0.0, False, "", Reason.NO_IMAGERY.name, prior_x_m=x_m, prior_y_m=0.0)


def test_a_map_of_another_place_is_told_with_where_it_lies():
    (doubt,) = doubts_of_map([off_map(900.0), off_map(901.0)], MapWestOfTheDatum(), 0.2)
    assert doubt.startswith("map: the map has no imagery within 20 m of (900, 0) m")
    assert "whose nearest corner is 900 m away" in doubt


@pytest.mark.parametrize(
    "records",
    [[], [off_map(900.0), ImageRecord(1.0, True, "")], [off_map(-900.0)]],
    ids=["no image", "back on the map", "only its search left the map"],
)
def test_a_map_that_has_imagery_somewhere_is_not_doubted(records):
    assert doubts_of_map(records, MapWestOfTheDatum(), 0.2) == []
