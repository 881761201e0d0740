"""The Python classes of the ROS types that the node takes, by name."""

from __future__ import annotations

from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, Imu, NavSatFix

try:
    from tf2_msgs.msg import TFMessage
except ImportError:  # rclpy from wheels comes without it
    TFMessage = None
try:
    from gps_msgs.msg import GPSFix
except ImportError:  # no part of ROS's basic installation, and without a wheel
    GPSFix = None

_CLASSES = {
    "sensor_msgs/msg/CompressedImage": CompressedImage,
    "sensor_msgs/msg/Image": Image,
    "sensor_msgs/msg/CameraInfo": CameraInfo,
    "sensor_msgs/msg/NavSatFix": NavSatFix,
    "sensor_msgs/msg/Imu": Imu,
    "nav_msgs/msg/Odometry": Odometry,
    "geometry_msgs/msg/PoseStamped": PoseStamped,
    "geometry_msgs/msg/PoseWithCovarianceStamped": PoseWithCovarianceStamped,
    "gps_msgs/msg/GPSFix": GPSFix,
    "tf2_msgs/msg/TFMessage": TFMessage,
}
# Those whose packages are installed.
MESSAGE_TYPES = {name: message_type for name, message_type in _CLASSES.items() if message_type is not None}


def how_to_install(type_name: str) -> str:
    """The advice for a type whose package is missing."""
    package = type_name.partition("/")[0]
    return f"{package} is not installed (ros-$ROS_DISTRO-{package.replace('_', '-')})"
