"""The metadata of a photo are read correctly, and missing options are named."""

import warnings
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from photo_exif import exif
from PIL import Image

from xview_localizer.geometry.camera import EquirectangularCamera, PinholeCamera
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.photo.batch import PhotoAnswer, find_photos
from xview_localizer.photo.known import KnownByUser
from xview_localizer.photo.metadata import PhotoError, _angle_deg
from xview_localizer.photo.photo import read_photo
from xview_localizer.photo.xmp import XMP_HEADER

KNOWN_PLACE = KnownByUser(latitude_deg=48.0, longitude_deg=11.0)


@pytest.fixture
def save(tmp_path):
    """Write an image of a size with metadata; returns its path."""

    def save(width=400, height=300, name="photo.jpg", xmp=b"", **options):
        gradient = np.linspace(0, 255, width * height * 3).reshape(height, width, 3).astype(np.uint8)
        Image.fromarray(gradient).save(tmp_path / name, **options)
        if xmp:  # Pillow writes it from version 11 on
            jpeg, packet = (tmp_path / name).read_bytes(), XMP_HEADER + xmp
            segment = b"\xff\xe1" + (2 + len(packet)).to_bytes(2, "big") + packet
            (tmp_path / name).write_bytes(jpeg[:2] + segment + jpeg[2:])
        return tmp_path / name

    return save


def gpano(**tags):
    """An XMP packet with GPano tags, as attributes."""
    attributes = " ".join(f'GPano:{name}="{value}"' for name, value in tags.items())
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description {attributes}/></x:xmpmeta>'.encode()


FULL_SPHERE = {
    "ProjectionType": "equirectangular", "FullPanoWidthPixels": 4000, "FullPanoHeightPixels": 2000,
    "CroppedAreaImageWidthPixels": 4000, "CroppedAreaImageHeightPixels": 2000,
    "CroppedAreaLeftPixels": 0, "CroppedAreaTopPixels": 0,
}  # fmt: skip


