"""Held-out images are not trained on, and a package that got worse is not written."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml

torch = pytest.importorskip("torch")

from xview_localizer.aerial.source import MapSourceError
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.pose import Pose2
from xview_localizer.learning import adapt
from xview_localizer.learning.adapt import (
    ENCODINGS,
    AdaptConfig,
    SiteTraining,
    adapt_package,
    keep_without_objections,
)
from xview_localizer.learning.held_out import Figures, objections
from xview_localizer.learning.matcher import Matcher
from xview_localizer.learning.reference import AdaptError
from xview_localizer.learning.road_split import GUARD_M, split_road
from xview_localizer.learning.site_pairs import LEAST_IMAGES, SiteDrives
from xview_localizer.learning.work_folder import WorkFolderError
from xview_localizer.models.package import ModelPackage, default_package_path
from xview_localizer.recordings.bag import BagError
from xview_localizer.recordings.pairs import PairsDataset
from xview_localizer.simulation.bag_writer import DriveBag
from xview_localizer.simulation.pairs_writer import PairsConfig, make_pairs
from xview_localizer.simulation.sensors import GnssSample, ImuSample, OdometrySample

BEFORE = Figures(40, 0.5, 1.0, 20, 1)
CAMERA = {
    "model": "pinhole", "width": 64, "height": 48, "fx": 50.0, "fy": 50.0, "cx": 32.0, "cy": 24.0, "d": [],
}  # fmt: skip


@pytest.mark.parametrize("rounds", [1, 2])
def test_no_camera_is_learnt_from_near_one_that_is_held_out(rounds):
    """Also where the same road is driven twice."""
    x_m = np.tile(np.arange(0.0, 600.0, 3.0), rounds)
    xy_m = np.column_stack([x_m, 40.0 * np.sin(x_m / 60)])
    split = split_road(xy_m)
    assert min(map(len, (split.learn, split.calibrate, split.judge))) > 3
    held_out = xy_m[split.calibrate + split.judge]
    apart_m = np.linalg.norm(xy_m[split.learn][:, None] - held_out[None], axis=-1)
    assert apart_m.min() >= GUARD_M
    assert not set(split.calibrate) & set(split.judge)


def test_one_long_road_is_split_by_stretch():
    """Every 400 m have a part of their own to judge."""
    xy_m = np.column_stack([np.arange(0.0, 1200.0, 3.0), np.zeros(400)])
    judged_m = xy_m[split_road(xy_m).judge, 0]
    assert np.histogram(judged_m, bins=3, range=(0, 1200))[0].min() > 15


def test_a_small_site_whose_roads_are_driven_again_and_again_is_split_by_place():
    """One side is held out, so that images to learn from are left."""
    rng = np.random.default_rng(0)
    drives = []
    for turned in (False, True, False, True, False):
        along_m, lane_m = np.arange(-90.0, 90.0, 3.0), rng.choice([-60.0, 0.0, 60.0])
        line = np.column_stack([along_m, np.full(60, lane_m)])
        drives.append(line[:, ::-1] if turned else line)
    xy_m = np.concatenate(drives)
    split = split_road(xy_m)
    assert len(split.learn) > 0.25 * len(xy_m)
    held_out = xy_m[split.calibrate + split.judge]
    assert np.linalg.norm(xy_m[split.learn][:, None] - held_out[None], axis=-1).min() >= GUARD_M
    assert len(split.judge) > 30 and len(split.calibrate) > 20


@pytest.mark.parametrize(
    "change", [{"within_2m": 0.47}, {"median_m": 1.2}, {"wrong_accepted": 2}, {"accepted": 10}]
)
def test_a_package_that_got_worse_is_not_written(tmp_path, change):
    (tmp_path / "candidate").mkdir()
    (tmp_path / "candidate" / "model.yaml").write_text("new")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.yaml").write_text("old")

    def finish():
        return tmp_path / "candidate"

    assert (
        len(keep_without_objections(BEFORE, replace(BEFORE, **change), finish, tmp_path / "out").objections)
        == 1
    )
    assert (tmp_path / "out" / "model.yaml").read_text() == "old"
    better = replace(BEFORE, within_2m=0.9, median_m=0.5, accepted=30, wrong_accepted=0)
    assert not keep_without_objections(BEFORE, better, finish, tmp_path / "out").objections
    assert (tmp_path / "out" / "model.yaml").read_text() == "new"


def test_where_nothing_is_right_before_nor_after_the_poses_are_doubted():
    """Drives of another town than that of the map, or wrong mountings."""
    wrong = replace(BEFORE, within_2m=0.0, median_m=25.0, accepted=0, wrong_accepted=0)
    (objection,) = objections(wrong, wrong)
    assert objection.startswith("0 % of the images are within 2 m") and "mountings" in objection


def test_fewer_poses_but_no_wrong_ones_is_not_worse():
    assert objections(BEFORE, replace(BEFORE, accepted=10, wrong_accepted=0)) == ()


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """One image in each part."""
    folder = tmp_path_factory.mktemp("parts")
    make_pairs(folder / "all", [8], PairsConfig("pinhole", 3, town_size_m=140.0))
    lines = (folder / "all" / "pairs.jsonl").read_text().splitlines()
    for name, line in zip(LEAST_IMAGES, lines, strict=True):
        shutil.copytree(folder / "all", folder / name)
        (folder / name / "pairs.jsonl").write_text(line + "\n")
    return {name: PairsDataset(folder / name) for name in LEAST_IMAGES}


@pytest.mark.parametrize("start_share", [0.0, 0.75])
def test_the_package_written_was_trained_on_all_of_the_road(tmp_path, parts, start_share):
    """It has the calibration of the one that was judged, and the share of the start that was asked for."""
    start = ModelPackage.load(default_package_path())
    calibration = replace(start.spec.calibration, mode_weight=0.123)
    candidate = replace(start, spec=replace(start.spec, calibration=calibration))
    config = AdaptConfig(SiteDrives(()), steps=1, start_share=start_share, threads=1)
    whole = ModelPackage.load(SiteTraining(tmp_path, parts, start, config).on_all_road(candidate))
    assert whole.spec.calibration == calibration
    assert "Heads tuned on 3 images of own drives." in whole.provenance
    assert all((tmp_path / f"features_{name}_{ENCODINGS - 1}").is_dir() for name in LEAST_IMAGES)
    trained = torch.load(tmp_path / "checkpoint_all" / "checkpoint.pt", weights_only=True)["matcher"]
    name = next(name for name in trained if name.startswith("aerial") and name.endswith("weight"))
    before, after = (Matcher.of(package).state_dict()[name] for package in (start, whole))
    moved = torch.linalg.vector_norm(trained[name] - before)
    assert moved > 0
    left = torch.linalg.vector_norm(after - before) / moved
    assert left == pytest.approx(1 - start_share, abs=1e-3)


def test_an_adaptation_that_was_broken_off_in_its_calibration_calibrates_again(tmp_path, parts, monkeypatch):
    start = ModelPackage.load(default_package_path())
    training = SiteTraining(
        tmp_path, parts | {"elsewhere": None}, start, AdaptConfig(SiteDrives(()), steps=1, threads=1)
    )

    def calibrate(package_folder, out, *_):
        assert (package_folder / "model.yaml").is_file()
        calls.append(out)
        if len(calls) == 1:
            raise KeyboardInterrupt

    calls = []
    monkeypatch.setattr(adapt, "calibrate_package", calibrate)
    with pytest.raises(KeyboardInterrupt):
        training.tuned()
    assert training.tuned().folder == training.tuned().folder == tmp_path / "candidate"
    assert len(calls) == 2


def recording(folder, driven_m=0.0, **values):
    """A drive folder of a recording with a single image, with the values of drive.yaml."""
    folder.mkdir()
    description = {
        "datum": {"latitude_deg": 48.0, "longitude_deg": 11.0, "altitude_m": 0.0}, "map": "map.tif", "bag": "bag",
        "camera": {"in_base_m": [0.0, 0.0, 1.6], "rpy_deg": [0.0, 0.0, 0.0], "height_m": 1.6},
        "topics": DriveBag.TOPICS,
    } | values  # fmt: skip
    with DriveBag(folder / "bag", 1000.0) as bag:
        pose = Pose2(0.0, 0.0, 0.0)
        for stamp_sec, x_m in ((0.0, 0.0), (1.0, driven_m)):
            bag.add_odometry(OdometrySample(stamp_sec, Pose2(x_m, 0.0, 0.0), 4.0, 0.05))
        bag.add_gnss(GnssSample(0.0, np.zeros(3), 0.02), LocalFrame(48.0, 11.0, 0.0))
        bag.add_imu(ImuSample(0.0, 0.0, 0.0, 0.0, np.zeros(3), np.zeros(3)))
        bag.add_image(0.0, b"", CAMERA)
        bag.add_truth(0.0, pose)
        bag.write()
    (folder / "drive.yaml").write_text(yaml.safe_dump(description))
    return folder


def test_a_work_folder_belongs_to_the_settings_and_the_reference_of_its_drives(tmp_path, monkeypatch):
    """A mounting or a track that was mended must not be judged by the poses from before."""

    def broken_off(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(adapt, "site_pairs", broken_off)
    drive, params, track = recording(tmp_path / "one"), tmp_path / "robot.yaml", tmp_path / "track.tum"
    mask = tmp_path / "robot.png"
    for file in (mask, track):
        file.write_text("0 0 0 0 0 0 0 1\n")
    config = AdaptConfig(SiteDrives((drive,), params, str(track)))
    for height_m, error in ((1.6, KeyboardInterrupt), (1.6, KeyboardInterrupt), (1.5, WorkFolderError)):
        params.write_text(f"/**: {{ros__parameters: {{camera: {{height_m: {height_m}, mask: {mask}}}}}}}")
        with pytest.raises(error) as refused:
            adapt_package(tmp_path / "work", tmp_path / "out", config)
    assert "work was made with drive 1: camera.height_m 1.6, not 1.5; take the same" in str(refused.value)
    params.write_text(params.read_text().replace("1.5", "1.6"))
    for file, name in ((track, "reference"), (mask, "camera.mask")):
        before = file.read_text()
        file.write_text("0 1 0 0 0 0 0 1\n")
        with pytest.raises(WorkFolderError, match=f"work was made with drive 1: file of {name} "):
            adapt_package(tmp_path / "work", tmp_path / "out", config)
        file.write_text(before)


def test_a_drive_that_cannot_be_opened_claims_no_folder(tmp_path):
    with pytest.raises(BagError):
        adapt_package(tmp_path / "work", tmp_path / "out", AdaptConfig(SiteDrives((tmp_path / "none",))))
    assert not (tmp_path / "work").exists()


def test_drives_that_are_too_short_are_refused_before_they_are_localized(tmp_path):
    """Here that would fail, since there is no map. By the reference the robot has not moved at all."""
    short, long = recording(tmp_path / "short", 70.0), recording(tmp_path / "long", 90.0)

    def adapted(work, *drives, reference=None):
        adapt_package(tmp_path / work, tmp_path / "out", AdaptConfig(SiteDrives(drives, None, reference)))

    with pytest.raises(
        AdaptError, match="at least 150 m of road are needed, and .*short/bag has 70 m by /odom;"
    ):
        adapted("one", short)
    with pytest.raises(AdaptError, match="short/bag has 0 m by /ground_truth/pose, .*long/bag has 0 m by"):
        adapted("two", short, long, reference="/ground_truth/pose")
    with pytest.raises(MapSourceError):
        adapted("both", short, long)


def test_topics_of_the_inputs_can_be_given(tmp_path):
    drives = SiteDrives((recording(tmp_path / "one"),))
    assert "imu" in drives.opened()[0].topics
    without_imu = replace(drives, topics={"imu": ""})
    assert "imu" not in without_imu.opened()[0].topics
    assert "--topic imu:= " in adapt.adapt_command(AdaptConfig(without_imu))


def test_drives_about_different_datums_are_refused(tmp_path):
    other = {"latitude_deg": 48.001, "longitude_deg": 11.0, "altitude_m": 0.0}
    drives = SiteDrives((recording(tmp_path / "one"), recording(tmp_path / "two", datum=other)))
    with pytest.raises(AdaptError, match="one site with one datum, but .*48.0.*48.001"):
        drives.opened()


@pytest.mark.parametrize("wrong_accepted, taken", [(1, "whole"), (2, "candidate")])
def test_training_on_all_of_the_road_must_not_make_it_worse(tmp_path, monkeypatch, wrong_accepted, taken):
    for name in ("candidate", "whole"):
        shutil.copytree(default_package_path(), tmp_path / name)
    candidate = ModelPackage.load(tmp_path / "candidate")
    monkeypatch.setattr(adapt, "figures_on", lambda *_: replace(BEFORE, wrong_accepted=wrong_accepted))
    training = SiteTraining(tmp_path, {"judge": None}, candidate, AdaptConfig(SiteDrives(())))
    assert training.finished(candidate, BEFORE).name == taken


def test_a_calibration_that_was_broken_off_is_no_result(tmp_path, monkeypatch):
    """An interrupted adaptation goes on from there; half a package must not pass for its result."""

    def broken_off(package, out, *_):
        shutil.copytree(default_package_path(), out, dirs_exist_ok=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(SiteTraining, "_trained", lambda *_: None)
    monkeypatch.setattr(SiteTraining, "_write", lambda *_: None)
    monkeypatch.setattr(adapt, "calibrate_package", broken_off)
    parts = {"learn": [], "calibrate": [], "elsewhere": []}
    start = ModelPackage.load(default_package_path())
    with pytest.raises(KeyboardInterrupt):
        SiteTraining(tmp_path, parts, start, AdaptConfig(SiteDrives((), None, None))).tuned()
    assert not (tmp_path / "candidate").exists()
