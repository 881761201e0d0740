"""The pairs solver: seeded RANSAC over two-point similarities, then a robust, scale-aware Procrustes fit.

All hypotheses are drawn, gated and scored at once; there is no loop over them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.geometry.prior_gate import PriorGate
from xview_localizer.geometry.similarity import (
    as_complex,
    degeneracy,
    point_degeneracy,
    procrustes,
    similarity_covariance,
    similarity_from_complex,
)

# A distance between two aerial cells is accurate to a cell, so the scale of a right pair may miss the bounds by this.
SCALE_SLACK = 1.15
RESIDUAL_DTYPE = np.float32  # accurate to millimetres over a scene of 100 m, enough to rank hypotheses


@dataclass(frozen=True)
class PairsSolverConfig:
    """`scale_bounds` (1, 1) mean metric ground points, so no scale is solved for; (0, inf) mean any unit."""

    hypotheses: int = 2000
    inlier_threshold_m: float = 1.5  # of the RANSAC score; the refinement finds the noise itself
    scale_bounds: tuple[float, float] = (0.0, np.inf)
    refinements: int = 12
    sigma_floor_m: float = 0.02  # least standard deviation of a pair's aerial position
    prior_edge_m: float = 1.0
    yaw_gate_sigmas: float = 3.0

    def __post_init__(self) -> None:
        low, high = self.scale_bounds
        if not (0 <= low <= high and high > 0):
            raise ValueError(f"scale_bounds must be 0 <= low <= high, got {self.scale_bounds}")


@dataclass(frozen=True)
class PairsSolution:
    """The pose of the level frame in `map`, or None with the `reason`; `inliers` is a mask over all pairs."""

    pose: Pose2 | None
    scale: float = np.nan
    covariance: np.ndarray = field(default_factory=lambda: np.full((3, 3), np.nan))  # of (x, y, yaw)
    inliers: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    inlier_ratio: float = 0.0
    reason: str = ""


def solve_pairs(
    correspondences: Correspondences, prior: Prior | None, config: PairsSolverConfig, seed: int
) -> PairsSolution:
    """Similarity of pairs of which many may be wrong. Deterministic for a seed; never raises on bad pairs.

    `scale` is metres per unit of the ground points.
    """
    inlier_mask = np.zeros(len(correspondences.weight), dtype=bool)
    reason = degeneracy(correspondences)
    if reason:
        return PairsSolution(None, inliers=inlier_mask, reason=reason)
    weight = np.asarray(correspondences.weight, dtype=np.float64)
    usable = weight > 0
    ground = as_complex(correspondences.ground_xy_m)[usable]
    aerial = as_complex(correspondences.aerial_xy_m)[usable]
    weight = weight[usable] / weight[usable].mean()

    gate = None if prior is None else PriorGate(prior, config.prior_edge_m, config.yaw_gate_sigmas)
    best = _best_hypothesis(ground, aerial, weight, gate, config, np.random.default_rng(seed))
    if best is None:
        return PairsSolution(
            None, inliers=inlier_mask, reason="no hypothesis agrees with the prior and scale bounds"
        )
    a, t, probability, sigma_m = _refine(ground, aerial, weight, *best, config)
    inliers = probability > 0.5
    reason = _rejection(a, t, ground[inliers], gate)
    if reason:
        return PairsSolution(None, inliers=inlier_mask, reason=reason)

    scale_free = config.scale_bounds[0] < np.abs(a) < config.scale_bounds[1]
    similarity = similarity_from_complex(a, t)
    inlier_mask[usable] = inliers
    return PairsSolution(
        pose=similarity.pose,
        scale=similarity.scale,
        covariance=similarity_covariance(a, ground, weight, probability, sigma_m, scale_free),
        inliers=inlier_mask,
        inlier_ratio=float(inliers.mean()),
    )


def _best_hypothesis(
    ground: np.ndarray,
    aerial: np.ndarray,
    weight: np.ndarray,
    gate: PriorGate | None,
    config: PairsSolverConfig,
    rng: np.random.Generator,
) -> tuple[complex, complex] | None:
    """The two-point similarity (a, t) of least truncated squared error (MSAC), pairs drawn by weight."""
    cumulative = np.cumsum(weight)
    draws = rng.random((2, config.hypotheses)) * cumulative[-1]
    first, second = np.minimum(np.searchsorted(cumulative, draws), len(weight) - 1)
    a, t = two_point_similarities(ground, aerial, first, second, config.scale_bounds)
    if gate is not None:
        allowed = gate.allows(a, t)
        a, t = a[allowed], t[allowed]
    if not len(a):
        return None
    squared = squared_residuals(ground, aerial, a, t)
    cost = np.minimum(squared, config.inlier_threshold_m**2, out=squared) @ weight.astype(RESIDUAL_DTYPE)
    best = int(np.argmin(cost))
    return complex(a[best]), complex(t[best])


def squared_residuals(ground: np.ndarray, aerial: np.ndarray, a: np.ndarray, t: np.ndarray) -> np.ndarray:
    """|q - (a p + t)|² [H, N] of every pair under every hypothesis, as one matrix product.

    Expanded into 9 terms that are each a function of the hypothesis times a function of the pair:
    |q|² + |a|²|p|² + |t|² - 2 Re(a p q*) - 2 Re(t q*) + 2 Re(a t* p). Points are centred first, so that the
    terms are no larger than the scene and float32 keeps millimetres.
    """
    p_mean, q_mean = ground.mean(), aerial.mean()
    p, q = ground - p_mean, aerial - q_mean
    size = np.sqrt(np.mean(np.abs(p) ** 2))
    p, scaled_a, t = p / size, a * size, t + a * p_mean - q_mean
    pq, at = p * q.conj(), scaled_a * t.conj()
    ones_n, ones_h = np.ones(len(p)), np.ones(len(a))
    pairs = [np.abs(q) ** 2, np.abs(p) ** 2, ones_n, pq.real, pq.imag, q.real, q.imag, p.real, p.imag]
    hypotheses = [
        ones_h,
        np.abs(scaled_a) ** 2,
        np.abs(t) ** 2,
        -2 * scaled_a.real,
        2 * scaled_a.imag,
        -2 * t.real,
        -2 * t.imag,
        2 * at.real,
        -2 * at.imag,
    ]
    return np.stack(hypotheses, axis=1).astype(RESIDUAL_DTYPE) @ np.stack(pairs).astype(RESIDUAL_DTYPE)


def _refine(
    ground: np.ndarray,
    aerial: np.ndarray,
    weight: np.ndarray,
    a: complex,
    t: complex,
    config: PairsSolverConfig,
) -> tuple[complex, complex, np.ndarray, float]:
    """Expectation maximisation of a Gaussian about the prediction plus uniform outliers.

    Returns (a, t), the inlier probabilities [N] and the standard deviation per axis of the residuals for
    `similarity_covariance`: inflated for the pairs whose membership the fit itself decides (the
    information of the mixture per pair is g - g (1 - g) |e|² / (2 sigma²), not g). NaN where all pairs are too far
    from the hypothesis.
    """
    area_m2 = max(np.ptp(aerial.real) * np.ptp(aerial.imag), config.inlier_threshold_m**2)
    sigma_m, share = config.inlier_threshold_m / 2, 0.5
    for _ in range(config.refinements):
        squared = np.abs(aerial - a * ground - t) ** 2
        density = share * np.exp(-0.5 * squared / sigma_m**2) / (2 * np.pi * sigma_m**2)
        probability = density / (density + (1 - share) / area_m2)
        w = weight * probability
        if not w.sum() > 0:
            return np.nan, np.nan, probability, np.nan
        share = np.clip(w.sum() / weight.sum(), 1e-3, 1 - 1e-3)
        fitted_a, fitted_t = procrustes(ground, aerial, w, config.scale_bounds)
        a, t = complex(fitted_a), complex(fitted_t)
        count = w.sum() ** 2 / (w * weight).sum()
        unbiased = count / max(count - 2, 1.0)  # the four parameters take two pairs' worth of residuals
        sigma_m = np.sqrt(unbiased * (w * squared).sum() / (2 * w.sum()))
        sigma_m = np.clip(sigma_m, config.sigma_floor_m, config.inlier_threshold_m)
    lost = 0.5 * (w * (1 - probability) * squared).sum() / (w.sum() * sigma_m**2)
    return a, t, probability, float(sigma_m / np.sqrt(max(1 - lost, 0.1)))


def _rejection(a: complex, t: complex, inlier_ground: np.ndarray, gate: PriorGate | None) -> str:
    """The reason why the refined fit is rejected; empty where it is accepted."""
    if not np.isfinite(a) or len(inlier_ground) < 3:
        return f"only {len(inlier_ground)} pairs agree with the best hypothesis; at least 3 are needed"
    shape = point_degeneracy(inlier_ground)
    if shape:
        return f"the inliers' ground points are {shape}"
    if gate is not None and not gate.allows(np.array(a), np.array(t)):
        return "the refined pose is outside the prior"
    return ""


def two_point_similarities(
    ground: np.ndarray,
    aerial: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    scale_bounds: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Similarities (a, t) through pairs `first` and `second` (indices) of complex points.

    a = (q1 - q2) / (p1 - p2) with its scale |a| clipped to the bounds, t from the midpoints. Hypotheses
    whose scale is out of bounds by more than `SCALE_SLACK`, or of coincident points, are left out.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        a = (aerial[first] - aerial[second]) / (ground[first] - ground[second])
        scale = np.abs(a)
        clipped = np.clip(scale, *scale_bounds)
        keep = (
            np.isfinite(scale) & (scale > 0) & (np.maximum(scale / clipped, clipped / scale) <= SCALE_SLACK)
        )
    a, first, second = a[keep], first[keep], second[keep]
    a *= clipped[keep] / scale[keep]
    return a, 0.5 * (aerial[first] + aerial[second] - a * (ground[first] + ground[second]))
