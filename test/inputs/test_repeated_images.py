"""A camera that has hung repeats an image while the robot drives on; one that stands may."""

from types import SimpleNamespace as Message

import pytest

from xview_localizer.inputs.messages import MessageError
from xview_localizer.inputs.repeated_images import RepeatedImages


def image(sec, data=b"street"):
    return Message(header=Message(stamp=Message(sec=sec, nanosec=0)), data=data)


def at_1_mps(from_sec, to_sec):
    return to_sec - from_sec


def test_an_image_that_is_repeated_while_the_robot_drives_is_refused_until_another_comes():
    images = RepeatedImages(at_1_mps)
    for sec in (1, 2, 3):
        images.check(image(sec), "")
    with pytest.raises(
        MessageError, match="is that of 1.000 to the last byte.*the camera or its driver has hung"
    ):
        images.check(image(4), "")
    images.check(image(5, b"another street"), "")


def test_an_old_image_stays_old_when_odometry_has_forgotten_how_far_it_was():
    images = RepeatedImages(lambda from_sec, to_sec: at_1_mps(from_sec, to_sec) if to_sec < 120 else 0.0)
    images.check(image(1), "")
    for sec in (100, 200):
        with pytest.raises(MessageError):
            images.check(image(sec), "")


def test_a_robot_that_stands_sees_the_same():
    images = RepeatedImages(lambda from_sec, to_sec: 0.0)
    for sec in range(100):
        images.check(image(sec), "")


def test_cameras_are_followed_each_by_itself():
    images = RepeatedImages(at_1_mps)
    for sec in range(0, 100, 10):
        images.check(image(sec, b"%d" % sec), "front")
        images.check(image(sec, b"%d" % -sec), "left")


def test_nothing_is_compared_across_a_jump_of_time():
    images = RepeatedImages(at_1_mps)
    images.check(image(1), "")
    images.clear()
    images.check(image(100), "")
