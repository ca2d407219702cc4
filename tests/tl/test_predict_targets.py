"""Predicted targets: what is written, and what becomes of bad input."""

from __future__ import annotations

import warnings
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import newt_sc as nt
from newt_sc.errors import GeneMatchError, NewtWarning
from newt_sc.tl._predict_targets import predict_blocks
from tests.tl import _compounds as planted

SLOT, PROBABILITY, CONNECTIVITY = (
    "newt_targets",
    "newt_targets_probability",
    "newt_targets_connectivity",
)


def predict(data: Any, **options: Any) -> Any:
    return nt.tl.predict_targets(data, **{"embedding": planted.embedding(), **options})


def unlabelled() -> ad.AnnData:
    adata = planted.compounds()
    del adata.uns["targets"]
    adata.obs_names = [f"new{i}" for i in range(adata.n_obs)]
    return adata


@pytest.fixture(scope="module")
def trained() -> ad.AnnData:
    return predict(planted.compounds(), copy=True)


@pytest.fixture(scope="module")
def plain() -> ad.AnnData:
    """What the model says of signatures that bear other names."""
    return predict(unlabelled(), model=planted.model(), copy=True)


# -- what is written -------------------------------------------------------------------------------


def test_labels_train_a_model_and_scores_are_cross_fitted(trained: ad.AnnData) -> None:
    expected = planted.model().predict()
    info = trained.uns[SLOT]
    np.testing.assert_array_equal(info["targets"], expected.var_names)
    np.testing.assert_allclose(trained.obsm[SLOT], expected.X, atol=1e-5)
    np.testing.assert_allclose(trained.obsm[PROBABILITY], expected.layers["probability"], atol=1e-5)
    assert trained.obsm[SLOT].dtype == trained.obsm[PROBABILITY].dtype == np.float32
    for name in ("prior", "n_compounds", "auroc"):
        np.testing.assert_allclose(info[name], expected.var[name])
    for name in ("reliability", "strength", "nearest"):
        np.testing.assert_allclose(info[name], expected.obs[name], atol=1e-5)
    assert info["cross_fitted"].all()
    assert info["model"] == "trained on these signatures"
    assert info["sources"]["licence"].startswith("CC0-1.0: ")
    assert CONNECTIVITY not in trained.obsm


def test_known_targets(trained: ad.AnnData, tmp_path: Any) -> None:
    adata = planted.compounds()
    predict(adata, known_targets=True)
    assert adata.uns[SLOT]["params"]["known_targets"]
    assert not trained.uns[SLOT]["params"]["known_targets"]
    model = nt.models.TargetPredictor(
        planted.compounds(), embedding=planted.embedding(), known_targets=True
    ).train()
    np.testing.assert_allclose(adata.obsm[SLOT], model.predict().X, atol=1e-5)
    adata.write_h5ad(tmp_path / "known.h5ad")
    table = nt.get.targets(ad.read_h5ad(tmp_path / "known.h5ad"), compound="drug0")
    assert np.isfinite(table["z"]).all()


def test_mixed_label_sets_that_leave_all_unanswered() -> None:
    adata = planted.compounds()
    adata.uns["targets"]["label_set"] = np.resize(["a", "b"], len(adata.uns["targets"]))
    with pytest.warns(NewtWarning, match=r"none is answered.*\['a', 'b'\]"):
        predict(adata, min_reliability=1)
    assert not adata.uns[SLOT]["answered"].any()
    assert np.isfinite(adata.obsm[SLOT]).all()


def test_known_class_comes_first(trained: ad.AnnData) -> None:
    kind = {name: i % planted.N_CLASSES for i, name in enumerate(planted.names())}
    first = trained.uns[SLOT]["targets"][trained.obsm[SLOT].argmax(axis=1)]
    right = np.mean([kind[target] == i % planted.N_CLASSES for i, target in enumerate(first)])
    assert right > 0.9


def test_input_stays_as_it_is() -> None:
    adata = planted.compounds()
    before = adata.copy()
    assert predict(adata, copy=True) is not adata
    assert list(adata.obsm) == []
    assert list(adata.uns) == ["targets"]
    assert predict(adata) is None
    np.testing.assert_array_equal(adata.X, before.X)
    pd.testing.assert_frame_equal(adata.uns["targets"], before.uns["targets"])


