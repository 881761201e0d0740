"""The Bayes filter over places against Monte Carlo and brute force; what must hold after whatever is seen."""

import numpy as np
import pytest
from belief_cases import COVARIANCE, belief_in, evidence_of, hypothesis_at, mode_at, total_weight
from hypothesis import given, settings
from hypothesis import strategies as st

from xview_localizer.belief.hypotheses import (
    HOPELESS,
    LOSS_PER_M,
    MAX_HYPOTHESES,
    UNINFORMATIVE,
    Belief,
    OdometryDrift,
    disagreement_sigmas,
    gnss_log_weight,
    new_ground_share,
)
from xview_localizer.geometry.pose import Pose2, wrap_angle_rad

DRIFT = OdometryDrift(position_ratio=0.05, yaw_rad_per_m=0.004)
WIDE = np.array([[0.5, 0.1, 0.01], [0.1, 0.3, -0.01], [0.01, -0.01, 0.004]])


def weights(belief):
    return [float(np.exp(item.log_weight)) for item in belief.hypotheses]


def test_prediction_is_that_of_monte_carlo():
    """Poses drawn from a hypothesis, each moved by odometry and by the drift that it gains."""
    rng = np.random.default_rng(0)
    motion, travelled_m = Pose2(6.0, 2.0, 0.5), 8.0
    (before,) = (belief := belief_in(hypothesis_at(10.0, -5.0, 2.0, weight=0.9, covariance=WIDE))).hypotheses
    drawn = rng.multivariate_normal([10.0, -5.0, 2.0], WIDE, 200_000)
    cos, sin = np.cos(drawn[:, 2]), np.sin(drawn[:, 2])
    moved = drawn + np.stack([cos * 6.0 - sin * 2.0, sin * 6.0 + cos * 2.0, np.full(len(drawn), 0.5)], axis=1)
    moved += rng.normal(0, 1, moved.shape) * [0.4, 0.4, 0.032]
    (after,) = belief.predicted(motion, travelled_m, DRIFT).hypotheses
    assert after.pose == before.pose @ motion
    deviation = np.sqrt(np.diag(after.covariance))
    np.testing.assert_allclose(
        np.cov(moved.T) / np.outer(deviation, deviation),
        after.covariance / np.outer(deviation, deviation),
        atol=0.03,
    )


def test_a_share_is_lost_per_metre_to_none_of_these():
    belief = belief_in(hypothesis_at(0.0, weight=0.7, mode=3), hypothesis_at(30.0, weight=0.2))
    after = belief.predicted(Pose2(50.0, 0.0, 0.0), 50.0, DRIFT)
    kept = np.exp(-50 * LOSS_PER_M)
    assert weights(after) == pytest.approx([0.7 * kept, 0.2 * kept])
    assert np.exp(after.log_none) == pytest.approx(1 - 0.9 * kept)
    assert after.hypotheses[0].mode is None  # that was the last image's


def test_standing_still_changes_nothing():
    belief = belief_in(hypothesis_at(0.0, weight=0.7))
    after = belief.predicted(Pose2(0.0, 0.0, 0.0), 0.0, DRIFT)
    np.testing.assert_allclose(after.hypotheses[0].covariance, COVARIANCE)
    assert weights(after) == pytest.approx([0.7]) and after.log_none == pytest.approx(np.log(0.3))


def test_without_odometry_anything_within_the_speed_may_have_happened():
    belief = belief_in(hypothesis_at(3.0, weight=0.7, mode=1))
    (after,) = (blurred := belief.blurred(2.0, 5.0, 0.3)).hypotheses
    assert (after.pose, after.mode) == (Pose2(3.0, 0.0, 0.0), None)
    np.testing.assert_allclose(after.covariance, COVARIANCE + np.diag([100.0, 100.0, 0.36]))
    assert weights(blurred) == pytest.approx([0.7 * np.exp(-10 * LOSS_PER_M)])
    assert total_weight(blurred) == pytest.approx(1.0)


