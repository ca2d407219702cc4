"""Calibration of target scores, on scores whose probabilities are known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, stats
from scipy.special import expit

from newt_sc.models._target_calibration import (
    Calibration,
    _isotonic,
    _logistic,
    _null,
    _rising_logistic,
)

Array = NDArray[np.float64]


class Simulated(NamedTuple):
    z: Array
    prior: Array
    p: Array
    y: NDArray[np.bool_]
    strength: Array
    near: Array


def simulate(n: int = 1000, t: int = 60, seed: int = 0) -> Simulated:
    """Labels drawn from probabilities that rise with z and the prior; scores of strong signatures
    are spread wider.
    """
    rng = np.random.default_rng(seed)
    strength, near = rng.standard_normal(n), rng.random(n)
    prior = np.broadcast_to(np.geomspace(0.002, 0.2, t), (n, t)).copy()
    z = rng.standard_normal((n, t)) * np.exp(0.5 * strength)[:, None]
    p = expit(-0.5 + 1.2 * z + np.log(prior))
    return Simulated(z, prior, p, rng.random((n, t)) < p, strength, near)


def fit(some: Simulated) -> Calibration:
    return Calibration.fit(some.z, some.prior, some.y, some.strength, some.near)


def expected_calibration_error(
    p: NDArray[np.floating], y: NDArray[np.bool_], n_bins: int = 10
) -> float:
    """Mean gap between probability and frequency over bins of equal mass."""
    bins = np.array_split(np.argsort(p.ravel()), n_bins)
    return float(
        np.average(
            [abs(p.ravel()[b].mean() - y.ravel()[b].mean()) for b in bins],
            weights=[*map(len, bins)],
        )
    )


@pytest.fixture(scope="module")
def train() -> Simulated:
    return simulate()


@pytest.fixture(scope="module")
def test() -> Simulated:
    return simulate(seed=1)


@pytest.fixture(scope="module")
def calibration(train: Simulated) -> Calibration:
    return fit(train)


def test_probabilities_of_unseen_pairs_are_frequencies(
    calibration: Calibration, test: Simulated
) -> None:
    p = calibration.probability(calibration.normal(test.z), test.prior[0])
    assert p.dtype == np.float32
    assert expected_calibration_error(p, test.y) < 0.005
    top = p >= np.quantile(p, 0.99)
    assert expected_calibration_error(p[top], test.y[top]) < 0.05
    assert np.corrcoef(p.ravel(), test.p.ravel())[0, 1] > 0.98


def test_uncalibrated_scores_fail_that_measure(test: Simulated) -> None:
    assert expected_calibration_error(expit(test.z), test.y) > 0.1


def test_probability_rises_with_score_and_prior(calibration: Calibration) -> None:
    z = np.linspace(-4, 6, 101)
    p = calibration.probability(z[:, None], np.array([0.02]))[:, 0]
    assert (np.diff(p) >= 0).all()
    assert p[-1] > 20 * p[0]
    by_prior = calibration.probability(np.full((1, 4), 1.0), np.array([0.003, 0.01, 0.05, 0.2]))[0]
    assert (np.diff(by_prior) > 0).all()


def test_probabilities_stay_in_range(calibration: Calibration) -> None:
    z = np.array([[-1e6, -200, 0, 200, 1e6, np.nan, np.inf, -np.inf]])
    for prior in (0.0, 1e-7, 0.5, 1.0):
        p = calibration.probability(z, np.full(8, prior))[0]
        assert np.isnan(p).tolist() == [False] * 5 + [True] + [False] * 2
        assert ((p[~np.isnan(p)] > 0) & (p[~np.isnan(p)] < 1)).all()


def test_steps_rise_and_are_in_range(calibration: Calibration) -> None:
    odds, p = calibration.pair_steps
    assert (np.diff(odds) >= 0).all()
    assert (np.diff(p) >= 0).all()
    assert p.min() >= 0
    assert p.max() <= 1


def test_chunks_make_no_difference(calibration: Calibration) -> None:
    z = np.random.default_rng(2).standard_normal((2500, 3)).astype(np.float32)
    prior = np.array([0.01, 0.1, 0.05])
    whole = calibration.probability(z, prior)
    for rows in (slice(0, 1), slice(1023, 1026), slice(2400, 2500)):
        np.testing.assert_allclose(calibration.probability(z[rows], prior), whole[rows], rtol=1e-6)
    assert calibration.probability(z[:0], prior).shape == (0, 3)


def test_reliability_is_how_often_the_first_target_is_right(
    calibration: Calibration, test: Simulated
) -> None:
    first = calibration.normal(test.z.max(axis=1))
    reliability = calibration.reliability(first, test.strength, test.near)
    right = test.y[np.arange(len(test.z)), test.z.argmax(axis=1)]
    labelled = test.y.any(axis=1)
    assert ((reliability > 0) & (reliability < 1)).all()
    assert expected_calibration_error(reliability[labelled], right[labelled], 5) < 0.06
    # abstaining helps: the surer half is right more often
    sure = reliability > np.median(reliability)
    assert right[sure].mean() > right[~sure].mean() + 0.1


def test_reliability_rises_with_the_first_score(calibration: Calibration) -> None:
    found = calibration.reliability(np.linspace(0, 20, 50), np.zeros(50), np.full(50, 0.5))
    assert (np.diff(found) >= 0).all()
    assert found[-1] > found[0]


def test_signature_without_strength_has_a_reliability(calibration: Calibration) -> None:
    """Known by structure alone."""
    found = calibration.reliability(np.array([3.0]), np.array([np.nan]), np.array([0.5]))
    assert np.isfinite(found).all()


def test_noise_is_given_the_prior(train: Simulated) -> None:
    z = np.random.default_rng(3).standard_normal(train.z.shape)
    one = fit(train._replace(z=z))
    found = one.probability(one.normal(z), train.prior[0])
    # by target, the mean probability is its frequency, and scores change little
    np.testing.assert_allclose(found.mean(axis=0), train.y.mean(axis=0), atol=0.05)
    assert found.std(axis=0).max() < 0.03


@pytest.mark.parametrize("value", [True, False])
def test_labels_of_one_kind(train: Simulated, value: bool) -> None:
    y = np.full(train.y.shape, value)
    if not value:
        y[0, -1] = True  # of all compounds, one has a target
    one = fit(train._replace(y=y))
    p = one.probability(one.normal(train.z), train.prior[0])
    assert np.isfinite(p).all()
    assert p.mean() > 0.999 if value else p.mean() < 0.001


def test_targets_that_training_lacked_are_not_learned_from(train: Simulated) -> None:
    prior, z = train.prior.copy(), train.z.copy()
    prior[:500, 3] = 0  # the fold had no compound of this target, so its scores mean nothing
    one = fit(train._replace(prior=prior))
    z[:500, 3] = 50
    two = fit(train._replace(prior=prior, z=z))
    np.testing.assert_array_equal(one.pair, two.pair)
    np.testing.assert_array_equal(one.pair_steps, two.pair_steps)


def test_strengths_that_differ_by_rounding_alone(train: Simulated) -> None:
    """As those of signatures of ranks do; signatures of other strengths may still come."""
    rng = np.random.default_rng(4)
    even = np.asarray(-0.2 + 1e-16 * rng.integers(-2, 3, len(train.z)), dtype=np.float64)
    found = fit(train._replace(strength=even))
    first, near = np.full(3, 3.0), np.full(3, 0.5)
    reliability = found.reliability(first, np.array([-1.2, -0.2, 0.8]), near)
    assert np.ptp(reliability) < 0.2


def test_strengths_that_are_missing(train: Simulated) -> None:
    strength = train.strength.copy()
    strength[::7] = np.nan
    found = fit(train._replace(strength=strength))
    assert np.isfinite(found.first).all()


# -- z --------------------------------------------------------------------------------------------


def test_z_is_the_normal_score_among_pairs_that_do_not_bind() -> None:
    """Of heavy-tailed scores, too: as many are beyond z as beyond a normal deviate."""
    rng = np.random.default_rng(0)
    scores, y = rng.standard_t(2.5, (1000, 60)), rng.random((1000, 60)) < 0.02
    scores[y] += 5
    found = Calibration.fit(scores, np.full(y.shape, 0.02), y, rng.random(1000), rng.random(1000))
    z = found.normal(np.sort(rng.standard_t(2.5, 200_000)))
    assert (np.diff(z) >= 0).all()
    for limit in (-1.0, 0.0, 1.0, 2.0, 3.0):
        assert (z > limit).mean() == pytest.approx(stats.norm.sf(limit), rel=0.15)
    assert np.isnan(found.normal(np.array([np.nan]))[0])


def test_no_score_is_hundreds_of_standard_deviations_out(calibration: Calibration) -> None:
    z = calibration.normal(np.array([3.0, 30.0, 300.0, 3000.0]))
    assert (np.diff(z) > 0).all()
    assert z[-1] < 12


def test_tail_goes_on_as_a_power() -> None:
    """Scores of a Pareto distribution: the share beyond twice the largest is known."""
    x = np.random.default_rng(0).pareto(3.0, 100_000) + 1
    table = _null(x)
    for beyond in (1.5, 4.0):
        tail = stats.norm.sf(np.interp(beyond * x.max(), *table))
        assert tail == pytest.approx(0.5 / len(x) * beyond**-3, rel=0.25)


@given(
    seed=st.integers(0, 10),
    prior=st.floats(1e-9, 1),
    z=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30),
)
def test_probability_never_falls_as_z_rises(seed: int, prior: float, z: list[float]) -> None:
    p = of_seed(seed).probability(np.sort(z)[:, None], np.array([prior]))[:, 0]
    assert (np.diff(p) >= 0).all()


@cache
def of_seed(seed: int) -> Calibration:
    """A calibration of labels that have nothing, or the contrary, to do with the scores."""
    some = simulate(n=80, t=12, seed=seed)
    y = some.y if seed % 3 == 0 else some.y[::-1] if seed % 3 == 1 else some.z < -1
    return fit(some._replace(y=y))


def test_p_values_of_noise_are_even() -> None:
    """Of new noise, as often below .01 as they say; of no score 0."""
    rng = np.random.default_rng(0)
    some, noise = simulate(), rng.standard_normal((1000, 60))
    args = (some.z, some.prior, some.y, some.strength, some.near)
    found = Calibration.fit(*args, permuted=noise)
    z = found.normal(rng.standard_normal(100_000))
    p = found.p_value(z)
    for level in (0.5, 0.1, 0.01, 0.001):
        assert (p <= level).mean() == pytest.approx(level, rel=0.2)
    assert (np.diff(found.p_value(np.sort(z))) <= 0).all()
    assert found.p_value(found.normal(np.array([1e5])))[0] == pytest.approx(1 / 60_001, rel=1e-3)


# -- by hand ---------------------------------------------------------------------------------------


def by_hand(pair: Array, steps: Array) -> Calibration:
    """A calibration that leaves scores as they are."""
    same = np.array([[-50.0, 50.0], [-50.0, 50.0]])
    ends = np.log([0.001, 0.3])
    return Calibration(same, same, pair, ends, steps, np.zeros(4), np.zeros(3), np.ones(3))


def test_probability_by_hand() -> None:
    """Log odds of the stretches of z, the slope of each between two ends, and of the log prior."""
    rng = np.random.default_rng(0)
    pair = np.array([0.3, 0.1, 0.5, 0.2, 0.4, 1.1, 0.7, 0.0, 0.9, 1.2])
    steps = np.array([[-8.0, -2.0, 0.5, 9.0], [0.001, 0.1, 0.4, 0.99]])
    z, prior = rng.normal(0, 3, (70, 4)), np.array([0.001, 0.02, 0.3, 0.0])
    found = by_hand(pair, steps).probability(z, prior)
    for i, j in np.ndindex(*z.shape):
        x, log_prior = z[i, j], np.log(min(max(prior[j], 0.001), 0.3))
        share = (log_prior - np.log(0.001)) / (np.log(0.3) - np.log(0.001))
        odds, at = 0.3 + 1.2 * log_prior, -np.inf
        for k, knot in enumerate([1, 2, 3, np.inf]):
            stretch = min(x, 1) if k == 0 else min(max(x, at), knot) - at
            odds += stretch * (pair[1 + 2 * k] * (1 - share) + pair[2 + 2 * k] * share)
            at = knot
        expected = np.interp(odds, *steps)
        assert found[i, j] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("first", [-0.5, 3.0, 30.0, np.nan])
def test_reliability_by_hand(first: float) -> None:
    same, ends = np.array([[-50.0, 50.0], [-50.0, 50.0]]), np.log([0.001, 0.3])
    weights = np.array([0.3, 0.5, -0.2, 0.4])
    center, scale = np.array([2.0, 1.0, 2.0]), np.array([1.5, 0.5, 4.0])
    one = Calibration(same, same, np.zeros(10), ends, same, weights, center, scale)
    found = one.reliability(np.array([first]), np.array([1.7]), np.array([0.4]))[0]
    odds = 0.3 + 0.5 * (np.nan_to_num(first) - 2) / 1.5 - 0.2 * (1.7 - 1) / 0.5
    odds += 0.4 * (0.4 - 2) / 4
    assert found == pytest.approx(expit(odds))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1e-6), (1.0, 1 - 1e-6)])
def test_no_probability_is_0_or_1(low: float, high: float) -> None:
    one = by_hand(np.zeros(10), np.array([[-1.0, 1.0], [low, low]]))
    assert one.probability(np.ones((1, 1)), np.ones(1))[0, 0] == pytest.approx(high, rel=1e-3)


def test_weights_are_the_best_of_those_that_are_not_negative(train: Simulated) -> None:
    """Against scipy's general solver, from another start, on the same loss."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((400, 4)), rng.random(400) < 0.3
    X[:, 1] += y
    X[:, 2] -= y
    found = _rising_logistic(X, y)
    Z = X / X.std(axis=0)

    def loss(w: Array) -> float:
        odds = w[0] + Z @ w[1:]
        return -np.log(expit(np.where(y, odds, -odds))).sum() + 0.05 * (w[1:] ** 2).sum()

    best = optimize.minimize(
        loss, np.full(5, 0.5), bounds=[(None, None), *[(0, None)] * 4], method="SLSQP"
    ).x
    np.testing.assert_allclose(found[1:] * X.std(axis=0), best[1:], atol=0.01)
    assert found[3] == 0  # its best weight would be negative


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("null", np.zeros((3, 4))),
        ("null", np.array([[0.0, 1.0], [1.0, 0.0]])),
        ("pair", np.zeros(6)),
        ("pair", -np.ones(10)),
        ("pair_steps", np.zeros((2, 0))),
        ("center", np.zeros(2)),
    ],
)
def test_what_cannot_be_a_calibration(calibration: Calibration, name: str, value: Array) -> None:
    assert calibration.wrong() == ""
    assert name in replace(calibration, **{name: value}).wrong()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_labels_of_one_kind_leave_an_intercept(share: float) -> None:
    found = _logistic(np.random.default_rng(0).random((9, 3)), np.full(9, share == 1))
    assert found[0] == pytest.approx(np.log(1e6 - 1) * (1 if share else -1), rel=1e-6)
    np.testing.assert_array_equal(found[1:], 0)


@pytest.mark.parametrize("most", [5, 20])
def test_steps_are_isotonic_over_bins_of_equal_expected_hits(most: int) -> None:
    rng = np.random.default_rng(0)
    odds = rng.normal(-2, 2, 400)
    y = rng.random(400) < expit(odds)
    x, p = _isotonic(odds, y, most)
    assert len(x) == most
    order = np.argsort(odds)
    mass = expit(odds[order]) + 1e-4
    share = np.cumsum(mass) / mass.sum()
    members = [order[(share >= i / most) & (share < (i + 1) / most)] for i in range(most)]
    members[-1] = order[share >= (most - 1) / most]  # the last has a share of 1, but for rounding
    np.testing.assert_allclose(x, [odds[some].mean() for some in members])
    # pool adjacent violators, by hand
    pools: list[tuple[float, int, int]] = []
    for some in members:
        pools.append((float(y[some].mean()), len(some), 1))
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (b, m, j), (a, n, i) = pools.pop(), pools.pop()
            pools.append(((a * n + b * m) / (n + m), n + m, i + j))
    np.testing.assert_allclose(p, [value for value, _, k in pools for _ in range(k)])
