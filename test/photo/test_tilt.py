"""The pitch of a photo taken by hand: the evidence decides, and where it hardly does, the photo is level."""

from types import SimpleNamespace

import numpy as np
import pytest

from xview_localizer.belief.calibration import CalibrationSpec
from xview_localizer.geometry.camera import PinholeCamera
from xview_localizer.geometry.dense import PoseMode
from xview_localizer.geometry.pose import Pose2, Prior
from xview_localizer.modes import Modes
from xview_localizer.photo.photo import Photo
from xview_localizer.photo.tilt import PITCH_SIGMA_DEG, best_reading

PRIOR = Prior(0.0, 0.0, 20.0)
CALIBRATION = CalibrationSpec()
# What a pitch of one standard deviation costs, in the unit of evidence.
COST = 0.5 / CALIBRATION.mode_weight


class ScriptedLocalizer:
    """Finds a place of its own at each pitch, 10 m ahead per degree, with the evidence that the test gives."""

    spec = SimpleNamespace(calibration=CALIBRATION)

    def __init__(self, evidence_of_pitch):
        self._evidence_of_pitch = evidence_of_pitch

    def observe(self, view):
        down = -view.R_base_camera[2, 2]  # of the optical axis
        return SimpleNamespace(pitch_deg=float(np.degrees(np.arcsin(down))))

    def modes(self, placed, prior):
        pitch_deg = placed[0].observation.pitch_deg
        evidence = self._evidence_of_pitch(pitch_deg)
        pose = Pose2(10.0 * pitch_deg, 0.0, 0.0)
        return Modes(0.0, prior, (PoseMode(pose, 1.0, np.eye(3), evidence, evidence, 0.0),))


def photo(pitch_deg=0.0, pitch_known=False):
    image = np.zeros((48, 64, 3), np.uint8)
    camera = PinholeCamera(64, 48, 50.0, 50.0, 32.0, 24.0)
    return Photo("a.jpg", image, camera, 48.0, 11.0, 20.0, None, None, None, pitch_deg, 0.0, pitch_known)


@pytest.mark.parametrize(("more", "found_deg"), [(0.9 * COST, 0.0), (1.2 * COST, PITCH_SIGMA_DEG)])
def test_a_pitch_has_to_match_better_by_as_much_as_it_is_less_probable(more, found_deg):
    localizer = ScriptedLocalizer(lambda pitch_deg: 60.0 + more * (abs(pitch_deg - PITCH_SIGMA_DEG) < 0.1))
    reading = best_reading(localizer, photo(), PRIOR)
    assert reading.photo.pitch_deg == found_deg
    assert reading.modes.modes[0].pose.x_m == pytest.approx(10.0 * found_deg)


def test_what_fits_at_an_improbable_pitch_is_a_weaker_rival():
    modes = best_reading(ScriptedLocalizer(lambda pitch_deg: 60.0), photo(), PRIOR).modes.modes
    expected = {0.0: 60.0, 5.0: 60.0 - COST, -5.0: 60.0 - COST, 10.0: 60.0 - 4 * COST, -10.0: 60.0 - 4 * COST}
    found = {round(mode.pose.x_m / 10.0, 1): (mode.log_evidence, mode.log_evidence_current) for mode in modes}
    for pitch_deg, evidence in expected.items():
        assert found[pitch_deg] == pytest.approx((evidence, evidence))


def test_a_pitch_that_is_given_is_not_searched_for():
    localizer = ScriptedLocalizer(lambda pitch_deg: 60.0 + pitch_deg)
    reading = best_reading(localizer, photo(pitch_deg=3.0, pitch_known=True), PRIOR)
    assert reading.photo.pitch_deg == 3.0 and len(reading.modes.modes) == 1
