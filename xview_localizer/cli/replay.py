"""`xview-localizer demo` and `replay`: a drive through the real node, and its report."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.markup import escape

from xview_localizer.cli.common import (
    Package,
    Parameters,
    Recording,
    Topics,
    TrueTrack,
    console,
    open_recorded,
    print_line,
    print_open_me,
    tracked,
)
from xview_localizer.cli.measures import print_figures, print_findings, print_rejections
from xview_localizer.cli.simulation import LEAST_LENGTH_M, LENGTH_HELP, TOWN_SEED, CameraKind

if TYPE_CHECKING:
    from xview_localizer.recordings.bag import Drive
    from xview_localizer.records import ImageRecord


def demo(
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the town and the drive.")] = TOWN_SEED,
    length_m: Annotated[float, typer.Option(min=LEAST_LENGTH_M, help=LENGTH_HELP)] = 220.0,
    kind: Annotated[CameraKind, typer.Option(help="Camera.")] = CameraKind.equirectangular,
    recording: Recording = None,
) -> None:
    """Simulate a drive, replay it through the real node over DDS, and report.

    Example: xview-localizer demo --seed 900012
    Example: xview-localizer demo --kind pinhole
    """
    from xview_localizer.demo import simulated_drive

    drive = simulated_drive(out, seed, length_m, kind.value, print_line, tracked("rendering images"))
    _replay(drive, out, recording=recording)


def replay(
    drive: Annotated[Path, typer.Argument(help="Drive folder (with drive.yaml), or any recording.")],
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    rate: Annotated[
        Optional[float],
        typer.Option(min=0.01, help="Speed factor; by default each image waits for its answer."),
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
    recorded = open_recorded(drive, params_file, topic)
    _replay(recorded, out, reference_name=reference, rate=rate, model=model, recording=recording)


def _replay(drive: "Drive", out: Path, **options: object) -> None:
    """Replay a drive, with the last image's verdict on the console, and print its figures."""
    from xview_localizer.demo import replay_and_report
    from xview_localizer.evaluation.measures import drive_rows

    accepted: list[bool] = []
    with console.status("starting the node") as status:

        def on_record(record: "ImageRecord") -> None:
            accepted.append(record.accepted)
            verdict = "accepted" if record.accepted else record.reason
            status.update(
                escape(f"{sum(accepted)} of {len(accepted)} images accepted; the last one: {verdict}")
            )

        folder, metrics = replay_and_report(drive, out, print_line, on_record, **options)
    print_figures(None, ("", "value"), [(row.name, row.value) for row in drive_rows(metrics)])
    print_rejections(metrics["rejections"])
    print_findings(metrics)
    print_open_me(folder / "report.html")
