"""The triangles of all upright objects, with their material parameters for the shader."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np
import trimesh

from xview_localizer.simulation.layout import Box, Building, Car, Rectangle, Tree


class Material(IntEnum):
    """What the shader makes of a triangle."""

    WALL = 0
    ROOF = 1
    FOLIAGE = 2
    BARK = 3
    CAR = 4
    GLASS = 5
    PLAIN = 6
    FACADE = 7
    SHEET = 8  # corrugated
    # Coloured by the aerial photo `drape` of the ground.
    DRAPED_ROOF = 9
    DRAPED_FOLIAGE = 10


# The ray caster needs at least one triangle; no ray meets this one.
_FAR_BELOW = np.array([[[0.0, 0.0, -50.0], [1.0, 0.0, -50.0], [0.0, 1.0, -50.0]]])
PARAMETERS = 7  # of the material that needs most, FACADE


@dataclass(frozen=True)
class Mesh:
    """F triangles: corners [F, 3, 3], unit normals [F, 3], material [F], colour [F, 3] and the shader's parameters.

    These, [F, PARAMETERS], are for WALL window pitch and storey height (0: no windows), for FACADE see facade.py.
    """

    triangles: np.ndarray
    normal: np.ndarray
    material: np.ndarray
    rgb: np.ndarray
    parameters: np.ndarray


class MeshBuilder:
    """Collects triangles."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, int, np.ndarray, tuple[float, ...]]] = []

    def add(self, triangles: np.ndarray, material: Material, rgb, parameters: tuple[float, ...] = ()) -> None:
        """Triangles [F, 3, 3] of one material and colour; see Mesh for its parameters."""
        self._parts.append(
            (
                np.asarray(triangles, np.float64),
                int(material),
                np.broadcast_to(np.asarray(rgb, np.float64), 3),
                parameters,
            )
        )

    def quad(self, corners: np.ndarray, material: Material, rgb, parameters: tuple[float, ...] = ()) -> None:
        """Four corners [4, 3] in order."""
        self.add(np.stack([corners[[0, 1, 2]], corners[[0, 2, 3]]]), material, rgb, parameters)

    def prism(
        self,
        base_xy_m: np.ndarray,
        bottom_m: float,
        top_m: float,
        material: Material,
        rgb,
        lid: Material,
        lid_rgb,
        parameters=(),
    ) -> None:
        """Walls and lid over a convex polygon [N, 2]."""
        low = np.column_stack([base_xy_m, np.full(len(base_xy_m), bottom_m)])
        high = np.column_stack([base_xy_m, np.full(len(base_xy_m), top_m)])
        for i in range(len(base_xy_m)):
            j = (i + 1) % len(base_xy_m)
            self.quad(np.stack([low[i], low[j], high[j], high[i]]), material, rgb, parameters)
        for i in range(1, len(base_xy_m) - 1):
            self.add(high[[0, i, i + 1]][None], lid, lid_rgb)

    def build(self) -> Mesh:
        """The mesh of all that was added, and of one triangle far below the ground."""
        self.add(_FAR_BELOW, Material.PLAIN, (0, 0, 0))
        counts = [len(part[0]) for part in self._parts]
        triangles = np.concatenate([part[0] for part in self._parts])
        normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        return Mesh(
            triangles,
            normal,
            np.repeat([part[1] for part in self._parts], counts),
            np.repeat([part[2] for part in self._parts], counts, axis=0),
            np.repeat(
                [part[3] + (0.0,) * (PARAMETERS - len(part[3])) for part in self._parts], counts, axis=0
            ),
        )


def add_building(builder: MeshBuilder, building: Building, rng: np.random.Generator) -> None:
    """Walls with windows under a flat or a gabled roof with eaves."""
    parameters = (building.window_pitch_m, building.storey_m)
    for number, part in enumerate(building.parts):
        height_m = building.height_m * (1.0 if number == 0 else 0.8)
        builder.prism(
            part.corners,
            0.0,
            height_m,
            Material.WALL,
            building.wall_rgb,
            Material.ROOF,
            building.roof_rgb,
            parameters,
        )
        if not building.flat_roof:
            _add_gabled_roof(builder, building, part, height_m, rng)
        elif rng.random() < 0.5:
            _add_machinery(builder, part, height_m)


def _add_machinery(builder: MeshBuilder, part: Rectangle, height_m: float) -> None:
    """Machinery on a flat roof: a block in its middle."""
    block = Rectangle(part.x_m, part.y_m, part.yaw_rad, part.length_m * 0.25, part.width_m * 0.2)
    plain, side_rgb, top_rgb = Material.PLAIN, (150, 150, 150), (170, 170, 170)
    builder.prism(block.corners, height_m, height_m + 1.2, plain, side_rgb, plain, top_rgb)


