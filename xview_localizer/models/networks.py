"""Opening the networks of a package on inference engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from xview_localizer.engines.engine import Engine
from xview_localizer.engines.factory import EngineConfig, engine_for
from xview_localizer.models.contracts import Networks
from xview_localizer.models.depth_package import DepthPackage
from xview_localizer.models.package import ModelPackage
from xview_localizer.models.separate_depth import SeparateDepth


def open_networks(
    package: ModelPackage, config: EngineConfig = EngineConfig(), depth: DepthPackage | None = None
) -> Networks:
    """The package's networks on the engines of `config`. Raises EngineError.

    Depth comes from the separate network `depth` where it is given, else from the one that the package names, else
    from the package's own.
    """
    engines = {name: engine_for(graph, config) for name, graph in package.graphs.items()}
    return networks_over(engines, package, config, depth)


def networks_over(
    engines: Mapping[str, Engine],
    package: ModelPackage,
    config: EngineConfig = EngineConfig(),
    depth: DepthPackage | None = None,
) -> Networks:
    """As `open_networks`, for `engines` that hold the package's own graphs already."""
    networks = package.family.networks(engines, package.spec)
    depth = depth or package.depth
    if depth is None:
        return networks
    return replace(networks, depth=SeparateDepth(engine_for(depth.graph, config), depth.spec))
