"""Latency of every stage on this machine: medians and spread, JSON-ready."""

from __future__ import annotations

import json
import os
import platform
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.source import AerialImage
from xview_localizer.engines.engine import Engine, EngineError, Graph, typical_inputs
from xview_localizer.engines.factory import ONNX_RUNTIME, EngineConfig, engine_for
from xview_localizer.engines.tensorrt.cuda import this_gpu
from xview_localizer.evaluation.bench_solvers import bench_solvers
from xview_localizer.geometry.camera import CameraModel, camera_from_dict
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.pose import Prior
from xview_localizer.ground_view import GroundView
from xview_localizer.localizer import Localizer
from xview_localizer.models.contracts import Networks
from xview_localizer.models.networks import networks_over
from xview_localizer.models.package import ModelPackage

MAP_PX, METRES_PER_PIXEL = 500, 0.2  # of the square map in which images are localized
CAMERA_HEIGHT_M, PRIOR = 1.8, Prior(3.0, -4.0, 20.0)
PEAK_MEMORY = "peak memory, MB"
KIB_PER_MB = 1024  # ru_maxrss is in KiB on Linux
CAMERAS = {
    "pinhole 90° 640×480": {
        "model": "pinhole", "width": 640, "height": 480, "fx": 320.0, "fy": 320.0, "cx": 320.0, "cy": 240.0,
        "distortion_model": "none", "d": [],
    },
    "panorama 512×256": {
        "model": "equirectangular", "width": 512, "height": 256, "hfov_deg": 360.0,
        "px_per_deg_v": 512 / 360, "horizon_row": 128.0,
    },
}  # fmt: skip


def run_bench(package: ModelPackage, repeats: int, engines: EngineConfig = EngineConfig()) -> dict[str, Any]:
    """Time each graph alone, whole images of two cameras by stage, and the solvers on one thread.

    Raises EngineError where `engines` are not available.
    """
    stages: dict[str, dict[str, float]] = {}
    began = time.perf_counter()
    opened = {name: engine_for(graph, engines) for name, graph in package.used_graphs.items()}
    opening_ms = 1e3 * (time.perf_counter() - began)
    graphs = {
        name: _graph_figures(package.used_graphs[name], engine, repeats) for name, engine in opened.items()
    }
    networks = networks_over(opened, package)
    for name, record in CAMERAS.items():
        stages.update(_image_stages(name, camera_from_dict(record), networks, repeats))
    stages["engines opened"] = latency_figures([opening_ms])
    return {
        "machine": machine(),
        "model": package.spec.name,
        "engines": {
            "runtime": engines.runtime,
            "threads": engines.threads or "chosen by the runtime",
            "providers": list(engines.providers) if engines.runtime == ONNX_RUNTIME else [],
            "precision": "as exported" if engines.runtime == ONNX_RUNTIME else engines.precision,
        },
        "graphs": graphs,
        "stages": stages,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MB,
        "solvers": bench_solvers(max(20, repeats)),
    }


def read_bench(path: Path) -> dict[str, Any]:
    """The figures of an earlier benchmark. Raises ValueError where the file does not hold any."""
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(figures, dict) or not {"machine", "stages"} <= figures.keys():
        raise ValueError(f"{path} is no result of bench: it has no machine and stages")
    return figures


def compared(figures: Mapping[str, Any], earlier: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """(name, median now, median earlier) of the stages, graphs and peak memory that both results have."""
    rows = [
        (name, row["median_ms"], earlier[part][name]["median_ms"])
        for part in ("graphs", "stages")
        for name, row in figures[part].items()
        if name in earlier.get(part, {})
    ]
    if "peak_memory_mb" in earlier:
        rows.append((PEAK_MEMORY, figures["peak_memory_mb"], earlier["peak_memory_mb"]))
    return rows


def machine() -> dict[str, str | int]:
    """Description of the machine and the software of a measurement."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores",
        "gpu": _gpu(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
    }


def _gpu() -> str:
    try:
        gpu = this_gpu()
    except EngineError:
        return "none that can be used"
    return f"{gpu.name} ({gpu.compute_capability})"


def _graph_figures(graph: Graph, engine: Engine, repeats: int) -> dict[str, Any]:
    """Size and latency of one graph alone, at its typical input sizes."""
    inputs = typical_inputs(engine.inputs, graph.sizes)
    timed(lambda: engine.run(inputs))  # the first run allocates, and may compile
    return {
        "file_mb": graph.path.stat().st_size / 1e6,
        "inputs": {name: list(array.shape) for name, array in inputs.items()},
        **latency_figures([timed(lambda: engine.run(inputs)) for _ in range(repeats)]),
    }


def _image_stages(
    name: str, camera: CameraModel, networks: Networks, repeats: int
) -> dict[str, dict[str, float]]:
    """Latencies by stage on noise images, which take as long as photographs; their poses have no meaning."""
    rng = np.random.default_rng(0)
    grid = RasterGrid.centred(0.0, 0.0, METRES_PER_PIXEL, MAP_PX, MAP_PX)
    pixels = rng.integers(0, 255, (MAP_PX, MAP_PX, 3), dtype=np.uint8)
    aerial = AerialImage(pixels, np.ones((MAP_PX, MAP_PX), bool), grid)
    localizer = Localizer(networks, InMemoryMap(aerial))
    image = rng.integers(0, 255, (camera.height, camera.width, 3), dtype=np.uint8)
    forward = R_base_optical_from_rpy(0.0, 0.0, 0.0)
    view = GroundView(image, camera, forward, np.zeros(3), None, CAMERA_HEIGHT_M, stamp_sec=0.0)
    first_ms = timed(lambda: localizer.localize(view, PRIOR))
    runs, totals = [], []
    for _ in range(repeats):
        began = time.perf_counter()
        runs.append(localizer.localize(view, PRIOR).timings_ms)
        totals.append(1e3 * (time.perf_counter() - began))
    rows = {f"{name}: {stage}": latency_figures([run[stage] for run in runs]) for stage in runs[0]}
    rows[f"{name}: whole image"] = latency_figures(totals)
    rows[f"{name}: first image, map encoded"] = latency_figures([first_ms])
    return rows


def timed(run: Callable[[], object]) -> float:
    """Milliseconds that `run` takes."""
    began = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - began)


def latency_figures(values_ms: list[float]) -> dict[str, float]:
    """Median, 5th and 95th percentile."""
    low, median, high = np.percentile(values_ms, [5, 50, 95])
    return {"median_ms": float(median), "p5_ms": float(low), "p95_ms": float(high)}
