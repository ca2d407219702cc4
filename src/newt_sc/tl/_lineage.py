"""Hierarchies of groups of cells, and the gene sets that separate their branches."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from os import PathLike
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc import _kernels, _keys, genes
from newt_sc._missing import coded_labels, read_labels
from newt_sc._verb import Count, Whole, Written, checked, own_copy, verb
from newt_sc._warn import warn
from newt_sc.genes._annotated import var_genes
from newt_sc.genes._sets import align_sets
from newt_sc.io._newick import format_newick
from newt_sc.pp._shared_genes import most_variable
from newt_sc.tl._rows import Rows, warn_values
from newt_sc.tl._sides import N_TOP_GENES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["lineage", "lineage_programs"]

Method = Literal["average", "complete", "single", "weighted", "ward", "nj"]
Metric = Literal["correlation", "cosine", "euclidean"]
_FEW: Final = 50  # cells, below which support is said to be a rough guide
_COMPONENTS: Final = 30  # of the PCA that PAGA's neighbours are found in
_MOST: Final = 50  # more is no logarithm
_AT_ONCE: Final = 1 << 24  # values of resampled centroids that are held


@verb(_keys.LINEAGE)
def lineage(
    adata: AnnData,
    groupby: str,
    *,
    root: str | None = None,
    use_rep: str | None = None,
    method: Method = "average",
    metric: Metric | None = None,
    n_resamples: Whole = 100,
    n_neighbors: Annotated[int, "from 2 up"] = 15,
    random_state: Whole = 0,
    key_added: str | None = None,
    copy: bool = False,
) -> Written[AnnData]:
    """Arrange groups of cells in a tree, with a measure of support for each branch.

    Give it all measured genes, log-normalised. It uses expression, not the gene vectors. It makes
    two trees:

    - a *hierarchy*, in which groups are leaves: for cell types that diverge;
    - a *minimum spanning tree*, in which groups are also inner nodes: for stages that follow each
      other, such as sorted progenitors.

    Support is the share of bootstrap samples whose tree has the same branch. Each sample draws
    cells anew within their groups. A group of one cell cannot be drawn anew. If there is such a
    group, the genes (the dimensions of ``use_rep``) are drawn as well, for all groups.

    A group is represented by the mean of its cells, less the mean of all groups, so that large
    groups do not dominate. Genes of the cell cycle and of housekeeping are left out (GO and
    Hallmark, about 3,300 genes; :func:`newt_sc.genes.nuisance`). The distance is the mean of two:
    one over the 2,000 most variable of the other genes, one over the 2,000 genes whose group means
    vary most.

    Parameters
    ----------
    %(adata)s
    groupby
        Column of ``obs`` with the groups. Cells without one (missing, or ``"NA"``) are left out.
    root
        Group that the trees start from, such as the stem cells. Without it, the hierarchy keeps the
        root of the clustering (``"nj"``: the last branch). The spanning tree starts at its most
        central group, which says nothing about time.
    use_rep
        Key of ``obsm`` to compute distances in, instead of genes.
    method
        Method of clustering: a linkage of :func:`scipy.cluster.hierarchy.linkage`, or
        ``"nj"``, neighbour joining, whose branches need not be equally long.
    metric
        Distance between centroids; ``"correlation"`` of genes and ``"cosine"`` in ``use_rep`` by
        default. ``"ward"`` needs ``"euclidean"``. A group near the mean of all groups has no clear
        direction. Its cosine distances are uncertain, as its support shows. ``"euclidean"`` puts
        such a group in the middle.
    n_resamples
        Number of bootstrap samples; 0 for no support.
    n_neighbors
        Neighbours of a cell in the graph that PAGA is computed from, where ``adata.uns["paga"]`` is
        not that of ``groupby``.
    %(random_state)s
    key_added
        Key in ``uns``, instead of ``"newt_lineage"``.
    %(copy)s

    Returns
    -------
    ``None``, or the copy. Written is ``uns["newt_lineage"]``:

    - ``groups``, ``sizes``: the groups, in the order of leaves 0, 1, ..., and their numbers of
      cells;
    - ``newick``: the hierarchy with lengths, and support as labels of inner nodes;
    - ``linkage``: the same tree as a linkage of :mod:`scipy.cluster.hierarchy` (groups - 1, 4), in
      which a node stands as high as its farthest leaf;
    - ``branches``: a table of all nodes, see :func:`newt_sc.get.lineage`;
    - ``spanning_tree``: a table of edges: ``parent``, ``child``, ``distance``, ``support`` and
      ``in_paga``;
    - ``paga``: ``shared``, the share of the edges of PAGA's tree that the spanning tree has;
      ``n_edges`` of that tree; ``n_components``, into how many parts the graph of groups falls;
      ``source``, ``"uns"`` or ``"computed"``;
    - ``genes``, without ``use_rep``: ``n_used``, ``n_left_out`` and ``left_out``, their names in
      ``var_names``;
    - ``params``, of which ``resampled`` says what the bootstrap drew.

    Raises
    ------
    TypeError
        If ``adata`` is no AnnData, its matrix is not numeric, or groups are numbers with fractions.
    KeyError
        If ``groupby`` or ``use_rep`` is not there.
    ValueError
        If there are fewer than two groups, the root is not among them, values are NaN, infinite or,
        of genes, below 0, no gene differs between groups, or a parameter is not known or out of
        range.

    Warns
    -----
    NewtWarning
        If cells have no group, groups no cell, there are fewer than 50 cells, PAGA's graph falls
        apart, values look like counts, or no gene of the cell cycle or of housekeeping is found.

    See Also
    --------
    newt_sc.pl.lineage, newt_sc.get.lineage, newt_sc.tl.lineage_programs

    References
    ----------
    Felsenstein (1985), Evolution 39:783. Saitou and Nei (1987), Mol Biol Evol 4:406. Wolf et al.
    (2019), Genome Biology 20:59 (PAGA).

    Examples
    --------
    >>> import newt_sc as nt
    >>> nt.tl.lineage(adata, "cell_type", root="HSC")  # doctest: +SKIP
    >>> nt.get.lineage(adata)  # doctest: +SKIP
    """
    if metric is None:
        metric = "correlation" if use_rep is None else "cosine"
    if method == "ward" and metric != "euclidean":
        msg = f"method 'ward' is defined for metric='euclidean' only, found {metric!r}."
        raise ValueError(msg)
    codes, groups = _groups(adata, groupby)
    start = _root(root, groups)
    n, used = len(groups), codes >= 0
    values = _genes(adata, codes, n) if use_rep is None else _representation(adata, use_rep, used)
    codes = codes[used]
    sizes = np.bincount(codes, minlength=n)
    if codes.size < _FEW:
        warn(f"{codes.size} cells in {n} groups: support is a rough guide with so few.")
    build = partial(_trees, metric=metric, method=method, start=start)
    trees = build(_kernels.group_means(values.X, codes, n), values.parts)
    drawn = _resampled(values, codes, sizes, n_resamples, random_state)
    support, edge_support = _support(trees, starmap(build, drawn), n_resamples)
    graph, source = _connectivities(adata, groupby, groups, values, codes, n_neighbors)
    paga, in_paga = _paga_tree(graph)
    table = _edges(trees, groups, edge_support, in_paga)
    shared = float(table["in_paga"].sum() / paga["n_edges"]) if paga["n_edges"] else np.nan
    what = "genes" if use_rep is None else "dimensions"
    some = (sizes == 1).any()  # a group of one cell cannot be drawn anew
    return Written(
        uns={
            "groups": np.array(groups, dtype=object),
            "sizes": sizes.astype(np.int64),
            "newick": _newick(trees.tree, groups, support),
            "linkage": trees.tree.linkage(),
            "branches": _branches(trees.tree, groups, sizes, support),
            "spanning_tree": table,
            "paga": paga | {"shared": shared, "source": source},
            **({"genes": values.genes} if values.genes else {}),
        },
        params={
            "metric": metric,
            "resampled": (what if (sizes == 1).all() else f"cells and {what}" if some else "cells"),
        },
        said=f"lineage of {n} groups from {codes.size} cells",
    )


@checked
def lineage_programs(
    adata: AnnData,
    gene_sets: (
        Mapping[str, Iterable[str]] | str | PathLike[str] | pd.DataFrame | AnnData | None
    ) = None,
    *,
    regulons: pd.DataFrame | None = None,
    layer: str | None = None,
    min_size: Count = 5,
    n_permutations: Annotated[int, "from 20 up"] = 1000,
    random_state: Whole = 0,
    key: str | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Find the gene sets and transcription factors that separate the two sides of a lineage branch.

    Use the p-values to rank programs, not as proof: cells count as independent, and cells of one
    donor are not.

    For a node with the children A and B, the score of a gene is its mean in B less its mean in A,
    divided by its standard deviation in the cells below the node. Groups count equally. The score
    of a set is the mean over its genes; for a regulon, each gene is multiplied by the sign of its
    weight. The null distribution exchanges cells between the groups below the node, which keeps the
    correlation of genes. It is rescaled to the spread of all genes in the data (restandardisation).
    So a set stands out only if it differs more than genes in general do. If every group is one
    cell, groups are exchanged.

    Parameters
    ----------
    %(adata)s Log-normalised expression, after :func:`newt_sc.tl.lineage`.
    gene_sets
        A mapping of names to genes, a GMT file, a network with ``source`` and ``target``, or ranked
        markers: anything that :func:`newt_sc.genes.gene_sets` reads.
    regulons
        Network of factors: ``source``, ``target`` and, for its sign, ``weight``, as decoupler has
        them.
    layer
        Layer to use instead of ``X``.
    min_size
        Sets with fewer measured genes are left out.
    n_permutations
        Number of permutations. The null is pooled over the sets of a branch.
    %(random_state)s
    key
        Key of the lineage, ``"newt_lineage"`` by default.
    %(copy)s

    Returns
    -------
    ``None``, or the copy. Written is ``uns["newt_lineage"]["programs"]``, one row per branching and
    set: ``branch`` (node), ``kind`` (``"set"`` or ``"regulon"``), ``name``, ``n_genes``,
    ``difference`` (above 0: higher in the second child), ``z``, ``p`` and ``fdr``
    (Benjamini-Hochberg within a branching), ``lower`` and ``higher`` (nodes). See
    :func:`newt_sc.get.lineage_programs`.

    Raises
    ------
    TypeError
        If ``adata`` is no AnnData or its matrix is not numeric.
    KeyError
        If there is no lineage, or its groups or the layer are gone.
    ValueError
        If neither sets nor regulons are given, no set has enough genes, a value is not finite, or a
        number is out of range.
    GeneMatchError
        If no gene of any set is measured.

    Warns
    -----
    NewtWarning
        If few genes are found.

    References
    ----------
    Efron and Tibshirani (2007), On testing the significance of sets of genes, Ann Appl Stat 1:107.

    Examples
    --------
    >>> nt.tl.lineage(adata, "cell_type", root="HSC")  # doctest: +SKIP
    >>> nt.tl.lineage_programs(adata, "hallmark.gmt")  # doctest: +SKIP
    >>> nt.get.lineage_programs(adata)  # doctest: +SKIP
    """
    info = _keys.written(adata, key, _keys.LINEAGE, "branches")
    if gene_sets is None and regulons is None:
        msg = "Neither gene_sets nor regulons is given: there is nothing to compare."
        raise ValueError(msg)
    groupby = str(info["params"]["groupby"])
    codes, groups = _groups(adata, groupby, quiet=True)
    if groups != [str(name) for name in info["groups"]]:
        msg = (
            f"The groups of {groupby!r} are not those of the lineage: run newt_sc.tl.lineage again."
        )
        raise KeyError(msg)
    members, table = _members(adata, gene_sets, regulons, min_size)
    rows = Rows.of(adata, layer)
    rows.stats()  # refuses what is not finite
    X = sparse.csr_array(rows.part(np.arange(adata.n_vars)))
    rng = np.random.default_rng(random_state)
    parts = []
    for node, first, second, side in _branchings(info["branches"], groups):
        found = _separate(X, codes, side, members, n_permutations, rng)
        up = found["difference"] > 0
        parts.append(
            table.assign(
                branch=node,
                **found,
                higher=np.where(up, second, first),
                lower=np.where(up, first, second),
            )
        )
    programs = pd.concat(parts, ignore_index=True)
    columns = ["branch", *table.columns, "difference", "z", "p", "fdr", "higher", "lower"]
    out = own_copy(adata) if copy else adata
    out.uns[key or _keys.LINEAGE] = {**info, "programs": programs[columns]}
    return out if copy else None


