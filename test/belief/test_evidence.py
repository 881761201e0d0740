"""What a mode is worth: by how much it matches better than wrong places do in the same image."""

import numpy as np
import pytest
from belief_cases import mode_at

from xview_localizer.belief.calibration import CalibrationSpec
from xview_localizer.belief.evidence import ImageEvidence

CALIBRATION = CalibrationSpec(mode_weight=0.1, none_share=0.8, none_bias=1.5)


def test_ratio_is_against_the_second_best_mode():
    modes = [mode_at(0, log_evidence=90.0, current=40.0), mode_at(9, log_evidence=60.0, current=50.0)]
    modes.append(mode_at(20, log_evidence=70.0, current=30.0))
    evidence = ImageEvidence.of(modes, CALIBRATION)
    # The second best is that of the current image for one, of all images for the other.
    np.testing.assert_allclose(evidence.log_ratio, [0.1 * (e - 0.8 * 40.0) for e in (40, 50, 30)])
    np.testing.assert_allclose(
        evidence.log_ratio_joined, [0.1 * (e - 0.8 * 70.0) - 1.5 for e in (90, 60, 70)]
    )
    assert evidence.modes == tuple(modes)


def test_a_lone_mode_is_weighed_against_chance():
    evidence = ImageEvidence.of([mode_at(0, log_evidence=30.0)], CALIBRATION)
    assert evidence.log_ratio == pytest.approx([3.0])
    assert evidence.log_ratio_joined == pytest.approx([1.5])


def test_no_modes():
    evidence = ImageEvidence.of([], CALIBRATION)
    assert evidence.log_ratio.shape == evidence.log_ratio_joined.shape == (0,)


def test_a_street_that_repeats_is_no_evidence_for_either_end():
    """A rival that matches as well makes both less sure, not only the one against the other."""
    alone = ImageEvidence.of([mode_at(0, log_evidence=90.0), mode_at(9, log_evidence=30.0)], CALIBRATION)
    twice = ImageEvidence.of([mode_at(0, log_evidence=90.0), mode_at(9, log_evidence=88.0)], CALIBRATION)
    assert twice.log_ratio[0] < alone.log_ratio[0] - 4.0
