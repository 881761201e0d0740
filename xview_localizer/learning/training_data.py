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
        seeds = range(number * config.scenes, (number + 1) * config.scenes)
        yield f"scenes_{kind}", _scenes(work / f"scenes_{kind}", config, kind, seeds, progress)
    for number, kind in enumerate(config.kinds if config.towns else ()):
        first = config.first_seed + number * config.towns
        seeds = range(first, first + config.towns)
        yield kind, _towns(work / f"pairs_{kind}", config, kind, seeds, progress)
    for number, path in enumerate(config.pairs):
        yield f"pairs_{number}", PairsDataset(path)


def validation_sets(work: Path, config: RecipeConfig, progress: Progress) -> list[PairsDataset]:
    """Data sets of towns of other seeds and of held-out windows of the orthophotos, rendered where missing."""
    seeds = range(VALIDATION_FIRST_SEED, VALIDATION_FIRST_SEED + config.validation_towns)
    datasets = []
    for kind in config.kinds:
        datasets.append(_towns(work / f"validation_{kind}", config, kind, seeds, progress))
        if config.orthophotos:
            scenes = work / f"validation_scenes_{kind}"
            datasets.append(_scenes(scenes, config, kind, seeds, progress, held_out=True))
    return datasets


def _towns(out: Path, config: RecipeConfig, kind: str, seeds: range, progress: Progress) -> PairsDataset:
    if not (out / "pairs.jsonl").exists():
        progress.report(f"rendering {len(seeds)} towns ({kind}) into {out}")
        make_pairs(out, seeds, towns_of(kind, config), config.workers)
    return PairsDataset(out)


def _scenes(
    out: Path, config: RecipeConfig, kind: str, seeds: range, progress: Progress, held_out: bool = False
) -> PairsDataset:
    if not (out / "pairs.jsonl").exists():
        progress.report(f"raising {len(seeds)} scenes ({kind}) from photos in {out}")
        pairs = PairsConfig(kind, config.images_per_town, varied=True)
        make_orthophoto_pairs(out, photo_sources(config, held_out), seeds, pairs, config.workers)
    return PairsDataset(out)
