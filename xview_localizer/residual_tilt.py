"""How far the ground is tilted against what mounting and IMU say, by how well an image matches at its accepted pose.

The cells of an image are lifted onto ground that is tilted a little more, to either side about either axis, and the
pose is solved for again. The parabola through the three mean scores of an axis has its vertex at the tilt that
matches best. One image's answer is good to about 0.6°, so only the median of many shows that a mounting is wrong.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.localizer import Localizer
from xview_localizer.observation import IDENTITY_POSE, Observation, PlacedObservation

STEP_RAD = float(np.radians(1.0))
# A parabola through three points says little about places further from its middle than this many steps.
FARTHEST_STEPS = 2.0
# Tilted cells move the pose, so it is searched for again within this disc and range of headings.
NEAR_M, NEAR_YAW_RAD = 3.0, float(np.radians(5.0))
# A tilt can send far cells to the horizon or above it; they stay at this many camera heights instead.
FARTHEST_HEIGHTS = 25.0


def tilted(observation: Observation, tilt_rad: np.ndarray) -> Observation:
    """The observation with its cells lifted onto ground that is tilted by `tilt_rad` [2].

    The first is positive where the ground ahead (x) comes nearer, as if the robot leaned forward; the second where that
    to the left (y) does. A cell at distance d, seen from the height h, is seen arctan(h / d) below the horizon.
    """
    distance_m = np.linalg.norm(observation.ground_xy_m, axis=1, keepdims=True)
    direction = observation.ground_xy_m / distance_m
    depression_rad = np.arctan2(observation.height, distance_m) + direction @ np.reshape(tilt_rad, (2, 1))
    least_rad = np.arctan(1 / FARTHEST_HEIGHTS)
    tilted_m = observation.height / np.tan(np.maximum(depression_rad, least_rad))
    return replace(observation, ground_xy_m=tilted_m * direction)


def residual_tilt_rad(localizer: Localizer, observation: Observation, pose: Pose2) -> np.ndarray | None:
    """The tilt [2] of the ground (see `tilted`) under which the observation matches best near `pose`.

    None where nothing matches there, and for images of several cameras, which have no common height.
    """
    if observation.height is None:
        return None
    near = Prior(pose.x_m, pose.y_m, NEAR_M, pose.yaw_rad, NEAR_YAW_RAD)

    def score_per_cell(tilt_rad: np.ndarray) -> float:
        modes = localizer.modes([PlacedObservation(tilted(observation, tilt_rad), IDENTITY_POSE)], near)
        return modes.score_per_cell if modes.modes else -np.inf

    level = score_per_cell(np.zeros(2))
    either_side = [[score_per_cell(sign * STEP_RAD * axis) for sign in (-1.0, 1.0)] for axis in np.eye(2)]
    if not np.isfinite([level, *np.ravel(either_side)]).all():
        return None
    return STEP_RAD * np.array([_vertex(before, level, after) for before, after in either_side])


def _vertex(before: float, middle: float, after: float) -> float:
    """Where the parabola through values at -1, 0 and 1 is highest, within FARTHEST_STEPS of 0."""
    curvature = before - 2 * middle + after
    if curvature >= 0:  # no maximum: it lies outside, on the higher side
        return FARTHEST_STEPS * float(np.sign(after - before))
    return float(np.clip(0.5 * (before - after) / curvature, -FARTHEST_STEPS, FARTHEST_STEPS))
