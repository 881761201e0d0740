"""Interpolated projection against projecting every pixel: as good as promised, at a fraction of the rays."""

import numpy as np
import pytest

from xview_localizer.geometry.camera import EquirectangularCamera, PinholeCamera
from xview_localizer.geometry.canonical_view import directions_of
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.smooth_projection import TOLERANCE_PX, project_raster

CAMERAS = {
    "pinhole": PinholeCamera(640, 480, 320.0, 320.0, 320.0, 240.0),
    "plumb_bob": PinholeCamera(
        1280, 720, 640.0, 640.0, 640.0, 360.0, "plumb_bob", (-0.28, 0.08, 0.0005, -0.0003, 0.0)
    ),
    "fisheye": PinholeCamera(
        1920, 1080, 700.0, 700.0, 960.0, 540.0, "equidistant", (0.02, -0.01, 0.003, -0.0005)
    ),
    "panorama": EquirectangularCamera(2048, 1024, 2048 / (2 * np.pi), 2048 / (2 * np.pi), 1024.0, 512.0),
}
ROWS, COLUMNS = 252, 363  # no multiple of the lattice's step
R_CAMERA = R_base_optical_from_rpy(0.02, 0.05, 0.1)


class CountingCamera:
    """Counts the rays that are projected."""

    def __init__(self, camera) -> None:
        self._camera, self.rays = camera, 0

    def project(self, rays):
        self.rays += len(rays)
        return self._camera.project(rays)


def rays_at(column, row):
    """All around, from 15° above the horizon to 45° below it."""
    azimuth_rad = np.pi - 2 * np.pi * column / COLUMNS
    return directions_of(azimuth_rad, np.radians(15) - np.radians(60) * row / ROWS) @ R_CAMERA


@pytest.mark.parametrize("name", CAMERAS)
def test_pixels_are_those_of_exact_projection(name):
    camera = CountingCamera(CAMERAS[name])
    uv, valid = project_raster(camera, rays_at, ROWS, COLUMNS)
    column, row = np.meshgrid(np.arange(COLUMNS) + 0.5, np.arange(ROWS) + 0.5)
    exact, seen = CAMERAS[name].project(rays_at(column.ravel(), row.ravel()))
    assert 0.1 < valid.mean() <= 1.0
    np.testing.assert_array_equal(valid.ravel(), seen)
    assert np.abs(uv.reshape(-1, 2) - exact)[seen].max() < 2 * TOLERANCE_PX
    assert np.all(uv[~valid] == 0)
    assert camera.rays < 0.4 * ROWS * COLUMNS


def test_an_area_outside_the_view_is_not_projected_pixel_by_pixel():
    backwards = R_base_optical_from_rpy(0.0, 0.0, np.pi)
    camera = CountingCamera(PinholeCamera(640, 480, 900.0, 900.0, 320.0, 240.0))
    _, valid = project_raster(
        camera,
        lambda column, row: directions_of(0.5 - column / COLUMNS, 0.2 - 0.2 * row / ROWS) @ backwards,
        ROWS,
        COLUMNS,
    )
    assert not valid.any()
    assert camera.rays < 0.2 * ROWS * COLUMNS
