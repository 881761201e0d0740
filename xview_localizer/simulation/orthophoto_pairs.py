"""Scenes raised from aerial photos as a data set in the `pairs` format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from xview_localizer.simulation.orthophoto_scene import OrthophotoScene
from xview_localizer.simulation.pairs_writer import GROUP_SIZE, PairsConfig, write_images, write_index
from xview_localizer.simulation.photo import SCENE_M, OrthophotoError, PhotoSource
from xview_localizer.simulation.town import TownError

TRIES = 8  # windows that are tried until one has room for a camera
STYLE = "orthophoto"


def make_orthophoto_pairs(
    out: Path | str,
    photos: Sequence[PhotoSource],
    seeds: Iterable[int],
    config: PairsConfig,
    workers: int = 1,
) -> None:
    """Write one folder of pairs, a scene of `config.images_per_town` images for each seed.

    The photos are used in turn. The same arguments give the same files. Raises OrthophotoError where a photo cannot
    be used, and where none of TRIES windows has room for a camera.
    """
    if not photos:
        raise OrthophotoError("no photos to raise scenes from")
    if config.keyframes > 1:
        raise OrthophotoError(
            "scenes raised from photos have no drives; set keyframes to 1 for single images"
        )
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    sized = replace(config, town_size_m=SCENE_M)
    jobs = [(out, photos[number % len(photos)], int(seed), sized) for number, seed in enumerate(seeds)]
    write_index(out, write_scene, jobs, workers)


def write_scene(job: tuple[Path, PhotoSource, int, PairsConfig]) -> list[dict]:
    """Write the images of one scene and return their entries of pairs.jsonl; skips windows without free places."""
    out, source, seed, config = job
    cv2.setNumThreads(1)
    rng = np.random.default_rng((seed, 5))
    for attempt in range(TRIES):
        scene = OrthophotoScene.generate(source.photo(rng), seed + 1_000_003 * attempt)
        try:
            poses = scene.places(config.images_per_town, rng)
        except TownError as error:
            problem = error
            continue
        entries = []
        for crop, first in enumerate(range(0, len(poses), GROUP_SIZE)):
            name = f"{seed:06d}_{crop}"
            entries += write_images(out, scene, name, poses[first : first + GROUP_SIZE], config, rng)
        return [entry | {"style": STYLE} for entry in entries]
    raise OrthophotoError(f"{source.path}: {problem}") from problem
