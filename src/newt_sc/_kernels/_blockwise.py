"""Scatter matrices and nearest neighbours that the tools build on, computed by blocks of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.linalg.blas import dsyrk

from ._plain import takes_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["kept_neighbors", "nearest_rows", "scatter"]

_DENSE_BYTES = 1 << 26


@takes_arrays
def scatter(X: Any, center: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sum of the outer products of rows: ``(X - center).T @ (X - center)``.

    Parameters
    ----------
    X
        Rows x genes, numpy array or scipy sparse; made dense by a few thousand rows at a time.
    center
        What each gene is centred on.

    Returns
    -------
    Genes x genes, float64; those of further blocks of rows are added.

    Examples
    --------
    >>> nt._kernels.scatter(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([2.0, 3.0])).tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    middle = np.asarray(center, dtype=np.float64)
    total = np.zeros((middle.size, middle.size), order="F")
    step = max(1, _DENSE_BYTES // (8 * max(middle.size, 1)))
    for i in range(0, X.shape[0], step):
        part = X[i : i + step]
        dense = (part.toarray() if sparse.issparse(part) else np.asarray(part)).astype(np.float64)
        dense -= middle
        if total.size:
            total = dsyrk(1.0, dense.T, beta=1.0, c=total, overwrite_c=True)  # the upper triangle
    return np.asarray(np.triu(total) + np.triu(total, 1).T)


@takes_arrays
def nearest_rows(
    E: NDArray[np.floating],
    n_neighbors: int,
    *,
    rows: NDArray[np.integer] | None = None,
    block: int = 2048,
) -> NDArray[np.intp]:
    """Find each row's nearest other rows by cosine, exactly.

    Parameters
    ----------
    E
        Table of rows x dimensions, finite. A row of zeros has cosine 0 with every other.
    n_neighbors
        How many, less than the number of rows.
    rows
        Rows to find neighbours of; all by default.
    block
        Rows compared at once; memory is ``block`` x rows float32.

    Returns
    -------
    Indices of ``rows`` x ``n_neighbors``, nearest first; of those, equal cosines in the order of
    rows.

    Examples
    --------
    >>> nt._kernels.nearest_rows(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]), 1).tolist()
    [[1], [0], [1]]
    """
    unit = _unit(E)
    own = np.arange(unit.shape[0]) if rows is None else np.asarray(rows)
    nearest = np.empty((own.size, n_neighbors), dtype=np.intp)
    for i in range(0, own.size, block):
        at = own[i : i + block]
        cosine = unit[at] @ unit.T
        cosine[np.arange(at.size), at] = -np.inf
        part = np.argpartition(-cosine, n_neighbors - 1, axis=1)[:, :n_neighbors]
        part.sort(axis=1)
        order = np.argsort(-np.take_along_axis(cosine, part, 1), axis=1, kind="stable")
        nearest[i : i + block] = np.take_along_axis(part, order, 1)
    return nearest


@takes_arrays
def kept_neighbors(
    E: NDArray[np.floating],
    changed: NDArray[np.floating],
    rows: NDArray[np.integer],
    *,
    nearest: NDArray[np.integer],
    block: int = 1024,
) -> NDArray[np.float64]:
    """Fraction of a row's nearest rows that stay among its nearest when the row alone is changed.

    Parameters
    ----------
    E
        Table of rows x dimensions, finite.
    changed
        Vectors of ``rows`` after the change.
    rows
        The rows that are changed, one after the other; all others keep their vectors.
    nearest
        Nearest rows of ``rows`` before the change, as :func:`nearest_rows` finds them.
    block
        Rows compared at once; memory is twice ``block`` x rows float32.

    Returns
    -------
    For each of ``rows`` a number from 0 to 1. A neighbour that ties with the last of the nearest
    counts as kept.

    Examples
    --------
    >>> E = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
    >>> changed = np.array([[0.0, 1.0]])
    >>> nt._kernels.kept_neighbors(E, changed, np.array([0]), nearest=np.array([[1]])).tolist()
    [0.0]
    """
    unit, moved = _unit(E), _unit(changed)
    n_neighbors = nearest.shape[1]
    kept = np.empty(len(rows))
    for i in range(0, len(rows), block):
        cosine = moved[i : i + block] @ unit.T
        cosine[np.arange(cosine.shape[0]), rows[i : i + block]] = -np.inf
        before = np.take_along_axis(cosine, nearest[i : i + block], 1)
        cosine.partition(unit.shape[0] - n_neighbors, axis=1)
        kept[i : i + block] = (before >= cosine[:, [unit.shape[0] - n_neighbors]]).mean(axis=1)
    return kept


def _unit(E: NDArray[np.floating]) -> NDArray[np.float32]:
    norm = np.linalg.norm(E, axis=1, keepdims=True)
    unit: NDArray[np.floating] = np.divide(
        E, norm, out=np.zeros(E.shape, norm.dtype), where=norm > 0
    )
    return unit.astype(np.float32)
