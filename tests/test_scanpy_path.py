"""The whole path that a user of scanpy walks, with cells enough for approximate neighbours.

From 8,192 cells on scanpy finds neighbours by pynndescent, which most of the time here goes into:
numba compiles it."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from scipy import sparse
from sklearn.metrics import adjusted_rand_score

import newt_sc as nt

N_CELLS, N_GENES, N_TYPES, N_MARKERS = 10_000, 300, 20, 12


def planted(random_state: int = 0) -> ad.AnnData:
    """Counts of types in a row, each with markers of its own; one cell in ten is on its way to the
    next type.

    Without these, PAGA of igraph's graph fails: no edge leads from one cluster to another.
    """
    rng = np.random.default_rng(random_state)
    names = np.sort(
        rng.choice(nt.datasets.embedding().obs_names.to_numpy(), N_GENES, replace=False)
    )
    rate = np.tile(rng.gamma(0.5, 0.4, N_GENES), (N_TYPES, 1))
    for kind in range(N_TYPES):
        rate[kind, kind * N_MARKERS : (kind + 1) * N_MARKERS] += 3
    kind = rng.integers(N_TYPES, size=N_CELLS)
    way = np.where(rng.random(N_CELLS) < 0.1, rng.uniform(0, 0.5, N_CELLS), 0)[:, None]
    mean = (1 - way) * rate[kind] + way * rate[np.minimum(kind + 1, N_TYPES - 1)]
    adata = ad.AnnData(sparse.csr_matrix(rng.poisson(mean).astype(np.float32)))
    adata.var_names = names
    adata.obs_names = [f"cell{i}" for i in range(N_CELLS)]
    adata.obs["type"] = kind
    return adata


@pytest.mark.slow
def test_from_counts_to_clusters_and_trajectories() -> None:
    adata = planted()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=200)
    nt.tl.embed(adata)
    with pytest.MonkeyPatch.context() as patch:
        # The index for queries that come later: none comes, and to compile it takes half of the
        # time.
        patch.setattr("pynndescent.NNDescent.compress_index", lambda _: None)
        sc.pp.neighbors(adata, use_rep="X_newt")
    sc.tl.leiden(adata, flavor="igraph", n_iterations=2, directed=False)
    sc.tl.diffmap(adata)
    adata.uns["iroot"] = int(np.flatnonzero(adata.obs["type"] == 0)[0])
    sc.tl.dpt(adata)
    sc.tl.paga(adata, groups="leiden")

    assert sparse.issparse(adata.X)
    assert adata.obsp["distances"].getnnz(axis=1).max() < 20  # of neighbours, as asked for
    assert adjusted_rand_score(adata.obs["type"], adata.obs["leiden"]) > 0.9
    assert np.isfinite(adata.obsm["X_diffmap"]).all()
    assert (
        adata.obs["dpt_pseudotime"].min()
        == adata.obs["dpt_pseudotime"].iloc[adata.uns["iroot"]]
        == 0
    )
    assert adata.uns["paga"]["connectivities"].shape == (adata.obs["leiden"].nunique(),) * 2
