"""Reading a drive folder for evaluation: truth, GNSS at base_link, and images of either type."""

import cv2
import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from xview_localizer.evaluation.drive import antenna_samples, drive_images, judge_drive
from xview_localizer.evaluation.reference import read_reference
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import BagError
from xview_localizer.recordings.drives import open_drive
from xview_localizer.recordings.tum import write_tum
from xview_localizer.records import ImageRecord

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
STAMPS_SEC = [100.0, 101.0]
DATUM = {"latitude_deg": 48.0, "longitude_deg": 11.0, "altitude_m": 0.0}
TOPICS = {"image": "/image", "camera_info": "/info", "fix": "/fix"}
RGB = np.stack(np.broadcast_arrays(np.full((8, 16), 200), 10 * np.arange(16), 30), axis=-1).astype(np.uint8)


def raw_image(header, number):
    data = np.full((8, 16, 3), 7, np.uint8) if number else RGB[..., ::-1]
    return TYPES["sensor_msgs/msg/Image"](header, 8, 16, "bgr8", 0, 48, np.ascontiguousarray(data).ravel())


def odd_image(header, number):
    return TYPES["sensor_msgs/msg/Image"](header, 8, 16, "32FC1", 0, 64, np.zeros(512, np.uint8))


def compressed_image(header, number):
    """A PNG first, then bytes that are none."""
    png = cv2.imencode(".png", RGB[..., ::-1])[1] if not number else np.zeros(5, np.uint8)
    return TYPES["sensor_msgs/msg/CompressedImage"](header, "png", png.ravel())


