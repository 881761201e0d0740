"""Drives that cannot be read: always a BagError that names the file, never what the parser tripped over."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml

from xview_localizer.bag import BagError, BagReader, read_drive
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.simulation.bag_writer import DriveBag
from xview_localizer.simulation.sensors import GnssSample

CAMERA = {
    "model": "pinhole", "width": 64, "height": 48, "fx": 50.0, "fy": 50.0, "cx": 32.0, "cy": 24.0, "d": [],
}  # fmt: skip
IMAGES = 20


@pytest.fixture
def bag(tmp_path):
    """A short recording, its images of noise, so that most of its bytes are theirs."""
    frame = LocalFrame(48.0, 11.0, 0.0)
    rng = np.random.default_rng(0)
    with DriveBag(tmp_path / "bag", 1000.0) as bag:
        for stamp_sec in range(IMAGES):
            noise = rng.integers(0, 256, (48, 64, 3), np.uint8)
            bag.add_image(float(stamp_sec), cv2.imencode(".jpg", noise)[1].tobytes(), CAMERA)
            bag.add_gnss(GnssSample(float(stamp_sec), np.zeros(3), 1.0), frame)
        bag.write()
    return tmp_path / "bag"


def read(bag):
    """How many images there are."""
    with BagReader(bag, DriveBag.TOPICS) as reader:
        messages = list(reader.messages())
        for message in messages:
            reader.decode(message)
    return sum(message.role == "image" for message in messages)


def test_altered_bytes_are_reported_with_the_bag(bag):
    assert read(bag) == IMAGES
    (path,) = bag.glob("*.mcap")
    whole, complaints = path.read_bytes(), []
    for start in range(0, len(whole), 1500):
        path.write_bytes(whole[:start] + b"\xff" * 200 + whole[start + 200 :])
        try:
            read(bag)
        except BagError as error:
            complaints.append(str(error))
    assert any("OverflowError" in complaint for complaint in complaints)
    assert all(str(bag) in complaint for complaint in complaints)


def test_message_that_is_cut_off(bag):
    with BagReader(bag, DriveBag.TOPICS) as reader:
        message = next(reader.messages())
        message = replace(message, cdr=message.cdr[:20])
        with pytest.raises(BagError, match="bag is damaged, a message of "):
            reader.decode(message)


def test_topics_that_a_recording_has_are_listed(bag):
    with pytest.raises(BagError, match=r"(?s)has no topic for image.*/camera/image/compressed \(sensor_msgs"):
        BagReader(bag, DriveBag.TOPICS | {"image": "/front/image"})


def drive(folder, **changes):
    """A drive.yaml with some entries changed."""
    description = {
        "datum": {"latitude_deg": 48.0, "longitude_deg": 11.0, "altitude_m": 0.0},
        "camera": {"in_base_m": [1.0, 0.0, 1.6], "rpy_deg": [0.0, 0.0, 0.0], "height_m": 1.6},
        "antenna_in_base_m": [0.0, 0.0, 1.0], "topics": DriveBag.TOPICS, "map": "map.tif", "bag": "bag",
    }  # fmt: skip
    (folder / "drive.yaml").write_text(yaml.safe_dump(description | changes))
    return read_drive(folder)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("map.tif", "FOLDER/map.tif"),
        ("/data/map.tif", "/data/map.tif"),
        ("http://localhost:8080/{z}/{x}/{y}.png", "http://localhost:8080/{z}/{x}/{y}.png"),
        ("file:///data/map.tif", "file:///data/map.tif"),
    ],
)
def test_map_is_a_file_beside_the_drive_or_a_url(tmp_path, source, expected):
    wanted = expected.replace("FOLDER", str(tmp_path.resolve()))
    assert drive(tmp_path, map=source).values["map.source"] == wanted


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"topics": None}, "topics must name the topic of each role, got None"),
        ({"topics": ["image"]}, "topics must name the topic of each role"),
        ({"map": None}, "drive.yaml cannot be understood"),
        ({"datum": None}, "drive.yaml cannot be understood"),
        ({"camera": {"in_base_m": "front"}}, "drive.yaml cannot be understood"),
    ],
)
def test_descriptions_that_make_no_sense(tmp_path, changes, complaint):
    with pytest.raises(BagError, match=complaint):
        drive(tmp_path, **changes)
