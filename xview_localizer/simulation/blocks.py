"""What fills the blocks between a family's streets: houses, halls, lawns, car parks, fields, sites."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from shapely.geometry import LineString, Point, Polygon

from xview_localizer.simulation.elements import House, Part, Patch, Plant, Plot, Solid, Stroke
from xview_localizer.simulation.family import Palette
from xview_localizer.simulation.layout import Rectangle, beside

CELL_M = 0.5


class Occupancy:
    """Ground in use, as a raster: road (where no thing may stand) or built."""

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
        """Take a polygon, also where it leaves the town."""
        cv2.fillPoly(self._taken, [np.round((np.asarray(xy_m) + self._half_m) / CELL_M).astype(np.int32)], 1)

    def claim(self, xy_m: np.ndarray, shrink: float = 1.0) -> bool:
        """Take a polygon [N, 2] where it is free and inside the town; `shrink` < 1 lets neighbours touch."""
        xy_m = np.asarray(xy_m)
        middle = xy_m.mean(axis=0)
        found = self._mask(middle + shrink * (xy_m - middle))
        if found is None or self._taken[found[0]][found[1]].any():
            return False
        self.block(xy_m)
        return True


class Site:
    """One block to be filled: its ground, the town's habits and what is already there."""

    def __init__(self, ground: Polygon, palette: Palette, plot: Plot, taken: Occupancy) -> None:
        self.ground, self.palette, self.plot, self.taken = ground, palette, plot, taken
        self.rng, self.family = palette.rng, palette.family
        box = np.array(ground.minimum_rotated_rectangle.exterior.coords)[:3]
        sides = np.diff(box, axis=0)
        self.yaw_rad = float(np.arctan2(sides[0, 1], sides[0, 0]))

    def cover(self, pattern: str, rgb, contrast: float = 10.0) -> None:
        """Lay one ground all over the block."""
        self.lay(np.array(self.ground.exterior.coords)[:-1], pattern, rgb, contrast)

    def lay(self, xy_m, pattern: str, rgb, contrast: float = 10.0, yaw_rad: float | None = None) -> None:
        yaw_rad = self.yaw_rad if yaw_rad is None else yaw_rad
        self.plot.patches.append(Patch(np.asarray(xy_m), pattern, np.asarray(rgb, float), contrast, yaw_rad))

    def point(self) -> np.ndarray:
        """A point [2] of the block."""
        west, south, east, north = self.ground.bounds
        for _ in range(30):
            xy = self.rng.uniform((west, south), (east, north))
            if self.ground.contains(Point(xy)):
                break
        return xy

    def place(
        self, length_m: float, width_m: float, yaw_rad: float | None = None, tries: int = 12
    ) -> Rectangle | None:
        """A free rectangle of that size inside the block, or None."""
        for _ in range(tries):
            yaw = self.yaw_rad + (0 if yaw_rad is None else yaw_rad) + np.pi / 2 * self.rng.integers(2)
            place = Rectangle(*self.point(), float(yaw), length_m, width_m)
            if self.ground.contains(Polygon(place.corners)) and self.taken.claim(place.corners):
                return place
        return None

    def fronts(self, setback_m: float, least_m: float, most_m: float, gap_m: tuple[float, float], depth_m):
        """Free rectangles along the block's edge; length along the edge, side 2 faces the street."""
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
                yield from self._along_edge(start, end, piece, least_m, most_m, gap_m, depth_m)

    def _along_edge(self, start, end, inside, least_m, most_m, gap_m, depth_m):
        length_m = float(np.linalg.norm(end - start))
        along = (end - start) / max(length_m, 1e-6)
        right = np.array([along[1], -along[0]])
        if inside.contains(Point((start + end) / 2 + 0.5 * right)):
            inward = right
        else:
            inward = -right
        at_m = 0.2
        while at_m + least_m < length_m:
            front_m = min(self.rng.uniform(least_m, most_m), length_m - at_m)
            depth = self.rng.uniform(*depth_m)
            middle = start + (at_m + front_m / 2) * along + inward * depth / 2
            yaw = float(np.arctan2(*(along if inward @ right > 0 else -along)[::-1]))
            place = Rectangle(*middle.tolist(), yaw, front_m, depth)
            if self.taken.claim(place.corners, 0.86):
                yield place
            at_m += front_m + self.rng.uniform(*gap_m)

    def house(
        self, place: Rectangle, front: int = 2, storeys: int | None = None, wings: float = 0.3
    ) -> House:
        """Build on a rectangle, sometimes with a wing or a setback storey."""
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
        """A wing at the back that makes an L or a T of the house."""
        length_m, reach_m = (
            place.length_m * self.rng.uniform(0.3, 0.5),
            place.width_m * self.rng.uniform(0.4, 0.8),
        )
        shift_m = self.rng.choice([-1, 0, 1]) * (place.length_m - length_m) / 2
        wing = beside(place, shift_m, -(place.width_m + reach_m) / 2 + 0.3, length_m, reach_m)
        self.taken.block(wing.corners)
        turned = Rectangle(wing.x_m, wing.y_m, wing.yaw_rad + np.pi / 2, reach_m, length_m)
        return Part(turned, height_m, str(self.rng.choice(self.family.roof_kinds)))

    def plant(self, xy_m, shape: str | None = None, scale: float = 1.0, claim: bool = True) -> bool:
        """A plant of the town's shapes at (x, y), if its stem's place is free."""
        rng = self.rng
        x, y = (float(v) for v in xy_m)
        stem = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) + (x, y)
        if claim and not self.taken.claim(stem):
            return False
        shape = shape or str(rng.choice(self.palette.plants))
        radius_m, height_m = plant_size(rng, shape)
        self.plot.plants.append(
            Plant(
                x,
                y,
                shape,
                scale * radius_m,
                scale * height_m,
                self.palette.green(),
                int(rng.integers(1 << 20)),
            )
        )
        return True

    def scatter(self, per_100_m2: float, shape: str | None = None, scale: float = 1.0) -> None:
        """Plants all over the block."""
        for _ in range(self.rng.poisson(per_100_m2 * self.ground.area / 100)):
            self.plant(self.point(), shape, scale)

    def fence(self, inset_m: float, height_m: float, rgb, leafy: bool = False, thick_m: float = 0.15) -> None:
        """Along the block's edge, with gaps."""
        ring = self.ground.buffer(-inset_m).simplify(0.8)
        for piece in getattr(ring, "geoms", [ring]):
            if piece.geom_type != "Polygon" or piece.is_empty:
                continue
            xy = np.array(piece.exterior.segmentize(9.0).coords)
            for start, end in zip(xy[:-1], xy[1:], strict=True):
                if self.rng.random() < 0.85:
                    self.wall(start, end, height_m * self.rng.uniform(0.9, 1.1), rgb, leafy, thick_m)

    def wall(self, start, end, height_m: float, rgb, leafy: bool = False, thick_m: float = 0.15) -> None:
        """A straight piece of fence, wall or hedge."""
        along = np.asarray(end) - start
        place = Rectangle(
            *((np.asarray(start) + end) / 2).tolist(), float(np.arctan2(along[1], along[0])),
            float(np.linalg.norm(along)), thick_m,
        )  # fmt: skip
        if self.taken.claim(place.corners):
            self.plot.box(place, 0.0, height_m, rgb, leafy=leafy)

    def path(self, start, end, width_m: float, pattern: str, rgb) -> None:
        """A straight path over whatever is there."""
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
        "bare": ((1.5, 3.0), (4.0, 9.0)),
    }[shape]  # fmt: skip
    return tuple(float(rng.uniform(*pair)) for pair in limits)


