"""Accuracy and single-threaded speed of the pose solvers on synthetic evidence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from xview_localizer.evaluation.synthetic_matches import ambiguous_field, contaminated_pairs, random_pose
from xview_localizer.geometry.dense import DenseSolverConfig, PoseMode, solve_dense
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.pose import Pose2, Prior, nees_of
from xview_localizer.geometry.ransac import PairsSolution, PairsSolverConfig, solve_pairs
from xview_localizer.geometry.similarity import Similarity2

SINGLE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1"
)
# Factors on the ground points; none of them may move the pose.
UNITS = (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0)


def bench_solvers(repeats: int = 1000) -> dict[str, Any]:
    """Figures of both solvers over `repeats` draws (the dense solver: a tenth), in a child with one thread.

    Linear algebra libraries read their number of threads when they are loaded, hence the child process.
    """
    command = [sys.executable, "-m", __spec__.name, str(repeats)]
    child = subprocess.run(command, env=os.environ | SINGLE_THREAD, capture_output=True, text=True)
    if child.returncode:
        raise RuntimeError(f"the solver benchmark failed:\n{child.stderr}")
    return json.loads(child.stdout)


def measure_pairs(repeats: int) -> dict[str, float]:
    """Figures on 1024 pairs, 60 % outliers over a 70 m square, 0.5 m noise, scale in [0.2, 5], 2000 hypotheses."""
    rng = np.random.default_rng(0)
    config = PairsSolverConfig(hypotheses=2000)
    records = []
    for seed in range(repeats):
        truth = random_pose(rng, 25.0)
        similarity = Similarity2(float(rng.uniform(0.2, 5.0)), truth.yaw_rad, truth.x_m, truth.y_m)
        pairs, _ = contaminated_pairs(rng, similarity)
        start = time.perf_counter()
        solution = solve_pairs(pairs, None, config, seed)
        records.append((1e3 * (time.perf_counter() - start), *_errors(solution, truth)))
    reference, moved_m = _pose(solve_pairs(pairs, None, config, 0)), 0.0
    for unit in UNITS:
        scaled = Correspondences(pairs.ground_xy_m * unit, pairs.aerial_xy_m, pairs.weight)
        pose = _pose(solve_pairs(scaled, None, config, 0))
        moved_m = max(moved_m, float(np.hypot(pose.x_m - reference.x_m, pose.y_m - reference.y_m)))
    return _summary(records) | {"moved_by_unit_of_ground_points_mm": 1e3 * moved_m}


def _pose(solution: PairsSolution) -> Pose2:
    if solution.pose is None:
        raise RuntimeError(f"the pairs of the benchmark have no pose: {solution.reason}")
    return solution.pose


def measure_dense(repeats: int) -> dict[str, float]:
    """Figures on 700 ground cells, a third with a match, 41 × 41 aerial cells of 1.8 m, unknown yaw, ± 20 m."""
    rng = np.random.default_rng(0)
    grid = RasterGrid.centred(0.0, 0.0, 1.8, 41, 41)
    records = []
    for seed in range(repeats):
        truth = random_pose(rng, 20.0)
        field = ambiguous_field(rng, truth, grid, cells=700, scale=rng.uniform(0.93, 1.07), contrast=2.5)
        start = time.perf_counter()
        solution = next(
            iter(solve_dense(field, Prior(0.0, 0.0, 20.0), DenseSolverConfig(), seed).modes), None
        )
        records.append((1e3 * (time.perf_counter() - start), *_errors(solution, truth)))
    return _summary(records)


def _errors(solution: PairsSolution | PoseMode | None, truth: Pose2) -> tuple[float, float, float]:
    """Position error (m), yaw error (degrees), NEES; infinite where there is no pose."""
    if solution is None or solution.pose is None:
        return np.inf, np.inf, np.inf
    error = solution.pose.error(truth)
    return float(np.hypot(*error[:2])), float(np.degrees(abs(error[2]))), nees_of(error, solution.covariance)


def _summary(records: list[tuple[float, float, float, float]]) -> dict[str, float]:
    latency_ms, position_m, yaw_deg, nees = np.transpose(records)
    solved = np.isfinite(nees)
    return {
        "n": len(records),
        "latency_ms_median": float(np.median(latency_ms)),
        "latency_ms_p05": float(np.percentile(latency_ms, 5)),
        "latency_ms_p95": float(np.percentile(latency_ms, 95)),
        "position_median_m": float(np.median(position_m)),
        "yaw_median_deg": float(np.median(yaw_deg)),
        "success_1m_2deg": float(np.mean((position_m <= 1) & (yaw_deg <= 2))),
        "nees_mean": float(np.mean(nees[solved])),
    }


if __name__ == "__main__":
    count = int(sys.argv[1])
    print(json.dumps({"pairs": measure_pairs(count), "dense": measure_dense(max(1, count // 10))}))
