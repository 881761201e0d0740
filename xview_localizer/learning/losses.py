"""The losses of training: the pose likelihood of the solver, InfoNCE on the matches of the true pose, and depth.

The pose loss is a softmax over pose hypotheses (the truth, near misses and far ones). Each is scored exactly as by the
dense solver, so training maximises the solver's score of the truth. Everything is batched: B ground images, N cells of
each, K poses for each.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

PEAKS = 48  # best wrong poses around which further ones are drawn
VARIANTS = 12  # further poses around each
VARIANT_SIGMAS = (0.8, 0.8, 0.06)  # standard deviations of the variants' x_m, y_m and yaw_rad
# Variants nearer to the truth are dropped: they are near misses, of which sample_pose_hypotheses draws enough.
RIVAL_APART_M = 1.5
# A hypothesis that is nearer to the truth, in position and in heading, counts as right and not as wrong.
HYPOTHESIS_APART_M = 0.5
APART_COS = 0.99  # cosine of the angle between two headings, 8°
# Wrong poses drawn for each image: how many, their distances from the truth, and the standard deviation of their yaw.
# Near misses are at least half a cell of the map away.
NEAR_MISSES, NEAR_M, NEAR_YAW_SIGMA_RAD = 60, (0.6, 2.0), 0.04
SOME_METRES_OFF, OFF_M, OFF_YAW_SIGMA_RAD = 100, (1.5, 6.0), 0.12
ANYWHERE = 1600  # poses with any heading in a disc of the prior's radius that holds the truth
# Poses in that disc with about the true heading; the share TURNED_SHARE of them is turned by 180°.
ALONG_OR_TURNED, TURNED_SHARE, ALONG_YAW_SIGMA_RAD = 240, 0.6, 0.08
# Every fourth ground cell is enough to rank hypotheses.
RANKING_STRIDE = 4


@dataclass(frozen=True)
class MatchProbabilities:
    """Soft matches of N ground cells of B images over aerial grids of R rows × C columns."""

    logits: Tensor  # [B, N, R * C]
    probability: Tensor  # [B, N, R, C], sums to one over the grid
    inlier_probability: Tensor  # [B, N], one minus the dustbin's share

    def every(self, stride: int) -> MatchProbabilities:
        """The matches of every `stride`-th ground cell."""
        return MatchProbabilities(
            self.logits[:, ::stride], self.probability[:, ::stride], self.inlier_probability[:, ::stride]
        )


@dataclass(frozen=True)
class Hypotheses:
    """`poses` [B, K, 3] (x, y, yaw), the truth first, and the mask `allowed` [B, K] of those that count."""

    poses: Tensor
    allowed: Tensor


def match(ground: Tensor, aerial: Tensor, dustbin: Tensor, inverse_temperature: Tensor) -> MatchProbabilities:
    """Cosine / τ with a dustbin column. Shapes: ground [B, N, D], aerial [B, D, R, C], dustbin [B, N]."""
    logits = inverse_temperature * (ground @ aerial.flatten(2))
    probability = logits.softmax(dim=2).unflatten(2, aerial.shape[2:])
    inlier_probability = torch.sigmoid(torch.logsumexp(logits, dim=2) - dustbin)
    return MatchProbabilities(logits, probability, inlier_probability)


def transform(xy_m: Tensor, poses: Tensor) -> Tensor:
    """Move points [B, N, 2] by the poses (x, y, yaw) [B, K, 3] to [B, N, K, 2]."""
    cos, sin = torch.cos(poses[:, None, :, 2]), torch.sin(poses[:, None, :, 2])
    x, y = xy_m[..., :1], xy_m[..., 1:]
    offset_x, offset_y = poses[:, None, :, 0], poses[:, None, :, 1]
    return torch.stack([offset_x + cos * x - sin * y, offset_y + sin * x + cos * y], dim=-1)


def to_grid_sample(xy_m: Tensor, half_extent_m: float) -> Tensor:
    """Metres about the grid's middle to `grid_sample` coordinates (x right, y down, ±1 at the edges)."""
    return xy_m * xy_m.new_tensor([1.0, -1.0]) / half_extent_m


def pose_scores(matches: MatchProbabilities, xy_m: Tensor, poses: Tensor, half_extent_m: float) -> Tensor:
    """Log-likelihood ratio per cell and pose [B, N, K]: log(π · p · M + 1 − π), zero outside the grid.

    `xy_m` [B, N, 2] in the level frame; `poses` [B, K, 3] about the middle of the grid.
    """
    grid = to_grid_sample(transform(xy_m, poses), half_extent_m)
    sampled = _at(matches.probability, grid)
    cells = matches.probability.shape[-2] * matches.probability.shape[-1]
    ratio = torch.where((grid.abs() < 1).all(-1), sampled * cells, torch.ones_like(sampled))
    pi = matches.inlier_probability.unsqueeze(-1)
    return torch.log(pi * ratio + 1 - pi + 1e-6)


