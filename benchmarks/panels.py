"""Labels carried between cells that were measured on gene panels without a common gene.

``python -m benchmarks.panels`` splits cells and genes of each set in two at random. One half of the
cells keeps one half of the genes, the other half the other. Labels are carried both ways by
``tl.map_to_reference``, as a user would call it, and by what one would pick instead. Genes that a
half lacks are read from the other half, with none, 50 or 200 genes on both. Nothing is tuned on
these scores."""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

import newt_sc as nt
from benchmarks import _common, _spaces
from newt_sc.errors import NewtWarning

if TYPE_CHECKING:
    import anndata as ad
    from numpy.typing import NDArray

    Labels = NDArray[Any]

LEAST = 2 * _spaces.N_NEIGHBORS  # cells of a class that counts
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


def mapped(
    via: str, kind: str = "newt", seed: int = 0
) -> Callable[[ad.AnnData, ad.AnnData], Labels]:
    """Labels by ``tl.map_to_reference``."""

    def call(query: ad.AnnData, ref: ad.AnnData) -> Labels:
        embedding = _spaces.vectors(kind, seed)
        done = nt.tl.map_to_reference(
            query, ref, label="label", via=via, embedding=embedding, min_confidence=0, copy=True  # type: ignore[arg-type]
        )  # fmt: skip
        return done.obs["newt_mapping_label"].astype(str).to_numpy()

    return call


def placed(place: Callable[[ad.AnnData], Any]) -> Callable[[ad.AnnData, ad.AnnData], Labels]:
    """Labels of the nearest cells in a space that each side is placed in by itself."""

    def call(query: ad.AnnData, ref: ad.AnnData) -> Labels:
        return _spaces.carried(place(query), place(ref), ref.obs["label"].to_numpy(dtype=str))

    return call


def methods(seed: int) -> Iterator[tuple[str, Callable[[ad.AnnData, ad.AnnData], Labels]]]:
    """Name and way of each row."""
    yield 'via="auto" (default)', mapped("auto")
    yield 'via="aligned"', mapped("aligned")
    yield 'via="rotated"', mapped("rotated")
    yield (
        "project, each side centred",
        placed(lambda a: _spaces.embed(a, _spaces.vectors(), mode="project")[0]),
    )
    for centred in (True, False):
        name = f"weighted mean of gene vectors{', centred' * centred}"
        yield (
            name,
            placed(lambda a, c=centred: _spaces.weighted_mean(a, _spaces.vectors(), centred=c)),
        )
    for kind in _spaces.CONTROLS:
        for via in ("auto", "aligned", "rotated"):
            yield f"{via}, {kind} rows", mapped(via, kind, seed)


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
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KNeighborsRegressor

    both = [x - x.mean(axis=0) for x in (_dense(query), _dense(ref))]
    model = PCA(min(_spaces.N_NEIGHBORS, both[0].shape[1] // 2), random_state=0).fit(
        np.vstack(both)
    )
    knn = KNeighborsRegressor(
        min(_spaces.N_NEIGHBORS, len(values)),
        metric="cosine",
        weights=lambda d: np.maximum(1 - d, 0) + 1e-6,
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
    found: dict[str, dict[int, dict[str, NDArray[np.float64]]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for shared in SHARED:
        for name in names:
            draws = [read(name, shared, seed) for seed in range(n_seeds)]
            for method in draws[0]:
                found[method][shared][name] = np.mean([draw[method] for draw in draws], axis=0)
            shown = {
                m: round(float(by[shared][name][0]), 3)
                for m, by in found.items()
                if name in by[shared]
            }
            print("genes", shared, name, shown, flush=True)
    rows = []
    for method, by in found.items():
        means = [f"{np.mean([v[0] for v in by[n].values()]):.3f}" if by[n] else "–" for n in SHARED]
        row = [method, *means, f"{np.mean([v[1] for v in by[0].values()]):.3f}" if by[0] else "–"]
        rows.append([*row, *(f"{by[0][name][0]:.3f}" if by[0] else "–" for name in names)])
    short = [name.replace("_human", "").replace("_mouse", "") for name in names]
    header = [
        "read by",
        *(f"{n or 'none'} shared" for n in SHARED),
        "R2, none shared",
        *(f"{n}, none" for n in short),
    ]
    _common.report(
        "panels-genes",
        "Labels between gene panels that share no gene",
        header,
        rows,
        "Genes that one half of the cells lacks, read from the other half (`genes=`): Pearson's r"
        f" over cells, mean of about 1,000 genes, both ways, of {n_seeds} random splits of cells"
        " and of 2,000 variable genes, and of the sets; with none, 50 or 200 of the genes on both"
        " sides. *R2*: median gene. The last columns are set by set, with no shared gene. *All"
        " genes of the query shared*: what neighbours reach where both sides measure these. Single"
        " cells are noisy. In `goolam_embryo_mouse` genes of one family have one human name, and"
        ' `via="auto"` takes these for shared.',
        path="panels",
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.panels", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=_spaces.SETS, default=_spaces.SETS)
    parser.add_argument(
        "--parts", nargs="+", choices=("labels", "genes"), default=["labels", "genes"]
    )
    parser.add_argument("--protocols", nargs="+", choices=list(PROTOCOLS), default=list(PROTOCOLS))
    options = parser.parse_args()
    if "genes" in options.parts:
        report_genes(list(options.sets), options.seeds)
    if "labels" not in options.parts:
        return
    table = _spaces.Table()
    for protocol in options.protocols:
        for name in options.sets:
            right: dict[str, list[Labels]] = defaultdict(list)
            labels = np.empty(0)
            for seed in range(options.seeds):
                pair = sides(name, protocol, seed)
                if pair is None:
                    break
                *halves, where = pair
                labels = np.empty(where.size, dtype=object)
                for i in (0, 1):
                    labels[where == i] = halves[i].obs["label"].to_numpy()
                for method, call in methods(seed):
                    found = np.empty(where.size, dtype=object)
                    for i in (0, 1):
                        found[where == i] = call(halves[i], halves[1 - i])
                    right[method].append(found == labels)
                right["largest class"].append(labels == max(set(labels), key=list(labels).count))
            for method, each in right.items():
                table.add(method, protocol, name, np.mean(each, axis=0), labels.astype(str))
            shown = {
                m: round(_spaces.balanced(np.mean(e, axis=0), labels), 3) for m, e in right.items()
            }
            print(protocol, name, shown, flush=True)
    columns = list(options.protocols)
    _common.report(
        "panels",
        "Labels between gene panels that share no gene",
        ["method", *(PROTOCOLS[column] for column in columns)],
        table.rows(columns),
        f"Balanced accuracy of labels carried by the {_spaces.N_NEIGHBORS} nearest cells (cosine),"
        f" which were measured on other genes; mean of the sets with two classes of {LEAST} cells"
        f" or more, these classes only, and of {options.seeds} random splits of cells and genes. In"
        " brackets 95 % bootstrap intervals over cells. *Own variable genes*: all genes are split,"
        " and each side marks its own 2,000. *2,000 counts*, *500 counts*: sets of counts, thinned"
        " before. *Shuffled rows*: each gene has the vector of another; *random rows*: vectors of"
        " noise. Joint PCA has no gene to work on.",
    )
    names, rows = table.sets(columns[0])
    short = [name.replace("_human", "").replace("_mouse", "") for name in names]
    _common.report(
        "panels-sets",
        "Labels between gene panels that share no gene",
        [PROTOCOLS[columns[0]], *short],
        rows,
        "The first column above, set by set.",
        path="panels",
    )


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)
        main()
