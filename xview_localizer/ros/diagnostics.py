"""The state of the node on /diagnostics, once a second.

| Level | Condition (message) |
|---|---|
| ERROR | the map could not be read for the last image |
| ERROR | the last image met an internal error (a model or library failed) |
| WARN | no image or GNSS position for more than 3 s while active, or no CameraInfo at all (nor a file of it) |
| WARN | no odometry or no IMU for more than 3 s while active, though it was received before |
| WARN | a sensor is stamped by another clock than the images |
| WARN | 5 or more images in a row were rejected |
| WARN | a malformed message came in since the last report |
| WARN | images are asked for at a rate (`inputs.rate_hz`) that was not kept for 10 s |
| WARN | an input's topic has a type that is not taken, or several publishers (see matched_input.py) |
| WARN | settings or data are valid, but an expert would doubt them (see doubts.py) |
| WARN | of an input's messages more than a tenth was lost since the last report |
| OK | none of these |

Values: state, model, map, images (accepted or rejected; malformed ones count by themselves), accepted, rejected,
accepted_ratio, dropped (for a newer one), skipped (by the rate asked for), last_reason, last_reason_code,
last_depth_source, latency_ms, latency_max_ms, for each input the age of its last message in seconds, how many were
received, lost (as far as the middleware counts them) and malformed, and the last problem, and each doubt about settings
or data (doubt_1, …).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import NamedTuple

from xview_localizer.inputs.message_types import CAMERA_INPUTS, input_of, kind_of
from xview_localizer.inputs.mountings import ONLY_CAMERA
from xview_localizer.records import ImageRecord
from xview_localizer.rejection import Reason

OK, WARN, ERROR = 0, 1, 2
SILENT_AFTER_SEC = 3.0  # an input without messages for this long is warned of
REJECTED_IN_A_ROW = 5  # images, from which on a warning is given
EXPECTED_INPUTS = ("fix",)
STAYS_VALID = "camera_info"  # may be published only once
OPTIONAL_INPUTS = ("odom", "imu")  # a robot may do without, but none should lose them
# Over this time, and with less than this share of the images that were to be localized, the node is too slow.
RATE_WINDOW_SEC, KEPT_SHARE = 10.0, 0.8
DOUBT = "doubt_"  # of the names of values that hold a doubt
# A larger share of lost messages is worth a warning.
LOST_SHARE = 0.1
ERRORS = (Reason.MAP_UNREADABLE.name, Reason.INTERNAL.name)


class Finding(NamedTuple):
    """Something that the operator should know; `level` is WARN or ERROR."""

    level: int
    text: str


@dataclass(frozen=True)
class Report:
    """The node's lifecycle state, what was found in it, and values by name."""

    state: str
    findings: tuple[Finding, ...]
    values: Mapping[str, str]

    @property
    def level(self) -> int:
        """That of the worst finding."""
        return max((finding.level for finding in self.findings), default=OK)

    @property
    def text(self) -> str:
        """The worst findings, or the state where there are none."""
        return "; ".join(text for level, text in self.findings if level == self.level) or self.state


@dataclass
class InputHealth:
    """What came in on one topic."""

    received_at: float | None = None  # time.monotonic
    received: int = 0
    lost: int = 0
    malformed: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Work:
    """How many images were dropped for a newer one, and answered, until `at_sec` (time.monotonic)."""

    at_sec: float
    dropped: int
    answered: int