def _branchings(
    branches: pd.DataFrame, groups: list[str]
) -> Iterator[tuple[int, int, int, NDArray[np.intp]]]:
    """Nodes with their two children, the smaller first, and the child that each group is below.

    That is -1 for the first, 1 for the second and 0 for groups outside of the branch.
    """
    below = {
        int(node): set(text.split(_keys.SEPARATOR))
        for node, text in branches[["node", "groups"]].to_numpy()
    }
    for node, own in branches[branches["parent"] >= 0].groupby("parent"):
        first, second = sorted(own["node"].astype(int), key=lambda one: (len(below[one]), one))
        side = np.array([int(name in below[second]) - (name in below[first]) for name in groups])
        yield int(node), first, second, side


def _separate(
    X: sparse.csr_array,
    codes: NDArray[np.intp],
    side: NDArray[np.intp],
    members: sparse.csr_array,
    n_permutations: int,
    rng: np.random.Generator,
) -> dict[str, NDArray[np.float64]]:
    """Scores of sets at one branching; ``side`` of a group is -1, 1 or, outside the branch, 0."""
    cells = np.flatnonzero((codes >= 0) & (side[codes] != 0))
    own = codes[cells]
    size = np.bincount(own, minlength=side.size)
    share = np.array([(side == s).sum() for s in (-1, 0, 1)])
    weight = (
        side[own] / share[side[own] + 1] / size[own]
    )  # of a cell in the difference of means; sums to 0
    part = X[cells]
    mean = np.asarray(part.mean(axis=0)).ravel()
    variance = np.maximum(np.asarray(part.multiply(part).mean(axis=0)).ravel() - mean**2, 0)
    scale = np.where(variance > 1e-12, 1 / np.sqrt(np.maximum(variance, 1e-12)), 0)
    # a set's score in each cell: every permutation is then a product of cells x sets
    S = np.asarray((part @ (members * scale).T.tocsr()).todense())
    S -= (mean * scale) @ members.T
    draws = rng.permuted(np.tile(weight, (n_permutations, 1)), axis=1)
    null = draws @ S
    observed = weight @ S
    live = scale > 0
    gene = (part.T @ weight) * scale
    spread = np.mean([((part.T @ draw) * scale)[live].std() for draw in draws[:20]])
    center = gene[live].mean() * np.asarray(members[:, live].sum(axis=1)).ravel()
    ratio = gene[live].std() / spread if spread > 0 else 1.0
    sd = null.std(axis=0) * max(ratio, 1.0)
    sd[sd == 0] = np.inf
    z = (observed - center) / sd
    pool = np.abs((null - null.mean(axis=0)) * max(ratio, 1.0) / sd).ravel()
    p = _kernels.tail_p(np.abs(z), pool)
    return {"difference": observed, "z": z, "p": p, "fdr": _kernels.adjusted_p(p)}


