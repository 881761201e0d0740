"""A short recorded drive, and the node's client."""

from __future__ import annotations

import time

import pytest

from xview_localizer.assembly import build_localizer, open_map
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import BagReader
from xview_localizer.recordings.drive_file import read_drive

# Accept whatever is found: these tests are about the node, not about the network's quality.
ACCEPT_ALL = {
    "gate.min_confidence": 0.0,
    "gate.first_min_confidence": 0.0,
    "gate.max_position_sigma_m": 100.0,
}


@pytest.fixture(scope="session")
def drive(tmp_path_factory):
    from xview_localizer.simulation.drive import DriveConfig, simulate_drive

    config = DriveConfig(length_m=70.0, town_size_m=200.0, image_rate_hz=0.5, map_metres_per_pixel=0.3)
    return read_drive(simulate_drive(tmp_path_factory.mktemp("drive"), 5, config))


@pytest.fixture(scope="session")
def rig_drive(tmp_path_factory):
    """The drive of a robot with two cameras that are not synchronized."""
    from xview_localizer.simulation.drive import DriveConfig, RigCamera, simulate_drive

    rig = (
        RigCamera("front", (0.4, 0.0, 1.8), (0.4, 1.2, 0.0)),
        RigCamera("left", (0.1, 0.3, 1.8), (0.0, 1.2, 90.0), late_sec=0.2),
    )
    config = DriveConfig(
        length_m=60.0,
        town_size_m=200.0,
        kind="pinhole",
        image_rate_hz=0.5,
        map_metres_per_pixel=0.3,
        cameras=rig,
    )
    return read_drive(simulate_drive(tmp_path_factory.mktemp("rig"), 5, config))


@pytest.fixture(scope="session")
def values(drive):
    """Parameters of the drive, one thread."""
    return {**drive.values, **ACCEPT_ALL, "model.threads": 1, "inputs.wait_sec": 5.0}


@pytest.fixture(scope="session")
def drive_localizer(values):
    """The localizer of offline replays of the drive: the map is encoded once."""
    settings = Settings.from_values(values)
    return build_localizer(settings, open_map(settings))


@pytest.fixture(scope="session")
def recorded(drive):
    """All sensors' messages of the drive, in the order of a replay."""
    with BagReader(drive.bag, drive.topics) as bag:
        return list(bag.messages())


@pytest.fixture
def client(domain):
    from node_client import Client

    with Client() as client:
        yield client


@pytest.fixture
def graph(domain):
    """A subscriber's node, a publisher's node, and a function that spins both until something holds.

    Each has a DDS participant of its own, as in two processes: within one, a topic has one type.
    """
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    contexts = [rclpy.Context(), rclpy.Context()]
    nodes, executors = [], []
    for name, context in zip(("listener", "driver"), contexts, strict=True):
        rclpy.init(context=context)
        nodes.append(rclpy.create_node(name, context=context))
        executors.append(SingleThreadedExecutor(context=context))
        executors[-1].add_node(nodes[-1])

    def until(condition):
        end = time.monotonic() + 30.0
        while not condition():
            assert time.monotonic() < end
            for executor in executors:
                executor.spin_once(timeout_sec=0.02)

    yield *nodes, until
    for executor, node, context in zip(executors, nodes, contexts, strict=True):
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