def test_labels_by_key_or_given(trained: ad.AnnData) -> None:
    adata = planted.compounds()
    labels = adata.uns.pop("targets")
    given = predict(adata, targets=labels, copy=True)
    np.testing.assert_allclose(given.obsm[SLOT], trained.obsm[SLOT], atol=1e-5)
    assert "targets" not in given.uns
    adata.uns["mine"] = labels
    named = predict(adata, targets="mine", copy=True)
    np.testing.assert_allclose(named.obsm[SLOT], trained.obsm[SLOT], atol=1e-5)
    pd.testing.assert_frame_equal(named.uns[SLOT]["labels"], trained.uns[SLOT]["labels"])


def test_aliases_in_labels_are_known_by_their_symbol() -> None:
    table = nt.genes.table().set_index("symbol")
    adata = planted.compounds()
    adata.uns["targets"]["target"] = table["ensembl"].loc[adata.uns["targets"]["target"]].to_numpy()
    predict(adata)
    assert (
        set(adata.uns[SLOT]["labels"]["target"])
        == set(adata.uns[SLOT]["targets"])
        <= set(planted.names())
    )


def test_min_reliability() -> None:
    adata = predict(unlabelled(), model=planted.model(), min_reliability=1.0, copy=True)
    assert not adata.uns[SLOT]["answered"][adata.uns[SLOT]["reliability"] < 1].any()
    predict(adata, model=planted.model(), min_reliability=0.0)
    assert adata.uns[SLOT]["answered"].all()


def test_key_added_replaces_the_name_everywhere() -> None:
    mdata = planted.mdata(knockdown=planted.genetic(1, "knockdown"))
    predict(mdata, model=planted.model(), genetic="knockdown", key_added="mine")
    mod = mdata["compound"]
    assert sorted(mod.obsm) == ["mine", "mine_connectivity", "mine_fdr", "mine_probability"]
    assert sorted(mod.uns) == ["mine", "targets"]
    pd.testing.assert_frame_equal(
        nt.get.targets(mdata, key="mine").drop(columns="connectivity"),
        nt.get.targets(predict(planted.mdata(), model=planted.model(), copy=True)),
    )


@pytest.mark.parametrize("among", ["all", [planted.names()[3], planted.names()[100]]])
def test_among(among: Any) -> None:
    mdata = predict(planted.mdata(), model=planted.model(), among=among, copy=True)
    wanted = planted.names() if among == "all" else among
    assert list(mdata["compound"].uns[SLOT]["targets"]) == wanted
    assert mdata["compound"].obsm[SLOT].shape == (planted.N_COMPOUNDS, len(wanted))
    assert np.isfinite(mdata["compound"].obsm[SLOT]).all()


@pytest.mark.parametrize("kind", ["h5ad", "h5mu"])
def test_survives_the_disk(kind: str, tmp_path: Any) -> None:
    mdata = planted.mdata(knockdown=planted.genetic(1, "knockdown"))
    predict(mdata, model=planted.model(), genetic=["knockdown"], among=planted.names()[:5])
    path = tmp_path / f"x.{kind}"
    if kind == "h5mu":
        mdata.write_h5mu(path)
        back: Any = md.read_h5mu(path)
    else:
        mdata["compound"].write_h5ad(path)
        back = ad.read_h5ad(path)
    pd.testing.assert_frame_equal(nt.get.targets(back), nt.get.targets(mdata))
    info = (back["compound"] if kind == "h5mu" else back).uns[SLOT]
    assert list(info["params"]["among"]) == planted.names()[:5]
    assert info["cross_fitted"].dtype == bool


# -- models ----------------------------------------------------------------------------------------


def test_model_on_disk_is_not_cross_fitted(tmp_path: Any, plain: ad.AnnData) -> None:
    planted.model().save(tmp_path / "model")
    adata = predict(planted.compounds(), model=tmp_path / "model", copy=True)
    assert not adata.uns[SLOT]["cross_fitted"].any()
    assert adata.uns[SLOT]["model"] == str(tmp_path / "model")
    np.testing.assert_allclose(adata.obsm[SLOT], plain.obsm[SLOT], atol=1e-3)
    assert len(adata.uns[SLOT]["labels"]) == len(adata.uns["targets"])


