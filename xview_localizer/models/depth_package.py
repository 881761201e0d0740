"""Depth packages: any monocular depth network, described by a `depth.yaml` beside its ONNX graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import yaml

from xview_localizer.engines.engine import Graph, InputSizes, SizeRange
from xview_localizer.geometry.depth import DepthKind
from xview_localizer.models.dinov2 import IMAGENET_MEAN, IMAGENET_STD
from xview_localizer.models.manifest import (
    Entries,
    ModelPackageError,
    checked_graph,
    count,
    flag,
    manifest_in,
    number,
    sha256,
)

DEPTH_MANIFEST = "depth.yaml"
PERSPECTIVE, PANORAMA = "perspective", "panorama"
PERSPECTIVE_FOV_DEG = (6, 149)  # beyond it, a perspective image is no input for a depth network
GRAPH_FILE = "depth.onnx"
DEG_PER_RAD = 180 / math.pi


class DepthForm(Enum):
    """What a depth graph gives for each pixel."""

    DEPTH = "depth"  # one number
    POINT_MAP = "point_map"  # x, y, z in the camera, z forward
    AFFINE_POINT_MAP = "affine_point_map"  # the same less an unknown shift along z


@dataclass(frozen=True)
class DepthInput:
    """The input image of the network: [1, 3, rows_px, columns_px], (RGB in [0, 1] - mean) / std.

    A perspective image has square pixels and `horizontal_fov_rad`; a panorama spans the sphere with the forward
    direction in its middle. `name` is that of the graph's input, if known, and `axes` their number: more than 4 where
    there is one for several views. Raises ValueError for impossible values.
    """

    rows_px: int
    columns_px: int
    projection: str = PERSPECTIVE
    horizontal_fov_rad: float = math.pi / 2
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    name: str = ""
    axes: int = 4

    def __post_init__(self) -> None:
        if self.axes < 4:
            raise ValueError(f"an image has at least 4 axes, [1, 3, rows, columns], got {self.axes}")
        if self.projection not in (PERSPECTIVE, PANORAMA):
            raise ValueError(f"projection must be {PERSPECTIVE} or {PANORAMA}, got {self.projection!r}")
        if min(self.rows_px, self.columns_px) < 1:
            raise ValueError(f"the image must have pixels, got {self.rows_px} × {self.columns_px}")
        least_deg, greatest_deg = PERSPECTIVE_FOV_DEG
        fov_deg = self.horizontal_fov_rad * DEG_PER_RAD
        if self.projection == PERSPECTIVE and not least_deg <= fov_deg <= greatest_deg:
            raise ValueError(
                f"horizontal field of view must be {least_deg}° to {greatest_deg}°, got {fov_deg:.4g}°"
            )
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, got {self.std}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array that the graph takes."""
        return (*[1] * (self.axes - 3), 3, self.rows_px, self.columns_px)

    @property
    def sizes(self) -> InputSizes:
        """The one size of each axis, for engines that need sizes of axes that the graph leaves free."""
        if not self.name:
            return {}
        return {self.name: {axis: SizeRange(size, size, size) for axis, size in enumerate(self.shape)}}


@dataclass(frozen=True)
class DepthSpec:
    """The meaning of a depth network's output, see DepthPrediction. Metric depth beyond `maximum_m` is not used.

    `output` names the depth among the graph's outputs; it may be empty where there is only one. Of points, planar depth
    is z, and a range the distance. `scale` and `mask` name outputs, if any: a factor for the depth of the image, and a
    number in [0, 1] for each pixel, which has no depth up to a half.
    """

    name: str
    kind: DepthKind
    planar: bool
    maximum_m: float
    input: DepthInput
    output: str = ""
    form: DepthForm = DepthForm.DEPTH
    scale: str = ""
    mask: str = ""

    def __post_init__(self) -> None:
        if not self.maximum_m > 0:
            raise ValueError(f"maximum_m must be positive, got {self.maximum_m}")
        if self.planar and self.input.projection == PANORAMA:
            raise ValueError("a panorama has no optical axis, so its depth cannot be planar")
        if self.form is not DepthForm.DEPTH and self.kind is DepthKind.AFFINE_INVERSE:
            raise ValueError(
                f"the points of a {self.form.value} are metric or relative, not {self.kind.value}"
            )
        if self.form is DepthForm.AFFINE_POINT_MAP and self.input.projection == PANORAMA:
            raise ValueError("a panorama has no optical axis, along which affine points could be shifted")


