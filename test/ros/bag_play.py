"""A program like `ros2 bag play BAG --clock --rate R --delay D`, for places without rosbag2."""

import argparse
import importlib
import time
from pathlib import Path

import rclpy
from builtin_interfaces.msg import Time
from rclpy.qos import QoSProfile
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore
from rosgraph_msgs.msg import Clock

CLOCK_PERIOD_SEC = 0.025


def message_type(name):
    """The ROS type of that name; None where its package is not installed."""
    package, _, kind = name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), kind)
    except ModuleNotFoundError:
        return None


def play(node, reader, rate):
    types = {connection.topic: message_type(connection.msgtype) for connection in reader.connections}
    publishers = {
        topic: node.create_publisher(kind, topic, QoSProfile(depth=100))
        for topic, kind in types.items()
        if kind is not None
    }
    clock = node.create_publisher(Clock, "/clock", 10)

    def wait_until(stamp_ns):
        while (now_ns := reader.start_time + int(1e9 * rate * (time.monotonic() - began))) < stamp_ns:
            clock.publish(Clock(clock=Time(sec=now_ns // 10**9, nanosec=now_ns % 10**9)))
            time.sleep(min(CLOCK_PERIOD_SEC, (stamp_ns - now_ns) * 1e-9 / rate))

    began = time.monotonic()
    for connection, recorded_ns, data in reader.messages():
        wait_until(recorded_ns)
        if connection.topic in publishers:
            publishers[connection.topic].publish(bytes(data))
    time.sleep(1.0)  # the last images are under way


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs=2)  # bag play
    parser.add_argument("bag", type=Path)
    parser.add_argument("--clock", action="store_true")
    parser.add_argument("--disable-keyboard-controls", action="store_true")
    parser.add_argument("--rate", type=float)
    parser.add_argument("--delay", type=float)
    arguments = parser.parse_args()
    rclpy.init()
    with AnyReader([arguments.bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
        time.sleep(arguments.delay)
        play(rclpy.create_node("bag_play"), reader, arguments.rate)
    rclpy.shutdown()
