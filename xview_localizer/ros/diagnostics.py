"""What the node says about itself on /diagnostics, once a second.

| Level | Condition (message) |
|---|---|
| ERROR | the map could not be read for the last image |
| ERROR | the last image met an internal error (a model or library failed) |
| WARN | no image or GNSS position for more than 3 s while active, or no CameraInfo at all |
| WARN | no odometry or no IMU for more than 3 s while active, though it was heard before |
| WARN | a sensor is stamped by another clock than the images |
| WARN | 5 or more images in a row were rejected |
| WARN | a malformed message came in since the last report |
| WARN | more images were dropped than localized since the last report |
| WARN | a publisher's QoS is incompatible with our subscription |
| OK | none of these |

Values: state, model, map, images (accepted or rejected; malformed ones count by themselves), accepted,
rejected, accepted_ratio, dropped, last_reason, last_reason_code, latency_ms, latency_max_ms, and for each input its
age in
seconds, its count of malformed messages and the last problem.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from xview_localizer.records import ImageRecord
from xview_localizer.rejection import Reason

OK, WARN, ERROR = 0, 1, 2
SILENT_AFTER_SEC = 3.0
REJECTED_IN_A_ROW = 5
EXPECTED_INPUTS = ("image", "camera_info", "fix")
STAYS_VALID = "camera_info"  # may be published only once
OPTIONAL_INPUTS = ("odom", "imu")  # a robot may do without, but none should lose them
ERRORS = (Reason.MAP_UNREADABLE.name, Reason.INTERNAL.name)


@dataclass
class InputHealth:
    """What came in on one topic."""

    heard_at: float | None = None  # time.monotonic
    malformed: int = 0
    malformed_reported: int = 0
    problem: str = ""


class Health:
    """Counts what happens; thread-safe. `report` judges it by the table above."""

    def __init__(self, about: dict[str, str]) -> None:
        self._about = about
        self._lock = threading.Lock()
        self._inputs = {name: InputHealth() for name in EXPECTED_INPUTS + OPTIONAL_INPUTS}
        self._accepted = self._rejected = self._in_a_row = 0
        self._localized_reported = self._dropped_reported = 0
        self._last_reason = self._last_reason_code = ""
        self._latency_ms = self._latency_max_ms = 0.0
        self._incompatible_qos: set[str] = set()
        self._began_at = time.monotonic()

    def heard(self, name: str) -> None:
        with self._lock:
            self._inputs[name].heard_at = time.monotonic()

    def malformed(self, name: str, problem: str) -> None:
        with self._lock:
            self._inputs[name].malformed += 1
            self._inputs[name].problem = problem

    def incompatible_qos(self, topic: str) -> None:
        with self._lock:
            self._incompatible_qos.add(topic)

    def localized(self, record: ImageRecord, latency_ms: float) -> None:
        with self._lock:
            self._accepted += record.accepted
            self._rejected += not record.accepted
            self._in_a_row = 0 if record.accepted else self._in_a_row + 1
            self._last_reason, self._last_reason_code = record.reason, record.reason_code
            self._latency_ms, self._latency_max_ms = latency_ms, max(latency_ms, self._latency_max_ms)

    def report(self, state: str, dropped: int) -> tuple[int, str, dict[str, str]]:
        """Level, message and values. Conditions about news since the last report start afresh."""
        with self._lock:
            findings = self._findings(dropped) if state == "active" else []
            level = max((found for found, _ in findings), default=OK)
            text = "; ".join(message for found, message in findings if found == level) or state
            total = self._accepted + self._rejected
            values = self._about | {
                "state": state,
                "images": str(total),
                "accepted": str(self._accepted),
                "rejected": str(self._rejected),
                "accepted_ratio": f"{self._accepted / total:.3f}" if total else "",
                "dropped": str(dropped),
                "last_reason": self._last_reason,
                "last_reason_code": self._last_reason_code,
                "latency_ms": f"{self._latency_ms:.0f}",
                "latency_max_ms": f"{self._latency_max_ms:.0f}",
            }
            for name, entry in self._inputs.items():
                age_sec = "" if entry.heard_at is None else f"{time.monotonic() - entry.heard_at:.1f}"
                values |= {
                    f"{name}_age_sec": age_sec,
                    f"{name}_malformed": str(entry.malformed),
                    f"{name}_problem": entry.problem,
                }
                entry.malformed_reported = entry.malformed
            self._localized_reported, self._dropped_reported = total, dropped
            return level, text, values

    def _findings(self, dropped: int) -> list[tuple[int, str]]:
        now = time.monotonic()
        findings = []
        if self._last_reason_code in ERRORS:
            findings.append((ERROR, self._last_reason))
        if self._last_reason_code == Reason.CLOCKS_DISAGREE.name:
            findings.append((WARN, self._last_reason))
        for name, entry in self._inputs.items():
            heard = entry.heard_at is not None
            if (heard and name == STAYS_VALID) or (not heard and name in OPTIONAL_INPUTS):
                continue
            if now - (entry.heard_at or self._began_at) > SILENT_AFTER_SEC:
                findings.append((WARN, f"nothing on {name} for more than {SILENT_AFTER_SEC:.0f} s"))
        if self._in_a_row >= REJECTED_IN_A_ROW:
            findings.append((WARN, f"{self._in_a_row} images in a row rejected, last: {self._last_reason}"))
        findings += [
            (WARN, f"malformed {name}: {entry.problem}")
            for name, entry in self._inputs.items()
            if entry.malformed > entry.malformed_reported
        ]
        localized = self._accepted + self._rejected - self._localized_reported
        if dropped - self._dropped_reported > localized:
            findings.append(
                (WARN, f"{dropped - self._dropped_reported} images dropped, {localized} localized: too slow")
            )
        findings += [
            (WARN, f"QoS of a publisher on {topic} is incompatible")
            for topic in sorted(self._incompatible_qos)
        ]
        return findings
