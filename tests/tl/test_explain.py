"""Effects of modalities and the features that carry a vector."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import newt_sc as nt
from tests.tl._planted import GENES, GROUP, UNKNOWN, Model, knowledge, planted

NAMES = ["left", "right", "noise"]


@pytest.fixture(scope="module")
def embedding() -> ad.AnnData:
    return planted()


@pytest.fixture(scope="module")
def explained(embedding: ad.AnnData) -> ad.AnnData:
    return nt.tl.explain(embedding, knowledge=knowledge(), n_neighbors=10, copy=True)


def without(embedding: ad.AnnData, name: str) -> np.ndarray:
    """What the planted fusion is without a modality: its principal axes on the blocks with one put
    to zero.
    """
    blocks = [np.nan_to_num(embedding.obsm[m].astype(float)) for m in NAMES]
    joined = np.hstack(blocks)
    mean = joined.mean(axis=0)
    axes = np.linalg.lstsq(joined - mean, embedding.X.astype(float), rcond=None)[0]
    zeroed = np.hstack([0 * b if m == name else b for m, b in zip(NAMES, blocks, strict=True)])
    return (zeroed - mean) @ axes


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_effect_is_what_leaving_out_does(embedding, explained):
    effect = explained.obsm["newt_effect"]
    assert list(effect) == NAMES
    assert effect.index.equals(explained.obs_names)
    for name in NAMES:
        expected = 1 - cosine(embedding.X.astype(float), without(embedding, name))
        known = (
            np.isfinite(embedding.obsm[name][:, 0]) & (embedding.obs["n_modalities"] > 1).to_numpy()
        )
        np.testing.assert_allclose(effect.loc[known, name], expected[known], atol=1e-4)
        assert effect.loc[~known, name].isna().all()


def test_effect_on_neighbours_is_literal(embedding, explained):
    X = embedding.X.astype(float)
    left = without(embedding, "left")
    for i in (5, 17, 60):

        def near(v, i=i):
            score = X @ v / np.linalg.norm(X, axis=1)
            score[i] = -np.inf
            return set(np.argsort(-score)[:10])

        expected = 1 - len(near(X[i]) & near(left[i])) / 10
        assert explained.obsm["newt_neighbor_effect"]["left"].iloc[i] == pytest.approx(expected)


def test_gene_known_to_one_modality_only(embedding, explained):
    alone = embedding.obs["n_modalities"] == 1
    assert alone.sum() == 2
    assert explained.obsm["newt_effect"][alone].isna().all(axis=None)
    assert explained.uns["newt_explain"]["n_alone"] == 2


def test_modality_that_dominates():
    heavy = planted({"left": 5.0})
    nt.tl.explain(heavy)
    effect = heavy.obsm["newt_effect"].dropna()
    assert (effect["left"] > effect[["right", "noise"]].max(axis=1)).all()
    assert effect["left"].median() > 0.5
    assert effect["noise"].median() < 0.1
    moved = heavy.obsm["newt_neighbor_effect"].dropna()
    assert moved["left"].mean() > moved["noise"].mean() + 0.2


def test_no_attention_is_invented(explained):
    assert "attention" not in explained.obsm
    info = explained.uns["newt_explain"]
    assert info["attention"] is False
    assert "agreement" not in info
    assert info["params"]["fusion"] == "linear"
    assert info["params"]["r2"] > 0.9999


def test_features(embedding, explained):
    table = explained.uns["newt_explain"]["features"]
    assert set(table["modality"]) == set(NAMES)
    assert (table["contribution"] > 0).all()
    np.testing.assert_allclose(
        table["contribution"], table["weight"] * table["similarity"], rtol=1e-5
    )
    top = table[table["modality"] == "left"].groupby("gene", observed=True)["feature"].first()
    own = [top[gene] == f"s|group{GROUP[i]}" for i, gene in enumerate(GENES) if gene in top.index]
    assert np.mean(own) > 0.95
    assert "s|one" not in set(table["feature"])
    assert set(table["kind"]) == {"set", "partner", "condition"}
    one = table[(table["gene"] == GENES[7]) & (table["feature"] == "s|group1")].iloc[0]
    members = [
        g
        for i, g in enumerate(GENES)
        if GROUP[i] == 1 and i not in UNKNOWN["left"] and g != GENES[7]
    ]
    assert one["n_genes"] == len(members) + 1
    unit = embedding.X / np.linalg.norm(embedding.X, axis=1, keepdims=True)
    unit = pd.DataFrame(unit, index=embedding.obs_names)
    centroid = unit.loc[members].mean()  # all but those in "random" or "few" have weight one
    assert one["similarity"] == pytest.approx(
        cosine(unit.loc[[GENES[7]]].to_numpy(), centroid.to_numpy()[None])[0], abs=0.02
    )


def test_shuffled_vectors_lose_the_features(embedding):
    shuffled = embedding.copy()
    order = np.random.default_rng(0).permutation(embedding.n_obs)
    for name in NAMES:
        shuffled.obsm[name] = embedding.obsm[name][order]
    shuffled.X = embedding.X[order]
    nt.tl.explain(shuffled, knowledge=knowledge(), n_neighbors=10)
    kept = nt.tl.explain(embedding, knowledge=knowledge(), n_neighbors=10, copy=True)
    mean = [
        x.uns["newt_explain"]["features"].query("modality == 'left'")["similarity"].mean()
        for x in (shuffled, kept)
    ]
    assert mean[0] < 0.5 * mean[1]


def test_some_genes_by_alias(embedding):
    known = nt.genes.resolve(["MLL"])["gene"].iloc[0]
    renamed = embedding.copy()
    renamed.obs_names = (
        [known, *embedding.obs_names[1:]]
        if known not in embedding.obs_names
        else embedding.obs_names
    )
    out = nt.tl.explain(
        renamed, genes=["MLL", GENES[40]], knowledge=knowledge(), n_features=1, copy=True
    )
    some = out.obsm["newt_effect"].notna().any(axis=1)
    assert set(out.obs_names[some]) <= {known, GENES[40]}
    assert some[GENES[40]]
    assert out.uns["newt_explain"]["params"]["n_genes"] == 2
    assert (
        out.uns["newt_explain"]["features"]
        .groupby(["gene", "modality"], observed=True)
        .size()
        .max()
        == 1
    )


def test_model(embedding):
    plain = nt.tl.explain(embedding, copy=True)
    out = nt.tl.explain(embedding, model=Model(embedding), copy=True)
    for slot in ("newt_effect", "newt_neighbor_effect"):
        np.testing.assert_allclose(out.obsm[slot], plain.obsm[slot], atol=0.011)
    assert out.uns["newt_explain"]["params"]["fusion"] == "Model"
    assert list(out.obsm["attention"]) == NAMES
    agreement = out.uns["newt_explain"]["agreement"]
    assert list(agreement.index) == ["within_gene", *NAMES]
    a, e = out.obsm["attention"]["left"], out.obsm["newt_effect"]["left"]
    assert agreement.loc["left", "spearman"] == pytest.approx(
        spearmanr(a, e, nan_policy="omit").statistic
    )
    three = out.obs["n_modalities"] == 3
    rows = [
        spearmanr(out.obsm["attention"].loc[g], out.obsm["newt_effect"].loc[g]).statistic
        for g in out.obs_names[three]
    ]
    assert agreement.loc["within_gene", "spearman"] == pytest.approx(np.mean(rows))
    assert agreement.loc["within_gene", "n_genes"] == len(rows)
    # attention that is a gene's own tells more of its effect than that of another gene
    assert agreement.loc["left", "spearman"] > 0.5
    assert abs(agreement.loc["left", "shuffled"]) < 0.3


def test_own_attention_is_kept(embedding):
    mine = embedding.copy()
    mine.obsm["attention"] = pd.DataFrame(1 / 3, index=mine.obs_names, columns=NAMES)
    nt.tl.explain(mine)
    assert (mine.obsm["attention"] == 1 / 3).all(axis=None)
    assert (
        mine.uns["newt_explain"]["agreement"]["spearman"].isna().all()
    )  # constant weights agree with nothing


def test_key_added_and_file(embedding, tmp_path):
    with_weights = embedding.copy()
    with_weights.obsm["attention"] = Model(embedding).get_attention(embedding)
    nt.tl.explain(with_weights, knowledge=knowledge(), key_added="mine")
    assert {"mine_effect", "mine_neighbor_effect"} <= set(with_weights.obsm)
    assert "newt_explain" not in with_weights.uns
    with_weights.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad")
    for name in ("mine_effect", "mine_neighbor_effect"):
        pd.testing.assert_frame_equal(back.obsm[name], with_weights.obsm[name])
    for name in ("features", "agreement"):
        pd.testing.assert_frame_equal(
            back.uns["mine"][name],
            with_weights.uns["mine"][name],
            check_index_type=False,
            check_names=False,
        )
    pd.testing.assert_frame_equal(
        nt.get.explanation(back, GENES[9], key="mine"),
        nt.get.explanation(with_weights, GENES[9], key="mine"),
    )


def test_errors_change_nothing(embedding):
    before = embedding.copy()
    far = embedding.copy()
    far.X = np.random.default_rng(0).standard_normal(far.shape).astype(np.float32)
    bare = ad.AnnData(embedding.X, obs=embedding.obs)
    for what, arguments, error, match in (
        ("newt-human", {}, TypeError, "embedding is str, expected AnnData"),
        (bare, {}, KeyError, "no block of a modality"),
        (far, {}, ValueError, r"no linear map of the blocks \(R2 is .*give the model"),
        (far, {"model": Model(embedding)}, ValueError, "The model makes other vectors"),
        (
            embedding,
            {"n_neighbors": 0},
            ValueError,
            "n_neighbors is 0, expected a whole number from 1 up",
        ),
        (embedding, {"n_neighbors": 120}, ValueError, "fewer than the 120 genes"),
        (embedding, {"n_features": True}, ValueError, "n_features is True"),
        (embedding, {"genes": []}, ValueError, "genes is empty"),
        (
            embedding,
            {"genes": [GENES[0], "nosuchgene"]},
            nt.errors.GeneMatchError,
            "1 of 2 genes.*'nosuchgene'",
        ),
        (embedding, {"knowledge": 3}, TypeError, "knowledge is int, expected a MuData"),
    ):
        with pytest.raises(error, match=match):
            nt.tl.explain(what, **arguments)
    other = knowledge()
    del other.mod["left"].var["kind"]
    with pytest.raises(KeyError, match="has no var"):
        nt.tl.explain(embedding, knowledge=other)
    assert list(embedding.obsm) == list(before.obsm)
    assert list(embedding.uns) == list(before.uns)


def test_too_few_genes_to_tell_a_foreign_fusion(embedding):
    few = embedding[:20].copy()
    few.uns["newt"] = {"modalities": np.array(NAMES)}
    with pytest.raises(ValueError, match="20 genes are too few to tell what 24 dimensions"):
        nt.tl.explain(few)
