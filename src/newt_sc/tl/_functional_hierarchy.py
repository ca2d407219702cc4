"""How distance in the space follows an ontology."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from newt_sc import _keys, datasets, genes, io, kernels
from newt_sc._docs import with_docs
from newt_sc._settings import logger
from newt_sc.errors import NewtWarning

from ._fuse import fuse
from ._fusion import block_names

if TYPE_CHECKING:
    import networkx as nx
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["functional_hierarchy"]

_RELATIONS = {"isa": "is_a", "is_a": "is_a", "part of": "part_of", "part_of": "part_of"}
_BIN = 0.1
"""Width of a bin of semantic similarity."""


@with_docs
def functional_hierarchy(
    embedding: str | PathLike[str] | AnnData,
    annotations: Mapping[str, Iterable[str]] | pd.DataFrame,
    ontology: nx.MultiDiGraph | pd.DataFrame,
    *,
    leaky: Sequence[str] = ("function",),
    n_genes: int = 1500,
    n_resamples: int = 200,
    n_shuffles: int = 50,
    random_state: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare the cosine of gene pairs with what their annotations have in common.

    Two measures of a pair: ``semantic``, the best-match average over both genes' most specific terms of Lin's
    similarity, with information content from these annotations; and ``depth``, the depth of the deepest term that both
    have, where depth is the length of the longest way from a root.

    An embedding that was made from the annotations follows them as a matter of course, so a second set of vectors is
    fused anew, by :func:`newt_sc.tl.fuse` with the same parameters where it made the embedding, without the modalities
    in ``leaky``. Other modalities may still repeat what is annotated.

    Parameters
    ----------
    %(embedding)s
    annotations
        Term -> genes, such as :func:`newt_sc.io.read_gmt` returns, or a DataFrame with ``symbol`` and ``go_id``. Terms
        pass their genes on to the terms above them.
    ontology
        What :func:`newt_sc.io.read_obo` returns, or a table with the columns ``go_id``, ``relationship`` and
        ``parent``. Only ``is_a`` and ``part_of`` are followed.
    leaky
        Modalities that were made from the annotations. ``()`` for none.
    n_genes
        Annotated genes to draw; all pairs of them are compared.
    n_resamples
        Bootstrap resamples, over genes.
    n_shuffles
        Shuffled controls: vectors permuted over the genes, and over genes with about as many annotations (tenths).
    %(random_state)s

    Returns
    -------
    summary
        One row for each set of ``vectors`` (``"all"``, and ``"without ..."``) and ``measure``: ``spearman`` over pairs
        with its 95 %% bootstrap interval ``low`` and ``high``; ``shuffled``, ``shuffled_low`` and ``shuffled_high``
        (mean and 2.5 and 97.5 %% of the controls); ``shuffled_matched``, the same control within tenths of
        annotation count; ``n_genes``, ``n_pairs``; and ``leaky``, whether the vectors are made from the annotations.
    curve
        For each set of vectors, measure and ``bin`` (its middle): ``n_pairs``, the mean ``cosine``, with ``low`` and
        ``high``, and the same ``shuffled``, ``shuffled_low`` and ``shuffled_high``.

    Raises
    ------
    TypeError
        If an argument is of another type.
    ValueError
        If a number is out of range, the table lacks a column, or fewer than 20 annotated genes have a vector.
    KeyError
        If all modalities are leaky.

    Warns
    -----
    NewtWarning
        If the embedding has no blocks, so that nothing can be said of it without the leaky modalities.

    References
    ----------
    Lin, ICML 1998; Pesquita et al., BMC Bioinformatics 9(S5):S4, 2008.

    See Also
    --------
    newt_sc.pl.functional_hierarchy

    Examples
    --------
    >>> terms = nt.io.read_obo("go-basic.obo")  # doctest: +SKIP
    >>> summary, curve = nt.tl.functional_hierarchy("newt-human", nt.io.read_gmt("go.gmt"), terms)  # doctest: +SKIP
    >>> nt.pl.functional_hierarchy(summary, curve)  # doctest: +SKIP
    """
    for name, value, least in (
        ("n_genes", n_genes, 20),
        ("n_resamples", n_resamples, 1),
        ("n_shuffles", n_shuffles, 1),
    ):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            msg = f"{name} is {value!r}, expected a whole number from {least} up."
            raise ValueError(msg)
    reference = datasets.resolve_embedding(embedding)
    sets = _vector_sets(reference, [leaky] if isinstance(leaky, str) else list(leaky))
    parents = _parents(ontology)
    closure = io.propagate_annotations(annotations, parents, min_size=1, max_size=None)
    rng = np.random.default_rng(random_state)
    has, rows = _annotated(closure, reference, sets, n_genes, rng)
    depth = _depths(parents)
    measures = {
        "semantic": _semantic(has, list(closure), parents, closure),
        "depth": _deepest_common(has, np.array([depth[term] for term in closure])),
    }
    upper = np.triu_indices(rows.size, 1)
    weights = _resampled(rows.size, n_resamples, rng)
    n_terms = np.asarray(has.sum(axis=1)).ravel()
    tenth = np.floor(10 * np.argsort(np.argsort(n_terms, kind="stable"), kind="stable") / rows.size)
    shuffles = [rng.permutation(rows.size) for _ in range(n_shuffles)]
    matched = [_permute_within(tenth, rng) for _ in range(n_shuffles)]
    summary, curve = [], []
    for label, (names, vectors, is_leaky) in sets.items():
        unit = kernels.unit_rows(vectors[names.get_indexer(reference.obs_names[rows])])
        cosine = unit @ unit.T
        ranked = _ranks(cosine, upper)
        for measure, shared in measures.items():
            target = _ranks(shared, upper)
            boot = np.array([_weighted_correlation(ranked, target, w) for w in weights])
            nulls = [
                np.array([_correlation(ranked[np.ix_(order, order)], target) for order in orders])
                for orders in (shuffles, matched)
            ]
            summary.append(
                {
                    "vectors": label,
                    "measure": measure,
                    "spearman": _correlation(ranked, target),
                    **_ends(boot),
                    "shuffled": nulls[0].mean(),
                    **_ends(nulls[0], "shuffled_"),
                    "shuffled_matched": nulls[1].mean(),
                    "n_genes": rows.size,
                    "n_pairs": upper[0].size,
                    "leaky": is_leaky,
                }
            )
            curve.append(_curve(cosine, shared, measure, upper, weights, shuffles).assign(vectors=label))
            logger.info("compared %s of %d genes, vectors: %s", measure, rows.size, label)
    table = pd.concat(curve, ignore_index=True)
    return pd.DataFrame(summary), table[["vectors", *(column for column in table if column != "vectors")]]


