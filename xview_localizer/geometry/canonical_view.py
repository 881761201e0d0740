"""The canonical view: every camera's image resampled to one gravity-levelled azimuth × elevation raster.

Lens, distortion, roll, pitch and image size are gone after this step, so one network serves all cameras.
Rows are elevations from top to bottom, columns are azimuths from left (positive) to right, both uniform.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.camera import CameraModel
from xview_localizer.geometry.pose import wrap_angle_rad
from xview_localizer.geometry.smooth_projection import project_raster

FULL_CIRCLE_RAD = 2 * np.pi
SEAM_RAD = 1e-3  # an image that lacks no more than this has the full circle


@dataclass(frozen=True)
class ViewSpec:
    """Resolution of the canonical view; part of a model package because the network was trained on it."""

    rows_px: int = 252
    top_elevation_rad: float = float(np.radians(15.5))
    rows_px_per_rad: float = float(4 / np.radians(1))
    columns_px_per_rad: float = float(4 / np.radians(1))
    max_columns_px: int = 560
    column_multiple_px: int = 14
    cell_rows_px: int = 7
    cell_columns_px: int = 14


@dataclass(frozen=True)
class CanonicalView:
    """Where each canonical pixel comes from and where each cell looks.

    `source_uv` [rows, columns, 2] are pixels of the camera image, `valid` [rows, columns] whether the
    camera sees them. Cells are blocks of `cell_rows_px` × `cell_columns_px` pixels; their directions are
    in the level frame.
    """

    spec: ViewSpec
    source_uv: np.ndarray
    valid: np.ndarray
    wraps: bool
    cell_azimuth_rad: np.ndarray  # [cell columns], left positive
    cell_elevation_rad: np.ndarray  # [cell rows], up positive
    cell_valid: np.ndarray  # [cell rows, cell columns]

    @property
    def cell_directions(self) -> np.ndarray:
        """Unit rays [cell rows, cell columns, 3] in the level frame (x forward, y left, z up)."""
        return directions(self.cell_azimuth_rad, self.cell_elevation_rad)


def directions(azimuth_rad: np.ndarray, elevation_rad: np.ndarray) -> np.ndarray:
    """Unit rays [len(elevation), len(azimuth), 3] of a levelled azimuth × elevation raster."""
    return directions_of(azimuth_rad, elevation_rad[:, None])


def directions_of(azimuth_rad: np.ndarray, elevation_rad: np.ndarray) -> np.ndarray:
    """Unit rays [..., 3] in the level frame; azimuth (left positive) and elevation (up positive) are broadcast."""
    cos_elevation = np.cos(elevation_rad)
    x, y = cos_elevation * np.cos(azimuth_rad), cos_elevation * np.sin(azimuth_rad)
    return np.stack([x, y, np.broadcast_to(np.sin(elevation_rad), x.shape)], axis=-1)


def spans_full_circle(camera: CameraModel) -> bool:
    """Whether the image wraps: its last column stands beside its first."""
    return camera.horizontal_fov_rad > FULL_CIRCLE_RAD - SEAM_RAD


def canonical_view(camera: CameraModel, R_level_camera: np.ndarray, spec: ViewSpec) -> CanonicalView:
    """Lay the canonical raster over what `camera` sees; `R_level_camera` [3, 3] levels optical-frame rays.

    A camera of horizontal field f gets `columns_px_per_rad * f` columns, at most `max_columns_px`.
    """
    span_rad = min(camera.horizontal_fov_rad, FULL_CIRCLE_RAD)
    wraps = spans_full_circle(camera)
    multiple = spec.column_multiple_px
    columns_px = int(
        np.clip(
            round(span_rad * spec.columns_px_per_rad / multiple) * multiple, multiple, spec.max_columns_px
        )
    )
    # A region of interest or a strip of a panorama need not have the optical axis in its middle.
    middle_rad = 0.0 if wraps else sum(camera.azimuth_range_rad) / 2
    middle = R_level_camera @ (np.sin(middle_rad), 0.0, np.cos(middle_rad))
    centre_rad = np.arctan2(middle[1], middle[0])
    left_rad = centre_rad + span_rad / 2

    def azimuth(column: np.ndarray) -> np.ndarray:
        return left_rad - column * span_rad / columns_px

    def elevation(row: np.ndarray) -> np.ndarray:
        return spec.top_elevation_rad - row / spec.rows_px_per_rad

    def rays_at(column: np.ndarray, row: np.ndarray) -> np.ndarray:
        rays_level = directions_of(azimuth(column), elevation(row))
        return rays_level @ R_level_camera  # = R_level_camera.T @ ray

    uv, valid = project_raster(camera, rays_at, spec.rows_px, columns_px)
    cell_rows, cell_columns = spec.rows_px // spec.cell_rows_px, columns_px // spec.cell_columns_px
    seen = valid.reshape(cell_rows, spec.cell_rows_px, cell_columns, spec.cell_columns_px).mean(axis=(1, 3))
    return CanonicalView(
        spec=spec,
        source_uv=uv,
        valid=valid,
        wraps=wraps,
        cell_azimuth_rad=wrap_angle_rad(azimuth((np.arange(cell_columns) + 0.5) * spec.cell_columns_px)),
        cell_elevation_rad=elevation((np.arange(cell_rows) + 0.5) * spec.cell_rows_px),
        cell_valid=seen > 0.5,
    )
