"""Blocks of parkland."""

from __future__ import annotations

import numpy as np
from shapely.geometry import Polygon

from xview_localizer.simulation.elements import Solid
from xview_localizer.simulation.lattice import ring
from xview_localizer.simulation.layout import Rectangle, beside
from xview_localizer.simulation.site import Site


def glade(site: Site) -> None:
    """Parkland: meadow with clumps of trees, a pond, beds, boulders, a pavilion, a playground and picnic tables."""
    rng = site.rng
    site.cover(*site.palette.open_ground, 13)
    for _ in range(int(rng.integers(1, 4))):  # trodden paths
        site.path(site.point(), site.point(), rng.uniform(0.7, 1.6), "soil", (128, 106, 80))
    for thing, share in ((_pond, 0.5), (_playground, 0.4), (_pavilion, 0.4)):
        if rng.random() < share:
            thing(site)
    for _ in range(int(site.ground.area / 170)):
        middle, shape = site.point(), str(rng.choice(site.palette.plants))
        for _ in range(int(rng.integers(2, 8))):
            at = middle + rng.normal(0, 3.2, 2)
            if site.ground.contains(Polygon(ring(at, 0.6, 4))):
                site.plant(at, shape, rng.uniform(0.7, 1.15))
    for _ in range(int(site.ground.area / 260)):
        bed = ring(site.point(), rng.uniform(1.0, 2.6), 9, rng.uniform(0.5, 1.0))
        if site.ground.contains(Polygon(bed)) and site.taken.claim(bed):
            site.lay(bed, "leaves", rng.uniform([110, 40, 60], [215, 170, 190]), 26)
    for _ in range(int(site.ground.area / 220)):
        stone = ring(site.point(), rng.uniform(0.5, 1.6), 6, rng.uniform(0.6, 1.0))
        if site.taken.claim(stone):
            grey = rng.uniform(105, 165) * np.array([1.0, 0.98, 0.93])
            site.plot.solids.append(Solid(stone, 0, rng.uniform(0.4, 1.5), grey, grey * 1.08, taper=0.35))
    for _ in range(int(site.ground.area / 450)):
        _picnic_table(site)
    site.scatter(0.5, "bush")


def _pond(site: Site) -> None:
    rng = site.rng
    middle, radius_m, squeeze = site.point(), rng.uniform(6, 13), rng.uniform(0.5, 0.9)
    shore = ring(middle, radius_m, 20, squeeze) + rng.normal(0, 0.35, (20, 2))
    if not site.ground.contains(Polygon(shore)) or not site.taken.claim(shore):
        return
    site.lay(middle + 1.14 * (shore - middle), "gravel", (142, 128, 104))
    site.lay(shore, "asphalt", rng.uniform([40, 62, 58], [70, 92, 84]), 2.0)
    for xy in middle + 1.05 * (shore - middle):
        if rng.random() < 0.6:
            site.plant(xy, "bush", rng.uniform(0.5, 0.9), claim=False)


def _playground(site: Site) -> None:
    rng = site.rng
    sand = site.place(rng.uniform(10, 16), rng.uniform(8, 12))
    if sand is None:
        return
    site.lay(sand.corners, "soil", (206, 182, 136), 8)
    for _ in range(int(rng.integers(3, 7))):
        at = beside(sand, *(rng.uniform(-0.38, 0.38, 2) * (sand.length_m, sand.width_m)), 2.4, 1.4)
        rgb = [(196, 52, 48), (44, 108, 178), (226, 184, 50), (90, 62, 44)][rng.integers(4)]
        height_m = rng.uniform(1.4, 3.0)
        for forward in (-1.1, 1.1):
            site.plot.box(beside(at, forward, 0, 0.14, 0.14), 0, height_m, rgb)
        site.plot.box(beside(at, 0, 0, 2.4, 0.16), height_m - 0.15, height_m, rgb)
        if rng.random() < 0.5:  # a climbing tower
            site.plot.box(beside(at, 0, 0, 1.6, 1.4), 1.0, 1.2, rgb)
            roof = beside(at, 0, 0, 2.0, 1.8).corners
            site.plot.solids.append(
                Solid(roof, 2.4, 3.4, np.array(rgb) * 0.8, np.array(rgb) * 0.8, taper=0.9)
            )


def _pavilion(site: Site) -> None:
    rng = site.rng
    place = site.place(8.0, 8.0)
    if place is None:
        return
    floor, wood = ring((place.x_m, place.y_m), 3.8, 8), np.array([126.0, 92, 62])
    site.plot.solids.append(Solid(floor, 0, 0.3, np.full(3, 150.0), wood * 1.2))
    for corner in ring((place.x_m, place.y_m), 3.4, 8):
        site.plot.box(Rectangle(*corner.tolist(), 0.0, 0.22, 0.22), 0.3, 3.0, wood)
    roof = rng.uniform([70, 90, 84], [150, 120, 110])
    site.plot.solids.append(Solid(ring((place.x_m, place.y_m), 4.4, 8), 3.0, 5.2, roof, roof, taper=0.95))


def _picnic_table(site: Site) -> None:
    at = site.place(2.0, 1.8, yaw_rad=site.rng.uniform(0, 3), tries=3)
    if at:
        rgb = (150, 112, 74)
        site.plot.box(beside(at, 0, 0, 1.9, 0.8), 0.66, 0.74, rgb)
        for left in (-0.75, 0.75):
            site.plot.box(beside(at, 0, left, 1.9, 0.3), 0.38, 0.46, rgb)
        site.plot.box(beside(at, 0, 0, 0.3, 1.2), 0, 0.66, (110, 82, 56))
