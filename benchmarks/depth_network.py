"""A separate depth network trained on the simulator, as a depth package for `model.depth`.

    pairs → views as SeparateDepth cuts them → tokens of the frozen backbone → decoder → depth.onnx, depth.yaml

The network predicts inverse planar depth in camera heights: that of flat ground, seen by a camera whose pitch and focal
length it estimates, plus a closeness that is nowhere negative. benchmarks/README.md explains its use.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import onnx
import torch
import torch.nn.functional as F
from depth_views import INPUT, TARGET_STEP_PX, Examples, encoded
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from xview_localizer.engines.factory import EngineConfig, engine_for
from xview_localizer.geometry.depth import DepthKind
from xview_localizer.models.depth_import import import_onnx
from xview_localizer.models.depth_package import DepthPackage, DepthSpec
from xview_localizer.models.dinov2 import PATCH_PX
from xview_localizer.models.export import to_onnx
from xview_localizer.models.heads import ConvBlock
from xview_localizer.models.package import ModelPackage, default_package_path

BATCH, RATE, WARM_UP_STEPS = 8, 2e-3, 50
AVERAGING = 0.99  # of the weights, from step to step
REPORTED_STEPS = 100  # between reports, each of which keeps the weights
TOKEN_CHANNELS = 768  # of the backbone
FARTHEST_IN_HEIGHTS = 40.0  # beyond, errors of depth hardly count
STANDING_WEIGHT = 3.0  # of pixels nearer than flat ground, which is soon learnt


class DepthNetwork(nn.Module):
    """Inverse planar depth [B, 84, 112] from the image [B, 3, 252, 336] in [0, 1] and its tokens [B, C, 18, 24].

    Tokens tell what things are, a stem of fine stride where they end: a wall's range follows from its foot.
    """

    def __init__(
        self, channels: int = TOKEN_CHANNELS, fine: int = 24, middle: int = 64, coarse: int = 128
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(5, fine, 5, stride=TARGET_STEP_PX, padding=1)
        self.fine_in = ConvBlock(fine)
        self.middle_in = nn.Conv2d(fine, middle, 2, stride=2)
        self.coarse_in = nn.Conv2d(middle, coarse, 2, stride=2)
        self.tokens = nn.Conv2d(channels, coarse, 1)
        self.coarse = nn.Sequential(*(ConvBlock(coarse) for _ in range(4)))
        self.to_middle = nn.Conv2d(coarse, middle, 1)
        self.middle = nn.Sequential(*(ConvBlock(middle) for _ in range(2)))
        self.to_fine = nn.Conv2d(middle, fine, 1)
        self.fine = ConvBlock(fine)
        self.closeness = nn.Conv2d(fine, 1, 1)
        self.ground = nn.Linear(coarse, 2)
        nn.init.zeros_(self.ground.weight)
        self.ground.bias.data = torch.tensor([0.97, 0.24])  # a camera of 90° that looks 14° down

    def forward(self, image: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse depth, and the estimated [B, 2] `ground` of View."""
        place = image_places().to(image).expand(len(image), -1, -1, -1)
        fine = self.fine_in(self.stem(torch.cat([image - 0.45, place], dim=1)))
        middle = self.middle_in(fine)
        coarse = self.coarse_in(middle)
        coarse = self.coarse(coarse + _resized(self.tokens(tokens), coarse))
        middle = self.middle(middle + _resized(self.to_middle(coarse), middle))
        fine = self.fine(fine + _resized(self.to_fine(middle), fine))
        ground = self.ground(F.gelu(coarse).mean(dim=(2, 3)))
        nearer = F.softplus(self.closeness(fine)[:, 0] - 4.0)
        return flat_ground(ground) + nearer, ground


def image_places() -> Tensor:
    """Coordinates [1, 2, 252, 336] of the pixels: to the right and down, in half widths from the middle."""
    half = INPUT.columns_px / 2
    column = (torch.arange(INPUT.columns_px) + 0.5) / half - 1
    row = (torch.arange(INPUT.rows_px) + 0.5 - INPUT.rows_px / 2) / half
    return torch.stack([column.expand(INPUT.rows_px, -1), row[:, None].expand(-1, INPUT.columns_px)])[None]


