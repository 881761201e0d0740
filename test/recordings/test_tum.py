"""Trajectories in the TUM format."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

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


def test_yaw_is_that_of_x_on_the_ground_though_the_pose_leans(tmp_path):
    """By a rotation's part about z alone it would be 2° less."""
    quaternion = Rotation.from_euler("ZYX", [40.0, 15.0, 15.0], degrees=True).as_quat()
    (tmp_path / "truth.tum").write_text("0 0 0 0 " + " ".join(map(str, quaternion)))
    assert np.degrees(read_tum(tmp_path / "truth.tum")["yaw_rad"]) == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "8 finite numbers, or there is no line"),
        ("1 2 3 0 0 0 1\n", "8 finite numbers"),
        ("1 nan 3 0 0 0 0 1\n", "8 finite numbers"),
        ("1 2 3 0 0 0 0 0\n", "not of unit length"),
        ("1 2 3 0 0.9238795 0 0 0.3826834\n", "qw comes last, and z points up"),
    ],
)
def test_a_tum_file_of_other_lines_is_refused(tmp_path, recwarn, text, complaint):
    (tmp_path / "truth.tum").write_text(text)
    with pytest.raises(ValueError, match=complaint):
        read_tum(tmp_path / "truth.tum")
    assert not recwarn
