"""Planar trajectories in the TUM format: stamp x y z qx qy qz qw, one pose a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np


def write_tum(path: Path, poses: Iterable[tuple[float, float, float, float]]) -> None:
    """Write poses (stamp_sec, x_m, y_m, yaw_rad)."""
    path.write_text(
        "".join(
            f"{stamp_sec:.6f} {x_m:.4f} {y_m:.4f} 0 0 0 {np.sin(yaw_rad / 2):.8f} {np.cos(yaw_rad / 2):.8f}\n"
            for stamp_sec, x_m, y_m, yaw_rad in poses
        )
    )


def read_tum(path: Path) -> dict[str, np.ndarray]:
    """`stamp_sec` [N], `x_m`, `y_m` and unwrapped `yaw_rad`. Raises ValueError, IndexError."""
    rows = np.loadtxt(path, ndmin=2)
    return {
        "stamp_sec": rows[:, 0],
        "x_m": rows[:, 1],
        "y_m": rows[:, 2],
        "yaw_rad": np.unwrap(2 * np.arctan2(rows[:, 6], rows[:, 7])),
    }
