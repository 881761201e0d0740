"""The training of a model package from nothing, in one resumable command.

    towns → pairs → backbone features → heads → ONNX package → calibration on towns of other seeds

Every step keeps its result under the work folder and is skipped when that is already there.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.engines.onnx_engine import OnnxEngine
from xview_localizer.evaluation.judging import judge
from xview_localizer.geometry.pose import Pose2
from xview_localizer.learning.calibrate import (
    TEMPERATURES,
    JudgedFix,
    calibrated,
    choose_temperature,
    nees_of_right,
)
from xview_localizer.learning.features import FeatureFolder, encode_pairs
from xview_localizer.learning.train import TrainConfig, train
from xview_localizer.localizer import Localizer, LocalizerConfig, Observation, PlacedObservation
from xview_localizer.models.export import export_heads, write_manifest
from xview_localizer.models.package import ModelPackage, ModelSpec
from xview_localizer.pairs import PairRecord, PairsDataset, ground_view
from xview_localizer.simulation.pairs_writer import PairsConfig, make_pairs

LICENCE = "Apache-2.0 (heads and training); DINOv2 ViT-S/14 backbone: Apache-2.0, see NOTICE"
VALIDATION_FIRST_SEED = 500_000


@dataclass(frozen=True)
class RecipeConfig:
    """How much of everything; an hour or two on two CPU cores. `towns` are those of each camera kind."""

    towns: int = 200
    validation_towns: int = 24
    images_per_town: int = 8
    kinds: tuple[str, ...] = ("equirectangular", "pinhole")
    first_seed: int = 0
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
    """Make a package in `out` with the backbone of `backbone_package`; resumes from what `work` holds."""
    torch.set_num_threads(config.threads)
    spec = ModelSpec()
    backbone = OnnxEngine(backbone_package / "backbone.onnx", threads=config.threads)
    folders = []
    for number, kind in enumerate(config.kinds):
        pairs, features = work / f"pairs_{kind}", work / f"features_{kind}"
        first = config.first_seed + number * config.towns
        if not (pairs / "pairs.jsonl").exists():
            progress.say(f"rendering {config.towns} towns ({kind}) into {pairs}")
            make_pairs(
                pairs,
                range(first, first + config.towns),
                PairsConfig(kind, config.images_per_town),
                config.workers,
            )
        progress.say(f"encoding {pairs} into {features}")
        encode_pairs(PairsDataset(pairs), spec, backbone, features, track=progress.track)
        folders.append(features)

    progress.say(f"training {config.train.steps} steps")
    matcher = train(
        FeatureFolder(folders, progress.track), work / "checkpoint", config.train, progress.training
    )

    out.mkdir(parents=True, exist_ok=True)
    if backbone_package.resolve() != out.resolve():
        for name in ("backbone.onnx", "NOTICE"):
            shutil.copyfile(backbone_package / name, out / name)
    export_heads(matcher.ground.eval(), matcher.aerial.eval(), out)
    spec = replace(spec, inverse_temperature=float(matcher.inverse_temperature))
    write_manifest(out, spec, LICENCE, provenance(config), training_command(config))

    progress.say("calibrating confidence and covariance on validation towns")
    datasets = []
    for kind in config.kinds:
        pairs = work / f"validation_{kind}"
        if not (pairs / "pairs.jsonl").exists():
            seeds = range(VALIDATION_FIRST_SEED, VALIDATION_FIRST_SEED + config.validation_towns)
            make_pairs(pairs, seeds, PairsConfig(kind, config.images_per_town), config.workers)
        datasets.append(PairsDataset(pairs))
    return calibrate_package(out, datasets, progress)


def calibrate_package(
    package_folder: Path, datasets: list[PairsDataset], progress: Progress = Progress()
) -> ModelPackage:
    """Fit confidence and evidence temperature on `datasets` and rewrite model.yaml."""
    package = ModelPackage.load(package_folder)
    cases = list(_observed(package, datasets, progress))

    def judged_at(temperature: float) -> list[JudgedFix]:
        judged = []
        for localizer, record, observation in cases:
            localizer.spec = replace(
                package.spec, calibration=replace(package.spec.calibration, evidence_temperature=temperature)
            )
            for prior in (record.prior, with_heading(record)):
                placed = [PlacedObservation(observation, Pose2(0.0, 0.0, 0.0))]
                fix = localizer.solve(placed, prior)
                frame = judge(record.id, fix, record.truth, prior.xy_m, None)
                if frame.nees is not None:
                    judged.append(JudgedFix(fix.lead, frame.error_m, frame.nees))
        return judged

    judged = {temperature: judged_at(temperature) for temperature in progress.track(TEMPERATURES)}
    temperature = choose_temperature({t: nees_of_right(fixes) for t, fixes in judged.items()})
    calibration = calibrated(package.spec.calibration, judged[temperature], temperature)
    progress.say(f"evidence temperature {temperature:g}, confidence {calibration}")
    write_manifest(
        package_folder,
        replace(package.spec, calibration=calibration),
        package.licence,
        package.provenance,
        package.training_command,
    )
    return ModelPackage.load(package_folder)


def _observed(
    package: ModelPackage, datasets: list[PairsDataset], progress: Progress
) -> Iterable[tuple[Localizer, PairRecord, Observation]]:
    """Every record encoded once; records of one aerial image share a localizer and so its descriptors."""
    for dataset in datasets:
        localizers: dict[Path, Localizer] = {}
        for record in progress.track(list(dataset)):
            if record.aerial_path not in localizers:
                localizers[record.aerial_path] = Localizer(
                    package, InMemoryMap(record.load_aerial()), LocalizerConfig()
                )
            localizer = localizers[record.aerial_path]
            yield localizer, record, localizer.observe(ground_view(record))


def with_heading(record: PairRecord, sigma_deg: float = 10.0):
    """The record's prior with a heading drawn within `sigma_deg` of the truth (seeded by the record's id)."""
    if record.prior.yaw_rad is not None or record.truth.yaw_rad is None:
        return record.prior
    rng = np.random.default_rng(zlib.crc32(record.id.encode()))
    offset_rad = np.radians(rng.uniform(-sigma_deg, sigma_deg))
    return replace(
        record.prior, yaw_rad=record.truth.yaw_rad + offset_rad, yaw_sigma_rad=float(np.radians(sigma_deg))
    )


def training_command(config: RecipeConfig) -> str:
    """What to type to make this package again."""
    return (
        f"xview-localizer train --work WORK --out PACKAGE --towns {config.towns} "
        f"--images-per-town {config.images_per_town} --steps {config.train.steps} --seed {config.train.seed}"
    )


def provenance(config: RecipeConfig) -> str:
    """Where the weights come from."""
    return (
        "Backbone: DINOv2 ViT-S/14, see NOTICE. Heads: trained on towns of this project's simulator only, seeds "
        f"{config.first_seed} to {config.first_seed + len(config.kinds) * config.towns - 1}."
    )
