"""What the node publishes for each image."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image, NavSatFix
from std_msgs.msg import Float64, Header

from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.records import ImageRecord
from xview_localizer.ros import qos
from xview_localizer.ros.conversions import (
    diagnostics_message,
    diagnostics_name,
    image_message,
    nav_sat_fix_message,
    pose_message,
)
from xview_localizer.ros.diagnostics import OK, WARN
from xview_localizer.tracking.tracker import TrackedFix


class Outputs:
    """Lifecycle publishers; silent while the node is not active.

    - `~/pose`, `~/fix`, `~/scale`: an accepted fix, nothing otherwise.
    - `~/estimate`: the pose at every image: the accepted fix, else the last one carried on by odometry.
    - `~/status`: an ImageRecord for every image, as the key-values of one DiagnosticStatus.
    - `~/debug/image`: see debug_image.py.

    All but `~/scale` carry the image's stamp. `~/fix` names the frame whose position it is, as receivers do.
    """

    def __init__(self, node: LifecycleNode, frame: LocalFrame, map_frame: str, base_frame: str) -> None:
        self._node, self._frame, self._map_frame, self._base_frame = node, frame, map_frame, base_frame
        self._status_name = diagnostics_name(node, "image")
        self._pose = node.create_lifecycle_publisher(PoseWithCovarianceStamped, "~/pose", qos.OUTPUT)
        self._fix = node.create_lifecycle_publisher(NavSatFix, "~/fix", qos.OUTPUT)
        self._scale = node.create_lifecycle_publisher(Float64, "~/scale", qos.OUTPUT)
        self._estimate = node.create_lifecycle_publisher(PoseWithCovarianceStamped, "~/estimate", qos.OUTPUT)
        self._status = node.create_lifecycle_publisher(DiagnosticArray, "~/status", qos.OUTPUT)
        self._debug = node.create_lifecycle_publisher(Image, "~/debug/image", qos.DEBUG_OUTPUT)

    @property
    def alive(self) -> bool:
        """Whether the node's context still is."""
        return self._node.context.ok()

    @property
    def debug_wanted(self) -> bool:
        return self._debug.get_subscription_count() > 0

    def publish(self, image_header: Header, record: ImageRecord, tracked: TrackedFix | None) -> None:
        """The status comes last: who hears it has been sent the pose."""
        header = Header(stamp=image_header.stamp, frame_id=self._map_frame)
        if tracked is not None and tracked.estimate is not None:
            self._estimate.publish(pose_message(header, tracked.estimate))
            if record.accepted:
                self._pose.publish(pose_message(header, tracked.estimate))
                base_header = Header(stamp=image_header.stamp, frame_id=self._base_frame)
                self._fix.publish(nav_sat_fix_message(base_header, tracked.estimate, self._frame))
                self._scale.publish(Float64(data=record.scale))
        level = OK if record.accepted else WARN
        self._status.publish(
            diagnostics_message(
                header, self._status_name, level, record.reason or "accepted", record.to_texts()
            )
        )

    def publish_debug(self, image_header: Header, image) -> None:
        self._debug.publish(image_message(Header(stamp=image_header.stamp, frame_id=self._map_frame), image))

    def destroy(self) -> None:
        for publisher in (self._pose, self._fix, self._scale, self._estimate, self._status, self._debug):
            self._node.destroy_publisher(publisher)
