"""Drives that cannot be read: always a BagError that names the file, never what the parser tripped over."""

import shutil
import sqlite3
import struct
import zlib
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Ros2Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.inputs.image_messages import rgb_from_image
from xview_localizer.inputs.messages import (
    GnssPosition,
    camera_from_info,
    position_from_nav_sat_fix,
    stamp_sec,
)
from xview_localizer.recordings.bag import ROLES_AND_TF, TF_TOPICS, BagError, BagReader
from xview_localizer.recordings.drive_file import read_drive
from xview_localizer.simulation.bag_writer import DriveBag
from xview_localizer.simulation.sensors import GnssSample

CAMERA = {
    "model": "pinhole", "width": 64, "height": 48, "fx": 50.0, "fy": 50.0, "cx": 32.0, "cy": 24.0, "d": [],
}  # fmt: skip
IMAGES = 20
NAV_SAT_FIX, GPS_FIX = "sensor_msgs/msg/NavSatFix", "gps_msgs/msg/GPSFix"


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
    """The number of images in a bag."""
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


def test_altered_bits_of_a_chunk_with_a_checksum_are_not_read(bag):
    """rosbag2 writes checksums, which rosbags checks but does not write."""
    (path,) = bag.glob("*.mcap")
    content = bytearray(path.read_bytes())
    chunk = content.index(b"\x06", 9 + int.from_bytes(content[9:17], "little") + 8)
    size, compression = struct.unpack_from("<Q4xI", content, chunk + 9 + 16)
    assert compression == 0
    records = chunk + 9 + 16 + 8 + 4 + 4 + 8
    struct.pack_into("<I", content, chunk + 9 + 16 + 8, zlib.crc32(content[records : records + size]))
    path.write_bytes(content)
    assert read(bag) == IMAGES
    content[records + size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BagError, match="bag is damaged.*checksum"):
        read(bag)


def test_a_header_that_does_not_name_ros_2_is_told(bag):
    """As general MCAP libraries write it, whatever the messages are."""
    (path,) = bag.glob("*.mcap")
    path.write_bytes(path.read_bytes().replace(b"\x04\0\0\0ros2", b"\x04\0\0\0    ", 1))
    with pytest.raises(BagError, match="does not name ROS 2: of messages of ROS 2, `ros2 bag convert`"):
        read(bag)


def test_message_that_is_cut_off(bag):
    with BagReader(bag, DriveBag.TOPICS) as reader:
        message = next(reader.messages())
        message = replace(message, cdr=message.cdr[:20])
        with pytest.raises(BagError, match="bag is damaged, a message of "):
            reader.decode(message)


def test_topics_that_a_recording_has_are_listed(bag):
    with pytest.raises(BagError, match=r"(?s)has no topic for image.*/camera/image/compressed \(sensor_msgs"):
        BagReader(bag, DriveBag.TOPICS | {"image": "/front/image"})


def test_a_topic_of_another_type_is_refused_by_name(bag):
    with pytest.raises(
        BagError, match=r"/imu/data is sensor_msgs/msg/Imu, and odom takes nav_msgs/msg/Odometry or geom"
    ):
        BagReader(bag, DriveBag.TOPICS | {"odom": "/imu/data"})


def gps_bag(folder, store, plugin=StoragePlugin.MCAP):
    """A recording of one gps_msgs/GPSFix, as far as its fields are read."""
    header = store.types["std_msgs/msg/Header"](store.types["builtin_interfaces/msg/Time"](7, 0), "gnss")
    status = store.types["gps_msgs/msg/GPSStatus"](header, 0)
    covariance = np.array([4.0, 0, 0, 0, 9.0, 0, 0, 0, 1.0])
    fix = store.types[GPS_FIX](header, status, 48.0, 11.0, 500.0, covariance, 2)
    with Ros2Writer(folder, version=9, storage_plugin=plugin) as writer:
        connection = writer.add_connection("/gps", GPS_FIX, typestore=store)
        writer.write(connection, 7 * 10**9, store.serialize_cdr(fix, GPS_FIX))
    return folder


@pytest.fixture
def store():
    """The messages of ROS, and a GPSFix with some of its fields."""
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg("std_msgs/Header header\nint16 status", "gps_msgs/msg/GPSStatus"))
    fields = """std_msgs/Header header\ngps_msgs/GPSStatus status\nfloat64 latitude\nfloat64 longitude
        float64 altitude\nfloat64[9] position_covariance\nuint8 position_covariance_type"""
    store.register(get_types_from_msg(fields, GPS_FIX))
    return store


