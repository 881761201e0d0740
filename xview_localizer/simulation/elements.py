"""The elements of street families: patches of ground, strokes of paint, solids, houses and plants."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from xview_localizer.simulation.layout import Rectangle


@dataclass(frozen=True)
class Patch:
    """A polygon [N, 2] of ground with a pattern of textures.py, turned by `yaw_rad`."""

    polygon_xy_m: np.ndarray
    pattern: str
    rgb: np.ndarray
    contrast: float = 10.0  # of the pattern, in steps of 255
    yaw_rad: float = 0.0
    wear: bool = False  # whether repairs, cracks and stains are added


@dataclass(frozen=True)
class Stroke:
    """Paint along a line [N, 2]; a stroke of width 0 fills the polygon [N, 2]."""

    xy_m: np.ndarray
    width_m: float
    rgb: tuple[float, float, float] = (226, 226, 222)


@dataclass(frozen=True)
class Solid:
    """A prism over a convex polygon [N, 2]; `taper` shrinks its top towards the middle (1 = to a point)."""

    base_xy_m: np.ndarray
    bottom_m: float
    top_m: float
    rgb: np.ndarray
    lid_rgb: np.ndarray
    taper: float = 0.0
    leafy: bool = False
    ripple: bool = False  # corrugated sheet


@dataclass(frozen=True)
class Part:
    """One convex piece of a house, with a height and a roof ("flat", "gable", "hip", "shed", "sawtooth")."""

    place: Rectangle
    height_m: float
    roof: str


@dataclass(frozen=True)
class House:
    """A building of a street family. `front` is the side of the first part that faces the street: 0 to 3 of
    its corners' order, -1 = none. `facade` and `ground_floor` are kinds of facade.py."""

    parts: tuple[Part, ...]
    facade: int
    ground_floor: int
    wall_rgb: np.ndarray
    trim_rgb: np.ndarray
    roof_rgb: np.ndarray
    roof_ribbed: bool
    bay_m: float
    storey_m: float
    front: int = -1
    balconies: bool = False
    awning_rgb: np.ndarray | None = None
    seed: int = 0


@dataclass(frozen=True)
class Plant:
    """A plant of a shape of vegetation.py."""

    x_m: float
    y_m: float
    shape: str
    radius_m: float
    height_m: float
    rgb: np.ndarray
    seed: int = 0


@dataclass(frozen=True)
class Elements:
    """A street family's town without its streets and cars."""

    patches: tuple[Patch, ...]
    strokes: tuple[Stroke, ...]
    houses: tuple[House, ...]
    plants: tuple[Plant, ...]
    solids: tuple[Solid, ...]


@dataclass
class Plot:
    """Collects elements while a town is laid out."""

    patches: list[Patch] = field(default_factory=list)
    strokes: list[Stroke] = field(default_factory=list)
    houses: list[House] = field(default_factory=list)
    plants: list[Plant] = field(default_factory=list)
    solids: list[Solid] = field(default_factory=list)
    car_slots: list[Rectangle] = field(default_factory=list)

    def elements(self) -> Elements:
        return Elements(
            tuple(self.patches),
            tuple(self.strokes),
            tuple(self.houses),
            tuple(self.plants),
            tuple(self.solids),
        )

    def box(self, place: Rectangle, bottom_m: float, top_m: float, rgb, lid_rgb=None, **kind) -> None:
        """Add a solid over a rectangle; `kind` are further fields of Solid."""
        rgb = np.asarray(rgb, float)
        self.solids.append(
            Solid(
                place.corners,
                bottom_m,
                top_m,
                rgb,
                rgb if lid_rgb is None else np.asarray(lid_rgb, float),
                **kind,
            )
        )
