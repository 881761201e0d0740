"""The authors' released files as a package of the `loc2` family. Only weights are read, no code of theirs is run."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from xview_localizer.models.backbone import PATCH_PX, Backbone, BackboneConfig, backbone_state
from xview_localizer.models.export import to_onnx
from xview_localizer.models.loc2 import LOC2, PINHOLE, GroundImageSpec, Loc2Spec
from xview_localizer.models.loc2_head import AerialProjector, Loc2Heads
from xview_localizer.models.manifest import ModelPackageError
from xview_localizer.models.package import ModelPackage, write_manifest
from xview_localizer.models.spec import AerialSpec

CELLS = 41
HEAD_WIDTH = 64  # of every DINOv2's attention heads
# DINOv2's own code adds this when it resizes its position table.
POSITION_MARGIN = 0.1
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


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file or a PyTorch checkpoint, without running what it may hold.

    Raises ModelPackageError.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(str(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise ModelPackageError(f"{path} cannot be read as weights: {error}") from error
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise ModelPackageError(f"{path} holds no plain dictionary of tensors; save its state_dict() alone")
    return dict(loaded)


def load_exactly(module: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Give `module` these weights. Raises ModelPackageError where names or shapes are others."""
    expected = module.state_dict()
    missing = [name for name in expected if name not in weights]
    unexpected = [name for name in weights if name not in expected]
    if missing or unexpected:
        raise ModelPackageError(
            f"{path} is of another layout: first missing tensor {next(iter(missing), 'none')}, "
            f"first unexpected {next(iter(unexpected), 'none')}"
        )
    for name, value in expected.items():
        if value.shape != weights[name].shape:
            raise ModelPackageError(
                f"{path}: {name} has shape {list(weights[name].shape)}, {list(value.shape)} is expected"
            )
    module.load_state_dict(weights)


def dinov2(weights: Mapping[str, Tensor], path: Path) -> Backbone:
    """A whole DINOv2 of the official layout (ViT-S, -B, -L without registers): its last layer's normalized tokens.

    Raises ModelPackageError.
    """
    blocks = {name.split(".")[1] for name in weights if name.startswith("blocks.")}
    if "pos_embed" not in weights or not blocks:
        first = next(iter(weights), "none")
        raise ModelPackageError(
            f"{path} is of another layout: first missing tensor pos_embed, first unexpected {first}"
        )
    if "register_tokens" in weights:
        raise ModelPackageError(f"{path} is of another layout: first unexpected tensor register_tokens")
    width, tokens = weights["pos_embed"].shape[-1], weights["pos_embed"].shape[1] - 1
    config = BackboneConfig(
        width, width // HEAD_WIDTH, round(tokens**0.5), (len(blocks) - 1,), True, False, POSITION_MARGIN
    )
    backbone = Backbone(config)
    try:
        load_exactly(backbone, backbone_state(backbone, dict(weights)), path)
    except KeyError as error:
        raise ModelPackageError(
            f"{path} is of another layout: first missing tensor {error.args[0]}"
        ) from error
    return backbone.float().eval().requires_grad_(False)


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
