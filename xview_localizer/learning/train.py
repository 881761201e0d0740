"""The training loop of the heads, resumable and with progress.

On a CPU the frozen backbone's tokens are stored beforehand, and a step takes about a second on two cores. On a GPU the
backbone runs in every step on newly augmented images, and may itself be adapted (lora.py).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from xview_localizer.atomic import replaced
from xview_localizer.learning.batch import batch_of
from xview_localizer.learning.features import FeatureFolder
from xview_localizer.learning.matcher import Matcher
from xview_localizer.learning.objective import batch_loss
from xview_localizer.learning.train_config import TrainConfig
from xview_localizer.learning.work_folder import claim

LOG_EVERY = 25  # steps
LAST_LEARNING_RATE = 0.01  # as a share of the first
BETAS = (0.9, 0.98)  # of AdamW
GREATEST_GRADIENT = 1.0  # norm to which gradients are clipped
# The share of images lifted by the predicted depth, in place of the true one, grows over training up to a limit.
PREDICTED_SHARE_LIMIT, PREDICTED_SHARE_GROWTH = 0.7, 1.5


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
            lr=config.learning_rate, weight_decay=config.weight_decay, betas=BETAS,
        )  # fmt: skip
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: learning_rate_factor(step, config)
        )

    def step(self, loss: Tensor) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self._trained, GREATEST_GRADIENT)
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
        with replaced(self._checkpoint) as fresh:
            torch.save(state, fresh)


def train(
    features: FeatureFolder,
    out: Path,
    config: TrainConfig = TrainConfig(),
    progress: Callable[[int, dict[str, float]], None] | None = None,
    start: Matcher | None = None,
    device: str = "cpu",
    depth_of: Matcher | None = None,
) -> Matcher:
    """Train from `start` (or random weights), or resume from `out`/checkpoint.pt, and return the matcher.

    `start` itself is trained. `progress(step, averages)` is called every LOG_EVERY steps. The features have to be on
    `device`; features that are written to their folders during training are used too. Where ranges are unknown, those
    that `depth_of`, a trained matcher, predicts take their place: without them the depth would drift until the poses
    are lost. Raises WorkFolderError where the checkpoint was made with another `config`.
    """
    claim(out / "train_config.json", asdict(config))
    torch.manual_seed(config.seed)
    place = torch.device(device)
    matcher = (start or Matcher()).to(place)
    before = depth_of.to(place).eval() if depth_of else None
    run = _Run(matcher, config, out / "checkpoint.pt")
    first = run.resume(place)
    generator = torch.Generator(place)

    window: list[dict[str, Tensor]] = []
    began = time.monotonic()
    for step in range(first, config.steps):
        if step and step % config.refresh_every == 0:
            features.refresh()
        # A step's random draws depend on its number alone, so that interrupted training gives the same weights.
        rng = np.random.default_rng((config.seed, step))
        generator.manual_seed(int(rng.integers(1 << 63)))
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
