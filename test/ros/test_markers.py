"""Markers and the aerial image to look at: in the map's frame, at their places, over real DDS."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2 or its wheels")

from builtin_interfaces.msg import Time
from nav_msgs.msg import OccupancyGrid
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Header
from two_cells import OBSERVATION
from visualization_msgs.msg import Marker, MarkerArray

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.source import AerialImage
from xview_localizer.belief.fix import Fix, Rival
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.rejection import Reason, Rejection
from xview_localizer.ros import qos
from xview_localizer.ros.markers import aerial_grid, markers
from xview_localizer.ros.outputs import Outputs
from xview_localizer.tracking.tracked_fix import TrackedFix

HEADER = Header(stamp=Time(sec=7), frame_id="map")
POSE = Pose2(10.0, -5.0, np.pi / 2)
MATCHES = Correspondences(
    OBSERVATION.points_m(2.0), np.array([[6.0, 6.0], [14.0, 20.0]]), np.array([0.2, 0.9])
)
FIX = Fix(
    7.0, x_m=POSE.x_m, y_m=POSE.y_m, yaw_rad=POSE.yaw_rad, scale=2.0, covariance=np.diag([4.0, 1.0, 0.01]),
    rivals=(Rival(Pose2(34.0, -5.0, 0.0), 0.125),),
)  # fmt: skip
TRACKED = TrackedFix(FIX, Prior(8.0, -4.0, 20.0), 2, None, earlier=(Pose2(-6.0, 1.0, 0.0),))


def by_name(tracked, matches=MATCHES) -> dict[str, list[Marker]]:
    shown: dict[str, list[Marker]] = {}
    for marker in markers(HEADER, tracked, OBSERVATION, matches).markers:
        assert marker.header == HEADER
        shown.setdefault(marker.ns, []).append(marker)
    return shown


def points(marker) -> np.ndarray:
    return np.array([(point.x, point.y) for point in marker.points])


def test_markers_replace_those_of_the_image_before_them():
    first, *others = markers(HEADER, TRACKED, OBSERVATION, MATCHES).markers
    assert first.action == Marker.DELETEALL
    assert {marker.action for marker in others} == {Marker.ADD}
    names = [(marker.ns, marker.id) for marker in others]
    assert len(set(names)) == len(names)


def test_cells_and_matches_lie_where_the_pose_sends_them():
    shown = by_name(TRACKED)
    cells = POSE.transform(2.0 * OBSERVATION.ground_xy_m + OBSERVATION.camera_xy_m)
    np.testing.assert_allclose(points(shown["cells"][0]), cells)
    near, far = shown["cells"][0].colors
    assert near.g > far.g  # yellow, purple
    # From each cell to its match, the surest first.
    expected = [cells[1], MATCHES.aerial_xy_m[1], cells[0], MATCHES.aerial_xy_m[0]]
    np.testing.assert_allclose(points(shown["matches"][0]), expected)


def test_ellipse_is_two_sigma_about_the_pose():
    ellipse = points(by_name(TRACKED)["ellipse"][0])
    np.testing.assert_allclose(np.ptp(ellipse, axis=0), [8.0, 4.0], atol=0.02)
    np.testing.assert_allclose((ellipse.max(axis=0) + ellipse.min(axis=0)) / 2, [10.0, -5.0], atol=1e-6)
    skewed = replace(FIX, covariance=np.array([[2.0, 1.5, 0.0], [1.5, 2.0, 0.0], [0.0, 0.0, 0.01]]))
    tilted = points(by_name(replace(TRACKED, fix=skewed))["ellipse"][0]) - [10.0, -5.0]
    farthest = tilted[np.linalg.norm(tilted, axis=1).argmax()]
    assert np.prod(farthest) > 0  # along the diagonal on which x and y err alike
    assert np.linalg.norm(farthest) == pytest.approx(2 * np.sqrt(3.5), rel=0.01)


def test_pose_keyframes_and_rivals():
    shown = by_name(TRACKED)
    (pose,) = shown["pose"]
    assert (pose.pose.position.x, pose.pose.position.y) == (10.0, -5.0)
    assert 2 * np.arctan2(pose.pose.orientation.z, pose.pose.orientation.w) == pytest.approx(np.pi / 2)
    (keyframe,) = shown["keyframes"]  # 6 m behind, which is south, and 1 m to the left, which is west
    assert (keyframe.pose.position.x, keyframe.pose.position.y) == pytest.approx((9.0, -11.0))
    arrow, text = shown["rivals"]
    assert (arrow.pose.position.x, text.text) == (34.0, "12.5%")
    (search,) = shown["search"]
    np.testing.assert_allclose(np.linalg.norm(points(search) - [8.0, -4.0], axis=1), 20.0)


def test_rejected_pose_has_another_colour_and_none_shows_the_search_alone():
    rejected = replace(FIX, rejection=Rejection.of(Reason.IMAGE_DISAGREES))
    colours = [by_name(replace(TRACKED, fix=fix))["pose"][0].color for fix in (FIX, rejected)]
    assert colours[0].g > colours[0].r and colours[1].r > colours[1].g
    assert set(by_name(TrackedFix(Fix(7.0), TRACKED.prior, 1, None), None)) == {"", "search"}


def a_map(size_m: float = 400.0) -> InMemoryMap:
    grid = RasterGrid.covering(Bounds.around(0.0, 0.0, size_m / 2), 1.0)
    image = np.full((grid.rows, grid.columns, 3), 255, np.uint8)
    image[:10] = 0  # the north is black
    return InMemoryMap(AerialImage(image, np.ones(image.shape[:2], bool), grid))


def test_aerial_grid_is_dark_where_the_image_is_and_lies_in_its_place():
    image = np.full((3, 4, 3), 255, np.uint8)
    image[0, 0] = 0  # north-west
    valid = np.ones((3, 4), bool)
    valid[2, 3] = False  # south-east
    grid = aerial_grid(HEADER, AerialImage(image, valid, RasterGrid(100.0, 50.0, 2.0, 3, 4)))
    cells = np.array(grid.data).reshape(grid.info.height, grid.info.width)  # from the south-west corner
    np.testing.assert_array_equal(cells, [[0, 0, 0, -1], [0, 0, 0, 0], [100, 0, 0, 0]])
    assert (grid.info.origin.position.x, grid.info.origin.position.y) == (100.0, 44.0)
    assert (grid.info.resolution, grid.header.frame_id) == (2.0, "map")


class BrokenMap:
    """A map server that did not answer for a tile."""

    def read(self, bounds, metres_per_pixel):
        return replace(a_map().read(bounds, metres_per_pixel), problems=("tile 19/1/2: timeout",))


def test_what_is_subscribed_to_is_wanted_and_arrives(domain):
    context = rclpy.Context()
    rclpy.init(context=context)
    node = LifecycleNode("localizer", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        outputs = Outputs(node, LocalFrame(48.0, 11.0), "map", "base_link")
        assert not outputs.markers_wanted and not outputs.aerial_wanted
        node.trigger_configure()
        node.trigger_activate()
        arrays, grids, late = [], [], []
        node.create_subscription(MarkerArray, "/localizer/debug/markers", arrays.append, qos.DEBUG_OUTPUT)
        node.create_subscription(OccupancyGrid, "/localizer/debug/aerial", grids.append, qos.LATCHED_OUTPUT)

        def until(there):
            for _ in range(200):
                if there():
                    return
                executor.spin_once(timeout_sec=0.1)
            raise AssertionError("nothing within 20 s")

        until(lambda: outputs.markers_wanted and outputs.aerial_wanted)
        outputs.publish_markers(HEADER, TRACKED, OBSERVATION, MATCHES)
        until(lambda: arrays)
        assert {marker.ns for marker in arrays[0].markers} >= {"cells", "matches", "rivals", "keyframes"}
        whole, broken = a_map(), BrokenMap()
        # The middle moves in steps of 20 m; a map that could not be read as a whole is read again.
        for x_m, source, count in (
            (0.0, broken, 1), (0.0, whole, 2), (9.0, whole, 2), (11.0, whole, 3)
        ):  # fmt: skip
            outputs.publish_aerial(HEADER, Prior(x_m, 0.0, 20.0), source)
            until(lambda count=count: len(grids) == count)
        assert [grid.info.origin.position.x for grid in grids] == [-60.0, -60.0, -40.0]
        node.create_subscription(OccupancyGrid, "/localizer/debug/aerial", late.append, qos.LATCHED_OUTPUT)
        until(lambda: late)
        assert late[0].info.origin.position.x == -40.0
        outputs.destroy()
    finally:
        node.destroy_node()
        context.try_shutdown()
