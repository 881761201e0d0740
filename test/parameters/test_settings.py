"""Parameters: the manual lists each with its default and range; wrong values are refused with the name and the rule."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from xview_localizer.belief.gate import GateConfig
from xview_localizer.belief.hypotheses import OdometryDrift
from xview_localizer.inputs.mountings import MountingConfig
from xview_localizer.localizer_config import LocalizerConfig
from xview_localizer.models.package import default_package_path
from xview_localizer.parameters.file import read_parameter_file
from xview_localizer.parameters.problems import find_problems
from xview_localizer.parameters.settings import Settings
from xview_localizer.parameters.table import SETTINGS, SettingsError, settings_table
from xview_localizer.tracking.tracker import TrackerConfig

MANUAL = Path(__file__).parents[2] / "config" / "localizer.yaml"
REQUIRED = {"datum.latitude_deg": 48.0, "datum.longitude_deg": 11.0, "map.source": "map.tif"}


def test_manual_shows_every_setting_with_its_default():
    manual = read_parameter_file(MANUAL)
    defaults = {name: setting.default for name, setting in SETTINGS.items() if setting.default is not None}
    assert manual == defaults
    text = MANUAL.read_text()
    for name in SETTINGS.keys() - defaults.keys():
        assert f"# {name.split('.')[-1]}: " in text
    assert find_problems(manual | REQUIRED) == []


def manual_lines():
    """(name, value, comment) of each setting in the manual, including settings that are commented out."""
    group = ""
    for line in MANUAL.read_text().splitlines():
        line = re.sub(r"^( +)# ?", r"\1", line)
        if match := re.fullmatch(r"    (\w+):", line):
            group = f"{match[1]}."
        elif match := re.fullmatch(r"(?:    |(      ))(\w+): (.*?)(?: +# (.*))?", line):
            name = (group if match[1] else "") + match[2]
            if name in SETTINGS:
                yield name, match[3], match[4] or ""


def as_value(setting, number):
    return number if setting.length is None else (number,) * setting.length


def test_manual_gives_the_range_of_every_number_and_no_other_is_accepted():
    documented = {}
    for name, _, comment in manual_lines():
        if match := re.match(r"\[(\S+), (\S+)[])]", comment):
            documented[name] = tuple(float(bound.replace("∞", "inf")) for bound in match.groups())
    numbers = {
        name for name, setting in SETTINGS.items() if setting.kind in (int, float) and not setting.choices
    }
    assert documented.keys() == numbers
    for name, (lowest, highest) in documented.items():
        setting = SETTINGS[name]
        for inside in {lowest, highest} - {np.inf}:
            assert setting.problem(as_value(setting, setting.kind(inside))) == ""
        step = 1 if setting.kind is int else 1e-9
        for outside in {lowest - step, highest + step} - {np.inf}:
            assert "must lie in" in setting.problem(as_value(setting, setting.kind(outside)))


def test_manual_names_the_choices_and_its_examples_are_valid():
    seen = set()
    for name, example, comment in manual_lines():
        value = yaml.safe_load(example)
        assert SETTINGS[name].problem(tuple(value) if isinstance(value, list) else value) == ""
        assert all(str(choice) in f"{example} {comment}" for choice in SETTINGS[name].choices)
        seen.add(name)
    assert seen == SETTINGS.keys()


def test_only_parameters_that_are_read_before_configuration_are_read_only():
    assert {name for name, setting in SETTINGS.items() if setting.read_only} == {"autostart", "cameras"}


def test_missing_settings_are_refused_with_all_their_names():
    with pytest.raises(SettingsError) as error:
        Settings.from_values({})
    assert all(name in str(error.value) for name in REQUIRED)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("keyframe.count", 3, "did you mean keyframes.count?"),
        (
            "qos_overrides./fix.subscription.depth",
            5,
            "leave it out: the QoS of an input follows its publishers",
        ),
        ("keyframes.count", 0, r"must lie in \[1, 20\]"),
        ("keyframes.count", True, "must be of type int"),
        ("track.max_misses", 8, "unknown parameter track.max_misses"),
        ("gate.min_confidence", 1, "write 1.0"),
        ("gate.min_confidence", "high", "must be of type float, got 'high'$"),
        ("keyframes.count", 2.5, "must be of type int, got 2.5$"),
        ("gate.min_confidence", float("nan"), "must be finite"),
        ("camera.rpy_deg", (0.0, 1.0), "list of 3"),
        ("camera.rpy_deg", (0.0, 1.0, 400.0), "must lie in"),
        ("camera.transport", "h264", "one of raw, compressed"),
        ("map.tile_px", 300, "one of 256, 512, got 300"),
        ("datum.latitude_deg", 91.0, "must lie in"),
        ("gnss.max_radius_m", 301.0, r"must lie in \[10.0, 300.0\]"),
    ],
)
def test_wrong_values_are_refused_with_the_name_and_the_rule(name, value, complaint):
    with pytest.raises(SettingsError, match=complaint):
        Settings.from_values(REQUIRED | {name: value})


@pytest.mark.parametrize(
    "name",
    [
        "map.source",
        "map.cache_dir",
        "model.package",
        "model.depth",
        "model.engine_cache_dir",
        "camera.mask",
        "camera.info_file",
    ],
)
def test_paths_in_an_unknown_home_folder_are_refused_by_name(name):
    with pytest.raises(SettingsError, match=f"{name}: there is no home folder ~no_such_user, got"):
        Settings.from_values(REQUIRED | {name: "~no_such_user/x"})


def test_parameters_become_the_configuration_of_each_room():
    settings = Settings.from_values(
        REQUIRED
        | {
            "keyframes.count": 7,
            "gate.min_confidence": 0.9,
            "gate.first_min_confidence": 0.95,
            "gate.max_position_sigma_m": 1.5,
            "odometry.drift_ratio": 0.08,
            "odometry.yaw_drift_deg_per_m": 0.5,
            "gnss.antenna_in_base_m": (1.0, 2.0, 3.0),
            "camera.position_in_base_m": (0.4, 0.0, 1.5),
            "frames.base": "chassis",
            "tf.timeout_sec": 0.2,
            "gnss.max_radius_m": 120.0,
            "camera.height_m": 1.5,
            "map.sigma_m": 0.6,
        }
    )
    assert settings.localizer.map_sigma_m == 0.6
    assert settings.tracker.keyframes.count == 7
    assert settings.localizer.gate == GateConfig(0.9, 0.95, 1.5)
    assert settings.localizer.single_image_gate == GateConfig(min_confidence=0.9, max_position_sigma_m=1.5)
    mountings = settings.mountings
    np.testing.assert_array_equal(mountings.antenna_in_base_m, (1.0, 2.0, 3.0))
    (camera,) = mountings.cameras.values()
    np.testing.assert_array_equal(camera.in_base_m, (0.4, 0.0, 1.5))
    assert (mountings.base_frame, mountings.hold_sec) == ("chassis", 0.2)
    assert mountings.from_tf == ["imu.rpy_deg", "camera.rpy_deg"]
    assert settings.tracker.search.gnss_max_radius_m == 120.0
    assert settings.tracker.search.position_drift_ratio == 0.08
    assert settings.tracker.odometry_drift == OdometryDrift(0.08, np.radians(0.5))
    assert camera.height_m == 1.5


@pytest.mark.parametrize(
    ("given", "expected"), [("", default_package_path()), ("~/model", Path.home() / "model")]
)
def test_model_package_is_the_embedded_one_unless_a_folder_is_given(given, expected):
    assert Settings.from_values(REQUIRED | {"model.package": given}).package_path == expected


def test_a_list_without_a_fixed_length_takes_several_items():
    providers = ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert Settings.from_values(REQUIRED | {"model.providers": providers}).engines.providers == providers


RIG = {
    "cameras": ("front", "left"),
    "camera.front.rpy_deg": (0.0, 0.0, 0.0),
    "camera.left.rpy_deg": (0.0, 0.0, 90.0),
}


def test_a_camera_s_own_value_overrules_the_value_for_all_cameras():
    given = RIG | {
        "camera.height_m": 1.5,
        "camera.left.height_m": 0.8,
        "camera.front.transport": "compressed",
    }
    settings = Settings.from_values(REQUIRED | given)
    front, left = settings.mountings.cameras.values()
    assert settings.cameras == ("front", "left")
    assert (front.height_m, left.height_m) == (1.5, 0.8)
    assert (settings.transport("front"), settings.transport("left")) == ("compressed", "raw")
    # The optical axis (z) of the front camera points ahead, that of the left camera to the left.
    np.testing.assert_allclose(front.R_base_camera[:, 2], [1.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(left.R_base_camera[:, 2], [0.0, 1.0, 0.0], atol=1e-12)
    assert front.in_base_m is None
    assert not settings_table(given)["camera.left.height_m"].required
    assert Settings.from_values(settings.values).cameras == settings.cameras


def test_a_calibration_file_may_be_given_as_drivers_take_it():
    given = {"camera.left.info_file": "file:///data/ost.yaml", "camera.front.info_file": "~/ost.yaml"}
    settings = Settings.from_values(REQUIRED | RIG | given)
    assert settings.info_path("left") == Path("/data/ost.yaml")
    assert settings.info_path("front") == Path.home() / "ost.yaml"
    assert Settings.from_values(REQUIRED).info_path("") is None


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (
            {"camera.rpy_deg": (0.0, 0.0, 0.0)},
            "camera.rpy_deg is of one camera; give camera.front.rpy_deg and so on",
        ),
        (
            {"camera.rear.height_m": 1.0},
            "unknown parameter camera.rear.height_m; did you mean camera.height_m",
        ),
        ({"camera.left.height_m": 1.0}, "for all cameras or for none"),
        ({"camera.left.height_m": 1}, "camera.left.height_m must be of type float"),
        (
            {"camera.info_file": "ost.yaml"},
            "camera.info_file is of one camera; give camera.front.info_file and so on",
        ),
        ({"cameras": ("front", "front")}, "cameras must be different names"),
        ({"cameras": ("front", "to the left")}, "got 'to the left'"),
        ({"cameras": ("front", "rpy_deg")}, "got 'rpy_deg'"),
        ({"cameras": "front"}, "cameras must be a list"),
    ],
)
def test_wrong_values_of_several_cameras_are_refused_with_the_name_and_the_rule(values, complaint):
    with pytest.raises(SettingsError, match=complaint):
        Settings.from_values(REQUIRED | RIG | values)


def test_defaults_of_parameters_are_those_of_the_configuration_classes():
    """A node without optional parameters behaves as the library does with its own defaults."""
    settings = Settings.from_values(REQUIRED)
    assert settings.localizer == LocalizerConfig()
    assert settings.tracker.odometry_drift.yaw_rad_per_m == pytest.approx(OdometryDrift().yaw_rad_per_m)
    assert replace(settings.tracker, odometry_drift=OdometryDrift()) == TrackerConfig()
    assert settings.mountings == MountingConfig()
    assert settings.cameras == ("",)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            {"frames.map": ""},
            "frames.map and frames.base must be names of two frames, got '' and 'base_link'",
        ),
        ({"frames.base": "/"}, "frames.map and frames.base must be names of two frames, got 'map' and '/'"),
        ({"frames.map": "/base_link"}, "must be names of two frames, got '/base_link' and 'base_link'"),
        (
            {"gnss.min_radius_m": 50.0, "gnss.max_radius_m": 20.0},
            r"gnss.min_radius_m must not exceed gnss.max_radius_m, got 50.0 and 20.0: every image would be",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused(values, problem):
    with pytest.raises(SettingsError, match=problem):
        Settings.from_values(REQUIRED | values)


def test_values_that_just_agree():
    Settings.from_values(
        REQUIRED | {"frames.map": "odom", "gnss.min_radius_m": 20.0, "gnss.max_radius_m": 20.0}
    )


def test_contradictions_are_looked_for_among_valid_values_only():
    (problem,) = find_problems(REQUIRED | {"frames.map": 3})
    assert problem == "frames.map must be of type str, got 3"
