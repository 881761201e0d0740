"""Camera models: projection, directions of pixels, and cropping."""

import cv2
import numpy as np
import pytest

from xview_localizer.geometry.camera import (
    EquirectangularCamera,
    PinholeCamera,
    camera_from_dict,
    camera_from_info_fields,
    camera_to_dict,
)
from xview_localizer.geometry.canonical_view import ViewSpec, canonical_view
from xview_localizer.geometry.levelling import R_base_optical_from_rpy

WIDTH, HEIGHT, FX, FY, CX, CY = 640, 480, 420.0, 425.0, 331.5, 236.25
DISTORTIONS = {
    "none": (),
    "plumb_bob": (-0.28, 0.07, 0.0007, -0.0011, 0.004),
    "rational_polynomial": (0.6, -0.15, 0.0004, -0.0006, 0.03, 0.7, -0.12, 0.025),
    "equidistant": (0.03, -0.008, 0.004, -0.0009),
}
K_90 = (320, 0, 319.5, 0, 320, 239.5, 0, 0, 1)
K_INFO = (FX, 0, CX - 0.5, 0, FY, CY - 0.5, 0, 0, 1)


def pinhole(model):
    return PinholeCamera(WIDTH, HEIGHT, FX, FY, CX, CY, model, DISTORTIONS[model])


def equirectangular(width=1024, hfov_deg=360.0, centre_column=512.0):
    return EquirectangularCamera(width, 300, width / np.radians(hfov_deg), 160.0, centre_column, 120.0)


def pixels(camera, count=2000):
    return np.random.default_rng(1).uniform((0, 0), (camera.width, camera.height), (count, 2))


@pytest.mark.parametrize("model", DISTORTIONS)
def test_project_inverts_rays_of_a_pinhole(model):
    camera = pinhole(model)
    uv = pixels(camera)
    rays = camera.rays(uv)
    np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1)
    back, valid = camera.project(3.0 * rays)
    assert valid.all()
    np.testing.assert_allclose(back, uv, atol=1e-6)


@pytest.mark.parametrize("p1", [0.02, -0.015])
@pytest.mark.parametrize("radial", [(-0.2, 0.03, 0.002), (0.4, -0.1, 0.03, 0.5, -0.08, 0.02)])
def test_rays_are_found_all_over_the_image_of_a_lens_that_sits_askew(radial, p1):
    """Tangential terms of that size put the first guess far off."""
    k1, k2, *higher = radial
    model = "plumb_bob" if len(higher) == 1 else "rational_polynomial"
    camera = PinholeCamera(WIDTH, HEIGHT, FX, FY, CX, CY, model, (k1, k2, p1, -0.018, *higher))
    uv = pixels(camera)
    back, _ = camera.project(camera.rays(uv))
    np.testing.assert_allclose(back, uv, atol=1e-6)


@pytest.mark.parametrize("model", ["none", "plumb_bob", "rational_polynomial"])
def test_perspective_lenses_match_opencv(model):
    camera = camera_from_info_fields(WIDTH, HEIGHT, model, DISTORTIONS[model], K_INFO)
    rays = camera.rays(pixels(camera))
    d = np.array(DISTORTIONS[model] or (0.0,) * 4)
    expected, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), np.reshape(K_INFO, (3, 3)), d)
    np.testing.assert_allclose(camera.project(rays)[0], expected[:, 0] + 0.5, atol=1e-6)


@pytest.mark.parametrize("tau_rad", [(), (0.0, 0.0), (0.04, -0.03)])
def test_thin_prism_and_tilt_match_opencv(tau_rad):
    """As factory calibrations of stereo cameras have them."""
    d = (*DISTORTIONS["rational_polynomial"], 0.004, -0.002, -0.003, 0.001, *tau_rad)
    camera = camera_from_info_fields(WIDTH, HEIGHT, "rational_polynomial", d, K_INFO)
    uv = pixels(camera)
    rays = camera.rays(uv)
    expected, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), np.reshape(K_INFO, (3, 3)), np.array(d))
    np.testing.assert_allclose(expected[:, 0] + 0.5, uv, atol=1e-6)
    projected, seen = camera.project(rays)
    assert seen.all()
    np.testing.assert_allclose(projected, uv, atol=1e-6)


