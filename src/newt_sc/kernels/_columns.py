"""Sums of columns that add up over blocks of rows, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from scipy import sparse

from ._project import _read_only

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ColumnSums", "column_sums"]


@dataclass(frozen=True)
class ColumnSums:
    """What a block of rows adds to the statistics of the columns.

    Attributes
    ----------
    n, n_empty
        Rows, and rows without any value other than zero.
    total, square
        Sum and sum of squares of each column, float64.
    minimum, maximum
        Over all values; infinities where there is none.
    integer
        Whether all values are whole numbers.
    finite
        Whether no value is NaN or infinite.
    """

    n: int
    n_empty: int
    total: NDArray[np.float64]
    square: NDArray[np.float64]
    minimum: float
    maximum: float
    integer: bool
    finite: bool

    def __add__(self, other: ColumnSums) -> ColumnSums:
        return ColumnSums(
            self.n + other.n,
            self.n_empty + other.n_empty,
            self.total + other.total,
            self.square + other.square,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            self.integer and other.integer,
            self.finite and other.finite,
        )


@numba.njit(nogil=True, cache=True)
def _kinds(values: Any) -> Any:  # pragma: no cover
    """Smallest, largest, whether all are whole, whether all are finite."""
    low, high, whole, finite = np.inf, -np.inf, True, True
    for value in values:
        v = np.float64(value)
        low, high = min(low, v), max(high, v)
        whole &= v == np.floor(v)
        finite &= v - v == 0.0
    return low, high, whole, finite


@numba.njit(nogil=True, cache=True)
def _csr(indptr: Any, indices: Any, data: Any, total: Any, square: Any) -> int:  # pragma: no cover
    empty = 0
    for i in range(indptr.size - 1):
        filled = False
        for k in range(indptr[i], indptr[i + 1]):
            v, j = np.float64(data[k]), indices[k]
            total[j] += v
            square[j] += v * v
            filled |= v != 0.0
        empty += not filled
    return empty


@numba.njit(nogil=True, cache=True)
def _csc(indptr: Any, indices: Any, data: Any, total: Any, square: Any, filled: Any) -> None:  # pragma: no cover
    for j in range(indptr.size - 1):
        s, q = 0.0, 0.0
        for k in range(indptr[j], indptr[j + 1]):
            v = np.float64(data[k])
            s += v
            q += v * v
            filled[indices[k]] |= v != 0.0
        total[j], square[j] = s, q


@numba.njit(nogil=True, cache=True)
def _dense(X: Any, total: Any, square: Any) -> int:  # pragma: no cover
    empty = 0
    for i in range(X.shape[0]):
        filled = False
        for j in range(X.shape[1]):
            v = np.float64(X[i, j])
            total[j] += v
            square[j] += v * v
            filled |= v != 0.0
        empty += not filled
    return empty


def column_sums(X: Any) -> ColumnSums:
    """Sum columns, and say what kind of values there are.

    Parameters
    ----------
    X
        Block of rows x genes: a numpy array, or a scipy CSR or CSC matrix or array, of any real or integer type.

    Returns
    -------
    The sums; those of further blocks of rows are added with ``+``.
    """
    n, width = X.shape
    total, square = np.zeros(width), np.zeros(width)
    values = X.data if sparse.issparse(X) else X
    if values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8):
        X = X.astype(np.float32 if values.dtype.itemsize < 4 else np.float64)
    if sparse.issparse(X):
        table = _read_only(X.indptr), _read_only(X.indices), _read_only(X.data)
        low, high, whole, finite = _kinds(table[2])
        if X.format == "csr":
            empty = _csr(*table, total, square)
        else:
            filled = np.zeros(n, dtype=bool)
            _csc(*table, total, square, filled)
            empty = n - int(filled.sum())
        if X.nnz < n * width:
            low, high = min(low, 0.0), max(high, 0.0)
    else:
        low, high, whole, finite = _kinds(_read_only(X.ravel(order="K")))
        empty = _dense(_read_only(X), total, square)
    return ColumnSums(n, int(empty), total, square, float(low), float(high), bool(whole), bool(finite))
