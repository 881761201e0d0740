"""The mean of the weights before and after fine-tuning (WiSE-FT, Wortsman et al., CVPR 2022).

It keeps most of the gain on new images and most of the earlier accuracy on others.
"""

from __future__ import annotations

from copy import deepcopy

import torch

from xview_localizer.learning import lora
from xview_localizer.learning.matcher import Matcher


@torch.no_grad()
def averaged(start: Matcher, tuned: Matcher, start_share: float) -> Matcher:
    """The weighted mean of all weights, `start_share` for `start` and the rest for `tuned`, with a plain backbone.

    Raises ValueError where `start_share` is outside of [0, 1].
    """
    if not 0.0 <= start_share <= 1.0:
        raise ValueError(f"the start's share of the weights must lie in [0, 1], got {start_share}")
    mean, before = _merged(tuned), _merged(start).state_dict()
    mean.load_state_dict(
        {
            name: start_share * before[name] + (1 - start_share) * value
            for name, value in mean.state_dict().items()
        }
    )
    return mean


def _merged(matcher: Matcher) -> Matcher:
    """A copy in which low-rank corrections of the backbone are merged into its weights."""
    plain = deepcopy(matcher)
    if plain.backbone:
        plain.backbone = lora.merged(plain.backbone)
    return plain
