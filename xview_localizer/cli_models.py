"""`xview-localizer models …`: model packages and published weights as such."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.table import Table

from xview_localizer.cli_common import console, load_package

models = typer.Typer(no_args_is_help=True, help="Model packages.")
imports = typer.Typer(no_args_is_help=True, help="Published weights as model packages.")
models.add_typer(imports, name="import")


@models.command("list")
def list_models(folder: Annotated[Optional[Path], typer.Argument(help="Folder of packages.")] = None) -> None:
    """List the embedded package and those in a folder.

    Example: xview-localizer models list ~/models
    """
    from xview_localizer.models.package import ModelPackage, default_package_path

    table = Table("name", "folder", "size", "licence")
    for path in [default_package_path(), *(sorted(folder.iterdir()) if folder else [])]:
        if (path / "model.yaml").is_file():
            package = ModelPackage.load(path)
            size = sum(graph.path.stat().st_size for graph in package.graphs.values())
            table.add_row(package.spec.name, str(path), f"{size / 1e6:.0f} MB", package.licence)
    console.print(table)


@models.command("check")
def check_model(
    folder: Annotated[
        Optional[Path], typer.Argument(help="Package folder; the embedded one by default.")
    ] = None,
) -> None:
    """Verify a package: manifest, checksums, and that its graphs run.

    Example: xview-localizer models check my_package
    """
    from xview_localizer.engines.factory import engine_for

    package = load_package(folder)
    for name, graph in package.graphs.items():
        engine = engine_for(graph)
        shapes = ", ".join(f"{spec.name}{list(spec.shape)}" for spec in engine.inputs)
        console.print(f"{name}: {shapes}", highlight=False, markup=False)
    console.print(f"{package.folder} is whole; {package.provenance}", highlight=False)


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
