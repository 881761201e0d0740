"""The evidence of one image: calibrated log likelihood ratios of its modes against "none of these"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xview_localizer.belief.calibration import CalibrationSpec
from xview_localizer.geometry.dense import PoseMode

# The greatest none_share for a hypothesis that is carried from image to image. The second best mode is the best of many
# wrong places, another one in each image, whereas "none of these" then stands for one place, the same in all images,
# which matches less well. With 0.9 confidence is too high along streets that repeat, with 1.0 it is too low.
CARRIED_NONE_SHARE = 0.95


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
        """log ratio = mode_weight (e_m - share e_second), minus `none_bias` for modes that nothing has weighed yet.

        How well wrong places match differs from image to image; on a street that repeats they match nearly as well as
        the right place. The second best mode is a sample of that, so "none of these" is taken to match `share` times as
        well. The modes of a search are the best of many places, which biases their evidence upwards, that of the second
        best included. So their share is `none_share`, and `none_bias` is subtracted. A mode where a hypothesis was
        expected has no such bias; its share is at most CARRIED_NONE_SHARE.
        """
        carried_share = min(calibration.none_share, CARRIED_NONE_SHARE)
        current = [mode.log_evidence_current for mode in modes]
        joined = [mode.log_evidence for mode in modes]
        return cls(
            tuple(modes),
            calibration.mode_weight * _lead(current, carried_share),
            calibration.mode_weight * _lead(joined, calibration.none_share) - calibration.none_bias,
        )


def _lead(log_evidence: Sequence[float], none_share: float) -> np.ndarray:
    """By how much each mode's evidence exceeds that of "none of these"."""
    values = np.asarray(log_evidence, dtype=np.float64)
    second = np.sort(values)[-2] if len(values) > 1 else 0.0
    return values - none_share * second
