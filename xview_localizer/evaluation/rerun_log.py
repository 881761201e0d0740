"""Drives as Rerun recordings (.rrd): camera, map, poses, reasons and, with a reference, errors on one time line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rerun as rr
import rerun.blueprint as rrb

from xview_localizer.aerial.source import AerialImage
from xview_localizer.drawing import ARROW_M, ELLIPSE_SIGMAS, RGB
from xview_localizer.evaluation.colours import (
    GNSS_RGB,
    OURS_RGB,
    PRIOR_RGB,
    REJECTED_RGB,
    RIVAL_RGB,
    TRUTH_RGB,
)
from xview_localizer.evaluation.metrics import Frame
from xview_localizer.evaluation.report_data import jpeg
from xview_localizer.evaluation.trajectory import DriveResult
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.pose import Pose2
from xview_localizer.records import ImageRecord

TIMELINE = "drive"
PICTURE_QUALITY = 80
ELLIPSE_POINTS = 48


def write_recording(
    path: Path, result: DriveResult, aerial: AerialImage, images: Sequence[np.ndarray | None]
) -> None:
    """Write the recording of a judged drive. `images` [H, W, 3] RGB, one for each record, None where missing.

    `map/…` is in pixels of the aerial image, so that poses lie on it; positions in metres are in the text log.
    """
    with _recording(path, aerial, "error_m", "error, metres") as stream:
        _log_line(stream, "map/truth", aerial.grid, result.truth_xy_m, TRUTH_RGB)
        _log_lines(stream, aerial.grid, result.records, result.gnss_xy_m)
        errors = zip(result.frames, result.estimate_error_m.tolist(), strict=True)
        for record, image, (frame, published_m) in zip(result.records, images, errors, strict=True):
            _log_image(stream, aerial.grid, record, image, since_sec=result.records[0].stamp_sec)
            _log_errors(stream, record, frame, published_m)


def write_unjudged_recording(
    path: Path,
    records: Sequence[ImageRecord],
    gnss_xy_m: np.ndarray,
    aerial: AerialImage,
    images: Sequence[np.ndarray | None],
) -> None:
    """As `write_recording`, of a drive without a reference; `gnss_xy_m` [M, 2] are all positions of GNSS."""
    with _recording(path, aerial, "confidence", "confidence") as stream:
        _log_lines(stream, aerial.grid, records, gnss_xy_m)
        for record, image in zip(records, images, strict=True):
            _log_image(stream, aerial.grid, record, image, since_sec=records[0].stamp_sec)


@contextmanager
def _recording(path: Path, aerial: AerialImage, plotted: str, title: str) -> Iterator[rr.RecordingStream]:
    """A stream to the file `path` with the map; the viewer plots the entity `plotted` under `title`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = rr.RecordingStream("xview_localizer")
    stream.save(path, default_blueprint=_blueprint(plotted, title))
    stream.log("map/aerial", rr.Image(aerial.image).compress(jpeg_quality=PICTURE_QUALITY), static=True)
    yield stream
    stream.flush()
    stream.disconnect()


def _log_lines(
    stream: rr.RecordingStream, grid: RasterGrid, records: Sequence[ImageRecord], gnss_xy_m: np.ndarray
) -> None:
    """The positions of GNSS and the published trajectory of the whole drive."""
    _log_line(stream, "map/gnss", grid, gnss_xy_m, GNSS_RGB)
    estimate = np.array([(record.estimate_x_m, record.estimate_y_m) for record in records])
    _log_line(stream, "map/published", grid, estimate[np.isfinite(estimate[:, 0])], OURS_RGB)


def _log_image(
    stream: rr.RecordingStream,
    grid: RasterGrid,
    record: ImageRecord,
    image: np.ndarray | None,
    since_sec: float,
) -> None:
    """An image with its pose and figures, at its time after `since_sec`, where later entries go too."""
    stream.set_time(TIMELINE, duration=record.stamp_sec - since_sec)
    if image is not None:
        stream.log("camera", rr.EncodedImage(contents=jpeg(image, PICTURE_QUALITY), media_type="image/jpeg"))
    else:  # the image before would stand beside this one's pose
        stream.log("camera", rr.Clear(recursive=False))
    _log_pose(stream, grid, record)
    _log_numbers(stream, record)


