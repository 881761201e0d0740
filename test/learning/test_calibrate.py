"""The weights of the evidence and the temperature are fitted to the images' true poses."""

from dataclasses import replace

import numpy as np
import pytest

from xview_localizer.belief.calibration import CalibrationSpec
from xview_localizer.geometry.dense import PoseMode
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.learning.calibrate import (
    TEMPERATURES,
    CalibrationError,
    JudgedModes,
    calibrated,
    fit_weights,
    judge_modes,
    nees_of_right,
    search_temperature,
    worst_nees,
)
from xview_localizer.modes import PLACES, Modes
from xview_localizer.recordings.pairs import Truth

WEIGHT, SHARE, CONSTANT = 0.2, 0.9, 3.0


def drawn(images: int = 1500) -> list[JudgedModes]:
    """Images whose true mode is drawn by a known conditional logit of evidence and prior."""
    rng = np.random.default_rng(0)
    judged = []
    for _ in range(images):
        log_evidence, log_prior = rng.uniform(10, 60, 5), -rng.exponential(0.5, 5)
        none = WEIGHT * SHARE * np.sort(log_evidence)[-2] + CONSTANT
        utility = np.append(WEIGHT * log_evidence + log_prior, none)
        chance = np.exp(utility - np.logaddexp.reduce(utility))
        chosen = int(rng.choice(6, p=chance))
        judged.append(JudgedModes(log_evidence, log_prior, None if chosen == 5 else chosen, 3.0))
    return judged


@pytest.fixture(scope="module")
def judged():
    return drawn()


def none_odds(judged):
    none = sum(image.true is None for image in judged)
    return none / (len(judged) - none)


def test_weights_recover_the_law_that_made_the_data(judged):
    weight, share, bias = fit_weights(judged)
    assert weight == pytest.approx(WEIGHT, rel=0.12)
    assert share == pytest.approx(SHARE, abs=0.12)
    c = bias + np.log(PLACES * none_odds(judged))
    # Share and constant trade: what counts is what "none" is worth at a typical second best mode.
    second = np.mean([np.sort(image.log_evidence)[-2] for image in judged])
    assert weight * share * second + c == pytest.approx(WEIGHT * SHARE * second + CONSTANT, abs=0.8)


def test_how_often_none_was_true_is_no_property_of_the_model(judged):
    """Twice as many images of elsewhere: the same weights."""
    none = [image for image in judged if image.true is None]
    np.testing.assert_allclose(fit_weights([*judged, *none]), fit_weights(judged), rtol=0.02, atol=0.1)


def test_one_absurd_image_does_not_move_the_fit(judged):
    absurd = JudgedModes(np.array([5000.0, 10.0]), np.zeros(2), 1, None)
    np.testing.assert_allclose(fit_weights([*judged, absurd]), fit_weights(judged), atol=0.15)


@pytest.mark.parametrize("true", [None, 0])
def test_right_and_wrong_places_are_both_needed(true):
    image = JudgedModes(np.array([9.0, 3.0]), np.zeros(2), true, None)
    with pytest.raises(CalibrationError, match="right and wrong places"):
        fit_weights([image] * 5)


def test_calibration_without_images_is_refused():
    with pytest.raises(CalibrationError, match="got 0 right ones in 0 searches"):
        fit_weights([])


def mode_at(x_m, yaw_rad=0.0, current=20.0):
    covariance = np.diag([0.25, 1.0, 0.01])
    return PoseMode(Pose2(x_m, 0.0, yaw_rad), 1.0, covariance, 60.0, current, -0.5)


def modes_of(*modes):
    return Modes(0.0, Prior(0.0, 0.0, 20.0), modes)


def test_modes_are_held_against_the_truth():
    image = judge_modes(modes_of(mode_at(9.0), mode_at(1.0, 0.1, 15.0)), Truth(0.0, 0.0, 0.0, 0.0))
    assert image.true == 1
    assert image.nees == pytest.approx(1 / 0.25 + 0.1**2 / 0.01)
    np.testing.assert_array_equal(image.log_evidence, [20.0, 15.0])
    np.testing.assert_array_equal(image.log_prior, [-0.5, -0.5])


@pytest.mark.parametrize(
    ("mode", "true"),
    [
        (mode_at(1.99), 0),
        (mode_at(2.01), None),
        (mode_at(0.0, np.radians(9.9)), 0),
        (mode_at(0.0, np.radians(10.1)), None),
    ],
)
def test_right_is_within_2_m_and_10_degrees(mode, true):
    assert judge_modes(modes_of(mode), Truth(0.0, 0.0, 0.0, 0.0)).true == true


def test_without_a_true_yaw_there_is_no_nees_and_elsewhere_no_truth():
    image = judge_modes(modes_of(mode_at(1.0, 3.0)), Truth(0.0, 0.0, None, 0.0))
    assert (image.true, image.nees) == (0, None)
    image = judge_modes(modes_of(mode_at(0.0)), None)
    assert (image.true, image.nees) == (None, None)


def test_the_first_right_mode_is_the_true_one():
    image = judge_modes(modes_of(mode_at(1.0), mode_at(0.0)), Truth(0.0, 0.0, 0.0, 0.0))
    assert image.true == 0


@pytest.mark.parametrize("exponent", [1.0, 0.6, 1.4])
@pytest.mark.parametrize("first", [1.0, 3.5, 40.0])
@pytest.mark.parametrize("right", TEMPERATURES)
def test_temperature_brings_nees_to_three(first, exponent, right):
    tried = []

    def nees_at(temperature):
        tried.append(temperature)
        return 3.0 * (right / temperature) ** exponent

    assert search_temperature(nees_at, first) == right
    assert len(tried) == len(set(tried)) <= 5
    if exponent == 1.0:
        assert len(tried) <= 2


@pytest.mark.parametrize(("right", "limit"), [(400.0, TEMPERATURES[-1]), (0.01, TEMPERATURES[0])])
def test_the_search_for_a_temperature_ends_at_the_limits(right, limit):
    assert search_temperature(lambda temperature: 3.0 * right / temperature, 7.0) == limit


def test_of_two_temperatures_that_lead_to_each_other_the_better_one_is_taken():
    assert search_temperature({3.0: 4.0, 4.5: 2.1}.__getitem__, 3.0) == 3.0


def image_of(nees):
    return JudgedModes(np.array([9.0]), np.zeros(1), None if nees is None else 0, nees)


def test_the_covariance_holds_where_it_is_worst():
    assert worst_nees([[image_of(2.0), image_of(1.0)], [image_of(4.0), image_of(6.0)]]) == 5.0


def test_wrong_poses_do_not_enter_the_covariance():
    right, wrong = image_of(2.5), image_of(None)
    assert nees_of_right([right, wrong, right]) == [2.5, 2.5]
    assert worst_nees([[right, wrong], [wrong], []]) == 2.5
    with pytest.raises(CalibrationError, match="nothing to calibrate"):
        worst_nees([[wrong], []])


def test_how_far_images_repeat_each_other_is_kept(judged):
    before = CalibrationSpec(independence_m=21.0)
    after = calibrated(before, judged[:300], 7.0)
    assert after == replace(
        before,
        evidence_temperature=7.0,
        mode_weight=after.mode_weight,
        none_share=after.none_share,
        none_bias=after.none_bias,
    )
    assert (after.mode_weight, after.none_share, after.none_bias) == fit_weights(judged[:300])
