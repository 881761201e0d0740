"""Recordings as users have them: topics by type, the robot's own parameters, and questions by name."""

from dataclasses import replace

import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from xview_localizer.parameters.file import parameter_file_text, read_parameter_file
from xview_localizer.parameters.problems import find_problems
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import BagError, BagReader, open_inputs
from xview_localizer.recordings.drives import open_drive

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
IMAGE, COMPRESSED, INFO, FIX = (
    f"sensor_msgs/msg/{name}" for name in ("Image", "CompressedImage", "CameraInfo", "NavSatFix")
)
ODOM = "nav_msgs/msg/Odometry"
ONE_OF_A_KIND = {"/front/image_raw": IMAGE, "/front/camera_info": INFO, "/gps": FIX, "/wheels": ODOM}
PARAMETERS = {
    "datum.latitude_deg": 48.0,
    "datum.longitude_deg": 11.0,
    "map.source": "https://host/{z}/{x}/{y}.png",
}


def recording(folder, topics):
    """A bag that has these topics, and one position on each NavSatFix."""
    header = TYPES["std_msgs/msg/Header"](TYPES["builtin_interfaces/msg/Time"](100, 0), "gps")
    status = TYPES["sensor_msgs/msg/NavSatStatus"](status=0, service=1)
    fix = TYPES[FIX](header, status, 48.1234567, 11.7654321, 0.0, np.zeros(9), 0)
    with Writer(folder / "rosbag2", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, kind in topics.items():
            connection = writer.add_connection(topic, kind, typestore=STORE)
            if kind == FIX:
                writer.write(connection, 100, STORE.serialize_cdr(fix, FIX))
    return folder / "rosbag2"


@pytest.fixture
def robot(tmp_path):
    path = tmp_path / "my_robot.yaml"
    path.write_text(parameter_file_text(PARAMETERS | {"camera.height_m": 1.4}))
    return read_parameter_file(path)


@pytest.mark.parametrize("given", ["", "metadata.yaml"])
def test_topics_are_found_by_type(tmp_path, robot, given):
    drive = open_drive(recording(tmp_path, ONE_OF_A_KIND) / given, robot)
    wanted = {
        "image": "/front/image_raw",
        "camera_info": "/front/camera_info",
        "fix": "/gps",
        "odom": "/wheels",
    }
    assert drive.topics == wanted | {"tf": "/tf", "tf_static": "/tf_static"}
    assert drive.values == PARAMETERS | {"camera.height_m": 1.4}
    assert Settings.from_values(drive.values).mountings.from_tf
    assert (drive.name, drive.folder) == ("rosbag2", tmp_path)


TF = "tf2_msgs/msg/TFMessage"


def test_tf_of_a_robot_with_a_namespace(tmp_path, robot):
    topics = ONE_OF_A_KIND | {"/robot1/tf": TF, "/robot1/tf_static": TF}
    drive = open_drive(recording(tmp_path, topics), robot)
    assert (drive.topics["tf"], drive.topics["tf_static"]) == ("/robot1/tf", "/robot1/tf_static")


def test_tf_of_several_robots_is_asked_for(tmp_path, robot):
    bag = recording(tmp_path, ONE_OF_A_KIND | {"/a/tf_static": TF, "/b/tf_static": TF})
    with pytest.raises(BagError, match=r"--topic tf_static:=/b/tf_static\n.*without tf_static"):
        open_drive(bag, robot)
    assert open_drive(bag, robot, {"tf_static": "/b/tf_static"}).topics["tf_static"] == "/b/tf_static"
    assert "tf_static" not in open_drive(bag, robot, {"tf_static": ""}).topics


def test_a_topic_that_is_named_has_to_be_there(tmp_path, robot):
    """A misspelt name of odometry's topic must not lead to a drive that is judged without odometry."""
    with pytest.raises(BagError, match=r"(?s)has no topic /odmo for odom. There are:.*/wheels \(nav_msgs"):
        open_drive(recording(tmp_path, ONE_OF_A_KIND), robot, {"odom": "/odmo"})


def test_what_the_node_itself_published_is_no_input(tmp_path, robot):
    """A recording of everything (`ros2 bag record -a`) holds it; in a namespace, too."""
    own = {"/localizer/fix": FIX, "/robot1/localizer/debug/image": IMAGE}
    drive = open_drive(recording(tmp_path, ONE_OF_A_KIND | own), robot)
    assert (drive.topics["image"], drive.topics["fix"]) == ("/front/image_raw", "/gps")


def test_compressed_and_depth_images_are_no_other_cameras(tmp_path, robot):
    others = {"/front/image_raw/compressed": COMPRESSED, "/front/image_raw/compressedDepth": COMPRESSED}
    drive = open_drive(recording(tmp_path, ONE_OF_A_KIND | others), robot)
    assert drive.topics["image"] == "/front/image_raw"


def test_a_camera_info_goes_with_its_image(tmp_path, robot):
    rear = {"/rear/image_raw/compressed": COMPRESSED, "/rear/camera_info": INFO}
    bag = recording(tmp_path, ONE_OF_A_KIND | rear)
    drive = open_drive(bag, robot, {"image": "/rear/image_raw/compressed"})
    assert drive.topics["camera_info"] == "/rear/camera_info"
    with pytest.raises(BagError) as error:
        open_drive(bag, robot)
    for line in ("--topic image:=/front/image_raw", "--topic image:=/rear/image_raw/compressed"):
        assert f"\n  {line}\n" in str(error.value)


def test_a_calibration_file_replaces_the_camera_info(tmp_path, robot):
    """Which is then neither missed nor asked for, though several topics have one and drive.yaml names another."""
    bag = recording(tmp_path, ONE_OF_A_KIND | {"/a/camera_info": INFO, "/b/camera_info": INFO})
    (tmp_path / "drive.yaml").write_text(
        yaml.safe_dump({"bag": bag.name, "topics": {"camera_info": "/lost"}})
    )
    with pytest.raises(BagError, match="has no topic /lost for camera_info"):
        open_drive(tmp_path, robot)
    for path in (bag, tmp_path):
        assert "camera_info" not in open_drive(path, robot | {"camera.info_file": "ost.yaml"}).topics


def test_each_of_several_cameras_may_have_a_calibration_file(tmp_path, robot):
    rear = {"/rear/image_raw/compressed": COMPRESSED, "/rear/camera_info": INFO}
    cameras = {"cameras": ("front", "rear"), "camera.rear.info_file": "rear.yaml"}
    bag = recording(tmp_path, ONE_OF_A_KIND | rear)
    drive = open_drive(bag, robot | cameras)
    assert drive.topics["front/camera_info"] == "/front/camera_info"
    assert "rear/camera_info" not in drive.topics
    with open_inputs(drive, Settings.from_values(drive.values)) as reader:
        assert {"front/image", "front/camera_info", "rear/image"} < set(reader.types)
        assert "rear/camera_info" not in reader.types
    without = replace(drive, topics={k: v for k, v in drive.topics.items() if k != "front/camera_info"})
    with pytest.raises(BagError, match="has no topic for front/camera_info; .*or give a calibration file"):
        open_inputs(without, Settings.from_values(drive.values))


def test_poses_are_odometry_only_where_they_are_named(tmp_path, robot):
    """A goal, or the answers of another localizer, have these types as well."""
    poses = {"/goal": "geometry_msgs/msg/PoseStamped", "/pose": "geometry_msgs/msg/PoseWithCovarianceStamped"}
    bag = recording(tmp_path, {topic: kind for topic, kind in ONE_OF_A_KIND.items() if kind != ODOM} | poses)
    assert "odom" not in open_drive(bag, robot).topics
    drive = open_drive(bag, robot, {"odom": "/pose"})
    with BagReader(drive.bag, drive.topics) as reader:
        assert reader.types["odom"] == poses["/pose"]


def test_what_may_be_left_out_can_be(tmp_path, robot):
    bag = recording(tmp_path, ONE_OF_A_KIND | {"/visual": ODOM})
    with pytest.raises(
        BagError, match=r"(?s)odom may be one of 2 topics.*--topic odom:=/visual.*--topic odom:= +\("
    ):
        open_drive(bag, robot)
    assert "odom" not in open_drive(bag, robot, {"odom": ""}).topics
    with pytest.raises(BagError, match="there is no input odometry; they are image, camera_info, fix"):
        open_drive(bag, robot, {"odometry": "/visual"})


def test_missing_values_come_as_a_file_to_copy(tmp_path):
    bag = recording(tmp_path, ONE_OF_A_KIND)
    with pytest.raises(
        BagError, match="lacks datum.latitude_deg, datum.longitude_deg, map.source; give"
    ) as error:
        open_drive(bag)
    text = str(error.value)
    (tmp_path / "copied.yaml").write_text(text[text.index("/**:") :])
    values = read_parameter_file(tmp_path / "copied.yaml")
    assert values["datum.latitude_deg"] == pytest.approx(48.123457)
    assert find_problems(values) == []
    assert open_drive(bag, values).values == values


def test_parameters_overrule_the_description(tmp_path, robot):
    bag = recording(tmp_path, ONE_OF_A_KIND | {"/other": ODOM})
    description = {
        "bag": bag.name, "map": "own.tif", "datum": {"latitude_deg": 1.0, "longitude_deg": 2.0, "altitude_m": 3.0},
        "camera": {"rpy_deg": [0.0, 1.0, 2.0], "height_m": 1.8}, "topics": {"odom": "/other"},
    }  # fmt: skip
    (tmp_path / "drive.yaml").write_text(yaml.safe_dump(description))
    plain, tuned = open_drive(tmp_path), open_drive(tmp_path / "drive.yaml", robot, {"odom": "/wheels"})
    assert plain.values["map.source"] == str((tmp_path / "own.tif").resolve())
    assert (plain.topics["odom"], tuned.topics["odom"]) == ("/other", "/wheels")
    assert tuned.values == plain.values | PARAMETERS | {"camera.height_m": 1.4}
    assert tuned.values["datum.altitude_m"] == 3.0


def test_cameras_find_the_topics_that_have_their_names(tmp_path, robot):
    rear = {"/rear/image_raw/compressed": COMPRESSED, "/rear/camera_info": INFO}
    bag = recording(tmp_path, ONE_OF_A_KIND | rear)
    drive = open_drive(bag, robot | {"cameras": ("front", "rear")})
    assert drive.topics["front/image"] == "/front/image_raw"
    assert drive.topics["rear/image"] == "/rear/image_raw/compressed"
    assert drive.topics["rear/camera_info"] == "/rear/camera_info"
    assert "image" not in drive.topics
    assert Settings.from_values(drive.values).cameras == ("front", "rear")
    named = open_drive(bag, robot, {"a/image": "/front/image_raw", "b/image": "/rear/image_raw/compressed"})
    assert named.values["cameras"] == ("a", "b") and named.topics["b/camera_info"] == "/rear/camera_info"
