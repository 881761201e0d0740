"""Procedural façades: windows, shop fronts, doors and courses, computed where a ray meets a wall."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike

GLASS = np.array([44.0, 52.0, 62.0])


class Facade(IntEnum):
    """Kind of the upper floors' façade."""

    PUNCHED = 0  # plain windows with sills
    TALL = 1  # high narrow windows with surrounds, arched
    RIBBON = 2  # bands of glass
    CURTAIN = 3  # glass all over
    BRICK = 4  # courses, small windows, lintels
    CLADDING = 5  # corrugated sheet, a high band of lights
    TIMBER = 6  # beams
    SHUTTERS = 7  # small windows with shutters
    PANELS = 8  # large panels, wide windows
    BLANK = 9  # nothing but stains
    SASH = 10  # brick, windows in pairs
    SLATS = 11  # upright slats, windows of a storey's height at irregular places
    STORE = 12  # panels with a coloured band and letters


class GroundFloor(IntEnum):
    """Kind of the lowest storey's façade."""

    SAME = 0
    SHOPS = 1
    DOORS = 2  # house doors and garages
    GATES = 3  # roller gates of halls
    ARCADE = 4
    GLAZED = 5  # glass between posts


# The window of each kind: half its width as a share of the bay, its bottom and its top as shares of the storey.
_WINDOWS = {
    Facade.PUNCHED: (0.27, 0.3, 0.75),
    Facade.TALL: (0.2, 0.2, 0.85),
    Facade.RIBBON: (0.47, 0.35, 0.8),
    Facade.CURTAIN: (0.46, 0.06, 0.97),
    Facade.BRICK: (0.22, 0.3, 0.72),
    Facade.CLADDING: (0.45, 0.72, 0.9),
    Facade.TIMBER: (0.24, 0.32, 0.74),
    Facade.SHUTTERS: (0.2, 0.3, 0.7),
    Facade.PANELS: (0.38, 0.28, 0.78),
    Facade.BLANK: (0.0, 0.0, 0.0),
    Facade.SASH: (0.13, 0.28, 0.8),
    Facade.SLATS: (0.3, 0.04, 0.94),
    Facade.STORE: (0.0, 0.0, 0.0),
}
_HALF_WIDTH, _BOTTOM, _TOP = np.array([_WINDOWS[kind] for kind in Facade]).T  # [kinds] each


def hash01(*keys: ArrayLike) -> np.ndarray:
    """Repeatable pseudo-random numbers [N] in [0, 1) from integer keys, each [N] or one for all."""
    mixed = np.zeros(np.broadcast(*keys).shape, np.uint32)
    for key in keys:
        mixed = (mixed ^ np.asarray(key).astype(np.int64).astype(np.uint32)) * np.uint32(0x9E3779B1)
        mixed ^= mixed >> np.uint32(15)
        mixed *= np.uint32(0x85EBCA6B)
        mixed ^= mixed >> np.uint32(13)
    return (mixed >> np.uint32(8)) / np.float64(1 << 24)


def facade_colour(
    points: np.ndarray, normal: np.ndarray, rgb: np.ndarray, parameters: np.ndarray
) -> np.ndarray:
    """Colours [N, 3] of wall points [N, 3] with unit normals [N, 3] and base colours `rgb` [N, 3].

    `parameters` [N, 7]: width of a bay and height of a storey (m), Facade, GroundFloor, seed, position along the wall
    at which its bays begin (m), and height of the wall (m).
    """
    along = points[:, 1] * normal[:, 0] - points[:, 0] * normal[:, 1] - parameters[:, 5]
    bay_m, storey_m = np.maximum(parameters[:, 0], 0.5), np.maximum(parameters[:, 1], 1.0)
    kind, ground, seed = (parameters[:, k].astype(int) for k in (2, 3, 4))
    bay, floor = np.floor(along / bay_m), np.floor(points[:, 2] / storey_m)
    u, v = along / bay_m - bay - 0.5, points[:, 2] / storey_m - floor
    luck = hash01(seed, bay, floor)
    u = np.where(kind == Facade.SASH, np.abs(u) - 0.24, u)
    out = _wall(points, along, u, v, rgb, kind, bay_m, storey_m)
    _band(out, along, points[:, 2] / np.maximum(parameters[:, 6], 1.0), kind, seed)
    complete = (floor + 0.9) * storey_m < parameters[:, 6]  # no windows cut by the eaves
    _windows(out, rgb, u, v, kind, seed, luck, complete & ((floor > 0) | (ground == GroundFloor.SAME)))
    low = floor == 0
    _ground_floor(out, points[:, 2], along, u, v, ground, seed, bay, low)
    courses = (floor > 0) & (v < 0.06) & (hash01(seed, 3) < 0.5)
    out[courses] = out[courses] * 0.8 + 45
    out[(points[:, 2] < 0.45) & (ground != GroundFloor.SHOPS)] *= 0.75
    top = parameters[:, 6] - points[:, 2] < 0.35
    out[top] = 0.7 * out[top] + 40
    return out


