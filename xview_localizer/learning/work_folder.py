"""A folder of intermediate results belongs to the options it was made with: nothing goes on with others unnoticed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from xview_localizer.atomic import replaced


class WorkFolderError(ValueError):
    """A folder's results were made with other options; the message names the first that differs."""


def claim(file: Path, options: Mapping[str, object]) -> None:
    """Keep in `file` the `options`, ready for JSON, on which the results beside it depend.

    Raises WorkFolderError where the folder was made with others.
    """
    asked = json.loads(json.dumps(options))  # in the types in which they are read again
    if file.exists():
        before = json.loads(file.read_text())
        other = next((name for name in asked | before if before.get(name) != asked.get(name)), None)
        if other is not None:
            raise WorkFolderError(
                f"{file.parent} was made with {other} {before.get(other)}, not {asked.get(other)}; take the same "
                "options, or another work folder, or remove that one"
            )
    with replaced(file) as fresh:
        fresh.write_text(json.dumps(asked, indent=2))
