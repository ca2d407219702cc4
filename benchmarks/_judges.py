"""What judges gene vectors: blocks that predict each other, cosine against an ontology, targets in
their cell type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import mannwhitneyu, rankdata

import newt_sc as nt
from newt_sc.genes._space import Space

if TYPE_CHECKING:
    import anndata as ad

Array = NDArray[Any]

RELATIONS = {"isa": "is_a", "is_a": "is_a", "part of": "part_of", "part_of": "part_of"}
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
"""Of ridge regression, as multiples of the mean eigenvalue of the training rows' covariance."""


# -- blocks that predict each other ----------------------------------------------------------------


def cross_modal(embedding: ad.AnnData, *, n_splits: int = 5, n_shuffles: int = 3) -> pd.DataFrame:
    """Fraction of the variance of each block that each other predicts, in genes that both know.

    ``shuffled_max`` is the largest of the controls, with the rows of the predicted block shuffled.
    """
    blocks, rng, rows = Space.of(embedding).blocks, np.random.default_rng(0), []
    for source, X in blocks.items():
        for target, Y in blocks.items():
            if source == target:
                continue
            both = np.flatnonzero(np.isfinite(X[:, 0]) & np.isfinite(Y[:, 0]))
            x, y = X[both], Y[both]
            folds = rng.permutation(np.arange(both.size) % n_splits)
            r2 = ridge_r2(x, y, folds).mean()
            worst = max(ridge_r2(x, rng.permutation(y), folds).mean() for _ in range(n_shuffles))
            rows.append(
                {
                    "source": source,
                    "target": target,
                    "n_genes": both.size,
                    "r2": r2,
                    "shuffled_max": worst,
                }
            )
    return pd.DataFrame(rows)


def ridge_r2(X: Array, Y: Array, folds: Array, *, penalties: Sequence[float] = PENALTIES) -> Array:
    """Cross-validate a ridge regression of all columns of Y on X: for each fold the variance that
    is predicted.

    The penalty of each fold is the one that, of models trained without this fold and the next, does
    best on the next. All is computed from moments of the folds."""
    n_folds = int(folds.max()) + 1
    parts = []
    for fold in range(n_folds):
        x = np.asarray(X[folds == fold], dtype=np.float64)
        y = np.asarray(Y[folds == fold], dtype=np.float64)
        x = np.hstack([x, np.ones((len(x), 1))])
        parts.append((x.T @ x, x.T @ y, (y * y).sum()))
    gram, cross, square = (np.array(part) for part in zip(*parts, strict=True))

    def errors(train: list[int], test: int) -> Array:
        """Squared error of the test fold: with each penalty, and of the mean alone."""
        g, c = gram[train].sum(axis=0), cross[train].sum(axis=0)
        n, mean_x, mean_y = g[-1, -1], g[-1, :-1] / g[-1, -1], c[-1] / g[-1, -1]
        values, axes = np.linalg.eigh(g[:-1, :-1] - n * np.outer(mean_x, mean_x))
        values = np.maximum(values, 0)
        target = axes.T @ (c[:-1] - n * np.outer(mean_x, mean_y))
        scale = values.mean() or 1.0
        out = []
        for penalty in (*penalties, np.inf):
            slope = axes @ (target / (values + penalty * scale)[:, None])
            W = np.vstack([slope, mean_y - mean_x @ slope])
            out.append(square[test] - 2 * (W * cross[test]).sum() + (W * (gram[test] @ W)).sum())
        return np.array(out)

    scores = np.empty(n_folds)
    for fold in range(n_folds):
        held = (fold + 1) % n_folds
        inner = [other for other in range(n_folds) if other not in (fold, held)]
        best = int(np.argmin(errors(inner, held)[:-1]))
        error = errors([*inner, held], fold)
        scores[fold] = 1 - error[best] / error[-1] if error[-1] > 0 else np.nan
    return scores


# -- cosine against an ontology --------------------------------------------------------------------


