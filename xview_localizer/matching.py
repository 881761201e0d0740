"""Step 2 of the paper: every ground cell against every aerial cell, cosine / τ with a dustbin, softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xview_localizer.aerial_descriptors import AerialDescriptors
from xview_localizer.geometry.match_field import Correspondences, MatchField
from xview_localizer.geometry.pose import distance_along_m, turned
from xview_localizer.observation import Observation, PlacedObservation

# A cell at this range or beyond is as likely drawn as any; nearer ones less, as an image's many near cells cover
# little ground. The least share keeps some of them (as in training).
FULL_WEIGHT_RANGE_M, LEAST_CELL_WEIGHT = 15.0, 0.15
# Of the cells matched, the share of the current image where earlier ones are joined to it.
CURRENT_SHARE = 0.5
CELLS_AT_ONCE = 64  # of a softmax: few enough to stay in a core's cache


@dataclass(frozen=True)
class MatchConfig:
    """`inverse_temperature` 1/τ and `trained_cells`, the number of aerial cells that the dustbin was trained against,
    belong to the network; `independence_m` is the distance after which an image shows other ground."""

    inverse_temperature: float
    trained_cells: int
    max_cells: int
    independence_m: float


def match(
    placed: Sequence[PlacedObservation], aerial: AerialDescriptors, config: MatchConfig, seed: int
) -> MatchField:
    """The match distribution of the observations' cells (the last observation is the current one).

    At most `max_cells` ground cells are drawn, half of them from the current image. Each image counts as if all of
    its cells (up to `max_cells`) had been matched, and K images together as `independent_images` of them.
    """
    chosen = _drawn_cells(placed, config.max_cells, seed)
    overlap_discount = independent_images(placed, config.independence_m) / len(placed)
    lifted, offset, descriptor, dustbin, weight = [], [], [], [], []
    for item, cells in zip(placed, chosen, strict=True):
        observation = item.observation
        lifted.append(turned(observation.ground_xy_m[cells], item.T_current_past.yaw_rad))
        camera_xy_m = item.T_current_past.transform(observation.camera_xy_m)
        offset.append(np.broadcast_to(camera_xy_m, observation.ground_xy_m.shape)[cells])
        descriptor.append(observation.descriptor[cells])
        dustbin.append(observation.dustbin[cells])
        counted = min(len(observation.ground_xy_m), config.max_cells)
        weight.append(np.full(len(cells), overlap_discount * counted / max(1, len(cells))))
    likelihood_ratio, inlier_probability = match_cells(
        np.concatenate(descriptor), np.concatenate(dustbin), aerial, config
    )
    return MatchField(
        np.concatenate(lifted),
        likelihood_ratio,
        inlier_probability,
        aerial.grid,
        offset_xy_m=np.concatenate(offset),
        weight=np.concatenate(weight),
        overlap_discount=overlap_discount,
        current=np.repeat(np.arange(len(placed)) == len(placed) - 1, [len(cells) for cells in chosen]),
    )


def match_cells(
    descriptor: np.ndarray, dustbin: np.ndarray, aerial: AerialDescriptors, config: MatchConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Likelihood ratio [N, M] of the aerial cells and inlier probability [N] of ground cells (see MatchField)."""
    ratio = (np.float32(config.inverse_temperature) * descriptor) @ aerial.descriptor.T
    log_total = np.empty(len(ratio), dtype=np.float32)
    hidden, shown = np.flatnonzero(~aerial.valid), np.count_nonzero(aerial.valid)
    for first in range(0, len(ratio), CELLS_AT_ONCE):
        logits = ratio[first : first + CELLS_AT_ONCE]
        logits[:, hidden] = -np.inf
        highest = logits.max(axis=1, keepdims=True)
        logits -= highest
        np.exp(logits, out=logits)
        total = logits.sum(axis=1, keepdims=True)
        logits *= shown / total
        # What the map does not show is as likely as chance: evidence neither for a pose nor against it.
        logits[:, hidden] = 1.0
        log_total[first : first + CELLS_AT_ONCE] = (highest + np.log(total))[:, 0]
    # The softmax is over the cells of this crop; the dustbin was trained against another number of them.
    crowding = np.log(shown / config.trained_cells)
    return ratio, 1 / (1 + np.exp(np.clip(dustbin + crowding - log_total, -50, 50)))


def best_matches(
    observation: Observation, scale: float, aerial: AerialDescriptors, config: MatchConfig
) -> Correspondences:
    """The likeliest aerial cell of each ground cell, weighted by its probability; none where the map shows nothing."""
    if not aerial.valid.any():
        return Correspondences(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))
    likelihood_ratio, inlier_probability = match_cells(
        observation.descriptor, observation.dustbin, aerial, config
    )
    best = likelihood_ratio.argmax(axis=1)
    probability = likelihood_ratio[np.arange(len(best)), best] / np.count_nonzero(aerial.valid)
    return Correspondences(
        observation.points_m(scale), aerial.grid.cell_centres_xy_m[best], probability * inlier_probability
    )


def independent_images(placed: Sequence[PlacedObservation], independence_m: float) -> float:
    """How many independent images the observations amount to: one, and one more per `independence_m` driven.

    Images of the same ground repeat each other, their errors included.
    """
    xy_m = np.array([(item.T_current_past.x_m, item.T_current_past.y_m) for item in placed])
    return min(len(placed), 1 + float(distance_along_m(xy_m)[-1]) / independence_m)


def cell_weight(range_m: np.ndarray) -> np.ndarray:
    """How likely a cell at `range_m` (an array, or a tensor in training) is drawn."""
    return (range_m / FULL_WEIGHT_RANGE_M).clip(LEAST_CELL_WEIGHT, 1.0)


def select_cells(range_m: np.ndarray, max_cells: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of at most `max_cells` cells, drawn with `cell_weight`."""
    if len(range_m) <= max_cells:
        return np.arange(len(range_m))
    weight = cell_weight(range_m)
    return np.sort(rng.choice(len(range_m), max_cells, replace=False, p=weight / weight.sum()))


def _drawn_cells(placed: Sequence[PlacedObservation], max_cells: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    earlier = len(placed) - 1
    current_cells = round(CURRENT_SHARE * max_cells) if earlier else max_cells
    shares = [(max_cells - current_cells) // earlier] * earlier if earlier else []
    return [
        select_cells(np.linalg.norm(item.observation.ground_xy_m, axis=1), share, rng)
        for item, share in zip(placed, [*shares, current_cells], strict=True)
    ]
