"""The node's lifecycle: configuration, activation, namespaces, signals and its exit."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import Transition
from node_client import COMPRESSED, of
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rosgraph_msgs.msg import Clock

from xview_localizer.ros import localizer_node
from xview_localizer.ros.localizer_node import LocalizerNode
from xview_localizer.ros.node_process import NodeProcess


def test_diagnostics_carry_the_namespace_of_the_node(client, values, recorded):
    remaps = {"__ns": "/front", "image/compressed": "/image/compressed", "~/status": "/localizer/status"}
    with NodeProcess(values | COMPRESSED, remaps):
        client.play(of(recorded, "image")[:1])
        client.record_with("no CameraInfo")
    assert set(client.status_names) == {"front/localizer: image"}
    assert {diagnostic.name for diagnostic in client.diagnostics} == {"front/localizer: state"}


def test_simulated_time_that_never_comes_is_reported(client, values):
    with NodeProcess(values | COMPRESSED | {"use_sim_time": True}):
        silent = client.diagnostic_with("use_sim_time is set, but nothing comes on /clock; ")
        assert (silent.level, silent.name) == (b"\x01", "localizer: state")

        def heard():
            client.publish("/clock", Clock, Clock(clock=Time(sec=5)))  # the node listens with best effort
            client.spin_for(0.2)
            return "/clock" not in client.diagnostics[-1].message

        client.until(heard)


def test_unforeseen_failure_of_a_transition_is_logged_and_taken_back(domain, values, monkeypatch, capfd):
    def broken(*arguments, **named):
        raise ZeroDivisionError("nobody foresaw this")

    context = rclpy.Context()
    rclpy.init(context=context)
    overrides = [rclpy.Parameter(name, value=value) for name, value in values.items()]
    node = LocalizerNode(context=context, parameter_overrides=overrides)
    try:
        for part, step in (("DriveIntake", "configure"), ("ImageJob", "activate")):
            trigger = getattr(node, f"trigger_{step}")
            with monkeypatch.context() as patch:
                patch.setattr(localizer_node, part, broken)
                assert trigger() == TransitionCallbackReturn.FAILURE
            said = f"cannot {step}: internal error: ZeroDivisionError('nobody foresaw this')"
            assert said in capfd.readouterr().err
            assert trigger() == TransitionCallbackReturn.SUCCESS
    finally:
        assert node.close()
        node.destroy_node()
        context.try_shutdown()


def test_lifecycle_there_and_back_again(client, values, recorded):
    three = ParameterValue(type=ParameterType.PARAMETER_INTEGER, integer_value=3)
    with NodeProcess(values | {"camera.transport": "compressed"}) as process:
        for _ in range(2):
            assert client.change_state(Transition.TRANSITION_CONFIGURE)
            refused = client.call(
                SetParameters, "/localizer/set_parameters",
                SetParameters.Request(parameters=[Parameter(name="keyframes.count", value=three)]),
            )  # fmt: skip
            assert "only while the node is unconfigured" in refused.results[0].reason
            assert client.change_state(Transition.TRANSITION_ACTIVATE)
            client.poses.clear()
            client.play_until(recorded, lambda: client.poses)
            assert client.change_state(Transition.TRANSITION_DEACTIVATE)
            assert client.change_state(Transition.TRANSITION_CLEANUP)
        assert process.running
        assert process.stop() == 0, process.log


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_signal_during_inference_ends_the_node_cleanly(client, values, recorded, with_signal):
    with NodeProcess(values | COMPRESSED) as process:
        client.play(recorded)  # leaves images in work and waiting
        client.until(lambda: client.records)
        client.play(of(recorded, "image")[-1:])
        assert process.stop(with_signal) == 0, process.log
        assert "Traceback" not in process.log


@pytest.mark.parametrize("after_sec", [0.02, 0.1, 0.5])
def test_a_second_signal_while_the_node_ends_changes_nothing(client, values, recorded, after_sec):
    """As Ctrl-C under launch: the terminal sends one, and launch sends one more."""
    with NodeProcess(values | COMPRESSED) as process:
        client.play(recorded)
        client.until(lambda: client.records)
        client.play(of(recorded, "image")[-1:])
        os.kill(process.pid, signal.SIGINT)
        time.sleep(after_sec)
        assert process.stop(signal.SIGINT) == 0, process.log
        assert "Traceback" not in process.log


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after_sec", [0.0, 0.2, 0.4])
def test_signal_while_importing_ends_the_node_cleanly(domain, with_signal, after_sec):
    command = [sys.executable, "-m", "xview_localizer.ros.main"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        while not catches(process.pid, signal.SIGTERM):
            time.sleep(0.005)
        time.sleep(after_sec)
        process.send_signal(with_signal)
        said, _ = process.communicate(timeout=15.0)
    assert process.returncode == 0, said
    assert "Traceback" not in said


# A lock that is taken twice: a native call that no signal breaks off.
STUCK = """
import ctypes
from xview_localizer.ros import run

