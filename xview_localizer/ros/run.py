"""Runs the localizer node until SIGINT, SIGTERM or shutdown."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import TransitionCallbackReturn

from xview_localizer.heap import keep_freed_memory
from xview_localizer.parameters.table import SettingsError
from xview_localizer.ros.localizer_node import LocalizerNode

# Time to end after a signal: twice STOP_TIMEOUT_SEC for the workers, and what DDS takes. After 10 s launch
# sends SIGKILL, which would leave DDS's shared memory behind.
END_TIMEOUT_SEC = 8.0

HELP = """The localizer's node: images, GNSS and odometry in, poses out, until SIGINT, SIGTERM or shutdown.

Usage: localizer --ros-args --params-file my_robot.yaml [-r image:=/front/image_raw …]

config/localizer.yaml explains every parameter; check a copy with: xview-localizer check-config my_robot.yaml
It waits for a lifecycle manager to configure and activate it, unless the parameter autostart is true."""


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT, SIGTERM or shutdown; `--help` only prints the usage."""
    arguments = sys.argv[1:] if args is None else args
    if {"-h", "--help"} & set(arguments):
        print(HELP)
        return 0
    keep_freed_memory()
    try:
        _init(arguments)
        threading.Thread(target=_end_in_time, name="localizer-end", daemon=True).start()
        return _run()
    except (SettingsError, ParameterException) as error:  # the latter of parameters that every node has
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
        ignore_signals()
        rclpy.try_shutdown()


def _init(arguments: list[str]) -> None:
    """Begin with ROS. Raises SettingsError where it cannot read the arguments, or a parameter file that they name."""
    try:
        rclpy.init(args=arguments)
    except RuntimeError as error:  # RCLError, and UnknownROSArgsError, which is none
        raise SettingsError(
            f"ROS cannot read the arguments: {error}\nA parameter file is checked, line by line, by: xview-localizer "
            "check-config FILE"
        ) from error


def ignore_signals() -> None:
    """The process is ending: a second signal, as launch sends after Ctrl-C, would only break that off."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _end_in_time() -> None:
    """Whatever a library is busy with when a signal comes, such as loading a model, the process ends."""
    while rclpy.ok():
        time.sleep(0.25)
    time.sleep(END_TIMEOUT_SEC)
    print(f"localizer: did not end within {END_TIMEOUT_SEC:.0f} s, giving up", file=sys.stderr, flush=True)
    os._exit(0)


def _run() -> int:
    node = LocalizerNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if not node.get_parameter("autostart").value:
            node.get_logger().info(
                "waiting for a lifecycle manager to configure and activate this node; autostart: true does both at once"
            )
        elif not _autostart(node):
            return 1 if rclpy.ok() else 0
        # spin() can hang on SIGTERM; short turns notice the shutdown.
        while rclpy.ok():
            executor.spin_once(timeout_sec=0.25)
        return 0
    finally:
        ignore_signals()
        ended = node.close()
        executor.shutdown()
        node.destroy_node()
        if not ended:
            # A thread inside a native library would abort the interpreter on its way out.
            os._exit(0)


def _autostart(node: LocalizerNode) -> bool:
    success = TransitionCallbackReturn.SUCCESS
    return node.trigger_configure() == success and node.trigger_activate() == success
