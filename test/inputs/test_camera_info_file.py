"""Calibration files: read as the CameraInfo that was written, and refused with the fault and what to do."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xview_localizer.geometry.masked_camera import MaskedCamera
from xview_localizer.inputs.camera_info import CameraInfo, RegionOfInterest
from xview_localizer.inputs.camera_info_file import KEYS, read_camera_info
from xview_localizer.inputs.intake import DriveIntake
from xview_localizer.inputs.messages import camera_from_info
from xview_localizer.parameters.settings import Settings
from xview_localizer.parameters.table import SettingsError

REQUIRED = {"datum.latitude_deg": 48.0, "datum.longitude_deg": 11.0, "map.source": "map.tif"}
INFO = CameraInfo(
    width=64,
    height=48,
    distortion_model="plumb_bob",
    d=(-0.1, 0.01, 0.001, 0.0, 0.0),
    k=(32.0, 0.0, 31.5, 0.0, 32.0, 23.5, 0.0, 0.0, 1.0),
)
# As camera_calibration writes it, with lines broken and numbers aligned.
OST = """\
image_width: 1280
image_height: 720
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [ 905.46715,    0.     ,  635.27153,
            0.     ,  904.62721,  367.47257,
            0.     ,    0.     ,    1.     ]
distortion_model: equidistant
distortion_coefficients:
  rows: 1
  cols: 4
  data: [0.134462, -1e-05, 0.002304, 0.000000]
rectification_matrix:
  rows: 3
  cols: 3
  data: [ 1.,  0.,  0.,
          0.,  1.,  0.,
          0.,  0.,  1.]
