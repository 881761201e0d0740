"""The value of depth: the same images localized with true depth, the package's own, a separate network, flat ground.

A second table holds the errors of the ranges by which the cells were lifted. The last multiplies the package's depth by
0.001 to 1000, which must not move poses of the scale-aware solver.
benchmarks/README.md explains the figures.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from depth_sources import FlatGround, Scaled, TrueDepth, random_depth_package

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.belief.fix import Fix
from xview_localizer.engines.factory import EngineConfig
from xview_localizer.evaluation.bench import machine
from xview_localizer.evaluation.metrics import write_json
from xview_localizer.evaluation.spreading import spread
from xview_localizer.geometry.depth import flat_ground_range_m
from xview_localizer.geometry.lifting import lift_cells
from xview_localizer.ground_view import LevelView
from xview_localizer.localizer import Localizer
from xview_localizer.models.contracts import (
    AerialEncoder,
    DepthEstimator,
    GroundCells,
    GroundEncoder,
    Networks,
)
from xview_localizer.models.depth_package import DepthPackage
from xview_localizer.models.networks import open_networks
from xview_localizer.models.package import ModelPackage, default_package_path
from xview_localizer.recordings.pairs import PairRecord, PairsDataset, ground_view

FACTORS = (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0)
SCALED_IMAGES = 10  # enough to see whether the unit matters
LIMITS_M = (0.0, 5.0, 10.0, 20.0, 45.0)  # of the ranges in the table of errors
STANDING = 0.9  # what is nearer than this part of flat ground's range stands on it


@dataclass
class RangeErrors:
    """The true and the lifted range of every cell of many images, and whether it shows what stands on the ground."""

    true_m: list[np.ndarray] = field(default_factory=list)
    lifted_m: list[np.ndarray] = field(default_factory=list)
    standing: list[np.ndarray] = field(default_factory=list)

    def add(self, view: LevelView, cells: GroundCells, depth: DepthEstimator, true_m: np.ndarray) -> None:
        """Lift the cells of one view by `depth`. Cells without a known true range [R, C] count for nothing."""
        limit_m, height_m = LIMITS_M[-1], view.camera_height_m
        lifted = lift_cells(depth.estimate(view, cells), cells.rays_level, height_m, height_m, limit_m)
        known = cells.valid & (true_m < limit_m)  # False where NaN
        flat_m = flat_ground_range_m(cells.rays_level.reshape(-1, 3), height_m).reshape(true_m.shape)
        self.true_m.append(true_m[known])
        self.lifted_m.append(np.minimum(np.nan_to_num(lifted.range_m, nan=limit_m), limit_m)[known])
        self.standing.append((true_m < STANDING * flat_m)[known])

    def table(self) -> dict[str, tuple[float, float]]:
        """AbsRel and the share within a factor of 1.25, of the ground and, by range, of what stands on it."""
        true_m, lifted_m, standing = map(np.concatenate, (self.true_m, self.lifted_m, self.standing))
        groups = {"ground": ~standing}
        for low_m, high_m in pairwise(LIMITS_M):
            groups[f"{low_m:g}-{high_m:g} m"] = standing & (true_m >= low_m) & (true_m < high_m)
        ratio = lifted_m / true_m
        close = np.maximum(ratio, 1 / ratio) < 1.25
        return {
            name: (float(np.abs(ratio - 1)[group].mean()), float(close[group].mean()))
            for name, group in groups.items()
        }


@dataclass
class Cached:
    """A GroundEncoder or AerialEncoder that encodes each image once for all localizers."""

    encoder: GroundEncoder | AerialEncoder
    known: dict[int, GroundCells | np.ndarray] = field(default_factory=dict)

    def describe(self, image: LevelView | np.ndarray) -> GroundCells | np.ndarray:
        key = hash((image.image if isinstance(image, LevelView) else image).tobytes())
        if key not in self.known:
            self.known[key] = self.encoder.describe(image)
        return self.known[key]


@dataclass
class Source:
    """What came of one source of depth, image by image."""

    fixes: list[Fix] = field(default_factory=list)
    errors_m: list[float] = field(default_factory=list)  # of position; infinite for a missing pose
    ranges: RangeErrors = field(default_factory=RangeErrors)

    def row(self) -> dict[str, float]:
        """The row of the table of poses."""
        error_m = np.nan_to_num(np.array(self.errors_m), nan=np.inf)
        accepted = np.array([fix.accepted for fix in self.fixes])
        return {
            "images": len(error_m),
            "median_m": float(np.median(error_m)),
            "within_1m": float((error_m <= 1).mean()),
            "within_2m": float((error_m <= 2).mean()),
            "within_5m": float((error_m <= 5).mean()),
            "accepted": int(accepted.sum()),
            "accepted_off_2m": int((accepted & (error_m > 2)).sum()),
            "depth_believed": float(np.mean([fix.depth_source == "network" for fix in self.fixes])),
            "depth_ms": float(np.median([fix.timings_ms.get("depth", 0.0) for fix in self.fixes])),
        }


def compare(records: Sequence[PairRecord], networks: Networks, separate: DepthEstimator) -> dict[str, Source]:
    """Each record localized with each source of depth."""
    found: dict[str, Source] = {}
    for number, record in enumerate(records):
        print(f"\r{number + 1} of {len(records)}", end="", flush=True)
        true_depth = TrueDepth(record)
        sources = {
            "true depth": true_depth,
            "network's own": networks.depth,
            "separate network": separate,
            "flat ground": FlatGround(),
        }
        ground = ground_view(record)
        view = LevelView(ground.image, ground.camera, ground.R_base_camera, ground.camera_height_m)
        cells = networks.ground.describe(view)
        true_m = true_depth.estimate(view, cells).values
        for name, depth in sources.items():
            fix, source = localize(record, networks, depth), found.setdefault(name, Source())
            source.fixes.append(fix)
            source.errors_m.append(float(np.hypot(fix.x_m - record.truth.x_m, fix.y_m - record.truth.y_m)))
            source.ranges.add(view, cells, depth, true_m)
    print()
    return found


def moved_by_unit(records: Sequence[PairRecord], networks: Networks) -> dict[str, float]:
    """Greatest distance (metres) by which each factor on the depth moves a pose."""
    moved_m = dict.fromkeys(map(str, FACTORS), 0.0)
    for record in records:
        one = localize(record, networks, Scaled(networks.depth, 1.0))
        for factor in FACTORS:
            other = localize(record, networks, Scaled(networks.depth, factor))
            apart_m = float(np.hypot(one.x_m - other.x_m, one.y_m - other.y_m))
            moved_m[str(factor)] = max(moved_m[str(factor)], apart_m)
    return moved_m


def localize(record: PairRecord, networks: Networks, depth: DepthEstimator) -> Fix:
    localizer = Localizer(replace(networks, depth=depth), InMemoryMap(record.load_aerial()))
    return localizer.localize(ground_view(record), record.prior)


def main() -> None:
    parser = argparse.ArgumentParser(description="Localize with depth from several sources")
    parser.add_argument("--pairs", type=Path, required=True, help="simulated pairs, which have depth images")
    parser.add_argument("--images", type=int, default=100, help="how many of them, spread over all")
    parser.add_argument("--model", type=Path, help="model package; default: the embedded one")
    parser.add_argument("--depth", type=Path, help="depth package; default: a small one of random weights")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("depth_comparison.json"))
    arguments = parser.parse_args()
    engines = EngineConfig(threads=arguments.threads)
    package = ModelPackage.load(arguments.model or default_package_path())
    networks = open_networks(package, engines)
    networks = replace(networks, ground=Cached(networks.ground), aerial=Cached(networks.aerial))
    records = spread(PairsDataset(arguments.pairs).records, arguments.images)
    with tempfile.TemporaryDirectory() as folder:
        depth = DepthPackage.load(arguments.depth) if arguments.depth else random_depth_package(Path(folder))
        separate = open_networks(replace(package, depth=depth), engines).depth
        found = compare(records, networks, separate)
    moved_m = moved_by_unit(spread(records, SCALED_IMAGES), networks)
    poses = {name: source.row() for name, source in found.items()}
    ranges = {name: source.ranges.table() for name, source in found.items()}
    figures = {"machine": machine(), "model": package.spec.name, "separate": depth.spec.name}
    write_json({**figures, "sources": poses, "ranges": ranges, "moved_by_factor_m": moved_m}, arguments.out)
    print_table(poses, lambda value: f"{value:.3g}")
    print("ranges, AbsRel and the share within a factor of 1.25: of the ground, and of what stands on it")
    print_table(ranges, lambda value: f"{value[0]:.3f} {value[1]:.3f}")
    print("depth times a factor moves the pose by at most, metres:")
    print("  ".join(f"× {factor}: {value:.1e}" for factor, value in moved_m.items()))


def print_table(rows: Mapping[str, Mapping[str, Any]], shown: Callable[[Any], str]) -> None:
    print(f"{'':18}" + "".join(f"{name:>17}" for name in next(iter(rows.values()))))
    for name, values in rows.items():
        print(f"{name:18}" + "".join(f"{shown(value):>17}" for value in values.values()))


if __name__ == "__main__":
    main()
