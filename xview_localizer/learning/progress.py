"""Callbacks by which long work reports its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`report` receives lines of text, `track` wraps loops, `training` receives a step and its average losses."""

    report: Callable[[str], None] = print
    track: Callable[[Iterable], Iterable] = iter
    training: Callable[[int, dict[str, float]], None] | None = None
