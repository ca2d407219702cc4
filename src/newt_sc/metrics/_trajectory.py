"""Trajectories: stages along pseudotime, pseudotime kept, labels across batches, and all of it as a table."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from newt_sc.errors import NewtWarning

from ._bootstrap import Interval, bootstrap_interval
from ._check import check_count, check_length, check_points
from ._label_knn import Metric, label_knn
from ._pseudotime import _diffusion_pseudotime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import ArrayLike, NDArray

__all__ = ["batch_transfer", "stage_correlation", "trajectory", "trajectory_conservation"]


def stage_correlation(
    X: ArrayLike,
    order: ArrayLike,
    *,
    n_roots: int = 5,
    n_neighbors: int = 15,
    n_resamples: int = 1000,
    random_state: int = 0,
) -> Interval:
    """Score how well diffusion pseudotime follows a known order, as a mean over several roots.

    One root can be an outlier; see :func:`pseudotime_spearman` for one. Roots are the cells of the lowest order that
    are nearest to their centroid in ``X``.

    Parameters
    ----------
    X
        Representation, cells x dimensions, dense and finite.
    order
        Known order, such as the index of a stage. Cells where it is NaN are left out of the graph.
    n_roots
        How many roots; fewer where fewer cells have the lowest order.
    n_neighbors
        Size of the neighbourhood in the graph.
    n_resamples
        Bootstrap resamples of the cells, pseudotime held fixed.
    random_state
        Seed.

    Returns
    -------
    Mean of Spearman's rho over the roots with its bootstrap interval.

    Raises
    ------
    TypeError
        If ``X`` is sparse or not numeric, or a count is not an integer.
    ValueError
        If shapes do not fit, ``X`` is not finite, the order has fewer than two values, or there are not more cells
        than ``n_neighbors``.

    Examples
    --------
    >>> time = np.linspace(0, 1, 60)
    >>> nt.metrics.stage_correlation(np.column_stack([time, time**2]), time, n_neighbors=5).estimate > 0.9
    True
    """
    points = check_points(X)
    check_length("order", order, len(points))
    check_count("n_roots", n_roots, 1)
    check_count("n_neighbors", n_neighbors, 2)
    rank = np.asarray(order, dtype=np.float64)
    cells = np.flatnonzero(~np.isnan(rank))
    points, rank = points[cells], rank[cells]
    if np.unique(rank).size < 2:
        msg = f"order has {np.unique(rank).size} different values that are not NaN; expected at least two."
        raise ValueError(msg)
    if n_neighbors >= cells.size:
        msg = f"n_neighbors is {n_neighbors}; expected fewer than the {cells.size} cells with a known order."
        raise ValueError(msg)
    first = np.flatnonzero(rank == rank.min())
    distance = np.linalg.norm(points[first] - points[first].mean(axis=0), axis=1)
    roots = first[np.argsort(distance, kind="stable")[:n_roots]]
    times = np.column_stack([_diffusion_pseudotime(points, int(root), n_neighbors, random_state) for root in roots])
    return bootstrap_interval(
        np.column_stack([rank, times]), statistic=_mean_spearman, n_resamples=n_resamples, random_state=random_state
    )


def trajectory_conservation(
    X: ArrayLike,
    pseudotime: ArrayLike,
    *,
    n_neighbors: int = 15,
    n_resamples: int = 1000,
    random_state: int = 0,
) -> Interval:
    """Score how far a representation keeps a pseudotime that was found before, as scIB does.

    Diffusion pseudotime is computed in ``X`` from the cell where ``pseudotime`` is lowest, in the largest part of the
    graph if it falls apart, and correlated with it: ``(rho + 1) / 2``. scIB looks for the root among the
    ends of the diffusion components in the cluster that comes first; here it is that cell itself.

    Parameters
    ----------
    X
        Representation, cells x dimensions, dense and finite.
    pseudotime
        Pseudotime of the unintegrated data, or of each batch. Cells where it is not finite are left out.
    n_neighbors
        Size of the neighbourhood in the graph.
    n_resamples
        Bootstrap resamples of the cells, both times held fixed.
    random_state
        Seed.

    Returns
    -------
    Score from 0 (turned round) by 0.5 (unrelated) to 1, with its bootstrap interval. Cells that the graph does not
    connect to the root have time 0, as in scIB.

    Raises
    ------
    TypeError
        If ``X`` is sparse or not numeric.
    ValueError
        If shapes do not fit, ``X`` is not finite, pseudotime has fewer than two values, or there are not more cells
        than ``n_neighbors``.

    References
    ----------
    Luecken et al. (2022), Benchmarking atlas-level data integration in single-cell genomics, Nature Methods 19:41.

    Examples
    --------
    >>> time = np.linspace(0, 1, 60)
    >>> nt.metrics.trajectory_conservation(np.column_stack([time, time**2]), time, n_neighbors=5).estimate > 0.9
    True
    """
    from scanpy.pp import neighbors
    from scipy.sparse.csgraph import connected_components

    points = check_points(X)
    check_length("pseudotime", pseudotime, len(points))
    check_count("n_neighbors", n_neighbors, 2)
    before = np.asarray(pseudotime, dtype=np.float64)
    cells = np.flatnonzero(np.isfinite(before))
    points, before = points[cells], before[cells]
    if np.unique(before).size < 2:
        msg = f"pseudotime has {np.unique(before).size} different finite values; expected at least two."
        raise ValueError(msg)
    if n_neighbors >= cells.size:
        msg = f"n_neighbors is {n_neighbors}; expected fewer than the {cells.size} cells with a pseudotime."
        raise ValueError(msg)
    from anndata import AnnData

    graph = AnnData(points.astype(np.float32))
    neighbors(graph, n_neighbors=n_neighbors, use_rep="X", random_state=random_state)
    part = connected_components(graph.obsp["connectivities"], directed=False)[1]
    largest = np.flatnonzero(part == np.bincount(part).argmax())
    root = int(largest[before[largest].argmin()])
    after = _diffusion_pseudotime(points, root, n_neighbors, random_state)
    after[~np.isfinite(after)] = 0

    def score(rows: NDArray[np.float64]) -> float:
        return (_mean_spearman(rows) + 1) / 2

    return bootstrap_interval(
        np.column_stack([before, after]), statistic=score, n_resamples=n_resamples, random_state=random_state
    )


def batch_transfer(
    X: ArrayLike,
    labels: ArrayLike,
    batches: ArrayLike,
    *,
    n_neighbors: int = 15,
    metric: Metric = "cosine",
    n_resamples: int = 1000,
    random_state: int = 0,
) -> Interval:
    """Score how well cells of other batches tell the label of a cell, one batch after another held out.

    Parameters
    ----------
    X
        Representation, cells x dimensions, dense and finite.
    labels
        One label for each cell; cells whose label is missing or ``"NA"`` are dropped, and so are, as cells that are
        asked, those whose label no other batch has.
    batches
        Batch of each cell.
    n_neighbors
        How many cells of other batches vote.
    metric
        ``"cosine"`` or ``"euclidean"``.
    n_resamples
        Bootstrap resamples of the cells within their classes.
    random_state
        Seed.

    Returns
    -------
    Balanced accuracy (mean over the classes) with its bootstrap interval.

    Raises
    ------
    TypeError
        If ``X`` is sparse or not numeric.
    ValueError
        If shapes do not fit, ``X`` is not finite, or there are not two batches that share a label.

    Warns
    -----
    NewtWarning
        If a label is in one batch only: batch and label cannot be told apart there.

    Examples
    --------
    >>> cells = np.random.default_rng(0).normal(size=(40, 5)) + 4 * np.eye(5)[[0, 1] * 20]
    >>> found = nt.metrics.batch_transfer(cells, ["B", "T"] * 20, ["one"] * 20 + ["two"] * 20, n_neighbors=3)
    >>> found.estimate > 0.9
    True
    """
    from sklearn.neighbors import NearestNeighbors

    points = check_points(X)
    check_length("labels", labels, len(points))
    check_length("batches", batches, len(points))
    check_count("n_neighbors", n_neighbors, 1)
    if metric not in ("cosine", "euclidean"):
        msg = f"metric is {metric!r}; expected 'cosine' or 'euclidean'."
        raise ValueError(msg)
    table = pd.DataFrame({"label": np.asarray(labels, dtype=object), "batch": np.asarray(batches, dtype=object)})
    table = table[table["label"].notna() & (table["label"] != "NA") & table["batch"].notna()]
    spread = table.groupby("label")["batch"].nunique()
    lone = sorted(map(str, spread.index[spread < 2]))
    if len(lone) == len(spread):
        msg = f"no label is in two of the {table['batch'].nunique()} batches: batch and label are confounded."
        raise ValueError(msg)
    if lone:
        warnings.warn(f"labels of one batch only are not asked for: {lone}", NewtWarning, stacklevel=2)
    codes, _ = pd.factorize(table["label"])
    cells = table.index.to_numpy()
    right = np.full(len(cells), np.nan)
    asked = ~table["label"].astype(str).isin(lone).to_numpy()
    for batch in table["batch"].unique():
        own = (table["batch"] == batch).to_numpy()
        if not (own & asked).any():
            continue
        others = np.flatnonzero(~own)
        search = NearestNeighbors(n_neighbors=min(n_neighbors, others.size), metric=metric, algorithm="brute")
        near = search.fit(points[cells[others]]).kneighbors(points[cells[own & asked]], return_distance=False)
        votes = codes[others][near]
        tally = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
        right[own & asked] = votes[np.arange(len(votes)), tally.argmax(axis=1)] == codes[own & asked]
    return bootstrap_interval(
        right, groups=table["label"].to_numpy(), n_resamples=n_resamples, random_state=random_state
    )


def trajectory(
    adata: AnnData,
    use_rep: str | Sequence[str] = "X_newt",
    *,
    label: str | None = None,
    order: str | None = None,
    pseudotime: str | None = None,
    batch: str | None = None,
    groups: str | None = None,
    tree: Any = None,
    n_neighbors: int = 15,
    n_roots: int = 5,
    n_resamples: int = 1000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Score representations of the same cells by all that is known of their trajectory.

    Parameters
    ----------
    adata
        Annotated data, cells x genes.
    use_rep
        Key or keys of ``obsm``, such as ``["X_newt", "X_pca"]``.
    label
        Column of ``obs`` with types: :func:`label_knn` and, with ``batch``, :func:`batch_transfer`.
    order
        Column with a known order: :func:`stage_correlation`.
    pseudotime
        Column with a pseudotime found before: :func:`trajectory_conservation`.
    batch
        Column with batches.
    groups
        Column with the groups of ``tree``; their centroids, less the mean of all centroids, are scored by
        :func:`parent_child_share`, :func:`tree_correlation` and :func:`triplet_accuracy`.
    tree
        Known tree of the groups, see :func:`tree_distances`.
    n_neighbors
        Neighbours, of all scores.
    n_roots
        Roots of :func:`stage_correlation`.
    n_resamples
        Bootstrap resamples.
    random_state
        Seed.

    Returns
    -------
    One row a representation and score: ``use_rep``, ``score``, ``estimate``, ``low`` and ``high``.

    Raises
    ------
    KeyError
        If a representation or column is not there.
    ValueError
        If nothing to compare with is given, or only one of ``groups`` and ``tree``.

    Examples
    --------
    >>> nt.metrics.trajectory(adata, order="day")  # doctest: +SKIP
    """
    from ._tree import parent_child_share, tree_correlation, triplet_accuracy

    keys = [use_rep] if isinstance(use_rep, str) else list(use_rep)
    if lost := [key for key in keys if key not in adata.obsm]:
        msg = f"{lost} are not in adata.obsm, which has {list(adata.obsm)}."
        raise KeyError(msg)
    if lost := [name for name in (label, order, pseudotime, batch, groups) if name and name not in adata.obs]:
        msg = f"{lost} are not in adata.obs, which has {list(adata.obs.columns)}."
        raise KeyError(msg)
    if (groups is None) != (tree is None):
        msg = "Give groups and tree together, or neither."
        raise ValueError(msg)
    if not any((label, order, pseudotime, groups)):
        msg = "Nothing to compare with: give label, order, pseudotime, or groups and tree."
        raise ValueError(msg)
    more: dict[str, Any] = {"n_resamples": n_resamples, "random_state": random_state}
    rows = []
    for key in keys:
        X = np.asarray(adata.obsm[key])
        found: dict[str, Interval] = {}
        if label:
            labels = adata.obs[label].astype(object).to_numpy()
            _, right = label_knn(X, labels, n_neighbors=n_neighbors, return_per_cell=True)
            found["label kNN"] = bootstrap_interval(right, groups=labels, **more)
            if batch:
                batches = adata.obs[batch].astype(object).to_numpy()
                found["batch transfer"] = batch_transfer(X, labels, batches, n_neighbors=n_neighbors, **more)
        if order:
            known = adata.obs[order].to_numpy(dtype=float, na_value=np.nan)
            found["stage correlation"] = stage_correlation(X, known, n_roots=n_roots, n_neighbors=n_neighbors, **more)
        if pseudotime:
            before = adata.obs[pseudotime].to_numpy(dtype=float, na_value=np.nan)
            found["trajectory conservation"] = trajectory_conservation(X, before, n_neighbors=n_neighbors, **more)
        if groups:
            column = adata.obs[groups].astype(object)
            means = pd.DataFrame(X).groupby(column.where(column.notna(), "NA").astype(str).to_numpy()).mean()
            means = means[means.index != "NA"]
            names, centered = list(means.index), means.to_numpy() - means.to_numpy().mean(axis=0)
            found["parent or child"] = parent_child_share(centered, names, tree, **more)
            found["tree correlation"] = tree_correlation(centered, names, tree, **more)
            found["triplets"] = triplet_accuracy(centered, names, tree, **more)
        rows += [
            {"use_rep": key, "score": name, "estimate": one.estimate, "low": one.low, "high": one.high}
            for name, one in found.items()
        ]
    return pd.DataFrame(rows)


def _mean_spearman(rows: NDArray[np.float64]) -> float:
    """Mean of Spearman's rho of the first column with the others; infinite values are tied and last."""
    from scipy.stats import rankdata

    ranks = rankdata(rows, axis=0)
    ranks -= ranks.mean(axis=0)
    size = np.sqrt((ranks**2).sum(axis=0))
    if not (size > 0).all():
        return float("nan")
    return float((ranks[:, 0] @ (ranks[:, 1:] / size[1:]) / size[0]).mean())
