"""Depth networks as published: graphs of the very inputs and outputs become packages that see the right ranges.

The signatures are those of MoGe-2 (Ruicheng/moge-2-vits-normal-onnx), UniK3D (its unik3d/models/export.py), Depth
Anything 3 (onnx-community/depth-anything-v3-small) and Metric3D (onnx-community/metric3d-vit-small).
"""

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from painted_views import PANORAMIC_CAMERA, PINHOLE_CAMERA, cells_of, painted_view, true_range_m
from torch import nn
from typer.testing import CliRunner

from xview_localizer.cli.main import app
from xview_localizer.engines.engine import EngineError, TensorSpec
from xview_localizer.engines.onnx_engine import OnnxEngine
from xview_localizer.engines.tensorrt.build import profile_shapes
from xview_localizer.geometry.depth import DepthKind
from xview_localizer.models.depth_cuts import input_camera
from xview_localizer.models.depth_graph import DepthGraph
from xview_localizer.models.depth_package import DepthInput, DepthPackage, DepthSpec
from xview_localizer.models.dinov2 import IMAGENET_MEAN, IMAGENET_STD
from xview_localizer.models.export import to_onnx
from xview_localizer.models.separate_depth import SeparateDepth

IMAGE = DepthInput(120, 160)
PANORAMA = DepthInput(180, 360, "panorama")
CANONICAL = DepthInput(
    308, 532, horizontal_fov_rad=2 * np.arctan(266 / 1000)
)  # a focal length of 1000 pixels


class Reads(nn.Module):
    """Reads depth off the paint of an image."""

    def __init__(self, image):
        super().__init__()
        camera = input_camera(image, image.horizontal_fov_rad)
        column, row = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
        rays = camera.rays(np.column_stack([column.ravel(), row.ravel()])).T.reshape(1, 3, *column.shape)
        self.register_buffer("rays", torch.tensor(rays, dtype=torch.float32))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).reshape(1, 3, 1, 1))

    def points(self, unit):
        """Points [1, 3, H, W] in metres of an image in [0, 1]."""
        return self.rays / (unit[:, :1] + 1e-3)


class MoGe(Reads):
    """In units of 2.5 m, 0.7 units too near, and without anything on the left. The unit depends on the tokens."""

    def forward(self, image, num_tokens):
        points = self.points(image).permute(0, 2, 3, 1) / 2.5
        scale = 2.5 * num_tokens.float().reshape(1) / 1800
        mask = torch.sigmoid(100 * (0.5 - image[:, 1]))
        return points - torch.tensor([0.0, 0.0, 0.7]), self.rays.permute(0, 2, 3, 1), mask, scale


class UniK3D(Reads):
    def forward(self, rgbs):
        return self.points(rgbs * self.std + self.mean), rgbs[:, :1]


class DepthAnything3(Reads):
    def forward(self, pixel_values):
        depth = 3 * self.points(pixel_values[:, 0] * self.std + self.mean)[:, 2:]
        return depth, depth, torch.eye(4)[None, None, :3], torch.eye(3)[None, None]


class Metric3D(Reads):
    def forward(self, pixel_values):
        points = self.points(pixel_values / 255)
        return points[:, 2], points, points[:, 2]


def export(network, inputs, outputs, free, path):
    to_onnx(network, inputs, {name: {} for name in outputs}, free, path)
    return path


@pytest.fixture
def moge(tmp_path):
    return export(
        MoGe(IMAGE),
        {"image": torch.rand(1, 3, 120, 160), "num_tokens": torch.tensor(1800)},
        ("points", "normal", "mask", "scale"),
        {"image": {0: "batch", 2: "height", 3: "width"}},
        tmp_path / "model.onnx",
    )


def imported(graph, image, *options):
    out = graph.parent / "package"
    words = ["--rows", image.rows_px, "--columns", image.columns_px, "--out", out, *options]
    done = CliRunner().invoke(app, ["models", "import", "depth", str(graph), *map(str, words)])
    assert done.exit_code == 0, done.exception or done.output
    return DepthPackage.load(out)


def seen(package, camera=PINHOLE_CAMERA):
    """The ranges that the package gives, the true ones, and which cells the view shows."""
    view = painted_view(camera)
    cells = cells_of(view)
    prediction = SeparateDepth(OnnxEngine(package.graph.path, threads=1), package.spec).estimate(view, cells)
    cosine = 1.0 if prediction.axis_cosine is None else prediction.axis_cosine
    return prediction.values / cosine, true_range_m(cells.rays_level), cells


MOGE = (
    "--kind metric --colours unit --form affine_point_map --output points --scale scale --mask mask".split()
)


@pytest.mark.parametrize("metres", [1.0, 2.0])
def test_moge_gives_points_whose_shift_and_unit_are_found_and_a_mask(moge, metres):
    package = imported(moge, IMAGE, *MOGE, "--constant", f"num_tokens={1800 * metres:.0f}")
    range_m, true_m, cells = seen(package)
    left = cells.rays_level[..., 1] > 0.05
    assert np.isnan(range_m[left]).all()
    known = cells.valid & (cells.rays_level[..., 1] < -0.05)
    assert known.sum() > 50
    np.testing.assert_allclose(range_m[known], metres * true_m[known], rtol=0.06)


@pytest.mark.parametrize("planar", ["--planar", "--along-ray"])
def test_unik3d_gives_points_for_perspective_images(tmp_path, planar):
    inputs = {"rgbs": torch.rand(1, 3, 120, 160)}
    graph = export(
        UniK3D(IMAGE), inputs, ("pts_3d", "confidence"), {"rgbs": {0: "batch"}}, tmp_path / "u.onnx"
    )
    package = imported(graph, IMAGE, "--kind", "metric", "--form", "point_map", "--output", "pts_3d", planar)
    range_m, true_m, cells = seen(package)
    assert (np.isfinite(range_m) == cells.valid).all()
    np.testing.assert_allclose(range_m[cells.valid], true_m[cells.valid], rtol=0.06)


