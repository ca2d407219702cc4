"""Disease genes from gene embeddings (OMIM terms, protocol of Zhong et al. 2025).

``python -m benchmarks.genes`` prints nested cross-validation over the given folds. ``FINAL=1`` scores the hold-out too
and appends date, commit and score to ``benchmarks/holdout_log.tsv``: choices are never made on it.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import numpy as np
import pandas as pd

import newt_sc as nt
from benchmarks import _common

N_DIMS = 256


def labels_of(genes: pd.Index) -> pd.DataFrame:
    """Labels on the genes common to the published embeddings, with rows of ``genes`` (-1: not there)."""
    folder = _common.data_dir() / "benchmarks"
    labels = pd.read_csv(folder / "omim_disease_genes.tsv.gz", sep="\t", dtype={"entrez": str})
    common = pd.read_csv(folder / "common_genes.tsv.gz", sep="\t", dtype=str)["entrez"]
    labels = labels[labels["entrez"].isin(common)].reset_index(drop=True)
    found = nt.genes.align(pd.Index(labels["entrez"].unique()), genes, organism="human")
    row = pd.Series(found.index, index=labels["entrez"].unique())
    return labels.assign(row=labels["entrez"].map(row))


def embeddings() -> dict[str, tuple[pd.Index, np.ndarray]]:
    """What is compared: name -> genes and vectors."""
    shipped = nt.datasets.embedding("newt-human")
    out = {"newt-human (shipped)": (shipped.obs_names, np.asarray(shipped.X))}
    for name in shipped.uns["newt"]["modalities"]:
        out[f"  {name} alone"] = (shipped.obs_names, np.asarray(shipped.obsm[name]))
    for name in shipped.uns["newt"]["modalities"]:
        rest = [other for other in shipped.uns["newt"]["modalities"] if other != name]
        fused = nt.tl.fuse(shipped, modalities=rest, n_comps=N_DIMS)
        out[f"  without {name}"] = (fused.obs_names, np.asarray(fused.X))
    everything = nt.datasets.bundle("newt-human")
    nt.pp.encode(everything)
    fused = nt.tl.fuse(everything, n_comps=N_DIMS)
    out["same recipe, all sources (not shipped)"] = (fused.obs_names, np.asarray(fused.X))
    rng = np.random.default_rng(0)
    shuffled = np.asarray(shipped.X)[rng.permutation(shipped.n_obs)]
    out["shuffled gene rows"] = (shipped.obs_names, shuffled)
    out["random vectors"] = (shipped.obs_names, rng.standard_normal((shipped.n_obs, N_DIMS)))
    count = np.column_stack([np.isfinite(shipped.obsm[m]).all(axis=1) for m in shipped.uns["newt"]["modalities"]])
    out["number of modalities that know the gene"] = (shipped.obs_names, count.sum(axis=1, keepdims=True).astype(float))
    return out


def fusions() -> dict[str, tuple[pd.Index, np.ndarray]]:
    """Other ways of fusing the shipped blocks: weights, exponent of the spectrum, dimensions."""
    shipped = nt.datasets.embedding("newt-human")
    blocks = [np.nan_to_num(shipped.obsm[name]) for name in shipped.uns["newt"]["modalities"]]
    ways: dict[str, dict[str, Any]] = {
        "as shipped": {},
        "equal weights": {"weights": {}},
        "weights 0.5": {"weights": {"lineage": 0.5, "regulon": 0.5, "interaction": 0.5}},
        "power 1": {"power": 1.0},
        "power 0": {"power": 0.0},
        "128 dimensions": {"n_comps": 128},
        "512 dimensions": {"n_comps": 512},
    }
    out = {name: nt.tl.fuse(shipped, **{"n_comps": N_DIMS, **way}) for name, way in ways.items()}
    return {name: (fused.obs_names, np.asarray(fused.X)) for name, fused in out.items()} | {
        "blocks side by side": (shipped.obs_names, np.hstack(blocks))
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="names that contain this text")
    parser.add_argument("--fusions", action="store_true", help="other ways of fusing the blocks; never the hold-out")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    final = os.environ.get("FINAL") == "1" and not options.fusions
    rows = []
    for name, (genes, vectors) in (fusions() if options.fusions else embeddings()).items():
        if options.only and options.only not in name:
            continue
        labels = labels_of(genes)
        full = np.vstack([vectors, np.full((1, vectors.shape[1]), np.nan)])  # row -1: genes without a vector
        labels["row"] = labels["row"].where(labels["row"] >= 0, len(vectors))
        started = time.perf_counter()
        score = nt.metrics.term_auroc(full, labels, n_jobs=options.jobs)
        seconds = time.perf_counter() - started
        known = np.isfinite(full).all(axis=1)[labels["row"]]
        row = {
            "embedding": name,
            "genes scored with a vector": f"{pd.Series(known).groupby(labels['entrez']).first().mean():.1%}",
            "AUROC (CV)": _common.mean_interval(score.to_numpy()),
            "seconds": f"{seconds:.0f}",
        }
        if final:
            held = nt.metrics.term_auroc(full, labels, holdout=True, n_jobs=options.jobs)
            row["AUROC (hold-out)"] = _common.mean_interval(held.to_numpy())
            _common.log_holdout("omim", name.strip(), float(held.mean()))
        rows.append(row)
        print("; ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if options.only or options.fusions:  # not the table of the docs
        print(_common.markdown_table(list(rows[0]), [list(row.values()) for row in rows]))
        return
    _common.report(
        "genes",
        "Disease genes (103 OMIM terms)",
        list(rows[0]),
        [list(row.values()) for row in rows],
        "Mean over terms; interval: 95 % bootstrap over terms. Genes without a vector count as the mean gene. "
        "Published, hold-out: best text embedding .877, best network embedding .782 (Zhong et al. 2025).",
    )


if __name__ == "__main__":
    main()
