"""Frames in each other: what tf2 answers to the same questions is the expectation (REP 105, tf2's documentation)."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from xview_localizer.geometry.transform_tree import (
    KEPT_SEC,
    Transform,
    TransformError,
    TransformTree,
    interpolated,
)


def transform(xyz_m=(0.0, 0.0, 0.0), rpy_rad=(0.0, 0.0, 0.0)) -> Transform:
    return Transform(Rotation.from_euler("xyz", rpy_rad).as_matrix(), np.array(xyz_m))


def matrix(T: Transform) -> np.ndarray:
    return np.block([[T.R, T.t_m[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]])


@pytest.fixture
def tree() -> TransformTree:
    """base_link carries mast → camera and an antenna; map stands alone."""
    tree = TransformTree()
    tree.set_static("base_link", "mast", transform((0.4, 0.0, 1.0), (0.0, 0.1, 0.2)))
    tree.set_static("mast", "camera", transform((0.0, 0.05, 0.3), (-1.57, 0.0, -1.57)))
    tree.set_static("base_link", "antenna", transform((-0.3, 0.0, 1.7)))
    return tree


def test_chains_are_multiplied_up_and_down(tree):
    base_mast = matrix(transform((0.4, 0.0, 1.0), (0.0, 0.1, 0.2)))
    base_camera = base_mast @ matrix(transform((0.0, 0.05, 0.3), (-1.57, 0.0, -1.57)))
    base_antenna = matrix(transform((-0.3, 0.0, 1.7)))
    for (parent, child), expected in {
        ("base_link", "camera"): base_camera,
        ("camera", "base_link"): np.linalg.inv(base_camera),
        ("antenna", "camera"): np.linalg.inv(base_antenna) @ base_camera,
        ("mast", "mast"): np.eye(4),
        ("unknown", "unknown"): np.eye(4),
    }.items():
        np.testing.assert_allclose(matrix(tree.lookup(parent, child, 5.0)), expected, atol=1e-12)


def test_missing_pairs_are_named(tree):
    with pytest.raises(TransformError, match="^no transform base_link → imu_link$"):
        tree.lookup("base_link", "imu_link", 1.0)
    tree.set_static("chassis", "imu_link", transform())
    with pytest.raises(
        TransformError, match=r"no transform base_link → imu_link \(imu_link is in the tree of chassis\)"
    ):
        tree.lookup("base_link", "imu_link", 1.0)


@pytest.mark.parametrize("frame", ["robot1/camera", "robot/base_link/camera", "Camera", "camera "])
def test_a_frame_of_a_similar_name_is_shown(tree, frame):
    """Gazebo writes the whole path to a sensor, robot_state_publisher a prefix."""
    with pytest.raises(TransformError, match=rf"^no transform base_link → {frame} \(there is camera\)$"):
        tree.lookup("base_link", frame, 1.0)


def test_frames_in_a_circle_end():
    tree = TransformTree()
    tree.set_static("a", "b", transform())
    tree.set_static("b", "a", transform())
    with pytest.raises(TransformError, match="no transform base_link → a"):
        tree.lookup("base_link", "a", 1.0)


def test_moving_transforms_are_interpolated_and_never_extrapolated(tree):
    start, end = transform((0.0, 0.0, 1.0), (0.0, 0.0, -0.4)), transform((1.0, 0.0, 2.0), (0.3, 0.1, 0.8))
    tree.set_moving("base_link", "pan", 10.8, end)
    tree.set_moving("base_link", "pan", 10.0, start)  # out of order
    tree.set_static("pan", "eye", transform((0.1, 0.0, 0.0)))
    slerp = Slerp([10.0, 10.8], Rotation.from_matrix([start.R, end.R]))
    for stamp_sec in (10.0, 10.2, 10.7, 10.8):
        T, share = tree.lookup("base_link", "pan", stamp_sec), (stamp_sec - 10.0) / 0.8
        np.testing.assert_allclose(T.R, slerp(stamp_sec).as_matrix(), atol=1e-9)
        np.testing.assert_allclose(T.t_m, [share, 0.0, 1 + share])
    for stamp_sec in (9.99, 10.81):
        with pytest.raises(TransformError, match="pan is known from 10.000 to 10.800 s"):
            tree.lookup("base_link", "eye", stamp_sec)
    held = tree.lookup("base_link", "pan", 11.1, hold_sec=0.4)
    np.testing.assert_array_equal(held.R, end.R)
    with pytest.raises(TransformError, match="no transform base_link → pan at 11.300 s"):
        tree.lookup("base_link", "pan", 11.3, hold_sec=0.4)


def test_of_two_transforms_for_one_stamp_the_last_one_received_holds(tree):
    """Between stamps, the path leads away from the last one and towards the first one of the next stamp, as in tf2."""
    for stamp_sec, x_m in ((10.0, 0.0), (11.0, 1.0), (11.0, 3.0), (12.0, 4.0), (12.0, 6.0)):
        tree.set_moving("base_link", "pan", stamp_sec, transform((x_m, 0.0, 0.0)))
    expected = {10.5: 0.5, 11.0: 3.0, 11.5: 3.5, 12.0: 6.0}
    found = {stamp_sec: tree.lookup("base_link", "pan", stamp_sec).t_m[0] for stamp_sec in expected}
    assert found == pytest.approx(expected)


def test_a_static_transform_stays_unless_its_frame_gets_another_parent(tree):
    """Publishers of ROS 1 send the same joints on both topics."""
    tree.set_moving("base_link", "antenna", 5.0, transform((9.0, 0.0, 0.0)))
    np.testing.assert_array_equal(tree.lookup("base_link", "antenna", 100.0).t_m, [-0.3, 0.0, 1.7])
    tree.set_moving("mast", "antenna", 5.0, transform())
    np.testing.assert_array_equal(tree.lookup("base_link", "antenna", 5.0).t_m, [0.4, 0.0, 1.0])


def test_old_transforms_are_let_go_and_a_jump_back_starts_afresh(tree):
    for stamp_sec in np.arange(0.0, 3 * KEPT_SEC):
        tree.set_moving("base_link", "pan", stamp_sec, transform((stamp_sec, 0.0, 0.0)))
    with pytest.raises(TransformError, match="pan is known from 19.000 to 29.000 s"):
        tree.lookup("base_link", "pan", 1.0)
    tree.set_moving("base_link", "pan", 1.0, transform((7.0, 0.0, 0.0)))
    assert tree.lookup("base_link", "pan", 1.0).t_m[0] == 7.0
    tree.clear_moving()
    with pytest.raises(TransformError, match="no transform base_link → pan$"):
        tree.lookup("base_link", "pan", 1.0)
    assert tree.lookup("base_link", "camera", 1.0) is not None


@pytest.mark.parametrize("turn_rad", [0.0, 1e-14, 1e-7, 3.0])
def test_small_and_large_turns_are_interpolated(turn_rad):
    end = transform((1.0, 0.0, 0.0), (0.0, 0.0, turn_rad))
    half = interpolated(transform(), end, 0.5)
    np.testing.assert_allclose(half.R, transform(rpy_rad=(0.0, 0.0, turn_rad / 2)).R, atol=1e-12)