def test_positions_as_gps_fix(tmp_path, store):
    with BagReader(gps_bag(tmp_path / "bag", store), {"fix": "/gps"}, required=()) as bag:
        position = position_from_nav_sat_fix(bag.decode(next(bag.messages())), default_sigma_m=1.0)
    assert position == GnssPosition(48.0, 11.0, 500.0, 3.0)


def test_a_recording_without_the_definition_of_gps_fix(tmp_path, store):
    bag = gps_bag(tmp_path / "bag", store, StoragePlugin.SQLITE3)
    with closing(sqlite3.connect(next(bag.glob("*.db3")))) as database:
        database.execute("DELETE FROM message_definitions")
        database.commit()
    with pytest.raises(BagError, match="lacks the definition of gps_msgs/msg/GPSFix; `ros2 bag convert`"):
        BagReader(bag, {"fix": "/gps"}, required=())


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


def test_a_description_of_several_cameras(tmp_path):
    mounted = {"in_base_m": [1.0, 0.0, 1.6], "height_m": 1.6}
    cameras = {"front": mounted, "left": mounted | {"rpy_deg": [0, 0, 90]}}
    values = drive(tmp_path, cameras=cameras, camera={}).values
    assert values["cameras"] == ("front", "left")
    assert values["camera.left.rpy_deg"] == (0.0, 0.0, 90.0)
    assert values["camera.front.position_in_base_m"] == (1.0, 0.0, 1.6)
    assert "camera.front.rpy_deg" not in values and values["camera.front.height_m"] == 1.6


def test_each_of_several_cameras_has_its_images(tmp_path):
    with DriveBag(tmp_path / "rig", 1000.0) as bag:
        for name in ("front", "left"):
            jpeg = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
            bag.add_image(1.0, jpeg, CAMERA, name)
        bag.add_gnss(GnssSample(1.0, np.zeros(3), 1.0), LocalFrame(48.0, 11.0, 0.0))
        bag.write()
    topics = DriveBag.topics_of(["front", "left"])
    with BagReader(tmp_path / "rig", topics) as bag:
        images = [message for message in bag.messages() if message.kind == "image"]
        assert [(image.role, image.camera) for image in images] == [
            ("front/image", "front"),
            ("left/image", "left"),
        ]
        frames = [bag.decode(image).header.frame_id for image in images]
    assert frames == ["front_optical_frame", "left_optical_frame"]
    with pytest.raises(BagError, match="has no topic for left/image;"):
        BagReader(tmp_path / "rig", topics | {"left/image": "/lost"})
    with pytest.raises(BagError, match="has no topic for camera_info, image;"):
        BagReader(tmp_path / "rig", {"fix": topics["fix"]})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"topics": None}, "topics must name the topic of each role, got None"),
        ({"topics": ["image"]}, "topics must name the topic of each role"),
        ({"map": None}, "drive.yaml cannot be understood"),
        ({"datum": None}, "drive.yaml cannot be understood"),
        ({"camera": {"in_base_m": "front"}}, "drive.yaml cannot be understood"),
        ({"datum": {"latitude_deg": 48.0}}, "it lacks 'longitude_deg'; it names the `bag`"),
    ],
)
def test_descriptions_that_make_no_sense(tmp_path, changes, complaint):
    with pytest.raises(BagError, match=complaint):
        drive(tmp_path, **changes)


def ros1_bag(path):
    """A ROS 1 recording of one message of each required role; returns their CameraInfo."""
    store = get_typestore(Stores.ROS1_NOETIC)
    t = store.types

    def header(sec):
        stamp = t["builtin_interfaces/msg/Time"](sec=1000 + sec, nanosec=5)
        return t["std_msgs/msg/Header"](seq=sec, stamp=stamp, frame_id="camera")

    k = np.array([50.0, 0, 31.5, 0, 50, 23.5, 0, 0, 1])
    roi = t["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    info = t["sensor_msgs/msg/CameraInfo"](
        header(1), 48, 64, "plumb_bob", np.full(5, 0.01), k, np.eye(3).ravel(), np.zeros(12), 0, 0, roi
    )
    pixels = np.arange(48 * 64, dtype=np.uint32).astype(np.uint8)
    image = t["sensor_msgs/msg/Image"](header(3), 48, 64, "mono8", 0, 64, pixels)
    status = t["sensor_msgs/msg/NavSatStatus"](0, 1)
    fix = t["sensor_msgs/msg/NavSatFix"](header(2), status, 48.0, 11.0, 0.0, np.eye(3).ravel(), 2)
    with Ros1Writer(path) as bag:
        for topic, message in (("/info", info), ("/fix", fix), ("/image", image)):
            kind = message.__msgtype__
            connection = bag.add_connection(topic, kind, typestore=store)
            bag.write(connection, message.header.stamp.sec * 10**9, store.serialize_ros1(message, kind))
    return info


