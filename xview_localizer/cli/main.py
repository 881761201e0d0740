"""`xview-localizer …`: one command for each job. Heavy imports happen inside the command that needs them."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
import io
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from xview_localizer.cli.adapt import adapt
from xview_localizer.cli.bench import bench
from xview_localizer.cli.config import check_config
from xview_localizer.cli.engines import engines
from xview_localizer.cli.evaluation import evaluate
from xview_localizer.cli.models import models
from xview_localizer.cli.photos import locate
from xview_localizer.cli.replay import demo, replay
from xview_localizer.cli.rerun import rerun
from xview_localizer.cli.simulation import simulate
from xview_localizer.cli.training import calibrate, export, train
from xview_localizer.heap import keep_freed_memory

# Errors that a user can mend; by name, so that no command imports what it does not need.
MENDABLE = {
    "AdaptError", "BagError", "CalibrationError", "CrossViewError", "DeviceError", "EngineError", "MapSourceError",
    "ModelPackageError", "OrthophotoError", "OSError", "PairsError", "PhotoError", "RecipeError", "ReplayError",
    "SettingsError", "TownError", "WorkFolderError",
}  # fmt: skip


def main() -> None:
    """Entry point: errors that a user can mend are printed without a traceback, with exit code 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Logs and terminals may have an encoding without ° and ±, and names of files may have none.
        sys.stdout.reconfigure(errors="replace")
    keep_freed_memory()
    try:
        app()
    except ModuleNotFoundError as error:
        _fail(f"this command needs {error.name}; see Installation extras in docs/commands.md")
    except Exception as error:
        if MENDABLE.isdisjoint(kind.__name__ for kind in type(error).__mro__):
            raise
        _fail(_text(error))


def _text(error: Exception) -> str:
    """What is wrong, without the number and the quotes of a plain error of the operating system."""
    if not (isinstance(error, OSError) and error.strerror):
        return str(error)
    if not error.filename:  # of writing to a file that was opened before
        return error.strerror
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return f"{error.filename}: a folder is needed, and there is a file of this name"
    return f"{error.filename}: {error.strerror}"


def _fail(message: str) -> None:
    Console(stderr=True).print(f"[red]error:[/red] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(1)


def map_server(
    path: Annotated[Path, typer.Argument(help="GeoTIFF, COG or MBTiles file.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: a free one.")] = 8080,
) -> None:
    """Serve a map file as XYZ tiles.

    Example: xview-localizer map-server orthophoto.tif --port 8080
    """
    from xview_localizer.aerial.map_server import serve

    serve(path, host, port)


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Where a robot is, from one ground camera and an aerial photo.",
)
for command in (
    demo, locate, simulate, replay, map_server, check_config, train, calibrate, adapt, export, evaluate, rerun,
    bench,
):  # fmt: skip
    app.command()(command)
app.add_typer(models, name="models")
app.add_typer(engines, name="engines")


if __name__ == "__main__":
    main()
