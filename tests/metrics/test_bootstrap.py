"""bootstrap_interval against scipy, theory and loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import newt_sc as nt
from newt_sc.errors import NewtWarning

SCORES = np.random.default_rng(0).normal(1, 2, 150)


def test_mean_equals_scipy_and_theory() -> None:
    got = nt.metrics.bootstrap_interval(SCORES, n_resamples=4000)
    reference = stats.bootstrap(
        (SCORES,), np.mean, n_resamples=4000, method="percentile"
    ).confidence_interval
    assert got.estimate == SCORES.mean()
    error = SCORES.std(ddof=1) / np.sqrt(len(SCORES))
    assert got.low == pytest.approx(reference.low, abs=0.15 * error)
    assert got.high == pytest.approx(reference.high, abs=0.15 * error)
    assert got.high - got.low == pytest.approx(2 * 1.96 * error, rel=0.06)
    assert got.replicates.shape == (4000,)


def test_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    intervals = [
        nt.metrics.bootstrap_interval(rng.normal(3, 1, 60), n_resamples=300, confidence_level=0.8)
        for _ in range(300)
    ]
    covered = np.mean([found.low <= 3 <= found.high for found in intervals])
    assert 0.72 < covered < 0.86


def test_paired_difference_is_that_of_the_differences() -> None:
    other = SCORES - 0.1 + np.random.default_rng(2).normal(0, 0.1, SCORES.size)
    got = nt.metrics.bootstrap_interval(SCORES, other)
    direct = nt.metrics.bootstrap_interval(SCORES - other)
    np.testing.assert_allclose(got.replicates, direct.replicates)
    assert (got.estimate, got.low, got.high) == pytest.approx(
        (direct.estimate, direct.low, direct.high)
    )
    assert got.low > 0  # far narrower than the interval of either mean
    apart = nt.metrics.bootstrap_interval(SCORES), nt.metrics.bootstrap_interval(other)
    np.testing.assert_allclose(got.replicates, apart[0].replicates - apart[1].replicates)


def test_statistic_of_columns() -> None:
    pairs = np.column_stack([SCORES, SCORES + np.random.default_rng(3).normal(size=SCORES.size)])

    def rho(rows: np.ndarray) -> float:
        return float(stats.spearmanr(rows[:, 0], rows[:, 1]).statistic)

    got = nt.metrics.bootstrap_interval(pairs, statistic=rho, n_resamples=200)
    assert got.estimate == rho(pairs)
    assert got.low < got.estimate < got.high
    draws = np.random.default_rng(0).integers(0, len(pairs), (200, len(pairs)))
    np.testing.assert_array_equal(got.replicates, [rho(pairs[draw]) for draw in draws])


def test_groups_are_resampled_apart_and_averaged() -> None:
    groups = np.array(["big"] * 140 + ["small"] * 10)
    got = nt.metrics.bootstrap_interval(SCORES, groups=groups, n_resamples=3000)
    assert got.estimate == pytest.approx((SCORES[:140].mean() + SCORES[140:].mean()) / 2)
    spread = np.sqrt(SCORES[:140].var() / 140 + SCORES[140:].var() / 10) / 2
    assert got.replicates.std() == pytest.approx(spread, rel=0.08)


def test_missing_units_are_dropped_in_pairs() -> None:
    first, second, groups = (
        SCORES.copy(),
        SCORES[::-1].copy(),
        np.repeat(["a", "b", "c"], 50).astype(object),
    )
    first[3], second[70], groups[140] = np.nan, np.nan, None
    keep = np.setdiff1d(np.arange(150), [3, 70, 140])
    got = nt.metrics.bootstrap_interval(first, second, groups=groups)
    direct = nt.metrics.bootstrap_interval(first[keep], second[keep], groups=groups[keep])
    assert got == direct


def test_seed_and_blocks() -> None:
    first, again, other = (
        nt.metrics.bootstrap_interval(SCORES, random_state=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first.low != other.low
    many = np.random.default_rng(4).normal(size=50_000)  # drawn in blocks of 80 resamples
    got = nt.metrics.bootstrap_interval(many, n_resamples=100)
    draws = np.random.default_rng(0).integers(0, many.size, (100, many.size))
    np.testing.assert_array_equal(got.replicates, many[draws].mean(axis=1))


def test_undefined_resamples_are_left_out_and_said() -> None:
    pairs = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 2.0]])

    def slope(rows: np.ndarray) -> float:
        spread = rows[:, 0].var()
        return (
            float(((rows[:, 0] - rows[:, 0].mean()) * rows[:, 1]).mean() / spread)
            if spread
            else np.nan
        )

    with pytest.warns(NewtWarning, match=r"NaN in \d+ of 50 resamples"):
        got = nt.metrics.bootstrap_interval(pairs, statistic=slope, n_resamples=50)
    assert np.isfinite([got.low, got.high]).all()
    with pytest.warns(NewtWarning, match="50 of 50"):
        got = nt.metrics.bootstrap_interval(pairs, statistic=lambda _: np.nan, n_resamples=50)
    assert np.isnan([got.low, got.high]).all()


def test_interval_prints_short() -> None:
    assert str(nt.metrics.bootstrap_interval([0.5, 0.5])) == "0.500 [0.500, 0.500]"


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"values": []}, ValueError, "of 0 units none"),
        ({"values": [np.nan, np.nan]}, ValueError, "of 2 units none"),
        ({"values": ["a"]}, TypeError, "not numeric"),
        ({"values": 1.0}, ValueError, r"shape \(\)"),
        ({"values": np.zeros((3, 2))}, ValueError, "2 columns and no statistic"),
        ({"values": [1, 2], "other": [1]}, ValueError, r"other has shape \(1,\)"),
        ({"values": [1, 2], "groups": ["a"]}, ValueError, "groups has shape"),
        ({"values": [1, 2], "groups": [None, None]}, ValueError, "none"),
        ({"values": [1, 2], "n_resamples": 0}, ValueError, "n_resamples"),
        ({"values": [1, 2], "confidence_level": 95}, ValueError, "between 0 and 1"),
    ],
)
def test_bad_input(arguments: dict[str, object], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        nt.metrics.bootstrap_interval(**arguments)
