import numpy as np
import pytest
from scipy.optimize import least_squares

from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.similarity import (
    Similarity2,
    as_complex,
    degeneracy,
    fit_similarity,
    procrustes,
    similarity_covariance,
)

TRUTH = Similarity2(scale=1.7, yaw_rad=2.4, x_m=12.0, y_m=-30.0)


def noisy_pairs(rng, count=40, sigma_m=0.3):
    ground = rng.uniform(-20, 20, (count, 2))
    aerial = TRUTH.transform(ground) + rng.normal(0, sigma_m, (count, 2))
    return Correspondences(ground, aerial, rng.uniform(0.1, 1.0, count))


def as_vector(similarity):
    return np.array([similarity.x_m, similarity.y_m, similarity.yaw_rad, similarity.scale])


@pytest.mark.parametrize("bounds", [(0.0, np.inf), (1.0, 1.0), (1.9, 2.5)])
def test_matches_scipy_least_squares(bounds):
    pairs = noisy_pairs(np.random.default_rng(0))
    fixed = bounds[0] == bounds[1]

    def residuals(v):
        s = Similarity2(bounds[0] if fixed else v[3], v[2], v[0], v[1])
        return (np.sqrt(pairs.weight)[:, None] * (s.transform(pairs.ground_xy_m) - pairs.aerial_xy_m)).ravel()

    start = [10.0, -28.0, 2.3] + ([] if fixed else [np.clip(1.7, *bounds) + 1e-3])
    limits = [
        (-np.inf,) * 3 + (() if fixed else (bounds[0],)),
        (np.inf,) * 3 + (() if fixed else (bounds[1],)),
    ]
    expected = least_squares(residuals, start, bounds=limits, xtol=1e-14, ftol=1e-14, gtol=1e-14).x
    np.testing.assert_allclose(as_vector(fit_similarity(pairs, bounds))[: len(expected)], expected, atol=1e-4)


def test_exact_pairs_are_recovered_in_any_unit():
    ground = np.random.default_rng(1).uniform(-20, 20, (3, 2))
    for unit in (1e-3, 1.0, 1e3):
        fit = fit_similarity(Correspondences(ground * unit, TRUTH.transform(ground), np.ones(3)))
        np.testing.assert_allclose(as_vector(fit), as_vector(TRUTH) / [1, 1, 1, unit], atol=1e-9)


def test_a_batch_is_solved_like_its_members():
    rng = np.random.default_rng(2)
    members = [noisy_pairs(rng) for _ in range(5)]
    a, t = procrustes(
        np.stack([as_complex(m.ground_xy_m) for m in members]),
        np.stack([as_complex(m.aerial_xy_m) for m in members]),
        np.stack([m.weight for m in members]),
    )
    singles = [fit_similarity(m) for m in members]
    np.testing.assert_allclose(np.abs(a), [s.scale for s in singles])
    np.testing.assert_allclose(t, [s.x_m + 1j * s.y_m for s in singles])


@pytest.mark.parametrize("bounds", [(0.0, np.inf), (TRUTH.scale, TRUTH.scale)])
@pytest.mark.parametrize("weighted", [False, True])
def test_covariance_matches_monte_carlo(bounds, weighted):
    rng = np.random.default_rng(3)
    pairs = noisy_pairs(rng)
    weight = pairs.weight if weighted else np.ones(40)
    ground = as_complex(pairs.ground_xy_m) + 15.0  # off the origin: position, yaw and scale are coupled
    draws = 4000
    noise = rng.normal(0, 0.3, (draws, 40, 2)) @ [1, 1j]
    a_true = TRUTH.scale * np.exp(1j * TRUTH.yaw_rad)
    a, t = procrustes(
        np.broadcast_to(ground, noise.shape), a_true * ground + noise, weight * np.ones((draws, 1)), bounds
    )
    samples = np.stack([t.real, t.imag, np.angle(a / a_true)])
    predicted = similarity_covariance(
        a_true, ground, weight, np.ones(40), 0.3, scale_free=bounds[0] < bounds[1]
    )
    deviation = np.sqrt(np.diag(predicted))
    np.testing.assert_allclose(
        np.cov(samples) / np.outer(deviation, deviation),
        predicted / np.outer(deviation, deviation),
        atol=0.08,
    )


@pytest.mark.parametrize(
    ("ground", "aerial", "weight", "reason"),
    [
        ([[0, 0], [1, 0]], [[0, 0], [1, 0]], [1, 1], "only 2 usable pairs"),
        ([[0, 0], [1, 0], [0, 1]], [[0, 0], [1, 0], [0, 1]], [1, 1, 0], "only 2 usable pairs"),
        ([[0, 0], [1, 1], [2, 2]], [[0, 0], [1, 0], [0, 1]], [1, 1, 1], "ground points are collinear"),
        ([[0, 0], [1, 0], [0, 1]], [[5, 5], [5, 5], [5, 5]], [1, 1, 1], "aerial points are coincident"),
        ([[0, 0], [np.nan, 0], [0, 1]], [[0, 0], [1, 0], [0, 1]], [1, 1, 1], "1 of 3 pairs are not finite"),
        ([[0, 0], [1, 0], [0, 1]], [[0, 0], [1, 0], [0, 1]], [1, -1, 1], "negative weight"),
    ],
)
def test_degenerate_pairs_are_named(ground, aerial, weight, reason):
    pairs = Correspondences(np.array(ground, float), np.array(aerial, float), np.array(weight, float))
    assert reason in degeneracy(pairs)
    with pytest.raises(ValueError, match=reason):
        fit_similarity(pairs)
