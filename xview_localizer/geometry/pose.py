"""Planar poses and priors in the `map` frame (ENU about the datum; yaw 0 = east, counter-clockwise)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import numpy as np


@overload
def wrap_angle_rad(angle_rad: float) -> float: ...


@overload
def wrap_angle_rad(angle_rad: np.ndarray) -> np.ndarray: ...


def wrap_angle_rad(angle_rad: float | np.ndarray) -> float | np.ndarray:
    """Wrap to [-pi, pi)."""
    return (angle_rad + np.pi) % (2 * np.pi) - np.pi


def turned(xy: np.ndarray, angle_rad: np.ndarray | float) -> np.ndarray:
    """Vectors [..., 2] turned counter-clockwise by an angle, or by one [...] each."""
    xy = np.asarray(xy, dtype=np.float64)
    x, y, cos, sin = xy[..., 0], xy[..., 1], np.cos(angle_rad), np.sin(angle_rad)
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def distance_along_m(xy_m: np.ndarray) -> np.ndarray:
    """Distance [N] along a line of points [N, 2] from its first one."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(xy_m, axis=0), axis=1))])


@dataclass(frozen=True)
class Pose2:
    """A planar transform T_a_b: takes points of b into a."""

    x_m: float
    y_m: float
    yaw_rad: float

    def __matmul__(self, other: Pose2) -> Pose2:
        """Compose: `T_a_c = T_a_b @ T_b_c`."""
        cos, sin = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return Pose2(
            float(self.x_m + cos * other.x_m - sin * other.y_m),
            float(self.y_m + sin * other.x_m + cos * other.y_m),
            float(wrap_angle_rad(self.yaw_rad + other.yaw_rad)),
        )

    def inverse(self) -> Pose2:
        cos, sin = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return Pose2(
            float(-cos * self.x_m - sin * self.y_m),
            float(sin * self.x_m - cos * self.y_m),
            float(wrap_angle_rad(-self.yaw_rad)),
        )

    def transform(self, xy_m: np.ndarray) -> np.ndarray:
        """Take points [..., 2] of the child frame into the parent frame."""
        return turned(xy_m, self.yaw_rad) + (self.x_m, self.y_m)

    def error(self, truth: Pose2) -> np.ndarray:
        """Differences [3] in x, y and yaw from the true pose, along the axes of the parent frame."""
        yaw_rad = wrap_angle_rad(self.yaw_rad - truth.yaw_rad)
        return np.array([self.x_m - truth.x_m, self.y_m - truth.y_m, yaw_rad])


def nees_of(error: np.ndarray, covariance: np.ndarray) -> float:
    """Normalized estimation error squared, eᵀ C⁻¹ e, of an error [3]; 3 in the mean where the covariance is right."""
    return float(error @ np.linalg.solve(covariance, error))


# Radius of the widest search; its memory grows with the area.
MAX_SEARCH_RADIUS_M = 300.0


@dataclass(frozen=True)
class Prior:
    """The prior of a search: base_link lies within `radius_m` of (x, y) in `map`.

    `yaw_rad` is None where the heading is unknown; otherwise `yaw_sigma_rad` is its standard deviation. Raises
    ValueError for values that are not finite or not positive.
    """

    x_m: float
    y_m: float
    radius_m: float
    yaw_rad: float | None = None
    yaw_sigma_rad: float | None = None

    @property
    def xy_m(self) -> np.ndarray:
        """The centre [2] of the disc."""
        return np.array([self.x_m, self.y_m])

    @property
    def heading(self) -> tuple[float, float] | None:
        """Yaw and its standard deviation, radians; None where the heading is unknown."""
        if self.yaw_rad is None or self.yaw_sigma_rad is None:
            return None
        return self.yaw_rad, self.yaw_sigma_rad

    def __post_init__(self) -> None:
        values = [self.x_m, self.y_m, self.radius_m]
        if self.yaw_rad is not None:
            values += [self.yaw_rad, self.yaw_sigma_rad if self.yaw_sigma_rad is not None else np.nan]
        if not np.all(np.isfinite(values)):
            raise ValueError(f"prior must be finite (and give yaw_sigma_rad with yaw_rad), got {self}")
        if self.radius_m <= 0 or (self.yaw_sigma_rad is not None and self.yaw_sigma_rad <= 0):
            raise ValueError(f"prior radius and yaw sigma must be positive, got {self}")
