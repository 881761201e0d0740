"""Choosing a few of many."""

from __future__ import annotations

import numpy as np


def spread_numbers(count: int, most: int) -> list[int]:
    """At most `most` indices of `count` items, spread evenly over them; the first and the last are among them."""
    return np.linspace(0, count - 1, min(most, count)).round().astype(int).tolist()
