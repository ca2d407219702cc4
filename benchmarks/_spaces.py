"""Spaces that cells are placed in, ours and what one would pick instead, and their controls."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
from scipy import sparse

import newt_sc as nt
from benchmarks import _common
from newt_sc import _keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

N_NEIGHBORS = 15
SETS = tuple(name for name in _common.CELL_SETS if name != "immgen_sorted_mouse")
CONTROLS = ("shuffled", "random")


def control(embedding: ad.AnnData, kind: str, *, random_state: int = 0) -> ad.AnnData:
    """The embedding as it is, or with rows shuffled over genes, random rows, or fused anew without
    lineage.
    """
    if kind == "newt":
        return embedding
    if kind == "no lineage":
        rest = [name for name in embedding.uns[_keys.EMBED]["modalities"] if name != "lineage"]
        return nt.tl.fuse(embedding, modalities=rest, n_comps=embedding.n_vars)
    rng = np.random.default_rng(random_state)
    out = embedding.copy()
    out.uns[_keys.EMBED] = {
        key: value for key, value in out.uns[_keys.EMBED].items() if key != "sha256"
    }
    if kind == "shuffled":
        rows = rng.permutation(out.n_obs)
        out.X = np.asarray(out.X)[rows]
        for name in list(out.obsm):
            out.obsm[name] = np.asarray(out.obsm[name])[rows]
    elif kind == "random":
        out.X = rng.standard_normal(out.shape, dtype=np.float32)
        for name in list(out.obsm):
            block = np.asarray(out.obsm[name])
            noise = rng.standard_normal(block.shape, dtype=np.float32)
            out.obsm[name] = np.where(np.isnan(block), np.float32(np.nan), noise)
    else:
        msg = f"no vectors {kind!r}; there are newt, no lineage, {', '.join(CONTROLS)}."
        raise KeyError(msg)
    return out


@cache
def vectors(kind: str = "newt", random_state: int = 0) -> ad.AnnData:
    """Return the shipped embedding, or a control made of it."""
    return control(nt.datasets.embedding("newt-human"), kind, random_state=random_state)


@cache
def cells(name: str, depth: str = "full", seed: int = 0) -> ad.AnnData | None:
    """Log-normalised cells with marked variable genes and mapped names; none where there are no
    more counts.

    ``obs["label"]`` has the known types; classes are left as they are.
    """
    raw, facts = _common.load_cells(name)
    if depth != "full":
        median = float(np.median(np.asarray(raw.X.sum(axis=1)))) if facts.is_counts else 0.0
        if median <= int(depth):
            return None
        raw = _common.thin_counts(raw, int(depth), random_state=seed)
    adata = _common.preprocess(raw, facts)
    adata.obs["label"] = adata.obs[facts.label].astype(object).fillna("NA").astype(str)
    nt.pp.map_genes(adata)
    return adata


def labelled(adata: ad.AnnData, least: int) -> ad.AnnData:
    """Cells of the classes that have so many."""
    labels = adata.obs["label"]
    sizes = labels.map(labels.value_counts())
    return adata[((sizes >= least) & (labels != "NA")).to_numpy()].copy()


def variable(adata: ad.AnnData, n_top_genes: int = _common.N_TOP_GENES) -> ad.AnnData:
    """Mark a data set's own variable genes."""
    import scanpy as sc

    adata.var["highly_variable"] = True
    if adata.n_vars > n_top_genes:
        sc.pp.highly_variable_genes(adata, n_top_genes=n_top_genes, flavor="seurat")
    return adata


def principal(adata: ad.AnnData, n_comps: int) -> Array:
    """Scores of scanpy's PCA of the marked genes."""
    import scanpy as sc

    peer = ad.AnnData(adata.X[:, adata.var["highly_variable"].to_numpy()].astype(np.float64))
    sc.pp.pca(peer, n_comps=min(n_comps, min(peer.shape) - 1), svd_solver="arpack", dtype="float64")
    return np.asarray(peer.obsm["X_pca"], dtype=np.float64)