def perimeter(site: Site) -> None:
    """Closed rows of houses around a courtyard with sheds, trees and paving."""
    rng, family = site.rng, site.family
    site.cover(*site.palette.open_ground if rng.random() < 0.5 else site.palette.paving)
    for place in site.fronts(
        site.palette.between(family.setback_m), *family.front_m, family.gap_m, family.depth_m
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
    for place in site.fronts(setback_m, *family.front_m, family.gap_m, family.depth_m):
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
            angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)
            ring = np.column_stack([np.cos(angle), np.sin(angle)]) * at.length_m / 2 + (at.x_m, at.y_m)
            site.plot.solids.append(
                Solid(ring, 0.7, 0.85, np.array([40, 90, 170.0]), np.array([35, 36, 40.0]))
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
            shift = left * np.array([-along[1], along[0]])
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
            angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)
            ring = np.column_stack([np.cos(angle), np.sin(angle)]) * rng.uniform(0.8, 1.7) + (
                place.x_m,
                place.y_m,
            )
            site.plot.solids.append(
                Solid(
                    ring,
                    0,
                    rng.uniform(2.5, 8),
                    rgb * 0 + rng.uniform(120, 225),
                    rgb * 0 + rng.uniform(120, 225),
                )
            )
        else:
            height_m = {"container": 2.6, "pallets": 1.3, "pipes": 0.8, "skip": 1.4}[kind] * (
                1 + (rng.random() < 0.25)
            )
            site.plot.box(place, 0, height_m, rgb, np.clip(rgb * 1.15, 0, 245), ripple=kind == "container")


