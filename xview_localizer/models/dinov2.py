"""What every DINOv2 ViT has (Oquab et al., 2023), with or without PyTorch at hand."""

from __future__ import annotations

PATCH_PX = 14
HEAD_WIDTH = 64  # of an attention head
