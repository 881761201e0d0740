"""Judging pairs: one frame, the windows of keyframes, and the file that is written."""

import json
import re
from pathlib import Path
from types import SimpleNamespace as Record

import cv2
import numpy as np
import pytest

from xview_localizer.belief.fix import Fix
from xview_localizer.evaluation.evaluate import T_current_past, evaluate_pairs, windows_of
from xview_localizer.evaluation.judging import judge
from xview_localizer.evaluation.metrics import write_json
from xview_localizer.geometry.camera import camera_to_dict
from xview_localizer.geometry.pose import Pose2
from xview_localizer.recordings.pairs import PairsDataset, PairsError, Truth
from xview_localizer.rejection import Reason, Rejection

PRIOR_XY_M = np.array([3.0, 6.0])
NORTH = np.pi / 2


def fix(x_m=0.0, y_m=0.0, yaw_rad=0.0, accepted=True):
    covariance = np.diag([1.0, 4.0, 0.01]) if np.isfinite(x_m) else np.full((3, 3), np.nan)
    rejection = None if accepted else Rejection.of(Reason.BAD_IMAGE, detail="blank")
    return Fix(0.0, x_m, y_m, yaw_rad, 1.0, covariance, confidence=0.7, rejection=rejection)


def test_error_is_split_along_and_across_the_true_heading():
    frame = judge("a", fix(1.0, 4.0, NORTH + 0.1), Truth(0.0, 2.0, NORTH, 0.25), PRIOR_XY_M, 12.0)
    assert (frame.error_m, frame.along_m, frame.across_m) == pytest.approx((np.sqrt(5), 2.0, -1.0))
    assert frame.yaw_error_deg == pytest.approx(np.degrees(0.1))
    assert frame.nees == pytest.approx(1 / 1 + 4 / 4 + 0.01 / 0.01)
    assert (frame.accepted, frame.confidence, frame.latency_ms, frame.tolerance_m) == (True, 0.7, 12.0, 0.25)
    assert frame.prior_error_m == 5.0


def test_yaw_error_takes_the_short_way():
    frame = judge("a", fix(yaw_rad=np.pi - 0.1), Truth(0.0, 0.0, -np.pi + 0.1, 0.0), PRIOR_XY_M, None)
    assert frame.yaw_error_deg == pytest.approx(np.degrees(-0.2))


def test_unknown_true_yaw_leaves_what_needs_it_open():
    frame = judge("a", fix(3.0, 4.0), Truth(0.0, 0.0, None, 0.0), PRIOR_XY_M, None)
    assert frame.error_m == 5.0
    assert frame.yaw_error_deg is None and frame.nees is None
    assert np.isnan(frame.along_m) and np.isnan(frame.across_m)


def test_where_no_pose_was_found_the_prior_counts():
    nan = float("nan")
    frame = judge("a", fix(nan, nan, nan, accepted=False), Truth(0.0, 2.0, 0.0, 0.0), PRIOR_XY_M, None)
    assert frame.error_m == frame.prior_error_m == 5.0
    assert (frame.along_m, frame.across_m) == pytest.approx((3.0, 4.0))
    assert frame.yaw_error_deg is None and frame.nees is None
    assert not frame.accepted and frame.reason == "blank"


def records(*groups):
    """Records of (sequence, aerial image, count)."""
    return [
        Record(
            id=f"{sequence}{number}",
            sequence=sequence,
            aerial_path=Path(aerial),
            odom=Pose2(3.0 * number, 0.0, NORTH),
        )
        for sequence, aerial, count in groups
        for number in range(count)
    ]


def ids(windows):
    return [[record.id for record in window] for window in windows]


def test_windows_keep_to_one_sequence_and_aerial_image():
    assert ids(windows_of(records(("a", "1", 3), ("b", "1", 2), ("b", "2", 2)), 2)) == [
        ["a0", "a1"],
        ["a1", "a2"],
        ["b0", "b1"],
        ["b0", "b1"],
    ]
    assert ids(windows_of(records((None, "1", 2)), 1)) == [["None0"], ["None1"]]


@pytest.mark.parametrize("keyframes", [0, -1])
def test_windows_without_images_are_refused(keyframes):
    with pytest.raises(PairsError, match="keyframes must be at least 1"):
        windows_of(records(("a", "1", 3)), keyframes)


