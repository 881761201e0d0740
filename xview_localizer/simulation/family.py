"""A street family: the distributions from which its towns are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.simulation.facade import Facade, GroundFloor

RGB = tuple[float, float, float]
Range = tuple[float, float]


@dataclass(frozen=True)
class Family:
    """The distributions of a kind of place: a Range is uniform, of a tuple one member is drawn; lengths in metres."""

    streets: tuple[tuple[int, int], tuple[int, int]]  # least and greatest number in either direction
    spacing_m: Range
    bend_m: Range
    skew_rad: float  # standard deviation of the streets' directions
    road_width_m: Range
    road: tuple[tuple[str, RGB], ...]  # pattern and colour
    pavement_m: Range  # (0, 0) = none
    paving: tuple[tuple[str, RGB], ...]
    verge_m: Range
    open_ground: tuple[tuple[str, RGB], ...]
    blocks: dict[str, float]  # filler of blocks.py -> weight
    walls: tuple[RGB, ...]
    roofs: tuple[RGB, ...]
    roof_kinds: tuple[str, ...]
    facades: tuple[Facade, ...]
    ground_floors: tuple[GroundFloor, ...]
    storeys: tuple[int, int]
    front_m: Range
    depth_m: Range
    setback_m: Range
    gap_m: Range
    plants: tuple[str, ...]
    greens: tuple[RGB, ...]
    markings: dict[str, float]  # kind of markings.py -> share of streets
    furniture: dict[str, float]  # kind of furniture.py -> mean spacing along a side of the street
    parked_share: Range
    balcony_share: float = 0.0
    awning_share: float = 0.0
    ribbed_share: float = 0.0
    street_tree_m: Range = (0.0, 0.0)  # spacing; (0, 0) = none
    wear: Range = (0.05, 0.8)
    irregularity: Range = (0.5, 1.6)
    plan: str = "grid"  # or a plan of street_plans.py
    weathers: tuple[str, ...] = ()  # of varied.py, of which each image draws one; none = any


class Palette:
    """The materials of one town: a few colours and shapes drawn from its family, used throughout."""

    def __init__(self, rng: np.random.Generator, family: Family) -> None:
        self.family, self.rng = family, rng
        self._walls = self._some(family.walls, 5)
        self._roofs = self._some(family.roofs, 3)
        self._greens = self._some(family.greens, 2)
        self.facades = rng.permutation(family.facades)[:3].tolist()
        self.plants = rng.permutation(family.plants)[:3].tolist()
        self.paving = self.ground(family.paving)
        self.road = self.ground(family.road)
        self.open_ground = self.ground(family.open_ground)

    def _some(self, colours: tuple[RGB, ...], count: int) -> np.ndarray:
        chosen = self.rng.permutation(np.array(colours, float))[:count]
        return chosen * self.rng.uniform(0.85, 1.15) + self.rng.normal(0, 6, chosen.shape)

    def ground(self, choices: tuple[tuple[str, RGB], ...]) -> tuple[str, np.ndarray]:
        """One of the pairs of pattern and colour, in a shade of its own."""
        pattern, rgb = choices[self.rng.integers(len(choices))]
        return pattern, np.clip(
            np.asarray(rgb) * self.rng.uniform(0.65, 1.05) + self.rng.normal(0, 4, 3), 15, 205
        )

    def wall(self) -> np.ndarray:
        """The colour [3] of one wall; so `roof`, and `green` of one plant."""
        return np.clip(self._walls[self.rng.integers(len(self._walls))] + self.rng.normal(0, 10, 3), 20, 245)

    def roof(self) -> np.ndarray:
        return np.clip(self._roofs[self.rng.integers(len(self._roofs))] + self.rng.normal(0, 9, 3), 20, 240)

    def green(self) -> np.ndarray:
        return np.clip(
            self._greens[self.rng.integers(len(self._greens))] + self.rng.normal(0, 12, 3), 15, 220
        )

    def between(self, limits: Range) -> float:
        """A number drawn from a range."""
        return float(self.rng.uniform(*limits))
