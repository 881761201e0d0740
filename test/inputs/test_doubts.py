"""Settings and inputs that raise a doubt, and others that do not."""

from types import SimpleNamespace as Message

import numpy as np
import pytest

from xview_localizer.inputs.calibrations import Calibrations
from xview_localizer.inputs.camera_info_doubts import doubt_of_field_of_view, doubt_of_principal_point
from xview_localizer.inputs.doubts import DEFAULT_ORIENTATIONS, TILTS, TILTS_LEAST, DriveDoubts
from xview_localizer.inputs.settings_doubts import doubts_of_settings
from xview_localizer.parameters.settings import Settings

SOUND = {
    "camera.position_in_base_m": (0.4, 0.0, 1.6),
    "camera.rpy_deg": (0.0, 5.0, 0.0),
    "camera.height_m": 1.6,
    "imu.rpy_deg": (0.0, 0.0, 0.0),
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"camera.height_m": 0.0},  # unknown
        dict.fromkeys(SOUND),  # by TF
        {"camera.rpy_deg": (0.0, 0.0, 0.0)},  # looks ahead, from where it sits
        {"camera.rpy_deg": (0.3, 2.1, -0.4)},  # calibrated
        {"camera.rpy_deg": (0.0, 2.0, 0.0)},
        {"camera.rpy_deg": (90.0, 0.0, 0.0)},  # a portrait
        {"camera.rpy_deg": (180.0, 0.0, 0.0)},
    ],
)
def test_sound_settings_are_not_doubted(changes):
    assert doubts_of_settings(SOUND | changes) == []


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"camera.position_in_base_m": (0.0,) * 3, "camera.rpy_deg": (0.0,) * 3}, "are all zero"),
        ({"camera.rpy_deg": (-90.0, 0.0, -90.0)}, "is the turn of an optical frame"),
        ({"camera.rpy_deg": (-95.0, 0.0, -90.0)}, "is the turn of an optical frame"),
        ({"camera.rpy_deg": (0.0, 0.0873, 0.0)}, "looks like radians, [0.0, 5.0, 0.0] in degrees"),
        ({"camera.rpy_deg": (0.0, 0.0, 1.5708)}, "looks like radians, [0.0, 0.0, 90.0] in degrees"),
        ({"imu.rpy_deg": (3.14159, 0.0, 0.0)}, "imu.rpy_deg [3.14159, 0.0, 0.0] looks like radians"),
        ({"camera.height_m": 0.28}, "camera.height_m is 0.28"),
        ({"camera.height_m": 3.5}, "camera.height_m is 3.5"),
    ],
)
def test_doubtful_settings(changes, doubt):
    (found,) = doubts_of_settings(SOUND | changes)
    assert doubt in found
    assert DriveDoubts(SOUND | changes).current() == [found]


def camera_info(size=(640, 480), centre=(319.5, 239.5), model="plumb_bob", roi_width=0):
    k = [300.0, 0.0, centre[0], 0.0, 300.0, centre[1], 0.0, 0.0, 1.0]
    roi = Message(width=roi_width)
    return Message(width=size[0], height=size[1], distortion_model=model, k=k, d=[0.0] * 5, roi=roi)


@pytest.mark.parametrize(
    ("message", "doubtful"),
    [
        (camera_info(), False),
        (camera_info(centre=(399.5, 299.5)), True),  # of 800 × 600 px
        (camera_info((480, 640)), True),  # turned by 90°
        (camera_info(centre=(319.5, 150.0)), False),  # rows were cut off
        (camera_info(centre=(399.5, 299.5), roi_width=320), False),
        (camera_info(centre=(10.0, 20.0), model="equirectangular"), False),
    ],
)
def test_principal_point_off_the_middle_in_both_directions(message, doubtful):
    assert bool(doubt_of_principal_point(message)) == doubtful


@pytest.mark.parametrize(("model", "doubtful"), [("plumb_bob", True), ("", True), ("fisheye", False)])
def test_only_a_fisheye_sees_half_the_world(model, doubtful):
    doubts = DriveDoubts(SOUND)
    doubts.on_camera_info(camera_info(model=model), np.radians(178.0), 0.0, "")
    assert ["more than a lens that is no fisheye can" in doubt for doubt in doubts.current()] == [
        True
    ] * doubtful


@pytest.mark.parametrize(
    ("topic", "rectified"),
    [
        ("/camera/image_rect", True),
        ("/left/image_rect_color/compressed", True),
        ("/rectified/image", True),
        ("/camera/image_raw", False),
        ("/director/image", False),
    ],
)
def test_rectified_images_with_the_camera_info_of_the_raw_ones(topic, rectified):
    doubts, raw = DriveDoubts(SOUND), camera_info()
    doubts.on_image_topic(topic, "")
    doubts.on_camera_info(raw, np.radians(90.0), 0.0, "")
    assert not doubts.current()
    raw.d = [-0.3, 0.1, 0.0, 0.0, 0.0]
    doubts.on_camera_info(raw, np.radians(90.0), 0.0, "")
    assert [f"{topic} has rectified images" in doubt for doubt in doubts.current()] == [True] * rectified
    doubts.on_camera_info(camera_info(), np.radians(90.0), 0.0, "")
    assert not doubts.current()


