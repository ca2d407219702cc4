"""Sums over types, the types that a query holds, and shifts between data sets, against what they
are by definition.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import linalg, sparse

from newt_sc import _kernels
from newt_sc._kernels import _mapping

N_TYPES, N_DIMS = 6, 16


def vectors(n_genes: int, *, unknown: int = 0, seed: int = 0) -> np.ndarray:
    """Gene vectors of six modules; some genes have none."""
    rng = np.random.default_rng(seed)
    E = np.eye(N_TYPES, N_DIMS)[np.arange(n_genes) % N_TYPES] + 0.2 * rng.standard_normal(
        (n_genes, N_DIMS)
    )
    E[rng.permutation(n_genes)[:unknown]] = np.nan
    return E.astype(np.float32)


def cells(codes: np.ndarray, n_genes: int, *, seed: int = 0, first: int = 0) -> np.ndarray:
    """Cells whose type raises its module of genes."""
    rng = np.random.default_rng(seed)
    base = np.random.default_rng(99).uniform(1, 2, 1000)[first : first + n_genes]
    strength = np.linspace(0.6, 1.6, N_TYPES)[codes][:, None]
    X = (
        base
        + strength * (codes[:, None] == np.arange(n_genes) % N_TYPES)
        + 0.4 * rng.normal(size=(len(codes), n_genes))
    )
    return np.maximum(X, 0)


def sums(X: np.ndarray, codes: np.ndarray, E: np.ndarray, rank: int = 50) -> _kernels.TypeSums:
    centred = X - X.mean(axis=0)
    loadings = linalg.svd(centred, full_matrices=False)[2][:rank].T
    return _kernels.type_sums(X, centred @ loadings, codes, loadings=loadings, E=E)


def both(query: np.ndarray, ref: np.ndarray) -> tuple[_kernels.TypeSums, _kernels.TypeSums]:
    """Sums of a query and of a reference of these types, on other genes."""
    E, n = vectors(400), 200
    one = sums(cells(query, n, seed=1), np.zeros(len(query), dtype=int), E[:n])
    other = sums(cells(ref, n, seed=2, first=500), ref, E[n - 2 :][:n])
    return one, other


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_sums_are_those_of_a_loop(container: Any) -> None:
    rng = np.random.default_rng(0)
    codes = np.array([0, 2, 1, -1, 2, 2, 0, -1, 1, 0, 2])
    X = np.maximum(rng.normal(size=(11, 7)), 0)
    scores, loadings, E = (
        rng.normal(size=(11, 4)).astype(np.float32),
        rng.normal(size=(7, 4)),
        vectors(7),
    )
    found = _kernels.type_sums(container(X), scores, codes, loadings=loadings, E=E)
    for t in range(3):
        rows = [i for i in range(11) if codes[i] == t]
        assert found.share[t] == pytest.approx(len(rows) / 9)
        np.testing.assert_allclose(
            found.first[t], sum(scores[i].astype(float) for i in rows) / len(rows)
        )
        second = sum(
            np.outer(scores[i].astype(float), scores[i].astype(float)) for i in rows
        ) / len(rows)
        np.testing.assert_allclose(found.second[t], second)
        np.testing.assert_allclose(found.level[t], sum(X[i] for i in rows) / len(rows))
        np.testing.assert_allclose(found.square[t], sum(X[i] ** 2 for i in rows) / len(rows))
    assert found.level.dtype == found.second.dtype == np.float64
    assert found.known.all()


@pytest.mark.parametrize("types", [None, [0], [1, 4], [5, 2, 0], [0, 1, 2, 3, 4, 5]])
def test_directions_are_those_of_a_pca_of_these_cells(types: list[int] | None) -> None:
    rng = np.random.default_rng(0)
    n_genes = 30
    codes = np.repeat(np.arange(N_TYPES), [40, 50, 60, 45, 55, 35])
    X, E = cells(codes, n_genes), vectors(n_genes, unknown=4)
    basis = np.linalg.qr(rng.normal(size=(n_genes, n_genes)))[0]  # of full rank: nothing is lost
    found = _kernels.type_sums(
        X, (X - X.mean(axis=0)) @ basis, codes, loadings=basis, E=E
    ).directions(types)
    some = X if types is None else X[np.isin(codes, types)]
    known = np.isfinite(E).all(axis=1)
    values, axes = np.linalg.eigh(np.cov(some.T, bias=True))
    values, axes = values[::-1][:15], axes[:, ::-1][:, :15]
    rows = E[known].astype(float) - E[known].astype(float).mean(axis=0)
    expected = np.sqrt(values / values[0])[:, None] * (
        (axes / np.sqrt(some.std(axis=0))[:, None])[known].T @ rows
    )
    sign = np.sign((found * expected).sum(axis=1))[:, None]
    assert found.shape == (15, N_DIMS)
    np.testing.assert_allclose(sign * found, expected, atol=1e-6)


@pytest.mark.parametrize("types", [[0, 3], [1], [5], [2, 4], [0, 1, 5]])
def test_types_of_the_query_are_found(types: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    query, ref = both(np.repeat(types, 60), np.repeat(np.arange(N_TYPES), 40))
    present, gain = _kernels.present_types(query, ref)
    assert np.flatnonzero(present).tolist() == types
    assert gain > _mapping._MARGIN
    monkeypatch.setattr(_mapping, "_EXHAUSTIVE", 0)  # by steps, as for many types
    again, same = _kernels.present_types(query, ref)
    np.testing.assert_array_equal(again, present)
    assert same == pytest.approx(gain)


@pytest.mark.parametrize("exhaustive", [0, 8])
def test_all_types_count_where_fewer_are_not_better(
    exhaustive: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_mapping, "_EXHAUSTIVE", exhaustive)
    every = np.repeat(np.arange(N_TYPES), 40)
    present, gain = _kernels.present_types(*both(every, every))
    assert present.all()
    assert 0 <= gain <= _mapping._MARGIN


def test_one_type_and_types_that_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    query, ref = both(np.zeros(50, dtype=int), np.zeros(50, dtype=int))
    present, gain = _kernels.present_types(query, ref)
    assert (present.tolist(), gain) == ([True], 0.0)
    X, E = cells(np.zeros(80, dtype=int), 200), vectors(200)
    for n in (2, 4, 9):  # copies of one type
        codes = np.repeat(np.arange(n), 80)
        same = sums(np.tile(X, (n, 1)), codes, E)
        present, gain = _kernels.present_types(query, same)
        assert present.all()
        assert gain == pytest.approx(0, abs=1e-6)


def test_many_types_by_steps_are_as_good_as_all_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten types, of which four are halves of others: the score of what steps find is that of the
    best set.
    """
    codes = np.repeat(np.arange(N_TYPES), 60)
    split = np.where((codes < 4) & (np.arange(360) % 2 == 0), codes + N_TYPES, codes)
    query, _ = both(np.repeat([1, 3], 60), codes)
    ref = sums(cells(codes, 200, seed=2, first=500), split, vectors(400)[198:398])
    assert len(ref.share) == 10
    monkeypatch.setattr(_mapping, "_EXHAUSTIVE", 10)
    present, gain = _kernels.present_types(query, ref)
    monkeypatch.setattr(_mapping, "_EXHAUSTIVE", 8)
    again, other = _kernels.present_types(query, ref)
    assert set(split[np.isin(codes, [1, 3])]) >= set(np.flatnonzero(present))
    np.testing.assert_array_equal(again, present)
    assert other == pytest.approx(gain)


