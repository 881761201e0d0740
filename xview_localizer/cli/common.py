"""What the commands share: the console, options, progress and the packages that they open."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console
from rich.progress import track

if TYPE_CHECKING:
    from xview_localizer.learning.progress import Progress
    from xview_localizer.models.package import ModelPackage
    from xview_localizer.recordings.bag import Drive

console = Console()


def print_line(text: str, markup: bool = False) -> None:
    """Print a line without wrapping it, so that a path that is copied from the terminal stays whole."""
    console.print(text, highlight=False, markup=markup, soft_wrap=True)


def print_open_me(page: Path) -> None:
    """Print a page's address as the line that asks to be opened."""
    print_line(f"open me: {page.resolve().as_uri()}")


Package = Annotated[
    Optional[Path], typer.Option("--model", help="Model package folder; the embedded one by default.")
]
SeparateDepth = Annotated[
    Optional[Path],
    typer.Option(
        "--depth", help="Depth package folder, as the node's model.depth; by default the model's own depth."
    ),
]
Recording = Annotated[
    Optional[Path],
    typer.Option("--rerun", dir_okay=False, help="Also write a recording for the Rerun viewer (.rrd)."),
]
Parameters = Annotated[
    Optional[Path],
    typer.Option(
        "--params-file", help="The robot's own parameter file; it overrules the drive's drive.yaml."
    ),
]
Topics = Annotated[
    Optional[list[str]],
    typer.Option(
        "--topic",
        metavar="INPUT:=TOPIC",
        help="Topic of image, camera_info, fix, odom or imu (INPUT:= with no topic leaves it out); may be repeated; by "
        "default that of drive.yaml, or the only one of its type.",
    ),
]
TrueTrack = Annotated[
    Optional[str],
    typer.Option(
        "--reference",
        help="True poses: a topic (PoseStamped, PoseWithCovarianceStamped, Odometry, NavSatFix) or a TUM file; by "
        "default truth.tum beside the recording.",
    ),
]
# What cannot be written, a folder for a file or a file for a folder, is refused at once, not when the work is done.
Out = Annotated[Path, typer.Option("--out", dir_okay=False, help="JSON file to write.")]
PackageOut = Annotated[
    Path, typer.Option("--out", file_okay=False, help="Folder of the model package to make.")
]


def tracked(description: str) -> Callable[[Iterable], Iterable]:
    """A wrapper for loops that shows their progress under `description`, on a terminal only.

    Each item is asked for when the loop needs it: making the next one may change what the loop works with.
    """

    def wrap(items: Iterable) -> Iterable:
        return track(items, description, console=console) if console.is_terminal else items

    return wrap


def training_progress(description: str) -> "Progress":
    """Progress of long work on the console: lines of text, loops under `description`, and the averages of training."""
    from xview_localizer.learning.progress import Progress

    def training(step: int, averages: dict[str, float]) -> None:
        losses = "  ".join(f"{key} {value:.3f}" for key, value in averages.items())
        print_line(f"step {step}: {losses}")

    return Progress(print_line, tracked(description), training)


def load_package(folder: Path | None, depth: Path | None = None) -> "ModelPackage":
    """The package in `folder`, or the embedded one, with the depth package in `depth`, if any.

    Raises ModelPackageError.
    """
    from xview_localizer.models.package import ModelPackage, default_package_path

    package = ModelPackage.load(folder or default_package_path())
    return package.with_depth(depth) if depth else package


def open_recorded(path: Path, params_file: Path | None, topics: list[str] | None) -> "Drive":
    """The drive that the options describe. Raises BagError, SettingsError, typer.BadParameter."""
    from xview_localizer.parameters.file import read_parameter_file
    from xview_localizer.recordings.drives import open_drive

    given = given_topics(topics)
    return open_drive(path, read_parameter_file(params_file) if params_file else None, given)


def given_topics(topics: list[str] | None) -> dict[str, str]:
    """The topics of --topic by their inputs. Raises typer.BadParameter."""
    given = {}
    for topic in topics or []:
        role, separator, name = topic.partition(":=")
        if not separator:
            raise typer.BadParameter(f"{topic} is not INPUT:=TOPIC", param_hint="--topic")
        given[role.strip()] = name.strip()
    return given
