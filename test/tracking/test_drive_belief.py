"""What is believed along a drive: evidence adds up, rivals are carried along, and wrong locks are left."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_drive import (
    CLEAR,
    START,
    WEAK,
    Place,
    ScriptedConfig,
    distance_m,
    drive_on,
    feed,
    look,
    standing_pose,
    true_pose,
)

from xview_localizer.belief.gate import GateConfig
from xview_localizer.geometry.pose import Pose2
from xview_localizer.rejection import Reason

WRONG = (
    6.0,
    5.0,
)  # metres east and north of the truth: another place, which GNSS can hardly distinguish from it


def reasons(answers) -> list[Reason | None]:
    return [answer.fix.rejection.reason if answer.fix.rejection else None for answer in answers]


def stand(tracker, stamps, from_sec=0.0):
    return drive_on(
        tracker, stamps, from_sec, odometry=lambda stamp_sec: Pose2(0.0, 0.0, 0.0), truth=standing_pose
    )


# --- evidence adds up, where it is new ---


def test_weak_evidence_of_several_images_adds_up_to_a_pose(tracker, scripted):
    scripted.places = (Place(WEAK),)
    answers = drive_on(tracker, np.arange(2.0, 18.0), 0.0)
    confidences = [answer.fix.confidence for answer in answers]
    assert reasons(answers[:3]) == [Reason.NO_PLACE_FITS] * 3
    assert confidences == sorted(confidences)
    assert answers[-1].fix.accepted
    assert distance_m(answers[-1].estimate.pose, true_pose(17.0)) < 1e-6


def test_standing_robot_gains_nothing_from_repeated_images(tracker, scripted):
    scripted.places, scripted.truth = (Place(WEAK),), standing_pose
    answers = stand(tracker, np.arange(2.0, 22.0))
    assert set(reasons(answers)) == {Reason.NO_PLACE_FITS}
    assert [answer.fix.confidence for answer in answers[1:]] == pytest.approx(
        [answers[0].fix.confidence] * 19, abs=0.02
    )
    assert all(answer.keyframes == 1 for answer in answers)


def test_robot_that_is_seen_to_stand_gains_nothing_without_odometry_either(tracker, scripted):
    scripted.places, scripted.truth = (Place(WEAK),), standing_pose
    answers = drive_on(tracker, np.arange(2.0, 12.0), 0.0, with_odometry=False, truth=standing_pose)
    assert set(reasons(answers)) == {Reason.NO_PLACE_FITS}
    assert max(answer.fix.confidence for answer in answers) == answers[0].fix.confidence


def test_image_that_hides_the_ground_does_not_cost_a_sure_pose(tracker, scripted):
    drive_on(tracker, np.arange(2.0, 8.0), 0.0)
    scripted.places = (Place(0.0, 100.0, 0.0),)
    (hidden,) = drive_on(tracker, [8.0], 7.05)
    assert reasons([hidden]) == [Reason.IMAGE_DISAGREES]
    assert distance_m(hidden.estimate.pose, true_pose(8.0)) < 1e-3
    scripted.places = (Place(),)
    (seen,) = drive_on(tracker, [9.0], 8.05)
    assert seen.fix.accepted


# --- rivals ---


def test_rival_that_moves_along_keeps_the_pose_back(tracker, scripted):
    scripted.places = (Place(CLEAR), Place(CLEAR, *WRONG))
    answers = drive_on(tracker, np.arange(2.0, 30.0), 0.0)
    assert set(reasons(answers)) == {Reason.TWO_PLACES_FIT}
    assert all(answer.estimate is None for answer in answers)
    assert f"{np.hypot(*WRONG):.0f} m apart" in answers[-1].fix.reason
    assert any(
        distance_m(rival.pose, Pose2(answers[-1].fix.x_m, answers[-1].fix.y_m, 0.0))
        == pytest.approx(np.hypot(*WRONG), abs=1e-3)
        for rival in answers[-1].fix.rivals
    )


def test_every_rival_that_matters_is_looked_for_where_odometry_carries_it(tracker, scripted):
    scripted.places = (Place(CLEAR), Place(CLEAR, *WRONG))
    drive_on(tracker, [2.0, 3.0, 4.0], 0.0)
    truth = true_pose(4.0)
    expected = scripted.asked[-1].expected
    for east_m, north_m in ((0.0, 0.0), WRONG):
        place = Pose2(truth.x_m + east_m, truth.y_m + north_m, truth.yaw_rad)
        assert min(distance_m(pose, place) for pose in expected) < 0.01
    assert len(scripted.asked[0].expected) == 0


def test_rival_that_falls_back_sets_the_pose_free(tracker, scripted):
    scripted.places = (Place(CLEAR), Place(CLEAR, *WRONG))
    before = drive_on(tracker, [2.0, 3.0, 4.0], 0.0)
    scripted.places = (Place(CLEAR), Place(0.3 * CLEAR, *WRONG))
    after = drive_on(tracker, np.arange(5.0, 12.0), 4.05)
    assert not any(answer.fix.accepted for answer in before)
    assert after[-1].fix.accepted
    assert distance_m(after[-1].estimate.pose, true_pose(11.0)) < 1e-6


def test_wrong_lock_is_left_when_the_evidence_turns(tracker, scripted):
    scripted.places = (Place(CLEAR, *WRONG),)
    locked = drive_on(tracker, np.arange(2.0, 8.0), 0.0)
    assert all(answer.fix.accepted for answer in locked)
    scripted.places = (Place(CLEAR),)
    answers = drive_on(tracker, np.arange(8.0, 20.0), 7.05)
    assert reasons(answers[:1]) == [Reason.TWO_PLACES_FIT]
    assert answers[-1].fix.accepted
    assert distance_m(answers[-1].estimate.pose, true_pose(19.0)) < 1e-6


def test_lock_is_not_left_for_what_one_image_shows(tracker, scripted):
    drive_on(tracker, np.arange(2.0, 8.0), 0.0)
    scripted.places = (Place(CLEAR, *WRONG),)
    (misled,) = drive_on(tracker, [8.0], 7.05)
    assert not misled.fix.accepted
    assert distance_m(misled.estimate.pose, true_pose(8.0)) < 1e-3


# --- GNSS ---


def test_gnss_prefers_the_hypothesis_near_it_once_not_with_every_sample(tracker, scripted):
    scripted.places, scripted.truth = (Place(CLEAR), Place(CLEAR, 12.0, 0.0)), standing_pose
    answers = stand(tracker, np.arange(2.0, 22.0))
    confidences = [answer.fix.confidence for answer in answers]
    assert all(distance_m(Pose2(a.fix.x_m, a.fix.y_m, 0.0), START) < 1e-6 for a in answers)
    assert 0.8 < confidences[0] < 0.97
    assert confidences == pytest.approx([confidences[0]] * 20, abs=0.005)


def test_gnss_that_moves_turns_the_preference(tracker, scripted):
    """Its weight is that of its newest position: what it preferred before is not held against a place."""
    scripted.places, scripted.truth = (Place(CLEAR), Place(CLEAR, 12.0, 0.0)), standing_pose
    stand(tracker, [2.0, 4.0])
    still = {"odometry": lambda stamp_sec: Pose2(0.0, 0.0, 0.0), "truth": standing_pose}
    feed(tracker, 10.0, 4.05, gnss_bias_m=(12.0, 0.0), **still)
    turned = look(tracker, 10.0)
    assert turned.fix.x_m == pytest.approx(START.x_m + 12.0)


# --- the first pose ---


def test_without_odometry_every_pose_has_to_be_as_sure_as_a_first_one(tracker, scripted):
    scripted.config = ScriptedConfig(GateConfig(min_confidence=0.5, first_min_confidence=0.98))
    assert drive_on(tracker, np.arange(2.0, 8.0), 0.0, with_odometry=False)[-1].fix.accepted
    scripted.places = (Place(CLEAR), Place(0.8 * CLEAR, *WRONG))
    (answer,) = drive_on(tracker, [8.0], 7.0, with_odometry=False)
    assert 0.5 <= answer.fix.confidence < 0.98 and not answer.fix.accepted


def test_without_odometry_a_look_alike_that_matches_as_well_keeps_every_pose_back(tracker, scripted):
    """However sure the pose was before it came into view."""
    drive_on(tracker, np.arange(2.0, 8.0), 0.0, with_odometry=False)
    scripted.places = (Place(CLEAR), Place(CLEAR, *WRONG))
    answers = drive_on(tracker, np.arange(8.0, 14.0), 7.0, with_odometry=False)
    assert not any(answer.fix.accepted for answer in answers)


def test_a_first_pose_and_one_after_being_lost_have_to_be_surer(tracker, scripted):
    scripted.config = ScriptedConfig(GateConfig(min_confidence=0.9, first_min_confidence=0.98))

    def accepted_and_between(places, stamps):
        """Which answers are accepted, and which have a confidence that only later poses may have."""
        scripted.places = places
        fixes = [answer.fix for answer in drive_on(tracker, stamps, stamps[0] - 1.0)]
        between = [0.9 <= fix.confidence < 0.98 for fix in fixes]
        return np.array([fix.accepted for fix in fixes]), np.array(between)

    accepted, between = accepted_and_between((Place(WEAK),), np.arange(2.0, 20.0))
    assert between.any() and not accepted[between].any() and accepted[-1]
    # A look-alike casts doubt for a while: a robot on its track is published all the same.
    rivals = (Place(CLEAR, *WRONG), Place(0.9 * CLEAR))
    accepted, between = accepted_and_between(rivals, np.arange(20.0, 27.0))
    assert between.any() and accepted[between].all()
    # Nothing that is seen fits for more than 20 m: then it begins anew.
    accepted, _ = accepted_and_between((Place(0.0, 100.0, 0.0),), np.arange(27.0, 60.0))
    assert not accepted[-10:].any()
    accepted, between = accepted_and_between((Place(WEAK),), np.arange(60.0, 90.0))
    assert between.any() and not accepted[between].any() and accepted[-1]
