"""The method, step by step: one ground image and a prior in, a pose with covariance (or a reason) out.

Xia, Xu, Alahi: "Loc²: Interpretable Cross-View Localization via Depth-Lifted Local Feature Matching"
(arXiv 2509.09792), with the dense likelihood of all ground cells in place of a list of best matches.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np

from xview_localizer.aerial.source import MapSource, MapSourceError
from xview_localizer.descriptor_map import AerialDescriptors, DescriptorMap
from xview_localizer.engines.onnx_engine import OnnxEngine
from xview_localizer.geometry.canonical_view import CanonicalView, canonical_view
from xview_localizer.geometry.dense import DenseSolverConfig, PoseSolution, solve_dense
from xview_localizer.geometry.depth import DepthKind, calibrate_depth, flat_ground_range_m
from xview_localizer.geometry.levelling import R_level_base
from xview_localizer.geometry.match_field import Correspondences, MatchField
from xview_localizer.geometry.plan_view import plan_coordinates, plan_view
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.ground_view import GroundView
from xview_localizer.imaging import network_image, render_views
from xview_localizer.models.package import CalibrationSpec, ModelPackage

HERE = Pose2(0.0, 0.0, 0.0)
NETWORK_DEPTH = "network"
# Within a narrow prior: further cells of the image add little, and every metre of map costs time.
MIN_MAP_HALF_EXTENT_M = 28.8


@dataclass(frozen=True)
class Observation:
    """What one image contributes: its cells on the ground, ready to be matched anywhere.

    The level frame is base_link with roll and pitch removed. `reason` is non-empty when the image is
    unusable; the arrays are empty then.
    """

    ground_xy_m: np.ndarray  # [N, 2] from the camera, along the level frame's axes; metres if `scale_known`
    camera_xy_m: np.ndarray  # [2] the camera in the level frame
    descriptor: np.ndarray  # [N, D] unit length
    dustbin: np.ndarray  # [N] score of matching nothing, in cosine / τ
    scale_known: bool
    depth_source: str  # "network", or "flat ground" and why
    stamp_sec: float
    reason: str = ""
    timings_ms: dict[str, float] = field(default_factory=dict)

    def points_m(self, scale: float) -> np.ndarray:
        """The cells [N, 2] in the level frame. The lever arm is metres whatever the scale of the depth."""
        return scale * self.ground_xy_m + self.camera_xy_m


@dataclass(frozen=True)
class PlacedObservation:
    """An observation and where it was made, seen from the current base_link (odometry)."""

    observation: Observation
    T_current_past: Pose2


@dataclass(frozen=True)
class Fix:
    """The localizer's answer. Position and yaw are those of base_link in `map`.

    When no pose was found at all, x, y, yaw, scale and covariance are NaN and `accepted` is False.
    A pose that was found but is not to be trusted has `accepted` False and a `reason`.
    """

    stamp_sec: float
    x_m: float
    y_m: float
    yaw_rad: float
    scale: float
    covariance: np.ndarray  # [3, 3] of (x, y, yaw)
    confidence: float  # in [0, 1], calibrated: chance that the position is within 2 m
    score_per_cell: float  # mean log-likelihood ratio of the cells at the pose
    lead: float  # by which the pose leads its best rival, a distant pose or chance: log-likelihood / temperature · √K
    inlier_ratio: float
    inliers: int
    accepted: bool
    reason: str  # empty when accepted
    depth_source: str = ""
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LocalizerConfig:
    """What a user may tune; what the network fixes stands in its package's model.yaml."""

    min_confidence: float = 0.9
    max_position_sigma_m: float = 3.0
    max_range_m: float = 45.0
    max_cells: int = 900
    assumed_camera_height_m: float = 2.0
    unknown_height_scale_bounds: tuple[float, float] = (0.6, 1.6)
    known_height_scale_bounds: tuple[float, float] = (0.9, 1.1)
    map_reach_m: float = 20.0
    threads: int = 0
    providers: tuple[str, ...] = ("CPUExecutionProvider",)


