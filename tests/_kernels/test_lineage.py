"""Trees against scipy, networkx, scanpy and closed forms."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy import sparse
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform

from newt_sc._kernels import _lineage as trees


@pytest.fixture
def D() -> np.ndarray:
    return squareform(pdist(np.random.default_rng(0).standard_normal((9, 5))))


def random_tree(n: int, seed: int) -> tuple[nx.Graph, np.ndarray]:
    """Unrooted binary tree with random lengths, and the distances of its leaves."""
    rng = np.random.default_rng(seed)
    graph = nx.Graph([(0, "i"), (1, "i"), (2, "i")])
    for leaf in range(3, n):
        a, b = sorted(graph.edges, key=str)[rng.integers(graph.number_of_edges())]
        graph.remove_edge(a, b)
        graph.add_edges_from([(a, f"n{leaf}"), (f"n{leaf}", b), (leaf, f"n{leaf}")])
    for a, b in graph.edges:
        graph.edges[a, b]["weight"] = rng.uniform(0.1, 1)
    paths = dict(nx.all_pairs_dijkstra_path_length(graph))
    return graph, np.array([[paths[i][j] for j in range(n)] for i in range(n)])


def true_splits(graph: nx.Graph, n: int) -> set[frozenset[int]]:
    out = set()
    for edge in graph.edges:
        rest = nx.restricted_view(graph, [], [edge])
        side = {
            node for node in nx.node_connected_component(rest, edge[0]) if isinstance(node, int)
        }
        out.add(frozenset(side if 0 not in side else set(range(n)) - side))
    return out


def paths(tree: trees.Tree) -> np.ndarray:
    """Distances between leaves, along the branches."""
    edges = [(i, int(j), tree.length[i]) for i, j in enumerate(tree.parent) if j >= 0]
    graph = nx.Graph()
    graph.add_weighted_edges_from(edges)
    found = dict(nx.all_pairs_dijkstra_path_length(graph))
    return np.array([[found[i][j] for j in range(tree.n_leaves)] for i in range(tree.n_leaves)])


def splits_of(tree: trees.Tree) -> set[frozenset[int]]:
    return {
        frozenset(
            np.flatnonzero(np.unpackbits(np.frombuffer(split, np.uint8))[: tree.n_leaves]).tolist()
        )
        for split in tree.splits()
    } - {frozenset()}


@pytest.mark.parametrize("method", ["average", "complete", "single", "weighted", "ward"])
def test_agglomeration_is_scipys(D: np.ndarray, method: str) -> None:
    Z = hierarchy.linkage(squareform(D), method)
    tree = trees.agglomerate(D, method)
    np.testing.assert_allclose(tree.linkage(), Z)
    np.testing.assert_allclose(paths(tree), squareform(hierarchy.cophenet(Z)))


@pytest.mark.parametrize("seed", range(5))
def test_neighbour_joining_finds_an_additive_tree(seed: int) -> None:
    n = 12
    graph, distances = random_tree(n, seed)
    tree = trees.neighbor_joining(distances)
    np.testing.assert_allclose(paths(tree), distances, atol=1e-9)
    assert splits_of(tree) == true_splits(graph, n)


@pytest.mark.parametrize("leaf", [0, 3, 8])
@pytest.mark.parametrize(
    "make", [lambda D: trees.agglomerate(D, "average"), trees.neighbor_joining]
)
def test_moving_the_root_keeps_the_tree(D: np.ndarray, leaf: int, make: object) -> None:
    tree = make(D)  # type: ignore[operator]
    moved = tree.rooted(leaf)
    np.testing.assert_allclose(paths(moved), paths(tree))
    assert splits_of(moved) == splits_of(tree)
    assert moved.parent[leaf] == moved.parent.size - 1
    assert moved.length[leaf] == 0
    inner = moved.parent[:-1]
    assert (inner >= len(D)).all()
    assert (inner > np.arange(inner.size)).all()  # a parent comes after its children
    assert hierarchy.is_valid_linkage(moved.linkage())


def test_two_leaves() -> None:
    D = np.array([[0, 2.0], [2, 0]])
    for tree in (
        trees.agglomerate(D, "average"),
        trees.neighbor_joining(D),
        trees.neighbor_joining(D).rooted(1),
    ):
        np.testing.assert_allclose(paths(tree), D)


def test_spanning_tree_is_networkxs(D: np.ndarray) -> None:
    parent = trees.spanning_tree(D, 4)
    expected = nx.minimum_spanning_tree(nx.from_numpy_array(D))
    found = {frozenset((i, int(j))) for i, j in enumerate(parent) if j >= 0}
    assert found == {frozenset(edge) for edge in expected.edges}
    assert parent[4] == -1
    assert (parent >= 0).sum() == len(D) - 1


def test_spanning_tree_of_groups_in_one_place_is_a_tree() -> None:
    D = squareform(pdist(np.array([[0.0], [0], [1], [1], [3]])))
    parent = trees.spanning_tree(D, None)
    graph = nx.Graph([(i, int(j)) for i, j in enumerate(parent) if j >= 0])
    assert nx.is_tree(graph)
    assert len(graph) == 5
    assert sum(D[i, j] for i, j in graph.edges) == 3


def test_connectivity_is_pagas() -> None:
    import anndata as ad
    import scanpy as sc
    from sklearn.neighbors import kneighbors_graph

    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2, 3], [30, 20, 25, 5])
    adata = ad.AnnData(
        (rng.standard_normal((80, 4)) + codes[:, None] * [1.2, 0, 0, 0]).astype(np.float32)
    )
    adata.obs["group"] = np.array(list("abcd"))[codes]
    adata.obs["group"] = adata.obs["group"].astype("category")
    near = kneighbors_graph(adata.X, 7, mode="distance")
    adata.obsp["distances"], adata.obsp["connectivities"] = near, near
    adata.uns["neighbors"] = {
        "connectivities_key": "connectivities",
        "distances_key": "distances",
        "params": {"n_neighbors": 8, "method": "umap"},
    }
    sc.tl.paga(adata, groups="group")
    found = trees.group_connectivity(sparse.csr_array(adata.obsp["distances"]), codes, 4)
    np.testing.assert_allclose(found, adata.uns["paga"]["connectivities"].toarray())
    assert (found > 0).any()
