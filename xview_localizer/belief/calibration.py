"""The numbers that turn scores into probabilities. They are fitted on validation data (learning/calibrate.py)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CalibrationSpec:
    """How a mode's log evidence (score / evidence_temperature) is weighed against "none of these"; see evidence.py."""

    evidence_temperature: float = 3.5  # how many neighbouring ground cells count as one
    mode_weight: float = 0.17  # weight of a unit of log evidence
    none_share: float = 1.0  # "none of these" matches this many times as well as the second best mode
    none_bias: float = (
        1.0  # log head start of "none of these" against modes that are found for the first time
    )
    independence_m: float = 16.0  # distance after which an image shows other ground
