"""True poses from whatever a recording holds: the same drive by poses and by an antenna."""

from dataclasses import replace

import numpy as np
import pytest

from xview_localizer.evaluation.reference import Reference, read_reference
from xview_localizer.evaluation.reference_doubts import doubts_of_reference
from xview_localizer.evaluation.trajectory import DriveResult
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.pose import Pose2, wrap_angle_rad
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import TF_TOPICS, BagError, Drive
from xview_localizer.simulation.bag_writer import DriveBag
from xview_localizer.simulation.sensors import GnssSample, OdometrySample

START_SEC, ANTENNA_M = 1000.0, np.array([-0.6, 0.2, 1.7])
FRAME = LocalFrame(48.0, 11.0, 0.0)
VALUES = {"datum.latitude_deg": 48.0, "datum.longitude_deg": 11.0, "map.source": "map.tif"}


def true_pose(stamp_sec):
    """A bend at 4 m/s; from 12 s on backwards."""
    yaw_rad = 0.3 + 0.05 * min(stamp_sec, 24.0 - stamp_sec)
    return Pose2(80 * np.sin(yaw_rad) - 30, -80 * np.cos(yaw_rad) + 60, yaw_rad)


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """The antenna's place comes from the recording's /tf_static. GNSS has a gap from 5 to 8 s."""
    folder = tmp_path_factory.mktemp("drive")
    with DriveBag(folder / "bag", START_SEC) as bag:
        bag.add_mounting("gnss_antenna", ANTENNA_M, np.eye(3))
        for stamp_sec in np.arange(0.0, 24.0, 0.1):
            pose = true_pose(stamp_sec)
            bag.add_odometry(OdometrySample(float(stamp_sec), true_pose(0.0).inverse() @ pose, 4.0, 0.05))
            bag.add_truth(float(stamp_sec), pose)
            if not 5.0 < stamp_sec < 8.0:
                at = np.array([*pose.transform(ANTENNA_M[:2]), 1.7])
                bag.add_gnss(GnssSample(float(stamp_sec), at, 0.02), FRAME)
        bag.write()
    return Drive(folder / "bag", DriveBag.TOPICS | TF_TOPICS, VALUES, folder, "drive")


@pytest.mark.parametrize(
    ("topic", "odometry"),
    [("/ground_truth/pose", "/odom"), ("/gnss/fix", "/odom"), ("/gnss/fix", "/ground_truth/pose")],
)
def test_truth_by_a_topic(drive, topic, odometry):
    drive = replace(drive, topics=drive.topics | {"odom": odometry})
    reference = read_reference(topic, drive, Settings.from_values(VALUES))
    for stamp_sec in (2.0, 4.97, 9.03, 15.5, 23.1):
        away = true_pose(stamp_sec).inverse() @ reference.truth_at(START_SEC + stamp_sec)
        assert np.hypot(away.x_m, away.y_m) < 0.05 and abs(wrap_angle_rad(away.yaw_rad)) < 0.02
    for stamp_sec in (-1.0, 30.0):
        assert reference.truth_at(START_SEC + stamp_sec) is None
    assert (reference.truth_at(START_SEC + 7.0) is None) == (topic == "/gnss/fix")


def test_an_antenna_gives_no_pose_without_odometry(drive):
    topics = {role: topic for role, topic in drive.topics.items() if role != "odom"}
    without = Drive(drive.bag, topics, VALUES, drive.folder, drive.name)
    reference = read_reference("/gnss/fix", without, Settings.from_values(VALUES))
    assert reference.truth_at(START_SEC + 2.0) is None


def test_odometry_may_be_the_reference(drive):
    reference = read_reference("/odom", drive, Settings.from_values(VALUES))
    assert reference.truth_at(START_SEC).x_m == pytest.approx(0.0)


def test_candidates_are_named(drive):
    with pytest.raises(BagError) as error:
        read_reference(None, Drive(drive.bag, {"fix": "/gnss/fix"}, {}, drive.folder, ""), None)
    lines = str(error.value).splitlines()
    assert "  --reference /ground_truth/pose" in lines and "  --reference /gnss/fix" not in lines
    with pytest.raises(BagError, match="neither a TUM file, here or in"):
        read_reference("rtk.tum", drive, Settings.from_values(VALUES))
    for wrong in ("/rtk/odometry", "/imu/data"):
        with pytest.raises(
            BagError, match=f"has no topic {wrong} of poses or positions; add one of\n"
        ) as error:
            read_reference(wrong, drive, Settings.from_values(VALUES))
        assert "  --reference /ground_truth/pose" in str(error.value).splitlines()


def judged_by(sigma_m, off_m):
    xy_m = np.zeros((3, 2))
    reference = Reference("/rtk", np.arange(3.0), xy_m, np.array([0.01, sigma_m, sigma_m]), np.zeros(3), xy_m)
    truth = [Pose2(0.0, 0.0, 0.0)] * 3
    return doubts_of_reference(
        reference, DriveResult([], truth, np.array([[90.0, 0.0], [0.0, off_m], [off_m, 0.0]]), 1.0)
    )


def test_a_rough_reference_and_one_in_another_frame_are_doubted():
    assert judged_by(0.49, 19.0) == []
    (rough,) = judged_by(4.0, 8.0)
    assert "/rtk has a standard deviation of 4.0 m by its own account" in rough
    (elsewhere,) = judged_by(0.05, 21.0)
    assert "/rtk lies 21 m from GNSS (median): it has to be in map" in elsewhere
