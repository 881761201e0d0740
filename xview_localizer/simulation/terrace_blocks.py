"""Blocks of terraced houses with yards and a lane behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xview_localizer.simulation.elements import House, Part
from xview_localizer.simulation.layout import Rectangle, beside
from xview_localizer.simulation.site import Site

SCAFFOLDED_SHARE = 0.07  # of terraced houses
ROW_GAP_M = 0.5  # that the search for free fronts leaves between terraced houses; the houses close it


def terrace(site: Site) -> None:
    """Rows of like narrow houses with steps and front walls, walled back yards, and a cobbled lane behind."""
    rng, family = site.rng, site.family
    site.cover("slabs", site.palette.paving[1] * rng.uniform(0.8, 1.1), 9)
    setback_m, yard_m = site.palette.between(family.setback_m), rng.uniform(5, 9)
    front_m, depth_m = site.palette.between(family.front_m), site.palette.between(family.depth_m)
    model = _house_model(site)
    lane = site.ground.buffer(-(setback_m + depth_m + yard_m))
    for piece in getattr(lane, "geoms", [lane]):
        if piece.geom_type == "Polygon" and piece.area > 30:
            site.lay(np.array(piece.exterior.coords), "cobbles", (112, 106, 102), 14)
            court = Site(piece, site.palette, site.plot, site.taken)
            for _ in range(int(piece.area / 160)):
                garage = court.place(5.6, 2.9, tries=4)
                if garage:
                    site.plot.box(garage, 0, 2.4, site.palette.wall(), (96, 96, 98))
            court.scatter(0.25)
    for place in site.fronts(setback_m, (front_m, front_m), (ROW_GAP_M, ROW_GAP_M), (depth_m, depth_m)):
        _row_house(site, place, model)
        _front_and_yard(site, place, setback_m, yard_m)


def _house_model(site: Site) -> House:
    """The house that a block repeats; its place and its height are replaced."""
    rng, palette, family = site.rng, site.palette, site.family
    storey_m = float(rng.uniform(2.7, 3.1))
    storeys = int(rng.integers(family.storeys[0], family.storeys[1] + 1))
    nowhere = Part(Rectangle(0, 0, 0, 1, 1), storeys * storey_m, "gable")
    wall = palette.wall()
    return House(
        (nowhere,), int(palette.facades[0]), int(rng.choice(family.ground_floors)), wall,
        np.clip(wall * rng.uniform(1.1, 1.5), 20, 245), palette.roof(), False, float(rng.uniform(2.2, 3.0)), storey_m,
        front=2, seed=int(rng.integers(1 << 30)),
    )  # fmt: skip


def _row_house(site: Site, place: Rectangle, model: House) -> None:
    """One of the like houses, with a lower wing towards the yard; some are painted otherwise."""
    rng, height_m = site.rng, model.parts[0].height_m
    main = Part(replace(place, length_m=place.length_m + ROW_GAP_M + 0.05), height_m, "gable")
    wing = beside(place, 0.22 * place.length_m, -(place.width_m / 2 + 1.6), 0.5 * place.length_m, 3.4)
    site.taken.block(wing.corners)
    rgb = model.wall_rgb * rng.uniform(0.94, 1.06) if rng.random() < 0.75 else site.palette.wall()
    seed = model.seed if rng.random() < 0.7 else int(rng.integers(1 << 30))
    parts = (main, Part(wing, 0.6 * height_m, "shed"))
    site.plot.houses.append(replace(model, parts=parts, wall_rgb=np.clip(rgb, 20, 245), seed=seed))


def _front_and_yard(site: Site, place: Rectangle, setback_m: float, yard_m: float) -> None:
    """Steps, a dwarf wall and bins at the front, walls and an outhouse behind, and here and there scaffolding."""
    rng, front = site.rng, place.width_m / 2
    door_m = 0.3 * place.length_m
    for step in range(2):
        site.plot.box(
            beside(place, door_m, front + 0.25 + 0.3 * step, 1.2, 0.35),
            0,
            0.36 - 0.18 * step,
            (168, 162, 152),
        )
    if setback_m > 1.2:
        wall = beside(place, -0.12 * place.length_m, front + setback_m - 0.3, 0.7 * place.length_m, 0.25)
        site.plot.box(wall, 0, 0.75, site.palette.wall(), (176, 172, 164))
        if rng.random() < 0.5:
            bin_place = beside(place, -0.3 * place.length_m, front + 0.6, 0.6, 0.6)
            site.plot.box(bin_place, 0, 1.05, [(40, 70, 48), (48, 60, 86), (54, 54, 56)][rng.integers(3)])
        if rng.random() < 0.3:
            bush = beside(place, 0, front + 0.7, 1, 1)
            site.plant((bush.x_m, bush.y_m), "bush", 0.6, claim=False)
    divide = beside(place, -place.length_m / 2, -(front + yard_m / 2), 0.22, yard_m)
    site.plot.box(divide, 0, 1.8, site.palette.wall())
    end = beside(place, 0, -(front + yard_m), place.length_m, 0.22)
    site.plot.box(end, 0, 1.9, site.palette.wall())
    if rng.random() < 0.5:
        site.plot.box(
            beside(place, -0.25 * place.length_m, -(front + yard_m - 1.2), 1.8, 1.9),
            0,
            2.2,
            site.palette.wall(),
            site.palette.roof(),
        )
    if rng.random() < SCAFFOLDED_SHARE:
        _scaffolding(site, place)


def _scaffolding(site: Site, place: Rectangle) -> None:
    """Poles and boards in front of a façade."""
    left_m = place.width_m / 2 + 0.8
    for forward in np.linspace(-0.48, 0.48, 4) * place.length_m:
        for out_m in (0.0, 0.9):
            site.plot.box(beside(place, forward, left_m + out_m, 0.08, 0.08), 0, 8.2, (176, 178, 180))
    for level_m in (2.1, 4.2, 6.3):
        site.plot.box(
            beside(place, 0, left_m + 0.45, place.length_m, 0.9), level_m, level_m + 0.08, (168, 132, 84)
        )
        site.plot.box(
            beside(place, 0, left_m + 0.9, place.length_m, 0.05),
            level_m + 0.9,
            level_m + 1.0,
            (176, 178, 180),
        )
