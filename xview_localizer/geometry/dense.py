"""The dense solver: hypotheses ranked by the match likelihood of all ground cells, refined, with posterior.

score(pose) = sum_n w_n log(pi_n p(cell the pose sends n to | n) M + 1 - pi_n). Proposals come from an exhaustive
coarse vote over the prior and from the expected poses; the best are refined by soft-assignment Procrustes, and the
posterior around each mode gives its pose and covariance. Which mode is the right one is judged by the same score with
the cells' `place_weight` in place of w_n.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.match_field import MatchField
from xview_localizer.geometry.pose import Pose2, Prior, wrap_angle_rad
from xview_localizer.geometry.posterior import Posterior, distinct_modes
from xview_localizer.geometry.prior_gate import PriorGate
from xview_localizer.geometry.similarity import as_complex, point_degeneracy, similarity_information
from xview_localizer.geometry.soft_assignment import refine, soft_assignment
from xview_localizer.geometry.voting import VotingConfig, vote

NO_EVIDENCE = 1e-3  # log ratio below which a cell is as good as uniform
# Whichever place an image shows, its cells have errors in common (depth, season, the camera's attitude), so that more
# cells make it no surer: an image's evidence is that of cells of this total `place_weight` at most.
MAX_IMAGE_WEIGHT = 375.0


@dataclass(frozen=True)
class DenseSolverConfig:
    """`scale_bounds` (1, 1) means that the ground points are metric and the scale is not solved for."""

    scale_bounds: tuple[float, float] = (0.9, 1.1)
    evidence_temperature: float = 4.0  # how many ground cells count as one independent observation
    voting: VotingConfig = field(default_factory=VotingConfig)
    refined: int = 20  # hypotheses that are refined, beside the expected ones
    max_modes: int = 8
    described: int = 3  # modes whose moments are sampled; the others' covariance is that of their assignment
    described_lead: float = 50.0  # greatest log posterior by which a sampled mode may be behind the best one
    mode_separation_m: float = 3.0  # a pose at a greater distance (or angle, below) is another mode
    mode_separation_rad: float = float(np.radians(20.0))
    prior_edge_m: float = 1.0
    yaw_gate_sigmas: float = 3.0
    posterior_samples: int = 96
    position_floor_cells: float = 0.1  # least standard deviation of x and y, in aerial cells

    def __post_init__(self) -> None:
        low, high = self.scale_bounds
        if not 0 < low <= high < np.inf:
            raise ValueError(f"scale_bounds must be 0 < low <= high, got {self.scale_bounds}")


@dataclass(frozen=True)
class PoseMode:
    """One maximum of the posterior: the level frame's pose in `map`, the scale of its lifted points.

    Evidence is in natural logarithms against chance: score / temperature, with MAX_IMAGE_WEIGHT for each image.
    """

    pose: Pose2
    scale: float
    covariance: np.ndarray  # [3, 3] of (x, y, yaw)
    log_evidence: float  # of all images
    log_evidence_current: float  # of the current image alone, as if it stood alone
    log_prior: float  # of the prior's soft edge and heading, 0 where the prior does not penalise the pose

    @property
    def log_posterior(self) -> float:
        """Up to a constant."""
        return self.log_evidence + self.log_prior


@dataclass(frozen=True)
class PoseModes:
    """The modes of one solve, most probable first; none, and the `reason`, where nothing could be solved.

    `score_per_cell` is the mean log ratio of the current image's cells at the first mode, and an inlier a cell of
    them that more likely than not matches where that pose sends it.
    """

    modes: tuple[PoseMode, ...] = ()
    score_per_cell: float = 0.0
    inliers: int = 0
    inlier_ratio: float = 0.0
    reason: str = ""


def solve_dense(
    match_field: MatchField,
    prior: Prior,
    config: DenseSolverConfig,
    seed: int,
    expected: Sequence[Pose2] = (),
    window: Prior | None = None,
) -> PoseModes:
    """The poses under which all ground cells together match best. Deterministic for a seed; never raises.

    Poses near the `expected` ones on the grid are evaluated too, and reported where they are separate modes. A `window`
    is the part of the prior in which to look: it bounds the vote, and poses are judged by the prior all the same.
    """
    usable = (match_field.inlier_probability > 0) & (match_field.weight > 0)
    reason = _unusable(match_field, usable)
    if reason:
        return PoseModes(reason=reason)
    evidence = Evidence.from_field(match_field, usable)
    if not np.isfinite(evidence.peak).all():
        return PoseModes(reason="the match likelihoods are not finite")
    rng = np.random.default_rng(seed)
    gate = PriorGate(prior, config.prior_edge_m, config.yaw_gate_sigmas)
    posterior = Posterior(evidence, gate, config.scale_bounds, config.evidence_temperature)
    voted = gate if window is None else replace(gate, prior=window)
    expected = [pose for pose in expected if evidence.grid.bounds.contains(np.array([pose.x_m, pose.y_m]))]

    a, t, log_density = _candidates(evidence, posterior, voted, config, expected, rng)
    modes = distinct_modes(a, t, log_density, config.mode_separation_m, config.mode_separation_rad)
    if not len(modes):
        return PoseModes(reason="no hypothesis agrees with the prior and the scale bounds")
    log_evidence, _ = _evidence_for_places(evidence, config, a[modes], t[modes])
    worth = np.full(len(a), -np.inf)
    worth[modes] = log_evidence + gate.log_density(a[modes], t[modes])
    kept = _kept(modes[np.argsort(-worth[modes], kind="stable")], a, t, config, expected)
    covariances = _assignment_covariances(evidence, a[kept], t[kept], gate, config)
    behind = worth[kept[0]] - worth[kept]
    sampled = (np.arange(len(kept)) < config.described) & (behind <= config.described_lead)
    described = [
        _describe(posterior, a[mode], t[mode], covariance, config, sample)
        for mode, covariance, sample in zip(kept, covariances, sampled, strict=True)
    ]
    return _summary(evidence, distinct_places(described, config))


def joined(solutions: Sequence[PoseModes], config: DenseSolverConfig) -> PoseModes:
    """The solutions of several searches merged: of modes at the same place only the best is kept.

    The figures are those of the best mode's solution; without any mode the reason is that of the first solution.
    """
    found = [solution for solution in solutions if solution.modes]
    if not found:
        return solutions[0]
    best = max(found, key=lambda solution: solution.modes[0].log_posterior)
    modes = [mode for solution in found for mode in solution.modes]
    return replace(best, modes=distinct_places(modes, config))


def distinct_places(
    modes: Sequence[PoseMode], config: DenseSolverConfig = DenseSolverConfig()
) -> tuple[PoseMode, ...]:
    """The best mode of each place, most probable first."""
    a = np.array([np.exp(1j * mode.pose.yaw_rad) for mode in modes])
    t = np.array([mode.pose.x_m + 1j * mode.pose.y_m for mode in modes])
    worth = np.array([mode.log_posterior for mode in modes])
    order = distinct_modes(a, t, worth, config.mode_separation_m, config.mode_separation_rad)
    return tuple(modes[number] for number in order)


def _candidates(
    evidence: Evidence,
    posterior: Posterior,
    voted: PriorGate,
    config: DenseSolverConfig,
    expected: Sequence[Pose2],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses (a, t) with their log density: those voted for, the best of them and the expected ones refined."""
    bounds = config.scale_bounds
    a, t = vote(evidence, voted, bounds, config.voting, rng)
    log_density = posterior.log_density(a, t)
    top = distinct_modes(a, t, log_density, config.mode_separation_m / 2, config.mode_separation_rad / 2)
    top = top[: config.refined]
    likely_scale = np.clip(1.0, *bounds)
    expected_a = np.array([likely_scale * np.exp(1j * pose.yaw_rad) for pose in expected], dtype=complex)
    expected_t = np.array([pose.x_m + 1j * pose.y_m for pose in expected], dtype=complex)
    refined_a, refined_t = refine(
        evidence, np.concatenate([a[top], expected_a]), np.concatenate([t[top], expected_t]), bounds
    )
    a, t = np.concatenate([refined_a, a]), np.concatenate([refined_t, t])
    return a, t, np.concatenate([posterior.log_density(refined_a, refined_t), log_density])


