"""Leave-one-out accuracy of labels among nearest neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import numpy as np
import pandas as pd

from newt_sc._missing import read_labels
from newt_sc._warn import warn

from ._check import check_count, check_length, check_points

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["label_knn"]

Metric = Literal["cosine", "euclidean"]


@overload
def label_knn(
    X: ArrayLike,
    labels: ArrayLike,
    *,
    n_neighbors: int = ...,
    metric: Metric = ...,
    balanced: bool = ...,
    min_class_size: int | None = ...,
    return_per_cell: Literal[False] = ...,
) -> float: ...


@overload
def label_knn(
    X: ArrayLike,
    labels: ArrayLike,
    *,
    n_neighbors: int = ...,
    metric: Metric = ...,
    balanced: bool = ...,
    min_class_size: int | None = ...,
    return_per_cell: Literal[True],
) -> tuple[float, NDArray[np.float64]]: ...


def label_knn(
    X: ArrayLike,
    labels: ArrayLike,
    *,
    n_neighbors: int = 15,
    metric: Metric = "cosine",
    balanced: bool = True,
    min_class_size: int | None = None,
    return_per_cell: bool = False,
) -> float | tuple[float, NDArray[np.float64]]:
    """Score how well the nearest neighbours of a cell predict its label.

    Each cell gets the label that most of its nearest other cells have (leave-one-out). If two
    labels have equally many votes, the label of the nearest cell wins.

    Parameters
    ----------
    X
        Representation, cells x dimensions, dense and finite. A row of zeros has cosine 0 with every
        other.
    labels
        One label for each cell. Cells whose label is missing are dropped before neighbours are
        sought; so are those that say so (``"NA"``, ``"nan"``), with a warning.
    n_neighbors
        How many neighbours vote.
    metric
        ``"cosine"`` or ``"euclidean"``.
    balanced
        Mean over the classes of the share of right cells (chance is 1 / number of classes), instead
        of the share of all cells.
    min_class_size
        Cells of smaller classes are dropped too. By default ``n_neighbors // 2 + 2``, with a
        warning: a cell of a smaller class cannot find a majority of its own kind.
    return_per_cell
        Also return, for each cell, 1 where the vote is right, 0 where it is wrong and NaN where the
        cell was dropped: what :func:`~newt_sc.metrics.bootstrap_interval` takes.

    Returns
    -------
    Accuracy between 0 and 1; with ``return_per_cell`` the pair of accuracy and the outcome of each
    cell.

    Raises
    ------
    TypeError
        If ``X`` is sparse or not numeric, or a count is not an integer.
    ValueError
        If shapes do not fit, ``X`` is not finite, or fewer than two classes or too few cells are
        left.

    Examples
    --------
    >>> nt.metrics.label_knn(adata.obsm["X_newt"], adata.obs["cell_type"])  # doctest: +SKIP
    """
    from sklearn.neighbors import NearestNeighbors

    points = check_points(X)
    check_length("labels", labels, len(points))
    check_count("n_neighbors", n_neighbors, 1)
    least = (
        n_neighbors // 2 + 2
        if min_class_size is None
        else check_count("min_class_size", min_class_size, 1)
    )
    if metric not in ("cosine", "euclidean"):
        msg = f"metric is {metric!r}; expected 'cosine' or 'euclidean'."
        raise ValueError(msg)

    kept = read_labels(np.asarray(labels, dtype=object), "labels").dropna()
    sizes = kept.value_counts()
    small = sizes[sizes < least]
    if len(small) and min_class_size is None:  # otherwise it is what was asked for
        found = ", ".join(f"{name} ({size})" for name, size in small.items())
        warn(f"classes of fewer than {least} cells are left out: {found}")
    kept = kept[~kept.isin(small.index)]
    codes, classes = pd.factorize(kept)
    if len(classes) < 2:
        msg = (
            f"labels has {len(classes)} classes of at least {least} cells; expected two: pass a"
            " smaller min_class_size."
        )
        raise ValueError(msg)
    if n_neighbors >= len(codes):
        msg = f"n_neighbors is {n_neighbors}; expected fewer than the {len(codes)} labelled cells."
        raise ValueError(msg)

    cells = kept.index.to_numpy()
    search = NearestNeighbors(n_neighbors=n_neighbors, metric=metric, algorithm="brute").fit(
        points[cells]
    )
    votes = codes[search.kneighbors(return_distance=False)]
    tally = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
    winner = votes[
        np.arange(len(votes)), tally.argmax(axis=1)
    ]  # argmax: the first, hence nearest, of equal tallies
    right = winner == codes
    accuracy = (
        np.mean([right[codes == code].mean() for code in range(len(classes))])
        if balanced
        else right.mean()
    )
    if not return_per_cell:
        return float(accuracy)
    outcome = np.full(len(points), np.nan)
    outcome[cells] = right
    return float(accuracy), outcome
