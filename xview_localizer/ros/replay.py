"""A recorded drive played to the real node over DDS."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import rclpy

from xview_localizer.inputs.message_types import camera_of, kind_of
from xview_localizer.inputs.mountings import parameter_prefix
from xview_localizer.parameters.settings import Settings
from xview_localizer.parameters.table import Value
from xview_localizer.recordings.bag import TF_ROLES, BagError, BagReader, Drive, is_compressed, open_inputs
from xview_localizer.recordings.mountings_of_drive import with_mountings_of
from xview_localizer.records import ImageRecord
from xview_localizer.ros.bag_player import BagPlayer
from xview_localizer.ros.message_types import MESSAGE_TYPES, TFMessage, how_to_install
from xview_localizer.ros.node_process import NodeProcess

# A replay comes in bursts; however slow the machine, the sensors' messages are to count.
PATIENT_WAIT_SEC = 5.0
# Whatever the robot's own parameters are: every image that is taken is answered, as offline.
REPLAY_VALUES: dict[str, Value] = {"inputs.wait_sec": PATIENT_WAIT_SEC, "autostart": True}


def replay_drive(
    drive: Drive,
    values: Mapping[str, Value | None],
    rate: float | None = None,
    on_record: Callable[[ImageRecord], None] = lambda record: None,
    on_doubt: Callable[[str], None] = lambda doubt: None,
) -> list[ImageRecord]:
    """Play a drive to the node (started here, with parameters `values`) and collect its answers.

    `rate` is the speed as a factor of that of the recording; images may then be dropped as on a robot. None is in
    lockstep: the next image waits for the answer to the last one, so that no machine is too slow. `on_record` is called
    with each answer as it comes, `on_doubt` with each doubt that the node has at the drive's end. Where tf2_msgs is not
    installed, the node gets the recording's TF as parameters.
    Raises BagError, ReplayError, SettingsError.
    """
    values = values if TFMessage is not None else with_mountings_of(drive, values)
    settings = Settings.from_values(values)
    context = rclpy.Context()
    rclpy.init(context=context)
    try:
        with open_inputs(drive, settings) as bag:
            _require_types(bag)
            remaps = {
                f"{role}/compressed" if is_compressed(type_name) else role: drive.topics[role]
                for role, type_name in bag.types.items()
                if role not in TF_ROLES
            }
            node_values = dict(values) | transports(bag.types) | REPLAY_VALUES
            with (
                NodeProcess(node_values, remaps) as process,
                BagPlayer(context, drive.topics, bag.types, process, on_record) as player,
            ):
                player.publish_static_transforms(bag)
                player.await_node()
                player.play(bag, rate, settings)
                for doubt in player.doubts():
                    on_doubt(doubt)
                return player.records
    finally:
        context.try_shutdown()


def transports(types: Mapping[str, str]) -> dict[str, Value]:
    """The parameters by which the node takes the images of a recording: raw or compressed."""
    return {
        f"{parameter_prefix(camera_of(role))}.transport": "compressed" if is_compressed(type_name) else "raw"
        for role, type_name in types.items()
        if kind_of(role) == "image"
    }


def _require_types(bag: BagReader) -> None:
    """Raise BagError where a sensor's messages cannot be published; without TF there are parameters."""
    for role, type_name in bag.types.items():
        if role not in TF_ROLES and type_name not in MESSAGE_TYPES:
            raise BagError(
                f"{role} is {type_name}, and {how_to_install(type_name)}; `evaluate --bag` does without ROS"
            )
