"""The node over DDS: poses as offline, faulty inputs, and requests of the operator."""

import re
from array import array
from dataclasses import replace

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from geometry_msgs.msg import Twist
from nav_msgs.msg import OccupancyGrid
from node_client import COMPRESSED, of, without_timings
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, NavSatFix
from visualization_msgs.msg import MarkerArray

from xview_localizer.inputs.image_messages import rgb_from_compressed_image
from xview_localizer.inputs.messages import stamp_sec
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import BagError
from xview_localizer.recordings.offline import localize_drive
from xview_localizer.ros import qos
from xview_localizer.ros.message_types import MESSAGE_TYPES
from xview_localizer.ros.node_process import NodeProcess
from xview_localizer.ros.replay import replay_drive


@pytest.mark.parametrize("odometry", ["odom", "ground_truth"])
def test_replay_over_dds_equals_offline(domain, drive, drive_localizer, values, odometry):
    """With nav_msgs/Odometry, and with a PoseStamped every 2 s, too rare for odometry: one image is not sure then."""
    drive = replace(drive, topics=drive.topics | {"odom": drive.topics[odometry]})
    over_dds = replay_drive(drive, values)
    offline = list(localize_drive(drive, drive_localizer, Settings.from_values(values)))
    assert without_timings(over_dds) == without_timings(offline)
    assert sum(record.accepted for record in over_dds) >= len(over_dds) - 1


def test_offline_replay_names_at_its_end_what_is_doubtful(drive, drive_localizer, values, monkeypatch):
    """Here the camera is said to be a fifth lower than it is."""
    monkeypatch.setattr("xview_localizer.inputs.doubts.SCALES_LEAST", 4)
    doubts: list[str] = []
    settings = Settings.from_values({**values, "camera.height_m": 1.5})
    assert len(list(localize_drive(drive, drive_localizer, settings, doubts.append))) > 4
    assert ["the solved scale stays at its bound, 1.1" in doubt for doubt in doubts] == [True]


def test_offline_replay_names_the_messages_that_were_not_used(drive, drive_localizer, values):
    """Else nothing but missing GNSS would be reported, and not why it is missing."""
    doubts: list[str] = []
    settings = Settings.from_values({**values, "datum.latitude_deg": -values["datum.latitude_deg"]})
    records = list(localize_drive(drive, drive_localizer, settings, doubts.append))
    assert not any(record.accepted for record in records)
    (doubt,) = doubts
    assert re.fullmatch(
        r"\d+ messages of fix \(/gnss/fix\) were not used, such as: NavSatFix is .* km from the datum;.*",
        doubt,
    )


def test_a_replay_over_dds_has_the_doubts_of_the_offline_one(domain, drive, drive_localizer, values):
    """About messages, here positions far from the datum, and about settings, here the height of the camera."""
    values = {**values, "datum.latitude_deg": -values["datum.latitude_deg"], "camera.height_m": 4.0}
    settings = Settings.from_values(values)
    over_dds: list[str] = []
    offline: list[str] = []
    replay_drive(drive, values, on_doubt=over_dds.append)
    assert list(localize_drive(drive, drive_localizer, settings, offline.append))
    assert len(offline) == 2 and over_dds == offline


def test_replay_names_a_package_that_is_missing(domain, drive, values, monkeypatch):
    monkeypatch.delitem(MESSAGE_TYPES, "nav_msgs/msg/Odometry")
    with pytest.raises(BagError, match="odom is nav_msgs/msg/Odometry, and nav_msgs is not installed"):
        replay_drive(drive, values)


def test_pose_carries_the_stamp_of_the_image_and_a_usable_covariance(client, values, recorded):
    with NodeProcess(values | COMPRESSED):
        client.play_until(recorded, lambda: client.poses and client.fixes and client.scales)
        pose = client.poses[0]
        images = [deserialize_message(message.cdr, CompressedImage) for message in of(recorded, "image")]
        assert pose.header.stamp in [image.header.stamp for image in images]
        assert pose.header.frame_id == "map"
        covariance = pose.pose.covariance.reshape(6, 6)
        np.testing.assert_array_equal(covariance, covariance.T)
        assert np.all(np.linalg.eigvalsh(covariance) > 0)
        assert covariance[2, 2] > 1e3
        fix = client.fixes[0]
        assert fix.header.frame_id == "base_link"
        frame = Settings.from_values(values).frame
        xy_m = frame.enu_from_geodetic(fix.latitude, fix.longitude, fix.altitude)[:2]
        np.testing.assert_allclose(xy_m, [pose.pose.pose.position.x, pose.pose.pose.position.y], atol=1e-3)


