"""Towns as a data set in the `pairs` format: ground images with aerial crop, prior, truth, depth and odometry."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.atomic import write_whole
from xview_localizer.geometry.camera import camera_from_dict
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.pose import Pose2
from xview_localizer.image_file import write_image
from xview_localizer.simulation.camera_places import places_of_images, places_of_keyframes
from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.families import CLASSIC, family_names
from xview_localizer.simulation.layout import unit_circle
from xview_localizer.simulation.town import SIZE_M, Town
from xview_localizer.simulation.varied import (
    LEAN_SIGMA,
    MAX_TILT_DEG,
    METRES_PER_PIXEL,
    sample_any_camera,
    sample_any_capture,
    seam,
    soil_view,
    with_weather,
)

# Room for a prior up to 30 m from the crop's centre, a search of 20 m around it, and the ground seen from its edge.
CROP_M = 120.0
# Least distance of a camera from the town's edge, so that most of its crop lies in the town.
EDGE_M = CROP_M / 2 - 14
# Greatest distance of the crop's middle from the image that it is drawn around, east and north. The other images of
# the crop lie around that one: single ones on both sides, those of a drive before it.
OFF_MIDDLE_M, OFF_MIDDLE_OF_DRIVE_M = 10.0, 8.0
GROUP_SIZE = 4  # single images that share a crop
PLAIN_METRES_PER_PIXEL = (0.15, 0.2, 0.24, 0.3)  # of which each crop draws one, unless the set is varied
KEYFRAME_SEC = 0.5  # between the images of a short drive
PRIOR_RADIUS_M = 20.0
MAX_DEPTH_M = 65.5  # the range of 16-bit millimetres


@dataclass(frozen=True)
class PairsConfig:
    """Settings of a data set.

    `kind` is "equirectangular" or "pinhole"; `keyframes` > 1 makes short drives of that many images (camera_places.py);
    `heading_sigma_deg` adds a heading to the prior, drawn uniformly within that of the truth: like the prior's disc it
    is a bound for the solver, here a wide one.
    """

    kind: str = "equirectangular"
    images_per_town: int = 8
    keyframes: int = 1
    heading_sigma_deg: float | None = None
    vary_camera: bool = True
    town_size_m: float = SIZE_M
    families: tuple[str, ...] = (CLASSIC,)  # names in families.py; each town draws one by its seed
    varied: bool = False  # whether cameras, light and aerial surveys are those of varied.py

    def __post_init__(self) -> None:
        family_names(self.families)


class World(Protocol):
    """A world that can be rendered from the street and from the air; see Town."""

    def render_view(
        self, camera, pose: Pose2, R_base_camera, camera_height_m: float, capture: Capture, rng
    ) -> tuple[np.ndarray, np.ndarray]: ...

    def render_orthophoto(
        self, bounds: Bounds, metres_per_pixel: float, capture: Capture, rng
    ) -> AerialImage: ...


def make_pairs(out: Path | str, seeds: Iterable[int], config: PairsConfig, workers: int = 1) -> None:
    """Write one folder of pairs from the towns of `seeds`; the same arguments give the same files."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    write_index(out, _write_town, [(out, int(seed), config) for seed in seeds], workers)


def write_index(out: Path, write: Callable[[tuple], list[dict]], jobs: Sequence[tuple], workers: int) -> None:
    """Run all jobs, each of which writes its images and returns its entries, and write pairs.jsonl.

    Every job begins with `out`. The entries of each are kept until all are done, so that what an interrupted run has
    written is not written again.
    """
    kept = [out / f"{sha256(repr(job[1:]).encode()).hexdigest()}.entries" for job in jobs]
    tasks = [(write, job, file) for job, file in zip(jobs, kept, strict=True)]
    if workers > 1:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            written = list(pool.map(_written_once, tasks))
    else:
        written = [_written_once(task) for task in tasks]
    lines = [json.dumps(entry) for entries in written for entry in entries]
    write_whole(out / "pairs.jsonl", "\n".join(lines) + "\n")
    for file in kept:
        file.unlink(missing_ok=True)


def _written_once(task: tuple[Callable[[tuple], list[dict]], tuple, Path]) -> list[dict]:
    """The entries of a job: those in its file, or else what it returns, which is stored there."""
    write, job, file = task
    if file.is_file():
        return json.loads(file.read_text())
    entries = write(job)
    write_whole(file, json.dumps(entries))
    return entries


