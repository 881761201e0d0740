"""Lists of photos of known scale."""

import json

import pytest

from xview_localizer.simulation.photo import OrthophotoError, PhotoFile, photos_of


def test_photos_lie_beside_their_list(tmp_path):
    lines = [
        {"image": "a/one.jpg", "metres_per_pixel": 0.3, "licence": "CC0"},
        {"image": "b.jpg", "metres_per_pixel": 0.1},
    ]
    (tmp_path / "photos.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    assert photos_of(tmp_path / "photos.jsonl") == [
        PhotoFile(tmp_path / "a/one.jpg", 0.3),
        PhotoFile(tmp_path / "b.jpg", 0.1),
    ]


@pytest.mark.parametrize("text", ["not json", '{"image": "a.jpg"}', '["a.jpg"]'])
def test_another_file_is_named(tmp_path, text):
    (tmp_path / "photos.jsonl").write_text(text)
    with pytest.raises(OrthophotoError, match=r"photos\.jsonl is not a list of photos"):
        photos_of(tmp_path / "photos.jsonl")


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(OrthophotoError, match=r"none\.jsonl is not a list of photos"):
        photos_of(tmp_path / "none.jsonl")
