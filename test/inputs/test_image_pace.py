"""The rate at which a camera's images are taken."""

import numpy as np
import pytest

from xview_localizer.inputs.image_pace import ImagePace


def taken(rate_hz, stamps_sec):
    pace = ImagePace(rate_hz)
    return [stamp_sec for stamp_sec in stamps_sec if pace.takes(stamp_sec)]


@pytest.mark.parametrize("rate_hz", [1.0, 4.0, 7.0])
def test_fast_camera_is_taken_at_the_rate_on_the_average(rate_hz):
    stamps_sec = 100.0 + np.arange(900) / 30.0
    assert len(taken(rate_hz, stamps_sec)) == pytest.approx(30 * rate_hz, abs=1)


@pytest.mark.parametrize("rate_hz", [0.0, 10.0, 15.0])
def test_camera_no_faster_than_the_rate_loses_none_though_it_jitters(rate_hz):
    stamps_sec = np.arange(100) / 10.0 + np.random.default_rng(0).uniform(-0.02, 0.02, 100)
    assert len(taken(rate_hz, stamps_sec)) == 100


@pytest.mark.parametrize("start_sec", [50.0, 900.0])
def test_jump_of_time_starts_afresh(start_sec):
    first, second = 100.0 + np.arange(30) / 30.0, start_sec + np.arange(30) / 30.0
    assert taken(2.0, np.concatenate([first, second])) == taken(2.0, first) + taken(2.0, second)
