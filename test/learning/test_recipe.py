"""From pairs to a package: training goes on from a package, and calibration separates right from wrong places."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from xview_localizer.aerial.source import MapSourceError
from xview_localizer.belief.evidence import ImageEvidence
from xview_localizer.belief.hypotheses import Belief
from xview_localizer.engines.engine import Graph
from xview_localizer.geometry.dense import PoseMode
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.pose import Pose2
from xview_localizer.learning import calibrate, calibrate_package, recipe, training_data
from xview_localizer.learning.calibrate import CalibrationError
from xview_localizer.learning.matcher import Matcher
from xview_localizer.learning.progress import Progress
from xview_localizer.learning.provenance import training_command
from xview_localizer.learning.recipe import starting_matcher, train_package
from xview_localizer.learning.recipe_config import RecipeConfig
from xview_localizer.learning.train_config import TrainConfig
from xview_localizer.learning.work_folder import WorkFolderError, alone_in
from xview_localizer.models.export import export_heads
from xview_localizer.models.manifest import ModelPackageError
from xview_localizer.models.package import ModelPackage, default_package_path
from xview_localizer.recordings.pairs import PairsDataset, PairsError
from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.geotiff import write_utm_geotiff
from xview_localizer.simulation.pairs_writer import PairsConfig, make_pairs
from xview_localizer.simulation.town import Town


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Four images, and the same ones again with a prior that lies nowhere near the truth."""
    folder = tmp_path_factory.mktemp("pairs")
    make_pairs(folder, [8], PairsConfig("equirectangular", 4, town_size_m=140.0))
    entries = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    elsewhere = [
        entry
        | {"id": entry["id"] + "x", "prior": {"x": entry["truth"]["x"] + 40.0, "y": 0.0, "sigma_m": 8.0}}
        for entry in entries
    ]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, entries + elsewhere)))
    return folder


@pytest.fixture(scope="module")
def embedded():
    return ModelPackage.load(default_package_path())


