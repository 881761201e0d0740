"""HEIC photos, as phones take them, and AVIF: their metadata, their orientation, their depth in bits, damage."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from photo_exif import exif
from PIL import Image, features

from xview_localizer.photo.batch import find_photos
from xview_localizer.photo.known import KnownByUser
from xview_localizer.photo.metadata import PhotoError
from xview_localizer.photo.photo import read_photo

KNOWN = KnownByUser(latitude_deg=48.0, longitude_deg=11.0, hfov_deg=65.0)
HEIF_START = b"\0\0\0\x18ftypheic" + bytes(100)
RED, WIDTH, HEIGHT = np.array([255, 0, 0]), 160, 120
TOLERANCE = 12  # of a colour that was compressed


def ramp(red_rows=0, red_columns=0):
    """An image [HEIGHT, WIDTH, 3] that brightens to the right, with a red corner at its upper left."""
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = np.linspace(0, 255, WIDTH)[:, None]
    image[:red_rows, :red_columns] = RED
    return Image.fromarray(image)


@pytest.fixture
def heif():
    return pytest.importorskip("pillow_heif")


@pytest.fixture
def save_heic(heif, tmp_path):
    """Write an image as a phone does, in tiles and with EXIF; returns its path."""

    def save(image, name="phone.heic", data=None):
        exif_bytes = data.tobytes() if data else None
        heif.from_pillow(image).save(tmp_path / name, quality=90, exif=exif_bytes, tile_size=96)
        return tmp_path / name

    return save


def test_a_phone_s_heic_needs_nothing_else(save_heic):
    data = exif(-33.5, -70.25, heading_deg=350.0, error_m=12.0, camera={0xA405: 28})
    photo = read_photo(save_heic(ramp(), data=data))
    assert (photo.latitude_deg, photo.longitude_deg) == (pytest.approx(-33.5), pytest.approx(-70.25))
    assert (photo.radius_m, photo.heading_deg) == (pytest.approx(24.0), 350.0)
    assert photo.camera.fx == pytest.approx(28 * 200 / 43.2666, rel=1e-4)
    assert np.abs(photo.image.astype(int) - np.asarray(ramp())).max() < TOLERANCE


TURNS = pytest.mark.parametrize(("orientation", "corner"), [(3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))])
STORED = ramp(red_rows=40, red_columns=40)


def turned(orientation):
    data = exif(48.0, 11.0, camera={0xA405: 28})
    data[0x0112] = orientation
    return data


def assert_upright_once(path, orientation, corner):
    """Phones write the turn twice, for the decoder (irot) and in EXIF."""
    assert b"irot" in path.read_bytes() and b"Exif" in path.read_bytes()
    photo = read_photo(path)
    assert photo.image.shape == ((HEIGHT, WIDTH, 3) if orientation == 3 else (WIDTH, HEIGHT, 3))
    row, column = (15 if end == 0 else -15 for end in corner)
    assert np.abs(photo.image[row, column] - RED).max() < TOLERANCE


@TURNS
def test_heic_is_turned_upright_once(save_heic, orientation, corner):
    assert_upright_once(save_heic(STORED, data=turned(orientation)), orientation, corner)


@pytest.mark.skipif("avif" not in features.get_supported(), reason="needs Pillow 11.3")
@TURNS
def test_avif_is_turned_upright_once(tmp_path, orientation, corner):
    STORED.save(tmp_path / "phone.avif", exif=turned(orientation).tobytes())
    assert_upright_once(tmp_path / "phone.avif", orientation, corner)


@pytest.mark.parametrize("mode", ["RGB;16", "L;16"])
def test_10_bits_are_brought_to_8(heif, tmp_path, mode):
    """Cameras write them as .HIF; grey comes in 16 bits from the decoder."""
    deep = np.broadcast_to(np.linspace(0, 65535, WIDTH).astype(np.uint16), (HEIGHT, WIDTH))
    stored = np.repeat(deep[..., None], 3, axis=2) if mode == "RGB;16" else deep
    heif.encode(mode, (WIDTH, HEIGHT), stored.tobytes(), tmp_path / "camera.hif", quality=90)
    assert find_photos(tmp_path) == [tmp_path / "camera.hif"]
    image = read_photo(tmp_path / "camera.hif", KNOWN).image
    assert np.abs(image - (deep >> 8)[..., None].astype(int)).max() < TOLERANCE


def test_its_content_counts_not_its_suffix(save_heic):
    assert read_photo(save_heic(ramp(), name="renamed.jpg"), KNOWN).image.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.99])
def test_a_file_that_was_cut_short_is_refused(save_heic, kept):
    path = save_heic(ramp(), data=exif(48.0, 11.0))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(PhotoError, match="phone.heic is no readable image; is it a whole JPEG, HEIC"):
        read_photo(path, KNOWN)


def test_damage_is_refused_or_read_and_never_a_crash(save_heic):
    path = save_heic(ramp(), data=exif(48.0, 11.0))
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[rng.integers(600)] = rng.integers(256)  # among the boxes that describe the pixels
        path.write_bytes(damaged)
        try:
            assert read_photo(path, KNOWN).image.dtype == np.uint8
        except PhotoError:
            refused += 1
    assert refused > 5


def test_a_photo_too_large_is_refused_before_it_is_decoded(save_heic, monkeypatch):
    path = save_heic(ramp())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT // 3)
    with pytest.raises(PhotoError, match="exceeds limit.*scale it down"):
        read_photo(path, KNOWN)


@pytest.mark.parametrize("name", ["phone.heic", "phone.jpg"])
def test_without_the_decoder_it_is_named(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / name).write_bytes(HEIF_START)
    with pytest.raises(
        PhotoError, match=rf"{name} is a HEIF photo.*: pip install pillow-heif, or convert it"
    ):
        read_photo(tmp_path / name, KNOWN)
