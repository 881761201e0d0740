"""Static checks run everywhere; launch files are executed where launch_ros is installed, else skipped."""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml

from xview_localizer.aerial.http_client import HttpClient
from xview_localizer.aerial.map_server import TILE_ROUTE
from xview_localizer.parameters.file import parameter_file_text, read_parameter_file
from xview_localizer.ros.node_process import NodeProcess

ROOT = Path(__file__).parents[2]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_static_launch_file_compiles_and_generates(path):
    source = path.read_text()
    compile(source, str(path), "exec")
    assert "def generate_launch_description()" in source


def test_static_executables_of_the_launch_files_are_installed():
    source = "".join(path.read_text() for path in LAUNCH_FILES)
    executables = re.findall(r'package="xview_localizer",\s*executable="([\w-]+)"', source)
    assert executables
    for executable in executables:
        assert os.access(ROOT / "scripts" / executable, os.X_OK)
    for module in re.findall(r'"-m", "([\w.]+)"', source):
        assert importlib.util.find_spec(module)
    # Our own executables are not on everybody's PATH.
    assert '"xview-localizer"' not in source


@pytest.mark.parametrize("name", ["localizer", "xview-localizer"])
def test_static_scripts_are_the_entry_points(name):
    script = ROOT / "scripts" / name
    (module,) = re.findall(r"from ([\w.]+) import main", script.read_text())
    assert f"{name} = {module}:main" in (ROOT / "setup.py").read_text().replace(
        "{PACKAGE}", "xview_localizer"
    )
    done = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_static_files_named_by_the_launch_files_exist():
    source = "".join(path.read_text() for path in LAUNCH_FILES)
    for name in re.findall(r'CONFIG / "([\w.]+)"', source):
        assert (ROOT / "config" / name).is_file()


def test_static_manual_loads_into_the_real_node(client, values):
    from lifecycle_msgs.msg import Transition

    required = {name: values[name] for name in ("datum.latitude_deg", "datum.longitude_deg", "map.source")}
    with NodeProcess(read_parameter_file(ROOT / "config" / "localizer.yaml") | required) as process:
        assert client.change_state(Transition.TRANSITION_CONFIGURE), process.log


@pytest.mark.parametrize("namespace", ["", "/robot"])
def test_static_ekf_file_reaches_the_filter_in_any_namespace(domain, namespace):
    import rclpy

    path = ROOT / "config" / "ekf.yaml"
    (parameters,) = (part["ros__parameters"] for part in yaml.safe_load(path.read_text()).values())
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node(
        "ekf_filter_node",
        namespace=namespace,
        context=context,
        cli_args=["--ros-args", "--params-file", str(path)],
        automatically_declare_parameters_from_overrides=True,
    )
    try:
        assert {name: node.get_parameter(name).value for name in parameters} == parameters
    finally:
        node.destroy_node()
        context.try_shutdown()


def test_static_the_second_of_two_filters_takes_poses_as_the_single_one_does():
    """What was measured of config/ekf.yaml holds for the example of two filters where the values are the same."""
    single, two = (
        yaml.safe_load((ROOT / "config" / name).read_text()) for name in ("ekf.yaml", "ekf_dual.yaml")
    )
    single, second = single["/**"]["ros__parameters"], two["ekf_map"]["ros__parameters"]
    fusing = [name for name in single if name.startswith(("pose0", "odom0_config", "process_", "initial_"))]
    assert {name: second[name] for name in fusing if name in second} == {
        name: single[name] for name in fusing if not name.endswith("queue_size")
    }
    assert len(single["process_noise_covariance"]) == len(single["initial_estimate_covariance"]) == 15


def write_command(path, line):
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


