"""Subscriptions that follow the QoS of their publishers, over DDS within one process."""

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from geometry_msgs.msg import PoseStamped, Twist
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo

from xview_localizer.inputs.message_types import ROLES
from xview_localizer.ros import qos
from xview_localizer.ros.matched_input import MatchedInput
from xview_localizer.ros.message_types import MESSAGE_TYPES

BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE
VOLATILE, LATCHED = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL


def offer(reliability, durability=VOLATILE):
    return QoSProfile(depth=1, reliability=reliability, durability=durability)


@pytest.mark.parametrize(
    ("offered", "kind", "reliability", "durability"),
    [
        ([], qos.CAMERA_INFO, BEST_EFFORT, VOLATILE),
        ([offer(RELIABLE)], qos.IMAGES, RELIABLE, VOLATILE),
        ([offer(BEST_EFFORT)], qos.SENSORS, BEST_EFFORT, VOLATILE),
        ([offer(RELIABLE), offer(BEST_EFFORT)], qos.IMAGES, BEST_EFFORT, VOLATILE),
        ([offer(RELIABLE, LATCHED)], qos.CAMERA_INFO, RELIABLE, LATCHED),
        ([offer(RELIABLE, LATCHED), offer(RELIABLE)], qos.CAMERA_INFO, RELIABLE, VOLATILE),
        ([offer(BEST_EFFORT, LATCHED)], qos.CAMERA_INFO, BEST_EFFORT, VOLATILE),
        # An image that was published before the node started is stale.
        ([offer(RELIABLE, LATCHED)], qos.IMAGES, RELIABLE, VOLATILE),
    ],
)
def test_strictest_profile_that_receives_from_all(offered, kind, reliability, durability):
    profile = qos.profile_matching(offered, kind)
    assert (profile.reliability, profile.durability, profile.depth) == (reliability, durability, kind.depth)


def test_message_kept_by_a_publisher_that_comes_later_and_one_that_follows_it(graph, capfd):
    listener, driver, until = graph
    received = []
    matched = MatchedInput(
        listener,
        ROLES["camera_info"],
        "camera_info",
        qos.CAMERA_INFO,
        lambda m: received.append(m.width),
        None,
    )

    def publishers():
        return listener.get_publishers_info_by_topic("/camera_info")

    latched = driver.create_publisher(CameraInfo, "camera_info", offer(RELIABLE, LATCHED))
    latched.publish(CameraInfo(width=7))
    until(publishers)
    matched.match()
    until(lambda: received == [7])
    matched.match()  # the same publishers: nothing to do, and nothing comes twice

    driver.destroy_publisher(latched)
    until(lambda: not publishers())
    matched.match()
    best_effort = driver.create_publisher(CameraInfo, "camera_info", offer(BEST_EFFORT))
    until(best_effort.get_subscription_count)
    best_effort.publish(CameraInfo(width=8))
    until(lambda: received == [7, 8])
    assert "incompatible QoS" not in capfd.readouterr().err


def test_publishers_whose_messages_mix_are_named(graph):
    """As of a driver and a filter that both publish odometry, or of a bag that is played beside the robot's drivers."""
    listener, driver, until = graph
    matched = MatchedInput(listener, ROLES["odom"], "odom", qos.SENSORS, lambda m: None, None)
    listener.create_timer(0.05, matched.match)
    first, second = (driver.create_publisher(PoseStamped, "odom", offer(RELIABLE)) for _ in range(2))
    mixed = "/odom has 2 publishers, whose messages mix (/driver, /driver): stop or remap all but one"
    until(lambda: matched.problem == mixed)  # names are discovered last
    driver.destroy_publisher(second)
    until(lambda: not matched.problem)
    assert first.get_subscription_count()


def test_who_is_to_be_looked_at_where_nothing_comes(graph):
    listener, driver, until = graph
    matched = MatchedInput(listener, ROLES["odom"], "odom", qos.SENSORS, lambda m: None, None)
    assert matched.remedy == "nobody publishes /odom; start its driver, or remap odom"
    listener.create_timer(0.05, matched.match)
    twists = driver.create_publisher(Twist, "odom", offer(RELIABLE))
    until(lambda: matched.problem)
    assert matched.remedy == ""  # the problem says it
    driver.destroy_publisher(twists)
    driver.create_publisher(PoseStamped, "odom", offer(RELIABLE))
    until(lambda: matched.remedy == "/driver publishes /odom, but sends nothing; see its log")


def test_types_that_are_published(graph, monkeypatch):
    """One that is not taken, one that is though it is not the usual one, and the same without its package."""
    listener, driver, until = graph
    received = []
    matched = MatchedInput(listener, ROLES["odom"], "odom", qos.SENSORS, received.append, None)
    listener.create_timer(
        0.05, matched.match
    )  # as the node does, while the executor waits for the subscription

    twists = driver.create_publisher(Twist, "odom", offer(RELIABLE))
    until(lambda: matched.problem)
    assert matched.problem.startswith(
        "/odom is published as geometry_msgs/msg/Twist, and odom takes nav_msgs/"
    )
    driver.destroy_publisher(twists)
    poses = driver.create_publisher(PoseStamped, "odom", offer(RELIABLE))
    until(poses.get_subscription_count)
    poses.publish(PoseStamped())
    until(lambda: received == [PoseStamped()])
    assert matched.problem == ""
    monkeypatch.delitem(MESSAGE_TYPES, "geometry_msgs/msg/PoseStamped")
    until(lambda: "geometry_msgs is not installed (ros-$ROS_DISTRO-geometry-msgs)" in matched.problem)