def _at(probability: Tensor, grid: Tensor) -> Tensor:
    """`probability` [B, N, R, C] sampled at `grid` [B, N, K, 2], [B, N, K]."""
    sampled = F.grid_sample(
        probability.flatten(0, 1).unsqueeze(1),
        grid.flatten(0, 1).unsqueeze(1),
        align_corners=False,
        padding_mode="border",
    )
    return sampled[:, 0, 0].unflatten(0, probability.shape[:2])


def pose_loss(evidence_of_pose: Tensor, allowed: Tensor) -> Tensor:
    """Cross-entropy [B] of the first hypothesis, the truth, among the `allowed` ones [B, K]."""
    return -F.log_softmax(evidence_of_pose.masked_fill(~allowed, -torch.inf), dim=1)[:, 0]


def info_nce(
    matches: MatchProbabilities,
    dustbin: Tensor,
    true_xy_m: Tensor,
    matchable: Tensor,
    taking_part: Tensor,
    half_extent_m: float,
) -> Tensor:
    """InfoNCE in both directions, [B]; ground cells without a true match belong in the dustbin.

    `true_xy_m` [B, N, 2] about the middle of the grid, `matchable` [B, N] whether that lies in the grid, `taking_part`
    [B, N] the mask of cells that count.
    """
    rows, columns = matches.probability.shape[-2:]
    grid = to_grid_sample(true_xy_m, half_extent_m)
    log_all = torch.logsumexp(torch.cat([matches.logits, dustbin.unsqueeze(2)], dim=2), dim=2)
    at_truth = _at(matches.probability, grid.unsqueeze(2))[..., 0]
    log_share = torch.logsumexp(matches.logits, dim=2) - log_all
    ground_to_aerial = torch.where(matchable, -(torch.log(at_truth + 1e-8) + log_share), log_all - dustbin)

    column = ((grid[..., 0] + 1) / 2 * columns).long().clamp(0, columns - 1)
    row = ((grid[..., 1] + 1) / 2 * rows).long().clamp(0, rows - 1)
    cell = row * columns + column  # [B, N]
    counted = matchable & taking_part
    # For each true aerial cell (last axis), the softmax over all ground cells.
    over_ground = torch.gather(matches.logits, 2, cell.unsqueeze(1).expand(-1, cell.shape[1], -1))
    over_ground = over_ground.masked_fill(~counted.unsqueeze(2), -1e4).log_softmax(dim=1)
    same = (cell.unsqueeze(2) == cell.unsqueeze(1)) & counted.unsqueeze(2)
    aerial_to_ground = -torch.logsumexp(over_ground.masked_fill(~same, -1e4), dim=1)
    return mean_where(ground_to_aerial, taking_part) + 0.5 * mean_where(aerial_to_ground, counted)


def mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the last axis of the `values` in `mask`; 0 where the mask is empty."""
    return torch.where(mask, values, 0.0).sum(-1) / mask.sum(-1).clamp(min=1)


def sample_pose_hypotheses(
    true_pose: Tensor, prior_radius_m: float, generator: torch.Generator
) -> Hypotheses:
    """Poses that the solver must distinguish from the truth [B, 3], about the grid's middle; the truth comes first.

    They are near misses, poses some metres off, and poses anywhere in a prior disc that holds the truth: with any
    heading, with the true heading, and turned by 180°.
    """
    batch, device = len(true_pose), true_pose.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(batch, *shape, generator=generator, device=device)

    def disc(count: int, lowest_m: float, highest_m: float) -> Tensor:
        radius_m = (lowest_m**2 + (highest_m**2 - lowest_m**2) * uniform(count)).sqrt()
        angle_rad = 2 * torch.pi * uniform(count)
        return radius_m[..., None] * torch.stack([torch.cos(angle_rad), torch.sin(angle_rad)], dim=-1)

    def poses(offset_xy_m: Tensor, yaw_offset_rad: Tensor) -> Tensor:
        return true_pose[:, None] + torch.cat([offset_xy_m, yaw_offset_rad[..., None]], dim=-1)

    def yaw_noise(count: int, sigma_rad: float) -> Tensor:
        return sigma_rad * torch.randn(batch, count, generator=generator, device=device)

    prior_from_truth_m = disc(1, 0.0, prior_radius_m)
    turned_rad = torch.pi * (uniform(ALONG_OR_TURNED) < TURNED_SHARE)
    groups = [
        poses(disc(NEAR_MISSES, *NEAR_M), yaw_noise(NEAR_MISSES, NEAR_YAW_SIGMA_RAD)),
        poses(disc(SOME_METRES_OFF, *OFF_M), yaw_noise(SOME_METRES_OFF, OFF_YAW_SIGMA_RAD)),
        poses(prior_from_truth_m + disc(ANYWHERE, 0.0, prior_radius_m), 2 * torch.pi * uniform(ANYWHERE)),
        poses(
            prior_from_truth_m + disc(ALONG_OR_TURNED, 0.0, prior_radius_m),
            turned_rad + yaw_noise(ALONG_OR_TURNED, ALONG_YAW_SIGMA_RAD),
        ),
    ]
    wrong = torch.cat(groups, dim=1)
    apart = _apart(wrong, true_pose, HYPOTHESIS_APART_M)
    return Hypotheses(torch.cat([true_pose[:, None], wrong], dim=1), F.pad(apart, (1, 0), value=True))


@torch.no_grad()
def keep_hardest(
    matches: MatchProbabilities,
    xy_m: Tensor,
    taking_part: Tensor,
    hypotheses: Hypotheses,
    half_extent_m: float,
    count: int,
    generator: torch.Generator,
) -> Hypotheses:
    """The truth and the `count` wrong poses of highest score.

    Further poses are drawn around the best wrong ones and scored too, which finds peaks that random draws miss: the
    rivals in the solver's search. Poses are ranked by every RANKING_STRIDE-th ground cell.
    """
    some, counted = matches.every(RANKING_STRIDE), taking_part[:, ::RANKING_STRIDE, None]

    def score(poses: Tensor, allowed: Tensor) -> Tensor:
        scores = pose_scores(some, xy_m[:, ::RANKING_STRIDE], poses, half_extent_m)
        return (scores * counted).sum(1).masked_fill(~allowed, -torch.inf)

    truth, wrong = hypotheses.poses[:, :1], hypotheses.poses[:, 1:]
    scores = score(wrong, hypotheses.allowed[:, 1:])
    best = _take(wrong, scores.topk(min(PEAKS, wrong.shape[1])).indices)
    noise = torch.randn(VARIANTS, *best.shape, generator=generator, device=best.device)
    variants = (best + noise * best.new_tensor(VARIANT_SIGMAS)).transpose(0, 1).flatten(1, 2)
    wrong = torch.cat([wrong, variants], dim=1)
    scores = torch.cat([scores, score(variants, _apart(variants, truth[:, 0], RIVAL_APART_M))], dim=1)
    highest = scores.topk(min(count, scores.shape[1]))
    allowed = F.pad(torch.isfinite(highest.values), (1, 0), value=True)
    return Hypotheses(torch.cat([truth, _take(wrong, highest.indices)], dim=1), allowed)


def _take(poses: Tensor, index: Tensor) -> Tensor:
    """The poses [B, M, 3] of `poses` [B, K, 3] at `index` [B, M]."""
    return torch.gather(poses, 1, index[..., None].expand(-1, -1, poses.shape[-1]))


def _apart(poses: Tensor, true_pose: Tensor, apart_m: float) -> Tensor:
    """Mask [B, K] of the `poses` [B, K, 3] that are `apart_m`, or 8°, from the true one [B, 3]."""
    distance_m = (poses[..., :2] - true_pose[:, None, :2]).norm(dim=-1)
    return (distance_m > apart_m) | (torch.cos(poses[..., 2] - true_pose[:, None, 2]) < APART_COS)


def wrong_place_loss(
    ground: Tensor, aerial: Tensor, dustbin: Tensor, taking_part: Tensor, inverse_temperature: Tensor
) -> Tensor:
    """Loss of matches with an aerial crop of another place, where every cell belongs in the dustbin.

    Shapes are those of `match`; `taking_part` [B, N] is the mask of cells that count.
    """
    logits = inverse_temperature * (ground @ aerial.flatten(2))
    return mean_where(F.softplus(torch.logsumexp(logits, dim=2) - dustbin), taking_part).mean()


def depth_loss(log_range: Tensor, true_log_range: Tensor, known: Tensor) -> Tensor:
    """Mean absolute error of the log range over cells whose range is known."""
    return ((log_range - true_log_range).abs() * known).sum() / known.sum().clamp(min=1)
