"""Refining poses: every ground cell is softly assigned to the aerial cells near where the pose sends it."""

from __future__ import annotations

import numpy as np

from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.similarity import procrustes

WINDOW_CELLS = 2  # of the assignment on either side of the predicted cell
# Standard deviations of the assignment's kernel, cells: wide enough to pull from the coarse search's error.
KERNEL_CELLS = (1.6, 1.3, 1.0, 0.8, 0.8)


def refine(
    evidence: Evidence, a: np.ndarray, t: np.ndarray, scale_bounds: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Iterate soft assignment and weighted Procrustes on the poses (a, t) [H].

    A pose near which nothing matches becomes NaN.
    """
    for kernel_cells in KERNEL_CELLS:
        target, weight = soft_assignment(evidence, a, t, kernel_cells)
        a, t = procrustes(evidence.ground, target, weight, scale_bounds)
    return a, t


def soft_assignment(
    evidence: Evidence, a: np.ndarray, t: np.ndarray, kernel_cells: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where each ground cell matches near each pose's prediction, and how surely.

    With k a normalised Gaussian about the predicted position and e = max(pi (p M - 1), 0) the evidence in
    excess of chance: target [H, N] (complex, map) = sum k e q / sum k e, weight = sum k e / (1 + sum k e).
    """
    column, row = evidence.cell_coordinates(a[:, None] * evidence.ground + t[:, None])
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
    index += np.arange(len(evidence.ground), dtype=np.int32) * (padded_rows * padded_columns)
    window = (reach[:, None] * padded_columns + reach).ravel()
    mass = np.maximum(evidence.excess.ravel().take(index[..., None] + window), 0.0)
    mass = mass.reshape(*index.shape, len(reach), len(reach))
    mass *= k_row[..., :, None]
    mass *= k_column[..., None, :]
    by_column, by_row = mass.sum(axis=-2), mass.sum(axis=-1)
    total = by_row.sum(axis=-1)
    divisor = np.where(total > 0, total, 1.0)
    d_x = (by_column * d_column).sum(axis=-1) / divisor
    d_y = -(by_row * d_row).sum(axis=-1) / divisor
    predicted = a[:, None] * evidence.ground + t[:, None]
    return predicted + evidence.grid.spacing_m * (d_x + 1j * d_y), (total / (1 + total)).astype(np.float64)
