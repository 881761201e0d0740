"""Doubts about parameters that are valid one by one: mountings and camera heights that are likely mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

# Heights over the ground of the cameras that the embedded model was trained with.
TRAINED_HEIGHTS_M = (1.2, 2.6)
# The rotation from a camera's body to its optical frame (REP 103), as URDFs have it.
OPTICAL_RPY_DEG = (-90.0, 0.0, -90.0)
OPTICAL_TOLERANCE_DEG = 15.0
# Angles that, taken for radians, are whole multiples of ROUND_DEG to within ROUNDING_DEG were written in radians.
ROUND_DEG, ROUNDING_DEG = 5.0, 0.06

Values = Mapping[str, object]


def doubts_of_settings(values: Values) -> list[str]:
    """One sentence with its remedy for each doubt.

    `values` are the parameters that were given, by name; the others come from TF or are left at their default.
    """
    doubts = [_rotation("imu.rpy_deg", values.get("imu.rpy_deg"))]
    for camera in dict.fromkeys(name.rpartition(".")[0] for name in values if name.startswith("camera.")):
        rpy_deg = f"{camera}.rpy_deg"
        doubts += [
            _zero_mounting(camera, values),
            _rotation(rpy_deg, values.get(rpy_deg)),
            _height(camera, values),
        ]
    return [doubt for doubt in doubts if doubt]


# Each of these returns a doubt, or an empty string.


def _zero_mounting(camera: str, values: Values) -> str:
    names = (f"{camera}.position_in_base_m", f"{camera}.rpy_deg")
    given = [values.get(name) for name in names]
    if any(value is None or np.any(value) for value in given):
        return ""
    return (
        f"{' and '.join(names)} are all zero: a camera in base_link's origin, level, that looks straight ahead; give "
        "the robot's own mounting, or leave them out and publish it on /tf_static"
    )


def _rotation(name: str, rpy_deg: object) -> str:
    if not isinstance(rpy_deg, Sequence) or len(rpy_deg) != 3:
        return ""
    angles = np.array(rpy_deg, dtype=float)
    if np.all(np.abs(angles - OPTICAL_RPY_DEG) < OPTICAL_TOLERANCE_DEG):
        return (
            f"{name} {angles.tolist()} is the turn of an optical frame (REP 103); give that of the body, whose x "
            "points along the view: [0, 0, 0] looks ahead, a positive pitch down"
        )
    turned = angles[angles != 0]
    if len(turned) and np.all(np.abs(angles) <= 2 * np.pi) and np.all(_is_round(np.degrees(turned))):
        return (
            f"{name} {angles.tolist()} looks like radians, {np.round(np.degrees(angles), 1).tolist()} in degrees; "
            "write degrees"
        )
    return ""


def _is_round(angles_deg: np.ndarray) -> np.ndarray:
    nearest = ROUND_DEG * np.round(angles_deg / ROUND_DEG)
    return (np.abs(angles_deg - nearest) < ROUNDING_DEG) & (nearest != 0)


def _height(camera: str, values: Values) -> str:
    height_m, (low_m, high_m) = values.get(f"{camera}.height_m"), TRAINED_HEIGHTS_M
    if not isinstance(height_m, float) or height_m == 0 or low_m <= height_m <= high_m:
        return ""
    return (
        f"{camera}.height_m is {height_m:g}, and models are trained for {low_m:g} to {high_m:g} m over the ground: "
        "poses get rare and less sure outside of it; mount the camera within, or train a model for its height "
        "(docs/adapting.md)"
    )
