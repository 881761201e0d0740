"""The metrics of drives and data sets, as written to `metrics.json` and by `evaluate --out`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np

from xview_localizer.atomic import write_whole
from xview_localizer.strict_json import strict_json

Metrics = dict[str, Any]  # for JSON: numbers, None without data, and lists of such objects

RECALL_RADII_M = (1, 2, 5, 10)
FALSE_ACCEPT_M = 5.0
YAW_RECALL_DEG = 10.0
CONFIDENT_SHARES = (50, 70)
NEAR_M = 2.0  # of the figures `…_2m`
CONFIDENCE_RADIUS_M = 2.0  # `confidence` is the probability of an error below this
RELIABILITY_BINS = 5


@dataclass(frozen=True)
class Frame:
    """The errors of one image. `error_m` is that of the best pose found, or of the prior where no pose was found."""

    id: str
    error_m: float
    along_m: float  # split of the error along and across the true heading; NaN where that is unknown
    across_m: float
    yaw_error_deg: float | None  # None where the true yaw is unknown, or no pose was found
    accepted: bool
    reason: str
    confidence: float
    nees: float | None  # of (x, y, yaw); None where no pose was found or the true yaw is unknown
    latency_ms: float | None
    prior_error_m: float
    tolerance_m: float = 0.0  # possible error of the truth itself; not subtracted from the errors
    has_pose: bool = True  # whether a pose was found, accepted or not


def summarize(frames: Sequence[Frame]) -> Metrics:
    """All metrics over `frames`, JSON-ready; figures without data are None."""
    accepted = [frame for frame in frames if frame.accepted]
    nees = [frame.nees for frame in accepted if frame.nees is not None]
    latency = [frame.latency_ms for frame in frames if frame.latency_ms is not None]
    return {
        "n": len(frames),
        "n_accepted": len(accepted),
        **_errors(frames),
        **{f"accepted_{key}": value for key, value in _errors(accepted).items()},
        "false_accepts": sum(frame.error_m > FALSE_ACCEPT_M for frame in accepted),
        **_confident(frames),
        "nees_mean": or_none(np.mean, nees),
        "prior_rmse_m": or_none(_rms, [frame.prior_error_m for frame in frames]),
        "latency_ms_median": or_none(np.median, latency),
        "rejections": rejections(frames),
        "frames": [asdict(frame) for frame in frames],
    }


def rejections(frames: Sequence[Frame]) -> list[dict[str, str | int]]:
    """Each `reason` of rejected images with its `count`, most frequent first.

    Reasons that differ only in their numbers are counted together; numbers in names, such as rgb8, are kept.
    """
    reasons = Counter(
        re.sub(r"(?<!\w)-?\d+(\.\d+)?(?!\w)", "…", frame.reason) for frame in frames if not frame.accepted
    )
    return [{"reason": reason, "count": count} for reason, count in reasons.most_common()]


def _errors(frames: Sequence[Frame]) -> dict[str, float | None]:
    error_m = [frame.error_m for frame in frames]
    yaw_deg = [abs(frame.yaw_error_deg) for frame in frames if frame.yaw_error_deg is not None]
    split = [frame for frame in frames if np.isfinite(frame.along_m)]  # those whose true heading is known
    return {
        "position_median_m": or_none(np.median, error_m),
        "position_mean_m": or_none(np.mean, error_m),
        "position_rmse_m": or_none(_rms, error_m),
        **{f"recall_{r}m": or_none(np.mean, [e <= r for e in error_m]) for r in RECALL_RADII_M},
        "longitudinal_recall_2m": or_none(np.mean, [abs(frame.along_m) <= NEAR_M for frame in split]),
        "lateral_recall_2m": or_none(np.mean, [abs(frame.across_m) <= NEAR_M for frame in split]),
        "yaw_median_deg": or_none(np.median, yaw_deg),
        "yaw_recall_10deg": or_none(np.mean, [_has_yaw_within(frame, YAW_RECALL_DEG) for frame in split]),
    }


def _has_yaw_within(frame: Frame, limit_deg: float) -> bool:
    """Whether a yaw was found, and is off by no more than the limit."""
    return frame.yaw_error_deg is not None and abs(frame.yaw_error_deg) <= limit_deg


def _confident(frames: Sequence[Frame]) -> dict[str, float | None]:
    """Recall within 2 m of the most confident 50 % and 70 % of the images."""
    ranked = sorted(frames, key=lambda frame: -frame.confidence)
    figures: dict[str, float | None] = {}
    for share in CONFIDENT_SHARES:
        best = ranked[: int(np.ceil(share / 100 * len(ranked)))]
        figures[f"confident_{share}_recall_2m"] = or_none(
            np.mean, [frame.error_m <= NEAR_M for frame in best]
        )
    return figures


def reliability(frames: Sequence[Frame]) -> list[dict[str, float | None]]:
    """Mean confidence and share of poses within CONFIDENCE_RADIUS_M, in equal bins of confidence.

    Only frames with a pose and a known true yaw are counted.
    """
    found = [frame for frame in frames if frame.yaw_error_deg is not None]
    edges = np.linspace(0, 1, RELIABILITY_BINS + 1)
    number = np.digitize([frame.confidence for frame in found], edges[1:-1])
    bins: list[dict[str, float | None]] = []
    for index in range(RELIABILITY_BINS):
        inside = [frame for frame, at in zip(found, number, strict=True) if at == index]
        bins.append(
            {
                "from": float(edges[index]),
                "to": float(edges[index + 1]),
                "count": len(inside),
                "confidence_mean": or_none(np.mean, [frame.confidence for frame in inside]),
                "within_2m": or_none(np.mean, [frame.error_m <= CONFIDENCE_RADIUS_M for frame in inside]),
            }
        )
    return bins


def _rms(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def or_none(reduce: Callable[[Any], SupportsFloat], values: Sequence[float] | np.ndarray) -> float | None:
    """`reduce(values)`; None where there are no values."""
    return float(reduce(values)) if len(values) else None


def write_json(metrics: Mapping[str, Any], path: Path) -> None:
    """Write metrics as JSON; NaN becomes null, which every JSON reader accepts."""
    write_whole(path, strict_json(metrics, indent=1) + "\n")
