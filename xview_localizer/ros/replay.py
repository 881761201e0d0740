"""A recorded drive played to the real node over DDS."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy

from xview_localizer.inputs.image_pace import ImagePace
from xview_localizer.inputs.message_types import kind_of
from xview_localizer.inputs.moments import CameraImage, MomentCollector
from xview_localizer.inputs.mountings import parameter_prefix
from xview_localizer.parameters.settings import Settings
from xview_localizer.parameters.table import Value
from xview_localizer.recordings.bag import (
    TF_ROLES,
    TF_TOPICS,
    BagError,
    BagMessage,
    BagReader,
    Drive,
    is_compressed,
    open_inputs,
)
from xview_localizer.recordings.mountings_of_drive import with_mountings_of
from xview_localizer.records import ImageRecord
from xview_localizer.ros import qos
from xview_localizer.ros.message_types import MESSAGE_TYPES, TFMessage, how_to_install
from xview_localizer.ros.node_process import NodeProcess

# Long enough for loading a model, and for an image, on a slow machine.
START_TIMEOUT_SEC, ANSWER_TIMEOUT_SEC = 60.0, 60.0
# A replay comes in bursts; however slow the machine, the sensors' messages are to count.
PATIENT_WAIT_SEC = 5.0
# Whatever the robot's own parameters are: every image that is taken is answered, as offline.
REPLAY_VALUES: dict[str, Value] = {"inputs.wait_sec": PATIENT_WAIT_SEC, "autostart": True}


class ReplayError(RuntimeError):
    """The node did not start or did not answer; the message holds the end of its log."""


@dataclass(frozen=True)
class ReplayPace:
    """`rate` None: lockstep, the next image waits for the answer to the last one, so that no machine is too
    slow; the sensors' messages in between do not wait. Otherwise as recorded, times `rate`; images may then be
    dropped as on a robot."""

    rate: float | None = None


def replay_drive(
    drive: Drive,
    values: Mapping[str, Value | None],
    pace: ReplayPace = ReplayPace(),
    on_record: Callable[[ImageRecord], None] = lambda record: None,
) -> list[ImageRecord]:
    """Play a drive to the node (started here, with parameters `values`) and collect its answers.

    `on_record` is called with each as it comes. Where tf2_msgs is not installed, the node gets the recording's TF as
    parameters. Raises BagError, ReplayError.
    """
    values = values if TFMessage is not None else with_mountings_of(drive, values)
    settings = Settings.from_values(values)
    context = rclpy.Context()
    rclpy.init(context=context)
    try:
        with open_inputs(drive, settings) as bag:
            _require_types(bag)
            remaps = {
                f"{role}/compressed" if is_compressed(type_name) else role: drive.topics[role]
                for role, type_name in bag.types.items()
                if role not in TF_ROLES
            }
            node_values = dict(values) | transports(bag.types) | REPLAY_VALUES
            with (
                NodeProcess(node_values, remaps) as process,
                _Player(context, drive.topics, bag.types, process, on_record) as player,
            ):
                player.publish_static_transforms(bag)
                player.await_node()
                player.play(bag, pace, settings)
                return player.records
    finally:
        context.try_shutdown()


def transports(types: Mapping[str, str]) -> dict[str, Value]:
    """The parameters by which the node takes the images of a recording: raw or compressed."""
    images = {role: kind for role, kind in types.items() if kind_of(role) == "image"}
    return {
        f"{parameter_prefix(role.rpartition('/')[0])}.transport": "compressed"
        if is_compressed(kind)
        else "raw"
        for role, kind in images.items()
    }


def _require_types(bag: BagReader) -> None:
    """Raise BagError where a sensor's messages cannot be published; without TF there are parameters."""
    for role, type_name in bag.types.items():
        if role not in TF_ROLES and type_name not in MESSAGE_TYPES:
            raise BagError(
                f"{role} is {type_name}, and {how_to_install(type_name)}; `evaluate --bag` does without ROS"
            )


def _profile(role: str) -> QoSProfile:
    return qos.STATIC_TF_INPUT if role == "tf_static" else qos.REPLAY


class _Player:
    """Publishers for the roles of a bag, and the subscriber to the node's answers."""

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
        self._active = False
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.OUTPUT)
        self._node.create_subscription(DiagnosticArray, "/localizer/status", self._on_status, qos.REPLAY)

    def __enter__(self) -> _Player:
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
            return self._active and all(
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

    def play(self, bag: BagReader, pace: ReplayPace, settings: Settings) -> None:
        began_at, began_ns, taken = time.monotonic(), None, 0
        # As the node collects the images of a moment, and takes moments.
        collector = MomentCollector(settings.cameras)
        image_pace = ImagePace(settings.values["inputs.rate_hz"])
        for message in bag.messages():
            if message.role == "tf_static":
                continue  # published already
            began_ns = message.recorded_ns if began_ns is None else began_ns
            if pace.rate is not None:
                self._spin_for(
                    began_at + 1e-9 * (message.recorded_ns - began_ns) / pace.rate - time.monotonic()
                )
            if message.kind == "image":
                if pace.rate is None:
                    self._await_answers(taken)
                moments = collector.add(CameraImage(message.camera, bag.decode(message)))
                taken += sum(image_pace.takes(moment[-1].stamp_sec) for moment in moments)
            self._publish(message)
        if pace.rate is None:
            self._await_answers(taken)
        else:
            self._spin_for(3.0)  # the last answers

    def _await_answers(self, count: int) -> None:
        self._spin_until(lambda: len(self.records) >= count, ANSWER_TIMEOUT_SEC, "did not answer an image")

    def _publish(self, message: BagMessage) -> None:
        if message.role in self._publishers:
            self._publishers[message.role].publish(message.cdr)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        values = {entry.key: entry.value for status in message.status for entry in status.values}
        self._active = self._active or values.get("state") == "active"

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