def _kept(
    modes: np.ndarray, a: np.ndarray, t: np.ndarray, config: DenseSolverConfig, expected: Sequence[Pose2]
) -> list[int]:
    """The best modes, and for each expected pose the nearest mode of about the same heading."""
    kept = list(modes[: config.max_modes])
    for pose in expected:
        turned_rad = np.abs(np.angle(a[modes] * np.exp(-1j * pose.yaw_rad)))
        distance_m = np.abs(t[modes] - (pose.x_m + 1j * pose.y_m))
        distance_m[turned_rad > config.mode_separation_rad] = np.inf
        nearest = distance_m.argmin()
        if distance_m[nearest] <= config.mode_separation_m and modes[nearest] not in kept:
            kept.append(modes[nearest])
    return kept


def _describe(
    posterior: Posterior,
    a: complex,
    t: complex,
    covariance: np.ndarray,
    config: DenseSolverConfig,
    sampled: bool,
) -> PoseMode:
    """A mode's moments: those of the posterior's samples, or of the soft assignment."""
    evidence = posterior.evidence
    mean = np.array([t.real, t.imag, np.angle(a), np.log(np.abs(a))])
    if sampled:
        mean, covariance = posterior.local_moments(a, t, covariance, config.posterior_samples)
    pose = Pose2(float(mean[0]), float(mean[1]), float(wrap_angle_rad(mean[2])))
    scale = float(np.exp(mean[3]))
    at = _complex_pose(pose, scale)
    log_evidence, log_evidence_current = _evidence_for_places(evidence, config, *at)
    return PoseMode(
        pose,
        scale,
        covariance[:3, :3] + _covariance_floor(evidence, config),
        log_evidence=float(log_evidence[0]),
        log_evidence_current=float(log_evidence_current[0]),
        log_prior=float(posterior.gate.log_density(*at)[0]),
    )


