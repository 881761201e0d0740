"""The figures by which methods are compared on published data sets: errors of all images, accepted or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from xview_localizer.evaluation.cross_view import CrossViewResult
from xview_localizer.evaluation.metrics import Frame, Metrics, or_none

RECALLS = (1, 3, 5)  # metres and degrees


def cross_view_figures(result: CrossViewResult) -> Metrics:
    """Figures over `all` images and over the `accepted` ones, and every image's errors, JSON-ready.

    Where no pose was found the position is the search's middle, and the yaw counts as missed.
    """
    accepted = [frame for frame in result.frames if frame.accepted]
    return {
        "n": len(result.frames),
        "n_rejected": len(result.frames) - len(accepted),
        "n_without_pose": sum(not frame.has_pose for frame in result.frames),
        "n_unreadable": len(result.unreadable),
        "all": _figures(result.frames),
        "accepted": _figures(accepted),
        "unreadable": dict(result.unreadable),
        "frames": [asdict(frame) for frame in result.frames],
    }


def _figures(frames: Sequence[Frame]) -> dict[str, float | None]:
    position_m = np.array([frame.error_m for frame in frames])
    lateral_m = np.abs([frame.across_m for frame in frames])
    longitudinal_m = np.abs([frame.along_m for frame in frames])
    found_deg = np.abs([frame.yaw_error_deg for frame in frames if frame.yaw_error_deg is not None])
    return {
        "position_mean_m": or_none(np.mean, position_m),
        "position_median_m": or_none(np.median, position_m),
        **{f"lateral_recall_{r}m": or_none(np.mean, lateral_m <= r) for r in RECALLS},
        **{f"longitudinal_recall_{r}m": or_none(np.mean, longitudinal_m <= r) for r in RECALLS},
        "yaw_mean_deg": or_none(np.mean, found_deg),
        "yaw_median_deg": or_none(np.median, found_deg),
        **{f"yaw_recall_{r}deg": _share(found_deg <= r, len(frames)) for r in RECALLS},
    }


def _share(hits: np.ndarray, of: int) -> float | None:
    return float(np.sum(hits) / of) if of else None
