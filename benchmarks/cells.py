"""Inside one data set: ``tl.embed`` against PCA, the number of components without labels, known
orders.

``python -m benchmarks.cells`` writes ``docs/benchmarks/cells.md``. Nothing is tuned on these
scores: numbers of components are fixed, or chosen by held-out genes."""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
from sklearn.neighbors import NearestNeighbors

import newt_sc as nt
from benchmarks import _common, _spaces
from newt_sc.errors import NewtWarning
from newt_sc.tl._components import N_COMPS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

DEPTHS = ("full", "2000", "500")
TITLES = {"full": "full depth", "2000": "2,000 counts", "500": "500 counts"}
ORDERS = (
    ("ipsc_cm_human", "stage_order"),
    ("goolam_embryo_mouse", "stage_order"),
    ("paul_myeloid_mouse", "ery_order"),
    ("paul_myeloid_mouse", "mye_order"),
)
TIE = 1e-5  # relative difference of distances below which cells are equally near


def same_neighbors(P: Array, Z: Array, k: int = _spaces.N_NEIGHBORS) -> float:
    """Share of the cells whose nearest cells are the same in both, ties apart."""
    k = min(k, len(P) - 1)
    distance, index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(P).kneighbors()
    other = (
        NearestNeighbors(n_neighbors=k, algorithm="brute").fit(Z).kneighbors(return_distance=False)
    )
    same = 0
    for i, (near, found) in enumerate(zip(index, other, strict=True)):
        extra = np.setdiff1d(found, near)
        last = distance[i, -1]
        same += bool((np.abs(np.linalg.norm(P[extra] - P[i], axis=1) - last) <= TIE * last).all())
    return same / len(P)


def pseudotime(X: Array, root: int) -> Array:
    """Diffusion pseudotime with scanpy's defaults."""
    import scanpy as sc

    adata = ad.AnnData(np.zeros((len(X), 1), dtype=np.float32), obsm={"X": X})
    sc.pp.neighbors(adata, use_rep="X", n_neighbors=min(15, len(X) - 1))
    sc.tl.diffmap(adata)
    adata.uns["iroot"] = root
    sc.tl.dpt(adata)
    return adata.obs["dpt_pseudotime"].to_numpy(dtype=np.float64)


