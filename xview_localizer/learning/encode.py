"""The views of a `pairs` folder as the networks receive them, computed once and stored on disk.

Tokens, where they are stored too, come from the ONNX backbone of the model package, so training and the robot use the
same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.atomic import replaced
from xview_localizer.engines.engine import Engine
from xview_localizer.geometry.canonical_view import CanonicalView, canonical_view
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.plan_view import PlanSpec, plan_coordinates, plan_view
from xview_localizer.imaging import NO_DATA_RGB, network_image, render_views
from xview_localizer.learning.augment import augment_photometric
from xview_localizer.models.token_rows import tokens_of
from xview_localizer.models.xview import XviewSpec
from xview_localizer.recordings.pairs import PairRecord, PairsDataset, PairsError, ground_view

GROUP_SIZE = 4  # images that share an aerial crop
GROUP_EXTENT_M = 20.0  # greatest distance of an image from the first of its group
CROP_OFFSET_M = 8.0  # random offset of the crop's middle from the group's
# Simulated errors of a ground image, at an augmentation of 1: rotation of the mounting, and height of the camera.
MOUNTING_SIGMA_RAD, HEIGHT_LOG_SIGMA = float(np.radians(0.4)), 0.03
# On a robot the camera's height may be unknown; the plan view is then made for an assumed height.
ASSUMED_HEIGHT_SHARE, ASSUMED_HEIGHT_LOG_SIGMA = 0.15, 0.12
CROPPED_SHARE = 0.4  # of views whose vertical field is limited


def encode_pairs(
    dataset: PairsDataset,
    spec: XviewSpec,
    backbone: Engine | None,
    out: Path,
    augment: float = 1.0,
    seed: int = 0,
    track: Callable[[Iterable], Iterable] = iter,
) -> None:
    """Write the features of every ground image of `dataset`, in groups on one aerial crop, to `out`.

    Tokens are stored where a `backbone` is given. Existing files are kept. Photometric augmentation of strength
    `augment` is drawn once per image. Raises PairsError where a record lacks what training needs.
    """
    check_records(dataset)
    out.mkdir(parents=True, exist_ok=True)
    for number, records in enumerate(track(list(_neighbours(dataset)))):
        # Numbered, because aerial images of different folders may have the same name.
        target = out / f"{number:06d}_{records[0].aerial_path.stem}.npz"
        if target.exists():
            continue
        rng = np.random.default_rng((seed, number))
        arrays: dict[str, np.ndarray] = {}
        extent_m = spec.aerial.block_m
        centre_m = np.mean([(record.truth.x_m, record.truth.y_m) for record in records], axis=0)
        centre_m += rng.uniform(-CROP_OFFSET_M, CROP_OFFSET_M, 2)
        crop = InMemoryMap(records[0].load_aerial()).read(
            Bounds.around(*centre_m, extent_m / 2), spec.aerial.metres_per_pixel
        )
        aerial = augment_photometric(crop.image, rng, augment)
        aerial[~crop.valid] = NO_DATA_RGB
        arrays["aerial_image"] = aerial
        if backbone:
            arrays["aerial_tokens"] = _tokens(backbone, aerial)
        arrays["half_extent_m"] = np.float64(extent_m / 2)
        arrays["count"] = np.int64(len(records))
        for index, record in enumerate(records):
            for name, array in _encode_ground(record, centre_m, spec, backbone, augment, rng).items():
                arrays[f"{name}_{index}"] = array
        with replaced(target) as fresh, fresh.open("wb") as file:
            np.savez(file, **arrays)


def check_records(dataset: PairsDataset) -> None:
    """Raise PairsError where there is nothing to learn from, or a record lacks what training needs."""
    dataset.require_pairs()
    for record in dataset:
        if record.truth.yaw_rad is None or record.camera_height_m is None:
            raise PairsError(f"{record.id} lacks truth.yaw_deg or camera.height_m; training needs both")


def _neighbours(dataset: PairsDataset) -> Iterable[list[PairRecord]]:
    """Groups of consecutive records that fit on one aerial crop."""
    group: list[PairRecord] = []
    for record in dataset:
        first = group[0] if group else record
        apart_m = np.hypot(record.truth.x_m - first.truth.x_m, record.truth.y_m - first.truth.y_m)
        if len(group) == GROUP_SIZE or apart_m > GROUP_EXTENT_M or record.aerial_path != first.aerial_path:
            yield group
            group = []
        group.append(record)
    if group:
        yield group


def _encode_ground(
    record: PairRecord,
    centre_m: np.ndarray,
    spec: XviewSpec,
    backbone: Engine | None,
    augment: float,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Canonical view, plan view, tokens, range per cell and truth of one record, with simulated mounting errors."""
    view = ground_view(record)
    R_level_camera = cv2.Rodrigues(rng.normal(0, MOUNTING_SIGMA_RAD, 3) * augment)[0] @ view.R_base_camera
    height_m = record.camera_height_m * float(np.exp(rng.normal(0, HEIGHT_LOG_SIGMA * augment)))
    canonical = canonical_view(view.camera, R_level_camera, spec.view)
    plan_height_m = height_m
    if rng.random() < ASSUMED_HEIGHT_SHARE * augment:
        plan_height_m *= float(np.exp(rng.normal(0, ASSUMED_HEIGHT_LOG_SIGMA)))
    plan = plan_view(view.camera, R_level_camera, plan_height_m, spec.plan)
    if rng.random() < CROPPED_SHARE * augment:
        canonical = with_cropped_field(canonical, rng)
        plan = replace(
            plan, valid=plan.valid & sees_plan(canonical, plan_height_m, plan.valid.shape[0], spec.plan)
        )
    photographed = augment_photometric(view.image, rng, augment)
    image, plan_image = render_views(photographed, canonical, plan)
    tokens = {"tokens": _tokens(backbone, image)} if backbone else {}
    return tokens | {
        "image": image,
        "elevation_rad": canonical.cell_elevation_rad.astype(np.float32),
        "azimuth_rad": canonical.cell_azimuth_rad.astype(np.float32),
        "valid": canonical.cell_valid,
        "range_m": _cell_range_m(record, canonical),
        "height_m": np.float64(height_m),
        "plan": plan_image,
        "plan_xy": plan_coordinates(
            canonical.cell_azimuth_rad, canonical.cell_elevation_rad, plan_height_m, spec.plan
        ).astype(np.float32),
        "pose": np.array(
            [record.truth.x_m - centre_m[0], record.truth.y_m - centre_m[1], record.truth.yaw_rad],
            dtype=np.float32,
        ),
    }


