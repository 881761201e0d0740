"""Similarity transforms of the plane and their estimation from pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime, least_squares

from xview_localizer.geometry.match_field import Correspondences
from xview_localizer.geometry.similarity import (
    Similarity2,
    as_complex,
    degeneracy,
    procrustes,
    procrustes_with_offset,
    similarity_covariance,
    similarity_from_complex,
    similarity_information,
)

TRUTH = Similarity2(scale=1.7, yaw_rad=2.4, x_m=12.0, y_m=-30.0)


def fitted(pairs, scale_bounds=(0.0, np.inf)) -> Similarity2:
    a, t = procrustes(
        as_complex(pairs.ground_xy_m), as_complex(pairs.aerial_xy_m), pairs.weight, scale_bounds
    )
    return similarity_from_complex(complex(a), complex(t))


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
    np.testing.assert_allclose(as_vector(fitted(pairs, bounds))[: len(expected)], expected, atol=1e-4)


def test_exact_pairs_are_recovered_in_any_unit():
    ground = np.random.default_rng(1).uniform(-20, 20, (3, 2))
    for unit in (1e-3, 1.0, 1e3):
        fit = fitted(Correspondences(ground * unit, TRUTH.transform(ground), np.ones(3)))
        np.testing.assert_allclose(as_vector(fit), as_vector(TRUTH) / [1, 1, 1, unit], atol=1e-9)


def test_a_batch_is_solved_like_its_members():
    rng = np.random.default_rng(2)
    members = [noisy_pairs(rng) for _ in range(5)]
    a, t = procrustes(
        np.stack([as_complex(m.ground_xy_m) for m in members]),
        np.stack([as_complex(m.aerial_xy_m) for m in members]),
        np.stack([m.weight for m in members]),
    )
    singles = [fitted(m) for m in members]
    np.testing.assert_allclose(np.abs(a), [s.scale for s in singles])
    np.testing.assert_allclose(t, [s.x_m + 1j * s.y_m for s in singles])


# Three cameras: the current one with its lever arm, and two keyframes.
CAMERAS = np.array([2.0 + 0.3j, -6.0 + 1.0j, -13.0 - 2.0j])


def offset_points(rng, count=60):
    """Lifted points, their cameras' offsets, and weights; all off the origin."""
    lifted = rng.uniform(-15, 15, (count, 2)) @ [1, 1j] + 4.0
    return lifted, CAMERAS[rng.integers(3, size=count)], rng.uniform(0.1, 1.0, count)


def sent(v, lifted, offset):
    """Where the pose v = (x, y, yaw, log scale) sends the points."""
    return np.exp(1j * v[2]) * (np.exp(v[3]) * lifted + offset) + v[0] + 1j * v[1]


def converged(lifted, offset, aerial, weight, bounds, rounds=200):
    scale = np.ones(1)
    for _ in range(rounds):
        a, t = procrustes_with_offset(lifted, offset, aerial, weight, scale, bounds)
        scale = np.abs(a)
    return a[0], t[0]


@pytest.mark.parametrize("bounds", [(0.1, 10.0), (1.0, 1.0), (0.9, 1.1), (1.5, 2.0)])
def test_with_offsets_rounds_reach_the_least_squares_optimum(bounds):
    rng = np.random.default_rng(5)
    lifted, offset, weight = offset_points(rng)
    noise = rng.normal(0, 0.5, (len(lifted), 2)) @ [1, 1j]
    aerial = sent((30.0, -20.0, 2.4, np.log(1.25)), lifted, offset) + noise
    fixed = bounds[0] == bounds[1]

    def residuals(v):
        scale = [np.log(bounds[0])] if fixed else [v[3]]
        error = np.sqrt(weight) * (sent([*v[:3], *scale], lifted, offset) - aerial)
        return np.concatenate([error.real, error.imag])

    low, high = np.log(bounds)
    start = [28.0, -18.0, 2.3] + ([] if fixed else [np.clip(np.log(1.25), low + 1e-6, high - 1e-6)])
    limits = [(-np.inf,) * 3 + (() if fixed else (low,)), (np.inf,) * 3 + (() if fixed else (high,))]
    best = least_squares(residuals, start, bounds=limits, xtol=1e-14, ftol=1e-14, gtol=1e-14).x
    a, t = converged(lifted, offset, aerial, weight, bounds)
    found = [t.real, t.imag, np.angle(a), np.log(np.abs(a))][: len(best)]
    np.testing.assert_allclose(found, best, atol=2e-4)


