"""A localized drive against its truth."""

import numpy as np
import pytest


def test_frames_of_a_drive(drive):
    frames = drive.frames
    assert [frame.error_m for frame in frames] == pytest.approx([7.0, 1.0, 6.0, 2.0, 8.0])
    assert [frame.accepted for frame in frames] == [False, True, False, True, False]
    assert [frame.id for frame in frames] == ["100.000", "101.000", "102.000", "103.000", "104.000"]
    assert {frame.prior_error_m for frame in frames} == {6.0}
    # Northwards: too far east is to the right of the way, too far north is along it.
    assert (frames[1].along_m, frames[1].across_m) == pytest.approx((0.0, -1.0))
    assert (frames[3].along_m, frames[3].across_m) == pytest.approx((2.0, 0.0))
    assert frames[1].nees == pytest.approx(1.0 + 0.1**2 / 0.01)
    assert [frame.latency_ms for frame in frames] == [30.0, 50.0, None, 70.0, 50.0]


def test_image_without_a_pose_is_judged_by_gnss(drive):
    frame = drive.frames[2]
    assert frame.error_m == 6.0 and frame.across_m == pytest.approx(-6.0)
    assert frame.yaw_error_deg is None and frame.nees is None
    assert [frame.has_pose for frame in drive.frames] == [True, True, False, True, True]


def test_gap_at_the_beginning_is_filled_with_gnss(drive):
    np.testing.assert_allclose(drive.estimate_error_m, [np.nan, 1.0, 2.0, 2.0, 3.0])
    metrics = drive.drive_metrics()
    assert metrics["trajectory_rmse_m"] == pytest.approx(np.sqrt((36 + 1 + 4 + 4 + 9) / 5))
    assert metrics["trajectory_coverage"] == pytest.approx(4 / 5)
    assert metrics["rate_hz"] == 2.5
    assert metrics["latency_ms_by_stage"] == {"encode": 35.0, "solve": 10.0}
