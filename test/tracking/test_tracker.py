"""A drive through the tracker: buffers, time, keyframes, and where the next image is searched for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from scripted_drive import (
    ANTENNA_M,
    CLEAR,
    CONFIG,
    DOWN,
    FRAME,
    SPEED_MPS,
    WEAK,
    Place,
    ScriptedLocalizer,
    distance_m,
    drive,
    drive_on,
    feed,
    feed_gnss,
    look,
    observation,
    odometry_pose,
    standing_pose,
    true_pose,
)

from xview_localizer.geometry.pose import Pose2
from xview_localizer.rejection import Reason, Rejection
from xview_localizer.tracking.motion import SampleError
from xview_localizer.tracking.tracker import DriveTracker

MIN_RADIUS_M = CONFIG.search.gnss_min_radius_m
ORIGIN = (FRAME.latitude_deg, FRAME.longitude_deg, FRAME.altitude_m)


def reason_of(tracked) -> Reason | None:
    return tracked.fix.rejection.reason if tracked.fix.rejection else None


# --- what one image needs ---


def test_clear_image_is_accepted_with_the_modes_own_numbers(tracker):
    (tracked,) = drive(tracker, [2.0])
    fix, truth = tracked.fix, true_pose(2.0)
    assert fix.accepted
    assert (fix.x_m, fix.y_m, fix.yaw_rad, fix.scale) == (truth.x_m, truth.y_m, truth.yaw_rad, 1.02)
    assert (fix.score_per_cell, fix.inliers, fix.inlier_ratio, fix.depth_source) == (1.5, 80, 0.4, "network")
    np.testing.assert_array_equal(fix.covariance, np.diag([0.1, 0.1, 0.001]))
    assert (tracked.estimate.stamp_sec, tracked.estimate.pose) == (2.0, truth)
    np.testing.assert_array_equal(tracked.estimate.covariance, fix.covariance)


def test_no_gnss_no_prior(tracker, scripted):
    tracked = look(tracker, 1.0)
    assert reason_of(tracked) is Reason.NO_PRIOR
    assert tracked.fix.reason == "no GNSS position within 10 s before the image"
    assert not scripted.asked


def test_how_old_the_newest_position_is_tells_an_outage_from_another_clock(tracker):
    tracker.on_gnss(1.0, *ORIGIN, 1.0, ANTENNA_M)
    assert look(tracker, 3601.0).fix.reason == (
        "no GNSS position within 10 s before the image; the newest is stamped 3600.0 s before it: GNSS is silent, or "
        "has another clock"
    )
    tracker.clear()
    tracker.on_gnss(4002.0, *ORIGIN, 1.0, ANTENNA_M)
    assert look(tracker, 4001.0).fix.reason == "no GNSS position within 10 s before the image"


def test_search_without_bounds_is_refused_until_gnss_is_better(tracker, scripted):
    tracker.on_gnss(1.0, *ORIGIN, 900.0, ANTENNA_M)
    tracked = look(tracker, 1.1)
    assert reason_of(tracked) is Reason.PRIOR_TOO_WIDE
    assert "search radius 2703 m is above 200 m" in tracked.fix.reason
    assert tracked.prior.radius_m > 200
    assert not scripted.asked
    tracker.on_gnss(2.0, *ORIGIN, 4.0, ANTENNA_M)
    assert look(tracker, 2.1).fix.accepted


def test_unusable_image_is_rejected_without_asking(tracker, scripted):
    feed(tracker, 2.0)
    tracked = tracker.locate(observation(2.0, reason="image is blank"))
    assert reason_of(tracked) is Reason.BAD_IMAGE
    assert tracked.fix.reason == "image is blank"
    assert not scripted.asked


def test_image_without_a_pose_leaves_the_belief_and_carries_the_estimate_on(tracker, scripted):
    drive(tracker, [2.0])
    scripted.rejection = Rejection.of(Reason.MAP_UNREADABLE, detail="no tiles")
    (lost,) = drive_on(tracker, [3.0], 2.05)
    assert lost.fix.rejection is scripted.rejection
    assert distance_m(lost.estimate.pose, true_pose(3.0)) < 1e-3
    scripted.rejection = None
    (found,) = drive_on(tracker, [4.0], 3.05)
    assert found.fix.accepted
    assert found.prior.yaw_rad is not None
    assert distance_m(found.prior, true_pose(4.0)) < 1e-3


# --- along the drive ---


def test_settled_belief_is_searched_for_through_a_gnss_outage(tracker, scripted):
    drive(tracker, [2.0, 3.0])
    (tracked,) = drive_on(tracker, [16.0], 3.05, with_gnss=False)
    asked, truth = scripted.asked[-1], true_pose(16.0)
    assert tracked.fix.accepted
    assert distance_m(asked.search, truth) < 0.1
    assert asked.search.yaw_rad == pytest.approx(truth.yaw_rad, abs=1e-3)
    assert distance_m(asked.expected[0], truth) < 0.1


def test_one_outlier_of_gnss_does_not_cost_the_pose(tracker):
    drive(tracker, [2.0, 3.0])
    feed(tracker, 3.9, from_sec=3.05)
    feed(tracker, 4.2, from_sec=3.95, gnss_bias_m=(150.0, 0.0))
    look(tracker, 4.2)
    (after,) = drive_on(tracker, [5.2], 4.25)
    assert after.fix.accepted
    assert after.prior.radius_m == MIN_RADIUS_M


def test_search_reaches_where_gnss_contradicts_the_belief(tracker, scripted):
    drive(tracker, [2.0, 3.0])
    (tracked,) = drive_on(tracker, [4.0], 3.05, gnss_bias_m=(60.0, 0.0))
    truth = true_pose(4.0)
    elsewhere = Pose2(truth.x_m + 60.0, truth.y_m, 0.0)
    assert distance_m(tracked.prior, elsewhere) < tracked.prior.radius_m + 5.0
    assert distance_m(tracked.prior, truth) <= tracked.prior.radius_m + 1e-6


def test_keyframes_are_spaced_bounded_and_placed_by_odometry(tracker, scripted):
    stamps = np.arange(1.0, 8.0, 0.2).round(3).tolist()
    answers = drive(tracker, stamps)
    placed = scripted.asked[-1].placed
    assert len(placed) == answers[-1].keyframes
    assert max(answer.keyframes for answer in answers) == CONFIG.keyframes.count
    now = true_pose(stamps[-1])
    for item in placed:
        expected = now.inverse() @ true_pose(item.observation.stamp_sec)
        np.testing.assert_allclose(
            [item.T_current_past.x_m, item.T_current_past.y_m, item.T_current_past.yaw_rad],
            [expected.x_m, expected.y_m, expected.yaw_rad],
            atol=2e-3,
        )
    stamps_sec = [item.observation.stamp_sec for item in placed]
    assert stamps_sec == sorted(stamps_sec)
    assert np.all(np.diff(stamps_sec[:-1]) * SPEED_MPS >= CONFIG.keyframes.spacing_m - 1e-6)
    assert (stamps_sec[-1] - stamps_sec[-2]) * SPEED_MPS >= CONFIG.keyframes.spacing_m / 2


def test_only_hypotheses_that_matter_are_looked_for_and_no_more_than_a_few(tracker, scripted):
    scripted.places = tuple(Place(CLEAR, 2.0 * i, 0.0) for i in range(-4, 5))
    drive(tracker, [2.0, 3.0])
    assert len(scripted.asked[1].expected) == 6
    scripted.places = (Place(), Place(0.0, 40.0))
    drive_on(tracker, np.arange(4.0, 14.0), 3.05)
    assert len(scripted.asked[-1].expected) == 1


def test_place_that_is_all_but_ruled_out_is_not_looked_for(tracker, scripted):
    scripted.places = (Place(CLEAR), Place(18.0, 40.0))
    drive(tracker, [2.0, 2.2])
    assert len(scripted.asked[1].expected) == 1


def test_search_grows_with_the_way_driven_without_a_pose(tracker, scripted):
    """After 20 m without a place that fits, GNSS is suspected to be worse than it reports."""
    scripted.places = (Place(-40.0),)
    radii_m = [answer.prior.radius_m for answer in drive_on(tracker, np.arange(2.0, 16.0), 0.0)]
    assert radii_m[-1] > 1.5 * radii_m[3]
    scripted.places = (Place(),)
    found, after = drive_on(tracker, [17.0, 18.0], 15.05)
    assert found.fix.accepted
    assert after.prior.radius_m == MIN_RADIUS_M


def test_search_grows_with_the_way_since_the_last_image_too(tracker, scripted):
    scripted.places = (Place(-40.0),)
    first, second = drive_on(tracker, [2.0, 12.0], 0.0)  # some 60 m apart
    assert second.prior.radius_m > 2 * first.prior.radius_m


@pytest.mark.parametrize("slope", [False, True])
def test_a_keyframe_is_the_observation_on_the_ground_that_matched(tracker, scripted, slope):
    scripted.on_slope = slope
    feed(tracker, 4.0)
    for stamp_sec in (2.0, 4.0):
        seen = replace(observation(stamp_sec), on_slope=replace(observation(stamp_sec), depth_source="slope"))
        tracker.on_image(stamp_sec)
        tracked = tracker.locate(seen)
    assert tracked.on_slope is slope
    keyframe = scripted.asked[-1].placed[0].observation
    assert keyframe.stamp_sec == 2.0 and keyframe.on_slope is None
    assert keyframe.depth_source == ("slope" if slope else "network")


def test_image_that_odometry_does_not_reach_becomes_no_keyframe(tracker, scripted):
    drive(tracker, [2.0])
    feed(tracker, 4.0, from_sec=2.05, with_odometry=False)
    assert look(tracker, 3.0).keyframes == 1
    (joined,) = drive_on(tracker, [5.0], 3.05, with_gnss=False)
    assert [item.observation.stamp_sec for item in scripted.asked[-1].placed] == [5.0]
    assert joined.fix.accepted


def test_forgetting_leaves_nothing_of_the_drive_before(tracker):
    drive(tracker, [2.0, 3.0])
    tracker.clear()
    assert reason_of(look(tracker, 3.1)) is Reason.NO_PRIOR
    fresh = DriveTracker(ScriptedLocalizer(), FRAME, CONFIG)
    assert repr(drive(tracker, [1.0, 2.0])) == repr(drive(fresh, [1.0, 2.0]))


# --- odometry that restarts, ends, or never was ---


def test_reset_of_odometry_parts_keyframes_course_and_estimate(tracker):
    drive(tracker, [2.0, 3.0])
    feed(tracker, 6.0, from_sec=3.05)
    reset = Pose2(-300.0, 40.0, 2.0)
    with pytest.raises(SampleError, match="odometry jumped by .* m and 115° within 0.05 s"):
        tracker.on_odometry(6.05, reset @ odometry_pose(6.05))
    answers = drive_on(tracker, [7.0, 8.0], 6.1, odometry=lambda stamp_sec: reset @ odometry_pose(stamp_sec))
    assert [answer.keyframes for answer in answers] == [1, 2]
    assert distance_m(answers[1].estimate.pose, true_pose(8.0)) < 1e-6


@pytest.mark.parametrize("gap_sec", [0.5, 2.0, 4.0])
def test_nothing_reaches_across_a_gap_in_which_odometry_was_restarted(tracker, scripted, gap_sec):
    drive(tracker, [2.0, 3.0, 4.0])
    drive_on(tracker, [6.0], 4.05)
    back_sec = 6.0 + gap_sec
    origin = odometry_pose(back_sec)

    def restarted(stamp_sec):
        return origin.inverse() @ odometry_pose(stamp_sec)

    feed(tracker, back_sec - 0.05, from_sec=6.05, with_odometry=False)
    scripted.rejection = Rejection.of(Reason.NOTHING_TO_SOLVE, detail="nothing")
    (unseen,) = drive_on(tracker, [back_sec + 0.5], back_sec, odometry=restarted)
    assert unseen.estimate is None
    scripted.rejection = None
    (tracked,) = drive_on(tracker, [back_sec + 1.0], back_sec + 0.55, odometry=restarted)
    truth = true_pose(back_sec + 1.0)
    for item in scripted.asked[-1].placed:
        expected = truth.inverse() @ true_pose(item.observation.stamp_sec)
        assert distance_m(item.T_current_past, expected) < 0.05
    assert distance_m(tracked.prior, truth) < tracked.prior.radius_m
    if tracked.prior.yaw_rad is not None:
        assert abs(tracked.prior.yaw_rad - truth.yaw_rad) < tracked.prior.yaw_sigma_rad
    (after,) = drive_on(tracker, [back_sec + 2.0], back_sec + 1.05, odometry=restarted)
    assert after.fix.accepted
    assert distance_m(after.prior, true_pose(back_sec + 2.0)) < 0.5


def test_odometry_that_ends_is_absent_until_its_next_sample(tracker):
    drive(tracker, [2.0, 3.0])
    feed(tracker, 10.0, from_sec=3.05, with_odometry=False)
    assert tracker.awaits(7.9) == ["odometry"]
    assert look(tracker, 7.9).estimate is not None
    assert tracker.awaits(8.1) == []
    tracker.on_odometry(10.05, odometry_pose(10.05))
    assert tracker.awaits(10.1) == ["odometry"]


def test_without_odometry_a_clear_image_is_accepted_and_nothing_carries_it_on(tracker, scripted):
    tracker.on_gnss(1.0, *ORIGIN, 4.0, ANTENNA_M)
    assert look(tracker, 1.1).fix.accepted
    scripted.rejection = Rejection.of(Reason.NOTHING_TO_SOLVE, detail="nothing")
    assert look(tracker, 1.2).estimate is None


def test_without_odometry_hypotheses_spread_by_the_speed_bound(scripted):
    search = replace(CONFIG.search, max_speed_mps=2.0, gnss_max_age_sec=0.5)
    tracker = DriveTracker(scripted, FRAME, replace(CONFIG, search=search))
    feed(tracker, 1.0, with_odometry=False)
    assert look(tracker, 1.0).fix.accepted
    scripted.rejection = Rejection.of(Reason.NOTHING_TO_SOLVE, detail="nothing")
    for elapsed_sec in (4.0, 6.0):
        prior = look(tracker, 1.0 + elapsed_sec).prior
        assert distance_m(prior, true_pose(1.0)) < 1e-6
        assert prior.radius_m == pytest.approx(3 * elapsed_sec * 2.0, rel=0.01)
        assert prior.yaw_sigma_rad == pytest.approx(elapsed_sec * CONFIG.max_yaw_rate_radps, rel=0.01)


def test_without_odometry_gnss_keeps_the_search_narrow_however_far_hypotheses_have_spread(tracker, scripted):
    """A standing robot, so that GNSS agrees with the hypothesis and the belief stays settled."""
    feed(tracker, 1.0, with_odometry=False, truth=standing_pose)
    scripted.truth = standing_pose
    assert look(tracker, 1.0).fix.accepted
    scripted.rejection = Rejection.of(Reason.MAP_UNREADABLE, detail="no tiles")
    drive_on(tracker, [5.0, 10.0], 1.05, with_odometry=False, truth=standing_pose)
    scripted.rejection = None
    (found,) = drive_on(tracker, [11.0], 10.05, with_odometry=False, truth=standing_pose)
    assert found.prior.radius_m < 20.0
    assert found.fix.accepted


def test_odometry_that_does_not_come_back_after_a_jump_of_time_is_absent(tracker):
    drive(tracker, [2.0, 3.0])
    tracker.clear()
    feed(tracker, 10.0, with_odometry=False)
    tracker.on_image(1.0)
    assert tracker.awaits(6.0) == ["odometry"]
    assert tracker.awaits(6.1) == []


# --- time ---


@pytest.mark.parametrize("off_sec", [3600.0, 100.0, -1.5, -3600.0])
@pytest.mark.parametrize("sensor", ["gnss", "odometry", "gravity", "image"])
def test_one_stamp_far_off_changes_nothing(tracker, sensor, off_sec):
    drive(tracker, [2.0, 3.0])
    tracker.on_gravity(3.0, DOWN)
    send = {
        "gnss": lambda stamp_sec: feed_gnss(tracker, stamp_sec),
        "odometry": lambda stamp_sec: tracker.on_odometry(stamp_sec, Pose2(0.0, 0.0, 0.0)),
        "gravity": lambda stamp_sec: tracker.on_gravity(stamp_sec, DOWN),
    }
    odd_sec = 3.0 + off_sec
    if sensor == "image":
        assert not look(tracker, odd_sec).fix.accepted
    else:
        with pytest.raises(SampleError, match=rf"stamp {odd_sec:.3f} is \{off_sec:+.1f} s off the previous"):
            send[sensor](odd_sec)
    feed(tracker, 4.0, from_sec=3.05)
    tracker.on_gravity(4.0, DOWN)
    tracked = look(tracker, 4.0)
    assert tracked.fix.accepted
    assert tracked.keyframes == 3


@pytest.mark.parametrize("ahead_sec", [2.0, 18.0, 59.0])
@pytest.mark.parametrize("sensor", ["gnss", "odometry", "gravity"])
def test_one_stamp_ahead_that_might_be_a_gap_does_not_cost_the_belief(tracker, sensor, ahead_sec):
    drive(tracker, [2.0, 3.0])
    tracker.on_gravity(3.0, DOWN)
    send = {
        "gnss": lambda stamp_sec: feed_gnss(tracker, stamp_sec),
        "odometry": lambda stamp_sec: tracker.on_odometry(stamp_sec, odometry_pose(stamp_sec)),
        "gravity": lambda stamp_sec: tracker.on_gravity(stamp_sec, DOWN),
    }
    send[sensor](3.0 + ahead_sec)
    for stamp_sec in np.arange(3.05, 5.01, 0.05).round(3).tolist():
        for name in send:
            with suppress(SampleError):
                send[name](stamp_sec)
    tracked = look(tracker, 5.0)
    assert tracked.fix.accepted
    assert tracked.keyframes == 3  # odometry joins the images before it


def test_image_stamps_must_grow_and_time_may_restart(tracker, scripted):
    answers = drive(tracker, [2.0, 3.0])
    for stamp_sec in (2.5, 3.0):
        stale = tracker.locate(observation(stamp_sec))
        assert reason_of(stale) is Reason.STALE_IMAGE
        assert f"image stamp {stamp_sec:.3f} is not after the previous one, 3.000" in stale.fix.reason
    again = drive(tracker, [2.0, 3.0])
    assert [repr(answer) for answer in again] == [repr(answer) for answer in answers]
    assert len(scripted.asked) == 4


def test_sensor_time_that_jumps_back_clears_everything(tracker):
    drive(tracker, [2.0, 3.0])
    with pytest.raises(SampleError, match=r"-3\.0 s off"):
        tracker.on_odometry(0.0, odometry_pose(0.0))
    tracker.on_odometry(0.05, odometry_pose(0.05))
    assert reason_of(look(tracker, 0.05)) is Reason.NO_PRIOR


def test_first_image_after_a_jump_back_waits_for_the_sensors_new_time(tracker):
    """The node may come to it as soon as one message of each sensor is in."""
    before = drive(tracker, [2.0, 3.0])
    with pytest.raises(SampleError):
        tracker.on_odometry(0.0, odometry_pose(0.0))
    with pytest.raises(SampleError):
        feed_gnss(tracker, 0.0)
    tracker.on_image(0.7)
    assert tracker.awaits(0.7) == ["odometry"]
    feed(tracker, 3.0, from_sec=0.05)
    assert tracker.locate(observation(0.7)).keyframes == 1
    after = [look(tracker, stamp_sec) for stamp_sec in (2.0, 3.0)]
    assert repr(after[1].estimate) == repr(before[1].estimate)


def test_step_ahead_of_time_is_a_gap_not_a_new_start(tracker, scripted):
    drive(tracker, [2.0, 3.0])
    feed(tracker, 100.0, from_sec=3.05, with_gnss=False)
    with pytest.raises(SampleError, match=r"\+97\.0 s off"):
        feed_gnss(tracker, 100.0)
    feed(tracker, 101.0, from_sec=100.05)
    scripted.rejection = Rejection.of(Reason.NOTHING_TO_SOLVE, detail="nothing")
    tracked = look(tracker, 101.0)
    assert len(scripted.asked[-1].placed) == 3
    assert tracked.estimate is not None


@pytest.mark.parametrize("stamp_sec", [3.0, 2.9, 2.0])
def test_message_out_of_order_does_no_harm_and_is_named(tracker, stamp_sec):
    drive(tracker, [2.0, 3.0])
    with pytest.raises(SampleError, match=rf"stamp {stamp_sec:.3f} is not after the previous one, 3\.000"):
        tracker.on_odometry(stamp_sec, Pose2(0.0, 0.0, 0.0))
    (tracked,) = drive_on(tracker, [4.0], 3.05)
    assert tracked.fix.accepted
    assert tracked.keyframes == 3


@pytest.mark.parametrize("when", ["observed", "solved"])
def test_image_that_a_jump_of_time_overtakes_leaves_nothing_behind(tracker, scripted, monkeypatch, when):
    drive(tracker, [2.0, 3.0])
    feed(tracker, 4.0, from_sec=3.05)
    tracker.on_image(4.0)
    solve = scripted.modes

    def overtaken(placed, prior, expected):
        feed(tracker, 1.0)  # the recording starts again
        return solve(placed, prior, expected)

    if when == "observed":
        feed(tracker, 1.0)
    else:
        monkeypatch.setattr(scripted, "modes", overtaken)
    late = tracker.locate(observation(4.0))
    assert reason_of(late) is Reason.OVERTAKEN
    assert late.estimate is None
    monkeypatch.undo()
    fresh = DriveTracker(ScriptedLocalizer(), FRAME, CONFIG)
    feed(fresh, 1.0)
    tracked, expected = look(tracker, 1.0), look(fresh, 1.0)
    assert repr(tracked) == repr(expected)


def test_work_that_comes_back_late_does_not_touch_the_tracker(tracker, scripted, monkeypatch):
    """A node that is shut down and started again gives up the image in work, which may still come to an end."""
    drive(tracker, [2.0, 3.0])
    feed(tracker, 9.0, from_sec=3.05)
    solve = scripted.modes
    answers = []

    def slow(placed, prior, expected):
        if placed[-1].observation.stamp_sec == 4.0:
            answers.extend(look(tracker, stamp_sec) for stamp_sec in (6.0, 7.0))
            scripted.places = (Place(200.0, 12.0),)
        return solve(placed, prior, expected)

    monkeypatch.setattr(scripted, "modes", slow)
    abandoned = look(tracker, 4.0)
    assert reason_of(abandoned) is Reason.OVERTAKEN
    assert abandoned.estimate is None
    scripted.places = (Place(),)
    answers.append(look(tracker, 8.0))

    undisturbed = DriveTracker(ScriptedLocalizer(), FRAME, CONFIG)
    drive(undisturbed, [2.0, 3.0])
    feed(undisturbed, 9.0, from_sec=3.05)
    assert repr(answers) == repr([look(undisturbed, stamp_sec) for stamp_sec in (6.0, 7.0, 8.0)])


def test_work_is_overtaken_by_an_image_of_the_same_stamp_after_time_jumped_back(
    tracker, scripted, monkeypatch
):
    drive(tracker, [2.0, 3.0])
    feed(tracker, 4.0, from_sec=3.05)
    solve, again = scripted.modes, []

    def overtaken(placed, prior, expected):
        if not again:
            again.append(None)
            feed(tracker, 4.0)  # the recording starts again
            again.append(look(tracker, 4.0))
        return solve(placed, prior, expected)

    monkeypatch.setattr(scripted, "modes", overtaken)
    assert reason_of(look(tracker, 4.0)) is Reason.OVERTAKEN
    assert again[1].fix.accepted


def test_answers_do_not_depend_on_the_order_of_sensors():
    def run(late_sensor):
        tracker = DriveTracker(ScriptedLocalizer(), FRAME, CONFIG)
        inputs = [(t, "odometry") for t in np.arange(0, 8, 0.05)] + [
            (t, "gnss") for t in np.arange(0, 8, 0.5)
        ]
        for t, sensor in sorted(inputs, key=lambda item: item[0] + 0.9 * (item[1] == late_sensor)):
            if sensor == "odometry":
                tracker.on_odometry(t, odometry_pose(t))
            else:
                feed_gnss(tracker, t, np.random.default_rng(int(t * 10)).normal(0, 2, 2))
        return [repr(tracker.locate(observation(t))) for t in (2.0, 4.2, 6.1)]

    assert run("odometry") == run("gnss")


def test_queries_change_nothing(scripted):
    def run(asks):
        tracker = DriveTracker(ScriptedLocalizer(), FRAME, CONFIG)
        answers = []
        for stamp_sec in np.arange(0.0, 12.0, 0.05).round(3).tolist():
            if not 3.0 < stamp_sec < 9.0:
                tracker.on_odometry(stamp_sec, odometry_pose(stamp_sec))
                tracker.on_gravity(stamp_sec, DOWN)
            if stamp_sec % 0.5 == 0:
                feed_gnss(tracker, stamp_sec)
            if asks:
                for queried_sec in (0.0, stamp_sec + 0.1, stamp_sec + 7.0, 1e6):
                    tracker.awaits(queried_sec)
                    with suppress(SampleError):
                        tracker.gravity_at(queried_sec)
            if stamp_sec % 1.0 == 0:
                tracker.on_image(stamp_sec)
                waiting = tracker.awaits(stamp_sec)
                answers.append((waiting, repr(tracker.locate(observation(stamp_sec)))))
        return answers

    assert run(asks=True) == run(asks=False)


# --- clocks ---


@pytest.mark.parametrize("first_image_sec", [2.0, 20.0])
def test_gnss_that_is_stamped_ahead_gives_no_pose_until_its_clock_is_right(tracker, first_image_sec):
    """GPS time is 18 s ahead of UTC: a position would be taken for one of 18 s later."""
    stamps = np.arange(first_image_sec, first_image_sec + 8.0)
    wrong = drive_on(tracker, stamps, 0.0, gnss_ahead_sec=18.0)
    assert {reason_of(answer) for answer in wrong} == {Reason.CLOCKS_DISAGREE}
    assert "fix is stamped 18.0 s ahead of the images" in wrong[-1].fix.reason
    right = drive_on(tracker, stamps + 8.0, stamps[-1] + 0.05)
    assert right[-1].fix.accepted
    assert all(reason_of(answer) in (None, Reason.NO_PRIOR, Reason.CLOCKS_DISAGREE) for answer in right)


@pytest.mark.parametrize(("sensor", "topic"), [("odometry", "odom"), ("gravity", "imu")])
def test_odometry_and_imu_that_are_stamped_ahead_give_no_pose_until_their_clock_is_right(
    tracker, sensor, topic
):
    def send(stamp_sec, ahead_sec):
        with suppress(SampleError):
            if sensor == "odometry":
                tracker.on_odometry(stamp_sec + ahead_sec, odometry_pose(stamp_sec))
            else:
                tracker.on_gravity(stamp_sec + ahead_sec, DOWN)

    def answers(stamps, from_sec, ahead_sec):
        found = []
        for stamp_sec in np.arange(from_sec, stamps[-1] + 0.01, 0.05).round(3).tolist():
            send(stamp_sec, ahead_sec)
            feed(tracker, stamp_sec, stamp_sec, with_odometry=sensor != "odometry")
            if stamp_sec in stamps:
                found.append(look(tracker, stamp_sec))
        return found

    wrong = answers([2.0, 3.0, 4.0, 5.0], 0.0, 18.0)
    assert {reason_of(answer) for answer in wrong} == {Reason.CLOCKS_DISAGREE}
    assert f"{topic} is stamped 18.0 s ahead of the images" in wrong[-1].fix.reason
    assert answers([8.0, 9.0, 10.0], 5.05, 0.0)[-1].fix.accepted


# --- what an operator asks for ---


def test_forgotten_belief_leaves_the_sensors(tracker, scripted):
    drive(tracker, [2.0, 3.0])
    assert scripted.asked[-1].search.radius_m == MIN_RADIUS_M
    tracker.forget_belief()
    (tracked,) = drive_on(tracker, [4.0], 3.05)
    assert scripted.asked[-1].expected == [] and len(scripted.asked[-1].placed) == 1
    assert tracked.prior.radius_m < 2 * MIN_RADIUS_M
    assert tracked.fix.accepted


def test_relocalizing_searches_ever_wider_around_gnss_until_a_pose_is_accepted(tracker, scripted):
    reported_m = drive(tracker, [2.0, 3.0])[0].prior.radius_m
    tracker.relocalize()
    scripted.rejection = None
    scripted.places = (Place(WEAK),)
    answers = drive_on(tracker, [4.0, 5.0], 3.05)
    assert not any(tracked.fix.accepted for tracked in answers)
    radii_m = [asked.search.radius_m for asked in scripted.asked[-2:]]
    np.testing.assert_allclose(radii_m, [3 * reported_m, 6 * reported_m], rtol=0.2)
    scripted.places = (Place(CLEAR),)
    found, after = drive_on(tracker, [6.0, 7.0], 5.05)
    assert found.fix.accepted
    assert found.prior.radius_m <= CONFIG.search.gnss_max_radius_m
    assert after.prior.radius_m < 2 * MIN_RADIUS_M
    scripted.places = (
        Place(CLEAR, 6.0, 5.0),
    )  # contradicts, so that the next image is searched for around GNSS
    unsettled = drive_on(tracker, [8.0, 9.0], 7.05)[-1]
    assert unsettled.prior.radius_m == pytest.approx(MIN_RADIUS_M, abs=1.0)


def test_relocalizing_does_not_narrow_a_search_that_is_too_wide(tracker):
    tracker.relocalize()
    tracker.on_gnss(1.0, *ORIGIN, 900.0, ANTENNA_M)
    assert "search radius 2703 m is above 200 m" in look(tracker, 1.1).fix.reason


def test_image_in_work_while_relocalizing_is_asked_for_does_not_count(tracker, scripted):
    feed(tracker, 2.0)
    tracker.on_image(2.0)
    tracker.relocalize()
    assert reason_of(tracker.locate(observation(2.0))) is Reason.OVERTAKEN


def test_search_grows_anew_from_the_last_pose(tracker, scripted):
    """What was driven without a pose before that pose counts no more."""
    scripted.places = (Place(-40.0),)
    drive_on(tracker, np.arange(2.0, 16.0), 0.0)  # 70 m
    scripted.places = (Place(),)
    (found,) = drive_on(tracker, [17.0], 15.05)
    assert found.fix.accepted
    scripted.places = (Place(-40.0),)
    radii_m = [answer.prior.radius_m for answer in drive_on(tracker, np.arange(18.0, 28.0), 17.05)]
    first_widened_m = next(radius_m for radius_m in radii_m if radius_m > 1.1 * MIN_RADIUS_M)
    assert (
        first_widened_m < 2.5 * MIN_RADIUS_M
    )  # by some 40 m driven, not by 110 m: that would be three times as far
