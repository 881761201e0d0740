"""The tracker's own logic, around a localizer whose answers are scripted."""

from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from xview_localizer.tracker import DriveTracker, TrackerConfig

from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.pose import Pose2, wrap_angle_rad
from xview_localizer.localizer import Fix, Observation
from xview_localizer.tracking.gnss import GnssSample, heading_from_course
from xview_localizer.tracking.motion import OdometryBuffer, SampleError, StampedBuffer
from xview_localizer.tracking.track import OdometryDrift, PoseEstimate, carry

FRAME = LocalFrame(48.0, 11.0, 500.0)
SPEED_MPS = 5.0
START = Pose2(20.0, -10.0, 0.5)
T_MAP_ODOM = Pose2(100.0, 50.0, 1.2)
ANTENNA_M = (1.5, -0.4)
NO_ERROR = Pose2(0.0, 0.0, 0.0)


def true_pose(stamp_sec):
    """A drive along an arc."""
    return START @ Pose2(SPEED_MPS * stamp_sec, 0.2 * stamp_sec**2, 0.05 * stamp_sec)


def odometry_pose(stamp_sec):
    return T_MAP_ODOM.inverse() @ true_pose(stamp_sec)


@dataclass
class ScriptedLocalizer:
    """Finds the true pose moved by `error`, and keeps what it was asked."""

    error: Pose2 = NO_ERROR
    accepts: bool = True
    asked: list = field(default_factory=list)

    def solve(self, placed, prior):
        self.asked.append((placed, prior))
        stamp_sec = placed[-1].observation.stamp_sec
        pose = true_pose(stamp_sec)
        return Fix(
            stamp_sec, pose.x_m + self.error.x_m, pose.y_m + self.error.y_m,
            pose.yaw_rad + self.error.yaw_rad, 1.0,
            np.diag([0.1, 0.1, 0.001]), 0.9, 1.0, 5.0, 0.5, 100,
            self.accepts, "" if self.accepts else "not sure",
        )  # fmt: skip


def observation(stamp_sec, reason=""):
    return Observation(
        np.ones((3, 2)), np.zeros(2), np.ones((3, 4)), np.zeros(3), True, "network", stamp_sec, reason
    )


@pytest.fixture
def scripted():
    return ScriptedLocalizer()


@pytest.fixture
def tracker(scripted):
    return DriveTracker(scripted, FRAME, TrackerConfig(antenna_in_base_m=ANTENNA_M))


def feed(
    tracker,
    until_sec,
    from_sec=0.0,
    gnss_bias_m=(0.0, 0.0),
    with_gnss=True,
    with_odometry=True,
    odometry=odometry_pose,
):
    """Odometry at 20 Hz and GNSS at 2 Hz; refused as in a node where time jumps."""
    for stamp_sec in np.round(np.arange(from_sec, until_sec + 1e-9, 0.05), 3).tolist():
        if with_odometry:
            with suppress(SampleError):
                tracker.on_odometry(stamp_sec, odometry(stamp_sec))
        if with_gnss and abs(stamp_sec * 2 - round(stamp_sec * 2)) < 1e-6:
            with suppress(SampleError):
                feed_gnss(tracker, stamp_sec, gnss_bias_m)


def feed_gnss(tracker, stamp_sec, bias_m=(0.0, 0.0)):
    xy_m = true_pose(stamp_sec).transform(ANTENNA_M) + bias_m
    tracker.on_gnss(stamp_sec, *FRAME.geodetic_from_enu([*xy_m, 0.0]), 4.0)


def look(tracker, stamp_sec):
    tracker.on_image(stamp_sec)
    return tracker.locate(observation(stamp_sec))


def drive(tracker, stamps, **gnss):
    feed(tracker, stamps[-1], **gnss)
    return [look(tracker, stamp_sec) for stamp_sec in stamps]


def test_first_fix_waits_for_a_second_that_agrees(tracker):
    first, second = drive(tracker, [2.0, 3.0])
    assert not first.fix.accepted
    assert "second fix" in first.fix.reason
    assert first.estimate is None
    assert second.fix.accepted


