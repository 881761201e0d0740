"""DINOv2 ViT backbone (Oquab et al., 2023), truncated: patch tokens from two blocks.

Tokens of middle blocks match between different photographs better than those of the last one, and cost less.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xview_localizer.models.dinov2 import IMAGENET_MEAN, IMAGENET_STD, PATCH_PX, POSITION_GRID
from xview_localizer.models.manifest import ModelPackageError
from xview_localizer.models.weights import load_exactly, read_weights

BICUBIC_A = -0.75  # of the kernel that PyTorch and OpenCV use


@dataclass(frozen=True)
class BackboneConfig:
    """A ViT with patches of 14 pixels, and the blocks (0-based) whose tokens are concatenated.

    `trained_norm` normalizes tokens with the network's own last layer, else without weights; `imagenet_colours`
    normalizes the image by ImageNet's mean and deviation first. `position_margin` is added to the number of patches
    when the position table is resized, as DINOv2's own code does.
    """

    width: int = 384
    heads: int = 6
    position_grid: int = POSITION_GRID  # side of the pretrained position table, in patches
    taps: tuple[int, ...] = (4, 9)
    trained_norm: bool = False
    imagenet_colours: bool = True
    position_margin: float = 0.0

    @property
    def channels(self) -> int:
        return self.width * len(self.taps)


class Block(nn.Module):
    """Pre-norm transformer block with LayerScale."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.gamma1 = nn.Parameter(torch.ones(width))
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.gamma2 = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, T, C] to [B, T, C]."""
        b, t, c = tokens.shape
        qkv = self.qkv(self.norm1(tokens)).reshape(b, t, 3, self.heads, c // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.gamma1 * self.proj(attended.transpose(1, 2).reshape(b, t, c))
        return tokens + self.gamma2 * self.fc2(F.gelu(self.fc1(self.norm2(tokens))))


class Backbone(nn.Module):
    """RGB in [0, 1] to normalised patch tokens of the tapped blocks."""

    def __init__(self, config: BackboneConfig = BackboneConfig()) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = nn.Conv2d(3, config.width, PATCH_PX, PATCH_PX)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.cls_position = nn.Parameter(torch.zeros(1, 1, config.width))
        self.position = nn.Parameter(torch.zeros(1, config.width, config.position_grid, config.position_grid))
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(max(config.taps) + 1))
        self.norm = nn.LayerNorm(config.width, eps=1e-6) if config.trained_norm else None
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """[B, 3, 14 h, 14 w] RGB in [0, 1] to [B, channels, h, w]."""
        if self.config.imagenet_colours:
            image = (image - self.mean) / self.std
        patches = self.patch_embed(image)
        b, _, h, w = patches.shape
        tokens = (patches + self._position_at(h, w)).flatten(2).transpose(1, 2)
        cls = (self.cls_token + self.cls_position).expand(b, -1, -1)
        tokens = torch.cat([cls, tokens], dim=1)
        tapped = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in self.config.taps:
                patch_tokens = tokens[:, 1:]
                tapped.append(
                    self.norm(patch_tokens) if self.norm else F.layer_norm(patch_tokens, (self.config.width,))
                )
        return torch.cat(tapped, dim=-1).transpose(1, 2).reshape(b, self.config.channels, h, w)

    def _position_at(self, h: int, w: int) -> Tensor:
        """The position table resized to [1, C, h, w], one axis after the other.

        Resizing all channels at once takes ONNX Runtime a quarter of the whole backbone's time.
        """
        grid = self.config.position_grid
        # The table is the left factor of both products, because quantization applies to right factors only.
        columns = self.position @ self._resize_weights(grid, w).to(self.position).T
        return (columns.transpose(-1, -2) @ self._resize_weights(grid, h).to(self.position).T).transpose(
            -1, -2
        )

    def _resize_weights(self, size_in: int, size_out: int) -> Tensor:
        margin = self.config.position_margin
        return (
            bicubic_weights_with_margin(size_in, size_out, margin)
            if margin
            else bicubic_weights(size_in, size_out)
        )


def bicubic_weights(size_in: int, size_out: int) -> Tensor:
    """Weights [size_out, size_in] by which bicubic interpolation resizes one axis."""
    return F.interpolate(
        torch.eye(size_in)[None, None], size=(size_out, size_in), mode="bicubic", align_corners=False
    )[0, 0]


def bicubic_weights_with_margin(size_in: int, size_out: int, margin: float) -> Tensor:
    """Weights [size_out, size_in] of bicubic interpolation by the factor (size_out + margin) / size_in."""
    source = (torch.arange(size_out, dtype=torch.float32) + 0.5) * (size_in / (size_out + margin)) - 0.5
    first = torch.floor(source)
    weights = torch.zeros(1, size_in)
    for tap in (-1, 0, 1, 2):
        distance = (source - first - tap).abs()
        near = ((BICUBIC_A + 2) * distance - (BICUBIC_A + 3)) * distance**2 + 1
        far = ((BICUBIC_A * distance - 5 * BICUBIC_A) * distance + 8 * BICUBIC_A) * distance - 4 * BICUBIC_A
        share = torch.where(distance <= 1, near, far)
        index = torch.clamp(first + tap, 0, size_in - 1)  # the table's rim is repeated
        weights = weights + share[:, None] * (index[:, None] == torch.arange(size_in)).float()
    return weights


def official_backbone(path: Path, config: BackboneConfig = BackboneConfig()) -> Backbone:
    """The frozen backbone with the weights of a file of DINOv2's official names; further blocks are ignored.

    Raises ModelPackageError where the file cannot be read, or its tensors have other names or shapes.
    """
    backbone = Backbone(config)
    official = {name: tensor.float() for name, tensor in read_weights(path).items()}
    try:
        state = backbone_state(backbone, official)
    except KeyError as error:
        raise ModelPackageError(
            f"{path} lacks the tensor {error.args[0]} of DINOv2's official weights; "
            "xview-localizer models import dinov2 checks such files"
        ) from error
    except ValueError as error:
        raise ModelPackageError(f"{path}: {error}") from error
    load_exactly(backbone, state, path)
    return backbone.eval().requires_grad_(False)


def backbone_state(backbone: Backbone, official: dict[str, Tensor]) -> dict[str, Tensor]:
    """The parameters of `backbone` out of those with DINOv2's official names.

    Raises KeyError where one is missing, ValueError where the position table is not square or of another grid.
    """
    rename = {
        "norm1": "norm1", "norm2": "norm2", "qkv": "attn.qkv", "proj": "attn.proj",
        "fc1": "mlp.fc1", "fc2": "mlp.fc2", "gamma1": "ls1.gamma", "gamma2": "ls2.gamma",
    }  # fmt: skip
    state = {
        "patch_embed.weight": official["patch_embed.proj.weight"],
        "patch_embed.bias": official["patch_embed.proj.bias"],
        "cls_token": official["cls_token"],
    }
    table, grid = official["pos_embed"], backbone.config.position_grid
    if table.ndim != 3 or table.shape[1] != grid**2 + 1:
        raise ValueError(
            f"pos_embed has shape {list(table.shape)}, that of {grid} × {grid} patches is expected"
        )
    state["cls_position"] = table[:, :1]
    state["position"] = table[:, 1:].transpose(1, 2).unflatten(2, (grid, grid))
    for name in backbone.state_dict():
        if name.startswith("blocks."):
            _, index, part, *rest = name.split(".")
            state[name] = official[".".join(["blocks", index, rename[part], *rest])]
        elif name.startswith("norm."):
            state[name] = official[name]
    return state
