"""Photos tried as a user would: files in, one command, and the table, GeoJSON, page and pictures looked at."""

import csv
import json
import os
import re
import shutil
import socket
import sys
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rasterio.transform import from_origin

import xview_localizer as xl
from xview_localizer.cli import main as cli
from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.photo.batch import PhotoAnswer, find_photos, locate_photos
from xview_localizer.photo.proof import ACCEPTED_RGB, PRIOR_RGB


@pytest.fixture(scope="module")
def locator(place):
    return xl.PhotoLocator(place.map_path, {"model.threads": 1})


def offset_m(located, place) -> float:
    frame = xl.LocalFrame(place.latitude_deg, place.longitude_deg)
    return float(np.linalg.norm(frame.enu_from_geodetic(located.latitude_deg, located.longitude_deg)[:2]))


def turn_deg(heading_deg, place) -> float:
    return abs((heading_deg - place.heading_deg + 180) % 360 - 180)


@pytest.fixture(scope="module")
def located(locator, panorama):
    return locator.locate(xl.read_photo(panorama, xl.KnownByUser(height_m=1.8)))


def test_panorama_is_located(located, place):
    assert located.accepted and located.reason == ""
    assert offset_m(located, place) < 1.0
    assert turn_deg(located.heading_deg, place) < 4.0
    major_m, minor_m = located.position_sigmas_m
    assert 0 < minor_m <= major_m < 1.0
    assert 5.0 < located.distance_from_prior_m < 9.0


def test_the_pitch_of_a_photo_is_found_with_its_pose(locator, photo_held_down, place):
    located = locator.locate(xl.read_photo(photo_held_down))
    assert offset_m(located, place) < 1.5 and turn_deg(located.heading_deg, place) < 4.0
    assert abs(located.photo.pitch_deg - 8.0) <= 2.5
    assert f"found with the pose, {located.photo.pitch_deg:g}° down" in located.photo.notes[-1]


def test_a_given_pitch_is_kept(locator, photo_held_down):
    located = locator.locate(xl.read_photo(photo_held_down, xl.KnownByUser(pitch_deg=0.0)))
    assert located.photo.pitch_deg == 0.0
    assert not any("pitch" in note for note in located.photo.notes)


def test_poses_at_other_pitches_are_rivals(locator, phone_photo):
    """Another place that fits at another pitch costs confidence, as any rival does."""
    photo = xl.read_photo(phone_photo)
    level = locator.locate(replace(photo, pitch_known=True))
    assert len(locator.locate(photo).fix.rivals) >= len(level.fix.rivals) > 0


def test_proof_shows_prior_pose_and_alike_colours(located):
    proof = located.proof()
    assert proof.shape[1] == 1400 and proof.shape[0] > 900
    for colour in (PRIOR_RGB, ACCEPTED_RGB):
        assert (np.abs(proof.astype(int) - colour).max(axis=2) < 10).sum() > 50
    # Saturated colours, the dots, are in the photo above and on the map below.
    saturation = cv2.cvtColor(proof, cv2.COLOR_RGB2HSV)[..., 1]
    photo_rows = proof.shape[0] - int(1400 / 1.6)
    assert (saturation[:photo_rows] > 240).sum() > 500 and (saturation[photo_rows:] > 240).sum() > 500


def test_proof_has_no_lines_to_matches_off_its_map(located):
    """Such a line would end in the photo, or beyond the picture."""
    shown, nowhere = located.aerial.grid.bounds, np.zeros((0, 2))
    ends_m = np.full_like(located.matches.aerial_xy_m, (shown.east_m, shown.north_m + 5.0))
    without_lines = replace(located, matches=Correspondences(nowhere, nowhere, np.zeros(0))).proof()
    assert not np.array_equal(located.proof(), without_lines)
    off_the_map = replace(located.matches, aerial_xy_m=ends_m)
    assert np.array_equal(replace(located, matches=off_the_map).proof(), without_lines)


