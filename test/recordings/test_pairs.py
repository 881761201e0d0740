"""Damaged lines of a pairs folder."""

import json

import pytest

from xview_localizer.recordings.pairs import PairsDataset, PairsError

WHOLE = '"id": "a", "image": "a.jpg", "aerial": {}, "prior": {}, "truth": {}'


@pytest.mark.parametrize(
    "line", ["no JSON", "[]", "{}", f'{{{WHOLE}, "camera": []}}', f'{{{WHOLE}, "camera": {{"model": "x"}}}}']
)
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "pairs.jsonl").write_text("\n" + line)
    with pytest.raises(PairsError, match=r"pairs\.jsonl, line 2"):
        PairsDataset(tmp_path)


@pytest.fixture
def write(tmp_path):
    """Write lines, each a whole record with values by dotted path replaced; the folder."""

    def write(*lines):
        for name in ("straße.jpg", "aerial.jpg"):
            (tmp_path / name).touch()
        texts = []
        for number, changes in enumerate(lines):
            record = {
                "id": str(number), "image": "straße.jpg", "aerial": {"image": "aerial.jpg", "metres_per_pixel": 0.2},
                "camera": {"model": "pinhole", "width": 4, "height": 3, "fx": 2, "fy": 2, "cx": 2, "cy": 1.5},
                "prior": {"x": 1, "y": 2, "sigma_m": 20}, "truth": {"x": 0, "y": 0},
            }  # fmt: skip
            for path, value in changes.items():
                *above, last = path.split(".")
                entry = record
                for key in above:
                    entry = entry[key]
                entry[last] = value
            texts.append(json.dumps(record, ensure_ascii=False))
        (tmp_path / "pairs.jsonl").write_text("\n".join(texts), encoding="utf-8")
        return tmp_path

    return write


def test_what_may_be_left_out(write):
    (record,) = PairsDataset(write({}))
    assert record.truth.yaw_rad is None and record.prior.yaw_rad is None and record.odom is None
    assert (record.camera_height_m, record.stamp_sec, record.pitch_rad) == (None, None, 0.0)
    assert record.image_path.name == "straße.jpg"


def test_a_byte_order_mark_is_passed_over_and_other_encodings_are_told(write):
    index = write({}) / "pairs.jsonl"
    text = index.read_text(encoding="utf-8")
    index.write_text(text, encoding="utf-8-sig")
    assert len(PairsDataset(index.parent)) == 1
    index.write_text(text, encoding="latin-1")
    with pytest.raises(PairsError, match=r"pairs\.jsonl is not in UTF-8 .*; save it in UTF-8"):
        PairsDataset(index.parent)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"truth.x": float("nan")}, "truth.x must be a finite number, got nan"),
        ({"truth.y": "1.2"}, "truth.y must be a finite number, got '1.2'"),
        ({"truth.yaw_deg": True}, "truth.yaw_deg must be a finite number, got True"),
        ({"truth.x": None}, "lacks truth.x"),
        ({"camera.height_m": "1.6"}, "camera.height_m must be a finite number"),
        ({"stamp": "12:00"}, "stamp must be a finite number"),
        ({"prior.yaw_deg": 30}, "lacks prior.yaw_sigma_deg"),
        ({"prior.sigma_m": 5000}, "prior.sigma_m is at most 300 m, got 5000"),
        ({"odom": {"x": 0, "y": 0}}, "lacks odom.yaw_deg"),
        ({"aerial.metres_per_pixel": 0}, "aerial.metres_per_pixel must be positive, got 0"),
        ({"image": "none.jpg"}, "image is .*none.jpg, and there is no such file"),
        ({"depth": "none.png"}, "depth is .*none.png, and there is no such file"),
        ({"id": "0"}, "its id 0 is that of line 1, too; ids must be unique"),
    ],
)
def test_what_a_line_lacks_is_named(write, changes, message):
    with pytest.raises(PairsError, match=rf"pairs\.jsonl, line 2: {message}"):
        PairsDataset(write({}, changes))
