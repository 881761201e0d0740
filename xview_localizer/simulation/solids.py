"""Triangles of the street families' houses, plants and solids."""

from __future__ import annotations

import numpy as np

from xview_localizer.simulation.elements import House, Part, Plant, Solid
from xview_localizer.simulation.facade import Facade
from xview_localizer.simulation.layout import Rectangle, beside
from xview_localizer.simulation.mesh import Material, MeshBuilder
from xview_localizer.simulation.vegetation import plant_triangles

PARAPET_M = 0.5


def prism_triangles(base_xy_m: np.ndarray, bottom_m: float, top_m: float, taper: float = 0.0):
    """Sides [2 N, 3, 3] and lid [N - 2, 3, 3] over a convex polygon [N, 2]."""
    base_xy_m = np.asarray(base_xy_m, float)
    roof = base_xy_m + taper * (base_xy_m.mean(axis=0) - base_xy_m)
    low = np.column_stack([base_xy_m, np.full(len(base_xy_m), bottom_m)])
    high = np.column_stack([roof, np.full(len(roof), top_m)])
    next_low, next_high = np.roll(low, -1, axis=0), np.roll(high, -1, axis=0)
    sides = np.concatenate([np.stack([low, next_low, next_high], 1), np.stack([low, next_high, high], 1)])
    lid = np.stack([np.repeat(high[:1], len(high) - 2, axis=0), high[1:-1], high[2:]], axis=1)
    return sides, lid


def add_solid(builder: MeshBuilder, solid: Solid) -> None:
    """Add a box, a cone or a hedge."""
    sides, lid = prism_triangles(solid.base_xy_m, solid.bottom_m, solid.top_m, solid.taper)
    material = Material.FOLIAGE if solid.leafy else Material.SHEET if solid.ripple else Material.PLAIN
    builder.add(sides, material, solid.rgb)
    builder.add(lid, material, solid.lid_rgb)


def add_plant(builder: MeshBuilder, plant: Plant) -> None:
    """Add a plant's trunk and crown."""
    for triangles, bark in plant_triangles(plant):
        rgb = np.array([88.0, 72.0, 58.0]) if bark else plant.rgb
        builder.add(triangles, Material.BARK if bark else Material.FOLIAGE, rgb)


def add_house(builder: MeshBuilder, house: House) -> None:
    """Add a house: walls with façades, roofs with chimneys and dormers, balconies and awnings."""
    rng = np.random.default_rng((house.seed, 7))
    for number, part in enumerate(house.parts):
        corners = part.place.corners
        for side in range(4):
            start, end = corners[side], corners[(side + 1) % 4]
            _add_wall(builder, house, start, end, part.height_m, number == 0 and side == house.front)
        _add_roof(builder, house, part, rng)
    if house.front >= 0:
        _add_front(builder, house, rng)


def _add_wall(builder: MeshBuilder, house: House, start, end, height_m: float, front: bool) -> None:
    length_m = float(np.linalg.norm(end - start))
    along = (end - start) / max(length_m, 1e-6)
    bay_m = length_m / max(1, round(length_m / house.bay_m))
    blind = house.front >= 0 and not front and house.facade in (Facade.TALL, Facade.BRICK)
    kind = Facade.PUNCHED if blind else house.facade
    # The façade's coordinate runs along (-normal_y, normal_x), which is the wall's own direction.
    parameters = (
        bay_m, house.storey_m, float(kind), float(house.ground_floor if front or house.front < 0 else 0),
        float(house.seed % 4096), float(along @ start), height_m,
    )  # fmt: skip
    low, high = np.array([*start, 0.0]), np.array([*start, height_m])
    low_end, high_end = np.array([*end, 0.0]), np.array([*end, height_m])
    builder.quad(np.stack([low, low_end, high_end, high]), Material.FACADE, house.wall_rgb, parameters)


