"""`xview-localizer models import …`: published weights as model packages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

imports = typer.Typer(no_args_is_help=True, help="Published weights as model packages.")
console = Console()


@imports.callback()
def about() -> None:
    """Published weights as model packages."""


@imports.command()
def loc2(
    head: Annotated[Path, typer.Option(help="The authors' checkpoint of the heads (.pt or .safetensors).")],
    backbone: Annotated[
        Path, typer.Option(help="DINOv2 weights with official names, as dinov2_vitl14_pretrain.pth.")
    ],
    variant: Annotated[str, typer.Option(help="vigor (panoramas) or kitti (pinhole images).")],
    out: Annotated[Path, typer.Option(help="Folder of the model package to make.")],
) -> None:
    """Make a package of the paper's released networks.

    Example: xview-localizer models import loc2 --head model.pt --backbone dinov2.pth --variant vigor --out loc2
    """
    from xview_localizer.models.loc2_import import import_loc2

    package = import_loc2(head, backbone, variant, out)
    console.print(f"package {package.spec.name} in {out}", highlight=False)
    console.print(f"licence: {package.licence}", highlight=False)
