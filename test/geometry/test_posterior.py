"""The posterior's density, the moments of a mode, and which poses are modes."""

import numpy as np
import pytest

from xview_localizer.geometry.evidence import Evidence
from xview_localizer.geometry.grid import RasterGrid
from xview_localizer.geometry.match_field import MatchField
from xview_localizer.geometry.pose import Prior
from xview_localizer.geometry.posterior import Posterior, distinct_modes, normal_draws
from xview_localizer.geometry.prior_gate import PriorGate

GRID = RasterGrid.centred(0.0, 0.0, 2.0, 15, 15)
GATE = PriorGate(Prior(3.0, -2.0, 6.0, 1.0, 0.2), edge_m=0.5, yaw_sigmas=3.0)


def evidence(likelihood_ratio):
    cells = len(likelihood_ratio)
    ground_m = np.random.default_rng(1).uniform(-8, 8, (cells, 2))
    field = MatchField.of_one_image(ground_m, likelihood_ratio, np.full(cells, 0.6), GRID)
    return Evidence.from_field(field, np.ones(cells, dtype=bool))


def uninformative() -> Evidence:
    return evidence(np.ones((10, 225), np.float32))


def test_density_is_the_tempered_score_and_the_prior_within_the_bounds_of_the_scale():
    seen = evidence(np.random.default_rng(2).exponential(1.0, (10, 225)).astype(np.float32))
    posterior = Posterior(seen, GATE, (0.9, 1.2), temperature=4.0)
    a = np.array([0.89, 0.9, 1.0, 1.2, 1.21]) * np.exp(1.1j)
    t = np.full(5, 4.0 - 1.0j)
    expected = seen.score(a, t) / 4 + GATE.log_density(a, t)
    expected[[0, 4]] = -np.inf
    np.testing.assert_allclose(posterior.log_density(a, t), expected)


@pytest.mark.parametrize("scale_known", [True, False])
def test_moments_are_those_of_a_known_density(scale_known):
    """Without evidence that of the prior: a disc, a Gaussian heading, a scale log-uniform within its bounds."""
    bounds = (1.0, 1.0) if scale_known else (0.8, 1.25)
    posterior = Posterior(uninformative(), GATE, bounds, temperature=4.0)
    first = np.diag([4.0, 4.0, 0.01, 0.0 if scale_known else 0.02])
    mean, covariance = posterior.local_moments(np.exp(1.1j), 4.0 - 1.0j, first, 4000)
    np.testing.assert_allclose(mean, [3.0, -2.0, 1.0, 0.0], atol=0.1)
    disc = (6.0 + 0.6) ** 2 / 4  # the soft edge makes it a little larger
    expected = [disc, disc, 0.04, 0.0 if scale_known else np.log(1.5625) ** 2 / 12]
    np.testing.assert_allclose(np.diag(covariance), expected, rtol=0.12)
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0.0, atol=0.4)


def test_where_no_sample_is_possible_the_first_guess_stays():
    posterior = Posterior(uninformative(), GATE, (0.5, 0.6), temperature=4.0)
    first = np.diag([4.0, 4.0, 0.01, 0.0])
    mean, covariance = posterior.local_moments(1.0 + 0j, 1.0 + 2.0j, first, 100)
    np.testing.assert_array_equal(mean, [1.0, 2.0, 0.0, 0.0])
    np.testing.assert_array_equal(covariance, first)


@pytest.mark.parametrize("dimensions", [1, 3, 4])
def test_draws_are_evenly_spread_and_standard_normal(dimensions):
    draws = normal_draws(96, dimensions)
    np.testing.assert_allclose(draws.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(draws.T @ draws / 96, np.eye(dimensions), atol=1e-12)
    for sigmas, share in ((1, 0.683), (2, 0.954)):
        np.testing.assert_allclose((np.abs(draws) < sigmas).mean(axis=0), share, atol=0.08)


def test_modes_are_the_best_of_their_neighbourhood_in_place_and_heading():
    #                  best  near  turned  far  worst, near far  impossible
    t = np.array([0.0, 2.9, 0.1, 3.1, 5.0, 9.0], dtype=complex)
    a = 1.1 * np.exp(1j * np.array([3.1, -3.1, 2.7, 3.1, 3.1, 3.1]))  # -3.1 is 0.08 rad from 3.1
    log_density = np.array([5.0, 4.0, 3.0, 4.5, 1.0, -np.inf])
    assert distinct_modes(a, t, log_density, 3.0, 0.35).tolist() == [0, 3, 2]
    assert distinct_modes(a, t, np.full(6, -np.inf), 3.0, 0.35).tolist() == []
