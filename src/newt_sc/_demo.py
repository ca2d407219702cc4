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
NOTES = {
    "newt_sc": "one call of nt.tl.map_to_reference",
    "shuffled vectors": "the same, each gene with another's vector",
    "largest class": "always naming it",
    "PCA of all genes": "a ceiling: here both halves have all genes",
}
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
    from newt_sc import datasets
    from newt_sc.io._atomic import atomic_path

    output.mkdir(parents=True, exist_ok=True)
    adata, vectors = _cells(), datasets.embedding("newt-human")
    say(
        f"newt-sc demo: {adata.n_obs} blood cells x {adata.n_vars} genes of"
        " scanpy.datasets.pbmc68k_reduced()\n"
    )
    say(
        "Half of the cells keep half of the genes, the other half the other genes: no gene is"
        " shared."
    )
    say(f"Cell types are carried from each half to the other, {N_SEEDS} times.\n")
    pairs: dict[str, list[NDArray[Any]]] = {way: [] for way in NOTES}
    for seed in range(N_SEEDS):
        halves, where, shuffled = _split(adata, vectors, seed)
        for i in (0, 1):
            query, ref = halves[i], halves[1 - i]
            truth = query.obs["cell type"].to_numpy(dtype=str)
            found = (
                _labels(query, ref, vectors),
                _labels(query, ref, shuffled),
                np.full(truth.size, ref.obs["cell type"].value_counts().index[0]),
                _nearest(adata, where, i),
            )
            for way, labels in zip(NOTES, found, strict=True):
                pairs[way].append(np.stack([truth, labels]))
    mean = {
        way: float(np.mean([(truth == labels).mean() for truth, labels in each]))
        for way, each in pairs.items()
    }
    say(f"{'way':20s} {'accuracy':>8s}")
    for way, value in mean.items():
        say(f"{way:20s} {value:8.3f}   {NOTES[way]}")

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


def _cells() -> AnnData:
    """Blood cells that scanpy brings, with short names of types and a PCA of all."""
    import scanpy as sc

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata = sc.datasets.pbmc68k_reduced().raw.to_adata()
    adata.obs["cell type"] = adata.obs[LABELS].astype(str).map(SHORT).astype("category")
    sc.pp.pca(adata, n_comps=15)
    return adata


def _split(
    adata: AnnData, vectors: AnnData, seed: int
) -> tuple[list[AnnData], NDArray[Any], AnnData]:
    """Halves that share no cell and no gene, the half of each cell, and shuffled vectors."""
    rng = np.random.default_rng(seed)
    where, panel = rng.permutation(adata.n_obs) % 2, rng.permutation(adata.n_vars) % 2
    shuffled = vectors.copy()
    shuffled.X = np.asarray(vectors.X)[rng.permutation(vectors.n_obs)]
    return [adata[where == i, panel == i].copy() for i in (0, 1)], where, shuffled


def _labels(query: AnnData, ref: AnnData, embedding: AnnData) -> NDArray[Any]:
    """Cell types of a query by a reference on other genes."""
    from newt_sc import tl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of types left out
        done: Any = tl.map_to_reference(
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


def _draw(
    joint: AnnData, pairs: dict[str, list[NDArray[Any]]], mean: dict[str, float], output: Path
) -> None:
    """Draw both halves in one map, and which types are taken for which.

    The latter is drawn for real and for shuffled vectors.
    """
    import matplotlib.pyplot as plt
    import scanpy as sc
    from sklearn.metrics import ConfusionMatrixDisplay

    from newt_sc.io._atomic import atomic_path
    from newt_sc.pl._style import palette

    # in a random order, so that no half lies over the other
    mixed = joint[np.random.default_rng(0).permutation(joint.n_obs)].copy()
    figure, grid = plt.subplots(2, 2, figsize=(10.4, 8.4), layout="constrained")
    titles = {
        "half": (
            "Two halves that share no gene, in one space\n"
            f"{joint.uns['mixing']:.0%} of neighbours are of the other half (ideal: 50%)"
        ),
        "cell type": "The same map, by cell type",
    }
    for ax, (color, title) in zip(grid[0], titles.items(), strict=True):
        sc.pl.embedding(
            mixed, "tsne", color=color, title="", size=56, ax=ax, show=False, frameon=False,
            palette=palette(joint.obs[color].nunique()), legend_fontsize=8,
        )  # fmt: skip
        ax.set_title(title, fontsize=10, loc="left")
    for ax, way in zip(grid[1], ("newt_sc", "shuffled vectors"), strict=True):
        truth, found = np.concatenate(pairs[way], axis=1)
        table = ConfusionMatrixDisplay.from_predictions(
            truth, found, labels=sorted(set(truth)), normalize="true", ax=ax, cmap="Blues",
            colorbar=False, xticks_rotation=50, values_format=".0%", text_kw={"fontsize": 7},
            im_kw={"vmin": 0, "vmax": 1},
        )  # fmt: skip
        for text, value in zip(table.text_.ravel(), table.confusion_matrix.ravel(), strict=True):
            text.set(visible=value >= 0.1, color="white" if value > 0.55 else "#222222")
        plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
        ax.set_title(
            f"Types carried across by {way}: {mean[way]:.0%} right", fontsize=10, loc="left"
        )
        ax.set(xlabel="called", ylabel="true type")
    try:
        with atomic_path(output / "demo.png") as path:
            figure.savefig(path, dpi=160)
    finally:
        plt.close(figure)
