"""Running the localizer over a `pairs` folder and judging every image."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.belief.fix import Fix
from xview_localizer.evaluation.judging import judge
from xview_localizer.evaluation.metrics import Frame, Metrics, summarize
from xview_localizer.geometry.pose import Pose2
from xview_localizer.localizer import Localizer
from xview_localizer.localizer_config import LocalizerConfig
from xview_localizer.models.contracts import Networks
from xview_localizer.observation import IDENTITY_POSE, Observation, PlacedObservation
from xview_localizer.recordings.pairs import (
    PairRecord,
    PairsDataset,
    PairsError,
    UnreadablePairError,
    ground_view,
)
from xview_localizer.rejection import Reason, Rejection

# The answer to a pair with a damaged image. The damage is described under `unreadable`, once for each pair.
UNREADABLE = Fix(0.0, rejection=Rejection.of(Reason.BAD_IMAGE, detail="an image of the pair cannot be read"))


def evaluate_pairs(
    dataset: PairsDataset,
    networks: Networks,
    config: LocalizerConfig = LocalizerConfig(),
    keyframes: int = 1,
    track: Callable[[Iterable[list[PairRecord]]], Iterable[list[PairRecord]]] = iter,
) -> Metrics:
    """Localize every record and return the metrics (see metrics.summarize) with `rate_hz` and `unreadable`.

    With `keyframes` K > 1, up to K - 1 earlier records of the same sequence and aerial image are joined by
    their odometry, and only records with a full window are judged. Records with a damaged image count as images without
    an answer; `unreadable` has what is wrong with them, by their id. Raises PairsError where there is no record or no
    such window, or none could be read.
    """
    dataset.require_pairs()
    frames: list[Frame] = []
    unreadable: dict[str, str] = {}
    began = time.perf_counter()
    place: _Place | None = None
    for window in track(windows_of(list(dataset), keyframes)):
        current = window[-1]
        try:
            if place is None or current.aerial_path != place.aerial_path:
                place = _Place(current, networks, config)
            start = time.perf_counter()
            fix, latency_ms = place.localized(window), 1e3 * (time.perf_counter() - start)
        except UnreadablePairError as error:
            unreadable[current.id] = str(error)
            fix, latency_ms = UNREADABLE, None
        frames.append(judge(current.id, fix, current.truth, current.prior.xy_m, latency_ms))
    if len(unreadable) == len(frames):
        raise PairsError(f"no pair can be read; the first: {next(iter(unreadable.values()))}")
    return {
        **summarize(frames),
        "rate_hz": len(frames) / (time.perf_counter() - began),
        "unreadable": unreadable,
    }


class _Place:
    """An aerial image with the records on it: they share a localizer, and so its descriptors and observations.

    Raises UnreadablePairError.
    """

    def __init__(self, record: PairRecord, networks: Networks, config: LocalizerConfig) -> None:
        self.aerial_path = record.aerial_path
        self._localizer = Localizer(networks, InMemoryMap(record.load_aerial()), config)
        self._observed: dict[str, Observation] = {}

    def localized(self, window: Sequence[PairRecord]) -> Fix:
        """The answer for the last record, with the earlier ones joined to it. Raises UnreadablePairError."""
        current = window[-1]
        for record in window:
            if record.id not in self._observed:
                self._observed[record.id] = self._localizer.observe(ground_view(record))
        placed = [
            PlacedObservation(self._observed[record.id], T_current_past(current, record)) for record in window
        ]
        return self._localizer.judge(self._localizer.modes(placed, current.prior))


def windows_of(records: Sequence[PairRecord], keyframes: int) -> list[list[PairRecord]]:
    """Windows of `keyframes` consecutive records of a sequence; single records where keyframes is 1."""
    if keyframes < 1:
        raise PairsError(f"keyframes must be at least 1, got {keyframes}")
    if keyframes == 1:
        return [[record] for record in records]
    windows = []
    for end in range(keyframes, len(records) + 1):
        window = list(records[end - keyframes : end])
        same = {(record.sequence, record.aerial_path) for record in window}
        if len(same) == 1 and window[0].sequence is not None:
            windows.append(window)
    if not windows:
        raise PairsError(
            f"no sequence has {keyframes} records in a row on one aerial image; use --keyframes 1"
        )
    for record in (record for window in windows for record in window):
        _odom(record)  # refused before anything is localized
    return windows


def _odom(record: PairRecord) -> Pose2:
    if record.odom is None:
        raise PairsError(f"record {record.id} has no odom, which joining keyframes needs")
    return record.odom


def T_current_past(current: PairRecord, past: PairRecord) -> Pose2:
    """T_current_past by odometry."""
    if current is past:
        return IDENTITY_POSE
    return _odom(current).inverse() @ _odom(past)
