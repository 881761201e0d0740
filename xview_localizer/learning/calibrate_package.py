"""Calibration of a package's confidence and covariance with the localizer itself."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.belief.calibration import CalibrationSpec
from xview_localizer.engines.factory import EngineConfig
from xview_localizer.geometry.pose import Prior
from xview_localizer.learning.calibrate import (
    JudgedModes,
    calibrated,
    judge_modes,
    search_temperature,
    worst_nees,
)
from xview_localizer.learning.package_writer import copy_package
from xview_localizer.learning.progress import Progress
from xview_localizer.localizer import Localizer
from xview_localizer.models.contracts import Networks
from xview_localizer.models.networks import open_networks
from xview_localizer.models.package import ModelPackage, write_manifest
from xview_localizer.modes import Modes
from xview_localizer.observation import IDENTITY_POSE, Observation, PlacedObservation
from xview_localizer.recordings.pairs import PairRecord, PairsDataset, UnreadablePairError, ground_view

# Accuracy of the heading that is added to priors without one: that of a heading from odometry and the course driven.
HEADING_SIGMA_DEG = 10.0


@dataclass(frozen=True)
class _Case:
    """An image to calibrate on: the number of its data set, the localizer on its aerial image, and its observation."""

    dataset: int
    localizer: Localizer
    record: PairRecord
    observation: Observation

    def modes_at(self, place: _Case, prior: Prior, calibration: CalibrationSpec) -> Modes:
        """The modes of this image where it is searched for at `place`."""
        placed = [PlacedObservation(self.observation, IDENTITY_POSE)]
        return place.localizer.calibrated(calibration).modes(placed, prior)


def calibrate_package(
    package_folder: Path,
    out: Path,
    datasets: list[PairsDataset],
    progress: Progress = Progress(),
    elsewhere: PairsDataset | None = None,
    threads: int = 0,
) -> ModelPackage:
    """Fit the weight of evidence and the evidence temperature on `datasets`, and write the package to `out`.

    `out` may be the package's own folder. Each image is also searched for at a wrong place: one of `elsewhere`, or else
    that of an image with another aerial image. The temperature, which scales the covariance, is kept where no truth has
    a yaw. `threads` are those of ONNX Runtime, which chooses by itself for 0. Raises CalibrationError,
    ModelPackageError and PairsError.
    """
    package = ModelPackage.load(package_folder)
    for dataset in datasets:
        dataset.require_pairs()
    networks = open_networks(package, EngineConfig(threads=threads))
    cases = list(_observed(networks, datasets, progress))
    places = list(_observed(networks, [elsewhere], progress)) if elsewhere else cases
    calibration = _fitted(package.spec.calibration, cases, places, progress)
    progress.report(
        f"calibrated: evidence_temperature {calibration.evidence_temperature:g}, mode_weight "
        f"{calibration.mode_weight:.3g}, none_share {calibration.none_share:.3g}, none_bias {calibration.none_bias:.3g}"
    )
    copy_package(package_folder, out)
    names = ", ".join(dataset.folder.name for dataset in datasets)
    write_manifest(
        out,
        package.family,
        replace(package.spec, calibration=calibration),
        package.licence,
        f"{package.provenance} Calibrated on {len(cases)} images of {names}.",
        package.training_command,
    )
    return ModelPackage.load(out)


def _fitted(
    before: CalibrationSpec, cases: Sequence[_Case], places: Sequence[_Case], progress: Progress
) -> CalibrationSpec:
    """The calibration by the images of `cases`, at their own places and at wrong ones out of `places`."""

    @cache
    def judged_at(temperature: float) -> list[list[JudgedModes]]:
        return _searched_at_own_places(cases, replace(before, evidence_temperature=temperature), progress)

    temperature = before.evidence_temperature
    if any(case.record.truth.yaw_rad is not None for case in cases):
        temperature = search_temperature(lambda tried: worst_nees(judged_at(tried)), temperature)
    wrong = _searched_elsewhere(cases, places, replace(before, evidence_temperature=temperature))
    return calibrated(before, [*chain(*judged_at(temperature)), *wrong], temperature)


def _searched_at_own_places(
    cases: Sequence[_Case], calibration: CalibrationSpec, progress: Progress
) -> list[list[JudgedModes]]:
    """Of each data set, the modes of its images at their own places."""
    judged: dict[int, list[JudgedModes]] = {}
    for case in progress.track(cases):
        for prior in _priors(case.record):
            modes = case.modes_at(case, prior, calibration)
            if modes.modes:
                judged.setdefault(case.dataset, []).append(judge_modes(modes, case.record.truth))
    return list(judged.values())


def _searched_elsewhere(
    cases: Sequence[_Case], places: Sequence[_Case], calibration: CalibrationSpec
) -> Iterable[JudgedModes]:
    """The modes of each image at one of `places` with another aerial image, where all of them are wrong."""
    for number, case in enumerate(cases):
        first = number % max(1, len(places))
        in_turn = chain(places[first:], places)
        place = next((p for p in in_turn if p.record.aerial_path != case.record.aerial_path), None)
        if place is not None:
            modes = case.modes_at(place, place.record.prior, calibration)
            if modes.modes:
                yield judge_modes(modes, None)


def _priors(record: PairRecord) -> list[Prior]:
    """The record's prior; where it has no heading but the truth has one, also the prior with a heading."""
    if record.prior.yaw_rad is not None or record.truth.yaw_rad is None:
        return [record.prior]
    return [record.prior, with_heading(record.prior, record.truth.yaw_rad, zlib.crc32(record.id.encode()))]


def _observed(networks: Networks, datasets: list[PairsDataset], progress: Progress) -> Iterable[_Case]:
    """Every record, encoded once; records on the same aerial image share a localizer and its descriptors.

    Those with a damaged image are reported and left out.
    """
    for number, dataset in enumerate(datasets):
        localizers: dict[Path, Localizer] = {}
        for record in progress.track(list(dataset)):
            try:
                if record.aerial_path not in localizers:
                    localizers[record.aerial_path] = Localizer(networks, InMemoryMap(record.load_aerial()))
                localizer = localizers[record.aerial_path]
                observation = localizer.observe(ground_view(record))
            except UnreadablePairError as error:
                progress.report(f"left out: {error}")
            else:
                yield _Case(number, localizer, record, observation)


def with_heading(prior: Prior, true_yaw_rad: float, seed: int) -> Prior:
    """The prior with a heading drawn within ± HEADING_SIGMA_DEG of the truth."""
    rng = np.random.default_rng(seed)
    offset_rad = np.radians(rng.uniform(-HEADING_SIGMA_DEG, HEADING_SIGMA_DEG))
    yaw_sigma_rad = float(np.radians(HEADING_SIGMA_DEG))
    return replace(prior, yaw_rad=true_yaw_rad + offset_rad, yaw_sigma_rad=yaw_sigma_rad)
