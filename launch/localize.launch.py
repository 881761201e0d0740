"""The localizer, with an optional map server and an optional EKF.

ros2 launch xview_localizer localize.launch.py params_file:=my_robot.yaml map:=/data/orthophoto.tif
"""

import sys
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

from launch import LaunchContext, LaunchDescription

CONFIG = Path(get_package_share_directory("xview_localizer")) / "config"
# argument: (topic of the node, description)
TOPICS = {
    "image": ("image", "Camera images (sensor_msgs/Image), read with transport:=raw"),
    "compressed_image": (
        "image/compressed",
        "Camera images (CompressedImage), read with transport:=compressed",
    ),
    "camera_info": ("camera_info", "Calibration of the camera"),
    "fix": ("fix", "GNSS positions"),
    "odom": ("odom", "Wheel or visual odometry; optional"),
    "imu": ("imu", "IMU that levels the images; optional"),
}
# name: (default, description, choices)
ARGUMENTS = {
    "params_file": (str(CONFIG / "localizer.yaml"), "Parameter file of the localizer", None),
    "map": ("", "Aerial image: GeoTIFF, MBTiles file or tile URL; empty: map.source of params_file", None),
    "latitude_deg": ("", "Latitude of the datum; empty: that of params_file", None),
    "longitude_deg": ("", "Longitude of the datum; empty: that of params_file", None),
    "transport": (
        "",
        "How images come: raw or compressed; empty: camera.transport of params_file",
        ["", "raw", "compressed"],
    ),
    "map_server": (
        "false",
        "Serve the file given by map:= as tiles over HTTP, and read it from there",
        ["true", "false"],
    ),
    "map_server_port": ("8080", "TCP port of the map server", None),
    "autostart": (
        "true",
        "Configure and activate the node; false leaves that to a lifecycle manager",
        ["true", "false"],
    ),
    "ekf": ("false", "Fuse poses and odometry with robot_localization's ekf_node", ["true", "false"]),
    "ekf_params_file": (str(CONFIG / "ekf.yaml"), "Parameter file of the EKF", None),
    "use_sim_time": ("false", "Take the time from /clock", ["true", "false"]),
    "namespace": ("", "Namespace of all nodes", None),
    "log_level": ("info", "Log level of the localizer", None),
}


def generate_launch_description() -> LaunchDescription:
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)
        for name, (default, description, choices) in ARGUMENTS.items()
    ]
    topics = [
        DeclareLaunchArgument(name, default_value=topic, description=description)
        for name, (topic, description) in TOPICS.items()
    ]
    return LaunchDescription([*arguments, *topics, OpaqueFunction(function=_actions)])


def _actions(context: LaunchContext) -> list:
    given = {name: LaunchConfiguration(name).perform(context) for name in (*ARGUMENTS, *TOPICS)}
    map_source = given["map"]
    actions = []
    if given["map_server"] == "true":
        if "{" in map_source or not Path(map_source).expanduser().is_file():
            raise ValueError(f"map_server:=true serves a file, but map:={map_source!r} is none")
        module = [sys.executable, "-m", "xview_localizer.cli"]  # its executable need not be on PATH
        command = [*module, "map-server", map_source, "--port", given["map_server_port"]]
        actions.append(ExecuteProcess(cmd=command, name="map_server", output="screen"))
        map_source = f"http://127.0.0.1:{given['map_server_port']}/{{z}}/{{x}}/{{y}}.png"

    sim_time = {"use_sim_time": given["use_sim_time"] == "true"}
    # What is given on the command line overrules params_file.
    overrides = {"autostart": given["autostart"] == "true"} | sim_time
    overrides |= {"map.source": map_source} if map_source else {}
    overrides |= {"camera.transport": given["transport"]} if given["transport"] else {}
    for name in ("latitude_deg", "longitude_deg"):
        overrides |= {f"datum.{name}": float(given[name])} if given[name] else {}
    actions.append(
        LifecycleNode(
            package="xview_localizer",
            executable="localizer",
            name="localizer",
            namespace=given["namespace"],
            parameters=[given["params_file"], overrides],
            remappings=[(topic, given[name]) for name, (topic, _) in TOPICS.items()],
            arguments=["--ros-args", "--log-level", f"localizer:={given['log_level']}"],
            output="screen",
        )
    )
    actions.append(
        Node(
            package="robot_localization",
            executable="ekf_node",
            name="ekf_filter_node",
            namespace=given["namespace"],
            parameters=[given["ekf_params_file"], sim_time],
            remappings=[("odom", given["odom"])],
            output="screen",
            condition=IfCondition(given["ekf"]),
        )
    )
    return actions