def test_orientation_that_nobody_fills_in():
    doubts = DriveDoubts(SOUND)
    for _ in range(DEFAULT_ORIENTATIONS):
        assert not doubts.current()
        doubts.on_attitude(is_default=True)
    assert "orientation of every Imu is exactly 0, 0, 0, 1" in doubts.current()[0]
    doubts.on_attitude(is_default=False)
    assert not doubts.current()


@pytest.mark.parametrize(
    ("tilt_deg", "side"),
    [((1.6, 0.2), "front 2°"), ((-2.0, 1.9), "rear 2°"), ((0.9, 1.7), "left 2°"), ((0.0, -2.0), "right 2°")],
)
def test_a_lasting_tilt_blames_the_mounting(tilt_deg, side):
    doubts, noise_deg = DriveDoubts(SOUND), np.random.default_rng(0).uniform(-0.1, 0.1, (TILTS_LEAST, 2))
    for each_deg in noise_deg:
        assert not doubts.current()
        doubts.on_tilt(np.radians(tilt_deg + each_deg))
    (doubt,) = doubts.current()
    assert f"the robot's {side} lower than its mountings say" in doubt
    for _ in range(TILTS):
        doubts.on_tilt(np.zeros(2))
    assert not doubts.current()


def test_tilts_that_differ_from_image_to_image_blame_nobody():
    doubts = DriveDoubts(SOUND)
    for number in range(TILTS):
        doubts.on_tilt(np.radians([2.0, 0.0] if number % 2 else [-2.0, 0.9]))
    assert not doubts.current()


def test_lens_of_a_few_degrees():
    assert "sees only 4.0° across" in doubt_of_field_of_view(np.radians(4.0))
    assert doubt_of_field_of_view(np.radians(40.0)) == ""


def test_a_distortion_that_turns_back_before_the_edges(tmp_path):
    """A fisheye whose polynomial fits the middle only (ros2_calib#6): beyond 46° it would see everything twice."""
    (tmp_path / "ost.yaml").write_text(
        "{image_width: 1920, image_height: 1200, distortion_model: equidistant, "
        "camera_matrix: {rows: 3, cols: 3, data: [1133.1, 4.3, 960.7, 0.0, 1128.0, 600.8, 0.0, 0.0, 1.0]}, "
        "distortion_coefficients: {rows: 1, cols: 4, data: [-1.152516, 2.913204, -2.482336, 0.178503]}}"
    )
    doubts = DriveDoubts(SOUND)
    settings = Settings.from_values(
        {
            "datum.latitude_deg": 48.0, "datum.longitude_deg": 11.0, "map.source": "map.tif",
            "camera.info_file": str(tmp_path / "ost.yaml"),
        }
    )  # fmt: skip
    Calibrations(settings, doubts)
    assert "no directions for 20% of the image's width" in doubts.current()[0]
    doubts.on_camera_info(camera_info(model="equidistant"), np.radians(185.0), 0.2, "")
    assert doubts.current() == []  # a round picture


def test_status_that_the_driver_never_sets():
    doubts = DriveDoubts(SOUND)
    doubts.on_status(-2)
    assert "never sets the status" in doubts.current()[0]
    doubts.on_status(0)
    assert doubts.current() == []


@pytest.mark.parametrize(
    ("scales", "stuck"),
    [
        (np.full(12, 0.9), True),
        (np.full(12, 1.1), True),
        (np.r_[np.full(10, 1.0995), 1.0, 0.95], True),
        (np.full(9, 0.9), False),  # too few scales to report a bound
        (np.linspace(0.9, 1.1, 20), False),
        (np.r_[np.full(10, 0.9), np.full(10, 1.1)], False),  # places that fit by accident, not a wrong height
        (np.full(40, np.nan), False),
    ],
)
def test_scale_that_stays_at_its_bound(scales, stuck):
    doubts = DriveDoubts(SOUND)
    for scale in scales:
        doubts.on_scale(scale, (0.9, 1.1))
    assert ["the solved scale stays at its bound" in doubt for doubt in doubts.current()] == [True] * stuck


def test_each_of_several_cameras_is_doubted_by_its_name():
    values = {"camera.left.rpy_deg": (-90.0, 0.0, -90.0), "camera.rear.height_m": 0.4}
    doubts = DriveDoubts(values)
    doubts.on_camera_info(camera_info(), np.radians(4.0), 0.0, "left")
    found = doubts.current()
    assert [doubt.split(" ")[0] for doubt in found] == [
        "camera.left.rpy_deg",
        "camera.rear.height_m",
        "left:",
    ]
    doubts.on_camera_info(camera_info(), np.radians(90.0), 0.0, "left")
    assert doubts.current() == found[:2]
