"""`xview-localizer train`, `calibrate` and `export`: how model packages are made."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
from pathlib import Path
from typing import Annotated, Optional

import typer

from xview_localizer.cli.common import Package, PackageOut, print_line, training_progress

# What to learn from.
PairsFolders = Annotated[
    Optional[list[Path]], typer.Option(help="Folder in the pairs format to learn from too; may be repeated.")
]
Orthophotos = Annotated[
    Optional[list[Path]],
    typer.Option(help="Georeferenced orthophoto to raise scenes from; may be repeated."),
]
PhotoList = Annotated[
    Optional[Path],
    typer.Option(help="JSON lines of aerial photos (image, metres_per_pixel) to raise scenes from."),
]
Styles = Annotated[
    Optional[list[str]],
    typer.Option(help="Family of the towns, classic by default; may be repeated; all: every one."),
]
# What to begin with.
Start = Annotated[
    Optional[Path],
    typer.Option(help="Model package to go on from; by default training starts from random weights."),
]
StartShare = Annotated[
    float,
    typer.Option(
        min=0.0, max=0.9,
        help="Share of --start's weights in the result, which keeps some of its accuracy elsewhere (WiSE-FT).",
    ),
]  # fmt: skip
BackbonePackage = Annotated[
    Optional[Path],
    typer.Option(
        help="Model package whose backbone is taken; that of --start or the embedded one by default."
    ),
]
BackboneWeights = Annotated[
    Optional[Path],
    typer.Option(help="DINOv2 ViT-S/14 weights (safetensors) to adapt too; this needs --device cuda."),
]


def train(
    work: Annotated[
        Path, typer.Option(help="Folder of intermediate results; an interrupted training goes on from there.")
    ],
    out: PackageOut,
    towns: Annotated[
        int, typer.Option(min=0, help="Simulated towns of each camera kind to learn from.")
    ] = 200,
    images_per_town: Annotated[int, typer.Option(min=1, help="Images of each town.")] = 8,
    pairs: PairsFolders = None,
    orthophoto: Orthophotos = None,
    photos: PhotoList = None,
    scenes: Annotated[int, typer.Option(min=0, help="Scenes of each camera kind raised from photos.")] = 100,
    style: Styles = None,
    start: Start = None,
    start_share: StartShare = 0.0,
    steps: Annotated[int, typer.Option(min=1, help="Training steps.")] = 3000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the training.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Rendering processes.")] = 2,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the networks.")] = 2,
    backbone: BackbonePackage = None,
    backbone_weights: BackboneWeights = None,
    lora_rank: Annotated[int, typer.Option(min=1, help="Rank of the backbone's adaptation.")] = 8,
    device: Annotated[str, typer.Option(help="Where to train: cpu or cuda.")] = "cpu",
    crops: Annotated[
        int, typer.Option(min=1, help="Aerial crops of one step, four images each; 12 suit a GPU.")
    ] = 2,
) -> None:
    """Train a model package on simulated towns, own images and scenes raised from own orthophotos.

    It starts from random weights, or from another package (--start).

    Example: xview-localizer train --work work --out my_package
    Example: xview-localizer train --work work --out my_package --start other_package --pairs my_pairs --towns 50
    Example: xview-localizer train --work work --out my_package --start PKG --orthophoto site.tif --towns 50
    """
    from xview_localizer.learning.recipe import train_package
    from xview_localizer.learning.recipe_config import RecipeConfig
    from xview_localizer.learning.train_config import TrainConfig
    from xview_localizer.models.package import default_package_path

    config = RecipeConfig(
        towns=towns, images_per_town=images_per_town, pairs=tuple(pairs or ()),
        orthophotos=tuple(orthophoto or ()), photos=photos, scenes=scenes, styles=tuple(style or ["classic"]),
        start=start, start_share=start_share, backbone_weights=backbone_weights, lora_rank=lora_rank,
        device=device, workers=workers, threads=threads,
        train=TrainConfig(steps=steps, seed=seed, aerial_per_step=crops),
    )  # fmt: skip
    package = train_package(
        work, backbone or start or default_package_path(), out, config, training_progress("")
    )
    print_line(f"package {package.spec.name} in {out}")


def calibrate(
    pairs: Annotated[list[Path], typer.Option(help="Folder in the pairs format; may be repeated.")],
    out: PackageOut,
    model: Package = None,
) -> None:
    """Fit a model's confidence and covariance to images of your own, without training it.

    Example: xview-localizer calibrate --pairs my_pairs --out my_package
    """
    from xview_localizer.learning.calibrate_package import calibrate_package
    from xview_localizer.models.package import default_package_path
    from xview_localizer.recordings.pairs import PairsDataset

    datasets = [PairsDataset(folder) for folder in pairs]
    calibrate_package(model or default_package_path(), out, datasets, training_progress("calibrating"))
    print_line(f"package in {out}")


def export(
    weights: Annotated[
        Path, typer.Argument(help="DINOv2 ViT-S/14 weights with official names, safetensors.")
    ],
    out: Annotated[Path, typer.Argument(help="ONNX file to write.")],
    quantize: Annotated[
        bool, typer.Option(help="int8 weights: a quarter of the size, faster on CPUs.")
    ] = True,
) -> None:
    """Export a backbone to ONNX for a model package.

    Example: xview-localizer export dinov2_vits14.safetensors my_package/backbone.onnx
    """
    from xview_localizer.models.backbone import official_backbone
    from xview_localizer.models.export import export_backbone

    export_backbone(official_backbone(weights), out, quantize)
    print_line(f"wrote {out}")
