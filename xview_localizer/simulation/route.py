"""A route through a town's streets, and the motion of a vehicle along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from xview_localizer.geometry.pose import Pose2, distance_along_m
from xview_localizer.simulation.layout import Street, lane_offset_m
from xview_localizer.simulation.town import Town, TownError

MIN_LENGTH_M = 60.0
SHORTEST_SHARE = 0.8  # accepted share of a route's length: smoothing cuts corners, and the lane may end early
PATH_STEP_M = 0.25
# A car blocks a path where its middle is closer than this: half its length, the camera's clearance and a margin.
CAR_IN_THE_WAY_M = 4.0
SHORTEST_WALK_M = 20.0  # a shorter one cannot be smoothed; its path is cut to the wanted length
TRIES = 60  # random walks, of which the longest free one is taken
LONG_ENOUGH_SHARE = 0.95  # of the wanted length: no further walks are tried
OBSTACLE_STEP = 8  # a path is checked for obstacles at every so many of its points, 2 m apart
TURN_SHARE = 0.6  # of the junctions that a walk comes to


@dataclass(frozen=True)
class Trajectory:
    """True motion of base_link sampled at `stamp_sec` [N]; roll and pitch are REP-103, small."""

    stamp_sec: np.ndarray
    x_m: np.ndarray
    y_m: np.ndarray
    yaw_rad: np.ndarray  # unwrapped
    roll_rad: np.ndarray
    pitch_rad: np.ndarray

    def pose(self, stamp_sec: float) -> Pose2:
        """Interpolated pose."""
        x, y, yaw = (np.interp(stamp_sec, self.stamp_sec, a) for a in (self.x_m, self.y_m, self.yaw_rad))
        return Pose2(float(x), float(y), float(yaw))

    def roll_pitch_rad(self, stamp_sec: float) -> tuple[float, float]:
        """Interpolated roll and pitch."""
        return float(np.interp(stamp_sec, self.stamp_sec, self.roll_rad)), float(
            np.interp(stamp_sec, self.stamp_sec, self.pitch_rad)
        )


def find_route(
    town: Town, length_m: float, margin_m: float, rng: np.random.Generator
) -> tuple[Town, np.ndarray]:
    """A free route as by plan_route. Where parked cars leave none, those along the route without cars are removed.

    Returns the town in which the path is free, and the path. Raises TownError.
    """
    try:
        return town, plan_route(town, length_m, margin_m, rng)
    except TownError:
        path = plan_route(town.with_parked(np.zeros_like(town.parked)), length_m, margin_m, rng)
    cars_xy_m = np.array([(slot.x_m, slot.y_m) for slot in town.layout.car_slots]).reshape(-1, 2)
    distance_m = np.linalg.norm(cars_xy_m[:, None] - path[::4][None], axis=-1).min(axis=1)
    return town.with_parked(town.parked & (distance_m > CAR_IN_THE_WAY_M)), path


def plan_route(town: Town, length_m: float, margin_m: float, rng: np.random.Generator) -> np.ndarray:
    """Lane path [N, 2], about 0.25 m between points, at most `length_m` long and `margin_m` inside the town.

    The longest free one of many random walks over the street network. Raises TownError where none has at least
    MIN_LENGTH_M, or SHORTEST_SHARE of a shorter `length_m`.
    """
    least_m = min(MIN_LENGTH_M, SHORTEST_SHARE * length_m)
    best = np.zeros((0, 2))
    for _ in range(TRIES):
        path = _lane(_walk(town, length_m, town.layout.size_m / 2 - margin_m, rng), town)
        if len(path) > len(best) and not any(town.is_blocked(point) for point in path[::OBSTACLE_STEP]):
            best = path
        if len(best) * PATH_STEP_M >= LONG_ENOUGH_SHARE * length_m:
            break
    if len(best) * PATH_STEP_M < least_m:
        raise TownError(
            f"town {town.seed} has no free route of {least_m:.0f} m; take another seed or a larger town"
        )
    return best[: int(length_m / PATH_STEP_M)]


def _walk(town: Town, length_m: float, limit_m: float, rng: np.random.Generator) -> np.ndarray:
    """Centreline points, 1 m apart, of a random walk that turns at some junctions."""
    streets = town.layout.streets
    street = streets[rng.integers(len(streets))]
    inside = np.flatnonzero((np.abs(street.line_xy_m) < limit_m).all(axis=1))
    if len(inside) < 2:
        return np.zeros((0, 2))
    step = int(rng.choice([-1, 1]))
    index = int(inside[0] if step > 0 else inside[-1])
    walked: list[np.ndarray] = []
    while len(walked) < max(length_m, SHORTEST_WALK_M):
        if not 0 <= index < len(street.line_xy_m) or np.abs(street.line_xy_m[index]).max() > limit_m:
            break
        point_xy_m = street.line_xy_m[index]
        walked.append(point_xy_m)
        crossing = _crossing(streets, street, point_xy_m)
        if crossing is not None and rng.random() < TURN_SHARE:
            street, index = crossing
            step = int(rng.choice([-1, 1]))
            index += 3 * step
        else:
            index += step
    return np.array(walked).reshape(-1, 2)


def _crossing(
    streets: tuple[Street, ...], current: Street, point_xy_m: np.ndarray
) -> tuple[Street, int] | None:
    """Another street that passes through a point, with the index of its nearest sample; None without one."""
    for other in streets:
        if other is not current:
            distance = np.linalg.norm(other.line_xy_m - point_xy_m, axis=1)
            nearest = int(distance.argmin())
            if distance[nearest] < 0.75 and 8 < nearest < len(other.line_xy_m) - 8:
                return other, nearest
    return None


def _lane(centre: np.ndarray, town: Town) -> np.ndarray:
    """The walk [N, 2] smoothed, moved to the right-hand lane and resampled to PATH_STEP_M."""
    if len(centre) < SHORTEST_WALK_M:
        return np.zeros((0, 2))
    smooth = gaussian_filter1d(centre, 4.0, axis=0, mode="nearest")
    tangent = np.gradient(smooth, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    narrowest_m = min(street.width_m for street in town.layout.streets)
    lane = smooth + lane_offset_m(narrowest_m, 0.5) * np.column_stack([tangent[:, 1], -tangent[:, 0]])
    along_m = distance_along_m(lane)
    at_m = np.arange(0, along_m[-1], PATH_STEP_M)
    lane = np.column_stack([np.interp(at_m, along_m, lane[:, k]) for k in (0, 1)])
    return gaussian_filter1d(lane, 4.0, axis=0, mode="nearest")


def drive_along(path_xy_m: np.ndarray, rate_hz: float, rng: np.random.Generator) -> Trajectory:
    """Motion along a path [N, 2] at 3 to 8 m/s, slower in bends, with small pitch and roll of the body."""
    along_m = distance_along_m(path_xy_m)
    tangent = np.gradient(path_xy_m, axis=0)
    yaw = np.unwrap(np.arctan2(tangent[:, 1], tangent[:, 0]))
    curvature = np.abs(np.gradient(yaw, along_m))
    speed = np.clip(rng.uniform(5, 7.5) / (1 + 12 * gaussian_filter1d(curvature, 12)), 3.0, 8.0)
    elapsed_sec = np.concatenate([[0], np.cumsum(np.diff(along_m) / (0.5 * (speed[1:] + speed[:-1])))])
    stamp_sec = np.arange(0, elapsed_sec[-1], 1 / rate_hz)

    def along(values: np.ndarray) -> np.ndarray:
        return np.interp(stamp_sec, elapsed_sec, values)

    sway = gaussian_filter1d(rng.standard_normal((2, len(stamp_sec))), 0.4 * rate_hz, axis=1)
    sway *= np.radians([[0.7], [0.8]]) / sway.std(axis=1, keepdims=True)
    return Trajectory(stamp_sec, along(path_xy_m[:, 0]), along(path_xy_m[:, 1]), along(yaw), sway[0], sway[1])
