"""The layout of a street family's town: streets, blocks, paint and furniture."""

from __future__ import annotations

import numpy as np
from shapely.geometry import LineString, Polygon, box
from shapely.ops import unary_union

from xview_localizer.simulation.blocks import FILLERS
from xview_localizer.simulation.elements import Patch, Plot
from xview_localizer.simulation.family import Family, Palette
from xview_localizer.simulation.furniture import furnish
from xview_localizer.simulation.layout import (
    Layout,
    Rectangle,
    Street,
    along_town_m,
    left_of,
    unit_circle,
    yaw_of,
)
from xview_localizer.simulation.markings import mark_street
from xview_localizer.simulation.site import Occupancy, Site
from xview_localizer.simulation.street_plans import PLANS
from xview_localizer.simulation.style import TownStyle

LEAST_BLOCK_M2 = 60.0
PIECE_M = 18  # a street is laid in pieces of at least this length, each with its own shade
KERB_SLOT_M = 6  # spacing of parked cars along a kerb


def make_family_layout(rng: np.random.Generator, family: Family, style: TownStyle, size_m: float) -> Layout:
    """Lay out a town; the same generator state gives the same town."""
    palette, plot, taken = Palette(rng, family), Plot(), Occupancy(size_m)
    streets = (_streets if family.plan == "grid" else PLANS[family.plan])(rng, family, size_m)
    pavement_m, verge_m = palette.between(family.pavement_m), palette.between(family.verge_m)
    if pavement_m < 0.5:
        pavement_m = 0.0
    square = box(-size_m / 2, -size_m / 2, size_m / 2, size_m / 2)
    roads = unary_union([LineString(s.line_xy_m).buffer(s.width_m / 2) for s in streets])
    corridor = roads.buffer(pavement_m + verge_m + 0.2)
    for piece in getattr(roads, "geoms", [roads]):
        for polygon in _without_holes(piece):
            taken.block(np.array(polygon.exterior.coords))
    whole = np.array(square.exterior.coords)[:-1]
    plot.patches.append(Patch(whole, palette.open_ground[0], palette.open_ground[1]))
    for block in _pieces(square.difference(corridor)):
        names, weights = list(family.blocks), np.array(list(family.blocks.values()))
        name = str(rng.choice(names, p=weights / weights.sum()))
        FILLERS[name](Site(block, palette, plot, taken))
    _lay_streets(rng, palette, plot, streets, pavement_m, verge_m)
    for street in streets:
        mark_street(rng, plot, street, [s for s in streets if s is not street], family.markings)
    _line_streets(rng, palette, plot, taken, streets, pavement_m + verge_m, square)
    slots = _kerb_slots(rng, streets) + plot.car_slots
    return Layout(size_m, style, streets, (), (), (), (), (), (), tuple(slots), plot.elements())


