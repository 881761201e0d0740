"""Writing a trained matcher as a model package, for training and for adaptation."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from xview_localizer.learning import lora
from xview_localizer.learning.matcher import Matcher
from xview_localizer.models.export import export_backbone, export_heads
from xview_localizer.models.package import write_manifest
from xview_localizer.models.token_graph import leave_tokens_out
from xview_localizer.models.xview import XVIEW, XviewSpec


def write_trained(
    matcher: Matcher, base: Path, out: Path, spec: XviewSpec, licence: str, provenance: str, command: str
) -> None:
    """Write `matcher` to `out` as a package with its learned temperature, which still has to be calibrated.

    Parts that were not trained (notices, a frozen backbone) are copied from the package folder `base`.
    """
    copy_package(base, out)
    if matcher.backbone:
        export_backbone(lora.merged(matcher.backbone), out / "backbone.onnx")
        leave_tokens_out(out / "backbone.onnx")
    export_heads(matcher.ground, matcher.aerial, out)
    spec = replace(spec, inverse_temperature=matcher.inverse_temperature.item())
    write_manifest(out, XVIEW, spec, licence, provenance, command)


def copy_package(folder: Path, out: Path) -> None:
    """Copy all files of a package; `out` may be its own folder."""
    out.mkdir(parents=True, exist_ok=True)
    if folder.resolve() != out.resolve():
        shutil.copytree(folder, out, dirs_exist_ok=True)
