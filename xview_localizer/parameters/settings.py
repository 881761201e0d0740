"""Parameters in the types that the rooms take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xview_localizer.belief.gate import SINGLE_IMAGE_GATE, GateConfig
from xview_localizer.belief.hypotheses import OdometryDrift
from xview_localizer.engines.factory import EngineConfig
from xview_localizer.geometry.levelling import R_BODY_OPTICAL, R_base_optical_from_rpy
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.inputs.mountings import ONLY_CAMERA, CameraMounting, MountingConfig
from xview_localizer.localizer_config import LocalizerConfig
from xview_localizer.models.package import default_package_path
from xview_localizer.parameters.problems import find_problems
from xview_localizer.parameters.table import SettingsError, Values, camera_value, settings_table
from xview_localizer.tracking.keyframes import KeyframeConfig
from xview_localizer.tracking.search import SearchConfig
from xview_localizer.tracking.tracker import TrackerConfig


@dataclass(frozen=True)
class Settings:
    """The table's values in the types that the rooms take."""

    values: Values
    frame: LocalFrame
    package_path: Path
    engines: EngineConfig
    localizer: LocalizerConfig
    tracker: TrackerConfig
    mountings: MountingConfig

    @property
    def map_frame(self) -> str:
        """Frame of the published poses, without the slash in front that tf2 does not take."""
        return str(self.values["frames.map"]).lstrip("/")

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras; that of a single one is empty."""
        return tuple(self.mountings.cameras)

    def transport(self, camera: str) -> str:
        """How a camera's images come: raw or compressed."""
        return str(camera_value(self.values, camera, "transport"))

    def mask_path(self, camera: str) -> Path | None:
        """The mask image of a camera, which marks the robot itself; None where there is none."""
        path = camera_value(self.values, camera, "mask")
        return Path(path).expanduser() if path else None

    def info_path(self, camera: str) -> Path | None:
        """The calibration file that replaces a camera's CameraInfo messages; None where they are waited for."""
        path = str(camera_value(self.values, camera, "info_file"))
        # Drivers take the same file as a URL in their camera_info_url.
        return Path(path.removeprefix("file://")).expanduser() if path else None

    @classmethod
    def from_values(cls, given: Values) -> Settings:
        """Settings of the given values and the defaults of the others; None is not given. Raises SettingsError."""
        given = {name: value for name, value in given.items() if value is not None}
        problems = find_problems(given)
        if problems:
            raise SettingsError("\n".join(problems))
        v: Values = {
            name: given.get(name, setting.default) for name, setting in settings_table(given).items()
        }
        package = v["model.package"]
        return cls(
            values=v,
            frame=LocalFrame(v["datum.latitude_deg"], v["datum.longitude_deg"], v["datum.altitude_m"]),
            package_path=Path(package).expanduser() if package else default_package_path(),
            engines=_engine_config(v),
            localizer=_localizer_config(
                v, given.get("gate.min_confidence", SINGLE_IMAGE_GATE.min_confidence)
            ),
            tracker=_tracker_config(v),
            mountings=_mounting_config(v),
        )


def _engine_config(v: Values) -> EngineConfig:
    return EngineConfig(
        runtime=v["model.runtime"],
        threads=v["model.threads"],
        providers=tuple(v["model.providers"]),
        precision=v["model.precision"],
        cache_folder=v["model.engine_cache_dir"],
        fallback=v["model.fallback"],
    )


def _localizer_config(v: Values, single_image_min_confidence: float) -> LocalizerConfig:
    max_position_sigma_m = v["gate.max_position_sigma_m"]
    return LocalizerConfig(
        map_sigma_m=v["map.sigma_m"],
        gate=GateConfig(
            min_confidence=v["gate.min_confidence"],
            first_min_confidence=v["gate.first_min_confidence"],
            max_position_sigma_m=max_position_sigma_m,
        ),
        single_image_gate=GateConfig(
            min_confidence=single_image_min_confidence,
            max_position_sigma_m=max_position_sigma_m,
        ),
    )


def _tracker_config(v: Values) -> TrackerConfig:
    return TrackerConfig(
        search=SearchConfig(
            gnss_radius_sigmas=v["gnss.radius_sigmas"],
            gnss_min_radius_m=v["gnss.min_radius_m"],
            gnss_max_radius_m=v["gnss.max_radius_m"],
            gnss_max_age_sec=v["gnss.max_age_sec"],
            gnss_drift_m=v["gnss.drift_m"],
            course_window_sec=v["course.window_sec"],
            course_min_baseline_m=v["course.min_baseline_m"],
            max_speed_mps=v["odometry.max_speed_mps"],
            position_drift_ratio=v["odometry.drift_ratio"],
        ),
        odometry_max_gap_sec=v["odometry.max_gap_sec"],
        odometry_drift=OdometryDrift(
            v["odometry.drift_ratio"], float(np.radians(v["odometry.yaw_drift_deg_per_m"]))
        ),
        keyframes=KeyframeConfig(v["keyframes.count"], v["keyframes.spacing_m"]),
    )


def _mounting_config(v: Values) -> MountingConfig:
    antenna_m, imu_rpy_deg = v["gnss.antenna_in_base_m"], v["imu.rpy_deg"]
    return MountingConfig(
        base_frame=v["frames.base"].lstrip("/"),  # as in messages, some write ROS 1's slash
        cameras={camera: _camera_mounting(v, camera) for camera in v["cameras"] or (ONLY_CAMERA,)},
        R_base_imu=None if imu_rpy_deg is None else _R_base_optical(imu_rpy_deg) @ R_BODY_OPTICAL.T,
        antenna_in_base_m=None if antenna_m is None else np.array(antenna_m),
        hold_sec=v["tf.timeout_sec"],
    )


def _camera_mounting(v: Values, camera: str) -> CameraMounting:
    position_m, rpy_deg = (camera_value(v, camera, key) for key in ("position_in_base_m", "rpy_deg"))
    return CameraMounting(
        in_base_m=None if position_m is None else np.array(position_m),
        R_base_camera=None if rpy_deg is None else _R_base_optical(rpy_deg),
        height_m=camera_value(v, camera, "height_m") or None,
    )


def _R_base_optical(rpy_deg: Sequence[float]) -> np.ndarray:
    return R_base_optical_from_rpy(*np.radians(rpy_deg))
