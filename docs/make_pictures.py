"""Makes the pictures of README and documentation: `make pictures`, or python docs/make_pictures.py [FOLDER].

A simulated drive, a simulated photo, and a photo rendered in a scene that is raised from a real aerial photograph, all
localized by the embedded model; nothing is drawn by hand.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import rasterio
from rasterio.transform import from_origin

import xview_localizer as xl
from xview_localizer.assembly import build_localizer, open_map
from xview_localizer.evaluation import plots
from xview_localizer.evaluation.animation import write_animation
from xview_localizer.evaluation.drive import aerial_around, drive_images, judge_drive
from xview_localizer.evaluation.reference import read_reference
from xview_localizer.evaluation.report_data import jpeg
from xview_localizer.geometry.camera import EquirectangularCamera
from xview_localizer.geometry.levelling import R_base_optical_from_rpy
from xview_localizer.geometry.local_frame import LocalFrame
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.drive_file import read_drive
from xview_localizer.recordings.offline import localize_drive
from xview_localizer.simulation.capture import Capture
from xview_localizer.simulation.drive import DriveConfig, simulate_drive
from xview_localizer.simulation.orthophoto_scene import OrthophotoScene
from xview_localizer.simulation.photo import PhotoFile

DRIVE_SEED, DRIVE_LENGTH_M = 900_002, 220.0
PHOTO_INDEX = 30  # an image of the drive, tried like a tourist's photo
PHOTO_OFFSET_M = np.array([9.0, -7.0, 0.0])
PROOF_QUALITY, PLOT_DPI = 82, 90

# Taken by a drone over Chía, Colombia; see the licence beside it. Its upper edge is taken for north.
AERIAL_PHOTO, AERIAL_M_PER_PX = "chia_aerial.jpg", 0.12
CHIA_DEG = 4.867, -74.062
# The fifth of the five scenes of seeds 900001 to 900005; training raised scenes of other seeds from this photo too.
SCENE_SEED, CAMERA_HEIGHT_M, LARGEST_PRIOR_ERROR_M = 900_005, 1.7, 8.0
PANORAMA_PX = 1024, 512


def main(out: Path) -> None:
    """Write drive.webp, error.png, proof.jpg and real_aerial.jpg to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        draw_drive(out, Path(scratch))
        draw_real_aerial(out / "real_aerial.jpg", Path(scratch))


def draw_drive(out: Path, scratch: Path) -> None:
    """Write the film and the errors of a simulated drive, and the proof picture of one of its images."""
    folder = simulate_drive(scratch / "drive", DRIVE_SEED, DriveConfig(length_m=DRIVE_LENGTH_M))
    drive = read_drive(folder)
    settings = Settings.from_values(drive.values)
    began = time.perf_counter()
    records = list(localize_drive(drive, build_localizer(settings, open_map(settings)), settings))
    rate_hz = len(records) / (time.perf_counter() - began)
    result = judge_drive(drive, read_reference(None, drive, settings), settings, records, rate_hz)
    images = drive_images(drive, [record.stamp_sec for record in records])
    write_animation(out / "drive.webp", result, aerial_around(result.truth_xy_m, settings), images)
    plots.error_over_time(result).savefig(out / "error.png", dpi=PLOT_DPI, bbox_inches="tight")

    truth = result.truth[PHOTO_INDEX]
    rough = settings.frame.geodetic_from_enu(np.array([truth.x_m, truth.y_m, 0.0]) + PHOTO_OFFSET_M)
    photo_path = scratch / "photo.png"
    cv2.imwrite(str(photo_path), images[PHOTO_INDEX][..., ::-1])
    known = xl.KnownByUser(float(rough[0]), float(rough[1]), radius_m=20.0, height_m=1.8)
    located = xl.PhotoLocator(drive.values["map.source"]).locate(xl.read_photo(photo_path, known))
    (out / "proof.jpg").write_bytes(jpeg(located.proof(), PROOF_QUALITY))


def draw_real_aerial(path: Path, scratch: Path) -> None:
    """Write the proof picture of a rendered panorama on a real aerial photo, by the command `locate`."""
    rng = np.random.default_rng(SCENE_SEED)
    aerial = PhotoFile(Path(__file__).with_name("pictures") / AERIAL_PHOTO, AERIAL_M_PER_PX).photo(rng)
    scene = OrthophotoScene.generate(aerial, SCENE_SEED)
    pose = scene.places(1, rng)[0]
    width, height = PANORAMA_PX
    px_per_rad = width / (2 * np.pi)
    camera = EquirectangularCamera(width, height, px_per_rad, px_per_rad, width / 2, height / 2)
    level = R_base_optical_from_rpy(0.0, 0.0, 0.0)
    image, _ = scene.render_view(camera, pose, level, CAMERA_HEIGHT_M, Capture.sample(rng), rng)
    photo, ortho, located = scratch / "panorama.jpg", scratch / "ortho.tif", scratch / "located"
    photo.write_bytes(jpeg(image, 92))
    _write_geotiff(ortho, aerial.image)
    east_m, north_m = rng.uniform(-LARGEST_PRIOR_ERROR_M, LARGEST_PRIOR_ERROR_M, 2)
    rough = LocalFrame(*CHIA_DEG).geodetic_from_enu(np.array([pose.x_m + east_m, pose.y_m + north_m, 0.0]))
    command = [
        "locate", photo, "--map", ortho, "--at", f"{rough[0]:.7f},{rough[1]:.7f}", "--radius", "15",
        "--height", str(CAMERA_HEIGHT_M), "--out", located,
    ]  # fmt: skip
    subprocess.run([sys.executable, "-m", "xview_localizer.cli.main", *map(str, command)], check=True)
    (proof,) = located.glob("*_proof.jpg")
    path.write_bytes(proof.read_bytes())


def _write_geotiff(path: Path, image: np.ndarray) -> None:
    """An RGB image [H, W, 3] as a map with its middle at CHIA_DEG."""
    rows, columns = image.shape[:2]
    west_m, north_m = -columns * AERIAL_M_PER_PX / 2, rows * AERIAL_M_PER_PX / 2
    latitude_deg, longitude_deg = CHIA_DEG
    crs = f"+proj=aeqd +lat_0={latitude_deg} +lon_0={longitude_deg} +datum=WGS84 +units=m"
    transform = from_origin(west_m, north_m, AERIAL_M_PER_PX, AERIAL_M_PER_PX)
    profile = {"driver": "GTiff", "width": columns, "height": rows, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", crs=crs, transform=transform, **profile) as file:
        file.write(image.transpose(2, 0, 1))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("pictures"))