def test_training_compounds_by_name_and_signature(trained: ad.AnnData, plain: ad.AnnData) -> None:
    adata = planted.compounds()
    adata.X[7] = adata.X[8]  # another signature under a name that the model knows
    adata = ad.concat([adata, unlabelled()[:3]], merge="first")
    adata.uns["targets"] = planted.compounds().uns["targets"]
    predict(adata, model=planted.model())
    expected = np.arange(adata.n_obs) < planted.N_COMPOUNDS
    expected[7] = False
    np.testing.assert_array_equal(adata.uns[SLOT]["cross_fitted"], expected)
    np.testing.assert_allclose(
        adata.obsm[SLOT][expected], trained.obsm[SLOT][expected[:60]], atol=1e-4
    )
    np.testing.assert_allclose(adata.obsm[SLOT][60:], plain.obsm[SLOT][:3], atol=1e-4)
    np.testing.assert_allclose(adata.obsm[SLOT][7], plain.obsm[SLOT][8], atol=1e-4)


def test_no_labels_ask_for_the_shipped_model(
    monkeypatch: pytest.MonkeyPatch, plain: ad.AnnData
) -> None:
    asked = []

    def load(path: str, *, embedding: Any) -> nt.models.TargetPredictor:
        asked.append(path)
        return planted.model()

    monkeypatch.setattr(nt.models.TargetPredictor, "load", load)
    adata = predict(unlabelled(), copy=True)
    assert asked == ["l1000-human"]
    assert adata.uns[SLOT]["model"] == "l1000-human"
    assert "labels" not in adata.uns[SLOT]
    np.testing.assert_allclose(adata.obsm[SLOT], plain.obsm[SLOT], atol=1e-5)


# -- kinds of input --------------------------------------------------------------------------------


def test_array_types(array_type: Any, plain: ad.AnnData) -> None:
    adata = unlabelled()
    adata.X = array_type(np.asarray(adata.X))
    predict(adata, model=planted.model())
    np.testing.assert_allclose(adata.obsm[SLOT], plain.obsm[SLOT], atol=1e-5)


def test_array_types_in_training(array_type: Any, trained: ad.AnnData) -> None:
    adata = planted.compounds()
    adata.X = array_type(np.asarray(adata.X))
    predict(adata)
    np.testing.assert_allclose(adata.obsm[SLOT], trained.obsm[SLOT], atol=1e-5)


def test_backed(tmp_path: Any, plain: ad.AnnData) -> None:
    unlabelled().write_h5ad(tmp_path / "x.h5ad")
    adata = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    found = predict(adata, model=planted.model(), copy=True)
    assert not found.isbacked
    assert SLOT not in adata.obsm
    np.testing.assert_allclose(found.obsm[SLOT], plain.obsm[SLOT], atol=1e-5)


