"""The one place that decides: which reason, with which numbers, and where exactly the thresholds lie."""

from dataclasses import replace

import numpy as np
import pytest
from belief_cases import belief_in, hypothesis_at, mode_at

from xview_localizer.belief.fix import Fix
from xview_localizer.belief.gate import SINGLE_IMAGE_GATE, GateConfig, decide
from xview_localizer.belief.hypotheses import Belief, position_sigma_m
from xview_localizer.geometry.pose import Prior
from xview_localizer.modes import Modes
from xview_localizer.rejection import Reason, Rejection

CONFIG = GateConfig(min_confidence=0.95, max_position_sigma_m=2.0)


def modes_of(*modes, **values):
    about = {"score_per_cell": 0.3, "inliers": 120, "inlier_ratio": 0.4, "depth_source": "network"}
    about |= {"timings_ms": {"solve": 3.0}}
    return Modes(7.5, Prior(0.0, 0.0, 20.0), tuple(modes), **(about | values))


TWO = modes_of(mode_at(1.0, 2.0, 0.3), mode_at(13.0, 2.0, 0.3))


def test_a_sure_leader_s_mode_is_published():
    """The mode, not the hypothesis that holds odometry and earlier images already."""
    leader = hypothesis_at(12.9, 2.1, 0.31, weight=0.96, mode=1)
    fix = decide(TWO, belief_in(leader, hypothesis_at(1.0, 2.0, 0.3, weight=0.03, mode=0)), CONFIG)
    assert fix.accepted and fix.reason == "" and fix.stamp_sec == 7.5
    assert (fix.x_m, fix.y_m, fix.yaw_rad, fix.scale) == (13.0, 2.0, 0.3, 1.0)
    np.testing.assert_array_equal(fix.covariance, TWO.modes[1].covariance)
    assert fix.confidence == pytest.approx(0.96)
    (rival,) = fix.rivals
    assert (rival.pose.x_m, rival.probability) == (1.0, pytest.approx(0.03))
    assert (fix.score_per_cell, fix.inliers, fix.inlier_ratio) == (0.3, 120, 0.4)
    assert (fix.depth_source, fix.timings_ms) == ("network", {"solve": 3.0})


def test_the_imagery_s_own_uncertainty_is_added_to_the_covariance_and_the_gate_knows_of_it():
    sigma_m = position_sigma_m(TWO.modes[0].covariance)
    belief = belief_in(hypothesis_at(1.0, weight=0.99, mode=0))
    for map_sigma_m, limit_m, accepted in ((0.6, np.hypot(sigma_m, 0.6) + 1e-9, True), (0.6, 0.6, False)):
        modes = replace(TWO, map_sigma_m=map_sigma_m)
        fix = decide(modes, belief, replace(CONFIG, max_position_sigma_m=limit_m))
        assert fix.accepted == accepted
        added = fix.covariance - TWO.modes[0].covariance
        np.testing.assert_allclose(added, np.diag([0.36, 0.36, 0.0]), atol=1e-12)


def test_confidence_threshold_is_exact():
    for weight, accepted in ((0.95 + 1e-9, True), (0.95 - 1e-9, False)):
        fix = decide(TWO, belief_in(hypothesis_at(1.0, weight=weight, mode=0)), CONFIG)
        assert fix.accepted == accepted


@pytest.mark.parametrize(
    ("weight", "first_min", "accepted"),
    [(0.975, 0.97, True), (0.965, 0.97, False), (0.955, 0.9, True), (0.945, 0.9, False)],
)
def test_a_first_pose_has_to_reach_the_larger_of_two_thresholds(weight, first_min, accepted):
    config = GateConfig(min_confidence=0.95, first_min_confidence=first_min)
    belief = belief_in(hypothesis_at(1.0, weight=weight, mode=0))
    fix = decide(TWO, belief, config, first=True)
    assert fix.accepted == accepted
    if not accepted:
        assert fix.reason.endswith(f"is below {max(0.95, first_min):g}")
    assert decide(TWO, belief, config).accepted == (weight > 0.95)


def test_sigma_threshold_is_exact_along_the_worst_direction():
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    for sigma_m, accepted in ((2.0 - 1e-9, True), (2.0 + 1e-9, False)):
        covariance = np.diag([0.0, 0.0, 1e-4])
        covariance[:2, :2] = turn @ np.diag([sigma_m**2, 0.01]) @ turn.T
        modes = modes_of(mode_at(1.0, covariance=covariance))
        # The hypothesis is narrower: it is the mode that is published.
        fix = decide(modes, belief_in(hypothesis_at(1.0, weight=0.99, mode=0)), CONFIG)
        assert fix.accepted == accepted
    assert fix.rejection.reason is Reason.TOO_UNCERTAIN
    assert fix.reason == "position sigma 2.01 m is above 2 m"
    assert fix.confidence == pytest.approx(0.99) and fix.x_m == 1.0


def test_a_pose_at_the_limits_is_published():
    """A reason that reads "0.95 is below 0.95" would be none."""
    belief = belief_in(hypothesis_at(1.0, weight=0.95, mode=0))
    sigma_m = position_sigma_m(TWO.modes[0].covariance)
    limits = GateConfig(min_confidence=belief.confidence, max_position_sigma_m=sigma_m)
    assert decide(TWO, belief, limits).accepted