_Sets = dict[str, tuple[pd.Index, "NDArray[np.floating]", bool]]


def _vector_sets(reference: AnnData, leaky: list[str]) -> _Sets:
    names = block_names(reference)
    found = [name for name in leaky if name in names]
    sets: _Sets = {"all": (reference.obs_names, np.asarray(reference.X), bool(found))}
    if leaky and not names:
        warnings.warn(
            f"The embedding has no blocks: it cannot be fused without {leaky}, and may have been made from the "
            "annotations.",
            NewtWarning,
            stacklevel=3,
        )
    if found:
        rest = [name for name in names if name not in found]
        if not rest:
            msg = f"All modalities, {names}, are leaky: nothing is left to fuse."
            raise KeyError(msg)
        made: Any = reference.uns.get(_keys.EMBED, {}).get("params", {})
        same = {key: made[key] for key in ("power",) if made.get("method") == "spectral" and key in made}
        if made.get("method") == "spectral" and "weights" in made:
            same["weights"] = {name: float(made["weights"][name]) for name in rest if name in made["weights"]}
        less = fuse(reference, modalities=rest, n_comps=reference.n_vars, **same)
        sets[f"without {', '.join(found)}"] = (less.obs_names, np.asarray(less.X), False)
    return sets


def _parents(ontology: nx.MultiDiGraph | pd.DataFrame) -> nx.MultiDiGraph:
    """Graph of is_a and part_of, from child to parent."""
    import networkx as nx

    if isinstance(ontology, nx.MultiDiGraph):
        return ontology
    if not isinstance(ontology, pd.DataFrame):
        msg = f"ontology is {type(ontology).__name__}, expected what newt_sc.io.read_obo returns, or a DataFrame."
        raise TypeError(msg)
    missing = [column for column in ("go_id", "relationship", "parent") if column not in ontology]
    if missing:
        msg = f"ontology lacks the columns {missing}; found {list(ontology.columns)}."
        raise ValueError(msg)
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(ontology["go_id"])
    relation = ontology["relationship"].map(_RELATIONS)
    edges = ontology[relation.notna() & ontology["parent"].isin(set(ontology["go_id"]))]
    roots = set(ontology["parent"].dropna()) - set(ontology["go_id"])
    if roots:  # a table of child and parent names its roots as parents only
        graph.add_nodes_from(roots)
        edges = ontology[relation.notna() & ontology["parent"].notna()]
    graph.add_edges_from(zip(edges["go_id"], edges["parent"], relation[edges.index], strict=True))
    return graph


