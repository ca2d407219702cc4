"""One way to read cells x genes by blocks of rows: numpy, scipy sparse, backed and dask alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from newt_sc import kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Rows", "Stats"]

_BLOCK_BYTES = 1 << 26
_COVARIANCE_GENES = 6000
_ARRAY_GENES = 512


@dataclass(frozen=True)
class Stats:
    """What one pass over the values tells.

    Attributes
    ----------
    mean, variance
        Per gene, float64; the variance is divided by the number of cells less one.
    n_empty
        Cells without any value other than zero.
    minimum, maximum
        Over all values.
    integer
        Whether all values are whole numbers.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    n_empty: int
    minimum: float
    maximum: float
    integer: bool


class Rows:
    """Cells x genes, read by blocks; nothing is copied whole.

    Parameters
    ----------
    X
        A numpy array; a scipy CSR or CSC matrix or array; a backed dense or sparse AnnData matrix; a dask array with
        chunks of any of these.
    name
        What to call it in messages.
    """

    def __init__(self, X: Any, name: str) -> None:
        self.name = name
        if sparse.issparse(X) and X.format not in ("csr", "csc"):
            X = X.tocsr()
        if isinstance(X, np.matrix):
            X = np.asarray(X)
        kind = np.dtype(getattr(X, "dtype", object)).kind
        if len(getattr(X, "shape", ())) != 2 or kind not in "fiub":
            what = f"{type(X).__name__} of dtype {getattr(X, 'dtype', None)}"
            msg = f"{name} is {what}: expected a numeric cells x genes matrix (numpy, scipy sparse, backed or dask)."
            raise TypeError(msg)
        self.X = X
        self.shape: tuple[int, int] = (int(X.shape[0]), int(X.shape[1]))
        self._dask = hasattr(X, "dask") and hasattr(X, "blocks")
        self._csc = (sparse.issparse(X) and X.format == "csc") or getattr(X, "format", None) == "csc"
        self.in_memory = isinstance(X, np.ndarray) or sparse.issparse(X)
        if self._csc and not self.in_memory:
            self.X, self.in_memory = X.to_memory(), True

    def blocks(self, genes: NDArray[np.intp] | None = None) -> Iterator[Any]:
        """Blocks of rows in order, numpy or CSR, of all genes or of those asked for."""
        n, width = self.shape
        if self._dask:
            whole = self.X.rechunk({1: width})
            for i in range(whole.numblocks[0]):
                block = whole.blocks[i].compute(scheduler="threads")
                yield _as_rows(block, genes)
            return
        X = self.X
        if self._csc:
            X = (X if genes is None else X[:, genes]).tocsr()
            genes = None
        step = max(1, _BLOCK_BYTES // (8 * max(width, 1)))
        for i in range(0, n, step):
            yield _as_rows(X[i : i + step], genes)

    def stats(self) -> Stats:
        """Mean, variance and kind of the values, in one pass.

        Raises
        ------
        ValueError
            If a value is NaN or infinite.
        """
        n, width = self.shape
        total, square = np.zeros(width), np.zeros(width)
        low, high, integer, empty = np.inf, -np.inf, True, 0
        parts: Iterator[Any] = self._slabs() if self._csc else self.blocks()
        filled = np.zeros(n, dtype=bool)
        row = col = 0
        for part in parts:
            values = part.data if sparse.issparse(part) else part
            wide = values.astype(np.float64)
            if not np.isfinite(wide).all():
                msg = f"{self.name} has NaN or infinite values. Remove or impute them before newt_sc.tl.embed."
                raise ValueError(msg)
            if wide.size:
                low, high = min(low, wide.min()), max(high, wide.max())
                integer = integer and bool((wide == np.rint(wide)).all())
            at = slice(col, col + part.shape[1]) if self._csc else slice(None)
            if sparse.issparse(part):
                if part.nnz < part.shape[0] * part.shape[1]:
                    low, high = min(low, 0.0), max(high, 0.0)
                genes = np.repeat(np.arange(part.shape[1]), np.diff(part.indptr)) if self._csc else part.indices
                total[at] += np.bincount(genes, weights=wide, minlength=part.shape[1])
                square[at] += np.bincount(genes, weights=wide * wide, minlength=part.shape[1])
                cells = part.indices if self._csc else np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
                filled[row + cells[values != 0]] = True
            else:
                total += wide.sum(axis=0)
                square += (wide * wide).sum(axis=0)
                filled[row : row + len(part)] = (values != 0).any(axis=1)
            row, col = (row, col + part.shape[1]) if self._csc else (row + part.shape[0], col)
        empty = int(n - filled.sum())
        mean = total / max(n, 1)
        variance = np.maximum(square - n * mean * mean, 0) / max(n - 1, 1)
        return Stats(mean, variance, empty, float(low), float(high), integer)

    def _slabs(self) -> Iterator[Any]:
        step = max(1, self.shape[1] * _BLOCK_BYTES // (16 * max(self.X.nnz, 1)))
        for j in range(0, self.shape[1], step):
            yield self.X[:, j : j + step]

    def project(self, E: NDArray[np.floating], center: NDArray[np.floating] | None) -> NDArray[np.float32]:
        """``(X - center) @ E`` of cells x d, float32; ``E`` has a finite row for every gene."""
        if self.in_memory:
            return kernels.project(self.X, E, center=center)
        out = np.empty((self.shape[0], E.shape[1]), dtype=np.float32)
        row = 0
        for block in self.blocks():
            out[row : row + block.shape[0]] = kernels.project(block, E, center=center)
            row += block.shape[0]
        return out

    def covariance(self, genes: NDArray[np.intp], mean: NDArray[np.float64]) -> NDArray[np.float64] | LinearOperator:
        """Covariance of some genes: an array, or an operator where products with the cells are cheaper."""
        n, width = self.shape[0], genes.size
        stored = self.X.nnz * width / max(self.shape[1], 1) if sparse.issparse(self.X) else n * width
        small = width > _ARRAY_GENES and 2 * stored < width * width and 12 * stored <= 2 * _BLOCK_BYTES
        if not self.in_memory or (width <= _COVARIANCE_GENES and not small):
            return kernels.covariance(self.blocks(genes), mean[genes])
        center = mean[genes]
        X, at = (self.X[:, genes].astype(np.float64), np.arange(width)) if small else (self.X, genes)

        def matvec(vector: NDArray[np.float64]) -> NDArray[np.float64]:
            full = np.zeros(X.shape[1])
            full[at] = vector.ravel()
            cells = X @ full - center @ vector.ravel()
            return np.asarray((X.T @ cells)[at] - center * cells.sum()) / max(n - 1, 1)

        return LinearOperator((width, width), matvec=matvec, dtype=np.float64)


def _as_rows(block: Any, genes: NDArray[np.intp] | None) -> Any:
    if sparse.issparse(block):
        block = block.tocsr()
    elif not isinstance(block, np.ndarray):
        block = np.asarray(block)
    return block if genes is None else block[:, genes]