def test_a_ros_1_bag_is_read_as_its_ros_2_twin(tmp_path):
    info = ros1_bag(tmp_path / "drive.bag")
    topics = {"image": "/image", "camera_info": "/info", "fix": "/fix"}
    with BagReader(tmp_path / "drive.bag", topics) as bag:
        messages = {message.role: (message, bag.decode(message)) for message in bag.messages()}
    store = get_typestore(Stores.ROS2_JAZZY)
    for recorded, decoded in messages.values():  # what a player publishes
        assert store.deserialize_cdr(recorded.cdr, recorded.type_name).header == decoded.header
    camera = camera_from_info(messages["camera_info"][1])
    assert (camera.cx, camera.distortion) == (32.0, tuple(info.D))
    rgb = rgb_from_image(messages["image"][1])
    np.testing.assert_array_equal(rgb[..., 0].ravel(), np.arange(48 * 64, dtype=np.uint32).astype(np.uint8))
    assert stamp_sec(messages["fix"][1]) == pytest.approx(1002.000000005)


@pytest.mark.parametrize("package", ["tf2_msgs/msg/TFMessage", "tf/msg/tfMessage"])
def test_transforms_of_ros_1_have_either_name(tmp_path, package):
    """Those of the package tf, before tf2, are in recordings of ten years ago."""
    store = get_typestore(Stores.ROS1_NOETIC)
    store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", package))
    t = store.types
    stamp = t["builtin_interfaces/msg/Time"](sec=1000, nanosec=5)
    transform = t["geometry_msgs/msg/Transform"](
        t["geometry_msgs/msg/Vector3"](0.4, 0.0, 1.6), t["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
    )
    header = t["std_msgs/msg/Header"](seq=1, stamp=stamp, frame_id="base_link")
    message = t[package]([t["geometry_msgs/msg/TransformStamped"](header, "gps", transform)])
    with Ros1Writer(tmp_path / "drive.bag") as bag:
        connection = bag.add_connection("/tf", package, typestore=store)
        bag.write(connection, 1000 * 10**9, store.serialize_ros1(message, package))
    with BagReader(tmp_path / "drive.bag", TF_TOPICS, ROLES_AND_TF, required=()) as bag:
        (recorded,) = bag.messages()
        assert bag.types["tf"] == recorded.type_name == "tf2_msgs/msg/TFMessage"
        (decoded,) = bag.decode(recorded).transforms
    assert (decoded.header.frame_id, decoded.child_frame_id) == ("base_link", "gps")
    assert decoded.transform.translation.x == 0.4


@pytest.mark.parametrize(
    ("damage", "advice"),
    [
        (lambda bag: (bag / "metadata.yaml").unlink(), "not ended properly.*ros2 bag reindex"),
        (lambda bag: shutil.rmtree(bag), "correct `bag` in drive.yaml"),
        (lambda bag: (bag / "metadata.yaml").write_text("rosbag2: 3"), "give the .mcap or .db3 file itself"),
        (lambda bag: next(bag.glob("*.mcap")).write_bytes(b""), "mcap recover"),
        (lambda bag: next(bag.glob("*.mcap")).unlink(), "no readable recording"),
    ],
)
def test_damaged_recordings_are_told_with_what_to_do(bag, damage, advice):
    damage(bag)
    with pytest.raises(BagError, match=advice):
        read(bag)


def test_messages_that_the_metadata_hide_are_not_passed_over(bag):
    """Users edit the QoS of /tf_static there, and rosbags then finds no messages that fit."""
    metadata = yaml.safe_load((bag / "metadata.yaml").read_text())
    for topic in metadata["rosbag2_bagfile_information"]["topics_with_message_count"]:
        if topic["topic_metadata"]["name"] == "/tf_static":
            topic["topic_metadata"]["offered_qos_profiles"] = []
    (bag / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    with BagReader(bag, DriveBag.TOPICS | TF_TOPICS, ROLES_AND_TF) as reader:
        with pytest.raises(BagError, match="messages of /tf_static .* none can be read.*ros2 bag reindex"):
            list(reader.messages())


@pytest.mark.parametrize("encoding", [b"ros3msg", b"ros2idl"])
def test_schemas_of_other_systems_are_named(tmp_path, encoding):
    """Foxglove's recordings have topics of JSON or protobuf, DDS's of IDL, which rosbags cannot pass over."""
    store = get_typestore(Stores.ROS2_JAZZY)
    with Ros2Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection("/a", NAV_SAT_FIX, typestore=store)
    (path,) = (tmp_path / "bag").glob("*.mcap")
    path.write_bytes(path.read_bytes().replace(b"ros2msg", encoding))
    for place in (path, path.parent):
        with pytest.raises(BagError, match="not of ROS 2 .*mcap filter") as error:
            BagReader(place, {})
        assert len(str(error.value)) < 1000  # rosbags quotes the whole definition


def test_packed_recordings_have_to_be_unpacked(tmp_path):
    (tmp_path / "drive.mcap.zst").write_bytes(b"packed")
    with pytest.raises(BagError, match="unpack it first"):
        BagReader(tmp_path / "drive.mcap.zst", {})
    (tmp_path / "drive_0.db3.zstd").write_bytes(b"packed")
    with pytest.raises(BagError, match="unpack its .zstd files, then run `ros2 bag reindex`"):
        BagReader(tmp_path, {})


@pytest.mark.parametrize("name", ["drive.ulg", "drive.csv", "drive.MCAP"])
def test_files_of_other_formats_are_named_as_such(tmp_path, name):
    (tmp_path / name).write_bytes(b"recorded")
    with pytest.raises(
        BagError, match="recordings are a rosbag2 folder, .mcap, .db3 or .bag; .*converted.*renamed"
    ):
        BagReader(tmp_path / name, {})


def test_a_folder_of_recordings_names_them(bag):
    with pytest.raises(BagError, match="recordings are in it: bag; give one of them"):
        BagReader(bag.parent, {})


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_ros_1_bags_that_were_broken_off(tmp_path, share):
    path = tmp_path / "drive.bag"
    ros1_bag(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(BagError, match="rosbag reindex"):
        BagReader(path, {"image": "/image", "camera_info": "/info", "fix": "/fix"})


def sqlite_bag(folder):
    """A recording of one position, in SQLite."""
    store = get_typestore(Stores.ROS2_JAZZY)
    with Ros2Writer(folder, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        connection = writer.add_connection("/fix", NAV_SAT_FIX, typestore=store)
        message = store.types[NAV_SAT_FIX](
            header=store.types["std_msgs/msg/Header"](
                store.types["builtin_interfaces/msg/Time"](1, 0), "gnss"
            ),
            status=store.types["sensor_msgs/msg/NavSatStatus"](0, 1),
            latitude=48.0, longitude=11.0, altitude=0.0,
            position_covariance=np.zeros(9), position_covariance_type=0,
        )  # fmt: skip
        writer.write(connection, 10**9, store.serialize_cdr(message, NAV_SAT_FIX))
    return folder


def test_messages_that_a_crash_left_in_a_journal_are_not_passed_over(tmp_path):
    bag = sqlite_bag(tmp_path / "bag")
    (database,) = bag.glob("*.db3")
    with closing(sqlite3.connect(database)) as recorder:
        recorder.execute("PRAGMA journal_mode=WAL")
        recorder.execute("INSERT INTO messages SELECT 99, topic_id, timestamp + 1, data FROM messages")
        recorder.commit()
        shutil.copytree(bag, tmp_path / "crashed")
    for path in (tmp_path / "crashed", tmp_path / "crashed" / database.name):
        with pytest.raises(BagError, match="was not ended properly.*db3-wal.*wal_checkpoint"):
            BagReader(path, {"fix": "/fix"}, required=())
    with BagReader(bag, {"fix": "/fix"}, required=()) as reader:  # ended
        assert len(list(reader.messages())) == 2


def test_a_cut_database_and_a_recording_of_nothing(tmp_path):
    bag = sqlite_bag(tmp_path / "bag")
    (database,) = bag.glob("*.db3")
    database.write_bytes(database.read_bytes()[:5000])
    with pytest.raises(BagError, match=r"sqlite3 FILE.db3 .recover"):
        BagReader(bag, {}, required=())
    with Ros2Writer(tmp_path / "nothing", version=9, storage_plugin=StoragePlugin.MCAP):
        pass
    with pytest.raises(BagError, match="holds no topics"):
        BagReader(tmp_path / "nothing", {})
    (tmp_path / "drive.bag.active").write_bytes(b"#ROSBAG V2.0")
    with pytest.raises(BagError, match="rename it to .bag and run `rosbag reindex`"):
        BagReader(tmp_path / "drive.bag.active", {})
