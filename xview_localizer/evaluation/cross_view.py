"""Evaluation on published data sets of cross-view localization: single images, each with its own aerial image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.aerial.source import AerialImage, MapSource
from xview_localizer.evaluation.cross_view_files import CrossViewError, UnreadableImageError
from xview_localizer.evaluation.judging import judge
from xview_localizer.evaluation.metrics import Frame
from xview_localizer.evaluation.spreading import spread
from xview_localizer.geometry.camera import CameraModel
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.levelling import R_BODY_OPTICAL
from xview_localizer.geometry.pose import Prior
from xview_localizer.ground_view import GroundView
from xview_localizer.localizer import Localizer
from xview_localizer.localizer_config import LocalizerConfig
from xview_localizer.models.contracts import Networks
from xview_localizer.recordings.pairs import Truth

SAME, CROSS = "same", "cross"  # test areas: those that networks of the field are trained on, or others
UNKNOWN_HEADING_DEG = 180.0
# Even headings that a data set gives as exact are accurate only to a few degrees.
LEAST_HEADING_SIGMA_DEG = 2.0
# A network whose input image spans at least this share of the aerial image takes it as a whole.
WHOLE_SHARE = 0.9

Item = TypeVar("Item")


@dataclass(frozen=True)
class CrossViewSample:
    """All that the localizer takes of one image, and the truth.

    The frame has its origin in the middle of the aerial image, x to the image's right and y to its top, in metres.
    """

    view: GroundView
    aerial: AerialImage
    prior: Prior
    truth: Truth


class CrossViewRecord(Protocol):
    """One image of a data set, not yet read."""

    @property
    def id(self) -> str: ...

    @property
    def image_paths(self) -> tuple[Path, ...]: ...

    def load(self) -> CrossViewSample:
        """Read the images. Raises UnreadableImageError."""
        ...


@dataclass(frozen=True)
class CrossViewSet:
    """The images to evaluate; `protocol` names the selection, JSON-ready."""

    protocol: Mapping[str, object]
    records: Sequence[CrossViewRecord]


@dataclass(frozen=True)
class CrossViewResult:
    """The errors of each image that could be read, and the reason for each one that could not, by its id."""

    frames: Sequence[Frame]
    unreadable: Mapping[str, str]


def evaluate_cross_view(
    records: Sequence[CrossViewRecord],
    networks: Networks,
    config: LocalizerConfig = LocalizerConfig(),
    track: Callable[[Iterable[CrossViewRecord]], Iterable[CrossViewRecord]] = iter,
) -> CrossViewResult:
    """Localize every image by itself and judge it.

    Raises CrossViewError where files are missing or no image at all could be read.
    """
    _require_files(records)
    frames: list[Frame] = []
    unreadable: dict[str, str] = {}
    for record in track(records):
        try:
            sample = record.load()
        except UnreadableImageError as error:
            unreadable[record.id] = str(error)
            continue
        aerial = map_of(sample.aerial, networks.spec.aerial.image_m)
        fix = Localizer(networks, aerial, config).localize(sample.view, sample.prior)
        frames.append(judge(record.id, fix, sample.truth, sample.prior.xy_m, sum(fix.timings_ms.values())))
    if not frames:
        raise CrossViewError(f"no image could be used; the first: {next(iter(unreadable.values()))}")
    return CrossViewResult(frames, unreadable)


class WholeImageMap(InMemoryMap):
    """A map of one aerial image about the origin that the network sees once and as a whole, as in the field.

    Crops beside it are empty. Otherwise the image's rim would be described again, in crops that show hardly anything.
    """

    def read(self, bounds: Bounds, metres_per_pixel: float) -> AerialImage:
        """See MapSource.read."""
        crop = super().read(bounds, metres_per_pixel)
        beside_m = np.hypot(bounds.west_m + bounds.east_m, bounds.south_m + bounds.north_m) / 2
        return crop if beside_m < bounds.width_m / 4 else replace(crop, valid=np.zeros_like(crop.valid))


def map_of(aerial: AerialImage, network_image_m: float) -> MapSource:
    """The map for a network whose image is network_image_m wide: whole where that spans the aerial image."""
    if network_image_m >= WHOLE_SHARE * aerial.grid.bounds.width_m:
        return WholeImageMap(aerial)
    return InMemoryMap(aerial)


def _require_files(records: Sequence[CrossViewRecord]) -> None:
    paths = dict.fromkeys(path for record in records for path in record.image_paths)
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise CrossViewError(
            f"{len(missing)} of {len(paths)} images are missing, the first of them {missing[0]}; complete the data set"
        )


def evenly_spaced(items: Sequence[Item], limit: int | None) -> list[Item]:
    """At most `limit` items, spread over all of them in their order. Raises CrossViewError where there is none."""
    if limit is not None and limit < 1:
        raise CrossViewError(f"the limit must be at least 1 image, got {limit}")
    if not items:
        raise CrossViewError("the lists of the data set name no image")
    return spread(items, len(items) if limit is None else limit)


def disc_prior(radius_m: float, yaw_rad: float, heading_within_deg: float) -> Prior:
    """The search around the aerial image's middle; the heading is anywhere within ± heading_within_deg of `yaw_rad`."""
    if heading_within_deg >= UNKNOWN_HEADING_DEG:
        return Prior(0.0, 0.0, radius_m)
    sigma_deg = max(heading_within_deg / np.sqrt(3), LEAST_HEADING_SIGMA_DEG)  # of a uniform distribution
    return Prior(0.0, 0.0, radius_m, yaw_rad, float(np.radians(sigma_deg)))


def require_protocol(area: str, heading_within_deg: float) -> None:
    """Raise CrossViewError where the area or the bound of the heading is not one of the protocols."""
    if area not in (SAME, CROSS):
        raise CrossViewError(f"the area must be {SAME} or {CROSS}, got {area!r}")
    if not 0 <= heading_within_deg <= UNKNOWN_HEADING_DEG:
        raise CrossViewError(f"the heading must be known within 0 to 180 degrees, got {heading_within_deg:g}")


def level_view(image: np.ndarray, camera: CameraModel, camera_height_m: float | None) -> GroundView:
    """An image whose camera is level and looks along base_link's x, from base_link's origin."""
    return GroundView(image, camera, R_BODY_OPTICAL, np.zeros(3), None, camera_height_m, stamp_sec=0.0)
