"""Makes the pictures of README and documentation: `make pictures`, or python docs/make_pictures.py [FOLDER].

A simulated drive and a simulated photo, localized by the embedded model; nothing is drawn by hand.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

import xview_localizer as xl
from xview_localizer.assembly import build_localizer, open_map
from xview_localizer.evaluation import plots
from xview_localizer.evaluation.animation import write_animation
from xview_localizer.evaluation.drive import drive_aerial, drive_images, judge_drive
from xview_localizer.evaluation.reference import read_reference
from xview_localizer.evaluation.report_data import jpeg
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import read_drive
from xview_localizer.recordings.offline import localize_drive
from xview_localizer.simulation.drive import DriveConfig, simulate_drive

DRIVE_SEED, DRIVE_LENGTH_M = 900_002, 220.0
PHOTO_INDEX = 30  # an image of the drive, tried like a tourist's photo
PHOTO_OFFSET_M = np.array([9.0, -7.0, 0.0])
PROOF_QUALITY, PLOT_DPI = 82, 90


def main(out: Path) -> None:
    """Write drive.webp, error.png and proof.jpg to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = simulate_drive(Path(scratch) / "drive", DRIVE_SEED, DriveConfig(length_m=DRIVE_LENGTH_M))
        drive = read_drive(folder)
        settings = Settings.from_values(drive.values)
        began = time.perf_counter()
        records = list(localize_drive(drive, build_localizer(settings, open_map(settings)), settings))
        rate_hz = len(records) / (time.perf_counter() - began)
        result = judge_drive(drive, read_reference(None, drive, settings), settings, records, rate_hz)
        images = drive_images(drive, [record.stamp_sec for record in records])
        write_animation(out / "drive.webp", result, drive_aerial(result, settings), images)
        plots.error_over_time(result).savefig(out / "error.png", dpi=PLOT_DPI, bbox_inches="tight")

        truth = result.truth[PHOTO_INDEX]
        rough = settings.frame.geodetic_from_enu(np.array([truth.x_m, truth.y_m, 0.0]) + PHOTO_OFFSET_M)
        photo_path = Path(scratch) / "photo.png"
        cv2.imwrite(str(photo_path), images[PHOTO_INDEX][..., ::-1])
        known = xl.KnownByUser(float(rough[0]), float(rough[1]), radius_m=20.0, height_m=1.8)
        located = xl.PhotoLocator(drive.values["map.source"]).locate(xl.read_photo(photo_path, known))
        (out / "proof.jpg").write_bytes(jpeg(located.proof(), PROOF_QUALITY))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("pictures"))
