"""`xview-localizer adapt`: from recorded drives to a package for their site."""

# typer 0.9, of Ubuntu 24.04, reads neither `X | None` nor annotations that `from __future__ import annotations` delays.
from pathlib import Path
from typing import Annotated, Optional

import typer

from xview_localizer.cli.common import (
    PackageOut,
    Parameters,
    Topics,
    given_topics,
    print_line,
    training_progress,
)
from xview_localizer.cli.measures import print_figures
from xview_localizer.cli.training import StartShare
from xview_localizer.evaluation.measures import quantity


def adapt(
    bag: Annotated[
        list[Path],
        typer.Option(help="Drive folder (with drive.yaml), or any recording; may be repeated, of one site."),
    ],
    out: PackageOut,
    params_file: Parameters = None,
    topic: Topics = None,
    reference: Annotated[
        Optional[str],
        typer.Option(
            help="True poses: a topic of poses, odometry or NavSatFix, or a TUM file, also one in each drive folder; "
            "by default the tracker's surest poses, smoothed."
        ),
    ] = None,
    start: Annotated[
        Optional[Path], typer.Option(help="Model package to go on from; the embedded one by default.")
    ] = None,
    work: Annotated[
        Optional[Path], typer.Option(help="Folder of intermediate results; OUT.work by default.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Training steps.")] = 300,
    start_share: StartShare = 0.5,
    device: Annotated[str, typer.Option(help="Where to train: cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Threads of the networks.")] = 2,
) -> None:
    """Tune a package to a site by drives there; it is written only where results on held-out road are no worse.

    Example: xview-localizer adapt --bag drive1 --bag drive2 --out my_site
    Example: xview-localizer adapt --bag drive1 --params-file my_robot.yaml --reference /ground_truth/pose --out my_site
    """
    from xview_localizer.learning.adapt import AdaptConfig, adapt_package
    from xview_localizer.learning.site_pairs import SiteDrives

    drives = SiteDrives(tuple(bag), params_file, reference, given_topics(topic))
    config = AdaptConfig(drives, start, steps, start_share, device, threads)
    work = work or out.with_name(f"{out.name}.work")
    adaptation = adapt_package(work, out, config, training_progress(""))
    before, after = adaptation.before, adaptation.after
    print_figures(
        f"{before.images} images of held-out road",
        ("", "before", "after"),
        [
            ("within 2 m", quantity(before.within_2m, "%"), quantity(after.within_2m, "%")),
            ("position error, median", quantity(before.median_m, "m"), quantity(after.median_m, "m")),
            ("accepted", str(before.accepted), str(after.accepted)),
            ("of them off by more than 5 m", str(before.wrong_accepted), str(after.wrong_accepted)),
        ],
    )
    print_line(f"wrote {work / 'adaptation.json'}")
    if adaptation.objections:
        print_line(
            f"[red]no package is written to {out}:[/red] {', '.join(adaptation.objections)}", markup=True
        )
        raise typer.Exit(1)
    print_line(f"package in {out}")
