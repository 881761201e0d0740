"""Lifecycle cycles of a node whose map hangs while an image is worked on: what stays behind of each.

python test/faults/lifecycle_cycles.py --cycles 12
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "ros"))

from campaign import make_drive
from lifecycle_msgs.msg import Transition
from node_client import Client
from tile_server import FaultyTileServer

from xview_localizer.aerial.map_server import rendered_tiles
from xview_localizer.recordings.bag import TF_TOPICS, BagReader, Drive
from xview_localizer.ros.node_process import NodeProcess

# Longer than anybody waits for the node: only breaking off ends the reading.
MAP_TIMEOUT_SEC = 60.0


@dataclass(frozen=True)
class Remains:
    """Resident memory and threads of the unconfigured node after a cycle."""

    memory_mb: float
    threads: int


def remains_of(pid: int) -> Remains:
    status = Path(f"/proc/{pid}/status").read_text()
    memory, threads = (int(re.search(rf"{name}:\s*(\d+)", status)[1]) for name in ("VmRSS", "Threads"))
    return Remains(memory / 1024, threads)


def run_cycles(drive: Drive, count: int) -> tuple[list[Remains], str]:
    """Resources that remain after each of `count` cycles, and the node's log."""
    with BagReader(drive.bag, drive.topics) as bag:
        messages = [message for message in bag.messages() if message.role not in TF_TOPICS]
    tile = rendered_tiles(Path(str(drive.values["map.source"])))
    remains = []
    with (
        FaultyTileServer(tile) as server,
        tempfile.TemporaryDirectory() as cache,
        Client() as client,
        NodeProcess(
            dict(drive.values)
            | {
                "map.source": server.template,
                "map.cache_dir": cache,
                "map.timeout_sec": MAP_TIMEOUT_SEC,
                "camera.transport": "compressed",
                "inputs.wait_sec": 5.0,  # however slow the machine, images wait for their sensors
                "model.threads": 1,
            }
        ) as node,
    ):
        for _ in range(count):
            server.mode = "sound"
            assert client.change_state(Transition.TRANSITION_CONFIGURE), node.log
            asked = server.asked
            server.mode = "hanging"
            assert client.change_state(Transition.TRANSITION_ACTIVATE), node.log
            # What is published before the node has found the publishers is lost: later messages will do.
            client.play_until(messages, lambda asked=asked: server.asked > asked)
            assert client.change_state(Transition.TRANSITION_DEACTIVATE), node.log
            assert client.change_state(Transition.TRANSITION_CLEANUP), node.log
            remains.append(remains_of(node.pid))
        log = node.log
    return remains, log


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cycles", type=int, default=12)
    parser.add_argument("--drive", type=Path, default=Path("runs/faults/drive"))
    arguments = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", "93")
    remains, log = run_cycles(make_drive(arguments.drive)[0], arguments.cycles)
    for number, left in enumerate(remains, 1):
        print(f"cycle {number:2}: {left.memory_mb:6.1f} MB, {left.threads} threads")
    print(f"growth after the first cycle: {remains[-1].memory_mb - remains[0].memory_mb:+.1f} MB")
    print("work went on in the background:", "goes on in the background" in log)
