"""One block of a family's town while it is filled, and the occupancy of the ground."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import ArrayLike
from shapely.geometry import LineString, Point, Polygon

from xview_localizer.simulation.elements import House, Part, Patch, Plant, Plot
from xview_localizer.simulation.family import Palette, Range
from xview_localizer.simulation.layout import Rectangle, beside, left_of, yaw_of

CELL_M = 0.5  # resolution of the occupancy raster
CORNER_M = 0.2  # between a block's corner and its first house
NEIGHBOUR_SHRINK = 0.86  # houses in a row may touch, while the occupancy raster is coarse


class Occupancy:
    """Raster of ground in use: roads, on which nothing may stand, and built ground."""

    def __init__(self, size_m: float) -> None:
        self._half_m = size_m / 2
        self._taken = np.zeros((int(size_m / CELL_M),) * 2, np.uint8)

    def _mask(self, xy_m: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray] | None:
        pixels = (np.asarray(xy_m) + self._half_m) / CELL_M
        low, high = np.floor(pixels.min(axis=0)).astype(int), np.ceil(pixels.max(axis=0)).astype(int) + 1
        if (low < 0).any() or (high > len(self._taken)).any():
            return None
        mask = np.zeros(tuple((high - low)[::-1]), np.uint8)
        cv2.fillPoly(mask, [np.round(pixels - low).astype(np.int32)], 1)
        return (slice(low[1], high[1]), slice(low[0], high[0])), mask > 0

    def block(self, xy_m: np.ndarray) -> None:
        """Mark a polygon [N, 2] as used, also where it leaves the town."""
        cv2.fillPoly(self._taken, [np.round((np.asarray(xy_m) + self._half_m) / CELL_M).astype(np.int32)], 1)

    def claim(self, xy_m: np.ndarray, shrink: float = 1.0) -> bool:
        """Mark a polygon [N, 2] as used and return True if it is free and inside the town.

        `shrink` < 1 checks a smaller polygon, so that neighbours may touch.
        """
        xy_m = np.asarray(xy_m)
        middle = xy_m.mean(axis=0)
        found = self._mask(middle + shrink * (xy_m - middle))
        if found is None or self._taken[found[0]][found[1]].any():
            return False
        self.block(xy_m)
        return True


class Site:
    """One block to be filled: its ground, the town's palette, and the occupancy so far."""

    def __init__(self, ground: Polygon, palette: Palette, plot: Plot, taken: Occupancy) -> None:
        self.ground, self.palette, self.plot, self.taken = ground, palette, plot, taken
        self.rng, self.family = palette.rng, palette.family
        box = np.array(ground.minimum_rotated_rectangle.exterior.coords)[:3]
        sides = np.diff(box, axis=0)
        self.yaw_rad = float(np.arctan2(sides[0, 1], sides[0, 0]))

    def cover(self, pattern: str, rgb: ArrayLike, contrast: float = 10.0) -> None:
        """Lay one pattern over the whole block."""
        self.lay(np.array(self.ground.exterior.coords)[:-1], pattern, rgb, contrast)

    def lay(
        self,
        xy_m: ArrayLike,
        pattern: str,
        rgb: ArrayLike,
        contrast: float = 10.0,
        yaw_rad: float | None = None,
    ) -> None:
        """Lay a pattern of textures.py over a polygon [N, 2], along the block or at `yaw_rad` in `map`."""
        yaw_rad = self.yaw_rad if yaw_rad is None else yaw_rad
        self.plot.patches.append(Patch(np.asarray(xy_m), pattern, np.asarray(rgb, float), contrast, yaw_rad))

    def point(self) -> np.ndarray:
        """A random point [2] of the block."""
        west, south, east, north = self.ground.bounds
        for _ in range(30):
            xy = self.rng.uniform((west, south), (east, north))
            if self.ground.contains(Point(xy)):
                break
        return xy

    def place(
        self, length_m: float, width_m: float, yaw_rad: float = 0.0, tries: int = 12
    ) -> Rectangle | None:
        """A free rectangle of that size inside the block, lengthwise or across, `yaw_rad` off it; or None."""
        for _ in range(tries):
            place_yaw_rad = self.yaw_rad + yaw_rad + np.pi / 2 * self.rng.integers(2)
            place = Rectangle(*self.point(), float(place_yaw_rad), length_m, width_m)
            if self.ground.contains(Polygon(place.corners)) and self.taken.claim(place.corners):
                return place
        return None

    def fronts(self, setback_m: float, front_m: Range, gap_m: Range, depth_m: Range) -> Iterator[Rectangle]:
        """Free rectangles along the block's edge: their length is along the edge, their side 2 faces the street."""
        inner = self.ground.buffer(-setback_m).simplify(0.6)
        for piece in getattr(inner, "geoms", [inner]):
            if piece.is_empty or piece.geom_type != "Polygon":
                continue
            ring = (
                np.array(piece.exterior.normalize().coords)
                if piece.exterior.is_ccw
                else np.array(piece.exterior.coords)[::-1]
            )
            for start, end in zip(ring[:-1], ring[1:], strict=True):
                yield from self._along_edge(start, end, piece, front_m, gap_m, depth_m)

    def _along_edge(
        self,
        start: np.ndarray,
        end: np.ndarray,
        inside: Polygon,
        front_m: Range,
        gap_m: Range,
        depth_m: Range,
    ) -> Iterator[Rectangle]:
        length_m = float(np.linalg.norm(end - start))
        along = (end - start) / max(length_m, 1e-6)
        right = -left_of(along)
        is_on_right = inside.contains(Point((start + end) / 2 + 0.5 * right))
        inward = right if is_on_right else -right
        yaw_rad = yaw_of(along if is_on_right else -along)
        at_m = CORNER_M
        while at_m + front_m[0] < length_m:
            width_m = min(self.rng.uniform(*front_m), length_m - at_m)
            reach_m = self.rng.uniform(*depth_m)
            middle = start + (at_m + width_m / 2) * along + inward * reach_m / 2
            place = Rectangle(*middle.tolist(), yaw_rad, width_m, reach_m)
            if self.taken.claim(place.corners, NEIGHBOUR_SHRINK):
                yield place
            at_m += width_m + self.rng.uniform(*gap_m)

    def house(
        self, place: Rectangle, front: int = 2, storeys: int | None = None, wings: float = 0.3
    ) -> House:
        """Build a house on a rectangle, sometimes with a wing or a setback storey."""
        rng, palette, family = self.rng, self.palette, self.family
        storeys = storeys or int(rng.integers(family.storeys[0], family.storeys[1] + 1))
        storey_m = rng.uniform(2.6, 3.6)
        facade = int(palette.facades[rng.integers(len(palette.facades))])
        roof = str(rng.choice(family.roof_kinds))
        parts = [Part(place, storeys * storey_m + rng.uniform(0, 0.6), roof)]
        if rng.random() < wings:
            parts.append(self._wing(place, storeys * storey_m * rng.uniform(0.4, 0.9)))
        if roof == "flat" and storeys > 3 and rng.random() < 0.4:
            upper = beside(place, 0, 0, place.length_m * 0.75, place.width_m * 0.7)
            parts.append(Part(upper, parts[0].height_m + storey_m, "flat"))
        wall = palette.wall()
        ribbed = bool(rng.random() < family.ribbed_share)
        house = House(
            tuple(parts), facade, int(rng.choice(family.ground_floors)), wall,
            np.clip(wall * rng.uniform(0.6, 1.4), 20, 245), palette.roof(), ribbed,
            float(rng.uniform(1.8, 4.2)), float(storey_m), front, bool(rng.random() < family.balcony_share),
            rng.uniform(30, 220, 3) if rng.random() < family.awning_share else None, int(rng.integers(1 << 30)),
        )  # fmt: skip
        self.plot.houses.append(house)
        return house

    def _wing(self, place: Rectangle, height_m: float) -> Part:
        """A wing at the back, which gives the house the shape of an L or a T."""
        length_m, reach_m = (
            place.length_m * self.rng.uniform(0.3, 0.5),
            place.width_m * self.rng.uniform(0.4, 0.8),
        )
        shift_m = self.rng.choice([-1, 0, 1]) * (place.length_m - length_m) / 2
        wing = beside(place, shift_m, -(place.width_m + reach_m) / 2 + 0.3, length_m, reach_m)
        self.taken.block(wing.corners)
        turned = Rectangle(wing.x_m, wing.y_m, wing.yaw_rad + np.pi / 2, reach_m, length_m)
        return Part(turned, height_m, str(self.rng.choice(self.family.roof_kinds)))

    def plant(
        self, xy_m: ArrayLike, shape: str | None = None, scale: float = 1.0, claim: bool = True
    ) -> bool:
        """Add a plant at (x, y) and return True; with `claim` only where its stem's place is free."""
        rng = self.rng
        x_m, y_m = (float(v) for v in xy_m)
        stem = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) + (x_m, y_m)
        if claim and not self.taken.claim(stem):
            return False
        shape = shape or str(rng.choice(self.palette.plants))
        radius_m, height_m = plant_size(rng, shape)
        self.plot.plants.append(
            Plant(
                x_m,
                y_m,
                shape,
                scale * radius_m,
                scale * height_m,
                self.palette.green(),
                int(rng.integers(1 << 20)),
            )
        )
        return True

    def scatter(self, per_100_m2: float, shape: str | None = None, scale: float = 1.0) -> None:
        """Add plants at random places of the block."""
        for _ in range(self.rng.poisson(per_100_m2 * self.ground.area / 100)):
            self.plant(self.point(), shape, scale)

    def fence(
        self, inset_m: float, height_m: float, rgb: ArrayLike, leafy: bool = False, thick_m: float = 0.15
    ) -> None:
        """Add a fence, wall or hedge with gaps along the block's edge."""
        ring = self.ground.buffer(-inset_m).simplify(0.8)
        for piece in getattr(ring, "geoms", [ring]):
            if piece.geom_type != "Polygon" or piece.is_empty:
                continue
            xy = np.array(piece.exterior.segmentize(9.0).coords)
            for start, end in zip(xy[:-1], xy[1:], strict=True):
                if self.rng.random() < 0.85:
                    self.wall(start, end, height_m * self.rng.uniform(0.9, 1.1), rgb, leafy, thick_m)

    def wall(
        self,
        start: np.ndarray,
        end: np.ndarray,
        height_m: float,
        rgb: ArrayLike,
        leafy: bool = False,
        thick_m: float = 0.15,
    ) -> None:
        """Add a straight piece of fence, wall or hedge where the ground is free."""
        along = np.asarray(end) - start
        place = Rectangle(
            *((np.asarray(start) + end) / 2).tolist(), float(np.arctan2(along[1], along[0])),
            float(np.linalg.norm(along)), thick_m,
        )  # fmt: skip
        if self.taken.claim(place.corners):
            self.plot.box(place, 0.0, height_m, rgb, leafy=leafy)

    def path(self, start: np.ndarray, end: np.ndarray, width_m: float, pattern: str, rgb: ArrayLike) -> None:
        """Lay a straight path over the existing ground."""
        line = LineString([start, end]).buffer(width_m / 2, cap_style="flat").intersection(self.ground)
        along = np.asarray(end) - start
        for piece in getattr(line, "geoms", [line]):
            if piece.geom_type == "Polygon" and not piece.is_empty:
                xy = np.array(piece.exterior.coords)
                self.lay(xy, pattern, rgb, 9.0, float(np.arctan2(along[1], along[0])))
                self.taken.block(xy)


def plant_size(rng: np.random.Generator, shape: str) -> tuple[float, float]:
    """Radius and height in metres."""
    limits = {
        "broad": ((2.0, 5.0), (5.0, 11.0)), "round": ((1.3, 2.8), (3.5, 7.0)), "column": ((0.7, 1.4), (5.0, 12.0)),
        "conifer": ((1.3, 2.8), (5.0, 13.0)), "palm": ((1.8, 3.0), (4.5, 10.0)), "bush": ((0.5, 1.6), (0.7, 2.2)),
        "bare": ((1.5, 3.0), (4.0, 9.0)), "pine": ((2.0, 3.6), (7.0, 13.0)), "weeping": ((2.0, 4.0), (4.0, 8.0)),
    }[shape]  # fmt: skip
    return tuple(float(rng.uniform(*pair)) for pair in limits)
