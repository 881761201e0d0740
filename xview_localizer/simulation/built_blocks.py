"""Blocks of houses, halls, towers, walled yards and construction sites."""

from __future__ import annotations

import numpy as np
from shapely.geometry import LineString, Polygon

from xview_localizer.simulation.elements import Solid, Stroke
from xview_localizer.simulation.lattice import ring
from xview_localizer.simulation.layout import Rectangle, beside, left_of, unit_circle
from xview_localizer.simulation.site import Site


def perimeter(site: Site) -> None:
    """Closed rows of houses around a courtyard with sheds, trees and paving."""
    rng, family = site.rng, site.family
    site.cover(*site.palette.open_ground if rng.random() < 0.5 else site.palette.paving)
    for place in site.fronts(
        site.palette.between(family.setback_m), family.front_m, family.gap_m, family.depth_m
    ):
        site.house(place, wings=0.25)
    for _ in range(int(site.ground.area / 350)):
        shed = site.place(rng.uniform(2.5, 7), rng.uniform(2.5, 5))
        if shed:
            site.plot.box(
                shed, 0, rng.uniform(2.2, 3.5), site.palette.wall(), site.palette.roof(), ripple=True
            )
    site.scatter(0.35)


def detached(site: Site) -> None:
    """Houses in gardens: driveways, hedges, sheds, pools, terraces and trampolines."""
    rng, family = site.rng, site.family
    site.cover(*site.palette.open_ground, 12)
    setback_m = site.palette.between(family.setback_m)
    for place in site.fronts(setback_m, family.front_m, family.gap_m, family.depth_m):
        site.house(place, wings=0.45)
        left_m = place.width_m / 2 + setback_m / 2
        side = rng.choice([-1, 1])
        if rng.random() < 0.8:
            drive = beside(
                place, side * (place.length_m / 2 - 1.6), left_m, rng.uniform(2.6, 5), setback_m + 0.6
            )
            pattern, rgb = site.palette.ground(family.paving + family.road)
            site.lay(drive.corners, pattern, rgb, 9)
            site.plot.car_slots.append(Rectangle(drive.x_m, drive.y_m, drive.yaw_rad + np.pi / 2, 4.4, 1.8))
        if rng.random() < 0.6:
            walk = beside(place, -side * place.length_m / 4, left_m, 1.2, setback_m)
            site.lay(walk.corners, "slabs", site.palette.paving[1], 9)
        if rng.random() < 0.6:
            terrace = beside(place, rng.uniform(-2, 2), -(place.width_m / 2 + 2.2), rng.uniform(4, 8), 4.0)
            site.lay(
                terrace.corners,
                str(rng.choice(["boards", "slabs", "tiles"])),
                rng.uniform(90, 200) + rng.normal(0, 15, 3),
            )
        _garden_things(site, place)
        hedge = beside(place, 0, place.width_m / 2 + setback_m - 0.5, place.length_m * 0.5, 0.6)
        if rng.random() < 0.5 and site.taken.claim(hedge.corners):
            leafy = bool(rng.random() < 0.6)
            site.plot.box(
                hedge,
                0,
                rng.uniform(0.7, 1.6),
                site.palette.green() if leafy else rng.uniform(80, 220, 3),
                leafy=leafy,
            )
    site.scatter(0.45)
    site.scatter(0.5, "bush")


def _garden_things(site: Site, house: Rectangle) -> None:
    rng = site.rng
    for _ in range(int(rng.integers(0, 4))):
        forward, back = rng.uniform(-8, 8), -(house.width_m / 2 + rng.uniform(4, 14))
        kind = rng.choice(["pool", "trampoline", "shed", "bed"])
        size = {"pool": (7, 3.6), "trampoline": (3.4, 3.4), "shed": (3, 2.4), "bed": (4, 1.5)}[kind]
        at = beside(house, forward, back, *(np.array(size) * rng.uniform(0.7, 1.3)))
        if not site.taken.claim(at.corners):
            continue
        if kind == "pool":
            rim = beside(at, 0, 0, at.length_m + 1.6, at.width_m + 1.6)
            site.lay(rim.corners, "slabs", (205, 198, 184))
            site.lay(at.corners, "concrete", (70, 165, 190), 3)
        elif kind == "trampoline":
            mat = ring((at.x_m, at.y_m), at.length_m / 2, 10)
            site.plot.solids.append(
                Solid(mat, 0.7, 0.85, np.array([40, 90, 170.0]), np.array([35, 36, 40.0]))
            )
        elif kind == "shed":
            site.plot.box(at, 0, 2.3, site.palette.wall(), site.palette.roof())
        else:
            site.lay(at.corners, "leaves", rng.uniform([40, 30, 20], [190, 110, 110]), 22)