def test_a_round_with_offsets_never_raises_the_cost():
    rng = np.random.default_rng(6)
    lifted, offset, weight = offset_points(rng)
    aerial = sent((3.0, 4.0, -1.0, 0.2), lifted, offset) + rng.normal(0, 2.0, (len(lifted), 2)) @ [1, 1j]
    scale, costs = np.ones(1), []
    for _ in range(6):
        a, t = procrustes_with_offset(lifted, offset, aerial, weight, scale, (0.1, 10.0))
        u, scale = a / np.abs(a), np.abs(a)
        costs.append((weight * np.abs(aerial - a * lifted - u * offset - t) ** 2).sum())
    assert np.all(np.diff(costs) <= 1e-9)


finite = st.floats(-30, 30)
points = st.tuples(finite, finite).map(lambda xy: complex(*xy))


@settings(deadline=None)
@given(
    pairs=st.lists(st.tuples(points, points, st.floats(0.1, 5)), min_size=3, max_size=12),
    common=points,
    scale=st.floats(0.3, 3),
    bounds=st.sampled_from([(0.5, 2.0), (1.0, 1.0), (0.9, 1.1)]),
)
def test_without_offsets_a_round_is_procrustes_itself(pairs, common, scale, bounds):
    """And one lever arm for all only shifts the position: it turns with the pose, and has no scale."""
    ground, aerial, weight = (np.array(values) for values in zip(*pairs, strict=True))
    centred = ground - np.average(ground, weights=weight)
    moment = np.abs((weight * centred.conj() * (aerial - np.average(aerial, weights=weight))).sum())
    if (weight * np.abs(centred) ** 2).sum() < 1e-2 or moment < 1e-2:
        return  # coincident points have no yaw
    a, t = procrustes(ground, aerial, weight, bounds)
    for offset in (0.0, common):
        offsets = np.full(len(ground), offset, dtype=complex)
        b, s = procrustes_with_offset(ground, offsets, aerial, weight, np.array(scale), bounds)
        np.testing.assert_allclose(b, a, atol=1e-6)
        np.testing.assert_allclose(s, t - a / np.abs(a) * offset, atol=1e-4)


def test_coincident_points_have_no_pose():
    same = np.full(4, 3.0 + 1j)
    a, t = procrustes_with_offset(same, 0 * same, np.arange(4) + 0j, np.ones(4), np.ones(1), (0.5, 2.0))
    assert np.isnan(a).all() and np.isnan(t).all()


def test_information_is_that_of_numeric_derivatives():
    rng = np.random.default_rng(7)
    lifted, offset, weight = offset_points(rng, 12)
    v = np.array([5.0, -3.0, 0.7, np.log(1.3)])
    expected = np.zeros((4, 4))
    for p, o, w in zip(lifted, offset, weight, strict=True):
        jacobian = [
            approx_fprime(v, lambda v, part=part, p=p, o=o: getattr(sent(v, p, o), part), 1e-7)
            for part in ("real", "imag")
        ]
        expected += w * np.transpose(jacobian) @ jacobian
    a = np.exp(v[3] + 1j * v[2])
    np.testing.assert_allclose(
        similarity_information(a, lifted, weight, offset), expected, rtol=1e-4, atol=1e-3
    )


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