def lawn(site: Site) -> None:
    """Mown grass with paths across, plazas, irregular buildings, lamps, benches and courts."""
    rng = site.rng
    pattern, rgb = site.palette.open_ground
    site.cover(pattern if rng.random() < 0.5 else "mown", rgb, 11)
    for _ in range(int(rng.integers(0, 3))):
        place = site.place(rng.uniform(14, 38), rng.uniform(9, 18), yaw_rad=rng.choice([0.0, 0.5]))
        if place:
            site.house(place, -1, wings=0.8)
    paving, colour = site.palette.paving
    for _ in range(int(rng.integers(2, 6))):
        start, end = site.point(), site.point()
        along = (end - start) / max(np.linalg.norm(end - start), 1e-3)
        site.path(start - 60 * along, end + 60 * along, rng.uniform(1.4, 3.6), paving, colour)
        for at in np.arange(0, np.linalg.norm(end - start), rng.uniform(9, 18)):
            side = start + at * along + 2.4 * np.array([-along[1], along[0]])
            if rng.random() < 0.7 and site.ground.contains(Point(side)):
                site.plant(side) if rng.random() < 0.6 else _lamp(site, side)
    court(site)
    site.scatter(0.35)
    site.scatter(0.2, "bush")


def _lamp(site: Site, xy_m) -> None:
    if site.taken.claim(Rectangle(*xy_m, 0, 0.6, 0.6).corners):
        site.plot.box(Rectangle(*xy_m, 0.0, 0.14, 0.14), 0, 4.0, (60, 62, 66))
        site.plot.box(Rectangle(*xy_m, 0.3, 0.5, 0.5), 4.0, 4.3, (215, 215, 205))


def court(site: Site) -> None:
    """A painted sports court or a playground, where there is room."""
    rng = site.rng
    place = site.place(rng.uniform(14, 28), rng.uniform(8, 15))
    if place is None:
        return
    site.lay(
        place.corners,
        "concrete" if rng.random() < 0.5 else "asphalt",
        rng.uniform([50, 50, 40], [190, 140, 160]),
        5,
    )
    for share in (0.94, 0.5):
        ring = beside(place, 0, 0, place.length_m * 0.94, place.width_m * share).corners
        site.plot.strokes.append(Stroke(np.vstack([ring, ring[:1]]), 0.1))
    half = beside(place, 0, 0, 0.05, place.width_m * 0.94).corners
    site.plot.strokes.append(Stroke(half[[0, 3]], 0.1))
    for side in (-1, 1):
        goal = beside(place, side * place.length_m * 0.47, 0, 0.4, 2.5)
        site.plot.box(goal, 1.6, 2.6, (215, 215, 215))
        site.plot.box(beside(goal, 0, 0, 0.2, 0.2), 0, 2.6, (90, 90, 95))


