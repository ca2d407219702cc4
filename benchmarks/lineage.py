"""Hierarchies of groups: a tree of sorted blood, development sets, and pictures beside PCA's.

``python -m benchmarks.lineage`` scores how distances between groups follow known trees. Ways of measuring distance are
compared on seven development sets; ``immgen_sorted_mouse`` is reported and chooses nothing. Embeddings are scored with
and without the sources that hold sorted blood. The hierarchies of four sets are drawn into ``docs/_static``.
"""

from __future__ import annotations

import argparse
import json
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
from scipy import sparse

import newt_sc as nt
from benchmarks import _cache, _common, _spaces
from newt_sc.errors import NewtWarning
from newt_sc.kernels import _lineage as trees

TREE_SET = "immgen_sorted_mouse"
PICTURES = {
    "pbmc3k_human": ("cell_type", None),
    "pollen2014_human": ("cell_type", "iPS"),
    "paul_myeloid_mouse": ("cell_subtype", "GMP_9"),
    "cytosimplex_bm_mouse": ("cell_type", "Stem"),
}
N_COMPS = (10, 20, 30, 50)
PROGRAMS = "knowledge/pathway/hallmark_2024.gmt.gz"


def _chain(*names: str) -> list[tuple[str, str]]:
    return list(pairwise(names))


DEVELOPMENT: dict[str, tuple[str, list[tuple[str, str]] | None]] = {
    "paul_myeloid_mouse": ("cell_subtype", None),  # the tree is in the file
    "pbmc3k_human": (
        "cell_type",
        [
            ("root", "lymphoid"), ("root", "myeloid"), ("root", "Platelet"),
            ("lymphoid", "T"), ("lymphoid", "NK"), ("lymphoid", "B"),
            ("T", "Naive CD4 T"), ("T", "Memory CD4 T"), ("T", "CD8 T"),
            ("myeloid", "Mono"), ("myeloid", "DC"), ("Mono", "CD14+ Mono"), ("Mono", "FCGR3A+ Mono"),
        ],
    ),
    "pollen2014_human": (
        "cell_type",
        [
            ("root", "iPS"), ("root", "blood"), ("root", "skin"), ("blood", "K562"), ("blood", "HL60"),
            ("blood", "2339"), ("skin", "BJ"), ("skin", "Kera"), ("skin", "2338"),
            *_chain("iPS", "NPC", "GW16", "GW21", "GW21+3"),
        ],
    ),
    "ipsc_cm_human": ("day", _chain("D0", "D6", "D10", "D30", "D60")),
    "goolam_embryo_mouse": ("stage", _chain("2cell", "4cell", "8cell", "16cell", "blast")),
    "yan_embryo_human": ("stage", _chain("oocyte", "zygote", "2cell", "4cell", "8cell", "morula", "blastocyst")),
    "ginhoux_dc_mouse": ("cell_type", _chain("MDP", "CDP", "PreDC")),
}  # fmt: skip
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
class Groups:
    """Groups of cells with a known tree."""

    adata: ad.AnnData
    codes: np.ndarray
    names: list[str]
    tree: list[tuple[str, str]]

    def centred(self, X: Any) -> np.ndarray:
        """Centroids less their mean."""
        X = X.toarray() if sparse.issparse(X) else np.asarray(X)
        means = trees.group_means(X, self.codes, len(self.names))
        out: np.ndarray = means - means.mean(axis=0)
        return out


@cache
def load(name: str) -> Groups:
    """Read a set, its groups and their tree."""
    raw, facts = _common.load_cells(name)
    adata = _common.preprocess(raw, facts)
    if name == TREE_SET:
        groups, tree = adata.obs_names.to_series(), json.loads(raw.uns["hierarchy"])
    else:
        column, given = DEVELOPMENT[name]
        groups = adata.obs[column].astype(str)
        tree = given if given is not None else json.loads(raw.uns["hierarchy"])
    nodes = {node for edge in tree for node in edge}
    names = [one for one in pd.unique(groups) if one in nodes]
    codes = pd.Index(names, dtype=object).get_indexer(pd.Index(groups, dtype=object))
    return Groups(adata, codes, names, [(a, b) for a, b in tree])


