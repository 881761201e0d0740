"""Scenes raised from a photo: what stands on it is found, both views show the same ground, and the depth is true."""

import filecmp

import cv2
import numpy as np
import pytest

from xview_localizer.geometry.camera import EquirectangularCamera
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.pose import Pose2
from xview_localizer.recordings.pairs import PairsDataset
from xview_localizer.simulation.orthophoto_pairs import make_orthophoto_pairs
from xview_localizer.simulation.orthophoto_scene import OrthophotoScene
from xview_localizer.simulation.pairs_writer import PairsConfig
from xview_localizer.simulation.photo import OrthophotoError, Photo, PhotoFile
from xview_localizer.simulation.segmentation import SEGMENT_M, segment

PIXEL_M, SIDE_PX = 0.3, 280  # 84 m
TREES_XY_M = ((-25.0, 20.0), (26.0, 24.0))
ROOFS_XY_M = ((-24.0, -18.0), (22.0, -20.0))
HEIGHT_M = 1.7


def painted_photo() -> np.ndarray:
    """A road between lawns with two trees, and two roofs that throw shadows to the north-east."""
    rng = np.random.default_rng(0)
    grid = RasterGrid.centred(0.0, 0.0, PIXEL_M, SIDE_PX, SIDE_PX)
    image = np.full((SIDE_PX, SIDE_PX, 3), (105, 135, 80), np.float32) + rng.normal(
        0, 2, (SIDE_PX, SIDE_PX, 1)
    )

    def box(x, y, half_x, half_y, rgb):
        corners = np.array([[x - half_x, y + half_y], [x + half_x, y - half_y]])
        (left, top), (right, bottom) = np.round(grid.uv_from_xy(corners)).astype(int)
        image[top:bottom, left:right] = rgb

    box(0, 0, 42, 5, (120, 120, 122))
    for x in range(-40, 40, 7):
        box(x, 0, 1.5, 0.2, (225, 225, 220))
    for x, y in ROOFS_XY_M:
        box(x + 1.5, y + 1.5, 7, 5, (30, 32, 36))
        box(x, y, 7, 5, (165, 160, 158))
    for x, y in TREES_XY_M:
        u, v = grid.uv_from_xy(np.array([x, y])).astype(int).tolist()
        disc = cv2.circle(np.zeros((SIDE_PX, SIDE_PX), np.uint8), (u, v), round(3.5 / PIXEL_M), 1, -1) > 0
        image[disc] = (45, 75, 35) + rng.normal(0, 16, (disc.sum(), 1))
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def photo():
    return Photo(painted_photo(), PIXEL_M, "painted")


@pytest.fixture(scope="module")
def scene(photo):
    return OrthophotoScene.generate(photo, 3)


def test_trees_and_roofs_are_found(photo):
    grid = RasterGrid.centred(0.0, 0.0, SEGMENT_M, SIDE_PX, SIDE_PX)
    segments = segment(photo.image, grid)
    assert len(segments.roofs) == 2
    for x_m, y_m in ROOFS_XY_M:
        roof = min(segments.roofs, key=lambda r: np.hypot(r.x_m - x_m, r.y_m - y_m))
        assert np.hypot(roof.x_m - x_m, roof.y_m - y_m) < 0.6
        assert sorted((roof.length_m, roof.width_m)) == pytest.approx([10, 14], abs=1.2)
    large = [crown for crown in segments.crowns if crown.radius_m > 1.5]
    for x_m, y_m in TREES_XY_M:
        assert min(np.hypot(c.x_m - x_m, c.y_m - y_m) for c in large) < 1.5
    assert all(min(np.hypot(c.x_m - x, c.y_m - y) for x, y in TREES_XY_M) < 4.5 for c in large)
    u, v = grid.uv_from_xy(np.array([3.0, 2.5])).astype(int)
    assert segments.paved[v, u] and not segments.paved[20, 140]


def test_roofs_have_the_photos_colour_from_above(scene, plain_capture):
    x, y = ROOFS_XY_M[0]
    offset_m = np.mgrid[-4:5, -3:4].reshape(2, -1).T
    origin = np.column_stack([offset_m + (x, y), np.full(len(offset_m), 60.0)])
    down = np.tile([0.0, 0.0, -1.0], (len(origin), 1))
    hits = scene.street_scene.cast(origin, down)
    assert (hits.range_m < 58.0).all()  # a house stands there
    colour = scene.street_scene.shade(origin, down, hits, 0.001, plain_capture)
    steep = np.median(colour, axis=0) / (165, 160, 158)
    assert steep == pytest.approx(steep.mean(), rel=0.02) and 0.85 < steep.mean() <= 1.01