def test_faulty_inputs_are_named_and_the_node_goes_on(client, values, recorded):
    with NodeProcess(values | COMPRESSED) as process:
        image = of(recorded, "image")[0]
        client.play([image])
        client.record_with("no CameraInfo yet; publish it on /camera_info, remap")

        client.play(of(recorded, "camera_info")[:1])
        corrupt = deserialize_message(image.cdr, CompressedImage)
        corrupt.data = array("B", bytes(corrupt.data)[:2000][::-1])
        client.publish("image/compressed", CompressedImage, corrupt)
        client.record_with("cannot be decoded")

        nan_fix = deserialize_message(of(recorded, "fix")[0].cdr, NavSatFix)
        nan_fix.latitude = float("nan")
        client.publish("fix", NavSatFix, nan_fix)
        assert "not finite" in client.diagnostic_with("malformed fix on /fix:").message

        client.play([image])
        client.record_with("no GNSS position")
        assert not client.poses

        client.play_until(recorded, lambda: client.poses)
        assert process.running


def test_camera_info_that_was_published_once_before_the_node_was_there(client, values, recorded):
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = client.node.create_publisher(CameraInfo, "camera_info", latched)
    publisher.publish(of(recorded, "camera_info")[0].cdr)
    with NodeProcess(values | COMPRESSED):
        others = [message for message in recorded if message.role != "camera_info"]
        client.play_until(others, lambda: client.poses)
        assert not any("CameraInfo" in record.reason for record in client.records)
        client.spin_for(4.0)
        assert "camera_info" not in client.diagnostics[-1].message


def test_topics_that_do_not_belong_together_or_have_another_type_are_warned_of(client, values, recorded):
    """Rectified images beside image_proc's CameraInfo, which is that of the raw ones; a twist for odometry."""
    info = deserialize_message(of(recorded, "camera_info")[0].cdr, CameraInfo)
    info.distortion_model, info.d = "plumb_bob", [-0.1, 0.01, 0.0, 0.0, 0.0]
    info.k = [300.0, 0.0, info.width / 2, 0.0, 300.0, info.height / 2, 0.0, 0.0, 1.0]
    with NodeProcess(values | COMPRESSED, {"image/compressed": "/front/image_rect/compressed"}):
        client.publish("camera_info", CameraInfo, info)
        client.diagnostic_with("/front/image_rect/compressed has rectified images")
        client.node.create_publisher(Twist, "odom", 1)
        client.diagnostic_with(
            "/odom is published as geometry_msgs/msg/Twist, and odom takes nav_msgs/msg/Odom"
        )


def test_an_input_on_which_nothing_comes_is_named_with_the_remedy(client, values):
    """Both on /diagnostics and in the log. No node publishes `fix` here, and the camera publishes compressed images."""
    with NodeProcess(values | {"autostart": True}, {"fix": "/gnss/fix"}) as process:
        client.node.create_publisher(CompressedImage, "image/compressed", 1)
        told = (
            "nothing on fix for more than 3 s: nobody publishes /gnss/fix; start its driver, or remap fix",
            "its images are published on /image/compressed; set camera.transport to compressed",
        )
        for text in told:
            client.diagnostic_with(text)
            client.until(lambda text=text: text in process.log)


def test_dead_map_server_rejects_images_with_the_reason(client, values, recorded):
    dead = {"map.source": "http://127.0.0.1:9/{z}/{x}/{y}.png", "map.timeout_sec": 0.2}
    with NodeProcess(values | COMPRESSED | dead) as process:
        client.play_until(recorded, lambda: any("map: " in record.reason for record in client.records))
        assert client.diagnostic_with("map: ").level == b"\x02"
        assert not client.poses
        assert process.running


