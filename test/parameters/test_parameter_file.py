"""Parameter files are read as ROS reads them; what ROS would refuse or misread is refused with file and reason."""

import pytest

from xview_localizer.parameters.file import parameter_file_text, read_parameter_file
from xview_localizer.parameters.problems import find_problems
from xview_localizer.parameters.settings import Settings
from xview_localizer.parameters.table import SettingsError

REQUIRED = {"datum.latitude_deg": 48.0, "datum.longitude_deg": 11.0, "map.source": "map.tif"}


def test_parameter_files_round_trip(tmp_path):
    values = REQUIRED | {"camera.rpy_deg": (0.0, 1.0, 2.0)}
    path = tmp_path / "parameters.yaml"
    path.write_text(parameter_file_text(values))
    assert find_problems(read_parameter_file(path)) == []
    assert Settings.from_values(read_parameter_file(path)).values == Settings.from_values(values).values


def test_what_every_node_takes_is_skipped(tmp_path):
    path = tmp_path / "robot.yaml"
    path.write_text(
        "/**: {ros__parameters: {use_sim_time: true, start_type_description_service: false, map.source: a.tif}}"
    )
    assert read_parameter_file(path) == {"map.source": "a.tif"}


@pytest.mark.parametrize(
    "heading",
    [
        "/**:",
        "/*:",
        "localizer:",
        "/front/localizer:",
        "/**/localizer:",
        "front:\n  localizer:",
        "front:\n  '*':",
    ],
)
def test_parameters_of_a_node_in_any_namespace_are_found(tmp_path, heading):
    indent = "  " * (heading.count("\n") + 1)
    path = tmp_path / "robot.yaml"
    path.write_text(
        f"other:\n  ros__parameters: {{x: 1}}\n{heading}\n{indent}ros__parameters: {{map.source: a.tif}}\n"
    )
    assert read_parameter_file(path) == {"map.source": "a.tif"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-2", 0.03),
        ("3e0", 3.0),
        ("1.5E+1", 15.0),
        ("-.5e1", -5.0),
        ("e1", "e1"),
        ("48:08:13", "48:08:13"),
        ("1:30.5", "1:30.5"),
        ("1_0", "1_0"),
        ("0b11", "0b11"),
        ("2026-11-25", "2026-11-25"),
        ("010", 8),
        ("08", 8.0),
        ("-0x10", -16),
        ("+5", 5),
        ("0", 0),
        ("1.", 1.0),
        ("-.5", -0.5),
        ("-.inf", float("-inf")),
    ],
)
def test_numbers_are_read_as_ros_reads_them(tmp_path, text, value):
    path = tmp_path / "robot.yaml"
    path.write_text(f"/**:\n  ros__parameters:\n    odometry: {{drift_ratio: {text}}}\n")
    (read,) = read_parameter_file(path).values()
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has no 'ros__parameters'"),
        ("a: [", "cannot read"),
        ("localizer: {datum: 3}", "has no 'ros__parameters'"),
        ("other: {ros__parameters: {a: true}}", "has no 'ros__parameters' .*; it has them for other"),
        (
            "localizer:\n  ros__parameters:\n    map: {sigma_m: 1.0}\n    map: {source: a}",
            "'map' is given twice, in lines 3 and 4",
        ),
        ("localizer: {ros__parameters: {map: {source: a}, map.source: b}}", "gives map.source twice"),
        ("localizer: {ros__parameters: {a: 1, a: 2}}", "'a' is given twice, in lines 1 and 1"),
        ("{[a]: 1}", "unhashable key"),
        ("1: {autostart: true}", "has no 'ros__parameters'"),
        ("/**:\n  ros__parameters:\n    # autostart: true", r"of '\*\*' must hold parameters, got nothing"),
        ("localizer: {ros__parameters: [1, 2]}", r"of 'localizer' must hold parameters, got \[1, 2\]"),
        ("# Kamera über Boden", "utf-8"),
        ("a: 2026-99-99", "has no 'ros__parameters'"),
        ("localizer: {ros__parameters: {a: &s 1.0, b: *s}}", r"ROS reads no aliases, such as \*s in line 1"),
        ("localizer: {ros__parameters: {camera: {height_m: }}}", "camera.height_m has no value"),
        ("localizer: {ros__parameters: {datum: ~}}", "datum has no value"),
        ("localizer: {ros__parameters: {cameras: []}}", "cameras has no value"),
        ("/**: {ros__parameters: {use_sim_time: 'true'}}", "use_sim_time must be true or false.*got 'true'"),
        ("/**: {ros__parameters: {use_sim_time: 1}}", "use_sim_time must be true or false.*got 1"),
        (
            "/**:\n  ros__parameters: {a: 1}\n  localizer: {ros__parameters: {b: 2}}",
            r"'localizer' stands beside 'ros__parameters' under '/\*\*'",
        ),
    ],
)
def test_files_without_parameters_are_refused(tmp_path, text, complaint):
    path = tmp_path / "parameters.yaml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(SettingsError, match=complaint) as error:
        read_parameter_file(path)
    assert str(path) in str(error.value)
