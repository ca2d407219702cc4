"""The main job on what comes with the package and scanpy: no download."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from newt_sc import _keys

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["run"]

LABELS = "bulk_labels"
N_SEEDS = 5
LEAST, LEAST_GAIN = 0.65, 0.25  # accuracy, and accuracy above always naming the largest class
SHORT = {
    "CD4+/CD25 T Reg": "Treg",
    "CD4+/CD45RA+/CD25- Naive T": "CD4 naive",
    "CD4+/CD45RO+ Memory": "CD4 memory",
    "CD8+ Cytotoxic T": "CD8 cytotoxic",
    "CD8+/CD45RA+ Naive Cytotoxic": "CD8 naive",
    "CD14+ Monocyte": "monocyte",
    "CD19+ B": "B",
    "CD34+": "CD34+",
    "CD56+ NK": "NK",
    "Dendritic": "dendritic",
}


def run(output: Path, *, say: Callable[[str], None]) -> int:
    """Carry cell types between two halves of 700 blood cells that share no gene.

    The result is written as an h5ad and a PNG.

    Parameters
    ----------
    output
        Folder to write ``demo.h5ad`` and ``demo.png`` into; made where it is absent.
    say
        Takes each line that is printed.

    Returns
    -------
    0, or 1 if fewer labels are right than the vectors are known to give.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # the matrices are small, and threads would wait for each other
        return _run(output, say)


