"""A simulated drive: a bag that others read, stamps in order, and a truth that everything agrees with."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import rasterio.warp
import yaml
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from xview_localizer.aerial.source import AerialImage
from xview_localizer.cli.simulation import LEAST_LENGTH_M
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.pose import Pose2, distance_along_m
from xview_localizer.recordings.pairs import PairsDataset
from xview_localizer.simulation.drive import DriveConfig, simulate_drive
from xview_localizer.simulation.drive_camera import Shot
from xview_localizer.simulation.drive_pairs import DrivePairs
from xview_localizer.simulation.pairs_writer import sample_camera
from xview_localizer.simulation.route import find_route, plan_route
from xview_localizer.simulation.sensors import GnssError
from xview_localizer.simulation.town import Town, TownError

CONFIG = DriveConfig(
    length_m=65.0, town_size_m=170.0, image_rate_hz=0.5, map_metres_per_pixel=0.5,
    gnss_error=GnssError(bias_sigma_m=1e-6, noise_sigma_m=1e-6, outages=1, outage_sec=2.0),
)  # fmt: skip


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    return simulate_drive(tmp_path_factory.mktemp("drive"), 3, CONFIG)


@pytest.fixture(scope="module")
def messages(drive):
    """Topic → [(stamp in seconds, message)], and the order of all (topic, stamp)."""
    store = get_typestore(Stores.ROS2_JAZZY)
    by_topic, order = {}, []
    with Reader(drive / "bag") as reader:
        for connection, stamp_ns, raw in reader.messages():
            message = store.deserialize_cdr(raw, connection.msgtype)
            by_topic.setdefault(connection.topic, []).append((stamp_ns, message))
            order.append((connection.topic, stamp_ns))
    return by_topic, order


@pytest.fixture(scope="module")
def truth(drive):
    return np.loadtxt(drive / "truth.tum")


def test_bag_holds_every_topic_in_time_order(drive, messages, truth):
    by_topic, order = messages
    description = yaml.safe_load((drive / "drive.yaml").read_text())
    assert set(description["topics"].values()) <= set(by_topic)
    stamps = [stamp_ns for _, stamp_ns in order]
    assert stamps == sorted(stamps)
    for topic in ("/camera/image/compressed", "/camera/camera_info", "/ground_truth/pose"):
        assert len(by_topic[topic]) == len(truth)
    span_sec = (stamps[-1] - stamps[0]) / 1e9
    for topic in ("/odom", "/imu/data"):
        assert len(by_topic[topic]) == pytest.approx(50 * span_sec, rel=0.1)


def test_stamps_are_the_capture_times(messages):
    for topic, entries in messages[0].items():
        if topic == "/tf_static":
            continue
        for stamp_ns, message in entries:
            assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == stamp_ns


def test_odometry_of_the_image_stamp_comes_before_the_image(messages):
    order = messages[1]
    place = {entry: i for i, entry in enumerate(order)}
    for topic, stamp_ns in order:
        if topic == "/camera/image/compressed":
            assert place["/odom", stamp_ns] < place[topic, stamp_ns]


def test_fix_is_the_antenna_and_not_base_link(messages, truth):
    frame = LocalFrame(*CONFIG.datum)
    stamp = np.array([stamp_ns / 1e9 for stamp_ns, _ in messages[0]["/gnss/fix"]])
    fix = np.array(
        [frame.enu_from_geodetic(m.latitude, m.longitude, m.altitude) for _, m in messages[0]["/gnss/fix"]]
    )
    away_m = []
    for t, x, y, *_, qz, qw in truth:
        if np.abs(stamp - t).min() < 1e-3:
            yaw_rad = 2 * np.arctan2(qz, qw)
            cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
            base = np.array([[cos, sin], [-sin, cos]]) @ (fix[np.abs(stamp - t).argmin(), :2] - (x, y))
            away_m.append(base - CONFIG.antenna_in_base_m[:2])
    assert len(away_m) >= 3
    np.testing.assert_allclose(away_m, 0.0, atol=0.03)


def test_receiver_falls_silent_in_an_outage(messages):
    stamp = np.array([stamp_ns / 1e9 for stamp_ns, _ in messages[0]["/gnss/fix"]])
    assert np.diff(stamp).max() == pytest.approx(2.0, abs=0.3)


def test_orthophoto_is_georeferenced_about_the_datum(drive):
    with rasterio.open(drive / "orthophoto.tif") as raster:
        assert raster.crs.to_epsg() == 32632
        assert raster.res == pytest.approx((0.5, 0.5))
        east, north = rasterio.warp.transform("EPSG:4326", raster.crs, [CONFIG.datum[1]], [CONFIG.datum[0]])
        middle = (
            (raster.bounds.left + raster.bounds.right) / 2,
            (raster.bounds.bottom + raster.bounds.top) / 2,
        )
        assert np.hypot(east[0] - middle[0], north[0] - middle[1]) < 1.0
        assert raster.dataset_mask().mean() > 0.9 * 255


def test_mountings_are_static_transforms(messages):
    ((_, message),) = messages[0]["/tf_static"]
    by_frame = {t.child_frame_id: t.transform.translation for t in message.transforms}
    assert set(by_frame) == {"camera_optical_frame", "gnss_antenna"}
    for frame_id, expected in (
        ("camera_optical_frame", CONFIG.camera_in_base_m),
        ("gnss_antenna", CONFIG.antenna_in_base_m),
    ):
        at = by_frame[frame_id]
        assert (at.x, at.y, at.z) == pytest.approx(expected)


def test_the_same_drive_as_pairs(drive, truth):
    records = list(PairsDataset(drive / "pairs"))
    assert len(records) == len(truth)
    # So that keyframes can be joined.
    assert len({(record.sequence, record.aerial_path) for record in records}) == 1
    for before, after, (_, x0, y0, *_), (_, x1, y1, *_) in zip(
        records[:-1], records[1:], truth[:-1], truth[1:], strict=True
    ):
        step_m = np.hypot(x1 - x0, y1 - y0)
        odom = before.odom.inverse() @ after.odom
        assert np.hypot(odom.x_m, odom.y_m) == pytest.approx(step_m, rel=0.05)
    for record, (*_, qz, qw) in zip(records, truth, strict=True):
        yaw_error = record.truth.yaw_rad - 2 * np.arctan2(qz, qw)
        assert abs(np.angle(np.exp(1j * yaw_error))) < 1e-3
        away_m = np.hypot(record.prior.x_m - record.truth.x_m, record.prior.y_m - record.truth.y_m)
        assert away_m <= record.prior.radius_m
        # The mounting is turned by 0.4° and 1.2°; the body adds its sway.
        assert abs(np.degrees(record.pitch_rad) - 1.2) < 4 and abs(np.degrees(record.roll_rad) - 0.4) < 4
        assert record.camera_height_m == pytest.approx(CONFIG.camera_in_base_m[2], abs=0.05)


def test_odometry_of_pairs_is_the_camera_s(tmp_path):
    """base_link turns on the spot; the camera in front of it, which looks to the left, swings around."""
    town = AerialImage(
        np.zeros((20, 30, 3), np.uint8), np.ones((20, 30), bool), RasterGrid(5.0, 9.0, 0.5, 20, 30)
    )
    pairs = DrivePairs(tmp_path, town, np.random.default_rng(0))
    camera = sample_camera(np.random.default_rng(0), "pinhole", vary=False)
    odom_from_map = Pose2(40.0, -7.0, 2.0)
    for number, yaw_rad in enumerate((0.3, 1.2)):
        base = Pose2(8.0, 6.0, yaw_rad)
        R_map_camera = R_base_optical_from_rpy(0.0, 0.0, yaw_rad + 0.7)
        at = base.transform(np.array([0.4, 0.1]))
        shot = Shot(float(number), b"", np.ones((2, 2)), camera, 1.8, at, R_map_camera, base)
        pairs.add(shot, odom_from_map @ base)
    pairs.close()
    before, after = PairsDataset(tmp_path)
    by_odom = before.odom.inverse() @ after.odom
    truth = Pose2(before.truth.x_m, before.truth.y_m, before.truth.yaw_rad).inverse() @ Pose2(
        after.truth.x_m, after.truth.y_m, after.truth.yaw_rad
    )
    assert np.hypot(truth.x_m, truth.y_m) > 0.3
    assert (by_odom.x_m, by_odom.y_m, by_odom.yaw_rad) == pytest.approx((truth.x_m, truth.y_m, truth.yaw_rad))
    # The middle of the aerial image is the origin.
    assert (before.truth.x_m, before.truth.y_m) == pytest.approx(
        Pose2(8.0, 6.0, 0.3).transform(np.array([0.4, 0.1])) - (12.5, 4.0)
    )


def test_a_town_without_room_is_refused_with_advice():
    with pytest.raises(TownError, match="no free route of 52 m; take another seed or a larger town"):
        find_route(Town.generate(3, 90.0), 65.0, 40.0, np.random.default_rng(0))


def test_the_shortest_drive_that_may_be_asked_for_has_a_route():
    path = plan_route(Town.generate(3, 200.0), LEAST_LENGTH_M, 40.0, np.random.default_rng(0))
    assert 0.8 * LEAST_LENGTH_M <= distance_along_m(path)[-1] <= LEAST_LENGTH_M


def test_of_an_interrupted_drive_nothing_stays(tmp_path):
    """Its bag, which is closed on the way out, would look whole."""

    def interrupted(stamps):
        yield from stamps[:1]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_drive(tmp_path / "drive", 3, replace(CONFIG, image_rate_hz=0.2), interrupted)
    assert not list(tmp_path.iterdir())


def test_town_without_room_is_extended(tmp_path):
    config = DriveConfig(length_m=60.0, town_size_m=90.0, image_rate_hz=0.2, map_metres_per_pixel=1.0)
    drive = simulate_drive(tmp_path, 3, config)
    with rasterio.open(drive / "orthophoto.tif") as raster:
        assert raster.width >= 170
    assert len(np.loadtxt(drive / "truth.tum")) >= 2


def test_cars_in_the_way_are_taken_away():
    """In this town of narrow streets parked cars leave no way through."""
    town = Town.generate(910005, 260.0)
    rng = np.random.default_rng((910005, 4))
    with pytest.raises(TownError):
        plan_route(town, 80.0, 40.0, rng)
    freed, path = find_route(town, 80.0, 40.0, rng)
    assert 76 <= 0.25 * len(path) <= 80
    assert not any(freed.is_blocked(point) for point in path[::4])
    assert freed.parked.sum() > 0.5 * town.parked.sum()  # the others still stand
    assert not (freed.parked & ~town.parked).any()


def test_two_routes_are_of_one_site(tmp_path):
    config = replace(CONFIG, family="park", image_rate_hz=0.2, length_m=60.0)
    first, second = (simulate_drive(tmp_path / str(r), 3, replace(config, route=r)) for r in (0, 1))
    maps = [rasterio.open(drive / "orthophoto.tif").read() for drive in (first, second)]
    np.testing.assert_array_equal(*maps)
    routes = [np.loadtxt(drive / "truth.tum")[0, 1:3] for drive in (first, second)]
    assert np.linalg.norm(routes[0] - routes[1]) > 1
    priors = [next(iter(PairsDataset(drive / "pairs"))).prior.xy_m for drive in (first, second)]
    assert np.linalg.norm((priors[0] - routes[0]) - (priors[1] - routes[1])) > 0.1


def test_only_classic_streets_repeat(tmp_path):
    with pytest.raises(ValueError, match="only classic towns have repeating streets, not park"):
        simulate_drive(tmp_path, 3, replace(CONFIG, family="park", streets="repeating"))