def functional_hierarchy(
    embedding: ad.AnnData,
    annotations: Mapping[str, list[str]],
    ontology: pd.DataFrame,
    *,
    n_genes: int,
    n_resamples: int = 200,
    n_shuffles: int = 50,
) -> pd.DataFrame:
    """Compare the cosine of gene pairs with what their annotations have in common.

    Two measures of a pair: ``semantic``, the best-match average over both genes' most specific
    terms of Lin's similarity (Lin, ICML 1998; Pesquita et al., BMC Bioinformatics 9(S5):S4, 2008),
    with information content from these annotations; and ``depth``, the depth of the deepest term
    that both have, where depth is the length of the longest way from a root. ``spearman`` is over
    pairs, ``low`` and ``high`` are its 95 % bootstrap interval over genes; ``shuffled`` is the mean
    of controls with the vectors permuted over genes, and ``shuffled_matched`` over genes with about
    as many annotations (tenths)."""
    graph = read_ontology(ontology)
    closure = nt.io.propagate_annotations(annotations, graph, min_size=1, max_size=None)
    rng = np.random.default_rng(0)
    has, rows = _annotated(closure, embedding.obs_names, n_genes, rng)
    depth = depths(graph)
    measures = {
        "semantic": semantic(has, graph, closure),
        "depth": deepest_common(has, np.array([depth[term] for term in closure])),
    }
    upper = np.triu_indices(rows.size, 1)
    weights = nt._kernels.bootstrap_weights(rows.size, n_resamples, random_state=rng)
    weights = weights.astype(np.float32)
    n_terms = np.asarray(has.sum(axis=1)).ravel()
    tenth = np.floor(10 * np.argsort(np.argsort(n_terms, kind="stable"), kind="stable") / rows.size)
    shuffles = [rng.permutation(rows.size) for _ in range(n_shuffles)]
    matched = [_permute_within(tenth, rng) for _ in range(n_shuffles)]
    unit = nt._kernels.unit_rows(np.asarray(embedding.X)[rows])
    ranked, summary = _ranks(unit @ unit.T, upper), []
    for measure, shared in measures.items():
        target = _ranks(shared, upper)
        boot = [_weighted_correlation(ranked, target, w) for w in weights]
        null, like = (
            np.array([_correlation(ranked[np.ix_(order, order)], target) for order in orders])
            for orders in (shuffles, matched)
        )
        (low, high), (shuffled_low, shuffled_high) = (
            nt._kernels.percentile_interval(np.array(x)) for x in (boot, null)
        )
        summary.append(
            {
                "measure": measure,
                "spearman": _correlation(ranked, target),
                "low": low,
                "high": high,
                "shuffled": null.mean(),
                "shuffled_low": shuffled_low,
                "shuffled_high": shuffled_high,
                "shuffled_matched": like.mean(),
            }
        )
    return pd.DataFrame(summary)


def read_ontology(table: pd.DataFrame) -> nx.MultiDiGraph:
    """Graph of is_a and part_of, from child to parent, of a table with ``go_id``, ``relationship``
    and ``parent``.
    """
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(table["go_id"])
    relation = table["relationship"].map(RELATIONS)
    edges = table[relation.notna() & table["parent"].notna()]
    graph.add_edges_from(zip(edges["go_id"], edges["parent"], relation[edges.index], strict=True))
    return graph


def depths(graph: nx.MultiDiGraph) -> dict[str, int]:
    """Length of the longest way from a root."""
    depth: dict[str, int] = {}
    for term in reversed(list(nx.topological_sort(graph))):  # parents before their children
        depth[term] = max((depth[parent] + 1 for parent in graph.successors(term)), default=0)
    return depth


def _annotated(
    closure: Mapping[str, list[str]], names: pd.Index, n_genes: int, rng: np.random.Generator
) -> tuple[sparse.csr_array, Array]:
    """Genes x terms for the genes that are drawn, and their rows in the embedding."""
    every = pd.Index(sorted({gene for members in closure.values() for gene in members}))
    at = dict(zip(every, names.get_indexer(every).tolist(), strict=True))
    pairs = [
        (at[gene], j)
        for j, members in enumerate(closure.values())
        for gene in members
        if at[gene] >= 0
    ]
    i, j = np.array(pairs, dtype=np.intp).T
    table = sparse.csr_array(
        (np.ones(i.size, np.float32), (i, j)), shape=(len(names), len(closure))
    )
    pool = np.flatnonzero(np.diff(table.indptr) > 0)
    rows = np.sort(rng.choice(pool, min(n_genes, pool.size), replace=False))
    return sparse.csr_array(table[rows]), rows


