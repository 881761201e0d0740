"""A package brought to today's graphs: the same weights, fewer rows encoded, depth on its own."""

import shutil

import numpy as np
import pytest

pytest.importorskip("torch")

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.engines.factory import EngineConfig
from xview_localizer.engines.onnx_engine import OnnxEngine
from xview_localizer.geometry.canonical_view import ViewSpec, canonical_view
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.pose import Prior
from xview_localizer.ground_view import LevelView
from xview_localizer.localizer import Localizer
from xview_localizer.models.backbone import Backbone, BackboneConfig
from xview_localizer.models.export import export_backbone
from xview_localizer.models.manifest import ModelPackageError
from xview_localizer.models.networks import open_networks
from xview_localizer.models.package import ModelPackage, default_package_path, write_manifest
from xview_localizer.models.token_graph import leave_tokens_out
from xview_localizer.models.token_rows import leaves_tokens_out, rows_worth_encoding, tokens_of
from xview_localizer.models.update import update_package

ONE_THREAD = EngineConfig(threads=1)
AHEAD = R_base_optical_from_rpy(0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def updated(tmp_path_factory):
    return update_package(default_package_path(), tmp_path_factory.mktemp("updated"))


@pytest.fixture(scope="module")
def updated_networks(updated):
    return open_networks(updated, ONE_THREAD)


def backbone_of(package):
    return OnnxEngine(package.graphs["backbone"].path, threads=1)


def test_updating_twice_changes_nothing(updated, tmp_path):
    again = update_package(updated.folder, tmp_path)
    assert set(again.graphs) == {"backbone", "ground_head", "depth_head", "aerial_head"}
    assert again.graphs["backbone"].sha256 == updated.graphs["backbone"].sha256
    assert again.spec == updated.spec


@pytest.fixture
def of_another_version(tmp_path):
    """A package whose backbone can't leave tokens out yet, and whose aerial head is none of today's."""
    folder = shutil.copytree(default_package_path(), tmp_path / "package")
    export_backbone(Backbone(BackboneConfig(64, 1, 5, (0,))), folder / "backbone.onnx", quantize=False)
    shutil.copyfile(folder / "depth_head.onnx", folder / "aerial_head.onnx")
    package = ModelPackage.load(default_package_path())
    write_manifest(folder, package.family, package.spec, "licence", "provenance", "command")
    return folder


def test_an_update_that_fails_leaves_the_package_as_it_was(of_another_version):
    before = ModelPackage.load(of_another_version).graphs
    with pytest.raises(ModelPackageError, match="holds no AerialHead of this version"):
        update_package(of_another_version, of_another_version)
    assert ModelPackage.load(of_another_version).graphs == before


def test_a_package_that_names_its_files_otherwise_is_updated(tmp_path):
    folder = shutil.copytree(default_package_path(), tmp_path / "package")
    (folder / "backbone.onnx").rename(folder / "vit.onnx")
    manifest = folder / "model.yaml"
    manifest.write_text(manifest.read_text().replace("backbone.onnx", "vit.onnx"))
    updated = update_package(folder, folder)
    assert updated.graphs["backbone"].path == folder / "backbone.onnx"


def test_all_patches_kept_give_the_tokens_of_before(updated, package):
    image = np.random.default_rng(0).random((1, 3, 252, 126), dtype=np.float32)
    backbone = backbone_of(updated)
    assert leaves_tokens_out(backbone)
    expected = tokens_of(OnnxEngine(package.graphs["backbone"].path, threads=1), image)
    np.testing.assert_allclose(tokens_of(backbone, image), expected, atol=1e-4)


def test_rows_that_are_left_out_repeat_their_neighbour(updated):
    image = np.random.default_rng(1).random((1, 3, 252, 126), dtype=np.float32)
    tokens = tokens_of(backbone_of(updated), image, slice(3, 15))
    for row in range(3):
        np.testing.assert_array_equal(tokens[:, :, row], tokens[:, :, 3])
        np.testing.assert_array_equal(tokens[:, :, -1 - row], tokens[:, :, 14])
    assert np.abs(tokens[:, :, 3] - tokens[:, :, 4]).max() > 0.1


def test_rows_far_above_or_below_the_horizon_are_not_encoded(small_town):
    view = canonical_view(small_town.camera, AHEAD, ViewSpec())
    assert rows_worth_encoding(view) == slice(
        2, 15
    )  # from 8.5° above to 37° below the horizon, in rows of 3.5°


def test_depth_is_the_same_from_a_graph_of_its_own(updated_networks, networks, small_town):
    view = LevelView(small_town.image, small_town.camera, AHEAD, 1.8)
    cells, before = updated_networks.ground.describe(view), networks.ground.describe(view)
    assert cells.depth is None and cells.features is not None
    assert cells.valid.sum() == 26 / 36 * before.valid.sum()
    depth = updated_networks.depth.estimate(view, cells)
    expected = networks.depth.estimate(view, before)
    assert depth.kind is expected.kind
    # Tokens see fewer others, so that they are not quite the same.
    ratio = (depth.values / expected.values)[cells.valid]
    assert np.median(np.abs(np.log(ratio))) < 0.1


def test_the_pose_is_found_as_before(updated_networks, localizer, small_town):
    prior = Prior(small_town.pose.x_m + 6.0, small_town.pose.y_m - 5.0, 15.0)
    fix = Localizer(updated_networks, InMemoryMap(small_town.aerial)).localize(small_town.view(), prior)
    assert np.hypot(fix.x_m - small_town.pose.x_m, fix.y_m - small_town.pose.y_m) < 1.0
    assert "depth" in fix.timings_ms


def test_another_graph_is_refused(package, tmp_path):
    path = tmp_path / "head.onnx"
    path.write_bytes(package.graphs["aerial_head"].path.read_bytes())
    with pytest.raises(ModelPackageError, match="head.onnx was not written by this package's export"):
        leave_tokens_out(path)
