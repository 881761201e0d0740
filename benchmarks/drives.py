"""Many simulated drives localized and judged: both cameras, plain streets and streets that repeat.

Drives are made once and kept in the folder; benchmarks/README.md explains the figures.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np

from xview_localizer.assembly import build_localizer, open_map
from xview_localizer.evaluation.drive import judge_drive
from xview_localizer.evaluation.drive_summary import summarize_drives
from xview_localizer.evaluation.metrics import write_json
from xview_localizer.evaluation.reference import read_reference
from xview_localizer.evaluation.trajectory import DriveResult
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import Drive
from xview_localizer.recordings.drive_file import read_drive
from xview_localizer.recordings.offline import localize_drive
from xview_localizer.records import write_records
from xview_localizer.simulation.drive import DriveConfig, simulate_drive
from xview_localizer.simulation.sensors import GnssError
from xview_localizer.simulation.town import TownError

COMBINATIONS = tuple(product(("equirectangular", "pinhole"), ("plain", "repeating")))
TOWN_SIZE_M = 300.0  # a straight street of 220 m lies 40 m inside
GNSS_BIAS_M = (5.0, 20.0)  # length of the bias, not by axis
ATTEMPTS = 5  # towns that are tried until one has a free route
NEXT_SEED = 1000  # step of the seed between attempts, so that no two drives share a town


@dataclass(frozen=True)
class DriveJob:
    """One drive of the benchmark and its folder."""

    folder: Path
    kind: str
    streets: str
    seed: int
    length_m: float

    @classmethod
    def all(cls, out: Path, first_seed: int, count: int, length_m: float) -> list[DriveJob]:
        """`count` drives over all combinations in turn."""
        jobs = []
        for number in range(count):
            kind, streets = COMBINATIONS[number % len(COMBINATIONS)]
            seed = first_seed + number
            jobs.append(cls(out / f"{streets}_{kind}_{seed}", kind, streets, seed, length_m))
        return jobs

    def make(self) -> str:
        """Simulate the drive where it is missing; returns a message. Raises TownError."""
        if self.folder.is_dir():
            return f"{self.folder.name}: exists"
        config = DriveConfig(
            length_m=self.length_m,
            town_size_m=TOWN_SIZE_M,
            kind=self.kind,
            streets=self.streets,
            gnss_error=gnss_error(self.seed),
        )
        problems = []
        for seed in range(self.seed, self.seed + ATTEMPTS * NEXT_SEED, NEXT_SEED):
            try:
                simulate_drive(self.folder, seed, config)
            except TownError as error:
                problems.append(str(error))
                continue
            return f"{self.folder.name}: made" + "".join(f" ({problem})" for problem in problems)
        raise TownError(f"{self.folder.name}: none of {ATTEMPTS} towns has a free route: {problems[-1]}")

    def localize(self, model: Path | None, records_to: Path | None) -> DriveResult:
        """See `localize`."""
        records_file = records_to / f"{self.folder.name}.jsonl" if records_to else None
        return localize(read_drive(self.folder), model, records_file)


def gnss_error(seed: int) -> GnssError:
    """GNSS errors with a bias whose length is drawn from GNSS_BIAS_M by the drive's seed."""
    bias_m = np.random.default_rng((seed, 7)).uniform(*GNSS_BIAS_M)
    return GnssError(bias_sigma_m=float(bias_m / np.sqrt(2)))


def localize(drive: Drive, model: Path | None, records_file: Path | None = None) -> DriveResult:
    """A drive localized on one thread and compared with its truth; its rate is that of CPU time. Raises BagError."""
    settings = Settings.from_values({**drive.values, "model.threads": 1, "model.package": str(model or "")})
    localizer = build_localizer(settings, open_map(settings))
    began_sec = time.process_time()  # the machine may have other work
    records = list(localize_drive(drive, localizer, settings))
    rate_hz = len(records) / (time.process_time() - began_sec)
    if records_file:
        write_records(records_file, records)
    return judge_drive(drive, read_reference(None, drive, settings), settings, records, rate_hz)


