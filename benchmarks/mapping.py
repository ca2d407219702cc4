"""Labels and stages mapped between data sets, species and gene panels.

``python -m benchmarks.mapping`` maps stages of ``yan_embryo_human`` and ``goolam_embryo_mouse`` to each other, and
labels between disjoint halves of a gene panel. How the two sides are brought together was chosen on four other pairs:
blood cells against sorted blood (``pbmc3k_human``, ``paul_myeloid_mouse`` and ``immgen_sorted_mouse``).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

import newt_sc as nt
from benchmarks import _common
from benchmarks import cells as cell_benchmark
from newt_sc.errors import NewtWarning

HUMAN, MOUSE = "yan_embryo_human", "goolam_embryo_mouse"
N_COMPS = (10, 20, 30, 50)
N_NEIGHBORS, N_FEW = 15, 3
N_CELLS = 120
N_SPLITS = 10
N_RESAMPLES = 2000
SORTED = {
    **dict.fromkeys(("abT", "gdT", "NKT", "Tprog"), "T"), **dict.fromkeys(("B", "Bprog"), "B"),
    **dict.fromkeys(("NK", "ILC"), "NK"), **dict.fromkeys(("Mo", "MF"), "Mono"),
}  # fmt: skip
MYELOID = {**dict.fromkeys(("Ery", "MEP", "GMP", "Mk"), "HSPC"), "Mo": "Mono", "Neu": "GN", "DC": "DC"}


class Side(NamedTuple):
    """Cells in human symbols, log scale, with the truth."""

    adata: ad.AnnData
    truth: np.ndarray


@cache
def human(name: str) -> ad.AnnData:
    """Read a set, log-normalise it and name its genes by human symbols; those of one symbol are summed."""
    raw, facts = _common.load_cells(name)
    adata = _common.preprocess(raw, facts)
    names = nt.datasets.embedding("newt-human").obs_names
    index = nt.genes.align(adata.var_names, names).index
    at = np.flatnonzero(index >= 0)
    named = sparse.csr_array((np.ones(at.size, np.float32), (at, index[at])), shape=(adata.n_vars, names.size))
    X = sparse.csr_array(adata.X) @ named
    if facts.units == "log2":
        X = X * np.float32(np.log(2))
    out = ad.AnnData(sparse.csr_matrix(X), obs=adata.obs, var=pd.DataFrame(index=names))
    return out[:, np.unique(index[at])].copy()


def side(name: str, truth: Any, keep: list[str] | None = None, *, seed: int = 0) -> Side:
    """Cells with a truth, of labels at most so many each."""
    adata = human(name)
    values = np.asarray(truth(adata.obs))
    if keep is None:
        return Side(adata, values.astype(float))
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(np.flatnonzero(values == label))[:N_CELLS] for label in keep])
    return Side(adata[rows].copy(), values[rows])


def development() -> Iterator[tuple[str, Side, Side, int]]:
    """Pairs on which the way was chosen: name, query, reference, neighbours."""

    def sorted_blood(keep: list[str]) -> Side:
        return side("immgen_sorted_mouse", lambda obs: obs["lineage"].astype(str).replace(SORTED), keep)

    every = ["T", "B", "NK", "Mono", "DC", "GN", "HSPC", "stroma"]
    blood, myeloid = ["T", "B", "NK", "Mono", "DC"], ["HSPC", "Mono", "GN", "DC"]
    pbmc = side("pbmc3k_human", lambda obs: obs["cell_type_coarse"].astype(str), blood)
    paul = side("paul_myeloid_mouse", lambda obs: obs["cell_type"].astype(str).map(MYELOID).fillna(""), myeloid)
    yield "pbmc3k to immgen", pbmc, sorted_blood(every), N_FEW
    yield "immgen to pbmc3k", sorted_blood(blood), pbmc, N_NEIGHBORS
    yield "paul to immgen", paul, sorted_blood(every), N_FEW
    yield "immgen to paul", sorted_blood(myeloid), paul, N_NEIGHBORS


def shared(query: Side, ref: Side, *, match: bool) -> tuple[ad.AnnData, ad.AnnData]:
    """Both sides on the reference's highly variable genes among those that both measure."""
    pair = nt.pp.shared_genes(query.adata, ref.adata, n_top_genes=_common.N_TOP_GENES, match_values=match)
    for one, each in zip(pair, (query, ref), strict=True):
        one.obs["truth"] = each.truth
        one.X = one.X.toarray() if sparse.issparse(one.X) else one.X
    return pair


