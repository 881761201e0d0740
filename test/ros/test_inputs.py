"""What becomes of messages that the node takes, in its own process."""

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from rclpy.qos import QoSProfile
from sensor_msgs.msg import NavSatFix

from xview_localizer.inputs.intake import DriveIntake
from xview_localizer.parameters.settings import Settings
from xview_localizer.ros.diagnostics import Health
from xview_localizer.ros.inputs import Inputs


def test_an_error_that_nobody_foresaw_ends_nothing(graph):
    listener, driver, until = graph
    settings = Settings.from_values(
        {"datum.latitude_deg": 48.0, "datum.longitude_deg": 11.0, "map.source": "map.tif"}
    )

    def fails(message):
        raise ZeroDivisionError("somehow")

    intake = DriveIntake(None, settings)
    intake.on_fix = fails
    health, woken = Health({}), []
    worker = SimpleNamespace(notify=lambda: woken.append(True))
    inputs = Inputs(listener, settings, intake, health, worker)
    inputs.subscribe()
    publisher = driver.create_publisher(NavSatFix, "fix", QoSProfile(depth=1))
    until(publisher.get_subscription_count)
    publisher.publish(NavSatFix())
    until(lambda: woken)
    values = health.report("active").values
    assert values["fix_problem"] == "internal error: ZeroDivisionError('somehow')"
    inputs.destroy()
