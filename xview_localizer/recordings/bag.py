"""Reading the messages of a recording (of ROS 2 or ROS 1) by their role, without ROS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.convert.converter import migrate_message
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore

from xview_localizer.inputs.camera_info_file import replaced_inputs
from xview_localizer.inputs.message_types import CAMERA_INPUTS, ROLES, camera_of, input_of, kind_of
from xview_localizer.parameters.settings import Settings
from xview_localizer.parameters.table import Value
from xview_localizer.recordings.bag_advice import advice, unmerged_journal

# Images are handed over this long after they were recorded, so that the sensors have reached their stamps by then.
IMAGE_DELAY_SEC = 0.5

# Transforms are read where the caller asks for them, from these topics unless drive.yaml names others.
TF_TYPES = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")
TF_ROLES = {"tf_static": TF_TYPES, "tf": TF_TYPES}
ROLES_AND_TF = ROLES | TF_ROLES
TF_TOPICS = {"tf_static": "/tf_static", "tf": "/tf"}
REQUIRED_ROLES = ("image", "camera_info", "fix")
# The reference poses of a drive, by any sensor: drives are judged by them and used for training with them.
REFERENCE_ROLES = {
    "reference": (
        "geometry_msgs/msg/PoseStamped",
        "geometry_msgs/msg/PoseWithCovarianceStamped",
        "nav_msgs/msg/Odometry",
        "sensor_msgs/msg/NavSatFix",
    ),
}

# Types whose name differs between ROS 1 and ROS 2.
RENAMED = {TF_TYPES[1]: TF_TYPES[0]}
_STORE = get_typestore(Stores.ROS2_JAZZY)


class BagError(ValueError):
    """A drive cannot be read; the message names the file and what to do."""


@dataclass(frozen=True)
class Drive:
    """A recording, the topics of its roles, the settings that its robot needs, its name and the folder of its truth."""

    bag: Path
    topics: dict[str, str]
    values: dict[str, Value | None]
    folder: Path
    name: str


@dataclass(frozen=True)
class BagMessage:
    """One recorded message: its role, ROS type, serialized bytes (CDR, of ROS 1 too), and when it was recorded."""

    role: str
    type_name: str
    cdr: bytes
    recorded_ns: int

    @property
    def camera(self) -> str:
        """The camera of an image or CameraInfo; empty where there is only one."""
        return camera_of(self.role)

    @property
    def kind(self) -> str:
        """The role, of whichever camera."""
        return kind_of(self.role)


def is_compressed(type_name: str) -> bool:
    """Whether images of this ROS type are CompressedImage."""
    return type_name.endswith("CompressedImage")


def camera_topics(topics: Mapping[str, str]) -> list[str]:
    """Names of several cameras that have topics, in order."""
    return list(dict.fromkeys(camera_of(role) for role in topics if "/" in role))


def listed(recorded: Sequence[tuple[str, str]]) -> str:
    """Topics and their types, one a line."""
    return "\n".join(f"  {topic} ({type_name})" for topic, type_name in recorded)


class BagReader:
    """Messages of a recording by role. A context manager. All methods raise BagError.

    `roles` names the types that each role may have (front/image, of one of several cameras, has those of image),
    `required` those without which there is nothing to read.

    On altered bytes rosbags raises whatever they lead it into, OverflowError and MemoryError among others.
    """

    def __init__(
        self,
        bag: Path | str,
        topics: dict[str, str],
        roles: Mapping[str, tuple[str, ...]] = ROLES,
        required: Sequence[str] = REQUIRED_ROLES,
    ) -> None:
        self._bag = Path(bag)
        if journal := unmerged_journal(self._bag):
            raise BagError(
                f"{bag} was not ended properly: messages are still in {journal.name}, which would be left out; run "
                f"`sqlite3 {journal.name.removesuffix('-wal')} 'PRAGMA wal_checkpoint(TRUNCATE)'` beside it"
            )
        try:
            self._reader = AnyReader([self._bag], default_typestore=_STORE)
            self._reader.open()
        except Exception as error:
            raise BagError(
                f"{bag} is no readable recording: {error!r:.300}; {advice(self._bag, error)}"
            ) from error
        self._connections = {}
        self._migrations: dict[str, object] = {}
        try:
            for role in [*roles, *(role for role in topics if "/" in role)]:
                found = self._connections_of(role, topics.get(role), roles.get(kind_of(role), ()))
                self._connections.update({connection.id: (role, connection) for connection in found})
        except BagError:
            self._reader.close()
            raise
        missing = self._missing(topics, required)
        if missing:
            recorded = listed(self.recorded_topics)
            self._reader.close()
            if not recorded:
                raise BagError(f"{bag} holds no topics; was the recorder told which, and did they publish?")
            by_file = any(kind_of(role) == "camera_info" for role in missing)
            raise BagError(
                f"{bag} has no topic for {', '.join(sorted(missing))}; name it in drive.yaml or by "
                f"--topic INPUT:=TOPIC{', or give a calibration file as camera.info_file' if by_file else ''}. "
                f"There are:\n{recorded}"
            )

    def _connections_of(self, role: str, topic: str | None, types: Sequence[str]) -> list[Connection]:
        """What the recording has of a topic; BagError where its type cannot be of that role, or is not defined."""
        of_topic = [connection for connection in self._reader.connections if connection.topic == topic]
        found = [connection for connection in of_topic if connection.msgtype in types]
        if of_topic and not found and types and kind_of(role) in ROLES:
            raise BagError(
                f"{self._bag}: {topic} is {of_topic[0].msgtype}, and {role} takes {' or '.join(types)}; name another "
                f"topic, or none (--topic {role}:=)"
            )
        for connection in found:
            if self._reader.is2 and connection.msgtype not in self._reader.typestore.fielddefs:
                raise BagError(
                    f"{self._bag} lacks the definition of {connection.msgtype}; `ros2 bag convert` adds it, on a "
                    "robot that has the package"
                )
        return found

    def _missing(self, topics: Mapping[str, str], required: Sequence[str]) -> set[str]:
        """Required roles that are not there; of several cameras, each must have its own."""
        found = {role for role, _ in self._connections.values()}
        wanted = {role for role in topics if "/" in role and kind_of(role) in required}
        return (wanted | (set(required) - {kind_of(role) for role in wanted})) - found

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    @property
    def types(self) -> dict[str, str]:
        """ROS type of each role that the recording has."""
        return {role: _type_name(connection) for role, connection in self._connections.values()}

    @property
    def recorded_topics(self) -> list[tuple[str, str]]:
        """Topic and ROS type of everything in the recording."""
        return [(connection.topic, connection.msgtype) for connection in self._reader.connections]

    def messages(self) -> Iterator[BagMessage]:
        """All messages in the order of recording, images IMAGE_DELAY_SEC later than the rest.

        Static transforms come before all others: they hold for all time, and a robot has them from the start.
        """
        yield from self._recorded(lambda role: role == "tf_static")
        late: list[BagMessage] = []
        for message in self._recorded(lambda role: role != "tf_static"):
            while late and late[0].recorded_ns + IMAGE_DELAY_SEC * 1e9 < message.recorded_ns:
                yield late.pop(0)
            if message.kind == "image":
                late.append(message)
            else:
                yield message
        yield from late

    def decode(self, message: BagMessage) -> Any:
        """The message's fields, named as in ROS."""
        try:
            store = self._reader.typestore if self._reader.is2 else _STORE
            return store.deserialize_cdr(message.cdr, message.type_name)
        except Exception as error:
            raise BagError(f"{self._bag} is damaged, a message of {message.role}: {error!r}") from error

    def _recorded(self, wanted: Callable[[str], bool]) -> Iterator[BagMessage]:
        connections = [connection for role, connection in self._connections.values() if wanted(role)]
        if not connections:
            return  # rosbags takes an empty list for all of them
        empty = {connection.topic for connection in connections if connection.msgcount}
        try:
            for connection, recorded_ns, data in self._reader.messages(connections):
                role = self._connections[connection.id][0]
                cdr = bytes(data) if self._reader.is2 else self._cdr_of_ros1(data, connection.msgtype)
                empty.discard(connection.topic)
                yield BagMessage(role, _type_name(connection), cdr, recorded_ns)
        except Exception as error:
            raise BagError(f"{self._bag} is damaged: {error!r}") from error
        if empty:  # rosbags passes over topics that metadata.yaml gives another QoS than the recording itself
            raise BagError(
                f"{self._bag} holds messages of {', '.join(sorted(empty))} by its metadata.yaml, but none can be read: "
                "was it edited? Run `ros2 bag reindex` on it, or give the .mcap or .db3 file itself"
            )

    def _cdr_of_ros1(self, data: bytes, type_name: str) -> bytes:
        """A message of ROS 1 as ROS 2 has it: fields of other names (D, K) and none of `seq`."""
        message, ros2_name = self._reader.deserialize(data, type_name), RENAMED.get(type_name, type_name)
        migrated = migrate_message(
            self._reader.typestore, _STORE, type_name, ros2_name, self._migrations, message
        )
        return bytes(_STORE.serialize_cdr(migrated, ros2_name))


def _type_name(connection: Connection) -> str:
    """The ROS 2 type of a connection's messages."""
    return RENAMED.get(connection.msgtype, connection.msgtype)


def open_inputs(drive: Drive, settings: Settings) -> BagReader:
    """What the node takes of a drive, with transforms. Raises BagError where something that it needs is missing.

    The CameraInfo of a camera with a calibration file is neither read nor missed.
    """
    replaced = replaced_inputs(settings.values, settings.cameras)
    topics = {role: topic for role, topic in drive.topics.items() if role not in replaced}
    of_cameras = {input_of(camera, kind) for camera in settings.cameras for kind in CAMERA_INPUTS}
    return BagReader(drive.bag, topics, ROLES_AND_TF, sorted({*of_cameras, "fix"} - replaced))
