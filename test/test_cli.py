"""Every command has help, and errors that a user can mend are reported without a traceback."""

import ast
import io
import json
import re
import shutil
import sys
import types
import typing
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
import yaml
from rich.console import Console
from typer.testing import CliRunner

from xview_localizer.cli import common
from xview_localizer.cli import main as cli
from xview_localizer.cli.evaluation import report_metrics
from xview_localizer.cli.simulation import TOWN_SEED
from xview_localizer.evaluation.measures import quantity
from xview_localizer.evaluation.metrics import Frame, summarize
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.models.package import default_package_path
from xview_localizer.simulation.families import FAMILIES
from xview_localizer.simulation.geotiff import write_utm_geotiff

PACKAGE = Path(cli.__file__).parents[1]
RUNNER = CliRunner()


def commands(group, words=()):
    """Words of every command → its click command."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command


def plain(text):
    """Without colours, which some CI services force upon it."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


COMMANDS = dict(commands(typer.main.get_command(cli.app)))


@pytest.fixture
def run(monkeypatch, capsys):
    """Run `xview-localizer …`; returns its exit code and what it wrote to stderr."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["xview-localizer", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code, plain(capsys.readouterr().err)

    return run


def fails(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_of_options_is_shown_whole(words):
    """Rich takes what stands in brackets for markup and leaves it out."""
    texts = [parameter.help or "" for parameter in COMMANDS[words].params if hasattr(parameter, "help")]
    assert texts and not [text for text in texts if re.search(r"\[[a-z]", text)]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_shows_examples_that_parse(words):
    """Every example is a call of its own command, with options and values that the command takes."""
    text = plain(RUNNER.invoke(cli.app, [*words, "--help"], env={"COLUMNS": "1000"}).output)
    shown = re.findall(r"Example: xview-localizer ((?:(?!Example:)[^\n│])+)", text)
    assert shown
    for example in shown:
        given = example.split()
        assert given[: len(words)] == list(words)
        COMMANDS[words].make_context(words[-1], given[len(words) :])


def callbacks(group):
    """The functions behind all commands."""
    yield from (info.callback for info in group.registered_commands)
    for info in group.registered_groups:
        yield from callbacks(info.typer_instance)


@pytest.mark.parametrize("command", list(callbacks(cli.app)), ids=lambda command: command.__name__)
def test_options_are_annotated_so_that_typer_0_9_reads_them(command):
    """Ubuntu 24.04 ships that version; it fails on texts in place of types, and on `X | None`."""
    for annotation in command.__annotations__.values():
        assert not isinstance(annotation, str)
        hints = typing.get_args(annotation) or (annotation,)  # the type of an Annotated comes first
        assert not isinstance(hints[0], types.UnionType)


def test_mendable_errors_exist():
    """They are known by name: a renamed class must not become a traceback."""
    trees = [ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")]
    classes = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    assert cli.MENDABLE <= classes | {"OSError"}


def test_help_of_simulate_names_the_street_families():
    (help_of_style,) = (p.help for p in COMMANDS[("simulate",)].params if p.name == "style")
    assert set(FAMILIES) <= set(re.findall(r"\w+", help_of_style))


def test_towns_by_default_are_no_training_towns():
    pytest.importorskip("torch")
    from xview_localizer.learning.training_data import VALIDATION_FIRST_SEED

    defaults = {p.default for c in COMMANDS.values() for p in c.params if p.name == "seed"}
    assert defaults == {0, TOWN_SEED}  # 0: of train itself
    assert TOWN_SEED > VALIDATION_FIRST_SEED + 10_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["replay", "EMPTY"], "has no drive.yaml"),
        (["evaluate", "--bag", "EMPTY"], "has no drive.yaml"),
        (["replay", "EMPTY/none.mcap"], "there is no such file or folder"),
        (["replay", "DRIVE"], "correct `bag` in drive.yaml"),
        (["evaluate", "--pairs", "EMPTY"], "it has no pairs.jsonl"),
        (["evaluate", "--pairs", "FILE"], "FILE is a file; pairs are given as the folder"),
        (["evaluate", "--vigor", "EMPTY"], "EMPTY has no labels of VIGOR"),
        (["evaluate", "--kitti", "EMPTY"], "there is no EMPTY/test1_files.txt"),
        (["check-config", "EMPTY/none.yaml"], "none.yaml"),
        (["map-server", "EMPTY/none.tif"], "EMPTY/none.tif is not there"),
        (["map-server", "EMPTY"], "EMPTY is a folder; give one of its files"),
        (["models", "check", "EMPTY"], "it has no model.yaml"),
        (["simulate", "FILE/drive"], "FILE: a folder is needed"),
    ],
)  # fmt: skip
def test_what_a_user_can_mend_is_one_line(run, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    for folder in ("EMPTY", "DRIVE"):
        (tmp_path / folder).mkdir()
    (tmp_path / "FILE").touch()
    description = {
        "datum": {"latitude_deg": 48.0, "longitude_deg": 11.0, "altitude_m": 0.0},
        "camera": {"in_base_m": [0.0, 0.0, 1.5], "rpy_deg": [0.0, 0.0, 0.0], "height_m": 1.5},
        "antenna_in_base_m": [0.0, 0.0, 1.0], "topics": {}, "map": "map.tif", "bag": "bag",
    }  # fmt: skip
    (tmp_path / "DRIVE" / "drive.yaml").write_text(yaml.safe_dump(description))
    code, err = run(*words)
    assert code == 1
    assert err.startswith("error: ") and message in err and err.count("\n") == 1
    assert not (tmp_path / "runs").exists()  # nothing was begun


@pytest.mark.parametrize(
    "words",
    [
        ("train", "--work", "work"), ("calibrate", "--pairs", "pairs"), ("adapt", "--bag", "drive"),
        ("models", "update", "package"), ("models", "import", "depth", "graph.onnx"),
        ("models", "import", "loc2", "--head", "h", "--backbone", "b", "--variant", "vigor"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_file_in_place_of_the_folder_to_write_is_refused_at_once(tmp_path, words):
    (tmp_path / "FILE").touch()
    done = RUNNER.invoke(cli.app, [*words, "--out", str(tmp_path / "FILE")], env={"COLUMNS": "300"})
    assert done.exit_code == 2 and "is a file" in done.output


def test_town_without_a_route_is_one_line(run, tmp_path, monkeypatch):
    from xview_localizer.simulation import drive
    from xview_localizer.simulation.town import TownError

    monkeypatch.setattr(drive, "simulate_drive", lambda *_: fails(TownError("town 5 has no free route"))())
    assert run("simulate", tmp_path / "drive1", "--seed", 5) == (1, "error: town 5 has no free route\n")


def test_replay_that_fails_shows_the_node_s_log(run, tmp_path, monkeypatch):
    bag_player = pytest.importorskip("xview_localizer.ros.bag_player")
    from xview_localizer import demo
    from xview_localizer.recordings import drives

    monkeypatch.setattr(drives, "open_drive", lambda *_: None)
    error = bag_player.ReplayError("the localizer node did not become active; its log ends with:\nboom")
    monkeypatch.setattr(demo, "replay_and_report", lambda *_, **__: fails(error)())
    code, err = run("replay", tmp_path)
    assert code == 1 and err.endswith("its log ends with:\nboom\n") and "Traceback" not in err


def test_missing_extra_is_named(run, monkeypatch):
    monkeypatch.setattr(cli, "app", fails(ModuleNotFoundError("No module named 'torch'", name="torch")))
    assert run() == (1, "error: this command needs torch; see Installation extras in docs/commands.md\n")


def test_brackets_of_a_message_are_no_markup(run, monkeypatch):
    monkeypatch.setattr(cli, "app", fails(FileNotFoundError("got [red] and [/nothing]")))
    assert run() == (1, "error: got [red] and [/nothing]\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["models", "list", "FOLDER/none"], "FOLDER/none: No such file or directory"),
        (["check-config", "FOLDER/none"], "cannot read FOLDER/none: No such file or directory"),
        (["locate", "a.jpg", "--map", "m.tif", "--out", "FOLDER/file"], "FOLDER/file: a folder is needed"),
        (
            ["locate", "a.jpg", "--map", "m.tif", "--out", "FOLDER/file/x"],
            "FOLDER/file/x: a folder is needed",
        ),
    ],
)
def test_errors_of_the_file_system_are_plain(run, tmp_path, words, message):
    (tmp_path / "file").touch()
    code, err = run(*(word.replace("FOLDER", str(tmp_path)) for word in words))
    assert code == 1 and err.startswith(f"error: {message.replace('FOLDER', str(tmp_path))}")


def test_check_config_doubts_a_height_and_a_map_that_is_not_there(tmp_path):
    values = {"datum": {"latitude_deg": 48.0, "longitude_deg": 11.0}, "map": {"source": "MAP"}}
    values["camera"] = {"height_m": 0.3}
    file, map_file = tmp_path / "robot.yaml", tmp_path / "ortho.png"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}).replace("MAP", str(map_file)))
    checked = RUNNER.invoke(cli.app, ["check-config", str(file)])
    assert checked.exit_code == 0
    lines = checked.output.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == ["doubtful", "doubtful"]
    assert "camera.height_m" in lines[0] and "no such file" in lines[1] and lines[-1].endswith("valid")


@pytest.mark.parametrize(("swapped", "verdict"), [(False, "fine"), (True, "valid")])
def test_check_config_looks_at_the_map_at_the_datum(tmp_path, small_town, swapped, verdict):
    """Latitude and longitude in each other's place leave the map thousands of kilometres away."""
    write_utm_geotiff(tmp_path / "ortho.tif", small_town.aerial, LocalFrame(48.0, 11.0))
    datum = dict(
        zip(("latitude_deg", "longitude_deg"), (11.0, 48.0) if swapped else (48.0, 11.0), strict=True)
    )
    model = {"package": str(tmp_path / "none")} if swapped else {}
    values = {"datum": datum, "map": {"source": str(tmp_path / "ortho.tif")}, "model": model}
    file = tmp_path / "robot.yaml"
    file.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}))
    *doubts, last = RUNNER.invoke(cli.app, ["check-config", str(file)]).output.splitlines()
    assert last == f"{file} is {verdict}"
    assert [doubt.split(": ")[1] for doubt in doubts] == (["model.package", "map.source"] if swapped else [])
    if swapped:
        assert "is not a model package" in doubts[0] and "no imagery within 20 m" in doubts[1]


