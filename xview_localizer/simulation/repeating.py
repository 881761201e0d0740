"""A town of repeating streets: one plot many times, so that places a period apart look almost the same."""

from __future__ import annotations

import numpy as np

from xview_localizer.simulation.classic_layout import car_slots
from xview_localizer.simulation.layout import (
    SAMPLE_M,
    Box,
    Building,
    Layout,
    Rectangle,
    Street,
    Tree,
    along_town_m,
    beside,
    left_of,
    unit_circle,
    yaw_of,
)
from xview_localizer.simulation.style import TownStyle

VACANT_EVERY_M = 70.0  # mean distance between vacant plots along one street, counting both its sides
EDGE_M = 12.0  # least distance of a house's middle from the edge of the town: half a house


def make_repeating_layout(rng: np.random.Generator, style: TownStyle, size_m: float) -> Layout:
    """Parallel straight streets; the same plot is repeated on both sides every `style.repeat_m`."""
    streets = _streets(rng, style, size_m)
    plot = _Plot(rng, style, streets[0].width_m)
    vacant_share = style.repeat_m / (2 * VACANT_EVERY_M)
    buildings, driveways, trees, boxes = [], [], [], []
    for street in streets:
        for along in range(0, len(street.line_xy_m), round(style.repeat_m / SAMPLE_M)):
            if np.abs(street.line_xy_m[along]).max() > size_m / 2 - EDGE_M:
                continue
            for side in (-1.0, 1.0):
                if rng.random() < vacant_share:
                    continue
                at = plot.place(street, along, side)
                if np.abs([at.x_m, at.y_m]).max() < size_m / 2 - EDGE_M:
                    buildings.append(plot.building(at, rng))
                    driveways += plot.driveway(at, side)
                    boxes += plot.hedge(at, side)
                    trees += plot.tree(at, side)
    # Cars stand on driveways only: a car at the kerb would block the route of the drive.
    slots = car_slots(rng, (), (), driveways)
    return Layout(
        size_m, style, streets, (), tuple(driveways), (), tuple(buildings), tuple(trees), tuple(boxes), slots
    )


def _streets(rng: np.random.Generator, style: TownStyle, size_m: float) -> tuple[Street, ...]:
    along_m = along_town_m(size_m)
    direction = unit_circle(rng.uniform(0, np.pi))
    normal = left_of(direction)
    offsets_m = (np.arange(style.streets_along) - (style.streets_along - 1) / 2) * style.street_spacing_m
    return tuple(
        Street(along_m[:, None] * direction + offset_m * normal, style.road_width_m) for offset_m in offsets_m
    )


class _Plot:
    """The repeated plot: a house, and perhaps a driveway, a hedge and a tree at the kerb."""

    def __init__(self, rng: np.random.Generator, style: TownStyle, road_width_m: float) -> None:
        self._pavement_m = style.pavement_width_m + style.verge_width_m
        self._front_m, self._depth_m = style.repeat_m - style.building_spacing_m, style.building_depth_m
        self._setback_m = style.setback_m
        self._house_left_m = road_width_m / 2 + self._pavement_m + style.setback_m + self._depth_m / 2
        self._tree_left_m = road_width_m / 2 + 0.5 + style.verge_width_m / 2
        self._storeys, self._storey_m = int(rng.integers(style.storeys[0], style.storeys[1] + 1)), 2.9
        self._flat_roof = bool(rng.random() < style.flat_roof_share)
        self._wall_rgb = rng.uniform(95, 225) + rng.normal(0, (16, 9, 16))
        self._roof_rgb = rng.uniform(60, 185) + rng.normal(0, (20, 10, 16))
        self._window_pitch_m = float(rng.uniform(1.6, 3.6))
        self._driveway, self._hedge, self._tree = rng.random(3) < (style.driveway_share, 0.5, 0.7)
        self._tree_rgb = rng.uniform([45, 70, 30], [95, 115, 60])
        self._crown_m, self._trunk_m = float(rng.uniform(1.2, 2.4)), float(rng.uniform(1.8, 2.8))

    def place(self, street: Street, along: int, side: float) -> Rectangle:
        """The house of the plot `along` samples down the street; side 1 is on the left."""
        x, y = street.line_xy_m[along] + side * self._house_left_m * street.left[along]
        yaw_rad = yaw_of(street.direction[along])
        return Rectangle(float(x), float(y), yaw_rad, self._front_m, self._depth_m)

    def building(self, at: Rectangle, rng: np.random.Generator) -> Building:
        """The house, with slightly different colours each time."""
        wall, roof = self._wall_rgb + rng.normal(0, 2, 3), self._roof_rgb + rng.normal(0, 2, 3)
        height_m = self._storeys * self._storey_m
        return Building((at,), height_m, self._flat_roof, wall, roof, self._window_pitch_m, self._storey_m)

    def driveway(self, at: Rectangle, side: float) -> list[Rectangle]:
        if not self._driveway:
            return []
        length_m = self._setback_m + self._pavement_m
        left_m = -side * (self._depth_m + length_m) / 2
        return [beside(at, self._front_m / 2 - 1.8, left_m, 3.0, length_m)]

    def hedge(self, at: Rectangle, side: float) -> list[Box]:
        if not self._hedge:
            return []
        left_m = -side * (self._depth_m / 2 + 0.8 * self._setback_m)
        return [Box(beside(at, -1.8, left_m, self._front_m - 4.5, 0.7), 1.1, np.array([60, 85, 45.0]), True)]

    def tree(self, at: Rectangle, side: float) -> list[Tree]:
        if not self._tree:
            return []
        stem = beside(at, -self._front_m / 2, -side * (self._house_left_m - self._tree_left_m), 1.0, 1.0)
        return [Tree(stem.x_m, stem.y_m, self._trunk_m, self._crown_m, 1.4 * self._crown_m, self._tree_rgb)]
