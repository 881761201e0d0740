"""Where the ground lands: raster corners at UTM zone edges, against PROJ's own topocentric conversion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from aerial_world import PATIENT, served
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.transform import from_origin

from xview_localizer.aerial.mercator import pixel_from_geodetic
from xview_localizer.aerial.open import open_map_source
from xview_localizer.aerial.source import MapSource
from xview_localizer.aerial.tiles import TileMatrix
from xview_localizer.aerial.warp import lookup_geodetic
from xview_localizer.geometry.grid import Bounds, RasterGrid
from xview_localizer.geometry.local_frame import LocalFrame

PIXEL_M = 0.25
SIZE_PX = 480
MARK_PX = np.array([[12, 12], [467.7, 12.4], [12.9, 468], [468, 467.2], [240, 240]], float)  # (column, row)
TOLERANCE_M = 0.1

# (latitude, longitude, UTM EPSG code): both sides of zone boundaries, both hemispheres, far north, ±180°.
ZONE_EDGES = [
    (48.2, 6.0, 32631),
    (48.2, 6.0, 32632),
    (65.0, 24.0, 32634),
    (65.0, 24.0, 32635),
    (-33.9, 150.0, 32755),
    (-33.9, 150.0, 32756),
    (-65.0, -66.0, 32719),
    (0.0, 12.0, 32632),
    (-17.0, 180.0, 32760),
    (-17.0, -180.0, 32701),
]


def write_marked_geotiff(path: Path, latitude_deg: float, longitude_deg: float, epsg: int) -> np.ndarray:
    """A GeoTIFF centred on a place, with Gaussian marks; their eastings and northings [N, 2]."""
    easting, northing = Transformer.from_crs(4326, epsg, always_xy=True).transform(
        longitude_deg, latitude_deg
    )
    left, top = round(easting) - SIZE_PX * PIXEL_M / 2, round(northing) + SIZE_PX * PIXEL_M / 2
    v, u = np.mgrid[0:SIZE_PX, 0:SIZE_PX] + 0.5
    image = np.full((SIZE_PX, SIZE_PX), 20.0)
    for column, row in MARK_PX:
        image += 200 * np.exp(-((u - column) ** 2 + (v - row) ** 2) / (2 * 2.5**2))
    profile = {
        "driver": "GTiff",
        "width": SIZE_PX,
        "height": SIZE_PX,
        "count": 3,
        "dtype": "uint8",
        "crs": f"EPSG:{epsg}",
        "transform": from_origin(left, top, PIXEL_M, PIXEL_M),
    }
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(np.repeat(image[None].round().astype(np.uint8), 3, axis=0))
        raster.build_overviews([2, 4], Resampling.average)
    return np.column_stack([left + MARK_PX[:, 0] * PIXEL_M, top - MARK_PX[:, 1] * PIXEL_M])


def proj_enu(utm_m: np.ndarray, epsg: int, frame: LocalFrame) -> np.ndarray:
    """ENU [N, 2] of UTM points on the datum's altitude, by PROJ alone."""
    longitude, latitude = Transformer.from_crs(epsg, 4326, always_xy=True).transform(*utm_m.T)
    topocentric = Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=cart +ellps=WGS84 +step "
        f"+proj=topocentric +ellps=WGS84 +lon_0={frame.longitude_deg} +lat_0={frame.latitude_deg} "
        f"+h_0={frame.altitude_m}"
    )
    x, y, _ = topocentric.transform(longitude, latitude, np.full(len(utm_m), frame.altitude_m))
    return np.column_stack([x, y])


def seen_marks(source: MapSource, expected_xy_m: np.ndarray, metres_per_pixel: float) -> np.ndarray:
    """Centroids [N, 2] of the marks found within 2 m of where they are expected.

    The crops lie off the expected centres: a centred crop of a symmetric mark would hide small errors.
    """
    found = []
    for x_m, y_m in expected_xy_m + (0.37, -0.23):
        crop = source.read(Bounds.around(x_m, y_m, 2.15), metres_per_pixel)
        assert crop.valid.all()
        weight = np.clip(crop.image[..., 0].astype(float) - 25, 0, None).ravel()
        assert weight.max() > 100
        found.append(weight @ crop.grid.cell_centres_xy_m / weight.sum())
    return np.array(found)