def _members(
    adata: AnnData, gene_sets: Any, regulons: pd.DataFrame | None, min_size: int
) -> tuple[sparse.csr_array, pd.DataFrame]:
    """Make sets x genes, rows of absolute sum one, and say what each row is."""
    names = var_genes(adata)
    parts, tables = [], []

    def add(kind: str, sets: dict[str, list[str]], members: sparse.csr_array) -> None:
        n = np.diff(members.indptr)
        keep = np.flatnonzero(n >= min_size)
        parts.append(sparse.csr_array(members[keep]) / n[keep, None])
        listed = list(sets)
        tables.append(
            pd.DataFrame({"kind": kind, "name": [listed[i] for i in keep], "n_genes": n[keep]})
        )

    if gene_sets is not None:
        sets = genes.gene_sets(gene_sets)
        add("set", sets, align_sets(sets, names, what="gene_sets").members)
    if regulons is not None:
        targets = genes.gene_sets(regulons)
        members = align_sets(targets, names, what="regulons").members
        if "weight" in regulons:
            down = regulons[regulons["weight"] < 0]
            if len(down):
                some = genes.gene_sets(down)
                minus = {name: some.get(name, []) for name in targets}
                found = align_sets(minus, names, what="regulons", threshold=0).members
                members = sparse.csr_array(members - 2 * members.multiply(found))
        add("regulon", targets, members)
    table = pd.concat(tables, ignore_index=True)
    if table.empty:
        msg = f"No set has {min_size} measured genes: lower min_size, or give larger sets."
        raise ValueError(msg)
    return sparse.csr_array(sparse.vstack(parts)), table


