"""Agreement of distances between groups with a known tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from newt_sc import _kernels
from newt_sc._docs import with_docs

from ._bootstrap import Interval
from ._check import check_count, check_length, check_points

if TYPE_CHECKING:
    import networkx as nx
    from numpy.typing import ArrayLike, NDArray

__all__ = ["path_lengths", "tree_correlation", "triplet_accuracy"]


def path_lengths(tree: Any, names: Sequence[str]) -> NDArray[np.float64]:
    """Count the steps between every two groups in a tree.

    NaN for groups that the tree lacks, infinite between those that it does not connect; nodes that
    are not among the names count as steps.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import shortest_path

    edges = _edges(tree)
    named = [str(name) for name in names]
    if len(set(named)) < len(named):
        twice = sorted({name for name in named if named.count(name) > 1})
        msg = f"names has {twice} more than once; expected one row for each group."
        raise ValueError(msg)
    nodes = pd.Index(pd.unique(pd.Series([node for edge in edges for node in edge], dtype=object)))
    at = nodes.get_indexer(pd.Index(named, dtype=object))
    if (at >= 0).sum() < 2:
        msg = (
            f"{(at >= 0).sum()} of the {len(named)} names are in the tree, which has"
            f" {[*nodes[:5]]}; expected two."
        )
        raise ValueError(msg)
    i, j = (nodes.get_indexer(list(side)) for side in zip(*edges, strict=True))
    graph = csr_array((np.ones(len(edges)), (i, j)), shape=(nodes.size, nodes.size))
    paths = shortest_path(graph, directed=False, unweighted=True)
    out = np.full((len(named), len(named)), np.nan)
    known = np.flatnonzero(at >= 0)
    out[np.ix_(known, known)] = paths[np.ix_(at[known], at[known])]
    return out


@with_docs
def tree_correlation(
    X: ArrayLike,
    names: Sequence[str],
    tree: str | nx.DiGraph | Mapping[str, str | None] | Iterable[tuple[str, str]],
    *,
    metric: str = "cosine",
    method: Literal["spearman", "pearson"] = "spearman",
    n_resamples: int = 1000,
    random_state: int = 0,
) -> Interval:
    """Correlate distances between groups with the number of steps between them in a known tree.

    With ``metric="precomputed"`` and the path lengths of another tree, this is the cophenetic
    correlation of the two trees.

    Parameters
    ----------
    %(group_rows)s
    names
        Name of each row; groups that the tree lacks are left out.
    %(known_tree)s
    method
        Of ranks or of values.
    n_resamples
        Bootstrap resamples of the groups; a group is not paired with its own copies, and ranks are
        those of all pairs.
    random_state
        Seed.

    Returns
    -------
    Correlation over pairs of groups with its bootstrap interval.

    Raises
    ------
    ValueError
        If ``method`` is not known, shapes do not fit, ``X`` is not finite, or fewer than three
        groups are in the tree.

    Examples
    --------
    >>> X = np.array([[0, 1], [0.2, 1], [1, 0.2], [1, 0]])
    >>> nt.metrics.tree_correlation(X, list("abcd"), "((a,b),(c,d));").estimate > 0.8
    True
    """
    from scipy.stats import rankdata

    if method not in ("spearman", "pearson"):
        msg = f"method is {method!r}; expected 'spearman' or 'pearson'."
        raise ValueError(msg)
    D, path = _both(X, names, tree, metric, least=3)
    upper = np.triu_indices(len(D), 1)
    a, b = D[upper], path[upper]
    if method == "spearman":
        a, b = rankdata(a), rankdata(b)

    def correlation(weight: NDArray[np.float64]) -> float:
        pair = weight[upper[0]] * weight[upper[1]]
        total = pair.sum()
        if not total:
            return float("nan")
        x, y = a - pair @ a / total, b - pair @ b / total
        size = np.sqrt((pair @ x**2) * (pair @ y**2))
        return float(pair @ (x * y) / size) if size > 0 else float("nan")

    return _interval(correlation, len(D), n_resamples, random_state)