def test_equidistant_matches_opencv_fisheye():
    camera = camera_from_info_fields(WIDTH, HEIGHT, "equidistant", DISTORTIONS["equidistant"], K_INFO)
    rays = camera.rays(pixels(camera))
    k, d = np.reshape(K_INFO, (3, 3)).astype(float), np.array(DISTORTIONS["equidistant"])
    expected, _ = cv2.fisheye.projectPoints(rays[:, None], np.zeros(3), np.zeros(3), k, d)
    np.testing.assert_allclose(camera.project(rays)[0], expected[:, 0] + 0.5, atol=1e-6)


def test_equidistant_projects_beyond_a_right_angle():
    camera = PinholeCamera(1000, 1000, 250.0, 250.0, 500.0, 500.0, "equidistant", (0.0, 0.0, 0.0, 0.0))
    angle = np.radians(110)
    uv, valid = camera.project(np.array([[np.sin(angle), 0, np.cos(angle)]]))
    assert valid[0]
    np.testing.assert_allclose(uv[0], (500 + 250 * angle, 500))
    assert camera.horizontal_fov_rad == pytest.approx(4.0, abs=1e-6)


@pytest.mark.parametrize("model", ["none", "plumb_bob", "rational_polynomial"])
def test_points_behind_or_outside_the_image_are_invalid(model):
    camera = pinhole(model)
    rays = np.array([[0, 0, -1.0], [0.1, 0, -1], [1, 0, 0], [9, 0, 1], [0, 0, 0], [np.nan, 0, 1], [0, 0, 1]])
    _, valid = camera.project(rays)
    assert valid.tolist() == [False] * 6 + [True]


def test_rays_beyond_the_monotonic_range_do_not_fold_back_into_the_image():
    # r (1 - 0.3 r²) peaks at r = 1.054: the direction r = 1.7 would land at 0.23, well inside.
    camera = PinholeCamera(640, 480, 300.0, 300.0, 320.0, 240.0, "plumb_bob", (-0.3, 0.0, 0.0, 0.0))
    _, valid = camera.project(np.array([[0.5, 0, 1], [1.7, 0, 1]]))
    assert valid.tolist() == [True, False]
    # The peak is a distorted radius of 0.703, 211 pixels off the centre. Further out there is no ray, whether Newton's
    # iteration diverges or finds a root on the other side of the peak.
    columns = np.arange(500.0, 640.0, 0.5)
    rays = camera.rays(np.column_stack([columns, np.full_like(columns, 240.0)]))
    np.testing.assert_array_equal(np.isnan(rays).any(axis=1), columns > 320.0 + 300.0 * 0.7027)


def test_horizontal_field_of_view():
    assert PinholeCamera(640, 480, 320, 320, 320, 240).horizontal_fov_rad == pytest.approx(np.pi / 2)
    assert equirectangular().horizontal_fov_rad == pytest.approx(2 * np.pi)
    assert equirectangular(512, 180.0, 256.0).horizontal_fov_rad == pytest.approx(np.pi)


@pytest.mark.parametrize("centre_column", [512.0, 0.0, 700.5])
def test_project_inverts_rays_of_a_panorama(centre_column):
    camera = equirectangular(centre_column=centre_column)
    uv = pixels(camera)
    back, valid = camera.project(2.0 * camera.rays(uv))
    assert valid.all()
    np.testing.assert_allclose(back, uv, atol=1e-6)


def test_panorama_axes():
    camera = equirectangular()
    uv = np.array([[512, 120], [768, 120], [256, 120], [512, 120 - 80]])
    expected = [[0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, -np.sin(0.5), np.cos(0.5)]]
    np.testing.assert_allclose(camera.rays(uv), expected, atol=1e-12)


def test_a_barrel_lens_sees_as_far_as_its_polynomial_grows():
    """r (1 - 0.28 r²) grows up to r = 1.09, where it is 0.73."""
    camera = PinholeCamera(1600, 1200, 1000.0, 1000.0, 800.0, 600.0, "plumb_bob", (-0.28, 0.0, 0.0, 0.0))
    rays = np.array([[0.9, 0.0, 1.0], [1.08, 0.0, 1.0], [1.1, 0.0, 1.0]])
    uv, seen = camera.project(rays)
    assert seen.tolist() == [True, True, False]
    back = camera.rays(uv[:2])
    np.testing.assert_allclose(back[:, 0] / back[:, 2], [0.9, 1.08], atol=1e-6)


