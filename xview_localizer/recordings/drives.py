"""Opening a drive as a user gives it: a folder with drive.yaml or a bare recording, and the robot's parameter file.

Topics that are not named are found by their type where only one topic has it; otherwise the error asks for them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from xview_localizer.inputs import messages
from xview_localizer.inputs.camera_info_file import replaced_inputs
from xview_localizer.inputs.message_types import (
    CAMERA_INPUTS,
    ONLY_WHERE_NAMED,
    ROLES,
    camera_of,
    input_of,
    kind_of,
)
from xview_localizer.inputs.mountings import ONLY_CAMERA
from xview_localizer.parameters.table import SETTINGS, Value
from xview_localizer.recordings.bag import (
    REQUIRED_ROLES,
    ROLES_AND_TF,
    TF_TOPICS,
    BagError,
    BagReader,
    Drive,
    camera_topics,
    listed,
)
from xview_localizer.recordings.drive_file import read_drive

# Suffixes that image_transport appends to the topic of the raw images.
COMPRESSED, DEPTH = "/compressed", "/compressedDepth"
NO_TOPIC = ""  # given for a role that is to be left out
# Topics of the node that have an input's type. A recording of all topics holds them beside the inputs.
OWN_OUTPUTS = ("/localizer/fix", "/localizer/debug/image")
# Where the values that must be given stand in a parameter file, to copy and correct.
EXAMPLE = """
/**:
  ros__parameters:
    datum: {{latitude_deg: {latitude_deg:.6f}, longitude_deg: {longitude_deg:.6f}}}
    map: {{source: /data/orthophoto.tif}}
    camera: {{height_m: 1.6}}"""
EXAMPLE_DATUM_DEG = 48.137, 11.575  # latitude and longitude where the recording has no position


def open_drive(
    path: Path, parameters: Mapping[str, Value] | None = None, topics: Mapping[str, str] | None = None
) -> Drive:
    """The drive of a folder with drive.yaml, or a recording; `parameters` and `topics` overrule drive.yaml.

    Raises BagError.
    """
    if path.name == "metadata.yaml":  # rosbag2's own, which stands for its folder
        path = path.parent
    described = path.suffix == ".yaml" or (path / "drive.yaml").is_file()
    drive = read_drive(path) if described else Drive(path, dict(TF_TOPICS), {}, path.parent, path.stem)
    values: dict[str, Value | None] = {**drive.values, **(parameters or {})}
    given = drive.topics | dict(topics or {})
    named = values.get("cameras")
    cameras = [str(name) for name in named] if isinstance(named, Sequence) and named else camera_topics(given)
    if cameras:
        values["cameras"] = tuple(cameras)
    roles = _roles(cameras)
    unknown = set(topics or {}) - set(roles)
    if unknown:
        raise BagError(f"there is no input {', '.join(sorted(unknown))}; they are {', '.join(roles)}")
    for role in replaced_inputs(values, cameras or [ONLY_CAMERA]):
        del roles[role]
    found = _find_topics(drive.bag, given, roles)
    drive = replace(drive, topics=found, values=values)
    missing = [name for name, setting in SETTINGS.items() if setting.required and values.get(name) is None]
    if missing:
        raise BagError(_what_is_missing(drive, missing))
    return drive


def _roles(cameras: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Types of each role: of several cameras, each has an image and a CameraInfo."""
    if not cameras:
        return dict(ROLES_AND_TF)
    own = {input_of(camera, kind): ROLES[kind] for camera in cameras for kind in CAMERA_INPUTS}
    return own | {role: types for role, types in ROLES_AND_TF.items() if role not in CAMERA_INPUTS}


def _find_topics(bag: Path, given: Mapping[str, str], roles: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The topic of each role: the given one, or the only one that fits.

    Raises BagError where a given topic was not recorded, or several fit.
    """
    with BagReader(bag, {}, required=()) as reader:
        recorded = reader.recorded_topics
    given = _without_missing_tf(given, {topic for topic, _ in recorded})
    _require_recorded(bag, recorded, given, roles)
    found = {role: topic for role, topic in given.items() if topic != NO_TOPIC and role in roles}
    questions = []
    for role, types in roles.items():
        if role in given:
            continue
        usual = set(types).difference(ONLY_WHERE_NAMED)
        of_type = {topic for topic, type_name in recorded if type_name in usual}
        of_type = {topic for topic in of_type if not topic.endswith(OWN_OUTPUTS)}
        candidates = _candidates(role, sorted(of_type), found)
        if len(candidates) == 1:
            found[role] = candidates[0]
        elif candidates:
            choices = [f"--topic {role}:={topic}" for topic in candidates]
            without = [] if kind_of(role) in REQUIRED_ROLES else [f"--topic {role}:=   (without {role})"]
            questions += [f"{role} may be one of {len(candidates)} topics; add one of", *choices, *without]
    if questions:
        raise BagError(f"{bag}: " + "\n  ".join(questions))
    return found


def _without_missing_tf(given: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """`given`, without usual topics of TF that a robot with a namespace has in its namespace instead."""
    return {
        role: topic
        for role, topic in given.items()
        if topic != TF_TOPICS.get(role) or topic in names or not any(name.endswith(topic) for name in names)
    }


def _require_recorded(
    bag: Path, recorded: Sequence[tuple[str, str]], given: Mapping[str, str], roles: Collection[str]
) -> None:
    """Raise BagError where a given topic was not recorded; the usual topics of TF may be missing."""
    names = {topic for topic, _ in recorded}
    for role, topic in given.items():
        if role in roles and topic not in (*names, NO_TOPIC, TF_TOPICS.get(role)):
            raise BagError(f"{bag} has no topic {topic} for {role}. There are:\n{listed(recorded)}")


def _candidates(role: str, of_type: Sequence[str], found: Mapping[str, str]) -> list[str]:
    """The topics `of_type` that may be meant by a role; `found` are the topics of the roles before it.

    Of several cameras, each takes the topics whose names hold its own, if there are any.
    """
    camera, kind = camera_of(role), kind_of(role)
    if role in TF_TOPICS:  # both topics of TF have one type
        return [topic for topic in of_type if topic.endswith(TF_TOPICS[role])]
    image = found.get(input_of(camera, "image"))
    if kind == "camera_info" and image and _info_beside(image) in of_type:
        return [_info_beside(image)]
    candidates = [topic for topic in of_type if camera in topic] or list(of_type)
    return _one_for_each_camera(candidates) if kind == "image" else candidates


def _one_for_each_camera(topics: Sequence[str]) -> list[str]:
    """Topics of images, without depth images and without compressed copies of raw images."""
    images = [topic for topic in topics if not topic.endswith(DEPTH)]
    return [t for t in images if not t.endswith(COMPRESSED) or t.removesuffix(COMPRESSED) not in images]


def _info_beside(image: str) -> str:
    """The CameraInfo of an image topic: by image_transport's convention it lies in the same namespace."""
    return image.removesuffix(COMPRESSED).rsplit("/", 1)[0] + "/camera_info"


def _what_is_missing(drive: Drive, missing: Sequence[str]) -> str:
    """The values that are missing, and a parameter file that gives them, with the first position as the datum."""
    latitude_deg, longitude_deg = EXAMPLE_DATUM_DEG
    with BagReader(drive.bag, drive.topics, required=()) as bag:
        for recorded in bag.messages():
            if recorded.role != "fix":
                continue
            try:
                fix = messages.position_from_nav_sat_fix(bag.decode(recorded), default_sigma_m=1.0)
            except messages.MessageError:
                continue
            latitude_deg, longitude_deg = fix.latitude_deg, fix.longitude_deg
            break
    example = EXAMPLE.format(latitude_deg=latitude_deg, longitude_deg=longitude_deg)
    return f"{drive.bag} lacks {', '.join(missing)}; give the robot's --params-file, which may be as short as{example}"