@cache
def embedding(kind: str, *, blood: bool) -> ad.AnnData:
    """Spectral fusion of the shipped blocks, with or without what holds blood; shuffled or random rows."""
    if kind != "newt":
        return _spaces.control(embedding("newt", blood=blood), kind)
    shipped = nt.datasets.embedding("newt-human")
    if blood:
        return nt.tl.fuse(shipped)
    path = _cache.path("lineage", [_cache.code_hash(_common.ROOT / "src" / "newt_sc" / "pp"), BLOOD_SETS.pattern,
                                   BLOOD_EXPRESSION.pattern], ".h5ad")  # fmt: skip
    if not path.exists():
        known = nt.datasets.bundle("newt-human", modalities=["coexpression", "lineage"], redistributable_only=True)
        kept = {}
        for name, pattern in (("coexpression", BLOOD_EXPRESSION), ("lineage", BLOOD_SETS)):
            mod = known[name]
            gone = np.array([bool(pattern.search(feature)) for feature in mod.var_names])
            print(f"{name}: {gone.sum()} of {gone.size} features hold blood and are left out", flush=True)
            mod = mod[:, ~gone].copy()
            values = mod.X.toarray() if sparse.issparse(mod.X) else np.nan_to_num(np.asarray(mod.X))
            kept[name] = mod[(values != 0).any(axis=1)].copy()
        rest = md.MuData(kept)
        nt.pp.encode(rest)
        out = shipped.copy()
        for name, mod in rest.mod.items():
            block = np.full((out.n_obs, mod.obsm["X_block"].shape[1]), np.nan, dtype=np.float32)
            at = out.obs_names.get_indexer(mod.obs_names)
            block[at[at >= 0]] = mod.obsm["X_block"][at >= 0]
            out.obsm[name] = block
        path.parent.mkdir(parents=True, exist_ok=True)
        nt.tl.fuse(out).write_h5ad(path)
    return ad.read_h5ad(path)


@cache
def knowledge(blood: bool) -> dict[str, set[str]]:
    """Genes that knowledge names: of cell development, and of the cell cycle."""
    folder = _common.data_dir() / "knowledge"
    go = nt.io.read_gmt(folder / "function/goa_2026-03_bp_propagated.gmt.gz")
    hallmark = nt.io.read_gmt(folder / PROGRAMS.removeprefix("knowledge/"))
    cycle = {"GO:0007049", "GO:0006260", "GO:0051301"}
    development = set(go["GO:0048468"])  # cell development; cell differentiation has too many genes to be in the file
    if not blood:  # haematopoiesis and leukocyte differentiation
        development -= set(go.get("GO:0030097", [])) | set(go.get("GO:0002521", []))
    return {
        "development": development,
        "cycle": {gene for name, genes in go.items() if name in cycle for gene in genes}
        | {gene for name, genes in hallmark.items() if re.search("G2M|E2F|MITOTIC|MYC_", name) for gene in genes},
    }


Way = Callable[[Groups, bool], tuple[np.ndarray, str]]
"""Takes groups and whether blood sources are in; gives centroids, or distances, and the metric."""


def expression(mask: str, metric: str, *, centred: bool = True) -> Way:
    """Genes themselves."""

    def way(groups: Groups, _: bool) -> tuple[np.ndarray, str]:
        adata = groups.adata
        X = adata.X[:, chosen(groups, mask)]
        if centred:
            return groups.centred(X), metric
        return trees.group_means(X.toarray(), groups.codes, len(groups.names)), metric

    return way


def chosen(groups: Groups, mask: str) -> np.ndarray:
    """Highly variable genes, all, or so many of the largest variance."""
    adata = groups.adata
    if mask == "HVG":
        return adata.var["highly_variable"].to_numpy()
    out = np.ones(adata.n_vars, dtype=bool)
    if mask != "all":
        mean = np.asarray(adata.X.mean(axis=0)).ravel()
        variance = np.asarray(adata.X.multiply(adata.X).mean(axis=0)).ravel() - mean**2
        out[:] = False
        out[np.argsort(-variance)[: int(mask)]] = True
    return out


def weighted(weight: float, *, cycle: bool, metric: str) -> Way:
    """Genes weighted by what is known of them: cell development up, the cell cycle out."""

    def way(groups: Groups, blood: bool) -> tuple[np.ndarray, str]:
        at = chosen(groups, "HVG")
        known = knowledge(blood)
        symbols = genes_of(groups)[at]
        w = np.where(np.isin(symbols, list(known["development"])), weight, 1.0)
        if not cycle:
            w[np.isin(symbols, list(known["cycle"]))] = 0
        return (groups.centred(groups.adata.X[:, at]) * np.sqrt(w))[:, w > 0], metric

    return way


def genes_of(groups: Groups) -> np.ndarray:
    """Human symbol of each gene, empty where there is none."""
    if "symbol" not in groups.adata.var:
        found = nt.genes.align(groups.adata.var_names, nt.genes.table()["symbol"])
        groups.adata.var["symbol"] = found.gene.astype(str)
    out: np.ndarray = groups.adata.var["symbol"].to_numpy(dtype=object)
    return out


def pca(n_comps: int) -> Way:
    """Principal components of the highly variable genes."""

    def way(groups: Groups, _: bool) -> tuple[np.ndarray, str]:
        return groups.centred(_spaces.principal(groups.adata, fit(n_comps, groups))), "cosine"

    return way


