"""A calibration file in place of CameraInfo: the poses of the messages, offline and over DDS, and nothing is missed."""

from dataclasses import replace

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from node_client import COMPRESSED, of, without_timings
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo

from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import BagError, open_inputs
from xview_localizer.recordings.mountings_of_drive import with_mountings_of
from xview_localizer.recordings.offline import localize_drive
from xview_localizer.ros.node_process import NodeProcess
from xview_localizer.ros.replay import replay_drive


@pytest.fixture
def info(recorded):
    return deserialize_message(of(recorded, "camera_info")[0].cdr, CameraInfo)


@pytest.fixture
def values_with_file(values, calibration_file, info):
    return {**values, "camera.info_file": str(calibration_file(info))}


def test_a_recording_without_camera_info_gives_the_poses_of_one_with_it(
    domain, drive, drive_localizer, values, values_with_file
):
    without = replace(drive, topics={k: v for k, v in drive.topics.items() if k != "camera_info"})
    with pytest.raises(
        BagError, match="no topic for camera_info; .* or give a calibration file as camera.info_file"
    ):
        open_inputs(without, Settings.from_values(values))
    by_message = list(localize_drive(drive, drive_localizer, Settings.from_values(values)))
    by_file = list(localize_drive(without, drive_localizer, Settings.from_values(values_with_file)))
    assert without_timings(by_file) == without_timings(by_message)
    assert all(record.accepted for record in by_file)
    assert without_timings(replay_drive(without, values_with_file)) == without_timings(by_message)


def test_a_recorded_camera_info_does_not_overrule_the_file(
    domain, drive, drive_localizer, values_with_file, calibration_file, info
):
    calibration_file(info, image_width=info.width + 2)
    offline = list(localize_drive(drive, drive_localizer, Settings.from_values(values_with_file)))
    assert {record.reason_code for record in offline} == {"BAD_IMAGE"}
    assert f"the camera model has {info.width + 2} × " in offline[0].reason
    assert without_timings(replay_drive(drive, values_with_file)) == without_timings(offline)


def test_mountings_of_a_recording_without_camera_info(drive, values_with_file):
    without = replace(drive, topics={k: v for k, v in drive.topics.items() if k != "camera_info"})
    by_tf = {k: v for k, v in values_with_file.items() if not k.endswith(("in_base_m", "rpy_deg"))}
    assert with_mountings_of(without, by_tf) == with_mountings_of(drive, by_tf) != by_tf


def test_the_node_does_not_wait_for_camera_info(client, values_with_file, recorded):
    with NodeProcess(values_with_file | COMPRESSED):
        client.play_until([m for m in recorded if m.role != "camera_info"], lambda: client.poses)
        client.until(lambda: client.values.get("image_received"))
        assert not any(name.startswith("camera_info") for name in client.values)
        assert client.node.get_subscriptions_info_by_topic("/camera_info") == []
