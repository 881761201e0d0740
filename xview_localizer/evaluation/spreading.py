"""Choosing a few items of a sequence, spread evenly over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def spread(items: Sequence[Item], most: int) -> list[Item]:
    """At most `most` of the items, spread evenly over them; the first and the last are among them."""
    return [
        items[number] for number in np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    ]