def test_large_photo_is_read_without_a_warning(save, monkeypatch):
    """Phones take photos of 108 megapixels, where Pillow begins to warn at 89."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    path = save(width=400, height=300, exif=exif(48.0, 11.0, camera={0xA405: 28}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_photo(path).image.shape == (300, 400, 3)


def test_phone_photo_needs_nothing_else(save):
    data = exif(-33.5, -70.25, heading_deg=350.0, error_m=12.0, camera={0xA405: 28})
    photo = read_photo(save(exif=data))
    assert (photo.latitude_deg, photo.longitude_deg) == (pytest.approx(-33.5), pytest.approx(-70.25))
    assert photo.radius_m == pytest.approx(24.0)
    assert photo.heading_deg == 350.0 and photo.heading_sigma_deg == 15.0
    # 28 mm stand for a diagonal of 43.27 mm.
    assert isinstance(photo.camera, PinholeCamera)
    assert photo.camera.fx == pytest.approx(28 * 500 / 43.2666, rel=1e-4)
    prior = photo.prior(LocalFrame(-33.5, -70.25))
    assert abs(prior.x_m) < 0.01 and abs(prior.y_m) < 0.01
    assert np.degrees(prior.yaw_rad) == pytest.approx(90 - 350)


def test_missing_options_are_named(save):
    with pytest.raises(PhotoError, match=r"photo.jpg lacks .*--at LAT,LON; and .*--hfov DEGREES \(a phone"):
        read_photo(save())
    with pytest.raises(
        PhotoError, match=r"photo.jpg lacks its horizontal field of view.*360 if it is a panorama"
    ):
        read_photo(save(width=900), KNOWN_PLACE)


def test_a_camera_without_a_fix_has_no_position(save):
    with pytest.raises(PhotoError, match="--at"):
        read_photo(save(exif=exif(0.0, 0.0, camera={0xA405: 28})))


def test_given_values_win_over_recorded_ones(save):
    path = save(exif=exif(1.0, 2.0, heading_deg=10.0, error_m=50.0, camera={0xA405: 28}))
    known = KnownByUser(
        48.0, 11.0, 20.0, 90.0, 5.0, height_m=1.6, hfov_deg=90.0, pitch_deg=3.0, roll_deg=-2.0
    )
    photo = read_photo(path, known)
    assert (photo.latitude_deg, photo.longitude_deg, photo.radius_m) == (48.0, 11.0, 20.0)
    assert (photo.heading_deg, photo.heading_sigma_deg, photo.height_m) == (90.0, 5.0, 1.6)
    assert photo.camera.fx == pytest.approx(200.0)
    assert (photo.pitch_deg, photo.roll_deg) == (3.0, -2.0)
    assert (
        read_photo(path, KNOWN_PLACE).radius_m == 30.0
    )  # the recorded error is not that of the given position


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"latitude_deg": 91.0, "longitude_deg": 0.0},
            "latitude_deg must lie between -90 and 90 degrees, got 91",
        ),
        ({"latitude_deg": 48.0}, "latitude_deg and longitude_deg must be given together"),
        ({"radius_m": 1e4}, "radius_m must lie between 0 and 300 metres, got 10000"),
        ({"radius_m": 0.0}, "radius_m must lie between 0 and 300 metres, got 0"),
        ({"heading_deg": float("nan")}, "heading_deg must lie between -720 and 720 degrees, got nan"),
        ({"heading_sigma_deg": 0.0}, "heading_sigma_deg must lie between 0 and 180 degrees, got 0"),
        ({"height_m": 1800.0}, "height_m must lie between 0 and 50 metres, got 1800"),
        ({"hfov_deg": 400.0}, "hfov_deg must lie between 0 and 360 degrees, got 400"),
    ],
)
def test_impossible_values_are_refused_by_name(given, message):
    with pytest.raises(PhotoError, match=message):
        KnownByUser(**given)
    assert KnownByUser(heading_deg=0.0, pitch_deg=0.0, latitude_deg=0.0, longitude_deg=0.0)


def test_positive_pitch_looks_down(save):
    down = read_photo(save(), KnownByUser(48.0, 11.0, hfov_deg=90.0, pitch_deg=10.0)).view()
    assert (down.R_base_camera @ (0, 0, 1))[2] == pytest.approx(-np.sin(np.radians(10)))


def test_magnetic_headings_are_rough(save):
    data = exif(48.0, 11.0, heading_deg=90.0, reference="M", camera={0xA405: 28})
    photo = read_photo(save(exif=data))
    assert photo.heading_sigma_deg == 30.0
    assert any("magnetic" in note for note in photo.notes)


def test_focal_length_from_the_sensor_s_resolution(save):
    # 400 px at 100 px/mm: a sensor of 4 × 3 mm, so that 5 mm stand for 5 · 43.27 / 5.
    camera = {0x920A: 5.0, 0xA002: 400, 0xA003: 300, 0xA20E: 100.0, 0xA20F: 100.0, 0xA210: 4}
    photo = read_photo(save(exif=exif(48.0, 11.0, camera=camera)))
    assert photo.camera.fx == pytest.approx(500.0, rel=1e-4)


@pytest.mark.parametrize(("zoom", "told"), [(2.0, True), (1.01, False), (0.0, False)])
def test_a_digital_zoom_is_told(save, zoom, told):
    """Some cameras include it in the focal length, and some do not."""
    photo = read_photo(save(exif=exif(48.0, 11.0, camera={0xA405: 26, 0xA404: zoom})))
    (note,) = (note for note in photo.notes if note.startswith("field of view 67°"))
    assert ("(if that leaves out its digital zoom of 2, give --hfov 37)" in note) == ("zoom" in note) == told


def test_sideways_photos_are_turned_upright(save):
    data = exif(48.0, 11.0, camera={0xA405: 28})
    data[0x0112] = 6  # turned by 90 degrees
    photo = read_photo(save(exif=data))
    assert photo.image.shape == (400, 300, 3)
    assert (photo.camera.width, photo.camera.height) == (300, 400)


def test_panorama_by_its_shape(save):
    photo = read_photo(save(width=600, height=300), KNOWN_PLACE)
    assert isinstance(photo.camera, EquirectangularCamera)
    assert photo.camera.horizontal_fov_rad == pytest.approx(2 * np.pi)
    assert photo.camera.horizon_row == 150.0


def test_a_picture_of_2_to_1_whose_edges_do_not_meet_is_no_panorama(tmp_path):
    """A phone's, without its EXIF, as messengers send it."""
    across = np.linspace(0, 250, 600)
    wave = 125 + 120 * np.sin(np.linspace(0, 2 * np.pi, 600, endpoint=False))
    for columns, is_panorama in ((across, False), (wave, True)):
        image = np.broadcast_to(columns[None, :, None], (300, 600, 3)).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / "sent.jpg")
        with (
            nullcontext()
            if is_panorama
            else pytest.raises(PhotoError, match="edges do not meet.: give --hfov")
        ):
            assert isinstance(read_photo(tmp_path / "sent.jpg", KNOWN_PLACE).camera, EquirectangularCamera)
    assert read_photo(tmp_path / "sent.jpg", KnownByUser(48.0, 11.0, hfov_deg=360.0))


