"""Figures over many localized drives: errors of the accepted poses, and calibration of confidence and covariance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xview_localizer.evaluation.metrics import Frame, Metrics, reliability
from xview_localizer.evaluation.trajectory import DriveResult
from xview_localizer.geometry.pose import wrap_angle_rad

OFF_RADII_M = (2, 5)
EARLY_SEC = 10.0  # the first fixes are made without a track, so they are the most likely to be wrong


def summarize_drives(results: Sequence[DriveResult]) -> Metrics:
    """Figures over all images of `results`, JSON-ready; figures without data are NaN.

    `first_accepted_…_m` is the distance driven until the first accepted pose, infinite where there was none.
    `normalized_…` are the mean squared errors along and across the true heading and in yaw, each over its own
    variance: 1 where the covariance is right (and `nees_mean`, of the three together, 3).
    `rmse_ratio_…` compares the published trajectory with GNSS, drive by drive.
    """
    frames = [frame for result in results for frame in result.frames]
    early = [frame for result in results for frame in result.frames[: _early_count(result)]]
    accepted = [frame for frame in frames if frame.accepted]
    first_m = [first_accepted_m(result) for result in results]
    ratios = [_rmse_ratio(result) for result in results]
    squared = np.concatenate([_normalized_squared(result) for result in results])
    latency_ms = [frame.latency_ms for frame in frames if frame.latency_ms is not None]
    return {
        "drives": len(results),
        "images": len(frames),
        "accepted": len(accepted),
        "accepted_share": _mean([frame.accepted for frame in frames]),
        **{f"off_{r}m": _off(frames, r) for r in OFF_RADII_M},
        "early_accepted": sum(frame.accepted for frame in early),
        **{f"early_off_{r}m": _off(early, r) for r in OFF_RADII_M},
        "accepted_median_m": _median([frame.error_m for frame in accepted]),
        "accepted_90_percent_m": _quantile([frame.error_m for frame in accepted], 0.9),
        "accepted_yaw_median_deg": _median(
            [abs(frame.yaw_error_deg) for frame in accepted if frame.yaw_error_deg is not None]
        ),
        "first_accepted_median_m": _median(first_m),
        "first_accepted_worst_m": max(first_m),
        "nees_mean": _mean([frame.nees for frame in accepted if frame.nees is not None]),
        **{
            f"normalized_{axis}_mean": _mean(column)
            for axis, column in zip(("along", "across", "yaw"), squared.T, strict=True)
        },
        "rmse_ratio_median": _median(ratios),
        "rmse_ratio_worst": max(ratios),
        "latency_ms_median": _median(latency_ms),
        "reliability": reliability(frames),
    }


def first_accepted_m(result: DriveResult) -> float:
    """Distance driven from the first image to the first accepted one; infinite where there is none."""
    accepted = np.flatnonzero([record.accepted for record in result.records])
    if not len(accepted):
        return float("inf")
    steps_m = np.linalg.norm(np.diff(result.truth_xy_m[: accepted[0] + 1], axis=0), axis=1)
    return float(steps_m.sum())


def _early_count(result: DriveResult) -> int:
    begin_sec = result.records[0].stamp_sec
    return sum(record.stamp_sec - begin_sec <= EARLY_SEC for record in result.records)


def _off(frames: Sequence[Frame], radius_m: float) -> int:
    return sum(frame.accepted and frame.error_m > radius_m for frame in frames)


def _rmse_ratio(result: DriveResult) -> float:
    gnss_error_m = np.linalg.norm(result.gnss_xy_m - result.truth_xy_m, axis=1)
    return result.drive_metrics()["trajectory_rmse_m"] / float(np.sqrt(np.mean(gnss_error_m**2)))


def _normalized_squared(result: DriveResult) -> np.ndarray:
    """Squared errors [N, 3] along, across and in yaw of the accepted images, each over its variance."""
    rows = []
    for record, truth in zip(result.records, result.truth, strict=True):
        if not record.accepted:
            continue
        cos, sin = np.cos(truth.yaw_rad), np.sin(truth.yaw_rad)
        turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        yaw_error_rad = float(wrap_angle_rad(record.yaw_rad - truth.yaw_rad))
        error = turn @ (record.x_m - truth.x_m, record.y_m - truth.y_m, yaw_error_rad)
        variance = np.diag(turn @ np.reshape(record.covariance, (3, 3)) @ turn.T)
        rows.append(error**2 / variance)
    return np.reshape(rows, (-1, 3))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _quantile(values: Sequence[float], share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else float("nan")