class Health:
    """Counts what happens; thread-safe. `report` judges it by the table above.

    `about` are values that do not change, `rate_hz` how many images a second are asked for (0: none in particular),
    `cameras` the names of several cameras: their inputs are such as front/image. Nothing comes on `unused` inputs.
    """

    def __init__(
        self,
        about: dict[str, str],
        rate_hz: float = 0.0,
        cameras: Sequence[str] = (ONLY_CAMERA,),
        unused: Set[str] = frozenset(),
    ) -> None:
        self._about, self._rate_hz = about, rate_hz
        self._lock = threading.Lock()
        of_cameras = [input_of(camera, kind) for camera in cameras for kind in CAMERA_INPUTS]
        names = (*of_cameras, *EXPECTED_INPUTS, *OPTIONAL_INPUTS)
        self._inputs = {name: InputHealth() for name in names if name not in unused}
        self._inputs_reported = self._snapshot()
        self._accepted = self._rejected = self._in_a_row = 0
        self._skipped = self._dropped = 0
        self._work: deque[Work] = deque()  # within RATE_WINDOW_SEC, and the last one before
        self._last_reason = self._last_reason_code = self._last_depth_source = ""
        self._latency_ms = self._latency_max_ms = 0.0
        self._listening_since = time.monotonic()

    def received(self, name: str) -> None:
        """A message of an input came in, sound or not."""
        with self._lock:
            self._inputs[name].received += 1
            self._inputs[name].received_at = time.monotonic()

    def lost(self, name: str, count: int) -> None:
        """The middleware has lost messages of an input."""
        with self._lock:
            self._inputs[name].lost += count

    def malformed(self, name: str, problem: str) -> None:
        """A message of an input cannot be used, because of `problem`."""
        with self._lock:
            self._inputs[name].malformed += 1
            self._inputs[name].problem = problem

    def skipped(self) -> None:
        """An image was not taken, because it came sooner than the rate asks for."""
        with self._lock:
            self._skipped += 1

    def dropped(self) -> None:
        """An image was not worked on, because a newer one came in before its turn."""
        with self._lock:
            self._dropped += 1

    def localized(self, record: ImageRecord, latency_ms: float) -> None:
        """An image was accepted or rejected, `latency_ms` after it came in."""
        with self._lock:
            self._accepted += record.accepted
            self._rejected += not record.accepted
            self._in_a_row = 0 if record.accepted else self._in_a_row + 1
            self._last_reason, self._last_reason_code = record.reason, record.reason_code
            self._last_depth_source = record.depth_source
            self._latency_ms, self._latency_max_ms = latency_ms, max(latency_ms, self._latency_max_ms)

    def report(
        self,
        state: str,
        doubts: Sequence[str] = (),
        remedies: Mapping[str, str] | None = None,
        topics: Mapping[str, str] | None = None,
    ) -> Report:
        """What has happened until now. Conditions about news since the last report start afresh.

        `doubts` are those of settings and data. By the input, `remedies` say what to do where nothing comes, and
        `topics` are the full names after remapping.
        """
        with self._lock:
            self._note_work(state)
            if state != "active":
                self._listening_since = time.monotonic()  # inputs are subscribed to on activation
            findings = self._findings(remedies or {}, topics or {}) if state == "active" else []
            findings += [Finding(WARN, doubt) for doubt in doubts]
            values = self._values(state) | {f"{DOUBT}{n}": doubt for n, doubt in enumerate(doubts, 1)}
            self._inputs_reported = self._snapshot()
            return Report(state, tuple(findings), values)

    def _values(self, state: str) -> dict[str, str]:
        total = self._accepted + self._rejected
        values = self._about | {
            "state": state,
            "images": str(total),
            "accepted": str(self._accepted),
            "rejected": str(self._rejected),
            "accepted_ratio": f"{self._accepted / total:.3f}" if total else "",
            "dropped": str(self._dropped),
            "skipped": str(self._skipped),
            "last_reason": self._last_reason,
            "last_reason_code": self._last_reason_code,
            "last_depth_source": self._last_depth_source,
            "latency_ms": f"{self._latency_ms:.0f}",
            "latency_max_ms": f"{self._latency_max_ms:.0f}",
        }
        for name, entry in self._inputs.items():
            age_sec = "" if entry.received_at is None else f"{time.monotonic() - entry.received_at:.1f}"
            values |= {
                f"{name}_age_sec": age_sec,
                f"{name}_received": str(entry.received),
                f"{name}_lost": str(entry.lost),
                f"{name}_malformed": str(entry.malformed),
                f"{name}_problem": entry.problem,
            }
        return values

    def _findings(self, remedies: Mapping[str, str], topics: Mapping[str, str]) -> list[Finding]:
        findings = []
        if self._last_reason_code in ERRORS:
            findings.append(Finding(ERROR, self._last_reason))
        if self._last_reason_code == Reason.CLOCKS_DISAGREE.name:
            findings.append(Finding(WARN, self._last_reason))
        for name in self._silent_inputs():
            remedy = f": {remedies[name]}" if remedies.get(name) else ""
            findings.append(
                Finding(WARN, f"nothing on {name} for more than {SILENT_AFTER_SEC:.0f} s{remedy}")
            )
        if self._in_a_row >= REJECTED_IN_A_ROW:
            text = f"{self._in_a_row} images in a row rejected, last: {self._last_reason}"
            findings.append(Finding(WARN, text))
        for name, entry in self._inputs.items():
            findings += self._news_of(name, topics.get(name, ""), entry, self._inputs_reported[name])
        if too_slow := self._too_slow():
            findings.append(Finding(WARN, too_slow))
        return findings

    def _silent_inputs(self) -> list[str]:
        """The inputs on which messages should have come by now."""
        now, silent = time.monotonic(), []
        for name, entry in self._inputs.items():
            received = entry.received_at is not None
            if (received and kind_of(name) == STAYS_VALID) or (not received and name in OPTIONAL_INPUTS):
                continue
            if now - max(entry.received_at or 0.0, self._listening_since) > SILENT_AFTER_SEC:
                silent.append(name)
        return silent

    def _note_work(self, state: str) -> None:
        if state != "active":
            self._work.clear()
            return
        now = Work(time.monotonic(), self._dropped, self._accepted + self._rejected)
        self._work.append(now)
        while len(self._work) > 1 and now.at_sec - self._work[1].at_sec >= RATE_WINDOW_SEC:
            self._work.popleft()

    def _too_slow(self) -> str:
        """Whether the rate that is asked for is not kept, or an empty string; dropping images is normal without one."""
        first, last = self._work[0], self._work[-1]
        elapsed_sec = last.at_sec - first.at_sec
        dropped, answered = last.dropped - first.dropped, last.answered - first.answered
        if (
            not self._rate_hz
            or elapsed_sec < RATE_WINDOW_SEC
            or answered >= KEPT_SHARE * (answered + dropped)
        ):
            return ""
        return (
            f"images are localized at {answered / elapsed_sec:.1f} Hz, slower than they come and than inputs.rate_hz "
            f"({self._rate_hz:g}) asks for; ask for less, or see docs/tuning.md"
        )

    def _news_of(self, name: str, topic: str, now: InputHealth, reported: InputHealth) -> list[Finding]:
        """What went wrong with an input since it was `reported`; its `topic` is empty where it is not known."""
        findings = []
        if now.malformed > reported.malformed:
            where = f" on {topic}" if topic else ""
            findings.append(Finding(WARN, f"malformed {name}{where}: {now.problem}"))
        lost, received = now.lost - reported.lost, now.received - reported.received
        if lost > LOST_SHARE * (lost + received):
            advice = "let its publisher be reliable" + (
                ", or compress images" if kind_of(name) == "image" else ""
            )
            text = f"{lost} of {lost + received} messages on {topic or name} were lost; {advice}"
            findings.append(Finding(WARN, text))
        return findings

    def _snapshot(self) -> dict[str, InputHealth]:
        return {name: replace(entry) for name, entry in self._inputs.items()}
