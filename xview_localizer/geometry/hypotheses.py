"""Two-point pose hypotheses, drawn from a match field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.prior_gate import PriorGate
from xview_localizer.geometry.similarity import as_complex

# A distance between two aerial cells is accurate to a cell, so the scale of a right pair may miss the bounds by this.
SCALE_SLACK = 1.15


def two_point_poses(
    evidence: Evidence,
    cell: np.ndarray,
    aerial: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    scale_bounds: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Poses (a, t) through pairs `first` and `second` (indices) of ground cells `cell` and complex points `aerial`.

    With dp, do, dq the differences of lifted points, offsets and aerial points, |dq| = |s dp + do| gives the
    scale, s = (-Re(dp* do) + sqrt(Re(dp* do)² + |dp|² (|dq|² - |do|²))) / |dp|², clipped to the bounds; then
    a / s = dq / (s dp + do) of unit length, and t from the midpoints. Pairs whose scale is out of bounds by more
    than `SCALE_SLACK`, or of coincident points, are left out.
    """
    lifted, offset = evidence.lifted[cell], evidence.offset[cell]
    dp, do = lifted[first] - lifted[second], offset[first] - offset[second]
    dq = aerial[first] - aerial[second]
    with np.errstate(divide="ignore", invalid="ignore"):
        dot = (dp.conj() * do).real
        square = np.abs(dp) ** 2
        scale = (np.sqrt(dot**2 + square * (np.abs(dq) ** 2 - np.abs(do) ** 2)) - dot) / square
        clipped = np.clip(scale, *scale_bounds)
        turn = dq / (clipped * dp + do)
        keep = (
            np.isfinite(scale)
            & (scale > 0)
            & np.isfinite(turn)
            & (np.abs(turn) > 0)
            & (np.maximum(scale / clipped, clipped / scale) <= SCALE_SLACK)
        )
    s, u, first, second = clipped[keep], turn[keep] / np.abs(turn[keep]), first[keep], second[keep]
    middle = s * (lifted[first] + lifted[second]) + offset[first] + offset[second]
    return s * u, 0.5 * (aerial[first] + aerial[second] - u * middle)


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
    drawn = evidence.take(np.sort(rng.permutation(len(evidence.lifted))[: config.ground_cells]))
    likelihood = drawn.inside.reshape(len(drawn.lifted), -1) + drawn.inlier_probability[:, None]
    cumulative = np.cumsum(np.maximum(likelihood, 0.0), axis=1, dtype=np.float64)
    targets = rng.random((len(cumulative), config.matches_per_cell)) * cumulative[:, -1:]
    # One search for all rows: each row is offset so that its values exceed those of the rows before it.
    lift = np.concatenate([[0.0], np.cumsum(cumulative[:-1, -1])])[:, None]
    flat = np.searchsorted((cumulative + lift).ravel(), (targets + lift).ravel())
    cell, aerial_cell = np.divmod(np.minimum(flat, cumulative.size - 1), cumulative.shape[1])
    aerial = as_complex(evidence.grid.cell_centres_xy_m[aerial_cell])

    first, second = rng.integers(len(cell), size=(2, config.hypotheses))
    a, t = two_point_poses(drawn, cell, aerial, first, second, scale_bounds)
    keep = np.flatnonzero(gate.allows(a, t))[: config.scored]
    a, t = a[keep], t[keep]
    best = np.argsort(-drawn.score(a, t), kind="stable")[: config.kept]
    return a[best], t[best]
