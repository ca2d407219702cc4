"""Sums of columns against numpy, whole and by blocks."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest
from scipy import sparse

from newt_sc import _kernels

CONTAINERS = (
    np.asarray,
    np.asfortranarray,
    sparse.csr_matrix,
    sparse.csc_matrix,
    sparse.csr_array,
    sparse.csc_array,
)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.longdouble, np.int8, np.int64, np.uint16, bool]
)
def test_equals_numpy(container, dtype):
    X = np.random.default_rng(0).poisson(0.8, (60, 9)).astype(dtype)
    X[7], X[:, 2] = 0, 0
    if (
        container is not np.asarray
        and container is not np.asfortranarray
        and dtype in (np.float16, np.longdouble)
    ):
        pytest.skip("scipy has no sparse matrices of this type")
    parts = [_kernels.column_sums(container(X[i : i + 17])) for i in range(0, 60, 17)]
    wide = X.astype(np.float64)
    for sums in (_kernels.column_sums(container(X)), reduce(add, parts)):
        np.testing.assert_allclose(sums.total, wide.sum(axis=0), rtol=1e-12)
        np.testing.assert_allclose(sums.square, (wide**2).sum(axis=0), rtol=1e-12)
        assert (sums.n, sums.n_empty) == (60, (wide == 0).all(axis=1).sum())
        assert (sums.minimum, sums.maximum, sums.integer, sums.finite) == (
            wide.min(),
            wide.max(),
            True,
            True,
        )


def test_sums_are_of_double_precision():
    X = np.full((3000, 1), 0.1, dtype=np.float32)
    sums = _kernels.column_sums(X)
    np.testing.assert_allclose(sums.square, 3000 * np.float64(np.float32(0.1)) ** 2, rtol=1e-12)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(container, value):
    X = np.ones((5, 4))
    X[3, 1] = value
    found = _kernels.column_sums(container(X))
    assert not found.finite
    assert not found.integer  # nothing is told of values that are not all there


@pytest.mark.parametrize("container", CONTAINERS)
def test_not_whole(container):
    X = np.ones((5, 4))
    X[3, 1] = -1.5
    sums = _kernels.column_sums(container(X))
    assert not sums.integer
    assert (sums.minimum, sums.maximum) == (-1.5, 1)


def test_explicit_zeros_are_no_values():
    X = sparse.csr_array((np.array([0.0, 2.0]), (np.array([0, 1]), np.array([1, 0]))), shape=(2, 2))
    assert _kernels.column_sums(X).n_empty == 1
    assert _kernels.column_sums(X.tocsc()).n_empty == 1
    assert _kernels.column_sums(X[:1]).minimum == 0


@pytest.mark.parametrize("container", CONTAINERS)
def test_sums_of_rows_over_some_columns(container):
    X = np.random.default_rng(0).poisson(0.8, (60, 9)).astype(np.float32)
    some = np.arange(9) % 3 > 0
    for which in (None, some):
        sums = reduce(
            add, (_kernels.column_sums(container(X[i : i + 17]), which) for i in range(0, 60, 17))
        )
        by_row = X.sum(axis=1) if which is None else X[:, which].sum(axis=1)
        np.testing.assert_allclose(
            [sums.row_total, sums.row_square], [by_row.sum(), by_row @ by_row], rtol=1e-12
        )


def test_squares_that_overflow_are_finite_values():
    sums = _kernels.column_sums(np.array([[1e200, 2.0], [1.0, -3.0]]))
    assert sums.finite
    assert (sums.minimum, sums.maximum, sums.integer) == (-3, 1e200, True)


def test_one_value_among_many_that_is_not_whole():
    X = np.ones((10, 1000))
    X[9, 999] = 0.5
    for container in (np.asarray, sparse.csr_array, sparse.csc_array):
        assert not _kernels.column_sums(container(X)).integer
