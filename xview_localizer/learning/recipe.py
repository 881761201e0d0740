"""The training of a model package from nothing, in one resumable command.

    towns, orthophotos → pairs → backbone features → heads → ONNX package → calibration on other towns and windows

Every step keeps its result under the work folder and is skipped when that is already there.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.belief.calibration import CalibrationSpec
from xview_localizer.engines.engine import Engine
from xview_localizer.engines.factory import EngineConfig, engine_for
from xview_localizer.geometry.pose import Prior
from xview_localizer.learning import lora
from xview_localizer.learning.calibrate import (
    TEMPERATURES,
    JudgedModes,
    calibrated,
    choose_temperature,
    judge_modes,
    nees_of_right,
)
from xview_localizer.learning.encode import encode_pairs
from xview_localizer.learning.features import FeatureFolder
from xview_localizer.learning.matcher import Matcher
from xview_localizer.learning.train import TrainConfig, train
from xview_localizer.localizer import Localizer
from xview_localizer.models.backbone import official_backbone
from xview_localizer.models.export import export_backbone, export_heads
from xview_localizer.models.manifest import sha256
from xview_localizer.models.networks import open_networks
from xview_localizer.models.package import ModelPackage, default_package_path, write_manifest
from xview_localizer.models.xview import XVIEW, XviewSpec
from xview_localizer.observation import HERE, Observation, PlacedObservation
from xview_localizer.pairs import PairRecord, PairsDataset, ground_view
from xview_localizer.simulation.families import CLASSIC
from xview_localizer.simulation.orthophoto_file import OrthophotoFile
from xview_localizer.simulation.orthophoto_pairs import make_orthophoto_pairs
from xview_localizer.simulation.pairs_writer import PairsConfig, make_pairs
from xview_localizer.simulation.photo import PhotoSource, photos_of

LICENCE = "Apache-2.0 (heads and training); DINOv2 ViT-S/14 backbone: Apache-2.0, see NOTICE"
VALIDATION_FIRST_SEED = 500_000
HEADING_SIGMA_DEG = 10.0

# An image to calibrate on: the number of its data set, the localizer of its map, its record and what it shows.
_Case = tuple[int, Localizer, PairRecord, Observation]


class RecipeError(ValueError):
    """The work folder belongs to another recipe; the message says in what they differ."""


@dataclass(frozen=True)
class RecipeConfig:
    """What to learn from, and how long. `towns` are those of each camera kind and of the families `styles`, beside the
    data sets `pairs`; `scenes` are those of each kind too, raised from windows of the georeferenced `orthophotos` and
    from the `photos` of known scale, which take turns.

    Training begins at the heads of the package `start`, or at none. Where `backbone_weights` of DINOv2 are given, the
    backbone runs in every step, is adapted with `lora_rank`, and becomes part of the package; this needs a `device`
    faster than a CPU.
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
    backbone_weights: Path | None = None
    lora_rank: int = 8
    device: str = "cpu"
    workers: int = 2
    threads: int = 2
    train: TrainConfig = TrainConfig()


@dataclass(frozen=True)
class Progress:
    """How long work is shown: a line of text, a wrapper for loops, and training's averages."""

    say: Callable[[str], None] = print
    track: Callable[[Iterable], Iterable] = iter
    training: Callable[[int, dict[str, float]], None] | None = None


def train_package(
    work: Path,
    backbone_package: Path,
    out: Path,
    config: RecipeConfig = RecipeConfig(),
    progress: Progress = Progress(),
) -> ModelPackage:
    """Make a package in `out` with the backbone of `backbone_package`; resumes from what `work` holds.

    Raises RecipeError, PairsError, ModelPackageError; of an orthophoto MapSourceError and OrthophotoError.
    """
    torch.set_num_threads(config.threads)
    for source in _photo_sources(config):  # refused before anything is claimed or rendered
        source.photo(np.random.default_rng(0))
    _claim(work, backbone_package, config)
    matcher, encoder, folders = _matcher(config), _encoder(backbone_package, config), []
    for name, dataset in _datasets(work, config, progress):
        progress.say(f"encoding {dataset.folder}")
        folders.append(work / f"features_{name}")
        encode_pairs(dataset, XviewSpec(), encoder, folders[-1], track=progress.track)

    progress.say(f"training {config.train.steps} steps")
    features = FeatureFolder(folders, progress.track, config.device)
    matcher = train(features, work / "checkpoint", config.train, progress.training, matcher, config.device)
    _export(matcher.cpu().eval(), backbone_package, out, config)

    progress.say("calibrating confidence and covariance on what was not learned from")
    return calibrate_package(out, out, _validation(work, config), progress)