@pytest.mark.parametrize(("latitude_deg", "longitude_deg", "epsg"), ZONE_EDGES)
def test_corners_at_utm_zone_edges(tmp_path, latitude_deg, longitude_deg, epsg) -> None:
    path = tmp_path / "ortho.tif"
    utm_m = write_marked_geotiff(path, latitude_deg, longitude_deg, epsg)
    frame = LocalFrame(latitude_deg, longitude_deg, 80.0)
    expected = proj_enu(utm_m, epsg, frame)
    direct = seen_marks(open_map_source(str(path), frame), expected, 0.1)
    with served(path) as template:
        tiled = open_map_source(template, frame, TileMatrix(max_zoom=21), PATIENT)
        through_server = seen_marks(tiled, expected, 0.1)
    for name, found in (("direct", direct), ("through the server", through_server)):
        error_m = np.linalg.norm(found - expected, axis=1).max()
        assert error_m < TOLERANCE_M, f"{name}: {error_m:.3f} m"


def test_ends_of_the_imagery_lie_on_the_rasters_corners(tmp_path) -> None:
    path = tmp_path / "ortho.tif"
    write_marked_geotiff(path, 65.0, 24.0, 32635)
    frame = LocalFrame(65.0, 24.0, 80.0)
    source = open_map_source(str(path), frame)
    with rasterio.open(path) as raster:
        left, bottom, right, top = raster.bounds
    corners = proj_enu(np.array([[left, top], [right, top], [left, bottom], [right, bottom]]), 32635, frame)
    for corner in corners:
        crop = source.read(Bounds.around(*corner, 3.0), 0.05)
        xy_m = crop.grid.cell_centres_xy_m[crop.valid.ravel()]
        assert np.linalg.norm(xy_m - corner, axis=1).min() < 0.05
        assert crop.valid_ratio == pytest.approx(0.25, abs=0.005)  # 0.1 m along both edges would be 0.0167


def test_far_from_the_datum_too(tmp_path) -> None:
    path = tmp_path / "ortho.tif"
    utm_m = write_marked_geotiff(path, 48.26, 6.05, 32632)
    frame = LocalFrame(48.2, 6.0, 300.0)  # 7.6 km away
    expected = proj_enu(utm_m, 32632, frame)
    assert np.linalg.norm(expected, axis=1).min() > 7000
    found = seen_marks(open_map_source(str(path), frame), expected, 0.1)
    assert np.linalg.norm(found - expected, axis=1).max() < 0.05


@pytest.mark.parametrize("metres_per_pixel", [0.5, 1.0])
def test_coarse_crops_from_overviews_do_not_shift(tmp_path, metres_per_pixel) -> None:
    path = tmp_path / "ortho.tif"
    utm_m = write_marked_geotiff(path, 48.2, 6.0, 32632)
    frame = LocalFrame(48.2, 6.0, 80.0)
    expected = proj_enu(utm_m, 32632, frame)[-1:]
    crop = open_map_source(str(path), frame).read(Bounds.around(0, 0, 8), metres_per_pixel)
    weight = np.clip(crop.image[..., 0].astype(float) - 25, 0, None).ravel()
    found = weight @ crop.grid.cell_centres_xy_m / weight.sum()
    assert np.linalg.norm(found - expected[0]) < TOLERANCE_M


@pytest.mark.parametrize("spacing_m", [0.1, 0.3, 2.0])
def test_lookup_between_control_points_is_exact(spacing_m) -> None:
    frame = LocalFrame(65.0, 24.0)
    grid = RasterGrid.centred(900.0, -700.0, spacing_m, 97, 131)

    def utm(latitude_deg: np.ndarray, longitude_deg: np.ndarray) -> np.ndarray:
        return np.stack(
            Transformer.from_crs(4326, 32634, always_xy=True).transform(longitude_deg, latitude_deg), -1
        )

    def mercator(latitude_deg: np.ndarray, longitude_deg: np.ndarray) -> np.ndarray:
        # In metres on the ground: pixels of zoom 0 times their size here.
        return (
            pixel_from_geodetic(latitude_deg, longitude_deg, 0, 256) * 156543.03392 * np.cos(np.radians(65))
        )

    xyz_m = np.column_stack([grid.cell_centres_xy_m, np.zeros(grid.rows * grid.columns)])
    latitude, longitude, _ = frame.geodetic_from_enu(xyz_m)
    for to_pixel in (utm, mercator):
        exact = to_pixel(latitude, longitude)
        error_m = np.abs(lookup_geodetic(grid, frame, to_pixel).reshape(-1, 2) - exact).max()
        assert error_m < 1e-3
