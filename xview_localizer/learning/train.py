"""Train the heads on precomputed features: one command, resumable, with progress.

Backbone tokens are frozen, so each pairs folder is encoded once (features.py) and training touches only the
light heads; a step takes about a second on two CPU cores.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from xview_localizer.learning import losses
from xview_localizer.learning.augment import augment_texture, augment_tokens
from xview_localizer.learning.features import FeatureFolder, GroundFeatures
from xview_localizer.matching import cell_weight
from xview_localizer.models.export import load_head
from xview_localizer.models.heads import AerialHead, GroundHead, HeadConfig
from xview_localizer.models.package import ModelPackage


@dataclass(frozen=True)
class TrainConfig:
    """Knobs of the training loop."""

    steps: int = 3000
    aerial_per_step: int = 2
    ground_per_aerial: int = 4
    cells: int = 320
    hypotheses: int = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    warmup_steps: int = 100
    prior_radius_m: float = 20.0
    evidence: float = 0.1
    info_nce_weight: float = 0.25
    depth_weight: float = 1.0
    wrong_pair_weight: float = 0.1
    depth_noise: float = 0.07
    checkpoint_every: int = 250
    seed: int = 0


class Matcher(nn.Module):
    """Both heads and the learned temperature of the cosine."""

    def __init__(self, config: HeadConfig = HeadConfig()) -> None:
        super().__init__()
        self.ground = GroundHead(config)
        self.aerial = AerialHead(config)
        self.log_inverse_temperature = nn.Parameter(torch.tensor(math.log(1 / 0.1)))

    @classmethod
    def of(cls, package: ModelPackage) -> Matcher:
        """The matcher that `package` was exported from. Raises ModelPackageError where its heads are others."""
        matcher = cls()
        load_head(matcher.ground, package.graphs["ground_head"].path)
        load_head(matcher.aerial, package.graphs["aerial_head"].path)
        matcher.log_inverse_temperature.data.fill_(math.log(package.spec.inverse_temperature))
        return matcher

    @property
    def inverse_temperature(self) -> Tensor:
        return self.log_inverse_temperature.clamp(max=math.log(40.0)).exp()


@dataclass(frozen=True)
class LiftedCells:
    """The cells of one ground image that take part in one training step."""

    descriptor: Tensor  # [N, D]
    dustbin: Tensor  # [N]
    xy_m: Tensor  # [N, 2] level frame, by the range used for lifting
    true_xy_m: Tensor  # [N, 2] level frame, by the true range
    has_range: Tensor  # [N]


def lift_cells(
    matcher: Matcher,
    ground: GroundFeatures,
    predicted_share: float,
    config: TrainConfig,
    rng: np.random.Generator,
):
    """Run the ground head, lift a weighted sample of its cells; returns LiftedCells and the depth loss."""
    with half_precision():
        outputs = matcher.ground(
            augment_tokens(ground.tokens[None].float(), rng),
            augment_texture(ground.image[None].float(), rng),
            ground.elevation_rad[None],
            ground.valid[None].float(),
            augment_texture(ground.plan[None].float(), rng),
            ground.plan_xy[None],
        )
    descriptor, dustbin, log_range = (out[0].float() for out in outputs)
    known = (ground.range_m > 0) & (ground.range_m < 60) & ground.valid
    true_log_range = torch.log(ground.range_m.clamp(min=0.3) / ground.height_m)
    loss = losses.depth_loss(log_range, true_log_range, known.float())

    predicted_m = ground.height_m * log_range.detach().exp()
    if rng.random() < predicted_share:
        range_m = predicted_m
    else:
        noise = torch.from_numpy(smooth_noise(rng, tuple(known.shape))).float() * config.depth_noise
        range_m = torch.where(ground.range_m > 0, ground.range_m * noise.exp(), predicted_m)

    with torch.no_grad():
        weight = torch.from_numpy(cell_weight(range_m.numpy())) * ground.valid
    chosen = torch.multinomial(weight.flatten(), min(config.cells, int((weight > 0).sum())))
    horizontal = ground.horizontal_directions.reshape(-1, 2)[chosen]
    cells = LiftedCells(
        descriptor.flatten(1).T[chosen],
        dustbin.flatten()[chosen],
        horizontal * range_m.flatten()[chosen, None],
        horizontal * ground.range_m.flatten()[chosen, None],
        known.flatten()[chosen],
    )
    return cells, loss


def half_precision() -> torch.autocast:
    """bfloat16 where it is safe: the heads' convolutions, a third faster on CPUs that have it."""
    return torch.autocast("cpu", torch.bfloat16)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Unit-variance noise, smooth over the image, as a depth network's error is."""
    import cv2

    coarse = rng.normal(size=(5, 6)).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def pair_losses(
    cells: LiftedCells,
    aerial: Tensor,
    pose: Tensor,
    half_extent_m: float,
    matcher: Matcher,
    config: TrainConfig,
    generator: torch.Generator,
) -> tuple[Tensor, dict[str, float]]:
    """Pose loss and InfoNCE of one ground image over its aerial crop."""
    matches = losses.match(cells.descriptor, aerial, cells.dustbin, matcher.inverse_temperature)
    hypotheses = losses.sample_pose_hypotheses(pose, config.prior_radius_m, generator)
    hypotheses = losses.keep_hardest(
        matches, cells.xy_m, hypotheses, half_extent_m, config.hypotheses, generator
    )
    scores = losses.pose_scores(matches, cells.xy_m, hypotheses, half_extent_m)
    pose_term = losses.pose_loss(scores, config.evidence)
    true_xy_m = losses.transform(cells.true_xy_m, pose.unsqueeze(0))[:, 0]
    matchable = cells.has_range & (true_xy_m.abs() < half_extent_m).all(-1)
    nce = losses.info_nce(matches, cells.dustbin, true_xy_m, matchable, half_extent_m)
    with torch.no_grad():
        won = float(scores.sum(0).argmax() == 0)
        per_cell = float(scores[:, 0].mean())
    return pose_term + config.info_nce_weight * nce, {
        "pose": pose_term.item(), "nce": nce.item(), "truth_wins": won, "score": per_cell,
        "inliers": matches.inlier_probability.mean().item(),
    }  # fmt: skip