@pytest.fixture
def installed(tmp_path, monkeypatch, domain):
    """Install this package as ROS does, with share/, lib/ and the index, in the prefix path."""
    pytest.importorskip("launch_ros.actions", reason="needs launch_ros of a ROS installation")
    share, lib, index = (
        tmp_path / part
        for part in (
            "share/xview_localizer",
            "lib/xview_localizer",
            "share/ament_index/resource_index/packages",
        )
    )
    for folder in (share, lib, index):
        folder.mkdir(parents=True)
    (index / "xview_localizer").touch()
    for name in ("launch", "config"):
        (share / name).mkdir()
        for source in (ROOT / name).iterdir():
            (share / name / source.name).write_bytes(source.read_bytes())
    for script in (ROOT / "scripts").iterdir():
        shutil.copy(script, lib)
    prefixes = os.pathsep.join([str(tmp_path), os.environ.get("AMENT_PREFIX_PATH", "")])
    monkeypatch.setenv("AMENT_PREFIX_PATH", prefixes.strip(os.pathsep))
    # The scripts take this Python, whose own folder would lend its `xview-localizer` to the launch files.
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, target in (("python3", sys.executable), ("ros2", shutil.which("ros2"))):
        if target:
            write_command(commands / name, f'exec {target} "$@"')
    others = [folder for folder in os.get_exec_path() if not (Path(folder) / "xview-localizer").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join([str(commands), *others]))
    return share / "launch"


RUN_LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
arguments = [tuple(a.split(":=", 1)) for a in sys.argv[2:]]
service = LaunchService()
source = PythonLaunchDescriptionSource(sys.argv[1])
included = IncludeLaunchDescription(source, launch_arguments=arguments)
service.include_launch_description(LaunchDescription([included]))
sys.exit(service.run())
"""


@pytest.mark.parametrize("name", [path.name for path in LAUNCH_FILES])
def test_every_argument_is_described(installed, name):
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    description = get_launch_description_from_python_launch_file(str(installed / name))
    arguments = description.get_launch_arguments()
    assert arguments
    assert all(argument.description != "no description given" for argument in arguments)


@contextmanager
def launched(path, *arguments):
    """The launch file in a process group of its own, as in a terminal; killed if it is still there."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_LAUNCH, str(path), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def output_of(path, *arguments):
    """The output of a launch that ends by itself."""
    with launched(path, *arguments) as process:
        return process.communicate(timeout=60)[0]


def datum(drive):
    return [f"{name}:={drive.values[f'datum.{name}']}" for name in ("latitude_deg", "longitude_deg")]


def test_localize_launch_serves_the_map_activates_the_node_and_ends_on_sigint(
    installed, client, drive, recorded, tmp_path
):
    parameters = tmp_path / "mounted.yaml"
    parameters.write_text(parameter_file_text(drive.values))
    arguments = [
        f"params_file:={parameters}",
        f"map:={drive.values['map.source']}",
        "map_server:=true",
        "transport:=compressed",
        *datum(drive),
    ]
    with launched(installed / "localize.launch.py", *arguments) as process:
        client.play([message for message in recorded if message.role != "image"])
        for image in (message for message in recorded if message.role == "image"):
            client.play([image])
            client.spin_for(0.5)
        client.until(
            lambda: any(record.prior_x_m == record.prior_x_m for record in client.records), timeout_sec=60.0
        )
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert re.search(r"localizer-\d\]: process has finished cleanly", output)
    assert "Traceback" not in output


def test_cameras_of_the_parameter_file_have_their_topics(installed, client, rig_drive, tmp_path):
    parameters = tmp_path / "rig.yaml"
    parameters.write_text(parameter_file_text(rig_drive.values))
    arguments = [f"params_file:={parameters}", "transport:=compressed", "left/compressed_image:=/left/jpeg"]
    wanted = ("/front/image/compressed", "/front/camera_info", "/left/jpeg", "/left/camera_info")
    with launched(installed / "localize.launch.py", *arguments) as process:
        client.until(
            lambda: all(client.node.get_subscriptions_info_by_topic(topic) for topic in wanted),
            timeout_sec=120.0,
        )
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)


def test_replay_plays_several_cameras(installed, client, rig_drive, tmp_path):
    write_command(
        tmp_path / "bin" / "ros2", f'exec {sys.executable} {Path(__file__).parent}/bag_play.py "$@"'
    )
    parameters = tmp_path / "rig.yaml"
    # Every image is answered, however slow the machine.
    parameters.write_text(parameter_file_text({**rig_drive.values, "inputs.wait_sec": 5.0}))
    arguments = [f"drive:={rig_drive.bag}", f"params_file:={parameters}", "rate:=0.3", "start_delay_sec:=20"]
    with launched(installed / "replay.launch.py", *arguments) as process:
        client.until(lambda: process.poll() is not None, timeout_sec=200.0)
        output, _ = process.communicate()
    assert re.search(r"bag_play-\d\]: process has finished cleanly", output), output
    answered = [record for record in client.records if np.isfinite(record.prior_x_m)]
    assert len(answered) >= 2, output
    # One pose for the images of both, with the stamp of the later one.
    assert all(record.stamp_sec % 1 == pytest.approx(0.2) for record in answered)


