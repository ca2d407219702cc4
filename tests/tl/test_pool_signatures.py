"""Signatures of a compound pooled, against numpy and scipy."""

from __future__ import annotations

from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

import newt_sc as nt
from newt_sc.errors import NewtWarning
from newt_sc.tl import _pool_signatures

N_GENES = 40


def signatures(seed: int = 0, n_compounds: int = 4, n_each: int = 5) -> ad.AnnData:
    """Replicates of a profile with noise; the last of each compound is noise alone."""
    rng = np.random.default_rng(seed)
    profiles = 2 * rng.standard_normal((n_compounds, N_GENES))
    X = np.repeat(profiles, n_each, axis=0) + rng.standard_normal((n_compounds * n_each, N_GENES))
    X[n_each - 1 :: n_each] = rng.standard_normal((n_compounds, N_GENES))
    names = np.repeat([f"drug{i}" for i in range(n_compounds)], n_each)
    order = rng.permutation(len(X))  # replicates do not stand together
    obs = pd.DataFrame(
        {
            "pert_iname": names,
            "pert_id": [f"BRD-{name}" for name in names],
            "cell_id": np.resize(["A375", "MCF7", "PC3", "A375", "HT29"], len(names)),
        },
        index=[f"S{i}" for i in range(len(X))],
    )
    adata = ad.AnnData(X.astype(np.float32), obs=obs)
    adata.var_names = [f"G{i}" for i in range(N_GENES)]
    return adata[order].copy()


def by_hand(adata: ad.AnnData, name: str) -> tuple[np.ndarray, float]:
    """Weights are mean Spearman correlations with the other replicates, at least .01."""
    X = np.asarray(adata[adata.obs["pert_iname"] == name].X, dtype=np.float64)
    r = stats.spearmanr(X, axis=1).statistic
    mean = (r.sum(axis=1) - 1) / (len(X) - 1)
    w = np.maximum(mean, 0.01)
    return (w[:, None] * X).sum(axis=0) / np.sqrt((w**2).sum()), float(mean.mean())


def test_against_scipy() -> None:
    adata = signatures()
    found = nt.tl.pool_signatures(adata)
    assert sorted(found.obs_names) == [f"drug{i}" for i in range(4)]
    assert found.X.dtype == np.float32
    for name in found.obs_names:
        pooled, agreement = by_hand(adata, name)
        np.testing.assert_allclose(found[name].X[0], pooled, rtol=1e-5)
        assert found.obs.loc[name, "agreement"] == pytest.approx(agreement)
    assert (found.obs["n_signatures"] == 5).all()
    assert found.obs.loc["drug1", "pert_id"] == "BRD-drug1"
    assert set(found.obs.loc["drug1", "cell_id"].split("|")) == {"A375", "MCF7", "PC3", "HT29"}


def test_equal_weights_are_stouffers_method() -> None:
    adata = signatures()
    found = nt.tl.pool_signatures(adata, weights="equal")
    X = np.asarray(adata[adata.obs["pert_iname"] == "drug2"].X)
    np.testing.assert_allclose(found["drug2"].X[0], X.sum(axis=0) / np.sqrt(5), rtol=1e-5)


def test_replicates_that_agree_count_more() -> None:
    """A replicate of noise alone hardly counts, so that the pooled one is nearer to the profile."""
    near = {"agreement": [], "equal": []}
    for seed in range(20):
        adata = signatures(seed, n_compounds=1)
        truth = np.asarray(adata[[f"S{i}" for i in range(4)]].X).mean(axis=0)
        for weights, found in near.items():
            X = nt.tl.pool_signatures(adata, weights=weights).X[0]
            found.append(np.corrcoef(X, truth)[0, 1])
    assert np.mean(near["agreement"]) > np.mean(near["equal"]) + 0.005


