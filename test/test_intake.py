from types import SimpleNamespace as Message

import pytest

from xview_localizer.intake import DriveIntake, NoCameraError
from xview_localizer.messages import MessageError
from xview_localizer.settings import Settings

SETTINGS = Settings.from_values(
    {"datum.latitude_deg": 48.0, "datum.longitude_deg": 11.0, "map.source": "map.tif"}
)


def header(sec, nanosec=0):
    return Message(stamp=Message(sec=sec, nanosec=nanosec), frame_id="")


def test_messages_without_a_stamp_are_refused_and_change_nothing():
    intake = DriveIntake(None, SETTINGS)
    intake.on_image(Message(header=header(100)))
    fix = Message(
        header=header(0), status=Message(status=0), latitude=48.0, longitude=11.0, altitude=0.0,
        position_covariance=[1.0] * 9, position_covariance_type=2,
    )  # fmt: skip
    orientation, origin = Message(x=0.0, y=0.0, z=0.0, w=1.0), Message(x=0.0, y=0.0, z=0.0)
    odometry = Message(header=header(0), pose=Message(pose=Message(position=origin, orientation=orientation)))
    imu = Message(header=header(0), orientation=orientation, orientation_covariance=[0.0])
    image = Message(header=header(0))
    for handle, message in (
        (intake.on_fix, fix),
        (intake.on_odom, odometry),
        (intake.on_imu, imu),
        (intake.on_image, image),
    ):
        with pytest.raises(MessageError, match="stamp is not set"):
            handle(message)
        message.header = header(101)
        handle(message)
    assert intake.tracker.awaits(102.0) == ["odometry", "gravity"]


def test_an_image_before_the_first_camera_info_is_not_malformed():
    with pytest.raises(NoCameraError, match="no CameraInfo yet"):
        DriveIntake(None, SETTINGS).observe(Message(header=header(1)))
