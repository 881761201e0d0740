"""Comparison of one, two and four pinhole cameras, in step and not, and a panorama on the same simulated drives.

Drives are made once and kept in the folder; benchmarks/README.md explains the figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
from drives import gnss_error, localize, print_table

from xview_localizer.evaluation.drive_summary import summarize_drives
from xview_localizer.evaluation.metrics import Metrics, write_json
from xview_localizer.evaluation.trajectory import DriveResult
from xview_localizer.recordings.bag import Drive
from xview_localizer.recordings.drive_file import read_drive
from xview_localizer.simulation.drive import SURROUND, DriveConfig, RigCamera, simulate_drive
from xview_localizer.simulation.town import TownError

TOWN_SIZE_M, LATE_SEC = 260.0, 0.2
FRONT, LEFT = SURROUND[:2]
LATE = RigCamera("left_late", LEFT.in_base_m, LEFT.rpy_deg, LATE_SEC)
SETS = {
    "1": (FRONT,),
    "2": (FRONT, LEFT),
    "2, 0.2 s apart": (FRONT, LATE),
    "4": SURROUND,
}
PANORAMA = "panorama"


def made_drive(folder: Path, seed: int, config: DriveConfig) -> Path | None:
    """Folder of the drive, made where it is missing; None where its town has no free route."""
    if not folder.is_dir():
        try:
            simulate_drive(folder, seed, config)
        except TownError as error:
            print(error, flush=True)
            return None
    return folder


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


def figures_of(results: Sequence[DriveResult]) -> Metrics:
    """Figures over the drives of one set of cameras, with the CPU time that a moment takes."""
    cpu_sec = sum(len(result.records) / result.rate_hz for result in results)
    images = sum(len(result.records) for result in results)
    return summarize_drives(results) | {"cpu_sec_per_moment": cpu_sec / images}


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
        config = DriveConfig(
            length_m=arguments.length,
            town_size_m=TOWN_SIZE_M,
            kind="pinhole",
            streets="repeating" if seed % 2 else "plain",
            image_rate_hz=arguments.rate,
            gnss_error=gnss_error(seed),
        )
        rig = made_drive(arguments.out / f"{seed}_rig", seed, replace(config, cameras=(*SURROUND, LATE)))
        wide = made_drive(arguments.out / f"{seed}_{PANORAMA}", seed, replace(config, kind="equirectangular"))
        if rig is None or wide is None:
            continue
        for name, cameras in SETS.items():
            results[name].append(localize(only(read_drive(rig), cameras), arguments.model))
        results[PANORAMA].append(localize(read_drive(wide), arguments.model))
        accepted = {
            name: sum(frame.accepted for frame in of_set[-1].frames) for name, of_set in results.items()
        }
        print(f"{seed}: accepted {accepted} of {len(results[PANORAMA][-1].frames)}", flush=True)
    rows = {name: figures_of(of_set) for name, of_set in results.items() if of_set}
    write_json(rows, arguments.out / "cameras.json")
    if rows:
        print_table(rows)


if __name__ == "__main__":
    main()
