"""The localizer, with an optional map server and an optional EKF.

ros2 launch xview_localizer localize.launch.py params_file:=my_robot.yaml map:=/data/orthophoto.tif

Where params_file names several cameras, each has its own topics: front/image:=/front/image_raw and so on.
"""

import re
import sys
from collections.abc import Callable, Sequence
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
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.events import Shutdown, matches_action
from launch.events.process import ProcessExited, ProcessIO, ShutdownProcess
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from xview_localizer.parameters.file import read_parameter_file
from xview_localizer.ros.launch_topics import camera_arguments, camera_remappings

CONFIG = Path(get_package_share_directory("xview_localizer")) / "config"
SEVERAL = "of several cameras of params_file, NAME/"
# argument: (topic of the node, description); those of several cameras cannot be declared before params_file is read
CAMERA_TOPICS = {
    "image": ("image", f"Camera images (sensor_msgs/Image), read with transport:=raw; {SEVERAL}image"),
    "compressed_image": (
        "image/compressed",
        "Camera images (CompressedImage), read with transport:=compressed; by default image:= with /compressed behind "
        f"it; {SEVERAL}compressed_image",
    ),
    "camera_info": ("camera_info", f"Calibration of the camera; {SEVERAL}camera_info"),
}
SENSOR_TOPICS = {
    "fix": ("fix", "GNSS positions"),
    "odom": ("odom", "Wheel or visual odometry; optional"),
    "imu": ("imu", "IMU that levels the images; optional"),
}
# Absolute names, as tf2 has them: on a robot with a namespace they are often below it.
TF_TOPICS = {
    "tf": ("/tf", "Transforms; such as /robot1/tf where the robot publishes them in a namespace"),
    "tf_static": ("/tf_static", "Static transforms, likewise"),
}
TOPICS = CAMERA_TOPICS | SENSOR_TOPICS | TF_TOPICS
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
    "map_server_port": ("0", "TCP port of the map server; 0: a free one", None),
    "autostart": (
        "true",
        "Configure and activate the node; false leaves that to a lifecycle manager",
        ["true", "false"],
    ),
    "ekf": ("false", "Fuse poses and odometry with robot_localization's ekf_node", ["true", "false"]),
    "ekf_params_file": (str(CONFIG / "ekf.yaml"), "Parameter file of the EKF", None),
    "ekf_publish_tf": (
        "",
        "Let the EKF broadcast map → odom, which needs odom → base_link; empty: publish_tf of ekf_params_file",
        ["", "true", "false"],
    ),
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
    given |= camera_arguments(context.launch_configurations)
    sim_time = [{"use_sim_time": given["use_sim_time"] == "true"}] if given["use_sim_time"] else []
    file = _parameter_file(given["params_file"])
    cameras = read_parameter_file(file).get("cameras", ())
    remappings = [*_remappings(SENSOR_TOPICS | TF_TOPICS, given), *camera_remappings(cameras, given)]
    parameters = [file, _overrides(given, cameras), *sim_time]
    ekf = _after_first_pose(context, given, sim_time) if given["ekf"] == "true" else []
    if given["map_server"] == "true":
        return [*_served(context, given, parameters, remappings), *ekf]
    return [_localizer(context, given, parameters, remappings), *ekf]


def _remappings(topics: dict[str, tuple[str, str]], given: dict[str, str]) -> list[tuple[str, str]]:
    """Topics of a node, and those given in their place."""
    return [(topic, given[name] or topic) for name, (topic, _) in topics.items()]


def _localizer(
    context: LaunchContext, given: dict[str, str], parameters: list, remappings: list[tuple[str, str]]
) -> LifecycleNode:
    logger = ".".join([*filter(None, _namespace(context, given).split("/")), "localizer"])
    return LifecycleNode(
        package="xview_localizer",
        executable="localizer",
        name="localizer",
        namespace=given["namespace"],
        parameters=parameters,
        remappings=remappings,
        arguments=["--ros-args", "--log-level", f"{logger}:={given['log_level']}"],
        output="screen",
    )


