"""Camera models: pixels to viewing rays and back.

Rays are in the optical frame: z forward, x right, y down. Pixels `uv` have their centres at +0.5, so the
image spans [0, width) × [0, height). OpenCV and sensor_msgs/CameraInfo put pixel centres at whole
numbers; `camera_from_info_fields` makes up for the half pixel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from xview_localizer.geometry.distortion import EquidistantLens, PerspectiveLens, make_lens

# Greatest plausible distance of the principal point from the image's middle in both directions, in image sizes: a k
# that belongs to an image of half the size puts it 0.25 off.
MAX_OFF_CENTRE = 0.2
# The principal point of a cropped image may lie outside of it, but not further than this many image sizes.
MAX_OUTSIDE = 2.0
# The longest side of a JPEG; a lens is tried at each column, and a wider image is a fault that would fill the memory.
MAX_SIDE_PX = 65535
# Calibrated skew is some thousandths of fx; a greater one comes from a matrix in column-major order.
MAX_SKEW_RATIO = 0.05


class CameraModel(Protocol):
    """The interface of camera models."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def azimuth_range_rad(self) -> tuple[float, float]:
        """Least and greatest azimuth (right positive, 0 along z) in the row of the principal point or the horizon."""
        ...

    @property
    def horizontal_fov_rad(self) -> float:
        """Angle covered by that row, at most a full circle."""
        ...

    def rays(self, uv: np.ndarray) -> np.ndarray:
        """Unit rays [N, 3] of pixels [N, 2]; NaN where the model gives no ray."""
        ...

    def project(self, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [N, 2] of rays [N, 3] of any length, and the mask [N] of those that the image shows.

        Pixels outside the mask have no meaning.
        """
        ...


def _require_positive(**values: float) -> None:
    for name, value in values.items():
        if not np.isfinite(value) or value <= 0:
            raise ValueError(f"camera {name} must be finite and positive, got {value}")


def _require_finite(**values: float) -> None:
    for name, value in values.items():
        if not np.isfinite(value):
            raise ValueError(f"camera {name} must be finite, got {value}")


def _inside(uv: np.ndarray, width: int, height: int) -> np.ndarray:
    return (uv[:, 0] >= 0) & (uv[:, 0] < width) & (uv[:, 1] >= 0) & (uv[:, 1] < height)


@dataclass(frozen=True)
class PinholeCamera:
    """A single-lens camera. `distortion_model`: none, plumb_bob, rational_polynomial or equidistant.

    `fx`, `fy`, `cx`, `cy`, `skew` in pixels with pixel centres at +0.5 (u = fx x + skew y + cx, v = fy y + cy);
    `distortion` as in CameraInfo's `d`. Raises ValueError for an unknown model, a wrong number of coefficients,
    impossible intrinsics, or where the lens gives no ray for any pixel of the principal point's row.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = "none"
    distortion: tuple[float, ...] = ()
    skew: float = 0.0

    def __post_init__(self) -> None:
        _require_positive(width=self.width, height=self.height, fx=self.fx, fy=self.fy)
        if self.width > MAX_SIDE_PX:
            raise ValueError(f"camera width {self.width} is more than images have, {MAX_SIDE_PX} px")
        _require_finite(cx=self.cx, cy=self.cy, skew=self.skew)
        self.azimuth_range_rad  # noqa: B018 - refuse a bad lens now, not at the first image

    @cached_property
    def _lens(self) -> PerspectiveLens | EquidistantLens:
        return make_lens(self.distortion_model, self.distortion)

    @cached_property
    def azimuth_range_rad(self) -> tuple[float, float]:
        columns = np.arange(self.width + 1.0)
        rays = self.rays(np.column_stack([columns, np.full(len(columns), self.cy)]))
        azimuth = np.arctan2(rays[:, 0], rays[:, 2])
        azimuth = azimuth[np.isfinite(azimuth)]
        if not len(azimuth):
            raise ValueError(
                f"the lens gives no ray for any column of the image: principal point ({self.cx:.0f}, {self.cy:.0f}) of "
                f"{self.width} × {self.height} px, {self.distortion_model} {list(self.distortion)}; calibrate again"
            )
        return float(azimuth.min()), float(azimuth.max())

    @property
    def horizontal_fov_rad(self) -> float:
        least_rad, greatest_rad = self.azimuth_range_rad
        return greatest_rad - least_rad

    def rays(self, uv: np.ndarray) -> np.ndarray:
        uv = np.asarray(uv, dtype=np.float64)
        points = (uv - (self.cx, self.cy)) / (self.fx, self.fy)
        if self.skew:
            points[:, 0] -= self.skew / self.fx * points[:, 1]
        return self._lens.rays_from_points(points)

    def project(self, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points, seen = self._lens.points_from_rays(np.asarray(rays, dtype=np.float64))
        uv = points * (self.fx, self.fy) + (self.cx, self.cy)
        if self.skew:
            uv[:, 0] += self.skew * points[:, 1]
        return uv, seen & _inside(uv, self.width, self.height)


@dataclass(frozen=True)
class EquirectangularCamera:
    """A panorama: columns are azimuths (clockwise to the right), rows are elevations.

    `centre_column` looks along z of the optical frame, `horizon_row` is the row of elevation 0.
    An image that spans the full circle wraps.
    """

    width: int
    height: int
    px_per_rad_h: float
    px_per_rad_v: float
    centre_column: float
    horizon_row: float

    def __post_init__(self) -> None:
        _require_positive(width=self.width, height=self.height)
        _require_positive(px_per_rad_h=self.px_per_rad_h, px_per_rad_v=self.px_per_rad_v)
        _require_finite(centre_column=self.centre_column, horizon_row=self.horizon_row)

    @property
    def azimuth_range_rad(self) -> tuple[float, float]:
        return (
            -self.centre_column / self.px_per_rad_h,
            (self.width - self.centre_column) / self.px_per_rad_h,
        )

    @property
    def horizontal_fov_rad(self) -> float:
        return min(self.width / self.px_per_rad_h, 2 * np.pi)

    def rays(self, uv: np.ndarray) -> np.ndarray:
        uv = np.asarray(uv, dtype=np.float64)
        azimuth = (uv[:, 0] - self.centre_column) / self.px_per_rad_h
        elevation = (self.horizon_row - uv[:, 1]) / self.px_per_rad_v
        x, z = np.cos(elevation) * np.sin(azimuth), np.cos(elevation) * np.cos(azimuth)
        rays = np.stack([x, -np.sin(elevation), z], axis=-1)
        return np.where((np.abs(elevation) <= np.pi / 2)[:, None], rays, np.nan)

    def project(self, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, y, z = np.asarray(rays, dtype=np.float64).T
        column = self.centre_column + np.arctan2(x, z) * self.px_per_rad_h
        row = self.horizon_row + np.arctan2(y, np.hypot(x, z)) * self.px_per_rad_v
        circle_px = 2 * np.pi * self.px_per_rad_h
        column -= circle_px * np.floor(column / circle_px)  # ten times as fast as np.mod
        uv = np.stack([column, row], axis=-1)
        return uv, _inside(uv, self.width, self.height) & ((x != 0) | (y != 0) | (z != 0))


def camera_from_dict(record: Mapping[str, Any]) -> CameraModel:
    """Camera of the `camera` record of a `pairs` data set (pixel centres at +0.5).

    Pinhole: width, height, fx, fy, cx, cy and optionally distortion_model, d, skew. Equirectangular: width,
    height, hfov_deg, px_per_deg_v, horizon_row and optionally centre_column (default: the image's middle).
    Raises ValueError for an unknown model, a missing key or an impossible value.
    """
    model = record.get("model")
    try:
        width, height = int(record["width"]), int(record["height"])
        if model == "pinhole":
            return PinholeCamera(
                width,
                height,
                fx=float(record["fx"]),
                fy=float(record["fy"]),
                cx=float(record["cx"]),
                cy=float(record["cy"]),
                distortion_model=record.get("distortion_model", "none"),
                distortion=tuple(float(value) for value in record.get("d", ())),
                skew=float(record.get("skew", 0.0)),
            )
        if model == "equirectangular":
            hfov_deg = float(record["hfov_deg"])
            _require_positive(hfov_deg=hfov_deg)
            return EquirectangularCamera(
                width,
                height,
                px_per_rad_h=float(width / np.radians(hfov_deg)),
                px_per_rad_v=float(np.degrees(record["px_per_deg_v"])),
                centre_column=float(record.get("centre_column", width / 2)),
                horizon_row=float(record["horizon_row"]),
            )
    except KeyError as error:
        raise ValueError(f"camera record of model '{model}' lacks the key {error}") from error
    raise ValueError(f"unknown camera model '{model}'; accepted are pinhole, equirectangular")


def camera_to_dict(camera: PinholeCamera | EquirectangularCamera) -> dict[str, Any]:
    """The `camera` record from which `camera_from_dict` makes `camera`."""
    record: dict[str, Any] = {"width": camera.width, "height": camera.height}
    if isinstance(camera, PinholeCamera):
        record |= {key: getattr(camera, key) for key in ("fx", "fy", "cx", "cy", "skew", "distortion_model")}
        return {"model": "pinhole", **record, "d": list(camera.distortion)}
    return {
        "model": "equirectangular",
        **record,
        "hfov_deg": float(np.degrees(camera.width / camera.px_per_rad_h)),
        "px_per_deg_v": float(np.radians(camera.px_per_rad_v)),
        "centre_column": camera.centre_column,
        "horizon_row": camera.horizon_row,
    }


def camera_from_info_fields(
    width: int,
    height: int,
    distortion_model: str,
    d: Sequence[float],
    k: Sequence[float],
    binning: tuple[int, int] = (1, 1),
    roi: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> CameraModel:
    """Camera of the fields of a sensor_msgs/CameraInfo (`k`: 9 numbers, row-major; pixel centres at 0).

    `width`, `height` and `k` are those of the full image. The camera delivers its region of interest `roi`
    (x_offset, y_offset, width, height; all 0: everything) with `binning` pixels joined (across, down; 0 is 1).
    Besides the distortion models of ROS, "equirectangular" is understood, with
    `k` = [px_per_rad_h, 0, centre_column - 0.5, 0, px_per_rad_v, horizon_row - 0.5, 0, 0, 1] and no `d`.
    An empty model without coefficients is a rectified image. Raises ValueError for anything else.
    """
    fx, skew, cx, fy, cy = _intrinsics(k)
    panorama = distortion_model.strip().lower() == "equirectangular"
    left, top, roi_width, roi_height = roi if any(roi) else (0, 0, width, height)
    if left + roi_width > width or top + roi_height > height:
        raise ValueError(f"roi {tuple(roi)} does not lie in the image of {width} × {height}")
    _require_positive(fx=fx, fy=fy)  # first, since an impossible focal length makes the later checks fail too
    if not panorama:
        _check_principal_point(cx + 0.5, cy + 0.5, width, height)
    across, down = (max(1, int(factor)) for factor in binning)
    size = int(roi_width) // across, int(roi_height) // down
    intrinsics = (fx / across, fy / down, (cx + 0.5 - left) / across, (cy + 0.5 - top) / down)
    if panorama:
        if np.any(d) or skew:
            raise ValueError(
                f"an equirectangular image takes no distortion coefficients and no skew, got {list(d)}, {skew}"
            )
        return EquirectangularCamera(*size, *intrinsics)
    distortion = tuple(float(value) for value in d)
    return PinholeCamera(*size, *intrinsics, distortion_model or "none", distortion, skew / across)


def _intrinsics(k: Sequence[float]) -> tuple[float, float, float, float, float]:
    """fx, skew, cx, fy, cy of a camera matrix `k` (9 numbers, row-major). Raises ValueError."""
    matrix = np.asarray(k, dtype=np.float64).ravel()
    if not np.any(matrix):
        raise ValueError("the camera is not calibrated (k is 0)")
    if matrix.shape != (9,) or not np.array_equal(matrix[[3, 6, 7, 8]], (0, 0, 0, 1)):
        raise ValueError(f"camera matrix k must be [fx, skew, cx, 0, fy, cy, 0, 0, 1], got {matrix.tolist()}")
    fx, skew, cx, _, fy, cy = matrix[:6].tolist()
    if abs(skew) > MAX_SKEW_RATIO * abs(fx):
        raise ValueError(
            f"camera matrix k has a skew of {skew:g} px, more than pixels have; is it row-major?"
        )
    return fx, skew, cx, fy, cy


def _check_principal_point(cx: float, cy: float, width: int, height: int) -> None:
    """Raise ValueError where the principal point lies in a corner, or far outside, of the full image."""
    at = np.array([cx / width, cy / height]) if width > 0 and height > 0 else np.full(2, 0.5)
    off = np.abs(at - 0.5)
    if np.any(off > MAX_OUTSIDE):
        raise ValueError(
            f"the principal point ({cx:.0f}, {cy:.0f}) lies far outside of the image of {width} × {height} px; "
            "correct the calibration"
        )
    if np.all(off > MAX_OFF_CENTRE):
        raise ValueError(
            f"the principal point ({cx:.0f}, {cy:.0f}) lies in a corner of the image of {width} × {height} px: k is "
            "that of an image of another size (calibrated at another resolution, or already with the binning that "
            "binning_x and binning_y take off once more); width, height and k must be those of the full image"
        )
