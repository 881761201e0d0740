"""The `loc2` family: the networks of the Loc² paper as its authors released them.

Graphs:
- `backbone`: image [1, 3, H, W] RGB in [0, 1] -> tokens [1, C, H/14, W/14].
- `ground_head`: tokens -> descriptor [1, D, h, w].
- `aerial_head`: tokens -> descriptor [1, D, cells, cells].

The family predicts no depth: without a separate depth network the cells are lifted onto flat ground. The positions of
cells are end-inclusive in both images, as in training: the first cell lies on one edge of the image, the last one on
the opposite edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from xview_localizer.engines.engine import Engine, InputSizes, SizeRange
from xview_localizer.geometry.canonical_view import directions
from xview_localizer.ground_view import LevelView
from xview_localizer.imaging import network_image, render_rays
from xview_localizer.models.contracts import GroundCells, Networks, OwnDepth
from xview_localizer.models.dinov2 import PATCH_PX
from xview_localizer.models.family import Family
from xview_localizer.models.manifest import Entries, count, number, positive
from xview_localizer.models.spec import AerialSpec, ModelSpec, calibration_from, calibration_to_dict
from xview_localizer.stages import stage

PANORAMA, PINHOLE = "panorama", "pinhole"


@dataclass(frozen=True)
class GroundImageSpec:
    """The input image of the ground network: level, with the forward direction in its middle.

    A panorama spans the sphere; a pinhole image has `focal_px`, and its principal point at (`centre_column_px`,
    `centre_row_px`). Raises ValueError for an unknown projection, a size that is not a multiple of PATCH_PX and a
    pinhole image without a focal length.
    """

    projection: str = PANORAMA
    rows_px: int = 714
    columns_px: int = 1428
    focal_px: float = 0.0
    centre_column_px: float = 0.0
    centre_row_px: float = 0.0

    def __post_init__(self) -> None:
        if self.projection not in (PANORAMA, PINHOLE):
            raise ValueError(f"projection must be {PANORAMA} or {PINHOLE}, got {self.projection!r}")
        if self.rows_px % PATCH_PX or self.columns_px % PATCH_PX:
            raise ValueError(f"the image's sides must be multiples of {PATCH_PX} px")
        if self.projection == PINHOLE and not self.focal_px > 0:
            raise ValueError(f"focal_px of a {PINHOLE} image must be above 0, got {self.focal_px}")

    @property
    def pixel_rays_level(self) -> np.ndarray:
        """Rays [rows_px, columns_px, 3] through the middle of every pixel."""
        return self._rays(np.arange(self.rows_px) + 0.5, np.arange(self.columns_px) + 0.5)

    @property
    def cell_rays_level(self) -> np.ndarray:
        """Unit rays [rows, columns, 3] of the cells, end-inclusive as in training."""
        rows, columns = self.rows_px // PATCH_PX, self.columns_px // PATCH_PX
        rays = self._rays(np.linspace(0, self.rows_px, rows), np.linspace(0, self.columns_px, columns))
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True)

    def _rays(self, v: np.ndarray, u: np.ndarray) -> np.ndarray:
        if self.projection == PANORAMA:
            return directions(np.pi - 2 * np.pi * u / self.columns_px, np.pi / 2 - np.pi * v / self.rows_px)
        left = np.broadcast_to((self.centre_column_px - u) / self.focal_px, (len(v), len(u)))
        up = np.broadcast_to((self.centre_row_px - v)[:, None] / self.focal_px, left.shape)
        return np.stack([np.ones_like(left), left, up], axis=-1)


@dataclass(frozen=True)
class Loc2Spec(ModelSpec):
    """The `spec` of a loc2 package; `dustbin` is the learned score, in cosine / τ."""

    ground: GroundImageSpec = field(default_factory=GroundImageSpec)
    dustbin: float = 1.0


class Loc2Ground:
    """A GroundEncoder whose cells are the patches of a levelled image."""

    def __init__(self, backbone: Engine, head: Engine, spec: Loc2Spec) -> None:
        self._backbone, self._head, self._dustbin = backbone, head, spec.dustbin
        self._pixel_rays_level = spec.ground.pixel_rays_level
        self._cell_rays_level = spec.ground.cell_rays_level

    def describe(self, view: LevelView) -> GroundCells:
        """See GroundEncoder."""
        rows, columns = self._cell_rays_level.shape[:2]
        with stage("view"):
            rays_camera = self._pixel_rays_level @ view.R_level_camera  # = R_level_camera.T @ ray
            image, seen = render_rays(view.image, view.camera, rays_camera)
            valid = seen.reshape(rows, PATCH_PX, columns, PATCH_PX).mean(axis=(1, 3)) > 0.5
        if not valid.any():
            return GroundCells.none()
        with stage("encode"):
            tokens = self._backbone.run({"image": network_image(image)})["tokens"]
            descriptor = self._head.run({"tokens": tokens})["descriptor"][0].transpose(1, 2, 0)
        dustbin = np.full(valid.shape, self._dustbin, np.float32)
        return GroundCells(self._cell_rays_level, valid, descriptor, dustbin)


class Loc2Aerial:
    """The AerialEncoder of the family."""

    def __init__(self, backbone: Engine, head: Engine) -> None:
        self._backbone, self._head = backbone, head

    def describe(self, image: np.ndarray) -> np.ndarray:
        """See AerialEncoder."""
        tokens = self._backbone.run({"image": network_image(image)})["tokens"]
        return self._head.run({"tokens": tokens})["descriptor"][0].transpose(1, 2, 0)


def _networks(engines: Mapping[str, Engine], spec: Loc2Spec) -> Networks:
    backbone = engines["backbone"]
    ground = Loc2Ground(backbone, engines["ground_head"], spec)
    return Networks(spec, ground, Loc2Aerial(backbone, engines["aerial_head"]), OwnDepth())


def _input_sizes(spec: Loc2Spec) -> dict[str, InputSizes]:
    """Sizes of the backbone's image, which are only those of the ground image and of the aerial image."""

    def between(ground_px: int) -> SizeRange:
        aerial_px = spec.aerial.image_px
        return SizeRange(min(ground_px, aerial_px), ground_px, max(ground_px, aerial_px))

    rows_px, columns_px = between(spec.ground.rows_px), between(spec.ground.columns_px)
    return {"backbone": {"image": {2: rows_px, 3: columns_px}}, "ground_head": {}, "aerial_head": {}}


