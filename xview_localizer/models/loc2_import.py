"""Import of the released Loc² files as a package of the `loc2` family; only weights are read, no code is run."""

from __future__ import annotations

from pathlib import Path

import torch

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
# KITTI's left colour camera: 1242 × 375 px, focal length 721.5 px, principal point (609.6, 172.9); images are
# stretched to 1232 × 364 px, so that one focal length serves both axes within 2 %.
KITTI_FOCAL_PX = 721.5 * 1232 / 1242
LICENCE = (
    "Weights: as their authors license them (Loc² code: AGPL-3.0; DINOv2: Apache-2.0). "
    "This package's code is Apache-2.0."
)


def _aerial(image_m: float, image_px: int) -> AerialSpec:
    return AerialSpec(image_m / (CELLS - 1), CELLS, image_px, image_m)


VARIANTS: dict[str, tuple[GroundImageSpec, AerialSpec]] = {
    "vigor": (GroundImageSpec(), _aerial(71.0, 630)),
    "kitti": (
        GroundImageSpec(PINHOLE, 364, 1232, KITTI_FOCAL_PX, 609.6 * 1232 / 1242, 172.9 * 364 / 375),
        _aerial(100.26, 504),
    ),
}


def import_loc2(head_file: Path, backbone_file: Path, variant: str, out: Path) -> ModelPackage:
    """Write the package to `out`. Raises ModelPackageError naming the first missing and unexpected tensors."""
    if variant not in VARIANTS:
        raise ModelPackageError(f"unknown variant {variant!r}; there are {', '.join(VARIANTS)}")
    backbone = dinov2(read_weights(backbone_file), backbone_file)
    heads = Loc2Heads(backbone.config.width)
    load_exactly(heads, read_weights(head_file), head_file)
    ground, aerial = VARIANTS[variant]
    out.mkdir(parents=True, exist_ok=True)
    _export(backbone, heads.eval(), ground, aerial, out)
    spec = Loc2Spec(f"loc2-{variant}", 10.0, aerial, ground=ground, dustbin=heads.dustbin_score.item())
    command = f"xview-localizer models import loc2 --head HEAD --backbone BACKBONE --variant {variant} --out PACKAGE"
    provenance = f"Imported from {head_file.name} and {backbone_file.name}; not calibrated."
    write_manifest(out, LOC2, spec, LICENCE, provenance, command)
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
