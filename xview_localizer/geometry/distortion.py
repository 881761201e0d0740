"""Lens models between unit rays of the optical frame and points of the normalised image plane.

A normalised point is ((u - cx) / fx, (v - cy) / fy). Coefficients are named as in OpenCV and
sensor_msgs/CameraInfo. Every polynomial is used only as far as it grows with the angle: beyond that,
two directions would share a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial.polynomial import polyval

TABLE_SIZE = 4096  # angles or radii at which a lens is tabulated
# Newton starts from a table that is exact but for tangential terms; quadratic convergence does the rest.
NEWTON_ITERATIONS = 8
NEWTON_TOLERANCE = 1e-9
# No perspective lens covers more than this; a larger angle would only reduce the table's resolution.
MAX_PERSPECTIVE_ANGLE_RAD = float(np.radians(89.0))


def _increasing_table(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The leading part of the samples (x, y) over which y increases."""
    falls = np.flatnonzero(~(np.diff(y) > 0))
    end = falls[0] + 1 if len(falls) else len(x)
    return x[:end], y[:end]


@dataclass(frozen=True)
class PerspectiveLens:
    """OpenCV's radial-tangential model: `plumb_bob`, `rational_polynomial`, and no distortion at all.

    With (x, y) = (X / Z, Y / Z) and r² = x² + y²:
    f = (1 + k1 r² + k2 r⁴ + k3 r⁶) / (1 + k4 r² + k5 r⁴ + k6 r⁶),
    x' = x f + 2 p1 x y + p2 (r² + 2 x²) + s1 r² + s2 r⁴, y' = y f + p1 (r² + 2 y²) + 2 p2 x y + s3 r² + s4 r⁴.
    A sensor tilted by tau then sees (x', y') through the homography of `_tilt`.
    """

    k: tuple[float, ...] = (0.0,) * 6  # k1 ... k6
    p: tuple[float, float] = (0.0, 0.0)  # p1, p2
    s: tuple[float, float, float, float] = (0.0,) * 4  # s1 ... s4, the thin prism
    tau_rad: tuple[float, float] = (0.0, 0.0)  # tau_x, tau_y

    @cached_property
    def _is_ideal(self) -> bool:
        return not any((*self.k, *self.p, *self.s, *self.tau_rad))

    @cached_property
    def _tilt(self) -> np.ndarray:
        """Homography [3, 3] from points of the upright image plane to those of the tilted one."""
        (sin_x, sin_y), (cos_x, cos_y) = np.sin(self.tau_rad), np.cos(self.tau_rad)
        about_x = np.array([[1.0, 0.0, 0.0], [0.0, cos_x, sin_x], [0.0, -sin_x, cos_x]])
        about_y = np.array([[cos_y, 0.0, -sin_y], [0.0, 1.0, 0.0], [sin_y, 0.0, cos_y]])
        R = about_y @ about_x
        onto_plane = np.array([[R[2, 2], 0.0, -R[0, 2]], [0.0, R[2, 2], -R[1, 2]], [0.0, 0.0, 1.0]])
        return onto_plane @ R

    @cached_property
    def _radius_table(self) -> tuple[np.ndarray, np.ndarray]:
        """Undistorted and distorted radii, both increasing."""
        radius = np.tan(np.linspace(0.0, MAX_PERSPECTIVE_ANGLE_RAD, TABLE_SIZE))
        return _increasing_table(radius, radius * self._radial_factor(radius**2))

    def _radial_factor(self, r2: np.ndarray) -> np.ndarray:
        """f."""
        return polyval(r2, (1.0, *self.k[:3])) / polyval(r2, (1.0, *self.k[3:]))

    def _radial_slope(self, r2: np.ndarray) -> np.ndarray:
        """df/d(r²)."""
        numerator, denominator = (1.0, *self.k[:3]), (1.0, *self.k[3:])
        top, bottom = polyval(r2, numerator), polyval(r2, denominator)
        top_slope, bottom_slope = (polyval(r2, (c[1], 2 * c[2], 3 * c[3])) for c in (numerator, denominator))
        return (top_slope * bottom - top * bottom_slope) / bottom**2

    def _distort(self, xy: np.ndarray) -> np.ndarray:
        (x, y), (p1, p2), (s1, s2, s3, s4) = xy.T, self.p, self.s
        r2 = x**2 + y**2
        f = self._radial_factor(r2)
        return np.stack(
            [
                x * f + 2 * p1 * x * y + p2 * (r2 + 2 * x**2) + (s1 + s2 * r2) * r2,
                y * f + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y + (s3 + s4 * r2) * r2,
            ],
            axis=-1,
        )

    def _jacobian(self, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The Jacobian of `_distort`: dx'/dx, dx'/dy, dy'/dx, dy'/dy."""
        (x, y), (p1, p2), (s1, s2, s3, s4) = xy.T, self.p, self.s
        r2 = x**2 + y**2
        f, slope = self._radial_factor(r2), self._radial_slope(r2)
        prism_x, prism_y = 2 * (s1 + 2 * s2 * r2), 2 * (s3 + 2 * s4 * r2)  # by r, divided by r
        shared = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
        return (
            f + 2 * x**2 * slope + 2 * p1 * y + 6 * p2 * x + prism_x * x,
            shared + prism_x * y,
            shared + prism_y * x,
            f + 2 * y**2 * slope + 6 * p1 * y + 2 * p2 * x + prism_y * y,
        )

    def points_from_rays(self, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Normalised points [N, 2] of rays [N, 3], and the mask [N] of the rays that the lens can see."""
        x, y, z = rays.T
        seen = z * np.tan(MAX_PERSPECTIVE_ANGLE_RAD) > np.hypot(x, y)
        xy = rays[:, :2] / np.where(seen, z, 1.0)[:, None]
        seen &= np.hypot(*xy.T) <= self._radius_table[0][-1]
        if self._is_ideal:
            return xy, seen
        points = self._distort(np.where(seen[:, None], xy, 0.0))
        return _through(self._tilt, points) if any(self.tau_rad) else points, seen

    def rays_from_points(self, points: np.ndarray) -> np.ndarray:
        """Unit rays [N, 3] of normalised points [N, 2]; NaN where no ray of the lens's range gets there."""
        if any(self.tau_rad):
            points = _through(np.linalg.inv(self._tilt), points)
        radius = np.hypot(*points.T)
        undistorted_radius = np.interp(radius, self._radius_table[1], self._radius_table[0])
        xy = points * (undistorted_radius / np.where(radius > 0, radius, 1.0))[:, None]
        with np.errstate(all="ignore"):  # points out of range may diverge; the residual finds them
            for _ in range(NEWTON_ITERATIONS):
                e_x, e_y = (self._distort(xy) - points).T
                j_xx, j_xy, j_yx, j_yy = self._jacobian(xy)
                step = np.stack([j_yy * e_x - j_xy * e_y, j_xx * e_y - j_yx * e_x], axis=-1)
                xy = xy - step / (j_xx * j_yy - j_xy * j_yx)[:, None]
            residual = np.abs(self._distort(xy) - points).max(axis=1)
            found = (residual < NEWTON_TOLERANCE) & (np.hypot(*xy.T) <= self._radius_table[0][-1])
        rays = np.column_stack([xy, np.ones(len(xy))])
        return np.where(found[:, None], rays / np.linalg.norm(rays, axis=1, keepdims=True), np.nan)


def _through(homography: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points [N, 2] under a homography [3, 3]."""
    x, y, w = homography @ np.column_stack([points, np.ones(len(points))]).T
    return np.stack([x / w, y / w], axis=-1)


@dataclass(frozen=True)
class EquidistantLens:
    """Kannala-Brandt fisheye (`equidistant`): θ' = θ (1 + k1 θ² + k2 θ⁴ + k3 θ⁶ + k4 θ⁸).

    θ is the angle from the optical axis and may exceed 90°.
    """

    k: tuple[float, float, float, float]

    @cached_property
    def _angle_table(self) -> tuple[np.ndarray, np.ndarray]:
        """Undistorted and distorted angles, both increasing."""
        angle = np.linspace(0.0, np.pi, TABLE_SIZE)
        return _increasing_table(angle, angle * polyval(angle**2, (1.0, *self.k)))

    def points_from_rays(self, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Normalised points [N, 2] of rays [N, 3], and the mask [N] of the rays that the lens can see."""
        sideways = np.hypot(rays[:, 0], rays[:, 1])
        angle = np.arctan2(sideways, rays[:, 2])
        distorted = angle * polyval(angle**2, (1.0, *self.k))
        points = rays[:, :2] * (distorted / np.where(sideways > 0, sideways, 1.0))[:, None]
        return points, angle <= self._angle_table[0][-1]

    def rays_from_points(self, points: np.ndarray) -> np.ndarray:
        """Unit rays [N, 3] of normalised points [N, 2]; NaN where no ray of the lens's range gets there."""
        distorted = np.hypot(*points.T)
        angle = np.interp(distorted, self._angle_table[1], self._angle_table[0])
        slope_coefficients = np.array([1.0, *self.k]) * (1, 3, 5, 7, 9)
        for _ in range(NEWTON_ITERATIONS):
            error = angle * polyval(angle**2, (1.0, *self.k)) - distorted
            slope = polyval(angle**2, slope_coefficients)
            angle = np.clip(angle - error / np.where(slope > 0, slope, np.inf), 0.0, self._angle_table[0][-1])
        found = np.abs(angle * polyval(angle**2, (1.0, *self.k)) - distorted) < NEWTON_TOLERANCE
        sideways = points * (np.sin(angle) / np.where(distorted > 0, distorted, 1.0))[:, None]
        return np.where(found[:, None], np.column_stack([sideways, np.cos(angle)]), np.nan)


# Names that other software gives to the models of ROS.
_ALIASES = {
    "": "none",
    "pinhole": "none",  # Isaac Sim
    "fisheye": "equidistant",
    "equi": "equidistant",  # Kalibr
    "kannala_brandt": "equidistant",
    "kannala_brandt4": "equidistant",
    "brown_conrady": "plumb_bob",
    "radtan": "plumb_bob",
    "rational": "rational_polynomial",
}
# model -> numbers of coefficients it takes; calibration tools append further ones, which are 0 if unused.
COEFFICIENT_COUNTS = {
    "none": (0,),
    "plumb_bob": (4, 5),
    # As plumb_bob; all six of the fraction; with a thin prism; with a tilted sensor too.
    "rational_polynomial": (4, 5, 8, 12, 14),
    "equidistant": (4,),
}


def make_lens(model: str, coefficients: tuple[float, ...]) -> PerspectiveLens | EquidistantLens:
    """Lens of a distortion model and its `d` as CameraInfo orders it.

    That is k1, k2, p1, p2, k3 ... k6, s1 ... s4, tau_x, tau_y as in OpenCV, or k1 ... k4 of a fisheye. Coefficients
    beyond those of the model may follow if they are 0. Raises ValueError for an unknown model, a wrong number of
    coefficients or a value that is not finite.
    """
    name = model.strip().lower()
    name = _ALIASES.get(name, name)
    if name not in COEFFICIENT_COUNTS:
        raise ValueError(f"unknown distortion model '{model}'; accepted are {', '.join(COEFFICIENT_COUNTS)}")
    if not np.all(np.isfinite(coefficients)):
        raise ValueError(f"distortion coefficients must be finite, got {list(coefficients)}")
    if name != "equidistant" and not np.any(coefficients):
        return PerspectiveLens()
    counts = COEFFICIENT_COUNTS[name]
    kept, beyond = coefficients[: counts[-1]], coefficients[counts[-1] :]
    if len(kept) not in counts or any(beyond):
        if name == "none":
            raise ValueError(
                f"distortion model '{model}' takes no coefficients, got {len(coefficients)}; name their model, such as "
                "plumb_bob"
            )
        expected = " or ".join(map(str, counts))
        remedy = ", those beyond not being 0" if len(kept) in counts else ""
        raise ValueError(
            f"distortion model '{model}' takes {expected} coefficients, got {len(coefficients)}{remedy}"
        )
    if name == "equidistant":
        k1, k2, k3, k4 = kept
        return EquidistantLens((k1, k2, k3, k4))
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4, *tau_rad = (*kept, *(0.0,) * (14 - len(kept)))
    return PerspectiveLens((k1, k2, k3, k4, k5, k6), (p1, p2), (s1, s2, s3, s4), (tau_rad[0], tau_rad[1]))
