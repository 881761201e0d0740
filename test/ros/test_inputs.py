"""What becomes of messages that the node takes, in its own process."""

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, NavSatFix

from xview_localizer.inputs.intake import DriveIntake
from xview_localizer.parameters.settings import Settings
from xview_localizer.ros.diagnostics import Health
from xview_localizer.ros.inputs import Inputs


def fails(*_):
    raise ZeroDivisionError("somehow")


@pytest.mark.parametrize(
    ("name", "method", "kind"), [("fix", "on_fix", NavSatFix), ("image", "on_received", Image)]
)
def test_an_error_that_nobody_foresaw_ends_nothing(graph, monkeypatch, name, method, kind):
    listener, driver, until = graph
    settings = Settings.from_values(
        {"datum.latitude_deg": 48.0, "datum.longitude_deg": 11.0, "map.source": "map.tif"}
    )
    intake = DriveIntake(None, settings)
    monkeypatch.setattr(intake, method, fails)
    health, woken = Health({}), []
    worker = SimpleNamespace(notify=lambda: woken.append(True))
    inputs = Inputs(listener, settings, intake, health, worker)
    inputs.subscribe()
    publisher = driver.create_publisher(kind, name, QoSProfile(depth=1))
    until(publisher.get_subscription_count)
    publisher.publish(kind())
    until(lambda: woken)
    values = health.report("active").values
    assert values[f"{name}_received"] == "1"
    assert values[f"{name}_problem"] == "internal error: ZeroDivisionError('somehow')"
    inputs.destroy()
