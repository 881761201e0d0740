"""A family of networks: which graphs its packages hold, what their spec contains, and how the graphs are run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from xview_localizer.engines.engine import Engine, InputSizes
from xview_localizer.models.contracts import Networks


@dataclass(frozen=True)
class Family:
    """Name, graphs and functions of a network family. A spec is the family's subclass of ModelSpec."""

    name: str  # in model.yaml
    graphs: tuple[str, ...]
    spec_from_dict: Callable[[object], Any]  # raises ValueError naming the entry
    spec_to_dict: Callable[[Any], dict]
    input_sizes: Callable[[Any], Mapping[str, InputSizes]]  # for each graph, of the inputs with free sizes
    networks: Callable[[Mapping[str, Engine], Any], Networks]
    depth_graph: str = ""  # a further graph that a package may hold: the family's own depth
