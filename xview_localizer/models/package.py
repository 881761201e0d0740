"""Model packages: a folder with `model.yaml` and the ONNX graphs it names.

Graphs of the embedded kind:
- `backbone`: image [1, 3, H, W] RGB in [0, 1] -> tokens [1, C, H/14, W/14], shared by ground and air.
- `ground_head`: tokens, image, elevation_rad [1, R], valid [1, R, W], plan [1, 3, S, S] (the plan view),
  plan_xy [1, R, W, 2] (each cell's place on it) -> descriptor [1, D, R, W], dustbin [1, R, W],
  log_range [1, R, W].
- `aerial_head`: tokens, image -> descriptor [1, D, 2 h, 2 w].
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml

from xview_localizer.belief.calibration import CalibrationSpec
from xview_localizer.geometry.canonical_view import ViewSpec
from xview_localizer.geometry.depth import DepthKind
from xview_localizer.geometry.plan_view import PlanSpec

T = TypeVar("T")


class ModelPackageError(ValueError):
    """A model package is missing, incomplete or altered; the message names the file and what to do."""


@dataclass(frozen=True)
class AerialSpec:
    """The aerial encoder's metric grid: blocks of `block_cells`² cells of `cell_m` metres and `cell_px` pixels."""

    cell_m: float = 1.2
    block_cells: int = 60
    cell_px: int = 7

    @property
    def metres_per_pixel(self) -> float:
        return self.cell_m / self.cell_px

    @property
    def block_m(self) -> float:
        return self.cell_m * self.block_cells


@dataclass(frozen=True)
class DepthSpec:
    """What the ground head's depth means: its kind, its unit, and along-ray range or planar depth."""

    kind: DepthKind = DepthKind.RELATIVE
    unit: str = "camera_heights"
    planar: bool = False


@dataclass(frozen=True)
class ModelSpec:
    """Everything `model.yaml` says that the code needs."""

    name: str = "xview-dinov2s"
    inverse_temperature: float = 10.0
    view: ViewSpec = field(default_factory=ViewSpec)
    plan: PlanSpec = field(default_factory=PlanSpec)
    aerial: AerialSpec = field(default_factory=AerialSpec)
    depth: DepthSpec = field(default_factory=DepthSpec)
    calibration: CalibrationSpec = field(default_factory=CalibrationSpec)

    def __post_init__(self) -> None:
        plan, aerial = self.plan, self.aerial
        if (plan.cell_m, plan.cell_px) != (aerial.cell_m, aerial.cell_px):
            raise ValueError(
                f"plan and aerial must have equal cells, got {plan.cell_m} m in {plan.cell_px} px and "
                f"{aerial.cell_m} m in {aerial.cell_px} px"
            )


GRAPHS = ("backbone", "ground_head", "aerial_head")


@dataclass(frozen=True)
class ModelPackage:
    """A checked package on disk."""

    folder: Path
    spec: ModelSpec
    licence: str
    provenance: str
    training_command: str
    graphs: dict[str, Path]

    @classmethod
    def load(cls, folder: Path | str) -> ModelPackage:
        """Read `model.yaml` and verify every graph's checksum.

        Raises ModelPackageError naming the file and the remedy.
        """
        folder = Path(folder)
        manifest = folder / "model.yaml"
        if not manifest.is_file():
            raise ModelPackageError(f"{folder} is no model package: it has no model.yaml")
        try:
            entry = partial(_entry, yaml.safe_load(manifest.read_text()))
            spec = spec_from_dict(entry("spec", lambda content: content))
            texts = [entry(key, str) for key in ("licence", "provenance", "training_command")]
            listed = {
                name: (entry(f"graphs.{name}.file", str), entry(f"graphs.{name}.sha256", str))
                for name in GRAPHS
            }
        except (OSError, yaml.YAMLError, ValueError) as error:
            raise ModelPackageError(f"{manifest} cannot be understood: {error}") from error
        graphs = {name: _checked_graph(folder, *file_and_sha256) for name, file_and_sha256 in listed.items()}
        return cls(folder, spec, *texts, graphs)


