"""Whether planar depth is declared as a range, or a range as planar depth: the ground plane fits one of them better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xview_localizer.geometry.depth import calibrate_depth
from xview_localizer.models.depth_cuts import Cut
from xview_localizer.models.depth_package import PANORAMA, DepthForm, DepthSpec

# The declared reading is refused where the other one's misfit is below this part of its own. That happened to 12 of
# 52,992 views that were declared right (benchmarks/depth_reading.py), all of depth that was off by 10 % in patches.
CLEARLY_BETTER = 0.5
# Least standard deviation of the cells' log cosines to the optical axis, as in a cut about 50° wide. In a narrower one
# the readings hardly differ.
LEAST_SPREAD = 0.03


def misreading(
    spec: DepthSpec,
    cuts: Sequence[Cut],
    values: Sequence[np.ndarray],
    rays_level: np.ndarray,
    camera_height_m: float,
) -> str:
    """The reason why the values [K × N] of the cuts at the rays [N, 3] are not as declared; empty where they may be."""
    if spec.form is not DepthForm.DEPTH or spec.input.projection == PANORAMA:
        return ""  # points are what they are, and a panorama has no optical axis
    declared, other = 0.0, 0.0
    for cut, value in zip(cuts, values, strict=True):
        cosine = cut.axis_cosine(rays_level)
        below = np.isfinite(value) & (rays_level[:, 2] < 0)
        if not below.any() or np.std(np.log(cosine[below])) < LEAST_SPREAD:
            continue
        planar, along_ray = (
            calibrate_depth(value, spec.kind, rays_level, axis_cosine=each, camera_height_m=camera_height_m)
            for each in (cosine, None)
        )
        if np.isfinite(planar.misfit) and np.isfinite(along_ray.misfit):
            declared += planar.misfit if spec.planar else along_ray.misfit
            other += along_ray.misfit if spec.planar else planar.misfit
    if not other < CLEARLY_BETTER * declared:
        return ""
    meaning = "a range along the ray" if spec.planar else "depth along the optical axis"
    return (
        f"as {meaning} the depth would fit the ground plane {declared / max(other, 1e-6):.1f} times as well; "
        f"write planar: {str(not spec.planar).lower()} in its depth.yaml"
    )
