"""A model package adapted to the site of recorded drives, in one resumable command.

    bags → frames → poses → pairs by stretch of road → features → heads → calibration → judged on held-out road
         → heads once more, on all of the road

Every step stores its result under the work folder and is skipped where the result exists.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from xview_localizer.aerial.source import MapSource
from xview_localizer.assembly import build_localizer, open_map
from xview_localizer.engines.factory import EngineConfig, engine_for
from xview_localizer.evaluation.evaluate import evaluate_pairs
from xview_localizer.evaluation.reference import read_reference
from xview_localizer.learning.averaging import averaged
from xview_localizer.learning.bag_pairs import PosedFrame, posed_frames, write_pairs
from xview_localizer.learning.calibrate_package import calibrate_package
from xview_localizer.learning.drive_frames import cut_frames
from xview_localizer.learning.encode import encode_pairs
from xview_localizer.learning.features import FeatureFolder
from xview_localizer.learning.matcher import Matcher
from xview_localizer.learning.package_writer import copy_package, write_trained
from xview_localizer.learning.progress import Progress
from xview_localizer.learning.recipe import claim
from xview_localizer.learning.reference import AdaptError
from xview_localizer.learning.road_split import RoadSplit, split_road
from xview_localizer.learning.train import TrainConfig, train
from xview_localizer.models.manifest import sha256
from xview_localizer.models.networks import open_networks
from xview_localizer.models.package import ModelPackage, default_package_path
from xview_localizer.parameters.file import read_parameter_file
from xview_localizer.parameters.settings import Settings
from xview_localizer.parameters.table import Value
from xview_localizer.recordings.drives import open_drive
from xview_localizer.recordings.pairs import PairsDataset
from xview_localizer.strict_json import strict_json

# Less road has no room for the three parts and the gaps between them.
MIN_ROAD_M = 150.0
LEAST_IMAGES = {"learn": 12, "calibrate": 4, "judge": 6}
# An image is also searched for in prior discs that end at least this far from it, as an example of a wrong place.
ELSEWHERE_M = 5.0
# Each image is encoded this many times with different augmentation, because a site has few images.
ENCODINGS = 3
# Accepted losses on the held-out road: a little accuracy, and a share of poses that calibration no longer accepts.
MEDIAN_SLACK_M, ACCEPTED_SLACK = 0.1, 0.1


@dataclass(frozen=True)
class AdaptConfig:
    """The drives, and how to learn from them.

    The result is the weighted mean with the weights at the start, which count `start_share` (averaging.py).
    `map`: a parameter file of the node (.yaml) whose values overrule those of drive.yaml, or a map source in place of
    the drives' own. `reference`: see read_reference; without one, the tracker's most confident poses are the labels.
    """

    drives: tuple[Path, ...]
    map: str | None = None
    reference: str | None = None
    start: Path | None = None
    steps: int = 300
    start_share: float = 0.0
    device: str = "cpu"
    threads: int = 2

    @property
    def start_path(self) -> Path:
        return self.start or default_package_path()

    @property
    def train(self) -> TrainConfig:
        """Fine-tuning with a low learning rate.

        Crops of one site overlap, so pairs of different crops are not used as negatives. Drives have no depth images,
        so the cells are lifted by the network's own depth, which is not trained, and only the pose teaches.
        """
        return TrainConfig(
            steps=self.steps,
            learning_rate=3e-4,
            warmup_steps=min(50, self.steps // 4),
            wrong_pair_weight=0.0,
            checkpoint_every=50,
        )


@dataclass(frozen=True)
class Figures:
    """Results of a package on the images of the held-out road."""

    images: int
    within_2m: float
    median_m: float
    accepted: int
    wrong_accepted: int


@dataclass(frozen=True)
class Adaptation:
    """Results before and after; `worse` names the figures that got worse, and is empty where `out` was written."""

    before: Figures
    after: Figures
    worse: tuple[str, ...]


def adapt_package(work: Path, out: Path, config: AdaptConfig, progress: Progress = Progress()) -> Adaptation:
    """Tune the package `config.start` to the drives and write it to `out`, unless the held-out road got worse.

    Raises AdaptError, BagError, SettingsError, MapSourceError, ModelPackageError, CalibrationError, RecipeError.
    """
    torch.set_num_threads(config.threads)
    start = ModelPackage.load(config.start_path)
    claim(
        work,
        {
            "drives": [str(path.resolve()) for path in config.drives],
            "map": config.map,
            "reference": config.reference,
            "start": sha256(config.start_path / "model.yaml"),
            "steps": config.steps,
            "start_share": config.start_share,
        },
    )
    parts = _pairs(work, config, start, progress)
    before = _figures(work / "before.json", parts["judge"], start, config, progress)
    candidate = _tuned(work, parts, start, config, progress)
    after = _figures(work / "after.json", parts["judge"], candidate, config, progress)
    adaptation = keep_unless_worse(
        before, after, lambda: _finished(work, parts, candidate, start, before, config, progress), out
    )
    (work / "adaptation.json").write_text(strict_json(asdict(adaptation), indent=1) + "\n")
    return adaptation


def keep_unless_worse(before: Figures, after: Figures, finish: Callable[[], Path], out: Path) -> Adaptation:
    """Copy the package folder that `finish` returns to `out` where no figure got worse."""
    adaptation = Adaptation(before, after, got_worse(before, after))
    if not adaptation.worse:
        copy_package(finish(), out)
    return adaptation


def got_worse(before: Figures, after: Figures) -> tuple[str, ...]:
    """Names of the figures that got worse; fewer accepted poses count only where no fewer of them are wrong."""
    worse = []
    if after.within_2m < before.within_2m:
        worse.append("fewer images are within 2 m")
    if after.median_m > before.median_m + MEDIAN_SLACK_M:
        worse.append("the median error grew")
    if after.wrong_accepted > before.wrong_accepted:
        worse.append("more wrong poses are accepted")
    lost = before.accepted - after.accepted
    if lost > ACCEPTED_SLACK * before.images and after.wrong_accepted >= before.wrong_accepted:
        worse.append("fewer poses are accepted")
    return tuple(worse)


def _pairs(
    work: Path, config: AdaptConfig, start: ModelPackage, progress: Progress
) -> dict[str, PairsDataset]:
    """The data sets learn, calibrate, elsewhere (wrong places for calibration) and judge. Raises AdaptError."""
    names = ("learn", "calibrate", "elsewhere", "judge")
    if not (work / "pairs" / "split.json").is_file():
        posed: list[PosedFrame] = []
        for number, folder in enumerate(config.drives):
            settings, of_drive = _posed_drive(
                work / "frames" / f"drive_{number}", folder, config, start, progress
            )
            posed += of_drive
        # All drives are of one site, so the map and the datum of the last drive are used for all of them.
        _write_parts(work / "pairs", posed, open_map(settings), start.spec.aerial.metres_per_pixel, progress)
    return {name: PairsDataset(work / "pairs" / name) for name in names}


def _posed_drive(
    out: Path, folder: Path, config: AdaptConfig, start: ModelPackage, progress: Progress
) -> tuple[Settings, list[PosedFrame]]:
    drive = open_drive(folder, map_values(config.map))
    values = drive.values | {"model.package": str(config.start_path), "model.threads": config.threads}
    settings = Settings.from_values(values)
    reference = read_reference(config.reference, drive, settings) if config.reference else None
    progress.report(f"reading {folder}" + ("" if reference else ", localizing it"))
    localizer = build_localizer(settings, open_map(settings))
    frames = cut_frames(drive, settings, localizer, reference, out, progress.track)
    drift, independence_m = settings.tracker.odometry_drift, start.spec.calibration.independence_m
    posed = posed_frames(out, frames, reference is not None, drift, independence_m)
    progress.report(f"{len(posed)} of {len(frames)} images of {folder} have a pose")
    return settings, posed


def map_values(map_option: str | None) -> dict[str, Value]:
    """Parameter values of the option `--map`: those of a parameter file, or the map source alone."""
    if map_option is None:
        return {}
    if map_option.endswith((".yaml", ".yml")):
        return read_parameter_file(map_option)
    return {"map.source": map_option}


def _write_parts(
    out: Path, posed: Sequence[PosedFrame], source: MapSource, metres_per_pixel: float, progress: Progress
) -> None:
    """Write the pairs of each part and then split.json, which marks them as complete. Raises AdaptError."""
    split = split_road(np.array([item.xy_m for item in posed])) if posed else RoadSplit([], [], [], 0.0)
    if split.road_m < MIN_ROAD_M:
        raise AdaptError(
            f"only {split.road_m:.0f} m of road have confident poses, at least {MIN_ROAD_M:.0f} m are needed; "
            "record a longer drive, or give a --reference"
        )
    named = {}
    for name, least in LEAST_IMAGES.items():
        chosen = [posed[number] for number in getattr(split, name)]
        written = write_pairs(out / name, chosen, source, metres_per_pixel)
        if len(written) < least:
            raise AdaptError(
                f"only {len(written)} images to {name}, at least {least} are needed: much of the {split.road_m:.0f} m "
                "was driven more than once or lies outside of the map; drive along other streets too"
            )
        named[name] = [item.frame.id for item in written]
    elsewhere = _elsewhere(
        out / "learn", [posed[n] for n in split.learn], [posed[n] for n in split.calibrate]
    )
    (out / "elsewhere").mkdir(exist_ok=True)
    (out / "elsewhere" / "pairs.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in elsewhere))
    (out / "split.json").write_text(json.dumps({"road_m": split.road_m, **named}, indent=1))
    progress.report(", ".join(f"{len(ids)} images to {name}" for name, ids in named.items()))


def _elsewhere(learn: Path, learned: Sequence[PosedFrame], calibrating: Sequence[PosedFrame]) -> list[dict]:
    """Entries of `learn` whose prior discs hold none of the images for calibration."""
    far = {
        item.frame.id
        for item in learned
        if all(
            sum((item.frame.prior.xy_m - other.xy_m) ** 2) ** 0.5 > item.frame.prior.radius_m + ELSEWHERE_M
            for other in calibrating
        )
    }
    entries = [json.loads(line) for line in (learn / "pairs.jsonl").read_text().splitlines()]
    chosen = [entry for entry in entries if entry["id"] in far]
    for entry in chosen:
        entry["aerial"]["image"] = f"../learn/{entry['aerial']['image']}"
    return chosen[:: max(1, len(chosen) // len(calibrating))]


def _tuned(
    work: Path, parts: dict[str, PairsDataset], start: ModelPackage, config: AdaptConfig, progress: Progress
) -> ModelPackage:
    """The package with heads and calibration fitted to this site, held-out road left out of training."""
    candidate, tuned = work / "candidate", work / "tuned"
    if (candidate / "model.yaml").is_file():
        return ModelPackage.load(candidate)
    matcher = _trained(work, "learn", [parts["learn"]], start, config, progress)
    _write(matcher, start, tuned, len(parts["learn"]), config)
    progress.report("calibrating confidence and covariance on held-out road")
    return calibrate_package(tuned, candidate, [parts["calibrate"]], progress, parts["elsewhere"])


def _finished(
    work: Path,
    parts: dict[str, PairsDataset],
    candidate: ModelPackage,
    start: ModelPackage,
    before: Figures,
    config: AdaptConfig,
    progress: Progress,
) -> Path:
    """The folder of the package trained on all of the road, or of `candidate` where the former got worse."""
    whole = _on_all_road(work, parts, candidate, start, config, progress)
    figures = _figures(work / "whole.json", parts["judge"], ModelPackage.load(whole), config, progress)
    worse = got_worse(before, figures)
    if worse:
        progress.report(
            f"after training on all of the road {', '.join(worse)}: the one judged before is taken"
        )
    return candidate.folder if worse else whole


def _on_all_road(
    work: Path,
    parts: dict[str, PairsDataset],
    candidate: ModelPackage,
    start: ModelPackage,
    config: AdaptConfig,
    progress: Progress,
) -> Path:
    """The folder of the package trained in the same way on all images, with the calibration of `candidate`.

    That calibration was found on road that training had not seen, so it is cautious on this road.
    """
    whole = work / "whole"
    if not (whole / "model.yaml").is_file():
        datasets = [parts[name] for name in LEAST_IMAGES]
        matcher = _trained(work, "all", datasets, start, config, progress)
        unfinished, images = work / "whole.unfinished", sum(map(len, datasets))
        spec = replace(start.spec, calibration=candidate.spec.calibration)
        _write(matcher, replace(start, spec=spec), unfinished, images, config)
        unfinished.rename(whole)
    return whole


def _trained(
    work: Path,
    name: str,
    datasets: Sequence[PairsDataset],
    start: ModelPackage,
    config: AdaptConfig,
    progress: Progress,
) -> Matcher:
    """The matcher of `start` after training on the images of `datasets`; `name` is that of its checkpoint."""
    backbone = engine_for(start.graphs["backbone"], EngineConfig(threads=config.threads))
    folders = []
    for dataset in datasets:
        for number in range(ENCODINGS):
            folders.append(work / f"features_{dataset.folder.name}_{number}")
            progress.report(f"encoding {dataset.folder}, {number + 1} of {ENCODINGS}")
            encode_pairs(dataset, start.spec, backbone, folders[-1], seed=number, track=progress.track)
    progress.report(f"training {config.steps} steps on {sum(map(len, datasets))} images")
    features = FeatureFolder(folders, progress.track, config.device)
    before, checkpoint = Matcher.of(start), work / f"checkpoint_{name}"
    matcher = train(
        features, checkpoint, config.train, progress.training, Matcher.of(start), config.device
    ).cpu()
    return averaged(before, matcher, config.start_share) if config.start_share else matcher


def _write(matcher: Matcher, start: ModelPackage, out: Path, images: int, config: AdaptConfig) -> None:
    provenance = f"{start.provenance} Heads tuned on {images} images of own drives."
    command = _adapt_command(config)
    write_trained(matcher.eval(), start.folder, out, start.spec, start.licence, provenance, command)


def _adapt_command(config: AdaptConfig) -> str:
    """The command that makes this package again."""
    words = ["xview-localizer adapt", *(f"--bag {path}" for path in config.drives)]
    words += [f"--map {config.map}"] if config.map else []
    words += [f"--reference {config.reference}"] if config.reference else []
    words += [f"--start {config.start_path}"]
    words += [f"--start-share {config.start_share}"] if config.start_share else []
    return " ".join([*words, f"--steps {config.steps} --out PACKAGE"])


def _figures(
    file: Path, judge: PairsDataset, package: ModelPackage, config: AdaptConfig, progress: Progress
) -> Figures:
    """Results of a package on the held-out road; kept in `file`, so they are computed once."""
    if not file.is_file():
        progress.report(f"judging {package.folder} on held-out road")
        networks = open_networks(package, EngineConfig(threads=config.threads))
        file.write_text(strict_json(evaluate_pairs(judge, networks, track=progress.track), indent=1))
    metrics = json.loads(file.read_text())
    return Figures(
        metrics["n"],
        metrics["recall_2m"],
        metrics["position_median_m"],
        metrics["n_accepted"],
        metrics["false_accepts"],
    )