def likelihood(log_ratio, offset, covariance):
    """Of an image at a place with a mode, against that at "none of these"."""
    return (1 - UNINFORMATIVE) * np.exp(
        log_ratio - 0.5 * offset @ np.linalg.inv(covariance) @ offset
    ) + UNINFORMATIVE


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_update_is_bayes_over_an_explicit_list_of_places(share):
    """Three hypotheses (with a mode, with another, without any), a mode that nobody expected, none of these."""
    belief = belief_in(
        hypothesis_at(0.0, weight=0.5), hypothesis_at(20.0, weight=0.3), hypothesis_at(-40.0, weight=0.15)
    )
    modes = [mode_at(0.4, 0.2, 0.005), mode_at(20.2), mode_at(60.0)]
    log_ratio, joined, log_prior = [3.0, 2.5, 1.0], [3.5, 2.0, 1.2], [-2.0, -2.0, -1.5]
    after = belief.updated(evidence_of(modes, log_ratio, joined), share, log_prior)

    born = [share * np.exp(e + prior) * 0.05 for e, prior in zip(joined, log_prior, strict=True)]
    places = {
        0.0: 0.5 * likelihood(3.0, np.array([0.4, 0.2, 0.005]), 2 * COVARIANCE) ** share + born[0],
        20.0: 0.3 * likelihood(2.5, np.array([0.2, 0.0, 0.0]), 2 * COVARIANCE) ** share + born[1],
        -40.0: 0.15 * UNINFORMATIVE**share,
        60.0: born[2],
    }
    total = sum(places.values()) + 0.05
    for hypothesis in after.hypotheses:
        place = min(places, key=lambda x_m: abs(x_m - hypothesis.pose.x_m))
        assert abs(place - hypothesis.pose.x_m) < 1.0
        assert np.exp(hypothesis.log_weight) == pytest.approx(places.pop(place) / total)
        assert hypothesis.mode == {0.0: 0, 20.0: 1, -40.0: None, 60.0: 2}[place]
    assert not places
    assert np.exp(after.log_none) == pytest.approx(0.05 / total)
    assert after.confidence == max(weights(after))


def test_a_pose_is_fused_with_its_mode():
    """Against the product of two Gaussians in information form."""
    mode = mode_at(0.5, -0.3, np.pi - 0.01, covariance=WIDE)
    belief = belief_in(hypothesis_at(0.0, 0.0, -np.pi + 0.01, weight=0.9))
    fused = belief.updated(evidence_of([mode], [4.0]), 1.0, [-2.0]).hypotheses[0]
    information = np.linalg.inv(COVARIANCE) + np.linalg.inv(WIDE)
    offset = np.array([0.5, -0.3, -0.02])  # the short way round
    x_m, y_m, turn_rad = np.linalg.solve(information, np.linalg.inv(WIDE) @ offset)
    np.testing.assert_allclose(fused.covariance, np.linalg.inv(information), rtol=1e-6)
    assert (fused.pose.x_m, fused.pose.y_m) == pytest.approx((x_m, y_m))
    assert wrap_angle_rad(fused.pose.yaw_rad - (-np.pi + 0.01)) == pytest.approx(turn_rad)


def test_an_image_of_the_same_ground_weighs_nothing():
    """But poses are fused, and the modes found."""
    belief = belief_in(hypothesis_at(0.0, weight=0.5), hypothesis_at(20.0, weight=0.3))
    evidence = evidence_of([mode_at(0.2), mode_at(70.0)], [9.0, 9.0])
    after = belief.updated(evidence, 0.0, [0.0, 0.0])
    assert weights(after) == pytest.approx([0.5, 0.3])
    assert after.log_none == pytest.approx(np.log(0.2))
    assert [item.mode for item in after.hypotheses] == [0, None]


def test_one_image_may_be_hidden_but_not_all():
    """Without a mode at the leader, its weight falls to UNINFORMATIVE of what it was, image for image."""
    belief = belief_in(hypothesis_at(0.0, weight=0.99))
    elsewhere = evidence_of([mode_at(70.0)], [0.0])
    for image in range(1, 4):
        belief = belief.updated(elsewhere, 1.0, [-50.0])
        odds = 99 * UNINFORMATIVE**image
        assert belief.confidence == pytest.approx(odds / (1 + odds))


def test_hypotheses_that_meet_become_one_of_both_weights():
    belief = belief_in(
        hypothesis_at(0.0, weight=0.4), hypothesis_at(0.3, weight=0.3), hypothesis_at(9.0, weight=0.1)
    )
    nothing = evidence_of([], [])
    after = belief.updated(nothing, 0.0, [])
    assert weights(after) == pytest.approx([0.7, 0.1])
    assert after.hypotheses[0].pose.x_m == 0.0  # the heavier one's
    turned = belief_in(hypothesis_at(0.0, weight=0.4), hypothesis_at(0.0, 0.0, 0.5, weight=0.3))
    assert len(turned.updated(nothing, 0.0, []).hypotheses) == 2


