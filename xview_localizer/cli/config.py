"""`xview-localizer check-config`: what is wrong with a parameter file, or doubtful, before a robot drives by it."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xview_localizer.cli.common import print_line

if TYPE_CHECKING:
    from xview_localizer.parameters.settings import Settings


def check_config(path: Annotated[Path, typer.Argument(help="ROS parameter file of the node.")]) -> None:
    """Check a parameter file: unknown names, missing and invalid values, and those that an expert would doubt.

    Example: xview-localizer check-config localizer.yaml
    """
    from xview_localizer.inputs.calibrations import Calibrations
    from xview_localizer.inputs.doubts import DriveDoubts
    from xview_localizer.parameters.file import read_parameter_file
    from xview_localizer.parameters.settings import Settings

    settings = Settings.from_values(read_parameter_file(path))
    drive_doubts = DriveDoubts(settings.values)
    Calibrations(settings, drive_doubts)  # refuses masks and calibration files that cannot be used
    doubts = [*drive_doubts.current(), *_doubts_of_files(settings)]
    for doubt in doubts:
        print_line(f"doubtful: {doubt}")
    print_line(f"{path} is {'valid' if doubts else 'fine'}")


def _doubts_of_files(settings: "Settings") -> list[str]:
    """What the node would say of the model package, and of the map at the datum; both may be on the robot only."""
    from xview_localizer.aerial.open import is_on_a_server, probe_map
    from xview_localizer.aerial.source import MapSourceError
    from xview_localizer.assembly import open_map
    from xview_localizer.models.manifest import ModelPackageError
    from xview_localizer.models.package import ModelPackage, default_package_path

    doubts = []
    try:
        package = ModelPackage.load(settings.package_path)
    except ModelPackageError as error:
        doubts.append(f"model.package: {error}")
        package = ModelPackage.load(default_package_path())  # for the map, which is looked at all the same
    if is_on_a_server(settings.values["map.source"]):  # a check of a file does not wait for a network
        return doubts
    try:
        probe = probe_map(open_map(settings), 0.0, 0.0, package.spec.aerial.metres_per_pixel)
    except MapSourceError as error:
        return [*doubts, f"map.source: {error}"]
    return [*doubts, *(f"map.source: {problem}" for problem in (*probe.level.warnings, *probe.problems))]
