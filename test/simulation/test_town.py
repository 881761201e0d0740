"""Both views of a town show the same ground, and the depth is the truth."""

import numpy as np
import pytest

from xview_localizer.geometry.camera import EquirectangularCamera, PinholeCamera
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.pose import Pose2
from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.town import Town

SEED, SIZE_M, HEIGHT_M = 5, 100.0, 1.7
PANORAMA = EquirectangularCamera(512, 256, 512 / (2 * np.pi), 512 / (2 * np.pi), 256.0, 128.0)
PINHOLE = PinholeCamera(320, 240, 160.0, 160.0, 160.0, 120.0)


@pytest.fixture(scope="module")
def town():
    return Town.generate(SEED, SIZE_M)


@pytest.fixture(scope="module")
def street_pose(town):
    """A free place on a street near the middle of the town."""
    points = np.concatenate([street.line_xy_m for street in town.layout.streets])
    points = points[np.argsort(np.linalg.norm(points, axis=1))]
    x_m, y_m = next(p for p in points if not town.is_blocked(p, 2.0))
    return Pose2(float(x_m), float(y_m), 0.7)


def view(town, camera, pose, rpy_rad, capture):
    R_base_camera = R_base_optical_from_rpy(*rpy_rad)
    image, range_m = town.render_view(
        camera, pose, R_base_camera, HEIGHT_M, capture, np.random.default_rng(1)
    )
    v, u = np.mgrid[: camera.height, : camera.width] + 0.5
    rays_level = camera.rays(np.stack([u.ravel(), v.ravel()], axis=1)) @ R_base_camera.T
    return image, range_m, rays_level.reshape(*range_m.shape, 3)


@pytest.mark.parametrize("camera", [PANORAMA, PINHOLE], ids=["panorama", "pinhole"])
def test_range_is_that_of_the_ground_plane_where_there_are_no_objects(
    town, plain_capture, street_pose, camera
):
    _, range_m, rays = view(town, camera, street_pose, np.radians([1.5, 3.0, 0.0]), plain_capture)
    down = -rays[..., 2]
    near = down > HEIGHT_M / 15
    plane_m = HEIGHT_M / down[near]
    assert np.all(range_m[near] <= plane_m + 1e-3)
    assert np.mean(np.abs(range_m[near] - plane_m) < 1e-3) > 0.5


@pytest.mark.parametrize("camera", [PANORAMA, PINHOLE], ids=["panorama", "pinhole"])
def test_ground_view_and_orthophoto_show_the_same_ground(town, plain_capture, street_pose, camera):
    image, range_m, rays = view(town, camera, street_pose, np.radians([1.0, 5.0, 2.0]), plain_capture)
    ortho = town.render_orthophoto(
        Bounds.around(street_pose.x_m, street_pose.y_m, 20.0), 0.1, plain_capture, np.random.default_rng(2)
    )
    level = range_m[..., None] * rays
    on_ground = (np.abs(level[..., 2] + HEIGHT_M) < 0.01) & (range_m > 0) & (range_m < 10)
    xy_m = street_pose.transform(level[on_ground][:, :2])
    seen = image[on_ground].mean(axis=-1).astype(float)

    def agreement(shift_m):
        u, v = np.floor(ortho.grid.uv_from_xy(xy_m + shift_m)).astype(int).T
        return np.corrcoef(seen, ortho.image[v, u].mean(axis=-1))[0, 1]

    there = agreement((0.0, 0.0))
    aside = [agreement(shift) for shift in ((0.5, 0.0), (-0.5, 0.0), (0.0, 0.5), (0.0, -0.5))]
    assert there > 0.8
    assert there > max(aside) + 0.1


def test_tall_things_lean_in_the_orthophoto_but_the_ground_does_not(town, plain_capture):
    first, second = (
        town.render_orthophoto(
            Bounds.around(0.0, 0.0, 40.0), 0.25, plain_capture, np.random.default_rng(seed)
        )
        for seed in (1, 2)
    )
    same = np.abs(first.image.astype(int) - second.image.astype(int)).max(axis=-1) <= 2
    assert 0.4 < same.mean() < 1.0


def test_same_seed_same_town(town):
    again, other = Town.generate(SEED, SIZE_M), Town.generate(SEED + 1, SIZE_M)
    capture = Capture.sample(np.random.default_rng(3))
    pose = Pose2(0.0, 0.0, 0.0)
    images = [
        t.render_view(
            PINHOLE, pose, R_base_optical_from_rpy(0, 0, 0), HEIGHT_M, capture, np.random.default_rng(4)
        )[0]
        for t in (town, again, other)
    ]
    np.testing.assert_array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


def test_cars_differ_between_street_and_air():
    x, y = (a.ravel() for a in np.meshgrid(*[np.arange(-35, 35, 0.5)] * 2))
    origin, down = np.column_stack([x, y, np.full(x.size, 60.0)]), np.tile([0.0, 0.0, -1.0], (x.size, 1))
    differences = 0
    for seed in range(3):
        town = Town.generate(seed, 80.0)
        street, air = (scene.cast(origin, down).range_m for scene in (town.street_scene, town.aerial_scene))
        differences += np.count_nonzero(np.abs(street - air) > 0.3)
    assert differences > 20  # a car covers about 30 of these rays
