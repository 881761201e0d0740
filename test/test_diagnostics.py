"""The report on /diagnostics of inputs that stop."""

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


def found_by(health, state="active", **options):
    """Level and text of the next report."""
    report = health.report(state, **options)
    return report.level, report.text


def after_silence_of(clock, silent, received):
    """Level and text of the node's report, 3.5 s after the last message of the input `silent`.

    The other inputs of `received` have just had a message.
    """
    health = Health({})
    for name in received:
        health.received(name)
    clock[0] += 3.5
    for name in received:
        if name != silent:
            health.received(name)
    return found_by(health)


@pytest.mark.parametrize("silent", ["image", "fix", "odom", "imu"])
def test_an_input_that_falls_silent_is_named(clock, silent):
    level, message = after_silence_of(clock, silent, ("image", "camera_info", "fix", "odom", "imu"))
    assert (level, message) == (WARN, f"nothing on {silent} for more than 3 s")


def test_what_to_do_about_a_silent_input_stands_beside_it(clock):
    health = Health({})
    clock[0] += 3.5
    for name in ("image", "camera_info"):
        health.received(name)
    remedies = {"fix": "start its driver", "image": "remap it"}
    assert found_by(health, remedies=remedies)[1] == "nothing on fix for more than 3 s: start its driver"


def test_the_camera_that_falls_silent_is_named(clock):
    health = Health({}, cameras=("front", "left"))
    inputs = [f"{camera}/{kind}" for camera in ("front", "left") for kind in ("image", "camera_info")]
    for name in (*inputs, "fix"):
        health.received(name)
    clock[0] += 3.5
    health.received("front/image")
    health.received("fix")
    health.malformed("front/image", "cut off")
    report = health.report("active")
    assert (report.level, report.text) == (
        WARN,
        "nothing on left/image for more than 3 s; malformed front/image: cut off",
    )
    assert report.values["left/image_age_sec"] == "3.5" and "image_age_sec" not in report.values


def test_a_malformed_message_is_named_with_the_topic_that_was_remapped():
    health = Health({})
    for name in ("image", "camera_info", "fix"):
        health.received(name)
    health.malformed("camera_info", "k is all 0")
    text = health.report("active", topics={"camera_info": "/front/camera_info"}).text
    assert text == "malformed camera_info on /front/camera_info: k is all 0"


def test_doubts_are_values_of_their_own():
    """The text has the worst findings only."""
    values = Health({}).report("active", doubts=["the lens is narrow", "the map; is old"]).values
    assert (values["doubt_1"], values["doubt_2"]) == ("the lens is narrow", "the map; is old")


def test_nothing_is_expected_on_an_input_that_a_file_replaces(clock):
    health = Health({}, cameras=("front", "left"), unused={"left/camera_info"})
    clock[0] += 3.5
    report = health.report("active")
    assert "front/camera_info" in report.text and "left/camera_info" not in report.text
    assert not any(name.startswith("left/camera_info") for name in report.values)


def test_nothing_is_missed_before_it_could_come(clock):
    """A node receives nothing before it is activated, nor between two activations."""
    health = Health({})
    clock[0] += 60.0
    assert found_by(health, "inactive") == (OK, "inactive")
    clock[0] += 1.0
    assert found_by(health) == (OK, "active")
    for name in ("image", "camera_info", "fix", "odom"):
        health.received(name)
    clock[0] += 60.0
    health.report("inactive")
    clock[0] += 1.0
    assert found_by(health) == (OK, "active")
    clock[0] += 3.0
    level, text = found_by(health)
    assert (level, text.count("nothing on")) == (WARN, 3)


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
        health.received(name)
    rejection = Rejection.of(reason, detail="somehow", x_m=1.0, y_m=2.0)
    health.localized(ImageRecord.rejected(7.0, rejection), 10.0)
    report = health.report("active")
    assert (report.level, report.text) == (level, message)
    values = report.values
    assert (values["last_reason"], values["last_reason_code"]) == (rejection.text, reason.name)
    health.localized(ImageRecord(8.0, accepted=True, reason=""), 10.0)
    assert found_by(health) == (OK, "active")


def test_lost_messages_are_told_where_they_are_many(clock):
    health = Health({})
    for name in ("image", "camera_info", "fix"):
        for _ in range(10):
            health.received(name)
    health.lost("image", 1)
    assert found_by(health) == (OK, "active")
    health.received("image")
    health.lost("image", 1)
    report = health.report("active")
    values = report.values
    assert (report.level, values["image_lost"], values["image_received"]) == (WARN, "2", "11")
    assert report.text == (
        "1 of 2 messages on image were lost; let its publisher be reliable, or compress images"
    )
    assert found_by(health) == (OK, "active")


def after_ten_seconds(clock, rate_hz, answered_per_sec, dropped_per_sec):
    health = Health({}, rate_hz)
    for _ in range(12):
        for name in ("image", "camera_info", "fix"):
            health.received(name)
        for _ in range(answered_per_sec):
            health.localized(ImageRecord(8.0, accepted=True, reason=""), 10.0)
        found = found_by(health)
        for _ in range(dropped_per_sec):
            health.dropped()
        clock[0] += 1.0
    return found


def test_dropping_images_is_normal_where_no_rate_is_asked_for(clock):
    assert after_ten_seconds(clock, 0.0, answered_per_sec=2, dropped_per_sec=28) == (OK, "active")


def test_rate_that_is_asked_for_and_not_kept(clock):
    assert after_ten_seconds(clock, 5.0, answered_per_sec=5, dropped_per_sec=0) == (OK, "active")
    level, message = after_ten_seconds(clock, 5.0, answered_per_sec=2, dropped_per_sec=3)
    assert (level, message.startswith("images are localized at 2.0 Hz, slower than")) == (WARN, True)


def test_doubts_are_warned_of(clock):
    assert found_by(Health({}), "inactive", doubts=["odd mounting"]) == (WARN, "odd mounting")
