"""`xview-localizer rerun`: a robot's recording for the Rerun viewer."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
from pathlib import Path
from typing import Annotated, Optional

import typer

from xview_localizer.cli.common import Parameters, Topics, console, open_recorded, print_line


def rerun(
    bag: Annotated[Path, typer.Argument(help="Recording with the node's ~/status, or a drive folder.")],
    params_file: Parameters = None,
    topic: Topics = None,
    status: Annotated[
        Optional[str], typer.Option(help="Topic of the node's ~/status; by default the only one.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", dir_okay=False, help="Recording for the Rerun viewer (.rrd).")
    ] = Path("run.rrd"),
) -> None:
    """Convert a recording of a robot with the node's ~/status for the Rerun viewer; no reference is needed.

    Example: xview-localizer rerun rosbag2_2026 --params-file my_robot.yaml --out run.rrd
    """
    from xview_localizer.evaluation.node_recording import read_node_recording
    from xview_localizer.evaluation.rerun_log import write_unjudged_recording
    from xview_localizer.parameters.settings import Settings

    drive = open_recorded(bag, params_file, topic)
    with console.status("reading"):
        node = read_node_recording(drive, Settings.from_values(drive.values), status)
    write_unjudged_recording(out, node.records, node.gnss_xy_m, node.aerial, node.images)
    accepted = sum(record.accepted for record in node.records)
    print_line(f"{len(node.records)} images, {accepted} accepted; wrote {out}")
