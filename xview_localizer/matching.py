"""Step 2 of the paper: every ground cell against every aerial cell, cosine / τ with a dustbin, softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xview_localizer.aerial_descriptors import AerialDescriptors
from xview_localizer.geometry.match_field import Correspondences, MatchField
from xview_localizer.geometry.pose import distance_along_m, turned
from xview_localizer.observation import Observation, PlacedObservation

# Cells from this range on have the weight 1, in training too. Nearer cells have less weight, since an image has many of
# them that cover little ground, repeat each other, and match many places.
FULL_WEIGHT_RANGE_M, LEAST_CELL_WEIGHT = 15.0, 0.15
# Cells that can hardly match, such as those on a car, are drawn as if their chance of a match were at least this. The
# few that are drawn stand for all of their kind: with this value the sum of the weights varies by 2 % from draw to
# draw, with half of it by 3 %.
LEAST_MATCH_CHANCE = 0.1
# Share of the matched cells that come from the current image where earlier images are joined to it.
CURRENT_SHARE = 0.5
CELLS_AT_ONCE = 64  # rows of one softmax, few enough to stay in a core's cache


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

    At most `max_cells` ground cells are drawn, half of them from the current image. Their weights make each image count
    as if all of its cells had been matched, and K images together as `independent_images` of them.
    """
    all_weights = [cell_weight(np.linalg.norm(item.observation.ground_xy_m, axis=1)) for item in placed]
    chosen = _drawn_cells(placed, all_weights, config, seed)
    overlap_discount = independent_images(placed, config.independence_m) / len(placed)
    lifted, offset, descriptor, dustbin, weight, place_weight = [], [], [], [], [], []
    for item, weights, (cells, chance) in zip(placed, all_weights, chosen, strict=True):
        observation = item.observation
        lifted.append(turned(observation.ground_xy_m[cells], item.T_current_past.yaw_rad))
        camera_xy_m = item.T_current_past.transform(observation.camera_xy_m)
        offset.append(np.broadcast_to(camera_xy_m, observation.ground_xy_m.shape)[cells])
        descriptor.append(observation.descriptor[cells])
        dustbin.append(observation.dustbin[cells])
        stands_for = overlap_discount / chance
        weight.append(stands_for * weights[cells])
        coverage = np.minimum(observation.covered_area[cells] / aerial.grid.spacing_m**2, 1.0)
        place_weight.append(stands_for * coverage)
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
        place_weight=np.concatenate(place_weight),
        overlap_discount=overlap_discount,
        current=np.repeat(np.arange(len(placed)) == len(placed) - 1, [len(cells) for cells, _ in chosen]),
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
        # Cells that the map does not show are as likely as chance, so they are evidence neither for nor against a pose.
        logits[:, hidden] = 1.0
        log_total[first : first + CELLS_AT_ONCE] = (highest + np.log(total))[:, 0]
    # The dustbin was trained against another number of aerial cells than this crop has.
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
    """The weight of a cell at `range_m` (an array, or a tensor in training)."""
    return (range_m / FULL_WEIGHT_RANGE_M).clip(LEAST_CELL_WEIGHT, 1.0)


def match_chance(dustbin: np.ndarray, inverse_temperature: float) -> np.ndarray:
    """The inlier probability [N] that cells can be expected to have, before they are matched.

    Their best aerial cell is taken to outweigh all others, with a cosine of 1.
    """
    return 1 / (1 + np.exp(np.clip(dustbin - inverse_temperature, -50, 50)))


def draw_cells(
    weight: np.ndarray, match_chance: np.ndarray, max_cells: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of at most `max_cells` of the N cells, and the chance with which each of these was drawn.

    That is in proportion to its weight and its `match_chance`, but 1 at most. A sum over all cells is estimated without
    bias by that of the drawn ones, each divided by its chance (Horvitz and Thompson, 1952).
    """
    if len(weight) <= max_cells:
        return np.arange(len(weight)), np.ones(len(weight))
    if not max_cells:  # more images than cells
        return np.arange(0), np.zeros(0)
    chance = _chances(weight * np.maximum(match_chance, LEAST_MATCH_CHANCE), max_cells)
    # Systematic sampling: one cell for each whole number that the sum of the chances passes.
    passed = np.floor(np.cumsum(chance) + rng.random())
    cells = np.flatnonzero(np.diff(passed, prepend=0.0))
    return cells, chance[cells]


def _chances(weight: np.ndarray, count: int) -> np.ndarray:
    """Chances [N] in proportion to `weight` [N], but 1 at most, that add up to `count`, 0 < count < N."""
    descending = np.sort(weight)[::-1]
    # The k heaviest cells are certain, and the others share the rest in proportion to their weight. The least k is
    # taken that keeps all chances within 1.
    k = np.arange(count)
    factor = (count - k) / descending[::-1].cumsum()[::-1][:count]
    certain = np.argmax(factor * descending[:count] <= 1)
    return np.minimum(factor[certain] * weight, 1.0)


def _drawn_cells(
    placed: Sequence[PlacedObservation], weights: Sequence[np.ndarray], config: MatchConfig, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each observation, by the `weights` [N] of its cells, the indices of those drawn and their chances."""
    rng = np.random.default_rng(seed)
    earlier = len(placed) - 1
    current_cells = round(CURRENT_SHARE * config.max_cells) if earlier else config.max_cells
    shares = [(config.max_cells - current_cells) // earlier] * earlier if earlier else []
    return [
        draw_cells(
            weight,
            match_chance(item.observation.dustbin, config.inverse_temperature),
            share,
            rng,
        )
        for item, weight, share in zip(placed, weights, [*shares, current_cells], strict=True)
    ]
