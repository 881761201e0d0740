"""Street furniture of the families; from the air each piece shows as a dot with a shadow."""

from __future__ import annotations

import numpy as np

from xview_localizer.simulation.layout import Rectangle, Street, beside, yaw_of
from xview_localizer.simulation.site import Site

KERB_M = 0.6  # distance of furniture from the carriageway's edge
AT_THE_KERB = ("lamp", "bollards", "sign", "pole", "tree", "rail", "waymark")


def furnish(site: Site, street: Street, pavement_m: float, on_road) -> None:
    """Put furniture along both sides of a street; `on_road` gives the mask [N] of points [N, 2] on carriageways."""
    for side in (-1.0, 1.0):
        for kind, spacing_m in site.family.furniture.items():
            if site.rng.random() < 0.25:
                continue
            regular = site.rng.random() < 0.5
            at_m = site.rng.uniform(0, spacing_m)
            back_m = 0.0 if kind in AT_THE_KERB else max(0.0, pavement_m - 1.2)
            while at_m < len(street.line_xy_m) - 2:
                i = int(at_m)
                at_m += spacing_m * (site.rng.uniform(0.9, 1.1) if regular else site.rng.exponential() + 0.15)
                xy = street.line_xy_m[i] + side * (street.width_m / 2 + KERB_M + back_m) * street.left[i]
                if on_road(xy[None])[0]:
                    continue
                yaw_rad = yaw_of(side * street.direction[i])
                _PIECES[kind](site, Rectangle(float(xy[0]), float(xy[1]), yaw_rad, 1.0, 1.0))


def _free(site: Site, at: Rectangle, length_m: float, width_m: float) -> Rectangle | None:
    place = beside(at, 0, 0, length_m, width_m)
    return place if site.taken.claim(place.corners) else None


def _lamp(site: Site, at: Rectangle) -> None:
    """A post with an arm over the road, which lies to the right of `at`."""
    if not _free(site, at, 0.5, 0.5):
        return
    height_m = 5.0
    rgb = (92, 96, 100)
    site.plot.box(beside(at, 0, 0, 0.18, 0.18), 0, height_m, rgb)
    site.plot.box(beside(at, 0, -0.9, 0.1, 1.8), height_m - 0.12, height_m, rgb)
    site.plot.box(beside(at, 0, -1.7, 0.35, 0.8), height_m - 0.2, height_m + 0.05, (190, 192, 188))


def _sign(site: Site, at: Rectangle) -> None:
    if not _free(site, at, 0.5, 0.5):
        return
    rng = site.rng
    rgb = [(190, 40, 40), (40, 80, 170), (225, 190, 60), (60, 130, 80), (225, 225, 225)][rng.integers(5)]
    height_m, size_m = rng.uniform(2.0, 3.2), rng.uniform(0.5, 1.3)
    site.plot.box(beside(at, 0, 0, 0.08, 0.08), 0, height_m, (130, 132, 134))
    site.plot.box(beside(at, 0, 0, 0.06, size_m), height_m - size_m * rng.uniform(0.5, 1), height_m, rgb)


def _bollards(site: Site, at: Rectangle) -> None:
    rgb = [(60, 62, 64), (200, 200, 195), (170, 60, 50)][site.rng.integers(3)]
    for k in range(int(site.rng.integers(2, 8))):
        if _free(site, beside(at, 1.5 * k, 0, 1, 1), 0.3, 0.3):
            site.plot.box(beside(at, 1.5 * k, 0, 0.2, 0.2), 0, 0.95, rgb)


def _bench(site: Site, at: Rectangle) -> None:
    if _free(site, at, 1.9, 0.7):
        rgb = (128, 88, 56)
        site.plot.box(beside(at, 0, 0, 1.8, 0.5), 0.38, 0.46, rgb)
        site.plot.box(beside(at, 0, 0.24, 1.8, 0.06), 0.46, 0.9, rgb)
        for end in (-0.7, 0.7):
            site.plot.box(beside(at, end, 0, 0.08, 0.45), 0, 0.38, (70, 70, 72))


def _bin(site: Site, at: Rectangle) -> None:
    for k in range(int(site.rng.integers(1, 4))):
        if _free(site, beside(at, 0.9 * k, 0, 1, 1), 0.7, 0.7):
            rgb = [(50, 90, 60), (60, 70, 90), (60, 60, 62), (180, 150, 50)][site.rng.integers(4)]
            site.plot.box(beside(at, 0.9 * k, 0, 0.6, 0.65), 0, 1.1, rgb)


def _shelter(site: Site, at: Rectangle) -> None:
    if _free(site, at, 4.4, 1.6):
        site.plot.box(beside(at, 0, 0, 4.3, 1.6), 2.35, 2.5, site.rng.uniform(60, 200, 3))
        site.plot.box(beside(at, 0, 0.7, 4.2, 0.06), 0.2, 2.35, (120, 140, 146))
        site.plot.box(beside(at, -2.0, 0, 0.12, 1.3), 0.2, 2.35, site.rng.uniform(30, 220, 3))
        for forward in (-1.9, 1.9):
            site.plot.box(beside(at, forward, 0.6, 0.1, 0.1), 0, 2.35, (80, 82, 84))


def _kiosk(site: Site, at: Rectangle) -> None:
    size = site.rng.uniform(1.6, 3.2)
    if _free(site, beside(at, 0, 0.6, 1, 1), size, 1.8):
        rgb = site.rng.uniform(40, 220, 3)
        site.plot.box(beside(at, 0, 0.6, size, 1.7), 0, 2.4, rgb)
        site.plot.box(beside(at, 0, 0.5, size + 0.7, 2.4), 2.4, 2.65, np.clip(rgb * 1.3, 0, 240))


