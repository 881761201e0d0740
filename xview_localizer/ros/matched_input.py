"""A subscription whose QoS follows the publishers that are found on its topic."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from xview_localizer.ros.qos import InputKind, profile_matching


class MatchedInput:
    """Subscribes to `topic`; `match` subscribes anew where the publishers found offer another QoS than before.

    `on_message` is called with each message, `on_lost` with the number of messages that the middleware knows it has
    lost, where it can count them.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        kind: InputKind,
        on_message: Callable[[object], None],
        on_lost: Callable[[int], None],
    ) -> None:
        self._node, self._message_type, self._topic, self._kind = node, message_type, topic, kind
        self._on_message, self._on_lost = on_message, on_lost
        self._resolved_topic = node.resolve_topic_name(topic)
        self._profile = self._wanted_profile()
        self._subscription = self._subscribe()

    def match(self) -> None:
        """Look at the publishers again. Call it now and then: they come and go."""
        wanted = self._wanted_profile()
        if wanted == self._profile:
            return
        self._profile = wanted
        # The old one goes first, or messages would come twice.
        self.destroy()
        self._subscription = self._subscribe()
        self._node.get_logger().info(
            f"{self._topic}: {wanted.reliability.name.lower()}, {wanted.durability.name.lower()}, as its publishers"
        )

    def destroy(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _wanted_profile(self) -> QoSProfile:
        publishers = self._node.get_publishers_info_by_topic(self._resolved_topic)
        return profile_matching([publisher.qos_profile for publisher in publishers], self._kind)

    def _subscribe(self) -> Subscription:
        try:
            return self._subscribe_with(message_lost=lambda event: self._on_lost(event.total_count_change))
        except UnsupportedEventTypeError:  # the middleware does not count what it loses
            return self._subscribe_with()

    def _subscribe_with(self, **events: Callable) -> Subscription:
        # Until `match` runs, a new publisher may be incompatible, which needs no warning.
        callbacks = SubscriptionEventCallbacks(incompatible_qos=lambda event: None, **events)
        return self._node.create_subscription(
            self._message_type, self._topic, self._on_message, self._profile, event_callbacks=callbacks
        )