def test_blocks_are_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from newt_sc.tl import _rows

    adata = unlabelled()
    adata.X[3] = 0
    monkeypatch.setattr(_rows, "_BLOCK_BYTES", 8 * adata.n_vars * 7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of other packages
        blocks = list(predict_blocks(planted.model(), adata))
    assert [block.n_obs for block in blocks] == [7] * 8 + [4]
    with pytest.warns(NewtWarning, match="1 of 60 signatures are all zero"):
        whole = planted.model().predict(adata)
    found = ad.concat(blocks)
    np.testing.assert_allclose(found.X, whole.X, atol=1e-5)
    assert list(found.obs_names) == list(whole.obs_names)
    assert np.isnan(found.X[3]).all()


def test_genes_in_another_order_and_as_entrez(plain: ad.AnnData) -> None:
    order = np.random.default_rng(0).permutation(planted.N_LANDMARKS)
    shuffled = unlabelled()[:, order].copy()
    predict(shuffled, model=planted.model())
    np.testing.assert_allclose(shuffled.obsm[SLOT], plain.obsm[SLOT], atol=1e-5)
    numbers = unlabelled()
    numbers.var_names = planted.entrez()
    numbers = numbers[:, order].copy()
    with pytest.warns(NewtWarning, match="taken as Entrez ids of human genes"):
        predict(numbers, model=planted.model())
    np.testing.assert_allclose(numbers.obsm[SLOT], plain.obsm[SLOT], atol=1e-5)


def test_missing_landmarks_are_said() -> None:
    adata = unlabelled()[:, :25].copy()
    with pytest.warns(NewtWarning, match="25 of the 40 genes of the training signatures"):
        predict(adata, model=planted.model())
    assert np.isfinite(adata.obsm[SLOT]).all()


def test_more_genes_change_nothing(plain: ad.AnnData) -> None:
    other = ad.AnnData(
        np.ones((60, 9), np.float32),
        obs=unlabelled().obs,
        var=pd.DataFrame(index=[f"no{i}" for i in range(9)]),
    )
    adata = ad.concat([other, unlabelled()], axis=1)
    predict(adata, model=planted.model())
    np.testing.assert_allclose(adata.obsm[SLOT], plain.obsm[SLOT], atol=1e-5)


def test_unusable_signatures_are_nan_and_said() -> None:
    adata = planted.compounds()
    adata.X[0], adata.X[1], adata.X[2] = 0, np.nan, 3
    with pytest.warns(NewtWarning, match="3 of 60 compounds have no usable signature"):
        predict(adata)
    assert np.isnan(adata.obsm[SLOT][:3]).all()
    assert np.isnan(adata.obsm[PROBABILITY][:3]).all()
    assert np.isfinite(adata.obsm[SLOT][3:]).all()
    assert not adata.uns[SLOT]["answered"][:3].any()
    np.testing.assert_array_equal(adata.uns[SLOT]["cross_fitted"], np.arange(60) >= 3)


def test_partly_measured_and_extreme_values() -> None:
    adata = unlabelled()
    adata.X[0, :10] = np.nan
    adata.X[1, 0] = 200
    adata.X[2, 5] = -200
    predict(adata, model=planted.model())
    assert np.isfinite(adata.obsm[SLOT]).all()
    assert np.abs(adata.obsm[SLOT][:3]).max() < 20


def test_same_signature_twice_is_one_drug() -> None:
    adata = planted.compounds()
    twin = adata[:1].copy()
    twin.obs_names = ["twin"]
    both = ad.concat([adata, twin])
    labels = adata.uns["targets"]
    both.uns["targets"] = pd.concat(
        [labels, labels[labels["compound"] == "drug0"].assign(compound="twin")]
    )
    predict(both)
    np.testing.assert_allclose(both.obsm[SLOT][0], both.obsm[SLOT][-1], atol=1e-4)


# -- pooling ---------------------------------------------------------------------------------------


def replicates() -> tuple[ad.AnnData, np.ndarray]:
    """Three noisy signatures of each compound, some values of them not measured, in no order."""
    base, rng = planted.compounds(), np.random.default_rng(5)
    row = rng.permutation(np.repeat(np.arange(base.n_obs), 3))
    X = base.X[row] + 0.5 * rng.standard_normal((row.size, base.n_vars)).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    obs = pd.DataFrame(
        {"drug": base.obs_names[row], "cell": rng.choice(["A", "B"], row.size)},
        [f"s{i}" for i in range(row.size)],
    )
    adata = ad.AnnData(X, obs=obs, var=base.var)
    adata.uns["targets"] = base.uns["targets"]
    return adata, row


def test_groupby_is_pooling_first() -> None:
    adata, _ = replicates()
    predict(adata, groupby="drug")
    pooled = nt.tl.pool_signatures(adata, groupby="drug")
    names = list(pooled.obs_names)
    predict(pooled)
    at = pd.Index(names).get_indexer(adata.obs["drug"])
    np.testing.assert_allclose(adata.obsm[SLOT], pooled.obsm[SLOT][at], atol=1e-3)
    np.testing.assert_array_equal(adata.uns[SLOT]["compound"], adata.obs["drug"])
    assert adata.uns[SLOT]["cross_fitted"].all()


def test_labels_of_signatures_go_to_their_group() -> None:
    adata, _ = replicates()
    expected = predict(adata, groupby=["drug"], copy=True)
    first = adata.obs.reset_index().drop_duplicates("drug").set_index("drug")["index"]
    adata.uns["targets"] = adata.uns["targets"].assign(
        compound=lambda t: first.loc[t["compound"]].to_numpy()
    )
    predict(adata, groupby="drug")
    np.testing.assert_allclose(adata.obsm[SLOT], expected.obsm[SLOT], atol=1e-6)
    assert set(adata.uns[SLOT]["labels"]["compound"]) <= set(adata.obs["drug"])


def test_groupby_several_columns() -> None:
    adata, _ = replicates()
    predict(adata, groupby=["drug", "cell"], model=planted.model())
    expected = adata.obs["drug"].astype(str) + "|" + adata.obs["cell"].astype(str)
    np.testing.assert_array_equal(adata.uns[SLOT]["compound"], expected)
    assert len(np.unique(adata.obsm[SLOT][:, 0])) == expected.nunique()


def test_groupby_structures() -> None:
    pytest.importorskip("rdkit")
    adata, row = replicates()
    kinds = np.array(["CCO", "c1ccccc1", "CC(=O)O", "no smiles"])
    adata.obs["smiles"] = pd.Categorical(kinds[row % 4])
    with pytest.warns(NewtWarning, match="15 SMILES cannot be read, such as 'no smiles'"):
        predict(adata, groupby="drug", structure="smiles")
    assert np.isfinite(adata.obsm[SLOT]).all()
    adata.obs["smiles"] = kinds[row % 3]
    adata.obs.loc[adata.obs["drug"] == "drug1", "smiles"] = ["C", "CC", "CCC"]
    with pytest.warns(NewtWarning, match="1 groups have more than one smiles"):
        predict(adata, groupby="drug", structure="smiles")


def test_groupby_errors() -> None:
    adata, _ = replicates()
    with pytest.raises(KeyError, match=r"groupby: no columns \['dose'\]"):
        predict(adata, groupby=["drug", "dose"])
    adata.obs["drug"] = adata.obs["drug"].astype(object)
    adata.obs.iloc[:2, 0] = [None, ""]
    with pytest.raises(ValueError, match="groupby: 2 signatures have no drug"):
        predict(adata, groupby="drug")
    adata, _ = replicates()
    adata.X[4, 4] = np.inf
    with pytest.raises(ValueError, match="1 infinite"):
        predict(adata, groupby="drug")


# -- connectivity ----------------------------------------------------------------------------------


def test_connectivity_is_the_rank_correlation() -> None:
    knock = planted.genetic(1, "knockdown")
    mdata = planted.mdata(knockdown=knock)
    predict(mdata, genetic="knockdown", model=planted.model())
    mod = mdata["compound"]
    targets = list(mod.uns[SLOT]["targets"])
    found = mod.obsm[CONNECTIVITY]
    assert found.dtype == np.float32
    for row, gene in ((0, 0), (5, 3), (11, 7)):
        rows = np.flatnonzero(knock.obs["target"] == planted.names()[gene])
        # ranks are made over all genes that a signature has, then compared on those of both
        by_hand = [spearmanr(mod.X[row, :30], knock.X[i, :30]).statistic for i in rows]
        assert found[row, targets.index(planted.names()[gene])] == pytest.approx(
            np.mean(by_hand), abs=0.03
        )
    without = [j for j, name in enumerate(targets) if name not in set(knock.obs["target"])]
    assert without
    assert np.isnan(found[:, without]).all()


def test_connectivity_is_exact_where_all_is_measured() -> None:
    knock = planted.genetic(1, "knockdown")
    knock.X = np.nan_to_num(knock.X, nan=0.37) + np.arange(40, dtype=np.float32) * 1e-3
    mdata = planted.mdata(knockdown=knock)
    predict(mdata, genetic=["knockdown"], model=planted.model())
    mod = mdata["compound"]
    column = list(mod.uns[SLOT]["targets"]).index(planted.names()[2])
    by_hand = [np.mean([spearmanr(x, knock.X[i]).statistic for i in (2, 10)]) for x in mod.X]
    np.testing.assert_allclose(mod.obsm[CONNECTIVITY][:, column], by_hand, atol=1e-5)


def test_gain_of_function_counts_the_other_way() -> None:
    loss = planted.mdata(knockdown=planted.genetic(1, "k"))
    gain = planted.mdata(overexpression=planted.genetic(-1, "o"))
    told = planted.genetic(-1, "x")
    told.obs["perturbation"] = "activemutant"
    told = planted.mdata(geo=told)
    kept = planted.genetic(1, "y")
    kept.obs["perturbation"] = "inactivation"
    kept = planted.mdata(overexpression=kept)
    for mdata in (loss, gain, told, kept):
        predict(mdata, genetic=list(mdata.mod)[1], model=planted.model())
    kind = np.arange(planted.N_COMPOUNDS) % planted.N_CLASSES
    for mdata in (loss, gain, told, kept):
        mod = mdata["compound"]
        column = list(mod.uns[SLOT]["targets"]).index(planted.names()[1])
        r = mod.obsm[CONNECTIVITY][:, column]
        assert r[kind == 1].mean() > 0.5
        assert r[kind == 1].mean() > r[kind != 1].mean() + 0.3
    np.testing.assert_allclose(
        loss["compound"].obsm[CONNECTIVITY], kept["compound"].obsm[CONNECTIVITY]
    )


def test_sets_without_an_order_count_against_all_other_genes() -> None:
    sets = planted.genetic(1, "knockdown")
    low = np.argsort(effects := planted.effects(), axis=1)[:, :12]
    X = np.full(sets.shape, np.nan, np.float32)
    for i in range(16):
        X[i, low[i % 8 % planted.N_CLASSES]] = -1
    X[8:] = np.nan
    X[8, :5] = -1  # fewer than ten genes
    sets.X = X
    mdata = planted.mdata(knockdown=sets)
    predict(mdata, genetic="knockdown", model=planted.model())
    mod = mdata["compound"]
    column = list(mod.uns[SLOT]["targets"]).index(planted.names()[2])
    kind = np.arange(planted.N_COMPOUNDS) % planted.N_CLASSES
    assert np.isfinite(mod.obsm[CONNECTIVITY][:, column]).all()
    assert mod.obsm[CONNECTIVITY][kind == 2, column].mean() > 0.5
    member = np.isin(np.arange(40), low[2])
    by_hand = [np.corrcoef(pd.Series(x).rank(), np.where(member, -1, 0))[0, 1] for x in mod.X]
    np.testing.assert_allclose(mod.obsm[CONNECTIVITY][:, column], by_hand, atol=1e-5)
    assert effects.shape == (4, 40)


def test_too_few_shared_genes_or_targets_give_no_connectivity() -> None:
    knock = planted.genetic(1, "knockdown")
    knock.X[:, 9:] = np.nan
    mdata = planted.mdata(knockdown=knock)
    predict(mdata, genetic="knockdown", model=planted.model())
    assert np.isnan(mdata["compound"].obsm[CONNECTIVITY]).all()
    knock = planted.genetic(1, "knockdown")
    knock.obs["target"] = ""
    mdata = planted.mdata(knockdown=knock)
    with pytest.warns(NewtWarning, match="No signature of knockdown is of a gene among"):
        predict(mdata, genetic="knockdown", model=planted.model())
    assert np.isnan(mdata["compound"].obsm[CONNECTIVITY]).all()


def test_connectivity_changes_no_score_and_goes_when_not_asked_for() -> None:
    mdata = planted.mdata(knockdown=planted.genetic(1, "knockdown"))
    predict(mdata, genetic="knockdown", model=planted.model())
    mod = mdata["compound"]
    z = mod.obsm[SLOT].copy()
    assert CONNECTIVITY in mod.obsm
    predict(mdata, model=planted.model())
    np.testing.assert_array_equal(mod.obsm[SLOT], z)
    assert CONNECTIVITY not in mod.obsm


# -- structures ------------------------------------------------------------------------------------


def test_structure_and_unknown_smiles() -> None:
    pytest.importorskip("rdkit")
    adata = planted.compounds()
    adata.obs["smiles"] = [["CCO", "c1ccccc1", "CC(=O)O", "CCN"][i % 4] for i in range(60)]
    adata.obs.iloc[:2, 0] = ["no smiles", ""]
    with pytest.warns(NewtWarning, match="1 SMILES cannot be read"):
        predict(adata, structure="smiles")
    assert adata.uns[SLOT]["params"]["structure"] == "smiles"
    assert np.isfinite(adata.obsm[SLOT]).all()
    with pytest.raises(KeyError, match="no column 'absent'"):
        predict(planted.compounds(), structure="absent")


# -- refused ---------------------------------------------------------------------------------------


def fresh() -> nt.models.TargetPredictor:
    return nt.models.TargetPredictor(planted.compounds(), embedding=planted.embedding())


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"modality": "drug"}, KeyError, "modality 'drug' is not in the MuData"),
        ({"genetic": ["knockdown", "crispr"]}, KeyError, "modality 'crispr' is not in the MuData"),
        ({"min_reliability": 1.5}, ValueError, "min_reliability is 1.5"),
        ({"min_reliability": float("nan")}, ValueError, "min_reliability is nan"),
        ({"targets": "absent"}, KeyError, "no 'absent' in uns"),
        ({"targets": [("drug0", "TP53")]}, TypeError, "targets is list"),
        ({"targets": pd.DataFrame({"compound": ["drug0"]})}, ValueError, r"lacks \['target'\]"),
        ({"targets": pd.DataFrame({"compound": ["x"], "target": ["TP53"]})}, ValueError,
         "None of the compounds"),
        ({"targets": "targets", "model": "x"}, ValueError, "Both targets and model"),
        ({"known_targets": True, "model": "trained"}, ValueError, "known_targets needs labels"),
        ({"model": "no such model"}, FileNotFoundError, "No model 'no such model'"),
        ({"model": "trained", "structure": "smiles"}, ValueError, "the model uses no structures"),
        ({"model": "untrained"}, ValueError, "not trained, or not calibrated"),
        ({"model": "trained", "among": "some"}, ValueError, "among is 'some'"),
        ({"model": "trained", "among": ["nosuchgene"]}, GeneMatchError,
         "None of the 1 genes of among"),
        ({"embedding": "absent"}, FileNotFoundError, "absent"),
    ],
)  # fmt: skip
def test_refused_and_nothing_written(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    if isinstance(options.get("model"), str) and options["model"] in ("trained", "untrained"):
        options = options | {"model": planted.model() if options["model"] == "trained" else fresh()}
    mdata = planted.mdata(knockdown=planted.genetic(1, "knockdown"))
    with pytest.raises(error, match=text):
        predict(mdata, **options)
    assert list(mdata["compound"].obsm) == []
    assert list(mdata["compound"].uns) == ["targets"]


def test_genetic_modality_without_targets_is_refused() -> None:
    knock = planted.genetic(1, "knockdown")
    knock.obs = knock.obs.rename(columns={"target": "gene"})
    mdata = planted.mdata(knockdown=knock)
    with pytest.raises(KeyError, match="no column 'target'"):
        predict(mdata, genetic="knockdown", model=planted.model())
    assert list(mdata["compound"].obsm) == []


@pytest.mark.filterwarnings("ignore")
def test_data_that_is_refused() -> None:
    cells = planted.compounds()
    with pytest.raises(ValueError, match="axis=0: its modalities share observations"):
        predict(md.MuData({"compound": cells}, axis=0))
    with pytest.raises(KeyError, match="an AnnData, which has no modalities"):
        predict(cells, genetic="knockdown")
    with pytest.raises(TypeError, match="mdata is ndarray"):
        predict(cells.X)
    with pytest.raises(ValueError, match="0 signatures and 40 genes"):
        predict(cells[:0].copy())
    twice = planted.compounds()
    twice.obs_names = ["same", "same", *twice.obs_names[2:]]
    with pytest.raises(ValueError, match="obs_names has names more than once"):
        predict(twice)
    endless = unlabelled()
    endless.X[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinite"):
        predict(endless, model=planted.model())
    text = ad.AnnData(
        np.full((3, 2), "x", dtype=object), var=pd.DataFrame(index=planted.names()[:2])
    )
    with pytest.raises(TypeError, match="expected a numeric"):
        predict(text, model=planted.model())
    foreign = unlabelled()
    foreign.var_names = [f"no{i}" for i in range(foreign.n_vars)]
    with pytest.raises(GeneMatchError, match=r"of adata\.var_names is among"):
        predict(foreign, model=planted.model())
    few = planted.compounds()
    few.uns["targets"] = few.uns["targets"].head(2)
    with pytest.raises(ValueError, match="have both a signature and a target"):
        predict(few)