def _add_roof(builder: MeshBuilder, house: House, part: Part, rng: np.random.Generator) -> None:
    material = Material.SHEET if house.roof_ribbed else Material.ROOF
    if part.roof == "flat":
        _add_flat_roof(builder, house, part, rng)
    elif part.roof == "sawtooth":
        _add_sawtooth(builder, house, part)
    else:
        _add_pitched_roof(builder, house, part, rng, material)
    place = part.place
    if part.roof in ("gable", "hip") and rng.random() < 0.7:
        chimney = beside(
            place, rng.uniform(-0.3, 0.3) * place.length_m, rng.uniform(-0.2, 0.2) * place.width_m, 0.7, 0.6
        )
        _add_plain(builder, chimney, part.height_m, part.height_m + 0.3 * place.width_m + 1.0, (120, 84, 70))
    if part.roof == "gable" and not house.roof_ribbed and rng.random() < 0.45:
        for forward in np.arange(-0.3, 0.31, 0.3):
            dormer = beside(
                place, forward * place.length_m, rng.choice([-1, 1]) * 0.24 * place.width_m, 1.5, 2.0
            )
            _add_plain(
                builder,
                dormer,
                part.height_m,
                part.height_m + 0.3 * place.width_m,
                house.wall_rgb,
                house.roof_rgb,
            )


def _add_plain(builder: MeshBuilder, place: Rectangle, bottom_m, top_m, rgb, lid_rgb=None) -> None:
    sides, lid = prism_triangles(place.corners, bottom_m, top_m)
    builder.add(sides, Material.PLAIN, rgb)
    builder.add(lid, Material.PLAIN, rgb if lid_rgb is None else lid_rgb)


def _add_flat_roof(builder: MeshBuilder, house: House, part: Part, rng: np.random.Generator) -> None:
    place, top_m = part.place, part.height_m
    corners = place.corners
    builder.quad(np.column_stack([corners, np.full(4, top_m)]), Material.ROOF, house.roof_rgb)
    for side in range(4):
        middle = (corners[side] + corners[(side + 1) % 4]) / 2
        along = corners[(side + 1) % 4] - corners[side]
        edge = Rectangle(*middle, float(np.arctan2(along[1], along[0])), float(np.linalg.norm(along)), 0.35)
        _add_plain(builder, edge, top_m, top_m + PARAPET_M, house.trim_rgb)
    for _ in range(int(rng.integers(0, 2 + place.length_m * place.width_m / 45))):  # air-conditioning units
        forward, left = rng.uniform(-0.36, 0.36, 2) * (place.length_m, place.width_m)
        size = rng.uniform(0.8, 3.2, 2)
        unit = beside(place, forward, left, *np.minimum(size, 0.25 * min(place.length_m, place.width_m)))
        grey = rng.uniform(60, 215)
        _add_plain(builder, unit, top_m, top_m + rng.uniform(0.2, 2.2), (grey, grey, grey + 4))


def _add_sawtooth(builder: MeshBuilder, house: House, part: Part) -> None:
    """A sawtooth roof: slopes of sheet and upright glass in turn along the length."""
    place = part.place
    count = max(1, round(place.length_m / 6))
    step_m, rise_m = place.length_m / count, 1.8
    for k in range(count):
        bay = beside(place, (k + 0.5) * step_m - place.length_m / 2, 0.0, step_m, place.width_m).corners
        low = np.column_stack([bay, np.full(4, part.height_m)])
        high = low + (0, 0, rise_m)
        builder.quad(np.stack([low[0], high[1], high[2], low[3]]), Material.SHEET, house.roof_rgb)
        builder.quad(np.stack([low[1], low[2], high[2], high[1]]), Material.GLASS, (70, 80, 92))
        for low_corner, corner, peak in ((low[0], low[1], high[1]), (low[3], low[2], high[2])):
            builder.add(np.stack([low_corner, corner, peak])[None], Material.PLAIN, house.wall_rgb)


