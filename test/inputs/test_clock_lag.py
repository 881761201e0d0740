"""A lagging clock of a camera is reported, images that are sometimes late are not."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from xview_localizer.inputs.clock_lag import IMAGES, ClockLag
from xview_localizer.inputs.intake import DriveIntake
from xview_localizer.inputs.moments import CameraImage
from xview_localizer.parameters.settings import Settings

SENSORS = ("gnss", "odometry", "gravity")
TOWN = {"datum.latitude_deg": 48.0, "datum.longitude_deg": 11.0, "map.source": "map.tif"}


def lag_of(delays_sec, sensors=SENSORS, off_sec=None, camera=""):
    """Images at 2 Hz, received after `delays_sec`; sensors' clocks are ahead by `off_sec`; GNSS sends at 1 Hz."""
    lag = ClockLag()
    for number, delay_sec in enumerate(delays_sec):
        now_sec = 100.0 + 0.5 * number + delay_sec
        newest = {"gnss": np.floor(now_sec), "odometry": now_sec - 0.02, "gravity": now_sec - 0.01}
        off = off_sec or {}
        lag.on_image(camera, 100.0 + 0.5 * number, {s: newest[s] + off.get(s, 0.0) for s in sensors})
    return lag


@pytest.mark.parametrize(
    "delays_sec",
    [
        [0.1] * 60,
        [0.9] * 60,
        list(itertools.islice(itertools.cycle([3.0, 2.5, 0.8, 4.0]), 60)),  # a network that stalls
        [2.0] * (IMAGES - 1),  # too few images to report a lag
        [2.0] * 15 + [0.2] * 5,  # a burst of late ones
    ],
)
def test_late_images_are_no_lag(delays_sec):
    assert lag_of(delays_sec).doubts() == []


def test_a_clock_that_lags_is_named_with_both_sensors_and_the_amount():
    (doubt,) = lag_of(2.5 + np.random.default_rng(0).uniform(0.1, 0.8, 60), camera="left").doubts()
    assert "the images of left are stamped at least 2.6 s behind fix and odom and imu" in doubt
    assert "the camera's clock lags" in doubt


def test_one_sensor_ahead_of_everything_else_is_named():
    (doubt,) = lag_of([0.1] * 30, off_sec={"gravity": 1.8}).doubts()
    assert "at least 1.9 s behind imu: not behind fix and odom, so imu has another clock" in doubt


def test_what_is_refused_anyway_is_not_doubted_too():
    assert lag_of([18.0] * 30).doubts() == []


def test_it_ends_with_the_first_image_in_time_and_with_a_sensor_that_starts_afresh():
    lag = lag_of([2.0] * 30)
    lag.on_image("", 200.0, dict.fromkeys(SENSORS, 200.1))
    assert lag.doubts() == []
    lag = lag_of([2.0] * 30)
    lag.on_image("", 200.0, {})
    lag.on_image("", 200.5, dict.fromkeys(SENSORS, 202.5))
    assert lag.doubts() == []


def test_the_intake_compares_with_what_the_sensors_have_sent():
    intake = DriveIntake(SimpleNamespace(spec=None, config=None), Settings.from_values(TOWN))
    for number in range(IMAGES):
        stamp_sec = 100.0 + 0.5 * number
        intake.tracker.on_gravity(stamp_sec + 1.5, np.array([0.0, 0.0, -1.0]))
        stamp = SimpleNamespace(sec=int(stamp_sec), nanosec=int(1e9 * (stamp_sec % 1)))
        intake.on_received(CameraImage("front", SimpleNamespace(header=SimpleNamespace(stamp=stamp))))
    (doubt,) = intake.clock_lag.doubts()
    assert "the images of front are stamped at least 1.5 s behind imu" in doubt
