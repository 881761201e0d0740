"""Scale-aware Procrustes in closed form, and the covariance of its pose with the scale marginalised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.pose import Pose2, wrap_angle_rad

# Standard deviation across the line / along it, below which points count as collinear.
COLLINEAR_RATIO = 1e-3
# Spread / distance from the origin, below which points count as one point.
COINCIDENT_RATIO = 1e-6


@dataclass(frozen=True)
class Similarity2:
    """`aerial_xy = scale * R(yaw) @ ground_xy + (x, y)`: takes level-frame points into `map`."""

    scale: float
    yaw_rad: float
    x_m: float
    y_m: float

    @property
    def pose(self) -> Pose2:
        return Pose2(self.x_m, self.y_m, self.yaw_rad)

    def transform(self, ground_xy_m: np.ndarray) -> np.ndarray:
        """Take points [..., 2] of the level frame into `map`."""
        return self.pose.transform(self.scale * np.asarray(ground_xy_m, dtype=np.float64))


def as_complex(xy: np.ndarray) -> np.ndarray:
    """Points [..., 2] as complex numbers [...], the form in which a similarity is one product."""
    return np.ascontiguousarray(xy, dtype=np.float64).view(np.complex128)[..., 0]


def procrustes(
    ground: np.ndarray,
    aerial: np.ndarray,
    weight: np.ndarray,
    scale_bounds: tuple[float, float] = (0.0, np.inf),
) -> tuple[np.ndarray, np.ndarray]:
    """(a, t) minimising sum w |aerial - (a ground + t)|², all complex, over the last axis of any batch.

    With weighted means removed: a = sum w conj(p~) q~ / sum w |p~|², t = q_mean - a p_mean; yaw = arg a,
    scale = |a|. The cost is convex in the scale and the yaw does not depend on it, so clipping |a| to
    `scale_bounds` gives the bounded optimum. Coincident points give NaN.
    """
    total = weight.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        ground_mean = (weight * ground).sum(axis=-1, keepdims=True) / total
        aerial_mean = (weight * aerial).sum(axis=-1, keepdims=True) / total
        p, q = ground - ground_mean, aerial - aerial_mean
        a = (weight * p.conj() * q).sum(axis=-1, keepdims=True) / (weight * np.abs(p) ** 2).sum(
            -1, keepdims=True
        )
        a *= np.clip(np.abs(a), *scale_bounds) / np.abs(a)
    return a[..., 0], (aerial_mean - a * ground_mean)[..., 0]


def procrustes_with_offset(
    lifted: np.ndarray,
    offset: np.ndarray,
    aerial: np.ndarray,
    weight: np.ndarray,
    scale: np.ndarray,
    scale_bounds: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """One round of minimising sum w |aerial - (u (s lifted + offset) + t)|² over |u| = 1, s and t.

    First u and t in closed form for the given `scale`, then s and t for that u: with weighted means removed
    and r = conj(u) aerial - offset, s = sum w Re(conj(p~) r~) / sum w |p~|², clipped to `scale_bounds`. Without
    offsets u does not depend on s, and one round is `procrustes` itself. Returns (a, t) with a = s u; NaN where
    the points are coincident.
    """
    a, _ = procrustes(scale[..., None] * lifted + offset, aerial, weight)
    total = weight.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = a / np.abs(a)
        residual = u.conj()[..., None] * aerial - offset
        lifted_mean = (weight * lifted).sum(axis=-1, keepdims=True) / total
        residual_mean = (weight * residual).sum(axis=-1, keepdims=True) / total
        p = lifted - lifted_mean
        s = (weight * (p.conj() * (residual - residual_mean)).real).sum(axis=-1) / (
            weight * np.abs(p) ** 2
        ).sum(axis=-1)
    s = np.clip(s, *scale_bounds)
    return s * u, u * (residual_mean[..., 0] - s * lifted_mean[..., 0])


def degeneracy(correspondences: Correspondences) -> str:
    """The reason why no similarity can be fitted to the pairs of positive weight; empty where one can."""
    ground, aerial = as_complex(correspondences.ground_xy_m), as_complex(correspondences.aerial_xy_m)
    weight = np.asarray(correspondences.weight, dtype=np.float64)
    bad = ~(np.isfinite(ground) & np.isfinite(aerial) & np.isfinite(weight))
    if bad.any():
        return f"{np.count_nonzero(bad)} of {len(bad)} pairs are not finite"
    if np.any(weight < 0):
        return f"{np.count_nonzero(weight < 0)} of {len(bad)} pairs have a negative weight"
    usable = weight > 0
    if np.count_nonzero(usable) < 3:
        return f"only {np.count_nonzero(usable)} usable pairs; at least 3 are needed"
    for name, points in (("ground", ground[usable]), ("aerial", aerial[usable])):
        shape = point_degeneracy(points)
        if shape:
            return f"the {name} points are {shape}"
    return ""


def point_degeneracy(points: np.ndarray) -> str:
    """ "coincident" or "collinear" where the complex points [N] are; empty where they span the plane."""
    centred = points - points.mean()
    along, across = np.linalg.svd(np.stack([centred.real, centred.imag]), compute_uv=False)
    if along <= COINCIDENT_RATIO * np.linalg.norm(points):
        return "coincident"
    return "collinear" if across <= COLLINEAR_RATIO * along else ""


def similarity_from_complex(a: complex, t: complex) -> Similarity2:
    """The similarity z -> a z + t."""
    return Similarity2(abs(a), float(wrap_angle_rad(np.angle(a))), t.real, t.imag)


def similarity_information(
    a: complex, lifted: np.ndarray, weight: np.ndarray, offset: np.ndarray | float = 0.0
) -> np.ndarray:
    """sum w JᵀJ [4, 4] over complex points [N]: J_n derives a p_n + u o_n + t by (x, y, yaw, log scale).

    u = a / |a|; the offsets o turn with the pose, but the scale moves only the lifted points p.
    """
    scaled = a * lifted
    lever = scaled + a / np.abs(a) * offset
    total, mean, square = weight.sum(), (weight * lever).sum(), (weight * np.abs(lever) ** 2).sum()
    scaled_mean, scaled_square = (weight * scaled).sum(), (weight * np.abs(scaled) ** 2).sum()
    turned = (weight * (lever.conj() * scaled).imag).sum()
    x, y, sx, sy = mean.real, mean.imag, scaled_mean.real, scaled_mean.imag
    return np.array(
        [
            [total, 0, -y, sx],
            [0, total, x, sy],
            [-y, x, square, turned],
            [sx, sy, turned, scaled_square],
        ]
    )


def similarity_covariance(
    a: complex,
    ground: np.ndarray,
    weight: np.ndarray,
    inlier_probability: np.ndarray,
    sigma_m: float,
    scale_free: bool,
) -> np.ndarray:
    """Covariance [3, 3] of (x, y, yaw) of a weighted fit, the scale marginalised.

    Residuals are isotropic with standard deviation `sigma_m` on each axis, so with u_n the weights, g_n the
    inlier probabilities and J_n as in `similarity_information`:
    C = sigma² M1⁻¹ M2 M1⁻¹, M1 = sum u g JᵀJ, M2 = sum u² g JᵀJ  (the sandwich; sigma² M1⁻¹ for u = 1).
    With `scale_free` False the scale is known. Raises LinAlgError where the points do not fix the pose.
    """
    free = 4 if scale_free else 3
    bread = np.linalg.inv(similarity_information(a, ground, weight * inlier_probability)[:free, :free])
    meat = similarity_information(a, ground, weight**2 * inlier_probability)[:free, :free]
    return (sigma_m**2 * bread @ meat @ bread)[:3, :3]