def plaza(site: Site) -> None:
    """Paving with bands and fields of other stones, planters, kiosks, trees in rows and a fountain."""
    rng = site.rng
    pattern, rgb = site.palette.paving
    site.cover(pattern, rgb, 9)
    band = np.clip(rgb * rng.choice([0.6, 0.75, 1.25]), 20, 240)
    size_m = np.sqrt(site.ground.area)
    for shift in np.arange(-size_m, size_m, rng.uniform(4, 12)):
        for turn in (0.0, np.pi / 2)[: int(rng.integers(1, 3))]:
            direction = np.array([np.cos(site.yaw_rad + turn), np.sin(site.yaw_rad + turn)])
            middle = np.array(site.ground.centroid.coords[0]) + shift * np.array(
                [-direction[1], direction[0]]
            )
            line = LineString([middle - 2 * size_m * direction, middle + 2 * size_m * direction]).buffer(
                rng.uniform(0.2, 0.5)
            )
            piece = line.intersection(site.ground)
            if piece.geom_type == "Polygon" and not piece.is_empty:
                site.lay(np.array(piece.exterior.coords), "setts", band)
    for _ in range(int(site.ground.area / 90)):
        size = rng.uniform(1.2, 3.5)
        place = site.place(size, rng.uniform(1.0, size), tries=2)
        if place is None:
            continue
        if rng.random() < 0.6:  # a planter
            site.plot.box(place, 0, rng.uniform(0.4, 0.8), rgb * 0.8, (80, 66, 50))
            site.plant((place.x_m, place.y_m), None if rng.random() < 0.5 else "bush", 0.8, claim=False)
        else:
            site.plot.box(place, 0, rng.uniform(0.45, 2.7), rng.uniform(40, 220, 3))
    site.scatter(0.5)


def parking(site: Site) -> None:
    """Rows of painted bays with islands of trees, trolley shelters, and a shop like a box."""
    rng = site.rng
    pattern, rgb = site.palette.road
    site.cover(pattern, rgb, 7)
    shop = site.place(rng.uniform(20, 40), rng.uniform(14, 22))
    if shop:
        site.house(shop, int(rng.integers(4)), storeys=int(rng.integers(1, 3)), wings=0.6)
    direction = np.array([np.cos(site.yaw_rad), np.sin(site.yaw_rad)])
    left = np.array([-direction[1], direction[0]])
    middle = np.array(site.ground.centroid.coords[0])
    reach_m = 0.75 * np.sqrt(site.ground.area)
    bay_m, slant = rng.uniform(2.3, 2.9), rng.choice([0.0, 0.0, 0.5])
    for row, across in enumerate(np.arange(-reach_m, reach_m, rng.uniform(7.6, 8.6))):
        for forward in np.arange(-reach_m, reach_m, bay_m):
            foot = middle + forward * direction + across * left
            end = foot + 4.8 * left + slant * 4.8 * direction
            bay = Rectangle(
                *((foot + end) / 2 + bay_m / 2 * direction).tolist(),
                site.yaw_rad + np.pi / 2 - np.arctan(slant),
                4.6,
                1.9,
            )
            if not site.ground.contains(Polygon(bay.corners)) or not site.taken.claim(bay.corners):
                continue
            site.plot.strokes.append(Stroke(np.stack([foot, end]), 0.12))
            luck = rng.random()
            if luck < 0.06:  # an island
                site.lay(bay.corners, "leaves", site.palette.green() * 1.1, 16)
                site.plant((bay.x_m, bay.y_m), claim=False)
            elif luck < 0.1:
                site.plot.strokes.append(
                    Stroke(
                        bay.corners * 0.8 + 0.2 * np.array([bay.x_m, bay.y_m]),
                        0.0,
                        tuple(rng.choice([[60, 100, 180], [210, 170, 60], [70, 150, 90]])),
                    )
                )
            elif luck < 0.12:
                site.plot.box(beside(bay, 0, 0, 4, 1.9), 1.9, 2.2, (170, 190, 200))
                site.plot.box(beside(bay, 0, 0, 3, 0.2), 0, 1.9, (120, 125, 130))
            else:
                site.plot.car_slots.append(bay)
        if row % 3 == 0:
            for forward in np.arange(-reach_m, reach_m, 22.0):
                spot = middle + forward * direction + (across - 0.5) * left
                if site.ground.contains(Point(spot)):
                    _lamp(site, spot)
    site.fence(0.8, rng.uniform(0.5, 1.1), site.palette.green(), True, 0.8)


