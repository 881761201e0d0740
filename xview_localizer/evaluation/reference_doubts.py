"""Doubts about a reference that is too inaccurate, or too far from GNSS, to judge a localizer by."""

from __future__ import annotations

import numpy as np

from xview_localizer.evaluation.reference import Reference
from xview_localizer.evaluation.trajectory import DriveResult

# With a greater standard deviation, the error of the reference decides whether a pose counts as within 1 m.
ROUGH_SIGMA_M = 0.5
# GNSS is rarely further off, and searches around it are seldom wider.
FAR_M = 20.0


def doubts_of_reference(reference: Reference, result: DriveResult) -> list[str]:
    """What makes the figures of a judged drive doubtful; empty for a reference that is exact and near GNSS."""
    doubts = []
    sigma_m = float(np.median(reference.sigma_m))
    if sigma_m > ROUGH_SIGMA_M:
        doubts.append(
            f"reference {reference.name} has a standard deviation of {sigma_m:.1f} m by its own account, which errors, "
            "NEES and wrong poses contain; judge by RTK or a survey"
        )
    off_m = float(np.median(np.linalg.norm(result.truth_xy_m - result.gnss_xy_m, axis=1)))
    if off_m > FAR_M:
        doubts.append(
            f"reference {reference.name} lies {off_m:.0f} m from GNSS (median): it has to be in map, metres east and "
            "north of the datum"
        )
    return doubts
