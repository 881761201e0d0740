"""A robot that leans stands on level ground or on a slope; the map decides which."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.observation import IDENTITY_POSE, Observation, PlacedObservation
from xview_localizer.slopes import SLOPE_FROM_RAD, observed_on_each_ground, on_each_ground

SEEN = Observation(
    np.ones((3, 2)), np.zeros(2), np.ones((3, 4)), np.zeros(3), np.ones(3), True, "network", stamp_sec=1.0
)


def gravity(lean_deg: float, towards_deg: float) -> np.ndarray:
    """Gravity [3] in a base_link that leans towards an azimuth."""
    lean, towards = np.radians([lean_deg, towards_deg])
    return np.array([np.sin(lean) * np.cos(towards), np.sin(lean) * np.sin(towards), -np.cos(lean)])


def prior_of(small_town) -> Prior:
    return Prior(small_town.pose.x_m + 6.0, small_town.pose.y_m - 5.0, 15.0)


def error_m(fix, pose: Pose2) -> float:
    return float(np.hypot(fix.x_m - pose.x_m, fix.y_m - pose.y_m))


@pytest.mark.parametrize("towards_deg", [0.0, 110.0])
def test_a_town_on_a_slope_is_localized_as_well_as_a_level_one(localizer, small_town, towards_deg):
    """To a robot that stands on the slope, an inclined town looks like a level one; only gravity leans."""
    level = localizer.localize(small_town.view(gravity_base=gravity(0.0, 0.0)), prior_of(small_town))
    inclined = localizer.localize(
        small_town.view(gravity_base=gravity(5.0, towards_deg)), prior_of(small_town)
    )
    assert inclined.depth_source == "network, on a slope of 5°"
    assert (inclined.x_m, inclined.y_m, inclined.yaw_rad) == (level.x_m, level.y_m, level.yaw_rad)


def test_a_robot_that_leans_on_level_ground_is_not_taken_to_be_on_a_slope(localizer, small_town):
    R_base_level = Rotation.from_euler("xyz", (-3.0, 4.0, 0.0), degrees=True).as_matrix().T
    upright = small_town.view()
    leaning = replace(
        upright,
        R_base_camera=R_base_level @ upright.R_base_camera,
        gravity_base=R_base_level @ np.array([0.0, 0.0, -1.0]),
    )
    fix = localizer.localize(leaning, prior_of(small_town))
    assert fix.depth_source == "network"
    assert error_m(fix, small_town.pose) < 0.5


def test_a_robot_that_hardly_leans_is_observed_once(localizer, small_town):
    just_under, just_over = (
        localizer.observe(small_town.view(gravity_base=gravity(np.degrees(SLOPE_FROM_RAD) + step_deg, 30.0)))
        for step_deg in (-0.01, 0.01)
    )
    assert just_under.on_slope is None and just_over.on_slope is not None


def test_both_observations_count_in_the_time(small_town):
    seen = iter([({"encode": 5.0, "view": 1.0}, "network"), ({"encode": 7.0, "view": 2.0}, "network")])

    def observe(view):
        timings_ms, source = next(seen)
        return replace(SEEN, timings_ms=timings_ms, depth_source=source)

    both = observed_on_each_ground(observe, small_town.view(gravity_base=gravity(4.0, 0.0)))
    assert both.timings_ms == {"encode": 12.0, "view": 3.0}
    assert (both.depth_source, both.on_slope.depth_source) == ("network", "network, on a slope of 4°")


@pytest.mark.parametrize("unusable", ["level", "slope"])
def test_an_image_that_one_ground_makes_unusable_is_observed_on_the_other_at_most(small_town, unusable):
    answers = {"level": SEEN, "slope": SEEN}
    answers[unusable] = replace(answers[unusable], reason="the camera sees nothing")

    def observe(view):
        return answers["slope" if view.gravity_base is None else "level"]

    both = observed_on_each_ground(observe, small_town.view(gravity_base=gravity(4.0, 0.0)))
    assert both is answers["level"]


def test_gravity_that_is_no_vector_makes_an_image_unusable(localizer, small_town):
    assert "gravity_base must be" in localizer.observe(small_town.view(gravity_base=np.zeros(2))).reason


def test_only_the_current_image_is_placed_on_both_grounds():
    slope = replace(SEEN, depth_source="network, on a slope of 4°")
    earlier = PlacedObservation(SEEN, Pose2(-3.0, 0.0, 0.0))
    current = PlacedObservation(replace(SEEN, on_slope=slope), IDENTITY_POSE)
    level_placed, slope_placed = on_each_ground([earlier, current])
    assert level_placed[0] is slope_placed[0] is earlier
    assert level_placed[1].observation.depth_source == "network"
    assert slope_placed[1].observation.depth_source == slope.depth_source
    (alone,) = on_each_ground([current, earlier])
    assert [item.observation.depth_source for item in alone] == ["network", "network"]