def test_a_panorama_sees_straight_up_and_down_but_no_ray_without_direction():
    camera = EquirectangularCamera(1024, 513, 1024 / (2 * np.pi), 512 / np.pi, 512.0, 256.5)
    uv, valid = camera.project(np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 0.0]]))
    assert valid.tolist() == [True, True, False]
    np.testing.assert_allclose(uv[:2, 1], [512.5, 0.5])


def test_partial_panorama_does_not_see_behind():
    camera = equirectangular(512, 180.0, 256.0)
    _, valid = camera.project(np.array([[0, 0, 1.0], [0.5, 0, -1], [-0.5, 0, -1]]))
    assert valid.tolist() == [True, False, False]


def test_no_points_give_no_points():
    for camera in (pinhole("plumb_bob"), pinhole("equidistant"), equirectangular()):
        assert camera.rays(np.zeros((0, 2))).shape == (0, 3)
        assert camera.project(np.zeros((0, 3)))[0].shape == (0, 2)


def test_camera_from_a_pairs_record():
    record = {"model": "pinhole", "width": 640, "height": 480, "fx": 400, "fy": 410, "cx": 320, "cy": 240}
    assert camera_from_dict(record) == PinholeCamera(640, 480, 400, 410, 320, 240)
    distorted = record | {"distortion_model": "plumb_bob", "d": [-0.1, 0.01, 0, 0, 0]}
    assert camera_from_dict(distorted).distortion == (-0.1, 0.01, 0, 0, 0)
    panorama = camera_from_dict(
        {
            "model": "equirectangular",
            "width": 720,
            "height": 300,
            "hfov_deg": 360,
            "px_per_deg_v": 2,
            "horizon_row": 150,
        }
    )
    np.testing.assert_allclose(
        panorama.rays(np.array([[540.0, 60.0]])), [[np.sqrt(0.5), -np.sqrt(0.5), 0]], atol=1e-12
    )


def test_camera_info_of_a_panorama():
    k = [1024 / (2 * np.pi), 0, 511.5, 0, 160.0, 119.5, 0, 0, 1]
    assert camera_from_info_fields(1024, 300, "equirectangular", [], k) == equirectangular()


def test_camera_info_of_a_rectified_image():
    assert camera_from_info_fields(WIDTH, HEIGHT, "", [], K_INFO) == pinhole("none")
    assert camera_from_info_fields(WIDTH, HEIGHT, "plumb_bob", [0.0] * 5, K_INFO).project(
        np.array([[0.3, 0.2, 1.0]])
    )[0] == pytest.approx(np.array([[CX + 0.3 * FX, CY + 0.2 * FY]]))


@pytest.mark.parametrize("model", DISTORTIONS)
def test_binned_region_of_interest_looks_the_same_way(model):
    full = camera_from_info_fields(WIDTH, HEIGHT, model, DISTORTIONS[model], K_INFO, (0, 0), (0,) * 4)
    assert full == pinhole(model)
    part = camera_from_info_fields(
        WIDTH, HEIGHT, model, DISTORTIONS[model], K_INFO, binning=(2, 4), roi=(40, 60, 401, 320)
    )
    assert (part.width, part.height) == (200, 80)
    uv = pixels(part)
    np.testing.assert_allclose(part.rays(uv), full.rays(uv * (2, 4) + (40, 60)), atol=1e-12)


