"""Views whose colours encode the depth, for depth networks that read it from them."""

import numpy as np

from xview_localizer.geometry.camera import EquirectangularCamera, PinholeCamera
from xview_localizer.geometry.canonical_view import directions
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.ground_view import LevelView
from xview_localizer.models.contracts import GroundCells

HEIGHT_M = 1.6
AHEAD = R_base_optical_from_rpy(0.0, 0.0, 0.0)
PANORAMIC_CAMERA = EquirectangularCamera(1024, 512, 1024 / (2 * np.pi), 512 / np.pi, 512.0, 256.0)
PINHOLE_CAMERA = PinholeCamera(640, 480, 320.0, 320.0, 320.0, 240.0)
WALL_M = 12.0  # a round wall about the camera, behind which nothing is seen


def true_range_m(rays_level):
    """Flat ground inside of a round wall."""
    down, across = -rays_level[..., 2], np.hypot(rays_level[..., 0], rays_level[..., 1])
    return np.minimum(HEIGHT_M / np.maximum(down, 1e-9), WALL_M / np.maximum(across, 1e-9))


def painted_view(camera, R_level_camera=AHEAD):
    """An image whose red is the inverse range (1 / m), and whose green grows round the horizon."""
    column, row = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    rays = camera.rays(np.column_stack([column.ravel(), row.ravel()])) @ R_level_camera.T
    red = np.clip(255 / true_range_m(rays), 0, 255)
    green = 255 * (np.arctan2(rays[:, 1], rays[:, 0]) + np.pi) / (2 * np.pi)
    image = np.stack([red, green, 0 * red], axis=-1).round().astype(np.uint8)
    return LevelView(image.reshape(camera.height, camera.width, 3), camera, R_level_camera, HEIGHT_M)


def cells_of(view):
    """A raster of cells from 15° above the horizon to 35° below it."""
    rays = directions(np.radians(np.arange(176, -180, -8.0)), np.radians(np.arange(14, -36, -3.0)))
    _, seen = view.camera.project(rays.reshape(-1, 3) @ view.R_level_camera)
    shape = rays.shape[:2]
    return GroundCells(rays, seen.reshape(shape), np.zeros((*shape, 1), np.float32), np.zeros(shape))
