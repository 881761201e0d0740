"""Adapting a model package to the site of recorded drives, in one resumable command.

    bags → frames → poses → pairs by stretch of road → features → heads → calibration → judged on held-out road
         → heads once more, on all of the road

Every step stores its result under the work folder and is skipped where the result exists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from xview_localizer.atomic import new_folder
from xview_localizer.engines.factory import EngineConfig, engine_for
from xview_localizer.evaluation.metrics import write_json
from xview_localizer.learning.averaging import averaged
from xview_localizer.learning.calibrate_package import calibrate_package
from xview_localizer.learning.device import require_device
from xview_localizer.learning.encode import encode_pairs
from xview_localizer.learning.features import FeatureFolder
from xview_localizer.learning.held_out import Figures, figures_on, objections
from xview_localizer.learning.matcher import Matcher
from xview_localizer.learning.package_writer import copy_package, write_trained
from xview_localizer.learning.progress import Progress
from xview_localizer.learning.site_pairs import LEAST_IMAGES, SiteDrives, site_pairs
from xview_localizer.learning.train import train
from xview_localizer.learning.train_config import TrainConfig
from xview_localizer.learning.work_folder import alone_in, claim
from xview_localizer.models.manifest import sha256
from xview_localizer.models.package import ModelPackage, default_package_path
from xview_localizer.models.xview import XviewSpec
from xview_localizer.recordings.bag import Drive
from xview_localizer.recordings.pairs import PairsDataset

# Each image is encoded this many times with different augmentation, because a site has few images.
ENCODINGS = 3


@dataclass(frozen=True)
class AdaptConfig:
    """The drives, and how to learn from them.

    The result is the weighted mean with the weights at the start, which count `start_share` (averaging.py).
    """

    drives: SiteDrives
    start: Path | None = None
    steps: int = 300
    start_share: float = 0.5
    device: str = "cpu"
    threads: int = 2

    @property
    def start_path(self) -> Path:
        return self.start or default_package_path()

    @property
    def train(self) -> TrainConfig:
        """Fine-tuning with a low learning rate.

        Crops of one site overlap, so pairs of different crops are not used as negatives. Drives have no depth images,
        so the depth of the start stands in for the true one.
        """
        return TrainConfig(
            steps=self.steps,
            learning_rate=5e-4,
            warmup_steps=min(50, self.steps // 4),
            wrong_pair_weight=0.0,
            checkpoint_every=50,
        )


@dataclass(frozen=True)
class Adaptation:
    """Results before and after; `objections` is empty where `out` was written (held_out.py)."""

    before: Figures
    after: Figures
    objections: tuple[str, ...]


def adapt_package(work: Path, out: Path, config: AdaptConfig, progress: Progress = Progress()) -> Adaptation:
    """Tune the package `config.start` to the drives and write it to `out`, if its results on held-out road allow that.

    Raises AdaptError, BagError, SettingsError, MapSourceError, ModelPackageError, CalibrationError, DeviceError, and
    WorkFolderError where `work` was made with other options or settings of the robots.
    """
    torch.set_num_threads(config.threads)
    require_device(config.device)
    start, drives = ModelPackage.load(config.start_path), config.drives.opened()
    options = {
        "start": sha256(config.start_path / "model.yaml"),
        "steps": config.steps,
        "start_share": config.start_share,
        **config.drives.options(drives),
    }
    with alone_in(work):
        claim(work / "recipe.json", options)
        return _adapted(work, out, start, drives, config, progress)


def _adapted(
    work: Path,
    out: Path,
    start: ModelPackage,
    drives: Sequence[Drive],
    config: AdaptConfig,
    progress: Progress,
) -> Adaptation:
    parts = site_pairs(work, drives, config.drives.reference, start, config.threads, progress)
    training = SiteTraining(work, parts, start, config, progress)
    before = training.judged(start, "before")
    candidate = training.tuned()
    after = training.judged(candidate, "after")
    adaptation = keep_without_objections(before, after, lambda: training.finished(candidate, before), out)
    write_json(asdict(adaptation), work / "adaptation.json")
    return adaptation


def keep_without_objections(
    before: Figures, after: Figures, finish: Callable[[], Path], out: Path
) -> Adaptation:
    """Copy the package that `finish` makes to `out`, unless `objections` finds a reason against it in the figures."""
    adaptation = Adaptation(before, after, objections(before, after))
    if not adaptation.objections:
        copy_package(finish(), out)
    return adaptation


@dataclass(frozen=True)
class SiteTraining:
    """The packages of one adaptation, all from `start` on the data sets `parts` (see site_pairs), kept under `work`."""

    work: Path
    parts: Mapping[str, PairsDataset]
    start: ModelPackage
    config: AdaptConfig
    progress: Progress = Progress()

    def judged(self, package: ModelPackage, name: str) -> Figures:
        """Results of a package on the road for judging; `name` is that of the file that keeps them."""
        file = self.work / f"{name}.json"
        return figures_on(self.parts["judge"], package, file, self.config.threads, self.progress)

    def tuned(self) -> ModelPackage:
        """The package with heads and calibration fitted to this site, held-out road left out of training."""
        candidate = self.work / "candidate"
        if not (candidate / "model.yaml").is_file():
            learn = self.parts["learn"]
            matcher = self._trained("learn", [learn])
            with new_folder(candidate) as unfinished:
                self._write(matcher, self.start.spec, unfinished, len(learn))
                self.progress.report("calibrating confidence and covariance on held-out road")
                calibrate_package(
                    unfinished, unfinished, [self.parts["calibrate"]], self.progress, self.parts["elsewhere"],
                    self.config.threads,
                )  # fmt: skip
        return ModelPackage.load(candidate)

    def finished(self, candidate: ModelPackage, before: Figures) -> Path:
        """The folder of the package trained on all of the road, or of `candidate` where it may not be used."""
        whole = self.on_all_road(candidate)
        found = objections(before, self.judged(ModelPackage.load(whole), "whole"))
        if found:
            self.progress.report(
                f"after training on all of the road {', '.join(found)}: the one judged before is taken"
            )
        return candidate.folder if found else whole

    def on_all_road(self, candidate: ModelPackage) -> Path:
        """The folder of the package trained in the same way on all images, with the calibration of `candidate`.

        That calibration was found on road that training had not seen, so it is cautious on this road.
        """
        whole = self.work / "whole"
        if not (whole / "model.yaml").is_file():
            datasets = [self.parts[name] for name in LEAST_IMAGES]
            spec = replace(self.start.spec, calibration=candidate.spec.calibration)
            matcher = self._trained("all", datasets)
            with new_folder(whole) as unfinished:
                self._write(matcher, spec, unfinished, sum(map(len, datasets)))
        return whole

    def _trained(self, name: str, datasets: Sequence[PairsDataset]) -> Matcher:
        """The matcher of `start` after training on the images of `datasets`; `name` is that of its checkpoint."""
        config, progress, start = self.config, self.progress, self.start
        backbone = engine_for(start.graphs["backbone"], EngineConfig(threads=config.threads))
        folders = []
        for dataset in datasets:
            for number in range(ENCODINGS):
                folders.append(self.work / f"features_{dataset.folder.name}_{number}")
                progress.report(f"encoding {dataset.folder}, {number + 1} of {ENCODINGS}")
                encode_pairs(dataset, start.spec, backbone, folders[-1], seed=number, track=progress.track)
        progress.report(f"training {config.steps} steps on {sum(map(len, datasets))} images")
        features = FeatureFolder(folders, progress.track, config.device)
        before, checkpoint = Matcher.of(start), self.work / f"checkpoint_{name}"
        matcher = train(
            features, checkpoint, config.train, progress.training, Matcher.of(start), config.device, before
        ).cpu()
        return averaged(before.cpu(), matcher, config.start_share) if config.start_share else matcher

    def _write(self, matcher: Matcher, spec: XviewSpec, out: Path, images: int) -> None:
        start = self.start
        provenance = f"{start.provenance} Heads tuned on {images} images of own drives."
        command = adapt_command(self.config)
        write_trained(matcher.eval(), start.folder, out, spec, start.licence, provenance, command)


def adapt_command(config: AdaptConfig) -> str:
    """The command that makes this package again."""
    drives = config.drives
    words = ["xview-localizer adapt", *(f"--bag {path}" for path in drives.folders)]
    words += [f"--params-file {drives.params_file}"] if drives.params_file else []
    words += [f"--topic {role}:={topic}" for role, topic in drives.topics.items()]
    words += [f"--reference {drives.reference}"] if drives.reference else []
    words += [f"--start {config.start_path}"]
    words += [f"--start-share {config.start_share}"] if config.start_share else []
    words += [f"--device {config.device}"] if config.device != AdaptConfig.device else []
    return " ".join([*words, f"--steps {config.steps} --out PACKAGE"])
