"""Blocks of big stores behind car parks."""

from __future__ import annotations

import numpy as np

from xview_localizer.simulation.elements import Stroke
from xview_localizer.simulation.lattice import LATTICE_SHRINK, lattice
from xview_localizer.simulation.layout import Rectangle, beside
from xview_localizer.simulation.markings import WHITE, YELLOW
from xview_localizer.simulation.site import Site


def stores(site: Site) -> None:
    """Big stores behind car parks with hedged rows, walkways, trolley bays, pylon signs and a filling station."""
    rng = site.rng
    site.cover(*site.palette.road, 7)
    for _ in range(2):
        place = site.place(rng.uniform(24, 44), rng.uniform(15, 26), tries=20)
        if place:
            _store(site, place)
    if rng.random() < 0.5:
        _filling_station(site)
    for _ in range(int(rng.integers(1, 3))):
        _pylon_sign(site)
    bay_m, turn_rad = rng.uniform(2.4, 2.8), rng.choice([0.0, np.pi / 2])
    hedge, paint = site.palette.green(), [WHITE, WHITE, YELLOW, (150, 190, 200)][rng.integers(4)]
    for cell in lattice(site, bay_m, 5.4, 4.8, turn_rad, inset_m=2.0):
        kind = cell.row % 5  # two rows of bays, nose to nose over a hedge, then a lane
        if kind in (2, 4) or not site.taken.claim(cell.place.corners, LATTICE_SHRINK):
            continue
        if cell.column % 14 == 0:
            island = beside(cell.place, 0, 0, bay_m * 0.9, 4.8)
            site.lay(island.corners, "gravel", (172, 160, 144), 12)
            site.plant((cell.place.x_m, cell.place.y_m), str(site.palette.plants[0]), 0.6, claim=False)
            continue
        edge = beside(cell.place, -bay_m / 2, 0, 0.05, 4.8).corners
        site.plot.strokes.append(Stroke(edge[[0, 3]], 0.1, paint))
        if kind == 0:
            site.plot.box(beside(cell.place, 0, 2.55, bay_m, 0.5), 0, 0.7, hedge, leafy=True)
        site.plot.car_slots.append(
            Rectangle(cell.place.x_m, cell.place.y_m, cell.place.yaw_rad + np.pi / 2, 4.4, 1.85)
        )
    site.fence(0.8, 0.6, (120, 122, 124), False, 0.3)


def _store(site: Site, place: Rectangle) -> None:
    """A windowless box with a coloured band, an entrance under a canopy, and a walkway of other paving."""
    rng, front = site.rng, int(site.rng.integers(0, 2)) * 2
    house = site.house(place, front, storeys=2, wings=0.0)
    side = 1 if front == 2 else -1
    out_m = side * place.width_m / 2
    band = np.clip(house.trim_rgb * 0.9, 20, 240)
    shift_m = rng.uniform(-0.25, 0.25) * place.length_m
    site.lay(beside(place, 0, out_m + side * 2.0, place.length_m, 4.0).corners, "tiles", (186, 176, 160), 10)
    canopy = beside(place, shift_m, out_m + side * 1.6, 9.0, 3.2)
    site.plot.box(canopy, 3.4, 4.1, band)
    for forward in (-4.2, 4.2):
        site.plot.box(beside(canopy, forward, side * 1.3, 0.3, 0.3), 0, 3.4, (196, 196, 192))
    site.plot.box(beside(place, shift_m, out_m + side * 0.2, 10.0, 0.8), 0, 8.6, band, band * 0.9)
    trolleys = beside(place, shift_m + 9.0, out_m + side * 2.2, 5.0, 2.0)
    site.plot.box(trolleys, 2.1, 2.25, (176, 190, 198))
    site.plot.box(beside(trolleys, 0, 0, 4.4, 1.2), 0, 0.95, (150, 154, 160))


def _filling_station(site: Site) -> None:
    rng = site.rng
    place = site.place(20.0, 12.0, tries=10)
    if place is None:
        return
    site.lay(place.corners, "concrete", (186, 182, 172), 7)
    rgb = np.array([(204, 48, 44), (30, 96, 70), (36, 70, 150), (232, 190, 40)][rng.integers(4)], float)
    site.plot.box(beside(place, 0, 0, 18.0, 9.0), 5.0, 5.9, rgb, (224, 224, 220))
    for forward in (-6.0, 0.0, 6.0):
        site.plot.box(beside(place, forward, 0, 3.6, 1.4), 0, 0.16, (206, 204, 196))
        site.plot.box(beside(place, forward, 0, 0.5, 0.5), 0, 5.0, (210, 210, 206))
        for pump in (-1.1, 1.1):
            site.plot.box(beside(place, forward + pump, 0, 0.8, 0.5), 0.16, 1.9, rgb * 0.85)


def _pylon_sign(site: Site) -> None:
    rng = site.rng
    foot = site.place(2.4, 1.2, tries=8)
    if foot:
        height_m, rgb = rng.uniform(6, 13), rng.uniform(20, 230, 3)
        for forward in (-0.9, 0.9):
            site.plot.box(beside(foot, forward, 0, 0.25, 0.25), 0, height_m, (140, 144, 148))
        site.plot.box(beside(foot, 0, 0, 2.6, 0.4), height_m - rng.uniform(2.5, 4.5), height_m, rgb)
