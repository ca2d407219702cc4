"""Programs of cell types scored in labelled cells: markers, soft gene sets, and controls.

``python -m benchmarks.programs`` scores programs of the Human Cell Landscape and of CellNet, no source of the shipped
embedding, in sets of labelled cells, and asks how well each score tells the cells of that type from all others (AUROC).
Which program stands for which label was written down by name alone, before any score was seen (``PAIRS``).
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

import newt_sc as nt
from benchmarks import _common, _spaces
from newt_sc.errors import NewtWarning

if TYPE_CHECKING:
    import anndata as ad

SOURCES = {
    "HCL": "knowledge/lineage/human_cell_landscape_2020.gmt.gz",
    "CELLNET": "knowledge/lineage/cellnet_cell_types.gmt.gz",
}
SHIPPED = ("knowledge/lineage/msigdb_c8_2023.2.gmt.gz", "knowledge/lineage/hra_asctb_2024-02.gmt.gz")
PAIRS: dict[str, dict[str, tuple[str, ...]]] = {
    "pbmc3k_human": {
        "HCL|B cell": ("B",),
        "HCL|T cell": ("Naive CD4 T", "Memory CD4 T", "CD8 T"),
        "HCL|Monocyte": ("CD14+ Mono", "FCGR3A+ Mono"),
        "HCL|Dendritic cell": ("DC",),
        "CELLNET|Bcell": ("B",),
        "CELLNET|Tcell": ("Naive CD4 T", "Memory CD4 T", "CD8 T"),
    },
    "pollen2014_human": {
        "HCL|hESC": ("iPS",),
        "HCL|Fibroblast": ("BJ",),
        "HCL|B cell": ("2339",),  # CRL-2339, B lymphoblasts
        "HCL|Fetal neuron": ("GW16", "GW21", "GW21+3"),
        "HCL|Fetal Neuron": ("GW16", "GW21", "GW21+3"),
        "HCL|Stratified epithelial cell": ("Kera",),
        "HCL|Epithelial cell": ("Kera", "2338"),  # CRL-2338, mammary carcinoma
        "HCL|Erythroid cell": ("K562",),
        "HCL|Myeloid cell": ("HL60",),
        "CELLNET|Esc": ("iPS",),
        "CELLNET|Fibroblast": ("BJ",),
        "CELLNET|Bcell": ("2339",),
        "CELLNET|Neuron": ("GW16", "GW21", "GW21+3"),
        "CELLNET|Skin": ("Kera",),
    },
    "ipsc_cm_human": {
        "HCL|hESC": ("D0",),
        "HCL|Ventricle cardiomyocyte": ("D10", "D30", "D60"),
        "CELLNET|Esc": ("D0",),
        "CELLNET|Heart": ("D10", "D30", "D60"),
    },
    "cytosimplex_bm_mouse": {"HCL|Chondrocyte": ("CH",), "HCL|Fetal chondrocyte": ("CH",)},
    "ginhoux_dc_mouse": {"HCL|Dendritic cell": ("PreDC",)},
    "paul_myeloid_mouse": {
        "HCL|Erythroid cell": ("Ery",),
        "HCL|Monocyte": ("Mo",),
        "HCL|Neutrophil": ("Neu",),
        "HCL|Dendritic cell": ("DC",),
        "CELLNET|Hspc": ("GMP", "MEP"),
    },
    "immgen_sorted_mouse": {
        "HCL|B cell": ("B",),
        "HCL|T cell": ("abT", "gdT"),
        "HCL|Monocyte": ("Mo",),
        "HCL|Macrophage": ("MF",),
        "HCL|Dendritic cell": ("DC",),
        "HCL|Neutrophil": ("GN",),
        "HCL|Stromal cell": ("stroma",),
        "CELLNET|Bcell": ("B",),
        "CELLNET|Tcell": ("abT", "gdT"),
        "CELLNET|Macrophage": ("MF",),
        "CELLNET|Hspc": ("HSPC",),
    },
}
"""Set -> program -> labels of its cells."""

BLOOD = ("pbmc3k_human", "ginhoux_dc_mouse", "paul_myeloid_mouse", "immgen_sorted_mouse")
METHODS = (
    "marker mean",
    "soft",
    "rank-sum",
    "soft, shuffled rows",
    "rank-sum, shuffled rows",
    "soft, no lineage",
    "rank-sum, no lineage",
    "scanpy's score_genes",
)
AGAINST = (
    ("soft", "marker mean"),
    ("rank-sum", "marker mean"),
    ("soft", "soft, shuffled rows"),
    ("rank-sum", "rank-sum, shuffled rows"),
    ("soft", "soft, no lineage"),
    ("rank-sum", "scanpy's score_genes"),
)
DEPTHS = ("full", "2000", "500")
N_RESAMPLES = 200
SIZES = (0, 10, 3)
N_DRAWS = 3

Draws = dict[str, np.ndarray]


def auroc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC of the cells ``positive`` against the others, for each row of weights of the cells; ties one half."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])
    inside, outside = (
        np.add.reduceat(weights[:, order] * which[order], starts, axis=1) for which in (positive, ~positive)
    )
    below = np.cumsum(outside, axis=1) - outside
    return np.asarray((inside * (below + outside / 2)).sum(axis=1) / (inside.sum(axis=1) * outside.sum(axis=1)))


def score(
    adata: ad.AnnData, programs: dict[str, list[str]], whole: set[str], tables: dict[str, ad.AnnData]
) -> dict[str, np.ndarray]:
    """Cells x programs by each method; by scanpy those that are whole, as it takes its time."""
    import scanpy as sc

    out: dict[str, np.ndarray] = {}
    for kind, embedding in tables.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NewtWarning)
            nt.tl.score_programs(adata, programs, embedding=embedding)
        more = "" if kind == "newt" else {"shuffled": ", shuffled rows", "no lineage": ", no lineage"}[kind]
        out[f"soft{more}"] = adata.obsm["newt_programs_soft"].to_numpy()
        out[f"rank-sum{more}"] = adata.obsm["newt_programs"].to_numpy()
        out["marker mean"] = adata.obsm["newt_programs_markers"].to_numpy()
    used = adata.uns["newt_programs"]["programs"]["markers"]
    peer = []
    for name in programs:
        if name not in whole or not used[name]:
            peer.append(np.zeros(adata.n_obs))
            continue
        sc.tl.score_genes(adata, used[name].split("|"), score_name="peer", use_raw=False, random_state=0)
        peer.append(adata.obs["peer"].to_numpy())
    out["scanpy's score_genes"] = np.column_stack(peer)
    return {method: np.nan_to_num(values) for method, values in out.items()}  # no marker is measured: chance


def draws(found: dict[str, np.ndarray], labels: np.ndarray, pairs: dict[str, tuple[str, ...]], seed: int) -> Draws:
    """AUROC of each method, pairs x (1 + resamples): as it is, then with cells resampled within their labels."""
    rng = np.random.default_rng(seed)
    weights = np.ones((1 + N_RESAMPLES, len(labels)))
    for label in np.unique(labels):
        of_label = np.flatnonzero(labels == label)
        chance = np.full(of_label.size, 1 / of_label.size)
        weights[1:, of_label] = rng.multinomial(of_label.size, chance, size=N_RESAMPLES)
    out = np.empty((len(pairs), 1 + N_RESAMPLES, len(METHODS)))
    for j, wanted in enumerate(pairs.values()):
        for i, name in enumerate(METHODS):
            out[j, :, i] = auroc(found[name][:, j], np.isin(labels, wanted), weights)
    return {name: out[..., i] for i, name in enumerate(METHODS)}


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=list(PAIRS), default=list(PAIRS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="genes of a program, 0 for all")
    parser.add_argument("--depths", nargs="+", choices=DEPTHS, default=list(DEPTHS))
    options = parser.parse_args(argv)
    shipped = nt.datasets.embedding("newt-human")
    tables = {kind: _spaces.control(shipped, kind) for kind in ("newt", "shuffled", "no lineage")}
    sets = {name: members for path in SOURCES.values() for name, members in _read(path).items()}
    every: dict[int, dict[str, dict[tuple[str, str], Draws]]] = {size: defaultdict(dict) for size in options.sizes}
    for name in options.sets:
        raw, facts = _common.load_cells(name)
        median = float(np.median(np.asarray(raw.X.sum(axis=1))))
        for depth in options.depths:
            if depth != "full" and (not facts.is_counts or median <= int(depth)):
                continue
            adata = _common.preprocess(raw if depth == "full" else _common.thin_counts(raw, int(depth)), facts)
            labels = adata.obs[facts.label].astype(str).to_numpy()
            adata, labels = adata[labels != "NA"].copy(), labels[labels != "NA"]
            pairs = PAIRS[name]
            given = {
                (size, draw, program): cut(sets[program], size, draw)
                for size in options.sizes
                for draw in range(N_DRAWS if size else 1)
                for program in pairs
            }
            whole = {str(key) for key in given if not key[0]}
            scored = score(adata, {str(key): members for key, members in given.items()}, whole, tables)
            for size in options.sizes:
                parts = []
                for draw in range(N_DRAWS if size else 1):
                    at = [i for i, key in enumerate(given) if key[:2] == (size, draw)]
                    found = {method: values[:, at] for method, values in scored.items()}
                    parts.append(draws(found, labels, pairs, seed=len(every[size][depth])))
                result = {method: np.mean([part[method] for part in parts], axis=0) for method in METHODS}
                for j, program in enumerate(pairs):
                    every[size][depth][name, program] = {method: values[j] for method, values in result.items()}
                means = {method: f"{values[:, 0].mean():.3f}" for method, values in result.items()}
                print(name, depth, size or "whole", means, flush=True)
    for size in options.sizes:
        _report(size, every[size])


def cut(members: list[str], size: int, draw: int) -> list[str]:
    """Draw a few genes of a program at random, those with a human symbol; all where ``size`` is 0."""
    if not size:
        return members
    known = sorted(set(members) & set(nt.datasets.embedding("newt-human").obs_names))
    return list(np.random.default_rng([draw, len(known)]).choice(known, min(size, len(known)), replace=False))


def _read(path: str) -> dict[str, list[str]]:
    return nt.io.read_gmt(_common.data_dir() / path)


def _nearest(programs: set[str]) -> dict[str, str]:
    """Name the lineage set of the shipped embedding that shares most genes with each program."""
    own = {name: set(members) for path in SOURCES.values() for name, members in _read(path).items()}
    shipped = {name: set(members) for path in SHIPPED for name, members in _read(path).items()}
    out = {}
    for program in programs:
        index = {name: len(own[program] & genes) / len(own[program] | genes) for name, genes in shipped.items()}
        best = max(index, key=index.__getitem__)
        out[program] = f"{best} ({index[best]:.2f})"
    return out


def _groups(found: dict[tuple[str, str], Draws]) -> dict[str, list[Draws]]:
    blood = [values for (name, _), values in found.items() if name in BLOOD]
    other = [values for (name, _), values in found.items() if name not in BLOOD]
    return {key: values for key, values in {"all": blood + other, "blood": blood, "other": other}.items() if values}


def _report(size: int, every: dict[str, dict[tuple[str, str], Draws]]) -> None:
    few = f" Of each program {size} genes drawn at random are given, mean over {N_DRAWS} draws." if size else ""
    columns = [(depth, group, values) for depth, found in every.items() for group, values in _groups(found).items()]
    header = ["score", *(f"{depth}, {group} ({len(values)})" for depth, group, values in columns)]
    rows = []
    for method in METHODS[:-1] if size else METHODS:
        means = [np.mean([each[method] for each in values], axis=0) for _, _, values in columns]
        rows.append([method, *(_common.interval_text(mean[0], mean[1:]) for mean in means)])
    for first, second in AGAINST[:-1] if size else AGAINST:
        row = [f"{first} less {second}"]
        for _, _, values in columns:
            each = np.array([value[first] - value[second] for value in values])
            mean, won = each.mean(axis=0), int((each[:, 0] > 0).sum())
            row.append(f"{_common.interval_text(mean[0], mean[1:], sign=True)}, {won} of {len(values)}")
        rows.append(row)
    _common.report(
        f"programs-{size}" if size else "programs",
        f"Programs of cell types, {size} genes each" if size else "Programs of cell types",
        header,
        rows,
        "AUROC of the cells of a type against all other cells of the set, by the score of its program; mean over pairs "
        "of a program and a set (their number in brackets). Programs are of the Human Cell Landscape (Han 2020) and of "
        "CellNet (Cahan 2014). The shipped embedding was made from neither: no set of MSigDB C8 is of the two studies; "
        "HuBMAP's are compiled from literature that its file does not name (below: the set that is most alike). "
        "Other studies of the same types were in it: see *no lineage*, fused without that block. Co-expression sources "
        "hold sorted blood in bulk. Full depth, and counts thinned to 2,000 and 500 a cell in the sets that have more: "
        "compare within a column. Intervals: 95 % bootstrap of cells within labels, which says nothing of other "
        "programs; beside a difference, in how many pairs it is above 0. `score_genes`: the same markers, less "
        "scanpy's control genes. *Blood*: " + ", ".join(BLOOD) + "." + few,
    )
    if size:
        return
    rows = []
    nearest = _nearest({program for _, program in every[next(iter(every))]})
    for (name, program), values in every[next(iter(every))].items():
        labels = ", ".join(PAIRS[name][program])
        cells_ = [f"{values[method][0]:.3f}" for method in METHODS]
        rows.append([f"{name}: {program}", labels, *cells_, nearest[program]])
    header = ["program", "label", *METHODS, "most alike in the embedding's sets (Jaccard index)"]
    text = _common.markdown_table(header, rows)
    text = f"Each pair, {next(iter(every))} depth:\n\n{text}"
    print(text)
    _common.write_section(_common.DOCS / "programs.md", "programs-pairs", text)


if __name__ == "__main__":
    main()
