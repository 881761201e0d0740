"""The package's own types to ROS messages."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node
from sensor_msgs.msg import Image, NavSatFix, NavSatStatus
from std_msgs.msg import Header

from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.tracking.pose_estimate import PoseEstimate

# The method does not estimate height, roll and pitch; large but finite keeps filters well-conditioned.
UNKNOWN_HEIGHT_VARIANCE_M2 = 1e4
UNKNOWN_TILT_VARIANCE_RAD2 = 1.0


def pose_message(header: Header, estimate: PoseEstimate) -> PoseWithCovarianceStamped:
    """base_link in `header.frame_id`; covariance of x, y, yaw as estimated, the rest large."""
    message = PoseWithCovarianceStamped(header=header)
    pose = estimate.pose
    message.pose.pose.position.x, message.pose.pose.position.y = pose.x_m, pose.y_m
    message.pose.pose.orientation.z = float(np.sin(pose.yaw_rad / 2))
    message.pose.pose.orientation.w = float(np.cos(pose.yaw_rad / 2))
    covariance = np.diag(
        [0.0, 0.0, UNKNOWN_HEIGHT_VARIANCE_M2, UNKNOWN_TILT_VARIANCE_RAD2, UNKNOWN_TILT_VARIANCE_RAD2, 0.0]
    )
    covariance[np.ix_([0, 1, 5], [0, 1, 5])] = (estimate.covariance + estimate.covariance.T) / 2
    message.pose.covariance = covariance.ravel().tolist()
    return message


def nav_sat_fix_message(header: Header, estimate: PoseEstimate, frame: LocalFrame) -> NavSatFix:
    """base_link (`header.frame_id`) in WGS84.

    Its altitude is the datum's, with a large variance, as it is no measurement.
    """
    latitude, longitude, altitude = frame.geodetic_from_enu([estimate.pose.x_m, estimate.pose.y_m, 0.0])
    covariance = np.zeros((3, 3))
    covariance[:2, :2] = estimate.covariance[:2, :2]
    covariance[2, 2] = UNKNOWN_HEIGHT_VARIANCE_M2
    return NavSatFix(
        header=header,
        status=NavSatStatus(status=NavSatStatus.STATUS_FIX, service=NavSatStatus.SERVICE_GPS),
        latitude=float(latitude),
        longitude=float(longitude),
        altitude=float(altitude),
        position_covariance=covariance.ravel().tolist(),
        position_covariance_type=NavSatFix.COVARIANCE_TYPE_KNOWN,
    )


def diagnostics_name(node: Node, what: str) -> str:
    """Such as "front/localizer: state": nodes of several namespaces share /diagnostics."""
    return f"{node.get_fully_qualified_name().lstrip('/')}: {what}"


def diagnostics_message(
    header: Header, name: str, level: int, text: str, values: Mapping[str, str]
) -> DiagnosticArray:
    """A DiagnosticArray with one status; `level` 0 is OK, 1 WARN, 2 ERROR."""
    status = DiagnosticStatus(level=bytes([level]), name=name, message=text, hardware_id="xview_localizer")
    status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticArray(header=header, status=[status])


def image_message(header: Header, image: np.ndarray) -> Image:
    """RGB [H, W, 3] uint8 as rgb8."""
    height, width = image.shape[:2]
    message = Image(header=header, height=height, width=width, encoding="rgb8", step=3 * width)
    message.data = array("B", image.tobytes())  # assigning an ndarray is a thousand times slower
    return message