"""

counts = st.integers(0, 2**32 - 1)
numbers = st.floats(allow_nan=False, allow_infinity=False)


def intake_with(**of_camera):
    return DriveIntake(
        None, Settings.from_values(REQUIRED | {f"camera.{k}": str(v) for k, v in of_camera.items()})
    )


def refusal(path, **of_camera):
    """Why a calibration file is refused."""
    with pytest.raises(SettingsError) as error:
        intake_with(info_file=path, **of_camera)
    text = str(error.value)
    assert text.startswith(f"camera.info_file: {path}: ")
    return text


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    info=st.builds(
        CameraInfo,
        width=counts,
        height=counts,
        distortion_model=st.sampled_from(["", "none", "plumb_bob", "rational_polynomial", "equidistant"]),
        d=st.lists(numbers, max_size=14).map(tuple),
        k=st.tuples(*[numbers] * 9),
        binning_x=counts,
        binning_y=counts,
        roi=st.builds(RegionOfInterest, counts, counts, counts, counts),
    )
)
def test_a_written_camera_info_is_read_as_it_was(calibration_file, info):
    assert read_camera_info(calibration_file(info)) == info


def test_a_file_of_camera_calibration(tmp_path):
    """YAML reads -1e-05 as a text."""
    (tmp_path / "ost.yaml").write_text(OST)
    info = read_camera_info(tmp_path / "ost.yaml")
    assert info == CameraInfo(
        width=1280,
        height=720,
        distortion_model="equidistant",
        d=(0.134462, -1e-05, 0.002304, 0.0),
        k=(905.46715, 0.0, 635.27153, 0.0, 904.62721, 367.47257, 0.0, 0.0, 1.0),
    )


def test_the_camera_of_a_file_is_that_of_the_message(calibration_file):
    info = replace(INFO, binning_x=2, roi=RegionOfInterest(8, 4, 32, 24))
    assert intake_with(info_file=calibration_file(info)).cameras == {"": camera_from_info(info)}


def test_a_panorama_by_a_file(calibration_file):
    k = (400 / 2 / np.pi, 0.0, 199.5, 0.0, 400 / 2 / np.pi, 99.5, 0.0, 0.0, 1.0)
    panorama = CameraInfo(width=400, height=200, distortion_model="equirectangular", d=(), k=k)
    (camera,) = intake_with(info_file=calibration_file(panorama)).cameras.values()
    assert camera.horizontal_fov_rad == pytest.approx(2 * np.pi)


def test_of_several_cameras_each_may_have_its_own(calibration_file):
    given = {"cameras": ("front", "left"), "camera.left.info_file": str(calibration_file(INFO))}
    assert list(DriveIntake(None, Settings.from_values(REQUIRED | given)).cameras) == ["left"]


def test_a_lens_is_doubted_and_the_mask_has_to_fit(calibration_file, tmp_path):
    mask = tmp_path / "mask.png"
    cv2.imwrite(str(mask), np.full((48, 64), 255, np.uint8))
    narrow = replace(INFO, k=(900.0, 0.0, 31.5, 0.0, 900.0, 23.5, 0.0, 0.0, 1.0))
    intake = intake_with(info_file=calibration_file(narrow), mask=mask)
    assert isinstance(intake.cameras[""], MaskedCamera)
    (doubt,) = intake.current_doubts()
    assert "the camera sees only 4.1° across" in doubt
    refused = refusal(calibration_file(replace(INFO, width=72)), mask=mask)
    assert "camera.mask does not belong to this camera: the mask has 64 × 48 px" in refused


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"image_width": 0}, "camera width must be finite and positive, got 0"),
        ({"image_height": -48}, "has -48 for image_height; write a whole number"),
        ({"image_width": 64.5}, "has 64.5 for image_width; write a whole number"),
        ({"image_width": "64"}, "has '64' for image_width; write a whole number"),
        ({"binning_x": True}, "has True for binning_x"),
        ({"camera_matrix": {"rows": 3, "cols": 3, "data": [1.0] * 8}}, "has 8 numbers for camera_matrix, not 3 × 3"),
        ({"camera_matrix": {"rows": 2, "cols": 3, "data": [1.0] * 6}}, "camera matrix k must be [fx, skew, cx"),
        ({"camera_matrix": {"rows": 3, "cols": 3, "data": [0.0] * 9}}, "the camera is not calibrated (k is 0)"),
        (
            {"camera_matrix": {"rows": 3, "cols": 3, "data": [0.0, 0, 32, 0, 32, 24, 0, 0, 1]}},
            "camera fx must be finite and positive, got 0.0",
        ),
        (
            {"camera_matrix": {"rows": 3, "cols": 3, "data": [32.0, 0, float("nan"), 0, 32, 24, 0, 0, 1]}},
            "camera cx must be finite, got nan",
        ),
        ({"camera_matrix": [1.0] * 9}, "has no matrix for camera_matrix (TypeError"),
        ({"camera_matrix": {"rows": 3, "data": [1.0] * 9}}, "has no matrix for camera_matrix (KeyError('cols'))"),
        (
            {"camera_matrix": {"rows": 3, "cols": 3, "data": [*[1.0] * 8, "fy"]}},
            "could not convert string to float: 'fy'",
        ),
        ({"camera_matrix": {"rows": 3, "cols": 3, "data": [10**400] * 9}}, "OverflowError"),
        ({"distortion_model": "fov"}, "unknown distortion model 'fov'; accepted are none, plumb_bob"),
        ({"distortion_model": None}, "has None for distortion_model; write its name, such as plumb_bob"),
        (
            {"distortion_coefficients": {"rows": 1, "cols": 3, "data": [0.1, 0.2, 0.3]}},
            "distortion model 'plumb_bob' takes 4 or 5 coefficients, got 3",
        ),
        ({"roi": 3}, "has 3 for roi; write x_offset, y_offset, width and height, or leave it out"),
        ({"roi": {"x_offset": 60, "width": 32, "height": 24}}, "roi (60, 0, 32, 24) does not lie in the image"),
    ],
)  # fmt: skip
def test_what_no_camera_is_like_is_refused_by_name(calibration_file, changes, complaint):
    assert complaint in refusal(calibration_file(INFO, **changes))


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_entry_is_named_beside_those_that_there_are(calibration_file, key):
    path = calibration_file(INFO)
    entries = yaml.safe_load(path.read_text())
    del entries[key]
    path.write_text(yaml.safe_dump(entries))
    refused = refusal(path)
    assert f": lacks {key} (it has " in refused and "projection_matrix" in refused


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "lacks image_width, image_height, camera_matrix"),
        ("- 1", "lacks image_width"),
        ("1 PINHOLE 640 480 500 500 320 240", "(it has no keys); give a file of camera_calibration"),
        ('{"v2 unknown": {"projection_type": "perspective"}}', "(it has v2 unknown); give a file of"),
        ("image_width: [", "is no YAML: while parsing"),
        ("image_width: 2026-99-99", "is no YAML: month must be"),
        (f"{OST}# \xfc", "is no text"),
        (f"%YAML:1.0\n---\n{OST}", "is of OpenCV's FileStorage: delete its first line"),
        (OST.replace("camera_matrix:", "camera_matrix: !!opencv-matrix"), "is of OpenCV's FileStorage"),
        (
            "# oST version 5.0 parameters\n\n\n[image]\n\nwidth\n640\n",
            "is in the ini format: take the ost.yaml beside it",
        ),
        (
            "cam0:\n  camera_model: pinhole\n  intrinsics: [461.6, 460.1, 362.7, 246.0]\n",
            "is a camchain of Kalibr: write intrinsics [fu, fv, pu, pv] as camera_matrix [fu, 0, pu,",
        ),
        ("header:\n  frame_id: camera\nk:\n- 900.0\n---\n", "is a message as `ros2 topic echo` prints it"),
        ("header:\n  frame_id: camera\nK: [900.0, 0.0]\n", "is a message as `ros2 topic echo` prints it"),
    ],
)
def test_other_files_are_refused_by_what_they_are(tmp_path, text, complaint):
    path = tmp_path / "calibration.yaml"
    path.write_text(text, encoding="latin-1")
    assert complaint in refusal(path)


def test_files_that_are_not_there(tmp_path):
    assert "cannot be read (No such file or directory); give the path" in refusal(tmp_path / "none.yaml")
    assert "cannot be read (Is a directory); give the path of the file, not package" in refusal(tmp_path)
