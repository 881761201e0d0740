"""A depth network of its own: real graphs that compute a known depth, seen through cuts and stitched again."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from painted_views import (
    AHEAD,
    HEIGHT_M,
    PANORAMIC_CAMERA,
    PINHOLE_CAMERA,
    cells_of,
    painted_view,
    true_range_m,
)
from torch import nn

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.engines.engine import EngineError, TensorSpec
from xview_localizer.engines.onnx_engine import OnnxEngine
from xview_localizer.geometry.camera import PinholeCamera
from xview_localizer.geometry.canonical_view import directions
from xview_localizer.geometry.depth import DepthKind
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.lifting import lift_cells
from xview_localizer.geometry.pose import Prior
from xview_localizer.localizer import Localizer
from xview_localizer.models.depth_cuts import cuts_of
from xview_localizer.models.depth_package import DepthInput, DepthPackage, DepthSpec, write_depth_manifest
from xview_localizer.models.export import to_onnx
from xview_localizer.models.manifest import ModelPackageError
from xview_localizer.models.networks import open_networks
from xview_localizer.models.separate_depth import SeparateDepth

PERSPECTIVE = DepthInput(120, 160, "perspective", np.radians(90.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
PANORAMA = replace(PERSPECTIVE, projection="panorama", rows_px=180, columns_px=360)


class Painted(nn.Module):
    """Reads depth off the paint. `turned` makes every cut's factor depend on where it looks."""

    def __init__(self, image: DepthInput, kind: DepthKind, planar: bool, turned: bool = False) -> None:
        super().__init__()
        self.kind, self.turned = kind, turned
        cosine = np.ones((image.rows_px, image.columns_px))
        if planar:
            focal_px = image.columns_px / 2 / np.tan(image.horizontal_fov_rad / 2)
            column, row = np.meshgrid(np.arange(image.columns_px), np.arange(image.rows_px))
            across, down = (
                (at + 0.5 - size / 2) / focal_px
                for at, size in ((column, image.columns_px), (row, image.rows_px))
            )
            cosine = 1 / np.sqrt(1 + across**2 + down**2)
        self.register_buffer("cosine", torch.tensor(cosine, dtype=torch.float32))

    def forward(self, pixels):
        inverse = (pixels[:, 0] + 1e-3) / self.cosine
        factor = 0.5 + 4 * pixels[:, 1].mean() if self.turned else 1.0
        if self.kind is DepthKind.AFFINE_INVERSE:
            return 3.0 * factor * inverse + 0.2
        return factor / inverse


def estimator(tmp_path, kind, planar=False, image=PERSPECTIVE, turned=False, maximum_m=80.0):
    path = tmp_path / "depth.onnx"
    pixels = torch.rand(1, 3, image.rows_px, image.columns_px)
    to_onnx(Painted(image, kind, planar, turned), {"pixels": pixels}, {"depth": {}}, {}, path)
    return SeparateDepth(OnnxEngine(path, threads=1), DepthSpec("painted", kind, planar, maximum_m, image))


def lifted_error(prediction, cells):
    """Relative error of the lifted ranges of the cells that the prediction knows; and the lifted cells."""
    lifted = lift_cells(prediction, cells.rays_level, HEIGHT_M, 2.0, 45.0)
    known = cells.valid & np.isfinite(lifted.range_m)
    return np.abs(lifted.range_m / true_range_m(cells.rays_level) - 1)[known], lifted, known


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("kind", list(DepthKind))
def test_a_narrow_view_takes_one_cut(tmp_path, kind, planar):
    view = painted_view(PINHOLE_CAMERA)
    cells = cells_of(view)
    prediction = estimator(tmp_path, kind, planar).estimate(view, cells)
    assert prediction.kind is kind and (prediction.axis_cosine is not None) == planar
    error, lifted, known = lifted_error(prediction, cells)
    assert lifted.source == "network" and known.sum() > 0.7 * cells.valid.sum()
    assert np.median(error) < 0.05 and np.quantile(error, 0.9) < 0.1  # eight bits of paint


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("kind", [DepthKind.RELATIVE, DepthKind.AFFINE_INVERSE])
def test_cuts_of_a_panorama_are_stitched_by_a_factor_of_each(tmp_path, kind, planar):
    """The cuts' own units differ by up to three."""
    view = painted_view(PANORAMIC_CAMERA)
    cells = cells_of(view)
    prediction = estimator(tmp_path, kind, planar, turned=True).estimate(view, cells)
    assert prediction.kind is DepthKind.RELATIVE and prediction.axis_cosine is None
    error, lifted, known = lifted_error(prediction, cells)
    assert lifted.source == "network" and known.sum() > 0.9 * cells.valid.sum()
    assert np.median(error) < 0.05 and np.quantile(error, 0.9) < 0.12