@pytest.mark.parametrize("as_elements", [False, True])
def test_panorama_by_its_tags(save, as_elements):
    tags = {
        **FULL_SPHERE, "CroppedAreaImageHeightPixels": 800, "CroppedAreaTopPixels": 700,
        "CroppedAreaImageWidthPixels": 2000, "CroppedAreaLeftPixels": 500,
        "PoseHeadingDegrees": 100, "PosePitchDegrees": -4, "PoseRollDegrees": 2,
    }  # fmt: skip
    packet = gpano(**tags)
    if as_elements:
        packet = "".join(f"<GPano:{name}> {value} </GPano:{name}>" for name, value in tags.items()).encode()
    # Resized to a fifth since it was tagged.
    photo = read_photo(save(width=400, height=160, xmp=packet), KNOWN_PLACE)
    camera = photo.camera
    assert camera.horizontal_fov_rad == pytest.approx(np.pi)
    assert np.degrees(1 / camera.px_per_rad_v) == pytest.approx(360 / 800)
    assert camera.horizon_row == pytest.approx((1000 - 700) / 5)
    # The crop's middle, column 1500 of 4000, lies 45 degrees left of the full panorama's.
    assert photo.heading_deg == pytest.approx(100 - 45)
    assert (photo.pitch_deg, photo.roll_deg) == (4.0, 2.0)


@pytest.mark.parametrize("size", [(400, 300), (400, 200)])
def test_other_projections_are_no_panorama(save, size):
    tags = {**FULL_SPHERE, "ProjectionType": "cylindrical"}
    with pytest.raises(PhotoError, match="--hfov"):
        read_photo(save(*size, xmp=gpano(**tags), exif=exif(camera={0xA405: 28})), KNOWN_PLACE)


@pytest.mark.parametrize("wrong", [{"CroppedAreaImageWidthPixels": 9000}, {"FullPanoHeightPixels": 4000}])
def test_tags_that_contradict_each_other_are_not_used(save, wrong):
    with pytest.raises(PhotoError, match="--hfov"):
        read_photo(save(xmp=gpano(**{**FULL_SPHERE, **wrong})), KNOWN_PLACE)


@pytest.mark.parametrize(
    "size", [(400, 200), (1000, 200), (200, 1000)], ids=["2 to 1", "strip", "upright strip"]
)
def test_the_lens_s_focal_length_is_not_that_of_a_stitched_panorama(save, size):
    """Phones leave it in the EXIF of panoramas, and have photos of 2 : 1, too: only the user knows."""
    data = exif(camera={0xA405: 26})
    with pytest.raises(PhotoError, match="lacks its horizontal field of view"):
        read_photo(save(*size, exif=data), KNOWN_PLACE)
    assert isinstance(read_photo(save(470, 200, exif=data), KNOWN_PLACE).camera, PinholeCamera)


def test_a_strip_s_heading_is_that_of_one_of_its_shots(save):
    """iPhones write the heading alone, in EXIF and XMP."""
    data, packet = exif(48.0, 11.0, heading_deg=90.0), gpano(PoseHeadingDegrees=100)
    assert read_photo(save(900, exif=data, xmp=packet), KnownByUser(hfov_deg=240.0)).heading_deg is None
    assert read_photo(save(600, exif=data, xmp=packet)).heading_deg == 90.0  # of the full sphere


def test_a_full_sphere_that_is_only_named_as_such(save):
    packet = gpano(ProjectionType="equirectangular")
    photo = read_photo(save(600, 300, xmp=packet, exif=exif(camera={0xA405: 8})), KNOWN_PLACE)
    assert isinstance(photo.camera, EquirectangularCamera)


@pytest.mark.parametrize(
    ("size", "tags"),
    [
        ((400, 160), {}),  # cut by an editor, which left the tags
        ((400, 160), {"CroppedAreaImageHeightPixels": 1600, "CroppedAreaTopPixels": 500}),
    ],
)
def test_tags_that_contradict_the_image_are_not_used(save, size, tags):
    with pytest.raises(PhotoError, match="--hfov"):
        read_photo(save(*size, xmp=gpano(**{**FULL_SPHERE, **tags})), KNOWN_PLACE)


@pytest.mark.parametrize("size", [(300, 300), (400, 200), (225, 400)])
def test_the_focal_length_of_a_photo_that_was_cropped_is_not_its_own(save, size):
    camera = {0xA405: 28, 0xA002: 4000, 0xA003: 3000}
    with pytest.raises(PhotoError, match="--hfov"):
        read_photo(save(*size, exif=exif(48.0, 11.0, camera=camera)))
    with pytest.raises(PhotoError, match="it was cropped"):
        read_photo(save(300, 300, exif=exif(48.0, 11.0, camera=camera)))
    assert read_photo(save(300, 400, exif=exif(48.0, 11.0, camera=camera)))  # turned by an editor, whole


def dji(yaw, pitch, roll, over_start):
    tags = {"GimbalYawDegree": yaw, "GimbalPitchDegree": pitch, "GimbalRollDegree": roll}
    attributes = " ".join(f'drone-dji:{name}="{value}"' for name, value in tags.items())
    return f'<rdf:Description {attributes} drone-dji:RelativeAltitude="{over_start}"/>'.encode()


def test_a_gimbal_s_tilt_and_heading(save):
    data = exif(48.0, 11.0, camera={0xA405: 28})
    photo = read_photo(save(exif=data, xmp=dji("+90.0", "-12.50", "+1.00", "+1.30")))
    assert (photo.heading_deg, photo.heading_sigma_deg) == (90.0, 30.0)
    assert (photo.pitch_deg, photo.roll_deg) == (12.5, 1.0)
    unfilled = read_photo(save(exif=data, xmp=dji("+0.00", "+0.00", "+0.00", "+0.00")))
    assert (unfilled.heading_deg, unfilled.pitch_deg) == (None, 0.0)


def test_a_drone_s_height_is_asked_for(save):
    path = save(exif=exif(48.0, 11.0, camera={0xA405: 28}), xmp=dji("+90.0", "-40.0", "+0.00", "+50.30"))
    with pytest.raises(PhotoError, match=r"height of its camera.*50 m over the drone's start.*--height"):
        read_photo(path)
    assert read_photo(path, KnownByUser(height_m=50.0)).pitch_deg == 40.0


def test_values_of_16_bits_keep_their_upper_half(save, tmp_path):
    grey = np.linspace(0, 65535, 120).reshape(10, 12).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "deep.png")
    known = KnownByUser(48.0, 11.0, hfov_deg=60.0)
    np.testing.assert_array_equal(read_photo(tmp_path / "deep.png", known).image[..., 1], grey >> 8)
    Image.fromarray(grey.astype(np.float32)).save(tmp_path / "deep.tif")
    with pytest.raises(
        PhotoError, match=r"^\S*deep.tif holds values of 32 bits, not colours; export it as JPEG$"
    ):
        read_photo(tmp_path / "deep.tif", known)


def test_a_position_too_rough_to_be_searched_is_asked_for(save):
    path = save(exif=exif(48.0, 11.0, error_m=2000.0, camera={0xA405: 28}))
    with pytest.raises(PhotoError, match="GPS in its EXIF may be 2000 m off.: give --at"):
        read_photo(path)
    assert read_photo(path, KnownByUser(radius_m=100.0)).latitude_deg == pytest.approx(48.0)


def test_a_strip_is_a_panorama_on_request(save):
    photo = read_photo(save(width=900), KnownByUser(48.0, 11.0, hfov_deg=360.0))
    assert isinstance(photo.camera, EquirectangularCamera)
    assert photo.camera.px_per_rad_v == photo.camera.px_per_rad_h


def test_a_heading_that_is_rounded_up_to_north_is_0():
    located = SimpleNamespace(
        photo=SimpleNamespace(name="a.jpg", notes=()), accepted=True, found=True, reason="", latitude_deg=48.0,
        longitude_deg=11.0, heading_deg=359.97, heading_sigma_deg=1.0, position_sigmas_m=(1.0, 0.5),
        distance_from_prior_m=3.0, doubts=(), fix=SimpleNamespace(confidence=0.99),
    )  # fmt: skip
    assert PhotoAnswer.of(located, "a_proof.jpg").heading_deg == 0.0


def round_pictures(lenses, side=200, background=4):
    """Noise as a fisheye camera stores it: in circles, side by side."""
    v, u = np.indices((side, lenses * side)) + 0.5
    seen = np.hypot(u % side - side / 2, v - side / 2) < side / 2
    noise = np.random.default_rng(0).integers(40, 250, (side, lenses * side, 3))
    return Image.fromarray(np.where(seen[..., None], noise, background).astype(np.uint8))


@pytest.mark.parametrize(("lenses", "text"), [(1, "a round picture"), (2, "the round pictures")])
def test_round_pictures_of_fisheyes_are_refused(tmp_path, lenses, text):
    """Two have the shape of a panorama, and were placed as one, confidently and wrongly."""
    round_pictures(lenses).save(tmp_path / "raw.jpg", exif=exif(camera={0xA405: 8}))
    with pytest.raises(PhotoError, match=f"shows {text} of a fisheye camera"):
        read_photo(tmp_path / "raw.jpg", KnownByUser(48.0, 11.0, hfov_deg=360.0))


