"""Shared genes, ranks matched against a plain loop, and what it is for: one cell type in other units."""

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
    out = ad.AnnData(rng.gamma(1, 2, (n, len(names))).astype(np.float32), var=pd.DataFrame(index=names))
    out.obs["group"] = pd.Categorical(rng.choice(["x", "y"], n))
    return out


def test_a_mouse_and_a_human_set_share_orthologs() -> None:
    mouse, human = make(MOUSE), make(HUMAN, seed=1)
    query, reference = nt.pp.shared_genes(mouse, human)
    assert list(query.var_names) == list(reference.var_names) == ["CD4", "GATA1", "SPI1", "KLF1"]
    np.testing.assert_allclose(query.X.toarray(), mouse[:, ["Cd4", "Gata1", "Spi1", "Klf1"]].X)
    np.testing.assert_allclose(reference.X.toarray(), human[:, ["CD4", "GATA1", "SPI1", "KLF1"]].X)
    pd.testing.assert_frame_equal(query.obs, mouse.obs)
    assert query.X.dtype == np.float32


def test_columns_of_one_gene_are_summed() -> None:
    twice = make(["CD4", "ENSG00000010610", "GATA1"])
    query, _ = nt.pp.shared_genes(twice, make(HUMAN))
    np.testing.assert_allclose(query[:, "CD4"].X.toarray().ravel(), twice.X[:, :2].sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_array])
def test_matched_values_are_those_at_the_same_ranks(kind: Callable[[Any], Any]) -> None:
    mouse, human = make(MOUSE), make(HUMAN, seed=1)
    mouse.X[0, 1] = mouse.X[0, 2]  # a tie: Cd4 and Gata1
    shared = ["CD4", "GATA1", "SPI1", "KLF1"]
    values, dense = human[:, shared].X, mouse[:, ["Cd4", "Gata1", "Spi1", "Klf1"]].X
    profile = np.mean([sorted(row) for row in values], axis=0)
    mouse.X, human.X = kind(mouse.X), kind(human.X)
    query, reference = nt.pp.shared_genes(mouse, human, match_values=True)
    for i in range(1, 8):
        assert sorted(query.X[i].tolist()) == pytest.approx(profile.tolist(), rel=1e-5)
        assert (query.X[i].argsort() == dense[i].argsort()).all()
        assert (reference.X[i].argsort() == values[i].argsort()).all()
    assert query.X[0, 0] == query.X[0, 1]
    changed = mouse.copy()
    changed.X = kind(np.exp(dense_of(changed.X)))  # another scale of the same order
    again, _ = nt.pp.shared_genes(changed, human, match_values=True)
    np.testing.assert_allclose(again.X, query.X)


def dense_of(X: Any) -> np.ndarray:
    return X.toarray() if sparse.issparse(X) else np.asarray(X)


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


def test_one_type_in_other_units_finds_its_label() -> None:
    """Values of the query are on another scale: only matched values bring it to the reference."""
    rng = np.random.default_rng(0)
    names = nt.genes.table()["symbol"].iloc[:600:3].tolist()
    module = np.arange(len(names)) % 4
    vectors = np.eye(4, 10)[module] + 0.2 * rng.standard_normal((len(names), 10))
    embedding = ad.AnnData(vectors.astype(np.float32), obs=pd.DataFrame(index=names))
    base = rng.uniform(0.5, 2, len(names)) + 3 * (module == 0)

    def cells(kinds: np.ndarray) -> ad.AnnData:
        X = base + 0.8 * (kinds[:, None] == module) + 0.3 * rng.standard_normal((kinds.size, len(names)))
        out = ad.AnnData(np.maximum(X, 0).astype(np.float32), var=pd.DataFrame(index=names))
        out.obs["type"] = pd.Categorical(kinds.astype(str))
        return out

    ref = cells(np.tile(np.arange(4), 25))
    share = {}
    for match in (False, True):
        right = []
        for kind in range(4):
            alone = cells(np.full(20, kind))
            alone.X = 1.8 * alone.X
            query, reference = nt.pp.shared_genes(alone, ref, match_values=match)
            nt.tl.embed(reference, embedding=embedding, mode="project", mask_var=None)
            nt.tl.embed(query, embedding=embedding, mode="project", mask_var=None, center=reference)
            nt.tl.map_to_reference(query, reference, label="type", min_confidence=0, min_similarity=-0.999)
            right.append((query.obs["newt_mapping_label"].astype(str) == str(kind)).mean())
        share[match] = np.mean(right)
    assert share[True] > share[False] + 0.2