def semantic(
    has: sparse.csr_array, graph: nx.MultiDiGraph, closure: Mapping[str, list[str]]
) -> Array:
    """Best-match average of Lin's similarity over most specific terms, genes x genes."""
    column = {term: j for j, term in enumerate(closure)}
    total = max(len({gene for members in closure.values() for gene in members}), 2)
    content = -np.log(np.array([len(members) for members in closure.values()]) / total)
    edges = [
        (column[a], column[b]) for a, b in nx.DiGraph(graph).edges if a in column and b in column
    ]
    child, parent = np.array(edges, dtype=np.intp).reshape(-1, 2).T
    up = sparse.csr_array(
        (np.ones(child.size, np.float32), (child, parent)), shape=(len(column), len(column))
    )
    direct = sparse.csr_array(
        has - has.multiply(has @ up > 0)
    )  # terms of a gene below which it has none
    direct.eliminate_zeros()
    used = np.unique(direct.indices)
    direct = direct[:, used]
    common = np.zeros((used.size, used.size), dtype=np.float32)
    by_term = sparse.csc_array(
        _closure_of(up, used)
    )  # used terms x all terms, each its own ancestor
    for term in np.argsort(
        content, kind="stable"
    ):  # the most informative common ancestor is written last
        below = by_term.indices[by_term.indptr[term] : by_term.indptr[term + 1]]
        common[np.ix_(below, below)] = content[term]
    both = content[used][:, None] + content[used]
    lin = np.divide(2 * common, both, out=np.zeros_like(common), where=both > 0).astype(np.float32)
    best = np.zeros((has.shape[0], used.size), dtype=np.float32)
    for i in range(has.shape[0]):
        best[i] = lin[direct.indices[direct.indptr[i] : direct.indptr[i + 1]]].max(axis=0)
    matched, n = np.asarray(direct @ best.T), np.diff(direct.indptr)
    return ((matched + matched.T) / (n[:, None] + n)).astype(np.float32)


def _closure_of(up: sparse.csr_array, used: Array) -> sparse.csr_array:
    """Which terms stand above some terms, these included."""
    reached = sparse.csr_array(
        (np.ones(used.size, np.float32), (np.arange(used.size), used)),
        shape=(used.size, up.shape[0]),
    )
    while True:
        step = sparse.csr_array(reached + reached @ up)
        step.data[:] = 1
        if step.nnz == reached.nnz:
            return reached
        reached = step


def deepest_common(has: sparse.csr_array, depth: Array) -> Array:
    """Depth of the deepest term that two genes share, genes x genes; 0 where they share only a root
    or nothing.
    """
    out = np.zeros((has.shape[0], has.shape[0]), dtype=np.float32)
    for level in np.unique(depth):
        level_terms = sparse.csr_array(has[:, np.flatnonzero(depth == level)])
        out[(level_terms @ level_terms.T).toarray() > 0] = level
    return out


def _ranks(matrix: Array, upper: tuple[Array, ...]) -> Array:
    """Symmetric matrix of the ranks of pairs, centred and scaled; zero on the diagonal."""
    rank = rankdata(matrix[upper])
    rank -= rank.mean()
    rank /= rank.std() or 1.0
    out = np.zeros(matrix.shape, dtype=np.float32)
    out[upper] = rank
    return out + out.T


def _correlation(a: Array, b: Array) -> float:
    return float(np.einsum("ij,ij->", a, b, dtype=np.float64) / (len(a) * (len(a) - 1)))


def _weighted_correlation(a: Array, b: Array, weight: Array) -> float:
    """Correlation over pairs of resampled genes; a gene is not paired with its copies."""
    total = weight.sum() ** 2 - (weight**2).sum()
    wa, wb = a @ weight, b @ weight
    mean_a, mean_b = weight @ wa / total, weight @ wb / total
    cov = weight @ ((a * b) @ weight) / total - mean_a * mean_b
    var_a = weight @ ((a * a) @ weight) / total - mean_a**2
    var_b = weight @ ((b * b) @ weight) / total - mean_b**2
    return float(cov / np.sqrt(var_a * var_b)) if var_a > 0 and var_b > 0 else float("nan")


