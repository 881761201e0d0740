"""The record of an image is JSON for every parser, and is read back unchanged."""

import json
import math
from dataclasses import asdict

import numpy as np

from xview_localizer.records import ImageRecord, write_records
from xview_localizer.strict_json import strict_json

RECORD = ImageRecord(1.5, False, "no GNSS position", x_m=3.25, timings_ms={"solve": float("inf")})


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def test_texts_are_strict_json_and_read_back():
    texts = RECORD.to_texts()
    for text in texts.values():
        json.loads(text, parse_constant=refuse)
    again = ImageRecord.from_texts(texts)
    assert (again.x_m, again.reason, again.accepted) == (3.25, RECORD.reason, False)
    assert math.isnan(again.y_m) and np.isnan(again.covariance).all() and len(again.covariance) == 9


def test_files_are_strict_json(tmp_path):
    write_records(tmp_path / "records.jsonl", [RECORD, RECORD])
    lines = (tmp_path / "records.jsonl").read_text().splitlines()
    documents = [json.loads(line, parse_constant=refuse) for line in lines]
    assert [document["y_m"] for document in documents] == [None, None]
    assert documents[0].keys() == asdict(RECORD).keys()


def test_numbers_that_are_not_finite_become_null_at_any_depth():
    assert strict_json({"a": [1.0, float("nan")], "b": (float("-inf"), "x", None, True)}) == (
        '{"a": [1.0, null], "b": [null, "x", null, true]}'
    )
