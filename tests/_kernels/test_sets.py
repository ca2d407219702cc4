"""Best-match similarity against a direct implementation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, stats

from newt_sc import _kernels


def vectors(n: int, d: int = 6, seed: int = 0) -> np.ndarray:
    return _kernels.unit_rows(np.random.default_rng(seed).standard_normal((n, d)) + 0.3).astype(
        np.float32
    )


def random_sets(
    n_sets: int, n_genes: int, sizes: tuple[int, int], seed: int = 0
) -> sparse.csr_array:
    rng = np.random.default_rng(seed)
    dense = np.zeros((n_sets, n_genes), dtype=np.float32)
    for row in dense:
        row[rng.choice(n_genes, rng.integers(*sizes), replace=False)] = 1
    return sparse.csr_array(dense)


def members(X: sparse.csr_array) -> list[set[int]]:
    return [set(map(int, np.flatnonzero(row))) for row in X.toarray()]


def direct(S: np.ndarray, a: list[int], b: list[int]) -> float:
    """Best-match similarity of one pair, as it is defined."""
    part = S[np.ix_(a, b)]
    return (part.max(axis=1).sum() + part.max(axis=0).sum()) / sum(part.shape)


@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize("twins", [False, True])
def test_scores_of_all_pairs(exclude: bool, twins: bool) -> None:
    n = 200  # more than one block of genes
    U = vectors(n)
    if twins:
        U[100:] = U[:100]  # best matches are tied
    A, B = random_sets(12, n, (0, 60), seed=1), random_sets(17, n, (1, 90), seed=2)
    A = sparse.csr_array(sparse.vstack([A, B[:1]]))  # one pair is the same set
    score, overlap = _kernels.best_match(U, A, B, exclude_overlap=exclude)
    assert score.dtype == np.float32
    S = U @ U.T
    for i, a in enumerate(members(A)):
        for j, b in enumerate(members(B)):
            assert overlap[i, j] == len(a & b)
            left = (a - b, b - a) if exclude else (a, b)
            if all(left):
                assert score[i, j] == pytest.approx(direct(S, *map(list, left)), abs=2e-6)
            else:
                assert np.isnan(score[i, j])


@pytest.mark.parametrize("exclude", [False, True])
def test_a_collection_with_itself(exclude: bool) -> None:
    U, A = vectors(150), random_sets(9, 150, (1, 50))
    one, _ = _kernels.best_match(U, A, A, exclude_overlap=exclude)
    two, _ = _kernels.best_match(U, A, A.copy(), exclude_overlap=exclude)
    np.testing.assert_allclose(one, two, rtol=1e-6)
    np.testing.assert_array_equal(one, one.T)
    if not exclude:
        np.testing.assert_allclose(np.diag(one), 1, rtol=1e-6)


@pytest.mark.parametrize("disjoint", [False, True])
def test_null_of_all_sizes(disjoint: bool) -> None:
    """Moments by prefixes agree with those of random sets drawn for each pair of sizes."""
    U = vectors(120)
    S = U @ U.T
    pool_a, pool_b = np.arange(80), np.arange(30, 120)
    sizes_a, sizes_b = np.array([7, 1, 20]), np.array([3, 30])
    mean, sd, skewness = _kernels.best_match_null(
        U, pool_a, pool_b, sizes_a=sizes_a, sizes_b=sizes_b, n_permutations=6000, disjoint=disjoint
    )
    rng = np.random.default_rng(1)
    for i, n in enumerate(sizes_a):
        for j, m in enumerate(sizes_b):
            null = []
            while len(null) < 3000:
                a = rng.choice(pool_a, n, replace=False)
                b = rng.choice(np.setdiff1d(pool_b, a) if disjoint else pool_b, m, replace=False)
                null.append(direct(S, a, b))
            assert mean[i, j] == pytest.approx(np.mean(null), abs=5 * np.std(null) / np.sqrt(3000))
            assert sd[i, j] == pytest.approx(np.std(null), rel=0.08)
            assert skewness[i, j] == pytest.approx(stats.skew(null), abs=0.25)


def test_null_of_one_draw_is_that_of_its_prefixes() -> None:
    U = vectors(40)
    mean, sd, skewness = _kernels.best_match_null(
        U,
        np.arange(40),
        np.arange(40),
        sizes_a=np.arange(1, 12),
        sizes_b=np.arange(1, 9),
        n_permutations=1,
        random_state=3,
    )
    rng = np.random.default_rng(3)
    a, b = rng.choice(40, 11, replace=False), rng.choice(40, 8, replace=False)
    expected = [[direct(U @ U.T, a[:n], b[:m]) for m in range(1, 9)] for n in range(1, 12)]
    np.testing.assert_allclose(mean, expected, atol=1e-6)
    assert not skewness.any()
    assert sd.max() < 1e-6


def test_null_repeats_and_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    from newt_sc._kernels import _sets

    U, pool, sizes = vectors(50), np.arange(50), np.array([2, 9])
    first = _kernels.best_match_null(U, pool, pool, sizes_a=sizes, sizes_b=sizes, n_permutations=21)
    monkeypatch.setattr(_sets, "_NULL_BYTES", 1)
    second = _kernels.best_match_null(
        U, pool, pool, sizes_a=sizes, sizes_b=sizes, n_permutations=21
    )
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-9)


def test_null_needs_enough_genes() -> None:
    U = vectors(30)
    with pytest.raises(
        ValueError, match="Random sets of 31 and 2 genes cannot be drawn from 30 and 30"
    ):
        _kernels.best_match_null(
            U, np.arange(30), np.arange(30), sizes_a=np.array([31]), sizes_b=np.array([2])
        )
    with pytest.raises(ValueError, match="20 and 20 without a gene in common from 30"):
        _kernels.best_match_null(
            U,
            np.arange(30),
            np.arange(30),
            sizes_a=np.array([20]),
            sizes_b=np.array([20]),
            disjoint=True,
        )


def test_upper_tail() -> None:
    z = np.array([-3.0, 0.0, 1.5, 4.0, np.nan])
    for skewness in (-0.7, 0.0, 0.02, 0.3, 1.2):
        expected = stats.pearson3.sf(z, max(skewness, 0))
        np.testing.assert_allclose(
            _kernels.upper_tail(z, np.float64(skewness)), expected, rtol=1e-6
        )
    assert _kernels.upper_tail(np.array([-50.0]), np.array([1.0])) == 1


def deviation(S: np.ndarray, ranked: np.ndarray, b: list[int]) -> tuple[float, int]:
    """Running sum of one set, as it is defined."""
    best = S[np.ix_(ranked, b)].max(axis=1).astype(float)
    running = np.cumsum(best - best.mean())
    at = int(np.abs(running).argmax())
    return running[at], at + 1


def test_deviation_along_a_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    from newt_sc._kernels import _sets

    U, B = vectors(200), random_sets(11, 200, (1, 40))
    ranked = np.random.default_rng(4).permutation(200)[:150]
    score, peak = _kernels.rank_deviation(U, ranked, B)
    for k, b in enumerate(members(B)):
        expected, at = deviation(U @ U.T, ranked, sorted(b))
        assert score[k] == pytest.approx(expected, rel=1e-4)
        assert peak[k] == at
    monkeypatch.setattr(_sets, "_NULL_BYTES", 1)  # a set at a time
    np.testing.assert_array_equal(_kernels.rank_deviation(U, ranked, B)[0], score)


def test_null_along_a_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    from newt_sc._kernels import _sets

    U, ranked, pool = vectors(60), np.arange(50), np.arange(10, 60)
    null = _kernels.rank_deviation_null(
        U, ranked, pool, sizes=np.array([9, 2]), n_permutations=40, random_state=2
    )
    rng = np.random.default_rng(2)
    for row in null:
        order = pool[rng.choice(50, 9, replace=False)]
        expected = [deviation(U @ U.T, ranked, order[:n].tolist())[0] for n in (9, 2)]
        np.testing.assert_allclose(row, expected, rtol=1e-4)
    monkeypatch.setattr(_sets, "_RANK_BYTES", 1)
    again = _kernels.rank_deviation_null(
        U, ranked, pool, sizes=np.array([9, 2]), n_permutations=40, random_state=2
    )
    np.testing.assert_allclose(again, null, rtol=1e-5)
    with pytest.raises(ValueError, match="Random sets of 51 genes cannot be drawn from 50"):
        _kernels.rank_deviation_null(U, ranked, pool, sizes=np.array([51]))