def _permute_within(groups: Array, rng: np.random.Generator) -> Array:
    order = np.arange(groups.size)
    for group in np.unique(groups):
        at = np.flatnonzero(groups == group)
        order[at] = rng.permutation(at)
    return order


# -- targets in their cell type --------------------------------------------------------------------


def regulon_context(
    embedding: ad.AnnData,
    regulons: pd.DataFrame,
    *,
    min_targets: int = 10,
    n_permutations: int = 500,
) -> pd.DataFrame:
    """Ask whether a factor's targets in one cell type lie together, and near that cell type's
    program.

    ``regulons`` has a row per factor, target and context: ``source``, ``target`` and ``cell``. For
    each factor and context, the genes that it targets in this context only are compared with those
    that it targets in others only:

    - ``program_auroc``: probability that one of the first is nearer (cosine) to the centroid of the
      context's program, which is what any factor targets there but this one nowhere; with the
      one-sided Mann-Whitney test.
    - ``cohesion``: mean cosine among the first less that between them and the others, with a
      one-sided test that permutes the contexts over the targets.

    Both tests take targets as exchangeable. ``shuffled``: the same with the vectors shuffled over
    all genes."""
    rng = np.random.default_rng(0)
    unit = nt._kernels.unit_rows(np.asarray(embedding.X))
    vectors = np.stack([unit, unit[rng.permutation(len(unit))]])
    edges = regulons[["source", "target", "cell"]].dropna().astype(str)
    every = edges["target"].unique()
    found = nt.genes.align(every, embedding.obs_names)
    edges["row"] = edges["target"].map(dict(zip(every, found.index.tolist(), strict=True)))
    edges = edges[edges["row"] >= 0].drop_duplicates(["source", "cell", "row"])
    members = {cell: part.unique() for cell, part in edges.groupby("cell")["row"]}
    rows = []
    for source, own in edges.groupby("source", sort=True):
        single = own.drop_duplicates("row", keep=False)  # targets of one context only
        at, label = single["row"].to_numpy(), single["cell"].to_numpy()
        cosine = vectors[:, at] @ vectors[:, at].transpose(0, 2, 1)
        for cell in np.unique(label):
            mine = label == cell
            program = np.setdiff1d(members[cell], own["row"].unique())
            if min(mine.sum(), (~mine).sum(), program.size) < min_targets:
                continue
            near = np.einsum("vij,vj->vi", vectors[:, at], vectors[:, program].mean(axis=1))
            test, control = (mannwhitneyu(x[mine], x[~mine], alternative="greater") for x in near)
            together, apart = (float(cohesions(x, mine[None])[0]) for x in cosine)
            null = cohesions(cosine[0], rng.permuted(np.tile(mine, (n_permutations, 1)), axis=1))
            n_pairs = mine.sum() * (~mine).sum()
            rows.append(
                {
                    "source": source,
                    "context": cell,
                    "program_auroc": test.statistic / n_pairs,
                    "program_p": test.pvalue,
                    "program_shuffled": control.statistic / n_pairs,
                    "program_shuffled_p": control.pvalue,
                    "cohesion": together,
                    "cohesion_p": float(nt._kernels.permutation_p(np.float64(together), null)),
                    "cohesion_shuffled": apart,
                }
            )
    table = pd.DataFrame(rows)
    for name in ("program", "cohesion"):
        table[f"{name}_fdr"] = nt._kernels.adjusted_p(table[f"{name}_p"].to_numpy())
    return table


def cohesions(cosine: Array, inside: Array) -> Array:
    """Mean cosine inside a set less that across its border, for several sets of one size."""
    one = inside.astype(np.float64)
    within = np.einsum("pi,pi->p", one @ cosine, one) - one @ np.diag(cosine)
    between = np.einsum("pi,pi->p", one @ cosine, 1 - one)
    n, m = one.sum(axis=1), (1 - one).sum(axis=1)
    return within / (n * (n - 1)) - between / (n * m)
