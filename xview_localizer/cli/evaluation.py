"""`xview-localizer evaluate` and `bench`: accuracy and speed, measured without ROS."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.table import Table

from xview_localizer.cli.common import (
    Out,
    Package,
    Parameters,
    Recording,
    Topics,
    TrueTrack,
    console,
    figure,
    load_package,
    open_recorded,
    print_line,
    tracked,
)
from xview_localizer.cli.cross_view import judge_data_set

if TYPE_CHECKING:
    from xview_localizer.evaluation.trajectory import DriveResult
    from xview_localizer.parameters.settings import Settings
    from xview_localizer.recordings.bag import Drive


def evaluate(
    pairs: Annotated[Optional[Path], typer.Option(help="Folder in the pairs format.")] = None,
    bag: Annotated[
        Optional[Path], typer.Option(help="Drive folder (with drive.yaml), or any recording.")
    ] = None,
    vigor: Annotated[Optional[Path], typer.Option(help="Folder of the VIGOR data set.")] = None,
    kitti: Annotated[
        Optional[Path], typer.Option(help="Folder of KITTI with aerial images (satmap).")
    ] = None,
    params_file: Parameters = None,
    topic: Topics = None,
    reference: TrueTrack = None,
    model: Package = None,
    out: Out = Path("evaluation.json"),
    area: Annotated[
        Optional[str],
        typer.Option(help="same (the default) or cross: test images of VIGOR, KITTI's test 1 or 2."),
    ] = None,
    heading_within: Annotated[
        Optional[float],
        typer.Option(
            help="Degrees within which the heading is known; by default 180 (unknown) for VIGOR, 10 for KITTI."
        ),
    ] = None,
    limit: Annotated[
        Optional[int], typer.Option(help="At most so many images of VIGOR or KITTI, evenly spread.")
    ] = None,
    keyframes: Annotated[int, typer.Option(help="Images of a sequence solved together (pairs).")] = 1,
    threads: Annotated[
        Optional[int], typer.Option(help="Threads of ONNX Runtime; 0, the default: its own choice.")
    ] = None,
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
    _report(metrics, out)


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
    from xview_localizer.assembly import build_localizer, open_map
    from xview_localizer.evaluation.drive import judge_drive
    from xview_localizer.evaluation.map_shift import estimate_map_shift
    from xview_localizer.evaluation.metrics import summarize
    from xview_localizer.evaluation.reference import read_reference
    from xview_localizer.parameters.settings import Settings
    from xview_localizer.recordings.offline import localize_drive

    options = _given(**{"model.threads": threads, "model.package": str(model) if model else None})
    settings = Settings.from_values({**drive.values, **options})
    reference = read_reference(reference_name, drive, settings)  # what cannot be judged need not be localized
    localizer = build_localizer(settings, open_map(settings))
    began = time.perf_counter()
    doubts: list[str] = []
    with console.status("localizing"):
        records = list(localize_drive(drive, localizer, settings, doubts.append))
    rate_hz = len(records) / (time.perf_counter() - began)
    for doubt in doubts:
        print_line(f"doubtful: {doubt}")
    result = judge_drive(drive, reference, settings, records, rate_hz)
    if len(result.records) < len(records):
        left_out = len(records) - len(result.records)
        print_line(f"{left_out} of {len(records)} images lie in gaps of the reference")
    if recording is not None:
        _write_recording(recording, drive, result, settings)
    shift = estimate_map_shift(result, settings.values, localizer.spec.calibration.independence_m)
    if shift is not None and shift.is_significant:
        print_line(shift.advice())
    return {
        **summarize(result.frames),
        **result.drive_metrics(),
        "map_shift": None if shift is None else shift.record(),
    }


def _given(**options: object) -> dict[str, object]:
    """The options that the user gave."""
    return {name: value for name, value in options.items() if value is not None}


def _write_recording(path: Path, drive: "Drive", result: "DriveResult", settings: "Settings") -> None:
    from xview_localizer.evaluation.drive import drive_aerial, drive_images
    from xview_localizer.evaluation.rerun_log import write_recording

    images = drive_images(drive, [record.stamp_sec for record in result.records])
    write_recording(path, result, drive_aerial(result, settings), images)


def rerun(
    bag: Annotated[Path, typer.Argument(help="Recording with the node's ~/status, or a drive folder.")],
    params_file: Parameters = None,
    topic: Topics = None,
    status: Annotated[
        Optional[str], typer.Option(help="Topic of the node's ~/status; by default the only one.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Recording for the Rerun viewer (.rrd).")] = Path(
        "run.rrd"
    ),
) -> None:
    """Convert a recording of a robot with the node's ~/status for the Rerun viewer; no reference is needed.

    Example: xview-localizer rerun rosbag2_2026 --params-file my_robot.yaml --out run.rrd
    """
    from xview_localizer.evaluation.node_recording import read_node_recording
    from xview_localizer.evaluation.rerun_log import write_unjudged_recording
    from xview_localizer.parameters.settings import Settings

    drive = open_recorded(bag, params_file, topic)
    with console.status("reading"):
        node = read_node_recording(drive, Settings.from_values(drive.values), status)
    write_unjudged_recording(out, node.records, node.gnss_xy_m, node.aerial, node.images)
    accepted = sum(record.accepted for record in node.records)
    print_line(f"{len(node.records)} images, {accepted} accepted; wrote {out}")


def bench(
    out: Out = Path("bench.json"),
    model: Package = None,
    repeats: Annotated[int, typer.Option(help="Timed runs of each stage.")] = 30,
    runtime: Annotated[
        str, typer.Option("--runtime", "--engine", help="onnxruntime, tensorrt or tensorrt_rtx.")
    ] = "onnxruntime",
    precision: Annotated[str, typer.Option(help="Of TensorRT engines: fp16, fp32 or int8.")] = "fp16",
    threads: Annotated[int, typer.Option(help="Threads of ONNX Runtime; 0: its own choice.")] = 0,
    compare: Annotated[
        Optional[Path], typer.Option(help="An earlier result: print the ratios to it.")
    ] = None,
) -> None:
    """Time the graphs, a whole image by stage and the solvers on this machine.

    Example: xview-localizer bench --out bench.json
    Example: xview-localizer bench --engine tensorrt --out gpu.json --compare bench.json
    """
    from xview_localizer.engines.factory import EngineConfig
    from xview_localizer.evaluation.bench import compared, read_bench, run_bench
    from xview_localizer.evaluation.metrics import write_json

    try:
        earlier = read_bench(compare) if compare else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--compare") from error
    with console.status("measuring"):
        figures = run_bench(
            load_package(model), repeats, EngineConfig(runtime, threads=threads, precision=precision)
        )
    write_json(figures, out)
    used = figures["engines"]
    table = Table(
        "graph or stage", "median", "5 %", "95 %", title=f"{figures['machine']['cpu']}; {used['runtime']}"
    )
    for name, row in {**figures["graphs"], **figures["stages"]}.items():
        table.add_row(name, *(f"{row[key]:.1f} ms" for key in ("median_ms", "p5_ms", "p95_ms")))
    console.print(table)
    print_line(f"peak memory {figures['peak_memory_mb']:.0f} MB")
    if earlier is not None:
        _print_comparison(compared(figures, earlier), earlier)
    print_line(f"wrote {out}")


def _print_comparison(rows: list[tuple[str, float, float]], earlier: dict) -> None:
    table = Table("graph or stage", "then", "now", "now / then", title=f"then: {earlier['machine']['cpu']}")
    for name, now, then in rows:
        table.add_row(name, f"{then:.1f}", f"{now:.1f}", f"{now / then:.2f}")
    console.print(table)


def _report(metrics: dict, out: Path) -> None:
    """Write the metrics to `out`, and print those that people look at first."""
    from xview_localizer.evaluation.metrics import write_json

    write_json(metrics, out)
    table = Table("measure", "all", "accepted")
    for key in (
        "position_median_m",
        "recall_1m",
        "recall_2m",
        "recall_5m",
        "recall_10m",
        "yaw_median_deg",
        "yaw_recall_10deg",
    ):
        table.add_row(key, *(figure(metrics[prefix + key]) for prefix in ("", "accepted_")))
    table.add_row("n", str(metrics["n"]), str(metrics["n_accepted"]))
    console.print(table)
    print_line(
        f"false accepts {metrics['false_accepts']}, NEES {figure(metrics['nees_mean'])}, "
        f"most confident 70 % within 2 m {figure(metrics['confident_70_recall_2m'])}, "
        f"{figure(metrics['rate_hz'])} Hz"
    )
    print_line(f"wrote {out}")
