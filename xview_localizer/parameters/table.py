"""Everything a user may set, in one table: the node declares it, config/localizer.yaml explains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from xview_localizer.engines.factory import RUNTIMES, EngineConfig
from xview_localizer.engines.names import PrecisionName
from xview_localizer.geometry.pose import MAX_SEARCH_RADIUS_M
from xview_localizer.localizer_config import LocalizerConfig
from xview_localizer.tracking.tracker import TrackerConfig

Value = bool | int | float | str | tuple[float, ...] | tuple[str, ...]
# Values by parameter name. A value's type is that of its `Setting`, which is checked when it is given; no static type
# could follow the name.
Values = Mapping[str, Any]


class SettingsError(ValueError):
    """Settings are unknown, missing or out of range; the message lists every problem."""


@dataclass(frozen=True)
class Setting:
    """One parameter. `kind` is a value's or a list item's type; `length` None is a scalar, 0 any length.

    `default` None means that the user must give a value, unless it is `optional`: then the description states what
    replaces it. A path may begin with `~`.
    """

    name: str
    default: Value | None
    description: str
    kind: type[Any] = float
    length: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] | tuple[int, ...] = ()
    read_only: bool = False
    is_path: bool = False
    optional: bool = False

    @property
    def required(self) -> bool:
        return self.default is None and not self.optional

    def problem(self, value: Any) -> str:
        """What is wrong with `value`, or an empty string."""
        if value is None:
            return f"{self.name} has no value; write one, or leave the line out"
        items = [value]
        if self.length is not None:
            if (
                not isinstance(value, Sequence)
                or isinstance(value, str)
                or self.length not in (0, len(value))
            ):
                wanted = f"{self.length or 'any number of'} {self.kind.__name__}s"
                return f"{self.name} must be a list of {wanted}, got {value!r}"
            items = list(value)
        for item in items:
            if type(item) is not self.kind:
                hint = f"; write {item}.0" if self.kind is float and type(item) is int else ""
                return f"{self.name} must be of type {self.kind.__name__}, got {item!r}{hint}"
            if self.kind is float and not np.isfinite(item):
                return f"{self.name} must be finite, got {item}"
            if (
                self.minimum is not None
                and item < self.minimum
                or self.maximum is not None
                and item > self.maximum
            ):
                return f"{self.name} must lie in [{self.minimum}, {self.maximum}], got {item}"
        if self.choices and value not in self.choices:
            return f"{self.name} must be one of {', '.join(map(str, self.choices))}, got {value!r}"
        if self.is_path:
            try:
                Path(value).expanduser()
            except RuntimeError:
                return f"{self.name}: there is no home folder {Path(value).parts[0]}, got {value!r}"
        return ""


_LOCALIZER, _TRACKER, _ENGINES = LocalizerConfig(), TrackerConfig(), EngineConfig()
_GATE, _SEARCH, _DRIFT = _LOCALIZER.gate, _TRACKER.search, _TRACKER.odometry_drift


SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("autostart", False,
            "Configure and activate without a lifecycle manager.", bool, read_only=True),
        Setting("random_seed", 0,
            "Seed of the solver; the same inputs and seed give the same poses.", int, minimum=0),
        Setting("datum.latitude_deg", None,
            "Latitude (WGS84) of the origin of map, degrees.", minimum=-90.0, maximum=90.0),
        Setting("datum.longitude_deg", None,
            "Longitude (WGS84) of the origin of map, degrees.", minimum=-180.0, maximum=180.0),
        Setting("datum.altitude_m", 0.0,
            "Ellipsoidal altitude of the origin of map, metres.", minimum=-1000.0, maximum=10000.0),
        Setting("frames.map", "map", "Frame of the published poses: ENU about the datum.", str),
        Setting("frames.base", "base_link", "Frame of the robot, whose position ~/fix is.", str),
        Setting("tf.timeout_sec", 0.5,
            "Longest wait for a transform at an image's stamp, seconds.", minimum=0.0, maximum=5.0),
        Setting("tf.broadcast_map_to_odom", False,
            "Broadcast the transform from frames.map to odometry's frame; only one node may.", bool),
        Setting("map.source", None,
            "Aerial image: a raster, a folder of rasters, an MBTiles or PMTiles file, or the URL of tiles, a WMS, a "
            "COG or PMTiles.",
            str, is_path=True),
        Setting("map.cache_dir", "",
            "Folder of the tile cache; empty: ~/.cache/xview_localizer/tiles.", str, is_path=True),
        Setting("map.cache_mb", 2000,
            "Size limit of the tile cache, megabytes.", int, minimum=10, maximum=1_000_000),
        Setting("map.tile_px", 256, "Side of a tile, pixels.", int, choices=(256, 512)),
        Setting("map.max_zoom", 20,
            "Finest zoom level that the tile server has.", int, minimum=1, maximum=24),
        Setting("map.shift_east_m", 0.0,
            "What the imagery is moved by before use, east, metres.", minimum=-100.0, maximum=100.0),
        Setting("map.shift_north_m", 0.0,
            "What the imagery is moved by before use, north, metres.", minimum=-100.0, maximum=100.0),
        Setting("map.sigma_m", _LOCALIZER.map_sigma_m,
            "Standard deviation of the imagery's own position, per axis, metres; added to the covariance of poses.",
            minimum=0.0, maximum=20.0),
        Setting("map.timeout_sec", 5.0, "Longest wait for one tile, seconds.", minimum=0.1, maximum=120.0),
        Setting("model.package", "",
            "Folder of a model package; empty: the embedded one.", str, is_path=True),
        Setting("model.depth", "",
            "Folder of a separate depth package; empty: what the model package has.", str, is_path=True),
        Setting("model.runtime", _ENGINES.runtime,
            "What runs the networks; TensorRT builds its engines at the first start.", str, choices=RUNTIMES),
        Setting("model.precision", _ENGINES.precision,
            "Precision of TensorRT engines.", str, choices=tuple(name.value for name in PrecisionName)),
        Setting("model.engine_cache_dir", _ENGINES.cache_folder,
            "Folder of TensorRT engines; empty: ~/.cache/xview_localizer/engines.", str, is_path=True),
        Setting("model.fallback", _ENGINES.fallback,
            "Run in ONNX Runtime what TensorRT cannot, with a warning, instead of failing.", bool),
        Setting("model.threads", _ENGINES.threads,
            "Threads of ONNX Runtime; 0: its own choice.", int, minimum=0, maximum=256),
        Setting("model.providers", _ENGINES.providers,
            "Execution providers of ONNX Runtime, in order; auto alone: the fastest, by trying.", str, length=0),
        Setting("cameras", None,
            "Names of several cameras, such as front and left, with the topics front/image, front/camera_info …; left "
            "out: one camera.", str, length=0, optional=True, read_only=True),
        Setting("camera.position_in_base_m", None,
            "Camera in base_link: x, y, z, metres; left out: by TF.",
            length=3, minimum=-50.0, maximum=50.0, optional=True),
        Setting("camera.rpy_deg", None,
            "Turn of the camera's body (x along the view): roll, pitch (down positive), yaw (left "
            "positive), degrees; left out: by TF.", length=3, minimum=-360.0, maximum=360.0, optional=True),
        Setting("camera.height_m", 0.0,
            "Height of the camera over the ground, metres; 0: unknown, the scale is solved for.",
            minimum=0.0, maximum=50.0),
        Setting("camera.mask", "",
            "Image of the camera's size, black where it shows the robot itself, white elsewhere; empty: none.",
            str, is_path=True),
        Setting("camera.info_file", "",
            "Calibration file of the camera, in place of CameraInfo messages; empty: the messages.",
            str, is_path=True),
        Setting("camera.transport", "raw",
            "Which topic carries the images: image (raw) or image/compressed.",
            str, choices=("raw", "compressed")),
        Setting("imu.rpy_deg", None,
            "Turn of the IMU in base_link: roll, pitch, yaw, degrees; left out: by TF.",
            length=3, minimum=-360.0, maximum=360.0, optional=True),
        Setting("gnss.antenna_in_base_m", None,
            "GNSS antenna in base_link: x, y, z, metres; left out: by TF.",
            length=3, minimum=-50.0, maximum=50.0, optional=True),
        Setting("gnss.radius_sigmas", _SEARCH.gnss_radius_sigmas,
            "Search radius in standard deviations of the GNSS position.", minimum=1.0, maximum=10.0),
        Setting("gnss.min_radius_m", _SEARCH.gnss_min_radius_m,
            "Least search radius around GNSS, metres.", minimum=1.0, maximum=100.0),
        Setting("gnss.max_radius_m", _SEARCH.gnss_max_radius_m,
            "Images with a larger search radius are rejected, metres; memory grows with its square, to some "
            "0.5 GB per image at 200 m.", minimum=10.0, maximum=MAX_SEARCH_RADIUS_M),
        Setting("gnss.max_age_sec", _SEARCH.gnss_max_age_sec,
            "Older GNSS positions are not used, seconds.", minimum=0.1, maximum=60.0),
        Setting("gnss.drift_m", _SEARCH.gnss_drift_m,
            "How far GNSS's error wanders within course.window_sec, metres.", minimum=0.01, maximum=50.0),
        Setting("gnss.default_sigma_m", 10.0,
            "Standard deviation of positions that come without covariance, metres.",
            minimum=0.01, maximum=100.0),
        Setting("course.window_sec", _SEARCH.course_window_sec,
            "Span of GNSS positions that give a heading, seconds.", minimum=1.0, maximum=60.0),
        Setting("course.min_baseline_m", _SEARCH.course_min_baseline_m,
            "Least path that gives a heading, metres.", minimum=1.0, maximum=100.0),
        Setting("odometry.max_gap_sec", _TRACKER.odometry_max_gap_sec,
            "Longest gap that is interpolated, seconds.", minimum=0.01, maximum=5.0),
        Setting("odometry.drift_ratio", _DRIFT.position_ratio,
            "Standard deviation of position gained per metre driven.", minimum=0.001, maximum=0.5),
        Setting("odometry.yaw_drift_deg_per_m", float(np.degrees(_DRIFT.yaw_rad_per_m)),
            "Standard deviation of yaw gained per metre driven, degrees.", minimum=0.001, maximum=10.0),
        Setting("odometry.max_speed_mps", _SEARCH.max_speed_mps,
            "Bounds the motion where there is no odometry, metres per second.", minimum=0.1, maximum=100.0),
        Setting("keyframes.count", _TRACKER.keyframes.count,
            "Images solved together; 1: the current one alone.", int, minimum=1, maximum=20),
        Setting("keyframes.spacing_m", _TRACKER.keyframes.spacing_m,
            "Distance between keyframes, metres.", minimum=0.1, maximum=50.0),
        Setting("gate.min_confidence", _GATE.min_confidence,
            "Least probability that the robot is at the pose found and at no other place.", minimum=0.0, maximum=1.0),
        Setting("gate.first_min_confidence", _GATE.first_min_confidence,
            "The same for the first pose of a drive, the first after 20 m without one, and all without odometry.",
            minimum=0.0, maximum=1.0),
        Setting("gate.max_position_sigma_m", _GATE.max_position_sigma_m,
            "Fixes less certain than this are rejected, metres.", minimum=0.1, maximum=100.0),
        Setting("inputs.wait_sec", 0.25,
            "Longest wait for odometry and IMU to reach an image's stamp, seconds.",
            minimum=0.0, maximum=5.0),
        Setting("inputs.rate_hz", 0.0,
            "Images taken per second at most; 0: as many as can be localized.", minimum=0.0, maximum=100.0),
    )
}  # fmt: skip


# What each of several cameras has of its own, as in camera.front.height_m.
OF_A_CAMERA = ("position_in_base_m", "rpy_deg", "height_m", "mask", "info_file", "transport")


def settings_table(given: Values) -> dict[str, Setting]:
    """SETTINGS, and what each of the `cameras` in `given` has of its own."""
    table = dict(SETTINGS)
    cameras = given.get("cameras") or ()
    if SETTINGS["cameras"].problem(cameras):
        return table
    for camera in cameras:
        for key in OF_A_CAMERA:
            name = f"camera.{camera}.{key}"
            table[name] = replace(SETTINGS[f"camera.{key}"], name=name, default=None, optional=True)
    return table


def camera_value(values: Values, camera: str, key: str) -> Any:
    """A camera's own value, or that of all cameras; `values` may lack the former, but not the latter."""
    own = values.get(f"camera.{camera}.{key}") if camera else None
    return values[f"camera.{key}"] if own is None else own
