"""Waits for the localizer's first pose, prints "first pose: X Y YAW" (metres, radians, in `map`) and ends.

launch/localize.launch.py waits for that line and starts the EKF at the pose.
"""

from __future__ import annotations

import sys

import numpy as np
import rclpy
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.executors import ExternalShutdownException

from xview_localizer.ros import qos


def main() -> int:
    """Returns 0 once there was a pose, or when it is ended before."""
    poses: list[PoseWithCovarianceStamped] = []
    try:
        rclpy.init(args=sys.argv)
        node = rclpy.create_node("first_pose")
        node.create_subscription(PoseWithCovarianceStamped, "localizer/pose", poses.append, qos.OUTPUT)
        while rclpy.ok() and not poses:
            rclpy.spin_once(node, timeout_sec=0.25)
        if poses:
            pose = poses[0].pose.pose
            yaw_rad = 2 * np.arctan2(pose.orientation.z, pose.orientation.w)
            print(f"first pose: {pose.position.x:.3f} {pose.position.y:.3f} {yaw_rad:.5f}", flush=True)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
