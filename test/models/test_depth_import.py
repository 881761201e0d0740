"""Published depth networks become depth packages that compute the same; wrong files are refused by name."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import save_file

from xview_localizer.engines.onnx_engine import OnnxEngine
from xview_localizer.engines.tensorrt.build import profile_shapes
from xview_localizer.geometry.camera import PinholeCamera
from xview_localizer.geometry.canonical_view import directions
from xview_localizer.geometry.depth import DepthKind
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.ground_view import LevelView
from xview_localizer.models.contracts import GroundCells
from xview_localizer.models.depth_import import (
    ARCHITECTURES,
    DepthAnything,
    depth_anything,
    import_depth_anything,
    import_onnx,
)
from xview_localizer.models.depth_package import DepthInput, DepthPackage, DepthSpec
from xview_localizer.models.export import to_onnx
from xview_localizer.models.manifest import ModelPackageError
from xview_localizer.models.separate_depth import SeparateDepth

CAMERA = PinholeCamera(640, 480, 320.0, 320.0, 320.0, 240.0)
AHEAD = R_base_optical_from_rpy(0.0, 0.0, 0.0)
TINY = DepthAnything(64, 4, (1, 2, 3, 4), (8, 16, 24, 32), 8)
RELATIVE = DepthSpec("tiny", DepthKind.AFFINE_INVERSE, True, 80.0, DepthInput(70, 98))
METRIC = DepthSpec("tiny", DepthKind.METRIC, True, 20.0, DepthInput(70, 98))


@pytest.fixture
def weights(tmp_path):
    """Random weights of the published layout."""
    torch.manual_seed(0)
    network = depth_anything(TINY)
    path = tmp_path / "model.safetensors"
    save_file({name: value.contiguous() for name, value in network.model.state_dict().items()}, str(path))
    return path


@pytest.mark.parametrize("spec", [RELATIVE, METRIC], ids=["relative", "metric"])
def test_a_package_computes_what_the_library_does(weights, tmp_path, spec):
    package = import_depth_anything(weights, TINY, spec, "Apache-2.0", tmp_path / "depth")
    assert package == DepthPackage.load(tmp_path / "depth") and package.licence == "Apache-2.0"
    network = depth_anything(TINY, 20.0 if spec is METRIC else None)
    from safetensors.torch import load_file

    network.model.load_state_dict(load_file(str(weights)))
    pixels = torch.randn(1, 3, 70, 98)
    with torch.no_grad():
        expected = network(pixels).numpy()
    got = OnnxEngine(package.graph.path, threads=1).run({"pixels": pixels.numpy()})["depth"]
    assert got.shape == (1, 70, 98) and got.std() > 0
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_weights_of_another_layout_are_refused_by_name(weights, tmp_path):
    wider = DepthAnything(128, 4, (1, 2, 3, 4), (8, 16, 24, 32), 8)
    with pytest.raises(ModelPackageError, match=r"backbone.embeddings.cls_token has shape \[1, 1, 64\]"):
        import_depth_anything(weights, wider, RELATIVE, "none", tmp_path / "depth")
    save_file({"something": torch.zeros(3)}, str(weights))
    with pytest.raises(ModelPackageError, match="first missing tensor backbone.*first unexpected something"):
        import_depth_anything(weights, TINY, RELATIVE, "none", tmp_path / "depth")


def test_images_that_are_not_whole_patches_are_refused(weights, tmp_path):
    """The network leaves the rest out, so that its depth would be stretched over the image."""
    spec = replace(RELATIVE, input=DepthInput(70, 100))
    with pytest.raises(ModelPackageError, match="whole patches of 14 pixels, not 70 × 100"):
        import_depth_anything(weights, TINY, spec, "none", tmp_path / "depth")


def test_the_small_network_has_the_published_size():
    """Only the small network is counted: the others differ from it in their widths."""
    network = depth_anything(ARCHITECTURES["depth-anything-v2-small"])
    assert sum(value.numel() for value in network.parameters()) == pytest.approx(24.8e6, rel=0.01)


def test_any_graph_of_the_declared_size(tmp_path):
    graph = tmp_path / "mine.onnx"
    to_onnx(torch.nn.Conv2d(3, 1, 1), {"rgb": torch.rand(1, 3, 70, 98)}, {"depth": {}}, {}, graph)
    package = import_onnx(graph, RELATIVE, "CC0", tmp_path / "depth")
    assert package.spec.name == "tiny"
    other = DepthSpec("tiny", DepthKind.RELATIVE, True, 80.0, DepthInput(140, 98))
    with pytest.raises(ModelPackageError, match="declares an image"):
        import_onnx(graph, other, "CC0", tmp_path / "depth")
    with pytest.raises(ModelPackageError, match="cannot be read"):
        import_onnx(tmp_path / "nowhere.onnx", RELATIVE, "CC0", tmp_path / "depth")
    graph.write_bytes(b"no graph")
    with pytest.raises(ModelPackageError, match="mine.onnx cannot be read as an ONNX graph"):
        import_onnx(graph, RELATIVE, "CC0", tmp_path / "depth")
    assert DepthPackage.load(tmp_path / "depth") == package  # what was there stays


def test_a_graph_of_any_size_declares_the_one_that_it_gets(tmp_path):
    """Engines with fixed profiles have to know it."""
    graph = tmp_path / "free.onnx"
    free = {"rgb": {2: "rows", 3: "columns"}}
    to_onnx(torch.nn.Conv2d(3, 1, 1), {"rgb": torch.rand(1, 3, 70, 98)}, {"depth": {}}, free, graph)
    sizes = import_onnx(graph, RELATIVE, "CC0", tmp_path / "depth").graph.sizes
    assert profile_shapes((1, 3, -1, -1), sizes["rgb"], "depth", "rgb") == ((1, 3, 70, 98),) * 3


class DepthAndNormals(torch.nn.Module):
    def forward(self, rgb):
        return 1 + rgb[:, :1], rgb


def test_which_output_is_the_depth_is_named_where_there_are_several(tmp_path):
    graph = tmp_path / "both.onnx"
    outputs = {"depth": {}, "normals": {}}
    to_onnx(DepthAndNormals(), {"rgb": torch.rand(1, 3, 70, 98)}, outputs, {}, graph)
    for output, reason in (
        ("", "has the outputs depth, normals; name the one"),
        ("range", "no output 'range' for the depth; it has depth, normals"),
        ("normals", "one number a pixel"),
    ):
        with pytest.raises(ModelPackageError, match=reason):
            import_onnx(graph, replace(RELATIVE, output=output), "CC0", tmp_path / "depth")
    package = import_onnx(graph, replace(RELATIVE, output="depth"), "CC0", tmp_path / "depth")
    assert DepthPackage.load(tmp_path / "depth").spec.output == "depth"
    view = LevelView(np.full((480, 640, 3), 255, np.uint8), CAMERA, AHEAD, 1.6)
    rays = directions(np.radians([5.0, -5.0]), np.radians([-5.0, -10.0]))
    cells = GroundCells(rays, np.ones((2, 2), bool), np.zeros((2, 2, 1), np.float32), np.zeros((2, 2)))
    prediction = SeparateDepth(OnnxEngine(package.graph.path, threads=1), package.spec).estimate(view, cells)
    white = (1 - RELATIVE.input.mean[0]) / RELATIVE.input.std[0]
    np.testing.assert_allclose(prediction.values, 1 + white, rtol=1e-5)


def test_from_the_command_line(tmp_path):
    from typer.testing import CliRunner

    from xview_localizer.cli.main import app

    graph = tmp_path / "mine.onnx"
    to_onnx(torch.nn.Conv2d(3, 1, 1), {"rgb": torch.rand(1, 3, 70, 98)}, {"depth": {}}, {}, graph)
    command = [
        "models",
        "import",
        "depth",
        str(graph),
        "--rows",
        "70",
        "--columns",
        "98",
        "--out",
        str(tmp_path / "d"),
    ]
    result = CliRunner().invoke(app, [*command, "--kind", "metric", "--along-ray", "--licence", "CC0"])
    assert result.exit_code == 0 and "licence: CC0" in result.output
    spec = DepthPackage.load(tmp_path / "d").spec
    assert (spec.kind, spec.planar, spec.input.rows_px) == (DepthKind.METRIC, False, 70)
    assert spec.input.mean == DepthInput(1, 1).mean
    assert CliRunner().invoke(app, [*command, "--colours", "unit"]).exit_code == 0
    unit = DepthPackage.load(tmp_path / "d").spec.input
    assert (unit.mean, unit.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert CliRunner().invoke(app, [*command, "--kind", "logarithmic"]).exit_code == 2
