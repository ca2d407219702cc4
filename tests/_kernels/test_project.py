"""Projection against the dense product in float64."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from newt_sc import _kernels

SPARSE = (sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.csc_array)
DTYPES = (np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_)


def make(n=301, genes=83, d=7, density=0.2, seed=0):
    rng = np.random.default_rng(seed)
    X = np.where(rng.random((n, genes)) < density, rng.integers(1, 9, (n, genes)), 0)
    X[5] = 0  # an empty row, an empty column
    X[:, 11] = 0
    return X, rng.standard_normal((genes, d))


def check(X, dense, E, center=None):
    got = _kernels.project(X, E, center=center)
    assert got.dtype == np.float32
    dense, E = np.asarray(dense, dtype=np.float64), np.asarray(E, dtype=np.float64)
    expected = (dense if center is None else dense - center) @ E
    np.testing.assert_allclose(
        got, expected, rtol=1e-4, atol=1e-4 * max(1, np.abs(expected).max(initial=0))
    )


@pytest.mark.parametrize("container", [np.asarray, *SPARSE])
@pytest.mark.parametrize("dtype", DTYPES)
def test_equals_dense_product(container, dtype):
    dense, E = make()
    dense = dense.astype(dtype)
    center = np.random.default_rng(1).random(len(E))
    check(container(dense), dense, E)
    check(container(dense), dense, E, center)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_array])
@pytest.mark.parametrize(
    "shape",
    [(0, 5, 3), (4, 0, 3), (4, 5, 0), (1, 1, 1), (256, 64, 4), (257, 129, 33)],
    ids=str,
)
def test_shapes(container, shape):
    n, genes, d = shape
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((n, genes)) < 0.3, rng.random((n, genes)), 0).astype(np.float32)
    E = rng.standard_normal((genes, d)).astype(np.float32)
    check(container(dense), dense, E)
    assert _kernels.project(container(dense), E).shape == (n, d)


@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_array])
def test_many_tiles(container):
    """So wide a table that rows cross several tiles of genes and blocks of rows."""
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((530, 300)) < 0.1, rng.random((530, 300)), 0)
    check(container(dense), dense, rng.standard_normal((300, 1030)))


@pytest.mark.parametrize("container", SPARSE)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("parallel", [True, False])
def test_where_much_is_stored(container, dtype, parallel, monkeypatch):
    """Through BLAS, in blocks of rows, with an odd one at the end."""
    monkeypatch.setattr("newt_sc._kernels._project._DENSE_BYTES", 4 * 83 * 50)
    dense, E = make(density=0.9)
    X, center = container(dense.astype(dtype)), np.random.default_rng(1).random(len(E))
    assert X.nnz > 0.8 * dense.size
    got = _kernels.project(X, E, center=center, parallel=parallel)
    expected = (dense.astype(dtype).astype(np.float64) - center) @ E
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("container", [np.asarray, *SPARSE])
def test_on_one_thread_it_is_the_same(container):
    dense, E = make(n=700, d=65)
    X, center = container(dense.astype(np.float32)), np.random.default_rng(1).random(len(E))
    np.testing.assert_allclose(
        _kernels.project(X, E, center=center, parallel=False),
        _kernels.project(X, E, center=center),
        rtol=1e-6,
    )


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("container", SPARSE)
def test_index_types(container, index):
    dense, E = make()
    X = container(dense.astype(np.float32))
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    assert X.indices.dtype == index
    check(X, dense, E)


@pytest.mark.parametrize(
    "container", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.csc_array]
)
def test_unsorted_and_duplicate_indices_are_left_as_they_are(container):
    rng = np.random.default_rng(0)
    n, genes, nnz = 40, 30, 400
    rows, cols = rng.integers(0, n, nnz), rng.integers(0, genes, nnz)
    values = rng.random(nnz).astype(np.float32)
    dense = np.zeros((n, genes))
    np.add.at(dense, (rows, cols), values)
    major, minor, size = (rows, cols, n) if "csr" in container.__name__ else (cols, rows, genes)
    order = np.argsort(major, kind="stable")
    indptr = np.concatenate([[0], np.bincount(major, minlength=size).cumsum()])
    X = container((values[order], minor[order], indptr), shape=(n, genes))
    assert not X.has_sorted_indices
    before = [part.copy() for part in (X.data, X.indices, X.indptr)]
    check(X, dense, rng.standard_normal((genes, 5)))
    for part, old in zip((X.data, X.indices, X.indptr), before, strict=True):
        np.testing.assert_array_equal(part, old)


@pytest.mark.parametrize("container", [np.asarray, *SPARSE])
def test_read_only_input(container):
    dense, E = make()
    X, center = container(dense.astype(np.float32)), np.full(len(E), 0.5)
    for part in (
        E,
        center,
        *((X,) if isinstance(X, np.ndarray) else (X.data, X.indices, X.indptr)),
    ):
        part.flags.writeable = False
    check(X, dense, E, center)


@pytest.mark.parametrize("container", [np.asarray, *SPARSE])
def test_input_is_not_changed(container):
    dense, E = make()
    X, center = container(dense.astype(np.float64)), np.random.default_rng(1).random(len(E))
    copies = E.copy(), center.copy()
    _kernels.project(X, E, center=center)
    np.testing.assert_array_equal(X.toarray() if sparse.issparse(X) else X, dense)
    np.testing.assert_array_equal(E, copies[0])
    np.testing.assert_array_equal(center, copies[1])


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_views_and_orders(container):
    dense, E = make()
    wide = np.random.default_rng(2).standard_normal((2 * len(E), 22))
    for table in (
        wide[::2, ::3],
        np.asfortranarray(E),
        E[::-1],
        E.astype(np.float16),
        np.rint(E).astype(int),
    ):
        check(container(dense), dense, table)
    check(np.asfortranarray(dense), dense, E)
    check(dense[::-2, :], dense[::-2, :], E)
    check(container(dense)[::-2], dense[::-2], E)


def test_nan_reaches_only_its_row():
    dense, E = make()
    X = sparse.csr_array(dense.astype(np.float64))
    X.data[0] = np.nan
    row = np.flatnonzero(np.diff(X.indptr))[0]
    bad = np.isnan(_kernels.project(X, E)).any(axis=1)
    assert np.flatnonzero(bad).tolist() == [row]


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.csc_array])
def test_repeats_bit_for_bit(container):
    dense, E = make(n=700, d=65)
    X = container(dense.astype(np.float32))
    np.testing.assert_array_equal(_kernels.project(X, E), _kernels.project(X, E))


@pytest.mark.parametrize(
    ("X", "E"),
    [
        (np.ones((3, 4)), np.ones((5, 2))),
        (np.ones(4), np.ones((4, 2))),
        (np.ones((3, 4)), np.ones(4)),
        (np.ones((2, 3, 4)), np.ones((4, 2))),
        (sparse.csr_array(np.ones((3, 4))), np.ones((3, 2))),
    ],
)
def test_shapes_that_do_not_fit(X, E):
    with pytest.raises(ValueError, match="do not fit: expected n x genes and genes x d"):
        _kernels.project(X, E)


@pytest.mark.parametrize(
    "X",
    [
        sparse.coo_array(np.ones((3, 4))),
        [[1.0, 2.0, 3.0, 4.0]],
        None,
        "X",
        np.ones((3, 4), dtype=complex),
        np.full((3, 4), "a"),
        np.full((3, 4), None),
        sparse.csr_array(np.ones((3, 4), dtype=complex)),
    ],
    ids=lambda X: type(X).__name__,
)
def test_other_kinds_are_refused(X):
    with pytest.raises(TypeError, match="expected a numpy array or a scipy CSR or CSC"):
        _kernels.project(X, np.ones((4, 2)))


@pytest.mark.parametrize("center", [np.ones(3), np.ones((4, 1)), 0.0])
def test_center_of_another_shape(center):
    with pytest.raises(ValueError, match=r"center has shape .*, expected \(4,\)"):
        _kernels.project(np.ones((3, 4)), np.ones((4, 2)), center=center)