def _checked_graph(folder: Path, file: str, expected_sha256: str) -> Path:
    if Path(file).is_absolute() or ".." in Path(file).parts:
        raise ModelPackageError(
            f"model package {folder} names {file}, which lies outside of it; a package's files must lie inside"
        )
    path = folder / file
    if not path.is_file():
        raise ModelPackageError(f"model package {folder} lacks {file}; copy the whole package again")
    digest = sha256(path)
    if digest != expected_sha256:
        raise ModelPackageError(
            f"{path} has sha256 {digest}, model.yaml says {expected_sha256}; "
            "the file was altered or cut off, copy the package again"
        )
    return path


def _entry(document: object, path: str, convert: Callable[[Any], T]) -> T:
    """What stands at a dotted path, converted. Raises ValueError naming the place."""
    entry, above = document, ""
    for key in path.split("."):
        if not isinstance(entry, dict):
            place = above or "the document"
            raise ValueError(f"{place} must be a mapping that holds '{key}', got {type(entry).__name__}")
        above = f"{above}.{key}".lstrip(".")
        if key not in entry:
            raise ValueError(f"{above} is missing")
        entry = entry[key]
    try:
        return convert(entry)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path}: {error}") from error


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def default_package_path() -> Path:
    """Folder of the embedded package."""
    return Path(str(resources.files("xview_localizer.models") / "default"))


def spec_from_dict(document: dict) -> ModelSpec:
    """`spec` of model.yaml (angles in degrees there) to ModelSpec. Raises ValueError naming the entry."""

    def entry(path: str, convert: Callable[[Any], T]) -> T:
        return _entry({"spec": document}, f"spec.{path}", convert)

    per_deg = 180 / np.pi
    return ModelSpec(
        name=entry("name", str),
        inverse_temperature=entry("inverse_temperature", float),
        view=ViewSpec(
            rows_px=entry("view.rows_px", int),
            top_elevation_rad=float(np.radians(entry("view.top_elevation_deg", float))),
            rows_px_per_rad=float(entry("view.rows_px_per_deg", float) * per_deg),
            columns_px_per_rad=float(entry("view.columns_px_per_deg", float) * per_deg),
            max_columns_px=entry("view.max_columns_px", int),
            column_multiple_px=entry("view.column_multiple_px", int),
            cell_rows_px=entry("view.cell_rows_px", int),
            cell_columns_px=entry("view.cell_columns_px", int),
        ),
        plan=PlanSpec(entry("plan.cells", int), entry("plan.cell_m", float), entry("plan.cell_px", int)),
        aerial=AerialSpec(
            entry("aerial.cell_m", float), entry("aerial.block_cells", int), entry("aerial.cell_px", int)
        ),
        depth=DepthSpec(
            entry("depth.kind", DepthKind), entry("depth.unit", str), entry("depth.planar", bool)
        ),
        calibration=_calibration(document, entry),
    )


def _calibration(document: dict, entry: Callable) -> CalibrationSpec:
    """What the package was calibrated to; the defaults for numbers that a package of an earlier format lacks."""
    entry("calibration.evidence_temperature", float)  # every format has it
    names = [number.name for number in fields(CalibrationSpec) if number.name in document["calibration"]]
    return CalibrationSpec(**{name: entry(f"calibration.{name}", float) for name in names})


def spec_to_dict(spec: ModelSpec) -> dict:
    """Inverse of `spec_from_dict`."""
    deg = np.pi / 180
    view, plan, aerial = spec.view, spec.plan, spec.aerial
    return {
        "name": spec.name,
        "inverse_temperature": round(float(spec.inverse_temperature), 4),
        "view": {
            "rows_px": view.rows_px,
            "top_elevation_deg": round(float(np.degrees(view.top_elevation_rad)), 4),
            "rows_px_per_deg": round(view.rows_px_per_rad * deg, 4),
            "columns_px_per_deg": round(view.columns_px_per_rad * deg, 4),
            "max_columns_px": view.max_columns_px,
            "column_multiple_px": view.column_multiple_px,
            "cell_rows_px": view.cell_rows_px,
            "cell_columns_px": view.cell_columns_px,
        },
        "plan": {"cells": plan.cells, "cell_m": plan.cell_m, "cell_px": plan.cell_px},
        "aerial": {"cell_m": aerial.cell_m, "block_cells": aerial.block_cells, "cell_px": aerial.cell_px},
        "depth": {"kind": spec.depth.kind.value, "unit": spec.depth.unit, "planar": spec.depth.planar},
        "calibration": {key: round(value, 4) for key, value in vars(spec.calibration).items()},
    }
