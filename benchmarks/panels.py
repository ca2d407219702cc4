"""Labels carried between cells that were measured on gene panels without a common gene.

``python -m benchmarks.panels`` splits cells and genes of each set in two at random. One half of the
cells keeps one half of the genes, the other half the other. Labels are carried both ways by
``tl.map_to_reference``, as a user would call it, and by what one would pick instead. Genes that a
half lacks are read from the other half, with none, 50 or 200 genes on both. Nothing is tuned on
these scores."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsRegressor

import newt_sc as nt
from benchmarks import _common, _spaces, mapping

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

    Labels = NDArray[Any]

LEAST = 2 * _spaces.N_NEIGHBORS  # cells of a class that counts
TITLE = "Labels between gene panels that share no gene"
SHARED = (0, 50, 200)  # genes that both sides have, where others are read
PROTOCOLS = {
    "halves": "halves of 2,000 variable genes",
    "own": "own variable genes",
    "400": "400 genes a side",
    "150": "150 genes",
    "50": "50 genes",
    "2000": "halves, 2,000 counts",
    "500": "halves, 500 counts",
}


def sides(name: str, protocol: str, seed: int) -> tuple[ad.AnnData, ad.AnnData, Labels] | None:
    """Two halves of the cells, each with other genes, and which half each cell of the set is in."""
    adata = _spaces.cells(name, protocol if protocol in ("2000", "500") else "full", seed)
    if adata is None:
        return None
    adata = _spaces.labelled(adata, LEAST)
    if adata.obs["label"].nunique() < 2:
        return None
    rng = np.random.default_rng(seed)
    marked = (
        np.ones(adata.n_vars, dtype=bool)
        if protocol == "own"
        else adata.var["highly_variable"].to_numpy()
    )
    genes = rng.permutation(np.flatnonzero(marked))
    if protocol in ("50", "150", "400"):
        genes = genes[: 2 * int(protocol)]
    where = rng.permutation(adata.n_obs) % 2
    halves = []
    for i in (0, 1):
        half = adata[where == i, np.sort(genes[i::2])].copy()
        halves.append(_spaces.variable(half) if protocol == "own" else half)
    for half in halves:
        half.var["highly_variable"] = half.var["highly_variable"].to_numpy(dtype=bool)
    return halves[0], halves[1], where


def methods(seed: int) -> dict[str, mapping.Way]:
    """Name and way of each row."""
    vias = ("auto", "aligned", "rotated")
    names = ('via="auto" (default)', 'via="aligned"', 'via="rotated"', "project, each side centred")
    means = ("weighted mean of gene vectors, centred", "weighted mean of gene vectors")
    return {name: mapping.OURS[name] for name in (*names, *means)} | {
        f"{via}, {kind} rows": mapping.mapped(via, kind, seed=seed)
        for kind in _spaces.CONTROLS
        for via in vias
    }


def _dense(X: Any) -> NDArray[np.float64]:
    return np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=np.float64)


def agreement(found: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[float, float]:
    """Mean over genes of Pearson's r over cells, 0 for a constant, and median over genes of R2."""
    kept = truth.std(axis=0) > 1e-6
    found, truth = found[:, kept], truth[:, kept]
    a, b = found - found.mean(axis=0), truth - truth.mean(axis=0)
    size = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    r = np.divide((a * b).sum(axis=0), size, out=np.zeros(len(size)), where=size > 1e-9)
    return float(r.mean()), float(
        np.median(1 - ((found - truth) ** 2).sum(axis=0) / (b**2).sum(axis=0))
    )


