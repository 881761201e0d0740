"""The canonical raster: where its pixels come from, and where its cells look."""

import numpy as np
import pytest

from xview_localizer.geometry.camera import EquirectangularCamera, PinholeCamera
from xview_localizer.geometry.canonical_view import ViewSpec, canonical_view, directions, directions_of
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.pose import wrap_angle_rad

SPEC = ViewSpec(
    rows_px=84, top_elevation_rad=float(np.radians(12.0)),
    rows_px_per_rad=float(2 / np.radians(1)), columns_px_per_rad=float(1 / np.radians(1)), max_columns_px=280,
)  # fmt: skip
PANORAMA = EquirectangularCamera(720, 360, 720 / (2 * np.pi), 720 / (2 * np.pi), 360.0, 180.0)
AHEAD = R_base_optical_from_rpy(0.0, 0.0, 0.0)


def pinhole(hfov_deg, cx=320.0):
    f = 320.0 / np.tan(np.radians(hfov_deg) / 2)
    return PinholeCamera(640, 480, f, f, cx, 240.0)


def test_directions_have_azimuths_to_the_left_and_elevations_upwards():
    np.testing.assert_allclose(directions_of(np.pi / 2, 0.0), [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(directions_of(0.0, np.pi / 6), [np.sqrt(0.75), 0, 0.5], atol=1e-12)
    raster = directions(np.array([0.3, -1.0]), np.array([0.1, 0.2, -0.5]))
    assert raster.shape == (3, 2, 3)
    np.testing.assert_allclose(raster[2, 1], directions_of(-1.0, -0.5))
    np.testing.assert_allclose(np.linalg.norm(raster, axis=-1), 1.0)


@pytest.mark.parametrize("rpy", [(0.0, 0.0, 0.0), (0.05, 0.1, 0.7), (-0.1, 0.2, -2.0)])
@pytest.mark.parametrize("camera", [pinhole(90.0), PANORAMA], ids=["pinhole", "panorama"])
def test_cells_look_where_the_pixels_of_their_middle_come_from(camera, rpy):
    R_level_camera = R_base_optical_from_rpy(*rpy)
    view = canonical_view(camera, R_level_camera, SPEC)
    rows, columns = SPEC.cell_rows_px, SPEC.cell_columns_px
    assert view.cell_valid.shape == (12, view.valid.shape[1] // columns)
    # The middle of a cell of 7 × 14 pixels is the middle of a pixel in its column, and lies between two in its row.
    left, right = (view.source_uv[rows // 2 :: rows, columns // 2 - k :: columns] for k in (1, 0))
    seen = (
        view.valid[rows // 2 :: rows, columns // 2 - 1 :: columns]
        & view.valid[rows // 2 :: rows, columns // 2 :: columns]
        & (np.abs(left - right).max(axis=-1) < 20)  # not across the panorama's seam
    )
    assert seen.mean() > 0.6
    uv, _ = camera.project(view.cell_directions[seen] @ R_level_camera)
    np.testing.assert_allclose((left + right)[seen] / 2, uv, atol=0.15)


def test_cells_are_uniform_from_the_top_left():
    view = canonical_view(PANORAMA, AHEAD, SPEC)
    # 2 px per degree: cells of 3.5° from 12° above the horizon; 280 columns of 9/7°: cells of 18°.
    np.testing.assert_allclose(np.degrees(view.cell_elevation_rad), 12.0 - 3.5 * (np.arange(12) + 0.5))
    azimuth_deg = np.degrees(wrap_angle_rad(np.radians(180.0 - 18.0 * (np.arange(20) + 0.5))))
    np.testing.assert_allclose(np.degrees(view.cell_azimuth_rad), azimuth_deg, atol=1e-9)


@pytest.mark.parametrize(
    ("camera", "columns_px", "wraps"),
    [
        (pinhole(90.0), 84, False),  # 90 px to the nearest multiple of 14
        (pinhole(92.0), 98, False),
        (pinhole(4.0), 14, False),  # at least one cell
        (PANORAMA, 280, True),  # 360 px are more than the greatest number
        (EquirectangularCamera(720, 360, 115.0, 115.0, 360.0, 180.0), 280, False),
    ],
)
def test_columns_go_with_the_field_of_view(camera, columns_px, wraps):
    view = canonical_view(camera, AHEAD, SPEC)
    assert (view.valid.shape, view.wraps) == ((84, columns_px), wraps)


@pytest.mark.parametrize("yaw_rad", [0.0, 1.0, -2.5])
def test_the_raster_is_laid_about_the_middle_of_what_the_camera_sees(yaw_rad):
    R_level_camera = R_base_optical_from_rpy(0.0, 0.0, yaw_rad)
    for camera in (pinhole(90.0), pinhole(90.0, cx=160.0), PANORAMA):
        view = canonical_view(camera, R_level_camera, SPEC)
        least_rad, greatest_rad = camera.azimuth_range_rad
        middle_rad = yaw_rad - (
            0.0 if view.wraps else (least_rad + greatest_rad) / 2
        )  # the camera's grow to the right
        cells_rad = wrap_angle_rad(view.cell_azimuth_rad - middle_rad)
        assert np.sort(cells_rad) == pytest.approx(np.sort(-cells_rad), abs=1e-9)
        assert not view.wraps or view.valid.all()


def test_roll_and_pitch_do_not_move_the_middle():
    view = canonical_view(pinhole(90.0), R_base_optical_from_rpy(0.4, 0.2, 1.0), SPEC)
    assert view.cell_azimuth_rad.mean() == pytest.approx(1.0)


def test_a_cell_counts_where_the_camera_sees_most_of_it():
    shares = []
    for roll_rad in (0.3, 0.5, 0.7):
        view = canonical_view(pinhole(90.0), R_base_optical_from_rpy(roll_rad, 0.0, 0.0), SPEC)
        shares.append(view.valid.reshape(12, 7, -1, 14).mean(axis=(1, 3)))
        np.testing.assert_array_equal(view.cell_valid, shares[-1] > 0.5)
    assert np.any((np.array(shares) > 0.35) & (np.array(shares) < 0.5))
    assert np.any((np.array(shares) > 0.5) & (np.array(shares) < 0.65))
