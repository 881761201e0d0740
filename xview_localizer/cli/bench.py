"""`xview-localizer bench`: speed on this machine."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
from pathlib import Path
from typing import Annotated, Optional

import typer

from xview_localizer.cli.common import (
    Out,
    Package,
    SeparateDepth,
    console,
    load_package,
    print_line,
)
from xview_localizer.cli.measures import print_figures
from xview_localizer.engines.names import PrecisionName, RuntimeName


def bench(
    out: Out = Path("bench.json"),
    model: Package = None,
    depth: SeparateDepth = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs of each stage.")] = 30,
    runtime: Annotated[
        RuntimeName, typer.Option("--runtime", "--engine", help="What runs the graphs.")
    ] = RuntimeName.onnxruntime,
    precision: Annotated[PrecisionName, typer.Option(help="Of TensorRT engines.")] = PrecisionName.fp16,
    threads: Annotated[int, typer.Option(min=0, help="Threads of ONNX Runtime; 0: its own choice.")] = 0,
    compare: Annotated[
        Optional[Path], typer.Option(help="An earlier result: print the ratios to it.")
    ] = None,
) -> None:
    """Time the graphs, a whole image by stage and the solvers on this machine.

    Example: xview-localizer bench --out bench.json
    Example: xview-localizer bench --engine tensorrt --out gpu.json --compare bench.json
    """
    from xview_localizer.engines.factory import EngineConfig
    from xview_localizer.evaluation.bench import PEAK_MEMORY, compared, read_bench, run_bench
    from xview_localizer.evaluation.metrics import write_json

    try:
        earlier = read_bench(compare) if compare else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--compare") from error
    with console.status("measuring"):
        figures = run_bench(
            load_package(model, depth),
            repeats,
            EngineConfig(runtime.value, threads=threads, precision=precision.value),
        )
    write_json(figures, out)
    if earlier is not None:
        print_line(f"medians of {compare} and of now, and their ratio; then: {earlier['machine']['cpu']}")
        texts = {name: _ratio(now, then) for name, now, then in compared(figures, earlier)}
    else:
        print_line("medians, and in brackets the 5th and 95th percentile")
        timed = {**figures["graphs"], **figures["stages"]}
        texts = {name: _spread(row) for name, row in timed.items()}
    _print_times(figures, texts)
    memory = texts.get(PEAK_MEMORY, f"{figures['peak_memory_mb']:.0f}")
    print_line(f"{PEAK_MEMORY}: {memory}; sizes, solvers and machine: {out}")


def _print_times(figures: dict, texts: dict[str, str]) -> None:
    """Two tables: the stages of an image side by side for the cameras, and the graphs; `texts` of each by its name."""
    title = f"milliseconds on {figures['machine']['cpu']}, {figures['engines']['runtime']}"
    stages = [name.split(": ") for name in figures["stages"] if ": " in name]
    cameras = list(dict.fromkeys(camera for camera, _ in stages))
    rows = [
        (stage, *(texts.get(f"{camera}: {stage}", "–") for camera in cameras))
        for stage in dict.fromkeys(stage for _, stage in stages)
    ]
    print_figures(title, ("stage", *cameras), rows)
    print_figures(None, ("graph", "alone"), [(name, texts.get(name, "–")) for name in figures["graphs"]])


def _spread(row: dict[str, float]) -> str:
    return f"{row['median_ms']:.1f} ({row['p5_ms']:.1f}–{row['p95_ms']:.1f})"


def _ratio(now: float, then: float) -> str:
    return f"{then:.1f} → {now:.1f} ({now / then:.2f})"
