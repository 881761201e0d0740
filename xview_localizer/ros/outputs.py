"""What the node publishes for each image."""

from __future__ import annotations

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import OccupancyGrid
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import Image, NavSatFix
from std_msgs.msg import Float64, Header
from visualization_msgs.msg import MarkerArray

from xview_localizer.aerial.source import MapSource
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.pose import Prior
from xview_localizer.observation import Observation
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
from xview_localizer.ros.markers import aerial_grid, markers
from xview_localizer.tracking.tracked_fix import TrackedFix

# The aerial image of `~/debug/aerial`: its middle moves in steps, so that few are read and sent.
AERIAL_HALF_EXTENT_M, AERIAL_STEP_M, AERIAL_METRES_PER_PIXEL = 60.0, 20.0, 0.2


class Outputs:
    """Lifecycle publishers, which send nothing while the node is not active.

    - `~/pose`, `~/fix`, `~/scale`: an accepted fix, nothing otherwise.
    - `~/estimate`: the pose at every image: the accepted fix, else the last one carried on by odometry.
    - `~/status`: an ImageRecord for every image, as the key-values of one DiagnosticStatus.
    - `~/debug/image`: see debug_image.py. `~/debug/markers`, `~/debug/aerial`: see markers.py.

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
        self._markers = node.create_lifecycle_publisher(MarkerArray, "~/debug/markers", qos.DEBUG_OUTPUT)
        self._aerial = node.create_lifecycle_publisher(OccupancyGrid, "~/debug/aerial", qos.LATCHED_OUTPUT)
        self._aerial_shown: Bounds | None = None

    @property
    def alive(self) -> bool:
        """Whether the node's context is still valid."""
        return self._node.context.ok()

    @property
    def debug_wanted(self) -> bool:
        return self._debug.get_subscription_count() > 0

    @property
    def markers_wanted(self) -> bool:
        return self._markers.get_subscription_count() > 0

    @property
    def aerial_wanted(self) -> bool:
        return self._aerial.get_subscription_count() > 0

    def publish(self, image_header: Header, record: ImageRecord, tracked: TrackedFix | None) -> None:
        """The status comes last: whoever receives it has been sent the pose."""
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

    def publish_debug(self, image_header: Header, image: np.ndarray) -> None:
        """`image` [H, W, 3] is RGB."""
        self._debug.publish(image_message(Header(stamp=image_header.stamp, frame_id=self._map_frame), image))

    def publish_markers(
        self, image_header: Header, tracked: TrackedFix, seen: Observation, matches: Correspondences | None
    ) -> None:
        """See markers.py; `matches` are None where no pose was found."""
        header = Header(stamp=image_header.stamp, frame_id=self._map_frame)
        self._markers.publish(markers(header, tracked, seen, matches))

    def publish_aerial(self, image_header: Header, prior: Prior, map_source: MapSource) -> None:
        """The aerial image around the search, published again where the search has moved on, or parts were missing.

        Raises MapSourceError.
        """
        x_m, y_m = (AERIAL_STEP_M * round(value / AERIAL_STEP_M) for value in (prior.x_m, prior.y_m))
        bounds = Bounds.around(x_m, y_m, AERIAL_HALF_EXTENT_M)
        if bounds != self._aerial_shown:
            aerial = map_source.read(bounds, AERIAL_METRES_PER_PIXEL)
            header = Header(stamp=image_header.stamp, frame_id=self._map_frame)
            self._aerial.publish(aerial_grid(header, aerial))
            self._aerial_shown = None if aerial.problems else bounds

    def destroy(self) -> None:
        for publisher in (
            self._pose, self._fix, self._scale, self._estimate, self._status, self._debug, self._markers,
            self._aerial,
        ):  # fmt: skip
            self._node.destroy_publisher(publisher)