def _tokens(backbone: Engine, image: np.ndarray) -> np.ndarray:
    """Tokens [C, h, w] of an RGB image in half precision, which is finer than the error of int8 weights."""
    return tokens_of(backbone, network_image(image))[0].astype(np.float16)


def _cell_range_m(record: PairRecord, canonical: CanonicalView) -> np.ndarray:
    """Range [R, C] of each cell by the depth image: 0 where that shows nothing, NaN where there is no depth image."""
    if record.depth_path is None:
        return np.full(canonical.cell_valid.shape, np.nan, dtype=np.float32)
    (rows, columns), spec = canonical.cell_valid.shape, canonical.spec
    centre_uv = canonical.source_uv.reshape(rows, spec.cell_rows_px, columns, spec.cell_columns_px, 2)
    centre_uv = centre_uv[:, spec.cell_rows_px // 2, :, spec.cell_columns_px // 2]
    range_m = record.load_range_m()
    u = np.clip(centre_uv[..., 0].astype(int), 0, range_m.shape[1] - 1)
    v = np.clip(centre_uv[..., 1].astype(int), 0, range_m.shape[0] - 1)
    return np.where(canonical.cell_valid, range_m[v, u], 0).astype(np.float32)


def with_cropped_field(view: CanonicalView, rng: np.random.Generator) -> CanonicalView:
    """The view of a camera with a limited vertical field, as many panoramas are strips."""
    lowest_rad, highest_rad = np.radians([rng.uniform(-45, -20), rng.uniform(5, 25)])
    cells = (view.cell_elevation_rad > lowest_rad) & (view.cell_elevation_rad < highest_rad)
    rows = np.repeat(cells, view.spec.cell_rows_px)
    return replace(view, valid=view.valid & rows[:, None], cell_valid=view.cell_valid & cells[:, None])


def sees_plan(view: CanonicalView, camera_height_m: float, side_px: int, spec: PlanSpec) -> np.ndarray:
    """Mask [side_px, side_px] of the plan's points that are not below the view's lowest valid row."""
    rows = np.flatnonzero(view.cell_valid.any(axis=1))
    lowest_rad = view.cell_elevation_rad[rows[-1]] if len(rows) else 0.0
    nearest_m = camera_height_m / np.tan(max(-lowest_rad, 1e-3))
    x_m = (np.arange(side_px) + 0.5) / side_px * 2 * spec.half_extent_m - spec.half_extent_m
    return np.hypot(x_m, x_m[:, None]) > nearest_m
