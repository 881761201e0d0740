"""Running the localizer over a `pairs` folder and judging every frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.evaluation.metrics import Frame, summarize
from xview_localizer.geometry.pose import Pose2, Prior, wrap_angle_rad
from xview_localizer.localizer import Fix, Localizer, LocalizerConfig, Observation, PlacedObservation
from xview_localizer.models.package import ModelPackage
from xview_localizer.pairs import PairRecord, PairsDataset, PairsError, Truth, ground_view


def evaluate_pairs(
    dataset: PairsDataset,
    package: ModelPackage,
    config: LocalizerConfig = LocalizerConfig(),
    keyframes: int = 1,
    track: Callable[[Iterable], Iterable] = iter,
) -> dict:
    """Localize every record and return the metrics (see metrics.summarize) with `rate_hz`.

    With `keyframes` K > 1, up to K - 1 earlier records of the same sequence and aerial image are joined by
    their odometry; only records with a full window are judged then. Raises PairsError where that cannot be.
    """
    frames: list[Frame] = []
    began = time.perf_counter()
    localizer, aerial_path = None, None
    for window in track(_windows(list(dataset), keyframes)):
        current = window[-1]
        if localizer is None or current.aerial_path != aerial_path:
            # Records of one aerial image share a localizer, and so its descriptors and observations.
            localizer, aerial_path = Localizer(package, InMemoryMap(current.load_aerial()), config), current.aerial_path
            observed: dict[str, Observation] = {}
        start = time.perf_counter()
        for record in window:
            if record.id not in observed:
                observed[record.id] = localizer.observe(ground_view(record))
        placed = [PlacedObservation(observed[record.id], _relative(current, record)) for record in window]
        fix = localizer.solve(placed, current.prior)
        frames.append(judge_frame(current.id, fix, current.truth, current.prior, 1e3 * (time.perf_counter() - start)))
    metrics = summarize(frames)
    metrics["rate_hz"] = len(frames) / (time.perf_counter() - began) if frames else None
    return metrics


def judge_frame(id: str, fix: Fix, truth: Truth, prior: Prior, latency_ms: float | None) -> Frame:
    """Compare a fix with the truth; where no pose was found the prior's counts."""
    found = bool(np.isfinite(fix.x_m))
    x_m, y_m = (fix.x_m, fix.y_m) if found else (prior.x_m, prior.y_m)
    error = np.array([x_m - truth.x_m, y_m - truth.y_m])
    along_m = across_m = float("nan")
    yaw_error_deg = nees = None
    if truth.yaw_rad is not None:
        cos, sin = np.cos(truth.yaw_rad), np.sin(truth.yaw_rad)
        along_m, across_m = float(cos * error[0] + sin * error[1]), float(-sin * error[0] + cos * error[1])
        if found:
            yaw_error_rad = float(wrap_angle_rad(fix.yaw_rad - truth.yaw_rad))
            yaw_error_deg = float(np.degrees(yaw_error_rad))
            residual = np.array([*error, yaw_error_rad])
            nees = float(residual @ np.linalg.solve(fix.covariance, residual))
    return Frame(
        id=id,
        error_m=float(np.hypot(*error)),
        along_m=along_m,
        across_m=across_m,
        yaw_error_deg=yaw_error_deg,
        accepted=fix.accepted,
        reason=fix.reason,
        confidence=fix.confidence,
        nees=nees,
        latency_ms=latency_ms,
        prior_error_m=float(np.hypot(prior.x_m - truth.x_m, prior.y_m - truth.y_m)),
        tolerance_m=truth.tolerance_m,
    )


def _windows(records: Sequence[PairRecord], keyframes: int) -> list[list[PairRecord]]:
    """Windows of `keyframes` consecutive records of a sequence; single records where keyframes is 1."""
    if keyframes < 1:
        raise PairsError(f"keyframes must be at least 1, got {keyframes}")
    if keyframes == 1:
        return [[record] for record in records]
    windows = []
    for end in range(keyframes, len(records) + 1):
        window = list(records[end - keyframes : end])
        same = {(record.sequence, record.aerial_path) for record in window}
        if len(same) == 1 and window[0].sequence is not None:
            windows.append(window)
    if not windows:
        raise PairsError(f"no sequence has {keyframes} records in a row on one aerial image; use --keyframes 1")
    lost = [record.id for window in windows for record in window if record.odom is None]
    if lost:
        raise PairsError(f"record {lost[0]} has no odom, which joining keyframes needs")
    return windows


def _relative(current: PairRecord, past: PairRecord) -> Pose2:
    """T_current_past by odometry."""
    if current is past:
        return Pose2(0.0, 0.0, 0.0)
    return current.odom.inverse() @ past.odom


def write_json(metrics: dict, path: Path) -> None:
    """Write metrics; NaN becomes null, so that any JSON reader takes it."""
    import json

    def clean(value):
        if isinstance(value, dict):
            return {key: clean(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [clean(entry) for entry in value]
        return None if isinstance(value, float) and not np.isfinite(value) else value

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(clean(metrics), indent=1) + "\n")
