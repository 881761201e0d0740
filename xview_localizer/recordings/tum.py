"""Planar trajectories in the TUM format: stamp x y z qx qy qz qw, one pose a line."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from xview_localizer.inputs.messages import MAX_LEAN_RAD, QUATERNION_ROUNDING


def write_tum(path: Path, poses: Iterable[tuple[float, float, float, float]]) -> None:
    """Write poses (stamp_sec, x_m, y_m, yaw_rad)."""
    path.write_text(
        "".join(
            f"{stamp_sec:.6f} {x_m:.4f} {y_m:.4f} 0 0 0 {np.sin(yaw_rad / 2):.8f} {np.cos(yaw_rad / 2):.8f}\n"
            for stamp_sec, x_m, y_m, yaw_rad in poses
        )
    )


def read_tum(path: Path) -> dict[str, np.ndarray]:
    """`stamp_sec` [N], `x_m`, `y_m` and unwrapped `yaw_rad`. Raises ValueError where a line is no pose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # NumPy's, about a file without data
        rows = np.loadtxt(path, ndmin=2)
    if rows.shape[0] == 0 or rows.shape[1] != 8 or not np.isfinite(rows).all():
        raise ValueError("a line does not have 8 finite numbers, or there is no line")
    if np.abs(np.linalg.norm(rows[:, 4:], axis=1) - 1).max() > QUATERNION_ROUNDING:
        raise ValueError("a quaternion is not of unit length")
    if (1 - 2 * (rows[:, 4] ** 2 + rows[:, 5] ** 2)).min() < np.cos(MAX_LEAN_RAD):
        raise ValueError(
            "a pose leans as no driving robot does: qw comes last, and z points up (a camera's pose is not base_link's)"
        )
    stamp_sec, x_m, y_m, _, qx, qy, qz, qw = rows.T
    # The yaw of base_link's x projected onto the horizontal plane, since base_link may lean; as for odometry.
    yaw_rad = np.arctan2(2 * (qw * qz + qx * qy), 1 - 2 * (qy**2 + qz**2))
    return {"stamp_sec": stamp_sec, "x_m": x_m, "y_m": y_m, "yaw_rad": np.unwrap(yaw_rad)}
