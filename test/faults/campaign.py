"""The fault campaign: each fault in a node process of its own, over DDS; `make faults` prints the table.

A short simulated drive is played: sound, then with the fault, then sound again, each image once the one before was
answered. docs/how_it_was_measured.md has what was seen.
Expected each time: no crash, no hang, no accepted pose off by more than 5 m, bounded memory, an accepted pose
within 5 s once the fault is over, and a reason in the diagnostics.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "ros"))

import numpy as np
from faults import Fault, faults, moved_back, raw_image
from node_client import Client
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header
from tile_server import FaultyTileServer

from xview_localizer.aerial.map_server import rendered_tiles
from xview_localizer.inputs.messages import stamp_sec
from xview_localizer.recordings.bag import TF_ROLES, TF_TOPICS, TF_TYPES, BagMessage, BagReader, Drive
from xview_localizer.recordings.drive_file import read_drive
from xview_localizer.recordings.tum import read_tum
from xview_localizer.records import ImageRecord
from xview_localizer.ros.message_types import MESSAGE_TYPES
from xview_localizer.ros.node_process import NodeProcess

# Images that are sound at the beginning, and then those of the fault; the others are sound again.
SOUND_IMAGES, FAULTY_IMAGES = 4, 5
ANSWER_SEC, START_SEC = 30.0, 120.0
WRONG_M, RECOVERY_SEC = 5.0, 5.0
# A fault in which no image is processed hides what the first two images take: 225 MB, for the map's first blocks and
# the first match fields.
GROWTH_MB = 250.0
TF_TYPE = TF_TYPES[0]
CANNOT_START = 1  # what a node that starts by itself ends with where it cannot be configured
FAST_SEC = 1 / 60  # between images of a fast camera
# Between an answer and the next image, as of a camera of some Hz.
PAUSE_SEC = 0.2
# A drive whose first image already gives a pose where nothing is wrong, so that recovering takes no longer than the
# fault makes it: a first pose on other streets needs several images.
DRIVE_SEED = 6
VALUES = {"inputs.wait_sec": 2.0, "map.timeout_sec": 1.0, "autostart": True}


@dataclass
class Outcome:
    """The observed effects of one fault; `problems` is empty where all were as expected."""

    name: str
    images: int = 0
    accepted: int = 0
    worst_accepted_m: float = 0.0
    recovery_sec: float | None = None
    growth_mb: float = 0.0
    reason: str = ""
    problems: tuple[str, ...] = ()


class Run:
    """One fault, played to a node of its own."""

    def __init__(self, fault: Fault, drive: Drive, truth: Mapping[str, np.ndarray]) -> None:
        self._fault, self._drive, self._truth = fault, drive, truth
        with BagReader(drive.bag, drive.topics, TF_ROLES, required=()) as bag:
            self._mountings = [message.cdr for message in bag.messages() if message.role == "tf_static"]
        self._problems: list[str] = []
        self._taken_at_sec: dict[
            float, float
        ] = {}  # when an image was really taken, by the stamp it was sent with

    def outcome(self) -> Outcome:
        fault, messages = self._fault, _messages(self._drive)
        with ExitStack() as stack:
            values = dict(self._drive.values) | VALUES
            values["camera.transport"] = "raw" if fault.raw else "compressed"
            server = None
            if fault.map_mode:
                tile = rendered_tiles(Path(str(values["map.source"])))
                mode = fault.map_mode if fault.from_start else "sound"
                server = stack.enter_context(FaultyTileServer(tile, mode))
                values |= {"map.source": server.template, "map.cache_dir": stack.enter_context(_folder())}
            values = {k: v for k, v in (values | fault.values).items() if v is not None}
            if fault.disk_kb:
                values["map.cache_dir"] = stack.enter_context(_small_disk(fault.disk_kb))
            self._client = stack.enter_context(Client())
            outcome = Outcome(fault.name)
            try:
                self._start(values, stack)
                self._play(messages, outcome, server, lambda: self._restart(values, stack))
            except AssertionError as error:
                self._problems.append(f"hang: {error}")
            self._judge(outcome)
        return outcome

    def _start(self, values: Mapping[str, object], stack: ExitStack) -> None:
        self._node = stack.enter_context(NodeProcess(values))
        if self._fault.starts:
            self._client.until(lambda: self._client.values.get("state") == "active", START_SEC)
        else:
            self._client.until(lambda: not self._node.running, START_SEC)

    def _restart(self, values: Mapping[str, object], stack: ExitStack) -> None:
        """Kill the node, which has just been sent an image, and start another."""
        self._node.stop(signal.SIGKILL)
        self._client.diagnostics.clear()
        self._start(values, stack)

    def _play(
        self,
        messages: Sequence[BagMessage],
        outcome: Outcome,
        server: FaultyTileServer | None,
        restart: Callable[[], None],
    ) -> None:
        fault, images = self._fault, 0
        if not fault.starts:
            return
        begins = 0 if fault.from_start else SOUND_IMAGES
        ends = begins + FAULTY_IMAGES
        memory_mb = _memory_mb(self._node)
        sound_since: float | None = None
        for message in messages:
            is_image = message.role == "image"
            faulty = begins <= images < ends
            if is_image and images == ends and server is not None:
                server.mode = "sound"
            self._publish(message, faulty)
            if not is_image:
                continue
            images += 1
            if fault.killed and images == begins + 1:
                restart()
            if not faulty and images > ends and sound_since is None:
                sound_since = time.monotonic()
            self._await_answer(must=not faulty)
            if images == SOUND_IMAGES:
                memory_mb = _memory_mb(self._node)
            if sound_since and self._has_recovered():
                outcome.recovery_sec = time.monotonic() - sound_since
                break
        outcome.images, outcome.growth_mb = images, _memory_mb(self._node) - memory_mb

    def _has_recovered(self) -> bool:
        """The last image gave an accepted pose."""
        return bool(self._client.records) and self._client.records[-1].accepted

    def _publish(self, message: BagMessage, faulty: bool) -> None:
        message_type = MESSAGE_TYPES[message.type_name]
        topic = message.role
        published = deserialize_message(message.cdr, message_type)
        taken_at_sec = stamp_sec(published)
        if message.role == "image":
            topic = "image" if self._fault.raw else "image/compressed"
            if self._fault.raw:
                published = raw_image(published)
        if self._fault.tf and not faulty:
            self._publish_mountings(published.header)
        if faulty and self._fault.change is not None:
            published = self._fault.change(message.role, published)
        if published is None:
            return
        if message.role != "image":
            self._client.publish(topic, type(published), published)
            return
        for earlier in reversed(range(self._fault.times if faulty else 1)):
            image = moved_back(published, earlier * FAST_SEC)
            self._taken_at_sec[stamp_sec(image)] = taken_at_sec
            self._client.publish(topic, type(image), image)

    def _publish_mountings(self, header: Header) -> None:
        """The drive's static transforms as moving ones, of this stamp."""
        message_type = MESSAGE_TYPES[TF_TYPE]
        for cdr in self._mountings:
            mountings = deserialize_message(cdr, message_type)
            for transform in mountings.transforms:
                transform.header.stamp = header.stamp
            self._client.publish("/tf", message_type, mountings)

    def _await_answer(self, must: bool) -> None:
        """Until the last image is answered; while faulty, a while is enough."""
        count = len(self._client.records) + 1
        end = time.monotonic() + (ANSWER_SEC if must else 4.0)
        while len(self._client.records) < count and time.monotonic() < end:
            self._client.executor.spin_once(timeout_sec=0.05)
        if must and len(self._client.records) < count:
            raise AssertionError("an image was not answered")
        self._client.spin_for(PAUSE_SEC)

    def _error_m(self, record: ImageRecord) -> float:
        """Distance [m] of an accepted pose from the robot's true position at the image's stamp."""
        taken_at_sec = self._taken_at_sec[record.stamp_sec]
        x_m, y_m = (
            np.interp(taken_at_sec, self._truth["stamp_sec"], self._truth[axis]) for axis in ("x_m", "y_m")
        )
        return float(np.hypot(record.x_m - x_m, record.y_m - y_m))

    def _judge(self, outcome: Outcome) -> None:
        fault, problems = self._fault, self._problems
        self._client.spin_for(1.2)  # the last diagnostics
        if fault.starts and not self._node.running:
            problems.append("crash")
        log = self._node.log
        code = self._node.stop()
        if code != (0 if fault.starts else CANNOT_START) or "Traceback" in log:
            problems.append(f"ended with {code}: {log[-300:]}")
        records = self._client.records
        errors_m = [self._error_m(record) for record in records if record.accepted]
        outcome.accepted, outcome.worst_accepted_m = len(errors_m), max(errors_m, default=0.0)
        if outcome.worst_accepted_m > WRONG_M:
            problems.append(f"wrong pose: off by {outcome.worst_accepted_m:.1f} m")
        if fault.recovers and (outcome.recovery_sec is None or outcome.recovery_sec > RECOVERY_SEC):
            problems.append(f"recovery: {outcome.recovery_sec}")
        if outcome.growth_mb > GROWTH_MB:
            problems.append(f"memory grew by {outcome.growth_mb:.0f} MB")
        said = [d.message for d in self._client.diagnostics] + [r.reason for r in records] + log.splitlines()
        outcome.reason = (
            next((text for text in said if re.search(fault.reason, text)), "") if fault.reason else ""
        )
        if fault.reason and not outcome.reason:
            problems.append(f"no reason like /{fault.reason}/")
        outcome.problems = tuple(problems)


