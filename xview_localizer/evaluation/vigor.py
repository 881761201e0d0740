"""VIGOR: panoramas of four cities, each on an aerial image (Zhu et al., CVPR 2021).

    DIR/CITY/panorama/PANORAMA.jpg, DIR/CITY/satellite/SATELLITE.png
    DIR/splits__corrected/CITY/same_area_balanced_test__corrected.txt (same area), pano_label_balanced__corrected.txt
        (cross area): PANORAMA SATELLITE ROWS COLUMNS and three more aerial images that are not looked at

Panoramas span the sphere; their middle column looks north, columns to the right turn clockwise. ROWS and COLUMNS are
where the aerial image's middle lies as seen from the panorama, in pixels to the north and to the east. So the panorama
lies ROWS below and COLUMNS left of the aerial image's middle. A heading that is known within ± w degrees is an image
rolled by an angle drawn from there, as in the field.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xview_localizer.aerial.source import AerialImage
from xview_localizer.evaluation.cross_view import (
    SAME,
    CrossViewSample,
    CrossViewSet,
    disc_prior,
    evenly_spaced,
    level_view,
    require_protocol,
)
from xview_localizer.evaluation.cross_view_files import (
    CrossViewError,
    UnreadableImageError,
    numbers_of,
    read_image,
    read_lines,
)
from xview_localizer.geometry.camera import EquirectangularCamera
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.recordings.pairs import Truth

# Resolution of the original aerial images of 640 px, as the field uses it (Lentsch et al., SliceMatch, CVPR 2023).
METRES_PER_PIXEL = {
    "NewYork": 0.113248,
    "Seattle": 0.100817,
    "SanFrancisco": 0.118141,
    "Chicago": 0.111262,
}
AERIAL_PX = 640
CROSS_AREA_CITIES = ("SanFrancisco", "Chicago")  # nothing is trained on them
# Folder of the labels and the ending of their files' names, in the order of preference.
LABELS = (("splits__corrected", "__corrected"), ("splits__corrected", ""), ("splits_new", ""), ("splits", ""))
ORIENTATION_SEED = 0  # the same images have the same orientations in every evaluation
NORTH_RAD = np.pi / 2


@dataclass(frozen=True)
class VigorRecord:
    """A panorama and the aerial image that holds it in its middle part.

    `offset_px` (rows, columns) is the label; the panorama is turned to the left by `turned_deg`.
    """

    panorama_path: Path
    aerial_path: Path
    offset_px: tuple[float, float]
    metres_per_pixel: float
    turned_deg: float
    heading_within_deg: float

    @property
    def id(self) -> str:
        return self.panorama_path.stem

    @property
    def image_paths(self) -> tuple[Path, ...]:
        return self.panorama_path, self.aerial_path

    @property
    def xy_m(self) -> tuple[float, float]:
        """The panorama from the aerial image's middle: metres to the east and to the north."""
        rows, columns = self.offset_px
        return -columns * self.metres_per_pixel, -rows * self.metres_per_pixel

    def load(self) -> CrossViewSample:
        """See CrossViewRecord."""
        panorama, aerial = read_image(self.panorama_path), read_image(self.aerial_path)
        height, width = panorama.shape[:2]
        side = aerial.shape[0]
        if width != 2 * height:
            raise UnreadableImageError(
                f"{self.panorama_path} has {width} × {height} px; a panorama of the sphere is twice as wide as high"
            )
        if aerial.shape[1] != side:
            raise UnreadableImageError(
                f"{self.aerial_path} has {aerial.shape[1]} × {side} px and is no square"
            )
        px_per_rad = width / (2 * np.pi)
        camera = EquirectangularCamera(width, height, px_per_rad, px_per_rad, width / 2, height / 2)
        rolled_px = round(self.turned_deg / 360 * width)
        # Copies of the data set with smaller images show the same ground.
        grid = RasterGrid.centred(0.0, 0.0, self.metres_per_pixel * AERIAL_PX / side, side, side)
        return CrossViewSample(
            level_view(np.roll(panorama, rolled_px, axis=1), camera, camera_height_m=None),
            AerialImage(aerial, np.ones((side, side), dtype=bool), grid),
            disc_prior(AERIAL_PX / 2 * self.metres_per_pixel, NORTH_RAD, self.heading_within_deg),
            Truth(*self.xy_m, NORTH_RAD + rolled_px / px_per_rad, tolerance_m=0.0),
        )


def open_vigor(
    folder: Path, area: str = SAME, heading_within_deg: float = 180.0, limit: int | None = None
) -> CrossViewSet:
    """The test images of an area ("same" or "cross"), at most `limit`. Raises CrossViewError."""
    require_protocol(area, heading_within_deg)
    cities = tuple(METRES_PER_PIXEL) if area == SAME else CROSS_AREA_CITIES
    list_name = "same_area_balanced_test" if area == SAME else "pano_label_balanced"
    labels, ending = _labels(folder, cities[0], list_name)
    lines = []
    for city in cities:
        path = labels / city / f"{list_name}{ending}.txt"
        expected = f"a list of test images for each of {', '.join(cities)}"
        lines += [(city, f"{path}, line {number}", words) for number, words in read_lines(path, expected)]
    # Drawn for all images, so that an image's orientation does not depend on the limit.
    turned_deg = heading_within_deg * np.random.default_rng(ORIENTATION_SEED).uniform(-1, 1, len(lines))
    chosen = evenly_spaced(list(zip(lines, turned_deg, strict=True)), limit)
    records = [_record(folder, *line, float(turn), heading_within_deg) for line, turn in chosen]
    protocol = {
        "data_set": "VIGOR", "area": area, "heading_within_deg": heading_within_deg, "labels": labels.name
    }  # fmt: skip
    return CrossViewSet(protocol, records)


def _labels(folder: Path, city: str, list_name: str) -> tuple[Path, str]:
    """Folder of the labels and the ending of their names."""
    for name, ending in LABELS:
        if (folder / name / city / f"{list_name}{ending}.txt").is_file():
            return folder / name, ending
    raise CrossViewError(
        f"{folder} has no labels of VIGOR: expected is {LABELS[0][0]}/{city}/{list_name}{LABELS[0][1]}.txt (the "
        f"corrected ones, published with SliceMatch) or splits/{city}/{list_name}.txt"
    )


def _record(
    folder: Path, city: str, place: str, words: list[str], turned_deg: float, heading_within_deg: float
) -> VigorRecord:
    expected = "PANORAMA SATELLITE ROWS COLUMNS, the offset in pixels"
    if len(words) < 4:
        raise CrossViewError(f"{place} has {len(words)} columns; expected is {expected}")
    rows, columns = numbers_of(words[2:4], place, expected)
    if max(abs(rows), abs(columns)) > AERIAL_PX / 2:
        raise CrossViewError(f"{place}: the offset {rows:g} {columns:g} lies outside of {AERIAL_PX} px")
    return VigorRecord(
        folder / city / "panorama" / words[0],
        folder / city / "satellite" / words[1],
        (rows, columns),
        METRES_PER_PIXEL[city],
        turned_deg,
        heading_within_deg,
    )
