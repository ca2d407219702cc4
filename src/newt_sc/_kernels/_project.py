"""Rows of a matrix projected through a gene table: ``(X - center) @ E``, never densifying ``X``."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from scipy import sparse

from ._device import choose_device, project_on
from ._plain import takes_arrays
from ._threaded import threaded

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["project"]

# A tile of genes of E (256 x 1 KiB at 256 dimensions) and the rows that use it stay in the L2 cache
# together.
_TILE_BYTES = 1 << 18
_ROWS = 256
_DENSE_BYTES = 1 << 25
# Where more than this share of the values is stored, rows are made dense for BLAS, block by block.
# Measured: docs/benchmarks/speed.md.
_DENSE_SHARE = 0.7
# One product at a time uses all threads; not every threading layer of numba bears to be entered
# twice.
_ONE = Lock()


@numba.njit(nogil=True, fastmath={"contract", "reassoc"}, cache=True)
def _some_rows(
    indptr: Any, indices: Any, data: Any, E: Any, out: Any, tile: int, first: int, last: int
) -> None:  # pragma: no cover
    n_genes, d = E.shape
    at = indptr[first:last].copy()
    for stop in range(tile, n_genes + tile, tile):
        for i in range(first, last):
            k, end = at[i - first], indptr[i + 1]
            y = out[i]
            while k + 3 < end and indices[k + 3] < stop:
                e0, e1, e2, e3 = (
                    E[indices[k]],
                    E[indices[k + 1]],
                    E[indices[k + 2]],
                    E[indices[k + 3]],
                )
                v0, v1, v2, v3 = data[k], data[k + 1], data[k + 2], data[k + 3]
                for c in range(d):
                    y[c] += v0 * e0[c] + v1 * e1[c] + v2 * e2[c] + v3 * e3[c]
                k += 4
            while k < end and indices[k] < stop:
                e0 = E[indices[k]]
                v0 = data[k]
                for c in range(d):
                    y[c] += v0 * e0[c]
                k += 1
            at[i - first] = k


@threaded()
def _csr(
    indptr: Any, indices: Any, data: Any, E: Any, out: Any, tile: int, rows: int
) -> None:  # pragma: no cover
    n = len(out)
    for b in numba.prange((n + rows - 1) // rows):
        _some_rows(indptr, indices, data, E, out, tile, b * rows, min(n, (b + 1) * rows))


@numba.njit(nogil=True, cache=True)
def _csr_alone(
    indptr: Any, indices: Any, data: Any, E: Any, out: Any, tile: int, rows: int
) -> None:  # pragma: no cover
    for first in range(0, len(out), rows):
        _some_rows(indptr, indices, data, E, out, tile, first, min(len(out), first + rows))


@threaded(fastmath={"contract", "reassoc"})
def _csc(
    indptr: Any, indices: Any, data: Any, E: Any, out: Any, rows: int
) -> None:  # pragma: no cover
    n, d = out.shape
    for b in numba.prange((n + rows - 1) // rows):
        first, last = b * rows, min(n, (b + 1) * rows)
        for j in range(E.shape[0]):
            lo, hi = indptr[j], indptr[j + 1]
            k = lo + np.searchsorted(indices[lo:hi], first)
            e = E[j]
            while k < hi and indices[k] < last:
                y = out[indices[k]]
                v = data[k]
                for c in range(d):
                    y[c] += v * e[c]
                k += 1


@threaded()
def _fill(indptr: Any, indices: Any, data: Any, first: int, out: Any) -> None:  # pragma: no cover
    for i in numba.prange(len(out)):
        row = out[i]
        row[:] = 0
        for k in range(indptr[first + i], indptr[first + i + 1]):
            row[indices[k]] += data[k]


def _by_blas(X: Any, E: Any, out: Any) -> None:
    """CSR rows made dense block by block, in one buffer."""
    table = read_only(X.indptr), read_only(X.indices), read_only(X.data)
    n, width = X.shape
    dense = np.empty((min(n, max(1, _DENSE_BYTES // max(4 * width, 1))), width), dtype=np.float32)
    for i in range(0, n, len(dense)):
        block = dense[: n - i]
        with _ONE:
            _fill(*table, i, block)
        np.matmul(block, E, out=out[i : i + len(block)])


@takes_arrays
def project(
    X: Any,
    E: NDArray[np.floating],
    *,
    center: NDArray[np.floating] | None = None,
    parallel: bool = True,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Project rows through a gene table: ``(X - center) @ E``.

    Parameters
    ----------
    X
        Matrix of n x genes: a numpy array, or a scipy CSR or CSC matrix or array of any real or
        integer type. Sparse indices need not be sorted; the input is not changed.
    E
        Gene table, genes x d. Finite. Of float16 it is widened once a call.
    center
        What each gene is centred on (length: genes), or ``None``.
    parallel
        Use all threads that numba has. ``False`` is for callers that work on several blocks of rows
        at once, each on a thread of its own.
    device
        ``"cpu"``; ``"auto"``, CUDA where torch finds one; or a device of torch. Rows go there in
        blocks.

    Returns
    -------
    Array of n x d, float32.

    Raises
    ------
    TypeError
        If ``X`` is of another kind or holds no real numbers.
    ValueError
        If the shapes do not fit, or there is no such device.

    Notes
    -----
    Sparse input is tiled over genes so that a tile of ``E`` stays in cache while a block of rows
    runs through it. Dense input, and sparse input of which more than 70 % is stored, goes through
    BLAS in blocks of rows.

    Examples
    --------
    >>> from scipy import sparse
    >>> X = sparse.csr_array([[0.0, 2.0], [1.0, 0.0]])
    >>> nt._kernels.project(X, np.array([[1.0, 0.0], [0.0, 3.0]], dtype=np.float32)).tolist()
    [[0.0, 6.0], [1.0, 0.0]]
    """
    E32 = _checked(X, E, center)
    compressed = sparse.issparse(X)
    n, d = X.shape[0], E32.shape[1]
    out: NDArray[np.float32] = np.zeros((n, d), dtype=np.float32)
    if device != "cpu" and (device := choose_device(device)) != "cpu":
        out = project_on(X, E32, device)
    elif compressed and X.nnz > _DENSE_SHARE * n * len(E32):
        _by_blas(X.tocsr(), E32, out)
    elif compressed:
        _by_tiles(X, E32, out, parallel=parallel)
    else:
        step = max(1, _DENSE_BYTES // max(4 * X.shape[1], 1))
        for i in range(0, n, step):
            np.matmul(X[i : i + step].astype(np.float32, copy=False), E32, out=out[i : i + step])
    if center is not None:
        out -= (np.asarray(center, dtype=np.float64) @ E32.astype(np.float64)).astype(np.float32)
    return out


def _checked(X: Any, E: NDArray[np.floating], center: Any) -> NDArray[np.float32]:
    """Take the gene table, where all fits it."""
    taken = X.format in ("csr", "csc") if sparse.issparse(X) else isinstance(X, np.ndarray)
    if not taken or X.dtype.kind not in "biuf":
        msg = (
            f"X is {type(X).__name__} of dtype {getattr(X, 'dtype', None)}, expected a numpy array"
            " or a scipy CSR or CSC matrix or array of real numbers."
        )
        raise TypeError(msg)
    E32 = np.ascontiguousarray(E, dtype=np.float32)
    if E32.ndim != 2 or X.ndim != 2 or X.shape[1] != E32.shape[0]:
        msg = f"X {X.shape} and E {E32.shape} do not fit: expected n x genes and genes x d."
        raise ValueError(msg)
    if center is not None and np.shape(center) != (E32.shape[0],):
        shape = np.shape(center)
        msg = f"center has shape {shape}, expected ({E32.shape[0]},): one value per gene."
        raise ValueError(msg)
    return E32


def _by_tiles(X: Any, E: NDArray[np.float32], out: NDArray[np.float32], *, parallel: bool) -> None:
    """CSR or CSC, tiles of genes at a time."""
    by_row = X.format == "csr"
    # In CSR, order matters for speed only: some rows tell.
    if not (X[:_ROWS] if by_row else X).has_sorted_indices:
        X = X.sorted_indices()
    data = X.data if X.data.dtype == np.float32 else X.data.astype(np.float32)
    table = (read_only(X.indptr), read_only(X.indices), read_only(data), read_only(E))
    size = _TILE_BYTES // max(4 * E.shape[1], 1)
    if by_row and not parallel:
        _csr_alone(*table, out, max(64, size), _ROWS)
        return
    with _ONE:
        if by_row:
            _csr(*table, out, max(64, size), _ROWS)
        else:
            _csc(*table, out, max(_ROWS, size))


def read_only(array: Any) -> Any:
    """View that cannot be written to.

    numba then compiles once for arrays that can and cannot be (memory-mapped ones).
    """
    view = array.view()
    view.flags.writeable = False
    return view
