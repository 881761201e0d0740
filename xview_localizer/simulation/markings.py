"""Paint on the streets of the families: lines, arrows, crossings, bus lanes, bays, hatching, letters."""

from __future__ import annotations

import numpy as np

from xview_localizer.simulation.elements import Plot, Stroke
from xview_localizer.simulation.layout import Street

WHITE, YELLOW, RED, GREEN, BLUE = (
    (226, 226, 222),
    (214, 170, 60),
    (168, 78, 64),
    (84, 138, 92),
    (70, 104, 160),
)


def mark_street(
    rng: np.random.Generator, plot: Plot, street: Street, others: list[Street], kinds: dict[str, float]
) -> None:
    """Add paint to a street; `kinds` gives the share of streets that have each kind."""
    clear = np.ones(len(street.line_xy_m), bool)
    for other in others:
        away_m = np.linalg.norm(other.line_xy_m[None, ::2] - street.line_xy_m[:, None], axis=2).min(axis=1)
        clear &= away_m > other.width_m / 2 + 2.5
    pen = _Pen(rng, plot, street, clear)
    for kind, share in kinds.items():
        if rng.random() < share:
            _KINDS[kind](pen)


class _Pen:
    """Draws on one street in metres along and to the left; `clear` is False at junctions."""

    def __init__(self, rng: np.random.Generator, plot: Plot, street: Street, clear: np.ndarray) -> None:
        self.rng, self.plot, self.street, self.clear = rng, plot, street, clear
        self.half_m, self.n = street.width_m / 2, len(street.line_xy_m)
        self.width_m = rng.uniform(0.1, 0.18)

    def line(self, lateral_m: float, on: int, off: int, rgb=WHITE, width_m: float | None = None) -> None:
        line = self.street.offset(lateral_m)
        for i in range(int(self.rng.integers(0, on + off)), self.n - on, on + off):
            if self.clear[i : i + on + 1].all():
                self.plot.strokes.append(Stroke(line[i : i + on + 1], width_m or self.width_m, rgb))

    def at(self, i: int, along_m, left_m) -> np.ndarray:
        """Points [N, 2] of distances along and to the left of the street from its sample i."""
        origin, ahead, left = self.street.line_xy_m[i], self.street.direction[i], self.street.left[i]
        return (
            origin
            + np.multiply.outer(np.asarray(along_m, float), ahead)
            + np.multiply.outer(np.asarray(left_m, float), left)
        )

    def shape(self, i: int, along_m, left_m, width_m: float = 0.0, rgb=WHITE) -> None:
        if self.clear[i]:
            self.plot.strokes.append(Stroke(self.at(i, along_m, left_m), width_m, rgb))

    def somewhere(self, every_m: float):
        """Random samples of the street, on average one in `every_m`."""
        for _ in range(self.rng.poisson(self.n / every_m)):
            yield int(self.rng.integers(3, self.n - 4))

    def mouths(self):
        """Samples at which a clear stretch begins or ends, with the direction (±1) out of the junction."""
        for i in np.flatnonzero(np.diff(self.clear.astype(int))):
            forward = 1 if self.clear[i + 1] else -1
            yield int(np.clip(i + (2 if forward > 0 else -1), 1, self.n - 2)), forward


def _centre(pen: _Pen) -> None:
    rgb = YELLOW if pen.rng.random() < 0.3 else WHITE
    kind = pen.rng.integers(3)
    if kind == 0:
        pen.line(0.0, int(pen.rng.integers(2, 6)), int(pen.rng.integers(2, 9)), rgb)
    elif kind == 1:
        pen.line(0.0, 4, 0, rgb)
    else:
        pen.line(-0.15, 4, 0, rgb)
        pen.line(0.15, 4, int(pen.rng.choice([0, 4])), rgb)


def _edges(pen: _Pen) -> None:
    for side in (-1, 1):
        pen.line(side * (pen.half_m - 0.3), 4, 0, YELLOW if pen.rng.random() < 0.3 else WHITE)


def _lanes(pen: _Pen) -> None:
    for lateral in np.arange(3.2, pen.half_m - 2.2, 3.2):
        for side in (-1, 1):
            pen.line(side * lateral, 3, 6)


def _arrows(pen: _Pen) -> None:
    for i in pen.somewhere(16):
        side = pen.rng.choice([-1, 1])
        left = side * pen.rng.choice([0.3, 0.7]) * pen.half_m
        ahead = -side
        pen.shape(i, [0, 2.4 * ahead], [left, left], 0.2)
        pen.shape(i, np.array([3.6, 2.3, 2.3]) * ahead, left + np.array([0, 0.5, -0.5]))
        if pen.rng.random() < 0.4:
            pen.shape(i, np.array([1.0, 1.6]) * ahead, left + np.array([0, 1.0]), 0.2)


