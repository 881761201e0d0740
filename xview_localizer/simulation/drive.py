"""A simulated drive on disk: bag, orthophoto, calibration (`drive.yaml`) and truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from xview_localizer.aerial.source import AerialImage
from xview_localizer.atomic import new_folder
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.recordings.tum import write_tum
from xview_localizer.simulation.bag_writer import DriveBag, optical_frame
from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.drive_camera import DriveCamera
from xview_localizer.simulation.drive_pairs import DrivePairs
from xview_localizer.simulation.families import CLASSIC
from xview_localizer.simulation.geotiff import write_utm_geotiff
from xview_localizer.simulation.pairs_writer import sample_camera
from xview_localizer.simulation.route import Trajectory, drive_along, find_route
from xview_localizer.simulation.sensors import GnssError, OdometrySample, gnss, imu, wheel_odometry
from xview_localizer.simulation.style import TownStyle
from xview_localizer.simulation.town import Town, TownError
from xview_localizer.simulation.varied import with_weather

SENSOR_RATE_HZ = 50.0
# Least distance of the route from the orthophoto's edge, so that searches around all images lie on the map.
ROUTE_MARGIN_M = 40.0
TOWN_GROWTH_M = (0.0, 80.0, 160.0)  # tried one after the other until the town has a free route


@dataclass(frozen=True)
class RigCamera:
    """One of several cameras: it looks along x of base_link, turned by roll, pitch, yaw.

    Its images are taken `late_sec` after those of the other cameras.
    """

    name: str
    in_base_m: tuple[float, float, float]
    rpy_deg: tuple[float, float, float]
    late_sec: float = 0.0


# A camera on each side of a car; a rig of fewer cameras takes the first ones.
SURROUND = (
    RigCamera("front", (0.4, 0.0, 1.8), (0.4, 1.2, 0.0)),
    RigCamera("left", (0.1, 0.3, 1.8), (0.0, 1.2, 90.0)),
    RigCamera("rear", (-0.6, 0.0, 1.8), (0.0, 1.2, 180.0)),
    RigCamera("right", (0.1, -0.3, 1.8), (0.0, 1.2, -90.0)),
)


@dataclass(frozen=True)
class DriveConfig:
    """One drive. Positions are in base_link; the camera looks along its x, turned by roll, pitch, yaw.

    `cameras`, all of one `kind`, replace the single camera. Drives that differ in `route` alone are of one site: they
    share the town and its orthophoto, and have a way, a light and sensor errors of their own.
    """

    length_m: float = 200.0
    town_size_m: float = 260.0
    kind: str = "equirectangular"
    family: str = CLASSIC  # name in families.py
    route: int = 0
    streets: str = "plain"  # or "repeating": places look alike a whole period further along the road
    image_rate_hz: float = 2.0
    gnss_rate_hz: float = 5.0
    map_metres_per_pixel: float = 0.2
    camera_in_base_m: tuple[float, float, float] = (0.4, 0.0, 1.8)
    camera_rpy_deg: tuple[float, float, float] = (0.4, 1.2, 0.0)
    antenna_in_base_m: tuple[float, float, float] = (-0.6, 0.2, 1.7)
    datum: tuple[float, float, float] = (48.137, 11.575, 0.0)  # latitude, longitude, altitude
    start_sec: float = 1_750_000_000.0
    gnss_error: GnssError = field(default_factory=GnssError)
    cameras: tuple[RigCamera, ...] = ()

    @property
    def rig(self) -> tuple[RigCamera, ...]:
        """The cameras; the name of a single one is empty."""
        return self.cameras or (RigCamera("", self.camera_in_base_m, self.camera_rpy_deg),)


def simulate_drive(
    out: Path | str,
    seed: int,
    config: DriveConfig = DriveConfig(),
    track: Callable[[Iterable], Iterable] = iter,
) -> Path:
    """Write `bag/` (mcap), `orthophoto.tif` (UTM), `drive.yaml`, `truth.tum` and `pairs/` to `out`; returns it.

    `out` appears only once it is complete. Deterministic for a seed and config. base_link moves on the ground, so the
    camera's height above ground is its z in base_link. `track` wraps the stamps to show progress. A town without a free
    route is enlarged; raises TownError where the largest one has none either, and OSError where `out` is not empty.
    """
    out = Path(out)
    with new_folder(out) as unfinished:
        _write_drive(unfinished, seed, config, track)
    return out


def _write_drive(out: Path, seed: int, config: DriveConfig, track: Callable[[Iterable], Iterable]) -> None:
    town, aerial, path_xy_m, rng = _town_with_route(seed, config)
    write_utm_geotiff(out / "orthophoto.tif", aerial, LocalFrame(*config.datum))
    trajectory = drive_along(path_xy_m, SENSOR_RATE_HZ, rng)
    odometry = wheel_odometry(trajectory, rng)
    description = sample_camera(rng, config.kind, vary=False)
    capture = with_weather(Capture.sample(rng), town.weathers, rng)
    cameras = [
        DriveCamera(town, trajectory, description, item.in_base_m, R_base_optical(item), capture)
        for item in config.rig
    ]
    stamps_sec = trajectory.stamp_sec[:: int(SENSOR_RATE_HZ / config.image_rate_hz)][1:].tolist()
    pairs = DrivePairs(out / "pairs", aerial, np.random.default_rng(_key(seed, 5, config.route)))
    with DriveBag(out / "bag", config.start_sec) as bag:
        for item in config.rig:
            bag.add_mounting(
                optical_frame(item.name or "camera"), np.asarray(item.in_base_m), R_base_optical(item)
            )
        _add_sensors(bag, trajectory, odometry, config, rng)
        for stamp_sec in track(stamps_sec):
            bag.add_truth(stamp_sec, trajectory.pose(stamp_sec))
            for item, camera in zip(config.rig, cameras, strict=True):
                shot = camera.shot(stamp_sec + item.late_sec, rng)
                bag.add_image(shot.stamp_sec, shot.jpeg, description, item.name)
                if item.late_sec:
                    bag.add_truth(shot.stamp_sec, shot.base)
                else:
                    pairs.add(shot, odometry[round(stamp_sec * SENSOR_RATE_HZ)].pose)
        bag.write()
    pairs.close()
    (out / "drive.yaml").write_text(yaml.safe_dump(_description(config), sort_keys=False))
    _write_truth(out / "truth.tum", trajectory, stamps_sec, config)


def _write_truth(
    path: Path, trajectory: Trajectory, stamps_sec: Sequence[float], config: DriveConfig
) -> None:
    """The true poses at the stamps of all images, also of cameras that are late."""
    late_secs = {item.late_sec for item in config.rig}
    shown_secs = sorted(stamp_sec + late_sec for stamp_sec in stamps_sec for late_sec in late_secs)
    truth = ((stamp_sec, trajectory.pose(stamp_sec)) for stamp_sec in shown_secs)
    write_tum(
        path, [(config.start_sec + stamp_sec, pose.x_m, pose.y_m, pose.yaw_rad) for stamp_sec, pose in truth]
    )


def R_base_optical(camera: RigCamera) -> np.ndarray:
    """Rotation [3, 3] that takes the camera's optical axes into base_link's."""
    return R_base_optical_from_rpy(*np.radians(camera.rpy_deg))


def _add_sensors(
    bag: DriveBag,
    trajectory: Trajectory,
    odometry: list[OdometrySample],
    config: DriveConfig,
    rng: np.random.Generator,
) -> None:
    """GNSS with its antenna's mounting, odometry and IMU of the whole drive."""
    antenna_in_base_m = np.asarray(config.antenna_in_base_m)
    bag.add_mounting("gnss_antenna", antenna_in_base_m, np.eye(3))
    frame = LocalFrame(*config.datum)
    for fix in gnss(trajectory, antenna_in_base_m, config.gnss_rate_hz, config.gnss_error, rng):
        bag.add_gnss(fix, frame)
    for step in odometry:
        bag.add_odometry(step)
    for sample in imu(trajectory, odometry, rng):
        bag.add_imu(sample)


