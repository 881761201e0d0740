"""Resampling of camera images to what the networks see."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from xview_localizer.geometry.camera import CameraModel
from xview_localizer.geometry.canonical_view import CanonicalView, spans_full_circle
from xview_localizer.geometry.plan_view import PlanView

# The colour given to the networks where there is no image: the mean colour of photographs.
NO_DATA_RGB = (124, 116, 104)
# Greatest number of source pixels per canonical pixel that bilinear sampling takes without aliasing.
MAX_STEP_PX = 1.5


def render_views(
    image: np.ndarray, canonical: CanonicalView, plan: PlanView
) -> tuple[np.ndarray, np.ndarray]:
    """Resample `image` [H, W, 3] uint8 to the canonical raster [rows, columns, 3] and the plan [size_px, size_px, 3].

    An image much finer than the canonical raster is reduced first, so that texture does not alias.
    """
    height, width = image.shape[:2]
    reduction = max(1, int(_median_step_px(canonical) / MAX_STEP_PX))
    if reduction > 1:
        image = cv2.resize(image, (width // reduction, height // reduction), interpolation=cv2.INTER_AREA)
    scale = (image.shape[1] / width, image.shape[0] / height)
    seam = cv2.BORDER_WRAP if canonical.wraps else cv2.BORDER_REPLICATE
    fine_plan = _resample(image, plan.source_uv, scale, plan.valid, seam)
    size_px = plan.spec.size_px
    return (
        _resample(image, canonical.source_uv, scale, canonical.valid, seam),
        cv2.resize(fine_plan, (size_px, size_px), interpolation=cv2.INTER_AREA),
    )


def render_rays(
    image: np.ndarray, camera: CameraModel, rays_camera: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What `camera`'s image [H, W, 3] uint8 shows along rays [rows, columns, 3] in its optical frame, and where it
    shows anything [rows, columns]."""
    shape = rays_camera.shape[:2]
    uv, seen = camera.project(rays_camera.reshape(-1, 3))
    uv, seen = np.where(seen[:, None], uv, 0.0).reshape(*shape, 2), seen.reshape(shape)
    border = cv2.BORDER_WRAP if spans_full_circle(camera) else cv2.BORDER_REPLICATE
    return _resample(image, uv, (1.0, 1.0), seen, border), seen


def _resample(
    image: np.ndarray, uv: np.ndarray, scale: tuple[float, float], valid: np.ndarray, border: int
) -> np.ndarray:
    # Pixel centres lie at +0.5 here and at integers in cv2.remap.
    u, v = (uv[..., axis].astype(np.float32) * np.float32(scale[axis]) - np.float32(0.5) for axis in (0, 1))
    resampled = cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=border)
    return cv2.copyTo(_no_data(resampled.shape), (~valid).view(np.uint8), resampled)


@lru_cache(maxsize=8)  # the same from image to image
def _no_data(shape: tuple[int, int, int]) -> np.ndarray:
    image = np.full(shape, NO_DATA_RGB, np.uint8)
    image.flags.writeable = False
    return image


def _median_step_px(view: CanonicalView) -> float:
    """Source pixels per canonical row, in the middle of what the camera sees."""
    uv, valid = view.source_uv[:, ::16], view.valid[:, ::16]
    inside = valid[:-1] & valid[1:]
    if not inside.any():
        return 1.0
    return float(np.median(np.linalg.norm(np.diff(uv, axis=0)[inside], axis=-1)))


def network_image(image: np.ndarray) -> np.ndarray:
    """RGB uint8 [H, W, 3] to the networks' float32 [1, 3, H, W] in [0, 1]."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)