def _streets(rng: np.random.Generator, family: Family, size_m: float) -> tuple[Street, ...]:
    """Two crossing bundles of streets with the family's bends; some end at a junction."""
    base_rad, spacing_m = rng.uniform(0, np.pi), rng.uniform(*family.spacing_m)
    width_m, bend_m = rng.uniform(*family.road_width_m), rng.uniform(*family.bend_m)
    along_m = along_town_m(size_m)
    streets: list[Street] = []
    for bundle, limits in enumerate(family.streets):
        count = int(rng.integers(limits[0], limits[1] + 1))
        offsets_m = (np.arange(count) - (count - 1) / 2) * spacing_m + rng.normal(0, 0.1 * spacing_m, count)
        for offset_m in offsets_m + rng.uniform(-10, 10):
            angle_rad = base_rad + bundle * np.pi / 2 + rng.normal(0, family.skew_rad)
            direction = unit_circle(angle_rad)
            normal = left_of(direction)
            wave = bend_m * np.sin(2 * np.pi * along_m / rng.uniform(60, 200) + rng.uniform(0, 6.3))
            wave += 0.3 * bend_m * np.sin(2 * np.pi * along_m / rng.uniform(25, 60) + rng.uniform(0, 6.3))
            line = along_m[:, None] * direction + (offset_m + wave)[:, None] * normal
            if bundle and streets and rng.random() < 0.4:
                line = line[len(line) // 2 - 5 :]
            streets.append(Street(line, width_m * float(rng.choice([1.0, 0.75, 1.3], p=[0.5, 0.3, 0.2]))))
    return tuple(streets)


def _without_holes(polygon: Polygon) -> list[Polygon]:
    """The polygon cut into pieces that have no holes."""
    if not polygon.interiors:
        return [polygon]
    west, south, east, north = polygon.bounds
    cut = polygon.interiors[0].centroid.x
    return _pieces(polygon.intersection(box(west, south, cut, north)), 0.0) + _pieces(
        polygon.intersection(box(cut, south, east, north)), 0.0
    )


def _pieces(shape, least_m2: float = LEAST_BLOCK_M2) -> list[Polygon]:
    return [
        part
        for piece in getattr(shape, "geoms", [shape])
        if piece.geom_type == "Polygon" and piece.area > least_m2
        for part in _without_holes(piece)
    ]


def _lay_streets(rng, palette: Palette, plot: Plot, streets, pavement_m: float, verge_m: float) -> None:
    """Lay verges, pavements, kerbs and carriageways, each over all streets before the next."""
    pattern, rgb = palette.paving
    kerb = np.clip(rgb + rng.uniform(-35, 35), 20, 235)
    rings = []
    if pavement_m:
        rings.append((verge_m + pavement_m, pattern, rgb, 10.0))
        if verge_m > 0.4:
            rings.append((verge_m, *palette.open_ground, 12.0))
        rings.append((0.18, "concrete", kerb, 5.0))
    else:
        rings.append(
            (
                max(verge_m, 0.6),
                "gravel" if rng.random() < 0.5 else "meadow",
                palette.open_ground[1] * 0.9 + 8,
                12.0,
            )
        )
    road, colour = palette.road
    rings.append((0.0, road, colour, 7.0))
    for beyond_m, name, tone, contrast in rings:
        for street in streets:
            tint = rng.uniform(0.9, 1.1)
            _ribbon(
                rng, plot, street, street.width_m + 2 * beyond_m, name, tone * tint, contrast, beyond_m == 0
            )
    if road in ("soil", "gravel"):  # grass grows on the strip between the wheel tracks
        for street in streets:
            _ribbon(rng, plot, street, rng.uniform(0.5, 1.0), "meadow", palette.open_ground[1], 14.0, True)


def _ribbon(rng, plot: Plot, street: Street, width_m, pattern, rgb, contrast, wear: bool) -> None:
    left, right = street.offset(width_m / 2), street.offset(-width_m / 2)
    i, n = 0, len(street.line_xy_m)
    while i < n - 1:
        j = min(n, i + PIECE_M + int(rng.integers(0, PIECE_M)) + 1)
        outline = np.concatenate([left[i:j], right[i:j][::-1]])
        yaw_rad = yaw_of(street.line_xy_m[j - 1] - street.line_xy_m[i])
        tone = np.clip(rgb + rng.normal(0, 4), 10, 245)
        plot.patches.append(Patch(outline, pattern, tone, contrast, yaw_rad, wear))
        i = j - 1


def _line_streets(rng, palette, plot, taken: Occupancy, streets, pavement_m: float, square) -> None:
    """Put furniture along the streets, and trees where the family has them."""
    site = Site(square, palette, plot, taken)
    family = palette.family

    def on_road(xy_m: np.ndarray) -> np.ndarray:
        near = [
            np.linalg.norm(s.line_xy_m[None] - xy_m[:, None], axis=2).min(axis=1) < s.width_m / 2 + 0.2
            for s in streets
        ]
        return np.any(near, axis=0)

    for street in streets:
        furnish(site, street, pavement_m, on_road)
        spacing_m = rng.uniform(*family.street_tree_m)
        if spacing_m < 3:
            continue
        for side in (-1, 1)[: int(rng.integers(1, 3))]:
            points = street.offset(side * (street.width_m / 2 + 1.0))[:: int(spacing_m)]
            for xy in points[~on_road(points)]:
                if rng.random() < 0.8:
                    site.plant(xy + rng.normal(0, 0.2, 2), str(palette.plants[0]), rng.uniform(0.6, 0.9))


def _kerb_slots(rng: np.random.Generator, streets) -> list[Rectangle]:
    slots = []
    for street in streets:
        if street.width_m < 5.5:  # a parked car would close the lane
            continue
        others = [other for other in streets if other is not street]
        for side in (-1.0, 1.0):
            for i in range(3, len(street.line_xy_m) - 3, KERB_SLOT_M):
                x, y = street.line_xy_m[i] + side * (street.width_m / 2 - 1.05) * street.left[i]
                if all(
                    np.linalg.norm(o.line_xy_m - (x, y), axis=1).min() > o.width_m / 2 + 5 for o in others
                ):
                    yaw_rad = yaw_of(street.direction[i]) + rng.normal(0, 0.03)
                    slots.append(
                        Rectangle(float(x), float(y), yaw_rad, rng.uniform(3.8, 5.2), rng.uniform(1.65, 1.95))
                    )
    return slots
