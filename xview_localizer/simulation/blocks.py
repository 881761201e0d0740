"""The fillers of blocks between a family's streets, by name."""

from __future__ import annotations

from collections.abc import Callable

from xview_localizer.simulation.built_blocks import compounds, detached, halls, perimeter, towers, works
from xview_localizer.simulation.garden_blocks import allotments, vines
from xview_localizer.simulation.harbour_blocks import basin, yard
from xview_localizer.simulation.open_blocks import fields, lawn, parking, plaza, woods
from xview_localizer.simulation.park_blocks import glade
from xview_localizer.simulation.retail_blocks import stores
from xview_localizer.simulation.site import Site
from xview_localizer.simulation.terrace_blocks import terrace

Filler = Callable[[Site], None]
FILLERS: dict[str, Filler] = {
    "perimeter": perimeter, "detached": detached, "halls": halls, "lawn": lawn, "plaza": plaza, "parking": parking,
    "fields": fields, "woods": woods, "works": works, "compounds": compounds, "towers": towers,
    "glade": glade, "yard": yard, "basin": basin, "vines": vines, "allotments": allotments, "terrace": terrace,
    "stores": stores,
}  # fmt: skip
