"""From a network's depth prediction to metric range, calibrated on the ground plane.

A ray that points below the horizon meets level ground at the range h / sin(-elevation), h the camera's
height. Cells that do look at the ground therefore fix the unknown scale (and shift) of a prediction, and
show whether the prediction can be trusted. Walls, cars and slopes are outliers of that fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

FAR_RANGE_M = 1000.0  # an inverse depth below 1 / FAR_RANGE_M is sky
ASSUMED_HEIGHT_M = 1.5  # where no height is known; only sets the unit and which cells count as near


class DepthKind(Enum):
    """The meaning of a depth prediction's values."""

    METRIC = "metric"  # metres
    RELATIVE = "relative"  # metres up to one factor per image
    AFFINE_INVERSE = "affine_inverse"  # a / metres + b, both unknown, a > 0


@dataclass(frozen=True)
class DepthPrediction:
    """A network's prediction of the depth of some rays.

    `axis_cosine` is the cosine between each ray and the optical axis where the depth is planar; None where it is a
    range along the ray. `doubt` is the reason not to believe it, where the one that predicts it has found one.
    """

    values: np.ndarray
    kind: DepthKind
    axis_cosine: np.ndarray | None = None
    doubt: str = ""


@dataclass(frozen=True)
class DepthCheck:
    """The conditions under which ground cells confirm a prediction."""

    max_ground_range_m: float = 25.0  # further out, a degree of tilt spoils the ground's range
    tolerance: float = 0.15  # relative range error of a ground cell that agrees
    min_ground_cells: int = 12
    # Walls and cars may hide most of the ground. By chance, once a scale and a shift are fitted, 0.4 of the cells agree
    # in one of a hundred images that networks of random weights see, and 0.3 in one of five.
    min_inlier_ratio: float = 0.4
    # Least share of the ground's extent in log depth that the agreeing cells cover. A constant depth agrees with a
    # third of the cells, which cover only 0.15 to 0.2 of the extent.
    min_inlier_extent: float = 0.3
    max_metric_scale_error: float = 0.35  # a metric prediction further off than this is not metric
    hypotheses: int = 256


@dataclass(frozen=True)
class CalibratedDepth:
    """`range_m` [N] along the ray, inf for sky.

    Depth is scale * prediction, or 1 / (scale * prediction + shift) where the prediction is inverse.
    `metric` is False where no camera height fixed the unit: then `range_m` is right up to one factor.
    `misfit` is the mean error of the ground's log depth, where the errors of single cells count up to the tolerance.
    `agrees` is False, with a `reason`, where the ground contradicts the prediction or cannot calibrate it.
    """

    range_m: np.ndarray
    scale: float
    shift: float
    metric: bool
    misfit: float
    agrees: bool
    reason: str


def flat_ground_range_m(
    rays_level: np.ndarray, camera_height_m: float, max_range_m: float = np.inf
) -> np.ndarray:
    """Range [N] at which unit rays [N, 3] (z up) meet level ground; inf above the horizon or too far."""
    down = -np.asarray(rays_level, dtype=np.float64)[:, 2]
    range_m = camera_height_m / np.where(down > 0, down, np.nan)
    return np.where(range_m <= max_range_m, range_m, np.inf)


def calibrate_depth(
    prediction: np.ndarray,
    kind: DepthKind | str,
    rays_level: np.ndarray,
    *,
    axis_cosine: np.ndarray | None = None,
    camera_height_m: float | None = None,
    check: DepthCheck = DepthCheck(),
    seed: int = 0,
) -> CalibratedDepth:
    """Turn a prediction [N] into range along the unit rays `rays_level` [N, 3] (x forward, y left, z up).

    `axis_cosine` [N] is the cosine between each ray and the optical axis where the prediction is a planar
    depth; None where it is a range.
    Without a camera height, the ground still gives the shift and the check, up to one factor.
    """
    kind = DepthKind(kind)  # also takes the name that a model package writes; anything else is a ValueError
    prediction = np.asarray(prediction, dtype=np.float64)
    axis_cosine = (
        np.ones_like(prediction) if axis_cosine is None else np.asarray(axis_cosine, dtype=np.float64)
    )
    height_m = ASSUMED_HEIGHT_M if camera_height_m is None else camera_height_m
    ground_depth = flat_ground_range_m(rays_level, height_m, check.max_ground_range_m) * axis_cosine
    fit = _fit_to_ground(prediction, ground_depth, kind, check, seed)
    reason = _disagreement(fit, kind, camera_height_m is not None, check)
    if camera_height_m is None and kind is not DepthKind.AFFINE_INVERSE:
        fit = replace(fit, scale=1.0)  # an assumed height does not fix the unit
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = _depth(prediction, kind, fit)
        range_m = np.where(axis_cosine > 0, depth / axis_cosine, np.inf)
    return CalibratedDepth(
        range_m=range_m,
        scale=fit.scale,
        shift=fit.shift,
        metric=kind is DepthKind.METRIC or camera_height_m is not None,
        misfit=fit.misfit,
        agrees=not reason,
        reason=reason,
    )


@dataclass(frozen=True)
class _GroundFit:
    """The depth of the ground cells as a function of their prediction: see CalibratedDepth."""

    cells: int
    scale: float = 1.0
    shift: float = 0.0
    inlier_ratio: float = 0.0
    inlier_extent: float = 1.0
    misfit: float = math.inf


