"""Hierarchies of groups against known trees: which genes distances between groups are taken over.

``python -m benchmarks.lineage`` scores ways of measuring distance on nine trees, from one cell a
group to pseudobulks and from 500 counts a cell to full depth, whole and without each single group,
and draws two trees as they were and as they are. Draws 0 to 2 were for choosing; the tables are
those of draws 100 to 109."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import anndata as ad
import mudata as md
import networkx as nx
import numpy as np
import pandas as pd
import scanpy as sc
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.utils.sparsefuncs import mean_variance_axis

import newt_sc as nt
from benchmarks import _cache, _common, _pages, _spaces
from newt_sc._kernels import _lineage as trees

DRAWS = range(100, 110)
N_GENES = 2000
PICTURES = {"pbmc3k_human": ("cell_type", None), "paul_myeloid_mouse": ("cell_subtype", "GMP_9")}


KNOWN = json.loads((_common.ROOT / "benchmarks" / "lineage_trees.json").read_text())
"""Sets with the column of their groups and the edges of their tree, or ``null`` where those of the
authors are in the file. ginhoux_dc_mouse has three groups: too few pairs for a correlation."""
BLOOD_EXPRESSION = re.compile(
    r"DMAP|HPA_Blood|HPA_Tissue\|(B_cells|T_cells|NK_cells|monocytes|dendritic_cells|granulocytes|total_PBMC)|blood|"
    r"leukocyte|lymphocyte|leukemia|bone.?marrow|spleen|lymph.?node|thymus|tonsil|appendix|\|(Daudi|HDLM-2|HEL|HL-60|"
    r"HMC-1|JURKAT|K-562|Karpas-707|MOLT-4|NB-4|REH|RPMI-8226|THP-1|U-266/\d+|U-698|U-937|HAP1)$",
    re.IGNORECASE,
)
"""Columns with blood cells, lymphoid organs or cell lines of blood."""
BLOOD_SETS = re.compile(
    r"blood|bone.?marrow|lymph|thym|spleen|immune|myelo|monocyt|macrophage|dendritic|neutrophil|mast|eryth|reticulocyte|"
    r"megakary|platelet|hemato|haemato|b.?cell|t.?cell|t_alpha|\bnk|_nk|natural.?killer|microglia|micro_l|mgl|plasma|"
    r"\bilc|_ilc|granulo|basophil|eosinophil|leuko|pbmc|kupffer|langerhans|mait|treg|\bcd\d|_dc\d|_dc_|\bdc|_hsc|\bhsc|"
    r"tonsil|red.?cell|innate|mononuclear|histiocyt|osteoclast|phagocyt|msc_hsc",
    re.IGNORECASE,
)
"""Lineage sets of blood cells, or whose names may mean some; rather too many than too few."""


@dataclass(frozen=True)
class Known:
    """Groups with a known tree: whole counts of cells, or logarithms of cells or of populations."""

    X: sparse.csr_matrix
    counts: bool
    codes: np.ndarray
    steps: np.ndarray
    genes: np.ndarray
    """Human symbol of each gene, empty where there is none."""


@cache
def load(name: str) -> Known:
    """Read a set, its groups and their tree."""
    column, edges = KNOWN[name]["column"], KNOWN[name]["edges"]
    if column:
        raw, facts = _common.load_cells(name)
        X, counts = sparse.csr_matrix(raw.X, dtype=np.float32), facts.is_counts
        if facts.units == "log2":
            X.data *= np.float32(np.log(2))
        elif not counts:
            X.data = np.log1p(X.data)
        groups, names = raw.obs[column].astype(str).to_numpy(), raw.var_names
        if facts.units == "log2":
            groups = raw.obs_names.to_numpy()  # one row per population
        edges = [(a, b) for a, b in json.loads(raw.uns["hierarchy"])] if edges is None else edges
    else:
        bulk = ad.read_h5ad(_common.data_dir() / "knowledge/coexpression/bulk_compendium_log2.h5ad")
        bulk = bulk[:, bulk.var["source"] == name].copy()
        values = np.asarray(bulk.X)
        there = np.isfinite(values).all(axis=1)
        X, counts = sparse.csr_matrix(values[there].T * np.log(2), dtype=np.float32), False
        groups, names = bulk.var["condition"].astype(str).to_numpy(), bulk.obs_names[there]
    nodes = {node for edge in edges for node in edge}
    kept = np.isin(groups, list(nodes))
    some = np.asarray((X[kept] > 0).sum(axis=0)).ravel() > 0
    X, groups, names = sparse.csr_matrix(X[kept][:, some]), groups[kept], names[some]
    codes, order = pd.factorize(groups)
    length = dict(nx.all_pairs_shortest_path_length(nx.Graph(edges)))
    steps = np.array([[length[a][b] for b in order] for a in order])
    found = nt.genes.align(names, nt.genes.table()["symbol"])
    return Known(X, counts, codes, steps, found.gene.astype(str))


def draw(
    known: Known, n_cells: int | str, depth: int | None, rng: np.random.Generator
) -> tuple[Any, np.ndarray]:
    """Log-normalised cells: so many of each group, all, or one sum a group; counts thinned or drawn
    from profiles.
    """
    X, codes = known.X, known.codes
    if isinstance(n_cells, int) and (known.counts or np.bincount(codes).max() > 1):
        order = rng.permutation(codes.size)
        place = pd.Series(order).groupby(codes[order]).cumcount().to_numpy()
        X, codes = X[order[place < n_cells]], codes[order[place < n_cells]]
    elif isinstance(n_cells, int):
        X, codes = X[np.repeat(np.arange(codes.size), n_cells)], np.repeat(codes, n_cells)
    if n_cells == "bulk":
        table = sparse.csr_matrix((np.ones(codes.size), (codes, np.arange(codes.size))))
        mean = sparse.diags_array(1 / np.bincount(codes)) @ table
        X = table @ X if known.counts else sparse.csr_matrix(mean @ X.expm1()).log1p()
        codes = np.arange(X.shape[0])
    if depth is not None:
        X = (
            _common.thin_counts(ad.AnnData(X), depth, random_state=int(rng.integers(1 << 31))).X
            if known.counts
            else counts_of(X, depth, rng)
        )
    if not known.counts and depth is None:
        return sparse.csr_matrix(X, dtype=np.float32), codes
    X = sparse.csr_matrix(X, dtype=np.float32)
    total = np.maximum(np.asarray(X.sum(axis=1)).ravel(), 1)
    return sparse.csr_matrix(sparse.diags_array(1e4 / total) @ X, dtype=np.float32).log1p(), codes


def counts_of(X: sparse.csr_matrix, depth: int, rng: np.random.Generator) -> sparse.csr_matrix:
    """So many counts of each row, drawn from its profile less the smallest value of the set."""
    values = X.expm1()
    floor = values.data.min() if values.nnz == np.prod(values.shape) else 0
    rows = []
    for i in range(values.shape[0]):
        row = values[[i]]
        share = np.cumsum(row.data - floor, dtype=np.float64)
        at = row.indices[
            np.searchsorted(share, rng.random(depth) * share[-1], side="right").clip(
                0, share.size - 1
            )
        ]
        genes, count = np.unique(at, return_counts=True)
        rows.append(sparse.csr_matrix((count, genes, [0, genes.size]), shape=(1, X.shape[1])))
    return sparse.csr_matrix(sparse.vstack(rows), dtype=np.float32)


@cache
def embedding() -> ad.AnnData:
    """Spectral fusion of the shipped blocks without what holds blood, DMAP among it."""
    code = _cache.code_hash(_common.ROOT / "src" / "newt_sc" / "pp")
    path = _cache.path("lineage", [code, BLOOD_SETS.pattern, BLOOD_EXPRESSION.pattern], ".h5ad")
    if not path.exists():
        known = nt.datasets.bundle(
            "newt-human", modalities=["coexpression", "lineage"], redistributable_only=True
        )
        kept = {}
        for name, pattern in (("coexpression", BLOOD_EXPRESSION), ("lineage", BLOOD_SETS)):
            mod = known[name]
            gone = np.array([bool(pattern.search(feature)) for feature in mod.var_names])
            print(
                f"{name}: {gone.sum()} of {gone.size} features hold blood and are left out",
                flush=True,
            )
            mod = mod[:, ~gone].copy()
            values = mod.X.toarray() if sparse.issparse(mod.X) else np.nan_to_num(np.asarray(mod.X))
            kept[name] = mod[(values != 0).any(axis=1)].copy()
        rest = md.MuData(kept)
        nt.pp.encode(rest)
        out = nt.datasets.embedding("newt-human").copy()
        for name, mod in rest.mod.items():
            block = np.full((out.n_obs, mod.obsm["X_block"].shape[1]), np.nan, dtype=np.float32)
            at = out.obs_names.get_indexer(mod.obs_names)
            block[at[at >= 0]] = mod.obsm["X_block"][at >= 0]
            out.obsm[name] = block
        path.parent.mkdir(parents=True, exist_ok=True)
        nt.tl.fuse(out).write_h5ad(path)
    return ad.read_h5ad(path)


@cache
def nuisance() -> dict[str, set[str]]:
    """Genes of the cell cycle and of housekeeping: annotated, told by their vectors, told by
    shuffled vectors.
    """
    out = {"annotation": set(nt.genes.nuisance())}
    for label, kind in (("vectors", "newt"), ("shuffled vectors", "shuffled")):
        E = _spaces.control(embedding(), kind)
        y = E.obs_names.isin(out["annotation"])
        fitted = LogisticRegression(C=1, max_iter=200)
        p = cross_val_predict(fitted, unit(np.asarray(E.X)), y, cv=5, method="predict_proba")[:, 1]
        out[label] = set(E.obs_names[np.argsort(-p)[: len(out["annotation"])]])
    return out


@cache
def left_out(name: str) -> dict[str, np.ndarray]:
    """Which genes of a set each way leaves out."""
    genes = pd.Index(load(name).genes)
    return {label: genes.isin(list(gone)) for label, gone in {"": set(), **nuisance()}.items()}


def unit(E: np.ndarray) -> np.ndarray:
    """Centred rows of length one."""
    out: np.ndarray = E - E.mean(axis=0)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)


def centroids(X: Any, codes: np.ndarray) -> np.ndarray:
    """Means of groups less their mean."""
    table = sparse.csr_array((1 / np.bincount(codes)[codes], (codes, np.arange(codes.size))))
    means = (table @ X).toarray()
    out: np.ndarray = means - means.mean(axis=0)
    return out


def variable(moments: tuple[np.ndarray, np.ndarray], some: np.ndarray) -> np.ndarray:
    """Scanpy's highly variable genes (flavour ``"seurat"``) among some, from means and variances
    taken once.
    """
    mean, variance = (part[some] for part in moments)
    with np.errstate(divide="ignore"):
        dispersion = pd.Series(np.log(variance / mean)).replace(-np.inf, np.nan)
    bins = pd.cut(pd.Series(np.log1p(mean)), bins=20)
    center, scale = (
        dispersion.groupby(bins, observed=True).transform(how) for how in ("mean", "std")
    )
    z = ((dispersion - center.where(scale.notna(), 0)) / scale.fillna(center)).to_numpy()
    z = np.nan_to_num(z, nan=-np.inf)
    return some[z >= np.sort(z)[-min(N_GENES, z.size)]]


def distances(name: str, X: Any, codes: np.ndarray, *, every: bool) -> dict[str, np.ndarray]:
    """Distances between groups by each way, or by those of genes alone."""
    C = centroids(X, codes)
    spread = C.var(axis=0)
    moments = mean_variance_axis(X.expm1().astype(np.float64), axis=0)
    out = {}
    for label, gone in left_out(name).items():
        some = np.flatnonzero((moments[0] > 0) & ~gone)
        chosen = variable(moments, some), some[np.argsort(-spread[some], kind="stable")[:N_GENES]]
        less = f"{label} out, " if label else ""
        out[f"{less}H"], second = (trees.group_distances(C[:, at], "correlation") for at in chosen)
        out[f"{less}HV"] = (out[f"{less}H"] + second) / 2
        if every and not label:
            scores = X[:, chosen[0]].toarray()
            n_comps = min(20, min(scores.shape) - 1)
            scores = sc.pp.pca(scores, n_comps=n_comps)
            out["PCA, 20 components"] = trees.group_distances(
                centroids(sparse.csr_matrix(scores), codes), "cosine"
            )
    return out


def conditions(name: str) -> list[tuple[int | str, int | None]]:
    """Cells a group and counts a cell (``None``: all there are) that a set allows."""
    known = load(name)
    cells = known.counts or np.bincount(known.codes).max() > 1
    deep = not known.counts or np.median(np.asarray(known.X.sum(axis=1))) > 3000
    out: list[tuple[int | str, int | None]] = [
        (n, d) for n in (1, 5, 20) for d in ((500, 2000) if deep else (500,))
    ]
    return [*out, *((n, None) for n in (1, 5, 20, "all") if cells), ("bulk", None)]


def score(name: str, draws: range) -> pd.DataFrame:
    """Tree correlation of each way, condition and draw, with all groups and without each single
    one.
    """
    known, rows = load(name), []
    n = len(known.steps)
    upper_of = lambda m: np.triu_indices(m, 1)  # noqa: E731
    for n_cells, depth in conditions(name):
        fixed = isinstance(n_cells, str) and depth is None
        for k in draws:
            rng = np.random.default_rng([k, len(name), n])
            if not fixed or k == draws[0]:
                X, codes = draw(known, n_cells, depth, rng)
            for left in (-1, *range(k % 10, n, 10)):  # each group is left out in one of ten draws
                if left < 0 and fixed and k != draws[0]:
                    continue  # the same in each draw
                kept = codes != left
                groups = np.flatnonzero(np.arange(n) != left)
                at = np.unique(codes[kept], return_inverse=True)[1]
                steps = known.steps[np.ix_(groups, groups)][upper_of(groups.size)]
                for way, D in distances(name, X[kept], at, every=left < 0).items():
                    r = float(nt._kernels.spearman(D[upper_of(groups.size)], steps))
                    rows.append((name, str(n_cells), depth or "full", k, left, way, r))
    return pd.DataFrame(rows, columns=["tree", "cells", "counts", "draw", "left", "way", "r"])


DEFAULT = "annotation out, HV"
COLUMNS = {"one cell": "1", "five": "5", "twenty": "20", "all cells": "all", "pseudobulk": "bulk"}


def by_draw(wide: pd.DataFrame, way: str, less: str | None = "H", **where: Any) -> list[np.ndarray]:
    """Tree correlation of a way, less another's; a value a tree and draw, whole trees and others
    counting alike.
    """
    part = wide
    for name, value in where.items():
        part = part[part.index.get_level_values(name) == value]
    gain = (part[way] - part[less] if less else part[way]).dropna()
    whole = pd.Series(gain.index.get_level_values("left") < 0, index=gain.index, name="whole")
    mean = gain.groupby(
        [*(gain.index.get_level_values(i) for i in ("tree", "counts", "draw")), whole]
    ).mean()
    mean = mean.groupby(level=[0, 1, 2]).mean().groupby(level=[0, 2]).mean()
    return [one.to_numpy() for _, one in mean.groupby(level=0)]


def cells(wide: pd.DataFrame, way: str, less: str | None = "H", **where: Any) -> list[str]:
    """Mean over trees for each number of cells; trees are drawn anew, then draws within them."""
    out = []
    for at in COLUMNS.values():
        found = by_draw(wide, way, less, cells=at, **where)
        drawn = _common.nested(found) if found else None
        signed = 0.0 if less is None or drawn is None else np.zeros_like(drawn)
        out.append("" if drawn is None else _common.interval_text(drawn, signed))
    return out


def ways(wide: pd.DataFrame) -> list[list[str]]:
    """Rows of the ways of measuring distance, and their differences."""
    pairs = [(way, "H") for way in wide.columns if way != "H"]
    pairs += [
        ("vectors out, HV", DEFAULT),
        (DEFAULT, "shuffled vectors out, HV"),
        (DEFAULT, "HV"),
    ]
    rows = [["H", *cells(wide, "H", None)]]
    for way, less in pairs:
        name = f"{way}{' **(default)**' * (way == DEFAULT and less == 'H')}, less {less}"
        rows.append([name, *cells(wide, way, less)])
    return rows


def each_tree(wide: pd.DataFrame) -> list[list[str]]:
    """Rows of the trees: H, and what the default adds."""
    rows = []
    for name, known in KNOWN.items():
        row = [name, known["known"], str(len(load(name).steps))]
        for at in COLUMNS.values():
            H, more = (
                by_draw(wide, *way, tree=name, cells=at) for way in (("H", None), (DEFAULT, "H"))
            )
            row.append(f"{np.mean(H):.3f} {np.mean(more):+.3f}" if more else "")
        rows.append(row)
    return rows


def by_part(wide: pd.DataFrame) -> list[list[str]]:
    """Rows of depths and of kinds of trees: what the default adds."""
    own = wide.index.get_level_values
    chains = [name for name, known in KNOWN.items() if known["known"].startswith("chain")]
    parts = {
        "500 counts": own("counts") == 500,
        "2,000 counts": own("counts") == 2000,
        "all counts": own("counts") == "full",
        "whole trees": own("left") < 0,
        "without a group": own("left") >= 0,
        "published trees": ~own("tree").isin([*chains, "pbmc3k_human"]),
        "chains": own("tree").isin(chains),
    }
    return [[label, *cells(wide[kept], DEFAULT)] for label, kept in parts.items()]


def tables() -> None:
    """Score all ways on all trees."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        long = pd.concat([score(name, DRAWS) for name in KNOWN])
    wide = long.pivot_table(
        index=["tree", "cells", "counts", "draw", "left"], columns="way", values="r"
    )
    title = "Hierarchies of groups"
    _common.report("lineage", title, ["tree correlation", *COLUMNS], ways(wide), NOTES)
    _common.report(
        "trees",
        title,
        ["set", "known", "groups", *COLUMNS],
        each_tree(wide),
        "",
        path="lineage",
        above="## Each tree\n\nH, and what the default adds.",
    )
    _common.report(
        "parts",
        title,
        ["default less H", *COLUMNS],
        by_part(wide),
        "",
        path="lineage",
        above="## By depth and by tree",
    )


