"""Losses: the pose likelihood the solver uses, InfoNCE on the matches the true pose implies, and depth.

The pose loss is a softmax over pose hypotheses (the truth, near misses, far ones), each scored exactly as the
dense solver scores it; training so that the truth wins is training for the solver.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Of the wrong poses, how many of the best are varied, how often, and by how much (x_m, y_m, yaw_rad).
PEAKS = 48
VARIANTS = 12
VARIANT_SIGMAS = (0.8, 0.8, 0.06)
# Nearer variants are the same answer, a little off: sample_pose_hypotheses has enough of them.
RIVAL_APART_M = 1.5


@dataclass(frozen=True)
class MatchProbabilities:
    """Soft matches of N ground cells over an aerial grid of R rows × C columns."""

    logits: Tensor  # [N, R * C]
    probability: Tensor  # [N, R, C], sums to one over the grid
    inlier_probability: Tensor  # [N], one minus the dustbin's share


def match(ground: Tensor, aerial: Tensor, dustbin: Tensor, inverse_temperature: Tensor) -> MatchProbabilities:
    """Cosine / τ with a dustbin column. Shapes: ground [N, D], aerial [D, R, C], dustbin [N]."""
    logits = inverse_temperature * (ground @ aerial.flatten(1))
    probability = logits.softmax(dim=1).reshape(len(ground), *aerial.shape[1:])
    inlier_probability = torch.sigmoid(torch.logsumexp(logits, dim=1) - dustbin)
    return MatchProbabilities(logits, probability, inlier_probability)


def transform(xy_m: Tensor, poses: Tensor) -> Tensor:
    """Move points [N, 2] by K poses (x, y, yaw) [K, 3] to [N, K, 2]."""
    cos, sin = torch.cos(poses[:, 2]), torch.sin(poses[:, 2])
    x, y = xy_m[:, :1], xy_m[:, 1:]
    return torch.stack([poses[:, 0] + cos * x - sin * y, poses[:, 1] + sin * x + cos * y], dim=-1)


def to_grid_sample(xy_m: Tensor, half_extent_m: float) -> Tensor:
    """Metres about the grid's middle to `grid_sample` coordinates (x right, y down, ±1 at the edges)."""
    return xy_m * torch.tensor([1.0, -1.0]) / half_extent_m


def pose_scores(matches: MatchProbabilities, xy_m: Tensor, poses: Tensor, half_extent_m: float) -> Tensor:
    """Log-likelihood ratio per cell and pose [N, K]: log(π · p · M + 1 − π), zero outside the grid.

    `xy_m` [N, 2] in the level frame; `poses` [K, 3] about the middle of the grid.
    """
    grid = to_grid_sample(transform(xy_m, poses), half_extent_m)
    cells = matches.probability.shape[1] * matches.probability.shape[2]
    sampled = F.grid_sample(
        matches.probability.unsqueeze(1), grid.unsqueeze(1), align_corners=False, padding_mode="border"
    )[:, 0, 0]
    ratio = torch.where((grid.abs() < 1).all(-1), sampled * cells, torch.ones_like(sampled))
    pi = matches.inlier_probability.unsqueeze(1)
    return torch.log(pi * ratio + 1 - pi + 1e-6)


def pose_loss(scores: Tensor, evidence: float) -> Tensor:
    """Cross-entropy of the first hypothesis (the truth); `evidence` tempers cells that are not independent."""
    return -F.log_softmax(evidence * scores.sum(0), dim=0)[0]


def info_nce(
    matches: MatchProbabilities, dustbin: Tensor, true_xy_m: Tensor, matchable: Tensor, half_extent_m: float
) -> Tensor:
    """InfoNCE in both directions; ground cells without a true match belong in the dustbin.

    `true_xy_m` [N, 2] about the middle of the grid, `matchable` [N] whether that lies in the grid.
    """
    n, rows, columns = matches.probability.shape
    grid = to_grid_sample(true_xy_m, half_extent_m)
    log_all = torch.logsumexp(torch.cat([matches.logits, dustbin.unsqueeze(1)], dim=1), dim=1)
    at_truth = F.grid_sample(
        matches.probability.unsqueeze(1), grid.reshape(n, 1, 1, 2), align_corners=False, padding_mode="border"
    )[:, 0, 0, 0]
    log_share = torch.logsumexp(matches.logits, dim=1) - log_all
    ground_to_aerial = torch.where(matchable, -(torch.log(at_truth + 1e-8) + log_share), log_all - dustbin)

    column = ((grid[:, 0] + 1) / 2 * columns).long().clamp(0, columns - 1)
    row = ((grid[:, 1] + 1) / 2 * rows).long().clamp(0, rows - 1)
    cell = (row * columns + column)[matchable]
    if len(cell) == 0:
        return ground_to_aerial.mean()
    over_ground = matches.logits[matchable][:, cell].log_softmax(dim=0)
    same = cell.unsqueeze(1) == cell.unsqueeze(0)
    aerial_to_ground = -torch.logsumexp(over_ground.masked_fill(~same, -1e4), dim=0)
    return ground_to_aerial.mean() + 0.5 * aerial_to_ground.mean()


