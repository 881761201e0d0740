"""The localizer, with an optional map server and an optional EKF.

ros2 launch xview_localizer localize.launch.py params_file:=my_robot.yaml map:=/data/orthophoto.tif
"""

import sys
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events import matches_action
from launch.events.process import ShutdownProcess
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

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
    "use_sim_time": (
        "",
        "Take the time from /clock; empty: use_sim_time of the parameter files",
        ["", "true", "false"],
    ),
    "namespace": ("", "Namespace of all nodes", None),
    "log_level": ("info", "Log level of the localizer", ["debug", "info", "warn", "error", "fatal"]),
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
    sim_time = [{"use_sim_time": given["use_sim_time"] == "true"}] if given["use_sim_time"] else []
    map_server = _map_server(given) if given["map_server"] == "true" else None
    if map_server:
        given["map"] = f"http://127.0.0.1:{given['map_server_port']}/{{z}}/{{x}}/{{y}}.png"
    localizer = LifecycleNode(
        package="xview_localizer",
        executable="localizer",
        name="localizer",
        namespace=given["namespace"],
        parameters=[_parameter_file(given["params_file"]), _overrides(given), *sim_time],
        remappings=[(topic, given[name]) for name, (topic, _) in TOPICS.items()],
        arguments=["--ros-args", "--log-level", f"{_logger(context, given)}:={given['log_level']}"],
        output="screen",
    )
    ekf = Node(
        package="robot_localization",
        executable="ekf_node",
        name="ekf_filter_node",
        namespace=given["namespace"],
        parameters=[_parameter_file(given["ekf_params_file"]), *sim_time],
        remappings=[("odom", given["odom"])],
        output="screen",
        condition=IfCondition(given["ekf"]),
    )
    return [*(_run_beside(map_server, localizer) if map_server else []), localizer, ekf]


def _map_server(given: dict[str, str]) -> ExecuteProcess:
    source = Path(given["map"]).expanduser()
    if not source.is_file():
        raise ValueError(f"map_server:=true serves a file, but map:={given['map']!r} is none")
    module = [sys.executable, "-m", "xview_localizer.cli"]  # its executable need not be on PATH
    command = [*module, "map-server", str(source), "--port", given["map_server_port"]]
    return ExecuteProcess(cmd=command, name="map_server", output="screen")


def _run_beside(helper: ExecuteProcess, node: LifecycleNode) -> list:
    """Actions that start `helper`, and end it with the node: alone it would keep the launch going."""
    end = EmitEvent(event=ShutdownProcess(process_matcher=matches_action(helper)))
    return [helper, RegisterEventHandler(OnProcessExit(target_action=node, on_exit=[end]))]


def _parameter_file(path: str) -> str:
    """launch_ros leaves a file out that does not exist; the node would run with defaults."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"parameter file {path} does not exist")
    return str(file)


def _overrides(given: dict[str, str]) -> dict:
    """Parameters that overrule params_file."""
    values = {"autostart": given["autostart"] == "true"}
    if given["map"]:
        # launch_ros reads plain text as YAML, where `map #2.tif` ends before the #.
        values["map.source"] = ParameterValue(given["map"], value_type=str)
    if given["transport"]:
        values["camera.transport"] = given["transport"]
    for name in ("latitude_deg", "longitude_deg"):
        if given[name]:
            try:
                values[f"datum.{name}"] = float(given[name])
            except ValueError:
                raise ValueError(f"{name}:={given[name]} is no number") from None
    return values


def _logger(context: LaunchContext, given: dict[str, str]) -> str:
    """Name of the localizer's logger, which contains the namespace."""
    pushed = context.launch_configurations.get("ros_namespace")  # by PushRosNamespace
    namespace = make_namespace_absolute(prefix_namespace(pushed, given["namespace"]))
    return ".".join(filter(None, [*namespace.split("/"), "localizer"]))
