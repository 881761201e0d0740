"""A package is calibrated on images and held to FP32, from the command line."""

import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from ground_depth import write_ground_depth

from xview_localizer.cli.main import app
from xview_localizer.engines.tensorrt.calibration import calibrated_graph
from xview_localizer.evaluation.engine_check import POSE_LIMITS, PoseCheck
from xview_localizer.evaluation.spreading import spread
from xview_localizer.models.backbone import Backbone, BackboneConfig
from xview_localizer.models.export import export_backbone, export_heads
from xview_localizer.models.heads import AerialHead, GroundHead, HeadConfig
from xview_localizer.models.package import ModelPackage, write_manifest
from xview_localizer.models.xview import XVIEW, XviewSpec

HEADS = HeadConfig(backbone_channels=32, width=16, ground_blocks=1, aerial_blocks=1, descriptor=8)


@pytest.fixture
def small_package(tmp_path) -> ModelPackage:
    """Random weights of the default package's layout, with two narrow blocks."""
    torch.manual_seed(0)
    folder = tmp_path / "package"
    folder.mkdir()
    export_backbone(Backbone(BackboneConfig(width=16, heads=2, taps=(0, 1))), folder / "backbone.onnx")
    export_heads(GroundHead(HEADS), AerialHead(HEADS), folder)
    write_manifest(folder, XVIEW, XviewSpec(), "none", "random", "none")
    return ModelPackage.load(folder)


@pytest.fixture
def pairs(tmp_path):
    """One pinhole image and one aerial image, of noise."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, shape in (("ground.png", (240, 320, 3)), ("aerial.png", (300, 300, 3))):
        cv2.imwrite(str(folder / name), rng.integers(0, 255, shape, dtype=np.uint8))
    record = {
        "id": "0",
        "image": "ground.png",
        "camera": {"model": "pinhole", "width": 320, "height": 240, "fx": 160.0, "fy": 160.0, "cx": 160.0, "cy": 120.0,
                   "height_m": 1.6},
        "aerial": {"image": "aerial.png", "metres_per_pixel": 0.2},
        "prior": {"x": 0.0, "y": 0.0, "sigma_m": 5.0},
        "truth": {"x": 0.0, "y": 0.0, "yaw_deg": 0.0},
    }  # fmt: skip
    (folder / "pairs.jsonl").write_text(json.dumps(record))
    return folder


def test_calibrated_graphs_pass_the_check(small_package, pairs, tmp_path):
    options = ["--model", str(small_package.folder), "--cache", str(tmp_path / "engines")]
    check = ["engines", "check", "--runtime", "onnxruntime", "--precision", "int8", *options]
    before = CliRunner().invoke(app, check)
    assert before.exit_code != 0 and "has not been calibrated" in str(before.exception or before.output)
    done = CliRunner().invoke(app, ["engines", "calibrate", "--pairs", str(pairs), *options])
    assert done.exit_code == 0, done.output
    for name, graph in small_package.graphs.items():
        calibrated = calibrated_graph(graph, tmp_path / "engines")
        assert calibrated.path.name in done.output
        assert (b"QuantizeLinear" in calibrated.path.read_bytes()) == (name == "backbone")
    after = CliRunner().invoke(app, check)
    assert after.exit_code == 0 and "backbone: tokens differs by" in after.output


def test_a_separate_depth_network_is_calibrated_and_checked_in_place_of_the_package_s(
    small_package, pairs, tmp_path
):
    depth = write_ground_depth(tmp_path / "depth")
    options = [
        "--model",
        str(small_package.folder),
        "--depth",
        str(depth),
        "--cache",
        str(tmp_path / "engines"),
    ]
    done = CliRunner().invoke(app, ["engines", "calibrate", "--pairs", str(pairs), *options])
    assert done.exit_code == 0, done.exception
    names = {path.name.split("-")[0] for path in (tmp_path / "engines").iterdir()}
    assert names == {"backbone", "ground_head", "aerial_head", "depth"}
    check = ["engines", "check", "--runtime", "onnxruntime", "--precision", "int8", *options]
    checked = CliRunner().invoke(app, check)
    assert checked.exit_code == 0, checked.exception
    assert "depth: range differs by 0.0" in checked.output and "depth_head" not in checked.output


def test_calibration_takes_images_from_all_of_the_data_set():
    """Before, of up to 31 images the first 16."""
    numbers = spread(range(31), 16)
    assert (numbers[0], numbers[-1], len(numbers)) == (0, 30, 16)
    assert set(np.diff(numbers)) == {2}
    assert spread("abc", 16) == ["a", "b", "c"] and spread([], 16) == []


def test_poses_that_the_reference_rejects_are_not_called_different(small_package, pairs):
    """Random weights localize nothing."""
    check = ["engines", "check", "--runtime", "onnxruntime", "--precision", "fp16", "--pairs", str(pairs)]
    done = CliRunner().invoke(app, [*check, "--model", str(small_package.folder)])
    assert "has no pose that FP32 accepts, so none can be compared" in str(done.exception)


def test_int8_poses_may_differ_more_in_one_image_of_ten():
    position_m, yaw_deg = 9 * [0.08] + [np.inf], 9 * [0.15] + [1.0]
    check = PoseCheck.of(position_m, yaw_deg, POSE_LIMITS["int8"])
    assert check.passed and (check.images, check.position_m, check.yaw_deg) == (10, 0.08, 0.15)
    assert not PoseCheck.of(position_m + [0.3], yaw_deg + [0.0], POSE_LIMITS["int8"]).passed
    assert not PoseCheck.of(position_m, 8 * [0.15] + 2 * [1.0], POSE_LIMITS["int8"]).passed
    assert not PoseCheck.of([0.04, 0.06], [0.0, 0.0], POSE_LIMITS["fp16"]).passed
    assert not PoseCheck.of([], [], POSE_LIMITS["int8"]).passed
