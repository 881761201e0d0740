"""What a judged drive's figures do not say: what is doubtful, how far the map lies off, what could not be judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xview_localizer.aerial.source import MapSource
from xview_localizer.evaluation.map_shift import estimate_map_shift
from xview_localizer.evaluation.off_map import doubts_of_map
from xview_localizer.evaluation.reference import Reference
from xview_localizer.evaluation.reference_doubts import doubts_of_reference
from xview_localizer.evaluation.trajectory import DriveResult
from xview_localizer.models.spec import ModelSpec
from xview_localizer.parameters.settings import Settings
from xview_localizer.records import ImageRecord


def examine(
    result: DriveResult,
    records: Sequence[ImageRecord],
    reference: Reference,
    settings: Settings,
    source: MapSource,
    spec: ModelSpec,
    doubts: Sequence[str],
    map_warnings: Sequence[str],
) -> dict[str, Any]:
    """Entries for the metrics of a drive. `doubts` came up while it was localized; others are added to them.

    `map_warnings` are those of the map as far as it was read.
    `records` are those of all images, `result` has those with a reference. `source` is the map as the user named it.
    """
    found = [
        *doubts,
        *(f"map: {warning}" for warning in map_warnings),
        *doubts_of_map(records, source, spec.aerial.metres_per_pixel),
        *doubts_of_reference(reference, result),
    ]
    shift = estimate_map_shift(result, settings.values, spec.calibration.independence_m)
    return {
        "n_in_gaps_of_reference": len(records) - len(result.records),
        "doubts": list(dict.fromkeys(found)),
        "map_shift": None if shift is None else shift.record(),
    }
