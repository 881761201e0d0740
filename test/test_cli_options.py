"""What the options of the long-running commands set off, with the work itself replaced."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from ground_depth import write_ground_depth
from typer.testing import CliRunner

from xview_localizer.cli.main import app

RUNNER = CliRunner()


@pytest.fixture
def called(monkeypatch):
    """Replace a function by its dotted name; returns the arguments of its calls."""

    def replace(module, name, answer=None):
        calls = []

        def instead(*arguments, **named):
            calls.append((*arguments, *named.values()))
            return answer

        monkeypatch.setattr(f"xview_localizer.{module}.{name}", instead)
        return calls

    return replace


def outcome(*words):
    done = RUNNER.invoke(app, [str(word) for word in words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_train_hands_on_what_to_learn_from_and_how_long(called, package, tmp_path):
    pytest.importorskip("torch")
    from xview_localizer.learning.recipe_config import RecipeConfig
    from xview_localizer.learning.train_config import TrainConfig

    calls = called("learning.recipe", "train_package", package)
    code, output = outcome(
        "train", "--work", "w", "--out", "o", "--towns", 3, "--images-per-town", 5, "--pairs", "p1", "--pairs", "p2",
        "--orthophoto", "site.tif", "--photos", "photos.jsonl", "--scenes", 7, "--style", "dry", "--start", "s",
        "--start-share", 0.25, "--steps", 11, "--seed", 13, "--workers", 4, "--threads", 6, "--lora-rank", 2,
        "--device", "cuda", "--crops", 12, "--backbone-weights", "vits.safetensors",
    )  # fmt: skip
    assert code == 0 and "in o" in output
    ((work, backbone, out, config, _),) = calls
    assert (work, backbone, out) == (Path("w"), Path("s"), Path("o"))
    assert config == RecipeConfig(
        towns=3, images_per_town=5, pairs=(Path("p1"), Path("p2")), orthophotos=(Path("site.tif"),),
        photos=Path("photos.jsonl"), scenes=7, styles=("dry",), start=Path("s"), start_share=0.25,
        backbone_weights=Path("vits.safetensors"), lora_rank=2, device="cuda", workers=4, threads=6,
        train=TrainConfig(steps=11, seed=13, aerial_per_step=12),
    )  # fmt: skip


def test_the_backbone_of_training_is_the_given_one_or_that_of_the_start(called, package):
    pytest.importorskip("torch")
    from xview_localizer.models.package import default_package_path

    calls = called("learning.recipe", "train_package", package)
    for given in ([], ["--start", "s"], ["--start", "s", "--backbone", "b"]):
        outcome("train", "--work", "w", "--out", "o", *given)
    assert [call[1] for call in calls] == [default_package_path(), Path("s"), Path("b")]


@pytest.mark.parametrize(("objections", "code"), [((), 0), (("the median error grew", "fewer"), 1)])
def test_adapt_says_what_came_of_it(called, objections, code):
    """With exit code 1 where no package is written."""
    pytest.importorskip("torch")
    from xview_localizer.learning.adapt import Adaptation, AdaptConfig
    from xview_localizer.learning.held_out import Figures
    from xview_localizer.learning.site_pairs import SiteDrives

    before, after = Figures(40, 0.5, 1.25, 20, 2), Figures(40, 0.75, 0.75, 30, 1)
    calls = called("learning.adapt", "adapt_package", Adaptation(before, after, objections))
    found, output = outcome(
        "adapt", "--bag", "d1", "--bag", "d2", "--out", "site", "--params-file", "robot.yaml", "--reference", "/rtk",
        "--start", "s", "--steps", 9, "--start-share", 0.75, "--device", "cuda", "--threads", 3,
    )  # fmt: skip
    ((work, out, config, _),) = calls
    assert (work, out) == (Path("site.work"), Path("site"))
    drives = SiteDrives((Path("d1"), Path("d2")), Path("robot.yaml"), "/rtk")
    assert config == AdaptConfig(drives, Path("s"), 9, 0.75, "cuda", 3)
    assert found == code
    for row in (
        ("within 2 m", "50 %", "75 %"),
        ("accepted", "20", "30"),
        ("of them off by more than 5 m", "2", "1"),
    ):
        assert any(all(cell in line for cell in row) for line in output.splitlines()), row
    assert "40 images of held-out road" in output and str(Path("site.work") / "adaptation.json") in output
    assert ("package in site" in output) == (code == 0)
    assert ("no package is written to site: the median error grew, fewer" in output) == (code == 1)


def test_simulate_makes_a_drive_or_pairs(called):
    pytest.importorskip("embreex")
    from xview_localizer.simulation.drive import SURROUND, DriveConfig
    from xview_localizer.simulation.pairs_writer import PairsConfig

    drives = called("simulation.drive", "simulate_drive")
    assert outcome(
        "simulate", "d", "--kind", "pinhole", "--seed", 5, "--style", "dry", "--length-m", 90, "--cameras", 3,
        "--route", 2,
    )[0] == 0  # fmt: skip
    ((out, seed, config, _),) = drives
    assert (out, seed) == (Path("d"), 5)
    assert config == DriveConfig(
        length_m=90.0,
        kind="pinhole",
        family="dry",
        route=2,
        cameras=SURROUND[:3],
        gnss_error=config.gnss_error,
    )
    outcome("simulate", "d")
    assert drives[1][2].cameras == ()
    pairs = called("simulation.pairs_writer", "make_pairs")
    assert outcome(
        "simulate", "p", "--seed", 5, "--pairs", 3, "--images-per-town", 6, "--keyframes", 2, "--style", "dry",
        "--style", "works", "--heading-sigma-deg", 10, "--no-vary-camera", "--varied", "--workers", 4,
    )[0] == 0  # fmt: skip
    ((out, seeds, config, workers),) = pairs
    assert (out, list(seeds), workers) == (Path("p"), [5, 6, 7], 4)
    assert config == PairsConfig("equirectangular", 6, 2, 10.0, False, families=("dry", "works"), varied=True)


def test_calibrate_takes_several_data_sets(called, package, tmp_path):
    pytest.importorskip("torch")
    calls = called("learning.calibrate_package", "calibrate_package", package)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pairs.jsonl").write_text("")
    sets = [tmp_path / "one", tmp_path / "two"]
    words = [word for folder in sets for word in ("--pairs", folder)]
    assert outcome("calibrate", *words, "--out", "o", "--model", "m")[0] == 0
    ((model, out, datasets, _),) = calls
    assert (model, out, [dataset.folder for dataset in datasets]) == (Path("m"), Path("o"), sets)


def test_evaluate_of_pairs_writes_what_it_measured(called, tmp_path):
    from xview_localizer.evaluation.metrics import summarize

    calls = called("evaluation.evaluate", "evaluate_pairs", summarize([]))
    (tmp_path / "pairs.jsonl").write_text("")
    out = tmp_path / "new" / "out.json"
    code, output = outcome("evaluate", "--pairs", tmp_path, "--keyframes", 3, "--threads", 1, "--out", out)
    assert code == 0 and str(out) in output.replace("\n", "")
    assert calls[0][2] == 3
    assert json.loads(out.read_text())["n"] == 0


def test_a_depth_package_is_built_and_timed_with_the_model(called, tmp_path):
    depth = write_ground_depth(tmp_path / "depth")
    called("engines.tensorrt.library", "load_library")
    called("engines.tensorrt.open", "engine_key", SimpleNamespace(file_name="an.engine"))
    built = called("engines.tensorrt.open", "cached_plan", b"plan")
    words = ["--compute-capability", "8.9", "--cache", tmp_path, "--depth", depth]
    code, output = outcome("engines", "build", *words)
    graphs = [graph.name for graph, *_ in built]
    assert code == 0 and graphs == ["backbone", "ground_head", "aerial_head", "depth"]
    figures = {"machine": {"cpu": "any"}, "engines": {"runtime": "any"}, "graphs": {}, "stages": {}}
    benched = called("evaluation.bench", "run_bench", figures | {"peak_memory_mb": 1.0})
    assert outcome("bench", "--out", tmp_path / "bench.json", "--depth", depth)[0] == 0
    ((package, *_),) = benched
    assert package.depth.folder == depth
