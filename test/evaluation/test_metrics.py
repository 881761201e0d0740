"""The numbers by which everything is judged, against values worked out by hand."""

import numpy as np
import pytest

from xview_localizer.evaluation.metrics import Frame, reliability, summarize


def frame(error_m, accepted=True, confidence=0.5, **values):
    fields = {
        "id": "a",
        "error_m": error_m,
        "along_m": error_m,
        "across_m": 0.0,
        "yaw_error_deg": 1.0,
        "accepted": accepted,
        "reason": "",
        "confidence": confidence,
        "nees": 3.0,
        "latency_ms": 10.0,
        "prior_error_m": 8.0,
    }
    return Frame(**{**fields, **values})


FRAMES = [
    frame(0.5, confidence=0.9, yaw_error_deg=-2.0, nees=1.0, latency_ms=10.0, prior_error_m=3.0),
    frame(
        2.0,
        confidence=0.8,
        yaw_error_deg=4.0,
        nees=5.0,
        latency_ms=30.0,
        prior_error_m=4.0,
        along_m=0.0,
        across_m=2.0,
    ),
    frame(
        7.0,
        confidence=0.7,
        yaw_error_deg=None,
        nees=None,
        latency_ms=None,
        along_m=float("nan"),
        across_m=float("nan"),
        prior_error_m=0.0,
    ),
    frame(
        12.0,
        accepted=False,
        confidence=0.1,
        yaw_error_deg=30.0,
        nees=900.0,
        latency_ms=20.0,
        prior_error_m=5.0,
        along_m=-1.0,
        across_m=-11.9,
    ),
]


def test_hand_computed():
    metrics = summarize(FRAMES)
    expected = {
        "n": 4,
        "n_accepted": 3,
        "position_median_m": 4.5,
        "position_mean_m": 21.5 / 4,
        "position_rmse_m": np.sqrt((0.25 + 4 + 49 + 144) / 4),
        "recall_1m": 0.25,
        "recall_2m": 0.5,
        "recall_5m": 0.5,
        "recall_10m": 0.75,
        "longitudinal_recall_2m": 1.0,
        "lateral_recall_2m": 2 / 3,  # of the three with a heading
        "yaw_median_deg": 4.0,
        "yaw_recall_10deg": 2 / 3,
        "accepted_position_median_m": 2.0,
        "accepted_recall_2m": 2 / 3,
        "accepted_recall_10m": 1.0,
        "accepted_yaw_median_deg": 3.0,
        "accepted_yaw_recall_10deg": 1.0,
        "false_accepts": 1,
        "confident_50_recall_2m": 1.0,
        "confident_70_recall_2m": 2 / 3,  # 70 % of four are three
        "nees_mean": 3.0,
        "prior_rmse_m": np.sqrt((9 + 16 + 0 + 25) / 4),
        "latency_ms_median": 20.0,
    }
    assert {key: metrics[key] for key in expected} == pytest.approx(expected)
    assert [entry["error_m"] for entry in metrics["frames"]] == [0.5, 2.0, 7.0, 12.0]


def test_limits_count_as_within():
    metrics = summarize([frame(2.0), frame(5.0)])
    assert metrics["recall_2m"] == 0.5 and metrics["recall_5m"] == 1.0
    assert metrics["false_accepts"] == 0


def test_metrics_of_no_records_are_zero_or_none():
    metrics = summarize([])
    assert metrics["n"] == metrics["n_accepted"] == metrics["false_accepts"] == 0
    assert metrics["frames"] == metrics["rejections"] == []
    figures = {
        key: value
        for key, value in metrics.items()
        if key not in ("n", "n_accepted", "false_accepts", "rejections", "frames")
    }
    assert set(figures.values()) == {None}


def test_a_heading_that_was_not_found_is_missed():
    """As without a pose; where the truth has none, there is nothing to find."""
    without = frame(3.0, accepted=False, yaw_error_deg=None, nees=None, has_pose=False)
    unknown = frame(3.0, yaw_error_deg=None, nees=None, along_m=float("nan"), across_m=float("nan"))
    metrics = summarize([frame(1.0), without, unknown])
    assert metrics["yaw_recall_10deg"] == 0.5 and metrics["yaw_median_deg"] == 1.0


def test_all_rejected():
    metrics = summarize([frame(1.0, accepted=False), frame(9.0, accepted=False)])
    assert metrics["n_accepted"] == metrics["false_accepts"] == 0
    assert metrics["position_median_m"] == 5.0 and metrics["recall_2m"] == 0.5
    assert {value for key, value in metrics.items() if key.startswith("accepted_")} == {None}
    assert metrics["nees_mean"] is None


def test_reasons_of_rejections_are_counted_without_their_numbers():
    reasons = ["confidence 0.31 is below 0.8", "take rgb8", "confidence 0.7 is below 0.8"]
    frames = [frame(1.0, accepted=False, reason=reason) for reason in reasons] + [frame(1.0)]
    assert summarize(frames)["rejections"] == [
        {"reason": "confidence … is below …", "count": 2},
        {"reason": "take rgb8", "count": 1},
    ]


def test_reliability_bins_confidence():
    frames = [
        frame(1.0, confidence=0.95),
        frame(2.0, confidence=0.85),
        frame(3.0, confidence=0.9),
        frame(1.0, confidence=0.2),
        frame(9.0, confidence=1.0, yaw_error_deg=None),  # no pose was found
    ]
    bins = reliability(frames)
    assert [entry["count"] for entry in bins] == [0, 1, 0, 0, 3]
    assert (bins[1]["from"], bins[1]["to"]) == pytest.approx((0.2, 0.4))
    assert bins[0]["within_2m"] is None and bins[1]["within_2m"] == 1.0
    assert bins[4]["within_2m"] == pytest.approx(2 / 3)
    assert bins[4]["confidence_mean"] == pytest.approx(0.9)
