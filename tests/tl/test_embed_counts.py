"""``tl.embed`` on raw counts, against dense arithmetic and against data made with and without knowledge of genes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import newt_sc as nt
from newt_sc.errors import NewtWarning
from newt_sc.kernels import _counts
from tests.tl.test_embed import UNKNOWN, D, dense, make_embedding, symbols, up_to_sign

Make = Callable[[np.ndarray], Any]
N_GENES = 120
FIXED: dict[str, Any] = {"alpha": 0.3, "n_comps": 4}


def make_counts(
    n_obs: int = 60, *, n_known: int = N_GENES, follows: bool = True, depth: float = 2.0, make: Make = np.asarray
) -> ad.AnnData:
    """Poisson counts of genes that vary along the toy vectors, or along other ones, and three that nobody knows."""
    rng = np.random.default_rng(3)
    names = symbols(n_known)
    E = make_embedding(n_known)[names].X if follows else rng.normal(size=(n_known, D))
    rate = np.exp(rng.normal(size=(n_obs, D)) @ E.T / 2) * rng.gamma(2, 0.5, size=(n_obs, 1))
    counts = rng.poisson(depth * np.hstack([rate, rate[:, :1], 0 * rate[:, :1], rate[:, 1:2]]))
    counts[:, 0] += 1
    order = rng.permutation(n_known + 3)
    X = counts[:, order].astype(np.float32)
    adata = ad.AnnData(np.log1p(X), var=pd.DataFrame(index=np.array(names + UNKNOWN)[order]))
    adata.layers["counts"] = make(X)
    return adata


def embed(adata: ad.AnnData, **call: Any) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The gene embedding does not predict", NewtWarning)
        nt.tl.embed(adata, **{"embedding": make_embedding(N_GENES), "counts_layer": "counts"} | call)


def literal(adata: ad.AnnData, alpha: float, k: int) -> np.ndarray:
    """What the docstrings say, with matrices of genes x genes; A and B by the same coin."""
    C = dense(adata.layers["counts"]).astype(np.float64)
    used = C.var(axis=0) > 0
    C, totals = C[:, used], C.sum(axis=1)
    halves = nt.kernels.split_counts(sparse.csr_array(C), totals, np.random.default_rng(0))
    h = [np.sqrt(np.asarray(c.todense()) / t[:, None]) for c, t in halves]
    X = np.sqrt(C / totals[:, None])
    X -= X.mean(axis=0)
    scale = 1 / np.sqrt((X**2).mean())
    X, A, B = X * scale, *((a - a.mean(axis=0)) * scale for a in h)
    s = np.maximum((A * B).mean(axis=0), 0)
    s += 1e-3 * s.mean()
    v = ((A - B) ** 2).mean(axis=0) / 4 + 1e-3
    values, vectors = np.linalg.eigh((A.T @ B + B.T @ A) / (2 * len(A)))
    values[:-50] = 0
    S = (vectors * np.maximum(values, 0)) @ vectors.T
    E = adata.varm["X_newt"][used].astype(np.float64)
    known = np.isfinite(E).all(axis=1)
    cosine = np.eye(len(E))
    unit = E[known] - E[known].mean(axis=0)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosine[np.ix_(known, known)] = unit @ unit.T
    K = (1 - alpha) * (0.02 * S + 0.98 * np.diag(s)) + alpha * 0.98 * np.sqrt(np.outer(s, s)) * cosine
    left, singular, _ = np.linalg.svd(X @ np.linalg.inv(K + np.diag(v)) @ K, full_matrices=False)
    return np.asarray(left[:, :k] * singular[:k])


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9])
def test_is_what_the_docstring_says(array_type: Make, alpha: float) -> None:
    adata = make_counts(make=array_type)
    embed(adata, alpha=alpha, n_comps=4)
    expected = literal(adata, alpha, 4)
    assert adata.obsm["X_newt"].dtype == np.float32
    scale = np.abs(expected).max()
    np.testing.assert_allclose(up_to_sign(adata.obsm["X_newt"]) / scale, up_to_sign(expected) / scale, atol=2e-3)
    variance = expected.var(axis=0, ddof=1)
    np.testing.assert_allclose(adata.uns["newt"]["variance"], variance, rtol=1e-2)


def test_many_cells_and_genes_agree_with_few(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (make_counts(200, n_known=N_GENES, make=sparse.csr_matrix) for _ in range(2))
    embed(first, **FIXED)
    monkeypatch.setattr(_counts, "_DENSE_CELLS", 10)
    monkeypatch.setattr(_counts, "_EXACT_GENES", 10)
    embed(second, **FIXED)
    scale = np.abs(first.obsm["X_newt"]).max()
    np.testing.assert_allclose(
        up_to_sign(second.obsm["X_newt"]) / scale, up_to_sign(first.obsm["X_newt"]) / scale, atol=2e-3
    )


def test_fewer_cells_than_genes_and_more_agree_on_shared_axes() -> None:
    rng = np.random.default_rng(0)
    counts = sparse.csr_array(rng.poisson(3 * np.exp(rng.normal(size=(12, 2)) @ rng.normal(size=(2, 200)))))
    totals = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    narrow = nt.kernels.counts_prior(counts, totals, np.random.default_rng(1))
    A, B = (
        nt.kernels.square_root_shares(*half).toarray() * narrow.scale
        for half in nt.kernels.split_counts(counts, totals, np.random.default_rng(1))
    )
    cross = (A - A.mean(axis=0)).T @ (B - B.mean(axis=0)) / 12
    values = np.linalg.eigvalsh((cross + cross.T) / 2)
    found = np.sort((narrow.axes**2).sum(axis=0))
    np.testing.assert_allclose(found, values[values > 1e-6][-found.size :], rtol=1e-2)


def test_halves_are_the_whole() -> None:
    rng = np.random.default_rng(0)
    counts = sparse.csr_array(rng.poisson(2.0, size=(30, 40)).astype(np.float32))
    totals = np.asarray(counts.sum(axis=1)).ravel() + 5
    (a, ta), (b, tb) = nt.kernels.split_counts(counts, totals, rng)
    np.testing.assert_array_equal((a + b).toarray(), counts.toarray())
    np.testing.assert_array_equal(ta + tb, totals)
    assert (ta >= np.asarray(a.sum(axis=1)).ravel()).all()
    assert abs(ta.sum() / totals.sum() - 0.5) < 0.05


@pytest.fixture(scope="module")
def low_depth() -> dict[bool, ad.AnnData]:
    """Shallow counts whose genes follow the embedding, or do not."""
    return {follows: make_counts(300, follows=follows, depth=0.15) for follows in (True, False)}


class TestChoice:
    def test_on_where_genes_follow_the_embedding(self, low_depth: dict[bool, ad.AnnData]) -> None:
        adata = low_depth[True]
        embed(adata)
        info = adata.uns["newt"]["choice"]
        assert info["prior_on"]
        assert (info["alpha_by"], info["n_comps_by"]) == ("held-out counts", "held-out genes")
        params, best = adata.uns["newt"]["params"], info["alpha_gain"].argmax()
        assert params["alpha"] == info["alpha_tried"][best] > 0
        assert info["alpha_gain"][best] > info["shuffled_gain"].max()
        assert adata.obsm["X_newt"].shape == (300, params["n_comps"])
        assert params["n_comps"] in info["n_comps_tried"]

    @pytest.mark.parametrize("why", ["shuffled rows", "genes follow something else"])
    def test_off_where_they_do_not(self, low_depth: dict[bool, ad.AnnData], why: str) -> None:
        adata, embedding = low_depth[why == "shuffled rows"].copy(), make_embedding(N_GENES)
        if why == "shuffled rows":
            embedding.X = np.asarray(embedding.X)[np.random.default_rng(8).permutation(N_GENES)]
        with pytest.warns(NewtWarning, match="does not predict held-out counts"):
            nt.tl.embed(adata, embedding=embedding, counts_layer="counts")
        assert not adata.uns["newt"]["choice"]["prior_on"]
        n_comps = adata.uns["newt"]["params"]["n_comps"]
        assert adata.uns["newt"]["params"]["alpha"] == 0
        without = low_depth[why == "shuffled rows"].copy()
        embed(without, alpha=0, n_comps=n_comps)
        np.testing.assert_array_equal(adata.obsm["X_newt"], without.obsm["X_newt"])

    def test_recovers_cells_better_where_it_is_on(self, low_depth: dict[bool, ad.AnnData]) -> None:
        """Neighbours at low depth are nearer to those of the rates that made the counts."""
        deep = make_counts(300, depth=200)
        truth = np.sqrt(deep.layers["counts"] / deep.layers["counts"].sum(axis=1, keepdims=True))
        near = nt.kernels.nearest_rows(truth - truth.mean(axis=0), 15)
        kept = {}
        for alpha in (0.0, 0.4):
            adata = low_depth[True].copy()
            embed(adata, alpha=alpha, n_comps=5)
            found = nt.kernels.nearest_rows(adata.obsm["X_newt"], 15)
            kept[alpha] = np.mean([np.isin(a, b).mean() for a, b in zip(found, near, strict=True)])
        assert kept[0.4] > kept[0.0]

    def test_recorded_choice_survives_writing(self, low_depth: dict[bool, ad.AnnData], tmp_path: Path) -> None:
        adata = low_depth[True].copy()
        embed(adata)
        adata.write_h5ad(tmp_path / "x.h5ad")
        back = ad.read_h5ad(tmp_path / "x.h5ad").uns["newt"]["choice"]
        np.testing.assert_array_equal(back["alpha_gain"], adata.uns["newt"]["choice"]["alpha_gain"])

    def test_fixed_defaults_without_counts(self) -> None:
        adata = make_counts()
        nt.tl.embed(adata, embedding=make_embedding(N_GENES), mask_var=None)
        params, choice = adata.uns["newt"]["params"], adata.uns["newt"]["choice"]
        assert (params["alpha"], params["beta"], params["n_comps"]) == (0, 0, 50)
        assert choice == {"alpha_by": "fixed default", "n_comps_by": "fixed default", "prior_on": False}

    def test_one_given_one_chosen(self) -> None:
        one, other = make_counts(), make_counts()
        embed(one, alpha=0.2)
        embed(other, n_comps=3)
        assert one.uns["newt"]["params"]["alpha"] == 0.2
        assert one.uns["newt"]["choice"]["alpha_by"] == "given"
        assert other.obsm["X_newt"].shape[1] == 3
        assert other.uns["newt"]["choice"]["n_comps_by"] == "given"

    def test_repeats_to_the_bit(self) -> None:
        first, second = make_counts(), make_counts()
        embed(first, random_state=2)
        embed(second, random_state=2)
        np.testing.assert_array_equal(first.obsm["X_newt"], second.obsm["X_newt"])


class TestInput:
    @pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
    def test_backed(self, tmp_path: Path, make: Make) -> None:
        adata = make_counts(make=make)
        adata.X = adata.layers["counts"].copy()
        adata.write_h5ad(tmp_path / "x.h5ad")
        backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
        embed(backed, counts_layer="X", **FIXED)
        embed(adata, **FIXED)
        np.testing.assert_allclose(backed.obsm["X_newt"], adata.obsm["X_newt"], atol=1e-4)
        backed.file.close()

    def test_integers_and_masks(self) -> None:
        adata, same = make_counts(), make_counts()
        adata.layers["counts"] = adata.layers["counts"].astype(np.int32)
        some = np.arange(adata.n_vars) % 3 > 0
        embed(adata, mask_var=some, **FIXED)
        embed(same, mask_var=some, **FIXED)
        np.testing.assert_array_equal(adata.obsm["X_newt"], same.obsm["X_newt"])
        assert adata.uns["newt"]["n_genes_used"] <= some.sum()

    def test_empty_cells_are_named_and_stay(self) -> None:
        adata = make_counts()
        adata.layers["counts"][5] = 0
        with pytest.warns(NewtWarning, match="1 of 60 cells have no count"):
            embed(adata, **FIXED)
        assert np.isfinite(adata.obsm["X_newt"]).all()

    @pytest.mark.parametrize("n_obs", [12, 30])
    def test_few_cells_are_warned_of(self, n_obs: int) -> None:
        adata = make_counts(n_obs)
        with pytest.warns(NewtWarning, match=f"Only {n_obs} cells"):
            embed(adata)
        assert adata.obsm["X_newt"].shape[1] < n_obs

    @pytest.mark.parametrize(
        ("change", "call", "error", "match"),
        [
            (None, {"counts_layer": "raw"}, KeyError, "counts_layer 'raw' is not in adata.layers"),
            (lambda X: X / 3, {}, ValueError, "layer 'counts' has .*expected raw counts"),
            (lambda X: -X, {}, ValueError, "expected raw counts, whole numbers"),
            (lambda X: X * np.nan, {}, ValueError, "has nan: expected raw counts"),
            (lambda X: X * 0, {}, ValueError, "no gene that varies"),
            (None, {"n_comps": 60}, ValueError, "n_comps is 60, but must be less"),
            (None, {"n_comps": "many"}, ValueError, "n_comps is 'many', expected a whole number from 1 up or"),
            (None, {"alpha": "some"}, ValueError, "alpha is 'some', expected 0 <= alpha < 1 or 'auto'"),
            (None, {"layer": "counts"}, ValueError, "counts_layer was given with layer='counts'"),
            (None, {"mode": "project"}, ValueError, "counts_layer was given with mode='project'"),
        ],
        ids=lambda value: value if isinstance(value, str) else None,
    )
    def test_errors_change_nothing(self, change: Any, call: dict[str, Any], error: type[Exception], match: str) -> None:
        adata = make_counts()
        if change is not None:
            adata.layers["counts"] = change(adata.layers["counts"])
        with pytest.raises(error, match=match):
            embed(adata, **call)
        assert "newt" not in adata.uns
        assert "X_newt" not in adata.obsm

    def test_too_few_cells(self) -> None:
        with pytest.raises(ValueError, match="there are 9 cells: counts_layer needs at least 10"):
            embed(make_counts(9))
