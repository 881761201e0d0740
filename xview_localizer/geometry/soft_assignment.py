"""Refining poses: every ground cell is softly assigned to the aerial cells near where the pose sends it."""

from __future__ import annotations

import numpy as np

from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.similarity import procrustes_with_offset

WINDOW_CELLS = 2  # of the assignment on either side of the predicted cell
# Standard deviations of the assignment's kernel, cells: wide enough to pull from the coarse search's error.
KERNEL_CELLS = (1.6, 1.3, 1.0, 0.8, 0.8)


def refine(
    evidence: Evidence, a: np.ndarray, t: np.ndarray, scale_bounds: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Iterate soft assignment and weighted Procrustes on the poses (a, t) [H].

    A pose near which nothing matches stays as it is.
    """
    for kernel_cells in KERNEL_CELLS:
        target, weight = soft_assignment(evidence, a, t, kernel_cells)
        refined_a, refined_t = procrustes_with_offset(
            evidence.lifted, evidence.offset, target, weight * evidence.weight, np.abs(a), scale_bounds
        )
        matched = np.isfinite(refined_a)
        a, t = np.where(matched, refined_a, a), np.where(matched, refined_t, t)
    return a, t


def soft_assignment(
    evidence: Evidence, a: np.ndarray, t: np.ndarray, kernel_cells: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where each ground cell matches near each pose's prediction, and how surely.

    With k a normalised Gaussian about the predicted position and e = max(pi (p M - 1), 0) the evidence in
    excess of chance: target [H, N] (complex, map) = sum k e q / sum k e, weight = sum k e / (1 + sum k e).
    """
    column, row = evidence.cell_coordinates(evidence.points(a, t))
    padded_rows, padded_columns = evidence.excess.shape[1:]
    reach = np.arange(-WINDOW_CELLS, WINDOW_CELLS + 1, dtype=np.int32)
    centre_column = np.clip(np.rint(column).astype(np.int32), WINDOW_CELLS, padded_columns - 1 - WINDOW_CELLS)
    centre_row = np.clip(np.rint(row).astype(np.int32), WINDOW_CELLS, padded_rows - 1 - WINDOW_CELLS)
    d_column = (centre_column - column).astype(np.float32)[..., None] + reach
    d_row = (centre_row - row).astype(np.float32)[..., None] + reach
    exponent = np.float32(-0.5 / kernel_cells**2)
    k_column, k_row = np.exp(exponent * d_column**2), np.exp(exponent * d_row**2)
    k_column /= k_column.sum(axis=-1, keepdims=True)
    k_row /= k_row.sum(axis=-1, keepdims=True)

    index = centre_row * padded_columns + centre_column
    index += np.arange(len(evidence.lifted), dtype=np.int32) * (padded_rows * padded_columns)
    window = (reach[:, None] * padded_columns + reach).ravel()
    mass = evidence.excess.ravel().take(index[..., None] + window)
    np.maximum(mass, 0.0, out=mass)
    mass *= (k_row[..., :, None] * k_column[..., None, :]).reshape(mass.shape)
    # Zeroth and first moments of the window, in one product.
    step_row, step_column = (step.ravel() for step in np.meshgrid(reach, reach, indexing="ij"))
    moments = mass @ np.stack([np.ones_like(step_row), step_column, step_row], axis=1).astype(np.float32)
    total = moments[..., 0]
    divisor = np.where(total > 0, total, 1.0)
    target_column = centre_column + moments[..., 1] / divisor
    target_row = centre_row + moments[..., 2] / divisor
    return evidence.map_points(target_column, target_row), (total / (1 + total)).astype(np.float64)
