"""The belief of where the robot may be: a Bayes filter over a few Gaussian hypotheses and "none of these".

Hypothesis i has a pose N(mu_i, P_i) and a weight w_i; "none of these", that the robot is where no hypothesis is, has
w_0; all weights sum to 1.

Predict. Motion by odometry moves every mu_i and adds its drift to P_i. A share LOSS_PER_M of every weight goes to w_0
per metre driven: tracks get lost, and a weight that reached 1 could never be lowered by later images.

Update. An image has modes m with pose N(nu_m, S_m) and log evidence e_m, against the log evidence e_0 of "none of
these"; evidence.py has e_m - e_0: by the current image alone where it weighs a hypothesis, by all joined images where a
mode is born. With d_im the Mahalanobis distance:
    hypothesis with a mode:     w_i' = w_i * L(e_m - e_0 - d_im² / 2)^share    mu_i, P_i fused with nu_m, S_m
    hypothesis without one:     w_i' = w_i * L(-inf)^share
    hypothesis with several:    w_im' = w_i * (L_i0 + sum L_im)^share * L_im / (L_i0 + sum L_im)
    mode born from w_0:         w_m' = w_0 * share * exp(e_m - e_0) * prior
    none of these:              w_0' = w_0
L(l) = (1 - u) e^l + u, where u is the chance that the image holds no information about where it was taken, for example
behind a lorry (UNINFORMATIVE below).
`share` in [0, 1] is how much of what the image shows is new: images of the same ground repeat their errors, so a
rival that moves along with the robot gains nothing from being seen again (see `new_ground_share`).
A hypothesis that odometry carries is so narrow that at most one mode lies within its reach. Without odometry it may
have moved to any of several modes. It is then split: into one hypothesis for each mode m that it reaches, where q_im is
the chance that it moved there and L_im = q_im ((1 - u) exp(e_m - e_0) + u), and one that stays as it was, with
L_i0 = (1 - sum q_im) u. Only this image can decide between these, so its evidence counts in full there.

Hypotheses that meet are merged, and those of negligible weight are pruned. The bias of GNSS changes slowly, so its
samples are not independent: GNSS weighs hypotheses once, by where they are now (see `gnss_log_weight`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xview_localizer.belief.evidence import ImageEvidence
from xview_localizer.geometry.pose import Pose2, wrap_angle_rad
from xview_localizer.modes import PLACES, PLACES_RADIUS_M

LOSS_PER_M = 1e-4  # share of every weight that goes to "none of these" per metre driven
UNINFORMATIVE = 0.1  # chance that an image holds no information about where it was taken
GATE_SIGMAS = 4.0  # a mode further off a hypothesis is another place
MERGE_SIGMAS = 2.0  # hypotheses closer to each other than this are the same place
# Covariance that is added before merging: two modes of one place may differ by this much, however sharp they are.
MERGE_FLOOR = np.diag([0.5, 0.5, np.radians(2.0)]) ** 2
HOPELESS = 1e-6  # hypotheses with a smaller share of the whole weight are dropped
MAX_HYPOTHESES = 16  # the heaviest are kept
# The error of GNSS has heavier tails than a Gaussian: it follows Student's t with this many degrees of freedom.
GNSS_TAIL = 3.0


@dataclass(frozen=True)
class OdometryDrift:
    """Standard deviations that odometry's error gains: position and yaw per metre driven."""

    position_ratio: float = 0.03
    yaw_rad_per_m: float = float(np.radians(0.1))


@dataclass(frozen=True)
class Hypothesis:
    """A pose of base_link in `map` with covariance [3, 3] of (x, y, yaw), and its log weight."""

    pose: Pose2
    covariance: np.ndarray
    log_weight: float
    mode: int | None = None  # the last image's mode that it was fused with

    @property
    def position_sigma_m(self) -> float:
        """Standard deviation along the worst direction."""
        return position_sigma_m(self.covariance)

    def moved(self, T_then_now: Pose2, travelled_m: float, drift: OdometryDrift) -> Hypothesis:
        """After a motion by odometry along a path of `travelled_m`."""
        pose = self.pose @ T_then_now
        x_m, y_m = pose.x_m - self.pose.x_m, pose.y_m - self.pose.y_m
        jacobian = np.array([[1.0, 0.0, -y_m], [0.0, 1.0, x_m], [0.0, 0.0, 1.0]])
        gained = np.array([drift.position_ratio, drift.position_ratio, drift.yaw_rad_per_m]) * travelled_m
        return Hypothesis(pose, jacobian @ self.covariance @ jacobian.T + np.diag(gained**2), self.log_weight)


