"""The aerial photos from which scenes are made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from xview_localizer.encoded_image import EncodedImageError
from xview_localizer.image_file import read_rgb

SCENE_M = 160.0  # side of the scenes that are made of photos
FINEST_PHOTO_M = 0.1  # per pixel; finer photos are averaged
LEAST_SIDE_M = 40.0  # of a photo; a scene continues it by its mirror image
LEAST_CONTRAST = 4.0  # standard deviation of the brightness; with less there is no texture to match
SCALES_M_PER_PX = (0.01, 0.7)  # accepted; roofs and cars cannot be told apart in coarser photos


class OrthophotoError(ValueError):
    """No scene can be made of a photo; the message names it, what is wrong and what to do."""


@dataclass(frozen=True)
class Photo:
    """A north-up aerial photo, `image` [H, W, 3] uint8 RGB.

    Raises OrthophotoError where it is too small, too coarse or without texture.
    """

    image: np.ndarray
    metres_per_pixel: float
    name: str

    def __post_init__(self) -> None:
        least, most = SCALES_M_PER_PX
        if not least <= self.metres_per_pixel <= most:
            raise OrthophotoError(
                f"{self.name} has {self.metres_per_pixel:g} m/px; scenes need {least:g} to {most:g} m/px"
            )
        height_m, width_m = (side * self.metres_per_pixel for side in self.image.shape[:2])
        if min(width_m, height_m) < LEAST_SIDE_M:
            raise OrthophotoError(
                f"{self.name} shows {width_m:.0f} × {height_m:.0f} m; scenes need {LEAST_SIDE_M:.0f} m each way"
            )
        if self.image.mean(axis=-1).std() < LEAST_CONTRAST:
            raise OrthophotoError(
                f"{self.name} shows no texture; take a photo in which ground can be told apart"
            )


class PhotoSource(Protocol):
    """A source of photos for scenes. It has to be picklable, because several processes make the scenes."""

    @property
    def path(self) -> Path: ...

    def photo(self, rng: np.random.Generator) -> Photo:
        """A photo, or a window of a large one drawn by `rng`. Raises OrthophotoError."""
        ...


@dataclass(frozen=True)
class PhotoFile:
    """An image file of known scale, used as a whole."""

    path: Path
    metres_per_pixel: float

    def photo(self, rng: np.random.Generator) -> Photo:
        """See PhotoSource.photo."""
        try:
            return Photo(read_rgb(self.path), self.metres_per_pixel, str(self.path))
        except EncodedImageError as error:
            raise OrthophotoError(str(error)) from error


def photos_of(index: Path) -> list[PhotoSource]:
    """The photos of a file of JSON lines with `image`, a path relative to that file, and `metres_per_pixel`.

    Raises OrthophotoError.
    """
    try:
        entries = [
            json.loads(line) for line in index.read_text(encoding="utf-8").splitlines() if line.strip()
        ]
        return [
            PhotoFile(index.parent / entry["image"], float(entry["metres_per_pixel"])) for entry in entries
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OrthophotoError(
            f"{index} is not a list of photos ({error!r}); it needs a line "
            '{"image": …, "metres_per_pixel": …} for each photo'
        ) from error
