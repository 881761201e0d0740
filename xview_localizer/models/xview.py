"""The `xview` family: one backbone, light heads for ground and aerial images, and a depth head.

Graphs:
- `backbone`: image [1, 3, H, W] RGB in [0, 1] -> tokens [1, C, H/14, W/14], shared by ground and aerial images. With
  the inputs `kept` and `source` it encodes only the useful rows of a ground view (models/token_rows.py).
- `ground_head`: tokens, image, elevation_rad [1, R], valid [1, R, W], plan [1, 3, S, S] (the plan view),
  plan_xy [1, R, W, 2] (each cell's place on it) -> descriptor [1, D, R, W], dustbin [1, R, W],
  log_range [1, R, W]. In packages with a `depth_head`, features [1, F, R, W] replace log_range.
- `depth_head` (optional): features, elevation_rad -> log_range.
- `aerial_head`: tokens, image -> descriptor [1, D, 2 h, 2 w].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from xview_localizer.engines.engine import Engine, InputSizes, SizeRange
from xview_localizer.geometry.camera import CameraModel
from xview_localizer.geometry.canonical_view import CanonicalView, ViewSpec, canonical_view
from xview_localizer.geometry.depth import DepthKind, DepthPrediction
from xview_localizer.geometry.plan_view import PlanSpec, PlanView, plan_coordinates, plan_view
from xview_localizer.ground_view import LevelView
from xview_localizer.imaging import network_image, render_views
from xview_localizer.models.contracts import GroundCells, Networks, OwnDepth
from xview_localizer.models.dinov2 import PATCH_PX
from xview_localizer.models.family import Family
from xview_localizer.models.manifest import Entries, count, flag, number, positive
from xview_localizer.models.spec import AerialSpec, ModelSpec, calibration_from, calibration_to_dict
from xview_localizer.models.token_rows import leaves_tokens_out, rows_worth_encoding, tokens_of
from xview_localizer.stages import stage

DEG_PER_RAD = 180 / np.pi
TYPICAL_COLUMNS_PX = 364  # width of a 90° camera's view, for which engines are optimized


@dataclass(frozen=True)
class HeadDepthSpec:
    """The meaning of the depth head's output: its kind, and planar depth or range along the ray."""

    kind: DepthKind = DepthKind.RELATIVE
    planar: bool = False


@dataclass(frozen=True)
class XviewSpec(ModelSpec):
    """The `spec` of an xview package. Raises ValueError where plan and aerial cells differ."""

    name: str = "xview-dinov2s"
    view: ViewSpec = field(default_factory=ViewSpec)
    plan: PlanSpec = field(default_factory=PlanSpec)
    depth: HeadDepthSpec = field(default_factory=HeadDepthSpec)

    def __post_init__(self) -> None:
        plan, aerial = self.plan, self.aerial
        if (plan.cell_m, plan.cell_px) != (aerial.cell_m, aerial.cell_px):
            raise ValueError(
                f"plan and aerial must have equal cells, got {plan.cell_m} m in {plan.cell_px} px and "
                f"{aerial.cell_m} m in {aerial.cell_px} px"
            )