def flat_ground(ground: Tensor) -> Tensor:
    """Inverse planar depth [B, 84, 1] of flat ground in camera heights, 0 above the horizon.

    With focal length f (half widths) and pitch p: row / f cos p + sin p, so `ground` [B, 2] is (cos p / f, sin p).
    """
    row = image_places()[0, 1, TARGET_STEP_PX // 2 :: TARGET_STEP_PX, 0]
    return F.relu(ground[:, :1] * row.to(ground) + ground[:, 1:]).unsqueeze(-1)


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def loss_of(predicted: Tensor, ground: Tensor, true: Tensor, true_ground: Tensor) -> Tensor:
    """Mean error of log depth up to FARTHEST_IN_HEIGHTS where the depth is known, and of the ground's two numbers."""
    known, true = ~true.isnan(), true.nan_to_num()
    floor = 1 / FARTHEST_IN_HEIGHTS
    error = (torch.log(predicted + floor) - torch.log(true + floor)).abs()
    standing = true > 1.1 * flat_ground(true_ground) + 0.1 * floor
    weight = known * torch.where(standing, STANDING_WEIGHT, 1.0)
    return (weight * error).sum() / weight.sum() + (ground - true_ground).abs().mean()


def train(examples: Examples, steps: int, work: Path) -> DepthNetwork:
    """Train at a constant rate; the result is the moving average of the weights, kept in `work` meanwhile."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    network = DepthNetwork().to(memory_format=torch.channels_last)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGING))
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 0.05, total_iters=WARM_UP_STEPS)
    mean_loss = 0.0
    for step in range(1, steps + 1):
        index = torch.randint(len(examples.ground), (BATCH,), generator=generator)
        image, tokens, true, true_ground = examples.batch(index, generator)
        predicted, ground = network(image, tokens)
        loss = loss_of(predicted, ground, true, true_ground)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(network)
        mean_loss += (loss.item() - mean_loss) / min(step, REPORTED_STEPS)
        if step % REPORTED_STEPS == 0:
            print(f"step {step} of {steps}: loss {mean_loss:.4f}", flush=True)
            torch.save(average.module.state_dict(), work / "average.pt")
    return average.module


class InverseDepth(nn.Module):
    """The network without its second output."""

    def __init__(self, network: DepthNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor, tokens: Tensor) -> Tensor:
        return self.network(pixels, tokens)[0]


def export(network: DepthNetwork, backbone: Path, out: Path) -> DepthPackage:
    """One graph of the frozen backbone and the decoder, image to inverse depth, as a depth package."""
    encoder = onnx.load(str(backbone))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "depth.onnx"
        pixels = torch.rand(1, 3, INPUT.rows_px, INPUT.columns_px)
        tokens = torch.rand(1, TOKEN_CHANNELS, INPUT.rows_px // PATCH_PX, INPUT.columns_px // PATCH_PX)
        to_onnx(
            InverseDepth(network), {"pixels": pixels, "tokens": tokens}, {"depth": {}}, {}, path, fold=True
        )
        decoder = onnx.load(str(path))
        graph = onnx.compose.merge_models(encoder, decoder, [("tokens", "tokens")], prefix1="backbone/")
        for node in graph.graph.node:  # both read the same image
            node.input[:] = ["pixels" if name == "backbone/image" else name for name in node.input]
        inputs = [value for value in graph.graph.input if value.name != "backbone/image"]
        del graph.graph.input[:]
        graph.graph.input.extend(inputs)
        onnx.save(graph, str(path))
        spec = DepthSpec("simulator depth", DepthKind.AFFINE_INVERSE, True, 80.0, INPUT)
        return import_onnx(path, spec, "Apache-2.0; DINOv2 ViT-S/14: Apache-2.0", out)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a depth network on the simulator and package it")
    parser.add_argument("--pairs", type=Path, nargs="+", required=True, help="simulated pairs with depth")
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for the encoded views; resumes there"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the depth package")
    parser.add_argument("--steps", type=int, default=2000, help=f"of {BATCH} views each")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    cv2.setNumThreads(arguments.threads)
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    graph = ModelPackage.load(default_package_path()).graphs["backbone"]
    backbone = engine_for(graph, EngineConfig(threads=arguments.threads))
    examples = Examples.read([encoded(pairs, arguments.work, backbone) for pairs in arguments.pairs])
    print(f"{len(examples.ground)} views", flush=True)
    export(train(examples, arguments.steps, arguments.work), graph.path, arguments.out)


if __name__ == "__main__":
    main()
