"""The result of a drive: its records beside the truth, and the errors of the published trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xview_localizer.evaluation.judging import judge
from xview_localizer.evaluation.metrics import Frame, Metrics
from xview_localizer.evaluation.spreading import spread
from xview_localizer.geometry.pose import Pose2
from xview_localizer.recordings.pairs import Truth
from xview_localizer.records import ImageRecord


@dataclass(frozen=True)
class DriveResult:
    """Records of a drive with the true pose, and base_link's position by GNSS, at each record's stamp."""

    records: Sequence[ImageRecord]
    truth: Sequence[Pose2]
    gnss_xy_m: np.ndarray  # [N, 2]
    rate_hz: float

    @cached_property
    def frames(self) -> list[Frame]:
        """The errors of each record."""
        return [
            judge(
                f"{record.stamp_sec:.3f}",
                record,
                Truth(truth.x_m, truth.y_m, truth.yaw_rad, 0.0),
                gnss,
                sum(record.timings_ms.values()) or None,
            )
            for record, truth, gnss in zip(self.records, self.truth, self.gnss_xy_m, strict=True)
        ]

    @property
    def estimate_error_m(self) -> np.ndarray:
        """Error [N] of the published trajectory, NaN before it begins."""
        estimate = np.array([(record.estimate_x_m, record.estimate_y_m) for record in self.records])
        return np.linalg.norm(estimate - self.truth_xy_m, axis=1)

    @property
    def truth_xy_m(self) -> np.ndarray:
        """True positions [N, 2] in `map`."""
        return np.array([(pose.x_m, pose.y_m) for pose in self.truth])

    def drive_metrics(self) -> Metrics:
        """Metrics of the drive as a whole: error and coverage of the published trajectory, rate, latency by stage."""
        error_m = self.estimate_error_m
        # Before the first accepted pose nothing is published, and a robot has only GNSS.
        gnss_error_m = np.linalg.norm(self.gnss_xy_m - self.truth_xy_m, axis=1)
        filled = np.where(np.isfinite(error_m), error_m, gnss_error_m)
        return {
            "trajectory_rmse_m": float(np.sqrt(np.mean(filled**2))),
            "trajectory_coverage": float(np.isfinite(error_m).mean()),
            "rate_hz": self.rate_hz,
            "latency_ms_by_stage": self._stages(),
        }

    def _stages(self) -> dict[str, float]:
        """Median time of each stage, in the order in which they run."""
        names = dict.fromkeys(name for record in self.records for name in record.timings_ms)
        return {
            name: float(
                np.median([record.timings_ms[name] for record in self.records if name in record.timings_ms])
            )
            for name in names
        }


def spread_images(images: Sequence[np.ndarray | None], most: int) -> list[tuple[int, np.ndarray]]:
    """At most `most` of the images that are there, each with its index, spread evenly over the drive."""
    present = [(index, image) for index, image in enumerate(images) if image is not None]
    return spread(present, most)
