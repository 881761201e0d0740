"""The pipeline on a rendered view: right where it can be, rejected with a reason where it cannot."""

from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from xview_localizer.aerial.source import MapSourceError
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.pose import Pose2, Prior, wrap_angle_rad
from xview_localizer.ground_view import unusable_reason
from xview_localizer.localizer import Localizer
from xview_localizer.observation import IDENTITY_POSE, PlacedObservation
from xview_localizer.rejection import Reason


@pytest.fixture
def prior(small_town):
    return Prior(small_town.pose.x_m + 6.0, small_town.pose.y_m - 5.0, 15.0)


def error_m(fix, pose: Pose2) -> float:
    return float(np.hypot(fix.x_m - pose.x_m, fix.y_m - pose.y_m))


def test_finds_the_pose_without_a_heading(localizer, small_town, prior):
    fix = localizer.localize(small_town.view(), prior)
    assert error_m(fix, small_town.pose) < 2.0
    assert abs(np.degrees(wrap_angle_rad(fix.yaw_rad - small_town.pose.yaw_rad))) < 4.0
    assert 0.9 <= fix.scale <= 1.1
    assert np.linalg.eigvalsh(fix.covariance).min() > 0
    assert fix.stamp_sec == 12.5
    # "depth" where the package's own is a graph of its own
    assert set(fix.timings_ms) - {"depth"} == {"view", "encode", "lift", "aerial", "match", "solve"}


def test_the_map_s_own_accuracy_is_part_of_the_covariance(localizer, small_town, prior):
    rough = copy(localizer)
    rough.config = replace(localizer.config, map_sigma_m=0.5)
    observation = PlacedObservation(localizer.observe(small_town.view()), IDENTITY_POSE)
    exact_fix, rough_fix = (joined(each, [observation], prior) for each in (localizer, rough))
    np.testing.assert_allclose(
        rough_fix.covariance - exact_fix.covariance, np.diag([0.25, 0.25, 0.0]), atol=1e-12
    )


def test_same_inputs_same_output(localizer, small_town, prior):
    first, second = (localizer.localize(small_town.view(), prior) for _ in range(2))
    assert (first.x_m, first.y_m, first.yaw_rad, first.confidence) == (
        second.x_m,
        second.y_m,
        second.yaw_rad,
        second.confidence,
    )
    np.testing.assert_array_equal(first.covariance, second.covariance)


def test_pose_is_base_link_s_not_the_camera_s(localizer, small_town, prior):
    """A camera two metres ahead of base_link puts base_link two metres behind the camera."""
    fix = localizer.localize(small_town.view(camera_in_base_m=np.array([2.0, 0.0, 1.8])), prior)
    behind = small_town.pose @ Pose2(-2.0, 0.0, 0.0)
    assert error_m(fix, behind) < error_m(fix, small_town.pose)
    assert error_m(fix, behind) < 2.0


def test_camera_turned_on_the_robot(localizer, small_town, prior):
    """A camera that looks to the robot's left sees the world turned; base_link's yaw takes that into account."""
    quarter = np.pi / 2
    fix = localizer.localize(small_town.view(R_base_camera=R_base_optical_from_rpy(0.0, 0.0, quarter)), prior)
    assert abs(wrap_angle_rad(fix.yaw_rad - (small_town.pose.yaw_rad - quarter))) < np.radians(4)


# The same view seen from another base_link: this far ahead and turned, with the camera as far behind.
T_CURRENT_PAST = Pose2(4.0, 1.0, 0.3)


def seen_from_the_past(localizer, small_town, **changes):
    camera = T_CURRENT_PAST.inverse()
    view = small_town.view(
        camera_in_base_m=np.array([camera.x_m, camera.y_m, 1.8]),
        R_base_camera=R_base_optical_from_rpy(0.0, 0.0, camera.yaw_rad),
        **changes,
    )
    return localizer.observe(view)


def joined(localizer, placed, prior):
    return localizer.judge(localizer.modes(placed, prior))