def test_check_config_makes_the_camera_of_a_calibration_file(tmp_path, calibration_file):
    """It is refused where there is no such camera, or its mask has another size, and its lens may be doubtful."""
    roi = types.SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0)
    k = [900.0, 0.0, 31.5, 0.0, 900.0, 23.5, 0.0, 0.0, 1.0]
    info = types.SimpleNamespace(
        width=64, height=48, k=k, d=[], distortion_model="none", binning_x=0, binning_y=0, roi=roi
    )
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((48, 72), 255, np.uint8))
    values = {
        "datum": {"latitude_deg": 48.0, "longitude_deg": 11.0},
        "map": {"source": "http://host/{z}/{x}/{y}"},
    }

    def check(**camera):
        file = tmp_path / "robot.yaml"
        file.write_text(yaml.safe_dump({"/**": {"ros__parameters": {**values, "camera": camera}}}))
        return RUNNER.invoke(cli.app, ["check-config", str(file)])

    path = str(calibration_file(info))
    (doubt, verdict) = check(info_file=path).output.splitlines()
    assert doubt.startswith("doubtful: by its CameraInfo the camera sees only 4.1° across")
    assert verdict.endswith("valid")
    refused = check(info_file=path, mask=str(tmp_path / "mask.png"))
    assert re.match(r"camera\.info_file: .*ost\.yaml: camera\.mask does not belong", str(refused.exception))
    calibration_file(info, distortion_model="fov")
    assert "unknown distortion model 'fov'" in str(check(info_file=path).exception)


