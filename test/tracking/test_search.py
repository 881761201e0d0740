"""Where to look: GNSS's disc, what is believed, and how far they may be apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scripted_drive import ANTENNA_M, distance_m, odometry_pose, true_pose

from xview_localizer.belief.hypotheses import Belief, Hypothesis
from xview_localizer.geometry.pose import Pose2, Prior, wrap_angle_rad
from xview_localizer.tracking.gnss import GnssSample
from xview_localizer.tracking.search import SearchConfig, gnss_disc, search_around
from xview_localizer.tracking.sensors import Sensors

CONFIG = SearchConfig()
HERE = Pose2(3.0, 4.0, 0.7)
DISC = Prior(10.0, 4.0, 18.0, 0.6, 0.2)


def believed(*weighted: tuple[Pose2, float], sigma_m: float = 0.5, yaw_sigma_rad: float = 0.01) -> Belief:
    """Hypotheses with their weights, the rest to none of them."""
    covariance = np.diag([sigma_m**2, sigma_m**2 / 4, yaw_sigma_rad**2])
    rest = 1 - sum(weight for _, weight in weighted)
    return Belief(
        tuple(Hypothesis(pose, covariance, float(np.log(weight))) for pose, weight in weighted),
        float(np.log(rest)),
    )


def sensors_until(
    until_sec: float, with_odometry: bool = True, gnss_until_sec: float | None = None
) -> Sensors:
    sensors = Sensors(0.5, 15.0)
    for i in range(round(20 * until_sec) + 1):
        stamp_sec = 0.05 * i
        if with_odometry:
            sensors.add("odometry", stamp_sec, odometry_pose(stamp_sec))
        if i % 10 == 0 and (gnss_until_sec is None or stamp_sec <= gnss_until_sec):
            sensors.add(
                "gnss",
                stamp_sec,
                GnssSample(true_pose(stamp_sec).transform(ANTENNA_M), 4.0, np.array(ANTENNA_M)),
            )
    return sensors


# --- GNSS's disc ---


def test_disc_takes_out_lever_arm_and_motion_once_the_course_is_known():
    disc = gnss_disc(sensors_until(6.25), 6.25, CONFIG)  # a quarter of a second after the last GNSS position
    truth = true_pose(6.25)
    assert distance_m(disc, truth) < 1e-3
    assert abs(wrap_angle_rad(disc.yaw_rad - truth.yaw_rad)) < 1e-3
    assert CONFIG.gnss_min_radius_m <= disc.radius_m < CONFIG.gnss_min_radius_m + 1
    assert disc.yaw_sigma_rad == pytest.approx(np.arctan2(CONFIG.gnss_drift_m, 31.0), rel=0.15)


def test_heading_of_the_course_is_never_taken_for_surer_than_the_robot_drives_straight():
    disc = gnss_disc(sensors_until(6.25), 6.25, replace(CONFIG, gnss_drift_m=0.01))
    assert disc.yaw_sigma_rad == CONFIG.min_yaw_sigma_rad


def test_disc_without_a_course_has_no_heading_and_grows_by_lever_arm_and_path():
    disc = gnss_disc(sensors_until(0.7), 0.7, CONFIG)
    assert disc.yaw_rad is None
    assert disc.radius_m == pytest.approx(15 + np.hypot(*ANTENNA_M) + 1.0, abs=0.1)
    assert distance_m(disc, true_pose(0.7)) < disc.radius_m - 15 + 1e-6


def test_disc_without_odometry_grows_by_the_speed_bound():
    disc = gnss_disc(sensors_until(4.0, with_odometry=False), 4.4, CONFIG)
    assert disc.radius_m == pytest.approx(15 + np.hypot(*ANTENNA_M) + 0.4 * CONFIG.max_speed_mps)


def test_disc_grows_with_the_path_driven_since_gnss():
    """By odometry's drift, and by how far a wrong heading leads astray."""
    sensors = sensors_until(14.0, gnss_until_sec=6.0)
    aged = gnss_disc(sensors, 14.0, CONFIG)
    assert distance_m(aged, true_pose(14.0)) < 1e-3
    travelled_m = sensors.odometry.motion(6.0, 14.0).travelled_m
    astray_m = travelled_m * (CONFIG.position_drift_ratio + aged.yaw_sigma_rad)
    assert aged.radius_m == pytest.approx(CONFIG.gnss_min_radius_m + astray_m)


