"""Where the cameras of a data set stand in a town: single images near one another, or keyframes along a lane."""

from __future__ import annotations

import numpy as np

from xview_localizer.geometry.pose import Pose2, distance_along_m
from xview_localizer.simulation.layout import lane_offset_m
from xview_localizer.simulation.town import Town, TownError

KEYFRAME_SPACING_M = 2.5


def places_of_images(town: Town, count: int, margin_m: float, rng: np.random.Generator) -> list[Pose2]:
    """Poses of single images near one another: mostly in a lane, some on the pavement, some with any heading.

    They lie at least `margin_m` from the town's edge. Raises TownError where no street does.
    """
    line, direction, width_m = _usable_line(town, rng, margin_m)
    middle = int(rng.integers(len(line)))
    poses = []
    while len(poses) < count:
        i = int(np.clip(middle + rng.integers(-16, 17), 0, len(line) - 1))
        forward = direction[i] * rng.choice([-1.0, 1.0])
        right = np.array([forward[1], -forward[0]])
        lateral_m = width_m / 4 if rng.random() < 0.8 else width_m / 2 + rng.uniform(0, 3)
        xy_m = line[i] + right * (lateral_m + rng.normal(0, 0.5))
        yaw_rad = float(np.arctan2(forward[1], forward[0]))
        yaw_rad += rng.normal(0, np.radians(5)) if rng.random() < 0.7 else rng.uniform(-np.pi, np.pi)
        if not town.is_blocked(xy_m):
            poses.append(Pose2(float(xy_m[0]), float(xy_m[1]), yaw_rad))
    return poses


def places_of_keyframes(town: Town, count: int, margin_m: float, rng: np.random.Generator) -> list[Pose2]:
    """Poses of keyframes KEYFRAME_SPACING_M apart along a lane free of parked cars, `margin_m` from the town's edge.

    Raises TownError where there is none.
    """
    for _ in range(200):
        line, direction, width_m = _usable_line(town, rng, margin_m)
        if rng.random() < 0.5:
            line, direction = line[::-1], -direction[::-1]
        right = np.column_stack([direction[:, 1], -direction[:, 0]])
        path = line + right * lane_offset_m(width_m, 0.6)
        along_m = distance_along_m(path)
        length_m = KEYFRAME_SPACING_M * (count - 1)
        if along_m[-1] < length_m + 2:
            continue
        at_m = rng.uniform(0, along_m[-1] - length_m) + KEYFRAME_SPACING_M * np.arange(count)
        x, y = (np.interp(at_m, along_m, path[:, k]) for k in (0, 1))
        dx, dy = (np.interp(at_m, along_m, direction[:, k]) for k in (0, 1))
        yaw = np.arctan2(dy, dx) + rng.normal(0, np.radians(1.5), count)
        if not any(town.is_blocked(np.array(p)) for p in zip(x, y, strict=True)):
            return [Pose2(float(a), float(b), float(c)) for a, b, c in zip(x, y, yaw, strict=True)]
    raise TownError(f"town {town.seed} has no free stretch of {count} keyframes")


def _usable_line(
    town: Town, rng: np.random.Generator, margin_m: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """A stretch of street inside the town: points [N, 2], unit tangents [N, 2], width. Raises TownError."""
    limit_m = town.layout.size_m / 2 - margin_m
    for _ in range(100):
        street = town.layout.streets[rng.integers(len(town.layout.streets))]
        inside = np.flatnonzero((np.abs(street.line_xy_m) < limit_m).all(axis=1))
        if len(inside) > 20:
            return street.line_xy_m[inside], street.direction[inside], street.width_m
    raise TownError(f"town {town.seed} has no street inside its bounds")