def misdeclared(tmp_path, kind, planar, fov_deg, camera, R_level_camera=AHEAD):
    """How cells are lifted by a network whose depth is declared the other way round."""
    image = replace(PERSPECTIVE, horizontal_fov_rad=np.radians(fov_deg))
    honest = estimator(tmp_path, kind, planar, image)
    spec = DepthSpec("misdeclared", kind, not planar, 80.0, image)
    view = painted_view(camera, R_level_camera)
    cells = cells_of(view)
    engine = OnnxEngine(tmp_path / "depth.onnx", threads=1)
    assert not honest.estimate(view, cells).doubt
    return lift_cells(
        SeparateDepth(engine, spec).estimate(view, cells), cells.rays_level, HEIGHT_M, 2.0, 45.0
    )


@pytest.mark.parametrize("camera", [PINHOLE_CAMERA, PANORAMIC_CAMERA], ids=["90 degrees", "panorama"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("kind", list(DepthKind))
def test_planar_depth_declared_as_a_range_is_refused_and_the_reverse(tmp_path, kind, planar, camera):
    source = misdeclared(tmp_path, kind, planar, 90.0, camera).source
    meaning = "depth along the optical axis" if planar else "a range along the ray"
    assert source.startswith(f"flat ground: as {meaning} the depth would fit the ground plane")
    assert source.endswith(f"write planar: {str(planar).lower()} in its depth.yaml")


@pytest.mark.parametrize("kind", list(DepthKind))
def test_a_narrow_view_does_not_tell_planar_depth_from_a_range(tmp_path, kind):
    focal_px = 320 / np.tan(np.radians(15.0))
    narrow = PinholeCamera(640, 480, focal_px, focal_px, 320.0, 240.0)
    down = R_base_optical_from_rpy(0.0, float(np.radians(20.0)), 0.0)
    assert misdeclared(tmp_path, kind, True, 30.0, narrow, down).source == "network"


def test_cuts_that_nothing_joins_are_left_out():
    """Of five, two see anything, and they do not overlap: what their depths have to do with each other is not known."""

    class Engine:
        inputs = (TensorSpec("pixels", (1, 3, 120, 160), np.dtype(np.float32)),)
        outputs = (TensorSpec("depth", (1, 1, 120, 160), np.dtype(np.float32)),)
        depths = iter([2.0, np.nan, 5.0, np.nan, np.nan])

        def run(self, inputs):
            return {"depth": np.full((1, 1, 120, 160), next(self.depths), np.float32)}

    view = painted_view(PANORAMIC_CAMERA)
    cells = cells_of(view)
    spec = DepthSpec("blinking", DepthKind.RELATIVE, False, 80.0, PERSPECTIVE)
    values = SeparateDepth(Engine(), spec).estimate(view, cells).values
    known = np.isfinite(values)
    assert known.any() and len(np.unique(values[known])) == 1


def test_a_panoramic_network_is_fed_the_whole_sphere(tmp_path):
    view = painted_view(PANORAMIC_CAMERA)
    cells = cells_of(view)
    error, lifted, known = lifted_error(
        estimator(tmp_path, DepthKind.METRIC, image=PANORAMA).estimate(view, cells), cells
    )
    assert lifted.source == "network" and known.sum() > 0.95 * cells.valid.sum()
    assert np.median(error) < 0.02


def test_metric_depth_beyond_the_maximum_is_not_used(tmp_path):
    view = painted_view(PINHOLE_CAMERA)
    cells = cells_of(view)
    prediction = estimator(tmp_path, DepthKind.METRIC, maximum_m=6.0).estimate(view, cells)
    assert np.nanmax(prediction.values) <= 6.0
    assert np.all(np.isnan(prediction.values[cells.valid & (true_range_m(cells.rays_level) > 7.0)]))


def test_cuts_cover_the_view_and_overlap():
    view = painted_view(PANORAMIC_CAMERA)
    cells = cells_of(view)
    cuts = cuts_of(view, cells, PERSPECTIVE, metric=False)
    seen = np.array(
        [cut.camera.project(cells.rays_level.reshape(-1, 3) @ cut.R_level_cut)[1] for cut in cuts]
    )
    assert seen.any(axis=0).mean() > 0.95
    assert (
        len(cuts) == 5
        and min((a & b).sum() for a, b in zip(seen, np.roll(seen, 1, axis=0), strict=True)) > 20
    )
    assert len(cuts_of(painted_view(PINHOLE_CAMERA), cells, PERSPECTIVE, metric=False)) == 1


@pytest.mark.parametrize(("metric", "fov_deg"), [(True, 90.0), (False, 50.0)])
def test_a_metric_network_sees_as_wide_as_it_was_trained_and_others_no_wider_than_the_view(metric, fov_deg):
    focal_px = 320 / np.tan(np.radians(25.0))
    view = painted_view(PinholeCamera(640, 480, focal_px, focal_px, 320.0, 240.0))
    (cut,) = cuts_of(view, cells_of(view), PERSPECTIVE, metric)
    assert np.degrees(cut.camera.horizontal_fov_rad) == pytest.approx(fov_deg)


@pytest.mark.parametrize("fov_deg", [10, 15, 20])
@pytest.mark.parametrize("camera", [PINHOLE_CAMERA, PANORAMIC_CAMERA], ids=["90 degrees", "panorama"])
def test_cuts_narrower_than_their_overlap_cover_the_view_too(camera, fov_deg):
    view = painted_view(camera)
    rays = directions(np.radians(np.arange(40.0, -41.0, -2.0)), np.zeros(1))
    cells = replace(cells_of(view), rays_level=rays, valid=np.ones(rays.shape[:2], bool))
    cuts = cuts_of(view, cells, replace(PERSPECTIVE, horizontal_fov_rad=np.radians(fov_deg)), metric=True)
    seen = np.array([cut.camera.project(rays.reshape(-1, 3) @ cut.R_level_cut)[1] for cut in cuts])
    assert seen.any(axis=0).all()
    assert len(cuts) <= 2 * 360 / fov_deg


def test_depth_that_disagrees_with_the_ground_is_replaced_by_flat_ground(package, small_town, tmp_path):
    """With a depth network of random weights the cells are lifted onto flat ground, and the reason is reported."""
    torch.manual_seed(0)
    path = tmp_path / "depth.onnx"
    noise = nn.Sequential(
        nn.Conv2d(3, 4, 9, padding=4), nn.ReLU(), nn.Conv2d(4, 1, 9, padding=4), nn.Softplus()
    )
    to_onnx(noise, {"pixels": torch.rand(1, 3, 120, 160)}, {"depth": {}}, {}, path)
    spec = DepthSpec("random", DepthKind.AFFINE_INVERSE, True, 80.0, PERSPECTIVE)
    write_depth_manifest(tmp_path, spec, "none", "random")
    networks = open_networks(replace(package, depth=DepthPackage.load(tmp_path)))
    observation = Localizer(networks, InMemoryMap(small_town.aerial)).observe(small_town.view())
    assert observation.depth_source.startswith("flat ground: ")
    assert "ground" in observation.depth_source.removeprefix("flat ground: ")


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_the_unit_of_depth_changes_nothing(networks, small_town, factor):
    class Scaled:
        def estimate(self, view, cells):
            depth = networks.depth.estimate(view, cells)
            return replace(depth, values=factor * depth.values)

    prior = Prior(small_town.pose.x_m + 4.0, small_town.pose.y_m, 12.0)
    world = InMemoryMap(small_town.aerial)
    one, other = (
        Localizer(each, world).localize(small_town.view(), prior)
        for each in (networks, replace(networks, depth=Scaled()))
    )
    assert np.hypot(one.x_m - other.x_m, one.y_m - other.y_m) < 0.01


def test_a_graph_of_another_size_is_refused(tmp_path):
    path = tmp_path / "depth.onnx"
    to_onnx(nn.Conv2d(3, 1, 1), {"pixels": torch.rand(1, 3, 60, 80)}, {"depth": {}}, {}, path)
    spec = DepthSpec("small", DepthKind.RELATIVE, False, 80.0, PERSPECTIVE)
    with pytest.raises(EngineError, match=r"declares an image \(1, 3, 120, 160\), the graph takes 'pixels'"):
        SeparateDepth(OnnxEngine(path), spec)


def graph_engine(path, dtype, channels):
    """A graph that gives the first `channels` of its image back."""
    sizes = (PERSPECTIVE.rows_px, PERSPECTIVE.columns_px)
    bounds = [
        onnx.numpy_helper.from_array(np.array([bound], np.int64), name)
        for name, bound in (("first", 0), ("last", channels), ("axis", 1))
    ]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Slice", ["pixels", "first", "last", "axis"], ["depth"])],
        "depth",
        [onnx.helper.make_tensor_value_info("pixels", dtype, [1, 3, *sizes])],
        [onnx.helper.make_tensor_value_info("depth", dtype, [1, channels, *sizes])],
        bounds,
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=opset), str(path))
    return OnnxEngine(path, threads=1)


