"""Open blocks: lawns, plazas, car parks, fields and woods."""

from __future__ import annotations

import numpy as np
from shapely.geometry import LineString, Point, Polygon

from xview_localizer.simulation.elements import Stroke
from xview_localizer.simulation.layout import Rectangle, beside, left_of, unit_circle
from xview_localizer.simulation.site import Site


def lawn(site: Site) -> None:
    """Mown grass with paths across, plazas, irregular buildings, lamps, benches and courts."""
    rng = site.rng
    pattern, rgb = site.palette.open_ground
    site.cover(pattern if rng.random() < 0.5 else "mown", rgb, 11)
    for _ in range(int(rng.integers(0, 3))):
        place = site.place(rng.uniform(14, 38), rng.uniform(9, 18), yaw_rad=rng.choice([0.0, 0.5]))
        if place:
            site.house(place, -1, wings=0.8)
    paving, colour = site.palette.paving
    for _ in range(int(rng.integers(2, 6))):
        start, end = site.point(), site.point()
        along = (end - start) / max(np.linalg.norm(end - start), 1e-3)
        site.path(start - 60 * along, end + 60 * along, rng.uniform(1.4, 3.6), paving, colour)
        for at in np.arange(0, np.linalg.norm(end - start), rng.uniform(9, 18)):
            side = start + at * along + 2.4 * left_of(along)
            if rng.random() < 0.7 and site.ground.contains(Point(side)):
                site.plant(side) if rng.random() < 0.6 else _lamp(site, side)
    court(site)
    site.scatter(0.35)
    site.scatter(0.2, "bush")


def _lamp(site: Site, xy_m) -> None:
    if site.taken.claim(Rectangle(*xy_m, 0, 0.6, 0.6).corners):
        site.plot.box(Rectangle(*xy_m, 0.0, 0.14, 0.14), 0, 4.0, (60, 62, 66))
        site.plot.box(Rectangle(*xy_m, 0.3, 0.5, 0.5), 4.0, 4.3, (215, 215, 205))


def court(site: Site) -> None:
    """Add a painted sports court where there is room."""
    rng = site.rng
    place = site.place(rng.uniform(14, 28), rng.uniform(8, 15))
    if place is None:
        return
    site.lay(
        place.corners,
        "concrete" if rng.random() < 0.5 else "asphalt",
        rng.uniform([50, 50, 40], [190, 140, 160]),
        5,
    )
    for share in (0.94, 0.5):
        ring = beside(place, 0, 0, place.length_m * 0.94, place.width_m * share).corners
        site.plot.strokes.append(Stroke(np.vstack([ring, ring[:1]]), 0.1))
    half = beside(place, 0, 0, 0.05, place.width_m * 0.94).corners
    site.plot.strokes.append(Stroke(half[[0, 3]], 0.1))
    for side in (-1, 1):
        goal = beside(place, side * place.length_m * 0.47, 0, 0.4, 2.5)
        site.plot.box(goal, 1.6, 2.6, (215, 215, 215))
        site.plot.box(beside(goal, 0, 0, 0.2, 0.2), 0, 2.6, (90, 90, 95))


def plaza(site: Site) -> None:
    """Paving with bands and fields of other stones, planters, kiosks, trees in rows and a fountain."""
    rng = site.rng
    pattern, rgb = site.palette.paving
    site.cover(pattern, rgb, 9)
    band = np.clip(rgb * rng.choice([0.6, 0.75, 1.25]), 20, 240)
    size_m = np.sqrt(site.ground.area)
    for shift in np.arange(-size_m, size_m, rng.uniform(4, 12)):
        for turn in (0.0, np.pi / 2)[: int(rng.integers(1, 3))]:
            direction = unit_circle(site.yaw_rad + turn)
            middle = np.array(site.ground.centroid.coords[0]) + shift * left_of(direction)
            line = LineString([middle - 2 * size_m * direction, middle + 2 * size_m * direction]).buffer(
                rng.uniform(0.2, 0.5)
            )
            piece = line.intersection(site.ground)
            if piece.geom_type == "Polygon" and not piece.is_empty:
                site.lay(np.array(piece.exterior.coords), "setts", band)
    for _ in range(int(site.ground.area / 90)):
        size = rng.uniform(1.2, 3.5)
        place = site.place(size, rng.uniform(1.0, size), tries=2)
        if place is None:
            continue
        if rng.random() < 0.6:  # a planter
            site.plot.box(place, 0, rng.uniform(0.4, 0.8), rgb * 0.8, (80, 66, 50))
            site.plant((place.x_m, place.y_m), None if rng.random() < 0.5 else "bush", 0.8, claim=False)
        else:
            site.plot.box(place, 0, rng.uniform(0.45, 2.7), rng.uniform(40, 220, 3))
    site.scatter(0.5)


