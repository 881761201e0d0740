"""Confidence and temperature are fitted to what the fixes really did."""

import numpy as np
import pytest

from xview_localizer.belief.calibration import CalibrationSpec
from xview_localizer.learning.calibrate import (
    JudgedFix,
    calibrated,
    choose_temperature,
    fit_confidence,
    nees_of_right,
)


def drawn(n: int = 3000) -> list[JudgedFix]:
    """Fixes whose chance to be right is a known logistic of the lead."""
    rng = np.random.default_rng(0)
    lead = rng.exponential(12, n)
    chance = 1 / (1 + np.exp(-(-3 + 1.5 * np.log1p(lead))))
    right = rng.random(n) < chance
    return [JudgedFix(lead, 0.5 if r else 9.0, 3.0) for lead, r in zip(lead, right, strict=True)]


def test_confidence_recovers_the_law_that_made_the_data():
    bias, lead_weight = fit_confidence(drawn())
    assert bias == pytest.approx(-3, abs=0.4)
    assert lead_weight == pytest.approx(1.5, abs=0.2)


def test_confidence_is_calibrated():
    judged = drawn()
    calibration = calibrated(CalibrationSpec(), judged, 4.0)
    chance = np.array([calibration.confidence(fix.lead) for fix in judged])
    right = np.array([fix.position_error_m < 2 for fix in judged])
    for low in (0.3, 0.5, 0.7, 0.9):
        band = (chance >= low) & (chance < low + 0.1)
        assert right[band].mean() == pytest.approx(low + 0.05, abs=0.08)


def test_confidence_needs_both_outcomes():
    with pytest.raises(ValueError, match="right and wrong"):
        fit_confidence([JudgedFix(3.0, 0.2, 3.0)] * 5)


def test_temperature_brings_nees_to_three():
    assert choose_temperature({t: [[12.0 / t]] for t in (1.0, 2.0, 4.0, 8.0)}) == 4.0


def test_the_covariance_holds_where_it_is_worst():
    assert choose_temperature({t: [[6.0 / t], [24.0 / t]] for t in (2.0, 4.0, 8.0)}) == 8.0


def test_wrong_poses_have_no_say_in_the_covariance():
    right, wrong = JudgedFix(3.0, 0.4, 2.5), JudgedFix(0.1, 14.0, 900.0)
    assert nees_of_right([right, wrong, right]) == [2.5, 2.5]
    assert choose_temperature({2.0: [[3.0], []], 4.0: [[], []]}) == 2.0
    with pytest.raises(ValueError, match="nothing to calibrate"):
        choose_temperature({2.0: [[]]})
