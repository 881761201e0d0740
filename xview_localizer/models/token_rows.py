"""Selection of the rows of patches that are encoded, since the cost of attention grows with their number squared.

Rows far above the horizon show sky, roofs and tree tops, whose direction does not give their place in the aerial image;
rows steeply below show the robot itself and ground smaller than a cell of the map.
"""

from __future__ import annotations

import numpy as np

from xview_localizer.engines.engine import Engine
from xview_localizer.geometry.canonical_view import CanonicalView
from xview_localizer.models.dinov2 import PATCH_PX

# Limits of the elevation of a row's middle. With 5° in place of 8.5°, recall of narrow views within 2 m fell by two
# percentage points on validation images.
HIGHEST_RAD, LOWEST_RAD = float(np.radians(8.5)), float(np.radians(-37.0))


def leaves_tokens_out(backbone: Engine) -> bool:
    """Whether a backbone takes `kept` and `source` beside the image (see models/token_graph.py)."""
    return "kept" in {spec.name for spec in backbone.inputs}


def rows_worth_encoding(view: CanonicalView) -> slice:
    """The rows of patches that the camera sees within the limits of elevation; all rows where there is none."""
    spec = view.spec
    rows = spec.rows_px // PATCH_PX
    elevation_rad = spec.top_elevation_rad - (np.arange(rows) + 0.5) * PATCH_PX / spec.rows_px_per_rad
    seen = view.valid.reshape(rows, -1).any(axis=1)
    worth = np.flatnonzero(seen & (elevation_rad <= HIGHEST_RAD) & (elevation_rad >= LOWEST_RAD))
    return slice(int(worth[0]), int(worth[-1]) + 1) if len(worth) else slice(0, rows)


def tokens_of(backbone: Engine, image: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
    """Tokens [1, C, h, w] of an image [1, 3, H, W]. A backbone that can leave tokens out encodes only `rows`.

    The other rows repeat the nearest encoded one. Raises EngineError.
    """
    if not leaves_tokens_out(backbone):
        return backbone.run({"image": image})["tokens"]
    height, width = image.shape[2] // PATCH_PX, image.shape[3] // PATCH_PX
    kept_rows = np.arange(height)[rows]
    nearest = np.clip(np.arange(height) - kept_rows[0], 0, len(kept_rows) - 1)
    columns = np.arange(width)
    kept = (kept_rows[:, None] * width + columns).ravel()
    source = (nearest[:, None] * width + columns).ravel()
    return backbone.run({"image": image, "kept": kept, "source": source})["tokens"]