@dataclass(frozen=True)
class Belief:
    """All hypotheses, heaviest first, and "none of these"; `log_none` and the log weights are normalised."""

    hypotheses: tuple[Hypothesis, ...] = ()
    log_none: float = 0.0

    def predicted(self, T_then_now: Pose2, travelled_m: float, drift: OdometryDrift) -> Belief:
        """After a motion by odometry along a path of `travelled_m`."""
        moved = [hypothesis.moved(T_then_now, travelled_m, drift) for hypothesis in self.hypotheses]
        return self._after(moved, travelled_m)

    def blurred(self, elapsed_sec: float, max_speed_mps: float, max_yaw_rate_radps: float) -> Belief:
        """After a time without odometry, in which the robot may have moved anywhere within a speed bound."""
        reach = elapsed_sec * np.array([max_speed_mps, max_speed_mps, max_yaw_rate_radps])
        spread = [
            replace(hypothesis, covariance=hypothesis.covariance + np.diag(reach**2), mode=None)
            for hypothesis in self.hypotheses
        ]
        return self._after(spread, max_speed_mps * elapsed_sec)

    def updated(self, evidence: ImageEvidence, share: float, log_prior: Iterable[float]) -> Belief:
        """After an image. `log_prior` [modes] weighs the modes that are born from "none of these"."""
        hypotheses = [child for parent in self.hypotheses for child in _weighed(parent, evidence, share)]
        if share > 0:
            log_weights = self.log_none + np.log(share) + evidence.log_ratio_joined + list(log_prior)
            born = zip(evidence.modes, log_weights, strict=True)
            hypotheses += [
                Hypothesis(mode.pose, mode.covariance, log_weight, number)
                for number, (mode, log_weight) in enumerate(born)
            ]
        return _normalised(_merged(hypotheses), self.log_none)

    def reweighted(self, log_weight: Iterable[float]) -> Belief:
        """With log weights added to the hypotheses' own, to decide on an image; not kept as the filter's state."""
        hypotheses = [
            replace(hypothesis, log_weight=hypothesis.log_weight + extra)
            for hypothesis, extra in zip(self.hypotheses, log_weight, strict=True)
        ]
        return _normalised(hypotheses, self.log_none)

    @property
    def confidence(self) -> float:
        """The leading hypothesis's share of the whole weight."""
        return float(np.exp(self.hypotheses[0].log_weight)) if self.hypotheses else 0.0

    def _after(self, hypotheses: Sequence[Hypothesis], travelled_m: float) -> Belief:
        """The hypotheses after `travelled_m`, a share of their weight gone to "none of these"."""
        log_kept = -LOSS_PER_M * travelled_m
        lost = -np.expm1(log_kept) * -np.expm1(self.log_none)
        return Belief(
            tuple(replace(item, log_weight=item.log_weight + log_kept) for item in hypotheses),
            float(np.logaddexp(self.log_none, np.log(max(lost, 1e-300)))),
        )


def new_ground_share(travelled_m: float | None, independence_m: float) -> float:
    """How much of an image is new after `travelled_m` since the last one (None: there was none)."""
    return 1.0 if travelled_m is None else min(1.0, travelled_m / independence_m)


def gnss_log_weight(residual_m: np.ndarray, sigma_m: float, search_radius_m: float) -> np.ndarray:
    """Log density of GNSS residuals [N] (Student's t in the plane), relative to its mean over the search disc.

    With nu degrees of freedom and x(r) = r² / (nu sigma²) the density goes as (1 + x(r))^-(nu + 2)/2, and its mean
    over the disc of radius R is 2 (sigma / R)² (1 - (1 + x(R))^-nu/2).
    """
    square_m2 = GNSS_TAIL * sigma_m**2
    inside = -np.expm1(-GNSS_TAIL / 2 * np.log1p(search_radius_m**2 / square_m2))
    log_mean = np.log(2 * (sigma_m / search_radius_m) ** 2 * inside)
    return -(GNSS_TAIL + 2) / 2 * np.log1p(residual_m**2 / square_m2) - log_mean


def disagreement_sigmas(a: Pose2, b: Pose2, covariance: np.ndarray) -> float:
    """Mahalanobis distance of two poses under the covariance [3, 3] of their difference."""
    difference = _difference(a, b)
    return float(np.sqrt(difference @ np.linalg.solve(covariance, difference)))


def position_sigma_m(covariance: np.ndarray) -> float:
    """Standard deviation of the position along its worst direction, of a covariance [3, 3] of (x, y, yaw)."""
    return float(np.sqrt(np.linalg.eigvalsh(covariance[:2, :2])[-1]))


def _difference(a: Pose2, b: Pose2) -> np.ndarray:
    """a - b [3] in (x, y, yaw), the yaw by the shorter way."""
    return np.array([a.x_m - b.x_m, a.y_m - b.y_m, float(wrap_angle_rad(a.yaw_rad - b.yaw_rad))])


def _weighed(hypothesis: Hypothesis, evidence: ImageEvidence, share: float) -> list[Hypothesis]:
    """A hypothesis weighed by, and fused with, the image's modes that lie where it may be."""
    sums = [hypothesis.covariance + mode.covariance for mode in evidence.modes]
    sigmas = [
        disagreement_sigmas(hypothesis.pose, mode.pose, covariance)
        for mode, covariance in zip(evidence.modes, sums, strict=True)
    ]
    reached = [number for number in range(len(sigmas)) if sigmas[number] < GATE_SIGMAS]
    if not reached:
        return [_without_mode(hypothesis, share * float(np.log(UNINFORMATIVE)))]
    nearest = min(reached, key=sigmas.__getitem__)
    if _chance_of_place(sums[nearest]) >= 1.0:
        log_ratio = evidence.log_ratio[nearest] - 0.5 * sigmas[nearest] ** 2
        return [_at_mode(hypothesis, evidence, nearest, share * _log_likelihood(log_ratio))]
    log_chance = [float(np.log(_chance_of_place(sums[k])) - 0.5 * sigmas[k] ** 2) for k in reached]
    return _split_among_modes(hypothesis, evidence, share, reached, np.array(log_chance))


