"""Factors between predictions of the same cells."""

import numpy as np

from xview_localizer.geometry.stitching import relative_log_scales


def cuts(rng, spans, factors, noise=0.02):
    """Log ranges [K, 100] of which cut k sees the cells `spans[k]`, off by `factors[k]`."""
    truth = rng.uniform(0, 3, 100)
    log_range = np.full((len(spans), 100), np.nan)
    for row, span, factor in zip(log_range, spans, factors, strict=True):
        row[span] = truth[span] - np.log(factor) + rng.normal(0, noise, 100)[span]
    return log_range, truth


def test_a_ring_of_cuts_comes_into_one_unit():
    rng = np.random.default_rng(0)
    spans = [np.arange(start, start + 40) % 100 for start in (0, 25, 50, 75)]
    log_range, truth = cuts(rng, spans, (1.0, 2.0, 0.5, 3.0))
    scales, joined = relative_log_scales(log_range)
    assert joined.all() and abs(scales.mean()) < 1e-9
    error = log_range + scales[:, None] - truth
    assert np.nanstd(error) < 0.03  # 0.7 before


def test_cuts_that_share_too_little_with_the_others_are_left_out():
    rng = np.random.default_rng(1)
    log_range, _ = cuts(rng, [np.arange(40), np.arange(25, 65), np.arange(62, 99)], (1.0, 2.0, 9.0))
    scales, joined = relative_log_scales(log_range)
    assert joined.tolist() == [True, True, False] and scales[2] == 0.0
    assert abs(scales[1] - scales[0] - np.log(2)) < 0.05


def test_images_without_common_depth_are_not_joined():
    scales, joined = relative_log_scales(np.full((2, 5), np.nan))
    assert not joined.any() and not scales.any()
