"""Running the localizer over a `pairs` folder and judging every image."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from xview_localizer.aerial.memory import InMemoryMap
from xview_localizer.evaluation.judging import judge
from xview_localizer.evaluation.metrics import Frame, Metrics, summarize
from xview_localizer.geometry.pose import Pose2
from xview_localizer.localizer import Localizer, LocalizerConfig
from xview_localizer.models.contracts import Networks
from xview_localizer.observation import IDENTITY_POSE, Observation, PlacedObservation
from xview_localizer.recordings.pairs import PairRecord, PairsDataset, PairsError, ground_view


def evaluate_pairs(
    dataset: PairsDataset,
    networks: Networks,
    config: LocalizerConfig = LocalizerConfig(),
    keyframes: int = 1,
    track: Callable[[Iterable[list[PairRecord]]], Iterable[list[PairRecord]]] = iter,
) -> Metrics:
    """Localize every record and return the metrics (see metrics.summarize) with `rate_hz`.

    With `keyframes` K > 1, up to K - 1 earlier records of the same sequence and aerial image are joined by
    their odometry, and only records with a full window are judged. Raises PairsError where there is no record or no
    such window.
    """
    if not len(dataset):
        raise PairsError(f"{dataset.folder} holds no pairs")
    frames: list[Frame] = []
    began = time.perf_counter()
    localizer, aerial_path = None, None
    for window in track(windows_of(list(dataset), keyframes)):
        current = window[-1]
        if localizer is None or current.aerial_path != aerial_path:
            # Records of one aerial image share a localizer, and so its descriptors and observations.
            aerial_path = current.aerial_path
            localizer = Localizer(networks, InMemoryMap(current.load_aerial()), config)
            observed: dict[str, Observation] = {}
        start = time.perf_counter()
        for record in window:
            if record.id not in observed:
                observed[record.id] = localizer.observe(ground_view(record))
        placed = [
            PlacedObservation(observed[record.id], T_current_past(current, record)) for record in window
        ]
        fix = localizer.judge(localizer.modes(placed, current.prior))
        frames.append(
            judge(current.id, fix, current.truth, current.prior.xy_m, 1e3 * (time.perf_counter() - start))
        )
    metrics = summarize(frames)
    metrics["rate_hz"] = len(frames) / (time.perf_counter() - began) if frames else None
    return metrics


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
