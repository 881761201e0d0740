"""The prior of modes: how likely a mode found in a search is the robot's place, before the image is looked at."""

import numpy as np
import pytest

from xview_localizer.geometry.dense import PoseMode
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.modes import Modes

TWO = tuple(PoseMode(Pose2(x_m, 0.0, 0.0), 1.0, np.eye(3), 10.0, 10.0, -x_m) for x_m in (0.0, 2.0))


def _prior(first, covered=1.0, radius_m=20.0):
    return np.exp(Modes(0.0, Prior(0.0, 0.0, radius_m), covered=covered, modes=TWO).log_prior(first))


def test_before_the_first_image_the_robot_is_in_the_search_and_later_as_likely_as_not():
    np.testing.assert_allclose(_prior(first=True), 0.95 / 0.05 / 8 * np.exp([0.0, -2.0]))
    np.testing.assert_allclose(_prior(first=False), 1.0 / 8 * np.exp([0.0, -2.0]))


def test_a_wider_search_has_more_places():
    np.testing.assert_allclose(_prior(True, radius_m=60.0) * 9, _prior(True, radius_m=20.0))


@pytest.mark.parametrize(("first", "odds"), [(True, 0.19 / 0.81), (False, 0.1 / 0.9)])
def test_the_robot_may_be_where_the_map_has_no_imagery(first, odds):
    assert _prior(first, covered=0.2)[0] == pytest.approx(odds / 8)
