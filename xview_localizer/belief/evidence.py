"""What an image's modes are worth against "none of these": calibrated log ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xview_localizer.belief.calibration import CalibrationSpec
from xview_localizer.geometry.dense import PoseMode


@dataclass(frozen=True)
class ImageEvidence:
    """The modes of an image and, for each, log p(image | mode) / p(image | none of these).

    `log_ratio` [modes] is that of the current image alone, which weighs hypotheses that earlier images have weighed
    already; `log_ratio_joined` that of all joined images, which weighs modes that nothing has weighed yet.
    """

    modes: tuple[PoseMode, ...]
    log_ratio: np.ndarray
    log_ratio_joined: np.ndarray

    @classmethod
    def of(cls, modes: Sequence[PoseMode], calibration: CalibrationSpec) -> ImageEvidence:
        """log ratio = mode_weight (e_m - none_share e_second), less `none_bias` for modes weighed for the first time.

        How well wrong places match differs from image to image; on a street that repeats they match nearly as well as
        the right place. The second best mode is a sample of that, so "none of these" is taken to match `none_share`
        times as well. The best modes of a search are the best of many places, which biases their evidence upwards;
        `none_bias` takes that off. A mode where a hypothesis was expected has no such bias.
        """
        joined = _log_ratio([mode.log_evidence for mode in modes], calibration)
        return cls(
            tuple(modes),
            _log_ratio([mode.log_evidence_current for mode in modes], calibration),
            joined - calibration.none_bias,
        )


def _log_ratio(log_evidence: Sequence[float], calibration: CalibrationSpec) -> np.ndarray:
    values = np.asarray(log_evidence, dtype=np.float64)
    second = np.sort(values)[-2] if len(values) > 1 else 0.0
    return calibration.mode_weight * (values - calibration.none_share * second)
