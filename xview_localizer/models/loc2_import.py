"""Import of the released Loc² files as a package of the `loc2` family; only weights are read, no code is run."""

from __future__ import annotations

from pathlib import Path

import torch

from xview_localizer.atomic import filled
from xview_localizer.models.backbone import Backbone
from xview_localizer.models.dinov2 import PATCH_PX
from xview_localizer.models.dinov2_import import dinov2
from xview_localizer.models.export import to_onnx
from xview_localizer.models.loc2 import LOC2, PINHOLE, GroundImageSpec, Loc2Spec
from xview_localizer.models.loc2_head import AerialProjector, Loc2Heads
from xview_localizer.models.manifest import ModelPackageError
from xview_localizer.models.package import ModelPackage, write_manifest
from xview_localizer.models.spec import AerialSpec
from xview_localizer.models.weights import load_exactly, read_weights

CELLS = 41  # of the aerial grid, each way
INVERSE_TEMPERATURE = 10.0  # 1 / τ of the authors' matching
# KITTI's left colour camera: 1242 × 375 px, focal length 721.5 px, principal point (609.6, 172.9).
KITTI_COLUMNS_PX, KITTI_ROWS_PX = 1242, 375
# Its images are stretched to whole patches, so that one focal length serves both axes within 2 %.
STRETCHED_COLUMNS_PX, STRETCHED_ROWS_PX = 1232, 364
KITTI_STRETCH = STRETCHED_COLUMNS_PX / KITTI_COLUMNS_PX
KITTI_GROUND = GroundImageSpec(
    PINHOLE,
    STRETCHED_ROWS_PX,
    STRETCHED_COLUMNS_PX,
    focal_px=721.5 * KITTI_STRETCH,
    centre_column_px=609.6 * KITTI_STRETCH,
    centre_row_px=172.9 * STRETCHED_ROWS_PX / KITTI_ROWS_PX,
)
LICENCE = (
    "Weights: as their authors license them (Loc² code: AGPL-3.0; DINOv2: Apache-2.0). "
    "This package's code is Apache-2.0."
)


def _aerial(image_m: float, image_px: int) -> AerialSpec:
    """The grid whose outermost cells lie on the image's edges."""
    return AerialSpec(image_m / (CELLS - 1), CELLS, image_px, image_m)


# Ground image and aerial image of each, as the authors' data loaders cut them (docs/field_data_sets.md).
VARIANTS: dict[str, tuple[GroundImageSpec, AerialSpec]] = {
    "vigor": (GroundImageSpec(), _aerial(71.0, 630)),
    "kitti": (KITTI_GROUND, _aerial(100.26, 504)),
}


def import_loc2(head_file: Path, backbone_file: Path, variant: str, out: Path) -> ModelPackage:
    """Write the package to `out`. Raises ModelPackageError naming the first missing and unexpected tensors."""
    if variant not in VARIANTS:
        raise ModelPackageError(f"unknown variant {variant!r}; there are {', '.join(VARIANTS)}")
    backbone = dinov2(read_weights(backbone_file), backbone_file)
    heads = Loc2Heads(backbone.config.width)
    load_exactly(heads, read_weights(head_file), head_file)
    ground, aerial = VARIANTS[variant]
    spec = Loc2Spec(
        f"loc2-{variant}", INVERSE_TEMPERATURE, aerial, ground=ground, dustbin=heads.dustbin_score.item()
    )
    command = f"xview-localizer models import loc2 --head HEAD --backbone BACKBONE --variant {variant} --out PACKAGE"
    provenance = f"Imported from {head_file.name} and {backbone_file.name}; not calibrated."
    with filled(out) as fresh:
        _export(backbone, heads.eval(), ground, aerial, fresh)
        write_manifest(fresh, LOC2, spec, LICENCE, provenance, command)
    return ModelPackage.load(out)


def _export(
    backbone: Backbone, heads: Loc2Heads, ground: GroundImageSpec, aerial: AerialSpec, out: Path
) -> None:
    channels, side = backbone.config.channels, aerial.image_px // PATCH_PX
    rows, columns = ground.rows_px // PATCH_PX, ground.columns_px // PATCH_PX
    image = torch.rand(1, 3, 4 * PATCH_PX, 6 * PATCH_PX)
    to_onnx(
        backbone,
        {"image": image},
        {"tokens": {2: "rows", 3: "columns"}},
        {"image": {2: "height", 3: "width"}},
        out / "backbone.onnx",
    )
    ground_tokens, aerial_tokens = torch.rand(1, channels, rows, columns), torch.rand(1, channels, side, side)
    to_onnx(heads.grd_projector, {"tokens": ground_tokens}, {"descriptor": {}}, {}, out / "ground_head.onnx")
    projector = AerialProjector(heads.sat_projector, aerial.block_cells)
    to_onnx(projector, {"tokens": aerial_tokens}, {"descriptor": {}}, {}, out / "aerial_head.onnx")