def test_a_standing_robot_confirms_nothing(scripted):
    tracker = DriveTracker(scripted, FRAME, TrackerConfig())
    latitude, longitude, altitude = FRAME.geodetic_from_enu([20.0, -10.0, 0.0])
    for stamp_sec in np.arange(0.0, 5.0, 0.1):
        tracker.on_odometry(stamp_sec, Pose2(0.0, 0.0, 0.0))
        tracker.on_gnss(stamp_sec, latitude, longitude, altitude, 4.0)
    assert not any(tracker.locate(observation(stamp_sec)).fix.accepted for stamp_sec in (1.0, 2.0, 3.0))


def test_without_odometry_each_fix_stands_alone(scripted):
    tracker = DriveTracker(scripted, FRAME, TrackerConfig())
    tracker.on_gnss(1.0, 48.0, 11.0, 500.0, 4.0)
    assert tracker.locate(observation(1.1)).fix.accepted


def test_no_gnss_no_prior(tracker, scripted):
    tracked = tracker.locate(observation(1.0))
    assert "no GNSS position" in tracked.fix.reason
    assert not scripted.asked


def test_search_without_bounds_is_refused_until_gnss_is_better(scripted):
    tracker = DriveTracker(scripted, FRAME, TrackerConfig())
    tracker.on_gnss(1.0, 48.0, 11.0, 500.0, 900.0)
    assert "search radius 2702 m is above 200 m" in tracker.locate(observation(1.1)).fix.reason
    assert not scripted.asked
    tracker.on_gnss(2.0, 48.0, 11.0, 500.0, 4.0)
    assert tracker.locate(observation(2.1)).fix.accepted


def test_gnss_prior_takes_out_lever_arm_and_motion_once_the_course_is_known(tracker, scripted):
    drive(tracker, [6.25])  # a quarter of a second after the last GNSS position
    prior = scripted.asked[0][1]
    truth = true_pose(6.25)
    np.testing.assert_allclose([prior.x_m, prior.y_m], [truth.x_m, truth.y_m], atol=1e-3)
    assert abs(wrap_angle_rad(prior.yaw_rad - truth.yaw_rad)) < 1e-3
    assert prior.radius_m >= TrackerConfig().gnss_min_radius_m


def test_gnss_prior_without_course_has_no_heading_and_contains_the_truth(tracker, scripted):
    drive(tracker, [0.7])
    prior = scripted.asked[0][1]
    truth = true_pose(0.7)
    assert prior.yaw_rad is None
    assert (
        np.hypot(prior.x_m - truth.x_m, prior.y_m - truth.y_m)
        < prior.radius_m - TrackerConfig().gnss_min_radius_m + 1e-6
    )


def test_confirmed_track_narrows_the_prior_through_a_gnss_outage(tracker, scripted):
    drive(tracker, [2.0, 3.0])
    feed(tracker, 16.0, from_sec=3.05, with_gnss=False)
    tracked = tracker.locate(observation(16.0))
    prior, truth = scripted.asked[-1][1], true_pose(16.0)
    assert tracked.fix.accepted
    assert prior.radius_m < 15
    assert np.hypot(prior.x_m - truth.x_m, prior.y_m - truth.y_m) < 1e-6


def test_fix_off_the_track_is_rejected_and_the_estimate_goes_on(tracker, scripted):
    drive(tracker, [2.0, 3.0])
    scripted.error = Pose2(6.0, 0.0, 0.0)
    feed(tracker, 4.0, from_sec=3.05)
    tracked = tracker.locate(observation(4.0))
    assert not tracked.fix.accepted
    assert "disagrees with the track" in tracked.fix.reason
    truth = true_pose(4.0)
    np.testing.assert_allclose(
        [tracked.estimate.pose.x_m, tracked.estimate.pose.y_m], [truth.x_m, truth.y_m], atol=1e-6
    )


def test_wrong_track_is_given_up_after_misses_and_replaced(tracker, scripted):
    scripted.error = Pose2(9.0, 0.0, 0.0)
    drive(tracker, [2.0, 3.0])
    scripted.error = NO_ERROR
    misses = TrackerConfig().track_max_misses
    stamps = [4.0 + i for i in range(misses + 2)]
    feed(tracker, stamps[-1], from_sec=3.05)
    answers = [tracker.locate(observation(stamp_sec)).fix for stamp_sec in stamps]
    assert not any(fix.accepted for fix in answers[: misses + 1])
    assert answers[misses + 1].accepted
    assert scripted.asked[-1][1].radius_m >= TrackerConfig().gnss_min_radius_m


