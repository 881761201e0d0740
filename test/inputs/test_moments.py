"""Which images belong together: in step or not, and whatever camera stops sending."""

from types import SimpleNamespace as Message

import pytest

from xview_localizer.inputs.moments import CameraImage, MomentCollector


def moments(cameras, *images):
    """Images such as "a3" for camera a at 3 s → the moments as texts."""
    collector, ended = MomentCollector(cameras), []
    for text in images:
        stamp = Message(sec=int(text[1:]), nanosec=0)
        image = CameraImage(text[0], Message(header=Message(stamp=stamp)))
        for moment in collector.add(image):
            ended.append(" ".join(f"{item.camera}{item.stamp_sec:.0f}" for item in moment))
    return ended


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (["a1", "b1", "a2", "b2"], ["a1 b1", "a2 b2"]),  # in step
        (["b12", "a11", "a21", "b22"], ["a11 b12", "a21 b22"]),  # the newest stamp is the current one
        (["a1", "a2", "a3"], ["a1", "a2"]),  # the other is silent
        (["a1", "a2", "b2", "a3", "a4", "b4"], ["a1", "a2 b2", "a3", "a4 b4"]),  # or slower
        (["a9", "b1", "a2"], ["b1 a2"]),  # time jumped back
    ],
)
def test_two_cameras(images, expected):
    assert moments(["a", "b"], *images) == expected


def test_a_camera_that_is_alone_waits_for_nobody():
    assert moments(["a"], "a1", "a2", "a1") == ["a1", "a2", "a1"]
