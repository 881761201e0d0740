"""Numbers from the tags of EXIF and XMP, which have many types and many ways to say "unknown"."""

from __future__ import annotations

from typing import SupportsFloat

import numpy as np


def heading_deg_of(value: object) -> float | None:
    """A compass heading; None where it is unknown.

    Cameras without a compass write 0, and some programs write a negative angle as a large unsigned number.
    """
    heading_deg = number_of(value)
    return heading_deg if heading_deg and abs(heading_deg) <= 360 else None


def number_of(value: object) -> float | None:
    """A finite number, or None; EXIF has rationals, and XMP text."""
    if not isinstance(value, (SupportsFloat, str)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if np.isfinite(number) else None


def positive_of(value: object) -> float | None:
    """A finite positive number, or None."""
    number = number_of(value)
    return number if number is not None and number > 0 else None