def _isa_part_of(graph: nx.MultiDiGraph) -> nx.DiGraph:
    import networkx as nx

    plain = nx.DiGraph()
    plain.add_nodes_from(graph)
    plain.add_edges_from((a, b) for a, b, key in graph.edges(keys=True) if key in ("is_a", "part_of"))
    return plain


def _depths(graph: nx.MultiDiGraph) -> dict[str, int]:
    import networkx as nx

    plain = _isa_part_of(graph)
    depth = dict.fromkeys(plain, 0)
    for term in reversed(list(nx.topological_sort(plain))):  # parents before their children
        depth[term] = max((depth[parent] + 1 for parent in plain.successors(term)), default=0)
    return depth


def _annotated(
    closure: Mapping[str, list[str]], reference: AnnData, sets: _Sets, n_genes: int, rng: np.random.Generator
) -> tuple[sparse.csr_array, NDArray[np.intp]]:
    """Genes x terms for the genes that are drawn, and their rows in the embedding."""
    every = sorted({gene for members in closure.values() for gene in members})
    row = reference.obs_names.get_indexer(every)
    if not (row >= 0).any():
        found = genes.align(every, reference.obs_names)
        genes.require_overlap(found, every, reference.obs_names, what="annotations")
        row = found.index
    at = dict(zip(every, row.tolist(), strict=True))
    pairs = [(at[gene], j) for j, members in enumerate(closure.values()) for gene in members if at[gene] >= 0]
    i, j = np.array(pairs, dtype=np.intp).T
    table = sparse.csr_array((np.ones(i.size, np.float32), (i, j)), shape=(reference.n_obs, len(closure)))
    table.data[:] = 1  # names of one gene are summed
    usable = np.diff(table.indptr) > 0
    for names, _, _ in sets.values():
        usable &= reference.obs_names.isin(names)
    pool = np.flatnonzero(usable)
    if pool.size < 20:
        msg = f"Only {pool.size} annotated genes have a vector, expected at least 20."
        raise ValueError(msg)
    rows = np.sort(rng.choice(pool, min(n_genes, pool.size), replace=False))
    return sparse.csr_array(table[rows]), rows


def _semantic(
    has: sparse.csr_array, terms: list[str], graph: nx.MultiDiGraph, closure: Mapping[str, list[str]]
) -> NDArray[np.float32]:
    """Best-match average of Lin's similarity over most specific terms, genes x genes."""
    plain = _isa_part_of(graph)
    size = np.array([len(closure[term]) for term in terms])
    total = max(len({gene for members in closure.values() for gene in members}), 2)
    content = -np.log(size / total)
    column = {term: j for j, term in enumerate(terms)}
    edges = [(column[a], column[b]) for a, b in plain.edges if a in column and b in column]
    child, parent = np.array(edges, dtype=np.intp).reshape(-1, 2).T
    up = sparse.csr_array((np.ones(child.size, np.float32), (child, parent)), shape=(len(terms), len(terms)))
    above = sparse.csr_array(has @ up)
    direct = has - has.multiply(above > 0)  # terms of a gene below which it has none
    direct = sparse.csr_array(direct)
    direct.eliminate_zeros()
    used = np.unique(direct.indices)
    direct = direct[:, used]
    ancestors = _closure_of(up, used)  # used terms x all terms, each its own ancestor
    common = np.zeros((used.size, used.size), dtype=np.float32)
    by_term = sparse.csc_array(ancestors)
    for term in np.argsort(content, kind="stable"):  # the most informative common ancestor is written last
        below = by_term.indices[by_term.indptr[term] : by_term.indptr[term + 1]]
        if below.size and content[term] > 0:
            common[np.ix_(below, below)] = content[term]
    both = content[used][:, None] + content[used]
    lin = np.divide(2 * common, both, out=np.zeros_like(common), where=both > 0).astype(np.float32)
    best = np.zeros((has.shape[0], used.size), dtype=np.float32)
    for i in range(has.shape[0]):
        own = direct.indices[direct.indptr[i] : direct.indptr[i + 1]]
        best[i] = lin[own].max(axis=0)
    matched = np.asarray(direct @ best.T)
    n = np.diff(direct.indptr)
    average: NDArray[np.float32] = ((matched + matched.T) / (n[:, None] + n)).astype(np.float32)
    return average