def write_drive(folder, make_image, first_latitude=None, first_late_sec=0.0):
    """Two images; GNSS has its antenna 2 m ahead of base_link, which stands at (3, 4) and looks north.

    What belongs to the first image is recorded `first_late_sec` after its stamp.
    """
    frame = LocalFrame(*DATUM.values())
    latitude, longitude, altitude = map(float, frame.geodetic_from_enu(np.array([3.0, 6.0, 0.0])))
    status = TYPES["sensor_msgs/msg/NavSatStatus"](status=0, service=1)
    k = np.array([8.0, 0, 8, 0, 8, 4, 0, 0, 1])
    roi = TYPES["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    with Writer(folder / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {}
        for number, stamp_sec in enumerate(STAMPS_SEC):
            here = latitude if number or first_latitude is None else first_latitude
            header = TYPES["std_msgs/msg/Header"](TYPES["builtin_interfaces/msg/Time"](int(stamp_sec), 0), "")
            fix = TYPES["sensor_msgs/msg/NavSatFix"](
                header, status, here, longitude, altitude, np.zeros(9), 0
            )
            info = TYPES["sensor_msgs/msg/CameraInfo"](
                header, 8, 16, "", np.zeros(0), k, np.eye(3).ravel(), np.zeros(12), 0, 0, roi
            )
            for role, message in (("fix", fix), ("camera_info", info), ("image", make_image(header, number))):
                kind = message.__msgtype__
                if role not in connections:
                    connections[role] = writer.add_connection(TOPICS[role], kind, typestore=STORE)
                recorded_sec = stamp_sec if number else stamp_sec + first_late_sec
                writer.write(connections[role], int(recorded_sec * 1e9), STORE.serialize_cdr(message, kind))
    description = {
        "datum": DATUM, "camera": {"in_base_m": [0.0, 0.0, 1.5], "rpy_deg": [0.0, 0.0, 0.0], "height_m": 1.5},
        "antenna_in_base_m": [2.0, 0.0, 1.0], "topics": TOPICS, "map": "map.tif", "bag": "bag",
    }  # fmt: skip
    (folder / "drive.yaml").write_text(yaml.safe_dump(description))
    return folder


def judged(folder, records, reference=None):
    drive = open_drive(folder)
    settings = Settings.from_values(drive.values)
    return judge_drive(drive, read_reference(reference, drive, settings), settings, records, 1.0)


def test_raw_images_are_read_as_rgb(tmp_path):
    first, second = drive_images(open_drive(write_drive(tmp_path, raw_image)), STAMPS_SEC)
    np.testing.assert_array_equal(first, RGB)
    assert (second == 7).all()


def test_compressed_images_are_read_as_rgb_and_broken_ones_are_none(tmp_path):
    first, second = drive_images(open_drive(write_drive(tmp_path, compressed_image)), STAMPS_SEC)
    np.testing.assert_array_equal(first, RGB)
    assert second is None


def test_images_of_an_encoding_that_is_not_taken_are_none(tmp_path):
    assert drive_images(open_drive(write_drive(tmp_path, odd_image)), STAMPS_SEC) == [None, None]


def test_gnss_is_brought_to_base_link(tmp_path):
    folder = write_drive(tmp_path, raw_image)
    write_tum(folder / "truth.tum", [(99.9 + t, 3.0, 4.0, np.pi / 2) for t in range(3)])
    result = judged(folder, [ImageRecord(stamp, False, "") for stamp in STAMPS_SEC])
    np.testing.assert_allclose(result.truth_xy_m, [(3.0, 4.0)] * 2)
    np.testing.assert_allclose(result.gnss_xy_m, [(3.0, 4.0)] * 2, atol=1e-3)


def test_positions_are_by_stamp_whatever_the_order_of_recording(tmp_path):
    """The newest one before an image is looked up by its stamp; receivers hand over some late."""
    drive = open_drive(write_drive(tmp_path, raw_image, first_late_sec=1.5))
    samples = antenna_samples(drive, Settings.from_values(drive.values))
    assert [stamp_sec for stamp_sec, _ in samples] == STAMPS_SEC


def test_receiver_without_a_position_is_skipped(tmp_path):
    folder = write_drive(tmp_path, raw_image, first_latitude=float("nan"))
    write_tum(folder / "truth.tum", [(101.0, 3.0, 4.0, np.pi / 2)])
    result = judged(folder, [ImageRecord(101.0, False, "")])
    np.testing.assert_allclose(result.gnss_xy_m, [(3.0, 4.0)], atol=1e-3)


def test_why_no_position_is_usable_is_told(tmp_path):
    folder = write_drive(tmp_path, raw_image)
    write_tum(folder / "truth.tum", [(100.0, 3.0, 4.0, np.pi / 2)])
    description = (folder / "drive.yaml").read_text().replace("antenna_in_base_m", "antenna")
    (folder / "drive.yaml").write_text(description)
    with pytest.raises(
        BagError, match="no GNSS position on /fix to compare with: the NavSatFix names no frame_id"
    ):
        judged(folder, [ImageRecord(100.0, False, "")])


def test_missing_truth_is_asked_for(tmp_path):
    with pytest.raises(
        BagError, match=r"(?s)truth.tum is missing, .* add one of\n  --reference FILE.tum \(stamp"
    ):
        judged(write_drive(tmp_path, raw_image), [])


@pytest.mark.parametrize("text", ["100.0 1 2 0\n", "stamp,x,y\n1,2,3\n"])
def test_other_truth_is_refused(tmp_path, text):
    folder = write_drive(tmp_path, raw_image)
    (folder / "truth.tum").write_text(text)
    with pytest.raises(BagError, match="is no TUM trajectory"):
        judged(folder, [])


def test_images_in_gaps_of_the_reference_are_not_judged(tmp_path):
    folder, elsewhere = write_drive(tmp_path, raw_image), tmp_path / "rtk.tum"
    write_tum(
        elsewhere,
        [(99.0, 3.0, 3.0, 0.1), (100.0, 3.0, 4.0, 0.2), (100.1, 3.0, 4.1, 0.3), (103.0, 3.0, 4.2, 0.4)],
    )
    records = [ImageRecord(stamp, False, "") for stamp in (100.05, 102.0, 98.9)]
    result = judged(folder, records, "rtk.tum")  # a file beside drive.yaml
    assert [record.stamp_sec for record in result.records] == [100.05]
    (pose,) = result.truth
    assert (pose.x_m, pose.y_m, pose.yaw_rad) == pytest.approx((3.0, 4.05, 0.25), abs=1e-3)
    with pytest.raises(BagError, match="has no images to judge; did the camera publish"):
        judged(folder, [], str(elsewhere))
    with pytest.raises(BagError, match="from 99.0 to 103.0 s has no pose for 1 images from 102.0 to 102.0 s"):
        judged(folder, records[1:2], str(elsewhere))