def test_unik3d_gives_points_for_panoramas(tmp_path):
    inputs = {"rgbs": torch.rand(1, 3, 180, 360)}
    graph = export(UniK3D(PANORAMA), inputs, ("pts_3d", "confidence"), {}, tmp_path / "u.onnx")
    words = "--kind metric --form point_map --output pts_3d --projection panorama --along-ray".split()
    range_m, true_m, cells = seen(imported(graph, PANORAMA, *words), PANORAMIC_CAMERA)
    assert (np.isfinite(range_m) == cells.valid).all()
    np.testing.assert_allclose(range_m[cells.valid], true_m[cells.valid], rtol=0.06)


def test_depth_anything_3_takes_several_views_and_keeps_its_weights_in_another_file(tmp_path):
    free = {"pixel_values": {0: "batch", 1: "views", 3: "height", 4: "width"}}
    graph = export(
        DepthAnything3(IMAGE),
        {"pixel_values": torch.rand(1, 1, 3, 120, 160)},
        ("predicted_depth", "confidence", "extrinsics", "intrinsics"),
        free,
        tmp_path / "model.onnx",
    )
    model = onnx.load(str(graph))
    onnx.save(model, str(graph), save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    package = imported(graph, IMAGE, "--kind", "relative", "--output", "predicted_depth")
    (tmp_path / "model.onnx_data").unlink()
    depth, true_m, cells = seen(package)
    np.testing.assert_allclose(depth[cells.valid], 3 * true_m[cells.valid], rtol=0.06)
    sizes = package.graph.sizes["pixel_values"]
    assert profile_shapes((-1, -1, 3, -1, -1), sizes, "depth", "image") == ((1, 1, 3, 120, 160),) * 3


def test_metric3d_takes_bytes_and_gives_metres_for_its_focal_length(tmp_path):
    graph = export(
        Metric3D(CANONICAL),
        {"pixel_values": torch.rand(1, 3, 308, 532)},
        ("predicted_depth", "predicted_normal", "normal_confidence"),
        {"pixel_values": {0: "batch", 2: "height", 3: "width"}},
        tmp_path / "model.onnx",
    )
    words = "--kind metric --colours byte --output predicted_depth --fov-deg 29.8".split()
    range_m, true_m, cells = seen(imported(graph, CANONICAL, *words))
    known = np.isfinite(range_m)
    assert known.sum() > 50
    np.testing.assert_allclose(range_m[known], true_m[known], rtol=0.06)


def test_a_mask_of_another_size_than_the_depth_is_refused():
    class Engine:
        inputs = (TensorSpec("image", (1, 3, 120, 160), np.dtype(np.float32)),)
        outputs = tuple(TensorSpec(name, (1, None, None), np.dtype(np.float32)) for name in ("depth", "mask"))

        def run(self, inputs):
            return {"depth": np.ones((1, 120, 160)), "mask": np.ones((1, 60, 80))}

    spec = DepthSpec("halved", DepthKind.METRIC, True, 80.0, IMAGE, "depth", mask="mask")
    with pytest.raises(EngineError, match=r"'mask' has \(60, 80\) pixels, the depth \(120, 160\)"):
        DepthGraph(Engine(), spec).depth(np.zeros((120, 160, 3), np.uint8), input_camera(IMAGE, 1.0))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (MOGE, r"one input, this one has \['image', 'num_tokens'\]; models import depth --constant"),
        ([*MOGE, "--constant", "tokens=1"], "no input 'tokens'; it has image, num_tokens"),
        ([*MOGE, "--constant", "num_tokens=1.5"], "'num_tokens' takes whole numbers, not 1.5"),
        (["--output", "points", "--constant", "num_tokens=1800"], "form depth is one number a pixel.*'points'"),
        (
            ["--form", "point_map", "--kind", "metric", "--output", "mask", "--constant", "num_tokens=1800"],
            r"form point_map is a point a pixel.*'mask' has the shape \(1, 120, 160\)",
        ),
        ([*MOGE, "--scale", "mask", "--constant", "num_tokens=1800"], "a scale is one number for the image"),
        ([*MOGE, "--scale", "metric", "--constant", "num_tokens=1800"], "no output 'metric' for the scale; it"),
        ([*MOGE, "--mask", "normal", "--constant", "num_tokens=1800"], "one number a pixel.*'normal'"),
    ],
)  # fmt: skip
def test_what_a_graph_does_not_have_is_named(moge, options, reason):
    words = ["--rows", "120", "--columns", "160", "--out", str(moge.parent / "package"), *options]
    done = CliRunner().invoke(app, ["models", "import", "depth", str(moge), *words])
    assert done.exit_code == 1
    with pytest.raises(type(done.exception), match=reason):
        raise done.exception


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--constant", "num_tokens"], "num_tokens is not NAME=NUMBER"),
        (["--colours", "bgr"], "imagenet, unit, byte, not 'bgr'"),
        (["--form", "points"], "'points' is not a valid DepthForm"),
        (["--form", "point_map"], "metric or relative, not affine_inverse"),
        (
            "--form affine_point_map --kind metric --along-ray --projection panorama".split(),
            "a panorama has no optical axis, along which affine points could be shifted",
        ),
    ],
)
def test_options_that_cannot_be_are_refused(moge, options, reason):
    words = ["--rows", "120", "--columns", "160", "--out", "package", *options]
    done = CliRunner().invoke(app, ["models", "import", "depth", str(moge), *words], env={"COLUMNS": "300"})
    assert done.exit_code == 2 and reason in done.output