def _planter(site: Site, at: Rectangle) -> None:
    if _free(site, at, 1.6, 0.9):
        site.plot.box(beside(at, 0, 0, 1.5, 0.8), 0, 0.5, site.rng.uniform(80, 180), (78, 64, 48))
        site.plant((at.x_m, at.y_m), "bush", 0.7, claim=False)


def _cabinet(site: Site, at: Rectangle) -> None:
    if _free(site, at, 1.4, 0.5):
        site.plot.box(beside(at, 0, 0, site.rng.uniform(0.6, 1.4), 0.4), 0, 1.3, (150, 156, 146))


def _pole(site: Site, at: Rectangle) -> None:
    """A wooden pole with a cross-arm."""
    if _free(site, at, 0.5, 0.5):
        height_m = site.rng.uniform(6.5, 9)
        site.plot.box(beside(at, 0, 0, 0.25, 0.25), 0, height_m, (112, 94, 76))
        site.plot.box(beside(at, 0, 0, 0.12, 2.0), height_m - 0.6, height_m - 0.45, (112, 94, 76))


def _tree(site: Site, at: Rectangle) -> None:
    if _free(site, at, 0.9, 0.9):
        site.lay(beside(at, 0, 0, 1.3, 1.3).corners, "soil", (96, 80, 62))
        site.plant((at.x_m, at.y_m), str(site.palette.plants[0]), site.rng.uniform(0.6, 0.95), claim=False)


def _cover(site: Site, at: Rectangle) -> None:
    """A manhole cover, flat in the pavement."""
    site.lay(
        beside(at, 0, 0.3, site.rng.uniform(0.5, 1.3), site.rng.uniform(0.4, 0.8)).corners,
        "asphalt",
        site.rng.uniform(50, 110) * np.ones(3),
    )


def _barrier(site: Site, at: Rectangle) -> None:
    """Barriers of road works in red and white."""
    for k in range(int(site.rng.integers(2, 7))):
        piece = beside(at, 1.7 * k, 0, 1.5, 0.35)
        if _free(site, piece, 1.5, 0.35):
            site.plot.box(piece, 0, 0.95, (205, 60, 50) if k % 2 else (225, 225, 222))


def _rail(site: Site, at: Rectangle) -> None:
    """A guard rail on posts."""
    for k in range(8):
        if _free(site, beside(at, 2.0 * k, 0, 1, 1), 1.9, 0.4):
            site.plot.box(beside(at, 2.0 * k, 0, 2.0, 0.12), 0.45, 0.78, (168, 172, 176))
            site.plot.box(beside(at, 2.0 * k, 0.1, 0.12, 0.12), 0, 0.7, (120, 122, 124))


def _mast(site: Site, at: Rectangle) -> None:
    """A high mast with floodlights."""
    if _free(site, at, 1.2, 1.2):
        site.plot.box(beside(at, 0, 0, 1.2, 1.2), 0, 0.9, (160, 158, 152))
        site.plot.box(beside(at, 0, 0, 0.4, 0.4), 0.9, 21.0, (150, 154, 158))
        site.plot.box(beside(at, 0, 0, 2.6, 2.6), 20.6, 21.2, (190, 194, 198))


def _banner(site: Site, at: Rectangle) -> None:
    """Flag poles in a row."""
    rgb = site.rng.uniform(20, 235, 3)
    for k in range(int(site.rng.integers(1, 5))):
        if _free(site, beside(at, 2.4 * k, 0, 1, 1), 0.4, 0.4):
            pole = beside(at, 2.4 * k, 0, 0.12, 0.12)
            site.plot.box(pole, 0, 7.0, (206, 208, 210))
            site.plot.box(beside(pole, 0.6, 0, 1.1, 0.04), 3.6, 6.8, rgb)


def _waymark(site: Site, at: Rectangle) -> None:
    """A wooden post with arms."""
    if _free(site, at, 0.5, 0.5):
        site.plot.box(beside(at, 0, 0, 0.16, 0.16), 0, 2.1, (116, 86, 58))
        for level_m in (1.6, 1.9)[: int(site.rng.integers(1, 3))]:
            site.plot.box(beside(at, 0.35, 0, 0.9, 0.06), level_m, level_m + 0.16, (176, 148, 84))


def _log(site: Site, at: Rectangle) -> None:
    """Felled trunks beside a path."""
    for k in range(int(site.rng.integers(1, 4))):
        trunk = beside(at, site.rng.uniform(-0.5, 0.5), 0.6 * k, site.rng.uniform(2, 4.5), 0.5)
        if _free(site, trunk, trunk.length_m, 0.5):
            site.plot.box(trunk, 0, 0.5, (108, 84, 62), (126, 100, 74))


def _bollard_pair(site: Site, at: Rectangle) -> None:
    """Striped concrete blocks that guard a corner."""
    for k in range(2):
        block = beside(at, 1.6 * k, 0, 0.8, 0.8)
        if _free(site, block, 0.8, 0.8):
            site.plot.box(block, 0, 0.8, (214, 178, 48), (70, 70, 72))


_PIECES = {
    "lamp": _lamp, "sign": _sign, "bollards": _bollards, "bench": _bench, "bin": _bin, "shelter": _shelter,
    "kiosk": _kiosk, "planter": _planter, "cabinet": _cabinet, "pole": _pole, "tree": _tree, "cover": _cover,
    "barrier": _barrier, "rail": _rail, "mast": _mast, "banner": _banner, "waymark": _waymark, "log": _log,
    "blocks": _bollard_pair,
}  # fmt: skip