def _run(output: Path, say: Callable[[str], None]) -> int:
    import scanpy as sc

    from newt_sc import datasets, tl
    from newt_sc.io._atomic import atomic_path

    output.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata = sc.datasets.pbmc68k_reduced().raw.to_adata()
    adata.obs["cell type"] = adata.obs[LABELS].astype(str).map(SHORT).astype("category")
    sc.pp.pca(adata, n_comps=15)
    vectors = datasets.embedding("newt-human")
    say(
        f"newt-sc demo: {adata.n_obs} blood cells x {adata.n_vars} genes of"
        " scanpy.datasets.pbmc68k_reduced()\n"
    )
    say(
        "Half of the cells keep half of the genes, the other half the other genes: no gene is"
        " shared."
    )
    say(f"Cell types are carried from each half to the other, {N_SEEDS} times.\n")

    ways = ("newt_sc", "shuffled vectors", "largest class", "PCA of all genes")
    scores: dict[str, list[float]] = {way: [] for way in ways}
    pairs: dict[str, list[NDArray[Any]]] = {way: [] for way in ways}
    for seed in range(N_SEEDS):
        rng = np.random.default_rng(seed)
        where, panel = rng.permutation(adata.n_obs) % 2, rng.permutation(adata.n_vars) % 2
        halves = [adata[where == i, panel == i].copy() for i in (0, 1)]
        shuffled = vectors.copy()
        shuffled.X = np.asarray(vectors.X)[rng.permutation(vectors.n_obs)]
        for i in (0, 1):
            query, ref = halves[i], halves[1 - i]
            truth = query.obs["cell type"].to_numpy(dtype=str)
            found = {
                "newt_sc": _labels(tl.map_to_reference, query, ref, vectors),
                "shuffled vectors": _labels(tl.map_to_reference, query, ref, shuffled),
                "largest class": np.full(truth.size, ref.obs["cell type"].value_counts().index[0]),
                "PCA of all genes": _nearest(adata, where, i),
            }
            for way, labels in found.items():
                scores[way].append(float((labels == truth).mean()))
                pairs[way].append(np.stack([truth, labels]))
    mean = {way: float(np.mean(each)) for way, each in scores.items()}
    notes = {
        "newt_sc": "one call of nt.tl.map_to_reference",
        "shuffled vectors": "the same, each gene with another's vector",
        "largest class": "always naming it",
        "PCA of all genes": "a ceiling: here both halves have all genes",
    }
    say(f"{'way':20s} {'accuracy':>8s}")
    for way, value in mean.items():
        say(f"{way:20s} {value:8.3f}   {notes[way]}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        joint = _joint(halves, vectors)
    _draw(joint, pairs, mean, output)
    with atomic_path(output / "demo.h5ad") as path:
        joint.write_h5ad(path)
    say(
        f"\nwrote {output / 'demo.png'}\nwrote {output / 'demo.h5ad'} (both halves in one space:"
        " obsm['X_newt'])"
    )
    if mean["newt_sc"] < LEAST or mean["newt_sc"] < mean["largest class"] + LEAST_GAIN:
        say(
            f"FAILED: accuracy {mean['newt_sc']:.3f} is below {LEAST}, or less than {LEAST_GAIN}"
            " above the largest class."
        )
        return 1
    return 0


def _labels(
    call: Callable[..., Any], query: AnnData, ref: AnnData, embedding: AnnData
) -> NDArray[Any]:
    """Cell types of a query by a reference on other genes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of types left out
        done = call(
            query,
            ref,
            label="cell type",
            embedding=embedding,
            mask_var=None,
            min_confidence=0,
            copy=True,
        )
    labels: NDArray[Any] = done.obs[f"{_keys.MAPPING}_label"].to_numpy(dtype=str)
    return labels


def _nearest(adata: AnnData, where: NDArray[Any], i: int) -> NDArray[Any]:
    """Cell types of one half by the other in a PCA of all cells and genes."""
    from sklearn.neighbors import KNeighborsClassifier

    X, labels = np.asarray(adata.obsm["X_pca"]), adata.obs["cell type"].to_numpy(dtype=str)
    found: NDArray[Any] = (
        KNeighborsClassifier(15, metric="cosine")
        .fit(X[where != i], labels[where != i])
        .predict(X[where == i])
    )
    return found


def _joint(halves: list[AnnData], embedding: AnnData) -> AnnData:
    """Put both halves into one space, the first turned onto the second, and into a plane."""
    import anndata as ad
    from sklearn.manifold import TSNE

    from newt_sc import metrics
    from newt_sc.tl._map_to_reference import sides_in_one_space

    *_, placed, _ = sides_in_one_space(
        halves[0], halves[1], label=None, pseudotime=None, via="rotated", types="all",
        embedding=embedding, modalities=None, layer=None, orthologs=None, random_state=0,
        mask_var=None,
    )  # fmt: skip
    joint = ad.concat(
        halves, keys=["genes A", "genes B"], label="half", join="outer", index_unique="-"
    )
    out = ad.AnnData(obs=joint.obs[["half", "cell type"]].astype("category"))
    Z = np.vstack([placed.query, placed.ref])
    out.obsm[_keys.X_EMBED] = Z.astype(np.float32)
    # UMAP would compile for longer than all the rest takes.
    out.obsm["X_tsne"] = TSNE(metric="cosine", init="random", random_state=0).fit_transform(Z)
    out.uns["mixing"] = float(metrics.neighbor_mixing(Z, out.obs["half"]))
    return out


COLORS = {
    "dendritic": "#4477AA", "monocyte": "#EE6677", "B": "#228833", "CD34+": "#AA3377",
    "NK": "#CCBB44", "CD8 cytotoxic": "#EE8866", "CD8 naive": "#66CCEE", "CD4 naive": "#000000",
    "CD4 memory": "#BBBBBB", "Treg": "#8877CC",
}  # fmt: skip


def _draw(
    joint: AnnData, pairs: dict[str, list[NDArray[Any]]], mean: dict[str, float], output: Path
) -> None:
    """Draw both halves in one map, and which types are taken for which.

    The latter is drawn for real and for shuffled vectors.
    """
    import matplotlib.pyplot as plt
    from sklearn.metrics import confusion_matrix

    from newt_sc.io._atomic import atomic_path

    figure, grid = plt.subplots(
        2, 2, figsize=(9.6, 9.2), layout="constrained", height_ratios=(1, 1.05)
    )
    (left, right), tables = grid
    xy, order = joint.obsm["X_tsne"], np.random.default_rng(0).permutation(joint.n_obs)
    looks = (
        (left, "half", {"genes A": "#4477AA", "genes B": "#EE8866"}),
        (right, "cell type", COLORS),
    )
    for ax, column, colors in looks:
        values = joint.obs[column].astype(str).to_numpy()
        ax.scatter(*xy[order].T, c=[colors[value] for value in values[order]], s=14, linewidths=0)
        handles = [
            ax.scatter([], [], c=color, s=28, label=f"{name} ({(values == name).sum()})")
            for name, color in colors.items()
            if (values == name).any()
        ]
        ax.legend(
            handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=4, frameon=False,
            fontsize=8, handletextpad=0.1, columnspacing=0.8,
        )  # fmt: skip
        ax.set(xticks=[], yticks=[])
    left.set_title(
        f"Two halves that share no gene, in one space\n{joint.uns['mixing']:.0%} of neighbours are"
        " of the other half (ideal: 50%)",
        fontsize=10,
        loc="left",
    )
    right.set_title("The same map, by cell type", fontsize=10, loc="left")
    names = [name for name in COLORS if name in set(joint.obs["cell type"])]
    for ax, way in zip(tables, ("newt_sc", "shuffled vectors"), strict=True):
        truth, found = np.concatenate(pairs[way], axis=1)
        table = confusion_matrix(truth, found, labels=names, normalize="true")
        ax.imshow(table, cmap="Blues", vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(table):
            if value >= 0.1:
                ink = "white" if value > 0.55 else "#222222"
                ax.text(
                    column,
                    row,
                    f"{100 * value:.0f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=ink,
                )
        ax.set_xticks(
            range(len(names)), names, rotation=50, ha="right", fontsize=8, rotation_mode="anchor"
        )
        ax.set_yticks(range(len(names)), names, fontsize=8)
        ax.set_title(
            f"Types carried across by {way}: {mean[way]:.0%} right", fontsize=10, loc="left"
        )
        ax.set_xlabel("called, % of the true type", fontsize=9)
        ax.set_ylabel("true type", fontsize=9)
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0)
    try:
        with atomic_path(output / "demo.png") as path:
            figure.savefig(path, dpi=160)
    finally:
        plt.close(figure)