def spaces(adata: ad.AnnData) -> Iterator[tuple[str, Array, dict[str, Any]]]:
    """Name, cells and report of each method."""
    pca = _spaces.principal(adata, max(N_COMPS))
    for k in N_COMPS:
        if k <= pca.shape[1]:
            yield f"PCA, {k} components", pca[:, :k], {}
            yield f"aligned, {k} components", *_spaces.embed(adata, _spaces.vectors(), n_comps=k)
    Z, info = _spaces.embed(adata, _spaces.vectors())
    yield "PCA, as many as aligned", pca[:, : info["params"]["n_comps"]], {}
    yield "aligned (default)", Z, info
    yield "aligned, shuffled rows", *_spaces.embed(adata, _spaces.vectors("shuffled"))
    for kind in ("newt", *_spaces.CONTROLS):
        name = "project" + (f", {kind} rows" if kind != "newt" else "")
        yield name, *_spaces.embed(adata, _spaces.vectors(kind), mode="project")
    for centred in (True, False):
        name = f"weighted mean of gene vectors{', centred' * centred}"
        yield name, _spaces.weighted_mean(adata, _spaces.vectors(), centred=centred), {}


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cells", description=__doc__)
    parser.add_argument("--sets", nargs="+", choices=_spaces.SETS, default=_spaces.SETS)
    parser.add_argument("--seeds", type=int, default=3, help="how many times counts are thinned")
    options = parser.parse_args(argv)
    table = _spaces.Table()
    same: dict[int, list[tuple[float, float, float]]] = defaultdict(list)
    chosen: dict[str, dict[str, list[int]]] = defaultdict(dict)
    orders: dict[str, list[float]] = defaultdict(list)
    for name in options.sets:
        for depth in DEPTHS:
            outcome: dict[str, list[Array]] = defaultdict(list)
            for seed in range(1 if depth == "full" else options.seeds):
                adata = _spaces.cells(name, depth, seed)
                if adata is None:
                    continue
                done = {method: (Z, info) for method, Z, info in spaces(adata)}
                for method, (Z, info) in done.items():
                    _, right = nt.metrics.label_knn(Z, adata.obs["label"], return_per_cell=True)
                    outcome[method].append(right)
                    if method == "aligned (default)":
                        chosen[depth].setdefault(name, []).append(info["params"]["n_comps"])
                if depth != "full":
                    continue
                for k in N_COMPS:
                    if (pair := f"aligned, {k} components") in done:
                        P, Z = done[f"PCA, {k} components"][0], done[pair][0]
                        apart = np.abs(pseudotime(P, 0) - pseudotime(Z, 0))
                        angle = float(np.nanmax(np.where(np.isfinite(apart), apart, 0)))
                        gap = np.abs(np.linalg.norm(P, axis=1) - np.linalg.norm(Z, axis=1)).max()
                        same[k].append(
                            (
                                same_neighbors(P, Z),
                                angle,
                                float(gap / np.linalg.norm(P, axis=1).max()),
                            )
                        )
                for which, order in ORDERS:
                    if which == name:
                        for method, (Z, _) in done.items():
                            orders[method].append(
                                nt.metrics.pseudotime_spearman(
                                    Z, adata.obs[order].to_numpy(dtype=np.float64)
                                )
                            )
            for method, each in outcome.items():
                labels = _spaces.cells(name).obs["label"].to_numpy()  # type: ignore[union-attr]
                table.add(method, depth, name, np.mean(each, axis=0), labels)
        print(name, {d: per[name] for d, per in chosen.items() if name in per}, flush=True)
    rows = []
    for k, each in sorted(same.items()):
        shares, times, gaps = zip(*each, strict=True)
        rows.append(
            [str(k), str(len(each)), f"{min(shares):.2%}", f"{max(times):.1e}", f"{max(gaps):.1e}"]
        )
    _common.report(
        "cells-same",
        "Inside one data set",
        ["components", "data sets", "cells with the same 15 neighbours",
         "largest difference of DPT", "of distances"],
        rows,
        "`tl.embed` (`mode=\"aligned\"`) beside `sc.pp.pca` with as many components, at full "
        "depth; the worst of the data sets. Neighbours by Euclidean distance, ties apart. "
        "Diffusion pseudotime with scanpy's defaults, from the first cell.",
        path="cells",
    )  # fmt: skip
    depths = [d for d in DEPTHS if any((m, d) in table.found for m in table.methods())]
    ways = [f"{n:.3f}" for n in ()]
    shown = [
        method
        for method in table.methods()
        if not method.startswith("aligned, ") or "rows" in method
    ]
    rows = table.rows(depths, methods=shown)  # aligned is PCA, as the table above shows
    for row in rows:
        ways = orders.get(row[0], [])
        row.append(f"{np.mean(ways):.3f}" if len(ways) == len(ORDERS) else "–")
    _common.report(
        "cells-labels",
        "Inside one data set",
        ["method", *(TITLES[d] for d in depths), "known orders"],
        rows,
        "*Depths*: balanced leave-one-out accuracy of labels, 15 nearest cells by cosine; mean of"
        " the sets, at full depth with 95 % bootstrap intervals over cells; the sets of counts"
        f" only where counts are thinned ({options.seeds} times). *Known orders*: Spearman's rho of"
        " diffusion pseudotime with four orders of three sets. All methods see the same 2,000"
        " variable genes. *Weighted mean*: as GenePT makes cells of gene vectors.",
        path="cells",
    )
    fixed = []
    for depth in depths:
        label = [table.mean(f"PCA, {k} components", depth) for k in N_COMPS]
        best = int(np.argmax([one[0] for one in label if one]))
        auto = table.mean("aligned (default)", depth)
        if auto and (top := label[best]):
            text = _common.interval_text(auto[0] - top[0], auto[1] - top[1], sign=True)
            numbers = ", ".join(
                f"{n.split('_')[0]} {'/'.join(map(str, ks))}" for n, ks in chosen[depth].items()
            )
            fixed.append(
                [TITLES[depth], f"{auto[0]:.3f}", f"{top[0]:.3f} ({N_COMPS[best]})", text, numbers]
            )
    _common.report(
        "cells-choice",
        "Inside one data set",
        ["data", "n_comps=\"auto\"", "best fixed number", "difference", "chosen"],
        fixed,
        "Label kNN with the number of components that `n_comps=\"auto\"` chooses without labels, "
        "beside the best single number for all sets, which is known only afterwards.",
        path="cells",
    )  # fmt: skip
    names, rows = table.sets("full")
    rows = [row for row in rows if row[0] in shown]
    short = [n.replace("_human", "").replace("_mouse", "") for n in names]
    note = "The first column above, set by set."
    _common.report(
        "cells-sets", "Inside one data set", ["full depth", *short], rows, note, path="cells"
    )


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)
        main()
