from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from newt_sc import _kernels


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_tail_p_counts(rng: np.random.Generator) -> None:
    observed, null = rng.normal(size=7), np.round(rng.normal(size=50), 1)
    observed[0] = null[3]  # ties count
    expected = [(1 + (null >= x).sum()) / 51 for x in observed]
    np.testing.assert_allclose(_kernels.tail_p(observed, null), expected)


def test_null_keeps_columns_and_breaks_rows(rng: np.random.Generator) -> None:
    X = np.repeat(rng.standard_normal((15, 1000)), 2, axis=0)  # pairs of equal rows
    null = list(_kernels.null_similarities([X], [(0.0, 1.0)], n_permutations=3))
    assert [part.shape for part in null] == [(435,)] * 3
    assert max(part.max() for part in null) < 0.3  # equal rows are gone
    assert not np.array_equal(null[0], null[1])
    again = next(_kernels.null_similarities([X], [(0.0, 1.0)], n_permutations=1))
    np.testing.assert_array_equal(again, null[0])


def test_null_of_two_parts_is_the_mean_of_their_z(rng: np.random.Generator) -> None:
    X, Y = rng.standard_normal((6, 30)), rng.standard_normal((6, 4))
    found = next(_kernels.null_similarities([X, Y], [(0.1, 2.0), (0.2, 0.5)], n_permutations=1))
    twin = np.random.default_rng(0)
    above = np.triu_indices(6, 1)
    parts = []
    for Z, mean, sd in ((X, 0.1, 2.0), (Y, 0.2, 0.5)):
        P = twin.permuted(Z, axis=0)
        P /= np.linalg.norm(P, axis=1, keepdims=True)
        parts.append(((P @ P.T)[above] - mean) / sd)
    np.testing.assert_allclose(found, np.mean(parts, axis=0))


def test_top_pairs_keeps_what_either_row_keeps() -> None:
    S = np.array([[1, 0.9, 0.2, 0.1], [0.9, 1, 0.8, 0.3], [0.2, 0.8, 1, 0.7], [0.1, 0.3, 0.7, 1]])
    keep = _kernels.top_pairs(S, ~np.eye(4, dtype=bool), 1)
    assert np.argwhere(np.triu(keep)).tolist() == [[0, 1], [1, 2], [2, 3]]
    assert not _kernels.top_pairs(S, np.zeros((4, 4), dtype=bool), 2).any()


@pytest.mark.parametrize("k", [1, 2, 7, 39, 60])
def test_top_pairs_are_those_of_a_full_sort(rng: np.random.Generator, k: int) -> None:
    S = rng.random((40, 40))
    S += S.T
    allowed = rng.random((40, 40)) < 0.8
    allowed = (allowed & allowed.T) & ~np.eye(40, dtype=bool)
    expected = np.zeros((40, 40), dtype=bool)
    for i in range(40):
        some = sorted(np.flatnonzero(allowed[i]), key=lambda j, i=i: -S[i, j])[:k]
        expected[i, some] = expected[some, i] = True
    np.testing.assert_array_equal(_kernels.top_pairs(S, allowed, k), expected)


def test_strata_overlap_is_hypergeometric_in_one_stratum(rng: np.random.Generator) -> None:
    inside, labelled = rng.random(60) < 0.3, rng.random(60) < 0.4
    count, mean, sd, p = _kernels.strata_overlap(inside, labelled, np.zeros(60, dtype=int))
    law = stats.hypergeom(60, labelled.sum(), inside.sum())
    assert count == (inside & labelled).sum()
    assert (mean, sd, p) == pytest.approx((law.mean(), law.std(), law.sf(count - 1)))


def test_strata_overlap_is_what_permutation_within_strata_gives(rng: np.random.Generator) -> None:
    strata = rng.integers(0, 3, 50)
    inside = rng.random(50) < np.array([0.1, 0.3, 0.8])[strata]
    labelled = rng.random(50) < np.array([0.2, 0.3, 0.7])[strata]
    count, mean, sd, p = _kernels.strata_overlap(inside, labelled, strata)
    drawn = np.zeros(4000)
    for s in range(3):
        at = np.flatnonzero(strata == s)
        drawn += [(rng.permutation(labelled[at]) & inside[at]).sum() for _ in range(4000)]
    assert mean == pytest.approx(drawn.mean(), abs=0.1)
    assert sd == pytest.approx(drawn.std(), abs=0.1)
    assert p == pytest.approx((drawn >= count).mean(), abs=0.03)
    assert (
        p > _kernels.strata_overlap(inside, labelled, np.zeros(50, dtype=int))[3]
    )  # strata explain some of it


def test_no_p_is_above_one() -> None:
    """The probability of at least none is 1; the sum of its parts may be more, by rounding."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(6, 40))
        inside = rng.random(n) < 0.5
        labelled = (rng.random(n) < 0.3) & ~inside
        count, _, _, p = _kernels.strata_overlap(inside, labelled, rng.integers(0, 3, n))
        assert count == 0
        assert p <= 1
        assert p == pytest.approx(1)
