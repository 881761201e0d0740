"""Subscriptions that follow the QoS of their publishers, over DDS within one process."""

import time

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo

from xview_localizer.ros import qos
from xview_localizer.ros.matched_input import MatchedInput

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


@pytest.fixture
def graph(domain):
    """A subscriber's node, a publisher's node, and a function that spins both until something holds."""
    context = rclpy.Context()
    rclpy.init(context=context)
    nodes = [rclpy.create_node(name, context=context) for name in ("listener", "driver")]
    executor = SingleThreadedExecutor(context=context)
    for node in nodes:
        executor.add_node(node)

    def until(condition):
        end = time.monotonic() + 30.0
        while not condition():
            assert time.monotonic() < end
            executor.spin_once(timeout_sec=0.05)

    yield *nodes, until
    executor.shutdown()
    for node in nodes:
        node.destroy_node()
    context.try_shutdown()


def test_message_kept_by_a_publisher_that_comes_later_and_one_that_follows_it(graph, capfd):
    listener, driver, until = graph
    received = []
    matched = MatchedInput(
        listener, CameraInfo, "camera_info", qos.CAMERA_INFO, lambda m: received.append(m.width), None
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
