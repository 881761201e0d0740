"""An offline replay of a recording reports the same doubts as the node does."""

import cv2
import numpy as np
import pytest

from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import Drive
from xview_localizer.recordings.offline import localize_drive
from xview_localizer.simulation.bag_writer import DriveBag
from xview_localizer.simulation.sensors import GnssSample

DISTORTED = {
    "model": "pinhole", "width": 64, "height": 48, "fx": 50.0, "fy": 50.0, "cx": 32.0, "cy": 24.0,
    "d": [-0.2, 0.1, 0.0, 0.0, 0.0],
}  # fmt: skip
VALUES = {
    "datum.latitude_deg": 48.0,
    "datum.longitude_deg": 11.0,
    "map.source": "map.tif",
    "camera.position_in_base_m": (0.0, 0.0, 1.6),
    "camera.rpy_deg": (0.0, 5.0, 0.0),
    "gnss.antenna_in_base_m": (0.0, 0.0, 1.7),
}


def test_images_are_taken_at_the_rate_of_the_parameters(tmp_path):
    """As the node does: a camera of 30 Hz would take hours."""
    with DriveBag(tmp_path / "bag", 1000.0) as bag:
        for number in range(60):
            bag.add_image(number / 30.0, b"no image, so that no localizer is asked", DISTORTED)
        bag.add_gnss(GnssSample(0.0, np.zeros(3), 1.0), LocalFrame(48.0, 11.0, 0.0))
        bag.write()
    drive = Drive(tmp_path / "bag", DriveBag.TOPICS, VALUES, tmp_path, "bag")
    for rate_hz, count in ((0.0, 60), (5.0, 11)):
        settings = Settings.from_values(VALUES | {"inputs.rate_hz": rate_hz})
        assert len(list(localize_drive(drive, None, settings))) == count


def test_rectified_images_with_the_camera_info_of_the_raw_ones(tmp_path, monkeypatch):
    topics = DriveBag.TOPICS | {"image": "/camera/image_rect/compressed"}
    monkeypatch.setattr(DriveBag, "TOPICS", topics)
    with DriveBag(tmp_path / "bag", 1000.0) as bag:
        jpeg = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
        bag.add_image(0.0, jpeg[:100], DISTORTED)  # cut short, so that no localizer is asked
        bag.add_gnss(GnssSample(0.0, np.zeros(3), 1.0), LocalFrame(48.0, 11.0, 0.0))
        bag.write()
    drive, doubts = Drive(tmp_path / "bag", topics, VALUES, tmp_path, "bag"), []
    (record,) = localize_drive(drive, None, Settings.from_values(VALUES), doubts.append)
    assert "was cut short" in record.reason
    (doubt,) = doubts
    assert doubt.startswith(
        "/camera/image_rect/compressed has rectified images, by its name, and its CameraInfo"
    )


@pytest.mark.parametrize(
    ("late_sec", "stated"), [(0.8, []), (1.6, ["the images are stamped at least 1.6 s behind fix"])]
)
def test_images_that_come_late_are_doubted(tmp_path, late_sec, stated):
    """As in the node. That a replay holds images back for a while is no delay of theirs."""
    with DriveBag(tmp_path / "bag", 1000.0) as bag:
        for number in range(25):
            bag.add_image(number / 2, b"no image, so that no localizer is asked", DISTORTED)
        # Each message is recorded at its stamp; now the images are recorded later.
        bag._messages = [(stamp_ns + round(late_sec * 1e9), *rest) for stamp_ns, *rest in bag._messages]
        for number in range(200):
            sample = GnssSample(number / 10, np.array([number / 2, 0.0, 0.0]), 1.0)
            bag.add_gnss(sample, LocalFrame(48.0, 11.0, 0.0))
        bag.write()
    drive, doubts = Drive(tmp_path / "bag", DriveBag.TOPICS, VALUES, tmp_path, "bag"), []
    list(localize_drive(drive, None, Settings.from_values(VALUES), doubts.append))
    assert [doubt.partition(":")[0] for doubt in doubts] == stated