def test_distance_of_spectra() -> None:
    distance = _kernels.spectrum_distance
    assert distance(np.array([3.0, 1.0]), np.array([6.0, 2.0])) == 0
    assert distance(np.array([1.0, 0.0]), np.array([1.0, 1.0])) == pytest.approx(1)
    assert distance(np.array([1.0, *[0.0] * 14]), np.ones(15)) == pytest.approx(2 * 14 / 15)
    assert distance(np.array([3.0, 2.0, 1.0]), np.array([2.0, 2.0])) == pytest.approx(
        2 * 0.1
    )  # of the first two
    long = np.arange(40.0, 0, -1)
    assert distance(long, long[:15]) == 0  # the first fifteen
    assert isinstance(distance(long, np.ones(20)), float)
    assert distance(long, np.ones(20)) == distance(np.ones(20), long)


def types_of(X: np.ndarray, codes: np.ndarray) -> dict[str, np.ndarray]:
    each = [X[codes == t] for t in np.unique(codes)]
    return {
        "level": np.array([one.mean(axis=0) for one in each]),
        "square": np.array([(one**2).mean(axis=0) for one in each]),
        "share": np.array([len(one) / len(X) for one in each]),
    }


def test_mixtures_are_no_shift_and_shifts_are() -> None:
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(4), 100)
    centers = np.zeros((4, 20))
    centers[:, :4] = 5 * np.eye(4)
    ref = centers[codes] + rng.normal(size=(400, 20))
    told = types_of(ref, codes)
    for share in ([1, 0, 0, 0], [0.9, 0.1, 0, 0], [0.25] * 4):
        query = centers[rng.choice(4, 400, p=share)] + rng.normal(size=(400, 20))
        assert _kernels.batch_shift(query, **told) < 0.03
        for size in (1, 3, 6):  # orthogonal to all differences of types
            shift = np.zeros(20)
            shift[10] = size
            found = _kernels.batch_shift(query + shift, **told)
            assert found == pytest.approx(size**2 / 20, rel=0.15, abs=0.03)
            held = sparse.csr_matrix(query + shift)
            assert _kernels.batch_shift(held, **told) == pytest.approx(found)
    far = _kernels.batch_shift(centers[codes] * 2, **told)  # beyond the types, not between them
    assert far > 0.05
    assert _kernels.batch_shift(ref[:1], **told) >= 0