def embed(adata: ad.AnnData, embedding: ad.AnnData, **call: Any) -> tuple[Array, dict[str, Any]]:
    """What ``tl.embed`` makes of the marked genes, and its report; nothing is written."""
    out = ad.AnnData(adata.X, obs=adata.obs[[]], var=adata.var)
    out.uns = {key: value for key, value in adata.uns.items() if key == _keys.GENES}
    nt.tl.embed(out, embedding=embedding, **call)
    return np.asarray(out.obsm[_keys.X_EMBED], dtype=np.float64), out.uns[_keys.EMBED]


def weighted_mean(adata: ad.AnnData, embedding: ad.AnnData, *, centred: bool) -> Array:
    """Mean of the vectors of the marked genes, weighted by expression, as GenePT makes cells of
    gene vectors.
    """
    names = adata.var.get(_keys.GENES, adata.var_names.to_series()).astype(object).fillna("")
    found = nt.genes.align(names, embedding.obs_names).index
    at = np.flatnonzero((found >= 0) & adata.var["highly_variable"].to_numpy())
    X = sparse.csr_array(adata.X)[:, at]
    total = np.maximum(np.asarray(X.sum(axis=1)).ravel(), 1e-9)
    Z = np.asarray(X @ np.asarray(embedding.X, dtype=np.float64)[found[at]]) / total[:, None]
    return Z - Z.mean(axis=0) if centred else Z


def carried(
    query: Array, ref: Array, labels: NDArray[Any], n_neighbors: int = N_NEIGHBORS
) -> NDArray[Any]:
    """Label of each query cell by its nearest reference cells (cosine), each weighted by its
    cosine.
    """
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(
        min(n_neighbors, len(ref)), metric="cosine", algorithm="brute", weights=cosine_weights
    )
    return np.asarray(model.fit(ref, labels).predict(query))


def cosine_weights(distance: Array) -> Array:
    """Weights of neighbours at these cosine distances."""
    return np.maximum(1 - distance, 0) + 1e-6


def balanced(right: NDArray[Any], labels: NDArray[Any]) -> float:
    """Mean over classes of the share of right cells."""
    return float(np.mean([right[labels == name].mean() for name in np.unique(labels)]))


def accuracy(right: Array, labels: NDArray[Any], n_resamples: int = 500) -> Array:
    """Balanced accuracy, then of cells drawn anew within their labels: the same for all methods."""
    one = nt.metrics.bootstrap_interval(right, groups=labels, n_resamples=n_resamples)
    return np.r_[one.estimate, one.replicates]


class Table:
    """Scores of methods by column, each a mean over sets, with intervals over cells."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], dict[str, Array]] = {}

    def add(self, method: str, column: str, name: str, right: Array, labels: NDArray[Any]) -> None:
        """Add one set: whether each cell is right, or its mean over seeds; NaN in cells that do not
        count.
        """
        self.found.setdefault((method, column), {})[name] = accuracy(right, labels)

    def mean(self, method: str, column: str) -> Array | None:
        """Mean over the sets, and its replicates."""
        each = self.found.get((method, column))
        return np.mean(list(each.values()), axis=0) if each else None

    def methods(self) -> list[str]:
        """Return the methods in the order in which they came."""
        return list(dict.fromkeys(method for method, _ in self.found))

    def rows(
        self, columns: list[str], *, interval: int = 1, methods: list[str] | None = None
    ) -> list[list[str]]:
        """Cells of the table: the first so many columns with their interval."""

        def cell(method: str, column: str) -> str:
            one = self.mean(method, column)
            if one is None:
                return "–"
            within = column in columns[:interval]
            return _common.interval_text(one) if within else f"{one[0]:.3f}"

        return [[m, *(cell(m, column) for column in columns)] for m in methods or self.methods()]

    def sets(self, column: str) -> tuple[list[str], list[list[str]]]:
        """One column set by set: names of the sets, and rows."""
        own = {method: self.found.get((method, column), {}) for method in self.methods()}
        names = list(dict.fromkeys(name for each in own.values() for name in each))
        return names, [
            [method, *(f"{each[n][0]:.3f}" if n in each else "–" for n in names)]
            for method, each in own.items()
        ]
