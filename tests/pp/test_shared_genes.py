"""Two data sets on the genes that both measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import newt_sc as nt
from newt_sc.errors import GeneMatchError, NewtWarning

HUMAN = ["CD4", "CD8A", "GATA1", "SPI1", "KLF1", "MKI67"]
MOUSE = ["Spi1", "Cd4", "Gata1", "Klf1", "Xist"]


def make(names: list[str], n: int = 8, seed: int = 0) -> ad.AnnData:
    rng = np.random.default_rng(seed)
    out = ad.AnnData(
        rng.gamma(1, 2, (n, len(names))).astype(np.float32), var=pd.DataFrame(index=names)
    )
    out.obs["group"] = pd.Categorical(rng.choice(["x", "y"], n))
    return out


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_array])
def test_a_mouse_and_a_human_set_share_orthologs(kind: Callable[[Any], Any]) -> None:
    mouse, human = make(MOUSE), make(HUMAN, seed=1)
    given = [ad.AnnData(kind(one.X), obs=one.obs, var=one.var) for one in (mouse, human)]
    query, reference = nt.pp.shared_genes(*given)
    assert list(query.var_names) == list(reference.var_names) == ["CD4", "GATA1", "SPI1", "KLF1"]
    np.testing.assert_allclose(query.X.toarray(), mouse[:, ["Cd4", "Gata1", "Spi1", "Klf1"]].X)
    np.testing.assert_allclose(reference.X.toarray(), human[:, ["CD4", "GATA1", "SPI1", "KLF1"]].X)
    pd.testing.assert_frame_equal(query.obs, mouse.obs)
    assert query.X.dtype == np.float32


def test_columns_of_one_gene_are_summed() -> None:
    twice = make(["CD4", "ENSG00000010610", "GATA1"])
    query, _ = nt.pp.shared_genes(twice, make(HUMAN))
    np.testing.assert_allclose(
        query[:, "CD4"].X.toarray().ravel(), twice.X[:, :2].sum(axis=1), rtol=1e-6
    )


def test_highly_variable_genes_are_the_references() -> None:
    import scanpy as sc

    names = nt.genes.table()["symbol"].iloc[:300].tolist()
    query, ref = make(names, 30), make(names, 30, seed=1)
    chosen, _ = nt.pp.shared_genes(query, ref, n_top_genes=20)
    table = sc.pp.highly_variable_genes(ref, n_top_genes=20, flavor="seurat", inplace=False)
    assert set(chosen.var_names) == set(ref.var_names[table["highly_variable"]])


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_bad_input_is_refused() -> None:
    good, other = make(MOUSE), make(HUMAN)
    nan, twice = make(MOUSE), make(["CD4", "CD4", "GATA1"])
    nan.X[0, 0] = np.nan
    cases: list[tuple[Any, Any, dict[str, Any], type[Exception], str]] = [
        (good.X, other, {}, TypeError, "adata is ndarray"),
        (nan, other, {}, ValueError, "NaN"),
        (good, twice, {}, ValueError, "more than once"),
        (make(["NOGENE1", "NOGENE2"]), other, {}, GeneMatchError, "adata.var_names"),
        (good, other, {"n_top_genes": 0}, ValueError, "n_top_genes"),
    ]
    for query, ref, params, error, text in cases:
        with pytest.raises(error, match=text):
            nt.pp.shared_genes(query, ref, **params)
    with pytest.warns(NewtWarning, match="Only 1 of the 30"):
        nt.pp.shared_genes(make(["CD4", *(f"NOGENE{i}" for i in range(29))]), other)
