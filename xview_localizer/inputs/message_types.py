"""The ROS types of each input, by name: reading a recording needs no ROS."""

from __future__ import annotations

# The types that each input may have, the usual one first.
ROLES = {
    "image": ("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image"),
    "camera_info": ("sensor_msgs/msg/CameraInfo",),
    "fix": ("sensor_msgs/msg/NavSatFix", "gps_msgs/msg/GPSFix"),
    "odom": (
        "nav_msgs/msg/Odometry",
        "geometry_msgs/msg/PoseStamped",
        "geometry_msgs/msg/PoseWithCovarianceStamped",
    ),
    "imu": ("sensor_msgs/msg/Imu",),
}
# A topic of these types is used only where the user names it. Goals, references and localized poses have the types of
# poses, too, and receivers send a GPSFix beside their NavSatFix.
ONLY_WHERE_NAMED = (*ROLES["fix"][1:], *ROLES["odom"][1:])
# Each camera has these of its own.
CAMERA_INPUTS = ("image", "camera_info")


def input_of(camera: str, kind: str) -> str:
    """The input `kind` of a camera; of several, each has its name before its topics."""
    return f"{camera}/{kind}" if camera else kind


def kind_of(name: str) -> str:
    """An input without the camera that has it: image of front/image."""
    return name.rpartition("/")[2]


def camera_of(name: str) -> str:
    """The camera of an input such as front/image; empty where there is only one."""
    return name.rpartition("/")[0]