class Localizer:
    """Localizes ground images in one map with one model package.

    A pure function of its inputs, the map and the seed. Bad imagery gives a rejected Fix, never an exception.
    """

    def __init__(
        self,
        package: ModelPackage,
        map_source: MapSource,
        config: LocalizerConfig = LocalizerConfig(),
        seed: int = 0,
    ) -> None:
        self.spec, self.config, self._seed = package.spec, config, seed
        engines = {
            name: OnnxEngine(path, config.providers, config.threads) for name, path in package.graphs.items()
        }
        self._backbone, self._ground_head = engines["backbone"], engines["ground_head"]
        self._aerial = DescriptorMap(map_source, self._backbone, engines["aerial_head"], package.spec.aerial)

    def calibrated(self, calibration: CalibrationSpec) -> Localizer:
        """The same engines and map, judging by another calibration."""
        other = copy(self)
        other.spec = replace(self.spec, calibration=calibration)
        return other

    def localize(self, view: GroundView, prior: Prior) -> Fix:
        """Where base_link was when `view` was taken."""
        return self.solve([PlacedObservation(self.observe(view), HERE)], prior)

    def prefetch(self, x_m: float, y_m: float) -> None:
        """Read and encode the map around (x, y) now, so that `solve` finds it there; safe beside it.

        Raises MapSourceError.
        """
        self._aerial.read(x_m, y_m, MIN_MAP_HALF_EXTENT_M)

    def observe(self, view: GroundView) -> Observation:
        """Steps 1 and 3 of the paper: describe every ground cell and lift it with depth."""
        reason = unusable_reason(view)
        if reason:
            return empty_observation(view.stamp_sec, reason)
        timings: dict[str, float] = {}
        try:
            R_level = R_level_base(view.gravity_base)
        except ValueError as error:
            return empty_observation(view.stamp_sec, str(error))
        with _stage(timings, "view"):
            R_level_camera = R_level @ view.R_base_camera
            canonical = canonical_view(view.camera, R_level_camera, self.spec.view)
            height_m = view.camera_height_m or self.config.assumed_camera_height_m
            plan = plan_view(view.camera, R_level_camera, height_m, self.spec.plan)
            plan_xy = plan_coordinates(
                canonical.cell_azimuth_rad, canonical.cell_elevation_rad, height_m, plan.spec
            )
            image, plan_image = map(network_image, render_views(view.image, canonical, plan))
        if not canonical.cell_valid.any():
            return empty_observation(
                view.stamp_sec, "the camera sees nothing between the horizon and its feet; check its mounting"
            )
        with _stage(timings, "encode"):
            tokens = self._backbone.run({"image": image})["tokens"]
            cells = self._ground_head.run(
                {
                    "tokens": tokens,
                    "image": image,
                    "elevation_rad": canonical.cell_elevation_rad[None].astype(np.float32),
                    "valid": canonical.cell_valid[None].astype(np.float32),
                    "plan": plan_image,
                    "plan_xy": plan_xy[None].astype(np.float32),
                }
            )
        with _stage(timings, "lift"):
            range_m, depth_source = self._range_m(
                view.camera_height_m, canonical, R_level_camera, cells["log_range"][0]
            )
            xy_m = canonical.cell_directions[..., :2] * range_m[..., None]
            usable = canonical.cell_valid & (range_m > 0.5) & (range_m < self.config.max_range_m)
        metric = self.spec.depth.kind is DepthKind.METRIC and depth_source == NETWORK_DEPTH
        return Observation(
            ground_xy_m=xy_m[usable].astype(np.float64),
            camera_xy_m=(R_level @ view.camera_in_base_m)[:2],
            descriptor=cells["descriptor"][0].transpose(1, 2, 0)[usable],
            dustbin=cells["dustbin"][0][usable],
            scale_known=metric or view.camera_height_m is not None,
            depth_source=depth_source,
            stamp_sec=view.stamp_sec,
            timings_ms=timings,
        )

    def solve(self, placed: Sequence[PlacedObservation], prior: Prior) -> Fix:
        """Steps 2, 4 and 5: match all cells of the observations (the last is the current one), solve, judge."""
        current = placed[-1].observation
        timings = dict(current.timings_ms)
        if current.reason:
            return rejected_fix(current, current.reason, timings)
        try:
            with _stage(timings, "aerial"):
                aerial = self._aerial_around(prior)
        except MapSourceError as error:
            return rejected_fix(current, f"map: {error}", timings)
        if not aerial.valid.any():
            return rejected_fix(current, _no_imagery(aerial, prior), timings)
        scale = 1.0
        if not current.scale_known:
            with _stage(timings, "scale"):
                alone = self._solve_scale(current, aerial, prior)
            if alone.pose is None:
                return rejected_fix(current, alone.reason, timings)
            scale = alone.scale
        usable = [item for item in placed if not item.observation.reason]
        with _stage(timings, "match"):
            match_field = self._match(usable, aerial, scale)
        with _stage(timings, "solve"):
            solver = self._solver_config(self.config.known_height_scale_bounds)
            solution = solve_dense(match_field, prior, solver, self._seed)
            solution = replace(solution, scale=scale * solution.scale)
        return self._judge(current, solution, len(usable), timings)

    def best_matches(self, observation: Observation, prior: Prior, scale: float) -> Correspondences:
        """The likeliest aerial cell of each ground cell, weighted by its probability; to look at, not to solve with.

        Empty where the map shows nothing. Raises MapSourceError.
        """
        aerial = self._aerial_around(prior)
        if not aerial.valid.any():
            return Correspondences(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))
        field = self._match([PlacedObservation(observation, HERE)], aerial, scale)
        best = field.log_likelihood.argmax(axis=1)
        probability = np.exp(field.log_likelihood[np.arange(len(best)), best]) * field.inlier_probability
        return Correspondences(field.ground_xy_m, field.grid.cell_centres_xy_m[best], probability)

    def _aerial_around(self, prior: Prior) -> AerialDescriptors:
        half_extent_m = max(MIN_MAP_HALF_EXTENT_M, prior.radius_m + self.config.map_reach_m)
        return self._aerial.read(prior.x_m, prior.y_m, half_extent_m)

    def _range_m(
        self,
        camera_height_m: float | None,
        canonical: CanonicalView,
        R_level_camera: np.ndarray,
        log_range: np.ndarray,
    ) -> tuple[np.ndarray, str]:
        """Range of every cell, calibrated on the ground plane; flat ground where the depth disagrees with it.

        Without a camera height, metric depth keeps its unit, and any other takes that of an assumed height.
        """
        height_m = camera_height_m or self.config.assumed_camera_height_m
        rays_level = canonical.cell_directions.reshape(-1, 3)
        calibrated = calibrate_depth(
            np.exp(log_range).ravel().astype(np.float64),
            self.spec.depth.kind,
            rays_level,
            axis_cosine=rays_level @ R_level_camera[:, 2] if self.spec.depth.planar else None,
            camera_height_m=camera_height_m if self.spec.depth.kind is DepthKind.METRIC else height_m,
        )
        if calibrated.agrees:
            return calibrated.range_m.reshape(log_range.shape), NETWORK_DEPTH
        flat_m = flat_ground_range_m(rays_level, height_m, self.config.max_range_m)
        return flat_m.reshape(log_range.shape), f"flat ground: {calibrated.reason}"

    def _solve_scale(self, current: Observation, aerial: AerialDescriptors, prior: Prior) -> PoseSolution:
        """The scale of the lifted points, from the current image seen from its camera.

        The solver scales all it is given, but the lever arm and what odometry says of earlier images are metres:
        those have to stay out until the scale is known.
        """
        from_camera = replace(current, camera_xy_m=np.zeros(2))
        around = replace(prior, radius_m=prior.radius_m + float(np.hypot(*current.camera_xy_m)))
        match_field = self._match([PlacedObservation(from_camera, HERE)], aerial, 1.0)
        solver = self._solver_config(self.config.unknown_height_scale_bounds)
        return solve_dense(match_field, around, solver, self._seed)

    def _match(
        self, placed: Sequence[PlacedObservation], aerial: AerialDescriptors, scale: float
    ) -> MatchField:
        """M = cosine / τ with a dustbin column, softmax over the aerial cells."""
        xy_m = np.concatenate(
            [item.T_current_past.transform(item.observation.points_m(scale)) for item in placed]
        )
        descriptor = np.concatenate([item.observation.descriptor for item in placed])
        dustbin = np.concatenate([item.observation.dustbin for item in placed])
        range_m = np.concatenate([np.linalg.norm(item.observation.ground_xy_m, axis=1) for item in placed])
        chosen = select_cells(range_m, self.config.max_cells, self._seed)
        logits = (self.spec.inverse_temperature * descriptor[chosen]) @ aerial.descriptor.T
        logits[:, ~aerial.valid] = -np.inf
        highest = logits.max(axis=1, keepdims=True)
        log_total = highest + np.log(np.exp(logits - highest).sum(axis=1, keepdims=True))
        log_likelihood = logits - log_total
        # What the map does not show is as likely as chance: evidence neither for a pose nor against it.
        log_likelihood += np.log(aerial.valid.mean())
        log_likelihood[:, ~aerial.valid] = -np.log(len(aerial.valid))
        # The softmax is over the cells of this crop; the dustbin was trained against a block's number of cells.
        crowding = np.log(aerial.valid.sum() / self.spec.aerial.block_cells**2)
        inlier_probability = 1 / (1 + np.exp(np.clip(dustbin[chosen] + crowding - log_total[:, 0], -50, 50)))
        return MatchField(xy_m[chosen], log_likelihood, inlier_probability, aerial.grid)

    def _solver_config(self, scale_bounds: tuple[float, float]) -> DenseSolverConfig:
        return DenseSolverConfig(
            scale_bounds=scale_bounds,
            evidence_temperature=self.spec.calibration.evidence_temperature,
        )

    def _judge(
        self,
        current: Observation,
        solution: PoseSolution,
        images: int,
        timings: dict[str, float],
    ) -> Fix:
        """Accept a pose only when it is confident, unambiguous and tight."""
        if solution.pose is None:
            return rejected_fix(current, solution.reason, timings)
        # Chance is a rival too: inside a narrow prior there may be no other, and an image that shows nothing
        # of the map leads by nothing.
        rival = solution.second_mode.score_gap if solution.second_mode else np.inf
        lead = min(rival, solution.score) / self.spec.calibration.evidence_temperature
        # A rival that several images share is less of a coincidence than one that a single image sees.
        lead *= np.sqrt(images)
        confidence = self.spec.calibration.confidence(lead)
        position_sigma_m = float(np.sqrt(np.linalg.eigvalsh(solution.covariance[:2, :2])[-1]))
        reason = ""
        if confidence < self.config.min_confidence:
            reason = f"confidence {confidence:.2f} is below {self.config.min_confidence:.2f}"
        elif position_sigma_m > self.config.max_position_sigma_m:
            reason = (
                f"position sigma {position_sigma_m:.1f} m is above {self.config.max_position_sigma_m:.1f} m"
            )
        return Fix(
            stamp_sec=current.stamp_sec,
            x_m=solution.pose.x_m,
            y_m=solution.pose.y_m,
            yaw_rad=solution.pose.yaw_rad,
            scale=solution.scale,
            covariance=solution.covariance,
            confidence=confidence,
            score_per_cell=solution.score_per_cell,
            lead=lead,
            inlier_ratio=solution.inlier_ratio,
            inliers=solution.inliers,
            accepted=not reason,
            reason=reason,
            depth_source=current.depth_source,
            timings_ms=timings,
        )