def _evidence_for_places(
    evidence: Evidence, config: DenseSolverConfig, a: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Log evidence [H] of the poses against chance: of all images, and of the current one as if it stood alone."""
    image_weight = float(evidence.place_weight[evidence.current].sum()) / evidence.overlap_discount
    share = MAX_IMAGE_WEIGHT / max(image_weight, MAX_IMAGE_WEIGHT)
    weighted = evidence.cell_log_ratios(a, t) * (share / config.evidence_temperature * evidence.place_weight)
    return weighted.sum(axis=1), weighted[:, evidence.current].sum(axis=1) / evidence.overlap_discount


def _summary(evidence: Evidence, modes: tuple[PoseMode, ...]) -> PoseModes:
    """The modes with the figures of the first one; no modes where it has no evidence."""
    log_ratios = evidence.cell_log_ratios(*_complex_pose(modes[0].pose, modes[0].scale))[0]
    if np.abs(log_ratios).max() < NO_EVIDENCE:
        return PoseModes(reason="the ground cells are no evidence for any pose within the prior")
    probability = 1 - (1 - evidence.inlier_probability) * np.exp(-log_ratios)
    inliers = int(np.count_nonzero(((probability > 0.5) & (log_ratios > 0))[evidence.current]))
    count = max(1, int(np.count_nonzero(evidence.current)))
    score_per_cell = float(log_ratios[evidence.current].sum() / count)
    return PoseModes(modes, score_per_cell, inliers, inliers / count)


def _unusable(match_field: MatchField, usable: np.ndarray) -> str:
    """The reason why the field cannot be solved; empty where it can. Values are checked in `usable` cells only."""
    probability = match_field.inlier_probability
    if not np.all((probability >= 0) & (probability <= 1)):
        return "inlier probabilities must lie in [0, 1]"
    if np.count_nonzero(usable) < 3:
        return f"only {np.count_nonzero(usable)} ground cells can match; at least 3 are needed"
    ground = as_complex(match_field.lifted_xy_m[usable] + match_field.offset_xy_m[usable])
    if not np.all(np.isfinite(ground)):
        return f"{np.count_nonzero(~np.isfinite(ground))} ground points are not finite"
    shape = point_degeneracy(ground)
    return f"the ground points are {shape}" if shape else ""


def _complex_pose(pose: Pose2, scale: float) -> tuple[np.ndarray, np.ndarray]:
    return np.array([scale * np.exp(1j * pose.yaw_rad)]), np.array([pose.x_m + 1j * pose.y_m])


def _assignment_covariances(
    evidence: Evidence, a: np.ndarray, t: np.ndarray, gate: PriorGate, config: DenseSolverConfig
) -> np.ndarray:
    """Gauss-Newton covariances [H, 4, 4] of the soft assignment at the poses (a, t) [H], kept finite by the prior."""
    _, weight = soft_assignment(evidence, a, t, kernel_cells=1.0)
    sigma_m = evidence.grid.spacing_m  # standard deviation of a cell's assigned position, per axis
    low, high = config.scale_bounds
    free = 4 if high > low else 3
    yaw_sigma_rad = gate.prior.yaw_sigma_rad or 1.0
    # Information of (x, y, yaw, log scale): sigmas of a radius, of the heading (else 1 rad), and of a factor of e.
    prior = np.diag([gate.prior.radius_m**-2, gate.prior.radius_m**-2, yaw_sigma_rad**-2, 1.0])
    covariances = np.zeros((len(a), 4, 4))
    for n in range(len(a)):
        information = similarity_information(
            a[n], evidence.lifted, weight[n] * evidence.weight, evidence.offset
        )
        information = information / (config.evidence_temperature * sigma_m**2) + prior
        covariances[n, :free, :free] = np.linalg.inv(information[:free, :free])
    return covariances


def _covariance_floor(evidence: Evidence, config: DenseSolverConfig) -> np.ndarray:
    """Least covariance [3, 3]: the size of the aerial cells limits the accuracy however many cells agree."""
    position_m = config.position_floor_cells * evidence.grid.spacing_m
    yaw_rad = position_m / np.sqrt(np.mean(np.abs(evidence.lifted) ** 2))
    return np.diag([position_m**2, position_m**2, yaw_rad**2])
