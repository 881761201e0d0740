"""Infrared photos are recognized by the colours of plants; true colours, of soil and roofs too, are not."""

from __future__ import annotations

import numpy as np
import pytest

from xview_localizer.aerial.false_colour import is_infrared

GREY = (110, 112, 115)
EVERYWHERE = np.ones((10, 10), bool)


def street_with(colour: tuple[int, int, int], columns: int) -> np.ndarray:
    image = np.full((10, 10, 3), GREY, np.uint8)
    image[:, :columns] = colour
    return image


@pytest.mark.parametrize("plant", [(200, 90, 105), (140, 80, 90)], ids=["grass", "trees"])
def test_red_plants_are_infrared(plant) -> None:
    assert is_infrared(street_with(plant, 3), EVERYWHERE)
    assert not is_infrared(street_with(plant, 1), EVERYWHERE)  # a car, a flower bed


@pytest.mark.parametrize(
    "colour",
    [(80, 120, 60), (180, 100, 75), (170, 130, 90), (150, 60, 140), (200, 60, 60)],
    ids=["grass", "tiles", "soil", "lavender", "a court"],
)
def test_true_colours_are_not(colour) -> None:
    assert not is_infrared(street_with(colour, 10), EVERYWHERE)


def test_only_what_the_map_shows_counts() -> None:
    image = street_with((200, 90, 105), 5)
    assert not is_infrared(image, image[..., 0] < 200)
    assert not is_infrared(image, np.zeros((10, 10), bool))