FISHEYE = (0.024, 0.0101, -0.0295, 0.0083)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (("equidistant", [*FISHEYE, 0.0]), ("equidistant", FISHEYE)),
        (("fisheye", FISHEYE), ("equidistant", FISHEYE)),
        (("equi", FISHEYE), ("equidistant", FISHEYE)),
        (("pinhole", []), ("", [])),
        (
            ("rational_polynomial", [*DISTORTIONS["rational_polynomial"], *[0.0] * 6]),
            ("rational_polynomial", DISTORTIONS["rational_polynomial"]),
        ),
        (("rational_polynomial", [-0.3, 0.1, 0, 0, 0.01]), ("plumb_bob", [-0.3, 0.1, 0, 0, 0.01])),
        (("plumb_bob", [-0.3, 0.1, 0, 0, 0.01, 0, 0, 0]), ("plumb_bob", [-0.3, 0.1, 0, 0, 0.01])),
        (("", [0.0] * 5), ("", [])),
        (("none", [0.0] * 5), ("", [])),
    ],
)
def test_variants_that_drivers_send_see_the_same(sent, meant):
    cameras = [camera_from_info_fields(WIDTH, HEIGHT, *fields, K_INFO) for fields in (sent, meant)]
    uv = pixels(cameras[0])
    np.testing.assert_array_equal(*(camera.rays(uv) for camera in cameras))
    assert np.isfinite(cameras[0].rays(uv)).all()


def test_skew_shifts_columns_by_row():
    k = (FX, 4.3, CX - 0.5, 0, FY, CY - 0.5, 0, 0, 1)
    camera = camera_from_info_fields(WIDTH, HEIGHT, "", [], k)
    uv, valid = camera.project(np.array([[0.2, 0.4, 1.0]]))
    np.testing.assert_allclose(uv, [[CX + 0.2 * FX + 0.4 * 4.3, CY + 0.4 * FY]])
    np.testing.assert_allclose(camera.rays(uv)[0] / camera.rays(uv)[0, 2], [0.2, 0.4, 1.0])
    binned = camera_from_info_fields(WIDTH, HEIGHT, "", [], k, binning=(2, 1))
    np.testing.assert_allclose(binned.rays(uv / (2, 1)), camera.rays(uv), atol=1e-12)


