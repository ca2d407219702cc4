"""NEWT on a small world: set up, train, read, impute, embed."""

from __future__ import annotations

import contextlib
import gc
import gzip
import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

import newt_sc as nt
from newt_sc.datasets._embedding import resolve_embedding
from newt_sc.errors import NewtWarning
from newt_sc.models._newt_module import FUSIONS
from newt_sc.models._newt_start import WEIGHTS
from newt_sc.tl import _fuse

if TYPE_CHECKING:
    from mudata import MuData

NEWT = nt.models.NEWT
SMALL: dict[str, Any] = {"n_latent": 8, "n_hidden": 16, "n_key": 8}
QUICK: dict[str, Any] = {"accelerator": "cpu", "batch_size": 32, "enable_progress_bar": False}
untrained = pytest.mark.filterwarnings("ignore:The model is not trained")


def new(embedding: ad.AnnData, **params: Any) -> nt.models.NEWT:
    NEWT.setup_anndata(embedding)
    return NEWT(embedding, **{**SMALL, **params})


def finite(block: Any) -> np.ndarray:
    return np.isfinite(np.asarray(block)).all(axis=1)


# -- before training -------------------------------------------------------------------------------


def test_weights_are_those_of_fuse() -> None:
    assert dict(WEIGHTS) == dict(_fuse.WEIGHTS)


@untrained
@pytest.mark.parametrize(
    ("fusion", "power"),
    [("attention", 0.0), ("attention", 1.0), ("mean", 0.5)],
)
def test_untrained_is_fuse(embedding: ad.AnnData, fusion: Any, power: float) -> None:
    model = new(embedding, fusion=fusion, power=power)
    expected = nt.tl.fuse(embedding, n_comps=8, power=power)
    np.testing.assert_allclose(model.get_latent_representation(), expected.X, atol=2e-4)
    attention = model.get_attention()
    np.testing.assert_allclose(
        attention,
        attention.notna().div(attention.notna().sum(axis=1), axis=0).where(attention.notna()),
    )


@untrained
def test_untrained_is_fuse_of_mudata_with_weights(mdata: MuData) -> None:
    weights = {"mine": 0.5, "function": 2.0}
    NEWT.setup_mudata(mdata)
    model = NEWT(mdata, weights=weights, n_latent=8)
    expected = nt.tl.fuse(mdata, weights=weights, n_comps=8)
    assert model.gene_names.tolist() == expected.obs_names.tolist()
    np.testing.assert_allclose(model.get_latent_representation(), expected.X, atol=2e-4)


@untrained
def test_no_more_dimensions_than_the_blocks_have(embedding: ad.AnnData) -> None:
    model = new(embedding, n_latent=256)
    assert model.n_latent == 15
    assert model.get_latent_representation().shape == (90, 15)


@untrained
def test_untrained_linear_decoder_is_the_best_linear_map(embedding: ad.AnnData) -> None:
    """With every component kept, PCA gives the blocks back."""
    model = new(embedding, n_latent=256, power=0.7)
    known = finite(np.hstack([embedding.obsm[name] for name in model.widths]))
    z = torch.from_numpy(model.get_latent_representation()[known])
    for name, block in zip(model.widths, model.module.decode(z), strict=True):
        true, guess = embedding.obsm[name][known], block.detach().numpy()
        cosine = (true * guess).sum(axis=1) / np.linalg.norm(guess, axis=1)
        assert cosine.min() > 0.99


def test_untrained_use_is_said(embedding: ad.AnnData) -> None:
    with pytest.warns(NewtWarning, match="not trained"):
        new(embedding).get_latent_representation()


# -- setting up ------------------------------------------------------------------------------------


def test_nothing_is_written_into_what_is_set_up(embedding: ad.AnnData, mdata: MuData) -> None:
    before = embedding.copy()
    new(embedding).train(1, **QUICK)
    assert list(embedding.obsm) == list(before.obsm)
    assert list(embedding.uns) == list(before.uns)
    for name in before.obsm:
        np.testing.assert_array_equal(embedding.obsm[name], before.obsm[name])
    keys = list(mdata.uns)
    NEWT.setup_mudata(mdata)
    assert list(mdata.uns) == keys
    assert list(mdata.obsm) == list(mdata.mod)


@untrained
def test_mudata_and_embedding_give_the_same(embedding: ad.AnnData, mdata: MuData) -> None:
    NEWT.setup_mudata(mdata)
    np.testing.assert_array_equal(
        NEWT(mdata, **SMALL).get_latent_representation(), new(embedding).get_latent_representation()
    )


