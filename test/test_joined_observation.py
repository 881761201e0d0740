"""Several cameras as one: the same cells in the same places, whatever the scale."""

from dataclasses import replace

import numpy as np
import pytest

from xview_localizer.geometry.pose import Pose2
from xview_localizer.observation import (
    IDENTITY_POSE,
    Observation,
    PlacedObservation,
    empty_observation,
    joined_observation,
)

THEN = Pose2(-2.0, 0.5, 0.3)  # where the earlier image was taken, seen from the current base_link


def observation(seed, cells, stamp_sec=7.0, **changes):
    rng = np.random.default_rng(seed)
    rays = rng.normal(size=(cells, 3))
    given = {
        "ground_xy_m": rng.normal(0, 10, (cells, 2)), "camera_xy_m": rng.normal(0, 1, 2),
        "descriptor": rng.normal(size=(cells, 4)).astype(np.float32), "dustbin": rng.normal(size=cells),
        "covered_area": rng.uniform(0.0, 3.0, cells),
        "scale_known": True, "depth_source": "network", "stamp_sec": stamp_sec, "timings_ms": {"describe": 3.0},
        "rays_level": rays / np.linalg.norm(rays, axis=1, keepdims=True),
    }  # fmt: skip
    return Observation(**(given | changes))


def test_cells_stay_where_they_are_at_any_scale():
    front, left, rear = observation(0, 5), observation(1, 7, 6.8), observation(2, 3)
    joined = joined_observation(
        [
            PlacedObservation(left, THEN),
            PlacedObservation(rear, IDENTITY_POSE),
            PlacedObservation(front, IDENTITY_POSE),
        ]
    )
    for scale in (0.7, 1.0, 1.4):
        expected = [THEN.transform(left.points_m(scale)), rear.points_m(scale), front.points_m(scale)]
        np.testing.assert_allclose(joined.points_m(scale), np.concatenate(expected), atol=1e-9)
    np.testing.assert_array_equal(
        joined.descriptor, np.concatenate([left.descriptor, rear.descriptor, front.descriptor])
    )
    np.testing.assert_array_equal(
        joined.covered_area, np.concatenate([left.covered_area, rear.covered_area, front.covered_area])
    )
    assert (joined.stamp_sec, joined.depth_source, joined.scale_known) == (7.0, "network", True)
    assert joined.timings_ms == {"describe": 9.0}
    cos, sin = np.cos(0.3), np.sin(0.3)
    np.testing.assert_allclose(joined.rays_level[:7, :2], left.rays_level[:, :2] @ [[cos, sin], [-sin, cos]])


def test_one_camera_is_itself():
    alone = observation(0, 5)
    assert joined_observation([PlacedObservation(alone, IDENTITY_POSE)]) is alone


def test_cameras_on_a_slope_are_joined_on_level_ground_and_on_the_slope():
    """A camera whose image was taken while base_link did not lean has one observation for both."""
    front, left = observation(0, 5), observation(1, 7, 6.8)
    slope = observation(2, 4, depth_source="network, on a slope of 4°")
    pair = [PlacedObservation(left, THEN), PlacedObservation(replace(front, on_slope=slope), IDENTITY_POSE)]
    joined = joined_observation(pair)
    for ground, current in ((joined, front), (joined.on_slope, slope)):
        expected = np.concatenate([THEN.transform(left.points_m(1.0)), current.points_m(1.0)])
        np.testing.assert_allclose(ground.points_m(1.0), expected, atol=1e-9)
    assert joined.on_slope.depth_source == "network; network, on a slope of 4°"
    assert joined.on_slope.on_slope is None
    level = joined_observation([PlacedObservation(left, THEN), PlacedObservation(front, IDENTITY_POSE)])
    assert level.on_slope is None


def test_what_cannot_be_used_is_left_out():
    front, blank = observation(0, 5), empty_observation(7.0, "image is blank")
    for placed in ([blank, front], [front, blank]):
        joined = joined_observation([PlacedObservation(item, IDENTITY_POSE) for item in placed])
        assert joined.reason == "" and len(joined.ground_xy_m) == 5 and joined.stamp_sec == 7.0
    dark = replace(blank, reason="too dark")
    nothing = joined_observation(
        [PlacedObservation(dark, IDENTITY_POSE), PlacedObservation(blank, IDENTITY_POSE)]
    )
    assert nothing.reason == "image is blank"


def test_a_scale_that_one_camera_does_not_know_is_not_known():
    unknown = observation(1, 4, scale_known=False, depth_source="flat ground: no depth")
    joined = joined_observation(
        [PlacedObservation(unknown, IDENTITY_POSE), PlacedObservation(observation(0, 5), IDENTITY_POSE)]
    )
    assert not joined.scale_known
    assert joined.depth_source == "flat ground: no depth; network"


@pytest.mark.parametrize("late_sec", [0.01, 0.2])
def test_the_tracker_joins_by_odometry_or_the_same_moment(late_sec):
    from xview_localizer.geometry.local_frame import LocalFrame
    from xview_localizer.tracking.tracker import DriveTracker

    left, front = observation(1, 7, 100.0), observation(0, 5, 100.0 + late_sec)
    without, driving = (DriveTracker(None, LocalFrame(48.0, 11.0, 0.0)) for _ in range(2))
    for tenth in range(30):
        driving.on_odometry(98.5 + tenth / 10, Pose2(0.5 * tenth, 0.0, 0.0))
    assert len(without.joined([left, front]).ground_xy_m) == (12 if late_sec == 0.01 else 5)
    joined = driving.joined([left, front])
    behind = Pose2(-5.0 * late_sec, 0.0, 0.0)
    np.testing.assert_allclose(joined.points_m(1.0)[:7], behind.transform(left.points_m(1.0)), atol=1e-9)
    assert driving.joined([front]) is front
