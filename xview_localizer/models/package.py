"""Model packages: a folder with `model.yaml` and the ONNX graphs that its family needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from xview_localizer.engines.engine import Graph
from xview_localizer.models.depth_package import DEPTH_MANIFEST, DepthPackage
from xview_localizer.models.families import family_named
from xview_localizer.models.family import Family
from xview_localizer.models.manifest import (
    Entries,
    ModelPackageError,
    checked_graph,
    manifest_in,
    path_inside,
    sha256,
)
from xview_localizer.models.xview import XVIEW

MANIFEST = "model.yaml"
DEPTH_FOLDER = "depth"  # subfolder of a separate depth package in packages written by this project
DEPTH_GRAPH = "depth"  # name of a separate depth network among a package's graphs


@dataclass(frozen=True)
class ModelPackage:
    """A checked package on disk. `spec` is of the family's class; `depth` is the separate depth network, if any."""

    folder: Path
    family: Family
    spec: Any
    licence: str
    provenance: str
    training_command: str
    graphs: Mapping[str, Graph]
    depth: DepthPackage | None = None

    @classmethod
    def load(cls, folder: Path | str) -> ModelPackage:
        """Read `model.yaml` and verify every graph's checksum. A package without `family` is an xview package.

        Raises ModelPackageError naming the file and the remedy.
        """
        folder = Path(folder)
        manifest = manifest_in(folder, "model package", MANIFEST)
        try:
            entry = Entries(yaml.safe_load(manifest.read_text(encoding="utf-8")))
            family = entry("family", family_named, XVIEW)
            spec = family.spec_from_dict(entry("spec", lambda content: content))
            texts = [entry(key, str) for key in ("licence", "provenance", "training_command")]
            held = entry("graphs", lambda content: content if isinstance(content, dict) else {})
            names = [name for name in _graph_names(family) if name in family.graphs or name in held]
            listed = {
                name: (entry(f"graphs.{name}.file", str), entry(f"graphs.{name}.sha256", str))
                for name in names
            }
            depth_folder = entry("depth", str, "")
        except (OSError, yaml.YAMLError, ValueError) as error:
            raise ModelPackageError(f"{manifest} cannot be understood: {error}") from error
        sizes = family.input_sizes(spec)
        graphs = {
            name: Graph(name, checked_graph(folder, file, digest), digest, sizes[name])
            for name, (file, digest) in listed.items()
        }
        depth = DepthPackage.load(path_inside(folder, depth_folder)) if depth_folder else None
        return cls(folder, family, spec, *texts, graphs, depth)

    @property
    def all_graphs(self) -> Mapping[str, Graph]:
        """The family's graphs by name, and DEPTH_GRAPH where there is a separate depth network."""
        return self.graphs if self.depth is None else {**self.graphs, DEPTH_GRAPH: self.depth.graph}

    @property
    def used_graphs(self) -> Mapping[str, Graph]:
        """Those of all graphs that localizing runs: a separate depth network takes the place of the family's own."""
        replaced = "" if self.depth is None else self.family.depth_graph
        return {name: graph for name, graph in self.all_graphs.items() if name != replaced}

    def with_depth(self, folder: Path | str) -> ModelPackage:
        """The package with the depth package in `folder` as its separate depth network. Raises ModelPackageError."""
        return replace(self, depth=DepthPackage.load(folder))


def default_package_path() -> Path:
    """Folder of the embedded package."""
    return Path(str(resources.files("xview_localizer.models") / "default"))


def write_manifest(
    folder: Path, family: Family, spec: Any, licence: str, provenance: str, training_command: str
) -> None:
    """Write model.yaml with the checksums of the family's graphs, which are already in `folder`.

    The family's own depth graph and a depth package in DEPTH_FOLDER are entered where they exist.
    """
    files = {name: folder / f"{name}.onnx" for name in _graph_names(family)}
    files = {name: path for name, path in files.items() if name in family.graphs or path.is_file()}
    document = {
        "family": family.name,
        "licence": licence,
        "provenance": provenance,
        "training_command": training_command,
        "spec": family.spec_to_dict(spec),
        "graphs": {name: {"file": path.name, "sha256": sha256(path)} for name, path in files.items()},
    }
    if (folder / DEPTH_FOLDER / DEPTH_MANIFEST).is_file():
        document["depth"] = DEPTH_FOLDER
    (folder / MANIFEST).write_text(
        yaml.safe_dump(document, sort_keys=False, width=110, allow_unicode=True), encoding="utf-8"
    )


def _graph_names(family: Family) -> list[str]:
    """Names of the graphs that a package of the family may hold."""
    return [*family.graphs, family.depth_graph] if family.depth_graph else [*family.graphs]
