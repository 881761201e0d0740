"""The street families by name, and the groups of them."""

from __future__ import annotations

from xview_localizer.simulation.family import Family
from xview_localizer.simulation.seen_families import SEEN
from xview_localizer.simulation.unseen_families import UNSEEN

CLASSIC = "classic"  # TownStyle.sample: rural, suburban and urban streets of one generator
# A family's place in this order is part of its towns' seed, so new ones come last.
FAMILIES: dict[str, Family | None] = {CLASSIC: None, **SEEN, **UNSEEN}
GROUPS = {"all": (CLASSIC, *SEEN), "unseen": tuple(UNSEEN)}


def family_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of families, with the groups expanded: "all" that may be trained on, "unseen" that are kept for tests.

    Raises ValueError for an unknown name.
    """
    unknown = [name for name in names if name not in FAMILIES and name not in GROUPS]
    if unknown:
        raise ValueError(f"unknown style '{unknown[0]}'; there are {', '.join([*GROUPS, *FAMILIES])}")
    if GROUPS.keys().isdisjoint(names):
        return names
    return tuple(dict.fromkeys(family for name in names for family in GROUPS.get(name, (name,))))
