"""The report's plots. Each function returns a matplotlib Figure and touches no global state."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import chi2

from xview_localizer.aerial.source import AerialImage
from xview_localizer.evaluation.colours import GNSS_RGB, GREY_RGB, OURS_RGB, TRUTH_RGB, css
from xview_localizer.evaluation.metrics import CONFIDENCE_RADIUS_M, reliability
from xview_localizer.evaluation.trajectory import DriveResult

OURS, GNSS, TRUTH, REJECTED = css(OURS_RGB), css(GNSS_RGB), css(TRUTH_RGB), css(GREY_RGB)
MARGIN_M = 12.0  # of the map around the trajectories


def trajectory(result: DriveResult, aerial: AerialImage) -> Figure:
    """Truth, GNSS and our poses over the orthophoto."""
    figure, axes = _figure(7.2, 7.2)
    bounds = aerial.grid.bounds
    axes.imshow(
        aerial.image, extent=(bounds.west_m, bounds.east_m, bounds.south_m, bounds.north_m), alpha=0.8
    )
    truth = result.truth_xy_m
    estimate = np.array([(record.estimate_x_m, record.estimate_y_m) for record in result.records])
    axes.plot(*truth.T, color="white", lw=5, alpha=0.9)
    axes.plot(*truth.T, color=TRUTH, lw=1.8, label="truth")
    axes.plot(*result.gnss_xy_m.T, ".-", color=GNSS, lw=1, ms=4, label="GNSS")
    axes.plot(*estimate.T, color=OURS, lw=2, label="published trajectory")
    accepted = [(record.x_m, record.y_m) for record in result.records if record.accepted]
    axes.plot(*np.reshape(accepted, (-1, 2)).T, "o", color=OURS, mec="white", ms=5, label="accepted poses")
    everything = np.concatenate([truth, result.gnss_xy_m])
    centre = (everything.min(axis=0) + everything.max(axis=0)) / 2
    reach_m = np.ptp(everything, axis=0).max() / 2 + MARGIN_M
    axes.set(
        xlim=centre[0] + np.array([-reach_m, reach_m]),
        ylim=centre[1] + np.array([-reach_m, reach_m]),
        aspect="equal",
        xlabel="east [m]",
        ylabel="north [m]",
    )
    axes.legend(loc="upper right", framealpha=0.9)
    return figure


def error_over_time(result: DriveResult) -> Figure:
    """Position error of GNSS, of every best pose and of the published trajectory."""
    figure, axes = _figure(7.2, 3.2)
    frames = result.frames
    elapsed = np.array([record.stamp_sec for record in result.records])
    elapsed = elapsed - elapsed[0]
    accepted = np.array([frame.accepted for frame in frames])
    rejected = ~accepted & [frame.has_pose for frame in frames]
    error = np.array([frame.error_m for frame in frames])
    axes.plot(elapsed, [frame.prior_error_m for frame in frames], color=GNSS, label="GNSS")
    axes.plot(elapsed, result.estimate_error_m, color=OURS, lw=2, label="published trajectory")
    axes.plot(elapsed[accepted], error[accepted], "o", color=OURS, ms=4, label="accepted pose")
    axes.plot(elapsed[rejected], error[rejected], "x", color=REJECTED, ms=5, label="rejected pose")
    axes.set(xlabel="time [s]", ylabel="position error [m]", yscale="symlog", ylim=(0, None))
    axes.legend(ncols=2)
    return figure


def error_distribution(result: DriveResult) -> Figure:
    """Share of positions within a given error: of GNSS, of all poses found, and of the accepted ones."""
    figure, axes = _figure(4.6, 3.2)
    frames = result.frames
    for values, colour, label in (
        ([frame.prior_error_m for frame in frames], GNSS, "GNSS"),
        ([frame.error_m for frame in frames if frame.has_pose], REJECTED, "all poses found"),
        ([frame.error_m for frame in frames if frame.accepted], OURS, "accepted poses"),
    ):
        if values:
            axes.step(
                np.sort(values),
                np.arange(1, len(values) + 1) / len(values),
                where="post",
                color=colour,
                label=label,
            )
    axes.set(
        xlabel="position error [m]", ylabel="share of each", xscale="symlog", xlim=(0, None), ylim=(0, 1.02)
    )
    axes.legend(loc="lower right")
    return figure


def calibration(result: DriveResult) -> Figure:
    """NEES of accepted poses against the χ² distribution with 3 degrees of freedom."""
    figure, axes = _figure(4.6, 3.2)
    nees = np.sort([frame.nees for frame in result.frames if frame.accepted and frame.nees is not None])
    grid = np.linspace(0, 16, 200)
    axes.plot(grid, chi2.cdf(grid, 3), color=TRUTH, ls="--", label="a right covariance (χ²₃)")
    if len(nees):
        axes.step(
            nees, np.arange(1, len(nees) + 1) / len(nees), where="post", color=OURS, label="accepted poses"
        )
    axes.set(xlabel="NEES of (x, y, yaw)", ylabel="share of poses", xlim=(0, 16), ylim=(0, 1.02))
    axes.legend(loc="lower right")
    return figure


def confidence(result: DriveResult) -> Figure:
    """Share of poses within CONFIDENCE_RADIUS_M by confidence, accepted or not, with the number of images."""
    figure, axes = _figure(4.6, 3.2)
    axes.plot((0, 1), (0, 1), color=TRUTH, ls="--", label="a right confidence")
    bins = [part for part in reliability(result.frames) if part["count"]]
    points = np.array([(part["confidence_mean"], part["within_2m"]) for part in bins], dtype=float)
    axes.plot(*points.reshape(-1, 2).T, "o-", color=OURS, label="all poses found")
    for part, (mean, right) in zip(bins, points, strict=True):
        axes.annotate(f"{part['count']}", (mean, right), xytext=(6, -10), textcoords="offset points")
    axes.set(
        xlabel="confidence", ylabel=f"share within {CONFIDENCE_RADIUS_M:g} m", xlim=(0, 1.05), ylim=(0, 1.05)
    )
    axes.legend(loc="upper left")
    return figure


def latency(result: DriveResult) -> Figure:
    """Median time of each stage."""
    figure, axes = _figure(7.2, 1.6)
    stages = result.drive_metrics()["latency_ms_by_stage"]
    left = 0.0
    for number, (name, value_ms) in enumerate(stages.items()):
        axes.barh(0, value_ms, left=left, color=f"C{number}", label=f"{name} {value_ms:.0f} ms")
        left += value_ms
    axes.set(yticks=[], xlabel="median latency [ms]")
    axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.75), frameon=False)
    return figure


def _figure(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width_in, height_in))
    axes = figure.subplots()
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes
