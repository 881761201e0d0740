"""Topic names in the launch files, for one camera and for several."""

import pytest

from xview_localizer.ros.launch_topics import (
    TopicError,
    camera_arguments,
    camera_remappings,
    topic_arguments,
)

# The default values of the launch arguments of a single camera.
DEFAULTS = {"image": "image", "compressed_image": "image/compressed", "camera_info": "camera_info"}


def test_one_camera():
    given = DEFAULTS | {"image": "/cam/image_raw"}
    assert camera_remappings((), given) == [
        ("image", "/cam/image_raw"),
        ("image/compressed", "/cam/image_raw/compressed"),
        ("camera_info", "camera_info"),
    ]


def test_compressed_images_come_below_the_raw_ones_unless_they_are_named():
    """image_transport publishes compressed images below the topic of the raw ones."""
    given = DEFAULTS | {"image": "/cam/image_raw", "compressed_image": "/cam/jpeg"}
    assert dict(camera_remappings((), given))["image/compressed"] == "/cam/jpeg"
    given = DEFAULTS | {"front/image": "/front/raw"}
    assert dict(camera_remappings(("front",), given))["front/image/compressed"] == "/front/raw/compressed"
    assert dict(camera_remappings((), DEFAULTS))["image/compressed"] == "image/compressed"


def test_several_cameras_have_topics_of_their_own():
    given = {"left/compressed_image": "/left/jpeg", "map": "/a/b.tif", "left/camera_info": "/left/info"}
    assert dict(camera_remappings(("front", "left"), DEFAULTS | given)) == {
        "front/image": "front/image",
        "front/image/compressed": "front/image/compressed",
        "front/camera_info": "front/camera_info",
        "left/image": "left/image",
        "left/image/compressed": "/left/jpeg",
        "left/camera_info": "/left/info",
    }


@pytest.mark.parametrize(
    ("cameras", "given", "complaint"),
    [
        (("front", "left"), {"fornt/image": "/a"}, "fornt/image:= is of no camera .* its cameras are front, left"),
        ((), {"front/image": "/a"}, "is of no camera .* names none .* a single camera takes image:="),
        (("front", "left"), {"image": "/a"}, "image:= is of one camera.* give front/image:="),
    ],
)  # fmt: skip
def test_topics_of_no_camera_are_refused(cameras, given, complaint):
    with pytest.raises(TopicError, match=complaint):
        camera_remappings(cameras, DEFAULTS | given)


def test_a_recording_s_topics_become_arguments():
    compressed, raw = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image"
    topics = {"front/image": "/f", "left/image": "/l", "left/camera_info": "/i", "fix": "/fix"}
    types = {
        "front/image": compressed,
        "left/image": raw,
        "left/camera_info": "sensor_msgs/msg/CameraInfo",
        "fix": "sensor_msgs/msg/NavSatFix",
    }
    arguments = topic_arguments(topics, types)
    assert arguments == {
        "front/compressed_image": "/f", "left/image": "/l", "left/camera_info": "/i", "fix": "/fix",
    }  # fmt: skip
    assert camera_arguments(arguments | {"params_file": "/a/image"}).keys() == arguments.keys() - {"fix"}
    assert topic_arguments({"image": "/f"}, {"image": compressed}) == {"compressed_image": "/f"}


def test_a_recording_s_transforms_in_a_namespace_become_arguments():
    """A player publishes them under their recorded names."""
    topics = {"tf": "/robot1/tf", "tf_static": "/robot1/tf_static"}
    assert topic_arguments(topics, {}) == topics
