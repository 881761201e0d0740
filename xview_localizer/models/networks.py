"""From a package on disk to networks that run."""

from __future__ import annotations

from xview_localizer.engines.factory import EngineConfig, engine_for
from xview_localizer.models.contracts import Networks
from xview_localizer.models.package import ModelPackage


def open_networks(package: ModelPackage, config: EngineConfig = EngineConfig()) -> Networks:
    """The package's networks on the engines that `config` asks for. Raises EngineError."""
    engines = {name: engine_for(graph, config) for name, graph in package.graphs.items()}
    return package.family.networks(engines, package.spec)