def test_a_data_set_without_records_is_refused(tmp_path):
    (tmp_path / "pairs.jsonl").touch()
    with pytest.raises(PairsError, match="holds no pairs"):
        evaluate_pairs(PairsDataset(tmp_path), networks=None)


@pytest.fixture
def pairs_on(small_town, tmp_path):
    """Writes pairs that show the small town, each by the names of its ground and its aerial image."""
    for name, image in (("street", small_town.image), ("town", small_town.aerial.image)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image[..., ::-1])
        whole = (tmp_path / f"{name}.png").read_bytes()
        (tmp_path / f"{name}_cut.png").write_bytes(whole[: len(whole) // 2])

    def write(*pairs):
        truth = {"x": small_town.pose.x_m, "y": small_town.pose.y_m}
        yaw_deg = float(np.degrees(small_town.pose.yaw_rad))
        camera = {**camera_to_dict(small_town.camera), "height_m": 1.8}
        entries = [
            {
                "id": str(number), "sequence": "s", "image": f"{ground}.png", "camera": camera,
                "aerial": {"image": f"{aerial}.png", "metres_per_pixel": 0.2},
                "prior": {**truth, "sigma_m": 10.0}, "truth": {**truth, "yaw_deg": yaw_deg},
                "odom": {"x": 0.0, "y": 0.0, "yaw_deg": 0.0},
            }
            for number, (ground, aerial) in enumerate(pairs)
        ]  # fmt: skip
        (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, entries)))
        return PairsDataset(tmp_path)

    return write


def test_damaged_images_count_as_not_answered_and_are_named(pairs_on, networks):
    whole, cut = ("street", "town"), ("street_cut", "town")
    metrics = evaluate_pairs(pairs_on(whole, cut, ("street", "town_cut"), whole), networks)
    assert metrics["n"] == 4
    assert [frame["has_pose"] for frame in metrics["frames"]] == [True, False, False, True]
    assert all(frame["error_m"] < 2 for frame in metrics["frames"] if frame["has_pose"])
    assert list(metrics["unreadable"]) == ["1", "2"]
    assert re.search(r"street_cut\.png is a PNG image that was cut short", metrics["unreadable"]["1"])
    assert re.search(r"town_cut\.png is a PNG image that was cut short", metrics["unreadable"]["2"])
    assert {"reason": "an image of the pair cannot be read", "count": 2} in metrics["rejections"]


def test_where_no_pair_can_be_read_the_first_is_named(pairs_on, networks):
    with pytest.raises(PairsError, match=r"no pair can be read; the first: .*street_cut\.png is a PNG image"):
        evaluate_pairs(pairs_on(("street_cut", "town"), ("street", "town_cut")), networks)


@pytest.mark.parametrize("groups", [[("a", "1", 3)], [("a", "1", 2), ("a", "2", 2)], [(None, "1", 5)]])
def test_too_short_sequences_are_refused(groups):
    with pytest.raises(
        PairsError, match="no sequence has 4 records in a row on one aerial image; use --keyframes 1"
    ):
        windows_of(records(*groups), 4)


def test_keyframes_without_odometry_are_refused():
    lost = records(("a", "1", 3))
    lost[1].odom = None
    with pytest.raises(PairsError, match="record a1 has no odom"):
        windows_of(lost, 2)


def test_past_records_are_placed_by_odometry():
    past, current = records(("a", "1", 2))  # 3 m to the east, looking north: the past one lies to the left
    placed = T_current_past(current, past)
    assert (placed.x_m, placed.y_m, placed.yaw_rad) == pytest.approx((0.0, 3.0, 0.0))
    assert T_current_past(current, current) == Pose2(0.0, 0.0, 0.0)


def test_json_has_null_for_nan_and_infinity(tmp_path):
    path = tmp_path / "new" / "metrics.json"
    write_json(
        {
            "a": float("nan"),
            "b": [1.5, float("inf")],
            "c": {"d": float("nan"), "e": None},
            "f": "NaN",
            "g": True,
        },
        path,
    )

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    read = json.loads(path.read_text(), parse_constant=refuse)
    assert read == {"a": None, "b": [1.5, None], "c": {"d": None, "e": None}, "f": "NaN", "g": True}
