"""Blocks of vineyards and allotment gardens."""

from __future__ import annotations

import numpy as np

from xview_localizer.simulation.elements import Solid
from xview_localizer.simulation.lattice import LATTICE_SHRINK, lattice, ring
from xview_localizer.simulation.layout import Rectangle, beside
from xview_localizer.simulation.site import Site


def vines(site: Site) -> None:
    """A vineyard: rows of vines on wires and posts over soil and grass, dry walls and a hut."""
    rng = site.rng
    soil = np.array([158.0, 130, 100]) * rng.uniform(0.8, 1.15)
    site.cover("soil", soil, 15)
    turn_rad, pitch_m = rng.choice([0.0, np.pi / 2]), rng.uniform(2.0, 3.0)
    thick_m, height_m, grassed = rng.uniform(0.5, 0.9), rng.uniform(1.3, 2.0), rng.random() < 0.6
    green = site.palette.green()
    site.fence(0.5, rng.uniform(0.6, 1.2), np.array([158, 148, 128]) * rng.uniform(0.85, 1.1), False, 0.5)
    for _ in range(int(rng.integers(0, 3))):
        hut = site.place(rng.uniform(3, 6), rng.uniform(3, 4.5))
        if hut:
            site.house(hut, int(rng.integers(4)), storeys=1, wings=0.0)
    for cell in lattice(site, 6.0, pitch_m, thick_m, turn_rad, inset_m=2.5):
        place = cell.place
        if grassed:
            lane = beside(place, 0, pitch_m / 2, 6.0, 0.55 * pitch_m)
            site.lay(lane.corners, "meadow", site.palette.open_ground[1], 14)
        if rng.random() < 0.05 or not site.taken.claim(place.corners, LATTICE_SHRINK):
            continue
        post = beside(place, -3.0, 0, 0.12, 0.12)
        site.plot.box(post, 0, height_m + 0.35, (120, 100, 80))
        row = beside(place, rng.uniform(-0.1, 0.1), 0, rng.uniform(5.0, 5.9), thick_m * rng.uniform(0.8, 1.2))
        site.plot.box(row, 0.45, height_m * rng.uniform(0.85, 1.1), green + rng.normal(0, 5, 3), leafy=True)
        site.plot.box(beside(place, 0, 0, 0.1, 0.1), 0, 0.5, (84, 66, 50))
    site.scatter(0.06)


def allotments(site: Site) -> None:
    """Allotment gardens: parcels with beds of all kinds, sheds, greenhouses, bean poles, butts and low fences."""
    rng = site.rng
    site.cover(*site.palette.ground((("grass", (98, 122, 66)), ("gravel", (158, 146, 124)))), 12)
    length_m, width_m = rng.uniform(13, 20), rng.uniform(7, 10)
    for cell in lattice(site, length_m, width_m + 1.4, width_m, inset_m=1.2):
        parcel = beside(cell.place, 0, 0, length_m - 1.4, width_m)
        if not site.taken.claim(parcel.corners, LATTICE_SHRINK):
            continue
        if rng.random() < 0.1:
            site.lay(parcel.corners, "meadow", (128, 132, 82), 16)
            continue
        _beds(site, parcel)
        _garden_house(site, parcel)
        fence = rng.uniform(90, 180) * np.array([1.0, 0.92, 0.8])
        for left in (-0.5, 0.5):
            if rng.random() < 0.6:
                side = beside(parcel, 0, left * parcel.width_m, parcel.length_m, 0.1)
                site.plot.box(side, 0, rng.uniform(0.6, 1.1), fence)
    site.fence(0.4, 1.6, site.palette.green(), True, 0.9)


def _beds(site: Site, parcel: Rectangle) -> None:
    rng, count = site.rng, int(site.rng.integers(3, 8))
    step_m = 0.72 * parcel.length_m / count
    for k in range(count):
        bed = beside(
            parcel, (k + 0.5) * step_m - parcel.length_m / 2, rng.uniform(-0.3, 0.3),
            0.75 * step_m, parcel.width_m * rng.uniform(0.6, 0.88),
        )  # fmt: skip
        kind = str(rng.choice(["soil", "crop", "leaves", "grass", "leaves"]))
        rgb = rng.uniform([96, 84, 50], [168, 150, 92]) if kind != "leaves" else rng.uniform(50, 190, 3)
        site.lay(bed.corners, kind, rgb, 20)
        if rng.random() < 0.3:  # bean poles
            for left in np.arange(-0.35, 0.36, 0.14):
                cane = beside(bed, 0, left * bed.width_m, 0.5, 0.5).corners
                site.plot.solids.append(
                    Solid(cane, 0, 2.1, site.palette.green(), site.palette.green(), taper=0.85, leafy=True)
                )
        elif rng.random() < 0.4:
            for left in np.arange(-0.4, 0.41, 0.2):
                site.plant(
                    (beside(bed, 0, left * bed.width_m, 1, 1).x_m, beside(bed, 0, left * bed.width_m, 1, 1).y_m),
                    "bush", 0.6, claim=False,
                )  # fmt: skip


def _garden_house(site: Site, parcel: Rectangle) -> None:
    rng = site.rng
    back = beside(parcel, 0.38 * parcel.length_m, rng.uniform(-0.2, 0.2) * parcel.width_m, 3.0, 2.6)
    luck = rng.random()
    if luck < 0.6:
        site.plot.box(back, 0, 2.1, site.palette.wall(), site.palette.roof())
        site.plot.box(beside(back, 0, 0, 3.3, 2.9), 2.1, 2.3, site.palette.roof())
    elif luck < 0.85:  # a greenhouse
        site.plot.box(back, 0, 1.7, (186, 202, 204), (206, 220, 220))
        ridge = beside(back, 0, 0, 3.0, 2.6).corners
        site.plot.solids.append(
            Solid(ridge, 1.7, 2.5, np.array([192.0, 208, 210]), np.full(3, 220.0), taper=0.6)
        )
    butt = beside(back, -2.2, 0.8, 0.8, 0.8)
    site.plot.solids.append(
        Solid(ring((butt.x_m, butt.y_m), 0.4, 8), 0, 1.0, np.array([44.0, 90, 120]), np.full(3, 40.0))
    )
