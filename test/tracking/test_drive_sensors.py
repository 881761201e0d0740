"""All sensors together: jumps of time, whom an image awaits, attitude, and clocks that disagree."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_drive import DOWN

from xview_localizer.geometry.pose import Pose2
from xview_localizer.tracking.attitude import GravitySample
from xview_localizer.tracking.gnss import GnssSample
from xview_localizer.tracking.motion import SampleError
from xview_localizer.tracking.sensors import (
    ABSENT_AFTER_SEC,
    CLOCK_LEAD_SEC,
    TOPIC,
    Sensors,
)

SAMPLE = {
    "gnss": GnssSample(np.zeros(2), 4.0, np.zeros(2)),
    "odometry": Pose2(0.0, 0.0, 0.0),
    "gravity": GravitySample(DOWN),
}


@pytest.fixture
def sensors() -> Sensors:
    return Sensors(odometry_max_gap_sec=0.5, max_speed_mps=15.0)


def add_all(sensors: Sensors, stamps, only=tuple(SAMPLE)) -> None:
    for stamp_sec in stamps:
        for name in only:
            sensors.add(name, stamp_sec, SAMPLE[name])


def test_time_that_jumps_back_on_one_sensor_restarts_the_others(sensors):
    add_all(sensors, [100.0, 100.2])
    for name in ("gravity", "odometry"):
        with pytest.raises(SampleError, match="s off the previous one"):
            sensors.add(name, 1.0, SAMPLE[name])
    assert not sensors.gnss.holds_back(1.0)
    assert sensors.add("odometry", 1.2, SAMPLE["odometry"])
    assert sensors.gnss.newest_sec is None
    assert sensors.gravity.newest_sec == 1.0  # held back, and from the new time
    assert sensors.odometry.motion(1.0, 1.2) is not None


def test_image_that_steps_back_with_a_sensor_restarts_everything(sensors):
    add_all(sensors, [100.0])
    sensors.image_searched(100.0)
    with pytest.raises(SampleError):
        sensors.add("odometry", 1.0, SAMPLE["odometry"])
    assert sensors.on_image(1.1)
    assert (sensors.gnss.newest_sec, sensors.odometry.newest_sec) == (None, 1.0)


@pytest.mark.parametrize("image_sec", [99.5, 200.0])
def test_image_that_does_not_step_back_confirms_nothing(sensors, image_sec):
    add_all(sensors, [100.0])
    sensors.image_searched(100.0)
    with pytest.raises(SampleError):
        sensors.add("odometry", 90.0, SAMPLE["odometry"])
    assert not sensors.on_image(image_sec)
    assert sensors.gnss.newest_sec == 100.0


def test_image_before_time_was_cleared_does_not_make_the_next_one_step_back(sensors):
    add_all(sensors, [100.0])
    sensors.image_searched(100.0)
    sensors.clear()
    add_all(sensors, [50.0])
    with pytest.raises(SampleError):
        sensors.add("odometry", 10.0, SAMPLE["odometry"])
    assert not sensors.on_image(10.5)


def test_image_awaits_sensors_that_are_present_and_behind(sensors):
    assert sensors.awaits(1.0) == []
    add_all(sensors, [1.0], only=["gravity"])
    assert sensors.awaits(1.0) == []
    assert sensors.awaits(1.1) == ["gravity"]
    add_all(sensors, [1.05], only=["odometry", "gnss"])
    assert sensors.awaits(1.1) == ["odometry", "gravity"]
    assert sensors.awaits(1.0 + ABSENT_AFTER_SEC) == ["odometry", "gravity"]
    assert sensors.awaits(1.01 + ABSENT_AFTER_SEC) == ["odometry"]


def test_silent_sensor_is_absent_until_it_speaks_again(sensors):
    add_all(sensors, [1.0])
    assert sensors.awaits(7.0) == []
    add_all(sensors, [6.9])
    assert sensors.awaits(7.0) == ["odometry", "gravity"]


def test_sensor_without_a_sample_since_time_jumped_is_absent_a_while_after_the_first_image(sensors):
    add_all(sensors, [100.0], only=["odometry"])
    sensors.clear()
    assert sensors.awaits(500.0) == ["odometry"]
    sensors.on_image(1.0)
    sensors.on_image(4.0)
    assert sensors.awaits(1.0 + ABSENT_AFTER_SEC) == ["odometry"]
    assert sensors.awaits(1.1 + ABSENT_AFTER_SEC) == []


# --- attitude ---


def add_gravity(sensors: Sensors, first_sec: float, step_sec: float) -> None:
    for i, x in enumerate([9.0, 1.0, 3.0, 8.0]):
        sensors.add("gravity", first_sec + step_sec * i, GravitySample(np.array([x, 0.0, -1.0])))


def test_gravity_is_the_mean_just_before_the_image(sensors):
    add_gravity(sensors, 1.0, 0.05)
    np.testing.assert_allclose(sensors.gravity_at(1.12), [2.0, 0.0, -1.0])


def tilt_deg(down) -> float:
    return float(np.degrees(np.arccos(-down[2] / np.linalg.norm(down))))


@pytest.mark.parametrize(
    "path,force",
    [
        (lambda t: Pose2(t**2, 0.0, 0.0), (2.0, 0.0, 9.81)),  # speeds up by 2 m/s²
        (lambda t: Pose2(-(t**2), 0.0, 0.0), (-2.0, 0.0, 9.81)),  # brakes, or backs up
        (
            lambda t: Pose2(20 * np.sin(t / 4), 20 * (1 - np.cos(t / 4)), t / 4),
            (0.0, 1.25, 9.81),
        ),  # 5 m/s, 20 m
    ],
)
def test_an_accelerometer_levels_while_the_robot_accelerates(sensors, path, force):
    """The specific force leans by 7 to 12°; what odometry does not explain of it is gravity."""
    down = -np.array(force) / np.linalg.norm(force)
    for stamp_sec in np.arange(0.0, 2.0, 0.02).round(3).tolist():
        sensors.add("odometry", stamp_sec, path(stamp_sec))
        sensors.add("gravity", stamp_sec, GravitySample(down, from_acceleration=True))
    assert tilt_deg(down) > 7
    assert tilt_deg(sensors.gravity_at(1.9)) < 0.05


def test_an_accelerometer_levels_while_the_robot_brakes_in_a_bend(sensors):
    """From 10 m/s by 4 m/s² on a circle of 10 m: the force is stronger than gravity, and turns over the window."""
    for stamp_sec in np.arange(0.0, 2.0, 0.02).round(3).tolist():
        turned_rad = (10.0 * stamp_sec - 2.0 * stamp_sec**2) / 10.0
        place = Pose2(10.0 * np.sin(turned_rad), 10.0 * (1 - np.cos(turned_rad)), turned_rad)
        sensors.add("odometry", stamp_sec, place)
        force = np.array([-4.0, (10.0 - 4.0 * stamp_sec) ** 2 / 10.0, 9.81])
        sensors.add(
            "gravity", stamp_sec, GravitySample(-force / np.linalg.norm(force), from_acceleration=True)
        )
    assert tilt_deg(sensors.gravity_at(1.9)) < 0.6


def test_an_accelerometer_shows_the_slope_on_which_the_robot_stands(sensors):
    down = np.array([np.sin(0.2), 0.0, -np.cos(0.2)])
    for stamp_sec in np.arange(0.0, 2.0, 0.02).round(3).tolist():
        sensors.add("odometry", stamp_sec, Pose2(0.0, 0.0, 0.0))
        sensors.add("gravity", stamp_sec, GravitySample(down, from_acceleration=True))
    np.testing.assert_allclose(sensors.gravity_at(1.9), down, atol=1e-9)


@pytest.mark.parametrize("odometry_sec", [(1.5, 2.0), (0.0, 1.7)], ids=["too young", "ended"])
def test_an_accelerometer_does_without_odometry_that_does_not_cover_its_window(sensors, odometry_sec):
    for stamp_sec in np.arange(0.0, 2.0, 0.02).round(3).tolist():
        if odometry_sec[0] <= stamp_sec <= odometry_sec[1]:
            sensors.add("odometry", stamp_sec, Pose2(stamp_sec**2, 0.0, 0.0))
        sensors.add("gravity", stamp_sec, GravitySample(DOWN, from_acceleration=True))
    np.testing.assert_allclose(sensors.gravity_at(1.9), DOWN)


def test_without_odometry_an_accelerometer_is_averaged_for_longer(sensors):
    for number, stamp_sec in enumerate(np.arange(0.0, 4.0, 0.02).round(3).tolist()):
        sway = 0.2 * np.sin(2 * np.pi * number / 100)  # once in 2 s
        sensors.add("gravity", stamp_sec, GravitySample(np.array([sway, 0.0, -1.0]), from_acceleration=True))
    assert tilt_deg(sensors.gravity_at(3.5)) < 0.5


def test_gravity_of_a_slow_accelerometer_is_that_of_the_nearest_samples_whatever_comes_later(sensors):
    """Live, the image is looked at as soon as a sample has passed it; in a replay more may have come."""
    for stamp_sec in np.arange(0.0, 3.0, 0.02).round(3).tolist():
        sensors.add("odometry", stamp_sec, Pose2(0.0, 0.0, 0.0))
    leaning = {1.0: 0.1, 1.5: 0.3}
    for stamp_sec, x in leaning.items():
        sensors.add("gravity", stamp_sec, GravitySample(np.array([x, 0.0, -1.0]), from_acceleration=True))
    live = sensors.gravity_at(1.45)
    assert live[0] / -live[2] == pytest.approx(0.2)
    sensors.add("gravity", 1.9, GravitySample(np.array([0.9, 0.0, -1.0]), from_acceleration=True))
    np.testing.assert_array_equal(sensors.gravity_at(1.45), live)


def test_gravity_of_a_slow_imu_is_that_of_the_nearest_samples(sensors):
    assert sensors.gravity_at(1.0) is None  # no IMU
    add_gravity(sensors, 1.0, 0.2)
    np.testing.assert_allclose(sensors.gravity_at(1.35), [2.0, 0.0, -1.0])
    np.testing.assert_allclose(sensors.gravity_at(0.9), [9.0, 0.0, -1.0])
    np.testing.assert_allclose(sensors.gravity_at(2.0), [8.0, 0.0, -1.0])
    with pytest.raises(SampleError, match="no attitude from the IMU within 0.5 s of the image"):
        sensors.gravity_at(2.2)
    with pytest.raises(SampleError) as before_the_first:
        sensors.gravity_at(0.2)
    assert str(before_the_first.value) == "no attitude from the IMU within 0.5 s of the image"
    assert sensors.gravity_at(6.7) is None  # absent by then


# --- clocks ---


@pytest.mark.parametrize("sensor", SAMPLE)
def test_sensor_whose_samples_keep_coming_from_the_future_has_another_clock(sensors, sensor):
    for image_sec in (20.0, 21.0, 22.0):
        add_all(sensors, [image_sec + 18.0], only=[sensor])
        sensors.on_image(image_sec)
    assert sensors.clock_problem() == (
        f"{TOPIC[sensor]} is stamped 18.0 s ahead of the images; let one clock (UTC) stamp all sensors"
    )


def test_lead_that_queues_explain_is_no_clock_problem(sensors):
    for image_sec in (20.0, 21.0, 22.0):
        add_all(sensors, [image_sec + CLOCK_LEAD_SEC])
        sensors.on_image(image_sec)
    assert sensors.clock_problem() == ""


def test_one_image_from_the_past_says_nothing_about_the_next(sensors):
    add_all(sensors, [21.0])
    sensors.on_image(3.0)
    assert sensors.clock_problem()
    sensors.on_image(22.0)
    assert sensors.clock_problem() == ""


def test_sensors_that_go_on_while_an_image_is_worked_on_are_no_clock_problem(sensors):
    add_all(sensors, [20.0])
    sensors.on_image(20.0)
    add_all(sensors, [30.0])
    assert sensors.clock_problem() == ""


def test_clock_that_is_set_right_is_no_problem_any_more(sensors):
    for image_sec in (20.0, 21.0):
        add_all(sensors, [image_sec + 18.0], only=["gnss"])
        sensors.on_image(image_sec)
    assert sensors.clock_problem()
    with pytest.raises(SampleError):
        sensors.add("gnss", 22.0, SAMPLE["gnss"])
    assert sensors.add("gnss", 23.0, SAMPLE["gnss"])
    assert sensors.clock_problem() == ""


@pytest.mark.parametrize(
    ("off_sec", "text"),
    [(18.0, "18.0 s behind fix and odom and imu"), (-18.0, "18.0 s ahead of fix and odom and imu")],
)
def test_camera_whose_clock_is_off_is_named_and_not_the_sensors(sensors, off_sec, text):
    for image_sec in (40.0, 41.0, 42.0):
        add_all(sensors, [image_sec + off_sec])
        sensors.on_image(image_sec)
    assert sensors.clock_problem() == (
        f"the images are stamped {text}: the camera has another clock; let one clock (UTC) stamp all sensors"
    )


def test_camera_whose_clock_is_off_is_named_where_only_two_sensors_send(sensors):
    for image_sec in (40.0, 41.0):
        add_all(sensors, [image_sec - 18.0], only=["odometry", "gravity"])
        sensors.on_image(image_sec)
    assert sensors.clock_problem().startswith(
        "the images are stamped 18.0 s ahead of odom and imu: the camera"
    )


def test_two_sensors_that_differ_among_themselves_do_not_make_it_the_cameras_clock(sensors):
    for image_sec in (40.0, 41.0):
        add_all(sensors, [image_sec + 18.0], only=["odometry"])
        add_all(sensors, [image_sec + 37.0], only=["gravity"])
        sensors.on_image(image_sec)
    assert sensors.clock_problem().startswith("imu is stamped 37.0 s ahead of the images")


def test_sensor_that_sends_what_is_long_past_has_another_clock(sensors):
    for image_sec in (40.0, 41.0):
        add_all(sensors, [image_sec], only=["gnss", "odometry"])
        add_all(sensors, [image_sec - 18.0], only=["gravity"])
        sensors.on_image(image_sec)
    assert sensors.clock_problem().startswith("imu is stamped 18.0 s behind the images")


@pytest.mark.parametrize("image_secs", [(40.0, 41.0, 47.0), (40.0, 60.0)], ids=["silence", "gap of images"])
def test_sensors_that_fall_silent_have_no_other_clock(sensors, image_secs):
    add_all(sensors, [image_secs[0]])
    for image_sec in image_secs:
        sensors.on_image(image_sec)
        assert sensors.clock_problem() == ""


def test_image_from_ahead_of_the_attitude_doubts_the_cameras_clock(sensors):
    add_all(sensors, [40.0])
    with pytest.raises(
        SampleError, match=r"stamped 2\.0 s after the newest one; is the camera's clock ahead"
    ):
        sensors.gravity_at(42.0)
