"""The main job on what comes with the package and scanpy: no download."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.figure import Figure

__all__ = ["run"]

LABELS = "bulk_labels"
MIN_CELLS = 30
ALPHA, BETA = 0.2, 0.15  # with the defaults, 0, blend would be PCA
N_SHUFFLES = 5


def run(output: Path, *, say: Callable[[str], None]) -> int:
    """Embed 700 blood cells, compare with PCA and with shuffled genes, write an h5ad and a PNG.

    Parameters
    ----------
    output
        Folder to write ``demo.h5ad`` and ``demo.png`` into; made where it is absent.
    say
        Takes each line that is printed.

    Returns
    -------
    0, or 1 if the projection is not above its control: the mean of gene embeddings with shuffled rows.
    """
    import matplotlib.pyplot as plt
    import scanpy as sc

    from newt_sc import datasets, metrics, pl, tl
    from newt_sc.io._atomic import atomic_path

    output.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata = sc.datasets.pbmc68k_reduced().raw.to_adata()
    labels = adata.obs[LABELS].astype(str)
    sizes = labels.map(labels.value_counts())
    kept = (sizes >= MIN_CELLS).to_numpy()

    def measure(key: str) -> tuple[float, float]:
        """Label kNN and alignment (NaN for PCA) of a representation."""
        accuracy = metrics.label_knn(np.asarray(adata.obsm[key])[kept], labels[kept].to_numpy())
        return float(accuracy), float(adata.uns[key]["alignment"]) if key in adata.uns else np.nan

    say(f"newt-sc demo: {adata.n_obs} blood cells x {adata.n_vars} genes of scanpy.datasets.pbmc68k_reduced()\n")
    embedding = datasets.embedding("newt-human")
    shuffled = [_shuffle(embedding, seed) for seed in range(N_SHUFFLES)]
    tl.embed(adata, mode="project", mask_var=None, copy=True)  # compiles, so that the times below are of work alone

    started = time.perf_counter()
    sc.pp.pca(adata, n_comps=50)
    seconds = {"PCA": time.perf_counter() - started}
    scores = {"PCA": measure("X_pca")}
    modes: tuple[Literal["blend"], Literal["project"]] = ("blend", "project")
    for mode in modes:
        key = f"newt_{mode}"
        controls = []
        for control in shuffled:
            tl.embed(adata, embedding=control, mode=mode, mask_var=None, key_added=key, alpha=ALPHA, beta=BETA)
            controls.append(measure(key))
        started = time.perf_counter()
        tl.embed(adata, embedding=embedding, mode=mode, mask_var=None, key_added=key, alpha=ALPHA, beta=BETA)
        seconds[mode] = time.perf_counter() - started
        scores[mode] = measure(key)
        accuracy, alignment = np.mean(controls, axis=0).tolist()
        scores[f"{mode}, genes shuffled"] = accuracy, alignment
    report = adata.uns["newt_blend"]["genes"]
    matched, total = report["n_matched"], report["n_genes"]
    say(f"{matched} of {total} genes have a vector; {total - matched} have none\n")
    say(f"{'space':26s} {'label kNN':>9s} {'alignment':>10s} {'seconds':>8s}")
    for name, (accuracy, alignment) in scores.items():
        aligned = "" if np.isnan(alignment) else f"{alignment:.2f}"
        spent = f"{seconds[name]:.2f}" if name in seconds else ""
        say(f"{name:26s} {accuracy:9.3f} {aligned:>10s} {spent:>8s}".rstrip())
    say(
        f"\nLabel kNN: balanced accuracy of {LABELS!r} from 15 nearest cells; {kept.sum()} cells, in classes\n"
        f"of at least {MIN_CELLS}. Alignment: variance of the projection over that of shuffled genes; 1 if the\n"
        f"embedding knows nothing of how these genes vary together. Controls are means of {N_SHUFFLES} shuffles.\n"
        f"blend: alpha={ALPHA}, beta={BETA}; by default both are 0, and blend is PCA.\n"
        "This shows use, not merit: it is one small set, its labels come from expression too, and within\n"
        "one set they hardly tell real vectors from shuffled ones. `make bench-cells` is the comparison."
    )

    tl.embed(adata, embedding=embedding, mask_var=None, alpha=ALPHA, beta=BETA)
    spaces = {"PCA": "X_pca", "blend": "newt_blend", "project": "newt_project"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of umap and numba, on threads and seeds
        for name, key in spaces.items():
            sc.pp.neighbors(adata, use_rep=key, key_added=f"neighbors_{name}")
            sc.tl.umap(adata, neighbors_key=f"neighbors_{name}", key_added=f"X_umap_{name}")
    figure = pl.maps(
        adata,
        basis=[f"X_umap_{name}" for name in spaces],
        color=LABELS,
        titles=[f"{'' if name == 'PCA' else 'newt '}{name}, kNN {scores[name][0]:.2f}" for name in spaces],
        show=False,
        return_fig=True,
    )
    try:
        with atomic_path(output / "demo.png") as path:
            cast("Figure", figure).savefig(path, dpi=200)
    finally:
        plt.close(cast("Figure", figure))
    for mode in modes:
        for slot in (adata.obsm, adata.varm, adata.uns):
            del slot[f"newt_{mode}"]
    with atomic_path(output / "demo.h5ad") as path:
        adata.write_h5ad(path)
    say(f"\nwrote {output / 'demo.h5ad'} (blend: X_newt in obsm and varm)\nwrote {output / 'demo.png'}")
    if scores["project"][0] <= scores["project, genes shuffled"][0]:
        say("FAILED: the projection is not above its shuffled control.")
        return 1
    return 0


def _shuffle(embedding: AnnData, seed: int) -> AnnData:
    """Give every gene the vector of another."""
    out = embedding.copy()
    out.X = np.asarray(embedding.X)[np.random.default_rng(seed).permutation(embedding.n_obs)]
    return out
