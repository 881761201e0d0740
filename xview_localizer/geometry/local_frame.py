"""The `map` frame: ENU on the WGS84 tangent plane of a datum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pymap3d


def _check_geodetic(latitude_deg, longitude_deg, altitude_m) -> None:
    if not np.all(np.abs(latitude_deg) <= 90):  # also catches NaN
        raise ValueError(f"latitude must be finite and within ±90 degrees, got {latitude_deg}")
    if not np.all(np.abs(longitude_deg) <= 360):
        raise ValueError(f"longitude must be finite and within ±360 degrees, got {longitude_deg}")
    if not np.all(np.isfinite(altitude_m)):
        raise ValueError(f"altitude must be finite, got {altitude_m}")


@dataclass(frozen=True)
class LocalFrame:
    """East, north, up in metres from a datum (latitude, longitude, ellipsoidal altitude); float64."""

    latitude_deg: float
    longitude_deg: float
    altitude_m: float = 0.0

    def __post_init__(self) -> None:
        _check_geodetic(self.latitude_deg, self.longitude_deg, self.altitude_m)

    def enu_from_geodetic(self, latitude_deg, longitude_deg, altitude_m=0.0) -> np.ndarray:
        """ENU points [..., 3], metres, of geodetic coordinates (scalars or arrays that broadcast).

        Raises ValueError where a coordinate is not finite or out of range.
        """
        geodetic = np.broadcast_arrays(
            *(np.asarray(value, dtype=np.float64) for value in (latitude_deg, longitude_deg, altitude_m))
        )
        _check_geodetic(*geodetic)
        datum = (self.latitude_deg, self.longitude_deg, self.altitude_m)
        return np.stack(pymap3d.geodetic2enu(*geodetic, *datum), axis=-1)

    def geodetic_from_enu(self, xyz_m) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Latitude and longitude (degrees) and altitude (m), each [...], of ENU points [..., 3]."""
        east_m, north_m, up_m = np.moveaxis(np.asarray(xyz_m, dtype=np.float64), -1, 0)
        return pymap3d.enu2geodetic(
            east_m, north_m, up_m, self.latitude_deg, self.longitude_deg, self.altitude_m
        )
