"""Calibration of target scores, on scores whose probabilities are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from newt_sc.models._target_calibration import Calibration, _isotonic, _logistic

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
    p = calibration.probability(test.z, test.prior[0])
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
    for odds, p in (calibration.pair_steps, calibration.first_steps):
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
    reliability = calibration.reliability(test.z.max(axis=1), test.strength, test.near)
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
    found = fit(train._replace(z=z)).probability(z, train.prior[0])
    # by target, the mean probability is its frequency, and scores change little
    np.testing.assert_allclose(found.mean(axis=0), train.y.mean(axis=0), atol=0.05)
    assert found.std(axis=0).max() < 0.03


@pytest.mark.parametrize("value", [True, False])
def test_labels_of_one_kind(train: Simulated, value: bool) -> None:
    y = np.full(train.y.shape, value)
    if not value:
        y[0, -1] = True  # of all compounds, one has a target
    p = fit(train._replace(y=y)).probability(train.z, train.prior[0])
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


# -- by hand ---------------------------------------------------------------------------------------


def test_probability_by_hand() -> None:
    """Log odds of z, of what is above 2 and above 5, of the log prior and of z times that."""
    rng = np.random.default_rng(0)
    weights = np.array([0.3, 0.5, -0.2, 0.4, 1.1, 0.07])
    steps = np.array([[-8.0, -2.0, 0.5, 9.0], [0.001, 0.1, 0.4, 0.99]])
    one = Calibration(weights, steps, weights[:4], steps, np.zeros(2), np.ones(2))
    z, prior = rng.normal(0, 5, (70, 4)), np.array([0.001, 0.02, 0.3, 0.0])
    z[0] = [19.5, 20, 21, 30]
    z[1] = [-19.5, -20, -21, -30]
    found = one.probability(z, prior)
    for i, j in np.ndindex(*z.shape):
        x, log_prior = min(max(z[i, j], -20), 20), np.log(max(prior[j], 1e-9))
        odds = 0.3 + 0.5 * x - 0.2 * max(x - 2, 0) + 0.4 * max(x - 5, 0)
        odds += 1.1 * log_prior + 0.07 * x * log_prior
        expected = np.interp(odds, [-8, -2, 0.5, 9], [0.001, 0.1, 0.4, 0.99])
        assert found[i, j] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("first", [0.01, 0.1, 3.0, 100.0, 1000.0, np.nan])
def test_reliability_by_hand(first: float) -> None:
    weights = np.array([0.3, 0.5, -0.2, 0.4])
    steps = np.array([[-8.0, 9.0], [0.1, 0.9]])
    center, scale = np.array([1.0, 2.0]), np.array([0.5, 4.0])
    one = Calibration(weights, steps, weights, steps, center, scale)
    found = one.reliability(np.array([first]), np.array([1.7]), np.array([0.4]))[0]
    log_z = np.log(min(max(np.nan_to_num(first), 0.1), 100))
    odds = 0.3 + 0.5 * log_z - 0.2 * (1.7 - 1) / 0.5 + 0.4 * (0.4 - 2) / 4
    assert found == pytest.approx(np.interp(odds, [-8, 9], [0.1, 0.9]))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1e-6), (1.0, 1 - 1e-6)])
def test_no_probability_is_0_or_1(low: float, high: float) -> None:
    weights, steps = np.zeros(6), np.array([[-1.0, 1.0], [low, low]])
    one = Calibration(weights, steps, weights[:4], steps, np.zeros(2), np.ones(2))
    assert one.reliability(np.ones(1), np.ones(1), np.ones(1))[0] == pytest.approx(high, rel=1e-9)


def test_weights_are_those_of_a_logistic_regression(train: Simulated) -> None:
    """Of columns of spread one, with a penalty of 1 / 10; then back on their scale."""
    from sklearn.linear_model import LogisticRegression

    found = fit(train)
    z, log_prior = np.clip(train.z, -20, 20).ravel(), np.log(train.prior.ravel())
    X = np.stack([z, np.maximum(z - 2, 0), np.maximum(z - 5, 0), log_prior, z * log_prior], axis=1)
    spread = X.std(axis=0)
    model = LogisticRegression(C=10.0, max_iter=500).fit(X / spread, train.y.ravel())
    np.testing.assert_allclose(found.pair[1:], model.coef_[0] / spread, rtol=1e-4, atol=1e-6)
    assert found.pair[0] == pytest.approx(model.intercept_[0], rel=1e-4)
    extra = np.column_stack([train.strength, train.near])
    np.testing.assert_allclose(found.center, extra.mean(axis=0))
    np.testing.assert_allclose(found.scale, extra.std(axis=0))


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
