"""Finding the unknown pitch of a photo taken by hand, together with its pose.

A few degrees of pitch move the lifted ground a lot, and cells that are lifted at a wrong pitch match far worse. So a
photo of unknown pitch is localized at several pitches, and the poses found at all of them are rivals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xview_localizer.geometry.pose import Prior
from xview_localizer.localizer import Localizer
from xview_localizer.modes import Modes, with_rivals
from xview_localizer.observation import IDENTITY_POSE, Observation, PlacedObservation
from xview_localizer.photo.photo import Photo
from xview_localizer.rejection import Reason

# Held by hand, a camera is level to about PITCH_SIGMA_DEG. An error of half of FINE_STEP_DEG hardly affects the pose.
PITCH_SIGMA_DEG = 5.0
TILTED_PITCHES_DEG, FINE_STEP_DEG = (-10.0, -5.0, 5.0, 10.0), 2.5
WITHOUT_MAP = (Reason.MAP_UNREADABLE, Reason.NO_IMAGERY)


@dataclass(frozen=True)
class PhotoReading:
    """A photo at one pitch, what is observed in it, and where that fits."""

    photo: Photo
    observation: Observation
    modes: Modes

    @property
    def log_posterior(self) -> float:
        """The log posterior of the best pose; -inf without any pose."""
        return max((mode.log_posterior for mode in self.modes.modes), default=-np.inf)


def best_reading(localizer: Localizer, photo: Photo, prior: Prior) -> PhotoReading:
    """The photo at its pitch, or, where that is not known, at the one that fits best.

    The poses at other pitches are then among the modes, and the photo's notes have the pitch.
    """
    as_given = _read(localizer, photo, prior)
    rejection = as_given.modes.rejection
    if photo.pitch_known or (rejection is not None and rejection.reason in WITHOUT_MAP):
        return as_given
    readings = [as_given, *_at_pitches(localizer, photo, prior, TILTED_PITCHES_DEG)]
    middle_deg = _best(readings).photo.pitch_deg
    readings += _at_pitches(localizer, photo, prior, (middle_deg - FINE_STEP_DEG, middle_deg + FINE_STEP_DEG))
    best = _best(readings)
    pitch_deg = best.photo.pitch_deg
    where = f"{abs(pitch_deg):g}° {'down' if pitch_deg > 0 else 'up'}" if pitch_deg else "level"
    note = f"pitch not given: found with the pose, {where} (--pitch makes the result more certain)"
    return PhotoReading(
        replace(best.photo, notes=(*photo.notes, note)),
        best.observation,
        with_rivals(best.modes, [reading.modes for reading in readings if reading is not best]),
    )


def _best(readings: list[PhotoReading]) -> PhotoReading:
    return max(readings, key=lambda reading: reading.log_posterior)


def _at_pitches(
    localizer: Localizer, photo: Photo, prior: Prior, pitches_deg: tuple[float, ...]
) -> list[PhotoReading]:
    return [_at_pitch(localizer, photo, prior, pitch_deg) for pitch_deg in pitches_deg]


def _at_pitch(localizer: Localizer, photo: Photo, prior: Prior, pitch_deg: float) -> PhotoReading:
    """The photo at another pitch than the given one, which is less probable the more it differs from it.

    The log prior of the pitch is added to the modes' evidence, in its unit, so that it counts in every comparison.
    """
    reading = _read(localizer, replace(photo, pitch_deg=pitch_deg), prior)
    log_prior = -0.5 * ((pitch_deg - photo.pitch_deg) / PITCH_SIGMA_DEG) ** 2
    added = log_prior / localizer.spec.calibration.mode_weight
    modes = tuple(
        replace(
            mode,
            log_evidence=mode.log_evidence + added,
            log_evidence_current=mode.log_evidence_current + added,
        )
        for mode in reading.modes.modes
    )
    return replace(reading, modes=replace(reading.modes, modes=modes))


def _read(localizer: Localizer, photo: Photo, prior: Prior) -> PhotoReading:
    observation = localizer.observe(photo.view())
    modes = localizer.modes([PlacedObservation(observation, IDENTITY_POSE)], prior)
    return PhotoReading(photo, observation, modes)
