"""Masked pixels are outside the camera's field of view."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xview_localizer.geometry.camera import EquirectangularCamera, PinholeCamera
from xview_localizer.geometry.canonical_view import ViewSpec, canonical_view
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.masked_camera import MaskedCamera

PINHOLE = PinholeCamera(320, 240, 160.0, 160.0, 160.0, 120.0)
PANORAMA = EquirectangularCamera(720, 360, 720 / (2 * np.pi), 360 / np.pi, 360.0, 180.0)
LEVEL = R_base_optical_from_rpy(0.0, 0.0, 0.0)


def lower_right_covered(camera):
    shows_world = np.ones((camera.height, camera.width), bool)
    shows_world[camera.height * 3 // 5 :, camera.width // 2 :] = False
    return shows_world


@settings(deadline=None)
@given(st.floats(0.0, 319.99), st.floats(0.0, 239.99))
def test_projection_shows_a_pixel_where_the_mask_is_white(u, v):
    masked = MaskedCamera(PINHOLE, lower_right_covered(PINHOLE))
    rays = PINHOLE.rays(np.array([[u, v]]))
    uv, seen = masked.project(rays)
    expected_uv, expected_seen = PINHOLE.project(rays)
    assert np.array_equal(uv, expected_uv)
    column, row = expected_uv[0].astype(int)
    assert seen[0] == (expected_seen[0] and masked.shows_world[row, column])


@pytest.mark.parametrize("camera", [PINHOLE, PANORAMA])
def test_cells_under_the_mask_are_invalid_and_the_others_as_before(camera):
    masked = MaskedCamera(camera, lower_right_covered(camera))
    before, after = (canonical_view(each, LEVEL, ViewSpec()) for each in (camera, masked))
    assert masked.horizontal_fov_rad == camera.horizontal_fov_rad
    assert np.array_equal(after.cell_azimuth_rad, before.cell_azimuth_rad)
    # A cell's middle in the image, by projecting its direction.
    uv, seen = camera.project(before.cell_directions.reshape(-1, 3) @ LEVEL)
    column, row = np.where(seen[:, None], uv, 0).astype(int).T
    edge_px = 0.04 * camera.width  # cells on the mask's edge are covered in part
    right, low = column - camera.width / 2, row - camera.height * 3 / 5
    under = (seen & (right > edge_px) & (low > edge_px)).reshape(before.cell_valid.shape)
    beside = (seen & ((right < -edge_px) | (low < -edge_px))).reshape(before.cell_valid.shape)
    assert before.cell_valid[under].any() and not after.cell_valid[under].any()
    assert np.array_equal(after.cell_valid[beside], before.cell_valid[beside])


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match="the mask has 320 × 200 px, but the camera's image 320 × 240"):
        MaskedCamera(PINHOLE, np.ones((200, 320), bool))
