"""Numbers common to all DINOv2 ViTs (Oquab et al., 2023), importable without PyTorch."""

from __future__ import annotations

PATCH_PX = 14
HEAD_WIDTH = 64  # of an attention head
POSITION_GRID = 37  # the pretrained position table is POSITION_GRID²: images of 518 px
# Mean and standard deviation of RGB in [0, 1] over ImageNet, by which its images are normalized.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
