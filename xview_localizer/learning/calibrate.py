"""Calibrated doubt: fit confidence and evidence temperature on validation towns.

Confidence is a logistic regression of "within 2 m" on the logarithm of the lead over the best rival. The
evidence temperature says how many independent witnesses the neighbouring cells amount to; it is chosen so
that the normalized estimation error squared (NEES) of right poses averages 3 on the data set where it is worst:
a covariance must hold for every camera.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from xview_localizer.models.package import CalibrationSpec, lead_feature

RIGHT_WITHIN_M = 2.0
TEMPERATURES = (2.0, 3.0, 4.5, 7.0, 10.0, 15.0, 22.0, 33.0)


class CalibrationError(ValueError):
    """The validation images cannot calibrate a model."""


@dataclass(frozen=True)
class JudgedFix:
    """A fix's lead (see Fix), and its error against the truth; no NEES where the true yaw is unknown."""

    lead: float
    position_error_m: float
    nees: float | None


def fit_confidence(judged: Sequence[JudgedFix]) -> tuple[float, float]:
    """Bias and weight of the logistic regression, lightly regularised.

    Raises CalibrationError where every pose is right or every pose is wrong: nothing can be fitted then.
    """
    right = np.array([fix.position_error_m <= RIGHT_WITHIN_M for fix in judged], dtype=np.float64)
    if right.min(initial=1) == right.max(initial=0):
        raise CalibrationError(
            f"confidence needs right and wrong poses to tell apart, got {int(right.sum())} right of {len(right)}"
        )
    features = np.array([[1.0, lead_feature(fix.lead)] for fix in judged])

    def loss(weights: np.ndarray) -> float:
        margin = np.where(right > 0, 1, -1) * (features @ weights)
        return float(np.logaddexp(0, -margin).sum() + 0.005 * np.sum(weights[1:] ** 2))

    bias, lead_weight = minimize(loss, np.zeros(2), method="BFGS").x
    return float(bias), float(lead_weight)


def nees_of_right(judged: Sequence[JudgedFix]) -> list[float]:
    """NEES of the poses that are right: a covariance describes one mode, wrong ones are confidence's business."""
    right = [fix for fix in judged if fix.position_error_m <= RIGHT_WITHIN_M]
    return [fix.nees for fix in right if fix.nees is not None]


def choose_temperature(nees_at: Mapping[float, Sequence[Sequence[float]]]) -> float:
    """The temperature at which the highest mean NEES of a data set comes nearest to 3 (on a log scale).

    Raises CalibrationError without any NEES.
    """
    worst = {
        t: max((np.mean(nees) for nees in of_sets if len(nees)), default=None)
        for t, of_sets in nees_at.items()
    }
    distance = {t: abs(np.log(nees / 3)) for t, nees in worst.items() if nees is not None}
    if not distance:
        raise CalibrationError(
            f"no pose was found within {RIGHT_WITHIN_M:g} m of the truth: there is nothing to calibrate"
        )
    return min(distance, key=distance.__getitem__)


def calibrated(before: CalibrationSpec, judged: Sequence[JudgedFix], temperature: float) -> CalibrationSpec:
    """The calibration for model.yaml."""
    bias, lead_weight = fit_confidence(judged)
    return replace(
        before,
        evidence_temperature=temperature,
        confidence_bias=bias,
        confidence_lead_weight=lead_weight,
    )