def nearest_mean(query: Any, ref: Any, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the nearest cells by PCA of the same genes, each side centred."""
    both = [x - x.mean(axis=0) for x in (_dense(query), _dense(ref))]
    model = PCA(min(_spaces.N_NEIGHBORS, both[0].shape[1] // 2), random_state=0).fit(
        np.vstack(both)
    )
    knn = KNeighborsRegressor(
        min(_spaces.N_NEIGHBORS, len(values)),
        metric="cosine",
        weights=_spaces.cosine_weights,
    )
    knn.fit(model.transform(both[1]), values)
    return np.asarray(knn.predict(model.transform(both[0])))


def read(name: str, shared: int, seed: int) -> dict[str, NDArray[np.float64]]:
    """Agreement of genes that one side lacks with the truth, mean of both ways: method -> r, R2."""
    adata = _spaces.labelled(_spaces.cells(name), 5)  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    genes = rng.permutation(np.flatnonzero(adata.var["highly_variable"].to_numpy()))
    where = rng.permutation(adata.n_obs) % 2
    both, rest = genes[:shared], genes[shared:]
    out: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for i in (0, 1):
        cells = [adata[where == j] for j in (i, 1 - i)]
        query, ref = (
            one[:, np.sort(np.r_[both, rest[j::2]])].copy()
            for one, j in zip(cells, (i, 1 - i), strict=True)
        )
        wanted = adata.var_names[np.sort(rest[1 - i :: 2])]
        truth, values = (_dense(one[:, wanted].X) for one in cells)
        types = ref.obs["label"].to_numpy(dtype=str)
        level = {label: values[types == label].mean(axis=0) for label in np.unique(types)}

        def add(method: str, found: Any, truth: NDArray[np.float64] = truth) -> None:
            out[method].append(agreement(np.asarray(found, dtype=np.float64), truth))

        for kind in ("newt", "shuffled"):
            done = nt.tl.map_to_reference(
                query, ref, label="label", genes=list(wanted), min_confidence=0, copy=True,
                embedding=_spaces.vectors(kind, seed),
            )  # fmt: skip
            more = "" if kind == "newt" else ", shuffled rows"
            add(f"nearest cells of the reference{more}", done.obsm["newt_mapping_genes"])
            label = done.obs["newt_mapping_label"].astype(str)
            add(f"mean of the reference by the label carried{more}", [level[one] for one in label])
        if shared:
            at = adata.var_names[both]
            add("kNN on the shared genes", nearest_mean(query[:, at].X, ref[:, at].X, values))
        add("mean of the reference", np.tile(values.mean(axis=0), (len(truth), 1)))
        mean = values.mean(axis=0)
        add(
            "mean of the reference by the true label",
            [level.get(one, mean) for one in query.obs["label"].astype(str)],
        )
        all_shared = nearest_mean(*(one[:, query.var_names].X for one in cells), values)
        add("kNN, all genes of the query shared", all_shared)
    return {method: np.mean(each, axis=0) for method, each in out.items()}


def report_genes(names: list[str], n_seeds: int) -> None:
    """Print how well genes are read."""
    # method -> shared genes, set -> r and R2, the mean over draws
    found: dict[str, dict[tuple[int, str], NDArray[np.float64]]] = defaultdict(dict)
    for shared in SHARED:
        for name in names:
            draws = [read(name, shared, seed) for seed in range(n_seeds)]
            for method in draws[0]:
                found[method][shared, name] = np.mean([draw[method] for draw in draws], axis=0)
            shown = {m: round(float(draws[0][m][0]), 3) for m in draws[0]}
            print("genes", shared, name, shown, flush=True)
    rows = []
    for method, by in found.items():

        def mean(shared: int, which: int = 0, by: Any = by, sets: list[str] = names) -> str:
            values = [by[shared, name][which] for name in sets if (shared, name) in by]
            return f"{np.mean(values):.3f}" if values else "–"

        each = [mean(0, sets=[name]) for name in names]
        rows.append([method, *map(mean, SHARED), mean(0, 1), *each])
    _common.report(
        "panels-genes",
        TITLE,
        [
            "read by",
            *(f"{n or 'none'} shared" for n in SHARED),
            "R2, none shared",
            *(f"{name}, none" for name in _common.short(names)),
        ],
        rows,
        "Genes that one half of the cells lacks, read from the other half (`genes=`):"
        f" Pearson's r over cells. Mean over about 1,000 genes, both directions, {n_seeds}"
        " random splits of cells and of 2,000 variable genes, and the sets. None, 50 or 200 of"
        " the genes are on both sides. *R2*: median gene. The last columns are set by set,"
        " with no shared gene. *All"
        " genes of the query shared*: what neighbours reach when both sides measure all of"
        " them. Single"
        " cells are noisy. In `goolam_embryo_mouse` genes of one family have one human name, and"
        ' `via="auto"` takes these for shared.',
        path="panels",
    )


def carried(
    name: str, protocol: str, n_seeds: int
) -> tuple[dict[str, list[Labels]], Labels] | None:
    """Whether each cell has its label by each method, one array a seed, and the labels; ``None``
    where a set is left out.
    """
    right: dict[str, list[Labels]] = defaultdict(list)
    for seed in range(n_seeds):
        made = sides(name, protocol, seed)
        if made is None:
            return None
        *halves, where = made
        labels, found = (np.empty(where.size, dtype=object) for _ in range(2))
        for i in (0, 1):
            labels[where == i] = halves[i].obs["label"].to_numpy()
        for method, way in methods(seed).items():
            for i in (0, 1):
                pair = mapping.Pair(name, halves[i], halves[1 - i])
                found[where == i] = mapping.told(way(pair))
            right[method].append(found == labels)
        right["largest class"].append(labels == max(set(labels), key=list(labels).count))
    return right, labels.astype(str)


def report_labels(names: list[str], protocols: list[str], n_seeds: int) -> None:
    """Print how well labels are carried."""
    table = _spaces.Table()
    for protocol in protocols:
        for name in names:
            done = carried(name, protocol, n_seeds)
            if done is None:
                continue
            right, labels = done
            for method, each in right.items():
                table.add(method, protocol, name, np.mean(each, axis=0), labels)
            shown = {m: f"{table.found[m, protocol][name][0]:.3f}" for m in right}
            print(protocol, name, shown, flush=True)
    _common.report(
        "panels",
        TITLE,
        ["method", *(PROTOCOLS[column] for column in protocols)],
        table.rows(protocols),
        f"Balanced accuracy of labels carried by the {_spaces.N_NEIGHBORS} nearest cells (cosine),"
        f" which were measured on other genes. Mean over the sets and over {n_seeds} random"
        f" splits of cells and genes. Only classes of {LEAST} cells or more count, in sets with"
        " at least two of them. In brackets: 95 % bootstrap intervals over cells. *Own"
        " variable genes*: all genes are split,"
        " and each side marks its own 2,000. *2,000 counts*, *500 counts*: sets of counts,"
        " thinned first. *Shuffled rows*: each gene has the vector of another; *random rows*:"
        " vectors of"
        " noise. Joint PCA has no gene to work on.",
    )
    own, rows = table.sets(protocols[0])
    header = [PROTOCOLS[protocols[0]], *_common.short(own)]
    note = "The first column above, set by set."
    _common.report("panels-sets", TITLE, header, rows, note, path="panels")


def main() -> None:
    """Print the tables."""
    options = _common.options(
        __doc__,
        seeds=3,
        sets=_spaces.SETS,
        parts=("labels", "genes"),
        protocols=tuple(PROTOCOLS),
    )
    if "genes" in options.parts:
        report_genes(list(options.sets), options.seeds)
    if "labels" in options.parts:
        report_labels(list(options.sets), list(options.protocols), options.seeds)


if __name__ == "__main__":
    _common.quietly(main)
