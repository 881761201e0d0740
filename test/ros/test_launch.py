"""Static checks run everywhere; launch files are executed where launch_ros is installed, else skipped."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from xview_localizer.ros.node_process import NodeProcess
from xview_localizer.settings import read_parameter_file

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


@pytest.fixture
def installed(tmp_path, monkeypatch, domain):
    """What a ROS installation of this package looks like: share/, lib/ and the index, in the prefix path."""
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
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    others = [folder for folder in os.get_exec_path() if not (Path(folder) / "xview-localizer").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join([str(python.parent), *others]))
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


def test_localize_launch_serves_the_map_activates_the_node_and_ends_on_sigint(
    installed, client, drive, recorded
):
    arguments = [
        f"map:={drive.values['map.source']}",
        "map_server:=true",
        f"map_server_port:={20000 + os.getpid() % 20000}",
        "transport:=compressed",
        f"latitude_deg:={drive.values['datum.latitude_deg']}",
        f"longitude_deg:={drive.values['datum.longitude_deg']}",
    ]
    launched = subprocess.Popen(
        [sys.executable, "-c", RUN_LAUNCH, str(installed / "localize.launch.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        client.play([message for message in recorded if message.role != "image"])
        for image in (message for message in recorded if message.role == "image"):
            client.play([image])
            client.spin_for(0.5)
        client.until(
            lambda: any(record.prior_x_m == record.prior_x_m for record in client.records), timeout_sec=60.0
        )
    finally:
        os.killpg(launched.pid, signal.SIGINT)  # as Ctrl-C does: launch does not pass it on
        output, _ = launched.communicate(timeout=60)
    assert re.search(r"localizer-\d\]: process has finished cleanly", output)
    assert "Traceback" not in output