def test_a_lens_without_rays_is_refused():
    with pytest.raises(ValueError, match="no ray for any column.*calibrate again"):
        PinholeCamera(640, 480, 320, 320, 5000.0, 240, "plumb_bob", (-3.0, 0.0, 0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("make", "least_deg", "greatest_deg"),
    [
        (lambda: camera_from_info_fields(640, 480, "", [], K_90, roi=(320, 0, 320, 480)), 0.0, 45.0),
        (lambda: camera_from_info_fields(640, 480, "", [], K_90, roi=(0, 0, 320, 480)), -45.0, 0.0),
        (lambda: equirectangular(512, 180.0, 128.0), -45.0, 135.0),
    ],
    ids=["right half", "left half", "strip"],
)
def test_parts_of_an_image_keep_their_view(make, least_deg, greatest_deg):
    camera = make()
    np.testing.assert_allclose(np.degrees(camera.azimuth_range_rad), (least_deg, greatest_deg), atol=1e-6)
    view = canonical_view(camera, R_base_optical_from_rpy(0.0, 0.0, 0.0), ViewSpec())
    half_cell_deg = 0.5 * (greatest_deg - least_deg) / len(view.cell_azimuth_rad)
    # Right of the axis are negative azimuths of the level frame.
    seen_deg = -np.degrees(view.cell_azimuth_rad)
    np.testing.assert_allclose(seen_deg[0], least_deg + half_cell_deg, atol=1e-6)
    np.testing.assert_allclose(seen_deg[-1], greatest_deg - half_cell_deg, atol=1e-6)
    assert view.valid[100].mean() > 0.97


@pytest.mark.parametrize("centre_column", [512.0, 100.0])
def test_a_full_circle_is_seen_from_the_optical_axis(centre_column):
    view = canonical_view(
        equirectangular(centre_column=centre_column), R_base_optical_from_rpy(0.0, 0.0, 0.0), ViewSpec()
    )
    assert view.wraps
    azimuth_rad = view.cell_azimuth_rad
    np.testing.assert_allclose(azimuth_rad, -azimuth_rad[::-1], atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"distortion_model": "thin_prism"},
            "unknown distortion model 'thin_prism'; accepted are none, plumb_bob",
        ),
        ({"distortion_model": ""}, "'none' takes no coefficients, got 5"),
        ({"d": [0.1] * 8}, "'plumb_bob' takes 4 or 5 coefficients, got 8, those beyond not being 0"),
        (
            {"distortion_model": "rational_polynomial", "d": [0.1] * 15},
            "takes 4 or 5 or 8 or 12 or 14 coefficients, got 15, those beyond",
        ),
        ({"k": [400, 21, 320, 0, 400, 240, 0, 0, 1]}, "skew of 21 px"),
        ({"k": [400, 0, 0, 0, 400, 0, 320, 240, 1]}, "camera matrix k must be"),  # column by column
        ({"k": [400, 0, 320, 0, 400, 240, 1, 0, 1]}, "camera matrix k must be"),
        ({"k": [400, 0, 5000, 0, 400, 240, 0, 0, 1]}, "far outside of the image"),
        # A calibration of an image half the size, and of one twice the size.
        ({"k": [200, 0, 160, 0, 200, 120, 0, 0, 1]}, "in a corner of the image of 640 × 480"),
        ({"k": [800, 0, 640, 0, 800, 480, 0, 0, 1]}, "k is that of an image of another size"),
        ({"k": [200, 0, 160, 0, 200, 120, 0, 0, 1], "binning": (2, 2)}, "in a corner"),
        ({"d": [0.1, 0.2, 0.3]}, "'plumb_bob' takes 4 or 5 coefficients, got 3"),
        ({"distortion_model": "rational_polynomial", "d": [0.1] * 6}, "12 or 14 coefficients, got 6"),
        ({"distortion_model": "none"}, "takes no coefficients, got 5; name their model, such as plumb_bob"),
        ({"distortion_model": "equidistant", "d": []}, "takes 4 coefficients, got 0"),
        ({"d": [np.nan, 0, 0, 0, 0]}, "coefficients must be finite"),
        ({"k": [0.0] * 9}, "not calibrated"),
        ({"k": [0, 0, 320, 0, 400, 240, 0, 0, 1]}, "camera fx must be finite and positive"),
        ({"k": [400, 0, np.nan, 0, 400, 240, 0, 0, 1]}, "camera cx must be finite"),
        ({"k": [0, 0, 0, 0, 0, 0, 0, 0, 1]}, "camera fx must be finite and positive"),
        ({"k": [400, 0, 320]}, "camera matrix k must be"),
        ({"width": 0}, "camera width must be"),
        ({"width": 2**32 - 1}, "camera width 4294967295 is more than images have, 65535 px"),
        ({"roi": (600, 0, 41, 480)}, r"roi \(600, 0, 41, 480\) does not lie in the image of 640 × 480"),
        ({"roi": (100, 0, 0, 0)}, "camera width must be"),
        ({"binning": (1, 481)}, "camera height must be"),
        ({"distortion_model": "equirectangular"}, "takes no distortion coefficients and no skew, got"),
        (
            {"distortion_model": "equirectangular", "d": [], "k": [400, 3, 320, 0, 400, 240, 0, 0, 1]},
            "takes no distortion coefficients and no skew, got",
        ),
    ],
)
def test_bad_camera_info_is_refused(changes, message):
    fields = {
        "width": WIDTH,
        "height": HEIGHT,
        "distortion_model": "plumb_bob",
        "d": [-0.1, 0, 0, 0, 0],
        "k": K_INFO,
    }
    with pytest.raises(ValueError, match=message):
        camera_from_info_fields(**(fields | changes))


def test_bad_records_are_refused():
    with pytest.raises(
        ValueError, match="unknown camera model 'fisheye'; accepted are pinhole, equirectangular"
    ):
        camera_from_dict({"model": "fisheye", "width": 1, "height": 1})
    with pytest.raises(ValueError, match="lacks the key 'fy'"):
        camera_from_dict({"model": "pinhole", "width": 640, "height": 480, "fx": 400})
    with pytest.raises(ValueError, match="hfov_deg must be"):
        camera_from_dict({"model": "equirectangular", "width": 9, "height": 9, "hfov_deg": 0})


@pytest.mark.parametrize(
    "camera",
    [
        PinholeCamera(64, 48, 50.0, 51.0, 31.0, 25.0, "plumb_bob", (0.1, 0.0, 0.0, 0.0, 0.0), 0.5),
        EquirectangularCamera(80, 30, 80 / 4.0, 9.0, 33.0, 14.0),
    ],
)
def test_cameras_survive_their_record(camera):
    again = camera_from_dict(camera_to_dict(camera))
    assert repr(again) == repr(camera) or np.allclose(
        again.rays(np.eye(2)), camera.rays(np.eye(2)), atol=1e-12
    )
