"""Runs the localizer node until SIGINT, SIGTERM or shutdown."""

from __future__ import annotations

import os
import sys

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import TransitionCallbackReturn

from xview_localizer.ros.localizer_node import LocalizerNode
from xview_localizer.settings import SettingsError

HELP = """The localizer's node: images, GNSS and odometry in, poses out, until SIGINT, SIGTERM or shutdown.

Usage: localizer --ros-args --params-file my_robot.yaml [-r image:=/front/image_raw …]

config/localizer.yaml explains every parameter; check a copy with: xview-localizer check-config my_robot.yaml
It waits for a lifecycle manager to configure and activate it, unless the parameter autostart is true."""


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT, SIGTERM or shutdown; `--help` only says how."""
    arguments = sys.argv[1:] if args is None else args
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0
    try:
        rclpy.init(args=arguments)
        return _run()
    except SettingsError as error:
        print(f"localizer: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except rclpy_implementation.RCLError:
        # What ROS calls raise when a signal has ended the context under them.
        if rclpy.ok():
            raise
        return 0
    finally:
        rclpy.try_shutdown()


def _run() -> int:
    node = LocalizerNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.get_parameter("autostart").value and not _autostart(node):
            return 1 if rclpy.ok() else 0
        # spin() can hang on SIGTERM; short turns notice the shutdown.
        while rclpy.ok():
            executor.spin_once(timeout_sec=0.25)
        return 0
    finally:
        ended = node.close()
        executor.shutdown()
        node.destroy_node()
        if not ended:
            # A thread inside a native library would abort the interpreter on its way out.
            os._exit(0)


def _autostart(node: LocalizerNode) -> bool:
    success = TransitionCallbackReturn.SUCCESS
    return node.trigger_configure() == success and node.trigger_activate() == success