def test_track_that_gnss_contradicts_is_no_longer_trusted(tracker, scripted):
    drive(tracker, [2.0, 3.0])
    feed(tracker, 4.0, from_sec=3.05, gnss_bias_m=(60.0, 0.0))
    tracker.locate(observation(4.0))
    assert abs(scripted.asked[-1][1].x_m - true_pose(4.0).x_m - 60.0) < 5.0


def test_one_outlier_of_gnss_does_not_cost_the_track(tracker, scripted):
    drive(tracker, [2.0, 3.0])
    feed(tracker, 3.9, from_sec=3.05)
    feed(tracker, 4.2, from_sec=3.95, gnss_bias_m=(400.0, 0.0))
    assert look(tracker, 4.2).fix.accepted
    feed(tracker, 5.2, from_sec=4.25)
    assert look(tracker, 5.2).fix.accepted
    assert all(prior.radius_m < 15 for _, prior in scripted.asked[2:])


def test_reset_of_odometry_breaks_track_keyframes_and_course(tracker, scripted):
    drive(tracker, [2.0, 3.0])
    feed(tracker, 6.0, from_sec=3.05)
    reset = Pose2(-300.0, 40.0, 2.0)
    with pytest.raises(SampleError, match="odometry jumped by .* m within 0.05 s"):
        tracker.on_odometry(6.05, reset @ odometry_pose(6.05))
    feed(tracker, 8.0, from_sec=6.1, odometry=lambda stamp_sec: reset @ odometry_pose(stamp_sec))
    first, second = look(tracker, 7.0), look(tracker, 8.0)
    assert "second fix" in first.fix.reason
    assert first.estimate is None
    assert (first.keyframes, first.prior.yaw_rad) == (1, None)
    assert second.fix.accepted


def test_odometry_that_ends_is_given_up_until_it_speaks_again(tracker):
    drive(tracker, [2.0, 3.0])
    feed(tracker, 10.0, from_sec=3.05, with_odometry=False)
    assert tracker.awaits(7.9) == ["odometry"]
    assert "second fix" in look(tracker, 7.9).fix.reason
    assert tracker.awaits(8.1) == []
    assert look(tracker, 8.1).fix.accepted
    feed(tracker, 9.0, from_sec=8.15, with_gnss=False)
    assert tracker.awaits(9.1) == ["odometry"]
    assert "second fix" in look(tracker, 9.0).fix.reason


def test_odometry_that_does_not_come_back_after_a_jump_of_time_is_given_up(tracker):
    drive(tracker, [2.0, 3.0])
    tracker.clear()
    feed(tracker, 10.0, with_odometry=False)
    tracker.on_image(1.0)
    assert tracker.awaits(6.0) == ["odometry"]
    assert tracker.awaits(6.1) == []


@pytest.mark.parametrize("off_sec", [3600.0, -1.5, -3600.0])
@pytest.mark.parametrize("sensor", ["gnss", "odometry", "gravity", "image"])
def test_one_stamp_far_off_changes_nothing(tracker, sensor, off_sec):
    down = np.array([0.0, 0.0, -1.0])
    drive(tracker, [2.0, 3.0])
    tracker.on_gravity(3.0, down)
    say = {
        "gnss": lambda stamp_sec: feed_gnss(tracker, stamp_sec),
        "odometry": lambda stamp_sec: tracker.on_odometry(stamp_sec, NO_ERROR),
        "gravity": lambda stamp_sec: tracker.on_gravity(stamp_sec, down),
    }
    odd_sec = 3.0 + off_sec
    if sensor == "image":
        assert not look(tracker, odd_sec).fix.accepted
    else:
        with pytest.raises(SampleError, match=rf"stamp {odd_sec:.3f} is \{off_sec:+.1f} s off the previous"):
            say[sensor](odd_sec)
    feed(tracker, 4.0, from_sec=3.05)
    tracker.on_gravity(4.0, down)
    tracked = look(tracker, 4.0)
    assert tracked.fix.accepted
    assert tracked.keyframes == 3


