"""Sparse matrices on disk read by rows, every chunk of the file once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

__all__ = ["read_rows"]


def read_rows(X: Any, entries: int) -> Iterator[sparse.csr_array]:
    """Read a CSR matrix on disk by blocks of rows, in order.

    Reading ends where chunks end, as a chunk is decompressed whole; a row that lies in two pieces
    is a block of its own.

    Parameters
    ----------
    X
        Backed sparse matrix of AnnData (h5py or zarr), CSR.
    entries
        Stored values to read at a time, about.
    """
    data, indices = X.group["data"], X.group["indices"]
    indptr = np.asarray(X.group["indptr"][:])
    n, width = (int(size) for size in X.shape)
    end = int(indptr[-1])
    chunk = int((data.chunks or (1,))[0])
    unit = chunk if chunk <= 4 * entries else 1
    piece = max(unit, entries // unit * unit)

    def block(first: int, last: int, values: Any, columns: Any) -> sparse.csr_array:
        small = columns.dtype.itemsize <= 4 and values.size <= np.iinfo(np.int32).max
        own = (indptr[first : last + 1] - indptr[first]).astype(
            columns.dtype if small else np.int64
        )
        return sparse.csr_array((values, columns, own), shape=(last - first, width))

    row, at = 0, 0
    rest = np.empty(0, dtype=data.dtype), np.empty(0, dtype=indices.dtype)
    while row < n:
        begun = rest[0].size  # of a row whose beginning was read before
        need = int(indptr[row + 1])
        stop = min(end, max((at // unit) * unit + piece, -(-need // unit) * unit))
        values, columns = data[at:stop], indices[at:stop]
        if begun:
            cut = need - at
            yield block(
                row,
                row + 1,
                *(np.concatenate(p) for p in zip(rest, (values[:cut], columns[:cut]), strict=True)),
            )
            row, at, values, columns = row + 1, need, values[cut:], columns[cut:]
        last = n if stop == end else int(np.searchsorted(indptr, stop, side="right")) - 1
        if last > row:
            size = int(indptr[last]) - at
            yield block(row, last, values[:size], columns[:size])
            values, columns = values[size:], columns[size:]
            row = last
        rest, at = (values.copy(), columns.copy()), stop
