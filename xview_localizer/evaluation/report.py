"""The report of a drive: metrics, trajectories, plots and one self-contained HTML page."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from xview_localizer.aerial.source import AerialImage
from xview_localizer.evaluation import plots
from xview_localizer.evaluation.film_strip import film_strip
from xview_localizer.evaluation.measures import drive_rows
from xview_localizer.evaluation.metrics import Metrics, summarize, write_json
from xview_localizer.evaluation.report_data import inline, jpeg, map_data
from xview_localizer.evaluation.trajectory import DriveResult

PAGE = Path(__file__).with_name("report.html")
LEAFLET = Path(__file__).with_name("leaflet")
STRIP_QUALITY = 85
SHOWN_REASONS = 8  # most frequent ones of rejected images


def write_report(
    folder: Path,
    result: DriveResult,
    aerial: AerialImage,
    images: Sequence[np.ndarray | None],
    about: dict[str, str],
    findings: Mapping[str, Any] = MappingProxyType({}),
) -> Metrics:
    """Write metrics.json, plots and report.html to `folder`; returns the metrics.

    `images` are the drive's camera images [H, W, 3] RGB, one for each record of `result`, None where an image is
    missing; `about` are lines of context (machine, model, map) for the page, `findings` those of examine().
    """
    from jinja2 import Environment, FileSystemLoader

    metrics = {**summarize(result.frames), **result.drive_metrics(), **findings}
    write_json(metrics, folder / "metrics.json")
    figures = {
        "trajectory": plots.trajectory(result, aerial),
        "error": plots.error_over_time(result),
        "recall": plots.error_distribution(result),
        "calibration": plots.calibration(result),
        "confidence": plots.confidence(result),
        "latency": plots.latency(result),
    }
    pictures = {name: _png(figure) for name, figure in figures.items()}
    for name, data in pictures.items():
        (folder / f"{name}.png").write_bytes(data)
    strip = film_strip(result, aerial, images)
    if strip is not None:
        (folder / "film_strip.jpg").write_bytes(jpeg(strip, STRIP_QUALITY))
    environment = Environment(loader=FileSystemLoader(PAGE.parent), autoescape=True)
    page = environment.get_template(PAGE.name).render(
        gnss_rmse=f"{metrics['prior_rmse_m']:.1f}",
        ours_rmse=f"{metrics['trajectory_rmse_m']:.2f}",
        comparison=_compared(metrics["prior_rmse_m"], metrics["trajectory_rmse_m"]),
        rows=drive_rows(metrics),
        about=about,
        pictures={name: inline(data, "png") for name, data in pictures.items()},
        doubts=metrics.get("doubts", []),
        rejected=metrics["rejections"][:SHOWN_REASONS],
        drive=map_data(result, aerial, images),
        leaflet_css=_self_contained((LEAFLET / "leaflet.css").read_text()),
        leaflet_js=(LEAFLET / "leaflet.js").read_text(),
        report_js=PAGE.with_suffix(".js").read_text(),
    )
    (folder / "report.html").write_text(page)
    return metrics


def _compared(gnss_rmse_m: float, ours_rmse_m: float) -> tuple[str, str]:
    """How many times smaller our error is than that of GNSS, or larger, and which; a dash in place of infinity.

    Both are the same on a drive without an accepted pose, on which GNSS stands for the published trajectory.
    """
    closer = ours_rmse_m <= gnss_rmse_m
    less_m, more_m = sorted((gnss_rmse_m, ours_rmse_m))
    ratio = f"{more_m / less_m:.{1 if more_m < 10 * less_m else 0}f}" if less_m else "–"
    if ratio == "1.0":
        return ratio, "the error of GNSS"
    return ratio, "closer to the truth" if closer else "further from the truth than GNSS"


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return buffer.getvalue()


def _self_contained(css: str) -> str:
    """Leaflet's style without comments and without its icons, which are separate files."""
    return re.sub(r"/\*.*?\*/", "", re.sub(r"url\([^)]*\)", "none", css), flags=re.DOTALL)
