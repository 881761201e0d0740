"""Import of DINOv2's official weights: checked against the published layout, stored as safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from xview_localizer.models.backbone import Backbone, BackboneConfig, backbone_state
from xview_localizer.models.dinov2 import HEAD_WIDTH
from xview_localizer.models.manifest import ModelPackageError
from xview_localizer.models.weights import load_exactly, read_weights

# DINOv2's own code adds this when it resizes its position table.
POSITION_MARGIN = 0.1


@dataclass(frozen=True)
class Variant:
    """Width and number of blocks of a ViT with patches of 14 pixels."""

    width: int
    blocks: int


VARIANTS = {"vits": Variant(384, 12), "vitb": Variant(768, 12), "vitl": Variant(1024, 24)}


def import_dinov2(weights: Path, variant: str, out: Path) -> None:
    """Write the weights of `variant` to the safetensors file `out`; only tensors are read, no code is run.

    Raises ModelPackageError naming the first missing and unexpected tensors, or sizes of another variant.
    """
    from safetensors.torch import save_file

    if variant not in VARIANTS:
        raise ModelPackageError(f"unknown variant {variant!r}; there are {', '.join(VARIANTS)}")
    official = read_weights(weights)
    config = dinov2(official, weights).config
    found = Variant(config.width, max(config.taps) + 1)
    if found != VARIANTS[variant]:
        fitting = next((name for name, known in VARIANTS.items() if known == found), "none of these")
        raise ModelPackageError(
            f"{weights} has {found.blocks} blocks of width {found.width}, which is {fitting} and not {variant}"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in official.items()}, str(out))


def dinov2(weights: Mapping[str, Tensor], path: Path) -> Backbone:
    """A whole DINOv2 of the official layout (ViT-S, -B, -L without registers); it gives its last block's tokens.

    Raises ModelPackageError where the tensors have another layout.
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
        state = backbone_state(backbone, dict(weights))
    except KeyError as error:
        raise ModelPackageError(
            f"{path} is of another layout: first missing tensor {error.args[0]}"
        ) from error
    except ValueError as error:
        raise ModelPackageError(f"{path} is of another layout: {error}") from error
    load_exactly(backbone, state, path)
    return backbone.float().eval().requires_grad_(False)
