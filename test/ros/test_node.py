import re
import signal
import subprocess
import sys
import time
from array import array
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import Transition
from nav_msgs.msg import OccupancyGrid
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, NavSatFix
from visualization_msgs.msg import MarkerArray

from xview_localizer.assembly import build_localizer, open_map
from xview_localizer.messages import rgb_from_compressed_image, stamp_sec
from xview_localizer.offline import localize_drive
from xview_localizer.ros import localizer_node, qos
from xview_localizer.ros.localizer_node import LocalizerNode
from xview_localizer.ros.node_process import NodeProcess
from xview_localizer.ros.replay import replay_drive
from xview_localizer.settings import Settings

COMPRESSED = {"camera.transport": "compressed", "autostart": True}


def of(recorded, role):
    return [message for message in recorded if message.role == role]


def without_timings(records):
    # NaN differs from itself, its text does not.
    return [repr(replace(record, timings_ms={})) for record in records]


def test_replay_over_dds_equals_offline(domain, drive, values):
    over_dds = replay_drive(drive, values)
    settings = Settings.from_values(values)
    offline = list(localize_drive(drive, build_localizer(settings, open_map(settings)), settings))
    assert without_timings(over_dds) == without_timings(offline)
    assert all(record.accepted for record in over_dds)


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
        client.record_with("no CameraInfo")

        client.play(of(recorded, "camera_info")[:1])
        corrupt = deserialize_message(image.cdr, CompressedImage)
        corrupt.data = array("B", bytes(corrupt.data)[:2000][::-1])
        client.publish("image/compressed", CompressedImage, corrupt)
        client.record_with("cannot be decoded")

        nan_fix = deserialize_message(of(recorded, "fix")[0].cdr, NavSatFix)
        nan_fix.latitude = float("nan")
        client.publish("fix", NavSatFix, nan_fix)
        assert "not finite" in client.diagnostic_with("malformed fix").message

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


def test_namespace_tells_whose_diagnostics_they_are(client, values, recorded):
    remaps = {"__ns": "/front", "image/compressed": "/image/compressed", "~/status": "/localizer/status"}
    with NodeProcess(values | COMPRESSED, remaps):
        client.play(of(recorded, "image")[:1])
        client.record_with("no CameraInfo")
    assert set(client.status_names) == {"front/localizer: image"}
    assert {diagnostic.name for diagnostic in client.diagnostics} == {"front/localizer: state"}


def test_simulated_time_that_never_comes_is_reported(client, values):
    with NodeProcess(values | COMPRESSED | {"use_sim_time": True}):
        silent = client.diagnostic_with("use_sim_time is set, but nothing comes on /clock; ")
        assert (silent.level, silent.name) == (b"\x01", "localizer: state")

        def heard():
            client.publish("/clock", Clock, Clock(clock=Time(sec=5)))  # the node listens with best effort
            client.spin_for(0.2)
            return "/clock" not in client.diagnostics[-1].message

        client.until(heard)


def test_unforeseen_failure_of_a_transition_is_logged_and_taken_back(domain, values, monkeypatch, capfd):
    def broken(*arguments):
        raise ZeroDivisionError("nobody foresaw this")

    context = rclpy.Context()
    rclpy.init(context=context)
    overrides = [rclpy.Parameter(name, value=value) for name, value in values.items()]
    node = LocalizerNode(context=context, parameter_overrides=overrides)
    try:
        for part, step in (("DriveIntake", "configure"), ("ImageJob", "activate")):
            trigger = getattr(node, f"trigger_{step}")
            with monkeypatch.context() as patch:
                patch.setattr(localizer_node, part, broken)
                assert trigger() == TransitionCallbackReturn.FAILURE
            said = f"cannot {step}: internal error: ZeroDivisionError('nobody foresaw this')"
            assert said in capfd.readouterr().err
            assert trigger() == TransitionCallbackReturn.SUCCESS
    finally:
        assert node.close()
        node.destroy_node()
        context.try_shutdown()


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


def test_lifecycle_there_and_back_again(client, values, recorded):
    three = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=3)
    with NodeProcess(values | {"camera.transport": "compressed"}) as process:
        for _ in range(2):
            assert client.change_state(Transition.TRANSITION_CONFIGURE)
            refused = client.call(
                SetParameters, "/localizer/set_parameters",
                SetParameters.Request(parameters=[Parameter(name="keyframes.count", value=three)]),
            )  # fmt: skip
            assert "only while the node is unconfigured" in refused.results[0].reason
            assert client.change_state(Transition.TRANSITION_ACTIVATE)
            client.poses.clear()
            client.play_until(recorded, lambda: client.poses)
            assert client.change_state(Transition.TRANSITION_DEACTIVATE)
            assert client.change_state(Transition.TRANSITION_CLEANUP)
        assert process.running
        assert process.stop() == 0, process.log


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
        assert answer.success and "starts afresh" in answer.message


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


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_signal_during_inference_ends_the_node_cleanly(client, values, recorded, with_signal):
    with NodeProcess(values | COMPRESSED) as process:
        client.play(recorded)  # leaves images in work and waiting
        client.until(lambda: client.records)
        client.play(of(recorded, "image")[-1:])
        assert process.stop(with_signal) == 0, process.log
        assert "Traceback" not in process.log


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after_sec", [0.0, 0.2, 0.4])
def test_signal_while_importing_ends_the_node_cleanly(domain, with_signal, after_sec):
    command = [sys.executable, "-m", "xview_localizer.ros.main"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        while not catches(process.pid, signal.SIGTERM):
            time.sleep(0.005)
        time.sleep(after_sec)
        process.send_signal(with_signal)
        said, _ = process.communicate(timeout=15.0)
    assert process.returncode == 0, said
    assert "Traceback" not in said


def catches(pid, number):
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (number - 1) & 1


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_configuring_ends_the_node_cleanly(client, values, with_signal):
    with NodeProcess(values | COMPRESSED) as process:
        client.until(lambda: "localizer" in client.node.get_node_names())
        assert process.stop(with_signal) == 0, process.log
        assert "Traceback" not in process.log


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("map.sourc:=x", "unknown parameter map.sourc; did you mean map.source?"),
        ("camera.height_m:=90.0", "camera.height_m must lie in [0.0, 50.0], got 90.0"),
        ("gate.min_confidence:=1", "gate.min_confidence must be of type float, got 1; write 1.0"),
        ("camera.transport:=theora", "camera.transport must be one of raw, compressed"),
    ],
)
def test_wrong_parameters_are_refused_by_name(domain, argument, complaint):
    command = [sys.executable, "-m", "xview_localizer.ros.main", "--ros-args", "-p", argument]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_help_says_how_to_start_it(domain):
    command = [sys.executable, "-m", "xview_localizer.ros.main", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "localizer --ros-args --params-file my_robot.yaml" in done.stdout
    assert "xview-localizer check-config my_robot.yaml" in done.stdout


def test_missing_datum_fails_to_configure_with_its_name(client):
    with NodeProcess({"camera.height_m": 1.6}) as process:
        assert not client.change_state(Transition.TRANSITION_CONFIGURE)
        assert "datum.latitude_deg must be given" in process.log
        assert process.stop() == 0, process.log
