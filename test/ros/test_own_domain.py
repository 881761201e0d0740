"""Replays do not mix with a robot in the same network, nor with another replay on the same machine."""

import os
import subprocess
import sys

import pytest

from xview_localizer.ros.own_domain import use_own_domain

ASK = (
    "from xview_localizer.ros.own_domain import use_own_domain as own; import os; print(os.getpid(), own(), "
    "os.environ['ROS_DOMAIN_ID'], os.environ.get('ROS_AUTOMATIC_DISCOVERY_RANGE'))"
)


@pytest.mark.parametrize("given", [None, ""])
def test_each_process_has_a_domain_of_its_own_on_this_machine_alone(given):
    environment = {key: value for key, value in os.environ.items() if key != "ROS_DOMAIN_ID"}
    environment |= {} if given is None else {"ROS_DOMAIN_ID": given}
    command = [sys.executable, "-c", ASK]
    pid, domain, seen, reach = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(domain) == 10 + int(pid) % 90 and seen == domain and reach == "LOCALHOST"


def test_a_domain_that_is_set_stays_in_force(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    assert use_own_domain() == 7
    assert (os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"]) == ("7", "SUBNET")
