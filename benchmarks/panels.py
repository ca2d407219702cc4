"""Labels carried between cells measured on disjoint gene panels, where PCA has nothing in common to work on.

``python -m benchmarks.panels`` splits cells and highly variable genes of each set in two at random. One half of the
cells is projected by one half of the genes, the other by the other, each centred on itself; labels of each half are
predicted by the 15 nearest cells (cosine) of the other. Nothing is tuned on these scores.
"""

from __future__ import annotations

import argparse
import warnings
from typing import TYPE_CHECKING

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

import newt_sc as nt
from benchmarks import _common, cells
from newt_sc.errors import NewtWarning

if TYPE_CHECKING:
    import anndata as ad

N_NEIGHBORS = 15


def transfer(adata: ad.AnnData, labels: np.ndarray, embedding: ad.AnnData, seed: int) -> np.ndarray:
    """Whether each cell's label is told by cells of the other panel."""
    rng = np.random.default_rng(seed)
    genes = rng.permutation(np.flatnonzero(adata.var["highly_variable"]))
    side = rng.permutation(adata.n_obs) % 2
    space = []
    for i in (0, 1):
        mask = np.zeros(adata.n_vars, dtype=bool)
        mask[genes[i::2]] = True
        part = adata[side == i].copy()
        nt.tl.embed(part, embedding=embedding, mode="project", mask_var=mask)
        space.append(part.obsm["X_newt"])
    right = np.empty(adata.n_obs)
    for i in (0, 1):
        k = min(N_NEIGHBORS, int((side == 1 - i).sum()))
        model = KNeighborsClassifier(k, metric="cosine").fit(space[1 - i], labels[side == 1 - i])
        right[side == i] = model.predict(space[i]) == labels[side == i]
    return right


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=list(cells.SETS))
    options = parser.parse_args()
    shipped = nt.datasets.embedding("newt-human")
    ways = {kind: cells.control(shipped, kind) for kind in cells.VECTORS}
    estimates: dict[str, list[float]] = {kind: [] for kind in ways}
    draws: dict[str, list[np.ndarray]] = {kind: [] for kind in ways}
    chance: list[float] = []
    used: list[str] = []
    for name in options.sets:
        raw, facts = _common.load_cells(name)
        adata = _common.preprocess(raw, facts)
        labels = adata.obs[facts.label].astype(str)
        sizes = labels.map(labels.value_counts())
        adata = adata[((sizes >= 2 * N_NEIGHBORS) & (labels != "NA")).to_numpy()].copy()
        labels = adata.obs[facts.label].astype(str).to_numpy()
        if len(set(labels)) < 2:
            print(f"{name} has fewer than two classes of {2 * N_NEIGHBORS} cells and is left out", flush=True)
            continue
        used.append(name)
        chance.append(1 / len(set(labels)))
        for kind, embedding in ways.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NewtWarning)
                right = np.mean([transfer(adata, labels, embedding, seed) for seed in range(options.seeds)], axis=0)
            found = nt.metrics.bootstrap_interval(right, groups=labels, random_state=0)
            estimates[kind].append(found.estimate)
            draws[kind].append(found.replicates)
        print(name, {kind: round(values[-1], 3) for kind, values in estimates.items()}, flush=True)
    rows = []
    for kind in ways:
        each = [f"{value:.3f}" for value in estimates[kind]]
        rows.append([kind, *each, _common.interval_text(np.mean(estimates[kind]), np.mean(draws[kind], axis=0))])
    for kind in cells.VECTORS[1:]:
        pairs = [a - b for a, b in zip(estimates["newt"], estimates[kind], strict=True)]
        difference = np.mean(draws["newt"], axis=0) - np.mean(draws[kind], axis=0)
        text = _common.interval_text(np.mean(pairs), difference, sign=True)
        rows.append([f"newt minus {kind}", *(f"{value:+.3f}" for value in pairs), text])
    rows.append(["chance", *(f"{value:.3f}" for value in chance), f"{np.mean(chance):.3f}"])
    _common.report(
        "panels",
        "Labels between disjoint gene panels",
        ["vectors", *used, "mean (95 % interval over cells)"],
        rows,
        f"Balanced accuracy of labels predicted from the {N_NEIGHBORS} nearest cells, which were measured on other "
        f"genes; sets with two classes of {2 * N_NEIGHBORS} cells or more, these classes only; mean over "
        f"{options.seeds} random splits of cells and genes.",
    )


if __name__ == "__main__":
    main()
