"""Where the node's process begins: a signal ends it cleanly while the libraries are still being imported, too."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def main() -> int:
    """Import the node, which takes seconds on a small computer, and run it; returns the exit code."""
    before = {number: signal.signal(number, _end) for number in (signal.SIGINT, signal.SIGTERM)}
    from xview_localizer.ros.run import ignore_signals
    from xview_localizer.ros.run import main as run_node

    # rclpy installs its own handlers, which call the earlier ones.
    for number, handler in before.items():
        signal.signal(number, handler)
    exit_code = run_node()
    ignore_signals()  # ROS has put back the handlers that it found
    return exit_code


def _end(number: int, frame: FrameType | None) -> None:
    # Nothing needs to be released yet; an exception within an import would look like a broken library.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