def fields(site: Site) -> None:
    """Parcels of crops between stone walls, hedges and ditches, with barns and lone trees."""
    rng = site.rng
    west, south, east, north = site.ground.bounds
    turn = site.yaw_rad
    site.cover(*site.palette.open_ground, 13)
    length_m = rng.uniform(25, 60)
    for forward in np.arange(-1.5 * (east - west), 1.5 * (east - west), length_m):
        strip = Rectangle(
            0.5 * (west + east) + forward * np.cos(turn),
            0.5 * (south + north) + forward * np.sin(turn),
            turn,
            length_m - 1.5,
            400.0,
        )
        piece = Polygon(strip.corners).intersection(site.ground.buffer(-1.5))
        if piece.geom_type != "Polygon" or piece.is_empty:
            continue
        rgb = rng.uniform([95, 85, 45], [190, 160, 100]) * rng.uniform(0.7, 1.1)
        pattern = str(rng.choice(["crop", "crop", "meadow", "soil", "grass"]))
        site.lay(
            np.array(piece.exterior.coords),
            pattern,
            rgb,
            rng.uniform(5, 18),
            turn + rng.choice([0, np.pi / 2]),
        )
        if rng.random() < 0.4:
            edge = np.array(piece.exterior.segmentize(8.0).coords)
            leafy = bool(rng.random() < 0.5)
            for start, end in zip(edge[:-1], edge[1:], strict=True):
                if rng.random() < 0.7:
                    site.wall(
                        start,
                        end,
                        rng.uniform(0.7, 1.8),
                        site.palette.green() if leafy else rng.uniform(105, 160),
                        leafy,
                        0.8 if leafy else 0.5,
                    )
    for _ in range(int(rng.integers(0, 4))):
        barn = site.place(rng.uniform(10, 22), rng.uniform(7, 11), yaw_rad=rng.uniform(0, 3))
        if barn:
            site.lay(
                beside(barn, 0, 0, barn.length_m + 9, barn.width_m + 9).corners, "gravel", (160, 148, 128)
            )
            site.house(barn, int(rng.integers(4)), wings=0.5)
    for _ in range(rng.poisson(site.ground.area / 500)):  # bales, troughs, stacks of wood
        site_place = site.place(rng.uniform(1.2, 3), 1.3, tries=2)
        if site_place:
            site.plot.box(
                site_place,
                0,
                rng.uniform(0.8, 1.5),
                rng.choice([[205, 180, 120], [225, 228, 225], [110, 84, 62]]),
            )
    site.scatter(0.15)
    site.scatter(0.15, "bush")


def woods(site: Site) -> None:
    """Trees over leaf litter, clearings and paths."""
    rng = site.rng
    site.cover("leaves", site.palette.green() * rng.uniform(0.7, 1.0) + (30, 16, 4), 16)
    for _ in range(int(rng.integers(1, 4))):
        site.path(site.point(), site.point(), rng.uniform(1.0, 2.2), "soil", (142, 122, 96))
    site.scatter(rng.uniform(1.2, 2.6))
    site.scatter(1.0, "bush")


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
        site.palette.between(family.setback_m), *family.front_m, family.gap_m, family.depth_m
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
        end = start + rng.uniform(6, 16) * np.array([np.cos(turn), np.sin(turn)])
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


Filler = Callable[[Site], None]
FILLERS: dict[str, Filler] = {
    "perimeter": perimeter, "detached": detached, "halls": halls, "lawn": lawn, "plaza": plaza, "parking": parking,
    "fields": fields, "woods": woods, "works": works, "compounds": compounds, "towers": towers,
}  # fmt: skip
