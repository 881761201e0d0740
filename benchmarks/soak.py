"""Measure the node's memory while a simulated drive is played to it repeatedly.

    PYTHONPATH=. python benchmarks/soak.py --minutes 20

Each image is published when the one before is answered; each loop of the drive jumps back in time, like a looped
recording. Prints the node's resident memory every half minute, and at the end its growth after the first minute.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "test" / "ros"))

from node_client import Client

from xview_localizer.recordings.bag import TF_TOPICS, BagMessage, BagReader
from xview_localizer.recordings.drive_file import read_drive
from xview_localizer.ros.node_process import NodeProcess
from xview_localizer.simulation.drive import DriveConfig, simulate_drive

PRINTED_SEC, SETTLED_SEC = 30.0, 60.0
ANSWER_SEC = 60.0
VALUES = {"camera.transport": "compressed", "inputs.wait_sec": 1.0, "autostart": True}


def memory_mb(pid: int) -> float:
    return int(re.search(r"VmRSS:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def endless_messages(folder: Path) -> Iterator[BagMessage]:
    """The drive's messages in an endless loop, without TF, which the parameters replace."""
    drive = read_drive(folder)
    with BagReader(drive.bag, drive.topics) as bag:
        messages = [message for message in bag.messages() if message.role not in TF_TOPICS]
    while True:
        yield from messages


def soak(folder: Path, minutes: float) -> list[tuple[float, float, int]]:
    """Seconds, megabytes and answered images, every PRINTED_SEC."""
    curve: list[tuple[float, float, int]] = []
    with Client() as client, NodeProcess(dict(read_drive(folder).values) | VALUES) as node:
        client.until(lambda: client.values.get("state") == "active", 120.0)
        began, answered = time.monotonic(), 0
        for message in endless_messages(folder):
            client.play([message])
            if message.role != "image":
                continue
            client.until(lambda: client.records, ANSWER_SEC)
            answered += len(client.records)
            # The client would otherwise keep all messages of the node for the whole measurement.
            for kept in (client.records, client.status_names, client.poses, client.fixes, client.scales):
                kept.clear()
            del client.diagnostics[:-1]
            elapsed_sec = time.monotonic() - began
            if elapsed_sec >= PRINTED_SEC * (len(curve) + 1):
                curve.append((elapsed_sec, memory_mb(node.pid), answered))
                print(f"{elapsed_sec:6.0f} s {curve[-1][1]:7.1f} MB {answered:6} images", flush=True)
            if elapsed_sec > 60 * minutes:
                return curve
    return curve


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--drive", type=Path, default=Path("runs/soak/drive"), help="made there if it is not")
    parser.add_argument("--json", type=Path, default=Path("runs/soak/soak.json"))
    arguments = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", "92")
    if not (arguments.drive / "drive.yaml").is_file():
        simulate_drive(arguments.drive, 5, DriveConfig(length_m=150.0, town_size_m=240.0, image_rate_hz=2.0))
    curve = soak(arguments.drive, arguments.minutes)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(curve))
    settled = [megabytes for seconds, megabytes, _ in curve if seconds >= SETTLED_SEC]
    growth_mb = [megabytes - settled[0] for megabytes in settled]
    print(f"growth after the first minute: {growth_mb[-1]:+.1f} MB, at most {max(growth_mb):+.1f} MB")