def _crossings(pen: _Pen) -> None:
    length_m, pitch_m = pen.rng.uniform(2.2, 4.0), pen.rng.uniform(0.9, 1.3)
    places = [i for i, _ in pen.mouths()] + list(pen.somewhere(90))
    rgb = YELLOW if pen.rng.random() < 0.15 else WHITE
    ladder = pen.rng.random() < 0.3
    for i in places:
        if pen.rng.random() < 0.25 or not pen.clear[i]:
            continue
        if ladder:
            for along in (-length_m / 2, length_m / 2):
                pen.shape(i, [along, along], [-pen.half_m, pen.half_m], 0.25, rgb)
        else:
            for left in np.arange(-pen.half_m + 0.4, pen.half_m - 0.3, pitch_m):
                pen.shape(i, [-length_m / 2, length_m / 2], [left, left], 0.5 * pitch_m, rgb)


def _stops(pen: _Pen) -> None:
    for i, forward in pen.mouths():
        if pen.rng.random() < 0.8:
            lateral = forward * np.array([0.2, pen.half_m - 0.3])
            shift = forward * pen.rng.uniform(2.5, 4.5)
            pen.shape(i, [shift, shift], lateral, 0.4)


def _bus(pen: _Pen) -> None:
    side = pen.rng.choice([-1, 1])
    rgb = [RED, YELLOW, BLUE, WHITE][pen.rng.integers(4)]
    pen.line(side * (pen.half_m - 3.2), 4, 0, WHITE, 0.25)
    if rgb is not WHITE:
        for i in range(2, pen.n - 6, 5):
            if pen.clear[i : i + 6].all() and pen.rng.random() < 0.9:
                pen.plot.strokes.append(
                    Stroke(pen.street.offset(side * (pen.half_m - 1.6))[i : i + 6], 2.9, rgb)
                )
    _letters(pen, side * (pen.half_m - 1.6))


def _letters(pen: _Pen, left_m: float | None = None) -> None:
    """Groups of strokes of the size of a word painted on the road."""
    for i in pen.somewhere(28):
        middle = left_m if left_m is not None else pen.rng.choice([-0.5, 0.5]) * pen.half_m
        for column in (-0.75, 0.0, 0.75):
            for _ in range(3):
                along, left = (
                    pen.rng.choice([0.0, 0.9, 1.8, 2.6], 2),
                    middle + column + pen.rng.choice([-0.25, 0.25], 2),
                )
                pen.shape(i, along, left, 0.14)


def _bike(pen: _Pen) -> None:
    rgb = [RED, GREEN, BLUE, WHITE][pen.rng.integers(4)]
    for side in (-1, 1)[: int(pen.rng.integers(1, 3))]:
        pen.line(side * (pen.half_m - 1.8), 2, int(pen.rng.choice([0, 2])))
        if rgb is not WHITE:
            pen.line(side * (pen.half_m - 0.9), 6, int(pen.rng.choice([0, 4, 12])), rgb, 1.5)


def _bays(pen: _Pen) -> None:
    slant = pen.rng.choice([0.0, 0.0, 0.8])
    for side in (-1, 1)[: int(pen.rng.integers(1, 3))]:
        depth = 2.1
        pitch = 6 if slant == 0 else 3
        for i in range(4, pen.n - 6, pitch):
            if pen.clear[i] and pen.rng.random() < 0.85:
                pen.shape(i, [0, slant * depth], side * np.array([pen.half_m, pen.half_m - depth]), 0.1)
        pen.line(
            side * (pen.half_m - depth),
            int(pen.rng.integers(6, 30)),
            int(pen.rng.integers(4, 14)),
            WHITE,
            0.1,
        )


def _hatching(pen: _Pen) -> None:
    rgb = YELLOW if pen.rng.random() < 0.4 else WHITE
    for i in pen.somewhere(45):
        length, left, width = (
            pen.rng.uniform(4, 10),
            pen.rng.uniform(-0.8, 0.8) * pen.half_m,
            pen.rng.uniform(0.8, 2),
        )
        for along in np.arange(0, length, 1.0):
            pen.shape(i, [along, along + 0.8], [left - width / 2, left + width / 2], 0.15, rgb)
        pen.shape(i, [0, length, length, 0, 0], left + width / 2 * np.array([-1, -1, 1, 1, -1]), 0.12, rgb)


def _zigzag(pen: _Pen) -> None:
    for i in pen.somewhere(60):
        side = pen.rng.choice([-1, 1])
        along = np.arange(0, 9, 1.2)
        pen.shape(
            i,
            along,
            side * (pen.half_m - 0.5 - 0.4 * (np.arange(len(along)) % 2)),
            0.14,
            YELLOW if pen.rng.random() < 0.5 else WHITE,
        )


def _ghosts(pen: _Pen) -> None:
    """Remains of old lines beside the new ones, as after road works."""
    for lateral in pen.rng.uniform(-0.8, 0.8, 2) * pen.half_m:
        pen.line(lateral, int(pen.rng.integers(3, 9)), int(pen.rng.integers(2, 20)), (96, 94, 92))


_KINDS = {
    "centre": _centre, "edges": _edges, "lanes": _lanes, "arrows": _arrows, "crossings": _crossings, "stops": _stops,
    "bus": _bus, "letters": _letters, "bike": _bike, "bays": _bays, "hatching": _hatching, "zigzag": _zigzag,
    "ghosts": _ghosts,
}  # fmt: skip