class XviewGround:
    """The GroundEncoder of the family: cells of the canonical view."""

    def __init__(self, backbone: Engine, head: Engine, spec: XviewSpec) -> None:
        self._backbone, self._head, self._spec = backbone, head, spec

    def describe(self, view: LevelView) -> GroundCells:
        """See GroundEncoder."""
        spec = self._spec
        with stage("view"):
            attitude = tuple(view.R_level_camera.ravel().tolist())
            canonical, plan = _resampling(view.camera, attitude, view.camera_height_m, spec.view, spec.plan)
            if not canonical.cell_valid.any():
                return GroundCells.none()
            plan_xy = plan_coordinates(
                canonical.cell_azimuth_rad, canonical.cell_elevation_rad, view.camera_height_m, plan.spec
            )
            image, plan_image = map(network_image, render_views(view.image, canonical, plan))
            rows, valid = slice(None), canonical.cell_valid
            if leaves_tokens_out(self._backbone):
                rows = rows_worth_encoding(canonical)
                valid = _within(rows, canonical)
        with stage("encode"):
            cells = self._head.run(
                {
                    "tokens": tokens_of(self._backbone, image, rows),
                    "image": image,
                    "elevation_rad": canonical.cell_elevation_rad[None].astype(np.float32),
                    "valid": canonical.cell_valid[None].astype(np.float32),
                    "plan": plan_image,
                    "plan_xy": plan_xy[None].astype(np.float32),
                }
            )
        described = GroundCells(
            rays_level=canonical.cell_directions,
            valid=valid,
            descriptor=cells["descriptor"][0].transpose(1, 2, 0),
            dustbin=cells["dustbin"][0],
            features=cells.get("features"),
        )
        if "log_range" not in cells:
            return described
        return replace(described, depth=_prediction(cells["log_range"], view, described, spec.depth))


@lru_cache(maxsize=4)  # without an IMU the attitude of each of a few cameras is the same from image to image
def _resampling(
    camera: CameraModel, attitude: tuple[float, ...], camera_height_m: float, view: ViewSpec, plan: PlanSpec
) -> tuple[CanonicalView, PlanView]:
    """Where the pixels of the canonical view and of the plan come from; `attitude` is R_level_camera by rows."""
    R_level_camera = np.reshape(attitude, (3, 3))
    return (
        canonical_view(camera, R_level_camera, view),
        plan_view(camera, R_level_camera, camera_height_m, plan),
    )


def _within(rows: slice, view: CanonicalView) -> np.ndarray:
    """The valid cells [R, C] in the rows of patches that are encoded."""
    patch_row = (np.arange(len(view.cell_valid)) * view.spec.cell_rows_px) // PATCH_PX
    return view.cell_valid & ((patch_row >= rows.start) & (patch_row < rows.stop))[:, None]


class XviewDepth:
    """The DepthEstimator of the family: the depth head over the ground head's features."""

    def __init__(self, head: Engine, spec: XviewSpec) -> None:
        self._head, self._spec = head, spec

    def estimate(self, view: LevelView, cells: GroundCells) -> DepthPrediction | None:
        """See DepthEstimator."""
        if cells.features is None:
            return cells.depth
        elevation_rad = np.arcsin(cells.rays_level[:, 0, 2])[None].astype(np.float32)
        with stage("depth"):
            outputs = self._head.run({"features": cells.features, "elevation_rad": elevation_rad})
        return _prediction(outputs["log_range"], view, cells, self._spec.depth)


def _prediction(
    log_range: np.ndarray, view: LevelView, cells: GroundCells, spec: HeadDepthSpec
) -> DepthPrediction:
    axis_cosine = cells.rays_level @ view.R_level_camera[:, 2] if spec.planar else None
    return DepthPrediction(np.exp(log_range[0]), spec.kind, axis_cosine)


class XviewAerial:
    """The AerialEncoder of the family."""

    def __init__(self, backbone: Engine, head: Engine) -> None:
        self._backbone, self._head = backbone, head

    def describe(self, image: np.ndarray) -> np.ndarray:
        """See AerialEncoder."""
        pixels = network_image(image)
        tokens = tokens_of(self._backbone, pixels)
        return self._head.run({"tokens": tokens, "image": pixels})["descriptor"][0].transpose(1, 2, 0)


def _networks(engines: Mapping[str, Engine], spec: XviewSpec) -> Networks:
    backbone = engines["backbone"]
    return Networks(
        spec,
        XviewGround(backbone, engines["ground_head"], spec),
        XviewAerial(backbone, engines["aerial_head"]),
        XviewDepth(engines["depth_head"], spec) if "depth_head" in engines else OwnDepth(),
    )


