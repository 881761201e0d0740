"""The method, step by step: one ground image and a prior in, a pose with covariance (or a reason) out.

Xia, Xu, Alahi: "Loc²: Interpretable Cross-View Localization via Depth-Lifted Local Feature Matching"
(arXiv 2509.09792), with the dense likelihood of all ground cells in place of a list of best matches. Its steps, and
where each is taken (docs/how_it_works.md has the equations):

1. features and 3. lifting with depth: `observe` (describe.py, geometry/lifting.py), on either ground (slopes.py)
2. matching of all ground cells with all aerial cells: matching.py, against the map's cells (descriptor_map.py)
4. alignment, scale-aware Procrustes, and 5. the choice among hypotheses: `modes` (geometry/dense.py)

`judge` then decides what a single image is worth; in a drive the tracker does (tracking/tracker.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

from xview_localizer.aerial.source import MapSource, MapSourceError
from xview_localizer.aerial_descriptors import AerialDescriptors
from xview_localizer.belief.calibration import CalibrationSpec
from xview_localizer.belief.evidence import ImageEvidence
from xview_localizer.belief.fix import Fix
from xview_localizer.belief.gate import decide
from xview_localizer.belief.hypotheses import Belief
from xview_localizer.describe import described_and_lifted
from xview_localizer.descriptor_map import DescriptorMap
from xview_localizer.geometry.dense import PoseModes, joined, solve_dense
from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.ground_view import GroundView
from xview_localizer.localizer_config import MIN_MAP_HALF_EXTENT_M, LocalizerConfig
from xview_localizer.matching import best_matches, match
from xview_localizer.models.contracts import Networks
from xview_localizer.modes import Modes
from xview_localizer.observation import IDENTITY_POSE, Observation, PlacedObservation
from xview_localizer.rejection import Reason, Rejection
from xview_localizer.slopes import observed_on_each_ground, on_each_ground
from xview_localizer.stages import recorded_stages, stage
from xview_localizer.wide_search import discs_to_solve


class Localizer:
    """Localizes ground images in one map with one model's networks.

    A pure function of its inputs, the map and the seed. Bad imagery gives a rejected Fix, never an exception.
    """

    def __init__(
        self,
        networks: Networks,
        map_source: MapSource,
        config: LocalizerConfig = LocalizerConfig(),
        seed: int = 0,
    ) -> None:
        self.spec, self.config, self._seed = networks.spec, config, seed
        self._networks = networks
        self._aerial = DescriptorMap(map_source, networks.aerial, networks.spec.aerial)

    def calibrated(self, calibration: CalibrationSpec) -> Localizer:
        """The same networks and map, judging by another calibration."""
        other = copy(self)
        other.spec = replace(self.spec, calibration=calibration)
        return other

    @property
    def map_warnings(self) -> tuple[str, ...]:
        """Warnings about the map, as far as it was read: reasons to doubt poses found in it."""
        return self._aerial.warnings

    def localize(self, view: GroundView, prior: Prior) -> Fix:
        """Where base_link was when `view` was taken."""
        return self.judge(self.modes([PlacedObservation(self.observe(view), IDENTITY_POSE)], prior))

    def judge(self, modes: Modes) -> Fix:
        """The answer for a single image, without any belief from earlier images."""
        evidence = ImageEvidence.of(modes.modes, self.spec.calibration)
        belief = Belief().updated(evidence, share=1.0, log_prior=modes.log_prior(first=True))
        return decide(modes, belief, self.config.single_image_gate)

    def prefetch(self, x_m: float, y_m: float) -> None:
        """Read and encode the map around (x, y) now, so that `modes` finds it there; safe beside it.

        Raises MapSourceError.
        """
        self._aerial.read(x_m, y_m, MIN_MAP_HALF_EXTENT_M)

    def observe(self, view: GroundView) -> Observation:
        """Steps 1 and 3 of the paper: describe every ground cell and lift it with depth, on either ground."""

        def observe_on_level_ground(level: GroundView) -> Observation:
            height_m, range_m = self.config.assumed_camera_height_m, self.config.max_range_m
            return described_and_lifted(level, self._networks, height_m, range_m)

        return observed_on_each_ground(observe_on_level_ground, view)

    def modes(
        self, placed: Sequence[PlacedObservation], prior: Prior, expected: Sequence[Pose2] = ()
    ) -> Modes:
        """Steps 2, 4 and 5: match all cells of the observations (the last is the current one) and solve.

        Poses near the `expected` ones are among the modes where the posterior has a maximum there.
        """
        current = placed[-1].observation
        with recorded_stages() as timings:
            modes = self._modes(placed, prior, expected)
        return replace(
            modes,
            stamp_sec=current.stamp_sec,
            depth_source=current.on_ground(modes.on_slope).depth_source,
            timings_ms={**current.timings_ms, **timings},
        )

    def _modes(self, placed: Sequence[PlacedObservation], prior: Prior, expected: Sequence[Pose2]) -> Modes:
        current = placed[-1].observation
        nothing = Modes(current.stamp_sec, prior, map_sigma_m=self.config.map_sigma_m)
        if current.reason:
            return replace(nothing, rejection=Rejection.of(Reason.BAD_IMAGE, detail=current.reason))
        try:
            with stage("aerial"):
                aerial = self._aerial_around(prior)
        except MapSourceError as error:
            return replace(nothing, rejection=Rejection.of(Reason.MAP_UNREADABLE, detail=str(error)))
        covered = aerial.covered(prior.x_m, prior.y_m, prior.radius_m)
        if not covered:
            return replace(nothing, rejection=_no_imagery(aerial, prior))
        # One scale is solved for: cells in metres and cells of an assumed height have none in common.
        usable = [
            item
            for item in placed
            if not item.observation.reason and item.observation.scale_known == current.scale_known
        ]
        solutions = [self._solve(ground, aerial, prior, expected) for ground in on_each_ground(usable)]
        solution = joined(solutions, self.config.solver(self.spec, current.scale_known))
        if solution.reason:
            return replace(nothing, rejection=Rejection.of(Reason.NOTHING_TO_SOLVE, detail=solution.reason))
        return replace(
            nothing,
            covered=covered,
            modes=solution.modes,
            images=len(usable),
            score_per_cell=solution.score_per_cell,
            inliers=solution.inliers,
            inlier_ratio=solution.inlier_ratio,
            on_slope=any(mode is solution.modes[0] for other in solutions[1:] for mode in other.modes),
        )

    def _solve(
        self,
        placed: Sequence[PlacedObservation],
        aerial: AerialDescriptors,
        prior: Prior,
        expected: Sequence[Pose2],
    ) -> PoseModes:
        """Match and solve on one ground; a wide search is first reduced to small discs."""
        matching = self.config.matching(self.spec)
        solver = self.config.solver(self.spec, placed[-1].observation.scale_known)

        def solve_within(disc: Prior) -> PoseModes:
            with stage("match"):
                near = aerial.around(disc.x_m, disc.y_m, self.config.map_half_extent_m(disc))
                if not near.valid.any():
                    return PoseModes(reason="the map has no imagery around the best coarse votes")
                match_field = match(placed, near, matching, self._seed)
            with stage("solve"):
                return solve_dense(match_field, prior, solver, self._seed, expected, window=disc)

        with stage("match"):
            discs = discs_to_solve(placed, aerial, prior, solver, matching, self._seed)
        if not discs:
            return PoseModes(reason="the coarse votes are not finite")
        return joined([solve_within(disc) for disc in discs], solver)

    def best_matches(self, observation: Observation, prior: Prior, scale: float) -> Correspondences:
        """The likeliest aerial cell of each ground cell, weighted by its probability; to look at, not to solve with.

        Empty where the map shows nothing. Raises MapSourceError.
        """
        matching = self.config.matching(self.spec)
        return best_matches(observation, scale, self._aerial_around(prior), matching)

    def _aerial_around(self, prior: Prior) -> AerialDescriptors:
        return self._aerial.read(prior.x_m, prior.y_m, self.config.map_half_extent_m(prior))


def _no_imagery(aerial: AerialDescriptors, prior: Prior) -> Rejection:
    if aerial.problems:
        return Rejection.of(Reason.MAP_UNREADABLE, detail=aerial.problems[0])
    return Rejection.of(Reason.NO_IMAGERY, x_m=prior.x_m, y_m=prior.y_m)