def _closure_of(up: sparse.csr_array, used: NDArray[np.intp]) -> sparse.csr_array:
    """Which terms stand above some terms, these included."""
    reached = sparse.csr_array(
        (np.ones(used.size, np.float32), (np.arange(used.size), used)), shape=(used.size, up.shape[0])
    )
    while True:
        step = sparse.csr_array(reached + reached @ up)
        step.data[:] = 1
        if step.nnz == reached.nnz:
            return reached
        reached = step


def _deepest_common(has: sparse.csr_array, depth: NDArray[np.integer]) -> NDArray[np.float32]:
    """Depth of the deepest term that two genes share, genes x genes; 0 where they share only a root or nothing."""
    out = np.zeros((has.shape[0], has.shape[0]), dtype=np.float32)
    for level in np.unique(depth):
        level_terms = sparse.csr_array(has[:, np.flatnonzero(depth == level)])
        out[(level_terms @ level_terms.T).toarray() > 0] = level
    return out


def _ranks(matrix: NDArray[np.floating], upper: tuple[NDArray[np.intp], NDArray[np.intp]]) -> NDArray[np.float32]:
    """Symmetric matrix of the ranks of pairs, centred and scaled; zero on the diagonal."""
    from scipy.stats import rankdata

    rank = rankdata(matrix[upper])
    rank -= rank.mean()
    rank /= rank.std() or 1.0
    out = np.zeros(matrix.shape, dtype=np.float32)
    out[upper] = rank
    return out + out.T


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    n = a.shape[0]
    return float(np.einsum("ij,ij->", a, b, dtype=np.float64) / (n * (n - 1)))


def _weighted_correlation(a: NDArray[np.float32], b: NDArray[np.float32], weight: NDArray[np.float32]) -> float:
    """Correlation over pairs of resampled genes; a gene is not paired with its copies."""
    total = weight.sum() ** 2 - (weight**2).sum()
    wa, wb = a @ weight, b @ weight
    mean_a, mean_b = weight @ wa / total, weight @ wb / total
    cov = weight @ ((a * b) @ weight) / total - mean_a * mean_b
    var_a = weight @ ((a * a) @ weight) / total - mean_a**2
    var_b = weight @ ((b * b) @ weight) / total - mean_b**2
    return float(cov / np.sqrt(var_a * var_b)) if var_a > 0 and var_b > 0 else float("nan")


def _resampled(n: int, n_resamples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.multinomial(n, np.full(n, 1 / n), size=n_resamples).astype(np.float32)


def _permute_within(groups: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.intp]:
    order = np.arange(groups.size)
    for group in np.unique(groups):
        at = np.flatnonzero(groups == group)
        order[at] = rng.permutation(at)
    return order


def _ends(values: NDArray[np.floating], prefix: str = "") -> dict[str, float]:
    low, high = np.nanquantile(values, [0.025, 0.975])
    return {f"{prefix}low": float(low), f"{prefix}high": float(high)}


def _curve(
    cosine: NDArray[np.floating],
    value: NDArray[np.floating],
    measure: str,
    upper: tuple[NDArray[np.intp], NDArray[np.intp]],
    weights: NDArray[np.float32],
    shuffles: list[NDArray[np.intp]],
) -> pd.DataFrame:
    """Mean cosine of pairs in each bin of a measure."""
    bins = value.astype(np.intp) if measure == "depth" else np.minimum((value / _BIN).astype(np.intp), 9)
    pairs = bins[upper]
    size = np.bincount(pairs)
    mean = np.bincount(pairs, cosine[upper]) / np.maximum(size, 1)
    null = np.array(
        [np.bincount(pairs, cosine[order[upper[0]], order[upper[1]]]) / np.maximum(size, 1) for order in shuffles]
    )
    table = []
    for one in np.flatnonzero(size):
        inside = np.zeros(cosine.shape, dtype=np.float32)
        inside[bins == one] = 1
        np.fill_diagonal(inside, 0)
        n = np.einsum("ri,ri->r", weights @ inside, weights)
        total = np.einsum("ri,ri->r", weights @ (inside * cosine.astype(np.float32)), weights)
        boot = np.divide(total, n, out=np.full(len(n), np.nan), where=n > 0)
        table.append(
            {
                "measure": measure,
                "bin": float(one) if measure == "depth" else (one + 0.5) * _BIN,
                "n_pairs": int(size[one]),
                "cosine": mean[one],
                **(_ends(boot) if np.isfinite(boot).any() else {"low": np.nan, "high": np.nan}),
                "shuffled": null[:, one].mean(),
                **_ends(null[:, one], "shuffled_"),
            }
        )
    return pd.DataFrame(table)
