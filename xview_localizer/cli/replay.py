"""`xview-localizer demo` and `replay`: a drive through the real node, and its report."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.table import Table

from xview_localizer.cli.common import (
    Package,
    Parameters,
    Recording,
    Topics,
    TrueTrack,
    console,
    figure,
    open_recorded,
    print_line,
    print_open_me,
    tracked,
)
from xview_localizer.cli.simulation import TOWN_SEED, CameraKind

# Metrics of a drive that the console shows, as people read them.
DRIVE_MEASURES = {
    "accepted_position_median_m": "median error of accepted poses, m",
    "accepted_yaw_median_deg": "median yaw error of accepted poses, degrees",
    "nees_mean": "NEES of accepted poses (3 is ideal)",
    "trajectory_rmse_m": "RMSE of the published trajectory, m",
    "prior_rmse_m": "RMSE of GNSS, m",
    "rate_hz": "images per second",
    "latency_ms_median": "median latency, ms",
}


def demo(
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    seed: Annotated[int, typer.Option(help="Seed of the town and the drive.")] = TOWN_SEED,
    length_m: Annotated[float, typer.Option(help="Length of the drive, metres.")] = 220.0,
    kind: Annotated[CameraKind, typer.Option(help="Camera.")] = CameraKind.equirectangular,
    recording: Recording = None,
) -> None:
    """Simulate a drive, replay it through the real node over DDS, and report.

    Example: xview-localizer demo --seed 900012
    Example: xview-localizer demo --kind pinhole
    """
    from xview_localizer.demo import run_demo

    folder, metrics = run_demo(out, seed, length_m, kind.value, recording, print_line, tracked)
    _print_drive(metrics)
    print_open_me(folder / "report.html")


def replay(
    drive: Annotated[Path, typer.Argument(help="Drive folder (with drive.yaml), or any recording.")],
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    rate: Annotated[
        Optional[float], typer.Option(help="Speed factor; by default each image waits for its answer.")
    ] = None,
    params_file: Parameters = None,
    topic: Topics = None,
    reference: TrueTrack = None,
    model: Package = None,
    recording: Recording = None,
) -> None:
    """Replay a recorded drive through the real node over DDS and report.

    Example: xview-localizer replay drive1
    Example: xview-localizer replay rosbag2_2026 --params-file my_robot.yaml --reference /rtk/odometry
    """
    from xview_localizer.demo import replay_and_report

    recorded = open_recorded(drive, params_file, topic)
    folder, metrics = replay_and_report(recorded, reference, out, rate, model, recording, print_line, tracked)
    _print_drive(metrics)
    print_open_me(folder / "report.html")


def _print_drive(metrics: dict) -> None:
    table = Table("measure", "value")
    table.add_row("accepted poses", f"{metrics['n_accepted']} of {metrics['n']} images")
    table.add_row("of them off by more than 5 m", str(metrics["false_accepts"]))
    for key, name in DRIVE_MEASURES.items():
        table.add_row(name, figure(metrics[key]))
    console.print(table)
