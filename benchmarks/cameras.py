"""One, two and four pinhole cameras, in step and not, and a panorama on the same simulated drives.

Drives are made once and kept in the folder; benchmarks/README.md says how to read the figures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from drives import GNSS_BIAS_M, print_table

from xview_localizer.assembly import build_localizer, open_map
from xview_localizer.bag import Drive, read_drive
from xview_localizer.evaluation.drive import judge_drive
from xview_localizer.evaluation.drive_summary import summarize_drives
from xview_localizer.evaluation.metrics import write_json
from xview_localizer.evaluation.reference import read_reference
from xview_localizer.evaluation.trajectory import DriveResult
from xview_localizer.offline import localize_drive
from xview_localizer.settings import Settings
from xview_localizer.simulation.drive import SURROUND, DriveConfig, RigCamera, simulate_drive
from xview_localizer.simulation.sensors import GnssError
from xview_localizer.simulation.town import TownError

TOWN_SIZE_M, LATE_SEC = 260.0, 0.2
FRONT, LEFT, REAR, RIGHT = SURROUND
LATE = RigCamera("left_late", LEFT.in_base_m, LEFT.rpy_deg, LATE_SEC)
SETS = {
    "1": (FRONT,),
    "2": (FRONT, LEFT),
    "2, 0.2 s apart": (FRONT, LATE),
    "4": SURROUND,
}
PANORAMA = "panorama"


def make_drive(folder: Path, seed: int, config: DriveConfig) -> Path | None:
    """The drive unless it is there; None where its town has no free route."""
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(f".{folder.name}")  # a drive that was cut off is made anew
    try:
        simulate_drive(unfinished, seed, config)
    except TownError as error:
        print(error, flush=True)
        return None
    return unfinished.rename(folder)


def only(drive: Drive, cameras: Sequence[RigCamera]) -> Drive:
    """The drive as a robot with these cameras would have recorded it."""
    names = [camera.name for camera in cameras]
    own = tuple(f"camera.{name}." for name in names)
    values = {name: value for name, value in drive.values.items() if not name.startswith("camera")}
    values |= {name: value for name, value in drive.values.items() if name.startswith(own)}
    topics = {
        role: topic for role, topic in drive.topics.items() if "/" not in role or role.split("/")[0] in names
    }
    return replace(drive, values=values | {"cameras": tuple(names)}, topics=topics)


def localize(drive: Drive, model: Path | None) -> DriveResult:
    """The drive localized on one thread and held against its truth. Raises BagError."""
    settings = Settings.from_values({**drive.values, "model.threads": 1, "model.package": str(model or "")})
    localizer = build_localizer(settings, open_map(settings))
    began = time.perf_counter()
    records = list(localize_drive(drive, localizer, settings))
    rate_hz = len(records) / (time.perf_counter() - began)
    return judge_drive(drive, read_reference(None, drive, settings), settings, records, rate_hz)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare numbers of cameras on simulated drives")
    parser.add_argument("--out", type=Path, required=True, help="folder of the drives, made where missing")
    parser.add_argument("--seeds", type=int, default=12, help="number of drives")
    parser.add_argument("--first-seed", type=int, default=910000)
    parser.add_argument("--length", type=float, default=160.0, help="metres")
    parser.add_argument("--rate", type=float, default=1.0, help="images of each camera, Hz")
    parser.add_argument("--model", type=Path, help="model package; default: the embedded one")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    results: dict[str, list[DriveResult]] = {name: [] for name in (*SETS, PANORAMA)}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        bias_m = float(np.random.default_rng((seed, 7)).uniform(*GNSS_BIAS_M))
        config = DriveConfig(
            length_m=arguments.length,
            town_size_m=TOWN_SIZE_M,
            kind="pinhole",
            streets="repeating" if seed % 2 else "plain",
            image_rate_hz=arguments.rate,
            gnss_error=GnssError(bias_sigma_m=bias_m / np.sqrt(2)),
        )
        rig = make_drive(arguments.out / f"{seed}_rig", seed, replace(config, cameras=(*SURROUND, LATE)))
        wide = make_drive(arguments.out / f"{seed}_{PANORAMA}", seed, replace(config, kind="equirectangular"))
        if rig is None or wide is None:
            continue
        for name, cameras in SETS.items():
            results[name].append(localize(only(read_drive(rig), cameras), arguments.model))
        results[PANORAMA].append(localize(read_drive(wide), arguments.model))
        print(f"{seed}: localized", flush=True)
    rows = {name: summarize_drives(of_set) for name, of_set in results.items() if of_set}
    write_json(rows, arguments.out / "cameras.json")
    if rows:
        print_table(rows)


if __name__ == "__main__":
    main()
