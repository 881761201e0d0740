"""Some of the fault campaign, one of each kind; all of it by `make faults`."""

import itertools
import os
import re

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from campaign import make_drive, run
from faults import faults
from lifecycle_cycles import run_cycles

_domains = itertools.count()
# One of messages in, one of time, one of the map.
SOME = ("image: truncated JPEG", "time: back", "map server: 500")


@pytest.fixture(scope="session")
def drive_and_truth(tmp_path_factory):
    return make_drive(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def domain(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", str(10 + (os.getpid() + 45 + next(_domains)) % 90))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")


@pytest.mark.parametrize("name", SOME)
def test_fault(domain, drive_and_truth, name):
    fault = next(fault for fault in faults() if fault.name == name)
    outcome = run(fault, *drive_and_truth)
    assert outcome.problems == ()
    assert re.search(fault.reason, outcome.reason)
    assert outcome.accepted


def test_nothing_stays_behind_of_a_node_that_is_deactivated_while_its_map_hangs(domain, drive_and_truth):
    remains, log = run_cycles(drive_and_truth[0], 4)
    assert "goes on in the background" not in log
    assert remains[-1].threads <= remains[1].threads
    assert remains[-1].memory_mb - remains[1].memory_mb < 20.0