def test_models_are_listed_beside_one_that_is_damaged(tmp_path):
    for name in ("damaged", "whole"):
        shutil.copytree(default_package_path(), tmp_path / name)
    (tmp_path / "damaged" / "backbone.onnx").unlink()
    listed = RUNNER.invoke(cli.app, ["models", "list", str(tmp_path)]).output
    assert f"unusable: model package {tmp_path / 'damaged'} lacks backbone.onnx" in listed
    assert f": {tmp_path / 'whole'}\n" in listed
    assert (
        f": {tmp_path / 'whole'}\n"
        in RUNNER.invoke(cli.app, ["models", "list", str(tmp_path / "whole")]).output
    )


# Those of a photo are checked with the photo.
CHECKED_WITH_THE_PHOTO = {"radius", "height", "hfov", "pitch", "roll"}


@pytest.mark.parametrize("command", list(callbacks(cli.app)), ids=lambda command: command.__name__)
def test_numbers_have_bounds(command):
    """A number that makes no sense is refused by name, not by a traceback."""
    unbounded = set()
    for name, annotation in command.__annotations__.items():
        hint, *information = typing.get_args(annotation) or (annotation,)
        if {int, float} & {hint, *typing.get_args(hint)} and information[0].min is None:
            unbounded.add(name)
    assert unbounded == (CHECKED_WITH_THE_PHOTO if command.__name__ == "locate" else set())