def _input_sizes(spec: XviewSpec) -> dict[str, InputSizes]:
    """Ranges of free sizes: the backbone takes views of any width and aerial blocks, the ground heads views only."""
    view, block_px = spec.view, spec.aerial.image_px
    columns_px = SizeRange(view.column_multiple_px, TYPICAL_COLUMNS_PX, max(view.max_columns_px, block_px))
    rows_px = SizeRange(min(view.rows_px, block_px), view.rows_px, max(view.rows_px, block_px))
    cell_columns = columns_px.divided(view.cell_columns_px)
    columns, rows = columns_px.divided(PATCH_PX), view.rows_px // PATCH_PX
    greatest = max((block_px // PATCH_PX) ** 2, rows * columns.greatest)
    patches = SizeRange(1, rows * columns.typical, greatest)
    return {
        "backbone": {"image": {2: rows_px, 3: columns_px}, "kept": {0: patches}, "source": {0: patches}},
        "ground_head": {
            "tokens": {3: columns},
            "image": {3: columns_px},
            "valid": {2: cell_columns},
            "plan_xy": {2: cell_columns},
        },
        "depth_head": {"features": {3: cell_columns}},
        "aerial_head": {},
    }


def spec_from_dict(document: object) -> XviewSpec:
    """`spec` of model.yaml (angles in degrees there) to XviewSpec. Raises ValueError naming the entry."""
    entry = Entries({"spec": document}).under("spec")
    return XviewSpec(
        name=entry("name", str),
        inverse_temperature=entry("inverse_temperature", positive),
        view=ViewSpec(
            rows_px=entry("view.rows_px", count),
            top_elevation_rad=float(np.radians(entry("view.top_elevation_deg", number))),
            rows_px_per_rad=float(entry("view.rows_px_per_deg", positive) * DEG_PER_RAD),
            columns_px_per_rad=float(entry("view.columns_px_per_deg", positive) * DEG_PER_RAD),
            max_columns_px=entry("view.max_columns_px", count),
            column_multiple_px=entry("view.column_multiple_px", count),
            cell_rows_px=entry("view.cell_rows_px", count),
            cell_columns_px=entry("view.cell_columns_px", count),
        ),
        plan=PlanSpec(
            entry("plan.cells", count), entry("plan.cell_m", positive), entry("plan.cell_px", count)
        ),
        aerial=AerialSpec.of_cells(
            entry("aerial.cell_m", positive),
            entry("aerial.block_cells", count),
            entry("aerial.cell_px", count),
        ),
        depth=HeadDepthSpec(entry("depth.kind", DepthKind), entry("depth.planar", flag)),
        calibration=calibration_from(entry),
    )


def spec_to_dict(spec: XviewSpec) -> dict:
    """Inverse of `spec_from_dict`."""
    view, plan, aerial = spec.view, spec.plan, spec.aerial
    return {
        "name": spec.name,
        "inverse_temperature": round(float(spec.inverse_temperature), 4),
        "view": {
            "rows_px": view.rows_px,
            "top_elevation_deg": round(float(np.degrees(view.top_elevation_rad)), 4),
            "rows_px_per_deg": round(view.rows_px_per_rad / DEG_PER_RAD, 4),
            "columns_px_per_deg": round(view.columns_px_per_rad / DEG_PER_RAD, 4),
            "max_columns_px": view.max_columns_px,
            "column_multiple_px": view.column_multiple_px,
            "cell_rows_px": view.cell_rows_px,
            "cell_columns_px": view.cell_columns_px,
        },
        "plan": {"cells": plan.cells, "cell_m": plan.cell_m, "cell_px": plan.cell_px},
        "aerial": {"cell_m": aerial.cell_m, "block_cells": aerial.block_cells, "cell_px": aerial.cell_px},
        "depth": {"kind": spec.depth.kind.value, "planar": spec.depth.planar},
        "calibration": calibration_to_dict(spec.calibration),
    }


XVIEW = Family(
    "xview",
    ("backbone", "ground_head", "aerial_head"),
    spec_from_dict,
    spec_to_dict,
    _input_sizes,
    _networks,
    depth_graph="depth_head",
)