def _key(seed: int, purpose: int, route: int) -> tuple[int, ...]:
    """The seed of a drive's random numbers for one purpose."""
    return (seed, purpose, route) if route else (seed, purpose)


def _town(seed: int, size_m: float, config: DriveConfig) -> Town:
    """The town of a kind of streets. Raises ValueError for an unknown kind, or a family that has no such streets."""
    if config.streets not in ("plain", "repeating"):
        raise ValueError(f"streets must be 'plain' or 'repeating', got {config.streets!r}")
    if config.streets == "plain":
        return Town.of_family(seed, config.family, size_m)
    if config.family != CLASSIC:
        raise ValueError(f"only {CLASSIC} towns have repeating streets, not {config.family}")
    return Town.generate(seed, size_m, TownStyle.repeating(np.random.default_rng((seed, 6))))


def _town_with_route(
    seed: int, config: DriveConfig
) -> tuple[Town, AerialImage, np.ndarray, np.random.Generator]:
    """Town, orthophoto, free path [N, 2], and the random generator for the rest of the drive. Raises TownError."""
    for growth_m in TOWN_GROWTH_M:
        size_m = config.town_size_m + growth_m
        rng = np.random.default_rng((seed, 4))
        town = _town(seed, size_m, config)
        bounds, capture = Bounds.around(0.0, 0.0, size_m / 2), Capture.sample(rng, aerial=True)
        aerial = town.render_orthophoto(bounds, config.map_metres_per_pixel, capture, rng)
        try:
            driven, path_xy_m = find_route(town, config.length_m, ROUTE_MARGIN_M, rng)
        except TownError as error:
            problem = error
            continue
        if config.route:
            # The town has the size that its first route needs, so that all routes are of one site.
            rng = np.random.default_rng(_key(seed, 4, config.route))
            driven, path_xy_m = find_route(town, config.length_m, ROUTE_MARGIN_M, rng)
        return driven, aerial, path_xy_m, rng
    raise problem


def _description(config: DriveConfig) -> dict:
    latitude_deg, longitude_deg, altitude_m = config.datum
    mountings = {
        item.name: {
            "in_base_m": list(item.in_base_m),
            "rpy_deg": list(item.rpy_deg),
            "height_m": item.in_base_m[2],
        }
        for item in config.rig
    }
    return {
        "datum": {"latitude_deg": latitude_deg, "longitude_deg": longitude_deg, "altitude_m": altitude_m},
        **({"cameras": mountings} if config.cameras else {"camera": mountings[""]}),
        "antenna_in_base_m": list(config.antenna_in_base_m),
        "topics": DriveBag.topics_of([item.name for item in config.cameras]),
        "map": "orthophoto.tif",
        "bag": "bag",
    }
