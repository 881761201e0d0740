"""The upright objects of a scene raised from an aerial photo: those that the photo shows, and new ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import cv2
import numpy as np

from xview_localizer.simulation.layout import Box, Building, Car, Rectangle, Tree
from xview_localizer.simulation.mesh import (
    Material,
    MeshBuilder,
    add_box,
    add_building,
    add_car,
    add_tree,
)
from xview_localizer.simulation.photo import SCENE_M
from xview_localizer.simulation.segmentation import Crown, Segments, crown_mask, mask_of

CAR_STAYS_SHARE = 0.35  # of the photo's cars that the camera sees too
_DRAPED = {Material.ROOF: Material.DRAPED_ROOF, Material.FOLIAGE: Material.DRAPED_FOLIAGE}


class DrapedBuilder(MeshBuilder):
    """A builder that gives roofs and foliage the photo's colours within `draped`."""

    def __init__(self) -> None:
        super().__init__()
        self._drapes = False

    @contextmanager
    def draped(self) -> Iterator[None]:
        """Give what is added meanwhile the photo's colours."""
        self._drapes = True
        yield
        self._drapes = False

    def add(self, triangles, material, rgb, parameters=(0.0, 0.0)) -> None:
        """See MeshBuilder.add."""
        super().add(triangles, _DRAPED.get(material, material) if self._drapes else material, rgb, parameters)


def raise_segments(builder: DrapedBuilder, segments: Segments, rng: np.random.Generator) -> None:
    """Add the photo's roofs as houses and its crowns as trees, in the photo's colours."""
    storeys = int(rng.integers(1, 5))
    palette = rng.uniform(95, 225, (4, 1)) + rng.normal(0, 1, (4, 3)) * (16, 9, 16)
    flat_share, slender = rng.uniform(0.3, 1.0), rng.uniform(0.8, 1.9)
    for roof in segments.roofs:
        storey_m = rng.uniform(2.6, 3.4)
        small = min(roof.length_m, roof.width_m) < 6.0
        long_way = roof
        if roof.width_m > roof.length_m:  # ridges run along the longer side
            long_way = Rectangle(roof.x_m, roof.y_m, roof.yaw_rad + np.pi / 2, roof.width_m, roof.length_m)
        building = Building(
            (long_way,), (1 if small else max(1, storeys + int(rng.integers(-1, 2)))) * storey_m,
            bool(rng.random() < flat_share), palette[rng.integers(4)] + rng.normal(0, 6, 3),
            np.array([120.0, 110.0, 105.0]), rng.uniform(1.6, 3.6), storey_m,
        )  # fmt: skip
        with builder.draped():
            add_building(builder, building, rng)
    for crown in segments.crowns:
        _grow(builder, crown, slender, rng)


def _grow(builder: DrapedBuilder, crown: Crown, slender: float, rng: np.random.Generator) -> None:
    """Add a tree under a crown; under a small one, a bush that reaches the ground."""
    radius_m = 1.2 * crown.radius_m
    bush = crown.radius_m < 1.1
    trunk_m = 0.0 if bush else rng.uniform(1.2, 3.2)
    height_m = radius_m * (rng.uniform(0.7, 1.5) if bush else slender * rng.uniform(0.7, 1.3))
    tree = Tree(crown.x_m, crown.y_m, trunk_m, radius_m, height_m, np.array([80.0, 95.0, 60.0]))
    with builder.draped():
        add_tree(builder, tree, rng)


