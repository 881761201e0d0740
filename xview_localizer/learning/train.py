"""The training loop of the heads, resumable and with progress.

On a CPU the frozen backbone's tokens are stored beforehand, and a step takes about a second on two cores. On a GPU the
backbone runs in every step on newly augmented images, and may itself be adapted (lora.py).
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xview_localizer.learning import losses
from xview_localizer.learning.batch import Batch, batch_of
from xview_localizer.learning.features import FeatureFolder
from xview_localizer.learning.matcher import Matcher
from xview_localizer.matching import cell_weight

LOG_EVERY = 25  # steps
FARTHEST_RANGE_M = 60.0  # of cells whose range is learned
NEAREST_RANGE_M = 0.3
LAST_LEARNING_RATE = 0.01  # as a share of the first
NO_WEIGHT = 1e-9  # of cells that are drawn only where no others are left
# The share of images lifted by the predicted depth, in place of the true one, grows over training up to a limit.
PREDICTED_SHARE_LIMIT, PREDICTED_SHARE_GROWTH = 0.7, 1.5


@dataclass(frozen=True)
class TrainConfig:
    """Settings of the training loop."""

    steps: int = 3000
    aerial_per_step: int = 2
    ground_per_aerial: int = 4
    cells: int = 320  # of each ground image, drawn by weight
    hypotheses: int = 128  # hardest wrong poses of each ground image
    learning_rate: float = 1.5e-3
    backbone_learning_rate: float = 3e-4
    weight_decay: float = 0.02
    warmup_steps: int = 100
    prior_radius_m: float = 20.0
    evidence: float = 0.1  # weight of a cell's log ratio: neighbouring cells are not independent
    info_nce_weight: float = 0.25
    depth_weight: float = 1.0
    wrong_pair_weight: float = 0.1
    depth_noise: float = 0.07  # standard deviation of the log range by which cells are lifted
    checkpoint_every: int = 250  # steps
    refresh_every: int = 100  # steps
    seed: int = 0


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


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Factor on the learning rate at a step: linear warm-up, then cosine down to LAST_LEARNING_RATE."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return LAST_LEARNING_RATE + (1 - LAST_LEARNING_RATE) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class _Run:
    """A matcher with its optimizer and schedule, and their checkpoint."""

    def __init__(self, matcher: Matcher, config: TrainConfig, checkpoint: Path) -> None:
        self.matcher, self._checkpoint = matcher, checkpoint
        adapted = [p for p in matcher.backbone.parameters() if p.requires_grad] if matcher.backbone else []
        known = {id(p) for p in adapted}
        heads = [p for p in matcher.parameters() if p.requires_grad and id(p) not in known]
        parts = [{"params": heads}, {"params": adapted, "lr": config.backbone_learning_rate}]
        self._trained = heads + adapted
        self._optimizer = torch.optim.AdamW(
            [part for part in parts if part["params"]],
            lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.98),
        )  # fmt: skip
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: learning_rate_factor(step, config)
        )

    def step(self, loss: Tensor) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._trained, 1.0)
        self._optimizer.step()
        self._schedule.step()

    def resume(self, device: torch.device) -> int:
        """Load the checkpoint; returns the number of steps done, 0 without a checkpoint."""
        if not self._checkpoint.exists():
            return 0
        state = torch.load(self._checkpoint, weights_only=True, map_location=device)
        self.matcher.load_state_dict(state["matcher"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        return state["step"]

    def save(self, step: int) -> None:
        state = {
            "matcher": self.matcher.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "step": step,
        }
        partial = self._checkpoint.with_suffix(".part")
        torch.save(state, partial)
        partial.rename(self._checkpoint)


def train(
    features: FeatureFolder,
    out: Path,
    config: TrainConfig = TrainConfig(),
    progress: Callable[[int, dict[str, float]], None] | None = None,
    start: Matcher | None = None,
    device: str = "cpu",
) -> Matcher:
    """Train from `start` (or random weights), or resume from `out`/checkpoint.pt, and return the matcher.

    `progress(step, averages)` is called every LOG_EVERY steps. The features have to be on `device`; features that are
    written to their folders during training are used too. Where ranges are unknown, the depth of `start` stands in for
    them and is kept: with nothing to hold it, depth drifts until the poses are lost.
    """
    torch.manual_seed(config.seed)
    place = torch.device(device)
    matcher = (start or Matcher()).to(place)
    before = copy.deepcopy(matcher).eval() if start else None
    out.mkdir(parents=True, exist_ok=True)
    (out / "train_config.json").write_text(json.dumps(asdict(config), indent=2))
    run = _Run(matcher, config, out / "checkpoint.pt")
    first = run.resume(place)
    rng = np.random.default_rng((config.seed, first))
    generator = torch.Generator(place).manual_seed(config.seed + first)

    window: list[dict[str, Tensor]] = []
    began = time.monotonic()
    for step in range(first, config.steps):
        if step and step % config.refresh_every == 0:
            features.refresh()
        batch = batch_of(features.draw(config.aerial_per_step, rng), config.ground_per_aerial, rng)
        predicted_share = min(PREDICTED_SHARE_LIMIT, PREDICTED_SHARE_GROWTH * step / config.steps)
        if before is not None and batch.range_m.isnan().any():
            batch = replace(batch, range_before_m=before.range_m(batch))
        loss, log = batch_loss(matcher, batch, predicted_share, config, generator)
        run.step(loss)
        window.append(log)
        done = step + 1
        if done % LOG_EVERY == 0:
            averages = {name: float(torch.stack([log[name] for log in window]).mean()) for name in window[0]}
            averages["seconds_per_step"] = (time.monotonic() - began) / (done - first)
            window.clear()
            if progress:
                progress(done, averages)
        if done % config.checkpoint_every == 0 or done == config.steps:
            run.save(done)
    return matcher
