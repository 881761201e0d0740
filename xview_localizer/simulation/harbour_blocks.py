"""Blocks of a harbour: container yards and docks."""

from __future__ import annotations

import numpy as np
from shapely.geometry import Polygon

from xview_localizer.simulation.elements import Solid, Stroke
from xview_localizer.simulation.lattice import LATTICE_SHRINK, lattice, ring
from xview_localizer.simulation.layout import Rectangle, beside
from xview_localizer.simulation.markings import WHITE, YELLOW
from xview_localizer.simulation.site import Site

LINERS = ((176, 58, 44), (38, 84, 140), (214, 128, 40), (70, 116, 84), (196, 198, 196), (96, 44, 58))
CONTAINER_M = (12.2, 2.44, 2.6)  # length, width, height


def yard(site: Site) -> None:
    """A container terminal: stacks of containers between painted lanes, gantry cranes and rails."""
    rng = site.rng
    site.cover(*site.palette.paving, 8)
    rows_of_block, aisle_rows = int(rng.integers(3, 6)), int(rng.integers(3, 5))
    colours = [LINERS[k] for k in rng.permutation(len(LINERS))[:4]]
    length_m, width_m, height_m = CONTAINER_M
    for cell in lattice(site, length_m + 0.8, width_m + 0.35, width_m, inset_m=3.0):
        lane = cell.row % (rows_of_block + aisle_rows) - rows_of_block
        place = cell.place
        if lane < 0:
            corners = beside(place, 0, 0, length_m + 0.5, width_m + 0.2).corners
            site.plot.strokes.append(Stroke(np.vstack([corners, corners[:1]]), 0.1, YELLOW))
            if rng.random() < 0.75 and site.taken.claim(place.corners, LATTICE_SHRINK):
                _stack(site, beside(place, 0, 0, length_m, width_m), height_m, colours)
        elif lane == aisle_rows // 2:
            start, end = beside(place, 0, 0, length_m + 0.8, 0.1).corners[:2]
            site.plot.strokes.append(
                Stroke(np.stack([start, end]), 0.3, YELLOW if cell.column % 2 else WHITE)
            )
    for _ in range(int(rng.integers(1, 3))):
        _gantry(site)
    for _ in range(int(site.ground.area / 500)):
        _reach_stacker(site)
    site.fence(0.7, 1.1, (186, 184, 176), False, 0.4)


def _stack(site: Site, place: Rectangle, height_m: float, colours) -> None:
    """One to three containers, or pairs of half the length, above one another."""
    rng = site.rng
    parts = [(0.0, 1.0)] if rng.random() < 0.6 else [(-0.25, 0.49), (0.25, 0.49)]
    for shift, share in parts:
        at = beside(place, shift * place.length_m, 0, share * place.length_m, place.width_m)
        for level in range(int(rng.choice([1, 1, 2, 2, 3]))):
            rgb = np.clip(np.array(colours[rng.integers(len(colours))]) * rng.uniform(0.8, 1.15), 15, 240)
            base_m = level * height_m
            site.plot.box(at, base_m, base_m + height_m - 0.06, rgb, rgb * 0.95, ripple=True)
            doors = beside(at, at.length_m / 2 + 0.02, 0, 0.05, at.width_m * 0.9)
            site.plot.box(doors, base_m + 0.15, base_m + height_m - 0.2, rgb * 0.7)


def _gantry(site: Site) -> None:
    """A portal crane: four legs, two girders and a trolley."""
    rng = site.rng
    foot = site.place(16.0, 9.0, tries=6)
    if foot is None:
        return
    rgb, height_m = rng.uniform([40, 70, 60], [220, 150, 110]), rng.uniform(13, 19)
    for forward in (-7.4, 7.4):
        for left in (-4, 4):
            site.plot.box(beside(foot, forward, left, 0.9, 0.9), 0, height_m, rgb)
        site.plot.box(beside(foot, forward, 0, 0.8, 9.0), 2.0, 2.8, rgb)
    for left in (-3.2, 3.2):
        site.plot.box(beside(foot, 0, left, 24.0, 1.0), height_m, height_m + 1.4, rgb * 1.1)
    site.plot.box(
        beside(foot, rng.uniform(-7, 7), 0, 3.0, 5.6), height_m + 1.4, height_m + 3.2, (200, 200, 196)
    )


def _reach_stacker(site: Site) -> None:
    at = site.place(7.5, 3.6, tries=3)
    if at:
        rgb = np.array(LINERS[site.rng.integers(3)], float)
        site.plot.box(beside(at, 0, 0, 7.0, 3.2), 0.7, 2.0, rgb)
        site.plot.box(beside(at, -2.2, 0, 1.8, 1.8), 2.0, 3.6, (60, 66, 72))
        for forward in (-2.4, 2.6):
            site.plot.box(beside(at, forward, 0, 1.5, 3.5), 0, 1.5, (34, 34, 36))


def basin(site: Site) -> None:
    """A dock: a quay of slabs with a painted edge around dark water, moored barges and bollards."""
    rng = site.rng
    site.cover("slabs", np.array([150.0, 146, 136]) * rng.uniform(0.8, 1.1), 9)
    water = site.ground.buffer(-rng.uniform(4, 7)).simplify(0.5)
    if water.geom_type != "Polygon" or water.is_empty:
        return
    shore = np.array(water.exterior.coords)
    site.plot.strokes.append(Stroke(shore, 0.5, YELLOW))
    site.lay(shore[:-1], "asphalt", rng.uniform([38, 58, 66], [62, 84, 90]), 2.5)
    edge = np.array(water.buffer(1.0).exterior.segmentize(11.0).coords)
    for xy in edge[:-1]:
        site.plot.solids.append(Solid(ring(xy, 0.3, 7), 0, 0.55, np.array([52.0, 50, 50]), np.full(3, 70.0)))
    for _ in range(3):
        barge = site.place(rng.uniform(18, 32), rng.uniform(5, 8), tries=6)
        if barge and water.contains(Polygon(barge.corners)):
            _barge(site, barge)
    site.taken.block(shore)


def _barge(site: Site, place: Rectangle) -> None:
    rng = site.rng
    hull = np.array(LINERS[rng.integers(len(LINERS))], float) * 0.7
    bow, stern = beside(place, 2, 0, place.length_m - 4, place.width_m).corners, place.length_m / 2
    tip = beside(place, -stern, 0, 0.2, 0.6).corners
    outline = np.vstack([bow[1], bow[2], bow[3], tip[3], tip[0], bow[0]])
    site.plot.solids.append(Solid(outline, 0, 1.5, hull, hull * 1.2))
    site.plot.box(beside(place, 0, 0, 0.6 * place.length_m, 0.7 * place.width_m), 1.5, 2.1, (126, 88, 70))
    site.plot.box(beside(place, 0.4 * place.length_m, 0, 3.6, 0.7 * place.width_m), 1.5, 4.2, (222, 222, 216))
