"""False colours: infrared photos, in which plants are red."""

from __future__ import annotations

import numpy as np

INFRARED = (
    "the map shows infrared in place of red (a CIR photo), which models were not trained with: poses come seldom and "
    "are less sure; take the photo in true colours"
)
# Plants in infrared photos reflect near infrared most, and green somewhat more than red. So in the picture red exceeds
# green by RED_ABOVE_GREEN grey levels, and blue exceeds green by BLUE_ABOVE_GREEN, but by less than VIOLET_SHARE of
# that. Soil and roofs in true colours have less blue than green.
RED_ABOVE_GREEN, BLUE_ABOVE_GREEN, VIOLET_SHARE = 40, 4, 0.5
# Flowers, cars and courts cover less of a crop than this.
LEAST_SHARE = 0.15


def is_infrared(image: np.ndarray, valid: np.ndarray) -> bool:
    """Whether an aerial image [H, W, 3] uint8, by the colours of its `valid` pixels [H, W], has infrared for red."""
    red, green, blue = image[valid].astype(np.int16).T
    if not red.size:
        return False
    red_excess, blue_excess = red - green, blue - green
    plants = (red_excess > RED_ABOVE_GREEN) & (blue_excess > BLUE_ABOVE_GREEN)
    return bool(np.mean(plants & (blue_excess < VIOLET_SHARE * red_excess)) > LEAST_SHARE)


def colour_warnings(image: np.ndarray, valid: np.ndarray) -> tuple[str, ...]:
    """A warning, with the remedy, about an image in false colours; empty for others."""
    return (INFRARED,) if is_infrared(image, valid) else ()
