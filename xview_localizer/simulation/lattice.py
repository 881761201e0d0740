"""Lattices and polygons with which blocks are filled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from shapely.geometry import Polygon
from shapely.prepared import prep

from xview_localizer.simulation.layout import Rectangle, unit_circle
from xview_localizer.simulation.site import Site

# Neighbours of a lattice touch, while the occupancy raster is coarse, so a smaller rectangle is checked.
LATTICE_SHRINK = 0.6


@dataclass(frozen=True)
class Cell:
    """A rectangle of a lattice over a block, with the number of its row and its column."""

    row: int
    column: int
    place: Rectangle


def lattice(
    site: Site, length_m: float, pitch_m: float, width_m: float, turn_rad: float = 0.0, inset_m: float = 1.0
) -> Iterator[Cell]:
    """Rectangles in rows `pitch_m` apart over the block; only those that lie `inset_m` inside of it."""
    yaw_rad = site.yaw_rad + turn_rad
    ahead, left = unit_circle(yaw_rad), unit_circle(yaw_rad + np.pi / 2)
    middle = np.array(site.ground.centroid.coords[0])
    west, south, east, north = site.ground.bounds
    reach_m = 0.5 * float(np.hypot(east - west, north - south))
    inside = prep(site.ground.buffer(-inset_m))
    for row, across_m in enumerate(np.arange(-reach_m, reach_m, pitch_m)):
        for column, along_m in enumerate(np.arange(-reach_m, reach_m, length_m)):
            xy = middle + along_m * ahead + across_m * left
            place = Rectangle(float(xy[0]), float(xy[1]), yaw_rad, length_m, width_m)
            if inside.contains(Polygon(place.corners)):
                yield Cell(row, column, place)


def ring(xy_m, radius_m, corners: int, squeeze: float = 1.0) -> np.ndarray:
    """A regular polygon [corners, 2], or an oval one."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.asarray(xy_m) + radius_m * np.column_stack([np.cos(angle), squeeze * np.sin(angle)])
