"""What an image's modes are worth against "none of these": calibrated log ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xview_localizer.belief.calibration import CalibrationSpec
from xview_localizer.geometry.dense import PoseMode

# The second best mode is the best of many wrong places, in each image another one. Against a hypothesis that is carried
# from image to image "none of these" is one place, too, the same in all of them: it matches at most this share as well.
# With 0.9 confidence is too high along streets that repeat, with 1.0 too low.
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
        """log ratio = mode_weight (e_m - share e_second), less `none_bias` for modes that are found now.

        How well wrong places match differs from image to image: on a street that repeats nearly as well as the right
        one. The second best mode is a sample of that, so "none of these" is taken to match `share` times as well.
        The best modes of a search are the best of many places, which biases their evidence upwards, as it does that of
        the second best: for them the share is `none_share`, and `none_bias` is taken off. A mode that was found where a
        hypothesis was expected has no such bias; its share is CARRIED_NONE_SHARE at most.
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
