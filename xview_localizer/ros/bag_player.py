"""Plays a recording to the localizer node and receives its answers."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy

from xview_localizer.inputs.doubts import doubt_of_unused
from xview_localizer.inputs.image_pace import ImagePace
from xview_localizer.inputs.moments import CameraImage, MomentCollector
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import TF_TOPICS, BagMessage, BagReader
from xview_localizer.records import ImageRecord
from xview_localizer.ros import qos
from xview_localizer.ros.diagnostics import DOUBT
from xview_localizer.ros.message_types import MESSAGE_TYPES
from xview_localizer.ros.node_process import NodeProcess

# Long enough for loading a model, and for an image, on a slow machine.
START_TIMEOUT_SEC, ANSWER_TIMEOUT_SEC = 60.0, 60.0
# At the pace of the recording, the node has this long for the images that it still works on at the end.
LAST_ANSWERS_SEC = 3.0


class ReplayError(RuntimeError):
    """The node did not start or did not answer; the message holds the end of its log."""


class BagPlayer:
    """Publishers for the roles of a bag, and the subscriber to the node's answers; a context manager.

    `topics` and `types` are those of the roles, `records` the answers so far, and `on_record` is called with each. The
    methods raise ReplayError where the node in `process` ends, or takes too long.
    """

    def __init__(
        self,
        context: rclpy.Context,
        topics: Mapping[str, str],
        types: Mapping[str, str],
        process: NodeProcess,
        on_record: Callable[[ImageRecord], None],
    ) -> None:
        self.records: list[ImageRecord] = []
        self._process, self._on_record = process, on_record
        self._node = Node("xview_localizer_replay", context=context)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self._node)
        self._publishers = {
            role: self._node.create_publisher(
                MESSAGE_TYPES[type_name], TF_TOPICS.get(role, topics[role]), _profile(role)
            )
            for role, type_name in types.items()
            if type_name in MESSAGE_TYPES
        }
        self._topics = topics
        self._state: dict[str, str] = {}  # the values of the node's newest report
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.OUTPUT)
        self._node.create_subscription(DiagnosticArray, "/localizer/status", self._on_status, qos.REPLAY)

    def __enter__(self) -> BagPlayer:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()
        self._node.destroy_node()

    def publish_static_transforms(self, bag: BagReader) -> None:
        """To be called before the node runs: its subscription receives them afterwards, as those of tf2 do."""
        for message in itertools.takewhile(lambda message: message.role == "tf_static", bag.messages()):
            self._publish(message)

    def await_node(self) -> None:
        """Wait until the active node receives reliably from all topics, and its answers come through."""

        def ready() -> bool:
            # Diagnostics that come through show that the node has found our subscriptions.
            # The node follows TF only where a mounting needs it.
            return self._state.get("state") == "active" and all(
                self._received_reliably(publisher)
                for role, publisher in self._publishers.items()
                if role != "tf"
            )

        self._spin_until(ready, START_TIMEOUT_SEC, "did not become active")

    def _received_reliably(self, publisher: Publisher) -> bool:
        """Whether the node has found `publisher` and matched its QoS; until then, messages may be lost."""
        found = self._node.get_subscriptions_info_by_topic(publisher.topic_name)
        of_node = [one for one in found if one.node_name == "localizer"]
        reliable = all(one.qos_profile.reliability == ReliabilityPolicy.RELIABLE for one in of_node)
        return bool(of_node) and reliable and publisher.get_subscription_count() >= len(found)

    def play(self, bag: BagReader, rate: float | None, settings: Settings) -> None:
        """Publish what the bag holds; `rate`: see replay_drive."""
        began_at, began_ns, taken = time.monotonic(), None, 0
        # As the node collects the images of a moment, and takes moments.
        collector = MomentCollector(settings.cameras)
        image_pace = ImagePace(settings.values["inputs.rate_hz"])
        for message in bag.messages():
            if message.role == "tf_static":
                continue  # published already
            began_ns = message.recorded_ns if began_ns is None else began_ns
            if rate is not None:
                self._spin_for(began_at + 1e-9 * (message.recorded_ns - began_ns) / rate - time.monotonic())
            if message.kind == "image":
                if rate is None:
                    self._await_answers(taken)
                moments = collector.add(CameraImage(message.camera, bag.decode(message)))
                taken += sum(image_pace.takes(moment[-1].stamp_sec) for moment in moments)
            self._publish(message)
        if rate is None:
            self._await_answers(taken)
        else:
            self._spin_for(LAST_ANSWERS_SEC)

    def doubts(self) -> list[str]:
        """What the node doubts after all that was played, and which messages it did not use."""
        self._state = {}
        self._spin_until(lambda: bool(self._state), ANSWER_TIMEOUT_SEC, "did not report its state")
        unused = {role: int(self._state.get(f"{role}_malformed", 0)) for role in self._publishers}
        return [
            *(
                doubt_of_unused(role, self._topics[role], count, self._state[f"{role}_problem"])
                for role, count in unused.items()
                if count
            ),
            *(text for name, text in self._state.items() if name.startswith(DOUBT)),
        ]

    def _await_answers(self, count: int) -> None:
        self._spin_until(lambda: len(self.records) >= count, ANSWER_TIMEOUT_SEC, "did not answer an image")

    def _publish(self, message: BagMessage) -> None:
        if message.role in self._publishers:
            self._publishers[message.role].publish(message.cdr)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        values = {entry.key: entry.value for status in message.status for entry in status.values}
        if "state" in values:
            self._state = values

    def _on_status(self, message: DiagnosticArray) -> None:
        record = ImageRecord.from_texts({entry.key: entry.value for entry in message.status[0].values})
        self.records.append(record)
        self._on_record(record)

    def _spin_for(self, duration_sec: float) -> None:
        end = time.monotonic() + duration_sec
        while (left_sec := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_sec)

    def _spin_until(self, condition: Callable[[], bool], timeout_sec: float, complaint: str) -> None:
        end = time.monotonic() + timeout_sec
        while not condition():
            if not self._process.running or time.monotonic() > end:
                raise ReplayError(
                    f"the localizer node {complaint}; its log ends with:\n{self._process.log[-3000:]}"
                )
            self._executor.spin_once(timeout_sec=0.05)


def _profile(role: str) -> QoSProfile:
    return qos.STATIC_TF_INPUT if role == "tf_static" else qos.REPLAY
