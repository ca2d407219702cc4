"""How well the cells of several data sets mix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from newt_sc._missing import read_labels

from ._check import check_count, check_length, check_points

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["neighbor_mixing"]


@overload
def neighbor_mixing(
    X: ArrayLike, batch: ArrayLike, *, n_neighbors: int = ..., return_per_cell: Literal[False] = ...
) -> float: ...


@overload
def neighbor_mixing(
    X: ArrayLike, batch: ArrayLike, *, n_neighbors: int = ..., return_per_cell: Literal[True]
) -> NDArray[np.float64]: ...


def neighbor_mixing(
    X: ArrayLike, batch: ArrayLike, *, n_neighbors: int = 15, return_per_cell: bool = False
) -> float | NDArray[np.float64]:
    """Measure how many neighbours of a cell come from another data set than the cell itself.

    0 means that the data sets form islands. If they are fully mixed, the value is the chance that
    two random cells are from different data sets: a half for two data sets of equal size. The value
    does not say whether the *right* cells mix, so look at labels as well.

    Parameters
    ----------
    X
        Representation, cells x dimensions, dense and finite.
    batch
        Data set of each cell. Cells of none are dropped before neighbours are sought.
    n_neighbors
        Neighbours of a cell (cosine).
    return_per_cell
        Give the share of each cell instead of their mean.

    Returns
    -------
    A share from 0 to 1, or one for each cell, NaN for those that were dropped.

    Raises
    ------
    TypeError
        If ``X`` is sparse or not numeric, or ``n_neighbors`` is no integer.
    ValueError
        If shapes do not fit, ``X`` is not finite, or there are not more cells than ``n_neighbors``.

    Examples
    --------
    >>> X = np.repeat(np.eye(2), 20, axis=0)
    >>> nt.metrics.neighbor_mixing(X, np.repeat(["a", "b"], 20), n_neighbors=5)
    0.0
    """
    from sklearn.neighbors import NearestNeighbors

    points = check_points(X)
    check_length("batch", batch, len(points))
    kept = read_labels(np.asarray(batch, dtype=object), "batch").dropna()
    cells = kept.index.to_numpy()
    if check_count("n_neighbors", n_neighbors, 1) >= len(cells):
        msg = (
            f"n_neighbors is {n_neighbors}; expected fewer than the {len(cells)} cells that have a"
            " batch."
        )
        raise ValueError(msg)
    which: NDArray[Any] = np.unique(kept.to_numpy(dtype=str), return_inverse=True)[1]
    search = NearestNeighbors(n_neighbors=n_neighbors, metric="cosine", algorithm="brute").fit(
        points[cells]
    )
    share: NDArray[np.float64] = np.full(len(points), np.nan)
    share[cells] = (which[search.kneighbors(return_distance=False)] != which[:, None]).mean(axis=1)
    return share if return_per_cell else float(np.nanmean(share))
