"""Streets on a hillside: images of an inclined town, localized as if the ground were level, and on either ground.

To a robot that stands on it, an inclined town looks like a level one, only gravity leans. So level pairs are localized
with gravity that leans in a direction drawn for each image. benchmarks/README.md explains the figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.engines.factory import EngineConfig
from xview_localizer.evaluation.bench import machine
from xview_localizer.evaluation.metrics import write_json
from xview_localizer.evaluation.spreading import spread
from xview_localizer.localizer import Localizer
from xview_localizer.models.contracts import Networks
from xview_localizer.models.networks import open_networks
from xview_localizer.models.package import ModelPackage, default_package_path
from xview_localizer.observation import IDENTITY_POSE, PlacedObservation
from xview_localizer.recordings.pairs import PairRecord, PairsDataset, ground_view

SLOPES_DEG = (0.0, 2.1, 3.0, 5.0, 8.0)
GROUNDS = ("level only", "either ground")


@dataclass(frozen=True)
class Answer:
    """One image's pose: its error, whether it was accepted, and the NEES of its position (2 is ideal)."""

    error_m: float
    accepted: bool
    position_nees: float
    on_slope: bool


def leaning_gravity(slope_deg: float, rng: np.random.Generator) -> np.ndarray:
    """Gravity [3] in the base_link of a robot on a slope that falls in a direction drawn at random."""
    slope_rad, towards_rad = np.radians(slope_deg), rng.uniform(0, 2 * np.pi)
    level = np.sin(slope_rad) * np.array([np.cos(towards_rad), np.sin(towards_rad)])
    return np.array([*level, -np.cos(slope_rad)])


def localize(record: PairRecord, localizer: Localizer, gravity_base: np.ndarray) -> dict[str, Answer]:
    """The record's answer as if the ground were level, and that of the localizer."""
    seen = localizer.observe(replace(ground_view(record), gravity_base=gravity_base))
    answers = {}
    for name, observation in zip(GROUNDS, (seen.on_ground(slope=False), seen), strict=True):
        modes = localizer.modes([PlacedObservation(observation, IDENTITY_POSE)], record.prior)
        fix = localizer.judge(modes)
        error_m = np.array([fix.x_m - record.truth.x_m, fix.y_m - record.truth.y_m])
        nees = float(error_m @ np.linalg.solve(fix.covariance[:2, :2], error_m))
        answers[name] = Answer(float(np.hypot(*error_m)), fix.accepted, nees, modes.on_slope)
    return answers


def compare(
    records: Sequence[PairRecord], networks: Networks, slope_deg: float
) -> dict[str, dict[str, float]]:
    """Figures of all records on a slope, by what the ground is taken for."""
    found: dict[str, list[Answer]] = {name: [] for name in GROUNDS}
    for number, record in enumerate(records):
        print(f"\r{slope_deg}°: {number + 1} of {len(records)}", end="", flush=True)
        localizer = Localizer(networks, InMemoryMap(record.load_aerial()))
        gravity_base = leaning_gravity(slope_deg, np.random.default_rng(number))
        for name, answer in localize(record, localizer, gravity_base).items():
            found[name].append(answer)
    print()
    return {f"{slope_deg}°, {name}": row(answers) for name, answers in found.items()}


def row(answers: Sequence[Answer]) -> dict[str, float]:
    """One row of the table; the error of a missing pose is infinite."""
    error_m = np.nan_to_num(np.array([answer.error_m for answer in answers]), nan=np.inf)
    accepted = np.array([answer.accepted for answer in answers])
    nees = np.array([answer.position_nees for answer in answers])
    return {
        "images": len(answers),
        "median_m": float(np.median(error_m)),
        "within_2m": float((error_m <= 2).mean()),
        "accepted": int(accepted.sum()),
        "accepted_off_2m": int((accepted & (error_m > 2)).sum()),
        "position_nees_median": float(np.median(nees[accepted])) if accepted.any() else float("nan"),
        "on_slope": int(sum(answer.on_slope for answer in answers)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Localize images of an inclined town")
    parser.add_argument("--pairs", type=Path, required=True, help="pairs folder of a level town")
    parser.add_argument("--images", type=int, default=60, help="how many of them, spread over all")
    parser.add_argument("--model", type=Path, help="model package; default: the embedded one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("slopes.json"))
    arguments = parser.parse_args()
    package = ModelPackage.load(arguments.model or default_package_path())
    networks = open_networks(package, EngineConfig(threads=arguments.threads))
    records = spread(PairsDataset(arguments.pairs).records, arguments.images)
    rows: dict[str, dict[str, float]] = {}
    for slope_deg in SLOPES_DEG:
        rows |= compare(records, networks, slope_deg)
    for name, figures in rows.items():
        cells = "  ".join(
            f"{key} {value:.2f}" if isinstance(value, float) else f"{key} {value}"
            for key, value in figures.items()
        )
        print(f"{name:22} {cells}")
    write_json({"machine": machine(), "pairs": str(arguments.pairs), "rows": rows}, arguments.out)


if __name__ == "__main__":
    main()
