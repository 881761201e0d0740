"""Modes and hypotheses to believe in."""

from __future__ import annotations

import numpy as np

from xview_localizer.belief.evidence import ImageEvidence
from xview_localizer.belief.hypotheses import Belief, Hypothesis
from xview_localizer.geometry.dense import PoseMode
from xview_localizer.geometry.pose import Pose2

COVARIANCE = np.diag([0.3**2, 0.2**2, np.radians(0.5) ** 2])


def mode_at(x_m, y_m=0.0, yaw_rad=0.0, log_evidence=50.0, current=None, covariance=COVARIANCE, log_prior=0.0):
    current = log_evidence if current is None else current
    return PoseMode(Pose2(x_m, y_m, yaw_rad), 1.0, covariance, log_evidence, current, log_prior)


def evidence_of(modes, log_ratio, joined=None):
    joined = log_ratio if joined is None else joined
    return ImageEvidence(tuple(modes), np.asarray(log_ratio, float), np.asarray(joined, float))


def hypothesis_at(x_m, y_m=0.0, yaw_rad=0.0, weight=0.5, covariance=COVARIANCE, mode=None):
    return Hypothesis(Pose2(x_m, y_m, yaw_rad), covariance, float(np.log(weight)), mode)


def belief_in(*hypotheses):
    """Heaviest first; "none of these" has the rest."""
    ordered = sorted(hypotheses, key=lambda item: -item.log_weight)
    return Belief(tuple(ordered), float(np.log1p(-sum(np.exp(item.log_weight) for item in ordered))))


def total_weight(belief):
    return np.exp(belief.log_none) + sum(np.exp(item.log_weight) for item in belief.hypotheses)