def test_keyframes_are_spaced_bounded_and_placed_by_odometry(tracker, scripted):
    stamps = np.arange(1.0, 8.0, 0.2).tolist()
    drive(tracker, stamps)
    config = TrackerConfig()
    placed, _ = scripted.asked[-1]
    assert len(placed) == config.keyframes
    now = true_pose(stamps[-1])
    for item in placed:
        expected = now.inverse() @ true_pose(item.observation.stamp_sec)
        np.testing.assert_allclose(
            [item.T_current_past.x_m, item.T_current_past.y_m, item.T_current_past.yaw_rad],
            [expected.x_m, expected.y_m, expected.yaw_rad], atol=2e-3,
        )  # fmt: skip
    gaps_sec = np.diff([item.observation.stamp_sec for item in placed[:-1]])
    assert np.all(gaps_sec * SPEED_MPS >= config.keyframe_spacing_m - 1e-6)


def test_image_stamps_must_grow_and_time_may_restart(tracker, scripted):
    answers = drive(tracker, [2.0, 3.0])
    late = tracker.locate(observation(2.5))
    assert "is not after the previous one" in late.fix.reason
    again = drive(tracker, [2.0, 3.0])
    assert [a.fix.accepted for a in again] == [a.fix.accepted for a in answers]
    assert scripted.asked[2][1] == scripted.asked[0][1]


def test_sensor_time_that_jumps_back_clears_everything(tracker):
    drive(tracker, [2.0, 3.0])
    with pytest.raises(SampleError, match=r"-3\.0 s off"):
        tracker.on_odometry(0.0, odometry_pose(0.0))
    tracker.on_odometry(0.05, odometry_pose(0.05))
    assert "no GNSS position" in look(tracker, 0.05).fix.reason


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
    assert repr(after[0].prior) == repr(before[0].prior)


def test_step_ahead_of_time_is_a_gap_not_a_new_start(tracker):
    drive(tracker, [2.0, 3.0])
    feed(tracker, 100.0, from_sec=3.05, with_gnss=False)
    with pytest.raises(SampleError, match=r"\+97\.0 s off"):
        feed_gnss(tracker, 100.0)
    feed(tracker, 101.0, from_sec=100.05)
    tracked = look(tracker, 101.0)
    assert tracked.keyframes == 3
    assert tracked.estimate is not None


@pytest.mark.parametrize("stamp_sec", [3.0, 2.9, 2.0])
def test_message_out_of_order_does_no_harm_and_is_named(tracker, stamp_sec):
    drive(tracker, [2.0, 3.0])
    with pytest.raises(SampleError, match=rf"stamp {stamp_sec:.3f} is not after the previous one, 3\.000"):
        tracker.on_odometry(stamp_sec, NO_ERROR)
    feed(tracker, 4.0, from_sec=3.05)
    assert look(tracker, 4.0).fix.accepted


@pytest.mark.parametrize("when", ["observed", "solved"])
def test_image_that_a_jump_of_time_overtakes_leaves_nothing_behind(tracker, scripted, monkeypatch, when):
    drive(tracker, [2.0, 3.0])
    feed(tracker, 4.0, from_sec=3.05)
    tracker.on_image(4.0)
    solve = scripted.solve

    def overtaken(placed, prior):
        feed(tracker, 1.0)  # the recording starts again
        return solve(placed, prior)

    if when == "observed":
        feed(tracker, 1.0)
    else:
        monkeypatch.setattr(scripted, "solve", overtaken)
    late = tracker.locate(observation(4.0))
    assert "time jumped back" in late.fix.reason
    assert late.estimate is None
    monkeypatch.undo()
    tracker.on_image(1.0)
    first = tracker.locate(observation(1.0))
    assert "second fix" in first.fix.reason
    assert first.keyframes == 1
    assert first.prior.radius_m >= TrackerConfig().gnss_min_radius_m


