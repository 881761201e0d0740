"""Poses of a drive from sparse anchors and the odometry between them: a planar pose graph.

Unknown are the poses T_i = (R_i, t_i) of the nodes. With odometry's motions M_i from node i to i + 1 and anchors a,
each a point p_a of node n_a that lies at q_a in the map (possibly with a yaw psi_a), least squares minimizes

    sum_i |W_i (M_i^-1 T_i^-1 T_{i+1})|² + sum_a rho(|V_a (R p_a + t - q_a, theta - psi_a)|²)

where W and V whiten by odometry's drift and the anchor's covariance, and rho(z²) = c² log(1 + z² / c²) (Cauchy) limits
the influence of wrong anchors. The covariance of the poses is (J^T J)^-1 at the solution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from xview_localizer.belief.hypotheses import OdometryDrift, position_sigma_m
from xview_localizer.geometry.pose import Pose2, distance_along_m, turned, wrap_angle_rad

# Greatest distance between two anchors over which odometry alone gives poses.
MAX_BRIDGE_M = 30.0
OUTLIER_SIGMAS = 4.0  # an anchor further from the smoothed path than this is an outlier
CAUCHY_SIGMAS = 2.0  # c of the loss above
# Within this distance the errors of odometry add up linearly, beyond it they are independent.
DRIFT_CORRELATION_M = 10.0
# Least standard deviations of a step, since odometry has errors at a standstill too.
LEAST_STEP_SIGMA_M, LEAST_STEP_SIGMA_RAD = 0.005, float(np.radians(0.02))
# The normal equations are dense, so longer paths are smoothed in pieces.
MAX_NODES = 200
# Standard deviation of an unknown yaw.
UNKNOWN_YAW_SIGMA_RAD = 1e3
# A first guess agrees with an anchor within this distance, which is more than odometry drifts over a bridge.
AGREEING_M = MAX_BRIDGE_M / 10


@dataclass(frozen=True)
class Anchor:
    """A measurement: `point_in_base_m` [2] lies at (pose.x_m, pose.y_m) in `map`, and base_link's yaw is pose.yaw_rad.

    `covariance` [3, 3] of (x, y, yaw); see `without_yaw`.
    """

    pose: Pose2
    covariance: np.ndarray
    point_in_base_m: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def without_yaw(cls, xy_m: np.ndarray, sigma_m: float, point_in_base_m: np.ndarray) -> Anchor:
        """A position [2] without yaw, as of a GNSS antenna at `point_in_base_m` [2]."""
        covariance = np.diag([sigma_m**2, sigma_m**2, UNKNOWN_YAW_SIGMA_RAD**2])
        x_m, y_m = map(float, point_in_base_m)
        return cls(Pose2(float(xy_m[0]), float(xy_m[1]), 0.0), covariance, (x_m, y_m))

    @property
    def has_yaw(self) -> bool:
        return bool(self.covariance[2, 2] < np.pi**2)


@dataclass(frozen=True)
class SmoothedPose:
    """T_map_base, and the standard deviation of its position along its most uncertain direction."""

    pose: Pose2
    sigma_m: float


def smooth_path(
    odometry: Sequence[Pose2], anchors: Sequence[Anchor | None], drift: OdometryDrift = OdometryDrift()
) -> list[SmoothedPose | None]:
    """Pose of every node of one unbroken path of odometry; None where it does not lie between two right anchors.

    `odometry` [N] holds T_odom_base of the nodes, `anchors` [N] their anchors, None for nodes without one.
    """
    smoothed: list[SmoothedPose | None] = [None] * len(odometry)
    for first, end in _pieces(odometry, anchors):
        smoothed[first:end] = _smooth_piece(odometry[first:end], anchors[first:end], drift)
    return smoothed


def _pieces(odometry: Sequence[Pose2], anchors: Sequence[Anchor | None]) -> list[tuple[int, int]]:
    """Ranges of nodes that begin and end at anchors, with gaps of at most MAX_BRIDGE_M and at most MAX_NODES nodes."""
    travelled_m = distance_along_m(_xy_m(odometry))
    pieces: list[tuple[int, int]] = []
    for node in (number for number, anchor in enumerate(anchors) if anchor is not None):
        near = pieces and travelled_m[node] - travelled_m[pieces[-1][1] - 1] <= MAX_BRIDGE_M
        if near and node - pieces[-1][0] < MAX_NODES:
            pieces[-1] = (pieces[-1][0], node + 1)
        else:
            pieces.append((node, node + 1))
    return [(first, end) for first, end in pieces if end - first > 1]


def _smooth_piece(
    odometry: Sequence[Pose2], anchors: Sequence[Anchor | None], drift: OdometryDrift
) -> list[SmoothedPose | None]:
    graph = _Graph.of(odometry, anchors, drift)
    start = graph.first_guess()
    if start is None:
        return [None] * len(odometry)
    solution = least_squares(graph.residuals, start.ravel(), x_scale="jac")
    poses = solution.x.reshape(-1, 3)
    right = [
        int(n) for n, z in zip(graph.node, graph.anchor_sigmas(poses), strict=True) if z < OUTLIER_SIGMAS
    ]
    covariance = np.linalg.pinv(solution.jac.T @ solution.jac, hermitian=True)
    travelled_m = distance_along_m(_xy_m(odometry))
    smoothed: list[SmoothedPose | None] = [None] * len(odometry)
    for before, after in zip(right[:-1], right[1:], strict=True):
        if travelled_m[after] - travelled_m[before] <= MAX_BRIDGE_M:
            for n in range(before, after + 1):
                block = covariance[3 * n : 3 * n + 3, 3 * n : 3 * n + 3]
                pose = Pose2(float(poses[n, 0]), float(poses[n, 1]), float(wrap_angle_rad(poses[n, 2])))
                smoothed[n] = SmoothedPose(pose, position_sigma_m(block))
    return smoothed


@dataclass(frozen=True)
class _Graph:
    """The least-squares problem of N nodes and A anchors in arrays; poses are [N, 3] of x, y, yaw."""

    odometry: np.ndarray  # [N, 3]
    motion: np.ndarray  # [N - 1, 3] of each node in the one before
    motion_sigma: np.ndarray  # [N - 1, 3]
    node: np.ndarray  # [A]
    point_m: np.ndarray  # [A, 2]
    anchor: np.ndarray  # [A, 3]
    whitening: np.ndarray  # [A, 3, 3]

    @classmethod
    def of(cls, odometry: Sequence[Pose2], anchors: Sequence[Anchor | None], drift: OdometryDrift) -> _Graph:
        motions = [a.inverse() @ b for a, b in zip(odometry[:-1], odometry[1:], strict=True)]
        motion = np.array([(m.x_m, m.y_m, m.yaw_rad) for m in motions])
        correlated_m = np.sqrt(np.hypot(motion[:, 0], motion[:, 1]) * DRIFT_CORRELATION_M)
        sigma_m = np.maximum(drift.position_ratio * correlated_m, LEAST_STEP_SIGMA_M)
        sigma_rad = np.maximum(drift.yaw_rad_per_m * correlated_m, LEAST_STEP_SIGMA_RAD)
        known = [(n, anchor) for n, anchor in enumerate(anchors) if anchor is not None]
        information = [np.linalg.inv(anchor.covariance) for _, anchor in known]
        return cls(
            np.array([(p.x_m, p.y_m, p.yaw_rad) for p in odometry]),
            motion,
            np.column_stack([sigma_m, sigma_m, sigma_rad]),
            np.array([n for n, _ in known]),
            np.array([a.point_in_base_m for _, a in known]),
            np.array([(a.pose.x_m, a.pose.y_m, a.pose.yaw_rad) for _, a in known]),
            np.array([np.linalg.cholesky(matrix).T for matrix in information]),
        )

    def residuals(self, x: np.ndarray) -> np.ndarray:
        """Whitened residuals of `x` [3 N]; those of anchors are scaled so that their squares are the Cauchy loss."""
        poses = x.reshape(-1, 3)
        step = turned(poses[1:, :2] - poses[:-1, :2], -poses[:-1, 2]) - self.motion[:, :2]
        turn = wrap_angle_rad(np.diff(poses[:, 2]) - self.motion[:, 2])
        by_odometry = np.column_stack([step, turn]) / self.motion_sigma
        by_anchors = self._anchor_residuals(poses)
        squared = (by_anchors**2).sum(axis=1) / CAUCHY_SIGMAS**2 + 1e-12  # against 0 / 0
        shrink = np.sqrt(np.log1p(squared) / squared)
        return np.concatenate([by_odometry.ravel(), (by_anchors * shrink[:, None]).ravel()])

    def anchor_sigmas(self, poses: np.ndarray) -> np.ndarray:
        """Mahalanobis distance [A] of each anchor from `poses` [N, 3]."""
        return np.linalg.norm(self._anchor_residuals(poses), axis=1)

    def first_guess(self) -> np.ndarray | None:
        """The odometry [N, 3] placed in the map so that most anchors agree; None where no anchors fix its heading."""
        best, most = None, -1
        for placed in self._placements():
            off_m = self._point_at(placed) - self.anchor[:, :2]
            agreeing = int((np.hypot(off_m[:, 0], off_m[:, 1]) < AGREEING_M).sum())
            if agreeing > most:
                best, most = placed, agreeing
        return best

    def _placements(self):
        """The odometry [N, 3] placed in the map by each anchor with a yaw, or else by pairs of distant anchors."""
        in_odom = self._point_at(self.odometry)
        for a in range(len(self.node)):
            if self.whitening[a, 2, 2] > 1 / np.pi:
                yield self._placed(self.anchor[a, 2] - self.odometry[self.node[a], 2], in_odom[a], a)
                continue
            b = (a + len(self.node) // 2) % len(self.node)
            if np.hypot(*(in_odom[b] - in_odom[a])) > 1.0:
                course, driven = self.anchor[b, :2] - self.anchor[a, :2], in_odom[b] - in_odom[a]
                turn_rad = np.arctan2(course[1], course[0]) - np.arctan2(driven[1], driven[0])
                yield self._placed(turn_rad, in_odom[a], a)

    def _placed(self, turn_rad: float, pivot_m: np.ndarray, a: int) -> np.ndarray:
        xy_m = turned(self.odometry[:, :2] - pivot_m, turn_rad) + self.anchor[a, :2]
        return np.column_stack([xy_m, self.odometry[:, 2] + turn_rad])

    def _point_at(self, poses: np.ndarray) -> np.ndarray:
        """The anchors' points [A, 2] under `poses` [N, 3]."""
        return poses[self.node, :2] + turned(self.point_m, poses[self.node, 2])

    def _anchor_residuals(self, poses: np.ndarray) -> np.ndarray:
        turn = wrap_angle_rad(poses[self.node, 2] - self.anchor[:, 2])
        off = np.column_stack([self._point_at(poses) - self.anchor[:, :2], turn])
        return np.einsum("aij,aj->ai", self.whitening, off)


def _xy_m(odometry: Sequence[Pose2]) -> np.ndarray:
    return np.array([(pose.x_m, pose.y_m) for pose in odometry])
