"""Sums of columns that add up over blocks of rows, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from scipy import sparse

from ._plain import takes_arrays
from ._project import read_only

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
        Over all values; infinities where there is none, or where a value is not finite.
    integer
        Whether all values are whole numbers.
    finite
        Whether no value is NaN or infinite.
    row_total, row_square
        Sum and sum of squares, over the rows, of the sum of a row's values in the columns that were
        asked for.

    Examples
    --------
    >>> sums = nt._kernels.column_sums(
    ...     np.array([[0.0, 1.0], [0.0, 3.0]])
    ... ) + nt._kernels.column_sums(np.array([[2.0, 2.0]]))
    >>> sums.n, sums.total.tolist()
    (3, [2.0, 6.0])
    """

    n: int
    n_empty: int
    total: NDArray[np.float64]
    square: NDArray[np.float64]
    minimum: float
    maximum: float
    integer: bool
    finite: bool
    row_total: float = 0.0
    row_square: float = 0.0

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
            self.row_total + other.row_total,
            self.row_square + other.row_square,
        )


@numba.njit(nogil=True, fastmath=True, cache=True)
def _kinds(values: Any) -> Any:  # pragma: no cover
    """Smallest and largest of finite values, and whether all are whole."""
    low, high, whole = np.inf, -np.inf, True
    for first in range(0, values.size, 4096):
        some = values[first : first + 4096]
        for value in some:
            v = np.float64(value)
            low, high = min(low, v), max(high, v)
        if whole:
            broken = 0
            for value in some:
                v = np.float64(value)
                broken += v != np.floor(v)
            whole = broken == 0
    return low, high, whole


@numba.njit(nogil=True, cache=True)
def _csr(
    indptr: Any, indices: Any, data: Any, some: Any, sums: Any, rows: Any
) -> int:  # pragma: no cover
    empty = 0
    for i in range(indptr.size - 1):
        filled, s = False, 0.0
        for k in range(indptr[i], indptr[i + 1]):
            v, j = np.float64(data[k]), indices[k]
            sums[j, 0] += v
            sums[j, 1] += v * v
            s += v * some[j]
            filled |= v != 0.0
        rows[0] += s
        rows[1] += s * s
        empty += not filled
    return empty


@numba.njit(nogil=True, cache=True)
def _csc(
    indptr: Any, indices: Any, data: Any, some: Any, sums: Any, filled: Any, rows: Any
) -> None:  # pragma: no cover
    for j in range(indptr.size - 1):
        s, q, w = 0.0, 0.0, some[j]
        for k in range(indptr[j], indptr[j + 1]):
            v, i = np.float64(data[k]), indices[k]
            s += v
            q += v * v
            rows[i] += v * w
            filled[i] |= v != 0.0
        sums[j, 0], sums[j, 1] = s, q


@numba.njit(nogil=True, cache=True)
def _dense(X: Any, some: Any, sums: Any, rows: Any) -> int:  # pragma: no cover
    empty = 0
    for i in range(X.shape[0]):
        filled, s = False, 0.0
        for j in range(X.shape[1]):
            v = np.float64(X[i, j])
            sums[j, 0] += v
            sums[j, 1] += v * v
            s += v * some[j]
            filled |= v != 0.0
        rows[0] += s
        rows[1] += s * s
        empty += not filled
    return empty


@takes_arrays
def column_sums(X: Any, some: NDArray[np.bool_] | None = None) -> ColumnSums:
    """Sum columns, and say what kind of values there are.

    Parameters
    ----------
    X
        Block of rows x genes: a numpy array, or a scipy CSR or CSC matrix or array, of any real or
        integer type.
    some
        Columns whose values are summed by row, too (length: genes); by default all.

    Returns
    -------
    The sums; those of further blocks of rows are added with ``+``.

    Examples
    --------
    >>> sums = nt._kernels.column_sums(np.array([[0.0, 1.0], [0.0, 3.0]]))
    >>> sums.total.tolist(), sums.integer, sums.n_empty
    ([0.0, 4.0], True, 0)
    """
    n, width = X.shape
    sums, rows = np.zeros((width, 2)), np.zeros(2)
    which = np.ones(width, dtype=bool) if some is None else np.ascontiguousarray(some, dtype=bool)
    values = X.data if sparse.issparse(X) else X
    if values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8):
        X = X.astype(np.float32 if values.dtype.itemsize < 4 else np.float64)
    if sparse.issparse(X):
        table = read_only(X.indptr), read_only(X.indices), read_only(X.data), read_only(which)
        if X.format == "csr":
            empty = _csr(*table, sums, rows)
        else:
            filled, by_row = np.zeros(n, dtype=bool), np.zeros(n)
            _csc(*table, sums, filled, by_row)
            empty = n - int(filled.sum())
            rows[:] = by_row.sum(), by_row @ by_row
    else:
        empty = _dense(read_only(X), read_only(which), sums, rows)
    values = read_only(X.data if sparse.issparse(X) else X.ravel(order="K"))
    finite = bool(np.isfinite(sums).all() or np.isfinite(values).all())
    low, high, whole = _kinds(values) if finite else (-np.inf, np.inf, False)
    if sparse.issparse(X) and X.nnz < n * width:
        low, high = min(low, 0.0), max(high, 0.0)
    return ColumnSums(
        n,
        int(empty),
        sums[:, 0].copy(),
        sums[:, 1].copy(),
        float(low),
        float(high),
        bool(whole),
        finite,
        float(rows[0]),
        float(rows[1]),
    )