def test_raw_images_unknown_encoding_and_debug_image_on_demand(client, values, recorded):
    with NodeProcess(values | {"autostart": True}):
        compressed = deserialize_message(of(recorded, "image")[0].cdr, CompressedImage)
        pixels = rgb_from_compressed_image(compressed)
        image = Image(
            header=compressed.header,
            height=pixels.shape[0],
            width=pixels.shape[1],
            step=3 * pixels.shape[1],
            encoding="32FC7",
        )
        image.data = array("B", pixels.tobytes())
        reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        client.play([message for message in recorded if message.role != "image"])
        client.publish("image", Image, image, reliable)
        client.record_with("'32FC7' is not supported")

        overlays, arrays, grids = [], [], []
        client.node.create_subscription(Image, "/localizer/debug/image", overlays.append, reliable)
        client.node.create_subscription(MarkerArray, "/localizer/debug/markers", arrays.append, reliable)
        client.node.create_subscription(
            OccupancyGrid, "/localizer/debug/aerial", grids.append, qos.LATCHED_OUTPUT
        )
        image.encoding = "rgb8"

        def shown():
            image.header.stamp.sec += 1
            image.data[0] ^= 1  # a camera never sends the same twice while the robot drives
            client.publish("image", Image, image, reliable)
            client.spin_for(1.0)
            return overlays and arrays and grids

        client.until(shown)
        assert overlays[0].encoding == "rgb8"
        assert len(overlays[0].data) == overlays[0].height * overlays[0].step
        assert np.std(overlays[0].data) > 5
        cells = [marker for marker in arrays[0].markers if marker.ns == "cells"]
        assert len(cells[0].points) > 100
        assert np.std(grids[0].data) > 2


def test_operator_relocalizes_and_clears_and_doubts_are_warned_of(client, values, recorded):
    from std_srvs.srv import Trigger

    low = {"camera.height_m": 0.5}
    with NodeProcess(values | COMPRESSED | low):
        assert client.diagnostic_with("camera.height_m is 0.5").level == b"\x01"
        images = of(recorded, "image")
        second, third = recorded.index(images[1]), recorded.index(images[2])
        client.play_until(recorded[: second + 1], lambda: len(client.records) >= 2)
        usual_m = client.records[-1].prior_radius_m
        client.play(recorded[second + 1 : third])
        answer = client.call(Trigger, "/localizer/relocalize", Trigger.Request())
        assert answer.success and "up to 200 m" in answer.message
        count = len(client.records)
        client.play([images[2]])
        client.await_records(count + 1)
        assert client.records[-1].prior_radius_m > 1.5 * usual_m
        answer = client.call(Trigger, "/localizer/clear", Trigger.Request())
        assert answer.success and "all hypotheses are forgotten" in answer.message


def test_looped_recording_starts_afresh(client, values, recorded):
    images = of(recorded, "image")
    first_image = recorded.index(images[0])
    last_sec = stamp_sec(deserialize_message(images[-1].cdr, CompressedImage))
    roles = ("fix", "odom", "imu")

    def received():
        return np.array([int(client.values.get(f"{role}_received", 0)) for role in roles])

    def at_least(wanted):
        return lambda: np.all(received() >= wanted)

    with NodeProcess(values | COMPRESSED):
        wanted = np.array([len(of(recorded[:first_image], role)) for role in roles])
        for _ in range(2):
            count = len(client.records)
            client.play(recorded[:first_image])
            client.until(at_least(wanted), timeout_sec=60.0)
            client.play(images[:1])
            client.await_records(count + 1)
            client.play(recorded[first_image + 1 :])
            client.until(lambda: client.records[-1].stamp_sec == last_sec, timeout_sec=60.0)
            client.spin_for(2.5)  # until the diagnostics count all of it
            wanted = received() + wanted
        stamps = [record.stamp_sec for record in client.records]
        firsts = [record for record in client.records if record.stamp_sec == stamps[0]]
        assert len(firsts) == 2
        assert without_timings(firsts[:1]) == without_timings(firsts[1:])
