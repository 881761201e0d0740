"""Conversion between geographic coordinates and the metric frame of the map."""

import numpy as np
import pyproj
import pytest

from xview_localizer.geometry.local_frame import LocalFrame

DATUMS = [
    (46.52, 6.57, 400.0),
    (-33.87, 151.21, 20.0),
    (64.1, -21.9, 0.0),
    (-54.8, -68.3, 5.0),
    (0.0, 180.0, 0.0),
]


@pytest.fixture(params=DATUMS, ids=str)
def datum(request):
    return request.param


@pytest.fixture
def geodetic(datum):
    rng = np.random.default_rng(0)
    return (
        datum[0] + rng.uniform(-0.05, 0.05, 200),
        datum[1] + rng.uniform(-0.05, 0.05, 200),
        datum[2] + rng.uniform(-50, 50, 200),
    )


def test_east_and_north_are_pyprojs_at_the_datums_altitude(datum, geodetic):
    latitude, longitude, altitude = geodetic
    pipeline = pyproj.Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=cart +ellps=WGS84 "
        f"+step +proj=topocentric +ellps=WGS84 +lat_0={datum[0]} +lon_0={datum[1]} +h_0={datum[2]}"
    )
    at_datum = np.full_like(altitude, datum[2])
    expected = np.stack(pipeline.transform(longitude, latitude, at_datum), axis=-1)
    actual = LocalFrame(*datum).enu_from_geodetic(latitude, longitude, altitude)
    np.testing.assert_allclose(actual[:, :2], expected[:, :2], atol=1e-6)
    np.testing.assert_allclose(actual[:, 2], altitude - datum[2], atol=1e-9)


@pytest.mark.parametrize("distance_km", [1, 25, 100, 200])
@pytest.mark.parametrize("altitude_m", [0.0, 800.0])
def test_a_datum_far_away_keeps_gnss_and_map_together(distance_km, altitude_m):
    """A receiver reports its altitude; the map is read at (x, y) without one."""
    frame = LocalFrame(48.0 - distance_km / 111.2, 11.3, 250.0)
    x_m, y_m, _ = frame.enu_from_geodetic(48.0, 11.0, altitude_m)
    latitude, longitude, altitude = frame.geodetic_from_enu([x_m, y_m, 0.0])
    assert abs(latitude - 48.0) * 111_200 < 1e-4 and abs(longitude - 11.0) * 74_000 < 1e-4
    assert altitude == pytest.approx(250.0)


def test_the_round_trip_returns_the_coordinates(datum, geodetic):
    frame = LocalFrame(*datum)
    latitude, longitude, altitude = frame.geodetic_from_enu(frame.enu_from_geodetic(*geodetic))
    np.testing.assert_allclose(latitude, geodetic[0], atol=1e-10)
    np.testing.assert_allclose((longitude - geodetic[1] + 180) % 360 - 180, 0, atol=1e-10)
    np.testing.assert_allclose(altitude, geodetic[2], atol=1e-5)


def test_axes_point_east_north_up():
    frame = LocalFrame(-33.87, 151.21, 20.0)
    np.testing.assert_allclose(frame.enu_from_geodetic(-33.87, 151.21, 20.0), 0, atol=1e-8)
    assert frame.enu_from_geodetic(-33.87, 151.211, 20.0)[0] == pytest.approx(92.5, abs=0.2)
    assert frame.enu_from_geodetic(-33.869, 151.21, 20.0)[1] == pytest.approx(110.9, abs=0.2)
    assert frame.enu_from_geodetic(-33.87, 151.21, 23.0)[2] == pytest.approx(3.0)


def test_shapes_broadcast():
    frame = LocalFrame(10.0, 20.0)
    assert frame.enu_from_geodetic(10.0, 20.0).shape == (3,)
    assert frame.enu_from_geodetic(np.full((4, 1), 10.0), np.full(5, 20.0)).shape == (4, 5, 3)
    assert frame.geodetic_from_enu(np.zeros((4, 5, 3)))[0].shape == (4, 5)


@pytest.mark.parametrize(
    "bad", [(90.1, 0, 0), (-90.1, 0, 0), (np.nan, 0, 0), (0, 360.1, 0), (0, np.inf, 0), (0, 0, np.nan)]
)
def test_impossible_coordinates_are_refused(bad):
    with pytest.raises(ValueError, match="must be finite"):
        LocalFrame(*bad)
    with pytest.raises(ValueError, match="must be finite"):
        LocalFrame(0, 0).enu_from_geodetic(*bad)


@pytest.mark.parametrize("longitude_deg", [-360.0, 0.0, 360.0])
def test_poles_and_longitudes_of_a_whole_turn_are_accepted(longitude_deg):
    for latitude_deg in (-90.0, 90.0):
        frame = LocalFrame(latitude_deg, longitude_deg)
        np.testing.assert_allclose(
            frame.enu_from_geodetic(latitude_deg, longitude_deg, 5.0), [0, 0, 5], atol=1e-6
        )