def place_new(
    builders: tuple[MeshBuilder, ...], segments: Segments, picture: np.ndarray, rng: np.random.Generator
) -> None:
    """Add poles, trees and a few houses that the photo does not show, the same to all builders."""
    grid, taken = segments.grid, ~_open_ground(segments)
    clear_m = cv2.distanceTransform((~taken).astype(np.uint8), cv2.DIST_L2, 5) * grid.spacing_m
    leaf = _leaf_colour(segments, picture)

    def free_place(clearance_m: float) -> np.ndarray | None:
        for _ in range(20):
            xy_m = rng.uniform(-0.42, 0.42, 2) * SCENE_M
            u, v = np.floor(grid.uv_from_xy(xy_m)).astype(int)
            if clear_m[v, u] > clearance_m and np.hypot(*xy_m) > clearance_m + 3.0:
                return xy_m
        return None

    def build(add, thing) -> None:
        seed = int(rng.integers(2**31))
        for builder in builders:
            add(builder, thing, *(() if add is add_box else (np.random.default_rng(seed),)))

    houses, trees, poles = (int(rng.integers(0, most)) for most in (4, 14, 14))
    for _ in range(houses):
        size_m = rng.uniform(7, 14, 2)
        if (xy_m := free_place(float(np.hypot(*size_m)) / 2 + 1.0)) is not None:
            place = Rectangle(*xy_m.tolist(), rng.uniform(0, np.pi), float(size_m.max()), float(size_m.min()))
            build(add_building, Building(
                (place,), float(rng.uniform(3, 9)), bool(rng.random() < 0.4),
                rng.uniform(95, 225) + rng.normal(0, 12, 3), rng.uniform(60, 185) + rng.normal(0, 14, 3),
                float(rng.uniform(1.6, 3.6)), 3.0,
            ))  # fmt: skip
    for _ in range(trees):
        radius_m = float(rng.uniform(1.2, 3.5))
        if (xy_m := free_place(radius_m)) is not None:
            height_m = radius_m * rng.uniform(0.8, 1.8)
            build(
                add_tree,
                Tree(*xy_m, rng.uniform(1.6, 3), radius_m, height_m, leaf + rng.normal(0, 8, 3)),
            )
    for _ in range(poles):
        if (xy_m := free_place(0.5)) is not None:
            build(
                add_box,
                Box(
                    Rectangle(*xy_m.tolist(), 0.3, 0.16, 0.16),
                    rng.uniform(3, 8),
                    rng.uniform(60, 190) + rng.normal(0, 9, 3),
                ),
            )


def _open_ground(segments: Segments) -> np.ndarray:
    """Mask [H, W] of ground without crowns, roofs and wide paved areas, which are likely roads."""
    grid = segments.grid
    stands = mask_of(segments.roofs, grid, 1.0) | crown_mask(segments, 0.5)
    road = cv2.morphologyEx(segments.paved.astype(np.uint8), cv2.MORPH_OPEN, np.ones((13, 13), np.uint8)) > 0
    return ~(stands | road)


def _leaf_colour(segments: Segments, picture: np.ndarray) -> np.ndarray:
    small = cv2.resize(picture, segments.vegetation.shape[::-1], interpolation=cv2.INTER_AREA)
    if segments.vegetation.sum() < 50:
        return np.array([70.0, 90.0, 50.0])
    return np.median(small[segments.vegetation], axis=0).astype(float)


def park_cars(builder: MeshBuilder, segments: Segments, rng: np.random.Generator) -> None:
    """Add some of the photo's cars and new ones."""
    grid, paved = segments.grid, segments.paved
    places = [place for place in segments.cars if rng.random() < CAR_STAYS_SHARE]
    clear_m = cv2.distanceTransform(paved.astype(np.uint8), cv2.DIST_L2, 5) * grid.spacing_m
    for _ in range(int(rng.integers(0, 30))):
        xy_m = rng.uniform(-0.4, 0.4, 2) * SCENE_M
        u, v = np.floor(grid.uv_from_xy(xy_m)).astype(int)
        if clear_m[v, u] > 1.2:
            yaw_rad = line_direction(paved, v, u)
            places.append(
                Rectangle(*xy_m.tolist(), float(yaw_rad), rng.uniform(3.8, 5.2), rng.uniform(1.7, 2.0))
            )
    for place in places:
        rgb = rng.uniform(20, 235) + rng.normal(0, 25, 3) * (rng.random() < 0.4)
        sized = replace(place, length_m=max(place.length_m, 3.5), width_m=max(place.width_m, 1.6))
        add_car(builder, Car(sized, rng.uniform(1.4, 1.9), np.clip(rgb, 10, 245)))


def line_direction(mask: np.ndarray, row: int, column: int, reach: int = 26) -> float:
    """Direction (radians, east 0) of a mask's greatest extent around a pixel; 0 where too little of it is near."""
    window = mask[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
    rows, columns = np.nonzero(window)
    if len(rows) < 10:
        return 0.0
    values, vectors = np.linalg.eigh(np.cov(np.stack([columns, -rows]).astype(float)))
    return float(np.arctan2(vectors[1, -1], vectors[0, -1]))
