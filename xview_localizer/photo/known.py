"""What a user knows of a photo and gives by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xview_localizer.geometry.pose import MAX_SEARCH_RADIUS_M
from xview_localizer.ground_view import MAX_HEIGHT_M
from xview_localizer.photo.metadata import PhotoError

# Lower bound, upper bound and unit of each value. A lower bound of 0 is excluded.
KNOWN_BOUNDS: Mapping[str, tuple[float, float, str]] = {
    "latitude_deg": (-90.0, 90.0, "degrees"),
    "longitude_deg": (-360.0, 360.0, "degrees"),
    "radius_m": (0.0, MAX_SEARCH_RADIUS_M, "metres"),
    "heading_deg": (-720.0, 720.0, "degrees"),
    "heading_sigma_deg": (0.0, 180.0, "degrees"),
    "height_m": (0.0, MAX_HEIGHT_M, "metres"),
    "hfov_deg": (0.0, 360.0, "degrees"),
    "pitch_deg": (-90.0, 90.0, "degrees"),
    "roll_deg": (-180.0, 180.0, "degrees"),
}


@dataclass(frozen=True)
class KnownByUser:
    """Values given by the user, which overrule the photo's metadata; None leaves a value to the metadata.

    `heading_deg` is the compass heading of the image's middle column (0 north, clockwise). `pitch_deg` is
    positive where the camera looks down, `roll_deg` where it leans to the right. An `hfov_deg` above 150
    means a panorama of that width, with the horizon in its middle row. Raises PhotoError, which begins with the name
    of the value that is out of its bounds.
    """

    latitude_deg: float | None = None
    longitude_deg: float | None = None
    radius_m: float | None = None
    heading_deg: float | None = None
    heading_sigma_deg: float | None = None
    height_m: float | None = None
    hfov_deg: float | None = None
    pitch_deg: float | None = None
    roll_deg: float | None = None

    def __post_init__(self) -> None:
        for name, (low, high, unit) in KNOWN_BOUNDS.items():
            value = getattr(self, name)
            if value is not None and (not low <= value <= high or value == low == 0):
                raise PhotoError(f"{name} must lie between {low:g} and {high:g} {unit}, got {value:g}")
        if (self.latitude_deg is None) != (self.longitude_deg is None):
            raise PhotoError("latitude_deg and longitude_deg must be given together")