def test_dark_edges_make_no_fisheye(tmp_path):
    """Nights, and panoramas whose top and bottom are missing."""
    noise = np.asarray(round_pictures(2, background=128))
    bands = noise.copy()
    bands[:50] = bands[-50:] = 0
    for image in (bands, noise // 16):
        Image.fromarray(image).save(tmp_path / "panorama.jpg")
        assert isinstance(read_photo(tmp_path / "panorama.jpg", KNOWN_PLACE).camera, EquirectangularCamera)


def test_hidden_files_are_no_photos(save, tmp_path):
    (tmp_path / "._photo.jpg").write_bytes(b"resource fork of macOS")
    assert find_photos(tmp_path / "photo.jpg") == [tmp_path / "photo.jpg"]
    assert find_photos(save().parent) == [tmp_path / "photo.jpg"]


@pytest.mark.parametrize("broken", [b"", b"\xff\xd8\xff\xe1\x00\x10Exif\x00\x00garbage", b"no image"])
def test_broken_files_are_refused(tmp_path, broken):
    (tmp_path / "broken.jpg").write_bytes(broken)
    with pytest.raises(PhotoError, match="broken.jpg is no readable image"):
        read_photo(tmp_path / "broken.jpg", KNOWN_PLACE)
    with pytest.raises(PhotoError, match="there is no such file"):
        read_photo(tmp_path / "none.jpg")


def test_the_last_position_of_a_receiver_without_a_fix_is_not_used(save):
    data = exif(48.0, 11.0, camera={0xA405: 28}, GPSStatus="V")
    with pytest.raises(PhotoError, match="no usable GPS.*--at"):
        read_photo(save(exif=data))


def test_a_sign_beside_the_hemisphere():
    """Some phones write signed numbers, which Pillow reads and does not write."""
    assert _angle_deg((-33.0, 30.0, 0.0), "S", "NS", 90.0) == -33.5
    assert _angle_deg((-33.0, 30.0, 0.0), None, "NS", 90.0) == -33.5


@pytest.mark.parametrize(
    ("reference", "angle_deg"),
    [
        ("W", -70.5),
        ("west", -70.5),
        (b"W\0", -70.5),
        ("E", 70.5),
        (" E", 70.5),
        ("N", None),
        ("", None),
        (None, None),
    ],
)
def test_the_hemisphere_is_not_guessed(reference, angle_deg):
    """Some cameras leave it out (ODM#1465, a Sony ILCE-5100), and 70° east is on the other side of the Earth."""
    assert _angle_deg((70.0, 30.0, 0.0), reference, "EW", 180.0) == angle_deg


def test_a_latitude_without_a_hemisphere_is_not_taken_for_north():
    assert _angle_deg((48.0, 0.0, 0.0), None, "NS", 90.0) is None


@pytest.mark.parametrize(
    ("parts", "angle_deg"),
    [
        ((48.0, 8.0, 60.0), 48.15),
        ((48.0, 8.0, 4537.0), None),
        ((48.0, 75.0, 0.0), None),
        ((48.0, -8.0, 0.0), None),
    ],
)
def test_minutes_and_seconds_are_below_60(parts, angle_deg):
    assert _angle_deg(parts, "N", "NS", 90.0) == angle_deg


def test_a_heading_of_exactly_0_is_not_known(save):
    """Programs and cameras without a compass write it; taken for north, the truth is not among what is searched."""
    data, packet = exif(48.0, 11.0, heading_deg=0.0), gpano(**FULL_SPHERE, PoseHeadingDegrees=0.0)
    assert read_photo(save(600, 300, exif=data, xmp=packet)).heading_deg is None


@pytest.mark.parametrize("heading_deg", [2.0**32 - 90, 655.35])
def test_a_heading_that_is_no_angle_is_not_used(save, heading_deg):
    """Some cameras write a negative number as an unsigned one."""
    assert read_photo(save(exif=exif(48.0, 11.0, heading_deg, camera={0xA405: 28}))).heading_deg is None


def test_impossible_tags_are_ignored(save):
    for focal_mm in (0, 1, 5000):
        with pytest.raises(PhotoError, match="--hfov"):
            read_photo(save(exif=exif(48.0, 11.0, camera={0xA405: focal_mm})))
    with pytest.raises(PhotoError, match="--at"):
        read_photo(save(exif=exif(148.0, 11.0, camera={0xA405: 28})))
