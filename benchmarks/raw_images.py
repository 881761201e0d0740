"""Measure how many raw images of a publisher in another process the node receives, beside a best-effort IMU.

    python benchmarks/raw_images.py --rate-hz 10 --duration-sec 20

The publisher sends random images of 1280 × 720 rgb8 (2.8 MB), reliably, a CameraInfo once (transient local) and an
IMU at 100 Hz (best effort). Prints the numbers of messages sent, and those that the node counts in /diagnostics.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from array import array

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, Imu

from xview_localizer.ros.node_process import NodeProcess

WIDTH, HEIGHT = 1280, 720
IMU_RATE_HZ = 100.0
SETTLE_SEC = 4.0  # the node looks for publishers once a second
VALUES = {
    "datum.latitude_deg": 48.0,
    "datum.longitude_deg": 11.0,
    "map.source": "http://127.0.0.1:9/{z}/{x}/{y}.png",  # no server: reception alone is measured
    "map.timeout_sec": 0.5,
    "autostart": True,
}


def publish(rate_hz: float, duration_sec: float) -> None:
    """The publishers' process: waits for the node, publishes, and prints the numbers of messages sent."""
    rclpy.init()
    node = rclpy.create_node("drivers")
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    infos = node.create_publisher(CameraInfo, "camera_info", latched)
    infos.publish(
        CameraInfo(width=WIDTH, height=HEIGHT, k=[800.0, 0.0, 640.0, 0.0, 800.0, 360.0, 0.0, 0.0, 1.0])
    )
    images = node.create_publisher(Image, "image", QoSProfile(depth=5))
    imus = node.create_publisher(Imu, "imu", QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT))
    pixels = np.random.default_rng(0).integers(0, 256, 3 * WIDTH * HEIGHT, np.uint8)
    image = Image(
        width=WIDTH, height=HEIGHT, step=3 * WIDTH, encoding="rgb8", data=array("B", pixels.tobytes())
    )
    imu = Imu()
    imu.orientation.w, imu.linear_acceleration.z = 1.0, 9.81
    while not images.get_subscription_count():
        rclpy.spin_once(node, timeout_sec=0.1)
    time.sleep(SETTLE_SEC)
    sent_images = sent_imus = 0
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < duration_sec:
        if sent_imus <= elapsed * IMU_RATE_HZ:
            imu.header.stamp = node.get_clock().now().to_msg()
            imus.publish(imu)
            sent_imus += 1
        if sent_images <= elapsed * rate_hz:
            image.header.stamp = node.get_clock().now().to_msg()
            images.publish(image)
            sent_images += 1
        time.sleep(0.001)
    time.sleep(2.0)  # for the last messages to arrive
    print(f"image {sent_images} imu {sent_imus} camera_info 1", flush=True)
    rclpy.try_shutdown()


def measure(rate_hz: float, duration_sec: float) -> None:
    rclpy.init()
    watcher, values = rclpy.create_node("watcher"), {}
    executor = SingleThreadedExecutor()
    executor.add_node(watcher)

    def keep(message: DiagnosticArray) -> None:
        values.update({entry.key: entry.value for entry in message.status[0].values})

    watcher.create_subscription(DiagnosticArray, "/diagnostics", keep, 10)
    command = [sys.executable, __file__, "--publish", "--rate-hz", str(rate_hz)]
    command += ["--duration-sec", str(duration_sec)]
    with NodeProcess(VALUES) as node:
        while values.get("state") != "active":
            executor.spin_once(timeout_sec=0.5)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as publisher:
            while publisher.poll() is None:
                executor.spin_once(timeout_sec=0.1)
            sent, errors = publisher.communicate()
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            executor.spin_once(timeout_sec=0.1)
        log = node.log
    entries = sent.split()
    for name, count in zip(entries[::2], map(int, entries[1::2]), strict=True):
        received, lost = int(values[f"{name}_received"]), values[f"{name}_lost"]
        print(f"{name}: {count} sent, {received} received ({received / count:.1%}), {lost} known to be lost")
    warnings = [line for line in (log + errors).splitlines() if "incompatible" in line.lower()]
    print(f"warnings of incompatible QoS: {len(warnings)}", *warnings, sep="\n")
    rclpy.try_shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate-hz", type=float, default=10.0)
    parser.add_argument("--duration-sec", type=float, default=20.0)
    parser.add_argument("--publish", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", "91")
    (publish if arguments.publish else measure)(arguments.rate_hz, arguments.duration_sec)
