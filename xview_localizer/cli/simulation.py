"""`xview-localizer simulate`: drives and pairs data sets, rendered."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from xview_localizer.cli.common import console, print_line, tracked

# Nobody trains or calibrates on this town (training counts up from 0, calibration from 500000).
TOWN_SEED = 900_002
# Shorter drives have too few images for a figure.
LEAST_LENGTH_M = 10.0
LENGTH_HELP = "Greatest length of the drive, metres; it is shorter where the town's streets end before."

DRIVES, PAIRS = "A drive", "A pairs data set"  # groups of options in the help


class CameraKind(str, Enum):
    """Cameras that the simulator has."""

    equirectangular = "equirectangular"
    pinhole = "pinhole"


Kind = Annotated[CameraKind, typer.Option(help="Camera.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the town, or of the first of several.")]
Style = Annotated[
    Optional[list[str]],
    typer.Option(
        help="Street family: classic (the default), old_town, downtown, industrial, campus, estate, car_park, "
        "country, dry, works; kept out of training: park, harbour, vineyard, terraces, retail. Of pairs also 'all' "
        "(of the former) or 'unseen' (of the latter), may be repeated."
    ),
]
# Of a drive.
Length = Annotated[float, typer.Option(min=LEAST_LENGTH_M, help=LENGTH_HELP, rich_help_panel=DRIVES)]
Cameras = Annotated[
    int, typer.Option(min=1, max=4, help="Front, left, rear and right, or one.", rich_help_panel=DRIVES)
]
Route = Annotated[
    int,
    typer.Option(
        min=0, help="Drives of one seed and several routes are of one site.", rich_help_panel=DRIVES
    ),
]
# Of a pairs data set.
Pairs = Annotated[
    Optional[int],
    typer.Option(min=1, help="Write a pairs data set of this many towns instead.", rich_help_panel=PAIRS),
]
ImagesPerTown = Annotated[int, typer.Option(min=1, help="Images of each town.", rich_help_panel=PAIRS)]
Keyframes = Annotated[
    int, typer.Option(min=1, help="Images of each short drive; 1: single images.", rich_help_panel=PAIRS)
]
HeadingSigma = Annotated[
    Optional[float],
    typer.Option(
        min=0.1,
        max=180.0,
        help="Give the prior a heading, off by up to this, degrees.",
        rich_help_panel=PAIRS,
    ),
]
VaryCamera = Annotated[bool, typer.Option(help="Vary image size and field of view.", rich_help_panel=PAIRS)]
Varied = Annotated[
    bool,
    typer.Option(
        "--varied", help="Any lens and height, dusk, rain, dirt, other surveys.", rich_help_panel=PAIRS
    ),
]
Workers = Annotated[int, typer.Option(min=1, help="Processes.", rich_help_panel=PAIRS)]


def simulate(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    kind: Kind = CameraKind.equirectangular,
    seed: Seed = TOWN_SEED,
    style: Style = None,
    length_m: Length = 200.0,
    cameras: Cameras = 1,
    route: Route = 0,
    pairs: Pairs = None,
    images_per_town: ImagesPerTown = 12,
    keyframes: Keyframes = 1,
    heading_sigma_deg: HeadingSigma = None,
    vary_camera: VaryCamera = True,
    varied: Varied = False,
    workers: Workers = 1,
) -> None:
    """Make a simulated drive (bag, orthophoto, truth) or a pairs data set.

    Example: xview-localizer simulate drive1 --seed 900001
    Example: xview-localizer simulate drive4 --kind pinhole --cameras 4
    Example: xview-localizer simulate site_again --seed 900001 --style harbour --route 1
    Example: xview-localizer simulate val --pairs 25 --seed 900000 --kind pinhole --heading-sigma-deg 10
    """
    _refuse_options(context, PAIRS if pairs is None else DRIVES)
    if pairs is None:
        from xview_localizer.simulation.drive import SURROUND, DriveConfig, simulate_drive

        rig = SURROUND[:cameras] if cameras > 1 else ()
        family = _single_family(style)
        config = DriveConfig(length_m=length_m, kind=kind.value, family=family, route=route, cameras=rig)
        simulate_drive(out, seed, config, tracked("rendering images"))
    else:
        from xview_localizer.simulation.pairs_writer import PairsConfig, make_pairs

        try:
            pairs_config = PairsConfig(
                kind.value, images_per_town, keyframes, heading_sigma_deg, vary_camera,
                families=tuple(style or ["classic"]), varied=varied,
            )  # fmt: skip
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--style") from error
        with console.status(f"rendering {pairs} towns"):
            make_pairs(out, range(seed, seed + pairs), pairs_config, workers)
    print_line(f"wrote {out}")


def _refuse_options(context: typer.Context, group: str) -> None:
    """Raise BadParameter where options of a group are given that would be without effect."""
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if getattr(parameter, "rich_help_panel", None) == group
        and context.get_parameter_source(parameter.name).name == "COMMANDLINE"
    ]
    if given:
        raise typer.BadParameter(f"{', '.join(given)} goes with {'--pairs' if group == PAIRS else 'a drive'}")


def _single_family(styles: list[str] | None) -> str:
    """The street family of a drive. Raises BadParameter where `styles` is not one family."""
    from xview_localizer.simulation.families import CLASSIC, family_names

    try:
        names = family_names(tuple(styles or [CLASSIC]))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--style") from error
    if len(names) != 1:
        raise typer.BadParameter("a drive is of one family; give --pairs for several", param_hint="--style")
    return names[0]
