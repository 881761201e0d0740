"""Sizes common to all DINOv2 ViTs (Oquab et al., 2023), importable without PyTorch."""

from __future__ import annotations

PATCH_PX = 14
HEAD_WIDTH = 64  # of an attention head