def _served(
    context: LaunchContext, given: dict[str, str], parameters: list, remappings: list[tuple[str, str]]
) -> list:
    """The map server, and the localizer, which starts once the server serves. Each of them ends with the other."""
    source = Path(given["map"]).expanduser()
    if not source.is_file():
        raise ValueError(f"map_server:=true serves a file, but map:={given['map']!r} is not a file")
    module = [sys.executable, "-m", "xview_localizer.cli.main"]  # its executable need not be on PATH
    command = [*module, "map-server", str(source), "--port", given["map_server_port"]]
    server = ExecuteProcess(cmd=command, name="map_server", output="screen")
    needed = True

    def start(address: str) -> list:
        source = {"map.source": ParameterValue(address, value_type=str)}
        localizer = _localizer(context, given, [*parameters, source], remappings)
        return [localizer, RegisterEventHandler(OnProcessExit(target_action=localizer, on_exit=end_server))]

    def end_server(event: ProcessExited, context: LaunchContext) -> EmitEvent:
        """End the server with the localizer; otherwise the launch would not end."""
        nonlocal needed
        needed = False
        return EmitEvent(event=ShutdownProcess(process_matcher=matches_action(server)))

    def server_ended(event: ProcessExited, context: LaunchContext) -> EmitEvent | None:
        if context.is_shutdown or not needed:
            return None
        return EmitEvent(event=Shutdown(reason="the map server has ended"))

    return [
        server,
        _on_first_line(server, r"serving .* as (\S+)\s", start),
        RegisterEventHandler(OnProcessExit(target_action=server, on_exit=server_ended)),
    ]


def _after_first_pose(context: LaunchContext, given: dict[str, str], sim_time: list[dict]) -> list:
    """The EKF, started at the localizer's first pose; started earlier, it would jump from the datum to that pose."""
    file = _parameter_file(given["ekf_params_file"])
    tf = [{"publish_tf": given["ekf_publish_tf"] == "true"}] if given["ekf_publish_tf"] else []
    command = [sys.executable, "-m", "xview_localizer.ros.first_pose"]
    command += ["--ros-args", "-r", f"__ns:={_namespace(context, given)}"]
    waiting = ExecuteProcess(cmd=command, name="first_pose", output="screen")

    def start(pose: str) -> list:
        x_m, y_m, yaw_rad = map(float, pose.split())
        state = [x_m, y_m, 0.0, 0.0, 0.0, yaw_rad, *[0.0] * 9]
        ekf = Node(
            package="robot_localization",
            executable="ekf_node",
            name="ekf_filter_node",
            namespace=given["namespace"],
            parameters=[file, {"initial_state": state}, *tf, *sim_time],
            remappings=[("odom", given["odom"]), *_remappings(TF_TOPICS, given)],
            output="screen",
        )
        return [ekf]

    return [waiting, _on_first_line(waiting, r"first pose: (\S+ \S+ \S+)\s", start)]


def _on_first_line(
    process: ExecuteProcess, pattern: str, start: Callable[[str], list]
) -> RegisterEventHandler:
    """Call `start` with the group captured by `pattern`, once it is found in the output of `process`."""
    output, started = "", False

    def look(event: ProcessIO) -> list | None:
        nonlocal output, started
        if started:
            return None
        output += event.text.decode(errors="replace")
        found = re.search(pattern, output)
        started = found is not None
        return start(found[1]) if found else None

    return RegisterEventHandler(OnProcessIO(target_action=process, on_stdout=look))


def _parameter_file(path: str) -> str:
    """Path of a parameter file. Raises FileNotFoundError: launch_ros would ignore a missing file silently."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"parameter file {path} does not exist")
    return str(file)


def _overrides(given: dict[str, str], cameras: Sequence[str]) -> dict:
    """Parameters that overrule params_file."""
    values = {"autostart": given["autostart"] == "true"}
    if given["map"]:
        # launch_ros reads plain text as YAML, where `map #2.tif` ends before the #.
        values["map.source"] = ParameterValue(given["map"], value_type=str)
    if given["transport"]:
        values |= {f"camera.{camera}.transport": given["transport"] for camera in cameras}
        values["camera.transport"] = given["transport"]
    for name in ("latitude_deg", "longitude_deg"):
        if given[name]:
            try:
                values[f"datum.{name}"] = float(given[name])
            except ValueError:
                raise ValueError(f"{name}:={given[name]} is not a number") from None
    return values


def _namespace(context: LaunchContext, given: dict[str, str]) -> str:
    """Absolute namespace of the nodes, including that pushed by an enclosing launch file."""
    pushed = context.launch_configurations.get("ros_namespace")  # by PushRosNamespace
    return make_namespace_absolute(prefix_namespace(pushed, given["namespace"])) or "/"