def unusable_reason(view: GroundView) -> str:
    """Why an image cannot be used, or an empty string."""
    image, camera = view.image, view.camera
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        return f"image must be [H, W, 3] uint8 RGB, got shape {image.shape} of {image.dtype}"
    if image.shape[:2] != (camera.height, camera.width):
        return (
            f"image is {image.shape[1]} × {image.shape[0]} but the camera model says {camera.width} × {camera.height}; "
            "check that CameraInfo belongs to this image"
        )
    if not (np.all(np.isfinite(view.R_base_camera)) and np.all(np.isfinite(view.camera_in_base_m))):
        return "the camera's mounting is not finite"
    if view.camera_height_m is not None and not 0.05 < view.camera_height_m < 50:
        return f"camera height {view.camera_height_m} m is not between 0.05 and 50 m"
    if float(image[::8, ::8].std(axis=(0, 1)).max()) < 3.0:
        return "image is blank (no contrast)"
    return ""


def select_cells(range_m: np.ndarray, max_cells: int, seed: int) -> np.ndarray:
    """Indices of at most `max_cells` cells, the many near ones thinned out first (as in training)."""
    if len(range_m) <= max_cells:
        return np.arange(len(range_m))
    weight = cell_weight(range_m)
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(len(range_m), max_cells, replace=False, p=weight / weight.sum()))