def test_the_embedded_package_can_be_gone_on_from(embedded, tmp_path):
    """Its weights are read back, and exported again they are the same heads."""
    matcher = Matcher.of(embedded)
    assert matcher.inverse_temperature.item() == pytest.approx(embedded.spec.inverse_temperature)
    export_heads(matcher.ground, matcher.aerial, tmp_path)
    graphs = {
        name: Graph(name, tmp_path / f"{name}.onnx", "")
        for name in ("ground_head", "depth_head", "aerial_head")
    }
    again = Matcher.of(replace(embedded, graphs=graphs))
    for before, after in zip(matcher.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(before, after)


def test_another_graph_is_no_head(embedded):
    wrong = replace(embedded, graphs={**embedded.graphs, "ground_head": embedded.graphs["aerial_head"]})
    with pytest.raises(ModelPackageError, match="holds no GroundHead of this version"):
        Matcher.of(wrong)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """An orthophoto of 180 m, georeferenced."""
    rng = np.random.default_rng(0)
    capture = Capture.sample(rng, aerial=True)
    aerial = Town.generate(11, 200.0).render_orthophoto(Bounds.around(0.0, 0.0, 90.0), 0.4, capture, rng)
    path = tmp_path_factory.mktemp("site") / "site.tif"
    write_utm_geotiff(path, aerial, LocalFrame(48.1, 11.5, 0.0))
    return path


@pytest.mark.slow
def test_train_on_own_pairs_and_an_orthophoto_from_a_package(pairs, site, embedded, tmp_path, monkeypatch):
    monkeypatch.setattr(calibrate, "TEMPERATURES", (10.0, 22.0))
    monkeypatch.setattr(training_data, "make_pairs", lambda out, *_: link(pairs, out))  # validation towns
    config = RecipeConfig(
        towns=0, validation_towns=1, images_per_town=1, kinds=("equirectangular",), pairs=(pairs,),
        orthophotos=(site,), scenes=1, start=default_package_path(), start_share=0.25, workers=1, threads=1,
        train=TrainConfig(steps=2, learning_rate=1e-5),
    )  # fmt: skip
    work, lines = tmp_path / "work", []
    progress = Progress(lines.append)
    with monkeypatch.context() as patch:
        patch.setattr(recipe, "calibrate_package", broken_off)
        with pytest.raises(KeyboardInterrupt):
            train_package(work, default_package_path(), tmp_path / "out", config, progress)
    assert not (tmp_path / "out").exists()  # its confidence would mean nothing
    package = train_package(work, default_package_path(), tmp_path / "out", config, progress)
    assert [line for line in lines if line.startswith(("rendering", "raising"))] == [
        f"raising 1 scenes (equirectangular) from photos in {work / 'scenes_equirectangular'}",
        f"rendering 1 towns (equirectangular) into {work / 'validation_equirectangular'}",
        f"raising 1 scenes (equirectangular) from photos in {work / 'validation_scenes_equirectangular'}",
    ]
    assert package.spec.inverse_temperature == pytest.approx(embedded.spec.inverse_temperature, rel=0.02)
    assert f"the pairs of {pairs}" in package.provenance
    assert "a mean, 25% from the start" in package.provenance
    assert f"scenes raised from the orthophoto {site}" in package.provenance
    assert "9 images of validation_equirectangular, validation_scenes_equirect" in package.provenance
    sources = f"--pairs {pairs} --orthophoto {site} --scenes 1 --start {default_package_path()}"
    assert f"{sources} --start-share 0.25 --steps 2" in package.training_command
    assert "--backbone" not in package.training_command
    learned, held_out = (
        next(iter(PairsDataset(work / f"{name}_equirectangular"))) for name in ("scenes", "validation_scenes")
    )
    assert not np.array_equal(learned.load_aerial().image, held_out.load_aerial().image)

    for other, difference in (
        (replace(config, towns=3), "towns 0, not 3"),
        (replace(config, scenes=2), "scenes 1, not 2"),
    ):
        with pytest.raises(WorkFolderError, match=f"was made with {difference}"):
            train_package(work, default_package_path(), tmp_path / "out", other)


def test_an_orthophoto_without_a_place_is_refused_before_the_folder_is_claimed(tmp_path):
    cv2.imwrite(str(tmp_path / "plain.jpg"), np.zeros((300, 300, 3), np.uint8))
    config = RecipeConfig(orthophotos=(tmp_path / "plain.jpg",))
    with pytest.raises(MapSourceError, match=r"plain\.jpg has no coordinate reference system"):
        train_package(tmp_path / "work", default_package_path(), tmp_path / "out", config)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"start_share": 0.5}, "give --start"),
        ({"towns": 0}, "there is nothing to learn from; give --towns"),
        ({"towns": 0, "photos": Path("photos.jsonl"), "scenes": 0}, "there is nothing to learn from"),
        ({"styles": ("gothic",)}, "unknown style 'gothic'; there are all, "),
        ({"device": "gpu"}, "--device must be cpu or cuda, got 'gpu'"),
        ({"device": "cuda:99"}, "--device cuda:99 cannot be used: "),
    ],
)
def test_options_that_cannot_be_used_are_refused_before_the_folder_is_claimed(tmp_path, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        train_package(tmp_path / "work", default_package_path(), tmp_path, RecipeConfig(**options))
    assert not (tmp_path / "work").exists()


def test_pairs_that_cannot_be_learnt_from_are_refused_before_the_folder_is_claimed(pairs, tmp_path):
    for source in pairs.iterdir():
        link(source, tmp_path / source.name)
    (tmp_path / "pairs.jsonl").unlink()
    entries = [json.loads(line) for line in (pairs / "pairs.jsonl").read_text().splitlines()]
    del entries[1]["truth"]["yaw_deg"]
    for lines, message in ((entries, "lacks truth.yaw_deg"), ([], "holds no pairs")):
        (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, lines)))
        with pytest.raises(PairsError, match=message):
            train_package(
                tmp_path / "work", default_package_path(), tmp_path / "out", RecipeConfig(pairs=(tmp_path,))
            )
    assert not (tmp_path / "work").exists()


def test_a_work_folder_has_one_training_at_a_time(tmp_path):
    with (
        alone_in(tmp_path / "work"),
        pytest.raises(WorkFolderError, match=f"another run is at work in {tmp_path / 'work'}"),
    ):
        train_package(tmp_path / "work", default_package_path(), tmp_path / "out", RecipeConfig())
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["in_use.lock"]


def test_the_first_weights_are_those_of_the_seed():
    """Whatever was drawn before."""
    one, same, other = (
        starting_matcher(RecipeConfig(train=TrainConfig(seed=seed))).state_dict() for seed in (4, 4, 5)
    )
    assert all(torch.equal(same[name], value) for name, value in one.items())
    assert not all(torch.equal(other[name], value) for name, value in one.items())


