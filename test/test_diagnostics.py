"""What /diagnostics says of inputs that fall silent."""

import pytest

from xview_localizer.records import ImageRecord
from xview_localizer.rejection import Reason, Rejection
from xview_localizer.ros.diagnostics import ERROR, OK, WARN, Health


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


@pytest.mark.parametrize(
    ("reason", "level", "message"),
    [
        (Reason.MAP_UNREADABLE, ERROR, "map: somehow"),
        (Reason.INTERNAL, ERROR, "internal error: somehow"),
        (Reason.CLOCKS_DISAGREE, WARN, "somehow"),
        (Reason.BAD_IMAGE, OK, "active"),
        # Its text begins like that of an error, but it is none: code compares reasons, not texts.
        (Reason.NO_IMAGERY, OK, "active"),
    ],
)
def test_reasons_that_are_the_operator_s_business(clock, reason, level, message):
    health = Health({})
    for name in ("image", "camera_info", "fix"):
        health.heard(name)
    rejection = Rejection.of(reason, detail="somehow", x_m=1.0, y_m=2.0)
    health.localized(ImageRecord.rejected(7.0, rejection), 10.0)
    found, text, values = health.report("active", 0)
    assert (found, text) == (level, message)
    assert (values["last_reason"], values["last_reason_code"]) == (rejection.text, reason.name)
    health.localized(ImageRecord(8.0, accepted=True, reason=""), 10.0)
    assert health.report("active", 0)[:2] == (OK, "active")
