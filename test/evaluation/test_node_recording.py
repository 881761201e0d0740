"""A robot's recording with the node's status becomes a recording for Rerun, without a reference."""

import subprocess
import sys

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from typer.testing import CliRunner

from xview_localizer.aerial.source import AerialImage
from xview_localizer.cli.main import app
from xview_localizer.evaluation.node_recording import read_node_recording
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.parameters.file import parameter_file_text, read_parameter_file
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.drives import open_drive
from xview_localizer.records import ImageRecord
from xview_localizer.rejection import Reason, Rejection
from xview_localizer.simulation.geotiff import write_utm_geotiff

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
STATUS, IMAGE, FIX = (
    "diagnostic_msgs/msg/DiagnosticArray", "sensor_msgs/msg/Image", "sensor_msgs/msg/NavSatFix"
)  # fmt: skip
FRAME = LocalFrame(48.0, 11.0, 0.0)
RECORDS = (
    ImageRecord.rejected(100.0, Rejection.of(Reason.BAD_IMAGE, detail="lens cap")),
    ImageRecord(
        101.0, True, "", x_m=3.0, y_m=4.0, yaw_rad=0.5, covariance=tuple(np.diag([0.04, 0.09, 0.01]).ravel()),
        confidence=0.99, prior_x_m=5.0, prior_y_m=5.0, prior_radius_m=15.0, estimate_x_m=3.0, estimate_y_m=4.0,
        estimate_yaw_rad=0.5, timings_ms={"encode": 20.0},
    ),
)  # fmt: skip


def header(stamp_sec):
    return TYPES["std_msgs/msg/Header"](TYPES["builtin_interfaces/msg/Time"](int(stamp_sec), 0), "antenna")


def status_message(record, name="front/localizer: image"):
    values = [TYPES["diagnostic_msgs/msg/KeyValue"](key, text) for key, text in record.to_texts().items()]
    entry = TYPES["diagnostic_msgs/msg/DiagnosticStatus"](0, name, record.reason, "", values)
    return TYPES[STATUS](header(record.stamp_sec), [entry])


def fix_message():
    latitude_deg, longitude_deg, altitude_m = map(float, FRAME.geodetic_from_enu(np.array([5.0, 5.0, 0.0])))
    status = TYPES["sensor_msgs/msg/NavSatStatus"](status=0, service=1)
    return TYPES[FIX](header(100.0), status, latitude_deg, longitude_deg, altitude_m, np.zeros(9), 0)


def image_message(stamp_sec):
    pixels = np.full(8 * 16 * 3, 40, np.uint8)
    return TYPES[IMAGE](header(stamp_sec), 8, 16, "rgb8", 0, 48, pixels)


def write_bag(folder, messages):
    """A bag of (topic, message) pairs, in order."""
    with Writer(folder / "rosbag2", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {}
        for number, (topic, message) in enumerate(messages):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], number + 1, STORE.serialize_cdr(message, kind))
    return folder / "rosbag2"


@pytest.fixture
def parameters(tmp_path):
    """The robot's parameter file, with a map of 200 m around the datum."""
    grid = RasterGrid.centred(0.0, 0.0, 0.5, 400, 400)
    image = np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8)
    write_utm_geotiff(tmp_path / "map.tif", AerialImage(image, np.ones((400, 400), bool), grid), FRAME)
    path = tmp_path / "my_robot.yaml"
    values = {
        "datum.latitude_deg": FRAME.latitude_deg, "datum.longitude_deg": FRAME.longitude_deg,
        "map.source": str(tmp_path / "map.tif"), "gnss.antenna_in_base_m": (1.0, 0.0, 1.0),
    }  # fmt: skip
    path.write_text(parameter_file_text(values))
    return path


def run(bag, parameters, *options):
    return CliRunner().invoke(app, ["rerun", str(bag), "--params-file", str(parameters), *options])


def answers(topic="/front/localizer/status"):
    return [(topic, status_message(record)) for record in RECORDS]


def test_records_images_and_gnss_are_read(tmp_path, parameters):
    inputs = [("/gps", fix_message()), ("/image", image_message(101.0))]
    other = ("/front/localizer/status", status_message(RECORDS[0], "front/localizer: state"))
    bag = write_bag(tmp_path, [*inputs, other, *answers()])
    drive = open_drive(bag, read_parameter_file(parameters))
    node = read_node_recording(drive, Settings.from_values(drive.values))
    assert [record.to_texts() for record in node.records] == [record.to_texts() for record in RECORDS]
    assert node.images[0] is None and (node.images[1] == 40).all()
    np.testing.assert_allclose(node.gnss_xy_m, [[5.0, 5.0]], atol=1e-6)
    assert node.aerial.valid.all() and node.aerial.grid.bounds.contains(np.array([3.0, 4.0]))


def test_the_command_writes_a_recording_for_rerun(tmp_path, parameters):
    pytest.importorskip("rerun")
    out = tmp_path / "new" / "run.rrd"
    bag = write_bag(tmp_path, [("/gps", fix_message()), ("/image", image_message(101.0)), *answers()])
    result = run(bag, parameters, "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "2 images, 1 accepted" in result.output
    command = [sys.executable, "-m", "rerun", "rrd", "print", "-vvv", str(out)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    for entity in ("/map/aerial", "/map/gnss", "/map/published", "/map/pose/ellipse", "/camera", "/verdict"):
        assert entity in printed, entity
    assert "/error_m" not in printed
    assert "lens cap" in printed


def without(message, key):
    """The status without one of its values."""
    message.status[0].values = [entry for entry in message.status[0].values if entry.key != key]
    return message


@pytest.mark.parametrize(
    "messages, problem",
    [
        ([("/gps", fix_message())], "has no status of the node; record its topic ~/status"),
        ([*answers("/front/status"), *answers("/rear/status")], "--status /rear/status"),
        ([("/front/status", status_message(RECORDS[0], "battery"))], "no status of an image on /front/status"),
        (answers()[:1], "has neither GNSS positions nor poses; record the topic of fix too"),
        ([("/front/status", without(status_message(RECORDS[1]), "accepted"))], "recorded with another version"),
    ],
    ids=["no status", "two nodes", "another status", "no positions", "another version"],
)  # fmt: skip
def test_an_unusable_recording_is_refused_by_name(tmp_path, parameters, messages, problem):
    pytest.importorskip("rerun")
    result = run(write_bag(tmp_path, messages), parameters)
    assert result.exit_code == 1
    assert problem in str(result.exception)


def test_the_status_of_one_of_two_nodes_can_be_chosen(tmp_path, parameters):
    bag = write_bag(tmp_path, [*answers("/front/status"), *answers("/rear/status")[1:]])
    drive = open_drive(bag, read_parameter_file(parameters))
    assert len(read_node_recording(drive, Settings.from_values(drive.values), "/rear/status").records) == 1