def _blueprint(plotted: str, title: str) -> rrb.Blueprint:
    return rrb.Blueprint(
        rrb.Horizontal(
            rrb.Spatial2DView(origin="map", name="map"),
            rrb.Vertical(
                rrb.Spatial2DView(origin="camera", name="camera"),
                rrb.TimeSeriesView(origin=plotted, name=title),
                rrb.TimeSeriesView(origin="timing_ms", name="time, milliseconds"),
                rrb.TextLogView(origin="verdict", name="verdicts"),
            ),
        )
    )


def _log_line(stream: rr.RecordingStream, name: str, grid: RasterGrid, xy_m: np.ndarray, rgb: RGB) -> None:
    stream.log(name, rr.LineStrips2D([grid.uv_from_xy(xy_m)], colors=[rgb], radii=[1.0]), static=True)


def _log_pose(stream: rr.RecordingStream, grid: RasterGrid, record: ImageRecord) -> None:
    """The estimated pose with its ellipse, its rivals, and the prior's disc; cleared where there is none."""
    if np.isfinite(record.prior_radius_m):
        centre = np.array([record.prior_x_m, record.prior_y_m])
        disc = centre + _circle() * record.prior_radius_m
        stream.log("map/prior", rr.LineStrips2D([grid.uv_from_xy(disc)], colors=[PRIOR_RGB]))
    else:
        stream.log("map/prior", rr.Clear(recursive=False))
    if not np.isfinite(record.x_m):
        stream.log("map/pose", rr.Clear(recursive=True))
        return
    if record.rivals:
        xy_m = np.array([rival[:2] for rival in record.rivals])
        labels = [f"rival {rival[3]:.0%}" for rival in record.rivals]
        points = rr.Points2D(grid.uv_from_xy(xy_m), labels=labels, colors=[RIVAL_RGB], radii=[4.0])
        stream.log("map/pose/rivals", points)
    else:
        stream.log("map/pose/rivals", rr.Clear(recursive=False))
    rgb = OURS_RGB if record.accepted else REJECTED_RGB
    pose = Pose2(record.x_m, record.y_m, record.yaw_rad)
    start, tip = grid.uv_from_xy(pose.transform(np.array([[0.0, 0.0], [ARROW_M, 0.0]])))
    stream.log("map/pose/heading", rr.Arrows2D(origins=[start], vectors=[tip - start], colors=[rgb]))
    variances, axes = np.linalg.eigh(np.reshape(record.covariance, (3, 3))[:2, :2])
    ellipse_m = _circle() * ELLIPSE_SIGMAS * np.sqrt(variances) @ axes.T + (pose.x_m, pose.y_m)
    stream.log("map/pose/ellipse", rr.LineStrips2D([grid.uv_from_xy(ellipse_m)], colors=[rgb]))


def _circle() -> np.ndarray:
    angle_rad = np.linspace(0, 2 * np.pi, ELLIPSE_POINTS)
    return np.column_stack([np.cos(angle_rad), np.sin(angle_rad)])


def _log_errors(stream: rr.RecordingStream, record: ImageRecord, frame: Frame, published_m: float) -> None:
    stream.log("error_m/gnss", rr.Scalars(frame.prior_error_m))
    if np.isfinite(published_m):
        stream.log("error_m/published", rr.Scalars(published_m))
    if np.isfinite(record.x_m):
        stream.log("error_m/pose", rr.Scalars(frame.error_m))


def _log_numbers(stream: rr.RecordingStream, record: ImageRecord) -> None:
    stream.log("confidence", rr.Scalars(record.confidence))
    for stage, value_ms in record.timings_ms.items():
        stream.log(f"timing_ms/{stage}", rr.Scalars(value_ms))
    text = f"({record.x_m:.2f}, {record.y_m:.2f}) m, confidence {record.confidence:.2f}"
    verdict = f"accepted {text}" if record.accepted else f"rejected: {record.reason}; {text}"
    stream.log("verdict", rr.TextLog(verdict, level="INFO" if record.accepted else "WARN"))
