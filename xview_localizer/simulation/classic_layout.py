"""The layout of a classic town: bent streets that cross, and lots, trees and parked cars along them."""

from __future__ import annotations

import numpy as np
from shapely import STRtree
from shapely.geometry import LineString, Polygon
from shapely.ops import unary_union

from xview_localizer.simulation.layout import (
    SAMPLE_M,
    Box,
    Building,
    Field,
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


def make_classic_layout(rng: np.random.Generator, style: TownStyle, size_m: float) -> Layout:
    """Lay out a town by a style; everything else is drawn from `rng`."""
    streets = _streets(rng, style, size_m)
    margin_m = style.pavement_width_m + style.verge_width_m + 0.4
    corridor = unary_union([LineString(s.line_xy_m).buffer(s.width_m / 2 + margin_m) for s in streets])
    taken = _Occupancy(corridor)
    car_parks = _car_parks(rng, style, size_m, taken)
    fields = _fields(rng, style, streets, size_m, taken)
    buildings, driveways, boxes = _lots(rng, style, streets, size_m, taken)
    trees = _trees(rng, style, streets, size_m, taken)
    slots = car_slots(rng, streets, car_parks, driveways)
    boxes += _poles(rng, streets)
    return Layout(size_m, style, streets, car_parks, driveways, fields, buildings, trees, tuple(boxes), slots)


class _Occupancy:
    """Ground that is already in use."""

    def __init__(self, corridor) -> None:
        self.corridor = corridor
        self._polygons: list[Polygon] = []

    def claim(self, corners: np.ndarray, margin_m: float = 0.5, street: bool = False) -> bool:
        """Mark a polygon as used and return True if it is free; `street` allows it on a street's corridor."""
        polygon = Polygon(corners).buffer(margin_m)
        if not street and polygon.intersects(self.corridor):
            return False
        if self._polygons and len(STRtree(self._polygons).query(polygon, predicate="intersects")):
            return False
        self._polygons.append(polygon)
        return True


def _streets(rng: np.random.Generator, style: TownStyle, size_m: float) -> tuple[Street, ...]:
    base_rad = rng.uniform(0, np.pi)
    along_m = along_town_m(size_m)
    streets = []
    for family, count in enumerate((style.streets_along, style.streets_across)):
        offsets = (np.arange(count) - (count - 1) / 2) * style.street_spacing_m + rng.normal(0, 8, count)
        offsets += rng.uniform(-15, 15)
        for offset_m in offsets:
            angle_rad = base_rad + family * np.pi / 2 + rng.normal(0, 0.12)
            direction = unit_circle(angle_rad)
            normal = left_of(direction)
            wave = style.bend * np.sin(2 * np.pi * along_m / rng.uniform(90, 220) + rng.uniform(0, 6.3))
            line = along_m[:, None] * direction + (offset_m + wave)[:, None] * normal
            width_m = style.road_width_m * float(rng.choice([1.0, 0.8, 1.25], p=[0.6, 0.25, 0.15]))
            if streets and family and rng.random() < 0.3:  # a side street that ends at a junction
                line = line[len(line) // 2 - 5 :]
            streets.append(Street(line, width_m))
    return tuple(streets)


def _car_parks(rng, style: TownStyle, size_m: float, taken: _Occupancy) -> tuple[Rectangle, ...]:
    places = []
    for _ in range(30):
        if rng.random() > style.car_park_share:
            continue
        x, y = rng.uniform(-0.4, 0.4, 2) * size_m
        place = Rectangle(x, y, rng.uniform(0, np.pi), rng.uniform(18, 38), float(rng.choice([17.0, 34.0])))
        if taken.claim(place.corners, 0.3):
            places.append(place)
    return tuple(places)


def _fields(rng, style: TownStyle, streets, size_m: float, taken: _Occupancy) -> tuple[Field, ...]:
    """Parcels beside the streets, each with its own crop or none."""
    fields = []
    for _ in range(4 * style.fields):
        if len(fields) == style.fields:
            break
        street = streets[rng.integers(len(streets))]
        i = int(rng.integers(len(street.line_xy_m)))
        length_m, depth_m = rng.uniform(30, 90), rng.uniform(25, 70)
        left_m = rng.choice([-1.0, 1.0]) * (
            street.width_m / 2 + style.verge_width_m + rng.uniform(1.5, 5) + depth_m / 2
        )
        x, y = street.line_xy_m[i] + left_m * street.left[i]
        place = Rectangle(float(x), float(y), yaw_of(street.direction[i]), length_m, depth_m)
        if max(abs(x), abs(y)) < size_m / 2 and taken.claim(place.corners, 0.2):
            across = Rectangle(place.x_m, place.y_m, place.yaw_rad + np.pi / 2, depth_m, length_m)
            soil, crop = np.asarray(style.soil), np.asarray(style.grass)
            rgb = (soil if rng.random() < 0.5 else crop) * rng.uniform(0.7, 1.4) + rng.normal(0, 14, 3)
            fields.append(
                Field(across if rng.random() < 0.4 else place, rgb, rng.uniform(0.5, 4), rng.uniform(0, 22))
            )
    return tuple(fields)


def _lots(rng, style: TownStyle, streets, size_m: float, taken: _Occupancy):
    """Buildings in rows along the streets, with driveways, hedges and fences."""
    buildings, driveways, boxes = [], [], []
    inside_m = size_m / 2 - 4
    palette = rng.uniform(95, 225, (5, 1)) + rng.normal(0, 1, (5, 3)) * (16, 9, 16)
    roofs = rng.uniform(60, 185, (5, 1)) + rng.normal(0, 1, (5, 3)) * (20, 10, 16)
    for street in streets:
        for side in (-1.0, 1.0):
            along = rng.uniform(0, 15)
            while along < len(street.line_xy_m) - 12:
                front_m = rng.uniform(7, 18)
                i = int(along + front_m / 2)
                if i >= len(street.line_xy_m):
                    break
                along += front_m + style.building_spacing_m * rng.uniform(0.6, 1.8)
                depth_m = style.building_depth_m * rng.uniform(0.7, 1.3)
                setback_m = (
                    street.width_m / 2
                    + style.pavement_width_m
                    + style.verge_width_m
                    + style.setback_m * rng.uniform(0.8, 1.3)
                )
                yaw_rad = yaw_of(street.direction[i])
                x, y = street.line_xy_m[i] + side * (setback_m + depth_m / 2) * street.left[i]
                if max(abs(x), abs(y)) > inside_m or rng.random() < 0.1:
                    continue
                main = Rectangle(x, y, yaw_rad, front_m, depth_m)
                if not taken.claim(main.corners):
                    continue
                buildings.append(_building(rng, style, main, side, palette, roofs))
                near_m = -side * (depth_m / 2 + style.setback_m / 2 + 0.5)
                if rng.random() < style.driveway_share:
                    shift_m = rng.choice([-1.0, 1.0]) * (front_m / 2 - 1.5)
                    width_m = rng.uniform(2.6, 5)
                    length_m = style.setback_m + style.verge_width_m + style.pavement_width_m + 3
                    driveways.append(beside(main, shift_m, near_m, width_m, length_m))
                if rng.random() < style.hedge_share:
                    boxes.append(_hedge(rng, style, main, side))
    return tuple(buildings), tuple(driveways), boxes


def _building(rng, style: TownStyle, main: Rectangle, side: float, palette, roofs) -> Building:
    """A house on `main`, in three of ten cases with a wing at the back; `side` 1 is left of its street."""
    parts = [main]
    if rng.random() < 0.3:
        shift_m = rng.uniform(-0.3, 0.3) * main.length_m
        parts.append(
            beside(main, shift_m, side * main.width_m * 0.75, main.length_m * 0.4, main.width_m * 0.7)
        )
    storeys = int(rng.integers(style.storeys[0], style.storeys[1] + 1))
    storey_m = rng.uniform(2.6, 3.4)
    return Building(
        tuple(parts), storeys * storey_m, bool(rng.random() < style.flat_roof_share),
        palette[rng.integers(5)] + rng.normal(0, 6, 3), roofs[rng.integers(5)] + rng.normal(0, 6, 3),
        rng.uniform(1.6, 3.6), storey_m,
    )  # fmt: skip


def _hedge(rng, style: TownStyle, main: Rectangle, side: float) -> Box:
    """A hedge or a fence between a house and its street."""
    leafy = bool(rng.random() < 0.6)
    rgb = np.array([60, 85, 45.0]) if leafy else rng.uniform(90, 190, 3)
    left_m = -side * (main.width_m / 2 + style.setback_m * 0.7)
    hedge = beside(main, 0.0, left_m, main.length_m * 0.8, 0.7 if leafy else 0.15)
    return Box(hedge, rng.uniform(0.8, 1.8), rgb, leafy)


def _trees(rng, style: TownStyle, streets, size_m: float, taken: _Occupancy) -> tuple[Tree, ...]:
    trees = []
    green = rng.uniform([45, 70, 30], [95, 115, 60])

    def plant(x: float, y: float, street: bool) -> None:
        conifer = bool(rng.random() < style.conifer_share)
        radius_m = rng.uniform(1.2, 2.6) if conifer else rng.uniform(1.2, 4.2)
        height_m = radius_m * (rng.uniform(2.2, 4.5) if conifer else rng.uniform(0.8, 1.8))
        trunk_m = rng.uniform(0.3, 1.5) if conifer else rng.uniform(1.6, 3.2)
        stem = np.array([[x - 0.4, y - 0.4], [x + 0.4, y - 0.4], [x + 0.4, y + 0.4], [x - 0.4, y + 0.4]])
        if max(abs(x), abs(y)) < size_m / 2 - 3 and taken.claim(stem, 0.8, street):
            shade = 0.7 if conifer else 1.0
            trees.append(
                Tree(x, y, trunk_m, radius_m, height_m, shade * green + rng.normal(0, 14, 3), conifer)
            )

    for _ in range(int(style.tree_density * size_m**2 / 100 * 0.7)):
        plant(*rng.uniform(-0.5, 0.5, 2) * size_m, False)
    for _ in range(style.woods):
        middle, radii_m = rng.uniform(-0.4, 0.4, 2) * size_m, rng.uniform(10, 35, 2)
        for _ in range(int(np.prod(radii_m) / 10)):
            plant(*(middle + np.sqrt(rng.random()) * radii_m * unit_circle(rng.uniform(0, 2 * np.pi))), False)
    if style.street_tree_spacing_m:
        for street in streets:
            for side in (-1.0, 1.0):
                points = street.offset(side * (street.width_m / 2 + 0.5 + 0.5 * style.verge_width_m))
                for point in points[:: max(1, int(style.street_tree_spacing_m / SAMPLE_M))]:
                    others = [s for s in streets if s is not street]
                    clear = all(
                        np.linalg.norm(s.line_xy_m - point, axis=1).min() > s.width_m / 2 + 6 for s in others
                    )
                    if clear and rng.random() < 0.8:
                        plant(*(point + rng.normal(0, 0.3, 2)), True)
    return tuple(trees)


def car_slots(rng, streets, car_parks, driveways) -> tuple[Rectangle, ...]:
    """The places of parked cars: along the kerbs, in car parks and on driveways."""
    slots = []
    for street in streets:
        for side in (-1.0, 1.0):
            for i in range(3, len(street.line_xy_m) - 3, 6):
                others = [s for s in streets if s is not street]
                x, y = street.line_xy_m[i] + side * (street.width_m / 2 - 1.1) * street.left[i]
                if all(
                    np.linalg.norm(s.line_xy_m - (x, y), axis=1).min() > s.width_m / 2 + 5 for s in others
                ):
                    slots.append(_car_place(rng, x, y, yaw_of(street.direction[i])))
    for park in car_parks:
        for forward_m in np.arange(-park.length_m / 2 + 1.4, park.length_m / 2 - 1.2, 2.5):
            for left_m in (-park.width_m / 2 + 2.6, park.width_m / 2 - 2.6):
                bay = beside(park, forward_m, left_m, 1, 1)
                slots.append(_car_place(rng, bay.x_m, bay.y_m, park.yaw_rad + np.pi / 2))
    for driveway in driveways:
        slots.append(_car_place(rng, driveway.x_m, driveway.y_m, driveway.yaw_rad + np.pi / 2))
    return tuple(slots)


def _car_place(rng, x_m: float, y_m: float, yaw_rad: float) -> Rectangle:
    return Rectangle(x_m, y_m, yaw_rad + rng.normal(0, 0.03), rng.uniform(3.8, 5.2), rng.uniform(1.65, 1.95))


def _poles(rng, streets) -> list[Box]:
    boxes = []
    for street in streets:
        side, spacing = rng.choice([-1.0, 1.0]), int(rng.uniform(22, 40))
        for x, y in street.offset(side * (street.width_m / 2 + 0.7))[::spacing]:
            boxes.append(Box(Rectangle(x, y, 0.0, 0.2, 0.2), rng.uniform(4, 9), rng.uniform(60, 150, 3)))
    return boxes
