"""What becomes of images that cannot be localized; no model needed."""

from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from xview_localizer.intake import NoCameraError
from xview_localizer.messages import MessageError
from xview_localizer.ros.diagnostics import WARN, Health
from xview_localizer.ros.image_job import ImageJob, ReceivedImage


class Intake:
    """Raises `error` where an image is observed."""

    camera, tracker = None, SimpleNamespace(awaits=lambda stamp: [])

    def __init__(self, error):
        self._error = error

    def on_image(self, message):
        return 7.0

    def observe(self, message):
        raise self._error


def run(error):
    """The record that is published, and the diagnostics' level, message and values."""
    health, records, logged = Health({}), [], []
    outputs = SimpleNamespace(publish=lambda header, record, tracked: records.append(record), alive=True)
    worker = SimpleNamespace(wait_until=lambda condition, timeout_sec: True, stopping=False)
    logger = SimpleNamespace(error=logged.append)
    job = ImageJob(None, Intake(error), None, None, health, outputs, 0.0, logger)
    job.run(ReceivedImage(CompressedImage(header=Header(stamp=Time(sec=7))), 0.0), worker)
    (record,) = records
    assert (record.stamp_sec, record.accepted) == (7.0, False)
    return record, health.report("active", 0)


@pytest.mark.parametrize(
    ("error", "malformed", "rejected"),
    [
        (MessageError("cut off"), "1", "0"),
        (NoCameraError("no CameraInfo yet"), "0", "1"),
        (OSError("disk"), "0", "1"),
    ],
)
def test_malformed_or_rejected_but_not_both(error, malformed, rejected):
    record, (_, message, values) = run(error)
    assert str(error) in record.reason
    assert (values["image_malformed"], values["rejected"], values["images"]) == (
        malformed,
        rejected,
        rejected,
    )
    assert ("malformed image" in message) == (malformed == "1")


def test_camera_info_may_come_once(monkeypatch):
    clock = iter([100.0, 101.0] + [1000.0] * 50)
    monkeypatch.setattr("xview_localizer.ros.diagnostics.time.monotonic", lambda: next(clock))
    health = Health({})
    health.heard("camera_info")
    level, message, _ = health.report("active", 0)
    assert level == WARN
    assert "nothing on image" in message
    assert "camera_info" not in message
