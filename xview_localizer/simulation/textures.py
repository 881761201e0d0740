"""Tiles of ground texture: seamlessly repeating brightness of zero mean and about unit contrast."""

from __future__ import annotations

import cv2
import numpy as np

from xview_localizer.simulation.ground import TEXEL_M

TILE_PX = 768  # 46 m: a tile does not repeat within the disc of a prior
GREEN_PATTERNS = ("grass", "mown", "crop", "meadow", "leaves")


def periodic_noise(rng: np.random.Generator, wavelengths_px: list[float]) -> np.ndarray:
    """Noise [TILE_PX, TILE_PX] float32 of unit variance that wraps around."""
    total = np.zeros((TILE_PX, TILE_PX), np.float32)
    for wavelength in wavelengths_px:
        count = max(2, round(TILE_PX / wavelength))
        coarse = rng.standard_normal((count, count), dtype=np.float32)
        scale = count / TILE_PX
        matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float32)
        total += cv2.warpAffine(
            coarse, matrix, (TILE_PX, TILE_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_WRAP,
        )  # fmt: skip
    return total / max(float(total.std()), 1e-6)


def _stones(
    rng: np.random.Generator, length_m: float, width_m: float, joint: float, tone: float, bond: float = 0.5
) -> np.ndarray:
    """Rows of stones of differing tone, with joints darker by `joint`; `bond` shifts every other row."""
    rows = max(2, 2 * round(TILE_PX * TEXEL_M / width_m / 2))
    columns = max(2, round(TILE_PX * TEXEL_M / length_m))
    y = np.arange(TILE_PX, dtype=np.float32)[:, None] * rows / TILE_PX
    row = y.astype(int)
    x = np.arange(TILE_PX, dtype=np.float32)[None] * columns / TILE_PX + bond * (row % 2)
    tones = rng.standard_normal((rows, columns)).astype(np.float32) * tone
    tile = tones[row, x.astype(int) % columns]
    joint_y = (y % 1.0) < rows / TILE_PX
    joint_x = (x % 1.0) < columns / TILE_PX
    return tile - joint * (joint_x | joint_y) + 0.25 * periodic_noise(rng, [40, 6, 2])


def _stripes(pitch_m: float, sharp: bool) -> np.ndarray:
    count = max(1, round(TILE_PX * TEXEL_M / pitch_m))
    wave = np.sin(2 * np.pi * np.arange(TILE_PX, dtype=np.float32) * count / TILE_PX)[:, None]
    return (np.sign(wave) if sharp else wave) * np.ones((1, TILE_PX), np.float32)


def make_tiles(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One tile of every pattern; sizes of stones and rows differ from town to town."""
    grass = periodic_noise(rng, [90, 25, 7, 2])
    fine = periodic_noise(rng, [40, 6, 2])
    slab_m, sett_m = rng.uniform(0.4, 1.2), rng.uniform(0.18, 0.3)
    return {
        "grass": grass,
        "meadow": 0.7 * grass + 0.9 * periodic_noise(rng, [12, 3]),
        "mown": 0.5 * grass + 0.8 * _stripes(rng.uniform(1.5, 4), True),
        "leaves": periodic_noise(rng, [30, 4, 2]),
        "crop": 0.5 * grass + _stripes(rng.uniform(0.5, 3), False),
        "soil": periodic_noise(rng, [120, 30, 8, 3]),
        "gravel": periodic_noise(rng, [60, 4, 2, 2]),
        "asphalt": fine,
        "concrete": _stones(rng, rng.uniform(2.5, 6), rng.uniform(2.5, 5), 3.0, 0.6, 0.0),
        "slabs": _stones(rng, slab_m * rng.choice([1.0, 1.5, 2.0]), slab_m, 2.0, 0.6, rng.choice([0.0, 0.5])),
        "setts": _stones(rng, sett_m * rng.uniform(1, 1.8), sett_m, 1.2, 1.0),
        "cobbles": _stones(rng, 0.13, 0.13, 0.8, 1.0, 0.5),
        "boards": _stones(rng, 3.0, 0.15, 1.2, 0.8, 0.5),
        "tiles": _stones(rng, rng.uniform(1.2, 3), rng.uniform(1.2, 3), 1.0, 1.6, 0.0),
    }