def _add_pitched_roof(
    builder, house: House, part: Part, rng: np.random.Generator, material: Material
) -> None:
    place = part.place
    overhang_m = rng.uniform(0.0, 1.0)
    eaves = Rectangle(
        place.x_m, place.y_m, place.yaw_rad, place.length_m + overhang_m, place.width_m + overhang_m
    ).corners
    base = np.column_stack([eaves, np.full(4, part.height_m)])
    if part.roof == "shed":
        rise_m = np.tan(rng.uniform(0.08, 0.3)) * place.width_m
        top = base + np.array([[0, 0, 0], [0, 0, 0], [0, 0, rise_m], [0, 0, rise_m]])
        builder.quad(top, material, house.roof_rgb)
        builder.quad(np.stack([base[3], base[2], top[2], top[3]]), Material.PLAIN, house.wall_rgb)
        for corner, peak, other in ((base[0], top[3], base[3]), (base[1], top[2], base[2])):
            builder.add(np.stack([corner, other, peak])[None], Material.PLAIN, house.wall_rgb)
        return
    rise_m = place.width_m * (rng.uniform(0.12, 0.2) if house.roof_ribbed else rng.uniform(0.25, 0.55))
    hip = min(0.5, 0.5 * place.width_m / place.length_m) if part.roof == "hip" else 0.0
    start, end = (base[0] + base[3]) / 2, (base[1] + base[2]) / 2
    peak = np.array([0, 0, rise_m])
    ridge = start + hip * (end - start) + peak, end - hip * (end - start) + peak
    builder.quad(np.stack([base[0], base[1], ridge[1], ridge[0]]), material, house.roof_rgb)
    builder.quad(np.stack([base[2], base[3], ridge[0], ridge[1]]), material, house.roof_rgb)
    gable = (material, house.roof_rgb) if hip else (Material.PLAIN, house.wall_rgb)
    builder.add(np.stack([base[1], base[2], ridge[1]])[None], *gable)
    builder.add(np.stack([base[3], base[0], ridge[0]])[None], *gable)


def _add_front(builder: MeshBuilder, house: House, rng: np.random.Generator) -> None:
    """Balconies, bay windows, awnings and projecting signs on the street side."""
    part = house.parts[0]
    corners = part.place.corners
    start, end = corners[house.front], corners[(house.front + 1) % 4]
    length_m = float(np.linalg.norm(end - start))
    along = (end - start) / length_m
    out = np.array([along[1], -along[0]])
    yaw_rad = float(np.arctan2(along[1], along[0]))
    bays = max(1, round(length_m / house.bay_m))

    def ledge(share: float, width_m: float, reach_m: float) -> Rectangle:
        return Rectangle(*(start + share * (end - start) + out * reach_m / 2), yaw_rad, width_m, reach_m)

    for bay in range(bays):
        share = (bay + 0.5) / bays
        if house.balconies and rng.random() < 0.55:
            reach_m = rng.uniform(0.7, 1.5)
            for floor in range(1, int(part.height_m / house.storey_m)):
                height_m = floor * house.storey_m + 0.1
                _add_plain(
                    builder,
                    ledge(share, 0.8 * length_m / bays, reach_m),
                    height_m,
                    height_m + 1.0,
                    house.trim_rgb,
                )
        if house.awning_rgb is not None and rng.random() < 0.6:
            rgb = np.clip(house.awning_rgb + rng.normal(0, 40, 3), 15, 240)
            _add_plain(builder, ledge(share, 0.85 * length_m / bays, 1.5), 2.5, 2.75, rgb)
        if house.awning_rgb is not None and rng.random() < 0.3:
            sign = Rectangle(*(start + (bay / bays) * (end - start) + out * 0.5), yaw_rad, 0.12, 0.9)
            _add_plain(builder, sign, 2.9, 3.8, rng.uniform(20, 235, 3))
    if not house.balconies and rng.random() < 0.3:  # a bay window or a porch
        bottom_m = rng.choice([0.0, house.storey_m])
        _add_plain(
            builder, ledge(rng.uniform(0.25, 0.75), 0.28 * length_m, rng.uniform(0.8, 1.6)), bottom_m,
            min(part.height_m, rng.choice([2.7, part.height_m - 0.4])), house.wall_rgb * 0.92, house.roof_rgb,
        )  # fmt: skip