@pytest.mark.parametrize(
    ("config", "weight", "sigma_m", "accepted"),
    [
        (GateConfig(), 0.981, 2.9, True), (GateConfig(), 0.979, 2.9, False), (GateConfig(), 0.981, 3.1, False),
        (SINGLE_IMAGE_GATE, 0.961, 2.9, True), (SINGLE_IMAGE_GATE, 0.959, 2.9, False),
    ],
)  # fmt: skip
def test_limits_by_default_are_those_of_the_documentation(config, weight, sigma_m, accepted):
    modes = modes_of(mode_at(1.0, covariance=np.diag([sigma_m**2, 0.01, 1e-4])))
    assert decide(modes, belief_in(hypothesis_at(1.0, weight=weight, mode=0)), config).accepted is accepted


def test_what_localizing_rejected_stays_rejected_whatever_is_believed():
    rejection = Rejection.of(Reason.BAD_IMAGE, detail="image is blank")
    fix = decide(modes_of(rejection=rejection), belief_in(hypothesis_at(1.0, weight=0.99, mode=0)), CONFIG)
    assert fix.rejection is rejection and fix.reason == "image is blank"
    assert np.isnan([fix.x_m, fix.y_m, fix.yaw_rad, fix.scale]).all() and np.isnan(fix.covariance).all()
    assert fix.confidence == 0.0 and fix.rivals == ()


def test_a_fix_without_a_pose_claims_nothing():
    fix = Fix(3.0, rejection=Rejection.of(Reason.OVERTAKEN))
    assert np.isnan([fix.x_m, fix.y_m, fix.yaw_rad, fix.scale]).all()
    assert fix.covariance.shape == (3, 3) and np.isnan(fix.covariance).all()
    assert (fix.confidence, fix.score_per_cell, fix.inlier_ratio, fix.inliers) == (0.0, 0.0, 0.0, 0)
    assert not fix.accepted and fix.rivals == ()


def test_an_image_that_does_not_show_the_expected_place():
    fix = decide(TWO, belief_in(hypothesis_at(50.0, weight=0.99, mode=None)), CONFIG)
    assert fix.rejection == Rejection.of(Reason.IMAGE_DISAGREES)
    assert fix.x_m == 1.0  # the best mode, to look at


def test_nothing_is_believed():
    fix = decide(TWO, Belief(), CONFIG)
    assert fix.rejection == Rejection.of(Reason.NO_PLACE_FITS, confidence=0.0, limit=0.95)
    assert fix.x_m == 1.0 and fix.confidence == 0.0
    assert "confidence 0.000 is below 0.95" in fix.reason


@pytest.mark.parametrize(
    ("rival", "distance_m", "direction"),
    [
        ((13.0, 2.5, 0.0), 12, "along the street"),
        ((1.5, -9.0, 0.1), 11, "across the street"),
        ((13.0, 2.0, 0.34), 12, "along the street"),
        ((13.0, 2.0, 0.36), 12, "and turned by 21°"),
        ((3.0, 2.0, 1.0), 2, "and turned by 57°"),
        ((3.0, 2.0, -np.pi + 0.2), 2, "and turned by 169°"),
    ],
)
def test_two_places_fit(rival, distance_m, direction):
    leader = hypothesis_at(1.0, 2.0, 0.0, weight=0.6, mode=0)
    fix = decide(TWO, belief_in(leader, hypothesis_at(*rival, weight=0.3, mode=1)), CONFIG)
    assert fix.rejection.reason is Reason.TWO_PLACES_FIT
    assert fix.rejection.values["confidence"] == pytest.approx(0.6)
    assert fix.reason == (f"two places fit, {distance_m} m apart {direction}: confidence 0.600 is below 0.95")


def test_direction_is_that_of_the_leader_s_heading():
    leader = hypothesis_at(1.0, 2.0, np.pi / 2, weight=0.6, mode=0)
    fix = decide(TWO, belief_in(leader, hypothesis_at(1.0, 14.0, np.pi / 2, weight=0.3)), CONFIG)
    assert "12 m apart along the street" in fix.reason


@pytest.mark.parametrize(
    ("rival_weight", "reason"),
    [
        (0.21, Reason.TWO_PLACES_FIT),  # none of these: 0.19
        (0.19, Reason.NO_PLACE_FITS),  # none of these: 0.21
    ],
)
def test_the_greater_doubt_is_named(rival_weight, reason):
    leader, rival = hypothesis_at(1.0, weight=0.6, mode=0), hypothesis_at(13.0, weight=rival_weight, mode=1)
    assert decide(TWO, belief_in(leader, rival), CONFIG).rejection.reason is reason


def test_a_rival_without_weight_is_not_worth_a_word():
    sure = GateConfig(min_confidence=0.999)
    leader = hypothesis_at(1.0, weight=0.98, mode=0)
    for weight, reason in ((0.0195, Reason.NO_PLACE_FITS), (0.01999, Reason.NO_PLACE_FITS)):
        fix = decide(TWO, belief_in(leader, hypothesis_at(13.0, weight=weight, mode=1)), sure)
        assert fix.rejection.reason is reason
    leader = hypothesis_at(1.0, weight=0.979, mode=0)
    fix = decide(TWO, belief_in(leader, hypothesis_at(13.0, weight=0.0201, mode=1)), sure)
    assert fix.rejection.reason is Reason.TWO_PLACES_FIT
