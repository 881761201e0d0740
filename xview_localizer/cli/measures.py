"""Measured figures in a terminal: tables that fit into 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from xview_localizer.cli.common import console, print_line

SHOWN_REASONS = 3  # the most frequent or first ones; the JSON file has every image's


def print_figures(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of figures: the first column holds names, the others are aligned to the right."""
    if title is not None:
        print_line(title)
    table = Table(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def print_rejections(rejections: Sequence[Mapping[str, Any]]) -> None:
    """The most frequent reasons of rejected images; `rejections` is that of metrics.summarize."""
    for entry in rejections[:SHOWN_REASONS]:
        print_line(f"rejected {entry['count']} ×: {entry['reason']}")
    others = sum(entry["count"] for entry in rejections[SHOWN_REASONS:])
    if others:
        print_line(f"rejected {others} × for other reasons")


def print_findings(metrics: Mapping[str, Any]) -> None:
    """What evaluation.examination found out about a drive; nothing for metrics of pairs."""
    if metrics.get("n_in_gaps_of_reference"):
        print_line(f"not judged: {metrics['n_in_gaps_of_reference']} images in gaps of the reference")
    for doubt in metrics.get("doubts", ()):
        print_line(f"doubtful: {doubt}")
    if metrics.get("map_shift") and metrics["map_shift"]["advice"]:
        print_line(metrics["map_shift"]["advice"])


def print_unreadable(unreadable: Mapping[str, str]) -> None:
    """What is wrong with the first images that could not be read; `unreadable` has it by the image's id."""
    for reason in list(unreadable.values())[:SHOWN_REASONS]:
        print_line(f"unreadable: {reason}")
    if len(unreadable) > SHOWN_REASONS:
        print_line(f"unreadable: {len(unreadable) - SHOWN_REASONS} others")
