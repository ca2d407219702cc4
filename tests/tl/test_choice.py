"""``n_comps="auto"`` where there are many types: planted ones, clusters of one set, the sets of one
species.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

import newt_sc as nt
from newt_sc.tl._components import N_COMPS

MARGIN = 0.015


def loss(adata: ad.AnnData, labels: np.ndarray) -> float:
    """Label kNN that the chosen number loses against the best of those tried."""
    nt.tl.embed(adata)
    chosen = adata.uns["newt"]["choice"]
    assert chosen["by"] == "held-out genes"
    sc.pp.pca(adata, n_comps=max(N_COMPS))
    X = adata.obsm["X_pca"]
    found = {k: nt.metrics.label_knn(X[:, :k], labels, min_class_size=9) for k in N_COMPS}
    return max(found.values()) - found[chosen["n_comps"]]


@pytest.mark.parametrize("uneven", [False, True], ids=["equal", "uneven"])
def test_sixty_planted_types(uneven: bool) -> None:
    rng = np.random.default_rng(0)
    n_genes, n_types = 900, 60
    share = rng.dirichlet(np.full(n_types, 6.0)) if uneven else np.full(n_types, 1 / n_types)
    types = np.sort(rng.choice(n_types, 2400 if uneven else 1800, p=share))
    base = rng.gamma(0.6, size=n_genes)
    change = np.where(
        rng.random((n_types, n_genes)) < 0.04, rng.normal(0, 1.5, (n_types, n_genes)), 0.0
    )
    rate = base * np.exp(change)
    counts = rng.poisson(4000 * (rate / rate.sum(axis=1, keepdims=True))[types])
    adata = ad.AnnData(
        sparse.csr_matrix(counts.astype(np.float32)),
        var=pd.DataFrame(index=nt.datasets.embedding("newt-human").obs_names[:n_genes]),
    )
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    adata.var["highly_variable"] = True
    assert loss(adata, types.astype(str)) <= MARGIN
    assert adata.uns["newt"]["choice"]["n_comps"] == 50  # few would merge types


def read(path: Path, *, log2: bool = False, counts: bool = True) -> ad.AnnData:
    adata = ad.read_h5ad(path)
    adata.X = sparse.csr_matrix(adata.X)
    if counts:
        sc.pp.normalize_total(adata, target_sum=1e4)
    if log2:
        adata.X = adata.X * np.float32(np.log(2))
    else:
        sc.pp.log1p(adata)
    return adata


def test_eighteen_clusters(data_file: Callable[[str], Path]) -> None:
    adata = read(data_file("cells/paul_myeloid_mouse.h5ad"))
    sc.pp.highly_variable_genes(adata, n_top_genes=2000)
    assert loss(adata, adata.obs["cluster"].astype(str).to_numpy()) <= MARGIN


POOLS = {
    "human": {
        "pbmc3k_human": "cell_type",
        "ipsc_cm_human": "day",
        "pollen2014_human": "cell_type",
        "yan_embryo_human": "stage",
    },
    "mouse": {
        "paul_myeloid_mouse": "cell_type",
        "cytosimplex_bm_mouse": "cell_type",
        "goolam_embryo_mouse": "stage",
        "ginhoux_dc_mouse": "cell_type",
    },
}


@pytest.mark.parametrize("species", list(POOLS))
@pytest.mark.filterwarnings("ignore:.*unique:UserWarning", "ignore:.*have a vector")
@pytest.mark.filterwarnings("ignore:.*taken as missing", "ignore:.*previous symbol")
def test_sets_of_one_species_together(data_file: Callable[[str], Path], species: str) -> None:
    parts = []
    for name, column in POOLS[species].items():
        one = read(
            data_file(f"cells/{name}.h5ad"),
            log2=name == "ginhoux_dc_mouse",
            counts=name not in ("ginhoux_dc_mouse", "yan_embryo_human"),
        )
        one.var_names_make_unique()
        label = one.obs[column].astype(object).fillna("NA").astype(str)
        obs = pd.DataFrame(
            {"label": np.where(label == "NA", "NA", name + label)},
            index=[f"{name}-{i}" for i in range(one.n_obs)],
        )
        parts.append(ad.AnnData(one.X, obs=obs, var=pd.DataFrame(index=one.var_names)))
    pool = ad.concat(parts, join="inner")
    if pool.n_vars > 2000:
        sc.pp.highly_variable_genes(pool, n_top_genes=2000)
    else:
        pool.var["highly_variable"] = True
    assert loss(pool, pool.obs["label"].to_numpy()) <= MARGIN
