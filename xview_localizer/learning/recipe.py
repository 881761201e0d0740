"""The training of a model package, in one resumable command.

    towns, orthophotos → pairs → backbone features → heads → ONNX package → calibration on other towns and windows

Every step stores its result under the work folder and is skipped where the result exists.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from xview_localizer.atomic import filled
from xview_localizer.engines.engine import Engine
from xview_localizer.engines.factory import EngineConfig, engine_for
from xview_localizer.learning import lora
from xview_localizer.learning.averaging import averaged
from xview_localizer.learning.calibrate_package import calibrate_package
from xview_localizer.learning.device import require_device
from xview_localizer.learning.encode import check_records, encode_pairs
from xview_localizer.learning.features import FeatureFolder
from xview_localizer.learning.matcher import Matcher
from xview_localizer.learning.package_writer import write_trained
from xview_localizer.learning.progress import Progress
from xview_localizer.learning.provenance import LICENCE, provenance, training_command
from xview_localizer.learning.recipe_config import RecipeConfig
from xview_localizer.learning.train import train
from xview_localizer.learning.training_data import photo_sources, towns_of, training_sets, validation_sets
from xview_localizer.learning.work_folder import alone_in, claim
from xview_localizer.models.backbone import official_backbone
from xview_localizer.models.manifest import sha256
from xview_localizer.models.package import ModelPackage
from xview_localizer.models.xview import XviewSpec
from xview_localizer.recordings.pairs import PairsDataset


def train_package(
    work: Path,
    backbone_package: Path,
    out: Path,
    config: RecipeConfig = RecipeConfig(),
    progress: Progress = Progress(),
) -> ModelPackage:
    """Make a package in `out` with the backbone of `backbone_package`; resumes from the results in `work`.

    Raises RecipeError, DeviceError, WorkFolderError, PairsError, ModelPackageError, and for orthophotos MapSourceError
    and OrthophotoError.
    """
    torch.set_num_threads(config.threads)
    _require_usable(config)
    backbone = ModelPackage.load(backbone_package)
    matcher = starting_matcher(config)
    with alone_in(work):
        claim(work / "recipe.json", _options(backbone_package, config))
        _make(work, backbone, matcher, out, config, progress)
    return ModelPackage.load(out)


def _make(
    work: Path, backbone: ModelPackage, matcher: Matcher, out: Path, config: RecipeConfig, progress: Progress
) -> None:
    """Train `matcher` on the data of the recipe and write the calibrated package to `out`."""
    encoder, folders = _encoder(backbone, config), []
    for name, dataset in training_sets(work, config, progress):
        progress.report(f"encoding {dataset.folder}")
        folders.append(work / f"features_{name}")
        encode_pairs(dataset, XviewSpec(), encoder, folders[-1], track=progress.track)

    progress.report(f"training {config.train.steps} steps")
    features = FeatureFolder(folders, progress.track, config.device)
    start = starting_matcher(config) if config.start else None
    matcher = train(
        features, work / "checkpoint", config.train, progress.training, matcher, config.device, start
    ).cpu()
    if start is not None and config.start_share:
        matcher = averaged(start.cpu(), matcher, config.start_share)
    command = training_command(config, backbone.folder)
    # `out` gets its files once they are calibrated: without that, its confidence would mean nothing.
    with filled(out) as fresh:
        write_trained(
            matcher.eval(), backbone.folder, fresh, XviewSpec(), LICENCE, provenance(config), command
        )
        progress.report("calibrating confidence and covariance on held-out towns and windows")
        calibrate_package(
            fresh, fresh, validation_sets(work, config, progress), progress, threads=config.threads
        )


def _require_usable(config: RecipeConfig) -> None:
    """Raise an error for options and sources that cannot be used, before anything is written."""
    config.require_consistency()
    require_device(config.device)
    for kind in config.kinds:
        towns_of(kind, config)
    for path in config.pairs:
        check_records(PairsDataset(path))
    for source in photo_sources(config):
        source.photo(np.random.default_rng(0))


def starting_matcher(config: RecipeConfig) -> Matcher:
    """The matcher from which training starts; random weights are those of the training's seed."""
    torch.manual_seed(config.train.seed)
    backbone = None
    if config.backbone_weights:
        backbone = official_backbone(config.backbone_weights)
        lora.adapt(backbone, config.lora_rank)
    return (
        Matcher.of(ModelPackage.load(config.start), backbone) if config.start else Matcher(backbone=backbone)
    )


def _encoder(backbone_package: ModelPackage, config: RecipeConfig) -> Engine | None:
    """The backbone that encodes images before training; None where the backbone runs in every step."""
    if config.backbone_weights:
        return None
    return engine_for(backbone_package.graphs["backbone"], EngineConfig(threads=config.threads))


def _options(backbone_package: Path, config: RecipeConfig) -> dict[str, object]:
    """The options on which the results under the work folder depend; the checkpoint keeps those of training."""
    return {
        "towns": config.towns,
        "images_per_town": config.images_per_town,
        "kinds": config.kinds,
        "first_seed": config.first_seed,
        "pairs": [str(path.resolve()) for path in config.pairs],
        "orthophotos": [str(path.resolve()) for path in config.orthophotos],
        "photos": str(config.photos.resolve()) if config.photos else None,
        "scenes": config.scenes_of_each_kind,
        "styles": config.styles,
        "backbone_weights": sha256(config.backbone_weights) if config.backbone_weights else None,
        "lora_rank": config.lora_rank if config.backbone_weights else 0,
        "start": str(config.start.resolve()) if config.start else None,
        "backbone": sha256(backbone_package / "backbone.onnx"),
        "seed": config.train.seed,
    }
