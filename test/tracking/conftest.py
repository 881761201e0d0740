"""A tracker around a localizer whose modes are scripted."""

from __future__ import annotations

import pytest
from scripted_drive import CONFIG, FRAME, ScriptedLocalizer

from xview_localizer.tracking.tracker import DriveTracker


@pytest.fixture
def scripted() -> ScriptedLocalizer:
    return ScriptedLocalizer()


@pytest.fixture
def tracker(scripted) -> DriveTracker:
    return DriveTracker(scripted, FRAME, CONFIG)
