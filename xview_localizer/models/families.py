"""The families that a model.yaml may name. A new family is a module in this folder and an entry here."""

from __future__ import annotations

from xview_localizer.models.family import Family
from xview_localizer.models.loc2 import LOC2
from xview_localizer.models.xview import XVIEW

FAMILIES: dict[str, Family] = {family.name: family for family in (XVIEW, LOC2)}


def family_named(name: str) -> Family:
    """The family of that name. Raises ValueError with the known names."""
    if name not in FAMILIES:
        raise ValueError(f"unknown family {name!r}; this version has {', '.join(FAMILIES)}")
    return FAMILIES[name]