def test_noise_keeps_its_scale() -> None:
    rng = np.random.default_rng(0)
    adata = ad.AnnData(rng.standard_normal((60, 2000)).astype(np.float32))
    adata.obs["pert_id"] = np.repeat(["a", "b", "c"], 20)
    for weights in ("agreement", "equal"):
        found = nt.tl.pool_signatures(adata, weights=weights)
        np.testing.assert_allclose(np.std(found.X, axis=1), 1, atol=0.08)


@pytest.mark.parametrize("kind", ["csr", "csc", "dask", "backed", "mudata"])
def test_however_they_are_held(kind: str, tmp_path: Any) -> None:
    whole = signatures()
    expected = nt.tl.pool_signatures(whole)
    data: Any = whole.copy()
    if kind in ("csr", "csc"):
        data.X = sparse.csr_matrix(data.X) if kind == "csr" else sparse.csc_matrix(data.X)
    elif kind == "dask":
        data.X = pytest.importorskip("dask.array").from_array(data.X, chunks=(3, N_GENES))
    elif kind == "backed":
        data.write_h5ad(tmp_path / "a.h5ad")
        data = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    else:
        other = ad.AnnData(np.ones((1, N_GENES), dtype=np.float32), obs=pd.DataFrame(index=["o"]))
        other.var_names = whole.var_names
        data = md.MuData({"compound": data, "overexpression": other}, axis=1)
    found = nt.tl.pool_signatures(data)
    np.testing.assert_allclose(found[expected.obs_names].X, expected.X, rtol=1e-5)
    if kind == "backed":
        data.file.close()


def test_what_is_not_measured_does_not_count() -> None:
    adata = signatures()
    adata.X[:, 7] = np.nan
    some = np.flatnonzero(adata.obs["pert_iname"] == "drug0")
    adata.X[some[:2], 3] = np.nan
    found = nt.tl.pool_signatures(adata, weights="equal")
    assert np.isnan(found.X[:, 7]).all()
    expected = adata.X[some[2:], 3].sum() / np.sqrt(3)
    assert found["drug0"].X[0, 3] == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(nt.tl.pool_signatures(adata).X[:, :7]).all()


def test_single_signatures_stay() -> None:
    adata = signatures(n_each=1)
    found = nt.tl.pool_signatures(adata, groupby="pert_id")
    np.testing.assert_allclose(found.X, adata.X, rtol=1e-6)
    assert found.obs["agreement"].isna().all()


def test_labels_come_along() -> None:
    adata = signatures()
    adata.uns["targets"] = pd.DataFrame({"compound": ["S0", "drug3"], "target": ["A", "B"]})
    found = nt.tl.pool_signatures(adata).uns["targets"]
    assert found["compound"].tolist() == [adata.obs.loc["S0", "pert_iname"], "drug3"]


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (lambda a: a.obs.pop("pert_iname"), {}, None, ""),
        (lambda a: None, {"groupby": "nothing"}, KeyError, "no columns"),
        (lambda a: a.obs.drop(columns=["pert_iname", "pert_id"], inplace=True), {}, KeyError,
         "give the column"),
        (lambda a: a.obs.__setitem__("pert_iname", np.nan), {}, ValueError, "have no pert_iname"),
        (lambda a: a.X.__setitem__((0, 0), np.inf), {}, ValueError, "infinite"),
        (lambda a: None, {"weights": "best"}, ValueError, "weights is 'best'"),
        (lambda a: None, {"modality": "other"}, None, ""),
    ],
)  # fmt: skip
def test_refused(change: Any, options: dict[str, Any], error: Any, message: str) -> None:
    adata = signatures()
    change(adata)
    if error is None:
        assert nt.tl.pool_signatures(adata, **options).n_obs == 4
        return
    with pytest.raises(error, match=message):
        nt.tl.pool_signatures(adata, **options)


def test_verbs_of_compounds_warn_of_signatures() -> None:
    with pytest.warns(NewtWarning, match=r"20 signatures of 4 compounds .*pool_signatures"):
        _pool_signatures.warn_of_several(signatures())
    _pool_signatures.warn_of_several(nt.tl.pool_signatures(signatures()))