def _wall(points, along, u, v, rgb, kind, bay_m, storey_m) -> np.ndarray:
    out = rgb.copy()
    brick = (kind == Facade.BRICK) | (kind == Facade.SASH)
    z = points[:, 2]
    row, column = np.floor(z / 0.08), np.floor(along / 0.24 + 0.5 * (np.floor(z / 0.08) % 2))
    out[brick] *= (0.8 + 0.4 * hash01(row[brick], column[brick]))[:, None]
    sheet = kind == Facade.CLADDING
    out[sheet] *= (1 + 0.1 * np.sign(np.sin(2 * np.pi * along[sheet] / 0.3)))[:, None]
    panel = (kind == Facade.PANELS) & ((np.abs(u) > 0.485) | (v < 0.03))
    out[panel] *= 0.55
    slats = kind == Facade.SLATS
    out[slats] *= (
        0.86 + 0.22 * (hash01(np.floor(along[slats] / 0.16)) - 0.5) + 0.1 * ((along[slats] / 0.16) % 1 < 0.8)
    )[:, None]
    beams = kind == Facade.TIMBER
    slant = np.abs(np.abs(u) * bay_m - (v - 0.3) * storey_m * 0.4 - 0.1) < 0.08
    beam = beams & ((np.abs(u) * bay_m > bay_m / 2 - 0.09) | (v < 0.07) | (np.abs(v - 0.5) < 0.03) | slant)
    out[beam] = (62, 44, 34)
    pilaster = (kind == Facade.TALL) & (np.abs(u) > 0.44)
    out[pilaster] = out[pilaster] * 0.85 + 35
    stain = hash01(np.floor(along / 1.3), np.floor(z / 2.1)) - 0.5
    return out * (1 + 0.12 * stain)[:, None]


def _band(out, along, height, kind, seed) -> None:
    """The coloured band of a store with letters; `height` [N] is a share of the wall's."""
    store = kind == Facade.STORE
    seam = store & (((along / 1.1) % 1) < 0.03)
    out[seam] *= 0.8
    band = store & (height > 0.62) & (height < 0.9)
    out[band] = 20 + 215 * np.stack([hash01(seed[band], k) for k in (31, 32, 33)], axis=1)
    letters = band & (np.abs(height - 0.76) < 0.07) & ((along / 14.0) % 1 < 0.4)
    letters &= hash01(np.floor(along / 0.55), seed) > 0.35
    out[letters] = 250 - out[letters] * 0.85