@with_docs
def triplet_accuracy(
    X: ArrayLike,
    names: Sequence[str],
    tree: str | nx.DiGraph | Mapping[str, str | None] | Iterable[tuple[str, str]],
    *,
    metric: str = "cosine",
    max_groups: int = 120,
    n_resamples: int = 1000,
    random_state: int = 0,
) -> Interval:
    """Score how often the two closest of three groups are also the closest in a known tree.

    Triplets in which the tree has no closest pair are left out. Chance is one third.

    Parameters
    ----------
    %(group_rows)s
    names
        Name of each row; groups that the tree lacks are left out.
    %(known_tree)s
    max_groups
        Of more groups, this many are drawn.
    n_resamples
        Bootstrap resamples of the groups.
    random_state
        Seed.

    Returns
    -------
    Share of right triplets with its bootstrap interval; a tie among distances counts as far as it
    is right by chance.

    Raises
    ------
    ValueError
        If shapes do not fit, ``X`` is not finite, fewer than three groups are in the tree, or it
        resolves no triplet.

    Examples
    --------
    >>> X = np.array([[0, 1], [0.2, 1], [1, 0.2], [1, 0]])
    >>> nt.metrics.triplet_accuracy(X, list("abcd"), "((a,b),(c,d));").estimate
    1.0
    """
    D, path = _both(X, names, tree, metric, least=3)
    check_count("max_groups", max_groups, 3)
    if len(D) > max_groups:
        check_count("random_state", random_state, 0)
        drawn = np.random.default_rng(random_state).choice(len(D), max_groups, replace=False)
        D, path = D[np.ix_(drawn, drawn)], path[np.ix_(drawn, drawn)]
    three = np.array(list(combinations(range(len(D)), 3)))
    pairs = [(0, 1), (0, 2), (1, 2)]
    near, true = (
        np.column_stack([table[three[:, i], three[:, j]] for i, j in pairs]) for table in (D, path)
    )
    best = true == true.min(axis=1, keepdims=True)
    resolved = best.sum(axis=1) == 1
    if not resolved.any():
        msg = "the tree resolves no triplet of these groups: all are equally far apart."
        raise ValueError(msg)
    three, best, near = three[resolved], best[resolved], near[resolved]
    nearest = near == near.min(axis=1, keepdims=True)
    right = (nearest & best).sum(axis=1) / nearest.sum(axis=1)

    def share(weight: NDArray[np.float64]) -> float:
        each = weight[three].prod(axis=1)
        total = each.sum()
        return float(each @ right / total) if total else float("nan")

    return _interval(share, len(D), n_resamples, random_state)


def _edges(tree: Any) -> list[tuple[Any, Any]]:
    from newt_sc.io import read_newick

    if isinstance(tree, str):
        tree = read_newick(tree)
    if hasattr(tree, "edges"):
        return list(tree.edges)
    if isinstance(tree, Mapping):
        pairs = [(str(parent), str(child)) for child, parent in tree.items() if not pd.isna(parent)]
    else:
        pairs = []
        for pair in tree:
            if isinstance(pair, str) or len(pair) != 2:
                msg = f"the tree has the entry {pair!r}; expected pairs of parent and child."
                raise ValueError(msg)
            pairs.append((str(pair[0]), str(pair[1])))
    if not pairs:
        msg = (
            "the tree has no edge; expected Newick text, a mapping of groups to parents, or pairs"
            " of both."
        )
        raise ValueError(msg)
    return pairs


def _both(
    X: ArrayLike, names: Sequence[str], tree: Any, metric: str, least: int = 2
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances and paths of the groups that the tree has."""
    from scipy.spatial.distance import pdist, squareform

    points = check_points(X)
    check_length("names", np.asarray(names, dtype=object), len(points))
    path = path_lengths(tree, names)
    at = np.flatnonzero(np.isfinite(path).sum(axis=1) > 1)
    if at.size < least or not np.isfinite(path[np.ix_(at, at)]).all():
        msg = (
            f"{at.size} groups are connected in the tree; expected at least {least}, all of one"
            " tree."
        )
        raise ValueError(msg)
    if metric == "precomputed":
        if points.shape[0] != points.shape[1]:
            msg = (
                f"X has shape {points.shape}; expected distances, groups x groups, with"
                " metric='precomputed'."
            )
            raise ValueError(msg)
        D = points[np.ix_(at, at)]
    elif not isinstance(metric, str) and not callable(metric):
        msg = f"metric is {metric!r}, expected the name of a distance of scipy, or 'precomputed'."
        raise TypeError(msg)
    else:
        D = squareform(np.nan_to_num(pdist(points[at], metric), nan=1.0))
    return D, path[np.ix_(at, at)]


def _interval(
    statistic: Callable[[NDArray[np.float64]], float], n: int, n_resamples: int, random_state: int
) -> Interval:
    """Percentile interval of a statistic of weighted groups."""
    check_count("n_resamples", n_resamples, 1)
    check_count("random_state", random_state, 0)
    weights = _kernels.bootstrap_weights(n, n_resamples, random_state=random_state)
    replicates = np.array([statistic(weight) for weight in weights])
    return Interval(statistic(np.ones(n)), *_kernels.percentile_interval(replicates), replicates)
