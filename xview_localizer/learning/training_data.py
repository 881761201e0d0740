"""The data sets of a recipe: towns, scenes raised from photos and own pairs; rendered where they are missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from xview_localizer.learning.progress import Progress
from xview_localizer.learning.recipe_config import RecipeConfig, RecipeError
from xview_localizer.recordings.pairs import PairsDataset
from xview_localizer.simulation.families import CLASSIC
from xview_localizer.simulation.orthophoto_file import OrthophotoFile
from xview_localizer.simulation.orthophoto_pairs import make_orthophoto_pairs
from xview_localizer.simulation.pairs_writer import PairsConfig, make_pairs
from xview_localizer.simulation.photo import PhotoSource, photos_of

VALIDATION_FIRST_SEED = 500_000  # beyond the seeds of training towns


def photo_sources(config: RecipeConfig, held_out: bool = False) -> list[PhotoSource]:
    """The photos from which scenes are raised: for training, or the held-out windows of the orthophotos."""
    sources: list[PhotoSource] = [OrthophotoFile(path, held_out) for path in config.orthophotos]
    return sources + (photos_of(config.photos) if config.photos and not held_out else [])


def towns_of(kind: str, config: RecipeConfig) -> PairsConfig:
    """How the towns of a camera kind are rendered. Raises RecipeError for an unknown style."""
    varied = config.styles != (CLASSIC,)
    try:
        return PairsConfig(kind, config.images_per_town, families=config.styles, varied=varied)
    except ValueError as error:
        raise RecipeError(str(error)) from error


def training_sets(work: Path, config: RecipeConfig, progress: Progress) -> Iterator[tuple[str, PairsDataset]]:
    """The training data sets, each with a unique name; scenes and towns are rendered where missing."""
    for number, kind in enumerate(config.kinds if config.scenes_of_each_kind else ()):
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
            make_pairs(pairs, seeds, towns_of(kind, config), config.workers)
        yield kind, PairsDataset(pairs)
    for number, path in enumerate(config.pairs):
        yield f"pairs_{number}", PairsDataset(path)


def validation_sets(work: Path, config: RecipeConfig) -> list[PairsDataset]:
    """Data sets of towns of other seeds and of held-out windows of the orthophotos, rendered where missing."""
    seeds = range(VALIDATION_FIRST_SEED, VALIDATION_FIRST_SEED + config.validation_towns)
    datasets = []
    for kind in config.kinds:
        pairs = work / f"validation_{kind}"
        if not (pairs / "pairs.jsonl").exists():
            make_pairs(pairs, seeds, towns_of(kind, config), config.workers)
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
            photo_sources(config, held_out),
            seeds,
            PairsConfig(kind, config.images_per_town, varied=True),
            config.workers,
        )
