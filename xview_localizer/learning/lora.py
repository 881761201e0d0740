"""Low-rank adaptation of the backbone (LoRA, Hu et al., 2021): W x + B A x, with only A and B trained.

B A is merged into W before export, so inference does not become slower.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xview_localizer.models.backbone import Backbone

ADAPTED = ("qkv", "proj", "fc1", "fc2")  # the linear layers of a transformer block


class LowRankLinear(nn.Module):
    """A frozen linear layer with a trained correction of low rank, zero at the start."""

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        self.linear = linear
        self.down = nn.Parameter(torch.randn(rank, linear.in_features) / linear.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + nn.functional.linear(nn.functional.linear(x, self.down), self.up)

    @property
    def merged_weight(self) -> Tensor:
        """The weight [out, in] of an equivalent plain layer."""
        return self.linear.weight + self.up @ self.down


def adapt(backbone: Backbone, rank: int) -> None:
    """Freeze `backbone`; where `rank` is not 0, give each of its linear layers a trained correction of that rank."""
    backbone.requires_grad_(False)
    for block in backbone.blocks if rank else ():
        for name in ADAPTED:
            setattr(block, name, LowRankLinear(getattr(block, name), rank))


@torch.no_grad()
def merged(backbone: Backbone) -> Backbone:
    """A plain backbone equivalent to an adapted one."""
    plain = Backbone(backbone.config)
    weights = {name.replace(".linear.", "."): value for name, value in backbone.state_dict().items()}
    for name, layer in backbone.named_modules():
        if isinstance(layer, LowRankLinear):
            weights[f"{name}.weight"] = layer.merged_weight
            del weights[f"{name}.up"], weights[f"{name}.down"]
    plain.load_state_dict(weights)
    return plain
