"""Shapes of plants. Every shape has a few templates, made once, which are rotated and scaled."""

from __future__ import annotations

from functools import cache

import numpy as np
import trimesh

from xview_localizer.simulation.elements import Plant

TEMPLATES = 6  # of each shape
Triangles = np.ndarray


def plant_triangles(plant: Plant) -> list[tuple[Triangles, bool]]:
    """Triangles [F, 3, 3] of a plant in the town's frame, in groups that are bark (True) or foliage (False)."""
    turn_rad = 2.4 * plant.seed
    cos, sin = np.cos(turn_rad), np.sin(turn_rad)
    matrix = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
    scale = np.array([plant.radius_m, plant.radius_m, plant.height_m])
    shift = np.array([plant.x_m, plant.y_m, 0.0])
    parts = []
    for triangles, bark in _template(plant.shape, plant.seed % TEMPLATES):
        size = np.array([0.5 + 0.15 * plant.radius_m] * 2 + [plant.height_m]) if bark else scale
        parts.append(((triangles * size) @ matrix + shift, bark))
    return parts


def _blob(rng: np.random.Generator, centre, radii, fine: int = 1, rough: float = 0.2) -> Triangles:
    sphere = trimesh.creation.icosphere(fine)
    vertices = sphere.vertices * (1 + rough * rng.uniform(-1, 1, (len(sphere.vertices), 1)))
    return (vertices * radii + centre)[sphere.faces]


def _trunk(top: float) -> Triangles:
    trunk = trimesh.creation.cone(0.28, 1.0, sections=5)
    return (trunk.vertices * (1, 1, top))[trunk.faces]


@cache
def _template(shape: str, number: int) -> list[tuple[Triangles, bool]]:
    """A plant one metre high and one metre in radius."""
    rng = np.random.default_rng((number, 11))
    if shape == "bush":
        return [(_blob(rng, (0, 0, 0.42), (0.9, 0.9, 0.55)), False)]
    if shape == "column":
        return [(_trunk(0.4), True), (_blob(rng, (0, 0, 0.56), (0.8, 0.8, 0.46), 2, 0.25), False)]
    if shape == "conifer":
        layers = [(_trunk(0.6), True)]
        for share in (1.0, 0.75, 0.5):
            cone = trimesh.creation.cone(share, 0.5, sections=8)
            vertices = cone.vertices + 0.06 * rng.standard_normal(cone.vertices.shape)
            layers.append(((vertices + (0, 0, 0.12 + 0.75 * (1 - share)))[cone.faces], False))
        return layers
    if shape == "palm":
        return [(_trunk(1.3), True), (_fronds(rng), False)]
    if shape == "bare":
        return [(_trunk(1.1), True), (_twigs(rng), True)]
    if shape == "pine":  # a bare stem under a flat crown
        crown = [
            _blob(rng, (*rng.uniform(-0.45, 0.45, 2), rng.uniform(0.82, 0.9)), (0.6, 0.6, 0.1))
            for _ in range(5)
        ]
        return [(_trunk(1.0), True), (np.concatenate(crown), False)]
    if shape == "weeping":  # a crown that hangs down to the ground
        curtain = [
            _blob(rng, (*(0.7 * np.array([np.cos(a), np.sin(a)])), 0.38), (0.3, 0.3, 0.34), rough=0.3)
            for a in np.linspace(0, 2 * np.pi, 7, endpoint=False)
        ]
        return [
            (_trunk(0.8), True),
            (np.concatenate([_blob(rng, (0, 0, 0.75), (0.75, 0.75, 0.27)), *curtain]), False),
        ]
    spread = 0.45 if shape == "broad" else 0.25
    crown = [
        _blob(
            rng, (*(spread * rng.uniform(-1, 1, 2)), rng.uniform(0.5, 0.8)),
            (0.55, 0.55, rng.uniform(0.16, 0.24) if shape == "broad" else 0.25),
        )
        for _ in range(6)
    ]  # fmt: skip
    return [(_trunk(0.7), True), (np.concatenate(crown), False)]


def _fronds(rng: np.random.Generator) -> Triangles:
    """A crown of drooping leaves."""
    leaves = []
    for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False) + rng.uniform(-0.2, 0.2, 12):
        out, side = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        rise = rng.uniform(-0.02, 0.08)
        ribs = [(0.0, 0.94, 0.05), (0.5, 0.97 + rise, 0.16), (1.0, 0.8 + rise, 0.03)]
        left = [np.array([*(r * out - w * side), z]) for r, z, w in ribs]
        right = [np.array([*(r * out + w * side), z]) for r, z, w in ribs]
        for k in (0, 1):
            leaves += [[left[k], right[k], right[k + 1]], [left[k], right[k + 1], left[k + 1]]]
    return np.array(leaves)


def _twigs(rng: np.random.Generator) -> Triangles:
    """Branches as thin triangles."""
    twigs = []
    for _ in range(40):
        foot = np.array([0, 0, rng.uniform(0.3, 0.8)])
        angle = rng.uniform(0, 2 * np.pi)
        reach = rng.uniform(0.5, 1.6)
        tip = np.array(
            [reach * np.cos(angle), reach * np.sin(angle), min(1.0, foot[2] + rng.uniform(0.05, 0.35))]
        )
        width = 0.06 * np.array([-np.sin(angle), np.cos(angle), 0.0])
        twigs += [[foot - width, foot + width, tip], [foot - (0, 0, 0.03), foot + (0, 0, 0.03), tip]]
    return np.array(twigs)
