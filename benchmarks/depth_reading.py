"""How often depth is refused that is planar and declared as a range, or the reverse, and how often if declared right.

Panoramas of simulated drives are seen through pinhole cameras of many widths and pitches; benchmarks/README.md explains
the figures.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from depth_sources import TrueDepth

from xview_localizer.geometry.depth import DepthKind
from xview_localizer.geometry.levelling import R_base_optical_from_rpy, R_level_base
from xview_localizer.ground_view import LevelView
from xview_localizer.models.contracts import Networks
from xview_localizer.models.depth_cuts import Cut, input_camera
from xview_localizer.models.depth_package import DepthInput, DepthSpec
from xview_localizer.models.depth_reading import misreading
from xview_localizer.models.networks import open_networks
from xview_localizer.models.package import ModelPackage, default_package_path
from xview_localizer.recordings.pairs import PairRecord, PairsDataset, ground_view

WIDTHS_DEG, PITCHES_DEG, AZIMUTHS_DEG = (30, 45, 60, 75, 90, 110), (0, 10, 20, 30), (0, 90, 180, 270)
KINDS = (DepthKind.RELATIVE, DepthKind.AFFINE_INVERSE)
EVERY = 9  # neighbours in a drive look much alike


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--pairs", type=Path, nargs="+", required=True, help="folders of panoramas with depth"
    )
    networks, rng = open_networks(ModelPackage.load(default_package_path())), np.random.default_rng(0)
    counts: Counter = Counter()
    for folder in parser.parse_args().pairs:
        for record in PairsDataset(folder).records[::EVERY]:
            count_image(record, networks, rng, counts)
    errors = list(dict.fromkeys(error for error, *_ in counts))
    for right in (False, True):
        print(
            f"\nrefused of all, declared {'right' if right else 'wrong'}, by the width of the view in degrees"
        )
        print(" " * 28 + "".join(f"{width_deg:>15d}" for width_deg in WIDTHS_DEG))
        for error in errors:
            cells = [
                [counts[error, width_deg, right, yes] for yes in (True, False)] for width_deg in WIDTHS_DEG
            ]
            print(f"{error:<28s}" + "".join(f"{f'{yes} of {yes + no}':>15s}" for yes, no in cells))


def count_image(record: PairRecord, networks: Networks, rng: np.random.Generator, counts: Counter) -> None:
    """See one panorama through all cameras; adds to `counts` by error, width, whether declared right, and refused."""
    ground = ground_view(record)
    R_level_camera = R_level_base(ground.gravity_base) @ ground.R_base_camera
    view = LevelView(ground.image, ground.camera, R_level_camera, record.camera_height_m)
    cells = networks.ground.describe(view)
    predicted, true_m = (
        np.where(cells.valid, depth.estimate(view, cells).values, np.nan).ravel()
        for depth in (networks.depth, TrueDepth(record))
    )
    rays = cells.rays_level.reshape(-1, 3)
    for width_deg, pitch_deg, azimuth_deg in product(WIDTHS_DEG, PITCHES_DEG, AZIMUTHS_DEG):
        image = DepthInput(300, 400, horizontal_fov_rad=np.radians(width_deg))
        camera = input_camera(image, image.horizontal_fov_rad)
        R_level_cut = R_base_optical_from_rpy(0.0, *np.radians([pitch_deg, azimuth_deg]))
        _, seen = camera.project(rays @ R_level_cut)
        cosine = rays @ R_level_cut[:, 2]
        for error, range_, R_tilt in erroneous(predicted, true_m, rays, rng):
            cut, tilted = Cut(camera, R_tilt @ R_level_cut), rays @ R_tilt.T
            for planar, declared, kind in product((False, True), (False, True), KINDS):
                depth = np.where(seen, range_ * cosine if planar else range_, np.nan)
                values = 1 / depth + 0.1 if kind is DepthKind.AFFINE_INVERSE else depth
                spec = DepthSpec("", kind, declared, 80.0, image)
                refused = bool(misreading(spec, [cut], [values], tilted, view.camera_height_m))
                counts[error, width_deg, declared == planar, refused] += 1


def erroneous(
    predicted: np.ndarray, true_m: np.ndarray, rays: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Ranges [N] with an error each, and the rotation by which the ground that the localizer assumes is tilted."""
    level = np.eye(3)
    yield "embedded network (2 %)", predicted, level
    for tilt_deg in (2.0, 4.0):
        yield f"the same, {tilt_deg:.0f}° of tilt", predicted, tilt(np.radians(tilt_deg), rng)
    yield "5 % in each cell", true_m * np.exp(rng.normal(0, 0.05, len(rays))), level
    azimuth_rad, elevation_rad = np.arctan2(rays[:, 1], rays[:, 0]), np.arcsin(rays[:, 2])
    wave = np.sin(rng.uniform(1, 4) * azimuth_rad + rng.uniform(0, 6))
    wave *= np.cos(rng.uniform(1, 6) * elevation_rad + rng.uniform(0, 6))
    yield "10 % in large patches", true_m * np.exp(0.14 * wave), level
    yield "far too near (power 0.75)", true_m**0.75, level


def tilt(angle_rad: float, rng: np.random.Generator) -> np.ndarray:
    """A rotation by an angle about any horizontal axis."""
    azimuth_rad = rng.uniform(0, 2 * np.pi)
    axis = np.array([np.cos(azimuth_rad), np.sin(azimuth_rad), 0.0])
    return cv2.Rodrigues(angle_rad * axis)[0]


if __name__ == "__main__":
    main()
