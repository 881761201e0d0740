"""The dense solver: hypotheses ranked by the match likelihood of all ground cells, refined, with posterior.

score(pose) = sum_n log(pi_n p(cell the pose sends n to | n) M + 1 - pi_n). Proposals come from an
exhaustive coarse vote over the prior and from two-point similarities of sampled matches; the best are
refined by soft-assignment Procrustes, and the winner's posterior gives pose and covariance.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.hypotheses import SamplingConfig, sample_hypotheses
from xview_localizer.geometry.match_field import MatchField
from xview_localizer.geometry.pose import Pose2, Prior, wrap_angle_rad
from xview_localizer.geometry.posterior import Posterior, SecondMode, distinct_modes, mixture_covariance
from xview_localizer.geometry.prior_gate import PriorGate
from xview_localizer.geometry.similarity import as_complex, point_degeneracy, similarity_information
from xview_localizer.geometry.soft_assignment import refine, soft_assignment
from xview_localizer.geometry.voting import VotingConfig, vote

NO_EVIDENCE = 1e-3  # log ratio below which a cell is as good as uniform


@dataclass(frozen=True)
class DenseSolverConfig:
    """`scale_bounds` (1, 1) means that the ground points are metric and the scale is not solved for."""

    scale_bounds: tuple[float, float] = (0.9, 1.1)
    evidence_temperature: float = 4.0  # how many ground cells count as one independent observation
    voting: VotingConfig = field(default_factory=VotingConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    refined: int = 8  # hypotheses that are refined
    mode_separation_m: float = 3.0  # a pose further off than this (or the angle below) is another mode
    mode_separation_rad: float = float(np.radians(20.0))
    prior_edge_m: float = 1.0
    yaw_gate_sigmas: float = 3.0
    posterior_samples: int = 192
    position_floor_cells: float = 0.1  # least standard deviation of x and y, in aerial cells

    def __post_init__(self) -> None:
        low, high = self.scale_bounds
        if not 0 < low <= high < np.inf:
            raise ValueError(f"scale_bounds must be 0 < low <= high, got {self.scale_bounds}")


@dataclass(frozen=True)
class PoseSolution:
    """The pose of the level frame in `map`, or None and the `reason`.

    `score` is the log evidence against chance, `score_per_cell` its mean over the usable ground cells. An
    inlier is a cell that more likely than not matches where the pose sends it.
    """

    pose: Pose2 | None
    scale: float = np.nan
    covariance: np.ndarray = field(default_factory=lambda: np.full((3, 3), np.nan))  # of (x, y, yaw)
    score: float = np.nan
    score_per_cell: float = np.nan
    inliers: int = 0
    inlier_ratio: float = 0.0
    second_mode: SecondMode | None = None
    reason: str = ""


def solve_dense(match_field: MatchField, prior: Prior, config: DenseSolverConfig, seed: int) -> PoseSolution:
    """The pose under which all ground cells together match best. Deterministic for a seed; never raises."""
    usable = match_field.inlier_probability > 0
    reason = _unusable(match_field, usable)
    if reason:
        return PoseSolution(None, reason=reason)
    evidence = Evidence.of(match_field, usable)
    rng = np.random.default_rng(seed)
    gate = PriorGate(prior, config.prior_edge_m, config.yaw_gate_sigmas)
    posterior = Posterior(evidence, gate, config.scale_bounds, config.evidence_temperature)

    proposals = [
        vote(evidence, gate, config.scale_bounds, config.voting, rng),
        sample_hypotheses(evidence, gate, config.scale_bounds, config.sampling, rng),
    ]
    a, t = (np.concatenate(parts) for parts in zip(*proposals, strict=True))
    log_density = posterior.log_density(a, t)

    top = distinct_modes(a, t, log_density, config.mode_separation_m / 2, config.mode_separation_rad / 2)
    top = top[: config.refined]
    refined_a, refined_t = refine(evidence, a[top], t[top], config.scale_bounds)
    a, t = np.concatenate([refined_a, a]), np.concatenate([refined_t, t])
    log_density = np.concatenate([posterior.log_density(refined_a, refined_t), log_density])
    modes = distinct_modes(a, t, log_density, config.mode_separation_m, config.mode_separation_rad)
    if not len(modes):
        return PoseSolution(None, reason="no hypothesis agrees with the prior and the scale bounds")

    best, others = modes[0], modes[1:]
    proposal = _proposal_covariance(evidence, a[best], t[best], gate, config)
    mean, covariance = posterior.local_moments(a[best], t[best], proposal, config.posterior_samples, rng)
    pose = Pose2(float(mean[0]), float(mean[1]), float(wrap_angle_rad(mean[2])))
    scale = float(np.exp(mean[3]))
    log_ratios = evidence.cell_log_ratios(*_complex_pose(pose, scale))[0]
    if np.abs(log_ratios).max() < NO_EVIDENCE:
        return PoseSolution(None, reason="the ground cells say nothing about the poses within the prior")

    mass = np.exp(log_density[others] - log_density[best])
    covariance = mixture_covariance(mean[:3], covariance[:3, :3], a[others], t[others], mass)
    probability = 1 - (1 - evidence.inlier_probability) * np.exp(-log_ratios)
    inliers = int(np.count_nonzero((probability > 0.5) & (log_ratios > 0)))
    return PoseSolution(
        pose=pose,
        scale=scale,
        covariance=covariance + _covariance_floor(evidence, config),
        score=float(log_ratios.sum()),
        score_per_cell=float(log_ratios.mean()),
        inliers=inliers,
        inlier_ratio=inliers / len(log_ratios),
        second_mode=_second_mode(evidence, a[others], t[others], float(log_ratios.sum())),
    )


def _unusable(match_field: MatchField, usable: np.ndarray) -> str:
    """Why the field cannot be solved; empty where it can. Cells that cannot match may hold anything."""
    probability = match_field.inlier_probability
    if not np.all((probability >= 0) & (probability <= 1)):
        return "inlier probabilities must lie in [0, 1]"
    if np.count_nonzero(usable) < 3:
        return f"only {np.count_nonzero(usable)} ground cells can match; at least 3 are needed"
    ground = as_complex(match_field.ground_xy_m[usable])
    if not np.all(np.isfinite(ground)):
        return f"{np.count_nonzero(~np.isfinite(ground))} ground points are not finite"
    # -inf is an impossible match; max() is NaN if anything is.
    if not match_field.log_likelihood.max(initial=-np.inf, where=usable[:, None]) < np.inf:
        return "the match likelihoods are not finite"
    shape = point_degeneracy(ground)
    return f"the ground points are {shape}" if shape else ""


def _complex_pose(pose: Pose2, scale: float) -> tuple[np.ndarray, np.ndarray]:
    return np.array([scale * np.exp(1j * pose.yaw_rad)]), np.array([pose.x_m + 1j * pose.y_m])


def _proposal_covariance(
    evidence: Evidence, a: complex, t: complex, gate: PriorGate, config: DenseSolverConfig
) -> np.ndarray:
    """Gauss-Newton covariance [4, 4] of the soft assignment at (a, t), kept finite by the prior."""
    _, weight = soft_assignment(evidence, np.array([a]), np.array([t]), kernel_cells=1.0)
    sigma_m = evidence.grid.spacing_m  # of an assignment
    information = similarity_information(a, evidence.ground, weight[0])
    information /= config.evidence_temperature * sigma_m**2
    low, high = config.scale_bounds
    yaw_sigma_rad = gate.prior.yaw_sigma_rad or 1.0
    information += np.diag([gate.prior.radius_m**-2, gate.prior.radius_m**-2, yaw_sigma_rad**-2, 1.0])
    covariance = np.zeros((4, 4))
    free = 4 if high > low else 3
    covariance[:free, :free] = np.linalg.inv(information[:free, :free])
    return covariance


def _covariance_floor(evidence: Evidence, config: DenseSolverConfig) -> np.ndarray:
    """What the size of the aerial cells leaves open, however many cells agree."""
    position_m = config.position_floor_cells * evidence.grid.spacing_m
    yaw_rad = position_m / np.sqrt(np.mean(np.abs(evidence.ground) ** 2))
    return np.diag([position_m**2, position_m**2, yaw_rad**2])


def _second_mode(evidence: Evidence, a: np.ndarray, t: np.ndarray, score: float) -> SecondMode | None:
    if not len(a):
        return None
    scores = evidence.score(a, t)
    k = int(np.argmax(scores))
    pose = Pose2(float(t[k].real), float(t[k].imag), float(np.angle(a[k])))
    return SecondMode(pose, score - float(scores[k]))