@pytest.mark.parametrize("start", [None, default_package_path()])
def test_random_weights_have_no_depth_to_stand_in_for_unknown_ranges(tmp_path, monkeypatch, start):
    class Trained(Exception):
        pass

    def train(features, out, config, progress, matcher, device, depth_of):
        raise Trained(depth_of)

    monkeypatch.setattr(recipe, "train", train)
    monkeypatch.setattr(recipe, "training_sets", lambda *_: [])
    monkeypatch.setattr(recipe, "FeatureFolder", lambda *_: None)
    with pytest.raises(Trained) as trained:
        train_package(tmp_path / "work", default_package_path(), tmp_path / "out", RecipeConfig(start=start))
    assert (trained.value.args[0] is None) == (start is None)


def test_the_training_command_has_the_options_that_make_the_package_again():
    backbone = default_package_path()
    assert "--crops" not in training_command(RecipeConfig(), backbone)
    config = RecipeConfig(device="cuda", train=TrainConfig(aerial_per_step=12, seed=3))
    assert training_command(config, backbone).endswith("--device cuda --crops 12 --steps 3000 --seed 3")


def broken_off(*_, **__):
    raise KeyboardInterrupt


def link(source: Path, target: Path) -> None:
    target.symlink_to(source)


def mode_of(log_evidence, x_m):
    return PoseMode(Pose2(x_m, 0.0, 0.0), 1.0, np.eye(3), log_evidence, log_evidence, 0.0)


def test_calibrated_confidence_grows_with_the_lead_over_the_second_best(
    pairs, embedded, tmp_path, monkeypatch
):
    monkeypatch.setattr(calibrate, "TEMPERATURES", (10.0, 22.0))
    package = calibrate_package.calibrate_package(default_package_path(), tmp_path, [PairsDataset(pairs)])
    calibration = package.spec.calibration
    assert calibration.evidence_temperature in (10.0, 22.0)
    assert calibration.mode_weight > 0
    # The larger the lead over the second best hypothesis, the higher the confidence.
    confidences = []
    for lead in (0.0, 20.0, 80.0):
        evidence = ImageEvidence.of([mode_of(60.0 + lead, 0.0), mode_of(60.0, 30.0)], calibration)
        confidences.append(Belief().updated(evidence, 1.0, [0.0, 0.0]).confidence)
    assert confidences[0] < confidences[1] < confidences[2]
    assert package.provenance == f"{embedded.provenance} Calibrated on 8 images of {pairs.name}."
    assert (tmp_path / "NOTICE").is_file()
    unchanged = ModelPackage.load(default_package_path()).spec.calibration
    assert unchanged == embedded.spec.calibration


def test_calibration_needs_right_and_wrong_poses(pairs, tmp_path):
    dataset = PairsDataset(pairs)
    dataset.records = [
        replace(record, truth=replace(record.truth, x_m=500.0, yaw_rad=None)) for record in dataset
    ]
    with pytest.raises(CalibrationError, match="needs right and wrong places"):
        calibrate_package.calibrate_package(default_package_path(), tmp_path, [dataset])
    assert not list(tmp_path.iterdir())


def test_pairs_with_a_damaged_image_are_left_out_of_a_calibration(pairs, networks, tmp_path):
    dataset, lines = PairsDataset(pairs), []
    whole = dataset.records[0]
    (tmp_path / "cut.jpg").write_bytes(whole.image_path.read_bytes()[:500])
    damaged = replace(whole, image_path=tmp_path / "cut.jpg")
    dataset.records = [damaged, whole, replace(whole, aerial_path=tmp_path / "cut.jpg")]
    cases = list(calibrate_package._observed(networks, [dataset], Progress(lines.append)))
    assert [case.record for case in cases] == [whole]
    assert len(lines) == 2 and lines[0].startswith(
        f"left out: {tmp_path / 'cut.jpg'} is a JPEG image that was"
    )


def test_calibration_without_pairs_names_the_folder(tmp_path):
    (tmp_path / "pairs.jsonl").touch()
    with pytest.raises(PairsError, match=f"{tmp_path} holds no pairs"):
        calibrate_package.calibrate_package(default_package_path(), tmp_path, [PairsDataset(tmp_path)])