def stuck():
    libc, lock = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    while True:
        try:  # A signal that comes before the library was called breaks off the print, and the lock is taken after it.
            print("stuck", flush=True)
            while True:
                libc.pthread_mutex_lock(lock)
        except KeyboardInterrupt:
            pass

run._run, run.END_TIMEOUT_SEC = stuck, 0.5
run.main([])
"""


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_node_ends_whatever_a_library_is_busy_with(domain, with_signal):
    with subprocess.Popen(
        [sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "stuck\n"
            process.send_signal(with_signal)
            _, error = process.communicate(timeout=30.0)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "localizer: did not end within" in error


def catches(pid, number):
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (number - 1) & 1


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_configuring_ends_the_node_cleanly(client, values, with_signal):
    with NodeProcess(values | COMPRESSED) as process:
        client.until(lambda: "localizer" in client.node.get_node_names())
        assert process.stop(with_signal) == 0, process.log
        assert "Traceback" not in process.log


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("map.sourc:=x", "unknown parameter map.sourc; did you mean map.source?"),
        ("camera.height_m:=90.0", "camera.height_m must lie in [0.0, 50.0], got 90.0"),
        ("gate.min_confidence:=1", "gate.min_confidence must be of type float, got 1; write 1.0"),
        ("camera.transport:=theora", "camera.transport must be one of raw, compressed"),
    ],
)
def test_wrong_parameters_are_refused_by_name(domain, argument, complaint):
    command = [sys.executable, "-m", "xview_localizer.ros.main", "--ros-args", "-p", argument]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_help_shows_how_to_start_the_node(domain):
    command = [sys.executable, "-m", "xview_localizer.ros.main", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "localizer --ros-args --params-file my_robot.yaml" in done.stdout
    assert "xview-localizer check-config my_robot.yaml" in done.stdout


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        (("--params-file", "/no/such/file.yaml"), "params file: '--params-file /no/such/file.yaml'"),
        (("-r", "image=/camera/image_raw"), "remap rule: '-r image=/camera/image_raw'"),
        (("--unknown",), "--unknown"),
        (("-p", "use_sim_time:='true'"), "'use_sim_time' to 'true' of type 'STRING', expecting type 'BOOL'"),
    ],
)
def test_arguments_that_ros_cannot_read_are_named(domain, argument, complaint):
    """Before, the node ended with exit code 0 and without a word about the cause, or with a traceback."""
    command = [sys.executable, "-m", "xview_localizer.ros.main", "--ros-args", *argument]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_transition_that_there_is_not_is_refused_and_the_node_goes_on(client, values):
    """As a lifecycle manager asks for that does not know of autostart."""
    with NodeProcess(values | COMPRESSED) as process:
        client.diagnostic_with("nothing on image")  # it is active
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP, 99):
            assert not client.change_state(transition)
        assert "cannot change the lifecycle's state by transition 1: " in process.log
        assert client.change_state(Transition.TRANSITION_DEACTIVATE), process.log


def test_missing_datum_fails_to_configure_with_its_name(client):
    with NodeProcess({"camera.height_m": 1.6}) as process:
        assert not client.change_state(Transition.TRANSITION_CONFIGURE)
        assert "waiting for a lifecycle manager" in process.log
        assert "datum.latitude_deg must be given" in process.log
        assert process.stop() == 0, process.log