ANYWHERE = np.diag([15.0**2, 15.0**2, 0.8**2])  # after a second without odometry


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_without_odometry_the_image_decides_where_a_hypothesis_has_moved_to(share):
    """Bayes over an explicit list of places: the three within reach and all others, of which the one at 90 m is."""
    belief = belief_in(hypothesis_at(0.0, weight=0.9, covariance=ANYWHERE))
    modes = [mode_at(4.0), mode_at(-12.0, 3.0), mode_at(10.0, 0.0, 1.0), mode_at(90.0)]
    log_ratio = [3.0, 2.0, 2.5, 6.0]
    after = belief.updated(evidence_of(modes, log_ratio, [-50.0] * 4), share, [0.0] * 4)

    places_per_m2 = 8 / (np.pi * 20.0**2)
    likelihoods, elsewhere = [], 1.0
    for mode, e in zip(modes[:3], log_ratio, strict=False):
        offset = np.array([mode.pose.x_m, mode.pose.y_m, mode.pose.yaw_rad])
        sum_of_both = ANYWHERE + COVARIANCE
        density = np.exp(-0.5 * offset @ np.linalg.inv(sum_of_both) @ offset)
        density /= 2 * np.pi * np.sqrt(np.linalg.det(sum_of_both[:2, :2]))
        chance = density / places_per_m2
        likelihoods.append(chance * ((1 - UNINFORMATIVE) * np.exp(e) + UNINFORMATIVE))
        elsewhere -= chance
    likelihoods.append(elsewhere * UNINFORMATIVE)
    total = sum(likelihoods)
    expected = 0.9 * total**share * np.array(likelihoods) / total
    expected /= expected.sum() + 0.1
    found = {item.mode: np.exp(item.log_weight) for item in after.hypotheses}
    assert [found[mode] for mode in (0, 1, 2, None)] == pytest.approx(expected.tolist())
    assert total_weight(after) == pytest.approx(1.0)
    best = next(item for item in after.hypotheses if item.mode == 0)
    assert best.pose.x_m == pytest.approx(4.0, abs=0.01) and best.position_sigma_m < 0.31


def test_the_more_places_a_hypothesis_may_have_moved_to_the_less_is_known():
    """A rival 12 m on that matches as well takes half of the weight, however sure the pose was before."""
    belief = belief_in(hypothesis_at(0.0, weight=0.999, covariance=ANYWHERE))
    seen = evidence_of([mode_at(6.0), mode_at(-6.0)], [4.0, 4.0], [-50.0, -50.0])
    assert belief.updated(seen, 0.1, [0.0, 0.0]).confidence == pytest.approx(0.5, abs=0.01)


def test_places_that_a_hypothesis_may_have_moved_to_have_no_more_chance_than_it_has():
    """Of 6 m it has room for 1.4 places: two modes close to it share its whole chance, and none is left for others."""
    belief = belief_in(hypothesis_at(0.0, weight=0.5, covariance=np.diag([36.0, 36.0, 0.5])))
    modes = [mode_at(2.0), mode_at(-2.0)]
    after = belief.updated(evidence_of(modes, [1.0, 1.0], [-50.0, -50.0]), 1.0, [0.0, 0.0])
    likelihood_of_both = (1 - UNINFORMATIVE) * np.e + UNINFORMATIVE
    assert sorted(item.mode for item in after.hypotheses) == [0, 1]
    assert sum(weights(after)) == pytest.approx(likelihood_of_both / (likelihood_of_both + 1))


@pytest.mark.parametrize(("places", "modes"), [(0.8, {0}), (1.25, {0, 1, None})])
def test_a_hypothesis_with_room_for_one_place_is_at_one_mode(places, modes):
    """The nearest, though another is within reach. A place is an eighth of a disc of 20 m, 2 pi sigma² is the room."""
    sigma_m = np.sqrt(places * np.pi * 20.0**2 / 8 / (2 * np.pi))
    belief = belief_in(hypothesis_at(0.0, weight=0.9, covariance=np.diag([sigma_m**2, sigma_m**2, 0.01])))
    point = 1e-6 * np.eye(3)
    seen = [mode_at(0.5 * sigma_m, covariance=point), mode_at(-1.5 * sigma_m, covariance=point)]
    after = belief.updated(evidence_of(seen, [1.0, 1.0], [-50.0, -50.0]), 1.0, [0.0, 0.0])
    assert {item.mode for item in after.hypotheses} == modes


