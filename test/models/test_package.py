"""Model packages: the embedded one is whole, altered or incomplete ones are refused by name."""

import shutil

import numpy as np
import pytest
import yaml

from xview_localizer.engines.factory import EngineConfig, engine_for
from xview_localizer.models.manifest import ModelPackageError
from xview_localizer.models.package import (
    ModelPackage,
    default_package_path,
)
from xview_localizer.models.xview import spec_from_dict, spec_to_dict


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(default_package_path(), tmp_path / "package")


def test_embedded_package_loads_and_is_small():
    package = ModelPackage.load(default_package_path())
    size = sum(path.stat().st_size for path in package.folder.iterdir())
    assert size <= 60e6
    assert package.licence and package.provenance and package.training_command
    assert (package.folder / "NOTICE").is_file()


def test_embedded_graphs_fit_the_spec():
    package = ModelPackage.load(default_package_path())
    spec = package.spec
    backbone = engine_for(package.graphs["backbone"], EngineConfig(threads=1))
    image = np.random.default_rng(0).random((1, 3, spec.view.rows_px, 126), dtype=np.float32)
    tokens = backbone.run({"image": image})["tokens"]
    assert tokens.shape == (1, 768, spec.view.rows_px // 14, 9)
    cells = (1, spec.view.rows_px // spec.view.cell_rows_px, 126 // spec.view.cell_columns_px)
    elevation_rad = np.linspace(0.39, -0.8, cells[1], dtype=np.float32)[None]
    head, depth_head = (
        engine_for(package.graphs[name], EngineConfig(threads=1)) for name in ("ground_head", "depth_head")
    )
    out = head.run(
        {
            "tokens": tokens,
            "image": image,
            "elevation_rad": elevation_rad,
            "valid": np.ones(cells, np.float32),
            "plan": np.full((1, 3, spec.plan.size_px, spec.plan.size_px), 0.5, np.float32),
            "plan_xy": np.zeros((*cells, 2), np.float32),
        }
    )
    depth = depth_head.run({"features": out["features"], "elevation_rad": elevation_rad})
    assert out["dustbin"].shape == depth["log_range"].shape == cells
    np.testing.assert_allclose(np.linalg.norm(out["descriptor"], axis=1), 1, atol=1e-4)


def test_a_manifest_in_place_of_its_folder_is_told():
    manifest = default_package_path() / "model.yaml"
    with pytest.raises(
        ModelPackageError, match=r"model\.yaml is a file; a model package is a folder: the one that"
    ):
        ModelPackage.load(manifest)


def test_spec_survives_yaml():
    spec = ModelPackage.load(default_package_path()).spec
    assert spec_from_dict(yaml.safe_load(yaml.safe_dump(spec_to_dict(spec)))) == spec


def test_cells_of_plan_and_aerial_must_agree(copy):
    document = yaml.safe_load((copy / "model.yaml").read_text())
    document["spec"]["plan"]["cell_m"] = 0.6
    (copy / "model.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ModelPackageError, match="equal cells, got 0.6 m"):
        ModelPackage.load(copy)


def test_altered_graph_is_refused(copy):
    with (copy / "aerial_head.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelPackageError, match="aerial_head.onnx has sha256"):
        ModelPackage.load(copy)


def test_missing_graph_is_refused(copy):
    (copy / "backbone.onnx").unlink()
    with pytest.raises(ModelPackageError, match="lacks backbone.onnx"):
        ModelPackage.load(copy)


@pytest.mark.parametrize("place", ["../elsewhere.onnx", "graphs/../../elsewhere.onnx", "ABSOLUTE"])
def test_files_outside_of_the_package_are_refused(copy, place):
    outside = copy.parent / "elsewhere.onnx"
    outside.write_bytes((copy / "backbone.onnx").read_bytes())
    document = yaml.safe_load((copy / "model.yaml").read_text())
    document["graphs"]["backbone"]["file"] = str(outside) if place == "ABSOLUTE" else place
    (copy / "model.yaml").write_text(yaml.safe_dump(document))
    (copy / "graphs").mkdir()
    with pytest.raises(ModelPackageError, match="elsewhere.onnx, which lies outside of it"):
        ModelPackage.load(copy)


def test_a_depth_package_outside_of_the_package_is_refused(copy):
    document = yaml.safe_load((copy / "model.yaml").read_text())
    (copy / "model.yaml").write_text(yaml.safe_dump({**document, "depth": "../depth"}))
    with pytest.raises(ModelPackageError, match="../depth, which lies outside of it"):
        ModelPackage.load(copy)


@pytest.mark.parametrize("text", ["", "spec: [", "spec: {name: x}"])
def test_unreadable_manifest_is_refused(copy, text):
    (copy / "model.yaml").write_text(text)
    with pytest.raises(ModelPackageError, match="model.yaml cannot be understood"):
        ModelPackage.load(copy)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("graphs", None, "graphs must be a mapping that holds 'backbone', got NoneType"),
        ("graphs", ["backbone.onnx"], "graphs must be a mapping that holds 'backbone', got list"),
        ("graphs.backbone", "backbone.onnx", "graphs.backbone must be a mapping that holds 'file', got str"),
        ("graphs.ground_head", {"file": "ground_head.onnx"}, "graphs.ground_head.sha256 is missing"),
        ("spec", [1], "spec must be a mapping that holds 'name', got list"),
        ("spec.view", 3, "spec.view must be a mapping that holds 'rows_px', got int"),
        ("spec.view.rows_px", [252], r"spec.view.rows_px: float\(\) argument"),
        ("spec.view.rows_px", 252.7, "spec.view.rows_px: must be a whole number, got 252.7"),
        ("spec.view.cell_columns_px", 0, "spec.view.cell_columns_px: must be above 0, got 0"),
        ("spec.aerial.block_cells", -60, "spec.aerial.block_cells: must be above 0, got -60"),
        ("spec.inverse_temperature", float("nan"), "spec.inverse_temperature: must be finite, got nan"),
        ("spec.depth.planar", "false", "spec.depth.planar: must be true or false, got 'false'"),
        ("spec.calibration.independence_m", 0, "spec.calibration.independence_m: must be above 0"),
        ("spec.view.rows_px_per_deg", "4 px", "spec.view.rows_px_per_deg: could not convert string"),
        ("spec.view.top_elevation_deg", None, r"spec.view.top_elevation_deg: float\(\) argument"),
        ("spec.aerial", {}, "spec.aerial.cell_m is missing"),
        ("spec.depth.kind", {}, "spec.depth.kind: .* is not a valid DepthKind"),
        ("spec.calibration", [1.0], "spec.calibration: must be a mapping, got list"),
        ("spec.calibration.none_bias", "x", "spec.calibration.none_bias: could not convert"),
    ],
)
def test_wrong_entries_are_refused_by_name(copy, path, value, message):
    manifest = copy / "model.yaml"
    document = yaml.safe_load(manifest.read_text())
    *above, last = path.split(".")
    place = document
    for key in above:
        place = place[key]
    place[last] = value
    manifest.write_text(yaml.safe_dump(document))
    with pytest.raises(ModelPackageError, match=f"{manifest} cannot be understood: {message}"):
        ModelPackage.load(copy)


def test_folder_without_manifest_is_refused(tmp_path):
    with pytest.raises(ModelPackageError, match="no model.yaml"):
        ModelPackage.load(tmp_path)
