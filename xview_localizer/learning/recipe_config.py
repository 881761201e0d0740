"""What a model package is trained on, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xview_localizer.learning.train_config import TrainConfig
from xview_localizer.simulation.families import CLASSIC


class RecipeError(ValueError):
    """The options are inconsistent; the message names them."""


@dataclass(frozen=True)
class RecipeConfig:
    """The training data and the length of training.

    For each camera kind there are `towns` towns of the families `styles`, and `scenes` scenes raised in turn from
    windows of the georeferenced `orthophotos` and from the `photos` of known scale; the data sets `pairs` are added.
    Training starts from the heads of the package `start`, or from random ones. The result is the weighted mean with
    the weights at the start, which count `start_share` (averaging.py). With `backbone_weights` of DINOv2 the backbone
    runs in every step, is adapted with `lora_rank` and becomes part of the package; this needs a `device` faster than
    a CPU.
    """

    towns: int = 200
    validation_towns: int = 24
    images_per_town: int = 8
    kinds: tuple[str, ...] = ("equirectangular", "pinhole")
    first_seed: int = 0
    pairs: tuple[Path, ...] = ()
    orthophotos: tuple[Path, ...] = ()
    photos: Path | None = None
    scenes: int = 100
    styles: tuple[str, ...] = (CLASSIC,)
    start: Path | None = None
    start_share: float = 0.0
    backbone_weights: Path | None = None
    lora_rank: int = 8
    device: str = "cpu"
    workers: int = 2
    threads: int = 2
    train: TrainConfig = TrainConfig()

    @property
    def scenes_of_each_kind(self) -> int:
        """How many scenes are raised from photos; none without photos."""
        return self.scenes if self.orthophotos or self.photos else 0

    def require_consistency(self) -> None:
        """Raise RecipeError where options do not go together, or there is nothing to learn from."""
        if self.start_share and not self.start:
            raise RecipeError("--start-share needs a package to start from; give --start too")
        if not (self.towns or self.pairs or self.scenes_of_each_kind):
            raise RecipeError(
                "there is nothing to learn from; give --towns, --pairs, --orthophoto or --photos"
            )
