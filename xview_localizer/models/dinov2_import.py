"""DINOv2's official weights, checked against the published layout and kept as safetensors under their own names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xview_localizer.models.loc2_import import dinov2, read_weights
from xview_localizer.models.manifest import ModelPackageError


@dataclass(frozen=True)
class Variant:
    """Width and number of blocks of a ViT with patches of 14 pixels."""

    width: int
    blocks: int


VARIANTS = {"vits": Variant(384, 12), "vitb": Variant(768, 12), "vitl": Variant(1024, 24)}


def import_dinov2(weights: Path, variant: str, out: Path) -> None:
    """Write the weights of `variant` to the safetensors file `out`; only tensors are read, no code is run.

    Raises ModelPackageError naming the first missing and unexpected tensors, or the sizes where they are others.
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
