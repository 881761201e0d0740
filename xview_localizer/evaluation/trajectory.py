"""A localized drive held against its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xview_localizer.evaluation.metrics import Frame
from xview_localizer.geometry.pose import Pose2, wrap_angle_rad
from xview_localizer.records import ImageRecord


@dataclass(frozen=True)
class DriveResult:
    """Records of a drive with what was true (and what GNSS said of base_link) at each one's stamp."""

    records: Sequence[ImageRecord]
    truth: Sequence[Pose2]
    gnss_xy_m: np.ndarray  # [N, 2]
    rate_hz: float

    @property
    def frames(self) -> list[Frame]:
        """Every record judged."""
        return [
            _judge(record, truth, gnss)
            for record, truth, gnss in zip(self.records, self.truth, self.gnss_xy_m, strict=True)
        ]

    @property
    def estimate_error_m(self) -> np.ndarray:
        """Error [N] of the published trajectory, NaN before it begins."""
        estimate = np.array([(record.estimate_x_m, record.estimate_y_m) for record in self.records])
        return np.linalg.norm(estimate - self.truth_xy_m, axis=1)

    @property
    def truth_xy_m(self) -> np.ndarray:
        return np.array([(pose.x_m, pose.y_m) for pose in self.truth])

    def drive_metrics(self) -> dict:
        """What only a drive has: the published trajectory's error, its coverage and the rate."""
        error_m = self.estimate_error_m
        # Before the first accepted fix nothing is published, and GNSS is all that a robot has.
        gnss_error_m = np.linalg.norm(self.gnss_xy_m - self.truth_xy_m, axis=1)
        filled = np.where(np.isfinite(error_m), error_m, gnss_error_m)
        return {
            "trajectory_rmse_m": float(np.sqrt(np.mean(filled**2))),
            "trajectory_coverage": float(np.isfinite(error_m).mean()),
            "rate_hz": self.rate_hz,
            "latency_ms_by_stage": self._stages(),
        }

    def _stages(self) -> dict[str, float]:
        names = sorted({name for record in self.records for name in record.timings_ms})
        return {
            name: float(np.median([record.timings_ms[name] for record in self.records if name in record.timings_ms]))
            for name in names
        }


def _judge(record: ImageRecord, truth: Pose2, gnss_xy_m: np.ndarray) -> Frame:
    found = bool(np.isfinite(record.x_m))
    xy_m = np.array([record.x_m, record.y_m]) if found else gnss_xy_m
    error = xy_m - (truth.x_m, truth.y_m)
    cos, sin = np.cos(truth.yaw_rad), np.sin(truth.yaw_rad)
    yaw_error_deg = nees = None
    if found:
        yaw_error_rad = float(wrap_angle_rad(record.yaw_rad - truth.yaw_rad))
        yaw_error_deg = float(np.degrees(yaw_error_rad))
        residual = np.array([*error, yaw_error_rad])
        nees = float(residual @ np.linalg.solve(np.reshape(record.covariance, (3, 3)), residual))
    return Frame(
        id=f"{record.stamp_sec:.3f}",
        error_m=float(np.hypot(*error)),
        along_m=float(cos * error[0] + sin * error[1]),
        across_m=float(-sin * error[0] + cos * error[1]),
        yaw_error_deg=yaw_error_deg,
        accepted=record.accepted,
        reason=record.reason,
        confidence=record.confidence,
        nees=nees,
        latency_ms=sum(record.timings_ms.values()) or None,
        prior_error_m=float(np.hypot(*(gnss_xy_m - (truth.x_m, truth.y_m)))),
    )


def read_tum(path: Path) -> dict[str, np.ndarray]:
    """`stamp_sec` [N], `x_m`, `y_m` and unwrapped `yaw_rad` of a planar TUM trajectory."""
    rows = np.loadtxt(path, ndmin=2)
    return {
        "stamp_sec": rows[:, 0],
        "x_m": rows[:, 1],
        "y_m": rows[:, 2],
        "yaw_rad": np.unwrap(2 * np.arctan2(rows[:, 6], rows[:, 7])),
    }


def poses_at(trajectory: dict[str, np.ndarray], stamps_sec: Sequence[float]) -> list[Pose2]:
    """Poses interpolated at stamps."""
    x, y, yaw = (np.interp(stamps_sec, trajectory["stamp_sec"], trajectory[key]) for key in ("x_m", "y_m", "yaw_rad"))
    return [Pose2(float(a), float(b), float(c)) for a, b, c in zip(x, y, yaw, strict=True)]