def test_past_observations_join_through_odometry(localizer, small_town, prior):
    now = PlacedObservation(localizer.observe(small_town.view()), IDENTITY_POSE)
    past = seen_from_the_past(localizer, small_town)
    fix = joined(localizer, [PlacedObservation(past, T_CURRENT_PAST), now], prior)
    assert error_m(fix, small_town.pose) < 0.5
    wrong = localizer.modes([PlacedObservation(past, T_CURRENT_PAST.inverse()), now], prior).modes[0]
    right = localizer.modes([PlacedObservation(past, T_CURRENT_PAST), now], prior).modes[0]
    assert wrong.log_evidence < 0.9 * right.log_evidence


@pytest.mark.parametrize("given_m", [1.66, 1.95])
@pytest.mark.parametrize("lever_m", [6.0])
@pytest.mark.parametrize("keyframe", [False, True])
def test_a_wrong_camera_height_moves_nothing(localizer, small_town, prior, given_m, lever_m, keyframe):
    """8 % off: the cells are scaled back, and neither the lever arm nor odometry is scaled with them."""
    lever = Pose2(lever_m, 0.0, 0.0)
    view = {"camera_height_m": given_m, "camera_in_base_m": np.array([lever_m, 0.0, 1.8])}
    placed = [PlacedObservation(localizer.observe(small_town.view(**view)), IDENTITY_POSE)]
    if keyframe:
        camera = T_CURRENT_PAST.inverse() @ lever
        past = small_town.view(
            camera_in_base_m=np.array([camera.x_m, camera.y_m, 1.8]),
            R_base_camera=R_base_optical_from_rpy(0.0, 0.0, camera.yaw_rad),
            camera_height_m=given_m,
        )
        placed.insert(0, PlacedObservation(localizer.observe(past), T_CURRENT_PAST))
    fix = joined(localizer, placed, prior)
    # One image fixes the camera; base_link follows from its yaw, which is good to some tenths of a degree.
    camera_error = (small_town.pose).inverse() @ (Pose2(fix.x_m, fix.y_m, fix.yaw_rad) @ lever)
    assert np.hypot(camera_error.x_m, camera_error.y_m) < 0.25
    assert error_m(fix, small_town.pose @ lever.inverse()) < 0.3  # a lever that is scaled with the cells: 0.5
    assert fix.scale == pytest.approx(
        1.8 / given_m, rel=0.05
    )  # its bounds, ±10 %, draw it a little towards 1


def test_an_expected_pose_that_matches_is_among_the_modes(localizer, small_town, prior):
    """And one that does not match changes nothing else."""
    placed = [PlacedObservation(localizer.observe(small_town.view()), IDENTITY_POSE)]
    near = small_town.pose @ Pose2(0.8, -0.5, 0.05)
    nowhere = Pose2(small_town.pose.x_m + 500.0, 0.0, 0.0)
    plain, expecting = (localizer.modes(placed, prior, expected) for expected in ((), (near, nowhere)))
    assert error_m(localizer.judge(expecting), small_town.pose) < 1.0
    assert len(plain.modes) <= len(expecting.modes) <= len(plain.modes) + 2


def test_unusable_keyframes_are_left_out(localizer, small_town, prior):
    blank = localizer.observe(small_town.view(image=np.zeros_like(small_town.image)))
    now = PlacedObservation(localizer.observe(small_town.view()), IDENTITY_POSE)
    joined_modes = localizer.modes([PlacedObservation(blank, T_CURRENT_PAST), now], prior)
    assert joined_modes.images == 1
    assert joined_modes.modes[0].pose == localizer.modes([now], prior).modes[0].pose


def test_keyframes_of_another_unit_are_left_out(localizer, small_town, prior):
    """Metric depth that disagreed with the ground once, while the camera's height is unknown."""
    past = replace(seen_from_the_past(localizer, small_town), scale_known=False)
    now = PlacedObservation(localizer.observe(small_town.view()), IDENTITY_POSE)
    joined_modes = localizer.modes([PlacedObservation(past, T_CURRENT_PAST), now], prior)
    assert joined_modes.images == 1
    assert joined_modes.modes[0].pose == localizer.modes([now], prior).modes[0].pose


