"""The main job from end to end: a drive in, poses out, a report to look at."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import numpy as np
import yaml

from xview_localizer.aerial.map_server import served_map
from xview_localizer.aerial.redact import redacted
from xview_localizer.evaluation.bench import machine
from xview_localizer.evaluation.drive import drive_aerial, drive_images, judge_drive
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
Track = Callable[[str], Callable[[Iterable], Iterable]]
# Parameters of the project's own map server; they replace those for the user's map.
SERVED_MAP = {"map.max_zoom": 20, "map.tile_px": 256}


def run_demo(
    runs: Path, seed: int, length_m: float, kind: str, recording: Path | None, report: Report, track: Track
) -> tuple[Path, dict]:
    """Simulate a drive with a camera of `kind` and replay it; returns the run's folder and its metrics."""
    from xview_localizer.simulation.drive import DriveConfig, simulate_drive

    drive = runs / "drives" / f"seed{seed}_{length_m:.0f}m_{kind}"
    if not (drive / "truth.tum").is_file():
        report(f"simulating a town and a drive (seed {seed})")
        simulate_drive(drive, seed, DriveConfig(length_m=length_m, kind=kind), track("rendering images"))
    return replay_and_report(open_drive(drive), None, runs, None, None, recording, report, track)


def replay_and_report(
    drive: Drive,
    reference_name: str | None,
    runs: Path,
    rate: float | None,
    model: Path | None,
    recording: Path | None,
    report: Report,
    track: Track,
) -> tuple[Path, dict]:
    """Serve the drive's map, replay its bag through the node over DDS, judge by the reference and report.

    `reference_name`: see read_reference. A `recording` is written for Rerun where it is given. Raises BagError,
    MapSourceError, ReplayError, SettingsError.
    """
    from xview_localizer.ros.own_domain import use_own_domain
    from xview_localizer.ros.replay import ReplayError, ReplayPace, replay_drive

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
        answered: list[float] = []
        began = time.monotonic()

        def on_record(record: ImageRecord) -> None:
            answered.append(time.monotonic())
            state = "accepted" if record.accepted else record.reason
            report(f"  {record.stamp_sec:.1f}  ({record.x_m:7.2f}, {record.y_m:7.2f}) m  {state}")

        records = replay_drive(drive, values, ReplayPace(rate), on_record)
    if not records:
        raise ReplayError(
            "the node answered no image: does the bag hold images, and is the rate within its means?"
        )
    # The first image waits for the node and the map; the rate is that of the images after it.
    rate_hz = (
        (len(answered) - 1) / (answered[-1] - answered[0])
        if len(answered) > 1
        else 1 / (time.monotonic() - began)
    )
    shutil.rmtree(folder / "tiles", ignore_errors=True)
    result = judge_drive(drive, reference, settings, records, rate_hz)
    return folder, _report(folder, drive, result, settings, recording)


def _report(
    folder: Path, drive: Drive, result: DriveResult, settings: Settings, recording: Path | None
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
    aerial = drive_aerial(result, settings)
    package = ModelPackage.load(settings.package_path)
    about = {
        "drive": drive.name,
        "model": package.spec.name,
        "machine": str(machine()["cpu"]),
        "made": datetime.now().strftime("%Y-%m-%d %H:%M"),
    }
    (folder / "about.yaml").write_text(yaml.safe_dump(about))
    images = drive_images(drive, [r.stamp_sec for r in records])
    if recording is not None:
        from xview_localizer.evaluation.rerun_log import write_recording

        write_recording(recording, result, aerial, images)
    return write_report(folder, result, aerial, images, about)


def _new_run(runs: Path) -> Path:
    """A fresh folder runs/<time> and the link runs/latest to it."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = next(
        path for n in range(1000) if not (path := runs / (stamp if n == 0 else f"{stamp}-{n}")).exists()
    )
    folder.mkdir(parents=True)
    link, fresh = runs / "latest", runs / f".latest-{os.getpid()}"
    fresh.symlink_to(folder.name)
    fresh.replace(link)
    return folder
