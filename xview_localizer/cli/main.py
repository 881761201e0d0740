"""`xview-localizer …`: one command for each job. Heavy imports happen inside the command that needs them."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from xview_localizer.cli.adapt import adapt
from xview_localizer.cli.common import (
    Package,
    Parameters,
    Recording,
    Topics,
    TrueTrack,
    console,
    figure,
    open_recorded,
    print_line,
    tracked,
)
from xview_localizer.cli.engines import engines
from xview_localizer.cli.evaluation import bench, evaluate, rerun
from xview_localizer.cli.models import models
from xview_localizer.cli.training import calibrate, export, train

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Where a robot is, from one ground camera and an aerial photo.",
)
app.add_typer(models, name="models")
app.add_typer(engines, name="engines")

# Nobody trains or calibrates on this town (training counts up from 0, calibration from 500000).
TOWN_SEED = 900_002
# Errors that a user can mend; by name, so that no command imports what it does not need.
MENDABLE = {
    "AdaptError", "BagError", "CalibrationError", "CrossViewError", "EngineError", "FileNotFoundError",
    "MapSourceError", "ModelPackageError", "OrthophotoError", "PairsError", "PhotoError", "RecipeError", "ReplayError",
    "SettingsError", "TownError",
}  # fmt: skip


# Metrics of a drive that the console shows, as people read them.
DRIVE_MEASURES = {
    "accepted_position_median_m": "median error of accepted poses, m",
    "accepted_yaw_median_deg": "median yaw error of accepted poses, degrees",
    "nees_mean": "NEES of accepted poses (3 is ideal)",
    "trajectory_rmse_m": "RMSE of the published trajectory, m",
    "prior_rmse_m": "RMSE of GNSS, m",
    "rate_hz": "images per second",
    "latency_ms_median": "median latency, ms",
}


class CameraKind(str, Enum):
    """Cameras that the simulator has."""

    equirectangular = "equirectangular"
    pinhole = "pinhole"


def main() -> None:
    """Entry point: errors that a user can mend are printed without a traceback, with exit code 1."""
    try:
        app()
    except ModuleNotFoundError as error:
        _fail(f"this command needs {error.name}; see Installation extras in docs/commands.md")
    except Exception as error:
        if MENDABLE.isdisjoint(kind.__name__ for kind in type(error).__mro__):
            raise
        _fail(str(error))


def _fail(message: str) -> None:
    Console(stderr=True).print(f"[red]error:[/red] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(1)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    seed: Annotated[int, typer.Option(help="Seed of the town and the drive.")] = TOWN_SEED,
    length_m: Annotated[float, typer.Option(help="Length of the drive, metres.")] = 220.0,
    kind: Annotated[CameraKind, typer.Option(help="Camera.")] = CameraKind.equirectangular,
    recording: Recording = None,
) -> None:
    """Simulate a drive, replay it through the real node over DDS, and report.

    Example: xview-localizer demo --seed 900012
    Example: xview-localizer demo --kind pinhole
    """
    from xview_localizer.demo import run_demo

    folder, metrics = run_demo(out, seed, length_m, kind.value, recording, print_line, tracked)
    _print_drive(metrics)
    _print_open_me(folder / "report.html")


@app.command()
def locate(
    photo: Annotated[Path, typer.Argument(help="A photo, or a folder of photos.")],
    map_source: Annotated[
        str, typer.Option("--map", help="GeoTIFF or MBTiles file, or a tile URL with {z}, {x}, {y}.")
    ],
    at: Annotated[
        Optional[str],
        typer.Option(metavar="LAT,LON", help="Rough position; by default that in the photo's EXIF."),
    ] = None,
    radius: Annotated[
        Optional[float], typer.Option(help="How far off it can be, metres; 30 by default.")
    ] = None,
    heading: Annotated[
        Optional[str],
        typer.Option(metavar="DEG±DEG", help="Compass heading of the image's middle, 0 is north; 90±15."),
    ] = None,
    height: Annotated[Optional[float], typer.Option(help="Camera height over the ground, metres.")] = None,
    hfov: Annotated[
        Optional[float], typer.Option(help="Horizontal field of view, degrees; 360: panorama.")
    ] = None,
    pitch: Annotated[Optional[float], typer.Option(help="Degrees by which the camera looks down.")] = None,
    roll: Annotated[Optional[float], typer.Option(help="Degrees by which it leans to the right.")] = None,
    model: Package = None,
    threads: Annotated[int, typer.Option(help="Threads of ONNX Runtime; 0: its own choice.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("located"),
) -> None:
    """Find where a photo was taken: latitude, longitude and heading, with a picture that shows why.

    Example: xview-localizer locate photo.jpg --map ortho.tif --at 48.137,11.575 --heading 90±15 --height 1.6
    Example: xview-localizer locate photos --map ortho.tif
    """
    from xview_localizer.photo.batch import find_photos, locate_photos
    from xview_localizer.photo.locate import PhotoLocator
    from xview_localizer.photo.options import known_by_user

    known = known_by_user(at, radius, heading, height, hfov, pitch, roll)
    locator = PhotoLocator(map_source, {"model.package": str(model or ""), "model.threads": threads})
    answers = locate_photos(find_photos(photo), locator, known, out, tracked("localizing"))
    for answer in answers:
        _print_answer(answer)
    print_line("table, GeoJSON and pictures:")
    _print_open_me(out / "index.html")


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    pairs: Annotated[
        Optional[int], typer.Option(help="Write a pairs data set of this many towns instead of a drive.")
    ] = None,
    kind: Annotated[CameraKind, typer.Option(help="Camera.")] = CameraKind.equirectangular,
    cameras: Annotated[
        int, typer.Option(min=1, max=4, help="Cameras of the drive: front, left, rear and right, or one.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the (first) town.")] = TOWN_SEED,
    length_m: Annotated[float, typer.Option(help="Length of the drive, metres.")] = 200.0,
    images_per_town: Annotated[int, typer.Option(help="Images of each town (pairs).")] = 12,
    keyframes: Annotated[int, typer.Option(help="Images of each short drive (pairs); 1: single images.")] = 1,
    heading_sigma_deg: Annotated[
        Optional[float], typer.Option(help="Give the prior a heading, uniform within this (pairs).")
    ] = None,
    vary_camera: Annotated[bool, typer.Option(help="Vary image size and field of view (pairs).")] = True,
    style: Annotated[
        Optional[list[str]],
        typer.Option(
            help="Street family of families.py; of pairs also 'all' or 'unseen', may be repeated; default: classic."
        ),
    ] = None,
    route: Annotated[
        int, typer.Option(min=0, help="Drives of one seed and several routes are of one site (drive).")
    ] = 0,
    varied: Annotated[
        bool, typer.Option(help="Any lens and height, dusk, rain, dirt, other surveys (pairs).")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes (pairs).")] = 1,
) -> None:
    """Make a simulated drive (bag, orthophoto, truth) or a pairs data set.

    Example: xview-localizer simulate drive1 --seed 900001
    Example: xview-localizer simulate drive4 --kind pinhole --cameras 4
    Example: xview-localizer simulate site_again --seed 900001 --style harbour --route 1
    Example: xview-localizer simulate val --pairs 25 --seed 900000 --kind pinhole --heading-sigma-deg 10
    """
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


@app.command()
def replay(
    drive: Annotated[Path, typer.Argument(help="Drive folder (with drive.yaml), or any recording.")],
    out: Annotated[Path, typer.Option(help="Folder of runs.")] = Path("runs"),
    rate: Annotated[
        Optional[float], typer.Option(help="Speed factor; by default each image waits for its answer.")
    ] = None,
    params_file: Parameters = None,
    topic: Topics = None,
    reference: TrueTrack = None,
    model: Package = None,
    recording: Recording = None,
) -> None:
    """Replay a recorded drive through the real node over DDS and report.

    Example: xview-localizer replay drive1
    Example: xview-localizer replay rosbag2_2026 --params-file my_robot.yaml --reference /rtk/odometry
    """
    from xview_localizer.demo import replay_and_report

    recorded = open_recorded(drive, params_file, topic)
    folder, metrics = replay_and_report(recorded, reference, out, rate, model, recording, print_line, tracked)
    _print_drive(metrics)
    _print_open_me(folder / "report.html")


@app.command("map-server")
def map_server(
    path: Annotated[Path, typer.Argument(help="GeoTIFF, COG or MBTiles file.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0: a free one.")] = 8080,
) -> None:
    """Serve a map file as XYZ tiles.

    Example: xview-localizer map-server orthophoto.tif --port 8080
    """
    from xview_localizer.aerial.map_server import serve

    serve(path, host, port)


@app.command("check-config")
def check_config(path: Annotated[Path, typer.Argument(help="ROS parameter file of the node.")]) -> None:
    """Check a parameter file: unknown names, missing and invalid values, and those that an expert would doubt.

    Example: xview-localizer check-config localizer.yaml
    """
    from xview_localizer.inputs.camera_mask import camera_masks
    from xview_localizer.inputs.doubts import doubts_of_settings
    from xview_localizer.parameters.file import read_parameter_file
    from xview_localizer.parameters.settings import Settings

    settings = Settings.from_values(read_parameter_file(path))
    camera_masks(settings)
    doubts = doubts_of_settings(settings.values)
    for doubt in doubts:
        print_line(f"doubtful: {doubt}")
    print_line(f"{path} is {'valid' if doubts else 'fine'}")


for command in (train, calibrate, adapt, export, evaluate, rerun, bench):
    app.command()(command)


def _print_answer(answer) -> None:
    colour = "green" if answer.verdict == "accepted" else "red"
    print_line(f"[{colour}]{answer.verdict}[/{colour}]  {escape(answer.photo)}", markup=True)
    lines = [answer.reason] if answer.reason else []
    if answer.latitude_deg is not None:
        lines += [
            f"latitude {answer.latitude_deg:.7f}, longitude {answer.longitude_deg:.7f}, "
            f"± {answer.sigma_major_m:.2f} m ({answer.from_prior_m:.1f} m from the rough position)",
            f"heading {answer.heading_deg:.1f}° ± {answer.heading_sigma_deg:.1f}°, confidence {answer.confidence:.2f}",
        ]
    for line in [*lines, *filter(None, answer.notes.split("; "))]:
        print_line(f"  {line}")


def _print_drive(metrics: dict) -> None:
    table = Table("measure", "value")
    table.add_row("accepted poses", f"{metrics['n_accepted']} of {metrics['n']} images")
    table.add_row("of them off by more than 5 m", str(metrics["false_accepts"]))
    for key, name in DRIVE_MEASURES.items():
        table.add_row(name, figure(metrics[key]))
    console.print(table)


def _print_open_me(page: Path) -> None:
    print_line(f"open me: {page.resolve().as_uri()}")


if __name__ == "__main__":
    main()