def fit(n_comps: int, groups: Groups) -> int:
    """As many components, or what the cells allow."""
    return min(n_comps, groups.adata.n_obs - 1)


def embed(kind: str = "newt", *, modalities: list[str] | None = None) -> Way:
    """:func:`newt_sc.tl.embed` by projection; by components it is PCA."""

    def way(groups: Groups, blood: bool) -> tuple[np.ndarray, str]:
        part = groups.adata[:, chosen(groups, "HVG")].copy()
        nt.tl.embed(part, embedding=embedding(kind, blood=blood), modalities=modalities, mode="project")
        return groups.centred(part.obsm["X_newt"]), "cosine"

    return way


def mixed(share: float, modalities: list[str]) -> Way:
    """Mean of two cosine distances, of genes and of the projection."""
    first, second = expression("HVG", "cosine"), embed(modalities=modalities)

    def way(groups: Groups, blood: bool) -> tuple[np.ndarray, str]:
        one, two = (trees.group_distances(each(groups, blood)[0], "cosine") for each in (first, second))
        return (1 - share) * one + share * two, "precomputed"

    return way


CO, LINEAGE = ["coexpression", "lineage"], ["lineage"]
WAYS: dict[str, Way] = {
    "expression, HVG, not centred, correlation": expression("HVG", "correlation", centred=False),
    "expression, HVG, centred, cosine": expression("HVG", "cosine"),
    "expression, HVG, centred, correlation": expression("HVG", "correlation"),
    "expression, 500 most variable, centred, correlation": expression("500", "correlation"),
    "expression, all genes, centred, cosine": expression("all", "cosine"),
    **{f"PCA of HVGs, {n}": pca(n) for n in N_COMPS},
    "project": embed(),
    "project, shuffled": embed("shuffled"),
    "project, random": embed("random"),
    "project, co-expression + lineage blocks": embed(modalities=CO),
    "project, co-expression + lineage blocks, shuffled": embed("shuffled", modalities=CO),
    "project, lineage block": embed(modalities=LINEAGE),
    "expression .25 + lineage block .75": mixed(0.75, LINEAGE),
    "expression .75 + lineage block .25": mixed(0.25, LINEAGE),
    "HVG, genes of cell development x 3, cosine": weighted(3, cycle=True, metric="cosine"),
    "HVG, genes of cell development x 3, cell cycle left out, cosine": weighted(3, cycle=False, metric="cosine"),
    "HVG, genes of cell development x 3, cell cycle left out, correlation": weighted(
        3, cycle=False, metric="correlation"
    ),
}
NO_KNOWLEDGE = ("expression, ", "PCA")


def score(name: str, way: Way, *, blood: bool = True) -> dict[str, nt.metrics.Interval | float]:
    """Scores of one way on one set."""
    groups = load(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)
        X, metric = way(groups, blood)
    D = X if metric == "precomputed" else trees.group_distances(X, metric)
    how: dict[str, Any] = {"metric": "precomputed"}
    out: dict[str, nt.metrics.Interval | float] = {
        "tree": nt.metrics.tree_correlation(D, groups.names, groups.tree, **how)
    }
    try:
        out["near"] = nt.metrics.parent_child_share(D, groups.names, groups.tree, **how)
    except ValueError:  # no group's parent has data
        out["near"] = float("nan")
    if name == TREE_SET:
        out["triplets"] = nt.metrics.triplet_accuracy(D, groups.names, groups.tree, **how)
        joined = trees.neighbor_joining(D).distances()
        merged = trees.agglomerate(D, "average").distances()
        out["average linkage"], out["neighbour joining"] = (
            nt.metrics.tree_correlation(each, groups.names, groups.tree, n_resamples=1, **how).estimate
            for each in (merged, joined)
        )
        edges = {frozenset(edge) for edge in groups.tree if set(edge) <= set(groups.names)}
        parent = trees.spanning_tree(D, None)
        found = {frozenset((groups.names[i], groups.names[j])) for i, j in enumerate(parent) if j >= 0}
        out["edges"] = len(found & edges) / len(edges)
    return out