def _split_among_modes(
    hypothesis: Hypothesis,
    evidence: ImageEvidence,
    share: float,
    reached: Sequence[int],
    log_chance: np.ndarray,
) -> list[Hypothesis]:
    """A hypothesis for each of the modes `reached`, with the log chances that it moved there, and one for elsewhere."""
    log_chance = log_chance - max(0.0, float(np.logaddexp.reduce(log_chance)))  # together 1 at most
    chance_elsewhere = max(-float(np.expm1(np.logaddexp.reduce(log_chance))), HOPELESS)
    log_elsewhere = float(np.log(chance_elsewhere * UNINFORMATIVE))
    log_joint = log_chance + [_log_likelihood(evidence.log_ratio[number]) for number in reached]
    # The image's evidence for the hypothesis counts by `share`, that for where it moved in full.
    log_gain_of_old = (share - 1) * float(np.logaddexp.reduce([*log_joint, log_elsewhere]))
    moved = [
        _at_mode(hypothesis, evidence, number, log_gain_of_old + float(gained))
        for number, gained in zip(reached, log_joint, strict=True)
    ]
    return [*moved, _without_mode(hypothesis, log_gain_of_old + log_elsewhere)]


def _log_likelihood(log_ratio: float) -> float:
    """log L, see the module's docstring."""
    return float(np.logaddexp(np.log1p(-UNINFORMATIVE) + log_ratio, np.log(UNINFORMATIVE)))


def _chance_of_place(covariance: np.ndarray) -> float:
    """Chance of the one place in the middle of a Gaussian with covariance [3, 3]; 1 or more where it holds no other."""
    area_m2 = 2 * np.pi * np.sqrt(np.linalg.det(covariance[:2, :2]))
    return float(np.pi * PLACES_RADIUS_M**2 / PLACES / area_m2)


def _without_mode(hypothesis: Hypothesis, gained: float) -> Hypothesis:
    return replace(hypothesis, log_weight=hypothesis.log_weight + gained, mode=None)


def _at_mode(hypothesis: Hypothesis, evidence: ImageEvidence, number: int, gained: float) -> Hypothesis:
    mode = evidence.modes[number]
    pose, covariance = _fused(hypothesis.pose, hypothesis.covariance, mode.pose, mode.covariance)
    return Hypothesis(pose, covariance, hypothesis.log_weight + gained, number)


def _fused(pose: Pose2, P: np.ndarray, measured: Pose2, S: np.ndarray) -> tuple[Pose2, np.ndarray]:
    """Kalman update of N(pose, P) with N(measured, S)."""
    gain = P @ np.linalg.inv(P + S)
    x_m, y_m, yaw_rad = np.array([pose.x_m, pose.y_m, pose.yaw_rad]) + gain @ _difference(measured, pose)
    covariance = (np.eye(3) - gain) @ P
    return Pose2(float(x_m), float(y_m), float(wrap_angle_rad(yaw_rad))), (covariance + covariance.T) / 2


def _merged(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Heaviest first; each that is the same place as a heavier one adds its weight to that."""
    kept: list[Hypothesis] = []
    for hypothesis in sorted(hypotheses, key=lambda item: -item.log_weight):
        for k, other in enumerate(kept):
            if _is_same_place(hypothesis, other):
                weight = float(np.logaddexp(hypothesis.log_weight, other.log_weight))
                kept[k] = replace(
                    other, log_weight=weight, mode=hypothesis.mode if other.mode is None else other.mode
                )
                break
        else:
            kept.append(hypothesis)
    return kept


def _is_same_place(a: Hypothesis, b: Hypothesis) -> bool:
    """Whether each lies where the other may be; so a wide hypothesis does not absorb the rivals within it."""
    return all(
        disagreement_sigmas(a.pose, b.pose, item.covariance + MERGE_FLOOR) < MERGE_SIGMAS for item in (a, b)
    )


def _normalised(hypotheses: Sequence[Hypothesis], log_none: float) -> Belief:
    """Sorted, pruned and normalised; what is pruned goes to "none of these"."""
    ordered = sorted(hypotheses, key=lambda item: -item.log_weight)
    weights = np.array([item.log_weight for item in ordered] + [log_none])
    weights -= np.logaddexp.reduce(weights)
    kept = int(np.count_nonzero(weights[:-1][:MAX_HYPOTHESES] > np.log(HOPELESS)))
    hypotheses = tuple(
        replace(item, log_weight=float(weight)) for item, weight in zip(ordered[:kept], weights, strict=False)
    )
    return Belief(hypotheses, float(np.logaddexp.reduce(weights[kept:])))