def test_rivals_within_a_wide_hypothesis_stay_rivals():
    """Two places 36 m apart match as well, poorly: that the robot is at neither is likelier than each of them."""
    spread_m = 12.0
    belief = belief_in(hypothesis_at(0.0, weight=0.9999)).blurred(1.0, spread_m, 1.0)
    seen = evidence_of([mode_at(1.5 * spread_m), mode_at(-1.5 * spread_m)], [0.05, 0.05], [-50.0, -50.0])
    after = belief.updated(seen, 1.0, [0.0, 0.0])
    found = {item.mode: np.exp(item.log_weight) for item in after.hypotheses}
    assert found[0] == pytest.approx(found[1], rel=0.01) and after.confidence < 0.5


def test_a_mode_where_a_wide_hypothesis_stands_is_the_same_place():
    belief = belief_in(hypothesis_at(0.0, weight=0.9, covariance=ANYWHERE))
    after = belief.updated(evidence_of([mode_at(0.0)], [-9.0], [-50.0]), 1.0, [0.0])
    assert [item.mode for item in after.hypotheses] == [0]


@pytest.mark.parametrize(
    ("x_m", "y_m", "yaw_deg", "one_place"),
    [
        (0.98, 0, 0, True),
        (1.02, 0, 0, False),
        (0, 0.98, 0, True),
        (0, 1.02, 0, False),
        (0, 0, 3.9, True),
        (0, 0, 4.1, False),
    ],
)
def test_however_sharp_poses_within_a_metre_and_4_degrees_are_one_place(x_m, y_m, yaw_deg, one_place):
    """Two standard deviations of the least difference, 0.5 m per axis and 2 degrees."""
    sharp = 1e-8 * np.eye(3)
    belief = belief_in(
        hypothesis_at(0.0, weight=0.5, covariance=sharp),
        hypothesis_at(x_m, y_m, np.radians(yaw_deg), weight=0.3, covariance=sharp),
    )
    assert len(belief.updated(evidence_of([], []), 0.0, []).hypotheses) == (1 if one_place else 2)


@pytest.mark.parametrize(("heavier", "lighter"), [(0.1, 0.7), (0.7, 0.1)])
def test_hypotheses_that_meet_keep_the_mode_that_either_has(heavier, lighter):
    """Only the one at 0.7 m is within reach of the image's mode, whichever is heavier."""
    narrow = np.diag([0.1**2, 0.1**2, 0.01**2])
    belief = belief_in(
        hypothesis_at(heavier, weight=0.6, covariance=narrow),
        hypothesis_at(lighter, weight=0.2, covariance=narrow),
    )
    after = belief.updated(evidence_of([mode_at(1.0, covariance=narrow)], [0.0]), 0.0, [])
    assert [item.mode for item in after.hypotheses] == [0]
    assert weights(after) == pytest.approx([0.8])


def test_hopeless_hypotheses_go_to_none_of_these():
    belief = belief_in(hypothesis_at(0.0, weight=0.9), hypothesis_at(20.0, weight=HOPELESS / 2))
    after = belief.updated(evidence_of([], []), 0.0, [])
    assert weights(after) == pytest.approx([0.9])
    assert np.exp(after.log_none) == pytest.approx(0.1, abs=1e-9)
    assert total_weight(after) == pytest.approx(1.0, abs=1e-12)


def test_no_more_than_so_many_are_carried():
    belief = belief_in(*(hypothesis_at(20.0 * k, weight=(k + 1) / 300) for k in range(MAX_HYPOTHESES + 5)))
    after = belief.updated(evidence_of([], []), 0.0, [])
    assert len(after.hypotheses) == MAX_HYPOTHESES
    lightest = sum((k + 1) / 300 for k in range(5))
    assert np.exp(after.log_none) == pytest.approx(np.exp(belief.log_none) + lightest)


def test_reweighted():
    belief = belief_in(hypothesis_at(0.0, weight=0.6), hypothesis_at(20.0, weight=0.3))
    after = belief.reweighted([np.log(0.5), np.log(2.0)])
    assert weights(after) == pytest.approx([0.6, 0.3])
    assert [item.pose.x_m for item in after.hypotheses] == [20.0, 0.0]  # the other leads now
    assert np.exp(after.log_none) == pytest.approx(0.1)


def test_nothing_is_believed_at_first():
    belief = Belief()
    assert belief.confidence == 0.0 and total_weight(belief) == 1.0
    moved = belief.predicted(Pose2(5.0, 0.0, 0.0), 5.0, DRIFT)
    assert moved.hypotheses == () and moved.log_none == pytest.approx(0.0)


coordinate = st.floats(-100, 100)
pose = st.tuples(coordinate, coordinate, st.floats(-np.pi, np.pi))
spread = st.tuples(st.floats(0.05, 5), st.floats(0.05, 5), st.floats(1e-3, 0.3), st.floats(-0.9, 0.9))


