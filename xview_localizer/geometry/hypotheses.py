"""Two-point similarity hypotheses, and how to draw them from a match field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.prior_gate import PriorGate
from xview_localizer.geometry.similarity import as_complex

# A distance between two aerial cells is good to a cell, so a true pair may miss the bounds by this factor.
SCALE_SLACK = 1.15


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


@dataclass(frozen=True)
class SamplingConfig:
    """Two-point hypotheses drawn from the match distribution; they also serve wide scale bounds."""

    ground_cells: int = 128
    matches_per_cell: int = 8
    hypotheses: int = 4000
    scored: int = 400  # of the hypotheses that pass the gates
    kept: int = 16


def sample_hypotheses(
    evidence: Evidence,
    gate: PriorGate,
    scale_bounds: tuple[float, float],
    config: SamplingConfig,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The best (a, t) of random two-point hypotheses, scored by the drawn ground cells, best first."""
    drawn = evidence.take(np.sort(rng.permutation(len(evidence.ground))[: config.ground_cells]))
    likelihood = drawn.inside.reshape(len(drawn.ground), -1) + drawn.inlier_probability[:, None]
    cumulative = np.cumsum(np.maximum(likelihood, 0.0), axis=1, dtype=np.float64)
    targets = rng.random((len(cumulative), config.matches_per_cell)) * cumulative[:, -1:]
    # One search for all rows: row n is lifted above everything in the rows before it.
    lift = np.concatenate([[0.0], np.cumsum(cumulative[:-1, -1])])[:, None]
    flat = np.searchsorted((cumulative + lift).ravel(), (targets + lift).ravel())
    cell, aerial_cell = np.divmod(np.minimum(flat, cumulative.size - 1), cumulative.shape[1])
    ground = drawn.ground[cell]
    aerial = as_complex(evidence.grid.cell_centres_xy_m[aerial_cell])

    first, second = rng.integers(len(ground), size=(2, config.hypotheses))
    a, t = two_point_similarities(ground, aerial, first, second, scale_bounds)
    keep = np.flatnonzero(gate.allows(a, t))[: config.scored]
    a, t = a[keep], t[keep]
    best = np.argsort(-drawn.score(a, t), kind="stable")[: config.kept]
    return a[best], t[best]
