"""Ray-cast rendering (Embree) with sun, sky and shadows: ground views and orthophotos of one scene."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.facade import facade_colour
from xview_localizer.simulation.ground import Ground, Surface
from xview_localizer.simulation.mesh import Material, Mesh

MAX_RANGE_M = 250.0
MIP_LEVELS = 5


@dataclass(frozen=True)
class Hits:
    """First hits of N rays: `range_m` [N] (inf = sky), `face` [N] (-1 = ground or sky), `on_ground` [N]."""

    range_m: np.ndarray
    face: np.ndarray
    on_ground: np.ndarray


class Scene:
    """A painted ground plane and a mesh, prepared for ray casting."""

    def __init__(self, ground: Ground, mesh: Mesh) -> None:
        self._mesh, self._ground = mesh, ground
        self._embree = rtcore_scene.EmbreeScene()
        self._triangles = TriangleMesh(
            self._embree, mesh.triangles.astype(np.float32)
        )  # Embree reads its memory
        self._mips = [ground.albedo]
        for _ in range(MIP_LEVELS - 1):
            self._mips.append(cv2.resize(self._mips[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))

    def cast(self, origin_m: np.ndarray, direction: np.ndarray) -> Hits:
        """First hits of rays [N, 3]."""
        found = self._embree.run(origin_m.astype(np.float32), direction.astype(np.float32), output=1)
        mesh_m = np.where(found["primID"] >= 0, found["tfar"].astype(np.float64), np.inf)
        down = direction[:, 2] < -1e-4
        ground_m = np.where(down, origin_m[:, 2] / np.where(down, -direction[:, 2], 1.0), np.inf)
        half_m = self._ground.grid.columns * self._ground.grid.spacing_m / 2
        where = origin_m[:, :2] + direction[:, :2] * np.where(np.isfinite(ground_m), ground_m, 0)[:, None]
        ground_m[(ground_m > MAX_RANGE_M) | (np.abs(where) >= half_m).any(axis=1)] = np.inf
        on_ground = ground_m < mesh_m
        range_m = np.where(on_ground, ground_m, mesh_m)
        return Hits(range_m, np.where(on_ground | ~np.isfinite(mesh_m), -1, found["primID"]), on_ground)

    def shade(
        self,
        origin_m: np.ndarray,
        direction: np.ndarray,
        hits: Hits,
        pixel_rad: float | np.ndarray,
        capture: Capture,
    ) -> np.ndarray:
        """Linear colour [N, 3] of the rays; `pixel_rad` is a pixel's angle, for the ground's anti-aliasing."""
        rgb = capture.sky(direction)
        solid = np.isfinite(hits.range_m)
        points = origin_m + direction * np.where(solid, hits.range_m, 0)[:, None]
        albedo = np.zeros_like(rgb)
        normal = np.tile([0.0, 0.0, 1.0], (len(rgb), 1))
        on = hits.on_ground
        grazing = np.maximum(-direction[on, 2], 0.02)
        footprint_m = hits.range_m[on] * np.broadcast_to(pixel_rad, len(rgb))[on] / np.sqrt(grazing)
        albedo[on] = self._ground_colour(points[on], footprint_m, capture)
        off = solid & ~on
        albedo[off], normal[off] = self._mesh_colour(points[off], hits.face[off], direction[off], capture)
        light = np.zeros_like(rgb)
        light[solid] = self._light(points[solid], normal[solid], capture)
        rgb[solid] = (albedo * light)[solid]
        if capture.wetness:
            # Schlick's approximation of water's reflectance; only the sky is mirrored.
            mirrored = direction[on] * (1.0, 1.0, -1.0)
            share = capture.wetness * (0.02 + 0.98 * (1 - np.clip(mirrored[:, 2], 0, 1)) ** 5)
            rgb[on] += 0.5 * share[:, None] * capture.sky(mirrored)
        haze = (1 - np.exp(-np.where(solid, hits.range_m, 0) / capture.visibility_m))[:, None]
        return np.where(solid[:, None], rgb * (1 - haze) + haze * capture.haze_rgb, rgb)

    def _ground_colour(self, points: np.ndarray, footprint_m: np.ndarray, capture: Capture) -> np.ndarray:
        grid = self._ground.grid
        level = np.clip(np.log2(np.maximum(0.7 * footprint_m / grid.spacing_m, 1.0)), 0, MIP_LEVELS - 1.001)
        uv = grid.uv_from_xy(points[:, :2])
        colour = np.zeros((len(points), 3))
        for k in range(MIP_LEVELS):
            weight = np.clip(1 - np.abs(level - k), 0, 1)
            chosen = weight > 0
            if chosen.any():
                at = (uv[chosen] / 2**k - 0.5).astype(np.float32)
                sampled = _sample(self._mips[k], at)
                colour[chosen] += weight[chosen, None] * sampled
        column = np.clip(uv[:, 0].astype(int), 0, grid.columns - 1)
        row = np.clip(uv[:, 1].astype(int), 0, grid.rows - 1)
        green = np.isin(self._ground.surface[row, column], (Surface.GRASS, Surface.FIELD))
        colour[green] *= capture.season_tint
        if capture.wetness:
            colour[~green] *= 1 - 0.4 * capture.wetness
        return colour

    def _mesh_colour(self, points, face, direction, capture: Capture) -> tuple[np.ndarray, np.ndarray]:
        mesh = self._mesh
        rgb, normal = mesh.rgb[face].copy(), mesh.normal[face]
        normal = np.where((np.einsum("ij,ij->i", normal, direction) > 0)[:, None], -normal, normal)
        material = mesh.material[face]
        grain = _hash_noise(points, 0.35) + 0.7 * _hash_noise(points, 1.7)
        rgb *= 1 + 0.05 * grain[:, None]

        wall = material == Material.WALL
        rgb[wall] = _facade(points[wall], normal[wall], rgb[wall], mesh.parameters[face[wall]])
        fronts = material == Material.FACADE
        if fronts.any():
            rgb[fronts] = facade_colour(
                points[fronts], normal[fronts], rgb[fronts], mesh.parameters[face[fronts]]
            )
        sheet = material == Material.SHEET
        if sheet.any():
            rgb[sheet] *= _ripple(points[sheet], normal[sheet])[:, None]
        roof = material == Material.ROOF
        rows = np.sin(points[roof, 2] * 18) * np.clip(1 - normal[roof, 2] ** 8, 0, 1)
        rgb[roof] *= (1 + 0.06 * rows + 0.08 * _hash_noise(points[roof], 0.8))[:, None]
        draped = np.isin(material, (Material.DRAPED_ROOF, Material.DRAPED_FOLIAGE))
        if draped.any():
            drape = self._ground.drape
            at = drape.grid.uv_from_xy(points[draped, :2]) - 0.5
            rgb[draped] = _sample(drape.image, at.astype(np.float32))
        leaf = np.isin(material, (Material.FOLIAGE, Material.DRAPED_FOLIAGE))
        speckle = 0.3 * _hash_noise(points[leaf], 0.12) + 0.25 * _hash_noise(points[leaf], 0.5)
        rgb[leaf] *= np.clip(1 + speckle, 0.25, 1.8)[:, None] * capture.season_tint
        if leaf.any():
            bump = np.stack([_hash_noise(points[leaf] + shift, 0.3) for shift in (0.0, 17.0, 41.0)], axis=1)
            bumped = normal[leaf] + 0.6 * bump
            normal[leaf] = bumped / np.linalg.norm(bumped, axis=1, keepdims=True)
        return rgb, normal

    def _light(self, points, normal, capture: Capture) -> np.ndarray:
        facing = np.einsum("ij,j->i", normal, capture.sun_direction)
        start = points + 0.02 * normal + 0.02 * capture.sun_direction
        toward = np.broadcast_to(capture.sun_direction, start.shape)
        blocked = (
            self._embree.run(
                start.astype(np.float32), np.ascontiguousarray(toward, np.float32), query="OCCLUDED"
            )
            >= 0
        )
        sun = np.where(blocked, 0.0, np.clip(facing, 0, None))
        return sun[:, None] * capture.sun_rgb + (0.65 + 0.35 * normal[:, 2:3]) * capture.ambient_rgb


def _sample(image: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Bilinear samples [N, 3] at pixels [N, 2] (cv2.remap takes 2-D maps of fewer than 32768 rows only)."""
    columns = 512
    rows = -(-len(uv) // columns)
    padded = np.zeros((rows * columns, 2), np.float32)
    padded[: len(uv)] = uv
    maps = padded.reshape(rows, columns, 2)
    sampled = cv2.remap(image, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return sampled.reshape(-1, 3)[: len(uv)].astype(np.float64)


def _hash_noise(points: np.ndarray, cell_m: float) -> np.ndarray:
    """Repeatable noise in [-1, 1], constant over cubes of `cell_m`; [N]."""
    cell = np.floor(points / cell_m).astype(np.int64)
    mixed = (cell[:, 0] * 73856093) ^ (cell[:, 1] * 19349663) ^ (cell[:, 2] * 83492791)
    mixed = (mixed ^ (mixed >> 13)) * 1274126177
    return ((mixed ^ (mixed >> 16)) & 0xFFFF) / 32767.5 - 1


def _ripple(points: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Brightness factors [N] of corrugated sheet: ribs down the slope or upright on a wall, and patches of rust."""
    across = points[:, 1] * normal[:, 0] - points[:, 0] * normal[:, 1]
    across /= np.maximum(np.linalg.norm(normal[:, :2], axis=1), 1e-3)
    return 1 + 0.14 * np.sign(np.sin(across * 2 * np.pi / 0.5)) + 0.1 * _hash_noise(points, 1.1)


def _facade(points, normal, rgb, parameters) -> np.ndarray:
    """Windows, doors and courses on walls."""
    along = points[:, 0] * -normal[:, 1] + points[:, 1] * normal[:, 0]
    pitch, storey = np.maximum(parameters[:, 0], 0.5), np.maximum(parameters[:, 1], 1.0)
    u, v = (along / pitch) % 1.0, (points[:, 2] / storey) % 1.0
    windows = (np.abs(u - 0.5) < 0.27) & (v > 0.3) & (v < 0.75) & (parameters[:, 0] > 0)
    frame = windows & ((np.abs(np.abs(u - 0.5) - 0.27) < 0.03) | (np.abs(v - 0.3) < 0.03))
    column = np.floor(along / pitch) * 7.0
    door = (points[:, 2] < 2.1) & (np.abs(u - 0.5) < 0.2) & (np.sin(column * 12.9898) > 0.75)
    lit = 0.5 + 0.5 * np.sin(column * 3.1 + np.floor(points[:, 2] / storey) * 5.7)
    course = np.where((points[:, 2] % 0.3) < 0.03, 0.9, 1.0)
    out = rgb * course[:, None]
    out[windows] = np.array([40, 48, 58]) + 60 * lit[windows, None]
    out[frame] = 215
    out[door] = rgb[door] * 0.4 + 25
    out[points[:, 2] < 0.4] *= 0.8
    return out