Space = Callable[[ad.AnnData, ad.AnnData], tuple[np.ndarray, np.ndarray]]


def project(kind: str, modalities: list[str] | None, center: str) -> Space:
    """Both sides through the embedding, the query centred on the reference or each on itself."""

    def space(query: ad.AnnData, ref: ad.AnnData) -> tuple[np.ndarray, np.ndarray]:
        embedding = vectors(kind)
        how: dict[str, Any] = {"embedding": embedding, "mode": "project", "modalities": modalities, "mask_var": None}
        nt.tl.embed(ref, **how)
        nt.tl.embed(query, center=ref if center == "reference" else "data", **how)
        return query.obsm["X_newt"], ref.obsm["X_newt"]

    return space


@cache
def vectors(kind: str) -> ad.AnnData:
    """Return the shipped embedding or a control."""
    return cell_benchmark.control(nt.datasets.embedding("newt-human"), kind)


def genes(center: str) -> Space:
    """Shared orthologs as they are, centred."""

    def space(query: ad.AnnData, ref: ad.AnnData) -> tuple[np.ndarray, np.ndarray]:
        mean = ref.X.mean(axis=0)
        return query.X - (mean if center == "reference" else query.X.mean(axis=0)), ref.X - mean

    return space


def joint_pca(n_comps: int, scaling: str) -> Space:
    """PCA of both sides together on shared orthologs."""

    def space(query: ad.AnnData, ref: ad.AnnData) -> tuple[np.ndarray, np.ndarray]:
        from sklearn.decomposition import PCA

        parts = [one.X.astype(np.float64) for one in (query, ref)]
        if scaling != "as they are":
            parts = [X - X.mean(axis=0) for X in parts]
        if scaling == "each scaled":
            parts = [X / np.maximum(X.std(axis=0), 1e-3) for X in parts]
        n = min(n_comps, sum(map(len, parts)) - 1)
        scores = PCA(n, random_state=0).fit_transform(np.vstack(parts))
        return scores[: len(parts[0])], scores[len(parts[0]) :]

    return space


CO = ["coexpression", "lineage"]
SPACES: dict[str, tuple[Space, bool]] = {
    **{
        f"joint PCA, {scaling}, {n}": (joint_pca(n, scaling), False)
        for scaling in ("as they are", "each centred", "each scaled")
        for n in N_COMPS
    },
    "shared orthologs, each centred": (genes("own"), False),
    "shared orthologs, values matched, each centred": (genes("own"), True),
    "project, on the reference's means": (project("newt", None, "reference"), False),
    "project, values matched, on the reference's means": (project("newt", None, "reference"), True),
    "the same, shuffled rows": (project("shuffled", None, "reference"), True),
    "the same, random rows": (project("random", None, "reference"), True),
    "project, each centred": (project("newt", None, "own"), False),
    "project, values matched, each centred": (project("newt", None, "own"), True),
    "project, co-expression + lineage blocks, each centred": (project("newt", CO, "own"), False),
    "project, co-expression + lineage blocks, values matched, each centred": (project("newt", CO, "own"), True),
}


