"""Street families: each makes a town that can be looked at, no two alike, and the classic one stays as it was."""

import hashlib

import numpy as np
import pytest

from xview_localizer.geometry.camera import camera_from_dict
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.pose import Pose2
from xview_localizer.recordings.pairs import PairsDataset
from xview_localizer.simulation import pairs_writer
from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.families import CLASSIC, FAMILIES, family_names
from xview_localizer.simulation.pairs_writer import PairsConfig, make_pairs, sample_camera
from xview_localizer.simulation.seen_families import SEEN
from xview_localizer.simulation.town import Town
from xview_localizer.simulation.unseen_families import UNSEEN
from xview_localizer.simulation.varied import MAX_TILT_DEG, sample_any_camera, with_weather

SIZE_M = 100.0
of_current_versions = pytest.mark.skipif(
    int(np.__version__.split(".")[0]) < 2, reason="the digests are those of current NumPy, OpenCV and Shapely"
)
NEW = [name for name, habits in FAMILIES.items() if habits is not None]


@pytest.fixture(scope="module")
def towns():
    return {name: Town.of_family(5, name, SIZE_M) for name in NEW}


def free_place(town):
    points = np.concatenate([street.line_xy_m for street in town.layout.streets])
    points = points[np.argsort(np.linalg.norm(points, axis=1))]
    return next(point for point in points if not town.is_blocked(point))


@pytest.mark.parametrize("name", NEW)
def test_a_camera_can_stand_in_a_town_and_both_views_show_the_same_ground(towns, name):
    town = towns[name]
    x_m, y_m = free_place(town)
    assert max(abs(x_m), abs(y_m)) < SIZE_M / 2 - 10
    camera = camera_from_dict(sample_camera(np.random.default_rng(0), "equirectangular", vary=False))
    rng, level = np.random.default_rng(1), R_base_optical_from_rpy(0.0, 0.0, 0.0)
    capture = Capture.sample(rng)
    image, range_m = town.render_view(camera, Pose2(x_m, y_m, 0.0), level, 1.7, capture, rng)
    assert image.std() > 8
    below = range_m[int(0.75 * camera.height) :]
    assert np.all((below > 0) & (below < 5))


@of_current_versions
def test_classic_towns_are_those_they_were():
    town = Town.of_family(11, "classic", SIZE_M)
    digest = hashlib.sha256()
    for array in (town.ground.albedo, town.ground.surface):
        digest.update(np.ascontiguousarray(array).tobytes())
    assert digest.hexdigest()[:16] == "5bdba66b70d5b56b"


@of_current_versions
@pytest.mark.parametrize(
    "name, expected", [("old_town", "cbc6c006f150e5b5"), ("country", "921f1fc18662e353")]
)
def test_towns_that_packages_were_trained_on_are_those_they_were(towns, name, expected):
    town, digest = towns[name], hashlib.sha256()
    street, air = town.street_scene._mesh, town.aerial_scene._mesh
    meshes = (street.triangles, street.rgb, street.parameters, air.triangles)
    for array in (town.ground.albedo, town.ground.surface, town.parked, *meshes):
        digest.update(np.ascontiguousarray(array).tobytes())
    assert digest.hexdigest()[:16] == expected


def test_the_same_seed_gives_the_same_town_and_families_differ(towns):
    again = Town.of_family(5, "old_town", SIZE_M)
    np.testing.assert_array_equal(again.ground.albedo, towns["old_town"].ground.albedo)
    assert again.layout.elements.solids[3].top_m == towns["old_town"].layout.elements.solids[3].top_m
    colours = [town.ground.albedo[::8, ::8].astype(float) for town in towns.values()]
    for i, first in enumerate(colours):
        for second in colours[:i]:
            assert np.abs(first - second).mean() > 8


def test_every_family_has_streets_paint_or_furniture_and_things_that_stand(towns):
    for name, town in towns.items():
        elements = town.layout.elements
        assert len(town.layout.streets) >= 2, name
        assert len(elements.plants) + len(elements.solids) > 15, name
    assert len(towns["downtown"].layout.elements.strokes) > 5 * len(towns["dry"].layout.elements.strokes)
    assert len(towns["old_town"].layout.elements.houses) > 10


def test_street_and_aerial_scene_differ_in_some_places(towns):
    town = towns["downtown"]
    street, air = town.street_scene, town.aerial_scene
    x, y = (a.ravel() for a in np.meshgrid(*[np.arange(-45, 45, 0.25)] * 2))
    origin, down = np.column_stack([x, y, np.full(x.size, 80.0)]), np.tile([0.0, 0.0, -1.0], (x.size, 1))
    capture = Capture.sample(np.random.default_rng(0))
    colours = [scene.shade(origin, down, scene.cast(origin, down), 0.001, capture) for scene in (street, air)]
    changed = (np.abs(colours[0] - colours[1]).max(axis=1) > 3).mean()
    assert 0.002 < changed < 0.4