def covariance_of(sigmas):
    x, y, yaw, correlation = sigmas
    covariance = np.diag([x**2, y**2, yaw**2])
    covariance[0, 1] = covariance[1, 0] = correlation * x * y
    return covariance


image = st.lists(st.tuples(pose, spread, st.floats(-20, 40), st.floats(-20, 2)), max_size=5)
step = st.tuples(st.one_of(st.none(), pose), st.floats(0, 30), image, st.floats(0, 1))


@settings(deadline=None, max_examples=25)
@given(drive=st.lists(step, min_size=1, max_size=5))
def test_after_whatever_is_seen(drive):
    """Weights sum to 1, covariances are covariances, few hypotheses are carried, the heaviest leads."""
    belief = Belief()
    for motion, travelled_m, seen, share in drive:
        if motion is None:
            belief = belief.blurred(travelled_m / 10, 10.0, 0.5)
        else:
            belief = belief.predicted(Pose2(*motion), travelled_m, DRIFT)
        assert total_weight(belief) == pytest.approx(1.0)
        modes = [mode_at(*at, covariance=covariance_of(sigmas)) for at, sigmas, _, _ in seen]
        log_ratio = [item[2] for item in seen]
        belief = belief.updated(evidence_of(modes, log_ratio), share, [item[3] for item in seen])
        assert total_weight(belief) == pytest.approx(1.0)
        assert len(belief.hypotheses) <= MAX_HYPOTHESES
        assert weights(belief) == sorted(weights(belief), reverse=True)
        for item in belief.hypotheses:
            np.testing.assert_allclose(item.covariance, item.covariance.T, rtol=1e-9, atol=1e-12)
            assert np.linalg.eigvalsh(item.covariance).min() > 0
            assert np.isfinite([item.pose.x_m, item.pose.y_m, item.pose.yaw_rad, item.log_weight]).all()
            assert item.mode is None or 0 <= item.mode < len(modes)


@pytest.mark.parametrize(
    ("travelled_m", "share"), [(None, 1.0), (0.0, 0.0), (4.0, 0.25), (16.0, 1.0), (90.0, 1.0)]
)
def test_new_ground_share(travelled_m, share):
    assert new_ground_share(travelled_m, 16.0) == share


@pytest.mark.parametrize("sigma_m", [2.0, 5.0, 40.0, 1e6])
def test_gnss_weight_is_one_on_average_over_the_search(sigma_m):
    """Against the mean over points all over the disc; so that "none of these", anywhere in it, is not weighted."""
    rng = np.random.default_rng(0)
    distance_m = 25.0 * np.sqrt(rng.random(400_000))
    weight = np.exp(gnss_log_weight(distance_m, sigma_m, 25.0))
    assert weight.mean() == pytest.approx(1.0, abs=0.02)


def test_gnss_weight_is_that_of_student_s_t():
    from scipy.stats import multivariate_t

    residual_m = np.array([0.0, 3.0, 10.0, 60.0])
    log_weight = gnss_log_weight(residual_m, 5.0, 15.0)
    law = multivariate_t([0.0, 0.0], 25.0 * np.eye(2), df=3)
    expected = law.logpdf(np.stack([residual_m, np.zeros(4)], axis=1))
    np.testing.assert_allclose(np.diff(log_weight), np.diff(expected))


def test_disagreement_takes_the_short_way_round():
    a, b = Pose2(1.0, 2.0, np.pi - 0.05), Pose2(1.0, 2.0, -np.pi + 0.05)
    assert disagreement_sigmas(a, b, np.diag([1.0, 1.0, 0.01])) == pytest.approx(1.0)
    assert disagreement_sigmas(Pose2(3.0, 2.0, 0.0), Pose2(0.0, -2.0, 0.0), np.eye(3)) == pytest.approx(5.0)


@pytest.mark.parametrize(("sigmas", "same_place"), [(3.9, True), (4.1, False)])
def test_a_mode_more_than_4_sigmas_off_is_another_place(sigmas, same_place):
    """Nearer, it moves the hypothesis; further off, it leaves the hypothesis where odometry has it."""
    belief = belief_in(hypothesis_at(0.0, weight=0.9))
    apart_m = sigmas * float(np.sqrt(2 * COVARIANCE[0, 0]))
    evidence = evidence_of([mode_at(apart_m)], [0.0], [-50.0])
    (after,) = belief.updated(evidence, 1.0, [0.0]).hypotheses
    assert (after.mode == 0) is same_place
    assert (after.pose.x_m > 0.1) is same_place
