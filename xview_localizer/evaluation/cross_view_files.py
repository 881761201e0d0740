"""Reading lists and images of published data sets, with errors that name the place and what is expected there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from xview_localizer.encoded_image import EncodedImageError
from xview_localizer.image_file import read_rgb


class CrossViewError(ValueError):
    """A data set cannot be read; the message names the file, what is wrong and what is expected."""


class UnreadableImageError(CrossViewError):
    """A single image of a data set cannot be used; the others can."""


def read_lines(path: Path, expected: str) -> list[tuple[int, list[str]]]:
    """Words of every line that is not empty, with the line's number. Raises CrossViewError: what was `expected`."""
    if not path.is_file():
        raise CrossViewError(f"there is no {path}; expected is {expected}")
    lines = enumerate(path.read_text(errors="replace").splitlines(), start=1)
    return [(number, line.split()) for number, line in lines if line.strip()]


def numbers_of(words: Sequence[str], place: str, expected: str) -> list[float]:
    """The finite numbers that `words` are. Raises CrossViewError naming `place` and what is `expected` there."""
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise CrossViewError(f"{place}: {error}; expected is {expected}") from error
    if not np.all(np.isfinite(values)):
        raise CrossViewError(f"{place}: {' '.join(words)} is not finite; expected is {expected}")
    return values


def read_image(path: Path) -> np.ndarray:
    """The image [H, W, 3] uint8 RGB. Raises UnreadableImageError."""
    try:
        return read_rgb(path)
    except EncodedImageError as error:
        raise UnreadableImageError(str(error)) from error
