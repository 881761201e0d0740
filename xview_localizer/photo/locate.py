"""Localizing single photos on any map; the result is latitude, longitude and compass heading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from xview_localizer.aerial.source import AerialImage, MapSource, MapSourceError
from xview_localizer.assembly import build_localizer, open_map
from xview_localizer.belief.fix import Fix
from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.pose import Prior
from xview_localizer.localizer import Localizer
from xview_localizer.observation import Observation
from xview_localizer.parameters.settings import Settings
from xview_localizer.photo.photo import Photo
from xview_localizer.photo.proof import draw_proof, is_wide
from xview_localizer.photo.tilt import best_reading
from xview_localizer.rejection import Reason

# A local frame serves photos within this distance of its origin; its lengths are exact to a millimetre there.
FRAME_REACH_M = 2000.0
PROOF_HALF_HEIGHT_M, PROOF_MARGIN_M, PROOF_HALF_HEIGHT_PX = 35.0, 10.0, 400
WIDE_MAP_ASPECT = 1.6
# A map makes poses doubtful if its pixels are this many times larger than the model's: 0.5 m for the embedded model.
DOUBTFUL_COARSENESS = 3.0


@dataclass(frozen=True)
class Neighbourhood:
    """A local frame with the map and the localizer in it."""

    frame: LocalFrame
    map_source: MapSource
    localizer: Localizer


@dataclass(frozen=True)
class LocatedPhoto:
    """The result for one photo. Where no pose was found, its numbers are NaN; see `fix.reason`."""

    photo: Photo
    frame: LocalFrame
    prior: Prior
    fix: Fix  # in `frame`
    observation: Observation
    matches: Correspondences
    aerial: AerialImage | None  # around the pose, or the prior where none was found; None without imagery
    map_detail: str  # kind, size and place of the map; empty where it could not be read
    doubts: tuple[str, ...]  # what makes the pose doubtful, accepted or not, each with a remedy

    @property
    def accepted(self) -> bool:
        """Whether the pose passed the gate; only an accepted pose is meant to be used."""
        return self.fix.accepted

    @property
    def reason(self) -> str:
        """The reason why the pose was rejected; empty where it was accepted."""
        rejection = self.fix.rejection
        if rejection and rejection.reason is Reason.NO_IMAGERY:
            photo = self.photo
            place = f"latitude {photo.latitude_deg:.5f}, longitude {photo.longitude_deg:.5f}"
            question = "is it the right map, and does latitude come first?"
            return f"the map has no imagery around {place} ({self.map_detail}); {question}"
        return self.fix.reason

    @property
    def found(self) -> bool:
        """Whether there is a pose, accepted or not."""
        return bool(np.isfinite(self.fix.x_m))

    @property
    def latitude_deg(self) -> float:
        """Latitude of the camera (WGS84)."""
        return self._latitude_longitude_deg()[0]

    @property
    def longitude_deg(self) -> float:
        """Longitude of the camera (WGS84)."""
        return self._latitude_longitude_deg()[1]

    @property
    def heading_deg(self) -> float:
        """Compass heading of the image's middle column: 0 is true north, clockwise, within [0, 360)."""
        return float((90.0 - np.degrees(self.fix.yaw_rad)) % 360.0)

    @property
    def heading_sigma_deg(self) -> float:
        """Standard deviation of the heading."""
        return float(np.degrees(np.sqrt(self.fix.covariance[2, 2])))

    @property
    def position_sigmas_m(self) -> tuple[float, float]:
        """Standard deviations along the major and the minor axis of the position's ellipse."""
        minor, major = (
            np.sqrt(np.linalg.eigvalsh(self.fix.covariance[:2, :2])) if self.found else (np.nan,) * 2
        )
        return float(major), float(minor)

    @property
    def distance_from_prior_m(self) -> float:
        """Distance of the pose from the rough position that was given."""
        return float(np.hypot(self.fix.x_m - self.prior.x_m, self.fix.y_m - self.prior.y_m))

    def proof(self) -> np.ndarray:
        """The proof picture [H, W, 3] uint8 RGB; see draw_proof."""
        return draw_proof(
            self.photo.view(), self.prior, self.fix, self.observation, self.matches, self.aerial
        )

    def _latitude_longitude_deg(self) -> tuple[float, float]:
        if not self.found:
            return np.nan, np.nan
        latitude_deg, longitude_deg, _ = self.frame.geodetic_from_enu(
            np.array([self.fix.x_m, self.fix.y_m, 0.0])
        )
        return float(latitude_deg), float(longitude_deg)


