"""The posterior over poses: its density, the mean and covariance of a mode, and the selection of modes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.prior_gate import PriorGate

ROUNDS = 3  # of adaptive importance sampling
PROPOSAL_INFLATION = 1.4  # factor on the standard deviations, so that the proposal covers the tails
# Weights of the proposal's mean and covariance, in effective samples.
MEAN_SAMPLES, COVARIANCE_SAMPLES = 1.0, 10.0


@dataclass(frozen=True)
class Posterior:
    """log posterior(pose) = score / temperature + log prior.

    The errors of neighbouring ground cells are correlated; the temperature is the number of cells that count as
    one independent observation.
    """

    evidence: Evidence
    gate: PriorGate
    scale_bounds: tuple[float, float]
    temperature: float

    def log_density(self, a: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Log posterior [H] of the poses (a, t), up to a constant; the scale is log-uniform within its bounds."""
        log_density = self.evidence.score(a, t) / self.temperature + self.gate.log_density(a, t)
        low, high = np.multiply(self.scale_bounds, (1 - 1e-9, 1 + 1e-9))
        return np.where((np.abs(a) >= low) & (np.abs(a) <= high), log_density, -np.inf)

    def local_moments(
        self, a: complex, t: complex, covariance: np.ndarray, samples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean [4] and covariance [4, 4] of (x, y, yaw, log scale) of the mode at (a, t).

        Adaptive importance sampling: draws of a Gaussian about the last mean, weighted by posterior / proposal.
        `covariance` [4, 4] is that of the first proposal. With few effective samples the result stays near it.
        """
        mean = np.array([t.real, t.imag, np.angle(a), np.log(np.abs(a))])
        free = np.diag(covariance) > 0  # a known scale has no variance and is not sampled
        normal = normal_draws(samples, np.count_nonzero(free))
        for _ in range(ROUNDS):
            # Cholesky's factor is continuous in the covariance; eigenvectors of equal variances may turn.
            root = np.zeros((4, normal.shape[1]))
            root[free] = PROPOSAL_INFLATION * np.linalg.cholesky(covariance[np.ix_(free, free)])
            draws = mean + normal @ root.T
            log_weight = self.log_density(
                np.exp(draws[:, 3] + 1j * draws[:, 2]), draws[:, 0] + 1j * draws[:, 1]
            )
            log_weight += 0.5 * (normal**2).sum(axis=1)
            if not np.isfinite(log_weight.max()):
                break
            weight = np.exp(log_weight - log_weight.max())
            weight /= weight.sum()
            effective = 1 / (weight**2).sum()
            new_mean = weight @ draws
            spread = (draws - new_mean).T @ ((draws - new_mean) * weight[:, None])
            mean = (effective * new_mean + MEAN_SAMPLES * mean) / (effective + MEAN_SAMPLES)
            covariance = (effective * spread + COVARIANCE_SAMPLES * covariance) / (
                effective + COVARIANCE_SAMPLES
            )
        return mean, covariance


@lru_cache(maxsize=8)
def normal_draws(count: int, dimensions: int) -> np.ndarray:
    """`count` (an even number) evenly spread draws [count, dimensions] of a standard normal.

    They give moments with less noise than random draws. Roberts' additive recurrence, "The unreasonable effectiveness
    of quasirandom sequences" (2018), in (0, 1): u_k = frac(1/2 + k (g⁻¹, …, g⁻ᵈ)), g the positive root of
    g^(d + 1) = g + 1. Each draw has its mirror image, and a linear map makes the draws' covariance the identity.
    """
    root = np.roots([1, *[0] * (dimensions - 1), -1, -1]).real.max()
    steps = root ** -np.arange(1.0, dimensions + 1)
    uniform = (0.5 + np.arange(1, count // 2 + 1)[:, None] * steps) % 1
    half = np.vectorize(NormalDist().inv_cdf)(uniform)
    half = half @ np.linalg.inv(np.linalg.cholesky(half.T @ half / len(half))).T
    draws = np.concatenate([half, -half])
    draws.flags.writeable = False
    return draws


def distinct_modes(
    a: np.ndarray, t: np.ndarray, log_density: np.ndarray, separation_m: float, separation_rad: float
) -> np.ndarray:
    """Indices of the poses that are the best of their neighbourhood, best first (greedy suppression)."""
    remaining = np.argsort(-log_density, kind="stable")
    remaining = remaining[np.isfinite(log_density[remaining])]
    modes = []
    while len(remaining):
        best = remaining[0]
        modes.append(best)
        far = np.abs(t[remaining] - t[best]) > separation_m
        far |= np.abs(np.angle(a[remaining] * a[best].conj())) > separation_rad
        remaining = remaining[far]
    return np.array(modes, dtype=np.intp)