def _messages(drive: Drive) -> list[BagMessage]:
    with BagReader(drive.bag, drive.topics) as bag:
        return [message for message in bag.messages() if message.role not in TF_TOPICS]


@contextmanager
def _small_disk(size_kb: int) -> Iterator[str]:
    """A folder on a disk of its own, which is in memory; mounting needs root."""
    with _folder() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", folder], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="faults_")


def _memory_mb(node: NodeProcess) -> float:
    """Resident memory of the node; 0 where it has ended."""
    try:
        status = Path(f"/proc/{node.pid}/status").read_text()
    except OSError:
        return 0.0
    return int(re.search(r"VmRSS:\s*(\d+)", status)[1]) / 1024


def make_drive(folder: Path) -> tuple[Drive, Mapping[str, np.ndarray]]:
    """The drive that all faults are played on, and where the robot was."""
    from xview_localizer.simulation.drive import DriveConfig, simulate_drive

    if not (folder / "drive.yaml").is_file():
        config = DriveConfig(length_m=150.0, town_size_m=240.0, image_rate_hz=2.0, map_metres_per_pixel=0.3)
        simulate_drive(folder, DRIVE_SEED, config)
    return read_drive(folder), read_tum(folder / "truth.tum")


def run(fault: Fault, drive: Drive, truth: Mapping[str, np.ndarray]) -> Outcome:
    """Play one fault, in this process's DDS domain."""
    return Run(fault, drive, truth).outcome()