class PhotoLocator:
    """Localizes photos on one map: a GeoTIFF, an MBTiles file or a tile URL.

    `parameters` are those of the node by name (config/localizer.yaml), such as `gate.min_confidence`,
    `model.package` or `map.max_zoom`. The map is opened at the first photo. Raises SettingsError.
    """

    def __init__(
        self, map_source: Path | str, parameters: Mapping[str, object] = MappingProxyType({})
    ) -> None:
        self._values = {**parameters, "map.source": str(map_source)}
        self._neighbourhood: Neighbourhood | None = None
        Settings.from_values({**self._values, "datum.latitude_deg": 0.0, "datum.longitude_deg": 0.0})

    def locate(self, photo: Photo) -> LocatedPhoto:
        """The pose of the photo. A map without imagery there gives a rejected result.

        Raises MapSourceError, ModelPackageError and EngineError where the map or the model cannot be opened.
        """
        near = self._around(photo)
        prior = photo.prior(near.frame)
        reading = best_reading(near.localizer, photo, prior)
        photo, observation = reading.photo, reading.observation
        fix = near.localizer.judge(reading.modes)
        found = bool(np.isfinite(fix.x_m))
        matches = Correspondences(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))
        if found:
            matches = near.localizer.best_matches(observation, prior, fix.scale)
        detail, doubts = "", near.localizer.map_warnings
        if fix.rejection is None or fix.rejection.reason is not Reason.MAP_UNREADABLE:
            wanted = near.localizer.spec.aerial.metres_per_pixel
            level = near.map_source.level(prior.x_m, prior.y_m, wanted)
            detail = level.detail
            doubts += _doubts_of_resolution(level.metres_per_pixel, wanted) if found else ()
        aerial = _aerial(near.map_source, prior, photo)
        return LocatedPhoto(photo, near.frame, prior, fix, observation, matches, aerial, detail, doubts)

    def _around(self, photo: Photo) -> Neighbourhood:
        """The last neighbourhood where it covers the photo, else a new one around the photo."""
        last = self._neighbourhood
        if (
            last is not None
            and last.frame.distance_m(photo.latitude_deg, photo.longitude_deg) < FRAME_REACH_M
        ):
            return last
        values = {
            **self._values,
            "datum.latitude_deg": float(photo.latitude_deg),
            "datum.longitude_deg": float(photo.longitude_deg),
        }
        settings = Settings.from_values(values)
        map_source = open_map(settings)
        self._neighbourhood = Neighbourhood(settings.frame, map_source, build_localizer(settings, map_source))
        return self._neighbourhood


def _doubts_of_resolution(metres_per_pixel: float, wanted_metres_per_pixel: float) -> tuple[str, ...]:
    if metres_per_pixel <= DOUBTFUL_COARSENESS * wanted_metres_per_pixel:
        return ()
    return (
        f"the map has {metres_per_pixel:.2g} m per pixel, the model wants {wanted_metres_per_pixel:.2g}: "
        "poses are less sure; take a finer map",
    )


def _aerial(map_source: MapSource, prior: Prior, photo: Photo) -> AerialImage | None:
    """The map around the prior's disc, in a shape that fits the proof picture; None without imagery."""
    half_height_m = max(PROOF_HALF_HEIGHT_M, prior.radius_m + PROOF_MARGIN_M)
    half_width_m = half_height_m * (WIDE_MAP_ASPECT if is_wide(photo.image) else 1.0)
    x_m, y_m = prior.x_m, prior.y_m
    bounds = Bounds(x_m - half_width_m, y_m - half_height_m, x_m + half_width_m, y_m + half_height_m)
    try:
        aerial = map_source.read(bounds, half_height_m / PROOF_HALF_HEIGHT_PX)
    except MapSourceError:
        return None
    return aerial if aerial.valid.any() else None
