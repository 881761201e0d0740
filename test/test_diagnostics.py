"""What /diagnostics says of inputs that fall silent."""

import pytest

from xview_localizer.ros.diagnostics import OK, WARN, Health


@pytest.fixture
def clock(monkeypatch):
    """time.monotonic, to be set by hand."""
    now = [100.0]
    monkeypatch.setattr("xview_localizer.ros.diagnostics.time.monotonic", lambda: now[0])
    return now


def after_silence_of(clock, silent, heard):
    """The report once `heard` have spoken, and all but `silent` again 3.5 s later."""
    health = Health({})
    for name in heard:
        health.heard(name)
    clock[0] += 3.5
    for name in heard:
        if name != silent:
            health.heard(name)
    return health.report("active", 0)[:2]


@pytest.mark.parametrize("silent", ["image", "fix", "odom", "imu"])
def test_an_input_that_falls_silent_is_named(clock, silent):
    level, message = after_silence_of(clock, silent, ("image", "camera_info", "fix", "odom", "imu"))
    assert (level, message) == (WARN, f"nothing on {silent} for more than 3 s")


def test_inputs_that_a_robot_does_without_are_not_missed(clock):
    assert after_silence_of(clock, None, ("image", "camera_info", "fix")) == (OK, "active")
