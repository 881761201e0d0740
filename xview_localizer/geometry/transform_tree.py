"""Transforms between frames, static and moving, looked up at a stamp: TF without ROS."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from xview_localizer.geometry.time_jump import has_jumped_back

# Moving transforms are kept as long as tf2 keeps them; images are processed much earlier.
KEPT_SEC = 10.0


class TransformError(LookupError):
    """A transform is missing, or not known at a stamp; the text names the pair of frames."""


@dataclass(frozen=True)
class Transform:
    """T_parent_child: takes points of the child frame into the parent frame."""

    R: np.ndarray  # [3, 3]
    t_m: np.ndarray  # [3]

    def __matmul__(self, other: Transform) -> Transform:
        return Transform(self.R @ other.R, self.R @ other.t_m + self.t_m)

    def inverse(self) -> Transform:
        return Transform(self.R.T, -self.R.T @ self.t_m)


IDENTITY = Transform(np.eye(3), np.zeros(3))


@dataclass
class _Edge:
    """The transform of a frame in its parent: static, or moving with one transform for each stamp."""

    parent: str
    static: Transform | None = None
    stamps: list[float] = field(default_factory=list)
    moving: list[Transform] = field(default_factory=list)


class TransformTree:
    """Frames by name, each with one parent; thread-safe.

    Static transforms hold for all time, moving ones between the first and the last stamp that is kept, interpolated.
    """

    def __init__(self) -> None:
        self._edges: dict[str, _Edge] = {}
        self._lock = threading.Lock()

    def set_static(self, parent: str, child: str, T_parent_child: Transform) -> None:
        """Give `child` a transform that holds for all time, in place of any that it has."""
        with self._lock:
            self._edges[child] = _Edge(parent, T_parent_child)

    def set_moving(self, parent: str, child: str, stamp_sec: float, T_parent_child: Transform) -> None:
        """Add a transform; a new parent, or a jump back in time, removes earlier ones. A static one is not replaced."""
        with self._lock:
            edge = self._edges.get(child)
            if edge is not None and edge.static is not None and edge.parent == parent:
                return
            jumped = edge is not None and bool(edge.stamps) and has_jumped_back(stamp_sec, edge.stamps[-1])
            if edge is None or edge.parent != parent or edge.static is not None or jumped:
                edge = self._edges[child] = _Edge(parent)
            at = bisect_right(edge.stamps, stamp_sec)
            edge.stamps.insert(at, stamp_sec)
            edge.moving.insert(at, T_parent_child)
            expired = bisect_left(edge.stamps, edge.stamps[-1] - KEPT_SEC)
            del edge.stamps[:expired], edge.moving[:expired]

    def clear_moving(self) -> None:
        """Remove all moving transforms, as after a jump in time."""
        with self._lock:
            self._edges = {child: edge for child, edge in self._edges.items() if edge.static is not None}

    def lookup(self, parent: str, child: str, stamp_sec: float, hold_sec: float = 0.0) -> Transform:
        """T_parent_child at `stamp_sec`; the newest moving transforms are used for up to `hold_sec` after their stamp.

        Raises TransformError.
        """
        with self._lock:
            above_parent, above_child = list(self._ancestors(parent)), list(self._ancestors(child))
            common = next((frame for frame in above_child if frame in above_parent), None)
            if common is None:
                raise TransformError(self._unconnected(parent, child))
            try:
                T_common_parent = self._chain(above_parent[: above_parent.index(common)], stamp_sec, hold_sec)
                T_common_child = self._chain(above_child[: above_child.index(common)], stamp_sec, hold_sec)
            except TransformError as error:
                raise TransformError(
                    f"no transform {parent} → {child} at {stamp_sec:.3f} s: {error}"
                ) from None
        return T_common_parent.inverse() @ T_common_child

    def _ancestors(self, frame: str) -> Iterator[str]:
        """The frame, its parent and so on up to the root; in a loop every frame comes once."""
        seen: set[str] = set()
        while frame not in seen:
            seen.add(frame)
            yield frame
            if frame not in self._edges:
                return
            frame = self._edges[frame].parent

    def _chain(self, frames: list[str], stamp_sec: float, hold_sec: float) -> Transform:
        """The transform from the last frame's parent down to the first frame."""
        T = IDENTITY
        for frame in frames:
            T = _at(self._edges[frame], frame, stamp_sec, hold_sec) @ T
        return T

    def _unconnected(self, parent: str, child: str) -> str:
        known = set(self._edges) | {edge.parent for edge in self._edges.values()}
        if child not in known:
            # Drivers and simulators write other prefixes or another case than the URDF.
            alike = sorted(frame for frame in known if _last_part(frame) == _last_part(child))
            return f"no transform {parent} → {child}" + (f" (there is {', '.join(alike)})" if alike else "")
        root = list(self._ancestors(child))[-1]
        return f"no transform {parent} → {child} ({child} is in the tree of {root})"


def _last_part(frame: str) -> str:
    return frame.strip().lower().rpartition("/")[2]


def _at(edge: _Edge, frame: str, stamp_sec: float, hold_sec: float) -> Transform:
    """The transform of `frame` in its parent at a stamp; see TransformTree.lookup. Raises TransformError."""
    if edge.static is not None:
        return edge.static
    first_sec, last_sec = edge.stamps[0], edge.stamps[-1]
    if not first_sec <= stamp_sec <= last_sec + hold_sec:
        raise TransformError(f"the one of {frame} is known from {first_sec:.3f} to {last_sec:.3f} s")
    before = bisect_right(edge.stamps, stamp_sec) - 1
    if before == len(edge.stamps) - 1 or edge.stamps[before] == stamp_sec:
        return edge.moving[before]
    gap_sec = edge.stamps[before + 1] - edge.stamps[before]
    share = (stamp_sec - edge.stamps[before]) / gap_sec
    return interpolated(edge.moving[before], edge.moving[before + 1], share)


def interpolated(start: Transform, end: Transform, share: float) -> Transform:
    """The transform at a share of the way: position linear, rotation along the shortest turn (slerp)."""
    turn = start.R.T @ end.R
    axis_sin = 0.5 * np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    angle_rad = float(np.arctan2(np.linalg.norm(axis_sin), (np.trace(turn) - 1) / 2))
    t_m = (1 - share) * start.t_m + share * end.t_m
    if np.linalg.norm(axis_sin) < 1e-12:
        return Transform(start.R, t_m)
    x, y, z = axis_sin / np.linalg.norm(axis_sin)
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    part_rad = share * angle_rad
    return Transform(start.R @ (np.eye(3) + np.sin(part_rad) * K + (1 - np.cos(part_rad)) * K @ K), t_m)
