"""A client that talks to the node in another process over DDS."""

from __future__ import annotations

import time
from dataclasses import replace

GIVE_UP_SEC = 60.0  # long enough for a busy machine: only a failing test waits for it
ANSWER_SEC = 5.0  # after which the next image is played, where the node gives no answer
# Parameters of a node that starts by itself and takes the recorded images as they are.
COMPRESSED = {"camera.transport": "compressed", "autostart": True}


class Client:
    """Publishers to the node, and everything that it publishes."""

    def __init__(self) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from geometry_msgs.msg import PoseWithCovarianceStamped
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.node import Node
        from sensor_msgs.msg import NavSatFix
        from std_msgs.msg import Float64

        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = Node("client", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.records, self.status_names = [], []
        self.poses, self.fixes, self.scales, self.diagnostics = [], [], [], []
        for message_type, topic, keep in (
            (PoseWithCovarianceStamped, "/localizer/pose", self.poses.append),
            (NavSatFix, "/localizer/fix", self.fixes.append),
            (Float64, "/localizer/scale", self.scales.append),
            (DiagnosticArray, "/localizer/status", self._keep_record),
            (DiagnosticArray, "/diagnostics", lambda message: self.diagnostics.append(message.status[0])),
        ):
            self.node.create_subscription(message_type, topic, keep, 50)
        self._publishers = {}

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        self.context.try_shutdown()

    def _keep_record(self, message) -> None:
        from xview_localizer.records import ImageRecord

        self.status_names.append(message.status[0].name)
        self.records.append(
            ImageRecord.from_texts({entry.key: entry.value for entry in message.status[0].values})
        )

    @property
    def values(self) -> dict[str, str]:
        """The values of the last diagnostics message."""
        return {entry.key: entry.value for entry in self.diagnostics[-1].values} if self.diagnostics else {}

    def publish(self, topic, message_type, message, qos=1000) -> None:
        """Publish a message once the topic has a subscription."""
        if topic not in self._publishers:
            publisher = self._publishers[topic] = self.node.create_publisher(message_type, topic, qos)
            self.until(lambda: self._is_matched(publisher))
            # The node has found our subscriptions when its diagnostics come through.
            self.until(lambda: any(entry.value == "active" for d in self.diagnostics for entry in d.values))
        self._publishers[topic].publish(message)

    def _is_matched(self, publisher) -> bool:
        """Whether all subscribers have the publisher's reliability: the node looks for publishers each second."""
        found = self.node.get_subscriptions_info_by_topic(publisher.topic_name)
        matched = publisher.get_subscription_count() >= len(found) > 0
        # The subscriptions to the clock (rclpy's own) and to moving transforms are best effort for good.
        as_offered = [one.qos_profile.reliability == publisher.qos_profile.reliability for one in found]
        return matched and (publisher.topic_name in ("/clock", "/tf") or all(as_offered))

    def play(self, messages) -> None:
        """Publish recorded messages on the node's own topic names."""
        from xview_localizer.ros.message_types import MESSAGE_TYPES

        for message in messages:
            topic = "image/compressed" if message.role == "image" else message.role
            self.publish(topic, MESSAGE_TYPES[message.type_name], message.cdr)

    def play_until(self, messages, condition):
        """Play a drive, each image once the one before is answered, until `condition` holds.

        Sent in one burst, the last image could arrive before its sensor messages, and is not sent again.
        """
        for message in messages:
            if condition():
                return
            answered = len(self.records)
            self.play([message])
            if message.role == "image":
                self._await_answer(answered + 1, condition)
        self.until(condition)

    def _await_answer(self, count, condition) -> None:
        end = time.monotonic() + ANSWER_SEC
        self.until(lambda: len(self.records) >= count or condition() or time.monotonic() > end)

    def until(self, condition, timeout_sec=GIVE_UP_SEC):
        """Spin until `condition` gives something true, and return it."""
        end = time.monotonic() + timeout_sec
        while not (found := condition()):
            assert time.monotonic() < end, f"waited {timeout_sec} s in vain"
            self.executor.spin_once(timeout_sec=0.05)
        return found

    def spin_for(self, duration_sec) -> None:
        end = time.monotonic() + duration_sec
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.05)

    def await_records(self, count) -> None:
        self.until(lambda: len(self.records) >= count)

    def record_with(self, text):
        """The first record whose reason holds `text`."""
        return self.until(lambda: next((r for r in self.records if text in r.reason), None))

    def diagnostic_with(self, text):
        return self.until(lambda: next((d for d in self.diagnostics if text in d.message), None))

    def call(self, service_type, name, request):
        service = self.node.create_client(service_type, name)
        assert service.wait_for_service(GIVE_UP_SEC)
        self._await_discovery(name.rpartition("/")[0])
        answer = service.call_async(request)
        self.until(answer.done)
        self.node.destroy_client(service)
        return answer.result()

    def _await_discovery(self, node_name) -> None:
        """Wait until the node has discovered this client's latest endpoints.

        A server that has not discovered the reader of its answer drops the answer, and a client can't see that
        discovery. Endpoints are announced in order: a node that answers a client made later knows the earlier.
        """
        from lifecycle_msgs.srv import GetState

        service = self.node.create_client(GetState, f"{node_name}/get_state")
        assert service.wait_for_service(GIVE_UP_SEC)
        answers = []

        def is_answered() -> bool:
            answers.append(service.call_async(GetState.Request()))
            self.spin_for(0.1)
            return any(answer.done() for answer in answers)

        self.until(is_answered)
        self.node.destroy_client(service)

    def change_state(self, transition_id) -> bool:
        from lifecycle_msgs.srv import ChangeState

        request = ChangeState.Request()
        request.transition.id = transition_id
        return self.call(ChangeState, "/localizer/change_state", request).success


def of(recorded, role):
    """The recorded messages of one role."""
    return [message for message in recorded if message.role == role]


def without_timings(records):
    """The image records as texts, less their timings. NaN differs from itself, its text does not."""
    return [repr(replace(record, timings_ms={})) for record in records]
