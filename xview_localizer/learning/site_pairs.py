"""The drives of one site as data sets in the `pairs` format: to learn from, to calibrate on and to judge by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from xview_localizer.aerial.source import MapSource
from xview_localizer.assembly import build_localizer, open_map
from xview_localizer.atomic import write_whole
from xview_localizer.evaluation.reference import Reference, read_reference, reference_file
from xview_localizer.geometry.pose import Prior
from xview_localizer.learning.bag_pairs import PosedFrame, posed_frames, write_pairs
from xview_localizer.learning.drive_frames import cut_frames
from xview_localizer.learning.progress import Progress
from xview_localizer.learning.reference import AdaptError
from xview_localizer.learning.road_length import MIN_ROAD_M, require_road
from xview_localizer.learning.road_split import RoadSplit, split_road
from xview_localizer.models.manifest import sha256
from xview_localizer.models.package import ModelPackage
from xview_localizer.parameters.file import read_parameter_file
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import Drive
from xview_localizer.recordings.drives import open_drive
from xview_localizer.recordings.pairs import PairsDataset

LEAST_IMAGES = {"learn": 12, "calibrate": 4, "judge": 6}
# The origin of all poses: drives with different datums are not in one frame.
DATUM = ("datum.latitude_deg", "datum.longitude_deg", "datum.altitude_m")
# Suffixes of settings that name files, on whose contents the results depend too.
OF_FILES = (".mask", ".info_file")
# As examples of wrong places, images are also searched for in prior discs that end at least this far from them.
ELSEWHERE_M = 5.0


@dataclass(frozen=True)
class SiteDrives:
    """Recorded drives of one site, and what their poses come from.

    `params_file`: a parameter file of the node, whose values overrule those of drive.yaml. `reference`: see
    read_reference; without one, the tracker's most confident poses are the labels. `topics` of inputs overrule those of
    drive.yaml (see open_drive).
    """

    folders: tuple[Path, ...]
    params_file: Path | None = None
    reference: str | None = None
    topics: Mapping[str, str] = field(default_factory=dict)

    def opened(self) -> list[Drive]:
        """The drives with the settings of their robots.

        Raises BagError, SettingsError, and AdaptError where their poses are about different datums.
        """
        parameters = read_parameter_file(self.params_file) if self.params_file else None
        drives = [open_drive(folder, parameters, self.topics) for folder in self.folders]
        datums = [{name: value for name, value in drive.values.items() if name in DATUM} for drive in drives]
        for drive, datum in zip(drives, datums, strict=True):
            if datum != datums[0]:
                raise AdaptError(
                    f"the drives are to be of one site with one datum, but {drives[0].bag} has {datums[0]} and "
                    f"{drive.bag} has {datum}; give a --params-file with the datum of both"
                )
        return drives

    def options(self, drives: Sequence[Drive]) -> dict[str, object]:
        """All that frames and poses of the opened `drives` depend on, by name, ready for JSON."""
        options: dict[str, object] = {"reference": self.reference}
        for number, (folder, drive) in enumerate(zip(self.folders, drives, strict=True), start=1):
            settings = {name: value for name, value in sorted(drive.values.items()) if value is not None}
            named = {name: value for name, value in settings.items() if name.endswith(OF_FILES)}
            files = {name: Path(str(value)).expanduser() for name, value in named.items()}
            if self.reference and (track := reference_file(self.reference, drive)):
                files["reference"] = track
            contents = {f"file of {name}": sha256(path) for name, path in files.items() if path.is_file()}
            of_drive = {"folder": str(folder.resolve()), "topics": drive.topics, **settings, **contents}
            options |= {f"drive {number}: {name}": value for name, value in of_drive.items()}
        return options


def site_pairs(
    work: Path,
    drives: Sequence[Drive],
    reference: str | None,
    start: ModelPackage,
    threads: int,
    progress: Progress,
) -> dict[str, PairsDataset]:
    """The data sets learn, calibrate, elsewhere (wrong places for calibration) and judge. Raises AdaptError."""
    names = ("learn", "calibrate", "elsewhere", "judge")
    if not (work / "pairs" / "split.json").is_file():
        own = {"model.package": str(start.folder), "model.threads": threads}
        settings = [Settings.from_values({**drive.values, **own}) for drive in drives]
        references = [
            read_reference(reference, drive, of_drive) if reference else None
            for drive, of_drive in zip(drives, settings, strict=True)
        ]
        require_road(drives, references)
        posed: list[PosedFrame] = []
        for number, recorded in enumerate(zip(drives, settings, references, strict=True)):
            posed += _posed_drive(work / "frames" / f"drive_{number}", *recorded, start, progress)
        # All drives are of one site and have one datum, so the map of the last drive serves all of them.
        _write_parts(
            work / "pairs", posed, open_map(settings[-1]), start.spec.aerial.metres_per_pixel, progress
        )
    return {name: PairsDataset(work / "pairs" / name) for name in names}


def _posed_drive(
    out: Path,
    drive: Drive,
    settings: Settings,
    reference: Reference | None,
    start: ModelPackage,
    progress: Progress,
) -> list[PosedFrame]:
    """Cut the frames of a drive into `out`, or take those that are there; returns those whose pose is known."""
    progress.report(f"reading {drive.bag}" + ("" if reference else ", localizing it"))
    localizer = build_localizer(settings, open_map(settings))
    frames = cut_frames(drive, settings, localizer, reference, out, progress.track)
    drift, independence_m = settings.tracker.odometry_drift, start.spec.calibration.independence_m
    posed = posed_frames(out, frames, reference is not None, drift, independence_m)
    progress.report(f"{len(posed)} of {len(frames)} images of {drive.bag} have a pose")
    return posed


def _write_parts(
    out: Path, posed: Sequence[PosedFrame], source: MapSource, metres_per_pixel: float, progress: Progress
) -> None:
    """Write the pairs of each part and then split.json, which marks them as complete. Raises AdaptError."""
    split = split_road(np.array([item.xy_m for item in posed])) if posed else RoadSplit([], [], [], 0.0)
    if split.road_m < MIN_ROAD_M:
        raise AdaptError(
            f"only {split.road_m:.0f} m of road have known poses, at least {MIN_ROAD_M:.0f} m are needed; "
            "record a longer drive, or give a --reference if the poses are the tracker's own"
        )
    named = {}
    for name, least in LEAST_IMAGES.items():
        chosen = [posed[number] for number in getattr(split, name)]
        written = write_pairs(out / name, chosen, source, metres_per_pixel, progress.report)
        if len(written) < least:
            raise AdaptError(
                f"only {len(written)} images to {name}, at least {least} are needed: much of the {split.road_m:.0f} m "
                "was driven more than once, lies outside of the map, or the map could not be read there; drive along "
                "other streets too"
            )
        named[name] = [item.frame.id for item in written]
    elsewhere = _elsewhere(
        out / "learn", [posed[n] for n in split.learn], [posed[n] for n in split.calibrate]
    )
    write_whole(out / "elsewhere" / "pairs.jsonl", "".join(json.dumps(entry) + "\n" for entry in elsewhere))
    write_whole(out / "split.json", json.dumps({"road_m": split.road_m, **named}, indent=1))
    progress.report(", ".join(f"{len(ids)} images to {name}" for name, ids in named.items()))


def _elsewhere(learn: Path, learned: Sequence[PosedFrame], calibrating: Sequence[PosedFrame]) -> list[dict]:
    """Entries of `learn` whose prior discs hold none of the images for calibration, about as many as those images."""
    calibrating_xy_m = np.array([item.xy_m for item in calibrating])

    def holds_none(prior: Prior) -> bool:
        distance_m = np.linalg.norm(calibrating_xy_m - prior.xy_m, axis=1)
        return bool((distance_m > prior.radius_m + ELSEWHERE_M).all())

    far = {item.frame.id for item in learned if holds_none(item.frame.prior)}
    entries = [json.loads(line) for line in (learn / "pairs.jsonl").read_text().splitlines()]
    chosen = [entry for entry in entries if entry["id"] in far]
    for entry in chosen:
        entry["aerial"]["image"] = f"../learn/{entry['aerial']['image']}"
    return chosen[:: max(1, len(chosen) // len(calibrating))]
