"""Command-line options about a photo, parsed and checked."""

from __future__ import annotations

import re

from xview_localizer.photo.known import KnownByUser
from xview_localizer.photo.metadata import PhotoError

OPTIONS = {
    "heading_deg": "--heading", "radius_m": "--radius", "height_m": "--height", "hfov_deg": "--hfov",
    "pitch_deg": "--pitch", "roll_deg": "--roll",
}  # fmt: skip


def known_by_user(
    at: str | None,
    radius_m: float | None,
    heading: str | None,
    height_m: float | None,
    hfov_deg: float | None,
    pitch_deg: float | None,
    roll_deg: float | None,
) -> KnownByUser:
    """The options as numbers: `at` is "LAT,LON", `heading` "DEG" or "DEG±DEG". Raises PhotoError naming the option."""
    latitude_deg, longitude_deg = _position(at) if at else (None, None)
    heading_deg, sigma_deg = _heading(heading) if heading else (None, None)
    try:
        return KnownByUser(
            latitude_deg,
            longitude_deg,
            radius_m,
            heading_deg,
            sigma_deg,
            height_m,
            hfov_deg,
            pitch_deg,
            roll_deg,
        )
    except PhotoError as error:
        name, what = str(error).split(maxsplit=1)
        raise PhotoError(f"{OPTIONS[name]} {what}") from error


def _position(text: str) -> tuple[float, float]:
    try:
        latitude_deg, longitude_deg = (float(part) for part in text.split(","))
    except ValueError as error:
        raise PhotoError(
            f"--at must be LAT,LON in decimal degrees, such as 48.137,11.575; got {text!r}"
        ) from error
    if not (abs(latitude_deg) <= 90 and abs(longitude_deg) <= 180):
        raise PhotoError(f"--at must be latitude (±90), then longitude (±180); got {text!r}")
    return latitude_deg, longitude_deg


def _heading(text: str) -> tuple[float, float | None]:
    parts = re.split(r"±|\+/?-", text, maxsplit=1)
    try:
        heading_deg, *sigma_deg = (float(part) for part in parts)
    except ValueError as error:
        raise PhotoError(f"--heading must be degrees, such as 90 or 90±15; got {text!r}") from error
    if any(not 0 < sigma <= 180 for sigma in sigma_deg):
        raise PhotoError(f"--heading must have a number after ± between 0 and 180; got {text!r}")
    return heading_deg, sigma_deg[0] if sigma_deg else None
