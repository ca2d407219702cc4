"""Scores against a known tree, against brute force and networkx."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import networkx as nx
import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform
from scipy.stats import pearsonr, spearmanr

from newt_sc import metrics
from newt_sc.metrics import _tree

EDGES = [
    ("hsc", "mpp"),
    ("mpp", "clp"),
    ("mpp", "gmp"),
    ("clp", "b"),
    ("clp", "t"),
    ("gmp", "mo"),
    ("gmp", "neu"),
]
NAMES = [
    "neu",
    "hsc",
    "b",
    "mpp",
    "t",
    "mo",
    "clp",
    "other",
]  # gmp has no data, other is not in the tree


def points(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((len(NAMES), 4))


def brute_paths() -> np.ndarray:
    graph = nx.Graph(EDGES)
    out = np.full((8, 8), np.nan)
    for i, a in enumerate(NAMES[:7]):
        for j, b in enumerate(NAMES[:7]):
            out[i, j] = nx.shortest_path_length(graph, a, b)
    return out


@pytest.mark.parametrize(
    "tree",
    [
        EDGES,
        {child: parent for parent, child in EDGES} | {"hsc": None},
        nx.DiGraph(EDGES),
        "(((b,t)clp,(mo,neu)gmp)mpp)hsc;",
    ],
)
def test_paths_of_every_kind_of_tree(tree: Any) -> None:
    np.testing.assert_array_equal(_tree.path_lengths(tree, NAMES), brute_paths())


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "correlation"])
def test_scores_are_those_by_hand(metric: Any) -> None:
    X, path = points(), brute_paths()[:7, :7]
    D = squareform(pdist(X[:7], metric))
    upper = np.triu_indices(7, 1)
    for method, function in (("spearman", spearmanr), ("pearson", pearsonr)):
        found = metrics.tree_correlation(X, NAMES, EDGES, metric=metric, method=method)  # type: ignore[arg-type]
        assert found.estimate == pytest.approx(function(D[upper], path[upper])[0])
        assert found.low < found.estimate < found.high
    hits = []
    for three in combinations(range(7), 3):
        pairs = list(combinations(three, 2))
        steps = [path[pair] for pair in pairs]
        if steps.count(min(steps)) == 1:
            hits.append(np.argmin([D[pair] for pair in pairs]) == np.argmin(steps))
    assert metrics.triplet_accuracy(X, NAMES, EDGES, metric=metric).estimate == pytest.approx(
        np.mean(hits)
    )


def test_the_tree_itself_is_perfect_and_no_order_matters() -> None:
    path = np.nan_to_num(brute_paths(), nan=9)
    assert metrics.tree_correlation(
        path, NAMES, EDGES, metric="precomputed"
    ).estimate == pytest.approx(1)
    assert metrics.triplet_accuracy(path, NAMES, EDGES, metric="precomputed").estimate == 1
    order = np.random.default_rng(1).permutation(8)
    for score in (metrics.tree_correlation, metrics.triplet_accuracy):
        moved = score(points()[order], [NAMES[i] for i in order], EDGES)
        assert moved.estimate == pytest.approx(score(points(), NAMES, EDGES).estimate)


def test_ties_count_by_chance() -> None:
    same = np.ones((8, 8)) - np.eye(8)
    assert metrics.triplet_accuracy(
        same, NAMES, EDGES, metric="precomputed"
    ).estimate == pytest.approx(1 / 3)


def test_bad_trees_are_refused() -> None:
    for tree, names, text in (
        ([], NAMES, "no edge"),
        ([("a", "b", "c")], NAMES, "pairs of parent and child"),
        ([("x", "y")], NAMES, "0 of the 8 names"),
        (EDGES, [*NAMES[:7], "neu"], "more than once"),
    ):
        with pytest.raises(ValueError, match=text):
            metrics.tree_correlation(points(), names, tree)
    with pytest.raises(ValueError, match="all of one tree"):
        metrics.tree_correlation(points(), NAMES, [("neu", "hsc"), ("b", "t")])
    with pytest.raises(ValueError, match="expected distances"):
        metrics.triplet_accuracy(points(), NAMES, EDGES, metric="precomputed")
    with pytest.raises(ValueError, match="no triplet"):
        metrics.triplet_accuracy(
            points()[:3], ["a", "b", "c"], [("r", "a"), ("r", "b"), ("r", "c")]
        )
    with pytest.raises(ValueError, match="method"):
        metrics.tree_correlation(points(), NAMES, EDGES, method="kendall")  # type: ignore[arg-type]
