"""A doubt about a map that shows none of the drive, with where that map lies instead."""

from __future__ import annotations

from collections.abc import Sequence

from xview_localizer.aerial.open import probe_map
from xview_localizer.aerial.source import MapSource, MapSourceError
from xview_localizer.records import ImageRecord
from xview_localizer.rejection import Reason


def doubts_of_map(records: Sequence[ImageRecord], source: MapSource, metres_per_pixel: float) -> list[str]:
    """What is wrong with a map that has no imagery around any of the images; empty where it has some."""
    if not records or any(record.reason_code != Reason.NO_IMAGERY.name for record in records):
        return []
    try:
        probe_map(source, records[0].prior_x_m, records[0].prior_y_m, metres_per_pixel)
    except MapSourceError as error:
        return [f"map: {error}"]
    return []
