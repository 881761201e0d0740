"""How long work reports its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where progress goes: lines of text, a wrapper for loops, and training's step with its averages."""

    report: Callable[[str], None] = print
    track: Callable[[Iterable], Iterable] = iter
    training: Callable[[int, dict[str, float]], None] | None = None
