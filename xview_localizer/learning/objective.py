"""The loss that one training step minimizes, over a batch whose cells are lifted with noisy or predicted depth."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from xview_localizer.learning import losses
from xview_localizer.learning.batch import Batch
from xview_localizer.learning.matcher import Matcher
from xview_localizer.learning.train_config import TrainConfig
from xview_localizer.matching import cell_weight

FARTHEST_RANGE_M = 60.0  # cells at a greater true range take no part in the depth loss
NEAREST_RANGE_M = 0.3  # lower bound of true ranges, so that their logarithm is finite
NO_WEIGHT = 1e-9  # weight of cells that are drawn only where no others are left


@dataclass(frozen=True)
class LiftedCells:
    """The cells of B ground images that take part in one training step."""

    descriptor: Tensor  # [B, N, D]
    dustbin: Tensor  # [B, N]
    xy_m: Tensor  # [B, N, 2] level frame, by the range used for lifting
    true_xy_m: Tensor  # [B, N, 2] level frame, by the true range
    has_range: Tensor  # [B, N] whether something is there, at a range that is known or was predicted before
    is_labelled: Tensor  # [B, N] whether it is known what is there: something at a range, or nothing (sky)
    taking_part: Tensor  # [B, N] False for padding, where a view has fewer than N valid cells


def lift_cells(
    matcher: Matcher, batch: Batch, predicted_share: float, config: TrainConfig, generator: torch.Generator
) -> tuple[LiftedCells, Tensor]:
    """Run the ground head and lift a weighted sample of its cells; returns the cells and the depth loss."""
    descriptor, dustbin, log_range = matcher.describe_ground(batch, generator)
    labelled = ~torch.isnan(batch.range_m)
    true_range_m = batch.range_m
    if batch.range_before_m is not None:
        true_range_m = torch.where(labelled, true_range_m, batch.range_before_m)
    true_range_m = true_range_m.nan_to_num(0.0)
    known = (true_range_m > 0) & (true_range_m < FARTHEST_RANGE_M) & batch.valid
    height_m = batch.height_m[:, None, None]
    true_log_range = torch.log(true_range_m.clamp(min=NEAREST_RANGE_M) / height_m)
    loss = losses.depth_loss(log_range, true_log_range, known.float())

    with torch.no_grad():
        predicted_m = height_m * log_range.exp()
        noise = config.depth_noise * smooth_noise(known.shape, generator, known.device)
        noisy_m = torch.where(true_range_m > 0, true_range_m, predicted_m) * noise.exp()
        by_prediction = torch.rand(len(known), 1, 1, generator=generator, device=known.device)
        range_m = torch.where(by_prediction < predicted_share, predicted_m, noisy_m)
        weight = (cell_weight(range_m) * batch.valid).flatten(1) + NO_WEIGHT
        chosen = torch.multinomial(weight, min(config.cells, weight.shape[1]), generator=generator)

    def of_chosen(per_cell: Tensor) -> Tensor:
        flat = per_cell.flatten(1, 2)  # [B, cells, …]
        index = chosen if flat.ndim == 2 else chosen[..., None].expand(-1, -1, flat.shape[2])
        return torch.gather(flat, 1, index)

    horizontal = of_chosen(batch.horizontal_directions)
    cells = LiftedCells(
        of_chosen(descriptor.movedim(1, 3)),
        of_chosen(dustbin),
        horizontal * of_chosen(range_m)[..., None],
        horizontal * of_chosen(true_range_m)[..., None],
        of_chosen(known),
        of_chosen(labelled),
        of_chosen(batch.valid),
    )
    return cells, loss


def half_precision(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16, used for the networks only; a third faster on CPUs that support it."""
    return torch.autocast(device.type, torch.bfloat16)


def smooth_noise(shape: torch.Size, generator: torch.Generator, device: torch.device) -> Tensor:
    """Unit-variance noise [B, rows, columns], smooth over the image, as a depth network's error is."""
    coarse = torch.randn(shape[0], 1, 5, 6, generator=generator, device=device)
    return F.interpolate(coarse, size=shape[1:], mode="bicubic", align_corners=False)[:, 0]


def batch_loss(
    matcher: Matcher, batch: Batch, predicted_share: float, config: TrainConfig, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of one batch, and its parts."""
    with half_precision(batch.image.device):
        maps = matcher.describe_aerial(batch, generator)
        cells, depth = lift_cells(matcher, batch, predicted_share, config, generator)
    aerial = maps[batch.crop]
    matches = losses.match(cells.descriptor, aerial, cells.dustbin, matcher.inverse_temperature)
    drawn = losses.sample_pose_hypotheses(batch.pose, config.prior_radius_m, generator)
    hypotheses = losses.keep_hardest(
        matches, cells.xy_m, cells.taking_part, drawn, batch.half_extent_m, config.hypotheses, generator
    )
    scores = losses.pose_scores(matches, cells.xy_m, hypotheses.poses, batch.half_extent_m)
    of_pose = (scores * cells.taking_part[..., None]).sum(1)
    pose = losses.pose_loss(config.evidence * of_pose, hypotheses.allowed).mean()
    true_xy_m = losses.transform(cells.true_xy_m, batch.pose[:, None])[:, :, 0]
    matchable = cells.has_range & (true_xy_m.abs() < batch.half_extent_m).all(-1)
    labelled = cells.taking_part & cells.is_labelled
    nce = losses.info_nce(matches, cells.dustbin, true_xy_m, matchable, labelled, batch.half_extent_m).mean()
    wrong = _wrong_place(matcher, batch, maps, cells)
    total = (
        pose + config.info_nce_weight * nce + config.depth_weight * depth + config.wrong_pair_weight * wrong
    )
    won = (of_pose.masked_fill(~hypotheses.allowed, -torch.inf).argmax(1) == 0).float().mean()
    inliers = losses.mean_where(matches.inlier_probability, cells.taking_part).mean()
    log = {"pose": pose, "nce": nce, "depth": depth, "wrong": wrong, "truth_wins": won, "inliers": inliers}
    return total, {name: value.detach() for name, value in log.items()}


def _wrong_place(matcher: Matcher, batch: Batch, maps: Tensor, cells: LiftedCells) -> Tensor:
    """Loss of one image of each crop matched with the crop before it in the batch."""
    if len(maps) < 2:
        return maps.new_zeros(())
    first = torch.searchsorted(batch.crop, torch.arange(len(maps), device=maps.device))
    return losses.wrong_place_loss(
        cells.descriptor[first], maps.roll(1, 0), cells.dustbin[first], cells.taking_part[first],
        matcher.inverse_temperature,
    )  # fmt: skip