def _windows(out, rgb, u, v, kind, seed, luck, there) -> None:
    shape = hash01(seed, 1)
    half = _HALF_WIDTH[kind] * (0.85 + 0.3 * shape)
    bottom, top = _BOTTOM[kind], _TOP[kind] + 0.06 * (shape - 0.5)
    arch = np.where(kind == Facade.TALL, 0.12 * (u / np.maximum(half, 0.01)) ** 2, 0.0)
    missing = luck < np.select([kind == Facade.SHUTTERS, kind == Facade.SLATS], [0.3, 0.45], 0.06)
    inside = there & (half > 0.05) & (kind != Facade.BLANK)
    surround = inside & (np.abs(u) < half + 0.05) & (v > bottom - 0.06) & (v < top + 0.05 - arch) & ~missing
    pane = surround & (np.abs(u) < half) & (v > bottom) & (v < top - arch)
    trim = surround & ~pane & (kind != Facade.CURTAIN) & (kind != Facade.CLADDING)
    out[trim] = 0.35 * out[trim] + 140 * (0.5 + hash01(seed[trim], 2)[:, None])
    shutter = (
        there
        & (kind == Facade.SHUTTERS)
        & ~missing
        & ~pane
        & (np.abs(u) < 2 * half)
        & (v > bottom)
        & (v < top)
    )
    tint = np.stack([hash01(seed[shutter], k) for k in (5, 6, 7)], axis=1)
    out[shutter] = 30 + 130 * tint
    shine = np.where(luck > 0.75, 95.0, 40 * luck)
    glass = np.where(kind == Facade.CURTAIN, 1.0, 0.0)[pane, None] * (rgb[pane] * 0.35)
    out[pane] = GLASS + shine[pane, None] + glass
    blind = pane & (luck > 0.3) & (luck < 0.55) & (v > top - (luck - 0.2))
    out[blind] = 205
    bar = pane & ((np.abs(u) < 0.015) | ((shape > 0.5) & (np.abs(v - 0.55) < 0.015)))
    out[bar] = 190


def _ground_floor(out, z, along, u, v, ground, seed, bay, low) -> None:
    shop = low & (ground == GroundFloor.SHOPS)
    unit = np.floor(bay / 2)  # two bays make a shop
    fascia_rgb = np.stack([hash01(seed, unit, k) for k in (11, 12, 13)], axis=1)
    out[shop] = 0.5 * out[shop] + 30
    display = shop & (np.abs(u) < 0.42) & (v > 0.16) & (v < 0.68)
    inside = hash01(np.floor(along / 0.45), np.floor(z / 0.45), seed)
    out[display] = GLASS * 0.7 + (130 * inside[display, None] ** 2) * (0.5 + fascia_rgb[display])
    fascia = shop & (v > 0.72) & (v < 0.93)
    out[fascia] = 25 + 215 * fascia_rgb[fascia]
    letters = fascia & (np.abs(v - 0.82) < 0.05) & (hash01(np.floor(along / 0.22), seed) > 0.45)
    out[letters] = 245 - out[letters] * 0.8
    luck = hash01(seed, bay, 21)
    doors = low & np.isin(ground, (GroundFloor.DOORS, GroundFloor.SHOPS))
    door = doors & (luck < 0.3) & (np.abs(u) < 0.17) & (z < 2.1)
    out[door] = 20 + 120 * fascia_rgb[door]
    garage = low & (ground == GroundFloor.DOORS) & (luck > 0.75) & (np.abs(u) < 0.4) & (z < 2.2)
    out[garage] = 120 + 90 * fascia_rgb[garage] - 14 * ((z[garage] % 0.45) < 0.05)[:, None]
    plain = (
        low & (ground == GroundFloor.DOORS) & ~door & ~garage & (np.abs(u) < 0.25) & (v > 0.35) & (v < 0.75)
    )
    out[plain] = GLASS + 50 * luck[plain, None]
    gate = low & (ground == GroundFloor.GATES) & (luck < 0.55) & (np.abs(u) < 0.36) & (z < 4.0)
    out[gate] = (60 + 150 * fascia_rgb[gate]) * (1 - 0.15 * ((z[gate] % 0.3) < 0.06))[:, None]
    arcade = low & (ground == GroundFloor.ARCADE) & (np.abs(u) < 0.38) & (v < 0.85 - 0.9 * u**2)
    out[arcade] = 38 + 40 * inside[arcade, None]
    glazed = low & (ground == GroundFloor.GLAZED) & (np.abs(u) < 0.47) & (z > 0.1) & (z < 2.9)
    out[glazed] = GLASS * 0.9 + (110 * inside[glazed, None] ** 2) * (0.4 + fascia_rgb[glazed])
