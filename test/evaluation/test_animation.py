"""The film of a drive: as many frames as asked for, poses drawn where they are."""

import numpy as np
import pytest
from PIL import Image

from xview_localizer.aerial.source import AerialImage
from xview_localizer.evaluation.animation import MAP_HEIGHT_PX, WIDTH_PX, write_animation
from xview_localizer.evaluation.colours import FILM_OURS_RGB, GNSS_RGB
from xview_localizer.geometry.grid import RasterGrid


@pytest.fixture
def aerial():
    grid = RasterGrid.centred(0.0, 20.0, 1.0, 120, 100)
    return AerialImage(np.full((120, 100, 3), 200, np.uint8), np.ones((120, 100), bool), grid)


@pytest.mark.parametrize("size", [(60, 120), (90, 120)])  # a panorama, a pinhole camera
def test_animation_shows_images_gnss_and_poses(tmp_path, drive, aerial, size):
    images = [None, *(np.full((*size, 3), 40 * number, np.uint8) for number in range(1, 5))]
    write_animation(tmp_path / "drive.webp", drive, aerial, images)
    with Image.open(tmp_path / "drive.webp") as film:
        assert film.n_frames == 4
        film.seek(2)  # the fourth image: two poses are accepted so far
        frame = np.asarray(film.convert("RGB")).astype(int)
    assert np.abs(frame[60, 300] - 120).max() < 12
    town = frame[-MAP_HEIGHT_PX:]
    # The map's middle is the truth (0, 30), with 4 pixels a metre; GNSS is 6 m further east, our pose 2 m north.
    middle_u, middle_v = WIDTH_PX // 2, MAP_HEIGHT_PX // 2
    assert np.abs(town[middle_v, middle_u + 24] - GNSS_RGB).max() < 60
    assert np.abs(town[middle_v - 8, middle_u] - FILM_OURS_RGB).max() < 60


def test_a_drive_without_images_has_no_animation(tmp_path, drive, aerial):
    with pytest.raises(ValueError, match="no image"):
        write_animation(tmp_path / "drive.webp", drive, aerial, [None] * 5)


def test_frames_are_spread_over_the_drive(tmp_path, drive, aerial):
    images = [np.full((60, 120, 3), 40 * number, np.uint8) for number in range(1, 6)]
    write_animation(tmp_path / "drive.webp", drive, aerial, images, frames=2)
    with Image.open(tmp_path / "drive.webp") as film:
        assert film.n_frames == 2
        film.seek(1)
        assert np.abs(np.asarray(film.convert("RGB")).astype(int)[60, 300] - 200).max() < 12
