"""The benchmark of cells: its short cuts give what the tools give, its intervals what they should."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import newt_sc as nt
from benchmarks import _common, cells


@pytest.fixture(scope="module")
def counts() -> tuple[ad.AnnData, ad.AnnData]:
    rng = np.random.default_rng(0)
    embedding = nt.datasets.embedding("newt-human")
    names = list(embedding.obs_names[:300])
    rate = np.exp(rng.normal(size=(2, 310)))[np.arange(60) % 2]
    X = sparse.csr_matrix(rng.poisson(2 * rate).astype(np.float32))
    adata = ad.AnnData(X, var=pd.DataFrame(index=[*names, *(f"none{i}" for i in range(10))]))
    adata.var["gene"] = cells.match(adata.var_names, embedding)
    adata.obs["label"] = np.array(["a", "b"])[np.arange(60) % 2]
    return adata, embedding


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_weighed_is_the_tool(counts: tuple[ad.AnnData, ad.AnnData], alpha: float) -> None:
    adata, embedding = counts
    tool = adata.copy()
    nt.tl.embed(tool, embedding=embedding, mask_var=None, counts_layer="X", n_comps=5, alpha=alpha)
    found = cells.Weighed(adata, 5)(embedding, alpha)
    np.testing.assert_allclose(found, tool.obsm["X_newt"], atol=1e-5)


def test_replicates_are_of_the_classes_and_the_rare_ones() -> None:
    labels = np.repeat(["a", "b", "c"], [300, 100, 10])
    adata = ad.AnnData(
        np.zeros((410, 1), dtype=np.float32), obs=pd.DataFrame({"label": labels}, index=[str(i) for i in range(410)])
    )
    facts = _common.CellSet("some", "human", "counts", "label")
    X = np.random.default_rng(0).normal(size=(410, 3)) + np.repeat(np.eye(3), [300, 100, 10], axis=0) * 2
    found = cells.Scorer(adata, facts, few=False, orders=False)(X)
    balanced, right = nt.metrics.label_knn(X, labels, return_per_cell=True)
    assert found.estimate["label"] == pytest.approx(balanced)
    assert found.estimate["rare"] == pytest.approx(right[-10:].mean())
    assert found.replicates["label"].mean() == pytest.approx(balanced, abs=0.02)
    assert found.replicates["rare"].std() == pytest.approx(
        np.sqrt(right[-10:].mean() * (1 - right[-10:].mean()) / 10), rel=0.2
    )


def test_differences_are_over_shared_seeds() -> None:
    key = ("label", "pbmc3k_human", "500", cells.ALL)
    averages = {
        (*key, "counts"): {0: (0.5, np.full(3, 0.5)), 1: (0.9, np.full(3, 0.9))},
        (*key, "scVI"): {0: (0.4, np.full(3, 0.3))},
    }
    value, draws = cells.average(averages, *key, "counts", "scVI") or (0.0, np.zeros(0))
    assert value == pytest.approx(0.1)
    np.testing.assert_allclose(draws, 0.2)
    assert (cells.average(averages, *key, "counts") or (0,))[0] == pytest.approx(0.7)
    assert cells.average(averages, *key, "scVI", "PCA of HVGs") is None
