"""A recorded drive played in simulated time to the localizer.

ros2 launch xview_localizer replay.launch.py drive:=/data/drive

The topics of several cameras are given as front/image:=/front/image_raw and so on, where their names do not tell.
"""

import tempfile
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit, OnShutdown
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from xview_localizer.parameters.file import parameter_file_text, read_parameter_file
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import ROLES, open_inputs
from xview_localizer.recordings.drives import open_drive
from xview_localizer.ros.launch_topics import camera_arguments, topic_arguments
from xview_localizer.ros.replay import transports

LOCALIZE = Path(get_package_share_directory("xview_localizer")) / "launch" / "localize.launch.py"
ANSWER_SEC = 3.0  # for the node to process the last images after the bag has ended
# name: (default, description, choices); without a default (None) the argument is required.
ARGUMENTS = {
    "drive": (None, "Folder with drive.yaml and the recording it names, or any recording", None),
    "params_file": ("", "The robot's own parameter file; it overrules drive.yaml", None),
    **{
        role: ("", f"Topic of {role}; empty: that of drive.yaml, or the only one of its type", None)
        for role in ROLES
    },
    "rate": ("1.0", "Speed of the replay", None),
    "start_delay_sec": ("8.0", "Wait before playing, so that the node has loaded its model", None),
    "map_server": ("false", "Serve the drive's map over HTTP instead of reading the file", ["true", "false"]),
    "ekf": ("false", "Fuse poses and odometry with robot_localization's ekf_node", ["true", "false"]),
}


def generate_launch_description() -> LaunchDescription:
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description, choices=choices)
        for name, (default, description, choices) in ARGUMENTS.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_actions)])


def _actions(context: LaunchContext) -> list:
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    file = given["params_file"]
    parameters = read_parameter_file(Path(file).expanduser()) if file else None
    topics = {role: given[role] for role in ROLES if given[role]}
    topics |= camera_arguments(context.launch_configurations)
    drive = open_drive(Path(given["drive"]).expanduser(), parameters, topics)
    with open_inputs(drive, Settings.from_values(drive.values)) as bag:
        types = bag.types
    with tempfile.NamedTemporaryFile("w", prefix="localizer_", suffix=".yaml", delete=False) as parameters:
        parameters.write(parameter_file_text(drive.values | transports(types)))
    arguments = topic_arguments(drive.topics, types) | {
        "params_file": parameters.name,
        "map": str(drive.values["map.source"]),
        "map_server": given["map_server"],
        "ekf": given["ekf"],
        "ekf_publish_tf": "false",  # it would need odom → base_link, which few recordings hold
        "use_sim_time": "true",
    }
    play = ExecuteProcess(
        cmd=[
            "ros2",
            "bag",
            "play",
            str(drive.bag),
            "--clock",
            "--rate",
            given["rate"],
            "--delay",
            given["start_delay_sec"],
            "--disable-keyboard-controls",
        ],
        name="bag_play",
        output="screen",
    )
    return [
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(LOCALIZE)), launch_arguments=arguments.items()
        ),
        play,
        RegisterEventHandler(OnProcessExit(target_action=play, on_exit=_end_after_the_last_answers)),
        RegisterEventHandler(OnProcessExit(on_exit=_end_with_a_failure)),
        RegisterEventHandler(
            OnShutdown(on_shutdown=lambda *_: Path(parameters.name).unlink(missing_ok=True))
        ),
    ]


def _end_after_the_last_answers(event: ProcessExited, context: LaunchContext) -> list:
    """End the launch once the bag has been played."""
    return [] if context.is_shutdown else [TimerAction(period=ANSWER_SEC, actions=[_end(event)])]


def _end_with_a_failure(event: ProcessExited, context: LaunchContext) -> list:
    """End the launch with any process that failed; what waits for the first pose ends well before the bag does."""
    return [_end(event)] if event.returncode and not context.is_shutdown else []


def _end(event: ProcessExited) -> EmitEvent:
    return EmitEvent(event=Shutdown(reason=f"{event.process_name} has ended"))