def _add_gabled_roof(
    builder: MeshBuilder, building: Building, part: Rectangle, height_m: float, rng: np.random.Generator
) -> None:
    """A roof with eaves; its ends are walls, or slopes where the ridge is short."""
    eaves = Rectangle(part.x_m, part.y_m, part.yaw_rad, part.length_m + 0.8, part.width_m + 0.8).corners
    rise_m = part.width_m * rng.uniform(0.2, 0.4)
    hip = rng.uniform(0.0, 0.3)
    low = np.column_stack([eaves, np.full(4, height_m)])
    start, end = (eaves[0] + eaves[3]) / 2, (eaves[1] + eaves[2]) / 2
    ridge = np.stack(
        [
            np.append(start + hip * (end - start), height_m + rise_m),
            np.append(end - hip * (end - start), height_m + rise_m),
        ]
    )
    builder.quad(np.stack([low[0], low[1], ridge[1], ridge[0]]), Material.ROOF, building.roof_rgb)
    builder.quad(np.stack([low[2], low[3], ridge[0], ridge[1]]), Material.ROOF, building.roof_rgb)
    gable = (Material.ROOF, building.roof_rgb) if hip > 0.1 else (Material.WALL, building.wall_rgb)
    builder.add(np.stack([low[1], low[2], ridge[1]])[None], *gable)
    builder.add(np.stack([low[3], low[0], ridge[0]])[None], *gable)


@cache
def unit_sphere() -> trimesh.Trimesh:
    """A sphere of 320 triangles; shared, so callers must not modify it."""
    return trimesh.creation.icosphere(2)


def add_tree(builder: MeshBuilder, tree: Tree, rng: np.random.Generator) -> None:
    """A trunk and a crown: a few lumpy blobs, or a conifer's stacked cones."""
    trunk = Rectangle(tree.x_m, tree.y_m, 0.3, 0.3, 0.3)
    builder.prism(
        trunk.corners,
        0.0,
        tree.trunk_m + tree.crown_height_m * 0.5,
        Material.BARK,
        (85, 70, 58),
        Material.BARK,
        (85, 70, 58),
    )
    if tree.conifer:
        for share in (1.0, 0.72, 0.45):
            cone = trimesh.creation.cone(tree.crown_radius_m * share, tree.crown_height_m * 0.55, sections=9)
            foot_m = tree.trunk_m + (1 - share) * 0.8 * tree.crown_height_m
            vertices = cone.vertices + 0.08 * tree.crown_radius_m * rng.standard_normal(cone.vertices.shape)
            builder.add(
                vertices[cone.faces] + (tree.x_m, tree.y_m, foot_m),
                Material.FOLIAGE,
                tree.rgb + rng.normal(0, 6, 3),
            )
        return
    for _ in range(int(rng.integers(3, 6))):
        blob = unit_sphere()
        vertices = blob.vertices * (1 + 0.18 * rng.standard_normal((len(blob.vertices), 1)))
        radius = tree.crown_radius_m * rng.uniform(0.5, 0.75)
        vertices = vertices * (radius, radius, tree.crown_height_m * rng.uniform(0.35, 0.5))
        spread = (tree.crown_radius_m - radius) * rng.uniform(-1, 1, 2)
        centre_m = tree.trunk_m + tree.crown_height_m * rng.uniform(0.4, 0.65)
        vertices = vertices + (tree.x_m + spread[0], tree.y_m + spread[1], centre_m)
        builder.add(vertices[blob.faces], Material.FOLIAGE, tree.rgb + rng.normal(0, 6, 3))


def add_car(builder: MeshBuilder, car: Car) -> None:
    """Body, cabin of glass, dark sill."""
    place = car.place
    sill = Rectangle(place.x_m, place.y_m, place.yaw_rad, place.length_m * 0.94, place.width_m * 0.92)
    builder.prism(sill.corners, 0.0, 0.35, Material.PLAIN, (30, 30, 32), Material.PLAIN, (30, 30, 32))
    builder.prism(place.corners, 0.3, 0.58 * car.height_m, Material.CAR, car.rgb, Material.CAR, car.rgb)
    base = Rectangle(place.x_m, place.y_m, place.yaw_rad, place.length_m * 0.58, place.width_m * 0.9).corners
    roof = Rectangle(place.x_m, place.y_m, place.yaw_rad, place.length_m * 0.4, place.width_m * 0.78).corners
    low = np.column_stack([base, np.full(4, 0.58 * car.height_m)])
    high = np.column_stack([roof, np.full(4, car.height_m)])
    for i in range(4):
        j = (i + 1) % 4
        builder.quad(np.stack([low[i], low[j], high[j], high[i]]), Material.GLASS, (45, 52, 60))
    builder.quad(high, Material.CAR, car.rgb)


def add_box(builder: MeshBuilder, box: Box) -> None:
    """Fences, hedges and poles."""
    material = Material.FOLIAGE if box.leafy else Material.PLAIN
    builder.prism(box.place.corners, 0.0, box.height_m, material, box.rgb, material, box.rgb)