def spec_from_dict(document: object) -> Loc2Spec:
    """`spec` of model.yaml to Loc2Spec. Raises ValueError naming the entry."""
    entry = Entries({"spec": document}).under("spec")
    return Loc2Spec(
        name=entry("name", str),
        inverse_temperature=entry("inverse_temperature", positive),
        aerial=AerialSpec(
            entry("aerial.cell_m", positive),
            entry("aerial.block_cells", count),
            entry("aerial.image_px", count),
            entry("aerial.image_m", positive),
        ),
        calibration=calibration_from(entry),
        ground=GroundImageSpec(
            entry("ground.projection", str),
            entry("ground.rows_px", count),
            entry("ground.columns_px", count),
            entry("ground.focal_px", number),
            entry("ground.centre_column_px", number),
            entry("ground.centre_row_px", number),
        ),
        dustbin=entry("dustbin", number),
    )


def spec_to_dict(spec: Loc2Spec) -> dict:
    """Inverse of `spec_from_dict`."""
    return {
        "name": spec.name,
        "inverse_temperature": spec.inverse_temperature,
        "ground": dict(vars(spec.ground)),
        "aerial": dict(vars(spec.aerial)),
        "dustbin": spec.dustbin,
        "calibration": calibration_to_dict(spec.calibration),
    }


LOC2 = Family(
    "loc2", ("backbone", "ground_head", "aerial_head"), spec_from_dict, spec_to_dict, _input_sizes, _networks
)