def neighbors(Z: np.ndarray, R: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Nearest reference cells and their weights, as :func:`newt_sc.tl.map_to_reference` takes them."""
    distance, index = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(R).kneighbors(Z)
    weight = np.maximum(1 - distance, 0) + 1e-6
    return index, weight / weight.sum(axis=1, keepdims=True)


def stages(space: Space, query: ad.AnnData, ref: ad.AnnData) -> np.ndarray:
    """Stage of each query cell by the reference."""
    Z, R = space(query.copy(), ref.copy())
    index, weight = neighbors(Z, R, N_NEIGHBORS)
    out: np.ndarray = (weight * ref.obs["truth"].to_numpy()[index]).sum(axis=1)
    return out


def accuracy(space: Space, query: ad.AnnData, ref: ad.AnnData, k: int) -> float:
    """Balanced accuracy of labels."""
    Z, R = space(query.copy(), ref.copy())
    index, weight = neighbors(Z, R, k)
    labels, truth = ref.obs["truth"].to_numpy(dtype=str), query.obs["truth"].to_numpy(dtype=str)
    names = np.unique(labels)
    votes = np.stack([(weight * (labels[index] == name)).sum(axis=1) for name in names], axis=1)
    right = names[votes.argmax(axis=1)] == truth
    return float(np.mean([right[truth == name].mean() for name in np.unique(truth)]))


def embryos() -> None:
    """Stages across species."""
    sides = {name: side(name, lambda obs: obs["stage_order"]) for name in (HUMAN, MOUSE)}
    ways = {"yan to goolam": (HUMAN, MOUSE), "goolam to yan": (MOUSE, HUMAN)}
    directions = {
        (name, match): shared(sides[a], sides[b], match=match)
        for name, (a, b) in ways.items()
        for match in (False, True)
    }
    others = list(development())
    pairs = {match: [(*shared(query, ref, match=match), k) for _, query, ref, k in others] for match in (False, True)}
    rng = np.random.default_rng(0)
    sizes = {name: len(sides[a].truth) for name, (a, _) in ways.items()}
    draws = {name: rng.integers(0, n, (N_RESAMPLES, n)) for name, n in sizes.items()}
    found: dict[tuple[str, str], tuple[float, np.ndarray]] = {}
    chosen: dict[str, list[float]] = {}
    for label, (space, match) in SPACES.items():
        chosen[label] = [accuracy(space, *pair) for pair in pairs[match]]
        for name in ways:
            query, ref = directions[name, match]
            both = np.column_stack([stages(space, query, ref), query.obs["truth"]])
            replicates = np.array([_common.spearman_rows(both[draw]) for draw in draws[name]])
            found[label, name] = _common.spearman_rows(both), replicates
        print(label, [f"{found[label, name][0]:.3f}" for name in ways], np.round(chosen[label], 3), flush=True)
    rows = []
    kinds = {"joint PCA as they are": "joint PCA, as they are", "any joint PCA": "joint PCA"}
    best = {
        (kind, name): max((s for s in SPACES if s.startswith(start)), key=lambda s: found[s, name][0])
        for kind, start in kinds.items()
        for name in ways
    }
    for label in SPACES:
        texts = [_common.interval_text(*found[label, name]) for name in ways]
        for other in best.items():
            (a, A), (b, B) = found[label, other[0][1]], found[other[1], other[0][1]]
            texts.append("–" if label.startswith("joint") else _common.interval_text(a - b, A - B, sign=True))
        rows.append([label, *(f"{value:.3f}" for value in chosen[label]), f"{np.mean(chosen[label]):.3f}", *texts])
    which = ", ".join(f"{name}: {label}" for (kind, name), label in best.items() if kind == "any joint PCA")
    winner = max((s for s in SPACES if not s.startswith(("joint", "the same"))), key=lambda s: np.mean(chosen[s]))
    _common.report(
        "mapping",
        "Mapping to a reference",
        [
            "space", *(name for name, *_ in others), "development, mean",
            *(f"stages, {name}" for name in ways), *(f"{name}, minus best of {kind}" for kind, name in best),
        ],
        rows,
        f"*Stages*: Spearman's rho of the stage that the {N_NEIGHBORS} nearest reference cells (cosine, weighted) "
        f"give with the true stage; `{HUMAN}` and `{MOUSE}`, genes that both measure, the reference's 2,000 most "
        "variable. In brackets 95 % bootstrap intervals over query cells, paired in differences; the best joint "
        f"PCA is taken for each direction after the fact (of any: {which}), which favours it. *Development*: "
        f"balanced accuracy of labels between other sets; of all but joint PCA the best mean has *{winner}*. "
        "*Values matched*: each cell's values replaced, rank by rank, by the reference's mean sorted profile "
        "(`pp.shared_genes`). *Each centred* needs like mixtures of cells on both sides, which these pairs have.",
    )  # fmt: skip


def panels() -> None:
    """Labels between disjoint halves of a gene panel, as a share of what the full panel gives."""
    import scanpy as sc

    half, full, pca = ({} for _ in range(3))  # type: ignore[var-annotated]
    classes: dict[str, np.ndarray] = {}
    for name in cell_benchmark.SETS:
        raw, facts = _common.load_cells(name)
        adata = _common.preprocess(raw, facts)
        labels = adata.obs[facts.label].astype(str)
        sizes = labels.map(labels.value_counts())
        adata = adata[((sizes >= 2 * N_NEIGHBORS) & (labels != "NA")).to_numpy()].copy()
        labels = adata.obs[facts.label].astype(str).to_numpy()
        if len(set(labels)) < 2:
            continue
        adata = adata[:, adata.var["highly_variable"]].copy()
        nt.pp.map_genes(adata)
        classes[name] = labels
        scores: dict[str, list[np.ndarray]] = {"half": [], "full": [], **{f"PCA, {n}": [] for n in N_COMPS}}
        components = {}
        for n in N_COMPS:
            sc.pp.pca(adata, n_comps=min(n, adata.n_obs - 1), mask_var=None, random_state=0)
            components[n] = adata.obsm["X_pca"].copy()
        for seed in range(N_SPLITS):
            rng = np.random.default_rng(seed)
            genes_order, where = rng.permutation(adata.n_vars), rng.permutation(adata.n_obs) % 2
            for key in ("half", "full"):
                space = []
                for i in (0, 1):
                    mask = np.zeros(adata.n_vars, dtype=bool)
                    mask[genes_order[i::2] if key == "half" else genes_order] = True
                    part = adata[where == i].copy()
                    nt.tl.embed(part, embedding=vectors("newt"), mode="project", mask_var=mask)
                    space.append(part.obsm["X_newt"])
                scores[key].append(across(space, labels, where))
            for n, X in components.items():
                scores[f"PCA, {n}"].append(across([X[where == 0], X[where == 1]], labels, where))
        means = {key: np.mean(each, axis=0) for key, each in scores.items()}
        best = max((key for key in means if key.startswith("PCA")), key=lambda key: balanced(means[key], labels))
        half[name], full[name], pca[name] = means["half"], means["full"], means[best]
        print(name, {key: round(balanced(each, labels), 3) for key, each in means.items()}, flush=True)
    rows = []
    draws: dict[str, list[np.ndarray]] = {"half": [], "full": [], "pca": []}
    for name, labels in classes.items():
        estimates = []
        for key, each in (("half", half), ("full", full), ("pca", pca)):
            one = nt.metrics.bootstrap_interval(each[name], groups=labels, n_resamples=N_RESAMPLES)
            draws[key].append(one.replicates)
            estimates.append(one.estimate)
        a, b, c = estimates
        ratios = [
            _common.interval_text(a / d, draws["half"][-1] / draws[key][-1]) for d, key in ((b, "full"), (c, "pca"))
        ]
        rows.append([name, f"{a:.3f}", f"{b:.3f}", f"{c:.3f}", *ratios])
    a, b, c = (np.mean([float(row[i]) for row in rows]) for i in (1, 2, 3))
    total = {key: np.mean(each, axis=0) for key, each in draws.items()}
    ratios = [_common.interval_text(a / d, total["half"] / total[key]) for d, key in ((b, "full"), (c, "pca"))]
    rows.append(["mean", f"{a:.3f}", f"{b:.3f}", f"{c:.3f}", *ratios])
    _common.report(
        "mapping-panels",
        "Disjoint halves of a gene panel",
        ["set", "disjoint halves", "full panel, project", "full panel, best PCA", "share of project", "share of PCA"],
        rows,
        f"Balanced accuracy of labels carried between two halves of the cells by {N_NEIGHBORS} neighbours "
        f"(cosine), mean of {N_SPLITS} random splits of cells and genes. *Disjoint halves*: one half of the cells "
        "has one half of the 2,000 highly variable genes, the other the other; each is centred on itself. *Full "
        "panel*: the same cells with all of these genes; PCA with the best of 10, 20, 30 and 50 components, "
        "chosen after the fact. *Share*: the first column over these. In brackets 95 % bootstrap intervals over "
        "cells.",
    )


def across(space: list[np.ndarray], labels: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Whether each cell's label is told by the cells of the other side."""
    right = np.empty(where.size)
    for i in (0, 1):
        own, other = labels[where == i], labels[where == 1 - i]
        near = NearestNeighbors(n_neighbors=N_NEIGHBORS, metric="cosine", algorithm="brute").fit(space[1 - i])
        votes = other[near.kneighbors(space[i], return_distance=False)]
        tally = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
        right[where == i] = votes[np.arange(len(votes)), tally.argmax(axis=1)] == own
    return right


def balanced(right: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of the share of right cells."""
    return float(np.mean([right[labels == name].mean() for name in np.unique(labels)]))


def main() -> None:
    """Print both tables."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)
        embryos()
        panels()


if __name__ == "__main__":
    main()
