"""Opening the networks of a package on inference engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from xview_localizer.engines.engine import Engine
from xview_localizer.engines.factory import EngineConfig, engine_for
from xview_localizer.models.contracts import Networks
from xview_localizer.models.package import DEPTH_GRAPH, ModelPackage
from xview_localizer.models.separate_depth import SeparateDepth


def open_networks(package: ModelPackage, config: EngineConfig = EngineConfig()) -> Networks:
    """The package's networks on the engines of `config`. Raises EngineError."""
    return networks_over(
        {name: engine_for(graph, config) for name, graph in package.used_graphs.items()}, package
    )


def networks_over(engines: Mapping[str, Engine], package: ModelPackage) -> Networks:
    """The package's networks on opened engines of its used graphs.

    Depth comes from its separate depth network where it has one, else from its own. Raises EngineError.
    """
    networks = package.family.networks(engines, package.spec)
    if package.depth is None:
        return networks
    return replace(networks, depth=SeparateDepth(engines[DEPTH_GRAPH], package.depth.spec))
