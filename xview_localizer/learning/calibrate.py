"""Calibration: fit the weight of evidence and the evidence temperature to validation images.

The true mode of an image, or none of them, follows a conditional logit of the modes' log evidence
(belief/evidence.py). The evidence temperature is the number of neighbouring cells that count as one; it is chosen so
that the normalized estimation error squared (NEES) of right modes averages 3 on the data set where it is greatest,
since the covariance must hold for every camera.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from xview_localizer.belief.calibration import CalibrationSpec
from xview_localizer.geometry.pose import Pose2, nees_of, wrap_angle_rad
from xview_localizer.modes import PLACES, Modes
from xview_localizer.recordings.pairs import Truth

RIGHT_WITHIN_M, RIGHT_WITHIN_RAD = 2.0, float(np.radians(10.0))  # errors of a mode that counts as the truth
# The candidates for the evidence temperature.
TEMPERATURES = (2.0, 3.0, 4.5, 7.0, 10.0, 15.0, 22.0, 33.0)
IDEAL_NEES = 3.0  # of (x, y, yaw) on average, where the covariance is right
# Greatest negative log likelihood of one image, so that an outlier does not dominate the fit.
MAX_LOSS = 12.0
# Standard deviations of the Gaussian prior on log mode_weight, none_share and none_bias, by how models have differed.
PRIOR_SIGMAS = np.array([1.0, 0.2, 2.0])


class CalibrationError(ValueError):
    """The validation images cannot calibrate a model."""


@dataclass(frozen=True)
class JudgedModes:
    """An image's modes compared with the truth."""

    log_evidence: np.ndarray  # [modes] of the current image
    log_prior: np.ndarray  # [modes] of the prior's edge and heading
    true: int | None  # index of the mode at the truth; None where there is none
    nees: float | None  # of that mode; None without one or where the true yaw is unknown


def judge_modes(modes: Modes, truth: Truth | None) -> JudgedModes:
    """Compare modes with `truth`; `truth` is None where the search did not include it."""
    true = nees = None
    for number, mode in enumerate(modes.modes):
        if truth is not None and true is None and _is_right(mode.pose, truth):
            true = number
            if (true_pose := truth.pose) is not None:
                nees = nees_of(mode.pose.error(true_pose), mode.covariance)
    return JudgedModes(
        np.array([mode.log_evidence_current for mode in modes.modes]),
        np.array([mode.log_prior for mode in modes.modes]),
        true,
        nees,
    )


def fit_weights(
    judged: Sequence[JudgedModes], before: CalibrationSpec = CalibrationSpec()
) -> tuple[float, float, float]:
    """`mode_weight`, `none_share` and `none_bias` of greatest posterior; `before` is the mean of their prior.

    P(mode m) ~ exp(mode_weight e_m + log prior), P(none) ~ exp(mode_weight none_share e_second + c). c includes the
    log odds of "none" in these images and log PLACES, both of which are subtracted to give `none_bias`.
    Raises CalibrationError where all images, or none, have a true mode, since nothing can be fitted then.
    """
    found = np.array([image.true is not None for image in judged])
    if found.all() or not found.any():
        raise CalibrationError(
            "calibration needs right and wrong places to tell apart, got "
            f"{int(found.sum())} right ones in {len(found)} searches; add images of other places"
        )

    none_odds = np.count_nonzero(~found) / np.count_nonzero(found)
    offset = float(np.log(PLACES * none_odds))
    expected = np.array([np.log(before.mode_weight), before.none_share, before.none_bias + offset])

    def loss(parameters: np.ndarray) -> float:
        weight, share, c = np.exp(parameters[0]), *parameters[1:]
        # A few images may be separated perfectly by arbitrarily large weights; the prior keeps the weight finite.
        total = 0.5 * float(np.sum(((parameters - expected) / PRIOR_SIGMAS) ** 2))
        for image in judged:
            second = np.sort(image.log_evidence)[-2] if len(image.log_evidence) > 1 else 0.0
            utility = np.append(weight * image.log_evidence + image.log_prior, weight * share * second + c)
            log_probability = utility - np.logaddexp.reduce(utility)
            total -= max(log_probability[-1 if image.true is None else image.true], -MAX_LOSS)
        return total

    log_weight, share, c = minimize(loss, expected, method="Nelder-Mead", options={"maxiter": 1000}).x
    return float(np.exp(log_weight)), float(share), float(c) - offset


def nees_of_right(judged: Sequence[JudgedModes]) -> list[float]:
    """NEES of the right modes; a covariance describes one mode, and wrong modes are covered by the confidence."""
    return [image.nees for image in judged if image.nees is not None]


def worst_nees(judged: Sequence[Sequence[JudgedModes]]) -> float:
    """The greatest mean NEES of right modes of a data set. Raises CalibrationError where no set has any."""
    of_sets = [nees for images in judged if (nees := nees_of_right(images))]
    if not of_sets:
        raise CalibrationError(
            f"no pose was found within {RIGHT_WITHIN_M:g} m of the truth: there is nothing to calibrate"
        )
    return max(float(np.mean(nees)) for nees in of_sets)


def search_temperature(worst_nees_at: Callable[[float], float], first: float) -> float:
    """The temperature at which the worst NEES comes nearest to IDEAL_NEES, of those tried from `first` on.

    Covariances are about proportional to the temperature, so the NEES at one tells which to try next. Two or three are
    enough, where trying all of TEMPERATURES would take most of a calibration's time.
    """
    tried: dict[float, float] = {}
    temperature = _nearest_temperature(first)
    while temperature not in tried:
        tried[temperature] = worst_nees_at(temperature)
        temperature = _nearest_temperature(temperature * tried[temperature] / IDEAL_NEES)
    return min(tried, key=lambda t: abs(np.log(tried[t] / IDEAL_NEES)))


def _nearest_temperature(wanted: float) -> float:
    return min(TEMPERATURES, key=lambda temperature: abs(np.log(temperature / wanted)))


def calibrated(before: CalibrationSpec, judged: Sequence[JudgedModes], temperature: float) -> CalibrationSpec:
    """The calibration for model.yaml; `independence_m` is kept, because only drives can determine it."""
    mode_weight, none_share, none_bias = fit_weights(judged, before)
    return replace(
        before,
        evidence_temperature=temperature,
        mode_weight=mode_weight,
        none_share=none_share,
        none_bias=none_bias,
    )


def _is_right(pose: Pose2, truth: Truth) -> bool:
    turned_rad = 0.0 if truth.yaw_rad is None else float(wrap_angle_rad(pose.yaw_rad - truth.yaw_rad))
    distance_m = np.hypot(pose.x_m - truth.x_m, pose.y_m - truth.y_m)
    return bool(distance_m <= RIGHT_WITHIN_M) and abs(turned_rad) <= RIGHT_WITHIN_RAD
