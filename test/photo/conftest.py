"""Simulated photos as a user has them: JPEG files with EXIF or XMP, and a GeoTIFF of the place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from photo_exif import exif
from PIL import Image

from xview_localizer.geometry.camera import PinholeCamera
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.geotiff import write_utm_geotiff
from xview_localizer.simulation.town import Town

# Not a datum that any default has, and in the south and west, where signs show.
FRAME = LocalFrame(-33.45, -70.65)


@dataclass(frozen=True)
class Place:
    """The map, and the truth of the small town's panorama in geographic terms."""

    map_path: Path
    latitude_deg: float
    longitude_deg: float
    heading_deg: float


@pytest.fixture(scope="session")
def place(small_town, tmp_path_factory) -> Place:
    path = tmp_path_factory.mktemp("map") / "ortho.tif"
    write_utm_geotiff(path, small_town.aerial, FRAME)
    pose = small_town.pose
    latitude_deg, longitude_deg, _ = FRAME.geodetic_from_enu(np.array([pose.x_m, pose.y_m, 0.0]))
    return Place(path, float(latitude_deg), float(longitude_deg), float(90 - np.degrees(pose.yaw_rad)) % 360)


@pytest.fixture(scope="session")
def rough(small_town):
    """Latitude and longitude 7 m off, as a phone records them."""
    offset_m = np.array([small_town.pose.x_m + 5.0, small_town.pose.y_m - 5.0, 0.0])
    return tuple(float(angle) for angle in FRAME.geodetic_from_enu(offset_m)[:2])


@pytest.fixture(scope="session")
def panorama(small_town, rough, tmp_path_factory) -> Path:
    """A panorama with a position in its EXIF and nothing else."""
    path = tmp_path_factory.mktemp("photos") / "panorama.jpg"
    Image.fromarray(small_town.image).save(path, exif=exif(*rough, error_m=9.0), quality=92)
    return path


def _phone_photo(path: Path, small_town, place, rough, focal_35mm: int, pitch_deg: float) -> Path:
    """A phone's photo along the street, with position, heading and focal length in its EXIF."""
    width, height = 800, 600
    focal_px = focal_35mm * np.hypot(width, height) / np.hypot(36, 24)
    camera = PinholeCamera(width, height, focal_px, focal_px, width / 2, height / 2)
    rng = np.random.default_rng(3)
    held = R_base_optical_from_rpy(0.0, np.radians(pitch_deg), 0.0)
    image, _ = Town.generate(77, 130.0).render_view(
        camera, small_town.pose, held, 1.7, Capture.sample(rng), rng
    )
    data = exif(*rough, heading_deg=place.heading_deg + 4, error_m=8.0, camera={0xA405: focal_35mm})
    Image.fromarray(image).save(path, exif=data, quality=92)
    return path


@pytest.fixture(scope="session")
def phone_photo(small_town, place, rough, tmp_path_factory) -> Path:
    """Of the main camera, held level."""
    return _phone_photo(tmp_path_factory.mktemp("photos") / "phone.jpg", small_town, place, rough, 26, 0.0)


@pytest.fixture(scope="session")
def photo_held_down(small_town, place, rough, tmp_path_factory) -> Path:
    """Of the wide camera, held 8° down."""
    return _phone_photo(tmp_path_factory.mktemp("photos") / "down.jpg", small_town, place, rough, 15, 8.0)