def cell_weight(range_m: np.ndarray) -> np.ndarray:
    """How likely a cell is drawn: the image's many near cells cover little ground."""
    return np.clip(range_m / 15, 0.15, 1.0)


def _no_imagery(aerial: AerialDescriptors, prior: Prior) -> str:
    if aerial.problems:
        return f"map: {aerial.problems[0]}"
    return f"the map has no imagery around the prior ({prior.x_m:.0f}, {prior.y_m:.0f}) m"


def empty_observation(stamp_sec: float, reason: str) -> Observation:
    """What an image contributes that is of no use."""
    return Observation(
        ground_xy_m=np.zeros((0, 2)),
        camera_xy_m=np.zeros(2),
        descriptor=np.zeros((0, 1), np.float32),
        dustbin=np.zeros(0, np.float32),
        scale_known=False,
        depth_source="none",
        stamp_sec=stamp_sec,
        reason=reason,
    )


def rejected_fix(observation: Observation, reason: str, timings: dict[str, float]) -> Fix:
    """The answer where no pose was found at all."""
    nan = float("nan")
    return Fix(
        stamp_sec=observation.stamp_sec,
        x_m=nan,
        y_m=nan,
        yaw_rad=nan,
        scale=nan,
        covariance=np.full((3, 3), nan),
        confidence=0.0,
        score_per_cell=0.0,
        lead=0.0,
        inlier_ratio=0.0,
        inliers=0,
        accepted=False,
        reason=reason,
        depth_source=observation.depth_source,
        timings_ms=timings,
    )


@contextmanager
def _stage(timings: dict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    timings[name] = 1e3 * (time.perf_counter() - began)
