"""Figures of metrics.json as people read them, in the report and in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measure:
    """A figure of metrics.json under `key`: its name, its unit (% for shares), and what it means."""

    key: str
    name: str
    unit: str = ""
    note: str = ""

    def text(self, figures: Mapping[str, Any], prefix: str = "") -> str:
        """The figure under `prefix` and `key` with its unit."""
        return quantity(figures[prefix + self.key], self.unit)


@dataclass(frozen=True)
class Row:
    """One line of a table of figures."""

    name: str
    value: str
    note: str


# On a short drive this is mostly the error of GNSS, so the name mentions it.
TRAJECTORY_RMSE = Measure(
    "trajectory_rmse_m", "RMSE of the published trajectory (GNSS before it)", "m",
    "accepted poses, odometry between them, GNSS before the first one",
)  # fmt: skip
DRIVE_MEASURES = (
    Measure("accepted_position_median_m", "position error of accepted poses, median", "m"),
    Measure("accepted_yaw_median_deg", "heading error of accepted poses, median", "°"),
    Measure("nees_mean", "NEES of accepted poses", "", "ideally 3: squared errors over their variances (x, y, yaw)"),
    TRAJECTORY_RMSE,
    Measure("prior_rmse_m", "RMSE of GNSS", "m", "at the same stamps"),
    Measure("recall_2m", "images within 2 m", "%", "best pose of every image, accepted or not, or else GNSS"),
    Measure("rate_hz", "images per second"),
    Measure("latency_ms_median", "latency, median", "ms", "from image to pose"),
)  # fmt: skip


def drive_rows(metrics: Mapping[str, Any]) -> list[Row]:
    """What the report and `replay` show of a drive's metrics."""
    return [
        Row("accepted poses", f"{metrics['n_accepted']} of {metrics['n']} images", ""),
        Row("of them off by more than 5 m", str(metrics["false_accepts"]), ""),
        *(Row(item.name, item.text(metrics), item.note) for item in DRIVE_MEASURES),
    ]


def quantity(value: float | None, unit: str = "") -> str:
    """A number with as many decimals as its size calls for, and its unit; a dash for None."""
    if value is None:
        return "–"
    if unit == "%":
        return f"{100 * value:.0f} %"
    decimals = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:.{decimals}f}{'' if unit in ('', '°') else ' '}{unit}"