def test_a_terminal_without_the_characters_shows_question_marks(monkeypatch):
    """An ASCII log, or a name of another encoding, must not cost the result."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr(cli, "app", lambda: common.print_line("stra\udcdfe.jpg 40° ± 1°"))
    cli.main()
    sys.stdout.flush()
    assert written.getvalue() == b"stra?e.jpg 40? ? 1?\n"


def test_bugs_keep_their_traceback(monkeypatch):
    monkeypatch.setattr(cli, "app", fails(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["simulate", "out", "--kind", "fisheye"], "'fisheye' is not one of 'equirectangular', 'pinhole'"),
        (["simulate", "out", "--pairs", "1", "--cameras", "4"], "--cameras goes with a drive"),
        (["simulate", "out", "--varied"], "--varied goes with --pairs"),
        (["engines", "check", "--precision", "int4"], "'int4' is not one of 'fp16', 'fp32', 'int8'"),
        (["bench", "--runtime", "cuda"], "'cuda' is not one of 'onnxruntime'"),
        (["evaluate"], "give one of --pairs, --bag, --vigor and --kitti"),
        (["evaluate", "--pairs", "a", "--reference", "/odom"], "--reference go with --bag"),
        (["replay", "out", "--topic", "image=/front"], "image=/front is not INPUT:=TOPIC"),
        (["evaluate", "--pairs", "a", "--bag", "b"], "give one of --pairs, --bag, --vigor and --kitti"),
        (["evaluate", "--pairs", "a", "--limit", "5"], "--limit go with --vigor and --kitti"),
        (["evaluate", "--pairs", "a", "--out", "."], "'.' is a directory"),
        (["evaluate", "--bag", "a", "--rerun", "."], "'.' is a directory"),
        (["rerun", "a", "--out", "."], "'.' is a directory"),
        (["bench", "--out", "."], "'.' is a directory"),
    ],
)
def test_wrong_options_are_explained(run, monkeypatch, words, message):
    monkeypatch.setenv("COLUMNS", "200")
    code, err = run(*words)
    assert code == 2 and message in err and "Traceback" not in err


def frames_of_a_drive():
    """Twelve images, one in three rejected, each for a reason of its own, and one accepted pose 7 m off."""
    return [
        Frame(
            f"{number}.5", 7.0 if number == 1 else 0.123, 0.1, 0.0, 1.5, accepted=bool(number % 3), confidence=0.9,
            reason=f"{'abcd'[number // 3]} is 0.{number}" if number % 3 == 0 else "", nees=2.5, latency_ms=99.6,
            prior_error_m=12.0,
        )
        for number in range(12)
    ]  # fmt: skip


@pytest.fixture
def narrow(monkeypatch):
    """A terminal of 80 columns."""
    monkeypatch.setattr(common.console, "width", 80)


def test_evaluation_fits_on_a_screen(tmp_path, capsys, narrow):
    doubts, shift = ["the camera's clock lags"], {"advice": "the map lies off:\n  east: 1.5\n  north: -0.8"}
    metrics = summarize(frames_of_a_drive()) | {
        "rate_hz": 2.0, "n_in_gaps_of_reference": 3, "doubts": doubts, "map_shift": shift
    }  # fmt: skip
    report_metrics(metrics, tmp_path / "out.json")
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) <= 25 and all(
        len(line) <= 80 for line in shown.splitlines() if "│" in line
    )
    cells = [
        tuple(cell.strip() for cell in line.split("│")[1:-1]) for line in shown.splitlines() if "│" in line
    ]
    rows = [("images", "12", "8"), ("position within 5 m", "92 %", "88 %"), ("off by more than 5 m", "", "1")]
    assert {*rows, ("images per second", "2.00", "")} <= set(cells)
    assert shown.count("rejected 1 ×: ") == 3 and "rejected 1 × for other reasons" in shown
    for line in (*doubts, "3 images in gaps of the reference", "east: 1.5", f"{tmp_path / 'out.json'}"):
        assert line in shown
    assert json.loads((tmp_path / "out.json").read_text())["doubts"] == doubts


def test_the_first_pairs_that_cannot_be_read_are_named(tmp_path, capsys):
    unreadable = {name: f"{name}.jpg was cut short" for name in "abcde"}
    report_metrics(summarize(frames_of_a_drive()) | {"unreadable": unreadable}, tmp_path / "out.json")
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("unreadable")]
    assert shown == [f"unreadable: {name}.jpg was cut short" for name in "abc"] + ["unreadable: 2 others"]


def test_a_benchmark_is_compared_in_memory_too(tmp_path, monkeypatch):
    from xview_localizer.evaluation import bench

    def figures(median_ms, peak_memory_mb):
        stages = {"panorama: solve": {"median_ms": median_ms, "p5_ms": 1.0, "p95_ms": 9.0}}
        about = {
            "machine": {"cpu": "slow"},
            "engines": {"runtime": "onnxruntime"},
            "graphs": {},
            "stages": stages,
        }
        return about | {"peak_memory_mb": peak_memory_mb}

    monkeypatch.setattr(bench, "run_bench", lambda *_: figures(6.0, 900.0))
    (tmp_path / "old.json").write_text(json.dumps(figures(4.0, 600.0)))
    command = ["bench", "--out", str(tmp_path / "new.json")]
    alone = RUNNER.invoke(cli.app, command)
    assert "6.0 (1.0–9.0)" in alone.output and "peak memory, MB: 900; " in alone.output
    compared = RUNNER.invoke(cli.app, [*command, "--compare", str(tmp_path / "old.json")])
    assert (
        "4.0 → 6.0 (1.50)" in compared.output and "peak memory, MB: 600.0 → 900.0 (1.50); " in compared.output
    )


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.0914, "m", "0.09 m"), (12.94, "m", "12.9 m"), (355.4, "ms", "355 ms"), (0.198, "°", "0.20°"),
     (0.875, "%", "88 %"), (0.825, "", "0.82"), (None, "m", "–")],
)  # fmt: skip
def test_figures_have_digits_that_mean_something(value, unit, text):
    assert quantity(value, unit) == text


def test_progress_is_for_terminals(capsys):
    """A log or a pipe gets no bars."""
    assert list(common.tracked("working")(range(3))) == [0, 1, 2]
    assert capsys.readouterr().out == ""


def test_engines_are_listed_and_cleaned(tmp_path):
    """Each with what it is for and what is wrong with it."""
    from xview_localizer.engines.tensorrt.cache import EngineKey, write_engine

    key = EngineKey("backbone", "ab" * 32, 1, "tensorrt", "10.3", "Orin", "8.7", "fp16", "{}")
    write_engine(tmp_path / key.file_name, key, b"plan")
    (tmp_path / "broken.engine").write_bytes(b"half")
    listed = RUNNER.invoke(cli.app, ["engines", "list", "--cache", str(tmp_path)])
    assert "broken.engine: 0 MB; it is no engine of this version" in listed.output
    assert "tensorrt 10.3, fp16, for Orin GPU of compute capability 8.7" in listed.output
    assert f"no engines in {tmp_path / 'none'}" in RUNNER.invoke(
        cli.app, ["engines", "list", "--cache", str(tmp_path / "none")]
    ).output.replace("\n", "")
    (tmp_path / "tensorrt-10.3-Orin.timings").write_bytes(b"times")
    RUNNER.invoke(cli.app, ["engines", "clean", "--cache", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".timings"]
    cleaned = RUNNER.invoke(cli.app, ["engines", "clean", "--all", "--cache", str(tmp_path)])
    assert cleaned.exit_code == 0 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("terminal", [True, False])
def test_a_loop_with_progress_asks_for_each_item_when_it_needs_it(monkeypatch, terminal):
    """Reading the next image of a recording also hands the sensors' messages before it to the tracker."""
    monkeypatch.setattr(common, "console", Console(file=io.StringIO(), force_terminal=terminal))
    made = []

    def items():
        for number in range(3):
            made.append(number)
            yield number

    assert [(number, len(made)) for number in common.tracked("reading")(items())] == [(0, 1), (1, 2), (2, 3)]
