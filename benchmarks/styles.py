"""Street families one by one: single images of both cameras, joined keyframes, and what their confidence is worth.

Data sets and results are made once and kept in the folder; benchmarks/README.md explains the figures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from xview_localizer.engines.factory import EngineConfig
from xview_localizer.evaluation.evaluate import evaluate_pairs
from xview_localizer.evaluation.metrics import Frame, reliability, summarize, write_json
from xview_localizer.models.manifest import sha256
from xview_localizer.models.networks import open_networks
from xview_localizer.models.package import ModelPackage, default_package_path
from xview_localizer.recordings.pairs import PairsDataset
from xview_localizer.simulation.families import family_names
from xview_localizer.simulation.pairs_writer import PairsConfig, make_pairs

# Cameras, and how many images of each are joined by odometry.
SETS = (("equirectangular", 1), ("pinhole", 1), ("pinhole", 5))
HEADING_SIGMA_DEG = 10.0  # of pinhole cameras; panoramas have no heading
SEED_STEP = 100  # between styles, so that no two share a town's seed
COLUMNS = {
    "images": "n", "median_m": "position_median_m", "2m": "recall_2m", "5m": "recall_5m", "yaw_deg": "yaw_median_deg",
    "conf_70": "confident_70_recall_2m", "accepted": "n_accepted", "off_5m": "false_accepts",
}  # fmt: skip


def pairs_config(kind: str, style: str, images_per_town: int, keyframes: int) -> PairsConfig:
    """As of `simulate --kind KIND --style STYLE`; pinholes with `--heading-sigma-deg 10 --no-vary-camera`."""
    if kind == "equirectangular":
        return PairsConfig(kind, images_per_town, families=(style,))
    images = images_per_town * keyframes
    return PairsConfig(kind, images, keyframes, HEADING_SIGMA_DEG, False, families=(style,))


def judged(
    out: Path, kind: str, style: str, seeds: range, images_per_town: int, package: Path, keyframes: int = 1
) -> list[Frame]:
    """The frames of one style and camera: rendered and localized where OUT does not hold them for this package."""
    name = f"{style}_{kind}" + (f"_{keyframes}" if keyframes > 1 else "")
    folder, file, made_by = out / name, out / f"{name}.json", sha256(package / "model.yaml")
    if not (folder / "pairs.jsonl").exists():
        make_pairs(folder, seeds, pairs_config(kind, style, images_per_town, keyframes))
    if not file.exists() or json.loads(file.read_text()).get("package") != made_by:
        networks = open_networks(ModelPackage.load(package), EngineConfig(threads=1))
        metrics = evaluate_pairs(PairsDataset(folder), networks, keyframes=keyframes)
        write_json(metrics | {"package": made_by}, file)
    return [Frame(**_read(frame)) for frame in json.loads(file.read_text())["frames"]]


def _read(frame: dict) -> dict:
    """A frame of a JSON file, in which NaN is null."""
    return frame | {key: float("nan") for key in ("along_m", "across_m") if frame[key] is None}


def print_table(title: str, rows: dict[str, Sequence[Frame]]) -> None:
    """One line for each style and one for all of them."""
    rows = {**rows, "all": [frame for frames in rows.values() for frame in frames]}
    print(f"\n{title:12}" + "".join(f"{name:>10}" for name in COLUMNS))
    for style, frames in rows.items():
        metrics = summarize(frames)
        values = [metrics[key] for key in COLUMNS.values()]
        print(
            f"{style:12}" + "".join(f"{v:>10.2f}" if isinstance(v, float) else f"{v!s:>10}" for v in values)
        )


def print_doubt(frames: Sequence[Frame]) -> None:
    """The NEES of accepted images, and confidence against the share of poses within 2 m."""
    nees = [frame.nees for frame in frames if frame.accepted and frame.nees is not None]
    if nees:
        print(f"\nNEES of {len(nees)} accepted: mean {np.mean(nees):.2f}, median {np.median(nees):.2f}")
    for row in reliability(frames):
        if row["count"]:
            print(
                f"confidence {row['from']:.1f} to {row['to']:.1f}: {row['count']} images, "
                f"mean {row['confidence_mean']:.2f}, within 2 m {row['within_2m']:.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the data sets and results")
    parser.add_argument("--style", action="append", help="as of simulate; may be repeated [unseen]")
    parser.add_argument("--first-seed", type=int, default=950_100)
    parser.add_argument("--towns", type=int, default=8, help="of each style")
    parser.add_argument("--images-per-town", type=int, default=4, help="of each camera, and judged keyframes")
    parser.add_argument("--model", type=Path, default=default_package_path(), help="model package")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    styles, everything = family_names(tuple(options.style or ["unseen"])), []
    for kind, keyframes in SETS:
        rows = {}
        for number, style in enumerate(styles):
            first = options.first_seed + number * SEED_STEP
            seeds = range(first, first + options.towns)
            rows[style] = judged(
                options.out, kind, style, seeds, options.images_per_town, options.model, keyframes
            )
        print_table(f"{kind} {keyframes}" if keyframes > 1 else kind, rows)
        if keyframes == 1:
            everything += [frame for frames in rows.values() for frame in frames]
    print_doubt(everything)


if __name__ == "__main__":
    main()
