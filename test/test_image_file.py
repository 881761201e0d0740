"""Image files: what is written is read again, and what OpenCV would take silently is refused by name."""

import os

import numpy as np
import pytest
from PIL import Image

from xview_localizer.encoded_image import EncodedImageError
from xview_localizer.image_file import read_rgb, read_unchanged, write_image

NOISE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)


def test_colours_and_values_stay_what_they_are(tmp_path, capfd):
    write_image(tmp_path / "colours.png", NOISE)
    np.testing.assert_array_equal(read_rgb(tmp_path / "colours.png"), NOISE)
    deep = (NOISE[..., 0].astype(np.uint16) + 1) * 200
    write_image(tmp_path / "deep.png", deep)
    np.testing.assert_array_equal(read_unchanged(tmp_path / "deep.png"), deep)
    assert capfd.readouterr().err == ""  # OpenCV warns of parameters that a format does not have


@pytest.mark.parametrize("name", ["straße.jpg", os.fsdecode(b"stra\xdfe.jpg")])
def test_names_in_any_encoding(tmp_path, name):
    """OpenCV ends the process at names that are no UTF-8."""
    write_image(tmp_path / name, np.full((8, 8, 3), 90, np.uint8))
    assert (read_rgb(tmp_path / name) == 90).all()


def test_an_image_that_a_viewer_turns_is_refused(tmp_path):
    for orientation in (0, 1, 6):
        data = Image.Exif()
        data[0x0112] = orientation
        Image.fromarray(NOISE).save(tmp_path / f"{orientation}.jpg", exif=data)
    assert read_rgb(tmp_path / "0.jpg").shape == read_rgb(tmp_path / "1.jpg").shape == NOISE.shape
    with pytest.raises(EncodedImageError, match=r"6\.jpg is stored turned \(EXIF orientation 6\)"):
        read_rgb(tmp_path / "6.jpg")


def test_what_is_no_whole_image_is_refused(tmp_path):
    write_image(tmp_path / "whole.jpg", NOISE)
    data = (tmp_path / "whole.jpg").read_bytes()
    for name, content, what in (
        ("cut.jpg", data[: len(data) // 2], "a JPEG image that was cut short"),
        ("empty.jpg", b"", "no readable image"),
        ("text.jpg", b"no image", "no readable image"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EncodedImageError, match=f"{name} is {what}"):
            read_rgb(tmp_path / name)
    with pytest.raises(EncodedImageError, match="none.jpg is missing or cannot be read: No such file"):
        read_rgb(tmp_path / "none.jpg")


def test_a_full_disk_is_told(tmp_path):
    (tmp_path / "full.jpg").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        write_image(tmp_path / "full.jpg", NOISE)
