"""Writing an aerial image of the local frame as a GeoTIFF in its UTM zone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import rasterio
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.transform import from_origin

from xview_localizer.aerial.source import AerialImage
from xview_localizer.aerial.warp import smooth_lookup
from xview_localizer.geometry.local_frame import LocalFrame


def utm_epsg(latitude_deg: float, longitude_deg: float) -> int:
    """EPSG code of the UTM zone (WGS84) at a place."""
    zone = int((longitude_deg + 180) // 6) % 60 + 1
    return (32600 if latitude_deg >= 0 else 32700) + zone


def write_utm_geotiff(path: Path, aerial: AerialImage, frame: LocalFrame) -> None:
    """Resample `aerial` from the local frame into its UTM zone and write it with overviews.

    UTM is rotated and scaled relative to the local frame, so pixels are looked up through WGS84.
    """
    epsg = utm_epsg(frame.latitude_deg, frame.longitude_deg)
    to_geodetic = Transformer.from_crs(epsg, 4326, always_xy=True)
    bounds, spacing_m = aerial.grid.bounds, aerial.grid.spacing_m
    edge = np.array(
        [[x, y, 0.0] for x in (bounds.west_m, bounds.east_m) for y in (bounds.south_m, bounds.north_m)]
    )
    latitude, longitude, _ = frame.geodetic_from_enu(edge)
    east, north = to_geodetic.transform(longitude, latitude, direction="INVERSE")
    left, top = float(np.min(east)), float(np.max(north))
    columns = int(np.ceil((np.max(east) - left) / spacing_m))
    rows = int(np.ceil((top - np.min(north)) / spacing_m))

    def at(uv: np.ndarray) -> np.ndarray:
        longitude, latitude = to_geodetic.transform(
            left + uv[..., 0] * spacing_m, top - uv[..., 1] * spacing_m
        )
        xyz_m = frame.enu_from_geodetic(latitude, longitude, np.full(latitude.shape, frame.altitude_m))
        return aerial.grid.uv_from_xy(xyz_m[..., :2])

    uv = (smooth_lookup(rows, columns, at) - 0.5).astype(np.float32)
    image = cv2.remap(aerial.image, uv[..., 0], uv[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    inside = (
        (uv > -0.5).all(axis=-1)
        & (uv[..., 0] < aerial.grid.columns - 0.5)
        & (uv[..., 1] < aerial.grid.rows - 0.5)
    )
    profile = {
        "driver": "GTiff", "width": columns, "height": rows, "count": 3, "dtype": "uint8", "crs": f"EPSG:{epsg}",
        "transform": from_origin(left, top, spacing_m, spacing_m), "tiled": True, "blockxsize": 256,
        "blockysize": 256, "compress": "deflate",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(image.transpose(2, 0, 1))
        raster.write_mask(inside)
        raster.build_overviews([2, 4, 8], Resampling.average)