def test_view_and_photo_agree_on_open_ground(scene, plain_capture):
    camera = EquirectangularCamera(512, 256, 512 / (2 * np.pi), 512 / (2 * np.pi), 256.0, 128.0)
    pose = Pose2(1.0, 2.0, 0.7)
    R_base_camera = R_base_optical_from_rpy(*np.radians([1.0, 3.0, 0.0]))
    image, range_m = scene.render_view(
        camera, pose, R_base_camera, HEIGHT_M, plain_capture, np.random.default_rng(1)
    )
    v, u = np.mgrid[:256, :512] + 0.5
    rays = (camera.rays(np.stack([u.ravel(), v.ravel()], axis=1)) @ R_base_camera.T).reshape(256, 512, 3)
    level = range_m[..., None] * rays
    on_ground = (np.abs(level[..., 2] + HEIGHT_M) < 0.01) & (range_m > 0) & (range_m < 12)
    assert on_ground[rays[..., 2] < -0.3].mean() > 0.8
    xy_m = pose.transform(level[on_ground][:, :2])
    seen = image[on_ground].mean(axis=-1).astype(float)
    painted, grid = painted_photo(), RasterGrid.centred(0.0, 0.0, PIXEL_M, SIDE_PX, SIDE_PX)

    def agreement(shift_m):
        column, row = np.floor(grid.uv_from_xy(xy_m + shift_m)).astype(int).T
        return np.corrcoef(seen, painted[row, column].mean(axis=-1))[0, 1]

    assert agreement((0.0, 0.0)) > 0.75
    assert agreement((0.0, 0.0)) > max(agreement(s) for s in ((0, 1), (0, -1), (1, 0), (-1, 0))) + 0.05


def test_aerial_image_is_the_photo_shifted_by_half_a_metre_at_most(scene, photo, plain_capture):
    aerial = scene.render_orthophoto(
        Bounds.around(0.0, 0.0, 30.0), PIXEL_M, plain_capture, np.random.default_rng(5)
    )
    shown = cv2.GaussianBlur(aerial.image.mean(axis=-1).astype(np.float32), (0, 0), 1)
    painted = cv2.GaussianBlur(photo.image[36:244, 36:244].mean(axis=-1).astype(np.float32), (0, 0), 1)
    patch = slice(70, 130), slice(4, 196)  # the road
    result = cv2.matchTemplate(painted, shown[patch], cv2.TM_CCOEFF_NORMED)
    _, best, _, (left, top) = cv2.minMaxLoc(result)
    start_px = 40 - 36  # the aerial image begins 12 m inside the photo
    assert best > 0.9
    assert abs(left - 4 - start_px) * PIXEL_M < 0.8 and abs(top - 70 - start_px) * PIXEL_M < 0.8


def test_same_seed_same_pairs(photo, tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), photo.image[..., ::-1])
    source = PhotoFile(tmp_path / "photo.png", PIXEL_M)
    for name in ("first", "again"):
        make_orthophoto_pairs(tmp_path / name, [source], [7], PairsConfig("pinhole", 2))
    first = tmp_path / "first"
    names = sorted(path.name for path in first.iterdir())
    assert filecmp.cmpfiles(first, tmp_path / "again", names, shallow=False)[0] == names
    records = list(PairsDataset(first))
    assert len(records) == 2
    for record in records:
        assert record.load_range_m().shape == record.load_image().shape[:2]
        assert record.load_aerial().grid.bounds.contains(np.array([record.truth.x_m, record.truth.y_m]))


@pytest.mark.parametrize(
    ("image", "metres_per_pixel", "problem"),
    [
        (np.zeros((300, 300, 3), np.uint8), 0.3, "no texture"),
        (painted_photo()[:100], 0.3, "shows 84 × 30 m"),
        (painted_photo(), 2.0, "has 2 m/px"),
    ],
)
def test_unfit_photos_are_named(image, metres_per_pixel, problem):
    with pytest.raises(OrthophotoError, match=f"a photo.*{problem}"):
        Photo(image, metres_per_pixel, "a photo")


def test_missing_file_and_drives_are_refused(tmp_path):
    source = PhotoFile(tmp_path / "none.jpg", 0.3)
    with pytest.raises(OrthophotoError, match=r"none\.jpg is missing"):
        make_orthophoto_pairs(tmp_path, [source], [1], PairsConfig("pinhole", 1))
    with pytest.raises(OrthophotoError, match="no drives"):
        make_orthophoto_pairs(tmp_path, [source], [1], PairsConfig("pinhole", 3, keyframes=3))