def wrong_pair_loss(cells: LiftedCells, aerial: Tensor, matcher: Matcher) -> Tensor:
    """Against an aerial crop of another place every cell belongs in the dustbin."""
    logits = matcher.inverse_temperature * (cells.descriptor @ aerial.flatten(1))
    return torch.nn.functional.softplus(torch.logsumexp(logits, dim=1) - cells.dustbin).mean()


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then cosine to a hundredth."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def train(
    features: FeatureFolder,
    out: Path,
    config: TrainConfig = TrainConfig(),
    progress: Callable[[int, dict[str, float]], None] | None = None,
    start: Matcher | None = None,
) -> Matcher:
    """Train from `start` (or from nothing), or resume from `out`/checkpoint.pt, and return the matcher.

    `progress(step, averages)` is called every 25 steps.
    """
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    matcher = start or Matcher()
    optimizer = torch.optim.AdamW(
        matcher.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, config))
    out.mkdir(parents=True, exist_ok=True)
    checkpoint, first = out / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        matcher.load_state_dict(state["matcher"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = state["step"]
        rng = np.random.default_rng((config.seed, first))
    (out / "train_config.json").write_text(json.dumps(asdict(config), indent=2))

    window: list[dict[str, float]] = []
    began = time.monotonic()
    for step in range(first, config.steps):
        crops = rng.choice(len(features.aerial_keys), config.aerial_per_step, replace=False)
        predicted_share = min(0.7, 1.5 * step / config.steps)
        terms: list[Tensor] = []
        lifted: list[LiftedCells] = []
        maps: list[Tensor] = []
        for crop in crops:
            aerial, grounds = features.group(features.aerial_keys[crop])
            quarter_turns, flip = int(rng.integers(4)), bool(rng.integers(2))
            aerial = aerial.turned(quarter_turns, flip)
            with half_precision():
                tokens = augment_tokens(aerial.tokens[None].float(), rng)
                descriptors = matcher.aerial(tokens, augment_texture(aerial.image[None].float(), rng))[
                    0
                ].float()
            maps.append(descriptors)
            picked = rng.choice(len(grounds), min(config.ground_per_aerial, len(grounds)), replace=False)
            for index in picked:
                ground = grounds[index].turned(quarter_turns, flip)
                cells, depth = lift_cells(matcher, ground, predicted_share, config, rng)
                loss, log = pair_losses(
                    cells, descriptors, ground.pose, aerial.half_extent_m, matcher, config, generator
                )
                terms.append(loss + config.depth_weight * depth)
                window.append({**log, "depth": depth.item()})
            lifted.append(cells)
        wrong = [wrong_pair_loss(lifted[i], maps[i - 1], matcher) for i in range(len(crops))]
        total = torch.stack(terms).mean() + config.wrong_pair_weight * torch.stack(wrong).mean()
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(matcher.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 25 == 0:
            averages = {key: float(np.mean([entry[key] for entry in window])) for key in window[0]}
            averages["seconds_per_step"] = (time.monotonic() - began) / (step + 1 - first)
            window.clear()
            if progress:
                progress(step + 1, averages)
        if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
            torch.save(
                {
                    "matcher": matcher.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
                    "step": step + 1,
                },
                checkpoint,
            )
    return matcher
