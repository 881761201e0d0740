"""Results of a package on held-out road, and which of them are worse than before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from xview_localizer.engines.factory import EngineConfig
from xview_localizer.evaluation.evaluate import evaluate_pairs
from xview_localizer.learning.progress import Progress
from xview_localizer.models.networks import open_networks
from xview_localizer.models.package import ModelPackage
from xview_localizer.recordings.pairs import PairsDataset
from xview_localizer.strict_json import strict_json

# Accepted losses on the held-out road: a little accuracy, and a share of poses that calibration no longer accepts.
MEDIAN_SLACK_M, ACCEPTED_SLACK = 0.1, 0.1


@dataclass(frozen=True)
class Figures:
    """Results of a package on the images of the held-out road."""

    images: int
    within_2m: float
    median_m: float
    accepted: int
    wrong_accepted: int


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


def figures_on(
    judge: PairsDataset, package: ModelPackage, file: Path, threads: int, progress: Progress
) -> Figures:
    """Results of a package on the held-out road; kept in `file`, so they are computed once."""
    if not file.is_file():
        progress.report(f"judging {package.folder} on held-out road")
        networks = open_networks(package, EngineConfig(threads=threads))
        file.write_text(strict_json(evaluate_pairs(judge, networks, track=progress.track), indent=1))
    metrics = json.loads(file.read_text())
    return Figures(
        metrics["n"],
        metrics["recall_2m"],
        metrics["position_median_m"],
        metrics["n_accepted"],
        metrics["false_accepts"],
    )
