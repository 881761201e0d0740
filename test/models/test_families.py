"""A package names its family; older ones are xview's, unknown ones and missing graphs are refused by name."""

import shutil
from dataclasses import dataclass, field

import numpy as np
import pytest
import yaml

from xview_localizer.engines.engine import SizeRange
from xview_localizer.geometry.camera import PinholeCamera
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.ground_view import LevelView
from xview_localizer.models.manifest import ModelPackageError
from xview_localizer.models.package import MANIFEST, ModelPackage, default_package_path, write_manifest
from xview_localizer.models.xview import XVIEW, XviewGround, XviewSpec

CAMERA = PinholeCamera(320, 240, 160.0, 160.0, 160.0, 120.0)


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(default_package_path(), tmp_path / "package")


def rewrite(folder, **changes) -> None:
    document = yaml.safe_load((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(yaml.safe_dump({**document, **changes}))


def test_packages_without_a_family_are_xview_s(copy):
    document = yaml.safe_load((copy / MANIFEST).read_text())
    document.pop("family", None)
    (copy / MANIFEST).write_text(yaml.safe_dump(document))
    assert ModelPackage.load(copy).family is XVIEW


def test_an_unknown_family_is_refused_by_name(copy):
    rewrite(copy, family="resnet")
    with pytest.raises(ModelPackageError, match="family: unknown family 'resnet'; this version has xview"):
        ModelPackage.load(copy)


def test_a_graph_that_the_family_needs_is_asked_for_by_name(copy):
    graphs = yaml.safe_load((copy / MANIFEST).read_text())["graphs"]
    del graphs["aerial_head"]
    rewrite(copy, graphs=graphs)
    with pytest.raises(ModelPackageError, match="graphs.aerial_head is missing"):
        ModelPackage.load(copy)


def test_a_manifest_is_read_as_it_was_written(copy, package):
    write_manifest(copy, XVIEW, package.spec, "CC0", "Überall", "train")
    again = ModelPackage.load(copy)
    assert (again.spec, again.licence, again.provenance) == (package.spec, "CC0", "Überall")
    assert {name: graph.sha256 for name, graph in again.graphs.items()} == {
        name: graph.sha256 for name, graph in package.graphs.items()
    }


def test_declared_sizes_cover_the_widest_view_and_the_aerial_block(package):
    rows, columns = package.graphs["backbone"].sizes["image"].values()
    assert (rows.least, rows.greatest) == (252, 420)
    assert columns == SizeRange(14, 364, 560)
    assert package.graphs["ground_head"].sizes["valid"][2] == SizeRange(1, 26, 40)


class Refusing:
    """An engine that must not be run."""

    inputs = outputs = ()

    def run(self, inputs):
        raise AssertionError("nothing to encode")


@dataclass(frozen=True)
class CountingCamera:
    """Counts the rays that are projected."""

    camera: PinholeCamera
    rays: list[int] = field(default_factory=list, compare=False)

    def __getattr__(self, name):
        return getattr(self.camera, name)

    def project(self, rays):
        self.rays.append(len(rays))
        return self.camera.project(rays)


def test_a_camera_of_constant_attitude_is_projected_once(networks):
    camera = CountingCamera(CAMERA)
    image = np.zeros((240, 320, 3), np.uint8)
    views = [LevelView(image, camera, R_base_optical_from_rpy(0, pitch, 0), 1.8) for pitch in (0.1, 0.1, 0.2)]
    first, again, lower = ((networks.ground.describe(view), len(camera.rays)) for view in views)
    assert again[1] == first[1] < lower[1]
    np.testing.assert_array_equal(again[0].descriptor, first[0].descriptor)
    assert not np.array_equal(lower[0].valid, first[0].valid)


def test_a_view_of_sky_only_is_not_encoded():
    up = LevelView(np.zeros((240, 320, 3), np.uint8), CAMERA, R_base_optical_from_rpy(0, -np.pi / 2, 0), 1.8)
    cells = XviewGround(Refusing(), Refusing(), XviewSpec()).describe(up)
    assert not cells.valid.any()


def test_own_depth_is_the_range_in_the_declared_kind(networks, small_town):
    view = LevelView(small_town.image, small_town.camera, R_base_optical_from_rpy(0, 0, 0), 1.8)
    cells = networks.ground.describe(view)
    depth = networks.depth.estimate(view, cells)
    assert depth.kind is networks.spec.depth.kind and depth.axis_cosine is None
    assert depth.values.shape == cells.valid.shape
    # In camera heights: straight ahead and a little down, the ground is where geometry puts it.
    down = -cells.rays_level[..., 2]
    ground = cells.valid & (down > 0.2) & (down < 0.5)
    assert np.median((depth.values * down)[ground]) == pytest.approx(1.0, abs=0.15)
