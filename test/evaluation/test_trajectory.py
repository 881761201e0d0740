"""A localized drive against its truth."""

import numpy as np
import pytest

from xview_localizer.recordings.tum import read_tum, write_tum


def test_tum_file_is_read_back(tmp_path):
    """Yaw comes back unwrapped: it has no jump of 2π at the seam."""
    poses = [(10.0, 1.0, 2.0, 3.0), (11.0, -1.5, 2.5, 3.1), (12.0, -4.0, 3.0, -3.0831853)]
    write_tum(tmp_path / "truth.tum", poses)
    trajectory = read_tum(tmp_path / "truth.tum")
    np.testing.assert_allclose(trajectory["stamp_sec"], [10, 11, 12])
    np.testing.assert_allclose(trajectory["x_m"], [1.0, -1.5, -4.0])
    np.testing.assert_allclose(trajectory["y_m"], [2.0, 2.5, 3.0])
    np.testing.assert_allclose(trajectory["yaw_rad"], [3.0, 3.1, 3.2], atol=1e-6)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "8 finite numbers, or there is no line"),
        ("1 2 3 0 0 0 1\n", "8 finite numbers"),
        ("1 nan 3 0 0 0 0 1\n", "8 finite numbers"),
        ("1 2 3 0 0 0 0 0\n", "not of unit length"),
    ],
)
def test_a_tum_file_of_other_lines_is_refused(tmp_path, recwarn, text, complaint):
    (tmp_path / "truth.tum").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        read_tum(tmp_path / "truth.tum")
    assert not recwarn


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


def test_gap_at_the_beginning_is_filled_with_gnss(drive):
    np.testing.assert_allclose(drive.estimate_error_m, [np.nan, 1.0, 2.0, 2.0, 3.0])
    metrics = drive.drive_metrics()
    assert metrics["trajectory_rmse_m"] == pytest.approx(np.sqrt((36 + 1 + 4 + 4 + 9) / 5))
    assert metrics["trajectory_coverage"] == pytest.approx(4 / 5)
    assert metrics["rate_hz"] == 2.5
    assert metrics["latency_ms_by_stage"] == {"encode": 35.0, "solve": 10.0}