def test_place_off_the_map_is_rejected_by_name(locator, phone_photo):
    located = locator.locate(xl.read_photo(phone_photo, xl.KnownByUser(10.0, 20.0)))
    assert not located.accepted and not located.found
    assert re.fullmatch(
        r"the map has no imagery around latitude 10\.00000, longitude 20\.00000 \(GTiff of .* in EPSG:32719, whose "
        r"nearest corner, at latitude -33\.4\d+ and longitude -70\.6\d+, is \d+\.\d km away\); is it the right map, "
        r"and does latitude come first\?",
        located.reason,
    )
    assert np.isnan(located.latitude_deg)
    assert located.proof().shape[0] == 800


def test_a_place_on_the_far_side_of_the_earth_has_a_frame_of_its_own(locator, phone_photo):
    """East and north of it are 0, as at the place itself."""
    origin, antipode = (
        locator.locate(xl.read_photo(phone_photo, xl.KnownByUser(0.0, longitude_deg)))
        for longitude_deg in (0.0, 180.0)
    )
    assert (origin.frame.longitude_deg, antipode.frame.longitude_deg) == (0.0, 180.0)


@pytest.mark.parametrize(
    ("epsg", "metres_per_pixel", "doubt"),
    [
        (24879, 0.25, "EPSG:24879 (PSAD56 / UTM zone 19S) can be off by"),
        (32719, 1.0, "the map has 1 m per pixel, the model wants 0.17"),
    ],
    ids=["datum", "coarse"],
)
def test_what_makes_a_map_doubtful_is_told(tmp_path, phone_photo, place, epsg, metres_per_pixel, doubt):
    to_plane = Transformer.from_crs(4326, epsg, always_xy=True)
    x, y = to_plane.transform(place.longitude_deg, place.latitude_deg)
    side = 600
    origin = from_origin(
        x - side / 2 * metres_per_pixel, y + side / 2 * metres_per_pixel, *[metres_per_pixel] * 2
    )
    noise = np.random.default_rng(0).integers(0, 255, (3, side, side), np.uint8)
    shape = {"width": side, "height": side, "count": 3, "dtype": "uint8"}
    with rasterio.open(tmp_path / "map.tif", "w", crs=epsg, transform=origin, **shape) as raster:
        raster.write(noise)
    photo = xl.read_photo(phone_photo)
    answer = PhotoAnswer.of(xl.PhotoLocator(tmp_path / "map.tif").locate(photo), "")
    assert answer.doubts.startswith(doubt)


def test_map_server_that_is_down_is_the_reason(phone_photo):
    unused_port = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{unused_port.getsockname()[1]}/{{z}}/{{x}}/{{y}}.png"
    unused_port.close()
    located = xl.PhotoLocator(url).locate(xl.read_photo(phone_photo, xl.KnownByUser(10.0, 20.0)))
    assert not located.accepted and "does not answer" in located.reason


class Interrupted:
    """A locator that is interrupted at its second photo."""

    def __init__(self, located):
        self.answers = iter([located])

    def locate(self, photo):
        try:
            return next(self.answers)
        except StopIteration:
            raise KeyboardInterrupt from None


def test_what_was_found_before_an_interruption_is_kept(tmp_path, located, panorama):
    with pytest.raises(KeyboardInterrupt):
        locate_photos([panorama, panorama], Interrupted(located), xl.KnownByUser(), tmp_path)
    (row,) = csv.DictReader((tmp_path / "photos.csv").open())
    assert row["verdict"] == "accepted" and row["proof"] in (tmp_path / "index.html").read_text()
    assert (tmp_path / row["proof"]).stat().st_size > 10_000


