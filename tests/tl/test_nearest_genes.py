"""Nearest genes and the reasons."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from tests.tl._planted import GENES, GROUP, Model, knowledge, planted

NAMES = ["left", "right", "noise"]
OF = dict(zip(GENES, GROUP, strict=True))


@pytest.fixture(scope="module")
def embedding() -> ad.AnnData:
    return planted()


def test_neighbours_share_the_planted_group(embedding):
    table = nt.tl.nearest_genes(embedding, GENES[5:25], n_neighbors=4)
    assert table["rank"].tolist() == [1, 2, 3, 4] * 20
    assert (table["gene"] != table["neighbor"]).all()
    same = table["gene"].map(OF) == table["neighbor"].map(OF)
    assert same.mean() > 0.9
    assert table.groupby("gene", sort=False)["similarity"].is_monotonic_decreasing.all()


def test_shuffled_blocks_share_nothing(embedding):
    order = np.random.default_rng(1).permutation(120)
    shuffled = ad.AnnData(embedding.X[order], obs=embedding.obs)
    table = nt.tl.nearest_genes(shuffled, GENES, n_neighbors=4)
    assert (table["gene"].map(OF) == table["neighbor"].map(OF)).mean() < 0.35
    assert list(table) == ["gene", "neighbor", "rank", "similarity"]


def test_contributions_sum_to_the_similarity(embedding):
    table = nt.tl.nearest_genes(embedding, GENES[2:12], n_neighbors=3)
    parts = table[[f"contribution_{name}" for name in [*NAMES, "other"]]]
    np.testing.assert_allclose(parts.sum(axis=1), table["similarity"], atol=1e-9)
    rows = embedding.obs_names.get_indexer
    a, b = embedding.X[rows(table["gene"])], embedding.X[rows(table["neighbor"])]
    expected = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(table["similarity"], expected, atol=1e-5)
    assert parts["contribution_left"].mean() > parts["contribution_noise"].mean()
    assert parts["contribution_other"].abs().max() < 0.05


def test_blocks_that_do_not_know_a_gene(embedding):
    table = nt.tl.nearest_genes(embedding, [GENES[1], GENES[0]], n_neighbors=2)
    assert table["gene"].tolist() == [GENES[1]] * 2 + [GENES[0]] * 2
    first = table[table["gene"] == GENES[1]]
    assert first[["cosine_left", "cosine_noise"]].isna().all(axis=None)
    assert first["cosine_right"].notna().all()
    near = table.iloc[0]
    right = embedding.obsm["right"] - np.nanmean(embedding.obsm["right"], axis=0)
    a, b = (right[embedding.obs_names.get_loc(near[k])] for k in ("gene", "neighbor"))
    assert near["cosine_right"] == pytest.approx(
        a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5
    )


def test_shared_features_rarest_first(embedding):
    table = nt.tl.nearest_genes(embedding, GENES[7], n_neighbors=5, knowledge=knowledge())
    same = table["neighbor"].map(OF) == 1
    assert table.loc[same, "shared"].str.contains("s|group1", regex=False).all()
    assert not table["shared"].str.contains("d|c", regex=False).any()
    many = nt.tl.nearest_genes(
        embedding, GENES[2], n_neighbors=119, knowledge=knowledge(), n_features=1
    )
    assert many["neighbor"].nunique() == 119
    top = many.set_index("neighbor")["shared"]
    assert top[GENES[8]] == "s|few"  # of 3 genes, before s|group2 of 20
    assert many.set_index("neighbor")["n_shared"][GENES[8]] >= 2
    assert top[GENES[1]] == ""  # left does not know it


def test_model(embedding):
    table = nt.tl.nearest_genes(embedding, GENES[9], n_neighbors=3, model=Model(embedding))
    assert "contribution_other" not in table
    model, one = Model(embedding), table.iloc[0]
    z = model.get_latent_representation(
        embedding[[one["gene"], one["neighbor"]]], modalities=["right", "noise"]
    )
    cosine = z[0] @ z[1] / np.linalg.norm(z[0]) / np.linalg.norm(z[1])
    assert one["contribution_left"] == pytest.approx(one["similarity"] - cosine, abs=1e-5)


def test_fusion_that_is_not_linear(embedding):
    other = embedding.copy()
    other.X = np.random.default_rng(0).standard_normal(other.shape).astype(np.float32)
    with pytest.warns(
        nt.errors.NewtWarning, match="Contributions of modalities are left out.*no linear map"
    ):
        table = nt.tl.nearest_genes(other, GENES[3])
    assert "cosine_left" in table
    assert "contribution_left" not in table


def test_shipped_embedding_by_name_and_alias():
    table = nt.tl.nearest_genes("newt-human", ["MLL"], n_neighbors=3)
    assert set(table["gene"]) == {"KMT2A"}
    assert {"KMT2B", "KMT2C", "KMT2D", "SETD1A", "SETD1B"} & set(table["neighbor"])
    assert "contribution_function" not in table
    with_model = nt.tl.nearest_genes("newt-human", ["MLL"], n_neighbors=3, model="newt-human")
    pd.testing.assert_frame_equal(with_model[table.columns], table)
    assert np.isfinite(with_model["contribution_function"]).all()


def test_errors(embedding):
    for arguments, error, match in (
        ({"genes": "nosuchgene"}, nt.errors.GeneMatchError, "None of the 1 genes of genes"),
        ({"genes": []}, ValueError, "genes is empty"),
        ({"genes": GENES[3], "n_neighbors": 120}, ValueError, "expected fewer than the 120 genes"),
        ({"genes": GENES[3], "n_neighbors": 2.0}, ValueError, "n_neighbors is 2.0"),
        ({"genes": GENES[3], "n_features": 0}, ValueError, "n_features is 0"),
        ({"genes": GENES[3], "knowledge": "x"}, TypeError, "knowledge is str"),
    ):
        with pytest.raises(error, match=match):
            nt.tl.nearest_genes(embedding, **arguments)
    foreign = knowledge()
    foreign.mod["left"].obs_names = [f"x{i}" for i in range(foreign.mod["left"].n_obs)]
    with pytest.raises(nt.errors.GeneMatchError, match=r"knowledge\['left'\]"):
        nt.tl.nearest_genes(embedding, GENES[3], knowledge=foreign)
    bare = ad.AnnData(embedding.X, obs=pd.DataFrame(index=embedding.obs_names))
    with pytest.raises(KeyError, match="expected some in common"):
        nt.tl.nearest_genes(bare, GENES[3], knowledge=knowledge())
