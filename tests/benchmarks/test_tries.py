"""What is tried in the benchmark of fusion, on small data."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from mudata import MuData

import newt_sc as nt
from benchmarks import _tries

N = 60
NAMES = ("a", "b")


@pytest.fixture
def blocks() -> ad.AnnData:
    rng = np.random.default_rng(0)
    common = rng.standard_normal((N, 4))
    out = ad.AnnData(obs=pd.DataFrame(index=[f"g{i}" for i in range(N)]))
    for name in NAMES:
        block = (common @ rng.standard_normal((4, 6)) + 0.1 * rng.standard_normal((N, 6))).astype(
            np.float32
        )
        block[rng.permutation(N)[:8]] = np.nan
        out.obsm[name] = block
    return out[np.isfinite(out.obsm["a"][:, 0]) | np.isfinite(out.obsm["b"][:, 0])].copy()


@pytest.fixture
def knowledge(blocks: ad.AnnData) -> MuData:
    rng = np.random.default_rng(1)
    mods = {}
    for name, kind in (("a", "set"), ("b", "partner")):
        X = (rng.random((blocks.n_obs, 30)) < rng.random(blocks.n_obs)[:, None]).astype(np.float32)
        var = pd.DataFrame({"kind": [kind] * 30}, index=[f"{name}{i}" for i in range(30)])
        mods[name] = ad.AnnData(X, obs=pd.DataFrame(index=blocks.obs_names), var=var)
    return MuData(mods)


def _batch(blocks: ad.AnnData) -> tuple[list[torch.Tensor], torch.Tensor]:
    values = [torch.from_numpy(np.asarray(blocks.obsm[name])) for name in NAMES]
    return values, torch.stack([value.isfinite().all(dim=1) for value in values], dim=1)


def test_without_anything_tried_the_loss_is_the_package_s(blocks: ad.AnnData) -> None:
    nt.models.NEWT.setup_anndata(blocks, modalities=NAMES)
    module = nt.models.NEWT(blocks, n_latent=4, dropout=0.0).module
    values, present = _batch(blocks)
    zeros = [np.nan_to_num(value.numpy()) for value in values]
    held = torch.zeros_like(present)
    held[:, 1] = present[:, 1] & present[:, 0]
    seen = present & ~held
    plain = _tries._training.NewtPlan(module).train().losses(values, present, seen, held)
    same = _tries.Plan(module, blocks=zeros).train().losses(values, present, seen, held)
    for name in plain:
        torch.testing.assert_close(same[name], plain[name])
    count = np.zeros((blocks.n_obs, 2))  # all alike: every negative counts in full
    alike = (
        _tries.Plan(module, blocks=zeros, counts=count).train().losses(values, present, seen, held)
    )
    torch.testing.assert_close(alike["contrast"], plain["contrast"])
    count[:, 0] = 100.0 * np.arange(blocks.n_obs)  # none alike: nothing to tell a gene from
    apart = (
        _tries.Plan(module, blocks=zeros, counts=count).train().losses(values, present, seen, held)
    )
    assert apart["contrast"].item() < 0.1 * plain["contrast"].item()


def test_neighbours_are_the_nearest_that_know(blocks: ad.AnnData) -> None:
    near = _tries.neighbours(blocks, NAMES)
    for column, name in enumerate(NAMES):
        X = np.asarray(blocks.obsm[name])
        known = np.isfinite(X[:, 0])
        row = int(np.flatnonzero(known)[3])
        unit = X / np.linalg.norm(X, axis=1, keepdims=True)
        cosine = np.where(known, np.nan_to_num(unit) @ unit[row], -np.inf)
        cosine[row] = -np.inf
        assert set(near[row, column]) == set(np.argsort(-cosine)[: _tries.N_NEIGHBORS])
        absent = np.flatnonzero(~known)
        assert (near[absent, column] == absent[:, None]).all()


@pytest.mark.parametrize("tried", [{"negatives": "matched"}, {"positives": "neighbours"}])
def test_training_with_it_changes_the_model_and_leaves_the_package(
    blocks: ad.AnnData, knowledge: MuData, tried: dict[str, str]
) -> None:
    own = _tries._training.NewtPlan
    nt.models.NEWT.setup_anndata(blocks, modalities=NAMES)
    vectors = []
    for params in ({}, tried):
        model = nt.models.NEWT(blocks, n_latent=4)
        if params:
            with _tries.planned(blocks, knowledge, NAMES, **params):
                model.train(2, enable_progress_bar=False, early_stopping=False, batch_size=32)
        else:
            model.train(2, enable_progress_bar=False, early_stopping=False, batch_size=32)
        vectors.append(model.get_latent_representation())
    assert _tries._training.NewtPlan is own
    assert np.isfinite(vectors[1]).all()
    assert not np.allclose(*vectors)


def test_start_from_gcca_is_not_that_from_pca(blocks: ad.AnnData) -> None:
    blocks.uns["newt"] = {"modalities": np.array(NAMES)}
    nt.models.NEWT.setup_anndata(blocks, modalities=NAMES)
    model = nt.models.NEWT(blocks, n_latent=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nt.errors.NewtWarning)  # the model is not trained
        before = model.get_latent_representation()
        _tries.gcca_start(model, blocks, NAMES)
        after = model.get_latent_representation()
    whole = np.isfinite(blocks.obsm["a"][:, 0]) & np.isfinite(blocks.obsm["b"][:, 0])
    genes, G = _tries._peers.gcca(blocks, n_comps=4)
    G = G[genes.get_indexer(blocks.obs_names)][whole]
    assert not np.allclose(before, after)
    correlation = [abs(np.corrcoef(after[whole, i], G[:, i])[0, 1]) for i in range(4)]
    assert min(correlation) > 0.8


def test_words_tell_genes_of_like_terms(data_dir: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWT_SC_DATA_DIR", str(data_dir))
    names = pd.read_csv(
        f"{data_dir}/knowledge/function/go_terms_2024.tsv.gz", sep="\t", usecols=["go_id", "Term"]
    )
    names = names.drop_duplicates("go_id").set_index("go_id")["Term"]
    heart = names.index[names.str.contains("heart|cardiac")][:20]
    lipid = names.index[names.str.contains("lipid")][:20]
    X = np.zeros(
        (40, 40), dtype=np.float32
    )  # 20 genes of the heart, 20 of lipids; each term has three neighbours
    for i in range(20):
        for near in range(3):
            X[i, (i + near) % 20] = X[20 + i, 20 + (i + near) % 20] = 1
    var = pd.DataFrame(index=[f"GO|{term}" for term in [*heart, *lipid]])
    function = ad.AnnData(X, obs=pd.DataFrame(index=[f"g{i}" for i in range(40)]), var=var)
    block = _tries.words_block(function, pd.Index(["absent", *function.obs_names]), n_comps=4)
    assert np.isnan(block[0]).all()
    assert np.isfinite(block[1:]).all()
    unit = block[1:] / np.linalg.norm(block[1:], axis=1, keepdims=True)
    cosine = unit @ unit.T
    shares = X @ X.T > 0
    alike = np.zeros_like(shares)
    alike[:20, :20] = alike[20:, 20:] = True
    assert cosine[alike & ~shares].mean() > cosine[~alike].mean() + 0.1