def test_names_of_another_encoding(tmp_path, located, panorama):
    """From archives of another system; OpenCV ended the whole process at such a name."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in (b"stra\xdfe.jpg", b"\xfc.jpg"):
        (photos / os.fsdecode(name)).write_bytes(
            b"no image" if name == b"\xfc.jpg" else panorama.read_bytes()
        )
    locator = SimpleNamespace(locate=lambda photo: replace(located, photo=photo))
    locate_photos(find_photos(photos), locator, xl.KnownByUser(height_m=1.8), out)
    rows = list(csv.DictReader((out / "photos.csv").open(encoding="utf-8")))
    assert [row["photo"] for row in rows] == ["stra\ufffde.jpg", "\ufffd.jpg"]
    assert (out / rows[0]["proof"]).is_file() and "\ufffd.jpg is no readable" in rows[1]["reason"]


@pytest.fixture
def run(monkeypatch, capsys):
    """Run `xview-localizer locate …`; returns exit code, stdout, stderr."""

    def run(*words):
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.setattr(sys, "argv", ["xview-localizer", "locate", *map(str, words), "--threads", "1"])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code, *capsys.readouterr()

    return run


def test_folder_of_photos(run, tmp_path, place, panorama, phone_photo):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for path in (panorama, phone_photo):
        shutil.copy(path, photos)
    (photos / "broken & co.jpg").write_bytes(b"no image")
    (photos / "notes.txt").write_text("left alone")
    code, stdout, _ = run(photos, "--map", place.map_path, "--height", 1.8, "--out", out)
    assert code == 0 and f"open me: {(out / 'index.html').as_uri()}" in stdout
    rows = {row["photo"]: row for row in csv.DictReader((out / "photos.csv").open())}
    assert set(rows) == {"panorama.jpg", "phone.jpg", "broken & co.jpg"}
    assert rows["panorama.jpg"]["verdict"] == "accepted"
    assert float(rows["panorama.jpg"]["latitude_deg"]) == pytest.approx(place.latitude_deg, abs=1e-5)
    assert (
        rows["broken & co.jpg"]["verdict"] == "unusable"
        and "no readable" in rows["broken & co.jpg"]["reason"]
    )
    features = json.loads((out / "photos.geojson").read_text())["features"]
    first = next(f for f in features if f["properties"]["photo"] == "panorama.jpg")
    assert first["geometry"]["coordinates"] == [
        pytest.approx(place.longitude_deg, abs=1e-5), pytest.approx(place.latitude_deg, abs=1e-5)
    ]  # fmt: skip
    page = (out / "index.html").read_text()
    assert "broken &amp; co.jpg" in page
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 2 and all((out / source).is_file() for source in sources)
    assert "http" not in page


def test_phone_photo_by_its_exif_alone(run, tmp_path, place, phone_photo):
    code, stdout, _ = run(phone_photo, "--map", place.map_path, "--out", tmp_path)
    assert code == 0
    assert "field of view 67°, from the focal length in its EXIF" in stdout
    assert "search radius 16 m" in stdout and "(true north)" in stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--at", "48.137"], "--at must be LAT,LON in decimal degrees"),
        (["--at", "-91,11"], "--at must be latitude (±90), then longitude"),
        (["--at", "nan,11"], "--at must be latitude (±90), then longitude"),
        (["--heading", "north"], "--heading must be degrees, such as 90 or 90±15"),
        (["--heading", "90±0"], "a number after ± between 0 and 180"),
        (["--hfov", "400"], "--hfov must lie between 0 and 360 degrees, got 400"),
        (["--height", "0"], "--height must lie between 0 and 50 metres, got 0"),
        (["--radius", "nan"], "--radius must lie between 0 and 300 metres, got nan"),
    ],
)
def test_wrong_options_are_named(run, place, panorama, tmp_path, options, message):
    code, _, stderr = run(panorama, "--map", place.map_path, "--out", tmp_path / "out", *options)
    assert code == 1 and message in stderr and "Traceback" not in stderr
    assert not (tmp_path / "out").exists()


def test_headings_with_a_sigma():
    from xview_localizer.photo.options import known_by_user

    for text in ("-45±15", "-45+-15", "-45+/-15"):
        known = known_by_user("-33.5,-70.25", None, text, None, None, None, None)
        assert (known.latitude_deg, known.longitude_deg) == (-33.5, -70.25)
        assert (known.heading_deg, known.heading_sigma_deg) == (-45.0, 15.0)