def test_rejects_without_a_pose_when_the_image_is_bad(localizer, small_town, prior):
    for image, reason in (
        (np.zeros_like(small_town.image), "blank"),
        (np.full_like(small_town.image, (60, 110, 190)), "blank"),
        (small_town.image[:100], "check that its CameraInfo or calibration file belongs to this image"),
        (small_town.image[..., 0], "must be"),
        (small_town.image.astype(np.float32), "must be"),
    ):
        fix = localizer.localize(small_town.view(image=image), prior)
        assert fix.rejection.reason is Reason.BAD_IMAGE and reason in fix.reason
        assert np.isnan(fix.x_m) and fix.confidence == 0.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gravity_base": np.array([1.0, 0.0, 0.0])}, "vertical"),
        ({"gravity_base": np.full(3, np.nan)}, "finite"),
        ({"R_base_camera": R_base_optical_from_rpy(0.0, -np.pi / 2, np.nan)}, "mounting"),
        ({"camera_in_base_m": np.array([np.inf, 0.0, 0.0])}, "mounting"),
    ],
)
def test_rejects_an_impossible_attitude(localizer, small_town, prior, changes, reason):
    fix = localizer.localize(small_town.view(**changes), prior)
    assert not fix.accepted and reason in fix.reason


def test_rejects_where_the_map_has_nothing(localizer, small_town):
    fix = localizer.localize(small_town.view(), Prior(5000.0, 0.0, 10.0))
    assert fix.rejection.reason is Reason.NO_IMAGERY and "no imagery" in fix.reason


def test_rejects_where_the_map_ends_before_the_search(localizer, small_town):
    # The town's imagery ends at x = 60 m: the camera could see it from there, but no place there can be compared.
    fix = localizer.localize(small_town.view(), Prior(75.0, 0.0, 10.0))
    assert fix.rejection.reason is Reason.NO_IMAGERY


def test_a_search_half_off_the_map_is_believed_less(localizer, small_town):
    modes = [
        localizer.modes(
            [PlacedObservation(localizer.observe(small_town.view()), IDENTITY_POSE)], Prior(x_m, 0.0, 15.0)
        )
        for x_m in (0.0, 60.0)
    ]
    assert modes[0].covered == 1.0
    assert modes[1].covered == pytest.approx(0.5, abs=0.1)


def test_rejects_when_the_map_cannot_be_read(small_town, networks, prior):
    class DeadMap:
        def read(self, bounds, metres_per_pixel):
            raise MapSourceError("the map server does not answer; start it")

    fix = Localizer(networks, DeadMap()).localize(small_town.view(), prior)
    assert fix.rejection.reason is Reason.MAP_UNREADABLE and "does not answer" in fix.reason


@pytest.mark.parametrize("assumed_m", [1.4, 2.6])
def test_unknown_camera_height_is_solved_for(localizer, small_town, prior, assumed_m, monkeypatch):
    """The lever arm and odometry are in metres, whatever the scale of the depth."""
    monkeypatch.setattr(localizer, "config", replace(localizer.config, assumed_camera_height_m=assumed_m))
    now = localizer.observe(small_town.view(camera_height_m=None))
    past = seen_from_the_past(localizer, small_town, camera_height_m=None)
    placed = [PlacedObservation(past, T_CURRENT_PAST), PlacedObservation(now, IDENTITY_POSE)]
    fix = joined(localizer, placed, prior)
    assert fix.scale == pytest.approx(1.8 / assumed_m, rel=0.12)
    assert error_m(fix, small_town.pose) < 0.7


@pytest.mark.parametrize("height_m", [0.0, -1.0, 100.0, float("nan")])
def test_absurd_camera_height_is_refused(small_town, height_m):
    assert "camera height" in unusable_reason(small_town.view(camera_height_m=height_m))