def sample_pose_hypotheses(true_pose: Tensor, prior_radius_m: float, generator: torch.Generator) -> Tensor:
    """[K, 3] poses about the grid's middle: the truth first, then what the solver must tell from it.

    Near misses (at least half a cell away), slips along and across the street, and poses anywhere in a prior
    disc that holds the truth: with any heading, with the true heading, and turned around.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    def disc(count: int, lowest_m: float, highest_m: float) -> Tensor:
        radius_m = (lowest_m**2 + (highest_m**2 - lowest_m**2) * uniform(count)).sqrt()
        angle_rad = 2 * torch.pi * uniform(count)
        return radius_m[:, None] * torch.stack([torch.cos(angle_rad), torch.sin(angle_rad)], dim=1)

    def poses(offset_xy_m: Tensor, yaw_offset_rad: Tensor) -> Tensor:
        return true_pose + torch.cat([offset_xy_m, yaw_offset_rad[:, None]], dim=1)

    def yaw_noise(count: int, sigma_rad: float) -> Tensor:
        return sigma_rad * torch.randn(count, generator=generator)

    prior_from_truth_m = disc(1, 0.0, prior_radius_m)
    turned = torch.pi * (uniform(240) < 0.6)
    groups = [
        poses(disc(60, 0.6, 2.0), yaw_noise(60, 0.04)),
        poses(disc(100, 1.5, 6.0), yaw_noise(100, 0.12)),
        poses(prior_from_truth_m + disc(1600, 0.0, prior_radius_m), 2 * torch.pi * uniform(1600)),
        poses(prior_from_truth_m + disc(240, 0.0, prior_radius_m), turned + yaw_noise(240, 0.08)),
    ]
    wrong = torch.cat(groups)
    return torch.cat([true_pose.unsqueeze(0), wrong[_apart(wrong, true_pose, 0.5)]])


@torch.no_grad()
def keep_hardest(
    matches: MatchProbabilities,
    xy_m: Tensor,
    poses: Tensor,
    half_extent_m: float,
    count: int,
    generator: torch.Generator,
) -> Tensor:
    """The first of `poses` [K, 3] and those `count` others that the match likes best: they teach the most.

    The best of the others are varied and judged again, which finds the peaks that a random draw passes by: the
    rivals the solver will meet. Judged by every fourth ground cell, which is enough to rank.
    """
    some = MatchProbabilities(matches.logits[::4], matches.probability[::4], matches.inlier_probability[::4])

    def score(wrong: Tensor) -> Tensor:
        return pose_scores(some, xy_m[::4], wrong, half_extent_m).sum(0)

    truth, wrong = poses[:1], poses[1:]
    scores = score(wrong)
    best = wrong[scores.topk(min(PEAKS, len(wrong))).indices]
    noise = torch.randn(VARIANTS, len(best), 3, generator=generator) * torch.tensor(VARIANT_SIGMAS)
    variants = (best + noise).reshape(-1, 3)
    variants = variants[_apart(variants, truth[0], RIVAL_APART_M)]
    wrong, scores = torch.cat([wrong, variants]), torch.cat([scores, score(variants)])
    return torch.cat([truth, wrong[scores.topk(min(count, len(scores))).indices]])


def _apart(poses: Tensor, true_pose: Tensor, apart_m: float) -> Tensor:
    """Which of `poses` [K, 3] lie `apart_m` or 8° from the true one; nearer ones would teach the wrong thing."""
    distance_m = (poses[:, :2] - true_pose[:2]).norm(dim=1)
    return (distance_m > apart_m) | (torch.cos(poses[:, 2] - true_pose[2]) < 0.99)


def depth_loss(log_range: Tensor, true_log_range: Tensor, known: Tensor) -> Tensor:
    """Mean absolute error of the log range over cells whose range is known."""
    return ((log_range - true_log_range).abs() * known).sum() / known.sum().clamp(min=1)