def sample_camera(rng: np.random.Generator, kind: str, vary: bool = True) -> dict:
    """The `camera` record of a panorama or a pinhole camera; varied lenses and sizes if `vary`."""
    if kind == "equirectangular":
        width = int(rng.choice([512, 640, 768])) if vary else 512
        height = width // 2
        record = {
            "model": "equirectangular", "width": width, "height": height, "hfov_deg": 360.0,
            "px_per_deg_v": width / 360, "horizon_row": height / 2,
        }  # fmt: skip
    elif kind == "pinhole":
        width, height = (
            (640, 480) if not vary else [(640, 480), (640, 360), (512, 384), (720, 540)][rng.integers(4)]
        )
        hfov_rad = np.radians(rng.uniform(65, 115) if vary and rng.random() < 0.6 else 90.0)
        focal = width / 2 / np.tan(hfov_rad / 2)
        record = {
            "model": "pinhole", "width": width, "height": height, "fx": float(focal), "fy": float(focal),
            "cx": width / 2, "cy": height / 2, "distortion_model": "none", "d": [],
        }  # fmt: skip
    else:
        raise ValueError(f"kind must be 'equirectangular' or 'pinhole', got {kind!r}")
    record["height_m"] = float(rng.uniform(1.2, 2.6))
    return record


def _write_town(job: tuple[Path, int, PairsConfig]) -> list[dict]:
    out, seed, config = job
    cv2.setNumThreads(1)
    names = family_names(config.families)
    family = names[np.random.default_rng((seed, 5)).integers(len(names))]
    town = Town.of_family(seed, family, config.town_size_m)
    rng = np.random.default_rng((seed, 3))
    entries: list[dict] = []
    crop = 0
    while len(entries) < config.images_per_town:
        group = GROUP_SIZE if config.keyframes == 1 else config.keyframes
        count = min(config.images_per_town - len(entries), group)
        entries += _write_crop(out, town, f"{seed:06d}_{crop}", count, config, rng)
        crop += 1
    return [entry | {"style": family} for entry in entries]


def _write_crop(
    out: Path, town: Town, name: str, count: int, config: PairsConfig, rng: np.random.Generator
) -> list[dict]:
    """Write one aerial crop and `count` images in it (single ones, or one short drive); returns the entries."""
    places = places_of_keyframes if config.keyframes > 1 else places_of_images
    poses = places(town, count, EDGE_M, rng)
    return write_images(out, town, name, poses, config, rng, town.weathers)


def write_images(
    out: Path, world: World, name: str, poses: list[Pose2], config: PairsConfig, rng: np.random.Generator,
    weathers: tuple[str, ...] = (),
) -> list[dict]:  # fmt: skip
    """Write one aerial crop and an image at each of `poses`, in one of `weathers`; returns the entries."""
    is_drive = config.keyframes > 1
    aerial_name = f"{name}_aerial.jpg"
    anchor = poses[-1] if is_drive else poses[0]
    centre, metres_per_pixel = _write_aerial(out / aerial_name, world, anchor, config, rng)
    camera = _camera(config, rng)
    street = with_weather(_capture(config, rng), weathers, rng)
    odometry = Pose2(0.0, 0.0, float(rng.uniform(-np.pi, np.pi)))
    mounting_deg = np.clip(rng.normal(0, 2.0, 2), -4, 4) if config.varied else rng.normal(0, 1.0, 2)
    entries = []
    for index, pose in enumerate(poses):
        if not is_drive:
            street = with_weather(_capture(config, rng), weathers, rng)
        elif index:
            odometry = odometry @ _noisy(poses[index - 1].inverse() @ pose, rng)
        stem = f"{name}_{index}"
        entry = {
            "id": stem,
            "image": f"{stem}_ground.jpg",
            "camera": _write_ground(out, stem, world, pose, camera, mounting_deg, street, config, rng),
            "aerial": {"image": aerial_name, "metres_per_pixel": metres_per_pixel},
            "prior": _prior(pose, centre, config, rng),
            "truth": _pose_entry(pose.x_m - centre[0], pose.y_m - centre[1], pose.yaw_rad)
            | {"tolerance_m": 0.0},
            "depth": f"{stem}_depth.png",
        }
        if is_drive:
            odom = _pose_entry(odometry.x_m, odometry.y_m, odometry.yaw_rad)
            entry |= {"sequence": name, "stamp": KEYFRAME_SEC * index, "odom": odom}
        entries.append(entry)
    return entries


def _camera(config: PairsConfig, rng: np.random.Generator) -> dict:
    if config.varied:
        return sample_any_camera(rng, config.kind)
    return sample_camera(rng, config.kind, config.vary_camera)


def _capture(config: PairsConfig, rng: np.random.Generator, aerial: bool = False) -> Capture:
    return (sample_any_capture if config.varied else Capture.sample)(rng, aerial)


