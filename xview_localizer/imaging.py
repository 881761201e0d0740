"""Resampling of images: the camera image into the canonical view."""

from __future__ import annotations

import cv2
import numpy as np

from xview_localizer.geometry.canonical_view import CanonicalView
from xview_localizer.geometry.plan_view import PlanView

# What the network sees where there is no image: the mean colour of photographs.
NO_DATA_RGB = (124, 116, 104)


def render_canonical_view(image: np.ndarray, view: CanonicalView) -> np.ndarray:
    """Resample `image` [H, W, 3] uint8 to the canonical raster [rows, columns, 3] uint8.

    Images much finer than the raster are reduced first, so that texture does not alias.
    """
    height, width = image.shape[:2]
    step_px = _median_step_px(view)
    reduction = max(1, int(step_px / 1.5))
    if reduction > 1:
        image = cv2.resize(image, (width // reduction, height // reduction), interpolation=cv2.INTER_AREA)
    scale = np.array([image.shape[1] / width, image.shape[0] / height])
    # Pixel centres lie at +0.5 here and at integers in cv2.remap.
    source = (view.source_uv * scale - 0.5).astype(np.float32)
    source[~view.valid] = -1e4
    border = cv2.BORDER_WRAP if view.wraps else cv2.BORDER_REPLICATE
    canonical = cv2.remap(image, source[..., 0], source[..., 1], cv2.INTER_LINEAR, borderMode=border)
    canonical[~view.valid] = NO_DATA_RGB
    return canonical


def _median_step_px(view: CanonicalView) -> float:
    """Source pixels per canonical row, in the middle of what the camera sees."""
    inside = view.valid[:-1] & view.valid[1:]
    if not inside.any():
        return 1.0
    steps = np.linalg.norm(np.diff(view.source_uv, axis=0)[inside], axis=-1)
    return float(np.median(steps))


def render_plan_view(image: np.ndarray, view: PlanView) -> np.ndarray:
    """Resample `image` [H, W, 3] uint8 to the plan raster [size_px, size_px, 3] uint8."""
    # Pixel centres lie at +0.5 here and at integers in cv2.remap.
    source = (view.source_uv - 0.5).astype(np.float32)
    fine = cv2.remap(image, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    fine[~view.valid] = NO_DATA_RGB
    return cv2.resize(fine, (view.spec.size_px, view.spec.size_px), interpolation=cv2.INTER_AREA)


def network_image(image: np.ndarray) -> np.ndarray:
    """RGB uint8 [H, W, 3] to the networks' float32 [1, 3, H, W] in [0, 1]."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)