def parking(site: Site) -> None:
    """Rows of painted bays with islands of trees, trolley shelters, and a supermarket."""
    rng = site.rng
    pattern, rgb = site.palette.road
    site.cover(pattern, rgb, 7)
    shop = site.place(rng.uniform(20, 40), rng.uniform(14, 22))
    if shop:
        site.house(shop, int(rng.integers(4)), storeys=int(rng.integers(1, 3)), wings=0.6)
    direction = unit_circle(site.yaw_rad)
    left = left_of(direction)
    middle = np.array(site.ground.centroid.coords[0])
    reach_m = 0.75 * np.sqrt(site.ground.area)
    bay_m, slant = rng.uniform(2.3, 2.9), rng.choice([0.0, 0.0, 0.5])
    for row, across in enumerate(np.arange(-reach_m, reach_m, rng.uniform(7.6, 8.6))):
        for forward in np.arange(-reach_m, reach_m, bay_m):
            foot = middle + forward * direction + across * left
            end = foot + 4.8 * left + slant * 4.8 * direction
            bay = Rectangle(
                *((foot + end) / 2 + bay_m / 2 * direction).tolist(),
                site.yaw_rad + np.pi / 2 - np.arctan(slant),
                4.6,
                1.9,
            )
            if not site.ground.contains(Polygon(bay.corners)) or not site.taken.claim(bay.corners):
                continue
            site.plot.strokes.append(Stroke(np.stack([foot, end]), 0.12))
            _fill_bay(site, bay)
        if row % 3 == 0:
            for forward in np.arange(-reach_m, reach_m, 22.0):
                spot = middle + forward * direction + (across - 0.5) * left
                if site.ground.contains(Point(spot)):
                    _lamp(site, spot)
    site.fence(0.8, rng.uniform(0.5, 1.1), site.palette.green(), True, 0.8)


def _fill_bay(site: Site, bay: Rectangle) -> None:
    """A place for a car, or an island with a tree, a painted bay, a shelter for trolleys."""
    rng = site.rng
    luck = rng.random()
    if luck < 0.06:
        site.lay(bay.corners, "leaves", site.palette.green() * 1.1, 16)
        site.plant((bay.x_m, bay.y_m), claim=False)
    elif luck < 0.1:
        inner = bay.corners * 0.8 + 0.2 * np.array([bay.x_m, bay.y_m])
        rgb = tuple(rng.choice([[60, 100, 180], [210, 170, 60], [70, 150, 90]]))
        site.plot.strokes.append(Stroke(inner, 0.0, rgb))
    elif luck < 0.12:
        site.plot.box(beside(bay, 0, 0, 4, 1.9), 1.9, 2.2, (170, 190, 200))
        site.plot.box(beside(bay, 0, 0, 3, 0.2), 0, 1.9, (120, 125, 130))
    else:
        site.plot.car_slots.append(bay)


def fields(site: Site) -> None:
    """Parcels of crops between stone walls, hedges and ditches, with barns and lone trees."""
    rng = site.rng
    west, south, east, north = site.ground.bounds
    turn = site.yaw_rad
    site.cover(*site.palette.open_ground, 13)
    length_m = rng.uniform(25, 60)
    for forward in np.arange(-1.5 * (east - west), 1.5 * (east - west), length_m):
        strip = Rectangle(
            0.5 * (west + east) + forward * np.cos(turn),
            0.5 * (south + north) + forward * np.sin(turn),
            turn,
            length_m - 1.5,
            400.0,
        )
        piece = Polygon(strip.corners).intersection(site.ground.buffer(-1.5))
        if piece.geom_type == "Polygon" and not piece.is_empty:
            _parcel(site, piece)
    for _ in range(int(rng.integers(0, 4))):
        barn = site.place(rng.uniform(10, 22), rng.uniform(7, 11), yaw_rad=rng.uniform(0, 3))
        if barn:
            yard = beside(barn, 0, 0, barn.length_m + 9, barn.width_m + 9)
            site.lay(yard.corners, "gravel", (160, 148, 128))
            site.house(barn, int(rng.integers(4)), wings=0.5)
    for _ in range(rng.poisson(site.ground.area / 500)):  # bales, troughs, stacks of wood
        stack = site.place(rng.uniform(1.2, 3), 1.3, tries=2)
        if stack:
            rgb = [[205, 180, 120], [225, 228, 225], [110, 84, 62]]
            site.plot.box(stack, 0, rng.uniform(0.8, 1.5), rng.choice(rgb))
    site.scatter(0.15)
    site.scatter(0.15, "bush")


def _parcel(site: Site, piece: Polygon) -> None:
    """A crop or bare ground, some with a hedge or a wall of pieces around it."""
    rng = site.rng
    rgb = rng.uniform([95, 85, 45], [190, 160, 100]) * rng.uniform(0.7, 1.1)
    pattern = str(rng.choice(["crop", "crop", "meadow", "soil", "grass"]))
    outline = np.array(piece.exterior.coords)
    site.lay(outline, pattern, rgb, rng.uniform(5, 18), site.yaw_rad + rng.choice([0, np.pi / 2]))
    if rng.random() < 0.4:
        edge = np.array(piece.exterior.segmentize(8.0).coords)
        leafy = bool(rng.random() < 0.5)
        for start, end in zip(edge[:-1], edge[1:], strict=True):
            if rng.random() < 0.7:
                height_m = rng.uniform(0.7, 1.8)
                tone = site.palette.green() if leafy else rng.uniform(105, 160)
                site.wall(start, end, height_m, tone, leafy, 0.8 if leafy else 0.5)


def woods(site: Site) -> None:
    """Trees over leaf litter, clearings and paths."""
    rng = site.rng
    site.cover("leaves", site.palette.green() * rng.uniform(0.7, 1.0) + (30, 16, 4), 16)
    for _ in range(int(rng.integers(1, 4))):
        site.path(site.point(), site.point(), rng.uniform(1.0, 2.2), "soil", (142, 122, 96))
    site.scatter(rng.uniform(1.2, 2.6))
    site.scatter(1.0, "bush")
