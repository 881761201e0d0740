"""A subscription whose type and QoS follow the publishers that are found on its topic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from xview_localizer.ros.message_types import MESSAGE_TYPES, how_to_install
from xview_localizer.ros.qos import InputKind, profile_matching


class MatchedInput:
    """Subscribes to `topic`; `match` subscribes anew where the publishers found have another type or QoS than before.

    `type_names` are the types that are taken, the usual one first: a subscription has one type, the first of them
    that is published. `problem` says why it receives from none of the publishers found, or from several, or is empty.
    `on_message` is called with each message, `on_lost` with the number of messages that the middleware knows it has
    lost, where it can count them. `resolved_topic` is the topic's full name after remapping.
    """

    def __init__(
        self,
        node: Node,
        type_names: Sequence[str],
        topic: str,
        kind: InputKind,
        on_message: Callable[[object], None],
        on_lost: Callable[[int], None],
    ) -> None:
        self._node, self._type_names, self._topic, self._kind = node, type_names, topic, kind
        self._on_message, self._on_lost = on_message, on_lost
        self.resolved_topic = node.resolve_topic_name(topic)
        self.problem = ""
        self._publisher_names = ""
        self._type_name = type_names[0]
        self._type_name, self._profile = self._wanted()
        self._subscription = self._subscribe()

    def match(self) -> None:
        """Look at the publishers again. Call it now and then: they come and go."""
        wanted = self._wanted()
        if wanted == (self._type_name, self._profile):
            return
        self._type_name, self._profile = wanted
        # The old one goes first, or messages would come twice.
        self.destroy()
        self._subscription = self._subscribe()
        self._node.get_logger().info(
            f"{self._topic}: {self._type_name}, {self._profile.reliability.name.lower()}, "
            f"{self._profile.durability.name.lower()}, as its publishers"
        )

    @property
    def is_published(self) -> bool:
        """Whether the topic had a publisher, of whatever type, when they were looked at last."""
        return bool(self._publisher_names)

    @property
    def remedy(self) -> str:
        """What to do where no message comes; empty where `problem` says it."""
        if self.problem:
            return ""
        if self.is_published:
            return f"{self._publisher_names} publishes {self.resolved_topic}, but sends nothing; see its log"
        return f"nobody publishes {self.resolved_topic}; start its driver, or remap {self._topic}"

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _wanted(self) -> tuple[str, QoSProfile]:
        publishers = self._node.get_publishers_info_by_topic(self.resolved_topic)
        self._publisher_names = _names(publishers)
        published = [publisher.topic_type for publisher in publishers]
        taken = [name for name in self._type_names if name in published and name in MESSAGE_TYPES]
        self.problem = "" if taken or not published else self._problem_with(published[0])
        type_name = taken[0] if taken else self._type_name
        of_type = [publisher for publisher in publishers if publisher.topic_type == type_name]
        if len(of_type) > 1:
            self.problem = self._mixed(of_type)
        return type_name, profile_matching([publisher.qos_profile for publisher in of_type], self._kind)

    def _mixed(self, publishers: Sequence[TopicEndpointInfo]) -> str:
        return (
            f"{self.resolved_topic} has {len(publishers)} publishers, whose messages mix ({_names(publishers)}): stop "
            "or remap all but one"
        )

    def _problem_with(self, type_name: str) -> str:
        why = f"{self._topic} takes {' or '.join(self._type_names)}"
        if type_name in self._type_names:
            why = how_to_install(type_name)
        return f"{self.resolved_topic} is published as {type_name}, and {why}"

    def _subscribe(self) -> Subscription:
        try:
            return self._subscribe_with(message_lost=lambda event: self._on_lost(event.total_count_change))
        except UnsupportedEventTypeError:  # the middleware does not count what it loses
            return self._subscribe_with()

    def _subscribe_with(self, **events: Callable) -> Subscription:
        # Until `match` runs, a new publisher may be incompatible, which needs no warning.
        callbacks = SubscriptionEventCallbacks(incompatible_qos=lambda event: None, **events)
        return self._node.create_subscription(
            MESSAGE_TYPES[self._type_name],
            self._topic,
            self._on_message,
            self._profile,
            event_callbacks=callbacks,
        )


def _names(publishers: Sequence[TopicEndpointInfo]) -> str:
    """The full names of the nodes that publish."""
    return ", ".join(sorted(f"{one.node_namespace.rstrip('/')}/{one.node_name}" for one in publishers))