def test_varied_cameras_give_a_ray_for_every_pixel():
    rng = np.random.default_rng(0)
    for kind in ("equirectangular", "pinhole") * 20:
        record = sample_any_camera(rng, kind)
        camera = camera_from_dict(record)
        v, u = np.mgrid[: camera.height : 40, : camera.width : 40] + 0.5
        assert np.isfinite(camera.rays(np.stack([u.ravel(), v.ravel()], axis=1))).all()
        assert 0.25 <= record["height_m"] <= 3.5


@pytest.mark.parametrize("kind", ["equirectangular", "pinhole"])
def test_pairs_of_a_family_are_readable(tmp_path, kind):
    config = PairsConfig(kind, images_per_town=2, town_size_m=160.0, families=("dry",), varied=True)
    make_pairs(tmp_path, [3], config)
    assert (tmp_path / "pairs.jsonl").read_text().count('"style": "dry"') == 2
    for record in PairsDataset(tmp_path):
        assert record.load_image().shape[:2] == record.load_range_m().shape
        assert np.degrees(max(abs(record.roll_rad), abs(record.pitch_rad))) <= MAX_TILT_DEG
        assert record.load_aerial().grid.bounds.contains(np.array([record.truth.x_m, record.truth.y_m]))


def test_the_orthophoto_of_a_family_shows_what_stands(towns):
    rng = np.random.default_rng(2)
    image = (
        towns["campus"]
        .render_orthophoto(Bounds.around(0, 0, 30.0), 0.25, Capture.sample(rng, True), rng)
        .image
    )
    assert image.reshape(-1, 3).std(axis=0).min() > 10


def test_an_unknown_style_is_refused():
    with pytest.raises(ValueError, match="unknown style 'moon'; there are all, unseen, classic, old_town"):
        PairsConfig(families=("moon",))


def test_training_on_all_styles_leaves_out_those_for_tests():
    assert family_names(("all",)) == (CLASSIC, *SEEN) and len(SEEN) == 9
    assert family_names(("unseen",)) == tuple(UNSEEN) and set(UNSEEN).isdisjoint(SEEN)
    assert family_names(("dry", "unseen")) == ("dry", *UNSEEN)
    assert list(FAMILIES) == [CLASSIC, *SEEN, *UNSEEN]  # the order is part of the towns' seeds


def test_what_makes_the_unseen_places_what_they_are(towns):
    def tall_solids(name, least_m):
        return [solid for solid in towns[name].layout.elements.solids if solid.top_m > least_m]

    harbour, vineyard = (towns[name].layout.elements for name in ("harbour", "vineyard"))
    assert sum(solid.ripple for solid in harbour.solids) > 15  # containers
    assert tall_solids("harbour", 12)  # cranes and masts
    assert sum(solid.leafy for solid in vineyard.solids) > 100  # rows of vines
    widths_m = [house.parts[0].place.length_m for house in towns["terraces"].layout.elements.houses]
    assert len(widths_m) > 20 and max(widths_m) < 8
    assert max(street.width_m for street in towns["park"].layout.streets) < 5
    assert not towns["park"].layout.elements.strokes
    widths_m = sorted(street.width_m for street in towns["retail"].layout.streets)
    assert widths_m[-1] > 1.7 * widths_m[-2]  # a trunk road


def test_a_family_has_its_own_weather():
    capture = Capture.sample(np.random.default_rng(3))
    assert with_weather(capture, (), np.random.default_rng(0)) is capture
    misty = with_weather(capture, ("mist",), np.random.default_rng(0))
    assert misty.visibility_m < 200 < capture.visibility_m
    glaring = with_weather(capture, ("glare",), np.random.default_rng(0))
    assert glaring.sun_rgb.min() > 0.9 and glaring.ambient_rgb.max() < 0.4
    assert with_weather(capture, ("dusk",), np.random.default_rng(0)).sun_rgb.max() == 0


def test_street_views_of_a_family_are_in_its_weather(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        pairs_writer, "with_weather", lambda capture, weathers, _: drawn.append(weathers) or capture
    )
    make_pairs(tmp_path, [3], PairsConfig(images_per_town=1, town_size_m=130.0, families=("park",)))
    assert set(drawn) == {UNSEEN["park"].weathers}
