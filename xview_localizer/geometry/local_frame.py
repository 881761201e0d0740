"""The `map` frame: east and north on the WGS84 tangent plane of a datum, up as height over the datum's altitude.

On the tangent plane itself, east and north of a point depend on its altitude: 100 km from the datum, 1 km of altitude
moves it by 16 m. GNSS positions have an altitude and maps have none, so the two would disagree. Here both are projected
vertically.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pymap3d
from numpy.typing import ArrayLike

# Iterations that find the point at the datum's altitude with a given east and north. Each reduces the error by the
# square of the distance in Earth radii: to micrometres at 200 km.
ALTITUDE_ITERATIONS = 4

Coordinate = float | np.ndarray


def _check_geodetic(latitude_deg: Coordinate, longitude_deg: Coordinate, altitude_m: Coordinate) -> None:
    if not np.all(np.abs(latitude_deg) <= 90):  # also catches NaN
        raise ValueError(f"latitude must be finite and within ±90 degrees, got {latitude_deg}")
    if not np.all(np.abs(longitude_deg) <= 360):
        raise ValueError(f"longitude must be finite and within ±360 degrees, got {longitude_deg}")
    if not np.all(np.isfinite(altitude_m)):
        raise ValueError(f"altitude must be finite, got {altitude_m}")


@dataclass(frozen=True)
class LocalFrame:
    """East, north, up in metres from a datum (latitude, longitude, ellipsoidal altitude); float64.

    East and north of a point are those (ENU) of the point with its latitude and longitude at the datum's altitude; up
    is its altitude less that of the datum. Lengths shrink towards the datum by half the square of the distance in Earth
    radii: by 0.05 % at 200 km.
    """

    latitude_deg: float
    longitude_deg: float
    altitude_m: float = 0.0

    def __post_init__(self) -> None:
        _check_geodetic(self.latitude_deg, self.longitude_deg, self.altitude_m)

    def enu_from_geodetic(
        self, latitude_deg: ArrayLike, longitude_deg: ArrayLike, altitude_m: ArrayLike = 0.0
    ) -> np.ndarray:
        """ENU points [..., 3], metres, of geodetic coordinates (scalars or arrays that broadcast).

        Raises ValueError where a coordinate is not finite or out of range.
        """
        latitude, longitude, altitude = np.broadcast_arrays(
            *(np.asarray(value, dtype=np.float64) for value in (latitude_deg, longitude_deg, altitude_m))
        )
        _check_geodetic(latitude, longitude, altitude)
        east_m, north_m, _ = pymap3d.geodetic2enu(latitude, longitude, self.altitude_m, *self._datum)
        return np.stack([east_m, north_m, altitude - self.altitude_m], axis=-1)

    def geodetic_from_enu(self, xyz_m: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Latitude and longitude (degrees) and altitude (m), each [...], of points [..., 3]."""
        east_m, north_m, up_m = np.moveaxis(np.asarray(xyz_m, dtype=np.float64), -1, 0)
        below_plane_m = np.zeros_like(east_m)
        for _ in range(ALTITUDE_ITERATIONS):
            latitude_deg, longitude_deg, altitude_m = pymap3d.enu2geodetic(
                east_m, north_m, -below_plane_m, *self._datum
            )
            below_plane_m = below_plane_m + altitude_m - self.altitude_m
        return latitude_deg, longitude_deg, self.altitude_m + up_m

    def distance_m(self, latitude_deg: float, longitude_deg: float) -> float:
        """Straight distance from the datum; unlike east and north it is large on the far side of the Earth too."""
        enu_m = pymap3d.geodetic2enu(latitude_deg, longitude_deg, self.altitude_m, *self._datum)
        return float(np.linalg.norm(enu_m))

    @property
    def _datum(self) -> tuple[float, float, float]:
        return self.latitude_deg, self.longitude_deg, self.altitude_m
