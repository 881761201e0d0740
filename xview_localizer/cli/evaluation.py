"""`xview-localizer evaluate`: accuracy, calibration and rejection, measured without ROS."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from xview_localizer.cli.common import (
    Out,
    Package,
    Parameters,
    Recording,
    Topics,
    TrueTrack,
    console,
    load_package,
    open_recorded,
    print_line,
    tracked,
)
from xview_localizer.cli.cross_view import judge_data_set
from xview_localizer.cli.measures import print_figures, print_findings, print_rejections, print_unreadable
from xview_localizer.evaluation.measures import TRAJECTORY_RMSE, Measure

if TYPE_CHECKING:
    from xview_localizer.evaluation.trajectory import DriveResult
    from xview_localizer.parameters.settings import Settings
    from xview_localizer.recordings.bag import Drive

DATA_SETS = "VIGOR and KITTI"  # a group of options in the help
# What `evaluate` prints of metrics.json: errors over all and over accepted images, and figures of all images.
ERRORS = (
    Measure("position_median_m", "position error, median", "m"),
    Measure("recall_1m", "position within 1 m", "%"),
    Measure("recall_2m", "position within 2 m", "%"),
    Measure("recall_5m", "position within 5 m", "%"),
    Measure("yaw_median_deg", "heading error, median", "°"),
)
NEES = Measure("nees_mean", "NEES of (x, y, yaw), ideally 3", "")
OF_ALL = (
    Measure("confident_70_recall_2m", "most confident 70 % within 2 m", "%"),
    TRAJECTORY_RMSE,
    Measure("rate_hz", "images per second", ""),
)


# What to judge by: one of them.
Pairs = Annotated[Optional[Path], typer.Option(help="Folder in the pairs format.")]
Bag = Annotated[Optional[Path], typer.Option(help="Drive folder (with drive.yaml), or any recording.")]
Vigor = Annotated[Optional[Path], typer.Option(help="Folder of the VIGOR data set.")]
Kitti = Annotated[Optional[Path], typer.Option(help="Folder of KITTI with aerial images (satmap).")]
# Of VIGOR and KITTI.
Area = Annotated[
    Optional[str],
    typer.Option(
        help="same (the default) or cross: test images of VIGOR, KITTI's test 1 or 2.",
        rich_help_panel=DATA_SETS,
    ),
]
HeadingWithin = Annotated[
    Optional[float],
    typer.Option(
        min=0.0,
        max=180.0,
        help="Degrees within which the heading is known; by default 180 (unknown) for VIGOR, 10 for KITTI.",
        rich_help_panel=DATA_SETS,
    ),
]
Limit = Annotated[
    Optional[int],
    typer.Option(
        min=1, help="At most this many images, evenly spread over the list.", rich_help_panel=DATA_SETS
    ),
]
Keyframes = Annotated[int, typer.Option(min=1, help="Images of a sequence solved together (pairs).")]
Threads = Annotated[
    Optional[int], typer.Option(min=0, help="Threads of ONNX Runtime; 0, the default: its own choice.")
]


def evaluate(
    pairs: Pairs = None,
    bag: Bag = None,
    vigor: Vigor = None,
    kitti: Kitti = None,
    params_file: Parameters = None,
    topic: Topics = None,
    reference: TrueTrack = None,
    model: Package = None,
    out: Out = Path("evaluation.json"),
    area: Area = None,
    heading_within: HeadingWithin = None,
    limit: Limit = None,
    keyframes: Keyframes = 1,
    threads: Threads = None,
    recording: Recording = None,
) -> None:
    """Measure accuracy, calibration and rejection, without ROS.

    Example: xview-localizer evaluate --pairs val --out val.json
    Example: xview-localizer evaluate --bag drive1 --out drive1.json
    Example: xview-localizer evaluate --bag rosbag2_2026 --params-file my_robot.yaml --reference /rtk/odometry
    Example: xview-localizer evaluate --vigor VIGOR --area cross --model loc2
    Example: xview-localizer evaluate --kitti KITTI --heading-within 10 --limit 500 --model loc2
    """
    protocol = _given(area=area, heading_within_deg=heading_within, limit=limit)
    _require_options_that_fit(
        (pairs, bag, vigor, kitti),
        recording=recording is not None,
        of_drive=bool(params_file or topic or reference),
        keyframes=keyframes != 1,
        protocol=bool(protocol),
    )
    if vigor is not None or kitti is not None:
        return judge_data_set(vigor, kitti, protocol, model, threads or 0, out)
    if pairs is not None:
        metrics = _evaluate_pairs(pairs, model, keyframes, threads or 0)
    else:
        drive = open_recorded(bag, params_file, topic)
        metrics = _evaluate_drive(drive, reference, model, threads, recording)
    report_metrics(metrics, out)


def _evaluate_pairs(folder: Path, model: Path | None, keyframes: int, threads: int) -> dict:
    from xview_localizer.engines.factory import EngineConfig
    from xview_localizer.evaluation.evaluate import evaluate_pairs
    from xview_localizer.models.networks import open_networks
    from xview_localizer.recordings.pairs import PairsDataset

    networks = open_networks(load_package(model), EngineConfig(threads=threads))
    return evaluate_pairs(PairsDataset(folder), networks, keyframes=keyframes, track=tracked("localizing"))


def _require_options_that_fit(
    sources: tuple[Path | None, ...], *, recording: bool, of_drive: bool, keyframes: bool, protocol: bool
) -> None:
    """Raise BadParameter unless one of the `sources` (pairs, bag, vigor, kitti) is given, with options of its own."""
    pairs, bag, *data_sets = sources
    if sum(source is not None for source in sources) != 1:
        raise typer.BadParameter("give one of --pairs, --bag, --vigor and --kitti")
    if recording and bag is None:
        raise typer.BadParameter("--rerun goes with --bag: only a drive has a time line")
    if of_drive and bag is None:
        raise typer.BadParameter("--params-file, --topic and --reference go with --bag")
    if keyframes and pairs is None:
        raise typer.BadParameter("--keyframes goes with --pairs")
    if protocol and not any(data_sets):
        raise typer.BadParameter("--area, --heading-within and --limit go with --vigor and --kitti")


def _evaluate_drive(
    drive: "Drive",
    reference_name: str | None,
    model: Path | None,
    threads: int | None,
    recording: Path | None,
) -> dict:
    """Localize and judge a drive; its metrics also hold what is doubtful, and a shift of the map."""
    from xview_localizer.assembly import build_localizer, open_map
    from xview_localizer.evaluation.drive import judge_drive
    from xview_localizer.evaluation.examination import examine
    from xview_localizer.evaluation.metrics import summarize
    from xview_localizer.evaluation.reference import read_reference
    from xview_localizer.parameters.settings import Settings
    from xview_localizer.recordings.offline import localize_drive

    options = _given(**{"model.threads": threads, "model.package": str(model) if model else None})
    settings = Settings.from_values({**drive.values, **options})
    reference = read_reference(reference_name, drive, settings)  # what cannot be judged need not be localized
    source = open_map(settings)
    localizer = build_localizer(settings, source)
    began = time.perf_counter()
    doubts: list[str] = []
    with console.status("localizing"):
        records = list(localize_drive(drive, localizer, settings, doubts.append))
    rate_hz = len(records) / (time.perf_counter() - began)
    result = judge_drive(drive, reference, settings, records, rate_hz)
    if recording is not None:
        _write_recording(recording, drive, result, settings)
    findings = examine(
        result, records, reference, settings, source, localizer.spec, doubts, localizer.map_warnings
    )
    return {**summarize(result.frames), **result.drive_metrics(), **findings}


def _given(**options: object) -> dict[str, object]:
    """The options that the user gave."""
    return {name: value for name, value in options.items() if value is not None}


def _write_recording(path: Path, drive: "Drive", result: "DriveResult", settings: "Settings") -> None:
    from xview_localizer.evaluation.drive import aerial_around, drive_images
    from xview_localizer.evaluation.rerun_log import write_recording

    images = drive_images(drive, [record.stamp_sec for record in result.records])
    write_recording(path, result, aerial_around(result.truth_xy_m, settings), images)


def report_metrics(metrics: dict, out: Path) -> None:
    """Print the metrics that people look at first, and write all to `out`."""
    from xview_localizer.evaluation.metrics import write_json

    rows = [("images", str(metrics["n"]), str(metrics["n_accepted"]))]
    rows += [(item.name, item.text(metrics), item.text(metrics, "accepted_")) for item in ERRORS]
    rows.append(("off by more than 5 m", "", str(metrics["false_accepts"])))
    rows.append((NEES.name, "", NEES.text(metrics)))
    rows += [(item.name, item.text(metrics), "") for item in OF_ALL if item.key in metrics]
    print_figures(None, ("", "all", "accepted"), rows)
    print_rejections(metrics["rejections"])
    print_unreadable(metrics.get("unreadable", {}))
    print_findings(metrics)
    write_json(metrics, out)
    print_line(f"errors of every image: {out}")