def _newick(tree: _kernels.Tree, groups: list[str], support: NDArray[np.float64]) -> str:
    labels = [*groups, *("" if np.isnan(one) else f"{one:.2f}" for one in support[len(groups) :])]
    children = tree.children()
    return format_newick(
        len(children) - 1, children, labels.__getitem__, lambda node: float(tree.length[node])
    )


def _edges(
    trees: _Trees,
    groups: list[str],
    support: NDArray[np.float64],
    in_paga: NDArray[np.bool_],
) -> pd.DataFrame:
    """Table of the edges of the spanning tree."""
    child = np.flatnonzero(trees.spanning >= 0)
    parent = trees.spanning[child]
    return pd.DataFrame(
        {
            "parent": [groups[i] for i in parent],
            "child": [groups[i] for i in child],
            "distance": trees.D[child, parent],
            "support": support[child, parent],
            "in_paga": in_paga[child, parent],
        }
    )


def _branches(
    tree: _kernels.Tree, groups: list[str], sizes: NDArray[np.intp], support: NDArray[np.float64]
) -> pd.DataFrame:
    below = tree.members()
    return pd.DataFrame(
        {
            "node": np.arange(tree.parent.size),
            "parent": tree.parent.astype(np.int64),
            "name": [groups[i] if i < len(groups) else "" for i in range(tree.parent.size)],
            "length": tree.length,
            "support": support,
            "n_groups": below.sum(axis=1),
            "n_cells": below @ sizes,
            "groups": [_keys.SEPARATOR.join(np.array(groups, dtype=object)[row]) for row in below],
        }
    )