@dataclass(frozen=True)
class DepthPackage:
    """A checked depth package on disk."""

    folder: Path
    spec: DepthSpec
    licence: str
    provenance: str
    graph: Graph

    @classmethod
    def load(cls, folder: Path | str) -> DepthPackage:
        """Read `depth.yaml` and verify the graph's checksum. Raises ModelPackageError naming file and remedy."""
        folder = Path(folder)
        manifest = manifest_in(folder, "depth package", DEPTH_MANIFEST)
        try:
            entry = Entries(yaml.safe_load(manifest.read_text(encoding="utf-8")))
            spec = _spec_from(entry)
            licence, provenance = entry("licence", str), entry("provenance", str)
            file, digest = entry("graph.file", str), entry("graph.sha256", str)
        except (OSError, yaml.YAMLError, ValueError) as error:
            raise ModelPackageError(f"{manifest} cannot be understood: {error}") from error
        graph = Graph("depth", checked_graph(folder, file, digest), digest, spec.input.sizes)
        return cls(folder, spec, licence, provenance, graph)


def write_depth_manifest(folder: Path, spec: DepthSpec, licence: str, provenance: str) -> None:
    """Write depth.yaml for the graph GRAPH_FILE, which is already in `folder`."""
    image = spec.input
    names = {"input": image.name, "output": spec.output, "scale": spec.scale, "mask": spec.mask}
    document = {
        "name": spec.name,
        "licence": licence,
        "provenance": provenance,
        "kind": spec.kind.value,
        "form": spec.form.value,
        "planar": spec.planar,
        "maximum_m": float(spec.maximum_m),
        "input": {
            "projection": image.projection,
            "rows_px": image.rows_px,
            "columns_px": image.columns_px,
            "horizontal_fov_deg": round(float(image.horizontal_fov_rad) * DEG_PER_RAD, 4),
            "mean": list(image.mean),
            "std": list(image.std),
            "axes": image.axes,
        },
        "graph": {
            "file": GRAPH_FILE,
            "sha256": sha256(folder / GRAPH_FILE),
            **{key: name for key, name in names.items() if name},
        },
    }
    (folder / DEPTH_MANIFEST).write_text(
        yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )


def _spec_from(entry: Entries) -> DepthSpec:
    image = DepthInput(
        rows_px=entry("input.rows_px", count),
        columns_px=entry("input.columns_px", count),
        projection=entry("input.projection", str),
        horizontal_fov_rad=entry("input.horizontal_fov_deg", number) / DEG_PER_RAD,
        mean=entry("input.mean", _three),
        std=entry("input.std", _three),
        name=entry("graph.input", str, ""),
        axes=entry("input.axes", count, 4),
    )
    return DepthSpec(
        name=entry("name", str),
        kind=entry("kind", DepthKind),
        planar=entry("planar", flag),
        maximum_m=entry("maximum_m", float),
        input=image,
        output=entry("graph.output", str, ""),
        form=entry("form", DepthForm, DepthForm.DEPTH),
        scale=entry("graph.scale", str, ""),
        mask=entry("graph.mask", str, ""),
    )


def _three(values: object) -> tuple[float, float, float]:
    if not isinstance(values, list) or len(values) != 3:
        raise ValueError(f"must be three numbers (red, green, blue), got {values!r}")
    red, green, blue = map(number, values)
    return red, green, blue
