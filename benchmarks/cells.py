"""Inside one data set: ``tl.embed`` against PCA, the number of components without labels, known
orders.

``python -m benchmarks.cells`` writes ``docs/benchmarks/cells.md``. Nothing is tuned on these
scores: numbers of components are fixed, or chosen by held-out genes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
from sklearn.neighbors import NearestNeighbors

import newt_sc as nt
from benchmarks import _common, _spaces
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
TITLE = "Inside one data set"
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


@dataclass
class Found:
    """What all sets gave: labels, how near ``tl.embed`` is to PCA, components chosen, orders."""

    table: _spaces.Table = field(default_factory=_spaces.Table)
    same: dict[int, list[tuple[float, float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    chosen: dict[str, dict[str, list[int]]] = field(default_factory=lambda: defaultdict(dict))
    orders: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, depth: str, n_seeds: int) -> None:
        """Score a set at a depth."""
        outcome: dict[str, list[Array]] = defaultdict(list)
        for seed in range(1 if depth == "full" else n_seeds):
            adata = _spaces.cells(name, depth, seed)
            if adata is None:
                return
            done = {method: (Z, info) for method, Z, info in spaces(adata)}
            for method, (Z, _) in done.items():
                _, right = nt.metrics.label_knn(Z, adata.obs["label"], return_per_cell=True)
                outcome[method].append(right)
            n_comps = done["aligned (default)"][1]["params"]["n_comps"]
            self.chosen[depth].setdefault(name, []).append(n_comps)
            if depth == "full":
                self.compare({method: Z for method, (Z, _) in done.items()})
                for column in (column for which, column in ORDERS if which == name):
                    order = adata.obs[column].to_numpy(dtype=np.float64)
                    for method, (Z, _) in done.items():
                        self.orders[method].append(nt.metrics.pseudotime_spearman(Z, order))
        labels = _spaces.cells(name).obs["label"].to_numpy()  # type: ignore[union-attr]
        for method, each in outcome.items():
            self.table.add(method, depth, name, np.mean(each, axis=0), labels)

    def compare(self, done: dict[str, Array]) -> None:
        """Neighbours, pseudotime and lengths of ``tl.embed`` beside those of PCA."""
        for k in N_COMPS:
            if f"aligned, {k} components" in done:
                P, Z = done[f"PCA, {k} components"], done[f"aligned, {k} components"]
                apart = np.abs(pseudotime(P, 0) - pseudotime(Z, 0))
                angle = float(np.nanmax(np.where(np.isfinite(apart), apart, 0)))
                length, other = (np.linalg.norm(X, axis=1) for X in (P, Z))
                gap = float(np.abs(length - other).max() / length.max())
                self.same[k].append((same_neighbors(P, Z), angle, gap))


def report_same(found: Found) -> None:
    """Write how near ``tl.embed`` is to PCA."""
    rows = []
    for k, each in sorted(found.same.items()):
        shares, times, gaps = zip(*each, strict=True)
        worst = [f"{min(shares):.2%}", f"{max(times):.1e}", f"{max(gaps):.1e}"]
        rows.append([str(k), str(len(each)), *worst])
    _common.report(
        "cells-same",
        TITLE,
        ["components", "data sets", "cells with the same 15 neighbours",
         "largest difference of DPT", "of distances"],
        rows,
        "`tl.embed` (`mode=\"aligned\"`) compared with `sc.pp.pca` with the same number of"
        " components, at full depth. Each row shows the worst data set. Neighbours are by"
        " Euclidean distance, and ties do not count. "
        "Diffusion pseudotime with scanpy's defaults, from the first cell.",
        path="cells",
    )  # fmt: skip


def report_labels(found: Found, depths: list[str], n_seeds: int) -> None:
    """Write labels and orders by all methods, and the labels set by set."""
    # aligned is PCA, as the table above shows
    shown = [m for m in found.table.methods() if not m.startswith("aligned, ") or "rows" in m]
    rows = found.table.rows(depths, methods=shown)
    for row in rows:
        each = found.orders.get(row[0], [])
        row.append(f"{np.mean(each):.3f}" if len(each) == len(ORDERS) else "–")
    _common.report(
        "cells-labels",
        TITLE,
        ["method", *(TITLES[d] for d in depths), "known orders"],
        rows,
        "*Depths*: balanced leave-one-out accuracy of labels by the 15 nearest cells (cosine),"
        " mean of the sets. At full depth with 95 % bootstrap intervals over cells. Counts are"
        f" thinned {n_seeds} times, in the sets that hold counts. *Known orders*: Spearman's"
        " rho of"
        " diffusion pseudotime with four orders of three sets. All methods see the same 2,000"
        " variable genes. *Weighted mean*: the mean of gene vectors, weighted by expression,"
        " as in GenePT.",
        path="cells",
    )
    names, rows = found.table.sets("full")
    rows = [row for row in rows if row[0] in shown]
    header = ["full depth", *_common.short(names)]
    note = "The first column above, set by set."
    _common.report("cells-sets", TITLE, header, rows, note, path="cells")


def report_choice(found: Found, depths: list[str]) -> None:
    """Write what the chosen number of components gives beside the best fixed one."""
    rows = []
    for depth in depths:
        fixed = {k: found.table.mean(f"PCA, {k} components", depth) for k in N_COMPS}
        known = {k: one for k, one in fixed.items() if one is not None}
        auto = found.table.mean("aligned (default)", depth)
        if auto is None or not known:
            continue
        best = max(known, key=lambda k: known[k][0])
        numbers = ", ".join(
            f"{n.split('_')[0]} {'/'.join(map(str, ks))}" for n, ks in found.chosen[depth].items()
        )
        text = _common.interval_text(auto, known[best])
        top = f"{known[best][0]:.3f} ({best})"
        rows.append([TITLES[depth], f"{auto[0]:.3f}", top, text, numbers])
    _common.report(
        "cells-choice",
        TITLE,
        ["data", "n_comps=\"auto\"", "best fixed number", "difference", "chosen"],
        rows,
        "Label kNN with the number of components that `n_comps=\"auto\"` chooses without labels, "
        "beside the best single number for all sets, which is known only afterwards.",
        path="cells",
    )  # fmt: skip


def main() -> None:
    """Print the tables; ``--seeds``: how many times counts are thinned."""
    options = _common.options(__doc__, sets=_spaces.SETS, seeds=3)
    found = Found()
    for name in options.sets:
        for depth in DEPTHS:
            found.add(name, depth, options.seeds)
        print(name, {d: per[name] for d, per in found.chosen.items() if name in per}, flush=True)
    depths = [d for d in DEPTHS if found.chosen.get(d)]
    report_same(found)
    report_labels(found, depths, options.seeds)
    report_choice(found, depths)


if __name__ == "__main__":
    _common.quietly(main)
