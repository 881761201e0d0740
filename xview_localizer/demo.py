"""A drive from end to end, for the commands demo and replay: simulated or recorded, localized, judged and reported."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from xview_localizer.aerial.map_server import served_map
from xview_localizer.aerial.redact import redacted
from xview_localizer.aerial.source import AerialImage
from xview_localizer.assembly import open_map
from xview_localizer.evaluation.bench import machine
from xview_localizer.evaluation.drive import aerial_around, drive_images, judge_drive
from xview_localizer.evaluation.examination import examine
from xview_localizer.evaluation.reference import read_reference
from xview_localizer.evaluation.report import write_report
from xview_localizer.evaluation.trajectory import DriveResult
from xview_localizer.models.package import ModelPackage
from xview_localizer.parameters.file import parameter_file_text
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import Drive
from xview_localizer.recordings.drives import open_drive
from xview_localizer.recordings.tum import write_tum
from xview_localizer.records import ImageRecord, write_records

Report = Callable[[str], None]
# Parameters of the project's own map server; they replace those for the user's map.
SERVED_MAP = {"map.max_zoom": 20, "map.tile_px": 256}


def simulated_drive(
    runs: Path, seed: int, length_m: float, kind: str, report: Report, track: Callable[[Iterable], Iterable]
) -> Drive:
    """The drive of a seed with a camera of `kind`, rendered into `runs` unless it is there. Raises TownError."""
    from xview_localizer.simulation.drive import DriveConfig, simulate_drive

    folder = runs / "drives" / f"seed{seed}_{length_m:.0f}m_{kind}"
    if not (folder / "truth.tum").is_file():
        report(f"simulating a town and a drive (seed {seed})")
        simulate_drive(folder, seed, DriveConfig(length_m=length_m, kind=kind), track)
    return open_drive(folder)


def replay_and_report(
    drive: Drive,
    runs: Path,
    report: Report,
    on_record: Callable[[ImageRecord], None],
    reference_name: str | None = None,
    rate: float | None = None,
    model: Path | None = None,
    recording: Path | None = None,
) -> tuple[Path, dict]:
    """Serve the drive's map, replay its bag through the node over DDS, and judge by the reference.

    Returns the run's folder, with its report, and the metrics. `on_record` receives the record of each image.
    `reference_name`: see read_reference; `rate`: see replay_drive; a `recording` for Rerun is written where given.
    Raises BagError, MapSourceError, ReplayError, SettingsError.
    """
    from xview_localizer.ros.bag_player import ReplayError
    from xview_localizer.ros.own_domain import use_own_domain
    from xview_localizer.ros.replay import replay_drive

    given = {"model.package": str(model)} if model else {}
    settings = Settings.from_values({**drive.values, **given})
    reference = read_reference(reference_name, drive, settings)  # what cannot be judged need not be played
    folder = _new_run(runs)
    with served_map(str(settings.values["map.source"])) as source:
        report(f"map: {redacted(source)}")
        values = {**settings.values}
        if source != settings.values["map.source"]:
            values |= SERVED_MAP | {"map.source": source, "map.cache_dir": str(folder / "tiles")}
        (folder / "localizer.yaml").write_text(parameter_file_text(values))
        report(f"replaying through the localizer node in DDS domain {use_own_domain()}")
        answered_sec: list[float] = []
        began_sec = time.monotonic()

        def answered(record: ImageRecord) -> None:
            answered_sec.append(time.monotonic())
            on_record(record)

        doubts: list[str] = []
        records = replay_drive(drive, values, rate, answered, doubts.append)
    if not records:
        raise ReplayError(
            "the node answered no image: does the bag hold images, and is the rate within its means?"
        )
    shutil.rmtree(folder / "tiles", ignore_errors=True)
    result = judge_drive(drive, reference, settings, records, _rate_hz(began_sec, answered_sec))
    package = ModelPackage.load(settings.package_path)
    aerial = aerial_around(result.truth_xy_m, settings)
    # The node reads the served tiles; the warnings are those of the raster that they are made of.
    findings = examine(
        result, records, reference, settings, open_map(settings), package.spec, doubts, aerial.warnings
    )
    return folder, _report(folder, drive, result, aerial, findings, package.spec.name, recording)


def _rate_hz(began_sec: float, answered_sec: Sequence[float]) -> float:
    """Images per second, without the time until the first answer, in which the node starts and reads the map.

    Of a single image that time is all there is, so it counts then.
    """
    if len(answered_sec) == 1:
        return 1 / (answered_sec[0] - began_sec)
    return (len(answered_sec) - 1) / (answered_sec[-1] - answered_sec[0])


def _report(
    folder: Path,
    drive: Drive,
    result: DriveResult,
    aerial: AerialImage,
    findings: dict[str, Any],
    model_name: str,
    recording: Path | None,
) -> dict:
    records = result.records
    write_records(folder / "records.jsonl", records)
    write_tum(
        folder / "accepted.tum", [(r.stamp_sec, r.x_m, r.y_m, r.yaw_rad) for r in records if r.accepted]
    )
    write_tum(
        folder / "published.tum",
        [
            (r.stamp_sec, r.estimate_x_m, r.estimate_y_m, r.estimate_yaw_rad)
            for r in records
            if np.isfinite(r.estimate_x_m)
        ],
    )
    write_tum(
        folder / "gnss.tum",
        [(r.stamp_sec, *xy, 0.0) for r, xy in zip(records, result.gnss_xy_m, strict=True)],
    )
    write_tum(
        folder / "truth.tum",
        [(r.stamp_sec, t.x_m, t.y_m, t.yaw_rad) for r, t in zip(records, result.truth, strict=True)],
    )
    about = {
        "drive": drive.name,
        "model": model_name,
        "machine": str(machine()["cpu"]),
        "made": datetime.now().strftime("%Y-%m-%d %H:%M"),
    }
    (folder / "about.yaml").write_text(yaml.safe_dump(about))
    images = drive_images(drive, [r.stamp_sec for r in records])
    if recording is not None:
        from xview_localizer.evaluation.rerun_log import write_recording

        write_recording(recording, result, aerial, images)
    return write_report(folder, result, aerial, images, about, findings)


def _new_run(runs: Path) -> Path:
    """A fresh folder runs/<time> and the link runs/latest to it."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder, number = runs / stamp, 0
    while folder.exists():
        number += 1
        folder = runs / f"{stamp}-{number}"
    folder.mkdir(parents=True)
    link, fresh = runs / "latest", runs / f".latest-{os.getpid()}"
    fresh.symlink_to(folder.name)
    fresh.replace(link)
    return folder
