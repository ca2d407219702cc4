"""Signatures in a gene space, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import norm, rankdata

from newt_sc import _kernels


@pytest.fixture
def X() -> sparse.csr_array:
    rng = np.random.default_rng(0)
    dense = rng.standard_t(2, size=(6, 15)) * (rng.random((6, 15)) < 0.6)
    dense[1] = np.abs(dense[1])
    dense[2] = 0
    dense[3, :4] = [2, -2, 2, 5]
    return sparse.csr_array(dense.astype(np.float32))


@pytest.fixture
def E() -> np.ndarray:
    return np.random.default_rng(1).normal(0.3, 1, size=(15, 4)).astype(np.float32)


def test_scores_are_signed_ranks(X):
    got = _kernels.signed_scores(X).toarray()
    for row, scores in zip(X.toarray(), got, strict=True):
        changed = row != 0
        rank = rankdata(np.abs(row[changed]))
        expected = np.sign(row[changed]) * norm.ppf((1 + rank / (changed.sum() + 1)) / 2)
        np.testing.assert_allclose(scores[changed], expected, rtol=1e-5)
        assert not scores[~changed].any()


def test_scores_know_order_and_sign_only(X):
    stretched = X.copy()
    stretched.data = np.sign(X.data) * np.abs(X.data) ** 3 * 7
    np.testing.assert_array_equal(
        _kernels.signed_scores(X).toarray(), _kernels.signed_scores(stretched).toarray()
    )


def test_scores_of_equal_rows_do_not_mix():
    """The last change of a row and the first of the next may be equal."""
    got = _kernels.signed_scores(sparse.csr_array(np.array([[1.0, 2.0], [2.0, 3.0]])))
    np.testing.assert_array_equal(got.toarray()[0], got.toarray()[1])


def test_scores_ignore_stored_zeros_and_leave_the_input(X):
    stored = X.copy()
    stored.data[3] = 0
    before = stored.data.copy()
    clean = stored.copy()
    clean.eliminate_zeros()
    np.testing.assert_array_equal(
        _kernels.signed_scores(stored).toarray(), _kernels.signed_scores(clean).toarray()
    )
    np.testing.assert_array_equal(stored.data, before)
    assert _kernels.signed_scores(sparse.csr_array((3, 4))).nnz == 0


def test_projection(X, E):
    signed, up, down = _kernels.project_signatures(X, E)
    for i, row in enumerate(X.toarray().astype(float)):
        parts = (
            row / np.linalg.norm(row) if row.any() else row * np.nan,
            np.maximum(row, 0),
            np.maximum(-row, 0),
        )
        np.testing.assert_allclose(signed[i], parts[0] @ E, rtol=1e-4, atol=1e-5)
        for got, part in ((up[i], parts[1]), (down[i], parts[2])):
            if part.any():
                np.testing.assert_allclose(
                    got, np.average(E, axis=0, weights=part), rtol=1e-4, atol=1e-5
                )
            else:
                assert np.isnan(got).all()
    assert signed.dtype == up.dtype == down.dtype == np.float32
    assert np.isnan(signed[2]).all()
    assert np.isnan(down[1]).all()


def cosines(E: np.ndarray) -> np.ndarray:
    unit = E / np.linalg.norm(E, axis=1, keepdims=True)
    return unit @ unit.T


def test_background(E):
    U = _kernels.unit_rows(E)
    mean, deviation = _kernels.background_cosine(U)
    np.testing.assert_allclose(mean, cosines(E).mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(deviation, cosines(E).std(axis=1), rtol=1e-4)
    some = _kernels.background_cosine(U, np.array([4, 2]))
    np.testing.assert_array_equal(some, [mean[[4, 2]], deviation[[4, 2]]])


def test_weights_of_gene_lists(E):
    """As published, one list at a time, gene by gene."""
    lists = [[0, 3, 4, 7], [1, 2], [5], list(range(15))]
    X = sparse.lil_array((5, 15), dtype=np.float32)
    for i, members in enumerate(lists):
        X[i, members] = 1
    U = _kernels.unit_rows(E)
    mean, deviation = _kernels.background_cosine(U)
    got = _kernels.list_weights(sparse.csr_array(X), U, mean=mean, deviation=deviation).toarray()
    C = cosines(E)
    for i, members in enumerate(lists):
        for gene in range(15):
            z = (C[gene, members].mean() - C[gene].mean()) / C[gene].std()
            expected = np.clip(z, 0, 1) if gene in members else 0
            assert got[i, gene] == pytest.approx(expected, abs=1e-5)
    assert not got[4].any()
    np.testing.assert_allclose(got[3], 0, atol=1e-5)  # the list of all genes is the background


def test_weights_count_larger_changes_more(E):
    U = _kernels.unit_rows(E)
    mean, deviation = _kernels.background_cosine(U)
    X = sparse.csr_array(np.array([[4, 0, 1] + [0] * 12], dtype=np.float32))
    got = _kernels.list_weights(X, U, mean=mean, deviation=deviation).toarray()[0]
    cosine = (4 * cosines(E)[2, 0] + cosines(E)[2, 2]) / 5
    assert got[2] == pytest.approx(np.clip((cosine - mean[2]) / deviation[2], 0, 1), abs=1e-5)


def test_a_gene_without_spread_has_no_weight(E):
    U = _kernels.unit_rows(np.ones_like(E))
    X = sparse.csr_array(np.ones((1, 15), dtype=np.float32))
    assert (
        not _kernels.list_weights(X, U, mean=np.zeros(15), deviation=np.zeros(15)).toarray().any()
    )
