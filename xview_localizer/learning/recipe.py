"""The training of a model package, in one resumable command.

    towns, orthophotos → pairs → backbone features → heads → ONNX package → calibration on other towns and windows

Every step stores its result under the work folder and is skipped where the result exists.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from xview_localizer.engines.engine import Engine
from xview_localizer.engines.factory import EngineConfig, engine_for
from xview_localizer.learning import lora
from xview_localizer.learning.averaging import averaged
from xview_localizer.learning.calibrate_package import calibrate_package
from xview_localizer.learning.encode import encode_pairs
from xview_localizer.learning.features import FeatureFolder
from xview_localizer.learning.matcher import Matcher
from xview_localizer.learning.package_writer import write_trained
from xview_localizer.learning.progress import Progress
from xview_localizer.learning.train import train
from xview_localizer.learning.train_config import TrainConfig
from xview_localizer.models.backbone import official_backbone
from xview_localizer.models.manifest import sha256
from xview_localizer.models.package import ModelPackage, default_package_path
from xview_localizer.models.xview import XviewSpec
from xview_localizer.recordings.pairs import PairsDataset
from xview_localizer.simulation.families import CLASSIC
from xview_localizer.simulation.orthophoto_file import OrthophotoFile
from xview_localizer.simulation.orthophoto_pairs import make_orthophoto_pairs
from xview_localizer.simulation.pairs_writer import PairsConfig, make_pairs
from xview_localizer.simulation.photo import PhotoSource, photos_of

LICENCE = "Apache-2.0 (heads and training); DINOv2 ViT-S/14 backbone: Apache-2.0, see NOTICE"
VALIDATION_FIRST_SEED = 500_000  # beyond the seeds of training towns


class RecipeError(ValueError):
    """The options are inconsistent, or the work folder was made with others; the message names them."""


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


def train_package(
    work: Path,
    backbone_package: Path,
    out: Path,
    config: RecipeConfig = RecipeConfig(),
    progress: Progress = Progress(),
) -> ModelPackage:
    """Make a package in `out` with the backbone of `backbone_package`; resumes from the results in `work`.

    Raises RecipeError, PairsError, ModelPackageError, and for orthophotos MapSourceError and OrthophotoError.
    """
    if config.start_share and not config.start:
        raise RecipeError("--start-share needs a package to start from; give --start too")
    torch.set_num_threads(config.threads)
    for source in _photo_sources(config):  # raises for unusable photos before anything is written
        source.photo(np.random.default_rng(0))
    _claim(work, backbone_package, config)
    matcher, encoder, folders = _matcher(config), _encoder(backbone_package, config), []
    for name, dataset in _datasets(work, config, progress):
        progress.report(f"encoding {dataset.folder}")
        folders.append(work / f"features_{name}")
        encode_pairs(dataset, XviewSpec(), encoder, folders[-1], track=progress.track)

    progress.report(f"training {config.train.steps} steps")
    features = FeatureFolder(folders, progress.track, config.device)
    matcher = train(
        features, work / "checkpoint", config.train, progress.training, matcher, config.device
    ).cpu()
    if config.start_share:
        matcher = averaged(_matcher(config), matcher, config.start_share)
    command = training_command(config, backbone_package)
    write_trained(matcher.eval(), backbone_package, out, XviewSpec(), LICENCE, provenance(config), command)

    progress.report("calibrating confidence and covariance on held-out towns and windows")
    return calibrate_package(out, out, _validation(work, config), progress)


def _matcher(config: RecipeConfig) -> Matcher:
    """The matcher from which training starts."""
    backbone = None
    if config.backbone_weights:
        backbone = official_backbone(config.backbone_weights)
        lora.adapt(backbone, config.lora_rank)
    return (
        Matcher.of(ModelPackage.load(config.start), backbone) if config.start else Matcher(backbone=backbone)
    )


def _encoder(backbone_package: Path, config: RecipeConfig) -> Engine | None:
    """The backbone that encodes images before training; None where the backbone runs in every step."""
    if config.backbone_weights:
        return None
    graph = ModelPackage.load(backbone_package).graphs["backbone"]
    return engine_for(graph, EngineConfig(threads=config.threads))


def _photo_sources(config: RecipeConfig, held_out: bool = False) -> list[PhotoSource]:
    """The photos from which scenes are raised: for training, or the held-out windows of the orthophotos."""
    sources: list[PhotoSource] = [OrthophotoFile(path, held_out) for path in config.orthophotos]
    return sources + (photos_of(config.photos) if config.photos and not held_out else [])


def _validation(work: Path, config: RecipeConfig) -> list[PairsDataset]:
    """Data sets of towns of other seeds and of held-out windows of the orthophotos, rendered where missing."""
    seeds = range(VALIDATION_FIRST_SEED, VALIDATION_FIRST_SEED + config.validation_towns)
    datasets = []
    for kind in config.kinds:
        pairs = work / f"validation_{kind}"
        if not (pairs / "pairs.jsonl").exists():
            make_pairs(pairs, seeds, _towns(kind, config), config.workers)
        datasets.append(PairsDataset(pairs))
        if config.orthophotos:
            scenes = work / f"validation_scenes_{kind}"
            _raise_scenes(scenes, config, kind, seeds, held_out=True)
            datasets.append(PairsDataset(scenes))
    return datasets


def _raise_scenes(out: Path, config: RecipeConfig, kind: str, seeds: range, held_out: bool = False) -> None:
    if not (out / "pairs.jsonl").exists():
        make_orthophoto_pairs(
            out,
            _photo_sources(config, held_out),
            seeds,
            PairsConfig(kind, config.images_per_town, varied=True),
            config.workers,
        )


def _towns(kind: str, config: RecipeConfig) -> PairsConfig:
    varied = config.styles != (CLASSIC,)
    return PairsConfig(kind, config.images_per_town, families=config.styles, varied=varied)


def _claim(work: Path, backbone_package: Path, config: RecipeConfig) -> None:
    """Claim `work` for the options on which its results depend. Raises RecipeError."""
    of_this = {
        "towns": config.towns,
        "images_per_town": config.images_per_town,
        "kinds": list(config.kinds),
        "first_seed": config.first_seed,
        "pairs": [str(path.resolve()) for path in config.pairs],
        "orthophotos": [str(path.resolve()) for path in config.orthophotos],
        "photos": str(config.photos.resolve()) if config.photos else None,
        "scenes": config.scenes if config.orthophotos or config.photos else 0,
        "styles": list(config.styles),
        "backbone_weights": sha256(config.backbone_weights) if config.backbone_weights else None,
        "lora_rank": config.lora_rank if config.backbone_weights else 0,
        "start": str(config.start.resolve()) if config.start else None,
        "backbone": sha256(backbone_package / "backbone.onnx"),
        "seed": config.train.seed,
    }
    claim(work, of_this)


def claim(work: Path, recipe: dict) -> None:
    """Store the options with which `work` is made. Raises RecipeError where it was made with others."""
    file = work / "recipe.json"
    if file.exists():
        before = json.loads(file.read_text())
        other = [name for name in recipe if before.get(name) != recipe[name]]
        if other:
            raise RecipeError(
                f"{work} was made with {other[0]} {before.get(other[0])}, not {recipe[other[0]]}; "
                "take the same options, or another work folder"
            )
    work.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(recipe, indent=2))


def _datasets(work: Path, config: RecipeConfig, progress: Progress) -> Iterable[tuple[str, PairsDataset]]:
    """The training data sets, each with a unique name; scenes and towns are rendered where missing."""
    for number, kind in enumerate(config.kinds if config.orthophotos or config.photos else ()):
        scenes = work / f"scenes_{kind}"
        progress.report(f"raising {config.scenes} scenes ({kind}) from photos in {scenes}")
        _raise_scenes(scenes, config, kind, range(number * config.scenes, (number + 1) * config.scenes))
        yield f"scenes_{kind}", PairsDataset(scenes)
    for number, kind in enumerate(config.kinds if config.towns else ()):
        pairs = work / f"pairs_{kind}"
        first = config.first_seed + number * config.towns
        if not (pairs / "pairs.jsonl").exists():
            progress.report(f"rendering {config.towns} towns ({kind}) into {pairs}")
            seeds = range(first, first + config.towns)
            make_pairs(pairs, seeds, _towns(kind, config), config.workers)
        yield kind, PairsDataset(pairs)
    for number, path in enumerate(config.pairs):
        yield f"pairs_{number}", PairsDataset(path)


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
