"""Vectors as a space gives them, against what numpy makes of the embedding."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from mudata import MuData

import newt_sc as nt
from newt_sc.genes._space import PRIVATE, Space, blocks_of, centered

GENES = ["TP53", "EGFR", "INS", "GATA1", "MYC"]


@pytest.fixture
def embedding() -> ad.AnnData:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(5, 2)).astype(np.float32), rng.normal(size=(5, 3))
    left[1], right[[1, 2]] = np.nan, np.nan
    out = ad.AnnData(rng.normal(size=(5, 4)).astype(np.float32), obs=pd.DataFrame(index=GENES))
    out.obsm = {"left": left, "right": right, "X_umap": rng.normal(size=(5, 2))}
    return out


def test_blocks_are_arrays_that_are_not_scanpys(embedding: ad.AnnData) -> None:
    embedding.obsm["attention"] = pd.DataFrame({"left": 1.0}, index=embedding.obs_names)
    embedding.obsm["newt_present"] = np.ones((5, 2))
    assert list(Space.of(embedding).blocks) == ["left", "right"]
    embedding.uns["newt"] = {"modalities": np.array(["right", "gone"])}
    assert list(Space.of(embedding).blocks) == ["right"]
    embedding.uns["newt"] = {"modalities": np.array(["X_umap"])}
    assert list(blocks_of(embedding)) == ["X_umap"]
    embedding.uns["newt"] = "something else"
    assert list(blocks_of(embedding)) == ["left", "right"]


def test_a_block_that_is_partly_nan_is_unknown(embedding: ad.AnnData) -> None:
    embedding.obsm["left"][0, 1] = np.inf
    block = Space.of(embedding).blocks["left"]
    assert block.dtype == np.float32
    assert np.isnan(block).all(axis=1).tolist() == [True, True, False, False, False]
    assert np.isfinite(embedding.obsm["left"][0, 0])


def test_blocks_of_a_mudata() -> None:
    index = pd.DataFrame(index=["INS"])
    mods = {
        name: ad.AnnData(np.ones((1, 1)), obs=index, var=pd.DataFrame(index=[name]))
        for name in "ab"
    }
    mods["a"].obsm["X_block"] = np.ones((1, 2))
    genes, block = blocks_of(MuData(mods))["a"]
    assert (genes.tolist(), block.shape) == (["INS"], (1, 2))
    assert list(blocks_of(MuData(mods))) == ["a"]


def test_private_dimensions_of_a_model_count_more(embedding: ad.AnnData) -> None:
    plain = Space.of(embedding).for_cells(None)
    np.testing.assert_array_equal(plain.vectors, embedding.X)
    embedding.uns["newt"] = {"params": {"method": "newt", "n_private": 1}}
    space = Space.of(embedding)
    assert space.by_model
    np.testing.assert_array_equal(space.for_cells(None).vectors, embedding.X * [1, 1, 1, PRIVATE])
    embedding.uns["newt"]["params"]["n_private"] = 9
    np.testing.assert_array_equal(space.for_cells(None).vectors, embedding.X * PRIVATE)
    np.testing.assert_array_equal(space.vectors, embedding.X)


def test_blocks_side_by_side(embedding: ad.AnnData) -> None:
    found = Space.of(embedding).for_cells(["right", "left"])
    left, right = (
        embedding.obsm[name] - np.nanmean(embedding.obsm[name], 0) for name in ("left", "right")
    )
    expected = np.nan_to_num(np.hstack([right, left]))
    expected[1] = np.nan  # neither knows EGFR, and only one INS
    np.testing.assert_allclose(found.vectors, expected, atol=1e-6)
    assert found.modalities == ("right", "left")
    for wrong in (["left", "top"], []):
        with pytest.raises(KeyError, match="not in the embedding, which has"):
            Space.of(embedding).for_cells(wrong)


def test_genes_of_data(embedding: ad.AnnData) -> None:
    adata = ad.AnnData(
        np.ones((1, 3)), var=pd.DataFrame(index=["ENSG00000254647", "NOGENE1", "p53"])
    )
    found, E = Space.of(embedding).beside(adata)
    assert found.index.tolist()[:2] == [2, -1]
    np.testing.assert_array_equal(E[0], embedding["INS"].X[0])
    assert np.isnan(E[1]).all()


def test_centred_and_of_length_one(embedding: ad.AnnData) -> None:
    X = embedding.X - embedding.X.mean(axis=0)
    np.testing.assert_allclose(Space.of(embedding).centered().vectors, X, atol=1e-6)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(Space.of(embedding).unit, unit, atol=1e-6)
    some = centered(np.array([[1.0, 2], [3, 4], [np.nan, 0]], np.float32))
    np.testing.assert_array_equal(some[:2], [[-1, -1], [1, 1]])


def test_genes_that_a_user_names(embedding: ad.AnnData) -> None:
    space = Space.of(embedding)
    assert space.find("INS").tolist() == [2]
    assert space.find(["MYC", "ENSG00000254647", "INS"]).tolist() == [4, 2]
    with pytest.raises(nt.errors.GeneMatchError, match=r"1 of 2 genes are not .*'NOGENE1'"):
        space.find(["INS", "NOGENE1"])
    with pytest.raises(ValueError, match="name at least one"):
        space.find([])
