"""The node and TF. Where tf2_msgs is not installed, what needs it is skipped: rclpy from wheels comes without."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")
from geometry_msgs.msg import Transform as TransformMessage
from geometry_msgs.msg import TransformStamped
from node_client import COMPRESSED
from std_msgs.msg import Header

from xview_localizer.geometry.pose import Pose2
from xview_localizer.geometry.transform_tree import Transform, TransformTree
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.mountings_of_drive import with_mountings_of
from xview_localizer.recordings.offline import localize_drive
from xview_localizer.ros.node_process import NodeProcess
from xview_localizer.ros.replay import replay_drive

MOUNTINGS = ("camera.position_in_base_m", "camera.rpy_deg", "gnss.antenna_in_base_m")
needs_tf2_msgs = pytest.mark.skipif(
    not importlib.util.find_spec("tf2_msgs"), reason="tf2_msgs is not installed"
)


@pytest.fixture
def values_without_mountings(values):
    return {name: value for name, value in values.items() if name not in MOUNTINGS}


def poses(records):
    assert records and all(record.accepted for record in records)
    return np.array([(record.x_m, record.y_m, record.yaw_rad) for record in records])


def test_tf_gives_the_poses_of_the_parameters(
    domain, drive, drive_localizer, values, values_without_mountings
):
    """Offline and over DDS; where tf2_msgs is missing, the node gets the mountings of the recording as parameters."""
    as_parameters = with_mountings_of(drive, values_without_mountings)
    for name in MOUNTINGS:
        assert as_parameters[name] == pytest.approx(values[name], abs=1e-9)
    expected, by_tf = (
        poses(list(localize_drive(drive, drive_localizer, Settings.from_values(given))))
        for given in (values, values_without_mountings)
    )
    np.testing.assert_allclose(by_tf, expected, atol=1e-3)
    np.testing.assert_allclose(poses(replay_drive(drive, values_without_mountings)), expected, atol=1e-3)


def test_without_tf_or_parameters_the_missing_pair_is_named(client, recorded, values_without_mountings):
    with NodeProcess(values_without_mountings | COMPRESSED | {"tf.timeout_sec": 0.0}):
        client.play(message for message in recorded if message.role == "fix")
        client.diagnostic_with(
            "no transform base_link → gnss_antenna; publish it or set gnss.antenna_in_base_m"
        )
        client.play(recorded)
        record = client.record_with("no transform base_link → camera_optical_frame; publish it or set")
        assert record.reason_code == "NO_MOUNTING"
        assert not client.poses


@pytest.mark.parametrize("latched", [True, False])
def test_static_transforms_come_from_publishers_that_keep_them_and_from_those_that_do_not(
    graph, monkeypatch, capfd, latched
):
    """As robot_state_publisher does, also before the node starts, and as a converted recording is played."""
    from rclpy.qos import DurabilityPolicy, QoSProfile

    from xview_localizer.ros import tf

    monkeypatch.setattr(tf, "TFMessage", TransformStamped)  # any type does, also where tf2_msgs is missing
    listener, driver, until = graph
    durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
    publisher = driver.create_publisher(
        TransformStamped, "/tf_static", QoSProfile(depth=1, durability=durability)
    )
    if latched:
        publisher.publish(TransformStamped(child_frame_id="camera"))
    received = []
    mountings = SimpleNamespace(on_transforms=lambda message, static: received.append((message, static)))
    settings = SimpleNamespace(mountings=SimpleNamespace(from_tf=()))
    subscriptions = tf.subscribe(listener, mountings, settings, lambda: None)
    if not latched:
        until(publisher.get_subscription_count)
        publisher.publish(TransformStamped(child_frame_id="camera"))
    until(lambda: received)
    assert received[0] == (TransformStamped(child_frame_id="camera"), True)
    assert len(subscriptions) == 2 and "offering incompatible QoS" not in capfd.readouterr().err


def test_broadcast_needs_tf2_msgs(domain, values, monkeypatch, capfd):
    import rclpy

    from xview_localizer.ros import tf
    from xview_localizer.ros.localizer_node import LocalizerNode

    monkeypatch.setattr(tf, "TFMessage", None)
    rclpy.init()
    try:
        parameters = [
            rclpy.parameter.Parameter(name, value=list(value) if isinstance(value, tuple) else value)
            for name, value in (values | {"tf.broadcast_map_to_odom": True}).items()
        ]
        node = LocalizerNode(parameter_overrides=parameters)
        assert node.trigger_configure() == rclpy.lifecycle.TransitionCallbackReturn.FAILURE
        assert "cannot configure: tf.broadcast_map_to_odom needs tf2_msgs" in capfd.readouterr().err
        node.destroy_node()
    finally:
        rclpy.try_shutdown()


class Broadcast:
    """tf.MapToOdom without tf2_msgs: what is broadcast now."""

    def __init__(self, node, map_frame):
        self.current = None

    def update(self, odom_frame, T_map_base, T_odom_base):
        self.current = T_map_base

    def end(self):
        self.current = None

    def destroy(self):
        self.current = "destroyed"


def test_map_to_odom_ends_with_localizing_and_where_time_jumps(domain, values, monkeypatch):
    """What was broadcast before holds no longer, but would be stamped as if it were of now."""
    import rclpy
    from rclpy.lifecycle import TransitionCallbackReturn
    from rclpy.time import Time

    from xview_localizer.ros import tf
    from xview_localizer.ros.localizer_node import LocalizerNode

    made = []
    monkeypatch.setattr(tf, "MapToOdom", lambda *about: made.append(Broadcast(*about)) or made[-1])
    context = rclpy.Context()
    rclpy.init(context=context)
    given = values | {"tf.broadcast_map_to_odom": True, "use_sim_time": True}
    overrides = [rclpy.Parameter(name, value=value) for name, value in given.items()]
    node = LocalizerNode(context=context, parameter_overrides=overrides)
    try:
        clock = node.get_clock()
        clock.set_ros_time_override(Time(seconds=50, clock_type=clock.clock_type))
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        (broadcast,) = made
        broadcast.update("odom", Pose2(1.0, 2.0, 0.0), None)
        clock.set_ros_time_override(Time(seconds=40, clock_type=clock.clock_type))
        assert broadcast.current is None
        broadcast.update("odom", Pose2(1.0, 2.0, 0.0), None)
        assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        assert broadcast.current is None
        assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
        assert broadcast.current == "destroyed"
        assert node.trigger_shutdown() == TransitionCallbackReturn.SUCCESS
        assert broadcast.current == "destroyed"  # there is nothing to end any more
    finally:
        assert node.close()
        node.destroy_node()
        context.try_shutdown()


@needs_tf2_msgs
def test_map_to_odom_carries_odometry_into_the_map(client, drive, values, recorded):
    from tf2_msgs.msg import TFMessage

    received = []
    client.node.create_subscription(TFMessage, "/tf", received.append, 100)
    with NodeProcess(values | COMPRESSED | {"tf.broadcast_map_to_odom": True}):
        client.play_until(recorded, lambda: client.poses)
        accepted = len(received)
        client.until(lambda: len(received) > accepted + 2)
        stamped = received[-1].transforms[0]
    assert (stamped.header.frame_id, stamped.child_frame_id) == ("map", "odom")
    yaw_rad = 2 * np.arctan2(stamped.transform.rotation.z, stamped.transform.rotation.w)
    T_map_odom = Pose2(stamped.transform.translation.x, stamped.transform.translation.y, yaw_rad)
    pose = client.poses[-1].pose.pose
    assert np.hypot(pose.position.x, pose.position.y) > 1.0
    base = T_map_odom @ odometry_at(drive, client.poses[-1].header.stamp)
    assert (base.x_m, base.y_m) == pytest.approx((pose.position.x, pose.position.y), abs=1e-3)


def test_map_to_odom_is_broadcast_until_it_ends(monkeypatch):
    from rclpy.time import Time

    from xview_localizer.ros import tf

    sent, timers = [], []
    monkeypatch.setattr(tf, "TFMessage", lambda transforms: transforms[0])
    node = SimpleNamespace(
        create_publisher=lambda *about: SimpleNamespace(publish=sent.append),
        create_timer=lambda period_sec, broadcast: timers.append(broadcast),
        get_clock=lambda: SimpleNamespace(now=lambda: Time(seconds=7)),
    )
    broadcast = tf.MapToOdom(node, "map")
    (every_period,) = timers
    every_period()
    assert not sent
    broadcast.update("odom", Pose2(5.0, 1.0, np.pi / 2), Pose2(2.0, 0.0, 0.0))
    every_period()
    every_period()
    stamped = sent[1]
    assert (stamped.header.frame_id, stamped.child_frame_id, len(sent)) == ("map", "odom", 2)
    assert (stamped.header.stamp.sec, stamped.header.stamp.nanosec) == (7, 50_000_000)
    at, turn = stamped.transform.translation, stamped.transform.rotation
    assert (at.x, at.y, turn.z, turn.w) == pytest.approx((5.0, -1.0, np.sqrt(0.5), np.sqrt(0.5)))
    broadcast.end()
    every_period()
    assert len(sent) == 2
    broadcast.update("map", Pose2(5.0, 1.0, 0.0), Pose2(2.0, 0.0, 0.0))  # a frame has no transform in itself
    every_period()
    assert len(sent) == 2


def odometry_at(drive, stamp) -> Pose2:
    from xview_localizer.inputs.messages import pose_from_odometry
    from xview_localizer.recordings.bag import BagReader

    with BagReader(drive.bag, drive.topics) as bag:
        for message in bag.messages():
            decoded = bag.decode(message) if message.role == "odom" else None
            if decoded and (decoded.header.stamp.sec, decoded.header.stamp.nanosec) == (
                stamp.sec,
                stamp.nanosec,
            ):
                return pose_from_odometry(decoded)
    raise AssertionError("the drive has odometry at every image's stamp")


def test_the_tree_answers_as_tf2_does():
    """The library on robots, on a chain of a static and a moving transform."""
    tf2_ros = pytest.importorskip("tf2_ros", reason="tf2_ros is not installed")
    from builtin_interfaces.msg import Time
    from rclpy.time import Time as RclpyTime
    from scipy.spatial.transform import Rotation

    tree, buffer, rng = TransformTree(), tf2_ros.Buffer(), np.random.default_rng(0)
    for sec in (1, 2, 3):
        for parent, child, static in (("base_link", "pan", False), ("pan", "camera", True)):
            rotation, t_m = Rotation.random(random_state=rng), rng.normal(size=3)
            message = TransformStamped(
                header=Header(stamp=Time(sec=sec), frame_id=parent), child_frame_id=child
            )
            message.transform = TransformMessage()
            for name, value in zip("xyz", t_m, strict=True):
                setattr(message.transform.translation, name, float(value))
            for name, value in zip("xyzw", rotation.as_quat(), strict=True):
                setattr(message.transform.rotation, name, float(value))
            if static:
                buffer.set_transform_static(message, "test")
                tree.set_static(parent, child, Transform(rotation.as_matrix(), t_m))
            else:
                buffer.set_transform(message, "test")
                tree.set_moving(parent, child, float(sec), Transform(rotation.as_matrix(), t_m))
    for nanoseconds in (1_000_000_000, 1_300_000_000, 2_900_000_000):
        theirs = buffer.lookup_transform("base_link", "camera", RclpyTime(nanoseconds=nanoseconds)).transform
        ours = tree.lookup("base_link", "camera", 1e-9 * nanoseconds)
        np.testing.assert_allclose(ours.t_m, [getattr(theirs.translation, name) for name in "xyz"], atol=1e-6)
        quaternion = [getattr(theirs.rotation, name) for name in "xyzw"]
        np.testing.assert_allclose(ours.R, Rotation.from_quat(quaternion).as_matrix(), atol=1e-6)