def _matcher(config: RecipeConfig) -> Matcher:
    """What training begins with."""
    backbone = None
    if config.backbone_weights:
        backbone = official_backbone(config.backbone_weights)
        lora.adapt(backbone, config.lora_rank)
    return (
        Matcher.of(ModelPackage.load(config.start), backbone) if config.start else Matcher(backbone=backbone)
    )


def _encoder(backbone_package: Path, config: RecipeConfig) -> Engine | None:
    """What stores the tokens of images beforehand; nothing where the backbone runs in every step."""
    if config.backbone_weights:
        return None
    graph = ModelPackage.load(backbone_package).graphs["backbone"]
    return engine_for(graph, EngineConfig(threads=config.threads))


def _export(matcher: Matcher, backbone_package: Path, out: Path, config: RecipeConfig) -> None:
    """Write the package; it is not calibrated yet."""
    out.mkdir(parents=True, exist_ok=True)
    taken = ("NOTICE",) if matcher.backbone else ("NOTICE", "backbone.onnx")
    for name in taken if backbone_package.resolve() != out.resolve() else ():
        shutil.copyfile(backbone_package / name, out / name)
    if matcher.backbone:
        export_backbone(lora.merged(matcher.backbone), out / "backbone.onnx")
    export_heads(matcher.ground, matcher.aerial, out)
    spec = replace(XviewSpec(), inverse_temperature=matcher.inverse_temperature.item())
    command = training_command(config, backbone_package)
    write_manifest(out, XVIEW, spec, LICENCE, provenance(config), command)


def _photo_sources(config: RecipeConfig, held_out: bool = False) -> list[PhotoSource]:
    """What scenes are raised from."""
    sources: list[PhotoSource] = [OrthophotoFile(path, held_out) for path in config.orthophotos]
    return sources + (photos_of(config.photos) if config.photos and not held_out else [])


def _validation(work: Path, config: RecipeConfig) -> list[PairsDataset]:
    """Towns of other seeds, and held-out windows of the orthophotos; rendered where they are not there yet."""
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
    """Write down what `work` is made of. Results of another recipe must not pass for those of this one."""
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
    """Write down the options that `work` is made with. Raises RecipeError where it was made with others."""
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
    """What to learn from, each by a name of its own; scenes and towns are rendered where they are not there yet."""
    for number, kind in enumerate(config.kinds if config.orthophotos or config.photos else ()):
        scenes = work / f"scenes_{kind}"
        progress.say(f"raising {config.scenes} scenes ({kind}) from photos in {scenes}")
        _raise_scenes(scenes, config, kind, range(number * config.scenes, (number + 1) * config.scenes))
        yield f"scenes_{kind}", PairsDataset(scenes)
    for number, kind in enumerate(config.kinds if config.towns else ()):
        pairs = work / f"pairs_{kind}"
        first = config.first_seed + number * config.towns
        if not (pairs / "pairs.jsonl").exists():
            progress.say(f"rendering {config.towns} towns ({kind}) into {pairs}")
            seeds = range(first, first + config.towns)
            make_pairs(pairs, seeds, _towns(kind, config), config.workers)
        yield kind, PairsDataset(pairs)
    for number, path in enumerate(config.pairs):
        yield f"pairs_{number}", PairsDataset(path)


def calibrate_package(
    package_folder: Path,
    out: Path,
    datasets: list[PairsDataset],
    progress: Progress = Progress(),
    elsewhere: PairsDataset | None = None,
) -> ModelPackage:
    """Fit what evidence is worth, and the evidence temperature, on `datasets`; the package goes to `out`, which may be
    its own folder.

    Each image is also searched for where it is not: in the places of `elsewhere`, or else in those of images with
    another aerial image. The temperature, which the covariance
    hangs on, is kept where no truth has a yaw. Raises CalibrationError.
    """
    package = ModelPackage.load(package_folder)
    cases = list(_observed(package, datasets, progress))
    before = package.spec.calibration

    def judged_at(temperature: float) -> list[list[JudgedModes]]:
        judged: list[list[JudgedModes]] = [[] for _ in datasets]
        for number, localizer, record, observation in cases:
            tempered = localizer.calibrated(replace(before, evidence_temperature=temperature))
            for prior in _priors(record):
                modes = tempered.modes([PlacedObservation(observation, HERE)], prior)
                if modes.modes:
                    judged[number].append(judge_modes(modes, record.truth))
        return judged

    yaw_known = any(record.truth.yaw_rad is not None for _, _, record, _ in cases)
    temperatures = TEMPERATURES if yaw_known else (before.evidence_temperature,)
    judged = {temperature: judged_at(temperature) for temperature in progress.track(temperatures)}
    temperature = before.evidence_temperature
    if yaw_known:
        temperature = choose_temperature(
            {t: [nees_of_right(images) for images in of_datasets] for t, of_datasets in judged.items()}
        )
    places = list(_observed(package, [elsewhere], progress)) if elsewhere else cases
    wrong = _searched_elsewhere(cases, places, replace(before, evidence_temperature=temperature))
    calibration = calibrated(before, [*chain(*judged[temperature]), *wrong], temperature)
    progress.say(f"{calibration}")
    out.mkdir(parents=True, exist_ok=True)
    if package_folder.resolve() != out.resolve():
        for file in package_folder.iterdir():
            shutil.copyfile(file, out / file.name)
    where = ", ".join(dataset.folder.name for dataset in datasets)
    write_manifest(
        out,
        package.family,
        replace(package.spec, calibration=calibration),
        package.licence,
        f"{package.provenance} Calibrated on {len(cases)} images of {where}.",
        package.training_command,
    )
    return ModelPackage.load(out)