def test_a_network_in_half_precision_is_fed_in_its_own(tmp_path):
    engine = graph_engine(tmp_path / "depth.onnx", onnx.TensorProto.FLOAT16, channels=1)
    view = painted_view(PINHOLE_CAMERA)
    cells = cells_of(view)
    spec = DepthSpec("half", DepthKind.AFFINE_INVERSE, False, 80.0, PERSPECTIVE)
    error, _, known = lifted_error(SeparateDepth(engine, spec).estimate(view, cells), cells)
    assert known.sum() > 50 and np.median(error) < 0.05


@pytest.mark.parametrize(
    ("dtype", "channels", "reason"),
    [
        (onnx.TensorProto.UINT8, 1, "must take colours as floating point, 'pixels' is uint8"),
        (onnx.TensorProto.FLOAT, 3, r"one number a pixel.*'depth' has the shape \(1, 3, 120, 160\)"),
    ],
)
def test_a_graph_that_is_no_depth_network_is_refused(tmp_path, dtype, channels, reason):
    spec = DepthSpec("wrong", DepthKind.RELATIVE, False, 80.0, PERSPECTIVE)
    with pytest.raises(EngineError, match=reason):
        SeparateDepth(graph_engine(tmp_path / "depth.onnx", dtype, channels), spec)