def test_two_robots_read_a_map_server_each(installed, client, drive, tmp_path):
    maps = {"one": Path(drive.values["map.source"]), "two": tmp_path / "second.tif"}
    shutil.copy(maps["one"], maps["two"])

    def address_of(robot):
        """The address of the robot's map."""
        values = [
            {entry.key: entry.value for entry in status.values}
            for status in client.diagnostics
            if status.name == f"{robot}/localizer: state"
        ]
        return values[-1]["map"] if values else ""

    def arguments(robot):
        return [f"map:={maps[robot]}", "map_server:=true", f"namespace:={robot}", *datum(drive)]

    path = installed / "localize.launch.py"
    with launched(path, *arguments("one")) as first, launched(path, *arguments("two")) as second:
        client.until(lambda: address_of("one") and address_of("two"), timeout_sec=120.0)
        for robot, file in maps.items():
            address = address_of(robot)
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\{z\}/\{x\}/\{y\}\.png", address)
            health = HttpClient("test").get(address.replace(TILE_ROUTE, "/healthz"), 5.0, 10_000)
            assert json.loads(health.body) == {"map": file.name}
        for process in (first, second):
            os.killpg(process.pid, signal.SIGINT)
        outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    for output, file in zip(outputs, maps.values(), strict=True):
        assert output.index(f"serving {file.name}") < output.index("[localizer-2]: process started")
        assert "100% imagery" in output


def test_launch_ends_with_its_map_server(installed, client, drive):
    arguments = [f"map:={drive.values['map.source']}", "map_server:=true", *datum(drive)]
    with launched(installed / "localize.launch.py", *arguments) as process:
        client.until(lambda: client.diagnostics, timeout_sec=60.0)
        (server,) = subprocess.run(
            ["pgrep", "-g", str(process.pid), "-f", "map-server"], capture_output=True, text=True, check=True
        ).stdout.split()
        os.kill(int(server), signal.SIGKILL)
        output, _ = process.communicate(timeout=60)
    assert re.search(r"map_server-\d\]: process has died", output)
    assert re.search(r"localizer-\d\]: process has finished cleanly", output)


@pytest.fixture
def ekf_started(installed, tmp_path):
    """Stands in for ekf_node, which is C++: the file to which it writes what it is started with."""
    folder, started = tmp_path / "lib" / "robot_localization", tmp_path / "ekf.txt"
    folder.mkdir()
    (tmp_path / "share/ament_index/resource_index/packages/robot_localization").touch()
    copy = (
        f'for argument; do cat "$argument" >> {started}.part 2>/dev/null; done; mv {started}.part {started}'
    )
    write_command(folder / "ekf_node", f"{copy}; exec sleep 300")
    return started


def test_ekf_starts_at_the_first_pose(installed, client, drive, ekf_started):
    from geometry_msgs.msg import PoseWithCovarianceStamped

    arguments = [f"map:={drive.values['map.source']}", "ekf:=true", "ekf_publish_tf:=false", *datum(drive)]
    pose = PoseWithCovarianceStamped()
    pose.pose.pose.position.x, pose.pose.pose.position.y = 31.5, -7.25
    pose.pose.pose.orientation.z, pose.pose.pose.orientation.w = np.sin(0.6), np.cos(0.6)
    with launched(installed / "localize.launch.py", *arguments) as process:
        publisher = client.node.create_publisher(PoseWithCovarianceStamped, "/localizer/pose", 1)
        client.until(lambda: publisher.get_subscription_count() == 2, timeout_sec=60.0)  # and our own
        assert not ekf_started.exists()
        publisher.publish(pose)
        client.until(lambda: "initial_state" in read_if_there(ekf_started), timeout_sec=60.0)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
    given = {}
    # launch_ros writes lists as tuples, a tag that ROS's own parser passes over.
    files = read_if_there(ekf_started).replace("!!python/tuple", "")
    for part in re.split(r"^(?=/)", files, flags=re.MULTILINE):
        for parameters in (yaml.safe_load(part) or {}).values():
            given |= parameters["ros__parameters"]
    np.testing.assert_allclose(given["initial_state"], [31.5, -7.25, 0, 0, 0, 1.2, *[0] * 9], atol=1e-3)
    assert given["publish_tf"] is False
    assert given["pose0"] == "localizer/pose"