@untrained
def test_own_names_for_modalities(mdata: MuData) -> None:
    NEWT.setup_mudata(mdata, modalities={"go": "function", "own": "mine"})
    model = NEWT(mdata, **SMALL)
    assert model.widths == {"go": 6, "own": 4}
    assert list(model.get_attention()) == ["go", "own"]
    again = model.get_latent_representation(mdata)
    np.testing.assert_array_equal(again, model.get_latent_representation())
    np.testing.assert_array_equal(model.get_latent_representation(model.to_embedding()), again)


def test_other_block_key(mdata: MuData) -> None:
    for mod in mdata.mod.values():
        mod.obsm["other"] = mod.obsm.pop("X_block")
    with pytest.raises(ValueError, match=r"run newt_sc\.pp\.encode"):
        NEWT.setup_mudata(mdata)
    NEWT.setup_mudata(mdata, block_key="other")
    assert NEWT(mdata).widths == {"function": 6, "lineage": 5, "mine": 4}


def test_without_a_record_arrays_of_obsm_are_modalities(embedding: ad.AnnData) -> None:
    del embedding.uns["newt"]
    embedding.obsm["attention"] = np.ones((90, 3))
    embedding.obsm["table"] = pd.DataFrame(np.ones((90, 3)), index=embedding.obs_names)
    assert list(new(embedding).widths) == ["function", "lineage", "mine"]


def test_genes_that_nobody_knows(tmp_path: Path) -> None:
    from .conftest import make_embedding

    embedding = make_embedding(unknown=7)
    with pytest.warns(NewtWarning, match="7 of 90 genes are known to no modality"):
        model = new(embedding)
    model.train(2, **QUICK)
    assert not np.isin(model.train_indices, range(7)).any()
    z = model.get_latent_representation()
    assert np.isnan(z[:7]).all()
    assert np.isfinite(z[7:]).all()
    assert model.get_attention().iloc[:7].isna().all(axis=None)
    assert model.impute("mine").iloc[:7].isna().all(axis=None)
    with pytest.warns(NewtWarning, match="7 of 90 genes are known to no modality and are left out"):
        assert model.to_embedding().n_obs == 83


def dask_block(block: np.ndarray) -> Any:
    return pytest.importorskip("dask.array").from_array(block)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (sparse.csr_matrix, TypeError, "is csr_matrix, expected a dense numpy array"),
        (sparse.csr_array, TypeError, "is csr_array, expected a dense numpy array"),
        (dask_block, TypeError, "is Array, expected a dense numpy array"),
        (lambda b: np.zeros(b.shape, dtype=np.int8), TypeError, "has dtype int8"),
        (lambda b: b.astype(bool), TypeError, "has dtype bool"),
        (lambda b: b.astype(complex), TypeError, "has dtype complex128"),
        (lambda b: b[:, :0], ValueError, r"shape \(90, 0\)"),
        (lambda b: b[:, :, None], ValueError, r"shape \(90, 4, 1\)"),
        (
            lambda b: np.where(np.arange(4) == 1, np.nan, 1.0) * np.ones(b.shape),
            ValueError,
            "90 rows that are partly NaN",
        ),
        (lambda b: np.full(b.shape, np.inf), ValueError, "90 rows that are partly NaN or infinite"),
        (lambda b: np.full(b.shape, 1e300), ValueError, "90 rows that are partly NaN or infinite"),
    ],
    ids=lambda value: None,
)
def test_bad_blocks(
    embedding: ad.AnnData, change: Callable[[Any], Any], error: type[Exception], message: str
) -> None:
    embedding.obsm["mine"] = change(np.nan_to_num(embedding.obsm["mine"]))
    with pytest.raises(error, match=message):
        NEWT.setup_anndata(embedding)
    with pytest.raises(ValueError, match="was not set up"):
        NEWT(embedding)


