"""A georeferenced orthophoto as a source of photo windows for scenes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from xview_localizer.geometry.grid import Bounds
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.simulation.photo import FINEST_PHOTO_M, LEAST_SIDE_M, SCENE_M, OrthophotoError, Photo

INSET_M = 60.0  # least distance of a window's middle from the photo's edge, where the photo is large enough
HELD_OUT_SHARE = 0.25  # of the windows' middles, at one end of the photo's longer side
GAP_M = 40.0  # between the middles of training windows and of held-out ones
FRINGE_PX = 2  # pixels next to missing imagery are often partly black, and are replaced too
LEAST_IMAGERY = 0.85  # of a window; the rest is filled with its neighbours
TRIES = 40  # windows that are drawn before the file is given up
_EDGE_POINTS = 9  # sampled along each edge of the file to find its extent


@dataclass(frozen=True)
class OrthophotoFile:
    """A georeferenced raster file (see RasterMap); `held_out` chooses the part from which windows are drawn."""

    path: Path
    held_out: bool = False

    def photo(self, rng: np.random.Generator) -> Photo:
        """A window drawn by `rng`. Raises MapSourceError where the file is not a map, and OrthophotoError."""
        # Imported here, because scenes of plain image files do not need GDAL.
        from xview_localizer.aerial.raster import Raster, RasterMap

        latitude_deg, longitude_deg, native_m = Raster(self.path).outline(_EDGE_POINTS)
        frame = LocalFrame(float(np.mean(latitude_deg)), float(np.mean(longitude_deg)), 0.0)
        edge_m = frame.enu_from_geodetic(latitude_deg, longitude_deg)[:, :2]
        low, high = edge_m.min(axis=0), edge_m.max(axis=0)
        if (high - low).min() < LEAST_SIDE_M:
            width_m, height_m = high - low
            raise OrthophotoError(
                f"{self.path} shows {width_m:.0f} × {height_m:.0f} m; scenes need {LEAST_SIDE_M:.0f} m each way"
            )
        source, spacing_m = RasterMap(self.path, frame), max(native_m, FINEST_PHOTO_M)
        problem: OrthophotoError | None = None
        for _ in range(TRIES):
            middle_m = self._middle(low, high, rng)
            half_m = np.minimum(SCENE_M / 2, np.minimum(middle_m - low, high - middle_m))
            crop = source.read(Bounds(*(middle_m - half_m), *(middle_m + half_m)), spacing_m)
            if crop.valid_ratio < LEAST_IMAGERY:
                continue
            try:
                return Photo(_filled(crop.image, crop.valid), spacing_m, str(self.path))
            except OrthophotoError as error:  # a window of water or snow; others may show more
                problem = error
        raise problem or OrthophotoError(
            f"{self.path} has no window with imagery in {TRIES} tries; crop it to the part that has imagery"
        )

    def _middle(self, low: np.ndarray, high: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The middle [2] of a window in the part chosen by `held_out`.

        Where the photo is too small for two parts with a gap between them, each part is the whole photo.
        """
        inset_m = np.minimum(INSET_M, (high - low) / 2)
        first, last = low + inset_m, high - inset_m
        longer = int(np.argmax(last - first))
        length_m = (last - first)[longer]
        if length_m > 2 * GAP_M:
            border_m = last[longer] - HELD_OUT_SHARE * length_m
            if self.held_out:
                first[longer] = border_m
            else:
                last[longer] = border_m - GAP_M
        return rng.uniform(first, last)


def _filled(image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The image [H, W, 3] with pixels outside `valid` [H, W] replaced by the nearest imagery."""
    if valid.all():
        return image
    sound = ndimage.binary_erosion(valid, iterations=FRINGE_PX, border_value=1)
    nearest = ndimage.distance_transform_edt(~sound, return_distances=False, return_indices=True)
    return np.ascontiguousarray(image[tuple(nearest)])