def test_disc_of_an_uncertain_receiver_is_wide_and_of_an_old_position_none():
    sensors = Sensors(0.5, 15.0)
    sensors.add("gnss", 1.0, GnssSample(np.zeros(2), 20.0, np.array(ANTENNA_M)))
    assert gnss_disc(sensors, 1.0, CONFIG).radius_m == pytest.approx(60 + np.hypot(*ANTENNA_M))
    assert gnss_disc(sensors, 10.9, CONFIG) is not None
    assert gnss_disc(sensors, 11.1, CONFIG) is None
    assert gnss_disc(sensors, 0.9, CONFIG) is None  # what comes later is not known yet


# --- around what is believed ---


def test_nothing_known_nowhere_to_look():
    assert search_around(Belief(), None, 0.0, CONFIG) is None


def test_without_a_belief_gnss_alone_says_where():
    assert search_around(Belief(), DISC, 0.0, CONFIG) == DISC


def test_settled_leader_is_the_middle_and_gives_the_heading():
    search = search_around(believed((HERE, 0.985)), None, 0.0, CONFIG)
    assert search == Prior(3.0, 4.0, CONFIG.gnss_min_radius_m, 0.7, CONFIG.min_yaw_sigma_rad)


def test_settled_leaders_own_uncertainty_widens_the_search():
    search = search_around(believed((HERE, 0.985), sigma_m=8.0, yaw_sigma_rad=0.3), None, 0.0, CONFIG)
    assert (search.radius_m, search.yaw_sigma_rad) == pytest.approx((24.0, 0.3))


def test_leader_less_sure_than_gnss_is_searched_about_gnss():
    search = search_around(believed((HERE, 0.985), sigma_m=8.0), DISC, 0.0, CONFIG)
    assert search == DISC


def test_search_about_a_settled_leader_reaches_the_middle_of_gnss():
    near = search_around(believed((HERE, 0.985)), DISC, 0.0, CONFIG)
    far = search_around(believed((HERE, 0.985)), Prior(43.0, 34.0, 18.0), 0.0, CONFIG)
    assert (near.x_m, near.y_m, near.radius_m) == pytest.approx((3.0, 4.0, 15.0))
    assert (far.x_m, far.y_m, far.radius_m) == pytest.approx((3.0, 4.0, 50.0))


def test_unsettled_belief_is_searched_about_gnss_and_out_to_every_live_hypothesis():
    belief = believed((HERE, 0.7), (Pose2(40.0, 4.0, 0.0), 0.012), (Pose2(200.0, 4.0, 0.0), 0.009))
    search = search_around(belief, DISC, 0.0, CONFIG)
    assert search == Prior(10.0, 4.0, 30.0, DISC.yaw_rad, DISC.yaw_sigma_rad)


def test_without_gnss_an_unsettled_belief_is_searched_about_its_heaviest_hypothesis():
    near = search_around(believed((HERE, 0.7), (Pose2(8.0, 4.0, 0.0), 0.2)), None, 0.0, CONFIG)
    far = search_around(believed((HERE, 0.7), (Pose2(28.0, 4.0, 0.0), 0.2)), None, 0.0, CONFIG)
    assert near == Prior(3.0, 4.0, CONFIG.gnss_min_radius_m)
    assert far == Prior(3.0, 4.0, 25.0)


def test_without_gnss_the_uncertainty_of_an_unsettled_hypothesis_widens_the_search():
    search = search_around(believed((HERE, 0.7), sigma_m=12.0), None, 0.0, CONFIG)
    assert search.radius_m == pytest.approx(36.0)


@pytest.mark.parametrize(("lost_m", "radius_m"), [(0.0, 18.0), (20.0, 18.0), (30.0, 27.0), (1000.0, 54.0)])
def test_search_grows_up_to_a_limit_while_no_place_fits(lost_m, radius_m):
    search = search_around(believed((HERE, 0.4)), DISC, lost_m, CONFIG)
    assert search.radius_m == pytest.approx(radius_m)


def test_search_does_not_grow_while_places_compete():
    belief = believed((HERE, 0.5), (Pose2(8.0, 4.0, 0.0), 0.4))
    assert search_around(belief, DISC, 1000.0, CONFIG).radius_m == DISC.radius_m
