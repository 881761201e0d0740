"""TF in and out, where tf2_msgs is installed: subscriptions that feed mountings.py, and the map → odom broadcast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.duration import Duration
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.subscription import Subscription
from std_msgs.msg import Header

from xview_localizer.geometry.pose import Pose2
from xview_localizer.inputs.messages import MessageError
from xview_localizer.inputs.mountings import Mountings
from xview_localizer.parameters.settings import Settings
from xview_localizer.parameters.table import SettingsError
from xview_localizer.ros import qos
from xview_localizer.ros.message_types import TFMessage

NO_TF = "tf2_msgs is not installed (ros-$ROS_DISTRO-tf2-msgs), so the node takes no TF"
BROADCAST_PERIOD_SEC = 0.05  # each transform holds until the next one


def warn_where_missing(node: Node, settings: Settings) -> None:
    """Warn where mountings are to come from TF, and the package with its messages is missing."""
    unset = settings.mountings.from_tf
    if TFMessage is None and unset:
        node.get_logger().warning(f"{NO_TF}; not set by parameters: {', '.join(unset)}")


def subscribe(
    node: Node, mountings: Mountings, settings: Settings, on_change: Callable[[], None]
) -> list[Subscription]:
    """Subscriptions that feed `mountings`; none without tf2_msgs. `on_change` is called after each message.

    Moving transforms are many, and only followed where a mounting has no parameter.
    """
    if TFMessage is None:
        return []

    def callback(static: bool) -> Callable[[object], None]:
        def on_message(message) -> None:
            try:
                mountings.on_transforms(message, static)
            except MessageError as error:
                node.get_logger().warning(f"TF: {error}", throttle_duration_sec=5.0)
            on_change()

        return on_message

    # A transient local subscription is sent what was published before it, but nothing by volatile publishers, as of a
    # converted recording. The volatile one receives from these, so that the other's incompatibility needs no warning.
    unwarned = SubscriptionEventCallbacks(incompatible_qos=lambda event: None)
    subscriptions = [
        node.create_subscription(TFMessage, "/tf_static", callback(True), profile, event_callbacks=unwarned)
        for profile in (qos.STATIC_TF_INPUT, qos.VOLATILE_STATIC_TF_INPUT)
    ]
    if settings.mountings.from_tf:
        subscriptions.append(node.create_subscription(TFMessage, "/tf", callback(False), qos.TF_INPUT))
    return subscriptions


class MapToOdom:
    """Broadcasts map → odom by the last pose and odometry, at a fixed rate, so that subscribers need not wait.

    Raises SettingsError without tf2_msgs.
    """

    def __init__(self, node: Node, map_frame: str) -> None:
        if TFMessage is None:
            raise SettingsError(
                "tf.broadcast_map_to_odom needs tf2_msgs, which is not installed; install "
                "ros-$ROS_DISTRO-tf2-msgs, or set it to false"
            )
        self._node, self._map_frame = node, map_frame
        self._current: tuple[str, Pose2] | None = None
        self._publisher = node.create_publisher(TFMessage, "/tf", qos.TF_OUTPUT)
        self._timer = node.create_timer(BROADCAST_PERIOD_SEC, self._broadcast)

    def update(self, odom_frame: str, T_map_base: Pose2 | None, T_odom_base: Pose2 | None) -> None:
        """Both poses at one stamp; None, of either, ends the broadcast until there are both again.

        A frame has no transform in itself, so that odometry in `map` gives none.
        """
        known = T_map_base is not None and T_odom_base is not None and odom_frame not in ("", self._map_frame)
        self._current = (odom_frame, T_map_base @ T_odom_base.inverse()) if known else None

    def end(self) -> None:
        """Broadcast nothing until the next `update`: the node no longer localizes, or time has jumped."""
        self._current = None

    def destroy(self) -> None:
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)

    def _broadcast(self) -> None:
        current = self._current  # the worker's thread replaces it
        if current is None:
            return
        odom_frame, pose = current
        # It holds until the next one; stamped in the past it could not be combined with odom → base_link of now.
        stamp = (self._node.get_clock().now() + Duration(seconds=BROADCAST_PERIOD_SEC)).to_msg()
        rotation = Quaternion(z=float(np.sin(pose.yaw_rad / 2)), w=float(np.cos(pose.yaw_rad / 2)))
        transform = Transform(translation=Vector3(x=pose.x_m, y=pose.y_m), rotation=rotation)
        header = Header(stamp=stamp, frame_id=self._map_frame)
        stamped = TransformStamped(header=header, child_frame_id=odom_frame, transform=transform)
        self._publisher.publish(TFMessage(transforms=[stamped]))