@pytest.mark.parametrize(
    ("modalities", "error", "message"),
    [
        (["function", "pathway"], KeyError, r"No block for \['pathway'\]"),
        ({"a": "function", "b": "x"}, KeyError, r"No block for \['x'\]"),
        ({"a": "function", "b": "function"}, ValueError, "one block under several names"),
        ({"a/b": "function", "b": "mine"}, ValueError, "cannot name a modality"),
        ({"attention": "function", "b": "mine"}, ValueError, "cannot name a modality"),
        (["function", "function"], ValueError, "more than once"),
        (["function"], ValueError, "one modality, 'function'"),
        ("function", ValueError, "one modality, 'function'"),
        ([], ValueError, "No modality"),
        ({}, ValueError, "No modality"),
    ],
)
def test_bad_modalities(
    embedding: ad.AnnData, mdata: MuData, modalities: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        NEWT.setup_anndata(embedding, modalities=modalities)
    with pytest.raises(error, match=message):
        NEWT.setup_mudata(mdata, modalities=modalities)


@pytest.mark.filterwarnings("ignore:Observation names are not unique:UserWarning")
def test_bad_genes(embedding: ad.AnnData, mdata: MuData) -> None:
    with pytest.raises(ValueError, match="Found 1 genes"):
        NEWT.setup_anndata(embedding[:1].copy())
    with pytest.raises(ValueError, match="Found 0 genes"):
        NEWT.setup_anndata(embedding[:0].copy())
    for name in embedding.obsm:
        embedding.obsm[name][:] = np.nan
    with pytest.raises(ValueError, match="None of the 90 genes is known"):
        NEWT.setup_anndata(embedding)
    mod = mdata["mine"]
    mod.obs_names = [mod.obs_names[1], *mod.obs_names[1:]]
    with pytest.raises(ValueError, match="'mine' has genes more than once"):
        NEWT.setup_mudata(mdata)


@pytest.mark.parametrize("wrong", [None, {}, "newt-human", np.ones((3, 2))], ids=repr)
def test_neither_mudata_nor_embedding(embedding: ad.AnnData, mdata: MuData, wrong: Any) -> None:
    for setup in (NEWT.setup_anndata, NEWT.setup_mudata):
        with pytest.raises(TypeError, match="expected a"):
            setup(wrong)
    with pytest.raises(TypeError, match="setup_mudata"):
        NEWT.setup_anndata(mdata)
    with pytest.raises(TypeError, match="setup_anndata"):
        NEWT.setup_mudata(embedding)


def test_a_copy_is_not_set_up(embedding: ad.AnnData) -> None:
    NEWT.setup_anndata(embedding)
    with pytest.raises(ValueError, match=r"was not set up \(a copy was not either\)"):
        NEWT(embedding.copy())


def test_setups_do_not_outlive_their_data(embedding: ad.AnnData) -> None:
    gc.collect()
    copy = embedding.copy()
    before = len(NEWT._setups), len(NEWT._setup_adata_manager_store)
    NEWT.setup_anndata(copy)
    NEWT.setup_anndata(copy)
    assert len(NEWT._setups) == before[0] + 1
    del copy
    gc.collect()
    assert (len(NEWT._setups), len(NEWT._setup_adata_manager_store)) == before


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_latent": 0}, ValueError, "n_latent is 0"),
        ({"n_latent": 2.5}, ValueError, "n_latent is 2.5"),
        ({"n_latent": True}, ValueError, "n_latent is True"),
        ({"fusion": "gcca"}, ValueError, "fusion is 'gcca'"),
        ({"weights": {"x": 1}}, KeyError, "no modalities"),
        ({"weights": {"mine": 0}}, ValueError, "expected positive numbers"),
        ({"weights": {"mine": np.nan}}, ValueError, "expected positive numbers"),
        ({"power": -1}, ValueError, "power is -1"),
        ({"power": np.nan}, ValueError, "power is nan"),
        ({"dropout": 1.0}, ValueError, "dropout is 1.0"),
        ({"n_hidden": -1}, ValueError, "n_hidden is -1"),
        ({"random_state": -1}, ValueError, "random_state is -1"),
        ({"fusion": "transformer"}, ValueError, "expected one of"),
    ],
)
def test_bad_params(
    embedding: ad.AnnData, params: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        new(embedding, **params)


# -- training --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fusion", FUSIONS)
def test_training_lowers_the_loss_and_changes_the_vectors(
    embedding: ad.AnnData, fusion: Any
) -> None:
    model = new(embedding, fusion=fusion)
    with pytest.warns(NewtWarning, match="not trained"):
        before = model.get_latent_representation()
    model.train(6, **QUICK, early_stopping=False, plan_kwargs={"lr": 0.01, "lr_projections": 0.01})
    loss = model.history["validation_loss"].iloc[:, 0]
    assert len(loss) == 6
    assert loss.iloc[-1] < loss.iloc[0]
    assert {"train_loss", "contrast_train", "reconstruction_train", "contrast_validation"} <= set(
        model.history
    )
    assert np.abs(model.get_latent_representation() - before).max() > 1e-3
    assert model.is_trained
    assert model.training["epochs"] == 6
    assert not model.module.training
    assert sorted([*model.train_indices, *model.validation_indices]) == list(range(90))
    model.train(2, **QUICK, early_stopping=False)
    assert model.training["epochs"] == 8
    assert len(model.history["validation_loss"]) == 8


def test_one_seed_gives_one_result(embedding: ad.AnnData) -> None:
    def vectors(random_state: int) -> np.ndarray:
        torch.rand(1)  # what was drawn before does not matter
        model = new(embedding, random_state=random_state)
        model.train(3, **QUICK)
        return np.asarray(model.get_latent_representation())

    first = vectors(0)
    np.testing.assert_allclose(vectors(0), first, atol=1e-4)
    assert np.abs(vectors(1) - first).max() > 1e-4


def test_training_leaves_torch_and_loggers_alone(
    embedding: ad.AnnData, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(5)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    flags = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    level = logging.getLogger("lightning.pytorch").level
    new(embedding).train(1, **QUICK)
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic) == flags
    assert logging.getLogger("lightning.pytorch").level == level
    assert list(tmp_path.iterdir()) == []


def test_early_stopping_keeps_the_best_epoch(embedding: ad.AnnData) -> None:
    """A learning rate that is far too high: the first epochs are the best."""
    model = new(embedding)
    model.train(
        30,
        **QUICK,
        patience=2,
        plan_kwargs={"lr": 0.3, "lr_projections": 0.3, "reconstruction_weight": 0.5},
    )
    loss = model.history["validation_loss"].iloc[:, 0].astype(float)
    assert model.training["epochs"] == len(loss) < 30
    assert loss.argmin() == len(loss) - 3
    from newt_sc.models._training import NewtPlan

    plan, logged = NewtPlan(model.module, reconstruction_weight=0.5), {}
    plan._log_all = lambda values, mode, size: logged.update(values)  # type: ignore[method-assign]
    loader = model._make_data_loader(model.adata, indices=model.validation_indices, batch_size=90)
    with torch.no_grad():
        plan.validation_step(next(iter(loader)), 0)
    assert logged["loss"].item() == pytest.approx(loss.min(), abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_epochs": 0}, "max_epochs 0"),
        ({"batch_size": 1}, "batch_size 1"),
        ({"train_size": 0.0}, "train_size 0.0"),
        ({"train_size": 1.5}, "train_size 1.5"),
        ({"train_size": 1.0}, "0 validation genes are too few"),
        ({"patience": 0}, "patience 0"),
        ({"plan_kwargs": {"lr": -1.0}}, "expected numbers from 0 up"),
        ({"plan_kwargs": {"lr": np.nan}}, "expected numbers from 0 up"),
        ({"plan_kwargs": {"n_held_out": 0}}, "n_held_out at least 1"),
        ({"plan_kwargs": {"modality_dropout": 1.0}}, "modality_dropout below 1"),
    ],
)
def test_bad_training(embedding: ad.AnnData, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        new(embedding).train(**arguments)


def test_unknown_parameter_of_training(embedding: ad.AnnData) -> None:
    with pytest.raises(TypeError, match="n_epochs"):
        new(embedding).train(1, plan_kwargs={"n_epochs": 3})


def test_all_genes_may_train(embedding: ad.AnnData) -> None:
    model = new(embedding)
    model.train(1, **QUICK, train_size=1.0, early_stopping=False)
    assert len(model.train_indices) == 90


def test_nothing_to_hold_out(embedding: ad.AnnData) -> None:
    embedding.obsm["lineage"][:] = np.nan
    known = np.arange(90) < 45
    embedding.obsm["function"][:] = np.where(known[:, None], 1.0, np.nan)
    embedding.obsm["mine"][:] = np.where(known[:, None], np.nan, 1.0)
    with pytest.raises(ValueError, match="Fewer than two training genes"):
        new(embedding).train(1, **QUICK)


@pytest.mark.parametrize(("lr", "error"), [(1e30, RuntimeError), (1e38, Exception)])
def test_divergence_is_undone(embedding: ad.AnnData, lr: float, error: type[Exception]) -> None:
    model = new(embedding)
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    with pytest.raises(error):
        model.train(3, **QUICK, early_stopping=False, plan_kwargs={"lr": lr, "lr_projections": lr})
    assert not model.is_trained
    for name, value in model.module.state_dict().items():
        assert torch.equal(value, before[name])


# -- partners and private dimensions ---------------------------------------------------------------


def couples(embedding: ad.AnnData) -> pd.DataFrame:
    """Each gene with one other, at random: nothing that the blocks say."""
    order = np.random.default_rng(5).permutation(embedding.obs_names)
    return pd.DataFrame({"a": order[:45], "b": order[45:]})


def neighbours(embedding: ad.AnnData) -> pd.DataFrame:
    """Each gene with the one that is most like it in one of the modalities."""
    known = embedding[finite(embedding.obsm["mine"])]
    likeness = known.obsm["mine"] @ known.obsm["mine"].T
    np.fill_diagonal(likeness, -1)
    return pd.DataFrame({"a": known.obs_names, "b": known.obs_names[likeness.argmax(axis=1)]})


def likeness(model: nt.models.NEWT, pairs: pd.DataFrame) -> float:
    """Mean cosine of pairs, less that of all."""
    z = pd.DataFrame(model.get_latent_representation(), index=model.gene_names)
    z = z.div(np.linalg.norm(z, axis=1), axis=0)
    a, b = (z.loc[pairs[column]].to_numpy() for column in pairs)
    return float((a * b).sum(axis=1).mean() - (z.to_numpy() @ z.to_numpy().T).mean())


@pytest.mark.slow
def test_pairs_bring_partners_together(embedding: ad.AnnData) -> None:
    pairs = neighbours(embedding)
    settings = {"early_stopping": False, "train_size": 1.0, "plan_kwargs": {"lr_projections": 0.01}}
    plain, told = new(embedding), new(embedding)
    plain.train(30, **settings, **QUICK)
    told.train(30, pairs=pairs, **settings, **QUICK)
    assert likeness(told, pairs) > likeness(plain, pairs) + 0.03
    assert plain.training["n_pairs"] == 0
    assert 30 < told.training["n_pairs"] <= len(pairs)
    losses = told.history["partners_train"].to_numpy().ravel()
    assert losses[-1] < losses[0] - 1


def test_pairs_once_whatever_their_order_and_only_of_genes_that_are_trained_on(
    embedding: ad.AnnData,
) -> None:
    pairs = couples(embedding)
    model = new(embedding)
    more = pd.DataFrame(
        {"a": ["no such gene", pairs["b"][0], pairs["a"][0]], "b": [pairs["a"][0]] * 3}
    )
    model.train(
        1, early_stopping=False, train_size=1.0, pairs=pd.concat([pairs, more, pairs]), **QUICK
    )
    assert model.training["n_pairs"] == 45
    model = new(embedding)
    model.train(1, train_size=0.5, pairs=pairs, **QUICK)
    trained = set(model.gene_names[model.train_indices])
    assert model.training["n_pairs"] == sum({a, b} <= trained for a, b in pairs.to_numpy())
    assert 0 < model.training["n_pairs"] < 45


@pytest.mark.parametrize(
    ("pairs", "error", "message"),
    [
        ([("A", "B")], TypeError, "pairs is list, expected a DataFrame"),
        (pd.DataFrame({"a": ["A"]}), ValueError, "has 1 columns, expected two"),
        (
            pd.DataFrame({"a": ["A"], "b": ["B"]}),
            ValueError,
            "None of the 1 pairs is of two different genes",
        ),
        (pd.DataFrame({"a": [], "b": []}), ValueError, "None of the 0 pairs"),
        (pd.DataFrame({"a": [1.0, np.nan], "b": [2.0, np.nan]}), ValueError, "None of the 2 pairs"),
    ],
)
def test_bad_pairs(embedding: ad.AnnData, pairs: Any, error: type[Exception], message: str) -> None:
    model = new(embedding)
    with pytest.raises(error, match=message):
        model.train(1, pairs=pairs, **QUICK)
    assert not model.is_trained_


def test_a_gene_with_itself_is_no_pair(embedding: ad.AnnData) -> None:
    names = embedding.obs_names[:5]
    with pytest.raises(ValueError, match="None of the 5 pairs is of two different genes"):
        new(embedding).train(1, pairs=pd.DataFrame({"a": names, "b": names}), **QUICK)


def test_private_dimensions_stay_the_pca(embedding: ad.AnnData, tmp_path: Path) -> None:
    model = new(embedding, n_private=3)
    expected = nt.tl.fuse(embedding, n_comps=3, power=0.5)[model.gene_names].X
    expected = 1.5 * expected / np.linalg.norm(expected, axis=1, keepdims=True)
    for epochs in (0, 4):
        if epochs:
            model.train(epochs, pairs=couples(embedding), **QUICK)
        with (
            pytest.warns(NewtWarning, match="not trained")
            if not epochs
            else contextlib.nullcontext()
        ):
            z = model.get_latent_representation()
        assert z.shape == (90, 8) == (90, model.n_latent)
        np.testing.assert_allclose(z[:, 5:], expected, atol=2e-4)
        np.testing.assert_allclose(np.linalg.norm(z[:, :5], axis=1), 1, atol=1e-5)
    model.save(tmp_path / "m")
    again = NEWT.load(tmp_path / "m", embedding)
    np.testing.assert_array_equal(again.get_latent_representation(), z)
    assert again.params["n_private"] == 3
    blocks = embedding[:4].copy()
    np.testing.assert_allclose(again.embed_new_genes(blocks)[blocks.obs_names].X, z[:4], atol=1e-5)


@untrained
def test_private_dimensions_count_as_much_as_is_said(embedding: ad.AnnData, tmp_path: Path) -> None:
    model = new(embedding, n_private=3, private_weight=0.25)
    z = model.get_latent_representation()
    np.testing.assert_allclose(np.linalg.norm(z[:, 5:], axis=1), 0.25, atol=1e-5)
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(
        NEWT.load(tmp_path / "m", embedding).get_latent_representation(), z
    )
    path = tmp_path / "m" / "model.json"
    described = json.loads(path.read_text())
    del described["params"]["private_weight"]  # as models of before, whose parts had one length
    path.write_text(json.dumps(described))
    again = NEWT.load(tmp_path / "m", embedding).get_latent_representation()
    np.testing.assert_allclose(np.linalg.norm(again[:, 5:], axis=1), 1, atol=1e-5)


@untrained
def test_no_more_private_dimensions_than_the_blocks_have(
    embedding: ad.AnnData, tmp_path: Path
) -> None:
    model = new(embedding, n_latent=256, n_private=100)
    assert (model.n_latent, model.params["n_private"]) == (30, 15)
    model.save(tmp_path / "m")
    assert NEWT.load(tmp_path / "m", embedding).get_latent_representation().shape == (90, 30)


@untrained
def test_modalities_may_be_called_like_what_is_beside_them(embedding: ad.AnnData) -> None:
    plain = new(embedding)
    named = {"row": "function", "present": "lineage", "block_0": "mine"}
    NEWT.setup_anndata(embedding, modalities=named)
    again = NEWT(
        embedding, **SMALL, weights=dict.fromkeys(named, 1.0) | {"present": WEIGHTS["lineage"]}
    )
    np.testing.assert_allclose(
        again.get_latent_representation(), plain.get_latent_representation(), atol=1e-5
    )
    again.train(1, pairs=couples(embedding), **QUICK)
    assert np.isfinite(again.get_latent_representation()).all()


@pytest.mark.parametrize("n_private", [8, 9])
def test_a_file_with_too_many_private_dimensions(
    embedding: ad.AnnData, tmp_path: Path, n_private: int
) -> None:
    model = new(embedding, n_private=2)
    model.train(1, **QUICK)
    model.save(tmp_path / "m")
    described = json.loads((tmp_path / "m" / "model.json").read_text())
    described["params"] |= {"n_private": n_private, "n_latent": 100}
    (tmp_path / "m" / "model.json").write_text(json.dumps(described))
    with pytest.raises(nt.errors.FormatError, match="of 8 dimensions are private"):
        NEWT.load(tmp_path / "m", embedding)


def test_a_model_of_before_has_no_private_dimensions(embedding: ad.AnnData, tmp_path: Path) -> None:
    model = new(embedding)
    model.train(1, **QUICK)
    model.save(tmp_path / "m")
    described = json.loads((tmp_path / "m" / "model.json").read_text())
    del described["params"]["n_private"]
    (tmp_path / "m" / "model.json").write_text(json.dumps(described))
    again = NEWT.load(tmp_path / "m", embedding)
    np.testing.assert_array_equal(
        again.get_latent_representation(), model.get_latent_representation()
    )


# -- what it says ----------------------------------------------------------------------------------


def test_latent_representation(trained: nt.models.NEWT, world: ad.AnnData) -> None:
    z = trained.get_latent_representation()
    assert z.shape == (90, 8)
    assert z.dtype == np.float32
    np.testing.assert_array_equal(trained.get_gene_embedding(), z)
    np.testing.assert_allclose(trained.get_latent_representation(batch_size=7), z, atol=1e-5)
    np.testing.assert_allclose(
        trained.get_latent_representation(world[40:60].copy()), z[40:60], atol=1e-5
    )


def test_subset_of_modalities_is_the_same_as_removing_the_others(
    trained: nt.models.NEWT, world: ad.AnnData
) -> None:
    part = trained.get_latent_representation(modalities=["function", "mine"])
    without = world.copy()
    without.obsm["lineage"][:] = np.nan
    np.testing.assert_array_equal(part, trained.get_latent_representation(without))
    del without.obsm["lineage"]
    np.testing.assert_array_equal(part, trained.get_latent_representation(without))
    nothing = ~(finite(world.obsm["function"]) | finite(world.obsm["mine"]))
    assert nothing.any()
    np.testing.assert_array_equal(np.isnan(part).all(axis=1), nothing)
    one = trained.get_attention(modalities="mine")
    assert one["function"].isna().all()
    np.testing.assert_array_equal(one["mine"].notna(), finite(world.obsm["mine"]))


def test_attention(trained: nt.models.NEWT, world: ad.AnnData) -> None:
    attention = trained.get_attention()
    assert list(attention) == list(trained.widths)
    assert attention.index.tolist() == world.obs_names.tolist()
    for name in trained.widths:
        np.testing.assert_array_equal(attention[name].notna(), finite(world.obsm[name]))
    np.testing.assert_allclose(attention.sum(axis=1), 1, atol=1e-6)
    assert attention.dropna().std().max() > 1e-4


def test_impute(trained: nt.models.NEWT, world: ad.AnnData) -> None:
    every, missing = trained.impute("mine", which="all"), trained.impute("mine")
    assert every.index.tolist() == world.obs_names.tolist()
    assert missing.index.tolist() == world.obs_names[~finite(world.obsm["mine"])].tolist()
    pd.testing.assert_frame_equal(missing, every.loc[missing.index], atol=1e-5)
    assert every.shape[1] == 4
    nothing = ~(finite(world.obsm["function"]) | finite(world.obsm["lineage"]))
    np.testing.assert_array_equal(every.isna().all(axis=1), nothing)
    np.testing.assert_allclose(np.linalg.norm(every[~nothing], axis=1), 1, atol=1e-5)
    other = world.copy()
    other.obsm["mine"] = np.ones_like(other.obsm["mine"])
    pd.testing.assert_frame_equal(trained.impute("mine", other, which="all"), every)


def test_imputed_blocks_are_better_than_chance(world: ad.AnnData) -> None:
    model = new(world)
    model.train(10, **QUICK)
    guess = model.impute("mine", which="all").to_numpy()
    ok = finite(guess) & finite(world.obsm["mine"])
    true = world.obsm["mine"][ok]
    cosine = (guess[ok] * true).sum(axis=1).mean()
    shuffled = (np.random.default_rng(0).permutation(guess[ok]) * true).sum(axis=1).mean()
    assert cosine > shuffled + 0.3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.impute("x"), KeyError, r"no modality \['x'\]"),
        (lambda m: m.impute("mine", which="some"), ValueError, "which is 'some'"),
        (lambda m: m.get_latent_representation(modalities=["x"]), KeyError, r"no modality \['x'\]"),
        (lambda m: m.get_latent_representation(batch_size=0), ValueError, "batch_size is 0"),
        (lambda m: m.get_latent_representation("newt-human"), TypeError, "Found str"),
        (lambda m: m.embed_new_genes(3), TypeError, "Found int"),
        (lambda m: m.embed_new_genes({}), ValueError, "No modality"),
        (lambda m: m.embed_new_genes({"x": pd.DataFrame()}), KeyError, r"no modality \['x'\]"),
        (
            lambda m: m.embed_new_genes({"mine": np.ones((2, 4))}),
            TypeError,
            "is ndarray, expected a DataFrame",
        ),
        (
            lambda m: m.embed_new_genes({"mine": pd.DataFrame(np.ones((2, 3)))}),
            ValueError,
            r"\{'mine': 3\} dimensions",
        ),
        (
            lambda m: m.embed_new_genes({"mine": pd.DataFrame([["a"] * 4])}),
            TypeError,
            "dtype object",
        ),
        (
            lambda m: m.embed_new_genes({"mine": pd.DataFrame(np.full((2, 4), np.nan))}),
            ValueError,
            "None of the 2",
        ),
        (
            lambda m: m.embed_new_genes({"mine": pd.DataFrame(np.ones((2, 4)), ["A", "A"])}),
            ValueError,
            "more than once",
        ),
        (
            lambda m: m.embed_new_genes(ad.AnnData(np.ones((2, 2)))),
            KeyError,
            "None of the model's modalities",
        ),
    ],
    ids=lambda value: None,
)
def test_bad_questions(
    trained: nt.models.NEWT, call: Callable[[Any], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(trained)


def test_new_genes(trained: nt.models.NEWT, world: ad.AnnData, mdata: MuData) -> None:
    z = trained.get_latent_representation()
    frames = {
        name: (
            pd.DataFrame(world.obsm[name], index="NEW" + world.obs_names)
            .dropna()
            .sample(frac=1, random_state=0)
        )
        for name in trained.widths
    }
    out = trained.embed_new_genes(frames)
    assert out.obs_names.tolist() == [f"NEW{gene}" for gene in world.obs_names]
    np.testing.assert_allclose(out.X, z, atol=1e-5)
    assert (out.obs["hgnc_id"] == "").all()
    np.testing.assert_allclose(trained.embed_new_genes(mdata).X, z, atol=1e-5)
    part = trained.embed_new_genes({"mine": frames["mine"].iloc[:1]})  # one gene, one modality
    assert part.shape == (1, 8)
    assert part.obs["n_modalities"].tolist() == [1]
    expected = trained.get_latent_representation(modalities=["mine"])[
        "NEW" + world.obs_names == part.obs_names[0]
    ]
    np.testing.assert_allclose(part.X, expected, atol=1e-5)
    assert np.isnan(part.obsm["function"]).all()
    half = pd.DataFrame([np.ones(4), np.full(4, np.nan)], index=["A", "B"], dtype=np.float32)
    with pytest.warns(NewtWarning, match="1 of 2 genes"):
        out = trained.embed_new_genes({"mine": half})
    assert out.obs_names.tolist() == ["A"]


def test_embedding(trained: nt.models.NEWT, world: ad.AnnData, tmp_path: Path) -> None:
    out = trained.to_embedding()
    np.testing.assert_array_equal(out.X, trained.get_latent_representation())
    assert out.obs_names.tolist() == world.obs_names.tolist()
    for name in trained.widths:
        np.testing.assert_array_equal(out.obsm[name], world.obsm[name])
    pd.testing.assert_frame_equal(out.obsm["attention"], trained.get_attention())
    known = sum(finite(world.obsm[name]).astype(int) for name in trained.widths)
    assert out.obs["n_modalities"].tolist() == known.tolist()
    assert out.obs["hgnc_id"].str.startswith("HGNC:").all()
    made = out.uns["newt"]
    assert made["params"]["method"] == "newt"
    assert made["params"]["n_comps"] == 8
    assert made["params"]["training"]["epochs"] == trained.training["epochs"]
    assert made["modalities"].tolist() == list(trained.widths)
    assert made["n_genes"] == {name: int(finite(world.obsm[name]).sum()) for name in trained.widths}
    assert made["manifest"]["source"].tolist() == ["a", "b", "c"]
    out.write_h5ad(tmp_path / "e.h5ad")
    back = ad.read_h5ad(tmp_path / "e.h5ad")
    pd.testing.assert_frame_equal(back.obsm["attention"], out.obsm["attention"])
    assert back.uns["newt"]["params"]["weights"] == made["params"]["weights"]
    np.testing.assert_allclose(trained.get_latent_representation(back), out.X, atol=1e-5)
    assert nt.tl.fuse(back, n_comps=3).shape == (90, 3)
    described = resolve_embedding(tmp_path / "e.h5ad")
    np.testing.assert_array_equal(described.X, out.X)


def test_a_second_model_starts_from_an_embedding(trained: nt.models.NEWT) -> None:
    out = trained.to_embedding()
    NEWT.setup_anndata(out)
    assert NEWT(out).widths == trained.widths


def test_repr(trained: nt.models.NEWT, capsys: pytest.CaptureFixture[str]) -> None:
    print(repr(trained))
    assert "90 genes" in capsys.readouterr().out


# -- a user's own bundle ---------------------------------------------------------------------------


def test_own_bundle_from_files_to_vectors(tmp_path: Path) -> None:
    """A GMT and an edge list: read, encode, train, save, load, embed."""
    genes = (
        nt.genes.table().query("locus_group == 'protein-coding gene'")["symbol"].iloc[:80].tolist()
    )
    rng = np.random.default_rng(0)
    kind = rng.integers(6, size=80)
    sets = []
    for i in range(30):
        members = [
            g
            for g, k in zip(genes, kind, strict=True)
            if rng.random() < (0.7 if k == i % 6 else 0.05)
        ]
        sets.append("\t".join([f"SET{i}", "", *members]))
    with gzip.open(tmp_path / "sets.gmt.gz", "wt") as stream:
        stream.write("\n".join(sets) + "\n")
    edges = [
        f"{genes[i]}\t{genes[j]}\t{rng.random():.3f}"
        for i in range(70)
        for j in range(i)
        if rng.random() < (0.6 if kind[i] == kind[j] else 0.05)
    ]
    (tmp_path / "edges.tsv").write_text("source\ttarget\tweight\n" + "\n".join(edges) + "\n")
    columns = [
        "modality",
        "file",
        "format",
        "source",
        "version",
        "date",
        "origin",
        "licence",
        "redistributable",
        "sha256",
    ]
    rows = [columns]
    for modality, file, kind_of in [
        ("function", "sets.gmt.gz", "gmt"),
        ("interaction", "edges.tsv", "edges"),
    ]:
        digest = hashlib.sha256((tmp_path / file).read_bytes()).hexdigest()
        rows.append(
            [modality, file, kind_of, "mine", "1", "2026-01-01", "here", "CC0-1.0", "True", digest]
        )
    (tmp_path / "mine.bundle.tsv").write_text("\n".join("\t".join(row) for row in rows) + "\n")

    mdata = nt.datasets.bundle(tmp_path / "mine.bundle.tsv")
    nt.pp.encode(mdata, n_comps=12)
    NEWT.setup_mudata(mdata, modalities={"function": "function", "interaction": "interaction"})
    model = NEWT(mdata, n_latent=16)
    model.train(10, **QUICK)
    model.save(tmp_path / "model")
    loaded = NEWT.load(tmp_path / "model", mdata)
    out = loaded.to_embedding()
    np.testing.assert_array_equal(out.X, model.get_latent_representation())
    assert out.shape == (80, 16)
    assert out.uns["newt"]["manifest"]["source"].tolist() == ["mine", "mine"]
    assert (
        nt.metrics.label_knn(
            np.asarray(out.X), kind[[genes.index(g) for g in out.obs_names]], n_neighbors=5
        )
        > 0.6
    )
    cells = ad.AnnData(
        np.log1p(rng.poisson(2.0, (20, 80))).astype(np.float32), var=pd.DataFrame(index=genes)
    )
    nt.tl.embed(cells, embedding=out, mode="project", mask_var=None)
    assert np.isfinite(cells.obsm["X_newt"]).all()