NOTES = (
    "Spearman's correlation of distances between groups with steps in the known tree; mean over"
    " trees, then depths and draws, the whole tree and those without a single group counting half"
    " each; below the first row differences. In brackets 95 % bootstrap intervals, trees drawn"
    " anew, then draws within them. *H*: 1 - Pearson of centred centroids over scanpy's highly"
    " variable genes; *HV*: the mean of that and of the same over the 2,000 genes whose centroids"
    " vary most. *Annotation out*: without genes of the cell cycle and of housekeeping, as"
    " `tl.lineage` does; *vectors out*: without as many that a logistic regression tells by their"
    " vectors, out of fold; *shuffled*: the same on shuffled vectors, which are without the"
    " sources that hold blood. One, five, twenty: cells a group, at 500 and 2,000 counts and at"
    " full depth. Populations without cells have counts drawn from their profile; `all cells` are"
    " of sets of cells. Pseudobulk: sums."
)


def pictures() -> None:
    """Draw two hierarchies as they were, in 30 components, and without the genes left out."""
    for name, (column, root) in PICTURES.items():
        adata = _common.preprocess(*_common.load_cells(name))
        sc.pp.pca(adata, n_comps=30)
        height = 0.2 * adata.obs[column].nunique() + 0.9
        titles = {"X_pca": "30 components", None: "genes (default)"}
        with _common.panels(f"lineage_{name}", height=height) as axes:
            for one, (rep, title) in zip(axes, titles.items(), strict=True):
                nt.tl.lineage(adata, column, root=root, use_rep=rep)
                nt.pl.lineage(adata, title=title, ax=one)
    images = "\n\n".join(
        f"![Hierarchy of {name}](../_static/lineage_{name}.png)" for name in PICTURES
    )
    notes = (
        "100 bootstrap samples of cells within groups. Dots: black from .9, grey from .5, hollow"
        " below."
    )
    page = _common.DOCS / "lineage.md"
    text = _pages.fold("Two hierarchies, drawn", f"{notes}\n\n{images}")
    _pages.write_section(page, "pictures", text)


def main() -> None:
    """Print the tables and draw the pictures."""
    parts = {"tables": tables, "pictures": pictures}
    for name in _common.options(__doc__, parts=tuple(parts)).parts:
        parts[name]()


if __name__ == "__main__":
    _common.quietly(main)