def read_if_there(path):
    return path.read_text() if path.exists() else ""


def test_map_and_namespace_reach_the_node_and_its_logger(installed, drive):
    arguments = ["map:=/no #1: map.tif", "namespace:=robot", "log_level:=debug", *datum(drive)]
    output = output_of(installed / "localize.launch.py", *arguments)
    assert "[robot.localizer]: cannot configure: cannot open the map /no #1: map.tif" in output
    assert "--log-level robot.localizer:=debug" in output


def test_map_server_ends_with_a_node_that_refuses_its_parameters(installed, drive, tmp_path):
    parameters = tmp_path / "typo.yaml"
    parameters.write_text("/**: {ros__parameters: {gate: {min_confidense: 0.5}}}")
    output = output_of(
        installed / "localize.launch.py",
        f"params_file:={parameters}",
        f"map:={drive.values['map.source']}",
        "map_server:=true",
    )
    assert "did you mean gate.min_confidence?" in output


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("params_file:=/no/robot.yaml", "parameter file /no/robot.yaml does not exist"),
        ("latitude_deg:=north", "latitude_deg:=north is not a number"),
        ("map_server:=true", "map_server:=true serves a file"),
        ("log_level:=loud", '"loud" is not valid'),
    ],
)
def test_wrong_argument_is_named_and_starts_nothing(installed, argument, complaint):
    output = output_of(installed / "localize.launch.py", argument)
    assert complaint in output
    assert "process started" not in output


@pytest.mark.parametrize(
    ("given", "expected"), [([], True), (["use_sim_time:=false"], False)], ids=["file", "argument"]
)
def test_use_sim_time_of_the_parameter_file_counts_unless_given(
    installed, client, drive, tmp_path, given, expected
):
    from rcl_interfaces.srv import GetParameters

    parameters = tmp_path / "simulated.yaml"
    parameters.write_text("/**: {ros__parameters: {use_sim_time: true}}")
    arguments = [f"params_file:={parameters}", "autostart:=false", *given]
    with launched(installed / "localize.launch.py", *arguments) as process:
        request = GetParameters.Request(names=["use_sim_time"])
        (value,) = client.call(GetParameters, "/localizer/get_parameters", request).values
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
    assert value.bool_value is expected


def test_replay_ends_with_a_node_that_cannot_start(installed, drive, tmp_path):
    folder = drive.bag.parent
    mapless = tmp_path / "mapless"
    mapless.mkdir()
    document = yaml.safe_load((folder / "drive.yaml").read_text())
    document |= {"map": "lost.tif", "bag": str(drive.bag)}
    (mapless / "drive.yaml").write_text(yaml.safe_dump(document))
    write_command(tmp_path / "bin" / "ros2", "exec sleep 300")
    output = output_of(installed / "replay.launch.py", f"drive:={mapless}")
    assert re.search(r"cannot open the map .*lost\.tif", output)
    assert re.search(r"bag_play-\d\]: process started", output)


def test_replay_goes_on_after_the_first_pose(installed, client, drive, tmp_path, ekf_started):
    """What waits for that pose ends cleanly, long before the bag does."""
    from geometry_msgs.msg import PoseWithCovarianceStamped

    write_command(tmp_path / "bin" / "ros2", "exec sleep 300")
    with launched(installed / "replay.launch.py", f"drive:={drive.bag.parent}", "ekf:=true") as process:
        publisher = client.node.create_publisher(PoseWithCovarianceStamped, "/localizer/pose", 1)
        client.until(lambda: publisher.get_subscription_count() == 2, timeout_sec=60.0)  # and our own
        publisher.publish(PoseWithCovarianceStamped())
        client.until(lambda: "initial_state" in read_if_there(ekf_started), timeout_sec=60.0)
        client.spin_for(10.0)  # longer than the last images are waited for, and than processes take to end
        assert process.poll() is None, process.communicate()[0]
        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert "has ended" not in output


def test_replay_plays_the_drive_and_ends_with_it(installed, client, drive):
    pytest.importorskip("ros2bag", reason="needs ros2 bag play")
    with launched(installed / "replay.launch.py", f"drive:={drive.bag.parent}", "rate:=2.0") as process:
        client.until(lambda: client.records, timeout_sec=60.0)
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert len(re.findall("process has finished cleanly", output)) == 2, output
