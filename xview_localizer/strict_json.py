"""JSON that every parser reads: RFC 8259 has no NaN and no infinity."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping


def strict_json(value: object, indent: int | None = None) -> str:
    """`value` as JSON text; numbers that are not finite become null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
