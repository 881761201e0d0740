"""The settings of training: its length, its data in each step, and the weights of the losses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainConfig:
    """Settings of train (the loop) and of batch_loss (the loss of a step)."""

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
