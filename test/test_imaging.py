"""The input of the networks must not depend on the camera's resolution."""

import cv2
import numpy as np

from xview_localizer.geometry.camera import camera_from_dict
from xview_localizer.geometry.canonical_view import ViewSpec, canonical_view
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.plan_view import PlanSpec, plan_view
from xview_localizer.imaging import render_views

R_LEVEL = R_base_optical_from_rpy(0.0, 0.0, 0.0)


def pinhole(scale: int):
    return camera_from_dict(
        {
            "model": "pinhole", "width": 640 * scale, "height": 480 * scale, "fx": 320.0 * scale,
            "fy": 320.0 * scale, "cx": 320.0 * scale, "cy": 240.0 * scale, "distortion_model": "none", "d": [],
        }
    )  # fmt: skip


def views(image, camera):
    return render_views(
        image, canonical_view(camera, R_LEVEL, ViewSpec()), plan_view(camera, R_LEVEL, 1.6, PlanSpec())
    )


def test_a_high_resolution_camera_shows_the_same(rng=np.random.default_rng(0)):
    image = cv2.GaussianBlur(rng.integers(0, 255, (480, 640, 3), dtype=np.uint8), (0, 0), 2.0)
    # Pixel noise of a fine sensor: what aliases where nobody reduces the image first.
    fine = cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC).astype(np.int16)
    fine = np.clip(fine + rng.integers(-90, 91, fine.shape), 0, 255).astype(np.uint8)
    canonical, plan = (
        np.mean(np.abs(coarse_view.astype(int) - fine_view))
        for coarse_view, fine_view in zip(views(image, pinhole(1)), views(fine, pinhole(4)), strict=True)
    )
    assert canonical < 10 and plan < 2  # 23 and 4 where the image is not reduced
