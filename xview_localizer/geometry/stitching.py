"""Joining depth predictions that are each correct up to an unknown factor."""

from __future__ import annotations

import numpy as np

MIN_SHARED = 8  # cells that two predictions must share; the ratio of fewer is not reliable


def relative_log_scales(log_range: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log factors [K] that bring K predictions of the same cells into one unit, and the mask [K] of those joined.

    `log_range` [K, N], NaN where a prediction has no value for a cell. With m_ij the median of log r_j - log r_i over
    the shared cells and n_ij their number, the factors minimise sum n_ij (s_i - s_j - m_ij)², with the mean 0.
    Predictions that share too few cells with the largest joined group are left out.
    """
    count = len(log_range)
    weight, ratio = np.zeros((count, count)), np.zeros((count, count))
    for i in range(count):
        for j in range(i + 1, count):
            difference = log_range[j] - log_range[i]
            difference = difference[np.isfinite(difference)]
            if len(difference) >= MIN_SHARED:
                weight[i, j] = weight[j, i] = len(difference)
                ratio[i, j], ratio[j, i] = np.median(difference), -np.median(difference)
    joined = _largest_group(weight > 0, np.isfinite(log_range).sum(axis=1))
    laplacian = np.diag(weight.sum(axis=1)) - weight
    scales = np.zeros(count)
    if joined.sum() > 1:
        part = np.ix_(joined, joined)
        # The laplacian fixes differences only; the least-norm solution has the mean 0.
        scales[joined] = np.linalg.lstsq(laplacian[part], (weight * ratio).sum(axis=1)[joined], rcond=None)[0]
    return scales, joined


def _largest_group(linked: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Mask [K] of the connected group of greatest total size."""
    reach = linked | np.eye(len(linked), dtype=bool)
    for _ in range(len(linked)):
        reach = reach | ((reach.astype(int) @ reach.astype(int)) > 0)
    return reach[np.argmax(reach.astype(int) @ size)] & (size > 0)