def halls(site: Site) -> None:
    """Large halls in yards of concrete, with containers, pallets, rails and a fence."""
    rng, family = site.rng, site.family
    pattern, rgb = site.palette.ground(family.paving + family.road)
    site.cover(pattern, rgb, 9)
    for _ in range(int(rng.integers(2, 7))):  # slabs laid in other years
        middle = site.point()
        slab = Rectangle(*middle, site.yaw_rad, rng.uniform(6, 25), rng.uniform(5, 15))
        piece = Polygon(slab.corners).intersection(site.ground)
        if piece.geom_type == "Polygon" and not piece.is_empty:
            site.lay(
                np.array(piece.exterior.coords),
                str(rng.choice(["concrete", "asphalt", "gravel"])),
                rgb * rng.uniform(0.6, 1.4),
            )
    for _ in range(8):
        place = site.place(rng.uniform(12, 42), rng.uniform(10, 24))
        if place:
            site.house(place, -1 if rng.random() < 0.7 else int(rng.integers(4)), wings=0.4)
    _containers(site, int(site.ground.area / 220))
    if rng.random() < 0.5:  # rails on ballast
        start, end = site.point(), site.point()
        site.path(start, end, 3.4, "gravel", (120, 110, 100))
        along = (end - start) / max(np.linalg.norm(end - start), 1e-3)
        for left in (-0.72, 0.72):
            shift = left * left_of(along)
            site.plot.strokes.append(Stroke(np.stack([start + shift, end + shift]), 0.12, (92, 74, 64)))
    site.fence(0.6, rng.uniform(1.2, 2.4), rng.uniform(70, 200) + rng.normal(0, 12, 3))
    site.scatter(0.08)


def _containers(site: Site, count: int) -> None:
    rng = site.rng
    for _ in range(rng.poisson(count)):
        kind = rng.choice(["container", "pallets", "tank", "pipes", "skip"])
        size = {
            "container": (6.1, 2.44),
            "pallets": (1.2, 1.0),
            "tank": (3, 3),
            "pipes": (6, 1.5),
            "skip": (3.6, 1.8),
        }[kind]
        place = site.place(*size, yaw_rad=rng.choice([0.0, 0.0, rng.uniform(0, 3)]), tries=3)
        if place is None:
            continue
        rgb = rng.uniform(25, 215, 3)
        if kind == "tank":
            drum = ring((place.x_m, place.y_m), rng.uniform(0.8, 1.7), 10)
            height_m, shade, lid_shade = rng.uniform(2.5, 8), rng.uniform(120, 225), rng.uniform(120, 225)
            site.plot.solids.append(Solid(drum, 0, height_m, np.full(3, shade), np.full(3, lid_shade)))
        else:
            height_m = {"container": 2.6, "pallets": 1.3, "pipes": 0.8, "skip": 1.4}[kind] * (
                1 + (rng.random() < 0.25)
            )
            site.plot.box(place, 0, height_m, rgb, np.clip(rgb * 1.15, 0, 245), ripple=kind == "container")


