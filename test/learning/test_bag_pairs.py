"""Pairs cut from a recording: their truth is that of the drive, whatever kind of reference it comes from."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
import yaml

pytest.importorskip("torch")

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.source import AerialImage
from xview_localizer.belief.hypotheses import OdometryDrift
from xview_localizer.evaluation.reference import read_reference
from xview_localizer.geometry.dense import PoseMode
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.pose import Pose2
from xview_localizer.imaging import NO_DATA_RGB
from xview_localizer.learning.bag_pairs import posed_frames, write_pairs
from xview_localizer.learning.drive_frames import cut_frames
from xview_localizer.learning.reference import AdaptError
from xview_localizer.localizer_config import LocalizerConfig
from xview_localizer.modes import Modes
from xview_localizer.observation import empty_observation
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import BagError
from xview_localizer.recordings.drive_file import read_drive
from xview_localizer.recordings.pairs import PairsDataset
from xview_localizer.recordings.tum import write_tum
from xview_localizer.simulation.bag_writer import DriveBag
from xview_localizer.simulation.sensors import GnssSample, ImuSample, OdometrySample

START_SEC, ANTENNA_M, CAMERA_M = 1000.0, np.array([-0.6, 0.2]), (0.4, 0.1)
CAMERA = {
    "model": "pinhole", "width": 64, "height": 48, "fx": 50.0, "fy": 50.0, "cx": 32.0, "cy": 24.0, "d": [],
}  # fmt: skip
FRAME = LocalFrame(48.0, 11.0, 0.0)


def true_pose(stamp_sec):
    """A bend at 4 m/s."""
    yaw_rad = 0.3 + 0.05 * stamp_sec
    return Pose2(80 * np.sin(yaw_rad) - 30, -80 * np.cos(yaw_rad) + 60, yaw_rad)


@dataclass(frozen=True)
class Camera:
    """Where it sits, the way it looks, and how long after the others it takes its images."""

    in_base_m: tuple[float, float]
    yaw_deg: float
    late_sec: float = 0.0

    @property
    def description(self):
        return {"in_base_m": [*self.in_base_m, 1.6], "rpy_deg": [0.0, 2.0, self.yaw_deg], "height_m": 1.6}


# It looks back and to the left.
ONLY = Camera(CAMERA_M, 120.0)
RIG = {"front": Camera((0.9, 0.0), 0.0), "left": Camera((0.1, 0.3), 90.0, late_sec=0.2)}


def write_drive(folder, cameras, description, pitch_rad=None):
    """With an IMU where base_link has a pitch."""
    rng = np.random.default_rng(0)
    odom_from_map = true_pose(0.0).inverse()
    with DriveBag(folder / "bag", START_SEC) as bag:
        for stamp_sec in np.arange(0.0, 20.0, 0.1):
            pose = true_pose(stamp_sec)
            at = np.array([*pose.transform(ANTENNA_M), 1.7])
            bag.add_odometry(OdometrySample(float(stamp_sec), odom_from_map @ pose, 4.0, 0.05))
            bag.add_gnss(GnssSample(float(stamp_sec), at, 0.02), FRAME)
            if pitch_rad is not None:
                bag.add_imu(
                    ImuSample(float(stamp_sec), 0.0, pitch_rad, pose.yaw_rad, np.zeros(3), np.zeros(3))
                )
        for stamp_sec in np.arange(0.25, 19.0, 0.5):
            for name, camera in cameras.items():
                noise = cv2.imencode(".jpg", rng.integers(0, 256, (48, 64, 3), np.uint8))[1].tobytes()
                bag.add_image(float(stamp_sec) + camera.late_sec, noise, CAMERA, name)
            bag.add_truth(float(stamp_sec), true_pose(stamp_sec))
        bag.write()
    description = {
        "datum": {"latitude_deg": 48.0, "longitude_deg": 11.0, "altitude_m": 0.0},
        "antenna_in_base_m": [*ANTENNA_M.tolist(), 1.7], "map": "map.tif", "bag": "bag",
    } | description  # fmt: skip
    (folder / "drive.yaml").write_text(yaml.safe_dump(description))
    rows = [(START_SEC + t, p.x_m, p.y_m, p.yaw_rad) for t in np.arange(0, 20, 0.2) for p in [true_pose(t)]]
    write_tum(folder / "truth.tum", rows)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    description = {"camera": ONLY.description, "topics": DriveBag.TOPICS}
    return write_drive(tmp_path_factory.mktemp("drive"), {"": ONLY}, description)


@pytest.fixture(scope="module")
def rig_folder(tmp_path_factory):
    cameras = {name: camera.description for name, camera in RIG.items()}
    description = {"cameras": cameras, "topics": DriveBag.topics_of(list(RIG))}
    return write_drive(tmp_path_factory.mktemp("rig"), RIG, description)


def frames_of(folder, localizer, reference, out, **values):
    drive = read_drive(folder)
    settings = Settings.from_values(drive.values | values)
    reference_poses = read_reference(reference, drive, settings) if reference else None
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
        ("/ground_truth/pose", {"camera.height_m": 0.0}, "camera.height_m is 0, so the camera"),
        ("/none", {}, "has no topic /none of poses or positions"),
        ("none.tum", {}, "neither a TUM file"),
        ("/ground_truth/pose", {"datum.latitude_deg": 48.5}, "km from GNSS"),
    ],
)
def test_drives_that_cannot_be_learnt_from(folder, localizer, tmp_path, reference, values, message):
    with pytest.raises((AdaptError, BagError), match=message):
        frames_of(folder, localizer, reference, tmp_path / "drive_0", **values)


class SureLocalizer:
    """Finds the true pose at the current image's stamp, where the noise in these images shows nothing."""

    def __init__(self, package, on_slope=False):
        self.spec, self.config, self.on_slope = package.spec, LocalizerConfig(), on_slope

    def observe(self, view):
        return empty_observation(view.stamp_sec, "")

    def modes(self, placed, prior, expected=()):
        stamp_sec = placed[-1].observation.stamp_sec
        pose, covariance = true_pose(stamp_sec - START_SEC), np.diag([0.01, 0.01, 1e-4])
        mode = PoseMode(pose, 1.0, covariance, log_evidence=500.0, log_evidence_current=500.0, log_prior=0.0)
        return Modes(
            stamp_sec,
            prior,
            (mode,),
            len(placed),
            1.5,
            80,
            0.4,
            depth_source="network",
            on_slope=self.on_slope,
        )