def main() -> None:
    """Print the table and draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("table", "pictures"), help="one part instead of both")
    only = parser.parse_args().only
    if only != "pictures":
        table()
    if only != "table":
        pictures()


def table() -> None:
    """Score all ways on all sets."""
    rows, development = [], {}
    for label, way in WAYS.items():
        each = [score(name, way) for name in DEVELOPMENT]
        tree = float(np.mean([one["tree"].estimate for one in each]))  # type: ignore[union-attr]
        near = float(np.mean([one["near"].estimate for one in each if isinstance(one["near"], nt.metrics.Interval)]))
        development[label] = tree
        for blood in (True, False) if not label.startswith(NO_KNOWLEDGE) else (True,):
            found = score(TREE_SET, way, blood=blood)
            which = "–" if label.startswith(NO_KNOWLEDGE) else "in" if blood else "out"
            shown = [str(found[key]) for key in ("near", "tree", "triplets")]
            numbers = [f"{found[key]:.3f}" for key in ("average linkage", "neighbour joining", "edges")]
            rows.append([label, f"{tree:.3f}", f"{near:.3f}", which, *shown, *numbers])
            print(" | ".join(rows[-1]), flush=True)
    best = max(development, key=lambda label: development[label])
    _common.report(
        "lineage",
        "Hierarchies of groups",
        [
            "distance between groups by", "development: tree", "development: near", "blood sources",
            "ImmGen: parent or child nearest", "ImmGen: tree correlation", "ImmGen: triplets",
            "ImmGen: average linkage", "ImmGen: neighbour joining", "ImmGen: tree edges in spanning tree",
        ],
        rows,
        f"*Development*: mean over {len(DEVELOPMENT)} sets ({', '.join(DEVELOPMENT)}) of Spearman's correlation "
        "of distances between centroids with steps in the known tree, and of the share of groups whose nearest "
        f"is their parent or child. The best tree correlation in development has *{best}*. *ImmGen*: "
        f"{len(load(TREE_SET).names)} sorted populations of the authors' tree; it chose nothing. In square "
        "brackets 95 % bootstrap intervals over populations: rows a few hundredths apart are not told apart. "
        "*Triplets*: chance is .333. *Average linkage* and *neighbour joining*: correlation of path lengths in "
        "the tree made from the distances with steps in the authors' tree. Blood sources *out*: co-expression "
        "without DMAP, blood columns of HPA, lymphoid organs and cell lines of blood; lineage sets of blood left "
        "out; terms of haematopoiesis taken from the genes of cell development (GO:0048468). *Centred*: "
        "centroids less the mean of all centroids, as `tl.lineage` does; all rows of PCA and project are.",
    )  # fmt: skip


def pictures() -> None:
    """Draw the hierarchies of four sets by components and by projection side by side; print how they agree."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.use("Agg")
    rows = []
    for name, (column, root) in PICTURES.items():
        raw, facts = _common.load_cells(name)
        adata = _common.preprocess(raw, facts)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NewtWarning)
            n = min(30, adata.n_obs - 1)
            nt.tl.embed(adata, n_comps=n)
            nt.tl.embed(adata, mode="project", key_added="X_project")
            sets = {}
            for key in ("X_newt", "X_project"):
                nt.tl.lineage(adata, column, root=root, use_rep=key, key_added=key)
                branches = nt.get.lineage(adata, key=key)
                sets[key] = {splits(branches, one) for one in branches.loc[branches["support"].notna(), "groups"]}
                support = branches["support"].dropna()
                paga = adata.uns[key]["paga"]["shared"]
                same = len(sets[key] & sets["X_newt"]) / len(sets["X_newt"])
                rows.append([name, key, len(adata.uns[key]["groups"]), f"{support.mean():.2f}", f"{support.min():.2f}",
                             f"{same:.2f}", f"{paga:.2f}"])  # fmt: skip
        groups = len(adata.uns["X_newt"]["groups"])
        figure, axes = plt.subplots(1, 2, figsize=(6.5, 0.19 * groups + 0.9), layout="constrained")
        titles = {"X_newt": f"{n} components", "X_project": "project"}
        for one, (key, title) in zip(axes, titles.items(), strict=True):
            nt.pl.lineage(adata, key=key, title=title, ax=one)
        path = _common.ROOT / "docs" / "_static" / f"lineage_{name}.png"
        figure.savefig(path, dpi=110)
        plt.close(figure)
        print(path, path.stat().st_size, flush=True)
    images = "\n\n".join(f"![Hierarchy of {name}](../_static/lineage_{name}.png)" for name in PICTURES)
    text = _common.markdown_table(
        ["set", "space", "groups", "mean support", "least support", "splits shared with PCA", "edges shared with PAGA"],
        rows,
    )
    notes = "100 bootstrap samples of cells within groups. Dots: black from .9, grey from .5, hollow below."
    print(text)
    _common.write_section(
        _common.DOCS / "lineage.md", "pictures", f"## Hierarchies of four sets\n\n{text}\n\n{notes}\n\n{images}\n\n"
        f"{_common.run_metadata()}", title="Hierarchies of groups",
    )  # fmt: skip


def splits(branches: pd.DataFrame, groups: str) -> frozenset[str]:
    """Name a split by the side that lacks the first group."""
    every, side = set(branches["name"]) - {""}, set(groups.split("; "))
    return frozenset(side if min(every) not in side else every - side)


if __name__ == "__main__":
    main()