def test_answers_do_not_depend_on_the_order_of_sensors():
    def run(shuffle_seed):
        scripted = ScriptedLocalizer()
        tracker = DriveTracker(scripted, FRAME, TrackerConfig(antenna_in_base_m=ANTENNA_M))
        odometry = [(t, "odom") for t in np.arange(0, 8, 0.05)]
        gnss = [(t, "gnss") for t in np.arange(0, 8, 0.5)]
        late_sec = {"odom": 0.0, "gnss": 0.0}
        late_sec["gnss" if shuffle_seed else "odom"] = 0.9
        for t, sensor in sorted(odometry + gnss, key=lambda item: item[0] + late_sec[item[1]]):
            if sensor == "odom":
                tracker.on_odometry(t, odometry_pose(t))
            else:
                xy_m = true_pose(t).transform(ANTENNA_M) + np.random.default_rng(int(t * 10)).normal(0, 2, 2)
                tracker.on_gnss(t, *FRAME.geodetic_from_enu([*xy_m, 0.0]), 4.0)
        return [
            repr((t.prior, t.estimate)) for t in (tracker.locate(observation(s)) for s in (2.0, 4.2, 6.1))
        ]

    assert run(0) == run(1)


def test_unusable_image_is_rejected_without_asking(tracker, scripted):
    feed(tracker, 2.0)
    tracked = tracker.locate(observation(2.0, reason="image is blank"))
    assert tracked.fix.reason == "image is blank"
    assert not scripted.asked


def test_gravity_is_the_mean_just_before_the_image(tracker):
    for i, x in enumerate([9.0, 1.0, 3.0, 8.0]):
        tracker.on_gravity(1.0 + 0.05 * i, np.array([x, 0.0, -1.0]))
    np.testing.assert_allclose(tracker.gravity_at(1.12), [2.0, 0.0, -1.0])


def test_gravity_of_a_slow_imu_is_that_of_the_nearest_samples(tracker):
    assert tracker.gravity_at(1.0) is None  # no IMU
    for i, x in enumerate([9.0, 1.0, 3.0, 8.0]):
        tracker.on_gravity(1.0 + 0.2 * i, np.array([x, 0.0, -1.0]))
    np.testing.assert_allclose(tracker.gravity_at(1.35), [2.0, 0.0, -1.0])
    np.testing.assert_allclose(tracker.gravity_at(0.9), [9.0, 0.0, -1.0])
    np.testing.assert_allclose(tracker.gravity_at(2.0), [8.0, 0.0, -1.0])
    with pytest.raises(SampleError, match="no attitude from the IMU within 0.5 s of the image"):
        tracker.gravity_at(2.2)
    assert tracker.gravity_at(6.7) is None  # given up


def test_odometry_interpolates_turns_the_short_way_and_never_extrapolates():
    buffer = OdometryBuffer(100.0, max_gap_sec=0.5, max_speed_mps=15.0)
    buffer.add(1.0, Pose2(0.0, 0.0, np.pi - 0.1))
    buffer.add(1.2, Pose2(1.0, 2.0, -np.pi + 0.1))
    buffer.add(3.0, Pose2(5.0, 2.0, 0.0))
    middle = buffer.interpolate(1.1)
    assert (middle.x_m, middle.y_m) == pytest.approx((0.5, 1.0))
    assert abs(wrap_angle_rad(middle.yaw_rad - np.pi)) < 1e-9
    assert buffer.interpolate(0.9) is None
    assert buffer.interpolate(3.1) is None
    assert buffer.interpolate(2.0) is None  # inside a gap


def test_buffers_are_bounded_and_refuse_old_stamps():
    buffer = StampedBuffer(10.0)
    for i in range(1000):
        buffer.add(float(i), i)
    with pytest.raises(SampleError):
        buffer.add(999.0, 0)
    assert len(buffer.between(-1.0, 2000.0)) == 11


def test_buffers_keep_both_sides_of_a_gap():
    buffer = StampedBuffer(200.0)
    buffer.add(0.0, "before")
    with pytest.raises(SampleError):
        buffer.add(100.0, "held back")
    assert not buffer.add(101.0, "after")
    assert [sample for _, sample in buffer.between(-1.0, 200.0)] == ["before", "held back", "after"]


