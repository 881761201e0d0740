"""The plan view against projection by hand, and its coordinates against the rays they stand for."""

import numpy as np
import pytest

from xview_localizer.geometry.camera import camera_from_dict
from xview_localizer.geometry.canonical_view import ViewSpec, canonical_view, directions
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.plan_view import OUTSIDE, PlanSpec, plan_coordinates, plan_view
from xview_localizer.imaging import NO_DATA_RGB, render_views

PINHOLE = {
    "model": "pinhole", "width": 640, "height": 480, "fx": 320.0, "fy": 320.0, "cx": 320.0, "cy": 240.0,
    "distortion_model": "none", "d": [],
}  # fmt: skip
SPEC = PlanSpec()


def plan_image(image, camera, R, height_m):
    return render_views(image, canonical_view(camera, R, ViewSpec()), plan_view(camera, R, height_m, SPEC))[1]


def pixel_of(x_m: float, y_m: float) -> tuple[int, int]:
    """Row and column of a point (forward, left) on the plan."""
    per_m = SPEC.cell_px / SPEC.cell_m
    return int(SPEC.size_px / 2 - y_m * per_m), int(SPEC.size_px / 2 + x_m * per_m)


@pytest.mark.parametrize("pitch_deg", [0.0, 12.0])
def test_a_mark_on_the_ground_appears_where_it_lies(pitch_deg):
    height_m, x_m, y_m = 1.6, 6.0, -2.0
    R = R_base_optical_from_rpy(0.0, np.radians(pitch_deg), 0.0)
    camera = camera_from_dict(PINHOLE)
    uv, valid = camera.project(np.array([[x_m, y_m, -height_m]]) @ R)
    assert valid[0]
    image = np.full((480, 640, 3), 90, np.uint8)
    u, v = uv[0].astype(int)
    image[v - 3 : v + 4, u - 3 : u + 4] = 255
    plan = plan_image(image, camera, R, height_m)
    row, column = pixel_of(x_m, y_m)
    assert plan[row - 1 : row + 2, column - 1 : column + 2].max() > 200
    assert plan[pixel_of(x_m + 3, y_m)].max() < 100


def test_what_the_camera_does_not_see_is_no_data():
    R = R_base_optical_from_rpy(0.0, 0.0, 0.0)
    plan = plan_image(np.full((480, 640, 3), 255, np.uint8), camera_from_dict(PINHOLE), R, 1.6)
    behind = plan[pixel_of(-8.0, 0.0)]
    np.testing.assert_array_equal(behind, NO_DATA_RGB)
    assert plan[pixel_of(8.0, 0.0)].min() > 250


def test_coordinates_are_where_the_rays_meet_the_ground():
    azimuth_rad, elevation_rad, height_m = np.linspace(2.0, -2.0, 9), np.radians([-40.0, -15.0, -6.0]), 1.9
    got = plan_coordinates(azimuth_rad, elevation_rad, height_m, SPEC)
    rays = directions(azimuth_rad, elevation_rad)
    ground_m = rays[..., :2] * (height_m / -rays[..., 2:])
    np.testing.assert_allclose(got, ground_m * (1, -1) / SPEC.half_extent_m, atol=1e-9)


def test_sky_and_far_ground_lie_off_the_plan():
    got = plan_coordinates(np.zeros(3), np.radians([20.0, 0.0, -1.0]), 1.6, SPEC)
    assert np.all(got == OUTSIDE)