def test_shift_beside_types_that_do_not_vary() -> None:
    X = np.repeat(np.eye(3), 5, axis=0)
    told = types_of(X, np.repeat(np.arange(3), 5))
    assert _kernels.batch_shift(X, **told) == 0
    assert _kernels.batch_shift(X + np.array([0, 0, 9.0]), **told) > 1e6


@pytest.mark.parametrize("share", [[0.25] * 4, [0.9, 0.1, 0, 0], [1, 0, 0, 0], [0, 0, 0.5, 0.5]])
def test_shift_of_a_skewed_mixture(share: list[float]) -> None:
    rng = np.random.default_rng(1)
    codes = np.repeat(np.arange(4), 300)
    centers = 6 * np.eye(4, 5)
    spread = np.diag([1.0, 0.5, 1.5, 1.0, 0.3])
    ref = centers[codes] + rng.normal(size=(1200, 5)) @ spread
    shift = np.array([0.5, -0.4, 0.6, 0.3, -0.3])
    query = centers[rng.choice(4, 600, p=share)] + rng.normal(size=(600, 5)) @ spread + shift
    np.testing.assert_allclose(_kernels.mixture_shift(query, ref, codes), shift, atol=0.3)
    naive = query.mean(axis=0) - ref.mean(axis=0)
    if max(share) > 0.25:
        assert np.linalg.norm(naive - shift) > 5 * np.linalg.norm(
            _kernels.mixture_shift(query, ref, codes) - shift
        )


def test_shift_of_types_of_one_cell() -> None:
    ref = 9 * np.eye(3)
    found = _kernels.mixture_shift(ref[[0, 0, 1]] + 0.5, ref, np.arange(3))
    np.testing.assert_allclose(found, 0.5, atol=0.01)
