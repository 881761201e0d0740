"""Street networks that are no grid: a star of paths, lanes along contours, a trunk road with a service road."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xview_localizer.simulation.family import Family
from xview_localizer.simulation.layout import SAMPLE_M, Street, along_town_m, left_of, unit_circle

Plan = Callable[[np.random.Generator, Family, float], tuple[Street, ...]]


def _wavy(rng: np.random.Generator, family: Family, along_m: np.ndarray) -> np.ndarray:
    """Lateral deviation [N] of a path, with the family's bends."""
    bend_m = rng.uniform(*family.bend_m)
    wave = bend_m * np.sin(2 * np.pi * along_m / rng.uniform(45, 110) + rng.uniform(0, 6.3))
    return wave + 0.35 * bend_m * np.sin(2 * np.pi * along_m / rng.uniform(18, 40) + rng.uniform(0, 6.3))


def star(rng: np.random.Generator, family: Family, size_m: float) -> tuple[Street, ...]:
    """Winding paths that cross near the middle, each at its own place, and one that passes by."""
    along_m, count = along_town_m(size_m), int(rng.integers(3, 5))
    first_rad, streets = rng.uniform(0, np.pi), []
    for number in range(count + 1):
        direction = unit_circle(first_rad + number * np.pi / count + rng.normal(0, family.skew_rad))
        normal = left_of(direction)
        passing_m = rng.choice([-1, 1]) * rng.uniform(28, 45) if number == count else rng.normal(0, 9)
        line = along_m[:, None] * direction + (passing_m + _wavy(rng, family, along_m))[:, None] * normal
        streets.append(Street(line, rng.uniform(*family.road_width_m)))
    return tuple(streets)


def contours(rng: np.random.Generator, family: Family, size_m: float) -> tuple[Street, ...]:
    """Lanes along the arcs of one hill, and one or two that climb across them."""
    middle_rad, hill_m = rng.uniform(0, 2 * np.pi), rng.uniform(150, 300)
    centre = -hill_m * unit_circle(middle_rad)
    width_m, streets = rng.uniform(*family.road_width_m), []
    spacing_m = rng.uniform(*family.spacing_m)
    for offset_m in spacing_m * np.arange(-1, 2) + rng.normal(0, 4):
        radius_m = hill_m + offset_m
        arc_m = along_town_m(size_m)
        angle_rad = middle_rad + arc_m / radius_m
        reach_m = radius_m + _wavy(rng, family, arc_m)
        line = centre + reach_m[:, None] * np.column_stack([np.cos(angle_rad), np.sin(angle_rad)])
        streets.append(Street(line, width_m * rng.uniform(0.85, 1.2)))
    for shift_m in rng.uniform(-50, 50, int(rng.integers(1, 3))):
        direction = unit_circle(middle_rad + rng.normal(0, family.skew_rad))
        normal = left_of(direction)
        along_m = along_town_m(size_m)
        line = along_m[:, None] * direction + (shift_m + _wavy(rng, family, along_m))[:, None] * normal
        streets.append(Street(line, width_m))
    return tuple(streets)


def strip(rng: np.random.Generator, family: Family, size_m: float) -> tuple[Street, ...]:
    """A wide trunk road, a narrower service road beside it, and links between and beyond them."""
    along_m, width_m = along_town_m(size_m), rng.uniform(*family.road_width_m)
    direction = unit_circle(rng.uniform(0, 2 * np.pi))
    normal = left_of(direction)
    bend = _wavy(rng, family, along_m)
    trunk_m, service_m = rng.uniform(-38, -22), rng.uniform(18, 34)
    streets = [
        Street(along_m[:, None] * direction + (offset_m + bend)[:, None] * normal, width)
        for offset_m, width in ((trunk_m, 2.1 * width_m), (service_m, width_m))
    ]
    for at_m in rng.uniform(35, 55) * np.arange(-1, 2)[: int(rng.integers(2, 4))] + rng.uniform(-15, 15):
        turned = normal + rng.normal(0, family.skew_rad) * direction
        link = at_m * direction + np.arange(trunk_m, 0.75 * size_m, SAMPLE_M)[:, None] * turned
        streets.append(Street(link, rng.uniform(0.8, 1.1) * width_m))
    return tuple(streets)


PLANS: dict[str, Plan] = {"star": star, "contours": contours, "strip": strip}
