"""The main job on what comes with the package and scanpy: no download."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["run"]

LABELS = "bulk_labels"
MIN_CELLS = 30


def run(output: Path, *, say: Callable[[str], None]) -> int:
    """Embed 700 blood cells, compare with PCA and with shuffled genes, write an h5ad and a PNG.

    Parameters
    ----------
    output
        Folder to write ``demo.h5ad`` and ``demo.png`` into.
    say
        Takes each line that is printed.

    Returns
    -------
    0, or 1 if the projection is not above its shuffled control.
    """
    import matplotlib as mpl
    import scanpy as sc

    from newt_sc import datasets, metrics, pl, tl
    from newt_sc.io._atomic import atomic_path

    mpl.use("Agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata = sc.datasets.pbmc68k_reduced().raw.to_adata()
    adata.var["used"] = True
    embedding = datasets.embedding("newt-human")
    shuffled = embedding.copy()
    order = np.random.default_rng(0).permutation(embedding.n_obs)
    shuffled.X = np.asarray(embedding.X)[order]

    seconds: dict[str, float] = {}
    call: dict[str, Any] = {"mask_var": "used"}
    started = time.perf_counter()
    sc.pp.pca(adata, n_comps=50, mask_var="used")
    seconds["PCA"] = time.perf_counter() - started
    tl.embed(adata[:50].copy(), n_comps=10, **call)  # compiles, so that the times below are of work alone
    for name, mode, genes in (
        ("blend", "blend", embedding),
        ("project", "project", embedding),
        ("blend, shuffled genes", "blend", shuffled),
        ("project, shuffled genes", "project", shuffled),
    ):
        started = time.perf_counter()
        tl.embed(adata, embedding=genes, mode=mode, key_added=_key(name), **call)
        seconds[name] = time.perf_counter() - started
    tl.embed(adata, **call)

    labels = adata.obs[LABELS].astype(str)
    kept = labels.isin(labels.value_counts().loc[lambda n: n >= MIN_CELLS].index).to_numpy()
    spaces = {"PCA": "X_pca"} | {name: _key(name) for name in seconds if name != "PCA"}
    scores = {
        name: float(metrics.label_knn(np.asarray(adata.obsm[key])[kept], labels[kept].to_numpy()))
        for name, key in spaces.items()
    }
    report = adata.uns["newt"]["genes"]
    say("newt-sc demo: 700 blood cells of scanpy.datasets.pbmc68k_reduced()")
    say(f"genes mapped: {report['n_matched']} of {report['n_genes']} ({adata.n_vars - report['n_matched']} unknown)")
    say(f"\n{'space':26s} {'label kNN':>9s} {'seconds':>8s}")
    for name in spaces:
        say(f"{name:26s} {scores[name]:9.3f} {seconds[name]:8.2f}")
    say(
        f"\nLabel kNN: balanced accuracy of {LABELS} from 15 nearest cells, classes of {MIN_CELLS} cells and more\n"
        f"({kept.sum()} cells). This shows use, not merit: one small set, whose labels come from expression too.\n"
        "`make bench-cells` is the comparison."
    )
    for name, key in {"PCA": "X_pca", "blend": _key("blend"), "project": _key("project")}.items():
        sc.pp.neighbors(adata, use_rep=key, key_added=f"neighbors_{name}")
        sc.tl.umap(adata, neighbors_key=f"neighbors_{name}", key_added=f"X_umap_{name}")
    output.mkdir(parents=True, exist_ok=True)
    figure = pl.maps(
        adata,
        basis=["X_umap_PCA", "X_umap_blend", "X_umap_project"],
        color=LABELS,
        titles=[f"{name}  (kNN {scores[key]:.2f})" for name, key in
                (("PCA", "PCA"), ("newt blend", "blend"), ("newt project", "project"))],
        show=False,
        return_fig=True,
    )
    with atomic_path(output / "demo.png") as path:
        figure.savefig(path, dpi=150, bbox_inches="tight")
    for name in ("blend, shuffled genes", "project, shuffled genes", "blend", "project"):
        del adata.obsm[_key(name)], adata.varm[_key(name)], adata.uns[_key(name)]
    with atomic_path(output / "demo.h5ad") as path:
        adata.write_h5ad(path)
    say(f"\nwritten: {output / 'demo.h5ad'} (X_newt in obsm and varm), {output / 'demo.png'}")
    if scores["project"] <= scores["project, shuffled genes"]:
        say("FAILED: the projection is not above its shuffled control.")
        return 1
    return 0


def _key(name: str) -> str:
    return "demo_" + name.replace(", ", "_").replace(" ", "_")