class _Trees(NamedTuple):
    """Both trees of some centroids, and the distances that they were made of."""

    tree: _kernels.Tree
    spanning: NDArray[np.intp]
    D: NDArray[np.float64]


def _trees(
    means: NDArray[np.floating],
    parts: Sequence[NDArray[np.intp]],
    *,
    metric: str,
    method: str,
    start: int | None,
) -> _Trees:
    means = means - means.mean(axis=0)
    D = np.mean([_kernels.group_distances(means[:, part], metric) for part in parts], axis=0)
    tree = _kernels.neighbor_joining(D) if method == "nj" else _kernels.agglomerate(D, method)
    tree = tree if start is None else tree.rooted(start)
    return _Trees(tree, _kernels.spanning_tree(D, start), D)


def _support(
    trees: _Trees, resampled: Iterable[_Trees], n_resamples: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count in how many resamples the split above each node and each edge of groups is, as shares.

    NaN for splits that every tree has, and without resamples.
    """
    n = trees.tree.n_leaves
    seen: Counter[bytes] = Counter()
    edges = np.zeros((n, n))
    for again in resampled:
        seen.update(set(again.tree.splits()))
        child = np.flatnonzero(again.spanning >= 0)
        edges[child, again.spanning[child]] += 1
    support = np.array([float(seen[split]) for split in trees.tree.splits()])
    support[np.isin(trees.tree.members().sum(axis=1), [1, n - 1, n])] = np.nan
    once = n_resamples or np.nan
    return support / once, (edges + edges.T) / once


def _resampled(
    values: _Values,
    codes: NDArray[np.intp],
    sizes: NDArray[np.intp],
    n_resamples: int,
    random_state: int,
) -> Iterator[tuple[NDArray[np.float64], list[NDArray[np.intp]]]]:
    """Centroids of cells drawn within groups, and the parts.

    The parts are of drawn features where a group has one cell.
    """
    rng = np.random.default_rng(random_state)
    groups = [values.X[codes == group] for group in range(sizes.size)]
    width, single = values.X.shape[1], (sizes == 1).any()
    step = max(1, _AT_ONCE // (sizes.size * width))
    for first in range(0, n_resamples, step):
        n = min(step, n_resamples - first)
        means = np.empty((n, sizes.size, width))
        for group, (part, size) in enumerate(zip(groups, sizes, strict=True)):
            weight = rng.multinomial(size, np.full(size, 1 / size), size=n) / size
            means[:, group] = np.asarray((part.T @ weight.T).T)
        for one in means:
            parts = values.parts
            yield one, [rng.choice(part, part.size) for part in parts] if single else parts


def _connectivities(
    adata: AnnData,
    groupby: str,
    groups: list[str],
    values: _Values,
    codes: NDArray[np.intp],
    n_neighbors: int,
) -> tuple[NDArray[np.float64], str]:
    """PAGA's connectivities of groups: of ``uns["paga"]`` if they are of these, else computed."""
    from sklearn.neighbors import kneighbors_graph

    stored, column = adata.uns.get("paga", {}), adata.obs[groupby]
    whole: Any = stored.get("connectivities")
    if whole is not None and str(stored.get("groups", "")) == groupby and hasattr(column, "cat"):
        at = pd.Index(column.cat.categories.astype(str)).get_indexer(groups)
        if whole.shape == (len(column.cat.categories),) * 2 and (at >= 0).all():
            return sparse.csr_array(whole)[at][:, at].toarray(), "uns"
    X = values.X if values.genes is None else _components(values)
    near = kneighbors_graph(X, min(n_neighbors, codes.size) - 1)  # scanpy counts the cell itself
    # Not by sc.tl.paga, which fails where no edge joins two groups.
    return _kernels.group_connectivity(sparse.csr_array(near), codes, len(groups)), "computed"


def _paga_tree(graph: NDArray[np.float64]) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """PAGA's tree over the groups, which spans them by the largest connectivities."""
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

    weight = sparse.csr_array(np.divide(1, graph, out=np.zeros_like(graph), where=graph > 0))
    n_components = int(connected_components(weight, directed=False)[0])
    edges = minimum_spanning_tree(weight).toarray() > 0
    n_edges = int(edges.sum())
    if n_components > 1:
        warn(
            f"PAGA's graph of the {len(graph)} groups falls into {n_components} parts: its tree"
            f" has {n_edges} edges, and the lineage joins parts that no cells connect."
        )
    return {"n_edges": n_edges, "n_components": n_components}, edges | edges.T


def _groups(
    adata: AnnData, groupby: str, *, quiet: bool = False
) -> tuple[NDArray[np.intp], list[str]]:
    """Group of each cell, -1 for none, and the names of groups that have cells."""
    if groupby not in adata.obs:
        msg = f"groupby {groupby!r} is not in adata.obs, which has {list(adata.obs.columns)}."
        raise KeyError(msg)
    column = adata.obs[groupby]
    names: Any = column.cat.categories if hasattr(column, "cat") else column
    if names.dtype.kind == "f":
        msg = (
            f"adata.obs[{groupby!r}] holds numbers with fractions ({column.dtype}): expected"
            " groups, as categories."
        )
        raise TypeError(msg)
    codes, groups = coded_labels(column, f"adata.obs[{groupby!r}]", quiet=quiet)
    if lost := int((codes < 0).sum() * (not quiet)):
        warn(f"{lost} cells have no group in {groupby!r} and are left out.")
    named = read_labels(names, groupby, quiet=True).dropna()
    if not quiet and (empty := [name for name in named.unique() if name not in groups]):
        warn(f"Groups without a cell are left out: {empty}.")
    if len(groups) < 2:
        msg = (
            f"adata.obs[{groupby!r}] has {len(groups)} groups with cells {groups}; a hierarchy"
            " needs two."
        )
        raise ValueError(msg)
    if separated := [name for name in groups if _keys.SEPARATOR in name]:
        msg = f"Groups may not have {_keys.SEPARATOR!r} in their names: rename {separated}."
        raise ValueError(msg)
    return codes, groups


def _root(root: str | None, groups: list[str]) -> int | None:
    if root is None:
        return None
    if str(root) not in groups:
        msg = f"root is {root!r}, which is no group with cells; there are {groups}."
        raise ValueError(msg)
    return groups.index(str(root))


@dataclass(frozen=True)
class _Values:
    """What distances are taken in.

    Attributes
    ----------
    X
        Cells with a group x features, numpy or CSR.
    parts
        Features of each of the distances whose mean is taken.
    genes
        Which genes were left out; ``None`` in a representation.
    """

    X: Any
    parts: list[NDArray[np.intp]]
    genes: dict[str, Any] | None = None


def _genes(adata: AnnData, codes: NDArray[np.intp], n_groups: int) -> _Values:
    """Take highly variable genes and those whose centroids vary most.

    Genes of the cell cycle and housekeeping genes are left out.
    """
    rows = Rows(adata.X, "adata.X")
    stats = rows.stats()
    if stats.minimum < 0 or stats.maximum > _MOST:
        msg = (
            f"adata.X has values from {stats.minimum:.4g} to {stats.maximum:.4g}: it looks scaled,"
            " or without a logarithm. Expected log-normalised expression of all genes; or give"
            " use_rep."
        )
        raise ValueError(msg)
    warn_values("adata.X", stats, adata.n_obs)
    gone = genes.align(var_genes(adata), genes.nuisance(), quiet=True).index >= 0
    if not gone.any():
        warn(
            f"None of the {adata.n_vars:,} genes is one of the cell cycle or of housekeeping: none"
            " is left out. Are the names those of human or mouse genes?"
        )
    at = np.flatnonzero(~gone & (stats.variance > 0))
    X = rows.part(at)[codes >= 0] if at.size else np.zeros((1, 0))
    X = sparse.csr_matrix(X) if sparse.issparse(X) else X  # scanpy takes no sparse arrays
    codes = codes[codes >= 0]
    between = _kernels.group_means(X, codes, n_groups).var(axis=0) if at.size else np.zeros(0)
    if not (between > 0).any():
        msg = (
            f"Of {adata.n_vars:,} genes, {gone.sum():,} of them left out, none differs between the"
            " groups."
        )
        raise ValueError(msg)
    variable = np.arange(at.size)
    if at.size > N_TOP_GENES:
        variable = most_variable(X, N_TOP_GENES, log1p=adata.uns.get("log1p"))
    parts = [variable, np.argsort(-between, kind="stable")[:N_TOP_GENES]]
    used = np.union1d(*parts)
    told = {
        "n_used": int(used.size),
        "n_left_out": int(gone.sum()),
        "left_out": adata.var_names[gone].to_numpy(dtype=object),
    }
    return _Values(X[:, used], [np.searchsorted(used, part) for part in parts], told)


def _components(values: _Values) -> NDArray[np.floating]:
    """Principal components of the highly variable genes."""
    import scanpy as sc

    X = values.X[:, values.parts[0]]
    X = X.astype(np.float64)
    return np.asarray(sc.pp.pca(X, n_comps=min(_COMPONENTS, min(X.shape) - 1)))


def _representation(adata: AnnData, use_rep: str, used: NDArray[np.bool_]) -> _Values:
    if use_rep not in adata.obsm:
        msg = (
            f"use_rep {use_rep!r} is not in adata.obsm, which has {list(adata.obsm)}. Run"
            " newt_sc.tl.embed first."
        )
        raise KeyError(msg)
    X: Any = adata.obsm[use_rep]
    X = X.toarray() if sparse.issparse(X) else np.asarray(X)
    if X.ndim != 2 or X.dtype.kind not in "fiub" or not X.shape[1]:
        msg = (
            f"obsm[{use_rep!r}] is {X.dtype} of shape {X.shape}, expected numbers, cells x"
            " dimensions."
        )
        raise ValueError(msg)
    bad = ~np.isfinite(X[used]).all(axis=1)
    if bad.any():
        msg = (
            f"obsm[{use_rep!r}] is NaN or infinite in {bad.sum()} of {bad.size} cells with a group."
            " Leave these cells out, or embed them again."
        )
        raise ValueError(msg)
    return _Values(X[used].astype(np.float64), [np.arange(X.shape[1])])
