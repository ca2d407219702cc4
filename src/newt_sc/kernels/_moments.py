"""Means, covariances and nearest neighbours that the tools build on, computed by blocks of rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["covariance", "nearest_rows"]


def covariance(blocks: Iterable[Any], mean: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sample covariance of columns from blocks of rows.

    Parameters
    ----------
    blocks
        Blocks of rows x genes, numpy arrays or scipy sparse; each is widened to a dense float64 block in turn.
    mean
        Column means over all rows.

    Returns
    -------
    Covariance of genes x genes, float64, divided by the number of rows less one.
    """
    center = np.asarray(mean, dtype=np.float64)
    total = np.zeros((center.size, center.size))
    n = 0
    for block in blocks:
        dense = block.toarray() if sparse.issparse(block) else np.asarray(block)
        dense = dense.astype(np.float64)
        dense -= center
        total += dense.T @ dense
        n += dense.shape[0]
    return total / max(n - 1, 1)


def nearest_rows(E: NDArray[np.floating], n_neighbors: int, *, block: int = 2048) -> NDArray[np.intp]:
    """Find each row's nearest other rows by cosine, exactly.

    Parameters
    ----------
    E
        Table of rows x dimensions, finite. A row of zeros has cosine 0 with every other.
    n_neighbors
        How many, less than the number of rows.
    block
        Rows compared at once; memory is ``block`` x rows float32.

    Returns
    -------
    Indices of rows x ``n_neighbors``, nearest first; of those, equal cosines in the order of rows.
    """
    norm = np.linalg.norm(E, axis=1, keepdims=True)
    unit = np.divide(E, norm, out=np.zeros(E.shape, norm.dtype), where=norm > 0).astype(np.float32)
    n = unit.shape[0]
    nearest = np.empty((n, n_neighbors), dtype=np.intp)
    for i in range(0, n, block):
        cosine = unit[i : i + block] @ unit.T
        rows = np.arange(cosine.shape[0])
        cosine[rows, rows + i] = -np.inf
        part = np.argpartition(-cosine, n_neighbors - 1, axis=1)[:, :n_neighbors]
        part.sort(axis=1)
        order = np.argsort(-np.take_along_axis(cosine, part, 1), axis=1, kind="stable")
        nearest[i : i + block] = np.take_along_axis(part, order, 1)
    return nearest
