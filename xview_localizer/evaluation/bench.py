"""Latency of every stage on this machine: medians and spread, JSON-ready."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.source import AerialImage
from xview_localizer.evaluation.bench_solvers import bench_solvers
from xview_localizer.geometry.camera import CameraModel, camera_from_dict
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.pose import Prior
from xview_localizer.ground_view import GroundView
from xview_localizer.localizer import Localizer
from xview_localizer.models.networks import open_networks
from xview_localizer.models.package import ModelPackage

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


def run_bench(package: ModelPackage, repeats: int) -> dict:
    """Time whole images of two cameras by stage (all threads), and the solvers (one thread)."""
    stages: dict[str, dict[str, float]] = {}
    for name, record in CAMERAS.items():
        stages.update(_image_stages(name, camera_from_dict(record), package, repeats))
    return {"machine": machine(), "stages": stages, "solvers": bench_solvers(max(20, repeats))}


def machine() -> dict[str, str | int]:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo")
    names = (
        [
            line.split(":")[1].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        if info.exists()
        else []
    )
    return {
        "cpu": f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "numpy": np.__version__,
    }


def _image_stages(
    name: str, camera: CameraModel, package: ModelPackage, repeats: int
) -> dict[str, dict[str, float]]:
    """Noise images take as long as real ones; only the solver's answer would differ."""
    rng = np.random.default_rng(0)
    grid = RasterGrid.centred(0.0, 0.0, 0.2, 500, 500)
    aerial = AerialImage(rng.integers(0, 255, (500, 500, 3), dtype=np.uint8), np.ones((500, 500), bool), grid)
    localizer = Localizer(open_networks(package), InMemoryMap(aerial))
    image = rng.integers(0, 255, (camera.height, camera.width, 3), dtype=np.uint8)
    view = GroundView(image, camera, R_base_optical_from_rpy(0.0, 0.0, 0.0), np.zeros(3), None, 1.8, 0.0)
    prior = Prior(3.0, -4.0, 20.0)
    first_ms = _timed(lambda: localizer.localize(view, prior))
    runs, totals = [], []
    for _ in range(repeats):
        began = time.perf_counter()
        runs.append(localizer.localize(view, prior).timings_ms)
        totals.append(1e3 * (time.perf_counter() - began))
    rows = {f"{name}: {stage}": _spread([run[stage] for run in runs]) for stage in runs[0]}
    rows[f"{name}: whole image"] = _spread(totals)
    rows[f"{name}: first image, map encoded"] = _spread([first_ms])
    return rows


def _timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - began)


def _spread(values_ms: list[float]) -> dict[str, float]:
    low, median, high = np.percentile(values_ms, [5, 50, 95])
    return {"median_ms": float(median), "p5_ms": float(low), "p95_ms": float(high)}
