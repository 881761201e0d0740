"""Training examples of a depth network: simulated pairs as SeparateDepth cuts them, with tokens and true depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from xview_localizer.atomic import replaced
from xview_localizer.engines.engine import Engine
from xview_localizer.geometry.canonical_view import ViewSpec, canonical_view
from xview_localizer.ground_view import LevelView
from xview_localizer.imaging import network_image, render_rays
from xview_localizer.models.contracts import GroundCells
from xview_localizer.models.depth_cuts import cuts_of
from xview_localizer.models.depth_package import DepthInput
from xview_localizer.recordings.pairs import PairRecord, PairsDataset, ground_view

INPUT = DepthInput(252, 336, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
TARGET_STEP_PX = 3  # input pixels per pixel of the prediction
DRIVE_STEP = 2  # neighbours in a drive look much alike
BODY_RAD = np.radians(-3.0)  # what has no range below this is the vehicle itself, above it the sky


@dataclass(frozen=True)
class View:
    """One training example: the network's image, its tokens, and what it should predict."""

    image: np.ndarray  # [252, 336, 3] uint8 RGB
    inverse_depth: np.ndarray  # [84, 112] camera heights / planar depth, 0 for sky, NaN where unknown
    ground: np.ndarray  # [2] slope and offset of flat ground's inverse depth, see `flat_ground`


def view_of(record: PairRecord, rng: np.random.Generator) -> View:
    """One of the cuts that SeparateDepth makes of a pair's image."""
    ground, range_m = ground_view(record), record.load_range_m()
    view = LevelView(ground.image, ground.camera, ground.R_base_camera, record.camera_height_m)
    canonical, no_values = canonical_view(view.camera, view.R_level_camera, ViewSpec()), np.zeros(0)
    cells = GroundCells(canonical.cell_directions, canonical.cell_valid, no_values, no_values)
    cuts = cuts_of(view, cells, INPUT, metric=False)
    cut = cuts[rng.integers(len(cuts))]
    rays = cut.rays_level()
    image, _ = render_rays(view.image, view.camera, rays @ view.R_level_camera)
    middle = slice(TARGET_STEP_PX // 2, None, TARGET_STEP_PX)
    rays = rays[middle, middle]
    uv, seen = view.camera.project(rays.reshape(-1, 3) @ view.R_level_camera)
    column, row = np.where(seen[:, None], uv, 0).astype(int).T
    seen, range_at_m = (each.reshape(rays.shape[:2]) for each in (seen, range_m[row, column]))
    planar_m = range_at_m * cut.axis_cosine(rays)
    inverse_depth = np.divide(view.camera_height_m, planar_m, where=planar_m > 0, out=np.zeros_like(planar_m))
    inverse_depth[~seen | ((planar_m == 0) & (rays[..., 2] < np.sin(BODY_RAD)))] = np.nan
    down_rad = -np.arcsin(cut.R_level_cut[2, 2])
    slope = INPUT.columns_px / 2 / cut.camera.fx * np.cos(down_rad)
    ground_line = np.array([slope, np.sin(down_rad)], np.float32)
    return View(image, inverse_depth.astype(np.float16), ground_line)


def encoded(pairs: Path, work: Path, backbone: Engine) -> Path:
    """The file in `work` with the views of a pairs folder and their tokens, made where it is missing."""
    path = work / ("_".join(pairs.resolve().parts[1:]) + ".npz")
    if not path.exists():
        rng = np.random.default_rng(0)
        records = list(PairsDataset(pairs))
        kept = [record for at, record in enumerate(records) if not record.sequence or at % DRIVE_STEP == 0]
        views = [view_of(record, rng) for record in kept]
        tokens = [backbone.run({"image": network_image(view.image)})["tokens"][0] for view in views]
        with replaced(path) as fresh, fresh.open("wb") as file:
            np.savez(
                file,
                image=[view.image for view in views],
                tokens=np.array(tokens, np.float16),
                inverse_depth=[view.inverse_depth for view in views],
                ground=[view.ground for view in views],
            )
    return path


@dataclass(frozen=True)
class Examples:
    """All views as tensors, with compact types."""

    image: Tensor  # [N, 252, 336, 3] uint8
    tokens: Tensor  # [N, C, 18, 24] float16
    inverse_depth: Tensor  # [N, 84, 112] float16
    ground: Tensor  # [N, 2]

    @classmethod
    def read(cls, paths: Sequence[Path]) -> Examples:
        files = [np.load(path) for path in paths]
        names = ("image", "tokens", "inverse_depth", "ground")
        return cls(*(torch.from_numpy(np.concatenate([file[name] for file in files])) for name in names))

    def batch(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Those of `index` as float32, half of them mirrored, with other exposures."""
        gain = torch.exp(0.15 * torch.randn(len(index), 1, 1, 1, generator=generator))
        image = (self.image[index].permute(0, 3, 1, 2).float() / 255 * gain).clamp(max=1)
        tokens, true = self.tokens[index].float(), self.inverse_depth[index].float()
        mirrored = torch.rand(len(index), generator=generator) < 0.5
        for each in (image, tokens, true):
            each[mirrored] = each[mirrored].flip(-1)
        return image, tokens, true, self.ground[index]
