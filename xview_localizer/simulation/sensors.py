"""Simulated sensors with their main errors: a GNSS bias that lasts for minutes, odometry drift, a noisy IMU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.pose import Pose2
from xview_localizer.simulation.route import Trajectory

GRAVITY_MPS2 = 9.81


@dataclass(frozen=True)
class GnssError:
    """Bias as a first-order Gauss-Markov process per axis, white noise, and outages."""

    bias_sigma_m: float = 6.0
    bias_time_sec: float = 60.0
    noise_sigma_m: float = 0.8
    outages: int = 1
    outage_sec: float = 6.0


@dataclass(frozen=True)
class GnssSample:
    """Antenna position in ENU (x, y, z) and the standard deviation that the receiver reports."""

    stamp_sec: float
    xyz_m: np.ndarray
    sigma_m: float


def gnss(
    trajectory: Trajectory,
    antenna_in_base_m: np.ndarray,
    rate_hz: float,
    error: GnssError,
    rng: np.random.Generator,
) -> list[GnssSample]:
    """Positions of the antenna, none during outages."""
    stamps = np.arange(trajectory.stamp_sec[0], trajectory.stamp_sec[-1], 1 / rate_hz)
    keep = np.exp(-1 / (rate_hz * error.bias_time_sec))
    # A drive is shorter than the bias's time constant, so a drive without a bias at its start would test nothing.
    start_rad = rng.uniform(0, 2 * np.pi)
    bias = (
        error.bias_sigma_m
        * np.sqrt(2)
        * rng.uniform(0.8, 1.3)
        * np.array([np.cos(start_rad), np.sin(start_rad)])
    )
    starts = rng.uniform(0.25, 0.75, error.outages) * trajectory.stamp_sec[-1]
    samples = []
    for stamp in stamps:
        bias = keep * bias + error.bias_sigma_m * np.sqrt(1 - keep**2) * rng.standard_normal(2)
        if any(start <= stamp < start + error.outage_sec for start in starts):
            continue
        at = (
            trajectory.pose(stamp).transform(antenna_in_base_m[:2])
            + bias
            + error.noise_sigma_m * rng.standard_normal(2)
        )
        height_m = antenna_in_base_m[2] + 1.5 * error.noise_sigma_m * rng.standard_normal()
        samples.append(
            GnssSample(
                float(stamp),
                np.array([*at, height_m]),
                float(np.hypot(error.bias_sigma_m, error.noise_sigma_m)),
            )
        )
    return samples


@dataclass(frozen=True)
class OdometrySample:
    """Pose in the drifting odometry frame, and body velocities."""

    stamp_sec: float
    pose: Pose2
    speed_mps: float
    yaw_rate_radps: float


def wheel_odometry(trajectory: Trajectory, rng: np.random.Generator) -> list[OdometrySample]:
    """Integrated wheel speed (1 % scale error, 2 % noise) and gyro (bias about 0.05 °/s)."""
    scale = 1 + 0.01 * rng.standard_normal()
    gyro_bias = np.radians(0.05) * rng.standard_normal()
    pose = Pose2(0.0, 0.0, 0.0)
    samples = [OdometrySample(float(trajectory.stamp_sec[0]), pose, 0.0, 0.0)]
    for i in range(1, len(trajectory.stamp_sec)):
        dt = float(trajectory.stamp_sec[i] - trajectory.stamp_sec[i - 1])
        step_m = float(
            np.hypot(trajectory.x_m[i] - trajectory.x_m[i - 1], trajectory.y_m[i] - trajectory.y_m[i - 1])
        )
        speed = step_m / dt * scale * (1 + 0.02 * rng.standard_normal())
        rate = (
            (trajectory.yaw_rad[i] - trajectory.yaw_rad[i - 1]) / dt
            + gyro_bias
            + np.radians(0.1) * rng.standard_normal()
        )
        half_turn_rad = float(rate * dt / 2)
        pose = pose @ Pose2(
            float(speed * dt * np.cos(half_turn_rad)),
            float(speed * dt * np.sin(half_turn_rad)),
            2 * half_turn_rad,
        )
        samples.append(OdometrySample(float(trajectory.stamp_sec[i]), pose, float(speed), float(rate)))
    return samples


@dataclass(frozen=True)
class ImuSample:
    """Attitude as estimated by an IMU's filter (yaw in the odometry frame), angular velocity [3] and specific force
    [3], both in base_link."""

    stamp_sec: float
    roll_rad: float
    pitch_rad: float
    yaw_rad: float
    angular_velocity_radps: np.ndarray
    specific_force_mps2: np.ndarray


def imu(trajectory: Trajectory, odometry: list[OdometrySample], rng: np.random.Generator) -> list[ImuSample]:
    """Attitude with 0.3° noise, gyro with 0.2 °/s, accelerometer with 0.1 m/s² and a bias of that size.

    The accelerometer measures gravity, braking and centripetal acceleration; roll and pitch are small, so their rates
    are the gyro's x and y.
    """
    stamp, roll, pitch = trajectory.stamp_sec, trajectory.roll_rad, trajectory.pitch_rad
    speed = np.hypot(np.gradient(trajectory.x_m, stamp), np.gradient(trajectory.y_m, stamp))
    yaw_rate = np.gradient(trajectory.yaw_rad, stamp)
    rate = np.column_stack([np.gradient(roll, stamp), np.gradient(pitch, stamp), yaw_rate])
    up = np.column_stack([-np.sin(pitch), np.sin(roll) * np.cos(pitch), np.cos(roll) * np.cos(pitch)])
    motion = np.column_stack([np.gradient(speed, stamp), speed * yaw_rate, np.zeros(len(stamp))])
    force = GRAVITY_MPS2 * up + motion + 0.1 * rng.standard_normal(3)

    force += 0.1 * rng.standard_normal(force.shape)
    rate += np.radians(0.2) * rng.standard_normal(rate.shape)
    roll, pitch = np.stack([roll, pitch]) + np.radians(0.3) * rng.standard_normal((2, len(stamp)))
    return [
        ImuSample(float(stamp[i]), float(roll[i]), float(pitch[i]), sample.pose.yaw_rad, rate[i], force[i])
        for i, sample in enumerate(odometry)
    ]