def works(site: Site) -> None:
    """A construction site: bare soil, heaps, trenches, containers, a shell of a building, fences."""
    rng = site.rng
    soil = np.array([150, 118, 86.0]) * rng.uniform(0.75, 1.2) + rng.normal(0, 8, 3)
    site.cover("soil", soil, 15)
    for _ in range(int(rng.integers(3, 9))):
        site.path(
            site.point(),
            site.point(),
            rng.uniform(0.6, 3.5),
            str(rng.choice(["soil", "gravel"])),
            soil * rng.uniform(0.6, 1.3),
        )
    shell = site.place(rng.uniform(12, 26), rng.uniform(9, 16))
    if shell:
        grey = rng.uniform(140, 190)
        for floor in range(int(rng.integers(1, 5))):
            site.plot.box(shell, 3.0 * floor, 3.0 * floor + 0.3, (grey, grey, grey - 5))
            for forward in np.linspace(-0.45, 0.45, 5):
                for side in (-0.45, 0.45):
                    column = beside(shell, forward * shell.length_m, side * shell.width_m, 0.5, 0.5)
                    site.plot.box(
                        column, 3.0 * floor + 0.3, 3.0 * floor + 3.0, (grey - 15, grey - 15, grey - 20)
                    )
    for _ in range(int(site.ground.area / 130)):
        middle, radius = site.point(), rng.uniform(1, 4.5)
        angle = np.sort(rng.uniform(0, 2 * np.pi, 9))
        heap = middle + radius * np.column_stack([np.cos(angle), np.sin(angle)]) * (1, rng.uniform(0.6, 1))
        if site.ground.contains(Polygon(heap).convex_hull) and site.taken.claim(heap):
            rgb = soil * rng.uniform(0.7, 1.35) if rng.random() < 0.7 else np.full(3, rng.uniform(110, 200))
            site.plot.solids.append(Solid(heap, 0, radius * rng.uniform(0.4, 0.8), rgb, rgb, taper=0.85))
    _containers(site, int(site.ground.area / 150))
    site.fence(0.5, 2.0, rng.choice([[200, 205, 208], [220, 120, 50], [90, 120, 160]]))
    site.scatter(0.06)


def compounds(site: Site) -> None:
    """Walled yards with low bright houses, tin roofs, tanks, awnings and palms."""
    rng, family = site.rng, site.family
    site.cover(*site.palette.open_ground, 13)
    for place in site.fronts(
        site.palette.between(family.setback_m), family.front_m, family.gap_m, family.depth_m
    ):
        site.house(place, wings=0.5)
        for _ in range(int(rng.integers(0, 3))):
            roofed = beside(
                place,
                rng.uniform(-0.5, 0.5) * place.length_m,
                -(place.width_m / 2 + rng.uniform(2, 9)),
                rng.uniform(2, 5),
                rng.uniform(2, 4),
            )
            if site.taken.claim(roofed.corners):
                site.plot.box(
                    roofed,
                    0 if rng.random() < 0.6 else 2.2,
                    2.5,
                    site.palette.wall(),
                    site.palette.roof(),
                    ripple=True,
                )
    for _ in range(int(site.ground.area / 400)):
        start = site.point()
        turn = site.yaw_rad + np.pi / 2 * rng.integers(2)
        end = start + rng.uniform(6, 16) * unit_circle(turn)
        if site.ground.contains(LineString([start, end])):
            site.wall(start, end, rng.uniform(1.2, 2.4), site.palette.wall(), False, 0.25)
    site.fence(0.6, rng.uniform(1.0, 2.2), site.palette.wall(), False, 0.25)
    _containers(site, int(site.ground.area / 900))
    site.scatter(0.3)
    site.scatter(0.3, "bush")


def towers(site: Site) -> None:
    """Free-standing high buildings of several kinds over paving, ramps and beds."""
    rng = site.rng
    pattern, rgb = site.palette.paving
    site.cover(pattern, rgb, 8)
    for _ in range(6):
        place = site.place(rng.uniform(14, 32), rng.uniform(11, 20))
        if place:
            house = site.house(place, -1, wings=0.5)
            if rng.random() < 0.6:
                podium = beside(
                    place, 0, 0, place.length_m + rng.uniform(2, 6), place.width_m + rng.uniform(2, 6)
                )
                site.plot.box(podium, 0, rng.uniform(0.4, 1.0), house.trim_rgb)
    for _ in range(int(site.ground.area / 160)):
        bed = site.place(rng.uniform(2, 9), rng.uniform(1.5, 4), tries=2)
        if bed:
            site.lay(bed.corners, "grass", site.palette.green() * 1.2, 14)
            site.plant((bed.x_m, bed.y_m), claim=False)
    site.scatter(0.15)
