"""Resampling of imagery: what is coarser than its source is smoothed, around holes as elsewhere."""

import numpy as np
import pytest

from xview_localizer.aerial.warp import resample


@pytest.mark.parametrize("level", [1, 101, 255])
def test_a_hole_does_not_change_how_bright_the_rest_is(level):
    image, valid = np.full((90, 90, 3), level, np.uint8), np.ones((90, 90), bool)
    valid[:9, :9] = False
    centres = np.arange(1.5, 90, 3)
    uv = np.stack(np.meshgrid(centres, centres), axis=-1)
    sampled, seen = resample(image, valid, uv)
    assert not seen[:3, :3].any() and seen[4:].all() and seen[:, 4:].all()
    assert (sampled[seen] == level).all()
