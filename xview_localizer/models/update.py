"""Updating an xview package of an earlier version to today's graphs, with the same weights."""

from __future__ import annotations

import shutil
from pathlib import Path

from xview_localizer.atomic import filled
from xview_localizer.models.export import export_heads, heads_of
from xview_localizer.models.manifest import ModelPackageError
from xview_localizer.models.package import ModelPackage, write_manifest
from xview_localizer.models.token_graph import leave_tokens_out
from xview_localizer.models.xview import XVIEW


def update_package(folder: Path, out: Path) -> ModelPackage:
    """Write the package in `folder`, with a backbone that can leave tokens out and depth as a separate graph, to `out`,
    which may be the same folder. Raises ModelPackageError."""
    package = ModelPackage.load(folder)
    if package.family is not XVIEW:
        raise ModelPackageError(
            f"{folder} is of the family {package.family.name}; only xview packages are updated"
        )
    with filled(out) as fresh:
        shutil.copytree(folder, fresh, dirs_exist_ok=True)
        shutil.copyfile(package.graphs["backbone"].path, fresh / "backbone.onnx")
        leave_tokens_out(fresh / "backbone.onnx")
        export_heads(*heads_of(package), fresh)
        write_manifest(
            fresh, XVIEW, package.spec, package.licence, package.provenance, package.training_command
        )
    return ModelPackage.load(out)
