"""Numbers that turn scores into probabilities, fitted on validation data, never on the data they are judged by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CalibrationSpec:
    """`evidence_temperature`: how many neighbouring ground cells count as one, for a mode's covariance.

    The others weigh a mode's log evidence (score / temperature), see belief/evidence.py:
    `mode_weight` per unit of it, against "none of these", which matches `none_share` times as well as the second best
    mode and has the head start `none_bias`; after `independence_m` driven an image shows other ground.
    """

    evidence_temperature: float = 3.5
    mode_weight: float = 0.13
    none_share: float = 1.0
    none_bias: float = 1.0
    independence_m: float = 16.0
