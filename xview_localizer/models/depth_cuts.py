"""The cuts of a view that a separate depth network receives: perspective images, or one panorama."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.camera import CameraModel, EquirectangularCamera, PinholeCamera
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.ground_view import LevelView
from xview_localizer.models.contracts import GroundCells
from xview_localizer.models.depth_package import PANORAMA, DepthInput

# Least overlap of neighbouring cuts, by which their scales are compared; half of a cut where that is less.
OVERLAP_RAD = float(np.radians(15.0))
# A remainder of the view's width up to this is not worth another run of the network.
UNSEEN_RAD = float(np.radians(10.0))


@dataclass(frozen=True)
class Cut:
    """One image for the network: a virtual camera and its rotation in the level frame."""

    camera: CameraModel
    R_level_cut: np.ndarray  # [3, 3]

    def rays_level(self) -> np.ndarray:
        """Rays [rows, columns, 3] through its pixels, in the level frame."""
        column, row = np.meshgrid(np.arange(self.camera.width) + 0.5, np.arange(self.camera.height) + 0.5)
        rays = self.camera.rays(np.column_stack([column.ravel(), row.ravel()]))
        return (rays @ self.R_level_cut.T).reshape(self.camera.height, self.camera.width, 3)

    def axis_cosine(self, rays_level: np.ndarray) -> np.ndarray:
        """Cosine between rays [..., 3] and the optical axis."""
        return rays_level @ self.R_level_cut[:, 2]


def cuts_of(view: LevelView, cells: GroundCells, image: DepthInput, metric: bool) -> list[Cut]:
    """The cuts that show the valid cells: a panorama, or as many perspective ones as the view's width needs.

    Perspective cuts have no roll and are pitched to the middle of the cells' elevations.
    """
    span_rad = view.camera.horizontal_fov_rad
    # A metric network was trained for one field of view; for other kinds the cut is no wider than the view.
    fov_rad = image.horizontal_fov_rad if metric else min(image.horizontal_fov_rad, span_rad)
    camera = input_camera(image, fov_rad)
    if image.projection == PANORAMA:
        return [Cut(camera, R_base_optical_from_rpy(0.0, 0.0, 0.0))]
    elevation_rad = np.arcsin(np.clip(cells.rays_level[cells.valid][:, 2], -1, 1))
    down_rad = -float(elevation_rad.min() + elevation_rad.max()) / 2
    axis = view.R_level_camera @ (0.0, 0.0, 1.0)
    ahead_rad = float(np.arctan2(axis[1], axis[0]))
    step_rad = fov_rad - min(OVERLAP_RAD, fov_rad / 2)
    if span_rad > 2 * np.pi - OVERLAP_RAD:
        count = int(np.ceil(2 * np.pi / step_rad))
        azimuths_rad = ahead_rad + np.arange(count) * 2 * np.pi / count
    else:
        beside_rad = max(span_rad - fov_rad, 0.0)  # the width that a single cut does not show
        count = 1 + int(np.ceil(max(beside_rad - UNSEEN_RAD, 0.0) / step_rad))
        azimuths_rad = ahead_rad + np.linspace(0.5, -0.5, count) * beside_rad if count > 1 else [ahead_rad]
    return [Cut(camera, R_base_optical_from_rpy(0.0, down_rad, float(azimuth))) for azimuth in azimuths_rad]


def input_camera(image: DepthInput, fov_rad: float) -> CameraModel:
    """The camera of the network's image; `fov_rad` is the horizontal field of view of a perspective one."""
    width, height = image.columns_px, image.rows_px
    if image.projection == PANORAMA:
        return EquirectangularCamera(
            width, height, width / (2 * np.pi), height / np.pi, width / 2, height / 2
        )
    focal_px = width / 2 / np.tan(fov_rad / 2)
    return PinholeCamera(width, height, focal_px, focal_px, width / 2, height / 2)
