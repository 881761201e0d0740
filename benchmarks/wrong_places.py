"""Images of drives searched for where they were taken, and where they were not: what is accepted there?

Each image is searched for alone, without any earlier one. benchmarks/README.md explains the figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xview_localizer.assembly import build_localizer, open_map
from xview_localizer.evaluation.metrics import write_json
from xview_localizer.evaluation.reference import read_reference
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.inputs.intake import DriveIntake
from xview_localizer.localizer import Localizer
from xview_localizer.observation import IDENTITY_POSE, Observation, PlacedObservation
from xview_localizer.parameters.settings import Settings
from xview_localizer.recordings.bag import Drive
from xview_localizer.recordings.drives import open_drive
from xview_localizer.recordings.offline import moments_of_drive

RADIUS_M = 20.0  # of each search
MOST_OFF_M = 15.0  # the true place is off the middle of its search by up to this
# A wrong place is another one of the same drive, at least so far that the truth is out of the solver's reach.
WRONG_FROM_M = 60.0
HEADING_SIGMA_RAD = float(np.radians(10.0))
RIGHT_WITHIN_M = 2.0


@dataclass(frozen=True)
class Search:
    """One answer: whether its search held the true place, whether it was accepted, and how far it is off."""

    at_truth: bool
    accepted: bool
    error_m: float


def searched(
    folder: Path, every: int, places: int, with_heading: bool, rng: np.random.Generator
) -> Iterator[Search]:
    """Every `every`th image of a drive at its own place and at `places` wrong ones. Raises BagError."""
    drive = open_drive(folder)
    settings = Settings.from_values({**drive.values, "model.threads": 1})
    localizer = build_localizer(settings, open_map(settings))
    reference = read_reference(None, drive, settings)
    seen = [
        (observation, truth)
        for observation in observed(drive, settings, localizer, every)
        if (truth := reference.truth_at(observation.stamp_sec)) is not None
    ]
    xy_m = np.array([(truth.x_m, truth.y_m) for _, truth in seen])
    for observation, truth in seen:
        own_place = prior_around(off_the_middle(truth, rng), with_heading, rng)
        yield answer(localizer, observation, own_place, truth, at_truth=True)
        wrong = np.flatnonzero(np.hypot(*(xy_m - (truth.x_m, truth.y_m)).T) >= WRONG_FROM_M)
        for number in rng.choice(wrong, min(places, len(wrong)), replace=False):
            prior = prior_around(seen[number][1], with_heading, rng)
            yield answer(localizer, observation, prior, truth, at_truth=False)


def observed(drive: Drive, settings: Settings, localizer: Localizer, every: int) -> Iterator[Observation]:
    """Every `every`th image of a drive, described and lifted."""
    intake = DriveIntake(localizer, settings)
    for number, moment in enumerate(moments_of_drive(drive, intake, settings)):
        if number % every == 0:
            intake.on_image(moment[-1].message)
            yield intake.observe_moment(moment, lambda camera, why: print(f"{drive.folder}: {camera}: {why}"))


def off_the_middle(pose: Pose2, rng: np.random.Generator) -> Pose2:
    """`pose` moved by up to MOST_OFF_M, evenly over the disc."""
    distance_m, direction_rad = MOST_OFF_M * np.sqrt(rng.random()), 2 * np.pi * rng.random()
    x_m, y_m = pose.x_m + distance_m * np.cos(direction_rad), pose.y_m + distance_m * np.sin(direction_rad)
    return Pose2(x_m, y_m, pose.yaw_rad)


def prior_around(pose: Pose2, with_heading: bool, rng: np.random.Generator) -> Prior:
    """A search around `pose`; with a heading, its yaw to HEADING_SIGMA_RAD."""
    yaw_rad = pose.yaw_rad + rng.uniform(-1, 1) * HEADING_SIGMA_RAD
    heading = (yaw_rad, HEADING_SIGMA_RAD) if with_heading else (None, None)
    return Prior(pose.x_m, pose.y_m, RADIUS_M, *heading)


def answer(
    localizer: Localizer, observation: Observation, prior: Prior, truth: Pose2, at_truth: bool
) -> Search:
    """The image's answer, compared with the truth."""
    fix = localizer.judge(localizer.modes([PlacedObservation(observation, IDENTITY_POSE)], prior))
    return Search(at_truth, fix.accepted, float(np.hypot(fix.x_m - truth.x_m, fix.y_m - truth.y_m)))


def summary(searches: Sequence[Search]) -> dict[str, float]:
    """One row of the table; a search without any pose has no error, and counts as off."""
    at_truth = [search for search in searches if search.at_truth]
    error_m = np.nan_to_num([search.error_m for search in at_truth], nan=np.inf)
    accepted = np.array([search.accepted for search in at_truth])
    elsewhere = [search.accepted for search in searches if not search.at_truth]
    return {
        "images": len(at_truth),
        "median_m": float(np.median(error_m)),
        "within_2m": float((error_m <= RIGHT_WITHIN_M).mean()),
        "accepted": int(accepted.sum()),
        "accepted_off_2m": int((accepted & (error_m > RIGHT_WITHIN_M)).sum()),
        "wrong_places": len(elsewhere),
        "accepted_there": int(sum(elsewhere)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Search for images of drives at right and at wrong places")
    parser.add_argument("drives", nargs="+", type=Path, help="folders of drives with a truth.tum")
    parser.add_argument("--every", type=int, default=2, help="of so many images one is searched for")
    parser.add_argument("--places", type=int, default=8, help="wrong places for each image")
    parser.add_argument("--heading", action="store_true", help="the heading is known to 10°")
    parser.add_argument(
        "--json", type=Path, default=Path("wrong_places.json"), help="where to write the figures"
    )
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    rows, every_search = {}, []
    for folder in arguments.drives:
        searches = list(searched(folder, arguments.every, arguments.places, arguments.heading, rng))
        every_search += searches
        rows[folder.name] = summary(searches)
        print(folder.name, rows[folder.name], flush=True)
    rows["all"] = summary(every_search)
    print("all", rows["all"])
    write_json(rows, arguments.json)


if __name__ == "__main__":
    main()
