"""`xview-localizer evaluate --vigor` and `--kitti`: the tables of the field."""

from pathlib import Path

from xview_localizer.cli.common import load_package, print_line, tracked
from xview_localizer.cli.measures import print_figures, print_unreadable
from xview_localizer.evaluation.measures import Measure

# The rows of the table: figures of cross_view_table.py.
MEASURES = (
    Measure("position_mean_m", "position error, mean", "m"),
    Measure("position_median_m", "position error, median", "m"),
    *(Measure(f"lateral_recall_{r}m", f"lateral error within {r} m", "%") for r in (1, 3, 5)),
    *(Measure(f"longitudinal_recall_{r}m", f"longitudinal error within {r} m", "%") for r in (1, 3, 5)),
    Measure("yaw_mean_deg", "heading error, mean", "°"),
    Measure("yaw_median_deg", "heading error, median", "°"),
    *(Measure(f"yaw_recall_{r}deg", f"heading within {r}°", "%") for r in (1, 3, 5)),
)


def judge_data_set(
    vigor: Path | None,
    kitti: Path | None,
    protocol: dict[str, object],
    model: Path | None,
    threads: int,
    out: Path,
) -> None:
    """Judge the package `model` by one of the two data sets, print the table and write `out`.

    `protocol` holds what was asked for of area, heading_within_deg and limit. Raises CrossViewError.
    """
    from xview_localizer.engines.factory import EngineConfig
    from xview_localizer.evaluation.cross_view import evaluate_cross_view
    from xview_localizer.evaluation.cross_view_table import cross_view_figures
    from xview_localizer.evaluation.kitti import open_kitti
    from xview_localizer.evaluation.metrics import write_json
    from xview_localizer.evaluation.vigor import open_vigor
    from xview_localizer.models.networks import open_networks

    images = open_vigor(vigor, **protocol) if vigor else open_kitti(kitti, **protocol)
    networks = open_networks(load_package(model), EngineConfig(threads=threads))
    result = evaluate_cross_view(images.records, networks, track=tracked("localizing"))
    figures = {**images.protocol, "model": networks.spec.name, **cross_view_figures(result)}
    write_json(figures, out)
    _print_table(figures)
    print_line(f"errors of every image: {out}")


def _print_table(figures: dict) -> None:
    within_deg = figures["heading_within_deg"]
    heading = "unknown heading" if within_deg >= 180 else f"heading known within ± {within_deg:g}°"
    rows = [("images", str(figures["n"]), str(figures["n"] - figures["n_rejected"]))]
    rows += [(item.name, item.text(figures["all"]), item.text(figures["accepted"])) for item in MEASURES]
    title = f"{figures['data_set']}, {figures['area']} area, {heading}, labels of {figures['labels']}"
    print_figures(title, ("", "all", "accepted"), rows)
    print_line(
        f"{figures['n_rejected']} rejected, {figures['n_without_pose']} without a pose, "
        f"{figures['n_unreadable']} unreadable"
    )
    print_unreadable(figures["unreadable"])
