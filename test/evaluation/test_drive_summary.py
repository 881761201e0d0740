"""Figures over several drives, worked out by hand from the drive of five images in conftest.py."""

from dataclasses import replace

import numpy as np
import pytest

from xview_localizer.evaluation.drive_summary import first_accepted_m, summarize_drives


@pytest.fixture
def late(drive):
    """The same drive, its last image 16 s after the first, 8 m off and accepted."""
    last = replace(drive.records[4], stamp_sec=116.0, accepted=True)
    return replace(drive, records=[*drive.records[:4], last])


@pytest.fixture
def lost(drive):
    """Nothing was ever accepted or published."""
    nan = float("nan")
    return replace(
        drive,
        records=[replace(r, accepted=False, estimate_x_m=nan, estimate_y_m=nan) for r in drive.records],
    )


def test_acceptance_and_errors(drive, late):
    figures = summarize_drives([drive, late])
    assert (figures["drives"], figures["images"], figures["accepted"]) == (2, 10, 5)
    assert figures["accepted_share"] == 0.5
    assert (figures["off_2m"], figures["off_5m"]) == (1, 1)  # 2.0 m is within 2 m
    # The wrong one comes after the first 10 s.
    assert (figures["early_accepted"], figures["early_off_2m"], figures["early_off_5m"]) == (4, 0, 0)
    assert figures["accepted_median_m"] == 2.0
    assert figures["accepted_90_percent_m"] == pytest.approx(5.6)  # of 1, 1, 2, 2, 8 m
    assert figures["latency_ms_median"] == 50.0
    assert sum(entry["count"] for entry in figures["reliability"]) == 8


def test_yaw_error_has_no_sign(drive):
    assert summarize_drives([drive])["accepted_yaw_median_deg"] == pytest.approx(np.degrees(0.1) / 2)


def test_wrong_pose_in_the_first_seconds_is_counted(late):
    early = replace(late, records=[*late.records[:4], replace(late.records[4], stamp_sec=110.0)])
    figures = summarize_drives([early])
    assert (figures["early_accepted"], figures["early_off_2m"], figures["early_off_5m"]) == (3, 1, 1)


def test_distance_until_the_first_accepted_pose(drive, lost):
    assert first_accepted_m(drive) == pytest.approx(10.0)
    assert first_accepted_m(lost) == np.inf
    figures = summarize_drives([drive, drive, lost])
    assert figures["first_accepted_median_m"] == pytest.approx(10.0)
    assert figures["first_accepted_worst_m"] == np.inf


def test_normalized_errors_are_along_and_across_the_heading(drive):
    """Northwards: across is x with variance 1, along is y with variance 4; yaw has variance 0.01."""
    figures = summarize_drives([drive])
    assert figures["normalized_across_mean"] == pytest.approx((1.0**2 + 0.0) / 2)
    assert figures["normalized_along_mean"] == pytest.approx((0.0 + 2.0**2 / 4) / 2)
    assert figures["normalized_yaw_mean"] == pytest.approx((0.1**2 / 0.01 + 0.0) / 2)
    assert figures["nees_mean"] == pytest.approx((2.0 + 1.0) / 2)


def test_trajectory_is_compared_with_gnss(drive, lost):
    figures = summarize_drives([drive, lost])
    published = np.sqrt((36 + 1 + 4 + 4 + 9) / 5) / 6.0
    assert figures["rmse_ratio_worst"] == pytest.approx(1.0)  # GNSS is all that there is
    assert figures["rmse_ratio_median"] == pytest.approx((published + 1.0) / 2)


def test_summary_of_a_drive_without_accepted_images(lost):
    figures = summarize_drives([lost])
    assert figures["accepted"] == figures["off_2m"] == 0
    assert np.isnan(figures["nees_mean"]) and np.isnan(figures["normalized_along_mean"])