def _fit_to_ground(
    prediction: np.ndarray, ground_depth: np.ndarray, kind: DepthKind, check: DepthCheck, seed: int
) -> _GroundFit:
    """Scale and shift from those cells [N] that have both a depth of the ground and a prediction."""
    usable = np.isfinite(ground_depth) & (ground_depth > 0) & np.isfinite(prediction)
    if kind is not DepthKind.AFFINE_INVERSE:
        usable &= prediction > 0
    cells = int(np.count_nonzero(usable))
    if cells < check.min_ground_cells:
        return _GroundFit(cells)
    prediction, ground_depth = prediction[usable], ground_depth[usable]
    if kind is DepthKind.AFFINE_INVERSE:
        fit = _GroundFit(cells, *_fit_inverse(prediction, ground_depth, check, seed))
    else:
        scale, inlier_ratio = _fit_scale(prediction, ground_depth, check.tolerance)
        fit = _GroundFit(cells, scale, inlier_ratio=inlier_ratio)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.abs(np.log(_depth(prediction, kind, fit)) - np.log(ground_depth))
    greatest = np.log1p(check.tolerance)
    return replace(
        fit,
        inlier_extent=_inlier_extent(error <= greatest, np.log(ground_depth)),
        misfit=float(np.minimum(error, greatest).mean()),
    )


def _inlier_extent(agree: np.ndarray, log_ground: np.ndarray) -> float:
    """Extent (5 % to 95 %) in log depth of the ground cells that agree, over that of all of them."""
    if not agree.any():
        return 0.0
    low, high = np.quantile(log_ground, (0.05, 0.95))
    inlier_low, inlier_high = np.quantile(log_ground[agree], (0.05, 0.95))
    return float((inlier_high - inlier_low) / max(high - low, 1e-9))


def _disagreement(fit: _GroundFit, kind: DepthKind, height_known: bool, check: DepthCheck) -> str:
    """The reason why the prediction is not trusted; empty where it is."""
    if fit.cells < check.min_ground_cells:
        return f"only {fit.cells} cells see the ground nearer than {check.max_ground_range_m:g} m"
    if fit.inlier_ratio < check.min_inlier_ratio:
        return f"the depth agrees with the ground plane in only {fit.inlier_ratio:.0%} of the ground cells"
    if fit.inlier_extent < check.min_inlier_extent:
        return "the depth agrees with the ground plane at one distance only, as any constant would"
    if kind is DepthKind.METRIC and height_known:
        if abs(np.log(fit.scale)) > np.log1p(check.max_metric_scale_error):
            return (
                f"the metric depth differs by a factor of {fit.scale:.2f} from what the camera height implies"
            )
    return ""


def _depth(prediction: np.ndarray, kind: DepthKind, fit: _GroundFit) -> np.ndarray:
    """Depth [N] in the prediction's own sense (range or planar), inf for sky."""
    if kind is DepthKind.AFFINE_INVERSE:
        inverse = fit.scale * prediction + fit.shift
        return np.where(inverse > 1 / FAR_RANGE_M, 1 / inverse, np.inf)
    return np.where(prediction > 0, fit.scale * prediction, np.inf)


def _fit_scale(prediction: np.ndarray, depth: np.ndarray, tolerance: float) -> tuple[float, float]:
    """Factor from prediction to depth with most inliers, and their share.

    The densest window of log ratios: what hides the ground is always nearer than the ground, so the
    outliers lie on one side and would pull a median along.
    """
    log_ratio = np.sort(np.log(depth / prediction))
    end = np.searchsorted(log_ratio, log_ratio + 2 * np.log1p(tolerance), side="right")
    counts = end - np.arange(len(log_ratio))
    first = int(np.argmax(counts))
    return float(np.exp(np.median(log_ratio[first : end[first]]))), float(counts[first] / len(log_ratio))


def _fit_inverse(
    prediction: np.ndarray, depth: np.ndarray, check: DepthCheck, seed: int
) -> tuple[float, float, float]:
    """(scale, shift, inlier ratio) of 1 / depth = scale * prediction + shift.

    Two-point hypotheses, all scored at once by the relative error of depth, then least squares with the
    relative error's weights on the inliers.
    """
    inverse = 1 / depth
    rng = np.random.default_rng(seed)
    first, second = rng.integers(len(depth), size=(2, check.hypotheses))
    rise = prediction[first] - prediction[second]
    with np.errstate(divide="ignore", invalid="ignore"):
        scales = (inverse[first] - inverse[second]) / rise
        shifts = inverse[first] - scales * prediction[first]
        relative_error = (scales[:, None] * prediction + shifts[:, None]) / inverse - 1
    inliers = (np.abs(relative_error) <= check.tolerance) & (scales > 0)[:, None]  # False where NaN
    best = inliers[np.argmax(inliers.sum(axis=1))]
    scale, shift = 1.0, 0.0
    for _ in range(3):
        if np.count_nonzero(best) < check.min_ground_cells:
            return 1.0, 0.0, float(best.mean())
        A = np.stack([prediction, np.ones_like(prediction)], axis=-1)[best] / inverse[best, None]
        scale, shift = np.linalg.lstsq(A, np.ones(len(A)), rcond=None)[0]
        best = np.abs((scale * prediction + shift) / inverse - 1) <= check.tolerance
    return float(scale), float(shift), float(best.mean()) if scale > 0 else 0.0
