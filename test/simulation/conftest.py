"""A capture without weather, lens or sensor, for tests that compare colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xview_localizer.simulation.capture import Capture


@pytest.fixture(scope="session")
def plain_capture() -> Capture:
    """Overcast, sharp and without noise, so that images show the ground's own colours."""
    return replace(
        Capture.sample(np.random.default_rng(0)),
        sun_rgb=np.zeros(3), ambient_rgb=np.ones(3), white_balance=np.ones(3), season_tint=np.ones(3),
        exposure=1.0, gamma=1.0, blur_px=0.3, motion_px=0.0, noise=0.0, vignette=0.0, visibility_m=1e9,
    )  # fmt: skip
