"""Sensor errors have the statistics that they claim."""

import numpy as np
import pytest

from xview_localizer.simulation.route import Trajectory
from xview_localizer.simulation.sensors import GnssError, gnss, imu, wheel_odometry

ANTENNA_M = np.array([-0.6, 0.2, 1.7])


@pytest.fixture(scope="module")
def trajectory():
    """100 s along a wide circle at 5 m/s."""
    stamp = np.arange(0, 100, 0.02)
    angle = 5 * stamp / 80
    tilt = np.radians(0.5) * np.sin(stamp)
    return Trajectory(stamp, 80 * np.sin(angle), -80 * np.cos(angle), angle, tilt, -tilt)


def gnss_errors_m(trajectory, seed):
    samples = gnss(trajectory, ANTENNA_M, 5.0, GnssError(), np.random.default_rng(seed))
    return np.array([s.xyz_m[:2] - trajectory.pose(s.stamp_sec).transform(ANTENNA_M[:2]) for s in samples])


def test_gnss_error_is_metres_large_and_wanders_slowly(trajectory):
    errors_m = [gnss_errors_m(trajectory, seed) for seed in range(30)]
    rmse_m = np.array([np.sqrt(np.mean(np.sum(e**2, axis=1))) for e in errors_m])
    assert 7.0 < np.sqrt(np.mean(rmse_m**2)) < 11.0
    assert np.all((rmse_m > 3) & (rmse_m < 20))
    lag = [np.mean(e[:-5, 0] * e[5:, 0]) / np.mean(e[:, 0] ** 2) for e in errors_m]
    assert np.mean(lag) > 0.85  # one second later the error is nearly the same


def test_odometry_drifts_by_a_few_percent(trajectory):
    way_m = 5 * trajectory.stamp_sec[-1]
    off_m = []
    for seed in range(10):
        end = wheel_odometry(trajectory, np.random.default_rng(seed))[-1].pose
        true = trajectory.pose(0.0).inverse() @ trajectory.pose(trajectory.stamp_sec[-1])
        off_m.append(np.hypot(end.x_m - true.x_m, end.y_m - true.y_m))
    assert 0.001 * way_m < np.mean(off_m) < 0.05 * way_m


def test_imu_levels_to_a_fraction_of_a_degree(trajectory):
    rng = np.random.default_rng(1)
    samples = imu(trajectory, wheel_odometry(trajectory, rng), rng)
    error_rad = np.array([s.roll_rad for s in samples]) - trajectory.roll_rad
    assert np.degrees(error_rad.std()) == pytest.approx(0.3, rel=0.1)


def test_accelerometer_measures_gravity_and_the_bend(trajectory):
    rng = np.random.default_rng(2)
    force = np.array([s.specific_force_mps2 for s in imu(trajectory, wheel_odometry(trajectory, rng), rng)])
    assert force[:, 2].mean() == pytest.approx(9.81, abs=0.4)
    assert force[:, 1].mean() == pytest.approx(5.0**2 / 80, abs=0.4)  # v² / r towards the left


def test_gyro_follows_the_turn(trajectory):
    rng = np.random.default_rng(3)
    rate = np.array([s.angular_velocity_radps for s in imu(trajectory, wheel_odometry(trajectory, rng), rng)])
    assert rate[:, 2].mean() == pytest.approx(5 / 80, abs=1e-3)
    assert np.degrees(rate[:, 2].std()) == pytest.approx(0.2, rel=0.1)
