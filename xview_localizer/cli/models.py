"""`xview-localizer models …`: model packages and published weights as such."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from xview_localizer.cli.common import PackageOut, load_package, print_line

if TYPE_CHECKING:
    from xview_localizer.models.depth_package import DepthPackage, DepthSpec

models = typer.Typer(no_args_is_help=True, help="Model packages.")
imports = typer.Typer(no_args_is_help=True, help="Published weights as model packages.")
models.add_typer(imports, name="import")


@models.command("list")
def list_models(
    folder: Annotated[Optional[Path], typer.Argument(help="Folder of packages, or a package.")] = None,
) -> None:
    """List the embedded package and those in a folder.

    Example: xview-localizer models list ~/models
    """
    from xview_localizer.models.package import ModelPackage, ModelPackageError, default_package_path

    own = [folder, *sorted(folder.iterdir())] if folder else []
    for path in [default_package_path(), *own]:
        if (path / "model.yaml").is_file():
            try:
                package = ModelPackage.load(path)
            except ModelPackageError as error:
                print_line(f"unusable: {error}")
                continue
            size = sum(graph.path.stat().st_size for graph in package.all_graphs.values())
            print_line(f"{package.spec.name}, {size / 1e6:.0f} MB, family {package.family.name}: {path}")
            print_line(f"  licence: {package.licence}")


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
    for name, graph in package.all_graphs.items():
        engine = engine_for(graph)
        print_line(f"{name} runs; its inputs:")
        for spec in engine.inputs:
            sizes = ", ".join("any" if size is None else str(size) for size in spec.shape)
            print_line(f"  {spec.name} [{sizes}] {spec.dtype}")
    print_line(f"{package.folder} is complete")
    print_line(f"provenance: {package.provenance}")


@models.command("update")
def update_model(
    folder: Annotated[Path, typer.Argument(help="Package folder.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder to write; may be the same.")],
) -> None:
    """Bring a package of an earlier version to today's graphs: faster views, depth on its own; same weights.

    Example: xview-localizer models update my_package --out my_package
    """
    from xview_localizer.models.update import update_package

    package = update_package(folder, out)
    print_line(f"{', '.join(package.graphs)} in {package.folder}")


@imports.command()
def loc2(
    head: Annotated[Path, typer.Option(help="The authors' checkpoint of the heads (.pt or .safetensors).")],
    backbone: Annotated[
        Path, typer.Option(help="DINOv2 weights with official names, as dinov2_vitl14_pretrain.pth.")
    ],
    variant: Annotated[str, typer.Option(help="vigor (panoramas) or kitti (pinhole images).")],
    out: PackageOut,
) -> None:
    """Make a package of the paper's released networks.

    Example: xview-localizer models import loc2 --head model.pt --backbone dinov2.pth --variant vigor --out loc2
    """
    from xview_localizer.models.loc2_import import import_loc2

    package = import_loc2(head, backbone, variant, out)
    print_line(f"package {package.spec.name} in {out}")
    print_line(f"licence: {package.licence}")


@imports.command("dinov2")
def dinov2_weights(
    weights: Annotated[Path, typer.Argument(help="Official weights, as dinov2_vits14_pretrain.pth.")],
    variant: Annotated[str, typer.Option(help="vits, vitb or vitl (without registers).")],
    out: Annotated[Path, typer.Option(help="Safetensors file to write.")],
) -> None:
    """Check DINOv2's official weights and keep them as safetensors, for train, export and import loc2.

    Example: xview-localizer models import dinov2 dinov2_vits14_pretrain.pth --variant vits --out vits14.safetensors
    """
    from xview_localizer.models.dinov2_import import import_dinov2

    import_dinov2(weights, variant, out)
    print_line(f"wrote {out}; licence of the weights: Apache-2.0")


@imports.command()
def depth(
    network: Annotated[Path, typer.Argument(help="ONNX graph, or weights (.safetensors, .pth).")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder of the depth package to make.")],
    rows: Annotated[int, typer.Option(min=1, help="Rows of the image that it takes.")],
    columns: Annotated[int, typer.Option(min=1, help="Columns of the image that it takes.")],
    architecture: Annotated[
        str, typer.Option(help="Of weights: depth-anything-v2-small, -base or -large.")
    ] = "",
    kind: Annotated[
        str, typer.Option(help="metric, relative or affine_inverse (a / metres + b).")
    ] = "affine_inverse",
    planar: Annotated[
        bool,
        typer.Option("--planar/--along-ray", help="Depth along the optical axis, or range along the ray."),
    ] = True,
    maximum: Annotated[float, typer.Option(min=1.0, help="Metric depth beyond is not used, metres.")] = 80.0,
    projection: Annotated[str, typer.Option(help="perspective or panorama.")] = "perspective",
    fov_deg: Annotated[
        float,
        typer.Option(min=1.0, max=179.0, help="Horizontal field of view of perspective images, degrees."),
    ] = 90.0,
    colours: Annotated[
        str, typer.Option(help="imagenet (by its mean and deviation), unit (0 to 1) or byte (0 to 255).")
    ] = "imagenet",
    output: Annotated[
        str, typer.Option(help="Which of a graph's outputs is the depth, if it has several.")
    ] = "",
    form: Annotated[
        str,
        typer.Option(
            help="What that is: depth, point_map (x, y, z) or affine_point_map (less a shift of z)."
        ),
    ] = "depth",
    scale: Annotated[str, typer.Option(help="Output by whose number all depth is to be multiplied.")] = "",
    mask: Annotated[str, typer.Option(help="Output that is 0 to 0.5 where a pixel has no depth.")] = "",
    constant: Annotated[
        Optional[list[str]],
        typer.Option(metavar="NAME=NUMBER", help="Value of a further input of the graph; may be repeated."),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights, to be recorded.")] = "unknown",
) -> None:
    """Make a depth package of a published depth network, for model.depth.

    Example: xview-localizer models import depth model.onnx --rows 462 --columns 616 --out my_depth
    """
    import math

    from xview_localizer.geometry.depth import DepthKind
    from xview_localizer.models.depth_import import COLOURS
    from xview_localizer.models.depth_package import DepthForm, DepthInput, DepthSpec

    if colours not in COLOURS:
        raise typer.BadParameter(f"one of {', '.join(COLOURS)}, not {colours!r}", param_hint="--colours")
    try:
        image = DepthInput(rows, columns, projection, math.radians(fov_deg), *COLOURS[colours])
        form_of_output = DepthForm(form)
        spec = DepthSpec(
            network.stem, DepthKind(kind), planar, maximum, image, output, form_of_output, scale, mask
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    package = _import_depth(network, architecture, spec, constant, licence, out)
    print_line(f"depth package {package.spec.name} in {out}; model.depth takes it")
    print_line(f"licence: {package.licence}")


def _import_depth(
    network: Path,
    architecture: str,
    spec: "DepthSpec",
    constants: list[str] | None,
    licence: str,
    out: Path,
) -> "DepthPackage":
    """A depth package of an ONNX graph, or of weights for an architecture. Raises typer.BadParameter."""
    from xview_localizer.models.depth_import import ARCHITECTURES, import_depth_anything, import_onnx

    if network.suffix == ".onnx":
        return import_onnx(network, spec, licence, out, _numbers(constants))
    if architecture not in ARCHITECTURES:
        raise typer.BadParameter(
            f"weights need one of {', '.join(ARCHITECTURES)}, got {architecture!r}",
            param_hint="--architecture",
        )
    return import_depth_anything(network, ARCHITECTURES[architecture], spec, licence, out)


def _numbers(constants: list[str] | None) -> dict[str, float]:
    """The numbers of --constant by their names. Raises typer.BadParameter."""
    numbers = {}
    for constant in constants or []:
        name, _, number = constant.partition("=")
        try:
            numbers[name] = float(number)
        except ValueError:
            raise typer.BadParameter(f"{constant} is not NAME=NUMBER", param_hint="--constant") from None
    return numbers
