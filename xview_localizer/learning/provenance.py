"""What a package says about its origin: the command that makes it again, and the data behind its weights."""

from __future__ import annotations

from pathlib import Path

from xview_localizer.learning.recipe_config import RecipeConfig
from xview_localizer.learning.train_config import TrainConfig
from xview_localizer.models.package import default_package_path
from xview_localizer.simulation.families import CLASSIC

LICENCE = "Apache-2.0 (heads and training); DINOv2 ViT-S/14 backbone: Apache-2.0, see NOTICE"


def training_command(config: RecipeConfig, backbone_package: Path) -> str:
    """The command that makes this package again."""
    words = ["xview-localizer train --work WORK --out PACKAGE"]
    words += [f"--towns {config.towns} --images-per-town {config.images_per_town}"]
    words += [f"--pairs {path}" for path in config.pairs]
    words += [f"--orthophoto {path}" for path in config.orthophotos]
    words += [f"--photos {config.photos}"] if config.photos else []
    words += [f"--scenes {config.scenes}"] if config.orthophotos or config.photos else []
    words += [f"--style {style}" for style in config.styles if config.styles != (CLASSIC,)]
    words += [f"--start {config.start}"] if config.start else []
    words += [f"--start-share {config.start_share}"] if config.start_share else []
    if config.backbone_weights:
        words += [f"--backbone-weights {config.backbone_weights} --lora-rank {config.lora_rank}"]
    if backbone_package.resolve() != (config.start or default_package_path()).resolve():
        words += [f"--backbone {backbone_package}"]
    words += [f"--device {config.device}"] if config.device != RecipeConfig.device else []
    crops = config.train.aerial_per_step
    words += [f"--crops {crops}"] if crops != TrainConfig.aerial_per_step else []
    return " ".join([*words, f"--steps {config.train.steps} --seed {config.train.seed}"])


def provenance(config: RecipeConfig) -> str:
    """Text on the origin of the weights."""
    last = config.first_seed + len(config.kinds) * config.towns - 1
    towns = (
        f"towns of this project's simulator ({', '.join(config.styles)}), seeds {config.first_seed} to {last}"
    )
    sources = [towns] if config.towns else []
    sources += [f"the pairs of {path}" for path in config.pairs]
    sources += [f"scenes raised from the orthophoto {path}" for path in config.orthophotos]
    sources += [f"scenes raised from the photos of {config.photos}"] if config.photos else []
    begun = f"started from the heads of {config.start}, " if config.start else ""
    kept = f" The weights are a mean, {config.start_share:.0%} from the start." if config.start_share else ""
    adapted = f" adapted with rank {config.lora_rank}" if config.backbone_weights else ""
    return (
        f"Backbone: DINOv2 ViT-S/14{adapted}, see NOTICE. Heads: {begun}trained on {' and '.join(sources)}."
        + kept
    )
