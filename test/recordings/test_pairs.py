"""Damaged lines of a pairs folder."""

import pytest

from xview_localizer.recordings.pairs import PairsDataset, PairsError

WHOLE = '"id": "a", "image": "a.jpg", "aerial": {}, "prior": {}, "truth": {}'


@pytest.mark.parametrize(
    "line", ["no JSON", "[]", "{}", f'{{{WHOLE}, "camera": []}}', f'{{{WHOLE}, "camera": {{"model": "x"}}}}']
)
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / "pairs.jsonl").write_text("\n" + line)
    with pytest.raises(PairsError, match=r"pairs\.jsonl, line 2"):
        PairsDataset(tmp_path)
