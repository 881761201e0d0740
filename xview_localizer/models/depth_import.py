"""Published depth networks as depth packages: any ONNX graph, or Depth Anything V2 from its safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xview_localizer.atomic import filled
from xview_localizer.engines.engine import EngineError
from xview_localizer.engines.onnx_engine import OnnxEngine
from xview_localizer.geometry.depth import DepthKind
from xview_localizer.models.depth_cuts import input_camera
from xview_localizer.models.depth_graph import DepthGraph
from xview_localizer.models.depth_package import GRAPH_FILE, DepthPackage, DepthSpec, write_depth_manifest
from xview_localizer.models.dinov2 import HEAD_WIDTH, IMAGENET_MEAN, IMAGENET_STD, PATCH_PX, POSITION_GRID
from xview_localizer.models.manifest import ModelPackageError
from xview_localizer.models.published_graph import save_self_contained

GREY = 128  # the image on which a graph is tried

# Mean and deviation, of RGB in [0, 1], by what published graphs take.
COLOURS = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "byte": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),
}


@dataclass(frozen=True)
class DepthAnything:
    """The sizes of a Depth Anything V2 network: its DINOv2 encoder, the tapped blocks, the widths of its neck."""

    width: int
    blocks: int
    taps: tuple[int, int, int, int]  # 1-based
    neck: tuple[int, int, int, int]
    fusion: int

    @property
    def heads(self) -> int:
        return self.width // HEAD_WIDTH


ARCHITECTURES = {
    "depth-anything-v2-small": DepthAnything(384, 12, (3, 6, 9, 12), (48, 96, 192, 384), 64),
    "depth-anything-v2-base": DepthAnything(768, 12, (3, 6, 9, 12), (96, 192, 384, 768), 128),
    "depth-anything-v2-large": DepthAnything(1024, 24, (5, 12, 18, 24), (256, 512, 1024, 1024), 256),
}


def import_onnx(
    graph: Path, spec: DepthSpec, licence: str, out: Path, constants: Mapping[str, float] | None = None
) -> DepthPackage:
    """A package of an ONNX graph, whose image must be as `spec` declares; `constants` are values of its other inputs.

    Raises ModelPackageError.
    """
    with filled(out) as fresh:
        save_self_contained(graph, constants or {}, fresh / GRAPH_FILE)
        _describe(fresh, graph, spec, licence)
    return DepthPackage.load(out)


def import_depth_anything(
    weights: Path, architecture: DepthAnything, spec: DepthSpec, licence: str, out: Path
) -> DepthPackage:
    """A package of Depth Anything V2 from weights in the layout of the transformers library.

    Raises ModelPackageError naming the first missing and unexpected tensors, or a size that is not whole patches.
    """
    from xview_localizer.models.weights import load_exactly, read_weights

    rows_px, columns_px = spec.input.rows_px, spec.input.columns_px
    if rows_px % PATCH_PX or columns_px % PATCH_PX:
        # What is beyond the last whole patch would be cut off without a word.
        raise ModelPackageError(
            f"Depth Anything takes images of whole patches of {PATCH_PX} pixels, not {rows_px} × {columns_px}"
        )
    metric = spec.kind is DepthKind.METRIC
    network = depth_anything(architecture, spec.maximum_m if metric else None)
    load_exactly(network.model, read_weights(weights), weights)
    with filled(out) as fresh:
        _export(network, spec, fresh / GRAPH_FILE)
        _describe(fresh, weights, spec, licence)
    return DepthPackage.load(out)


def depth_anything(architecture: DepthAnything, metric_maximum_m: float | None = None):
    """The network as a module: pixels [1, 3, H, W] to depth [1, H, W], affine-inverse or, with a maximum, in metres."""
    import torch
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    stages = [f"stage{number}" for number in architecture.taps]
    encoder = Dinov2Config(
        hidden_size=architecture.width,
        num_hidden_layers=architecture.blocks,
        num_attention_heads=architecture.heads,
        image_size=POSITION_GRID * PATCH_PX,
        patch_size=PATCH_PX,
        out_features=stages,
        reshape_hidden_states=False,
        attn_implementation="eager",
    )
    config = DepthAnythingConfig(
        backbone_config=encoder,
        reassemble_hidden_size=architecture.width,
        neck_hidden_sizes=list(architecture.neck),
        fusion_hidden_size=architecture.fusion,
        depth_estimation_type="relative" if metric_maximum_m is None else "metric",
        max_depth=metric_maximum_m,
    )

    class Depth(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = DepthAnythingForDepthEstimation(config)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.model(pixels).predicted_depth

    return Depth().eval()


def _export(network, spec: DepthSpec, path: Path) -> None:
    """Export for the declared image size only, so that the encoder's position table is resized once."""
    import torch

    from xview_localizer.models.export import to_onnx

    image = spec.input
    pixels = torch.rand(1, 3, image.rows_px, image.columns_px)
    to_onnx(network, {"pixels": pixels}, {"depth": {}}, {}, path, fold=True)


def _describe(folder: Path, source: Path, spec: DepthSpec, licence: str) -> None:
    """Write the manifest for the graph in `folder`, which is made of `source`, and try it on an image.

    Raises ModelPackageError where the graph does not load, does not take the declared image or does not give its depth.
    """
    try:
        image, graph = spec.input, DepthGraph(OnnxEngine(folder / GRAPH_FILE), spec)
        grey = np.full((image.rows_px, image.columns_px, 3), GREY, np.uint8)
        graph.depth(grey, input_camera(image, image.horizontal_fov_rad))
    except EngineError as error:
        raise ModelPackageError(f"{source} is not a depth network as declared: {error}") from error
    spec = replace(spec, input=replace(image, name=graph.input.name, axes=len(graph.input.shape)))
    write_depth_manifest(folder, spec, licence, f"Imported from {source.name}.")
