"""Cross-view localization: where a robot is, from one ground camera and an aerial photo.

The names below are the public interface; everything else may change without notice. They are imported at their
first use, so that `import xview_localizer` is fast and needs no library that is not used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xview_localizer.aerial.open import open_map_source
    from xview_localizer.aerial.source import MapSourceError
    from xview_localizer.belief.fix import Fix
    from xview_localizer.engines.engine import EngineError
    from xview_localizer.geometry.local_frame import LocalFrame
    from xview_localizer.geometry.pose import Pose2, Prior
    from xview_localizer.ground_view import GroundView
    from xview_localizer.localizer import Localizer
    from xview_localizer.localizer_config import LocalizerConfig
    from xview_localizer.models.manifest import ModelPackageError
    from xview_localizer.models.package import ModelPackage
    from xview_localizer.parameters.table import SettingsError
    from xview_localizer.photo.known import KnownByUser
    from xview_localizer.photo.locate import LocatedPhoto, PhotoLocator
    from xview_localizer.photo.metadata import PhotoError
    from xview_localizer.photo.photo import Photo, read_photo

__version__ = "0.1.0"

_HOME = {
    "EngineError": "engines.engine",
    "Fix": "belief.fix",
    "GroundView": "ground_view",
    "KnownByUser": "photo.known",
    "LocalFrame": "geometry.local_frame",
    "Localizer": "localizer",
    "LocalizerConfig": "localizer_config",
    "LocatedPhoto": "photo.locate",
    "MapSourceError": "aerial.source",
    "ModelPackage": "models.package",
    "ModelPackageError": "models.manifest",
    "Photo": "photo.photo",
    "PhotoError": "photo.metadata",
    "PhotoLocator": "photo.locate",
    "Pose2": "geometry.pose",
    "Prior": "geometry.pose",
    "SettingsError": "parameters.table",
    "open_map_source": "aerial.open",
    "read_photo": "photo.photo",
}
__all__ = [
    "EngineError",
    "Fix",
    "GroundView",
    "KnownByUser",
    "LocalFrame",
    "Localizer",
    "LocalizerConfig",
    "LocatedPhoto",
    "MapSourceError",
    "ModelPackage",
    "ModelPackageError",
    "Photo",
    "PhotoError",
    "PhotoLocator",
    "Pose2",
    "Prior",
    "SettingsError",
    "open_map_source",
    "read_photo",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