def _cannot_be_tried(fault: Fault) -> str:
    """The reason why this machine cannot play a fault, or an empty string."""
    if fault.disk_kb and os.geteuid() != 0:
        return "mounting a small disk needs root"
    if fault.tf and TF_TYPE not in MESSAGE_TYPES:
        return "tf2_msgs is not installed"
    return ""


def _row(outcome: Outcome) -> str:
    recovery = "" if outcome.recovery_sec is None else f"{outcome.recovery_sec:.1f} s"
    verdict = "no: " + "; ".join(outcome.problems) if outcome.problems else "yes"
    figures = f"{outcome.images:6} {outcome.accepted:4} {outcome.worst_accepted_m:4.1f} m {recovery:>6}"
    return f"{outcome.name:34} {figures} {outcome.growth_mb:5.0f}  {verdict}: {outcome.reason[:90]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--drive", type=Path, default=Path("runs/faults/drive"), help="made there if it is not"
    )
    parser.add_argument("--json", type=Path, default=Path("runs/faults/faults.json"))
    parser.add_argument("--only", default="", help="a regular expression for the names of faults")
    arguments = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    drive, truth = make_drive(arguments.drive)
    outcomes = []
    print(
        f"{'fault':34} {'images':>6} {'acc.':>4} {'worst':>6} {'recov.':>6} {'MB':>5}  as expected, and reason"
    )
    for number, fault in enumerate(faults()):
        if not re.search(arguments.only, fault.name):
            continue
        if cause := _cannot_be_tried(fault):
            print(f"{fault.name:34} not tried: {cause}")
            continue
        os.environ["ROS_DOMAIN_ID"] = str(10 + (os.getpid() + number) % 90)
        outcome = run(fault, drive, truth)
        outcomes.append(outcome)
        print(_row(outcome), flush=True)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    return any(outcome.problems for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())