def _write_aerial(
    path: Path, world: World, anchor: Pose2, config: PairsConfig, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Write an orthophoto of CROP_M that shows `anchor`; returns its middle [2] and its metres per pixel.

    In varied data sets buildings lean more, and some photos are joined from two flights.
    """
    reach_m = OFF_MIDDLE_OF_DRIVE_M if config.keyframes > 1 else OFF_MIDDLE_M
    limit_m = config.town_size_m / 2 - CROP_M / 2
    centre = np.array([anchor.x_m, anchor.y_m]) + rng.uniform(-reach_m, reach_m, 2)
    centre = np.clip(centre, -limit_m, limit_m)
    metres_per_pixel = float(rng.choice(METRES_PER_PIXEL if config.varied else PLAIN_METRES_PER_PIXEL))
    half_m = round(CROP_M / 2 / metres_per_pixel) * metres_per_pixel
    bounds, capture = Bounds.around(*centre, half_m), _capture(config, rng, aerial=True)
    if config.varied and isinstance(world, Town):
        aerial = world.render_orthophoto(bounds, metres_per_pixel, capture, rng, LEAN_SIGMA)
    else:
        aerial = world.render_orthophoto(bounds, metres_per_pixel, capture, rng)
    if config.varied:
        seam(rng, aerial.image)
    write_image(path, aerial.image, capture.jpeg_quality)
    return centre, metres_per_pixel


def _write_ground(
    out: Path, stem: str, world: World, pose: Pose2, camera: dict, mounting_deg: np.ndarray, street: Capture,
    config: PairsConfig, rng: np.random.Generator,
) -> dict:  # fmt: skip
    """Write the image of a swaying camera and its depth; returns its record with roll and pitch."""
    roll_deg, pitch_deg = mounting_deg + rng.normal(0, 0.7, 2)
    if config.varied:
        roll_deg, pitch_deg = np.clip((roll_deg, pitch_deg), -MAX_TILT_DEG, MAX_TILT_DEG)
    R_base_camera = R_base_optical_from_rpy(np.radians(roll_deg), np.radians(pitch_deg), 0.0)
    image, range_m = world.render_view(
        camera_from_dict(camera), pose, R_base_camera, camera["height_m"], street, rng
    )
    if config.varied:
        soil_view(rng, image, range_m)
    write_image(out / f"{stem}_ground.jpg", image, street.jpeg_quality)
    write_depth(out / f"{stem}_depth.png", range_m)
    return {**camera, "roll_deg": float(roll_deg), "pitch_deg": float(pitch_deg)}


def _pose_entry(x_m: float, y_m: float, yaw_rad: float) -> dict[str, float]:
    return {"x": x_m, "y": y_m, "yaw_deg": float(np.degrees(yaw_rad))}


def _prior(pose: Pose2, centre: np.ndarray, config: PairsConfig, rng: np.random.Generator) -> dict:
    prior = prior_disc(np.array([pose.x_m, pose.y_m]) - centre, rng)
    if config.heading_sigma_deg is not None:
        offset_deg = rng.uniform(-config.heading_sigma_deg, config.heading_sigma_deg)
        prior |= {
            "yaw_deg": float(np.degrees(pose.yaw_rad) + offset_deg),
            "yaw_sigma_deg": config.heading_sigma_deg,
        }
    return prior


def prior_disc(xy_m: np.ndarray, rng: np.random.Generator) -> dict:
    """A `prior` record with the truth `xy_m` [2] uniformly inside its disc."""
    radius_m, angle_rad = PRIOR_RADIUS_M * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
    x, y = xy_m + radius_m * unit_circle(angle_rad)
    return {"x": float(x), "y": float(y), "sigma_m": PRIOR_RADIUS_M}


def _noisy(step: Pose2, rng: np.random.Generator) -> Pose2:
    """A step of wheel odometry with an error of 1.5 % of its length and 0.1°."""
    length_m = np.hypot(step.x_m, step.y_m)
    x_m, y_m = np.array([step.x_m, step.y_m]) + rng.normal(0, 0.015 * length_m + 0.002, 2)
    return Pose2(float(x_m), float(y_m), step.yaw_rad + float(rng.normal(0, np.radians(0.1))))


def write_depth(path: Path, range_m: np.ndarray) -> None:
    """Write range along the ray [H, W] as 16-bit millimetres; 0 for sky and beyond MAX_DEPTH_M."""
    write_image(path, np.where(range_m < MAX_DEPTH_M, range_m * 1000, 0).astype(np.uint16))