def run_job(
    job: DriveJob, only_make: bool, model: Path | None, records_to: Path | None
) -> tuple[str, DriveResult | None]:
    """Make a drive and, unless `only_make`, localize it; returns a message and the result."""
    cv2.setNumThreads(1)
    try:
        message = job.make()
    except TownError as error:
        return str(error), None
    return message, None if only_make else job.localize(model, records_to)


def print_table(rows: dict[str, dict]) -> None:
    """Print one column for each set of drives and one line for each figure, then the reliability of confidence."""
    width = max(map(len, rows)) + 2
    print(f"{'':26}" + "".join(f"{name:>{width}}" for name in rows))
    figures = [key for key in next(iter(rows.values())) if key != "reliability"]
    for key in figures:
        values = [row[key] for row in rows.values()]
        cells = [f"{value:.2f}" if isinstance(value, float) else str(value) for value in values]
        print(f"{key:26}" + "".join(f"{cell:>{width}}" for cell in cells))
    print("reliability: share within 2 m / mean confidence (images)")
    for bins in zip(*(row["reliability"] for row in rows.values()), strict=True):
        cells = [
            f"{entry['within_2m']:.2f}/{entry['confidence_mean']:.2f} ({entry['count']})"
            if entry["count"]
            else "-"
            for entry in bins
        ]
        span = f"  {bins[0]['from']:.1f} to {bins[0]['to']:.1f}"
        print(f"{span:26}" + "".join(f"{cell:>{width}}" for cell in cells))


def summarize_by_combination(results: Sequence[tuple[DriveJob, DriveResult]]) -> dict[str, dict]:
    """Summaries of each combination that has drives, and of all drives."""
    rows = {}
    for kind, streets in COMBINATIONS:
        chosen = [result for job, result in results if (job.kind, job.streets) == (kind, streets)]
        if chosen:
            rows[f"{kind} {streets}"] = summarize_drives(chosen)
    return rows | {"all": summarize_drives([result for _, result in results])}


def main() -> None:
    parser = argparse.ArgumentParser(description="Localize and judge many simulated drives")
    parser.add_argument("--out", type=Path, required=True, help="folder of the drives, made where missing")
    parser.add_argument("--seeds", type=int, default=24, help="number of drives")
    parser.add_argument("--first-seed", type=int, default=910100)
    parser.add_argument("--length", type=float, default=200.0, help="metres")
    parser.add_argument("--jobs", type=int, default=2, help="processes, each with one thread")
    parser.add_argument("--only-make", action="store_true", help="make the drives, localize nothing")
    parser.add_argument("--model", type=Path, help="model package; default: the embedded one")
    parser.add_argument("--json", type=Path, help="where to write the figures; default: OUT/summary.json")
    parser.add_argument("--records", type=Path, help="folder for each drive's records")
    arguments = parser.parse_args()
    for folder in filter(None, (arguments.out, arguments.records)):
        folder.mkdir(parents=True, exist_ok=True)
    jobs = DriveJob.all(arguments.out, arguments.first_seed, arguments.seeds, arguments.length)
    results: list[tuple[DriveJob, DriveResult]] = []
    context = multiprocessing.get_context("spawn")  # ONNX Runtime's threads do not survive a fork
    with ProcessPoolExecutor(arguments.jobs, context) as pool:
        options = (arguments.only_make, arguments.model, arguments.records)
        running = {pool.submit(run_job, job, *options): job for job in jobs}
        for future in as_completed(running):
            message, result = future.result()
            print(message, flush=True)
            if result:
                results.append((running[future], result))
    if results:
        rows = summarize_by_combination(results)
        write_json(rows, arguments.json or arguments.out / "summary.json")
        print_table(rows)


if __name__ == "__main__":
    main()