def test_two_clocks_on_one_topic_leave_the_first_in_charge():
    buffer = StampedBuffer(100.0)
    for i in range(20):
        buffer.add(float(i), "first")
        with pytest.raises(SampleError):
            buffer.add(i - 1.5, "second")
    assert [sample for _, sample in buffer.between(-10.0, 100.0)] == ["first"] * 20


def test_course_heading_is_as_good_as_it_says():
    rng = np.random.default_rng(3)
    odometry = OdometryBuffer(100.0, 0.5, 15.0)
    stamps = np.arange(0.0, 10.0, 0.2)
    for stamp_sec in stamps:
        odometry.add(stamp_sec, odometry_pose(stamp_sec))
    normalized = []
    for _ in range(200):
        bias = rng.normal(0, 8, 2) + np.outer(stamps / stamps[-1], rng.normal(0, 2, 2))  # constant + drift
        samples = [
            (t, GnssSample(true_pose(t).transform(ANTENNA_M) + b + rng.normal(0, 0.8, 2), 4.0))
            for t, b in zip(stamps, bias, strict=True)
        ]
        heading = heading_from_course(samples, odometry, np.array(ANTENNA_M), drift_m=2.0, min_baseline_m=8.0)
        normalized.append(wrap_angle_rad(heading.yaw_map_odom_rad - T_MAP_ODOM.yaw_rad) / heading.sigma_rad)
    assert 0.5 < np.std(normalized) < 1.3
    assert abs(np.mean(normalized)) < 0.3


@pytest.mark.parametrize("outliers", [[4], [0, 9], [3, 11, 18]])
def test_course_heading_leaves_outliers_out(outliers):
    odometry = OdometryBuffer(100.0, 0.5, 15.0)
    samples = []
    for i in range(20):
        odometry.add(0.5 * i, odometry_pose(0.5 * i))
        off_m = np.array([400.0, -90.0 * i]) if i in outliers else 0.0
        samples.append((0.5 * i, GnssSample(true_pose(0.5 * i).transform(ANTENNA_M) + off_m, 4.0)))
    heading = heading_from_course(samples, odometry, np.array(ANTENNA_M), drift_m=2.0, min_baseline_m=8.0)
    assert abs(wrap_angle_rad(heading.yaw_map_odom_rad - T_MAP_ODOM.yaw_rad)) < 1e-6


def test_no_course_heading_without_a_consensus():
    odometry = OdometryBuffer(100.0, 0.5, 15.0)
    rng = np.random.default_rng(4)
    samples = []
    for i in range(20):
        odometry.add(0.5 * i, odometry_pose(0.5 * i))
        xy_m = true_pose(0.5 * i).transform(ANTENNA_M) if i % 4 == 0 else rng.uniform(-500.0, 500.0, 2)
        samples.append((0.5 * i, GnssSample(xy_m, 4.0)))
    for few in (samples, samples[:3], []):
        assert heading_from_course(few, odometry, np.array(ANTENNA_M), 2.0, 8.0) is None


def test_carried_covariance_grows_with_the_lever_of_the_yaw_error():
    odometry = OdometryBuffer(100.0, 0.5, 15.0)
    for i in range(101):
        odometry.add(0.1 * i, Pose2(0.5 * i, 0.0, 0.0))
    start = PoseEstimate(0.0, Pose2(3.0, 4.0, np.pi / 2), np.diag([0.01, 0.01, 0.0004]))
    carried = carry(start, 10.0, odometry, OdometryDrift(0.0, 0.0))
    assert (carried.pose.x_m, carried.pose.y_m) == pytest.approx((3.0, 54.0))
    # 50 m north with 0.02 rad of yaw: 1 m to the east, nothing to the north.
    np.testing.assert_allclose(np.diag(carried.covariance), [0.01 + 1.0, 0.01, 0.0004], atol=1e-12)


def test_tracked_fix_keeps_the_localizers_numbers(tracker, scripted):
    scripted.accepts = False
    (tracked,) = drive(tracker, [2.0])
    expected = replace(scripted.solve(*scripted.asked[0]))
    assert repr(tracked.fix) == repr(expected)