def _searched_elsewhere(
    cases: Sequence[_Case], places: Sequence[_Case], calibration: CalibrationSpec
) -> Iterable[JudgedModes]:
    """Every image matched where one of `places`, of another aerial image, was taken."""
    for number, (_, _, record, observation) in enumerate(cases):
        from_here = number % max(1, len(places))
        others = (c for c in chain(places[from_here:], places) if c[2].aerial_path != record.aerial_path)
        other = next(others, None)
        if other is not None:
            modes = (
                other[1].calibrated(calibration).modes([PlacedObservation(observation, HERE)], other[2].prior)
            )
            if modes.modes:
                yield judge_modes(modes, None)


def _priors(record: PairRecord) -> list[Prior]:
    """The record's prior, and where that has no heading but the truth has, the same with one."""
    if record.prior.yaw_rad is not None or record.truth.yaw_rad is None:
        return [record.prior]
    return [record.prior, with_heading(record.prior, record.truth.yaw_rad, zlib.crc32(record.id.encode()))]


def _observed(package: ModelPackage, datasets: list[PairsDataset], progress: Progress) -> Iterable[_Case]:
    """Every record encoded once, with the number of its data set; those of one aerial image share descriptors."""
    networks = open_networks(package)
    for number, dataset in enumerate(datasets):
        localizers: dict[Path, Localizer] = {}
        for record in progress.track(list(dataset)):
            if record.aerial_path not in localizers:
                localizers[record.aerial_path] = Localizer(networks, InMemoryMap(record.load_aerial()))
            localizer = localizers[record.aerial_path]
            yield number, localizer, record, localizer.observe(ground_view(record))


def with_heading(prior: Prior, true_yaw_rad: float, seed: int) -> Prior:
    """The prior with a heading drawn within ± HEADING_SIGMA_DEG of the truth."""
    rng = np.random.default_rng(seed)
    offset_rad = np.radians(rng.uniform(-HEADING_SIGMA_DEG, HEADING_SIGMA_DEG))
    yaw_sigma_rad = float(np.radians(HEADING_SIGMA_DEG))
    return replace(prior, yaw_rad=true_yaw_rad + offset_rad, yaw_sigma_rad=yaw_sigma_rad)


def training_command(config: RecipeConfig, backbone_package: Path) -> str:
    """What to type to make this package again."""
    words = ["xview-localizer train --work WORK --out PACKAGE"]
    words += [f"--towns {config.towns} --images-per-town {config.images_per_town}"]
    words += [f"--pairs {path}" for path in config.pairs]
    words += [f"--orthophoto {path}" for path in config.orthophotos]
    words += [f"--photos {config.photos}"] if config.photos else []
    words += [f"--scenes {config.scenes}"] if config.orthophotos or config.photos else []
    words += [f"--style {style}" for style in config.styles if config.styles != (CLASSIC,)]
    words += [f"--start {config.start}"] if config.start else []
    if config.backbone_weights:
        words += [f"--backbone-weights {config.backbone_weights} --lora-rank {config.lora_rank}"]
    if backbone_package.resolve() != (config.start or default_package_path()).resolve():
        words += [f"--backbone {backbone_package}"]
    return " ".join([*words, f"--steps {config.train.steps} --seed {config.train.seed}"])


def provenance(config: RecipeConfig) -> str:
    """Where the weights come from."""
    last = config.first_seed + len(config.kinds) * config.towns - 1
    towns = (
        f"towns of this project's simulator ({', '.join(config.styles)}), seeds {config.first_seed} to {last}"
    )
    sources = [towns] if config.towns else []
    sources += [f"the pairs of {path}" for path in config.pairs]
    sources += [f"scenes raised from the orthophoto {path}" for path in config.orthophotos]
    sources += [f"scenes raised from the photos of {config.photos}"] if config.photos else []
    begun = f"begun at the heads of {config.start}, " if config.start else ""
    adapted = f" adapted with rank {config.lora_rank}" if config.backbone_weights else ""
    return (
        f"Backbone: DINOv2 ViT-S/14{adapted}, see NOTICE. Heads: {begun}trained on {' and '.join(sources)}."
    )