@pytest.mark.parametrize("reference", ["truth.tum", "/gnss/fix", None])
def test_every_camera_teaches_from_where_it_was_at_its_own_stamp(
    rig_folder, localizer, package, tmp_path, reference
):
    drive_out = tmp_path / "frames" / "drive_0"
    frames = frames_of(rig_folder, localizer if reference else SureLocalizer(package), reference, drive_out)
    posed = posed_frames(drive_out, frames, reference is not None, OdometryDrift(), 16.0)
    town = AerialImage(
        np.full((500, 500, 3), 90, np.uint8),
        np.ones((500, 500), bool),
        RasterGrid(-130.0, 130.0, 0.52, 500, 500),
    )
    learn = tmp_path / "pairs" / "learn"
    write_pairs(learn, posed, InMemoryMap(town), 0.52)
    seen = dict.fromkeys(RIG, 0)
    for record, item in zip(PairsDataset(learn), posed, strict=True):
        late = (record.stamp_sec - START_SEC - 0.25) % 0.5 > 0.1
        name = "left" if late else "front"
        seen[name] += 1
        base = true_pose(record.stamp_sec - START_SEC)
        camera = base @ Pose2(*RIG[name].in_base_m, np.radians(RIG[name].yaw_deg))
        here = base.inverse() @ item.label.pose
        assert np.hypot(here.x_m, here.y_m) < 0.08 and abs(here.yaw_rad) < 0.01
        assert np.angle(np.exp(1j * (record.truth.yaw_rad - camera.yaw_rad))) == pytest.approx(0, abs=0.01)
    assert all(count >= 30 for count in seen.values()), seen
    assert len({frame.image for frame in frames}) == len(frames)


@pytest.mark.parametrize("on_slope", [False, True])
def test_cameras_are_level_or_on_the_slope_as_the_tracker_found(package, tmp_path, on_slope):
    """The camera looks ahead and 2° down, on a robot whose front is 4° lower than its rear."""
    ahead = Camera((0.4, 0.0), 0.0)
    description = {"camera": ahead.description, "topics": DriveBag.TOPICS}
    leaning = write_drive(tmp_path, {"": ahead}, description, pitch_rad=np.radians(4.0))
    frames = frames_of(leaning, SureLocalizer(package, on_slope), None, tmp_path / "frames" / "drive_0")
    pitch_deg = [frame.camera["pitch_deg"] for frame in frames if frame.anchor is not None]
    assert len(pitch_deg) > 10
    np.testing.assert_allclose(pitch_deg, 2.0 if on_slope else 6.0, atol=1e-6)


def test_a_camera_of_several_whose_height_is_unknown_is_named(rig_folder, localizer, tmp_path):
    heights = {"camera.front.height_m": 0.0, "camera.left.height_m": 0.0}
    with pytest.raises(AdaptError, match=r"camera\.front\.height_m is 0"):
        frames_of(rig_folder, localizer, "truth.tum", tmp_path / "drive_0", **heights)


def test_reference_of_another_time(folder, localizer, tmp_path):
    late = tmp_path / "late.tum"
    write_tum(late, [(9000.0 + t, 0.0, 0.0, 0.0) for t in range(5)])
    with pytest.raises(AdaptError, match="from 9000.0 to 9004.0 s has no pose for the images from 1000"):
        frames_of(folder, localizer, str(late), tmp_path / "drive_0")


def test_frames_without_anchors_have_no_pose(folder, localizer, tmp_path):
    frames = frames_of(folder, localizer, "/gnss/fix", tmp_path / "drive_0")
    bare = [replace(frame, anchor=None) for frame in frames]
    assert posed_frames(tmp_path, bare, False, OdometryDrift(), 16.0) == []


def test_the_robot_itself_is_painted_over(folder, localizer, tmp_path):
    shows_world = np.full((48, 64), 255, np.uint8)
    shows_world[32:] = 0
    cv2.imwrite(str(tmp_path / "mask.png"), shows_world)
    out = tmp_path / "drive_0"
    mask = {"camera.mask": str(tmp_path / "mask.png")}
    frame = frames_of(folder, localizer, "/ground_truth/pose", out, **mask)[0]
    image = cv2.imread(str(out / frame.image))[..., ::-1].astype(int)
    assert np.abs(image[36:] - NO_DATA_RGB).max() < 8
    assert np.abs(image[:28] - NO_DATA_RGB).mean() > 40
