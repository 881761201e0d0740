"""Odometry that comes too rarely to be joined, or in the frame of the poses, is doubted by name."""

import pytest

from xview_localizer.inputs.odometry_source import STEPS, STEPS_LEAST, OdometrySource


def source(every_sec, count=STEPS_LEAST + 1, frame="odom"):
    followed = OdometrySource(0.5, "map")
    for number in range(count):
        followed.on_odometry(number * every_sec, frame)
    return followed


@pytest.mark.parametrize(
    ("every_sec", "count", "doubted"),
    [(1.0, STEPS_LEAST + 1, True), (0.49, STEPS, False), (1.0, STEPS_LEAST, False)],
)
def test_gaps_that_are_not_bridged(every_sec, count, doubted):
    doubts = source(every_sec, count).doubts()
    assert ["odom comes every 1.0 s, and gaps of more than" in doubt for doubt in doubts] == [True] * doubted


def test_a_pause_is_no_rate():
    followed = source(0.1, STEPS)
    followed.on_odometry(60.0, "odom")
    assert followed.doubts() == []


@pytest.mark.parametrize(("frame", "doubted"), [("map", True), ("odom", False), ("", False)])
def test_the_frame_of_the_poses_is_none_of_odometry(frame, doubted):
    assert ["odom is in map, as the poses" in doubt for doubt in source(0.1, frame=frame).doubts()] == (
        [True] * doubted
    )
