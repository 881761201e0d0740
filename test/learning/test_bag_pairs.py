"""Pairs cut from a recording: their truth is that of the drive, whatever kind of reference it comes from."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml

pytest.importorskip("torch")

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.source import AerialImage
from xview_localizer.bag import BagError, read_drive
from xview_localizer.belief.hypotheses import OdometryDrift
from xview_localizer.evaluation.reference import read_reference
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.pose import Pose2
from xview_localizer.learning.bag_pairs import posed_frames, write_pairs
from xview_localizer.learning.drive_frames import cut_frames
from xview_localizer.learning.reference import AdaptError
from xview_localizer.pairs import PairsDataset
from xview_localizer.settings import Settings
from xview_localizer.simulation.bag_writer import DriveBag
from xview_localizer.simulation.sensors import GnssSample, OdometrySample
from xview_localizer.tum import write_tum

START_SEC, ANTENNA_M, CAMERA_M = 1000.0, np.array([-0.6, 0.2]), (0.4, 0.1)
CAMERA = {
    "model": "pinhole", "width": 64, "height": 48, "fx": 50.0, "fy": 50.0, "cx": 32.0, "cy": 24.0, "d": [],
}  # fmt: skip
FRAME = LocalFrame(48.0, 11.0, 0.0)


def true_pose(stamp_sec):
    """A bend at 4 m/s."""
    yaw_rad = 0.3 + 0.05 * stamp_sec
    return Pose2(80 * np.sin(yaw_rad) - 30, -80 * np.cos(yaw_rad) + 60, yaw_rad)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drive")
    rng = np.random.default_rng(0)
    odom_from_map = true_pose(0.0).inverse()
    with DriveBag(folder / "bag", START_SEC) as bag:
        for stamp_sec in np.arange(0.0, 20.0, 0.1):
            pose = true_pose(stamp_sec)
            at = np.array([*pose.transform(ANTENNA_M), 1.7])
            bag.add_odometry(OdometrySample(float(stamp_sec), odom_from_map @ pose, 4.0, 0.05))
            bag.add_gnss(GnssSample(float(stamp_sec), at, 0.02), FRAME)
        for stamp_sec in np.arange(0.25, 19.0, 0.5):
            noise = rng.integers(0, 256, (48, 64, 3), np.uint8)
            bag.add_image(float(stamp_sec), cv2.imencode(".jpg", noise)[1].tobytes(), CAMERA)
            bag.add_truth(float(stamp_sec), true_pose(stamp_sec))
        bag.write()
    description = {
        "datum": {"latitude_deg": 48.0, "longitude_deg": 11.0, "altitude_m": 0.0},
        # The camera looks back and to the left.
        "camera": {"in_base_m": [*CAMERA_M, 1.6], "rpy_deg": [0.0, 2.0, 120.0], "height_m": 1.6},
        "antenna_in_base_m": [*ANTENNA_M.tolist(), 1.7], "topics": DriveBag.TOPICS, "map": "map.tif", "bag": "bag",
    }  # fmt: skip
    (folder / "drive.yaml").write_text(yaml.safe_dump(description))
    rows = [(START_SEC + t, p.x_m, p.y_m, p.yaw_rad) for t in np.arange(0, 20, 0.2) for p in [true_pose(t)]]
    write_tum(folder / "truth.tum", rows)
    return folder


def frames_of(folder, localizer, reference, out, **values):
    drive = read_drive(folder)
    settings = Settings.from_values(drive.values | values)
    reference_poses = read_reference(reference, drive, settings)
    return cut_frames(drive, settings, localizer, reference_poses, out)


@pytest.mark.parametrize("reference", ["/ground_truth/pose", "truth.tum", "/gnss/fix"])
def test_truth_is_the_camera_s_pose(folder, localizer, tmp_path, reference):
    drive_out = tmp_path / "frames" / "drive_0"
    frames = frames_of(folder, localizer, reference, drive_out)
    posed = posed_frames(drive_out, frames, True, OdometryDrift(), 16.0)
    rng = np.random.default_rng(1)
    shade = rng.integers(0, 255, (500, 500, 3), np.uint8)
    town = AerialImage(shade, np.ones((500, 500), bool), RasterGrid(-130.0, 130.0, 0.52, 500, 500))
    pairs = tmp_path / "pairs" / "learn"
    assert len(write_pairs(pairs, posed, InMemoryMap(town), 0.52)) == len(posed) >= 35
    for record, item in zip(PairsDataset(pairs), posed, strict=True):
        base = true_pose(record.stamp_sec - START_SEC)
        camera = base @ Pose2(*CAMERA_M, np.radians(120.0))
        here = base.inverse() @ item.label.pose
        assert np.hypot(here.x_m, here.y_m) < 0.05 and abs(here.yaw_rad) < 0.01
        # The aerial image is centred where its entry places it: there it shows what the map shows.
        aerial = record.load_aerial()
        middle_m = np.array([camera.x_m - record.truth.x_m, camera.y_m - record.truth.y_m])
        uv = (town.grid.uv_from_xy(middle_m) - 0.5).round().astype(int)
        rows, columns = aerial.image.shape[:2]
        shown = aerial.image[rows // 2 - 20 : rows // 2 + 20, columns // 2 - 20 : columns // 2 + 20]
        there = shade[uv[1] - 21 : uv[1] + 21, uv[0] - 21 : uv[0] + 21]
        match = cv2.matchTemplate(there, shown, cv2.TM_CCOEFF_NORMED)
        assert match.max() > 0.3
        assert np.angle(np.exp(1j * (record.truth.yaw_rad - camera.yaw_rad))) == pytest.approx(0, abs=0.01)
        assert np.degrees(record.pitch_rad) == pytest.approx(2.0, abs=1e-6)
        away_m = np.hypot(record.prior.x_m - record.truth.x_m, record.prior.y_m - record.truth.y_m)
        assert away_m < record.prior.radius_m
        assert record.load_image().shape == (48, 64, 3)
    again = frames_of(folder, localizer, reference, drive_out)  # from its file
    assert [frame.odometry for frame in again] == [frame.odometry for frame in frames]


@pytest.mark.parametrize(
    ("reference", "values", "message"),
    [
        ("/ground_truth/pose", {"camera.height_m": 0.0}, "the camera is not surveyed"),
        ("/none", {}, "has no topic for reference"),
        ("none.tum", {}, "neither a TUM file"),
        ("/ground_truth/pose", {"datum.latitude_deg": 48.5}, "km from GNSS"),
    ],
)
def test_drives_that_cannot_be_learnt_from(folder, localizer, tmp_path, reference, values, message):
    with pytest.raises((AdaptError, BagError), match=message):
        frames_of(folder, localizer, reference, tmp_path / "drive_0", **values)


def test_several_cameras_cannot_be_learnt_from_together(folder, localizer, tmp_path):
    rig = {"camera.position_in_base_m": None, "camera.rpy_deg": None, "cameras": ("front", "left")}
    with pytest.raises(
        AdaptError, match=r"several cameras \(front, left\) cannot be used together; describe"
    ):
        frames_of(folder, localizer, "/ground_truth/pose", tmp_path / "drive_0", **rig)


def test_reference_of_another_time(folder, localizer, tmp_path):
    late = tmp_path / "late.tum"
    write_tum(late, [(9000.0 + t, 0.0, 0.0, 0.0) for t in range(5)])
    with pytest.raises(AdaptError, match="from 9000.0 to 9004.0 s has no pose for the images from 1000"):
        frames_of(folder, localizer, str(late), tmp_path / "drive_0")


def test_frames_that_nobody_anchors_have_no_pose(folder, localizer, tmp_path):
    frames = frames_of(folder, localizer, "/gnss/fix", tmp_path / "drive_0")
    bare = [replace(frame, anchor=None) for frame in frames]
    assert posed_frames(tmp_path, bare, False, OdometryDrift(), 16.0) == []
