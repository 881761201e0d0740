"""Comparison of one pose with the truth."""

from __future__ import annotations

import numpy as np

from xview_localizer.belief.fix import Fix
from xview_localizer.evaluation.metrics import Frame
from xview_localizer.geometry.pose import Pose2, nees_of, turned
from xview_localizer.recordings.pairs import Truth
from xview_localizer.records import ImageRecord


def judge(
    id: str, answer: Fix | ImageRecord, truth: Truth, prior_xy_m: np.ndarray, latency_ms: float | None
) -> Frame:
    """Errors and NEES of `answer`; where no pose was found, the error is that of the prior's middle [2]."""
    found = bool(np.isfinite(answer.x_m))
    truth_xy_m = np.array([truth.x_m, truth.y_m])
    error_m = (np.array([answer.x_m, answer.y_m]) if found else prior_xy_m) - truth_xy_m
    along_m = across_m = float("nan")
    yaw_error_deg = nees = None
    if (true_pose := truth.pose) is not None:
        along_m, across_m = turned(error_m, -true_pose.yaw_rad).tolist()
        if found:
            error = Pose2(answer.x_m, answer.y_m, answer.yaw_rad).error(true_pose)
            yaw_error_deg = float(np.degrees(error[2]))
            nees = nees_of(error, np.reshape(answer.covariance, (3, 3)))
    return Frame(
        id=id,
        error_m=float(np.hypot(*error_m)),
        along_m=along_m,
        across_m=across_m,
        yaw_error_deg=yaw_error_deg,
        accepted=answer.accepted,
        reason=answer.reason,
        confidence=answer.confidence,
        nees=nees,
        latency_ms=latency_ms,
        prior_error_m=float(np.hypot(*(prior_xy_m - truth_xy_m))),
        tolerance_m=truth.tolerance_m,
        has_pose=found,
    )
