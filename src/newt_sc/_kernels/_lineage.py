"""Trees over groups.

Agglomeration, neighbour joining, spanning tree, rooting and support of branches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform

from ._plain import takes_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Tree",
    "agglomerate",
    "group_connectivity",
    "group_distances",
    "group_means",
    "neighbor_joining",
    "spanning_tree",
]


@dataclass(frozen=True, eq=False)
class Tree:
    """A rooted tree whose first nodes are the leaves.

    Attributes
    ----------
    parent
        Parent of each node, -1 for the root. Leaves are ``0 .. n_leaves - 1``; a parent that is no
        leaf has a larger number than its children.
    length
        Length of the branch above each node, 0 for the root.
    n_leaves
        How many leaves.

    Examples
    --------
    >>> tree = nt._kernels.agglomerate(np.array([[0, 1, 4], [1, 0, 4], [4, 4, 0.0]]), "average")
    >>> tree.parent.tolist(), tree.length.tolist()
    ([3, 3, 4, 4, -1], [0.5, 0.5, 2.0, 1.5, 0.0])
    """

    parent: NDArray[np.intp]
    length: NDArray[np.float64]
    n_leaves: int

    def children(self) -> list[list[int]]:
        """List the children of each node.

        Returns
        -------
        One list a node, empty for leaves.
        """
        out: list[list[int]] = [[] for _ in self.parent]
        for node, parent in enumerate(self.parent.tolist()):
            if parent >= 0:
                out[parent].append(node)
        return out

    def members(self) -> NDArray[np.bool_]:
        """Tell which leaves are below each node, or are it.

        Returns
        -------
        Nodes x leaves, bool.
        """
        below = np.zeros((self.parent.size, self.n_leaves), dtype=bool)
        below[np.arange(self.n_leaves), np.arange(self.n_leaves)] = True
        for node in range(self.parent.size):
            if self.parent[node] >= 0:
                below[self.parent[node]] |= below[node]
        return below

    def splits(self) -> list[bytes]:
        """Name the split of the leaves that the branch above each node makes.

        Returns
        -------
        One name per node, the same in every tree over these leaves.
        """
        below = self.members()
        below[below[:, 0]] ^= True
        return [row.tobytes() for row in np.packbits(below, axis=1)]

    def linkage(self) -> NDArray[np.float64]:
        """Write the tree as a linkage of :mod:`scipy.cluster.hierarchy`.

        Returns
        -------
        Array of (leaves - 1) x 4; a node stands at twice the distance to its farthest leaf.
        """
        height = np.zeros(self.parent.size)
        size = self.members().sum(axis=1)
        for node, parent in enumerate(self.parent.tolist()):
            if parent >= 0:
                height[parent] = max(height[parent], height[node] + self.length[node])
        inner = np.arange(self.n_leaves, self.parent.size)
        order = inner[np.argsort(height[inner], kind="stable")]
        name = np.concatenate([np.arange(self.n_leaves), np.empty(inner.size, dtype=int)])
        name[order] = np.arange(self.n_leaves, self.parent.size)
        children = self.children()
        rows = [
            [*sorted(name[children[node]].tolist()), 2 * height[node], size[node]] for node in order
        ]
        return np.array(rows, dtype=np.float64).reshape(-1, 4)

    def rooted(self, leaf: int) -> Tree:
        """Move the root to a leaf, which becomes a child of the root at distance 0.

        Parameters
        ----------
        leaf
            Number of the leaf.

        Returns
        -------
        The same tree with another root; the numbers of inner nodes change.
        """
        n, top = self.n_leaves, self.parent.size - 1
        near: list[dict[int, float]] = [{} for _ in self.parent]
        for node, parent in enumerate(self.parent.tolist()):
            if parent >= 0:
                near[node][parent] = near[parent][node] = float(self.length[node])
        first, second = near[top].items()  # the old root has two branches that become one
        near[first[0]].pop(top)
        near[second[0]].pop(top)
        near[first[0]][second[0]] = near[second[0]][first[0]] = first[1] + second[1]
        (start, gap), *_ = near[leaf].items()
        order, above, stack = [], {start: (-1, gap)}, [start]
        while stack:
            node = stack.pop()
            order.append(node)
            for other, gap in near[node].items():
                if other not in (above[node][0], leaf):
                    above[other] = (node, gap)
                    stack.append(other)
        name = dict(zip([*(x for x in order[::-1] if x >= n), -1], range(n, top + 1), strict=True))
        parent = np.full(top + 1, -1, dtype=np.intp)
        length = np.zeros(top + 1)
        for node, (up, gap_up) in above.items():
            parent[name.get(node, node)], length[name.get(node, node)] = name[up], gap_up
        parent[leaf] = top
        return Tree(parent, length, n)


@takes_arrays
def group_means(X: Any, codes: NDArray[np.intp], n_groups: int) -> NDArray[np.float64]:
    """Average the rows of each group.

    Parameters
    ----------
    X
        Cells x dimensions, numpy or scipy sparse.
    codes
        Group of each cell; cells of code -1 are left out.
    n_groups
        How many groups.

    Returns
    -------
    Groups x dimensions, float64; zeros for a group without cells.

    Examples
    --------
    >>> nt._kernels.group_means(np.array([[1.0], [3.0], [5.0]]), np.array([0, 0, 1]), 2).tolist()
    [[2.0], [5.0]]
    """
    used = np.flatnonzero(codes >= 0)
    table = sparse.csr_array(
        (np.ones(used.size), (codes[used], used)), shape=(n_groups, len(codes))
    )
    size = np.bincount(codes[used], minlength=n_groups)
    sums: Any = table @ X.astype(np.float64)
    return (
        np.asarray(sums.toarray() if sparse.issparse(sums) else sums) / np.maximum(size, 1)[:, None]
    )


@takes_arrays
def group_distances(means: NDArray[np.floating], metric: str) -> NDArray[np.float64]:
    """Measure distances between groups.

    Parameters
    ----------
    means
        Groups x dimensions.
    metric
        Of :func:`scipy.spatial.distance.pdist`.

    Returns
    -------
    Groups x groups, float64; 1 where a correlation or cosine is not defined because a row does not
    vary.

    Examples
    --------
    >>> nt._kernels.group_distances(np.array([[0.0, 0.0], [3.0, 4.0]]), "euclidean").tolist()
    [[0.0, 5.0], [5.0, 0.0]]
    """
    found = pdist(np.asarray(means, dtype=np.float64), metric)
    return np.asarray(squareform(np.maximum(np.nan_to_num(found, nan=1.0), 0)))


@takes_arrays
def agglomerate(D: NDArray[np.floating], method: str) -> Tree:
    """Agglomerate groups by :func:`scipy.cluster.hierarchy.linkage`.

    Parameters
    ----------
    D
        Distances, groups x groups, symmetric.
    method
        Linkage.

    Returns
    -------
    Tree, in which leaves that meet at height h are h apart.

    Examples
    --------
    >>> D = np.array([[0, 1, 4], [1, 0, 4], [4, 4, 0.0]])
    >>> nt._kernels.agglomerate(D, "average").parent.tolist()  # 0 and 1 meet first
    [3, 3, 4, 4, -1]
    """
    Z = hierarchy.linkage(squareform(D, checks=False), method=method)
    n = len(D)
    height = np.concatenate([np.zeros(n), np.maximum.accumulate(Z[:, 2])])
    parent = np.full(2 * n - 1, -1, dtype=np.intp)
    for i, (a, b) in enumerate(Z[:, :2].astype(int)):
        parent[[a, b]] = n + i
    length = np.zeros(2 * n - 1)
    length[:-1] = (height[parent[:-1]] - height[:-1]) / 2
    return Tree(parent, length, n)


@takes_arrays
def neighbor_joining(D: NDArray[np.floating]) -> Tree:
    """Join neighbours (Saitou and Nei 1987).

    Parameters
    ----------
    D
        Distances, groups x groups, symmetric.

    Returns
    -------
    Tree, rooted in the branch that is left; negative lengths are set to 0.

    Examples
    --------
    >>> D = np.array([[0, 2, 5, 5], [2, 0, 5, 5], [5, 5, 0, 2], [5, 5, 2, 0.0]])
    >>> nt._kernels.neighbor_joining(D).length[:4].tolist()
    [1.0, 1.0, 1.0, 0.5]
    """
    n = len(D)
    if n == 2:
        return agglomerate(D, "average")
    D = np.array(D, dtype=np.float64)
    parent = np.full(2 * n - 1, -1, dtype=np.intp)
    length = np.zeros(2 * n - 1)
    nodes = list(range(n))
    for new in range(n, 2 * n - 2):
        m = len(nodes)
        total = D.sum(axis=0)
        Q = (m - 2) * D - total - total[:, None]
        np.fill_diagonal(Q, np.inf)
        a, b = sorted(divmod(int(Q.argmin()), m))
        gap = (total[a] - total[b]) / (m - 2)
        parent[[nodes[a], nodes[b]]] = new
        length[[nodes[a], nodes[b]]] = (D[a, b] + gap) / 2, (D[a, b] - gap) / 2
        D[a] = D[:, a] = (D[a] + D[b] - D[a, b]) / 2
        D[a, a] = 0
        D = np.delete(np.delete(D, b, axis=0), b, axis=1)
        nodes[a] = new
        del nodes[b]
    parent[nodes] = 2 * n - 2
    length[nodes] = D[0, 1] / 2
    return Tree(parent, np.maximum(length, 0), n)


@takes_arrays
def spanning_tree(D: NDArray[np.floating], root: int | None) -> NDArray[np.intp]:
    """Span the groups by a tree of minimum length.

    Parameters
    ----------
    D
        Distances, groups x groups, symmetric.
    root
        Group that the tree starts at; ``None`` for the most central one.

    Returns
    -------
    Parent of each group, -1 for the root.

    Examples
    --------
    >>> D = np.array([[0, 1, 3], [1, 0, 1], [3, 1, 0.0]])
    >>> nt._kernels.spanning_tree(D, 0).tolist()
    [-1, 0, 1]
    """
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree, shortest_path

    # a zero would be no edge: distances are moved up, which leaves their order
    shifted = np.asarray(D, dtype=np.float64) + 1e-9 * (D.max() or 1.0)
    np.fill_diagonal(shifted, 0)
    tree = minimum_spanning_tree(sparse.csr_array(shifted))
    if root is None:
        root = int(shortest_path(tree, directed=False).sum(axis=1).argmin())
    _, parent = breadth_first_order(tree, root, directed=False)
    return np.where(parent < 0, -1, parent).astype(np.intp)


@takes_arrays
def group_connectivity(
    graph: sparse.csr_array, codes: NDArray[np.intp], n_groups: int
) -> NDArray[np.float64]:
    """Connect groups as PAGA does (version 1.2): edges between groups over their expected number.

    Parameters
    ----------
    graph
        Neighbours of each cell, cells x cells; every stored entry is one directed edge.
    codes
        Group of each cell.
    n_groups
        How many groups.

    Returns
    -------
    Groups x groups, symmetric, from 0 to 1, with 0 on the diagonal.

    Examples
    --------
    >>> from scipy import sparse
    >>> graph = sparse.csr_array(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0.0]]))
    >>> nt._kernels.group_connectivity(graph, np.array([0, 0, 1]), 2).round(2).tolist()
    [[0.0, 0.8], [0.8, 0.0]]
    """
    table = sparse.csr_array(
        (np.ones(codes.size), (np.arange(codes.size), codes)), shape=(codes.size, n_groups)
    )
    edges = sparse.csr_array((np.ones(graph.nnz), graph.indices, graph.indptr), shape=graph.shape)
    between = np.asarray((table.T @ edges @ table).todense())
    size = np.bincount(codes, minlength=n_groups)
    out = between.sum(axis=1)  # edges that start in a group
    both = between + between.T
    np.fill_diagonal(both, 0)
    expected = (out[:, None] * size + out * size[:, None]) / max(codes.size - 1, 1)
    return np.where(both > 0, np.minimum(both / np.where(expected > 0, expected, 1), 1), 0)
