"""What stands in a town and where, in metres: streets, buildings, trees, cars and boxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from xview_localizer.simulation.style import TownStyle

if TYPE_CHECKING:
    from xview_localizer.simulation.elements import Elements

SAMPLE_M = 1.0  # spacing of street centrelines
# Of a kerb from the middle of a lane: a parked car, and the clearance of a camera that passes it.
PARKED_CAR_M = 2.4


@dataclass(frozen=True)
class Street:
    """A centreline [N, 2], about 1 m between points, and its carriageway's width."""

    line_xy_m: np.ndarray
    width_m: float

    @property
    def direction(self) -> np.ndarray:
        """Unit tangents [N, 2]."""
        tangent = np.gradient(self.line_xy_m, axis=0)
        return tangent / np.linalg.norm(tangent, axis=1, keepdims=True)

    @property
    def left(self) -> np.ndarray:
        """Unit normals to the left [N, 2]."""
        return self.direction @ np.array([[0.0, 1.0], [-1.0, 0.0]])

    def offset(self, left_m: float) -> np.ndarray:
        """The line moved to the left [N, 2]."""
        return self.line_xy_m + left_m * self.left


@dataclass(frozen=True)
class Rectangle:
    """An oriented rectangle on the ground; length along yaw."""

    x_m: float
    y_m: float
    yaw_rad: float
    length_m: float
    width_m: float

    @property
    def corners(self) -> np.ndarray:
        """[4, 2], counter-clockwise."""
        unit = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2 * (self.length_m, self.width_m)
        return self.turned(unit) + (self.x_m, self.y_m)

    def turned(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors [N, 2] along its length and its width (to the left), turned into the map."""
        # Not by geometry/pose.py, whose last digits differ, and with them pixels of the towns of a seed.
        cos, sin = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return vectors @ np.array([[cos, sin], [-sin, cos]])


@dataclass(frozen=True)
class Building:
    """A house of one box, or of two that form an L, with its façade and roof."""

    parts: tuple[Rectangle, ...]
    height_m: float
    flat_roof: bool
    wall_rgb: np.ndarray
    roof_rgb: np.ndarray
    window_pitch_m: float
    storey_m: float


@dataclass(frozen=True)
class Tree:
    """A trunk and a crown above it."""

    x_m: float
    y_m: float
    trunk_m: float
    crown_radius_m: float
    crown_height_m: float
    rgb: np.ndarray
    conifer: bool = False


@dataclass(frozen=True)
class Field:
    """A parcel of farmland; its rows run along the place's length."""

    place: Rectangle
    rgb: np.ndarray
    row_pitch_m: float
    row_contrast: float


@dataclass(frozen=True)
class Car:
    """A parked car, which stands along its place's length."""

    place: Rectangle
    height_m: float
    rgb: np.ndarray


@dataclass(frozen=True)
class Box:
    """A fence, a hedge, a pole or a bin."""

    place: Rectangle
    height_m: float
    rgb: np.ndarray
    leafy: bool = False


@dataclass(frozen=True)
class Layout:
    """One town. Parked cars differ between captures, so only the slots for them are laid out."""

    size_m: float
    style: TownStyle
    streets: tuple[Street, ...]
    car_parks: tuple[Rectangle, ...]
    driveways: tuple[Rectangle, ...]
    fields: tuple[Field, ...]
    buildings: tuple[Building, ...]
    trees: tuple[Tree, ...]
    boxes: tuple[Box, ...]
    car_slots: tuple[Rectangle, ...] = field(default=())
    elements: Elements | None = None  # of the towns of families.py


def beside(place: Rectangle, forward_m: float, left_m: float, length_m: float, width_m: float) -> Rectangle:
    """A rectangle of the same yaw, its middle moved in the frame of `place`."""
    cos, sin = np.cos(place.yaw_rad), np.sin(place.yaw_rad)
    return Rectangle(
        float(place.x_m + cos * forward_m - sin * left_m), float(place.y_m + sin * forward_m + cos * left_m),
        place.yaw_rad, float(length_m), float(width_m),
    )  # fmt: skip


def yaw_of(direction: np.ndarray) -> float:
    """The angle of a direction [2], counter-clockwise from east."""
    return float(np.arctan2(direction[1], direction[0]))


def left_of(direction: np.ndarray) -> np.ndarray:
    """A direction [2] turned to the left by a right angle."""
    return np.array([-direction[1], direction[0]])


def along_town_m(size_m: float) -> np.ndarray:
    """Distances along a street from its middle, which lies near the town's; turned streets reach the corners too."""
    return np.arange(-0.75 * size_m, 0.75 * size_m, SAMPLE_M)


def lane_offset_m(road_width_m: float, least_m: float) -> float:
    """Distance from the centreline to the middle of a lane, clear of cars that are parked at the kerb."""
    return max(least_m, min(road_width_m / 4, road_width_m / 2 - PARKED_CAR_M))


def unit_circle(angle_rad: float) -> np.ndarray:
    """The point [2] of the unit circle at an angle."""
    return np.array([np.cos(angle_rad), np.sin(angle_rad)])