def test_depth_packages_are_checked(tmp_path):
    (tmp_path / "depth.onnx").write_bytes(b"graph")
    spec = DepthSpec("mine", DepthKind.AFFINE_INVERSE, True, 60.0, PERSPECTIVE)
    write_depth_manifest(tmp_path, spec, "CC0", "drawn")
    again = DepthPackage.load(tmp_path)
    assert replace(again.spec, input=PERSPECTIVE) == spec
    assert again.spec.input.horizontal_fov_rad == pytest.approx(np.pi / 2)
    manifest = tmp_path / "depth.yaml"
    text = manifest.read_text()
    for wrong, reason in (
        (text.replace("affine_inverse", "log"), "kind: 'log' is not a valid DepthKind"),
        (text.replace("perspective", "panorama"), "cannot be planar"),
        (text.replace("maximum_m: 60.0", "maximum_m: -1"), "maximum_m must be positive"),
        (text.replace("rows_px: 120", "rows_px: 0"), "input.rows_px: must be above 0"),
        (text.replace("axes: 4", "axes: 3"), "an image has at least 4 axes"),
        (text.replace("form: depth", "form: points"), "form: 'points' is not a valid DepthForm"),
        (text.replace("form: depth", "form: point_map"), "metric or relative, not affine_inverse"),
        (text.replace("planar: true", "planar: 'no'"), "planar: must be true or false, got 'no'"),
    ):
        manifest.write_text(wrong)
        with pytest.raises(ModelPackageError, match=reason):
            DepthPackage.load(tmp_path)
    manifest.write_text(text)
    (tmp_path / "depth.onnx").write_bytes(b"other")
    with pytest.raises(ModelPackageError, match="sha256"):
        DepthPackage.load(tmp_path)
    with pytest.raises(ModelPackageError, match="is not a depth package"):
        DepthPackage.load(tmp_path / "nowhere")
