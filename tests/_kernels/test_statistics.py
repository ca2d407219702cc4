"""Statistics against scipy, scikit-learn and direct loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from newt_sc import _kernels


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_auroc_is_that_of_sklearn(rng: np.random.Generator) -> None:
    positive = rng.random(60) < 0.3
    score = np.round(rng.normal(size=60) + positive, 1)  # with ties
    assert _kernels.auroc(score, positive) == pytest.approx(roc_auc_score(positive, score))
    assert _kernels.auroc(-score, positive) == pytest.approx(1 - roc_auc_score(positive, score))


@pytest.mark.parametrize("positive", [np.zeros(5, dtype=bool), np.ones(5, dtype=bool)])
def test_auroc_without_a_pair(positive: np.ndarray) -> None:
    assert np.isnan(_kernels.auroc(np.arange(5.0), positive))


def test_auroc_of_missing_scores() -> None:
    assert np.isnan(_kernels.auroc(np.array([1.0, np.nan, 2.0]), np.array([True, False, False])))


def test_spearman_is_that_of_scipy_over_what_both_have(rng: np.random.Generator) -> None:
    a, b = np.round(rng.normal(size=(2, 30, 20)), 1)
    a[rng.random(a.shape) < 0.3] = np.nan
    b[rng.random(b.shape) < 0.3] = np.nan
    found = _kernels.spearman(a, b)
    for x, y, rho in zip(a, b, found, strict=True):
        both = ~np.isnan(x) & ~np.isnan(y)
        assert rho == pytest.approx(stats.spearmanr(x[both], y[both]).statistic)
    np.testing.assert_array_equal(_kernels.spearman(a.astype(np.float32), b), found)
    assert _kernels.spearman(a[0], b[0]) == found[0]


def test_spearman_ranks_infinity_last() -> None:
    a = np.r_[np.arange(20.0), np.inf, np.inf]
    b = np.repeat([1.0, 2.0, 0.0], [10, 6, 6])
    assert _kernels.spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1.0, 2.0, 3.0], [5.0, 5.0, 5.0]),
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, 2.0, 3.0, np.nan], [np.nan, 1.0, 2.0, 3.0]),
        ([], []),
    ],
    ids=["constant", "two", "two in common", "nothing"],
)
def test_spearman_of_too_little(a: list[float], b: list[float]) -> None:
    assert np.isnan(_kernels.spearman(np.array(a), np.array(b)))


def test_bootstrap_of_means_is_that_of_scipy(rng: np.random.Generator) -> None:
    values, expected_rng = rng.normal(size=25), np.random.default_rng(7)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=400, method="percentile", random_state=expected_rng
    )
    found = _kernels.bootstrap_means(values, 400, random_state=7)
    np.testing.assert_allclose(found, expected.bootstrap_distribution)
    low, high = _kernels.percentile_interval(found)
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval))


def test_bootstrap_in_parts_draws_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from newt_sc._kernels import _statistics

    whole = _kernels.bootstrap_means(np.arange(5.0), 40)
    monkeypatch.setattr(_statistics, "_DRAWN", 11)  # two resamples at a time
    assert [len(rows) for rows in _kernels.bootstrap_rows(5, 5)] == [2, 2, 1]
    np.testing.assert_array_equal(_kernels.bootstrap_means(np.arange(5.0), 40), whole)


def test_bootstrap_weights_have_the_spread_of_the_mean(rng: np.random.Generator) -> None:
    values = rng.normal(size=50)
    weights = _kernels.bootstrap_weights(50, 20_000)
    assert (weights.sum(axis=1) == 50).all()
    spread = (weights @ values / 50).std()
    assert spread == pytest.approx(values.std() / np.sqrt(50), rel=0.02)


def test_a_generator_goes_on() -> None:
    rng = np.random.default_rng(3)
    first, second = (_kernels.bootstrap_weights(6, 4, random_state=rng) for _ in range(2))
    both = _kernels.bootstrap_weights(6, 8, random_state=3)
    np.testing.assert_array_equal(np.concatenate([first, second]), both)


def test_percentiles_leave_out_what_is_missing() -> None:
    some = np.r_[np.nan, np.arange(101.0), np.nan]
    assert _kernels.percentile_interval(some, 0.5) == pytest.approx((25, 75))
    assert np.isnan(_kernels.percentile_interval(np.full(3, np.nan))).all()
    assert np.isnan(_kernels.percentile_interval(np.zeros(0))).all()


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (1, 1), (40, 1000)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_is_that_of_scipy(k: int, n: int, level: float) -> None:
    expected = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    low, high = _kernels.wilson_interval(np.array([k / n]), np.array([n]), level)
    np.testing.assert_allclose([low[0], high[0]], tuple(expected), atol=1e-12)


def test_calibration_is_that_of_sklearn_without_ties(rng: np.random.Generator) -> None:
    p = rng.random(200)
    y = rng.random(200) < p
    observed, predicted = calibration_curve(y, p, n_bins=10, strategy="quantile")
    size, mean, share = _kernels.calibration_bins(p, y, 10)
    assert size.tolist() == [20] * 10
    np.testing.assert_allclose(mean, predicted)
    np.testing.assert_allclose(share, observed)


def test_calibration_bins_are_of_equal_size_with_ties() -> None:
    size, mean, share = _kernels.calibration_bins(np.full(7, 0.3), np.arange(7) < 3, 3)
    assert size.tolist() == [3, 2, 2]
    np.testing.assert_allclose(mean, 0.3)
    assert share.tolist() == [1, 0, 0]
    assert _kernels.calibration_bins(np.array([0.1, 0.2]), np.ones(2, dtype=bool), 5)[0].size == 2


def test_adjusted_p_by_hand() -> None:
    # step-up: .04 * 4 / 4 = .04 caps .03 * 4 / 3 = .04 and .02 * 4 / 2 = .04
    p = np.array([[0.02, np.nan, 0.04], [0.005, 0.03, np.nan]])
    expected = [[0.04, np.nan, 0.04], [0.02, 0.04, np.nan]]
    np.testing.assert_allclose(_kernels.adjusted_p(p), expected)
    assert np.isnan(_kernels.adjusted_p(np.full(2, np.nan))).all()
    assert _kernels.adjusted_p(np.zeros(0)).size == 0


def test_permutation_p_counts_the_data_as_one_permutation(rng: np.random.Generator) -> None:
    null = np.round(rng.normal(size=(99, 4)), 1)
    observed = np.array([0.5, -10.0, 10.0, np.nan])
    expected = [(1 + sum(value >= 0.5 for value in null[:, 0])) / 100, 1.0, 0.01, np.nan]
    np.testing.assert_allclose(_kernels.permutation_p(observed, null), expected)
    assert _kernels.permutation_p(np.float64(1), np.array([1.0])) == 1  # a tie is as large


def test_row_cosine_is_the_diagonal_of_all(rng: np.random.Generator) -> None:
    from sklearn.metrics.pairwise import cosine_similarity

    A, B = rng.normal(size=(2, 6, 4))
    np.testing.assert_allclose(_kernels.row_cosine(A, B), np.diag(cosine_similarity(A, B)))
    A[0], B[1] = 0, np.nan
    assert _kernels.row_cosine(A, B)[0] == 0
    assert np.isnan(_kernels.row_cosine(A, B)[1])
