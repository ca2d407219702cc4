"""Spectral blocks against literal loops."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from scipy import sparse

from newt_sc import _kernels


def counts(shape=(20, 12), density=0.4, seed=0):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < density, rng.integers(1, 5, shape), 0).astype(float)


def literal_tfidf(X, min_size):
    n, m = X.shape
    keep = [j for j in range(m) if sum(X[i, j] != 0 for i in range(n)) >= min_size]
    out = np.zeros((n, len(keep)))
    for c, j in enumerate(keep):
        size = sum(X[i, j] != 0 for i in range(n))
        for i in range(n):
            out[i, c] = X[i, j] * log(n / size)
    for row in out:
        if row.any():
            row /= np.sqrt((row**2).sum())
    return out


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("min_size", [1, 3, 8])
def test_tfidf(binary, min_size):
    X = counts()
    X[4] = 0
    X[:, 2] = 1  # in all genes: tells nothing
    X = (X > 0).astype(float) if binary else X
    got = _kernels.tfidf(sparse.csr_array(X), min_size=min_size)
    np.testing.assert_allclose(got.toarray(), literal_tfidf(X, min_size), atol=1e-12)
    assert not got.toarray()[4].any()


def with_zeros_and_duplicates(X):
    """Store every entry in two halves, and some zeros."""
    coo = sparse.coo_array(X)
    empty = np.argwhere(X == 0)[:9].T
    rows = np.concatenate([coo.row, coo.row, empty[0]])
    cols = np.concatenate([coo.col, coo.col, empty[1]])
    values = np.concatenate([coo.data / 2, coo.data / 2, np.zeros(len(empty[0]))])
    order = np.argsort(rows, kind="stable")
    indptr = np.concatenate([[0], np.bincount(rows, minlength=len(X)).cumsum()])
    return sparse.csr_array((values[order], cols[order], indptr), shape=X.shape)


@pytest.mark.parametrize("kernel", [_kernels.tfidf, _kernels.ppmi])
def test_stored_zeros_and_duplicates_do_not_count(kernel):
    X = counts()
    stored = with_zeros_and_duplicates(X)
    nnz = stored.nnz
    assert nnz > np.count_nonzero(X)
    got = kernel(stored)
    np.testing.assert_allclose(got.toarray(), kernel(sparse.csr_array(X)).toarray(), atol=1e-12)
    assert stored.nnz == nnz


def test_tfidf_without_a_feature_left():
    assert _kernels.tfidf(sparse.csr_array(np.eye(4))).shape == (4, 0)


def literal_ppmi(X):
    out, total = np.zeros(X.shape), X.sum()
    for i in range(X.shape[0]):
        for j in range(X.shape[1]):
            if X[i, j]:
                out[i, j] = max(0, log(X[i, j] * total / (X[i].sum() * X[:, j].sum())))
    return out


@pytest.mark.parametrize(
    "container", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array, sparse.csc_array]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_ppmi(container, dtype):
    X = counts().astype(dtype)
    X[3], X[:, 5] = 0, 0
    before = container(X)
    got = _kernels.ppmi(before)
    np.testing.assert_allclose(got.toarray(), literal_ppmi(X.astype(float)), atol=1e-10)
    assert (got.data > 0).all()
    np.testing.assert_array_equal(before.toarray(), X)


def literal_zscores(X, groups):
    out = np.zeros(X.shape)
    for group in set(groups):
        at = [j for j, g in enumerate(groups) if g == group]
        present = [i for i in range(len(X)) if all(np.isfinite(X[i, j]) for j in at)]
        for i in present:
            for j in at:
                if len(at) < 3:
                    value = X[i, j] - np.mean([X[k, j] for k in present])
                else:
                    values = [X[i, k] for k in at]
                    value = (X[i, j] - np.mean(values)) / max(np.std(values), 0.25)
                out[i, j] = value / len(at) ** 0.25
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zscore_groups(dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(5, 2, (15, 10)).astype(dtype)
    groups = list("abcabbabbd")  # a of three, b of five, c and d of one
    X[2, 0] = np.nan  # one missing value: absent from the whole of a
    X[3, [1, 4, 5]] = np.nan
    X[6, 9] = np.inf
    X[7, [1, 4, 5, 7, 8]] = 1.0  # constant
    before = X.copy()
    got = _kernels.zscore_groups(X, groups)
    np.testing.assert_allclose(got, literal_zscores(X, groups), atol=1e-6)
    assert not got[2, [0, 3, 6]].any()
    assert not got[7, [1, 4, 5, 7, 8]].any()
    np.testing.assert_array_equal(X, before)


def test_zscore_groups_of_an_absent_data_set():
    X = np.column_stack([np.full((4, 3), np.nan), np.arange(12.0).reshape(4, 3)])
    got = _kernels.zscore_groups(X, ["a"] * 3 + ["b"] * 3)
    assert not got[:, :3].any()
    assert got[:, 3:].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_unit_rows(dtype):
    X = np.array([[3, 4], [0, 0], [0, -2]], dtype=dtype)
    np.testing.assert_allclose(_kernels.unit_rows(X), [[0.6, 0.8], [0, 0], [0, -1]], rtol=1e-6)
    assert np.isnan(_kernels.unit_rows(np.array([[np.nan, 1.0]]))).all()


def literal_block(X, k, power):
    left, size, _ = np.linalg.svd(X, full_matrices=False)
    left, size = left[:, :k], size[:k]
    for c in range(k):
        if left[np.abs(left[:, c]).argmax(), c] < 0:
            left[:, c] *= -1
    block = left * size**power
    block = block - block.mean(axis=0)
    return block / np.linalg.norm(block, axis=1, keepdims=True)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("power", [0.5, 1.0])
def test_spectral_block(container, power):
    X = counts((40, 15))
    got = _kernels.spectral_block(container(X), 6, power=power)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, literal_block(X, 6, power), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(got, _kernels.spectral_block(container(X), 6, power=power))


def test_spectral_block_centres_before_it_scales_rows():
    """Of points far from the origin only what tells them apart is left."""
    X = counts((40, 15)) + 100
    got = _kernels.spectral_block(X, 5)
    cosine = got @ got.T
    assert cosine[~np.eye(40, dtype=bool)].mean() < 0.1


def test_spectral_block_sign_does_not_hang_on_the_seed():
    X = counts((40, 15))
    one, two = (_kernels.spectral_block(X, 15, random_state=seed) for seed in (0, 1))
    np.testing.assert_allclose(one, two, atol=1e-4)


@pytest.mark.parametrize(("shape", "expected"), [((9, 4), 4), ((3, 8), 3), ((1, 5), 1)])
def test_spectral_block_has_at_most_the_rank_of_its_input(shape, expected):
    got = _kernels.spectral_block(counts(shape, 0.9), 128)
    assert got.shape == (shape[0], expected)
    assert np.isfinite(got).all()


def test_spectral_block_of_zeros():
    np.testing.assert_array_equal(_kernels.spectral_block(np.zeros((5, 4)), 2), np.zeros((5, 2)))


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_fuse(power):
    rng = np.random.default_rng(0)
    blocks = [rng.standard_normal((30, 5)).astype(np.float32), rng.standard_normal((30, 4))]
    blocks[1][[2, 7]] = np.nan
    before = [block.copy() for block in blocks]
    got = _kernels.fuse(blocks, 6, power=power)
    joined = np.hstack([np.where(np.isnan(block), 0, block) for block in blocks])
    left, size, _ = np.linalg.svd(joined - joined.mean(axis=0), full_matrices=False)
    left = left[:, :6] * np.sign(left[np.abs(left).argmax(axis=0), np.arange(9)][:6])
    np.testing.assert_allclose(got, left * size[:6] ** power, atol=1e-4)
    assert got.dtype == np.float32
    assert (np.diff(got.var(axis=0)) <= 0).all()
    np.testing.assert_array_equal(got, _kernels.fuse(blocks, 6, power=power))
    for block, old in zip(blocks, before, strict=True):
        np.testing.assert_array_equal(block, old)


def test_fuse_gives_no_more_dimensions_than_there_are():
    blocks = [np.random.default_rng(0).standard_normal((30, 5))]
    assert _kernels.fuse(blocks, 256).shape == (30, 5)
