"""A replay takes the images that the robot's own parameters take."""

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.offline import localize_drive
from xview_localizer.ros.replay import replay_drive


def test_images_beyond_the_rate_are_not_waited_for(domain, drive, drive_localizer, values):
    slow = values | {"inputs.rate_hz": 0.2}
    offline = list(localize_drive(drive, drive_localizer, Settings.from_values(slow)))
    every = list(localize_drive(drive, drive_localizer, Settings.from_values(values)))
    assert 1 < len(offline) < len(every)
    replayed = replay_drive(drive, slow)
    assert [record.stamp_sec for record in replayed] == [record.stamp_sec for record in offline]
