"""The value of depth: the same images localized with true depth, the package's own, a separate network, flat ground.

A last table multiplies the package's depth by 0.001 to 1000, which must not move poses of the scale-aware solver.
benchmarks/README.md explains the figures.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.belief.fix import Fix
from xview_localizer.engines.factory import EngineConfig
from xview_localizer.evaluation.bench import machine
from xview_localizer.evaluation.metrics import write_json
from xview_localizer.geometry.depth import DepthKind, DepthPrediction
from xview_localizer.ground_view import LevelView
from xview_localizer.localizer import Localizer
from xview_localizer.models.contracts import (
    AerialEncoder,
    DepthEstimator,
    GroundCells,
    GroundEncoder,
    Networks,
)
from xview_localizer.models.depth_package import DepthInput, DepthPackage, DepthSpec
from xview_localizer.models.networks import open_networks
from xview_localizer.models.package import ModelPackage, default_package_path
from xview_localizer.recordings.pairs import PairRecord, PairsDataset, ground_view

FACTORS = (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0)
SCALED_IMAGES = 10  # enough to see whether the unit matters


class TrueDepth:
    """A DepthEstimator that gives the simulator's range at each cell's ray."""

    def __init__(self, record: PairRecord) -> None:
        self._range_m = record.load_range_m()

    def estimate(self, view: LevelView, cells: GroundCells) -> DepthPrediction:
        rays_camera = cells.rays_level.reshape(-1, 3) @ view.R_level_camera
        uv, seen = view.camera.project(rays_camera)
        column, row = np.where(seen[:, None], uv, 0).astype(int).T
        range_m = np.where(seen, self._range_m[row, column], 0).astype(np.float64)
        range_m[range_m == 0] = np.nan  # sky
        return DepthPrediction(range_m.reshape(cells.valid.shape), DepthKind.METRIC)


class FlatGround:
    """A DepthEstimator without depth."""

    def estimate(self, view: LevelView, cells: GroundCells) -> None:
        return None


@dataclass(frozen=True)
class Scaled:
    """Another estimator's depth in another unit, declared as relative, so that poses must not depend on the unit."""

    depth: DepthEstimator
    factor: float

    def estimate(self, view: LevelView, cells: GroundCells) -> DepthPrediction | None:
        prediction = self.depth.estimate(view, cells)
        return prediction and replace(
            prediction, values=self.factor * prediction.values, kind=DepthKind.RELATIVE
        )


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


def random_depth_package(folder: Path) -> DepthPackage:
    """A small network of Depth Anything V2's architecture with random weights; its depth must be rejected."""
    import torch
    from safetensors.torch import save_file

    from xview_localizer.models.depth_import import DepthAnything, depth_anything, import_depth_anything

    torch.manual_seed(0)
    small = DepthAnything(64, 4, (1, 2, 3, 4), (8, 16, 24, 32), 8)
    weights = folder / "random.safetensors"
    state = depth_anything(small).model.state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, str(weights))
    spec = DepthSpec("random weights", DepthKind.AFFINE_INVERSE, True, 80.0, DepthInput(126, 168))
    return import_depth_anything(weights, small, spec, "none", folder / "depth")


def row(errors_m: Sequence[float], accepted: Sequence[bool], believed: Sequence[bool]) -> dict[str, float]:
    """One row of the table; the error of a missing pose is infinite."""
    error_m, accepted_ = np.nan_to_num(np.array(errors_m), nan=np.inf), np.array(accepted, dtype=bool)
    return {
        "images": len(error_m),
        "median_m": float(np.median(error_m)),
        "within_1m": float((error_m <= 1).mean()),
        "within_2m": float((error_m <= 2).mean()),
        "within_5m": float((error_m <= 5).mean()),
        "accepted": int(accepted_.sum()),
        "accepted_off_2m": int((accepted_ & (error_m > 2)).sum()),
        "depth_believed": float(np.mean(believed)),
    }


def compare(records: Sequence[PairRecord], networks: Networks, separate: DepthEstimator) -> dict[str, dict]:
    """Each record localized with each source of depth."""
    found: dict[str, list[tuple[float, bool, bool]]] = {}
    for number, record in enumerate(records):
        print(f"\r{number + 1} of {len(records)}", end="", flush=True)
        sources = {
            "true depth": TrueDepth(record),
            "network's own": networks.depth,
            "separate network": separate,
            "flat ground": FlatGround(),
        }
        for name, depth in sources.items():
            fix = localize(record, networks, depth)
            error_m = float(np.hypot(fix.x_m - record.truth.x_m, fix.y_m - record.truth.y_m))
            found.setdefault(name, []).append((error_m, fix.accepted, fix.depth_source == "network"))
    print()
    return {name: row(*zip(*each, strict=True)) for name, each in found.items()}


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
    parser.add_argument("--images", type=int, default=100, help="how many of them")
    parser.add_argument("--model", type=Path, help="model package; default: the embedded one")
    parser.add_argument("--depth", type=Path, help="depth package; default: a small one of random weights")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("depth_comparison.json"))
    arguments = parser.parse_args()
    engines = EngineConfig(threads=arguments.threads)
    package = ModelPackage.load(arguments.model or default_package_path())
    networks = open_networks(package, engines)
    networks = replace(networks, ground=Cached(networks.ground), aerial=Cached(networks.aerial))
    dataset = list(PairsDataset(arguments.pairs))
    records = list(islice(dataset, 0, None, max(1, len(dataset) // arguments.images)))[: arguments.images]
    with tempfile.TemporaryDirectory() as folder:
        depth = DepthPackage.load(arguments.depth) if arguments.depth else random_depth_package(Path(folder))
        separate = open_networks(package, engines, depth).depth
        rows = compare(records, networks, separate)
    moved_m = moved_by_unit(records[:SCALED_IMAGES], networks)
    figures = {"machine": machine(), "model": package.spec.name, "separate": depth.spec.name}
    write_json({**figures, "sources": rows, "moved_by_factor_m": moved_m}, arguments.out)
    print(f"{'':18}" + "".join(f"{name:>17}" for name in next(iter(rows.values()))))
    for name, values in rows.items():
        print(f"{name:18}" + "".join(f"{value:17.3g}" for value in values.values()))
    print("depth times a factor moves the pose by at most, metres:")
    print("  ".join(f"× {factor}: {value:.1e}" for factor, value in moved_m.items()))


if __name__ == "__main__":
    main()
