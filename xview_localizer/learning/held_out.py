"""Results of a package on held-out road, and reasons in them not to use it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from xview_localizer.engines.factory import EngineConfig
from xview_localizer.evaluation.evaluate import evaluate_pairs
from xview_localizer.evaluation.metrics import write_json
from xview_localizer.learning.progress import Progress
from xview_localizer.models.networks import open_networks
from xview_localizer.models.package import ModelPackage
from xview_localizer.recordings.pairs import PairsDataset

# What may get worse on the held-out road: the median error by MEDIAN_SLACK_M, and the number of accepted poses by the
# share ACCEPTED_SLACK of the images.
MEDIAN_SLACK_M, ACCEPTED_SLACK = 0.1, 0.1
# A trained network has a far greater share of images within 2 m on even the hardest streets, so a smaller share has
# another cause than the network. By chance it would be about 1 %.
LEAST_WITHIN_2M = 0.1


@dataclass(frozen=True)
class Figures:
    """Results of a package on the images of the held-out road."""

    images: int
    within_2m: float
    median_m: float
    accepted: int
    wrong_accepted: int


def objections(before: Figures, after: Figures) -> tuple[str, ...]:
    """The figures that got worse, or are so bad that the pairs must be wrong; empty for a package that may be used.

    Fewer accepted poses count only where no fewer of them are wrong.
    """
    found = []
    if after.within_2m < LEAST_WITHIN_2M:
        found.append(
            f"{100 * after.within_2m:.0f} % of the images are within 2 m, so map, mountings and poses do not fit each "
            "other (xview-localizer evaluate --bag judges a drive)"
        )
    if after.within_2m < before.within_2m:
        found.append("fewer images are within 2 m")
    if after.median_m > before.median_m + MEDIAN_SLACK_M:
        found.append("the median error grew")
    if after.wrong_accepted > before.wrong_accepted:
        found.append("more wrong poses are accepted")
    lost = before.accepted - after.accepted
    if lost > ACCEPTED_SLACK * before.images and after.wrong_accepted >= before.wrong_accepted:
        found.append("fewer poses are accepted")
    return tuple(found)


def figures_on(
    judge: PairsDataset, package: ModelPackage, file: Path, threads: int, progress: Progress
) -> Figures:
    """Results of a package on the held-out road; kept in `file`, so they are computed once."""
    if not file.is_file():
        progress.report(f"judging {package.folder} on held-out road")
        networks = open_networks(package, EngineConfig(threads=threads))
        write_json(evaluate_pairs(judge, networks, track=progress.track), file)
    metrics = json.loads(file.read_text())
    return Figures(
        metrics["n"],
        metrics["recall_2m"],
        metrics["position_median_m"],
        metrics["n_accepted"],
        metrics["false_accepts"],
    )
