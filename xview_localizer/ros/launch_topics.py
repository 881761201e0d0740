"""The topics of the launch files: one camera's by declared arguments, those of several by NAME/image and the like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xview_localizer.inputs.message_types import kind_of
from xview_localizer.inputs.mountings import ONLY_CAMERA
from xview_localizer.recordings.bag import TF_ROLES, is_compressed

# argument: topic of the node, of each camera
CAMERA_TOPICS = {"image": "image", "compressed_image": "image/compressed", "camera_info": "camera_info"}


class TopicError(ValueError):
    """An argument of a launch file is of a camera that params_file does not have."""


def camera_arguments(given: Mapping[str, str]) -> dict[str, str]:
    """Of all arguments, those that name a topic of one of several cameras, as front/image does."""
    return {
        name: topic
        for name, topic in given.items()
        if "/" in name and name.partition("/")[2] in CAMERA_TOPICS
    }


def camera_remappings(cameras: Sequence[str], given: Mapping[str, str]) -> list[tuple[str, str]]:
    """Topics of the node and those that the arguments `given` name in their place; () is one camera.

    Compressed images that are not named come where image_transport publishes them: below the raw ones. Raises
    TopicError.
    """
    unknown = sorted(name for name in camera_arguments(given) if name.partition("/")[0] not in cameras)
    if unknown:
        known = (
            f"its cameras are {', '.join(cameras)}"
            if cameras
            else f"it names none in `cameras`, and a single camera takes {unknown[0].partition('/')[2]}:="
        )
        raise TopicError(f"{unknown[0]}:= is of no camera of params_file; {known}")
    moved = [
        name for name, topic in CAMERA_TOPICS.items() if cameras and given.get(name) not in (None, "", topic)
    ]
    if moved:
        raise TopicError(
            f"{moved[0]}:= is of one camera, but params_file names several; give {cameras[0]}/{moved[0]}:= and so on"
        )
    return [
        remapping
        for prefix in ([f"{camera}/" for camera in cameras] if cameras else [ONLY_CAMERA])
        for remapping in _of_one_camera(prefix, given)
    ]


def _of_one_camera(prefix: str, given: Mapping[str, str]) -> list[tuple[str, str]]:
    """Topics of the camera whose names begin with `prefix`, and those in their place."""
    usual = {argument: f"{prefix}{topic}" for argument, topic in CAMERA_TOPICS.items()}
    named = {argument: given.get(f"{prefix}{argument}") or topic for argument, topic in usual.items()}
    if named["compressed_image"] == usual["compressed_image"]:
        named["compressed_image"] = f"{named['image']}/compressed"
    return [(usual[argument], named[argument]) for argument in CAMERA_TOPICS]


def topic_arguments(topics: Mapping[str, str], types: Mapping[str, str]) -> dict[str, str]:
    """The arguments of localize.launch.py for a recording: its topics by role, and the ROS types of its inputs."""
    transforms = {role: topics[role] for role in TF_ROLES if topics.get(role)}
    return transforms | {
        f"{role.removesuffix('image')}compressed_image"
        if kind_of(role) == "image" and is_compressed(type_name)
        else role: topics[role]
        for role, type_name in types.items()
    }
