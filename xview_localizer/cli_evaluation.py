"""`xview-localizer evaluate` and `bench`: accuracy and speed, measured without ROS."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
import time
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.table import Table

from xview_localizer.cli_common import Out, Package, Recording, console, figure, load_package, tracked


def evaluate(
    pairs: Annotated[Optional[Path], typer.Option(help="Folder in the pairs format.")] = None,
    bag: Annotated[
        Optional[Path], typer.Option(help="Drive folder (drive.yaml and truth.tum beside its bag).")
    ] = None,
    model: Package = None,
    out: Out = Path("evaluation.json"),
    keyframes: Annotated[int, typer.Option(help="Images of a sequence solved together (pairs).")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of ONNX Runtime; 0: its own choice.")] = 0,
    recording: Recording = None,
) -> None:
    """Measure accuracy, calibration and rejection, without ROS.

    Example: xview-localizer evaluate --pairs val --out val.json
    Example: xview-localizer evaluate --bag drive1 --out drive1.json
    """
    from xview_localizer.evaluation.evaluate import evaluate_pairs
    from xview_localizer.evaluation.metrics import write_json

    if (pairs is None) == (bag is None):
        raise typer.BadParameter("give either --pairs or --bag")
    if recording is not None and bag is None:
        raise typer.BadParameter("--rerun goes with --bag: only a drive has a time line")
    if pairs is not None:
        from xview_localizer.engines.factory import EngineConfig
        from xview_localizer.models.networks import open_networks
        from xview_localizer.pairs import PairsDataset

        networks = open_networks(load_package(model), EngineConfig(threads=threads))
        metrics = evaluate_pairs(
            PairsDataset(pairs), networks, keyframes=keyframes, track=tracked("localizing")
        )
    else:
        metrics = _evaluate_bag(bag, model, threads, recording)
    write_json(metrics, out)
    _print_metrics(metrics)
    console.print(f"wrote {out}", highlight=False)


def _evaluate_bag(folder: Path, model: Path | None, threads: int, recording: Path | None) -> dict:
    from xview_localizer.assembly import build_localizer, open_map
    from xview_localizer.bag import read_drive
    from xview_localizer.evaluation.drive import judge_drive, read_truth
    from xview_localizer.evaluation.metrics import summarize
    from xview_localizer.offline import localize_drive
    from xview_localizer.settings import Settings

    drive = read_drive(folder)
    read_truth(folder)  # what cannot be judged need not be localized
    values = {**drive.values, "model.threads": threads, "model.package": str(model or "")}
    settings = Settings.from_values(values)
    localizer = build_localizer(settings, open_map(settings))
    began = time.perf_counter()
    with console.status("localizing"):
        records = list(localize_drive(drive, localizer, settings))
    result = judge_drive(folder, records, len(records) / (time.perf_counter() - began))
    if recording is not None:
        from xview_localizer.evaluation.drive import drive_aerial, drive_images
        from xview_localizer.evaluation.rerun_log import write_recording

        images = drive_images(folder, [record.stamp_sec for record in records])
        write_recording(recording, result, drive_aerial(result, settings), images)
    return {**summarize(result.frames), **result.drive_metrics()}


def bench(
    out: Out = Path("bench.json"),
    model: Package = None,
    repeats: Annotated[int, typer.Option(help="Timed runs of each stage.")] = 30,
) -> None:
    """Time the solvers, the engines and a whole image on this machine.

    Example: xview-localizer bench --out bench.json
    """
    from xview_localizer.evaluation.bench import run_bench
    from xview_localizer.evaluation.metrics import write_json

    with console.status("measuring"):
        figures = run_bench(load_package(model), repeats)
    write_json(figures, out)
    table = Table("stage", "median", "5 %", "95 %", title=figures["machine"]["cpu"])
    for name, row in figures["stages"].items():
        table.add_row(name, *(f"{row[key]:.1f} ms" for key in ("median_ms", "p5_ms", "p95_ms")))
    console.print(table)
    console.print(f"wrote {out}", highlight=False)


def _print_metrics(metrics: dict) -> None:
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
    console.print(
        f"false accepts {metrics['false_accepts']}, NEES {figure(metrics['nees_mean'])}, "
        f"most confident 70 % within 2 m {figure(metrics['confident_70_recall_2m'])}, "
        f"{figure(metrics['rate_hz'])} Hz",
        highlight=False,
    )
