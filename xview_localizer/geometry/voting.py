"""Exhaustive coarse search: every yaw and position inside the prior, scored by many of the ground cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from xview_localizer.geometry.evidence import CELLS_AT_ONCE, Evidence
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.pose import Prior
from xview_localizer.geometry.prior_gate import PriorGate


@dataclass(frozen=True)
class VotingConfig:
    """Resolution of the search. Finer costs time in proportion; coarser blurs the evidence of far cells."""

    yaw_step_rad: float = float(np.radians(6.0))
    spacing_m: float = 1.2  # aerial cells are averaged in blocks of about this size
    log_scale_step: float = 0.25
    max_ground_cells: int = 160
    candidates: int = 64


def vote(
    evidence: Evidence,
    gate: PriorGate,
    scale_bounds: tuple[float, float],
    config: VotingConfig,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The poses (a, t) of the highest local maxima of the coarse score, best first."""
    cells = _informative_cells(evidence, config.max_ground_cells, rng)
    # In parts that stay in a core's cache.
    parts = (
        evidence.take(cells[first : first + CELLS_AT_ONCE]) for first in range(0, len(cells), CELLS_AT_ONCE)
    )
    return vote_in_parts(parts, evidence.grid, gate, scale_bounds, config)


def vote_in_parts(
    parts: Iterable[Evidence],
    grid: RasterGrid,
    gate: PriorGate,
    scale_bounds: tuple[float, float],
    config: VotingConfig,
) -> tuple[np.ndarray, np.ndarray]:
    """As `vote`, for ground cells in parts over one `grid`, of which only one is in memory at a time.

    A pose shifts every ground cell's raster by a whole number of cells, so for one yaw the scores of all
    positions are the sum over ground cells of a window of their rasters.
    """
    prior = gate.prior
    block = max(1, round(config.spacing_m / grid.spacing_m))
    spacing_m = block * grid.spacing_m
    reach = int(np.ceil(min(gate.reach_m, _farthest_corner_m(grid, prior)) / spacing_m))
    yaws = _yaws(gate, config)
    count = int(np.ceil(np.log(scale_bounds[1] / scale_bounds[0]) / config.log_scale_step)) or 1
    scales = scale_bounds[0] * (scale_bounds[1] / scale_bounds[0]) ** ((np.arange(count) + 0.5) / count)
    a = (scales[:, None] * np.exp(1j * yaws)).ravel()

    side, pad = 2 * reach + 1, 2 * reach + 1
    # The window's first cell sits where the point falls when base_link is at the north-west of the search.
    west_m, north_m = prior.x_m - reach * spacing_m, prior.y_m + reach * spacing_m
    scores = np.zeros((len(a), side, side), dtype=np.float32)
    for part in parts:
        votes = _padded_votes(part.inside, block, pad)
        votes *= part.weight[:, None, None].astype(np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(votes, (side, side), axis=(1, 2))
        points = part.points(a, np.zeros(len(a)))
        column = np.floor((points.real + west_m - grid.west_m) / spacing_m).astype(np.intp) + pad
        row = np.floor((grid.north_m - points.imag - north_m) / spacing_m).astype(np.intp) + pad
        np.clip(column, 0, windows.shape[2] - 1, out=column)
        np.clip(row, 0, windows.shape[1] - 1, out=row)
        index = np.arange(len(part.lifted))
        for hypothesis in range(len(a)):
            scores[hypothesis] += windows[index, row[hypothesis], column[hypothesis]].sum(axis=0)

    offsets = np.arange(-reach, reach + 1) * spacing_m
    t = prior.x_m + offsets + 1j * (prior.y_m - offsets[:, None])
    scores[:, ~gate.allows_position(t)] = -np.inf
    volume = scores.reshape(len(scales), len(yaws), *t.shape)
    k, rows, columns = _highest_peaks(volume, wraps=prior.heading is None, count=config.candidates)
    return a[k], t[rows, columns]


def _farthest_corner_m(grid: RasterGrid, prior: Prior) -> float:
    """Distance from the prior to the farthest corner of the aerial grid; beyond it there is no evidence."""
    bounds = grid.bounds
    x_m = max(abs(bounds.west_m - prior.x_m), abs(bounds.east_m - prior.x_m))
    return float(np.hypot(x_m, max(abs(bounds.south_m - prior.y_m), abs(bounds.north_m - prior.y_m))))


def _informative_cells(evidence: Evidence, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of at most `count` ground cells, drawn with weights by their highest peak."""
    if len(evidence.lifted) <= count:
        return np.arange(len(evidence.lifted))
    peak = evidence.weight * np.log1p(np.maximum(evidence.peak, 0).astype(np.float64))
    # Gumbel's trick: a weighted draw without replacement is a sort.
    return np.sort(np.argsort(-(np.log(peak + 1e-9) + rng.gumbel(size=len(peak))))[:count])


def _padded_votes(inner: np.ndarray, block: int, pad: int) -> np.ndarray:
    """Log ratios of blocks of the grid's cells, by the mean excess of each, in a border of `pad` neutral blocks."""
    n, rows, columns = inner.shape
    if block > 1:
        full = np.zeros((n, -(-rows // block) * block, -(-columns // block) * block), dtype=np.float32)
        full[:, :rows, :columns] = inner
        rows, columns = full.shape[1] // block, full.shape[2] // block
        inner = full.reshape(n, rows, block, columns, block).mean(axis=(2, 4))
    votes = np.zeros((n, rows + 2 * pad, columns + 2 * pad), dtype=np.float32)
    np.log1p(inner, out=votes[:, pad : pad + rows, pad : pad + columns])
    return votes


def _yaws(gate: PriorGate, config: VotingConfig) -> np.ndarray:
    """Yaws of the search: a full circle, or those up to the gate (rounded up to a step) around a known heading."""
    if gate.prior.heading is None:
        count = int(np.ceil(2 * np.pi / config.yaw_step_rad))
        return np.arange(count) * (2 * np.pi / count)
    yaw_rad, sigma_rad = gate.prior.heading
    half = int(np.ceil(gate.yaw_sigmas * sigma_rad / config.yaw_step_rad))
    half = min(half, int(np.pi / config.yaw_step_rad))
    return yaw_rad + np.arange(-half, half + 1) * config.yaw_step_rad


def _highest_peaks(volume: np.ndarray, wraps: bool, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices (scale and yaw, row, column) of the highest local maxima over (yaw, row, column)."""
    scales, yaws, rows, columns = volume.shape
    padded = np.full((scales, yaws + 2, rows + 2, columns + 2), -np.inf, dtype=volume.dtype)
    padded[:, 1:-1, 1:-1, 1:-1] = volume
    if wraps:
        padded[:, 0], padded[:, -1] = padded[:, -2], padded[:, 1]
    highest = padded
    for axis in (1, 2, 3):  # a box maximum is separable
        size = highest.shape[axis] - 2
        parts = [highest[(slice(None),) * axis + (slice(k, k + size),)] for k in range(3)]
        highest = np.maximum(np.maximum(parts[0], parts[1]), parts[2])
    peaks = np.flatnonzero((volume >= highest).ravel() & np.isfinite(volume.ravel()))
    best = peaks[np.argsort(-volume.ravel()[peaks], kind="stable")[:count]]
    return best // (rows * columns), best // columns % rows, best % columns
