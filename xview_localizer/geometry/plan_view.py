"""The plan view: the ground around the camera as seen from above, were it level and flat.

Markings, joints and kerbs look alike here and in the aerial image, at any distance; in the canonical view
their size and shape change with every row. Upright objects are smeared outwards, which the network learns to
ignore. North-up conventions hold with the level frame's x as east: columns grow forward, rows to the right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.camera import CameraModel
from xview_localizer.geometry.smooth_projection import project_raster

# Flatter rays meet the ground beyond the plan.
MIN_DEPRESSION_RAD = float(np.radians(2.0))
OUTSIDE = 2.0  # plan coordinate of cells that are not on the plan
# Near the camera the image is finer than the plan, so the plan is sampled twice as densely and averaged.
SUPERSAMPLING = 2


@dataclass(frozen=True)
class PlanSpec:
    """A square of `cells`² cells around the camera, at the aerial encoder's resolution."""

    cells: int = 40
    cell_m: float = 1.2
    cell_px: int = 7

    @property
    def half_extent_m(self) -> float:
        return self.cells * self.cell_m / 2

    @property
    def size_px(self) -> int:
        return self.cells * self.cell_px


@dataclass(frozen=True)
class PlanView:
    """`source_uv` [S, S, 2] are camera pixels of a raster of `SUPERSAMPLING` times the plan's resolution,
    `valid` [S, S] whether the camera sees them."""

    spec: PlanSpec
    source_uv: np.ndarray
    valid: np.ndarray


def plan_view(
    camera: CameraModel, R_level_camera: np.ndarray, camera_height_m: float, spec: PlanSpec
) -> PlanView:
    """The pixels of `camera` that the plan's points are seen at; `R_level_camera` [3, 3] levels its rays."""
    side = SUPERSAMPLING * spec.size_px
    pixel_m = 2 * spec.half_extent_m / side

    def rays_at(column: np.ndarray, row: np.ndarray) -> np.ndarray:
        x_m, y_m = column * pixel_m - spec.half_extent_m, spec.half_extent_m - row * pixel_m
        points = np.stack([x_m, y_m, np.full_like(x_m, -camera_height_m)], axis=-1)
        return points @ R_level_camera  # = R_level_camera.T @ point

    return PlanView(spec, *project_raster(camera, rays_at, side, side))


def plan_coordinates(
    azimuth_rad: np.ndarray, elevation_rad: np.ndarray, camera_height_m: float, spec: PlanSpec
) -> np.ndarray:
    """Plan coordinates [rows, columns, 2], (right, down) in [-1, 1], at which the canonical view's cells meet flat
    ground; `OUTSIDE` where they do not."""
    down = -elevation_rad > MIN_DEPRESSION_RAD
    distance_m = camera_height_m / np.tan(np.where(down, -elevation_rad, MIN_DEPRESSION_RAD))
    x = distance_m[:, None] * np.cos(azimuth_rad) / spec.half_extent_m
    y = -distance_m[:, None] * np.sin(azimuth_rad) / spec.half_extent_m
    inside = down[:, None] & (np.abs(x) < 1) & (np.abs(y) < 1)
    return np.where(inside[..., None], np.stack([x, y], axis=-1), OUTSIDE)
