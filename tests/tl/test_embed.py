"""``tl.embed`` against scanpy, against dense arithmetic, and against everything that a user may
give it.
"""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import anndata as ad
import hypothesis
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from hypothesis import strategies as st
from mudata import MuData
from scipy import sparse
from scipy.spatial.distance import cdist

import newt_sc as nt
from newt_sc.errors import GeneMatchError, NewtWarning
from newt_sc.tl import _components, _rows

Make = Callable[[np.ndarray], Any]
UNKNOWN = ["not-a-gene-1", "not-a-gene-2", "not-a-gene-3"]
D = 6


@cache
def table() -> pd.DataFrame:
    return nt.genes.table().set_index("symbol")


@cache
def coding() -> list[str]:
    wanted = (table()["locus_group"] == "protein-coding gene") & table()["ensembl"].notna()
    return table().index[wanted].tolist()


def symbols(n: int) -> list[str]:
    """Protein-coding genes."""
    return coding()[:n]


def make_embedding(n: int = 60, seed: int = 0) -> ad.AnnData:
    """Vectors for n genes, with two blocks, of which "b" does not know the last five."""
    rng = np.random.default_rng(seed)
    E = rng.normal(size=(n, D)).astype(np.float32)
    blocks = {"a": E[:, :4] * 2, "b": rng.normal(size=(n, 3)).astype(np.float32)}
    blocks["b"][-5:] = np.nan
    out = ad.AnnData(E, obs=pd.DataFrame(index=symbols(n)[::-1]), obsm=blocks)
    out.uns["newt"] = {"name": "toy", "modalities": np.array(["a", "b"])}
    return out


def make_data(
    n_obs: int = 50,
    n_known: int = 40,
    *,
    dtype: Any = np.float64,
    make: Make = np.asarray,
    seed: int = 1,
) -> ad.AnnData:
    """Log-normalised counts that vary along the toy vectors, and three genes that nobody knows, the
    second empty.
    """
    rng = np.random.default_rng(seed)
    names = symbols(n_known)
    E = make_embedding(max(60, n_known))[names].X
    rate = np.exp(rng.normal(size=(n_obs, D)) * np.array([1.2, 1.0, 0.8, 0.6, 0.4, 0.2]) @ E.T / 2)
    counts = rng.poisson(np.hstack([rate, rate[:, :1], 0 * rate[:, :1], rate[:, 1:2]])) + np.eye(
        n_obs, n_known + 3
    )
    X = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    order = rng.permutation(n_known + 3)
    var = pd.DataFrame(index=np.array(names + UNKNOWN)[order])
    var["used"] = rng.random(n_known + 3) < 0.8
    adata = ad.AnnData(
        make(X[:, order].astype(dtype)),
        obs=pd.DataFrame(index=[f"c{i}" for i in range(n_obs)]),
        var=var,
    )
    adata.uns["mine"], adata.obsm["mine"] = {"a": 1}, np.ones((n_obs, 2))
    return adata


def dense(X: Any) -> np.ndarray:
    X = X.compute() if hasattr(X, "compute") else X
    return X.toarray() if sparse.issparse(X) else np.array(X)


def state(adata: ad.AnnData) -> dict[str, Any]:
    """All that is in an AnnData, copied."""
    return {
        "X": None if adata.X is None else dense(adata.X),
        "obs": adata.obs.copy(),
        "var": adata.var.copy(),
        "uns": repr(dict(adata.uns)),
        **{f"obsm {key}": np.array(value) for key, value in adata.obsm.items()},
        **{f"varm {key}": np.array(value) for key, value in adata.varm.items()},
        **{f"layer {key}": dense(value) for key, value in adata.layers.items() if key},
    }


def assert_same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a.keys() == b.keys()
    for key, value in a.items():
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(value, b[key])
        else:
            np.testing.assert_array_equal(value, b[key], err_msg=key)


def pca(X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the cells and loadings of the genes, by numpy."""
    X = X.astype(np.float64)
    left, singular, right = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    return left[:, :k] * singular[:k], right[:k].T


def literal_aligned(X: np.ndarray, E: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Z and T of the recipe, on dense arrays: all genes in the components, those with a vector in
    the turning.
    """
    X = X.astype(np.float64)
    P, V = pca(X, k)
    known = np.isfinite(E).all(axis=1)
    E_known = E[known].astype(np.float64)
    E_known = E_known - E_known.mean(axis=0)
    sd = np.maximum(X.std(axis=0), 1e-3)[known]
    T = (
        np.diag((P**2).sum(axis=0) / (P[:, 0] ** 2).sum())
        @ (V[known] / np.sqrt(sd)[:, None]).T
        @ E_known
    )
    values, vectors = np.linalg.eigh(T @ T.T)
    A = vectors @ np.diag(values**-0.5) @ vectors.T @ T
    return P @ A, T


def nearest(X: np.ndarray, n: int = 15) -> np.ndarray:
    """Each cell's nearest other cells, in order of their number."""
    distance = cdist(X, X)
    np.fill_diagonal(distance, np.inf)
    return np.sort(np.argsort(distance, axis=1)[:, :n], axis=1)


def assert_near(found: Any, expected: Any, atol: float = 1e-4) -> None:
    """Same numbers, but for a part of the largest."""
    found, expected = dense(found), dense(expected)
    np.testing.assert_allclose(found, expected, atol=atol * max(np.abs(expected).max(), 1e-6))


def assert_alike(found: ad.AnnData, expected: ad.AnnData) -> None:
    """All that embed writes."""
    for slot in ("X_newt", "X_newt_loadings"):
        assert (slot in found.varm) == (slot in expected.varm)
    assert_near(found.obsm["X_newt"], expected.obsm["X_newt"])
    np.testing.assert_array_equal(found.varm["X_newt"], expected.varm["X_newt"])
    if "X_newt_loadings" in expected.varm:
        assert_near(found.varm["X_newt_loadings"], expected.varm["X_newt_loadings"])
        np.testing.assert_allclose(found.var["X_newt_mean"], expected.var["X_newt_mean"], rtol=1e-6)
    for name in ("variance", "alignment", "n_genes_used"):
        np.testing.assert_allclose(found.uns["newt"][name], expected.uns["newt"][name], rtol=1e-4)


LOADINGS, MEAN = "X_newt_loadings", "X_newt_mean"
TOY: dict[str, Any] = {"embedding": make_embedding(), "mask_var": "used"}
LARGE: dict[str, Any] = {"embedding": make_embedding(700), "mask_var": "used"}
MODES: dict[str, dict[str, Any]] = {
    "aligned": {"mode": "aligned", "n_comps": 4},
    "project": {"mode": "project"},
}
each_mode = pytest.mark.parametrize("mode", MODES)


class TestAligned:
    @pytest.mark.parametrize("n_known", [40, 700], ids=["few genes", "many genes"])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_distances_are_those_of_pca(self, array_type: Make, dtype: type, n_known: int) -> None:
        adata = make_data(90, n_known, dtype=dtype, make=array_type)
        nt.tl.embed(adata, embedding=make_embedding(max(60, n_known)), mask_var="used", n_comps=5)
        P, _ = pca(dense(adata.X)[:, adata.var["used"]], 5)
        Z = dense(adata.obsm["X_newt"])
        assert (Z.shape, Z.dtype) == ((90, D), np.float32)
        assert_near(Z.astype(float) @ Z.T.astype(float), P @ P.T)
        assert_near(cdist(Z, Z), cdist(P, P))
        np.testing.assert_array_equal(nearest(Z), nearest(P))
        np.testing.assert_allclose(adata.uns["newt"]["variance"], P.var(axis=0, ddof=1), rtol=1e-4)

    def test_is_scanpy_turned(self) -> None:
        adata = make_data(90)
        nt.tl.embed(adata, **TOY, n_comps=5)
        sc.pp.pca(adata, n_comps=5, mask_var="used", svd_solver="full")
        Z, P = adata.obsm["X_newt"], adata.obsm["X_pca"]
        A = np.linalg.lstsq(P, Z, rcond=None)[0]
        assert_near(P @ A, Z)
        np.testing.assert_allclose(A @ A.T, np.eye(5), atol=1e-5)
        np.testing.assert_allclose(
            adata.uns["newt"]["variance"], adata.uns["pca"]["variance"], rtol=1e-4
        )

    @pytest.mark.parametrize("k", [1, 3, 6])
    @pytest.mark.parametrize("mask", ["used", None])
    @pytest.mark.parametrize(
        "n_known", [40, 10, 700], ids=["few genes", "very few genes", "many genes"]
    )
    def test_is_the_recipe(self, n_known: int, mask: str | None, k: int) -> None:
        """Genes without a vector take part in the components: three of them, the second of which is
        constant.
        """
        adata = make_data(60, n_known)
        nt.tl.embed(adata, embedding=make_embedding(max(60, n_known)), mask_var=mask, n_comps=k)
        used = np.ones(adata.n_vars, bool) if mask is None else adata.var["used"].to_numpy()
        X, E = dense(adata.X)[:, used], adata.varm["X_newt"][used]
        Z, _ = literal_aligned(X, E, k)
        assert_near(adata.obsm["X_newt"], Z)
        without, _ = literal_aligned(
            X[:, np.isfinite(E).all(axis=1)], E[np.isfinite(E).all(axis=1)], k
        )
        assert np.isnan(E).any()
        assert np.abs(without - Z).max() > 0.005 * np.abs(Z).max()

    def test_varm_holds_the_rows_of_the_embedding(self) -> None:
        adata = make_data()
        nt.tl.embed(adata, **TOY, n_comps=4)
        vectors = TOY["embedding"].to_df()
        for name, row in zip(adata.var_names, adata.varm["X_newt"], strict=True):
            np.testing.assert_array_equal(
                row, vectors.loc[name] if name not in UNKNOWN else np.full(D, np.nan)
            )
        assert (
            adata.uns["newt"]["n_genes_used"]
            == (adata.var["used"] & ~adata.var_names.isin(UNKNOWN)).sum()
        )

    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_new_cells_by_one_product(self, array_type: Make, dtype: type) -> None:
        adata, new = make_data(make=array_type, dtype=dtype), make_data(20, seed=5)
        nt.tl.embed(adata, **TOY, n_comps=4)
        loadings, mean = adata.varm[LOADINGS], adata.var[MEAN].to_numpy()
        assert (loadings.shape, loadings.dtype) == ((43, D), np.float32)
        X, used = dense(adata.X), adata.var["used"].to_numpy()
        np.testing.assert_allclose(mean, X.mean(axis=0, dtype=np.float64), rtol=1e-6)
        np.testing.assert_array_equal(loadings[~used], 0)
        assert_near((X - mean) @ loadings, adata.obsm["X_newt"])
        _, V = pca(X[:, used], 4)
        assert_near(loadings[used] @ loadings[used].T, V @ V.T)
        P = (new[:, adata.var_names].X - mean)[:, used] @ V
        Z = (new[:, adata.var_names].X - mean) @ loadings
        assert_near(cdist(Z, Z), cdist(P, P))

    @pytest.mark.parametrize(("n_known", "wanted"), [(2, 3), (4, 5), (5, 5)])
    def test_fewer_known_genes_than_components(self, n_known: int, wanted: int) -> None:
        """Then there are fewer components, which are still exactly those of PCA."""
        adata = make_data()
        with pytest.warns(NewtWarning) as record:
            nt.tl.embed(
                adata, embedding=make_embedding()[symbols(n_known)], mask_var=None, n_comps=wanted
            )
        few, lowered = (str(w.message) for w in record if w.category is NewtWarning)
        assert few.startswith(f"Only {n_known} of 43 genes used")
        assert lowered.startswith(f"{wanted} components were given")
        assert lowered.endswith(f"directions of {n_known - 1} only: n_comps is {n_known - 1}.")
        assert {w.filename for w in record if w.category is NewtWarning} == {__file__}
        k = n_known - 1
        P, V = pca(adata.X, k)
        Z = adata.obsm["X_newt"]
        A = V.T @ adata.varm[LOADINGS]
        np.testing.assert_allclose(A @ A.T, np.eye(k), atol=1e-5)
        assert_near(Z, P @ A)
        assert_near(cdist(Z, Z), cdist(P, P))
        assert (len(adata.uns["newt"]["variance"]), adata.uns["newt"]["params"]["n_comps"]) == (
            k,
            k,
        )
        assert adata.uns["newt"]["n_genes_used"] == n_known

    def test_fewer_dimensions_than_components(self) -> None:
        adata = make_data()
        with pytest.warns(
            NewtWarning, match=r"8 components were given.*directions of 6 only: n_comps is 6\."
        ):
            nt.tl.embed(adata, **TOY, n_comps=8)
        P, _ = pca(adata.X[:, adata.var["used"]], 6)
        assert_near(cdist(adata.obsm["X_newt"], adata.obsm["X_newt"]), cdist(P, P))

    def test_vectors_that_tell_nothing(self) -> None:
        """Two columns of one gene, or vectors that are all alike, give no direction at all: not a
        table of zeros.
        """
        alike = make_embedding()
        alike.X[:] = 1
        for embedding in (alike, make_embedding()[symbols(1)]):
            adata = make_data()
            adata.var_names = [
                table().loc[symbols(1)[0], "ensembl"] if n == UNKNOWN[0] else n
                for n in adata.var_names
            ]
            before = state(adata)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Only .* have a vector", NewtWarning)
                with pytest.raises(GeneMatchError):
                    nt.tl.embed(adata, embedding=embedding, mask_var=None, n_comps=4)
            assert_same(state(adata), before)

    def test_one_known_gene(self) -> None:
        adata = make_data()
        before = state(adata)
        with pytest.raises(
            GeneMatchError,
            match="Only 1 of the 43 genes in mask_var='all' has a vector, though 1 of",
        ):
            nt.tl.embed(adata, embedding=make_embedding()[symbols(1)], mask_var=None, n_comps=4)
        assert_same(state(adata), before)

    def test_only_differences_between_vectors_count(self) -> None:
        moved = make_embedding()
        moved.X += 5
        one, two = make_data(), make_data()
        nt.tl.embed(one, **TOY, n_comps=4)
        nt.tl.embed(two, embedding=moved, mask_var="used", n_comps=4)
        assert_near(two.obsm["X_newt"], one.obsm["X_newt"])

    @pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix, sparse.csc_array])
    def test_very_many_genes(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        first = nt.tl.embed(make_data(80, 700, make=make), **LARGE, n_comps=5, copy=True)
        monkeypatch.setattr(_rows, "_COVARIANCE_GENES", 100)
        second = nt.tl.embed(make_data(80, 700, make=make), **LARGE, n_comps=5, copy=True)
        assert_near(second.obsm["X_newt"], first.obsm["X_newt"])
        np.testing.assert_allclose(
            second.uns["newt"]["variance"], first.uns["newt"]["variance"], rtol=1e-4
        )
        np.testing.assert_allclose(
            second.uns["newt"]["alignment"], first.uns["newt"]["alignment"], rtol=1e-4
        )

    @pytest.mark.parametrize("n_comps", [5, "auto"])
    @pytest.mark.parametrize("n_known", [40, 700])
    @pytest.mark.filterwarnings("ignore:.*components were chosen")
    def test_repeats_to_the_bit(self, n_known: int, n_comps: Any) -> None:
        call = {**(TOY if n_known == 40 else LARGE), "n_comps": n_comps, "random_state": 3}
        one, two = (nt.tl.embed(make_data(80, n_known), **call, copy=True) for _ in range(2))
        np.testing.assert_array_equal(one.obsm["X_newt"], two.obsm["X_newt"])
        np.testing.assert_array_equal(one.varm[LOADINGS], two.varm[LOADINGS])
        assert one.uns["newt"]["params"]["random_state"] == 3

    def test_modalities_side_by_side(self) -> None:
        adata = make_data()
        nt.tl.embed(adata, **TOY, n_comps=4, modalities=["b", "a"])
        used = adata.var["used"].to_numpy()
        assert adata.obsm["X_newt"].shape == (50, 7)
        assert_near(
            adata.obsm["X_newt"],
            literal_aligned(adata.X[:, used], adata.varm["X_newt"][used], 4)[0],
        )

    @pytest.mark.parametrize("value", [0.0, 2.5])
    @pytest.mark.parametrize("n_known", [40, 700])
    @pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
    def test_nothing_varies(self, make: Make, n_known: int, value: float) -> None:
        adata = make_data(20, n_known)
        adata.X = make(np.full(adata.shape, value))
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "20 of 20 cells have no count|.* tell the directions of", NewtWarning
            )
            nt.tl.embed(adata, embedding=make_embedding(max(60, n_known)), mask_var=None, n_comps=3)
        np.testing.assert_allclose(adata.obsm["X_newt"], 0, atol=1e-4)
        np.testing.assert_allclose(adata.uns["newt"]["variance"], 0, atol=1e-20)
        assert np.isfinite(adata.varm[LOADINGS]).all()
        assert adata.uns["newt"]["alignment"] == 1.0

    def test_two_cells(self) -> None:
        adata = make_data()[:2].copy()
        nt.tl.embed(adata, **TOY)
        Z = adata.obsm["X_newt"]
        a, b = adata.X[:, adata.var["used"]]
        assert np.linalg.norm(Z[0] - Z[1]) == pytest.approx(np.linalg.norm(a - b), rel=1e-5)
        np.testing.assert_allclose(Z.sum(axis=0), 0, atol=1e-5)
        assert adata.uns["newt"]["choice"] == {"by": "too few to choose", "n_comps": 1}

    def test_one_cell(self) -> None:
        with pytest.raises(
            ValueError, match=r"adata.X has 1 cells and .*: principal components need two"
        ):
            nt.tl.embed(make_data()[:1].copy(), **TOY)


WIDE = 70


@cache
def wide_embedding() -> ad.AnnData:
    """Vectors of more dimensions than there are components."""
    E = np.random.default_rng(4).normal(size=(160, WIDE)) * np.linspace(2, 1, WIDE)
    return ad.AnnData(E.astype(np.float32), obs=pd.DataFrame(index=symbols(160)))


def make_types(
    n_types: int, n_obs: int = 800, n_vars: int = 160, *, seed: int = 0, noise: float = 1.0
) -> ad.AnnData:
    """Cells of some types, told by all genes."""
    rng = np.random.default_rng(seed)
    types = rng.permutation(np.arange(n_obs) % n_types)
    X = rng.normal(size=(n_types, n_vars))[types] + noise * rng.normal(size=(n_obs, n_vars))
    X -= X.min()
    obs = pd.DataFrame({"label": types.astype(str)}, index=[f"c{i}" for i in range(n_obs)])
    return ad.AnnData(X, obs=obs, var=pd.DataFrame(index=symbols(n_vars)))


def choice(adata: ad.AnnData, **call: Any) -> dict[str, Any]:
    nt.tl.embed(adata, **{"embedding": wide_embedding(), "mask_var": None, **call})
    return adata.uns["newt"]["choice"]


class TestChoice:
    def test_few_strong_types_need_few_components(self) -> None:
        adata = make_types(4, noise=2.0)
        found = choice(adata)
        assert (found["by"], found["n_comps"]) == ("held-out genes", 15)
        assert found["tried"].tolist() == [10, 15, 20, 30, 50]
        assert found["error"].argmin() == 1
        assert (found["error"] < 1).all()
        assert adata.uns["newt"]["params"]["n_comps"] == len(adata.uns["newt"]["variance"]) == 15
        P, _ = pca(adata.X, 15)
        assert_near(cdist(adata.obsm["X_newt"], adata.obsm["X_newt"]), cdist(P, P))

    def test_many_types_need_more(self) -> None:
        found = choice(make_types(60))
        assert found["n_comps"] == found["tried"][found["error"].argmin()] >= 30

    def test_is_that_of_the_kernel(self) -> None:
        adata = make_types(6)
        expected = nt._kernels.held_out_error(adata.X, [10, 15, 20, 30, 50], random_state=3)
        np.testing.assert_allclose(choice(adata, random_state=3)["error"], expected, rtol=1e-6)
        assert np.abs(choice(adata)["error"] - expected).max() > 1e-5

    @pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csc_array], ids=["csr", "csc"])
    def test_array_types(self, make: Make) -> None:
        adata, same = make_types(6), make_types(6)
        same.X = make(same.X)
        np.testing.assert_allclose(choice(same)["error"], choice(adata)["error"], rtol=1e-6)

    def test_does_not_look_at_labels(self) -> None:
        """Nor does anything else in obs."""
        adata, other, none = (make_types(6) for _ in range(3))
        other.obs["label"] = np.random.default_rng(0).permutation(other.obs["label"])
        del none.obs["label"]
        found = choice(adata)
        for same in (other, none):
            np.testing.assert_array_equal(choice(same)["error"], found["error"])
            np.testing.assert_array_equal(same.obsm["X_newt"], adata.obsm["X_newt"])

    def test_looks_at_the_genes_of_the_mask_only(self) -> None:
        adata, same = make_types(6), make_types(6)
        mask = np.arange(160) < 120
        same.X[:, ~mask] = np.random.default_rng(0).random((800, 40))
        np.testing.assert_allclose(
            choice(same, mask_var=mask)["error"], choice(adata, mask_var=mask)["error"]
        )

    @pytest.mark.parametrize(
        ("n_obs", "n_vars", "tried"),
        [
            (750, 160, [10, 15, 20, 30, 50]),
            (749, 160, [10, 15, 20, 30]),
            (450, 160, [10, 15, 20, 30]),
            (225, 160, [10, 15]),
            (750, 102, [10, 15, 20, 30, 50]),
            (750, 101, [10, 15, 20, 30]),
            (750, 40, [10, 15]),
        ],
    )
    def test_tries_what_there_can_be(self, n_obs: int, n_vars: int, tried: list[int]) -> None:
        """Fewer than half of the genes, and at most one component for fifteen cells."""
        found = choice(make_types(4, n_obs, n_vars))
        assert found["by"] == "held-out genes"
        assert found["tried"].tolist() == tried
        assert found["n_comps"] in tried
        assert found["error"].shape == (len(tried),)

    @pytest.mark.parametrize(
        ("n_obs", "n_vars", "n_comps"),
        [(39, 160, 15), (224, 160, 15), (800, 39, 15), (16, 160, 15), (10, 160, 9), (800, 12, 11)],
    )
    def test_too_few_to_choose(self, n_obs: int, n_vars: int, n_comps: int) -> None:
        adata = make_types(3, n_obs, n_vars)
        assert choice(adata) == {"by": "too few to choose", "n_comps": n_comps}
        assert adata.uns["newt"]["params"]["n_comps"] == n_comps

    @pytest.mark.parametrize("n_comps", [1, 7, np.int64(12), 60])
    def test_a_number_is_taken_as_given(
        self, n_comps: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any, **__: Any) -> None:
            raise AssertionError

        monkeypatch.setattr(nt._kernels, "held_out_error", fail)
        adata = make_types(6)
        assert choice(adata, n_comps=n_comps) == {"by": "given", "n_comps": n_comps}
        assert len(adata.uns["newt"]["variance"]) == n_comps
        assert adata.obsm["X_newt"].shape == (800, WIDE)

    def test_of_at_most_three_thousand_cells(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[np.ndarray] = []

        def remember(X: np.ndarray, tried: list[int], **_: Any) -> np.ndarray:
            seen.append(X)
            return np.arange(len(tried))[::-1]

        monkeypatch.setattr(nt._kernels, "held_out_error", remember)
        adata = make_types(6, 3100)
        assert choice(adata)["n_comps"] == 50
        assert choice(adata, random_state=1)["n_comps"] == 50
        rows = {row.tobytes() for row in adata.X}
        for X in seen:
            assert X.shape == (3000, 160)
            assert len({row.tobytes() for row in X} & rows) == 3000
        assert not np.array_equal(*seen)

    @pytest.mark.parametrize("kind", ["numpy", "csc", "dask", "backed"])
    def test_cells_are_drawn_alike_from_all_that_holds_them(
        self, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_components, "_CELLS", 300)
        monkeypatch.setattr(_rows, "_BLOCK_BYTES", 8 * 160 * 37)
        expected = make_types(6)
        at = np.sort(np.random.default_rng(2).permutation(800)[:300])
        error = nt._kernels.held_out_error(expected.X[at], [10, 15, 20], random_state=2)
        adata = make_types(6)
        if kind == "dask":
            adata.X = pytest.importorskip("dask.array").from_array(adata.X, chunks=(41, -1))
        elif kind == "csc":
            adata.X = sparse.csc_matrix(adata.X)
        elif kind == "backed":
            adata.write_h5ad(tmp_path / "x.h5ad")
            adata = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
        np.testing.assert_allclose(choice(adata, random_state=2)["error"], error, rtol=1e-6)
        if kind == "backed":
            adata.file.close()

    @pytest.mark.parametrize("n_comps", [2, 65, WIDE, "auto"])
    def test_all_dimensions_are_used(self, n_comps: Any) -> None:
        """However many components there are."""
        adata = make_types(6)
        choice(adata, n_comps=n_comps)
        np.testing.assert_array_equal(adata.varm["X_newt"], wide_embedding().X)
        assert adata.obsm["X_newt"].shape == (800, WIDE)
        k = len(adata.uns["newt"]["variance"])
        assert_near(adata.obsm["X_newt"], literal_aligned(adata.X, wide_embedding().X, k)[0], 1e-3)

    def test_project_uses_all_dimensions(self) -> None:
        adata = make_types(6)
        nt.tl.embed(adata, embedding=wide_embedding(), mask_var=None, mode="project")
        X = wide_embedding().X
        np.testing.assert_allclose(adata.varm["X_newt"], X - X.mean(axis=0), atol=1e-5)
        assert "choice" not in adata.uns["newt"]


def halves(seed: int, embedding: ad.AnnData) -> float:
    """Share of cells whose nearest cell on the other panel is of their type."""
    rng = np.random.default_rng(seed)
    E = make_embedding(400)[symbols(400)].X
    centres = rng.normal(size=(5, D)) @ E.T / 3
    sides = []
    for genes in np.array_split(rng.permutation(400), 2):
        types = rng.permutation(np.arange(150) % 5)
        rate = np.exp(centres[types][:, genes] + 0.3 * rng.normal(size=(150, 200)))
        side = ad.AnnData(
            np.log1p(rng.poisson(rate)).astype(np.float32),
            var=pd.DataFrame(index=np.array(symbols(400))[genes]),
        )
        nt.tl.embed(side, embedding=embedding, mask_var=None, n_comps=4)
        sides.append((side.obsm["X_newt"], types))
    (X, x), (Y, y) = sides
    return float((y[cdist(X, Y).argmin(axis=1)] == x).mean())


class TestAcrossPanels:
    def test_halves_of_the_genes_agree(self) -> None:
        embedding = make_embedding(400)
        shuffled = embedding.copy()
        shuffled.X = embedding.X[np.random.default_rng(0).permutation(400)]
        real = [halves(seed, embedding) for seed in range(5)]
        wrong = [halves(seed, shuffled) for seed in range(5)]
        assert min(real) > 0.9
        assert np.mean(wrong) < 0.45


class TestProject:
    @pytest.mark.parametrize("mask", ["used", None])
    def test_is_x_times_e(self, array_type: Make, mask: str | None) -> None:
        adata = make_data(make=array_type)
        nt.tl.embed(adata, embedding=TOY["embedding"], mask_var=mask, mode="project")
        E = adata.varm["X_newt"]
        used = np.isfinite(E).all(axis=1) & (True if mask is None else adata.var["used"].to_numpy())
        X = dense(adata.X)
        np.testing.assert_allclose(
            adata.obsm["X_newt"], (X - X.mean(axis=0))[:, used] @ E[used], atol=1e-3
        )
        assert E.dtype == adata.obsm["X_newt"].dtype == np.float32
        assert adata.uns["newt"]["n_genes_used"] == used.sum()
        np.testing.assert_allclose(
            adata.uns["newt"]["variance"], adata.obsm["X_newt"].var(axis=0, ddof=1), rtol=1e-4
        )

    def test_varm_holds_the_rows_of_the_embedding_centred(self) -> None:
        adata = make_data()
        nt.tl.embed(adata, **TOY, mode="project")
        vectors = TOY["embedding"].to_df()
        vectors -= vectors.mean()
        for name, row in zip(adata.var_names, adata.varm["X_newt"], strict=True):
            expected = vectors.loc[name] if name not in UNKNOWN else np.full(D, np.nan)
            np.testing.assert_allclose(row, expected, atol=1e-6)

    def test_modalities_side_by_side(self) -> None:
        embedding = TOY["embedding"]
        one, both = make_data(), make_data()
        nt.tl.embed(one, **TOY, mode="project", modalities=["b"])
        nt.tl.embed(both, **TOY, mode="project", modalities=("b", "a"))
        in_b = set(embedding.obs_names[:-5])
        b, a = (
            embedding.obsm[name] - np.nanmean(embedding.obsm[name], axis=0) for name in ("b", "a")
        )
        rows = pd.DataFrame(np.hstack([np.nan_to_num(b), a]), embedding.obs_names)
        for name, row_one, row_both in zip(
            both.var_names, one.varm["X_newt"], both.varm["X_newt"], strict=True
        ):
            expected = np.full(7, np.nan) if name in UNKNOWN else rows.loc[name].to_numpy()
            np.testing.assert_allclose(row_both, expected, atol=1e-6)
            np.testing.assert_allclose(
                row_one, expected[:3] if name in in_b else np.full(3, np.nan), atol=1e-6
            )
        assert both.obsm["X_newt"].shape == (50, 7)
        assert both.uns["newt"]["params"]["modalities"].tolist() == ["b", "a"]

    def test_one_modality_by_name(self) -> None:
        a, b = make_data(), make_data()
        nt.tl.embed(a, **TOY, mode="project", modalities="a")
        nt.tl.embed(b, **TOY, mode="project", modalities=["a"])
        np.testing.assert_array_equal(a.obsm["X_newt"], b.obsm["X_newt"])

    def test_one_cell(self) -> None:
        adata = make_data()[:1].copy()
        nt.tl.embed(adata, **TOY, mode="project")
        np.testing.assert_allclose(adata.obsm["X_newt"], 0, atol=1e-4)
        assert adata.uns["newt"]["alignment"] == 1.0


class TestInput:
    @each_mode
    @pytest.mark.parametrize(
        "kind", ["F order", "csr_matrix", "csc_array", "layer", "view", "read-only", "float32"]
    )
    def test_forms_agree(self, mode: str, kind: str) -> None:
        adata, call = make_data(), TOY | MODES[mode]
        expected = nt.tl.embed(adata, **call, copy=True)
        X = adata.X.copy()
        if kind == "F order":
            adata.X = np.asfortranarray(X)
        elif kind in ("csr_matrix", "csc_array"):
            adata.X = getattr(sparse, kind)(X)
        elif kind == "layer":
            adata.layers["logged"], adata.X = X, np.zeros_like(X)
            call["layer"] = "logged"
        elif kind == "view":
            adata = ad.concat([adata, adata], join="outer", merge="same", index_unique="-")[
                : adata.n_obs
            ]
            assert adata.is_view
        elif kind == "read-only":
            adata.X.flags.writeable = False
        elif kind == "float32":
            adata.X = X.astype(np.float32)
        before = state(adata)
        out = nt.tl.embed(adata, **call, copy=True)
        assert_same(state(adata), before)
        scale = np.abs(expected.obsm["X_newt"]).max()
        np.testing.assert_allclose(
            out.obsm["X_newt"] / scale, expected.obsm["X_newt"] / scale, atol=1e-4
        )
        np.testing.assert_array_equal(out.varm["X_newt"], expected.varm["X_newt"])

    @pytest.mark.filterwarnings("ignore:Setting element")
    def test_view_in_place(self) -> None:
        whole = make_data()
        before, view = state(whole), whole[:30]
        nt.tl.embed(view, **TOY, n_comps=3)
        assert view.obsm["X_newt"].shape == (30, D)
        assert {LOADINGS, "X_newt"} <= set(view.varm)
        assert_same(state(whole), before)
        part = whole[:30].copy()
        nt.tl.embed(part, **TOY, n_comps=3)
        assert_near(view.obsm["X_newt"], part.obsm["X_newt"], 1e-5)

    @each_mode
    @pytest.mark.parametrize("step", [1 << 26, 8 * 43 * 7], ids=["one block", "many blocks"])
    @pytest.mark.parametrize(
        "make", [np.asarray, sparse.csr_matrix, sparse.csc_matrix], ids=["dense", "csr", "csc"]
    )
    def test_backed(
        self, tmp_path: Path, make: Make, step: int, mode: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        adata = make_data(make=make)
        adata.write_h5ad(tmp_path / "x.h5ad")
        backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
        nt.tl.embed(adata, **TOY, **MODES[mode])
        monkeypatch.setattr(_rows, "_BLOCK_BYTES", step)
        copied = nt.tl.embed(backed, **TOY, **MODES[mode], copy=True)
        assert "X_newt" not in backed.obsm
        assert not copied.isbacked
        nt.tl.embed(backed, **TOY, **MODES[mode])
        for out in (backed, copied):
            assert_alike(out, adata)
        backed.file.close()

    @each_mode
    @pytest.mark.parametrize("chunk", [np.asarray, sparse.csr_matrix], ids=["dense", "csr"])
    @pytest.mark.parametrize("chunks", [(17, -1), (50, 20), ((0, 30, 0, 20), -1)], ids=str)
    def test_dask_chunks(self, chunk: Make, chunks: Any, mode: str) -> None:
        da = pytest.importorskip("dask.array")
        adata = make_data()
        expected = nt.tl.embed(adata, **TOY, **MODES[mode], copy=True)
        adata.X = da.from_array(adata.X, chunks=chunks).map_blocks(chunk)
        nt.tl.embed(adata, **TOY, **MODES[mode])
        assert type(adata.X).__module__.startswith("dask")
        assert isinstance(adata.obsm["X_newt"], da.Array)
        assert_alike(adata, expected)

    @each_mode
    @pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix], ids=["dense", "csr"])
    @pytest.mark.filterwarnings("ignore:.*(zarr|Zarr|string|dtype|read_elem_lazy)")
    def test_on_zarr(self, tmp_path: Path, make: Make, mode: str) -> None:
        pytest.importorskip("dask.array")
        import zarr

        adata = make_data(make=make)
        adata.write_zarr(tmp_path / "x.zarr")
        expected = nt.tl.embed(adata, **TOY, **MODES[mode], copy=True)
        stored = zarr.open_group(tmp_path / "x.zarr", mode="r")["X"]
        adata.X = ad.experimental.read_elem_lazy(stored, chunks=(13, 43))
        nt.tl.embed(adata, **TOY, **MODES[mode])
        assert_alike(adata, expected)

    @each_mode
    @pytest.mark.parametrize("kind", ["backed", "backed csr", "dask", "zarr"])
    @pytest.mark.filterwarnings(
        "ignore:.*(zarr|Zarr|string|dtype|read_elem_lazy)", "ignore:adata.X reaches"
    )
    def test_means_that_the_first_block_does_not_have(
        self, tmp_path: Path, kind: str, mode: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Products are taken about the means of the first block, which here are far off, and far
        from zero.
        """
        adata = make_data(120)
        adata = adata[np.argsort(adata.X[:, adata.var["used"]].sum(axis=1))].copy()
        adata.X += np.linspace(90, 110, adata.n_vars) + 8 * np.linspace(-1, 1, 120)[:, None]
        expected = nt.tl.embed(adata, **TOY, **MODES[mode], copy=True)
        P, _ = pca(adata.X[:, adata.var["used"]], 4)
        adata.X = sparse.csr_matrix(adata.X) if kind == "backed csr" else adata.X
        adata.write_h5ad(tmp_path / "x.h5ad")
        adata.write_zarr(tmp_path / "x.zarr")
        monkeypatch.setattr(_rows, "_BLOCK_BYTES", 8 * 43 * 11)
        if kind.startswith("backed"):
            adata = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
        elif kind == "dask":
            adata.X = pytest.importorskip("dask.array").from_array(adata.X, chunks=(13, -1))
        else:
            pytest.importorskip("dask.array")
            import zarr

            adata.X = ad.experimental.read_elem_lazy(
                zarr.open_group(tmp_path / "x.zarr", mode="r")["X"], chunks=(13, 43)
            )
        nt.tl.embed(adata, **TOY, **MODES[mode])
        assert_alike(adata, expected)
        if mode == "aligned":
            Z = dense(adata.obsm["X_newt"])
            assert_near(cdist(Z, Z), cdist(P, P))
        if adata.isbacked:
            adata.file.close()

    def test_whole_numbers(self) -> None:
        """Counts are embedded as they are, with a warning."""
        adata, same = make_data(), make_data()
        adata.X = np.rint(adata.X).astype(np.int64)
        same.X = adata.X.astype(np.float64) + 1e-9 * np.eye(*adata.shape)
        with pytest.warns(NewtWarning, match="looks like raw counts"):
            nt.tl.embed(adata, **TOY, mode="project")
        nt.tl.embed(same, **TOY, mode="project")
        np.testing.assert_allclose(adata.obsm["X_newt"], same.obsm["X_newt"], atol=1e-4)

    @each_mode
    def test_only_its_own_slots_change(self, array_type: Make, mode: str) -> None:
        adata = make_data(make=array_type)
        adata.layers["other"] = adata.X.copy()
        before = state(adata)
        assert nt.tl.embed(adata, **TOY, **MODES[mode]) is None
        assert set(adata.uns) == {"mine", "newt"}
        del adata.uns["newt"], adata.obsm["X_newt"], adata.varm["X_newt"]
        if mode == "aligned":
            del adata.varm[LOADINGS], adata.var[MEAN]
        assert_same(state(adata), before)

    @pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csc_matrix])
    def test_never_dense(self, make: Make) -> None:
        n, m = 4000, 6000
        rng = np.random.default_rng(0)
        X = make(sparse.random(n, m, 0.02, format="csr", dtype=np.float32, random_state=rng))
        adata = ad.AnnData(X, var=pd.DataFrame({"some": np.arange(m) < 800}, index=symbols(m)))
        embedding = make_embedding(m)
        nt.tl.embed(
            adata[:50].copy(), embedding=embedding, mask_var="some", mode="project"
        )  # tables read, code compiled
        call = {"embedding": embedding, "mask_var": "some"}
        for mode in MODES:
            tracemalloc.start()
            nt.tl.embed(adata, **call, **MODES[mode])
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < n * m * 4 / 2, (
                f"{mode}: {peak / 1e6:.0f} MB, dense would be {n * m * 4 / 1e6:.0f} MB"
            )

    @each_mode
    def test_duplicate_names(self, mode: str) -> None:
        adata = make_data()
        names = adata.var_names.tolist()
        first = next(i for i, name in enumerate(names) if name not in UNKNOWN)
        names[names.index(UNKNOWN[0])] = names[first]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adata.var_names = names
        nt.tl.embed(adata, embedding=TOY["embedding"], mask_var=None, **MODES[mode])
        assert adata.uns["newt"]["genes"]["n_shared"] == 2
        twice = adata.varm["X_newt"][adata.var_names == names[first]]
        np.testing.assert_array_equal(twice[0], twice[1])
        if mode == "aligned":
            assert_near(adata.obsm["X_newt"], literal_aligned(adata.X, adata.varm["X_newt"], 4)[0])

    def test_key_added(self) -> None:
        adata = make_data()
        before = state(adata)
        nt.tl.embed(adata, **TOY, n_comps=4, key_added="other")
        assert set(adata.uns) == {"mine", "other"}
        assert set(adata.obsm) == {"mine", "other"}
        assert set(adata.varm) == {"other", "other_loadings"}
        same = nt.tl.embed(make_data(), **TOY, n_comps=4, copy=True)
        np.testing.assert_array_equal(adata.varm["other_loadings"], same.varm[LOADINGS])
        np.testing.assert_array_equal(adata.var["other_mean"], same.var[MEAN])
        del (
            adata.uns["other"],
            adata.obsm["other"],
            adata.varm["other"],
            adata.varm["other_loadings"],
        )
        del adata.var["other_mean"]
        assert_same(state(adata), before)

    @pytest.mark.parametrize("key", [None, "other"])
    def test_nothing_stale_stays_under_a_key(self, key: str | None) -> None:
        """Loadings of an earlier call would place new cells in another space."""
        slot = key or "X_newt"
        adata, fresh = make_data(), make_data()
        nt.tl.embed(adata, **TOY, n_comps=4, key_added=key)
        nt.tl.embed(adata, **TOY, n_comps=4, key_added="kept")
        before = state(adata)
        again = nt.tl.embed(adata, **TOY, mode="project", key_added=key, copy=True)
        assert_same(state(adata), before)
        nt.tl.embed(adata, **TOY, mode="project", key_added=key)
        nt.tl.embed(fresh, **TOY, mode="project", key_added=key)
        for out in (adata, again):
            assert set(out.varm) == {slot, "kept", "kept_loadings"}
            assert set(out.var) == {"used", "kept_mean"}
            np.testing.assert_array_equal(out.obsm[slot], fresh.obsm[slot])
        nt.tl.embed(adata, **TOY, n_comps=4, key_added=key)
        np.testing.assert_array_equal(adata.varm[f"{slot}_loadings"], adata.varm["kept_loadings"])

    def test_copied_data_with_fewer_components(self) -> None:
        """What is written over is written over whole."""
        adata = make_data()
        nt.tl.embed(adata, **TOY, n_comps=6)
        nt.tl.embed(adata, **TOY, n_comps=2)
        assert np.linalg.matrix_rank(adata.varm[LOADINGS]) == 2

    def test_copy(self) -> None:
        adata = make_data()
        before = state(adata)
        out = nt.tl.embed(adata, **TOY, n_comps=4, copy=True)
        assert_same(state(adata), before)
        out.X[:] = 0
        assert_same(state(adata), before)
        assert out.obsm["X_newt"].shape == (50, D)

    @pytest.mark.parametrize("ending", ["h5ad", "zarr"])
    @each_mode
    @pytest.mark.filterwarnings("ignore:.*(zarr|Zarr|string|dtype)")
    def test_written_and_read_back(self, tmp_path: Path, ending: str, mode: str) -> None:
        adata = make_data()
        adata.var_names = [*adata.var_names[:-1], "1-Mar"]
        nt.tl.embed(adata, **TOY, **MODES[mode], modalities=["a", "b"])
        path = tmp_path / f"x.{ending}"
        (adata.write_zarr if ending == "zarr" else adata.write_h5ad)(path)
        back = (ad.read_zarr if ending == "zarr" else ad.read_h5ad)(path)
        np.testing.assert_array_equal(back.obsm["X_newt"], adata.obsm["X_newt"])
        np.testing.assert_array_equal(back.varm["X_newt"], adata.varm["X_newt"])
        assert back.obsm["X_newt"].dtype == np.float32
        if mode == "aligned":
            np.testing.assert_array_equal(back.varm[LOADINGS], adata.varm[LOADINGS])
            np.testing.assert_array_equal(back.var[MEAN], adata.var[MEAN])
            assert_near(
                (back.X - back.var[MEAN].to_numpy()) @ back.varm[LOADINGS], back.obsm["X_newt"]
            )

        def plain(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: plain(item) for key, item in value.items()}
            return value.tolist() if hasattr(value, "tolist") else value

        assert plain(back.uns["newt"]) == plain(adata.uns["newt"])
        assert back.uns["newt"]["genes"]["hints"]["date"].tolist() == ["1-Mar"]

    @pytest.mark.filterwarnings("ignore:.*are the previous symbol of one gene")  # TAZ and five more
    @pytest.mark.parametrize("name", ["cells/pbmc3k_human.h5ad", "cells/paul_myeloid_mouse.h5ad"])
    def test_real_cells(self, data_file: Callable[[str], Path], name: str) -> None:
        adata = ad.read_h5ad(data_file(name))
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
        sc.pp.highly_variable_genes(adata, n_top_genes=1000)
        nt.tl.embed(adata, n_comps=20)
        assert adata.obsm["X_newt"].shape == (adata.n_obs, 256)
        assert adata.uns["newt"]["variance"].shape == (20,)
        assert np.isfinite(adata.obsm["X_newt"]).all()
        assert adata.uns["newt"]["alignment"] > 1.5
        assert adata.uns["newt"]["genes"]["organism"] == name.rsplit("_", 1)[1].removesuffix(
            ".h5ad"
        )


class TestMask:
    def test_highly_variable_by_default(self) -> None:
        adata, same = make_data(), make_data()
        adata.var["highly_variable"] = adata.var["used"]
        nt.tl.embed(adata, embedding=TOY["embedding"], n_comps=4)
        nt.tl.embed(same, **TOY, n_comps=4)
        np.testing.assert_array_equal(adata.obsm["X_newt"], same.obsm["X_newt"])
        assert adata.uns["newt"]["params"]["mask_var"] == "highly_variable"

    def test_all_genes_with_a_warning_where_there_is_none(self) -> None:
        adata, same = make_data(), make_data()
        with pytest.warns(NewtWarning, match="No highly_variable genes.*mask_var=None") as record:
            nt.tl.embed(adata, embedding=TOY["embedding"], n_comps=4)
        assert record[0].filename == __file__
        nt.tl.embed(same, embedding=TOY["embedding"], n_comps=4, mask_var=None)
        np.testing.assert_array_equal(adata.obsm["X_newt"], same.obsm["X_newt"])
        assert same.uns["newt"]["params"]["mask_var"] == "all"

    @pytest.mark.parametrize("form", [np.asarray, pd.Series, list], ids=["array", "Series", "list"])
    def test_values(self, form: Make) -> None:
        adata, same = make_data(), make_data()
        mask = adata.var["used"] if form is pd.Series else form(adata.var["used"])
        nt.tl.embed(adata, embedding=TOY["embedding"], n_comps=4, mask_var=mask)
        nt.tl.embed(same, **TOY, n_comps=4)
        np.testing.assert_array_equal(adata.obsm["X_newt"], same.obsm["X_newt"])

    def test_masked_genes_do_not_count(self) -> None:
        for mode in MODES.values():
            adata, other = make_data(), make_data()
            other.X[:, ~other.var["used"].to_numpy()] = 3.0
            nt.tl.embed(adata, **TOY, **mode)
            nt.tl.embed(other, **TOY, **mode)
            np.testing.assert_allclose(other.obsm["X_newt"], adata.obsm["X_newt"], atol=1e-4)


def broken(change: Callable[[ad.AnnData], Any]) -> Callable[[], Any]:
    def make() -> Any:
        adata = make_data()
        result = change(adata)
        return adata if result is None else result

    return make


def put(value: float) -> Callable[[ad.AnnData], None]:
    def change(adata: ad.AnnData) -> None:
        adata.X[3, 4] = value

    return change


def rename(adata: ad.AnnData) -> None:
    adata.var_names = [f"xx_{i}" for i in range(adata.n_vars)]


def empty_mapping(adata: ad.AnnData) -> None:
    adata.var["newt_genes"] = pd.Categorical([None] * adata.n_vars, categories=["TP53"])


ONLY_UNKNOWN = make_data().var_names.isin(UNKNOWN)
REFERENCE = pd.Series(1.0, index=symbols(40))
FAILURES: dict[str, tuple[Callable[[], Any], dict[str, Any], type[Exception], str]] = {
    "no overlap": (
        broken(rename), {}, GeneMatchError, r"None of the 43 genes.*'xx_0'.*reference has"
    ),
    "mapped to nothing": (
        broken(empty_mapping), {}, GeneMatchError, "has no gene at all.*map_genes"
    ),
    "no vector in the mask": (
        make_data, {"mask_var": ONLY_UNKNOWN}, GeneMatchError, "None of the 3 genes in mask_var"
    ),
    "NaN": (broken(put(np.nan)), {}, ValueError, "adata.X has NaN or infinite"),
    "inf": (broken(put(np.inf)), {"mode": "project"}, ValueError, "adata.X has NaN or infinite"),
    "no cells": (broken(lambda a: a[:0].copy()), {}, ValueError, "0 cells and 43 genes"),
    "no genes": (broken(lambda a: a[:, :0].copy()), {}, ValueError, "50 cells and 0 genes"),
    "no X": (
        broken(lambda a: ad.AnnData(obs=a.obs, var=a.var)), {}, TypeError, "adata.X is NoneType"
    ),
    "MuData": (
        broken(lambda a: MuData({"rna": a})), {}, TypeError,
        r"adata is MuData, expected AnnData.*mdata.mod\[name\]",
    ),
    "DataFrame": (
        broken(lambda a: a.to_df()), {}, TypeError, "adata is DataFrame, expected AnnData"
    ),
    "too many components": (
        make_data, {"n_comps": 50}, ValueError, "n_comps is 50, but must be less"
    ),
    "one cell": (
        broken(lambda a: a[:1].copy()), {"n_comps": 1}, ValueError,
        "n_comps is 1, but must be less than",
    ),
    "n_comps 0": (make_data, {"n_comps": 0}, ValueError, "n_comps is 0"),
    "n_comps 2.0": (make_data, {"n_comps": 2.0}, ValueError, "n_comps is 2.0"),
    "n_comps True": (make_data, {"n_comps": True}, ValueError, "n_comps is True"),
    "mode": (
        make_data, {"mode": "pca"}, ValueError, "mode is 'pca', expected one of 'aligned'"
    ),
    "n_comps all": (make_data, {"n_comps": "all"}, ValueError, "n_comps is 'all', .* or 'auto'"),
    "random_state None": (make_data, {"random_state": None}, ValueError, "random_state is None"),
    "random_state -1": (make_data, {"random_state": -1}, ValueError, "random_state is -1"),
    "organism": (make_data, {"organism": "rat"}, ValueError, "organism is 'rat', expected one of"),
    "center": (
        make_data, {"center": "zero", "mode": "project"}, ValueError,
        "center is 'zero', expected 'data'",
    ),
    "center of aligned": (
        make_data, {"center": REFERENCE}, ValueError, "center is not used by mode='aligned'"
    ),
    "AnnData as center of aligned": (
        make_data, {"center": make_data()}, ValueError, "center is not used by mode='aligned'"
    ),
    "n_comps of project": (
        make_data, {"mode": "project", "n_comps": 4}, ValueError,
        "n_comps is 4, but mode='project' has no components",
    ),
    "random_state of project": (
        make_data, {"mode": "project", "random_state": 1}, ValueError,
        "random_state is 1, but mode='project'.*leave it",
    ),
    "random_state auto": (
        make_data, {"random_state": "auto"}, ValueError, "random_state is 'auto', expected a whole"
    ),
    "one known gene": (
        make_data, {"embedding": make_embedding()[symbols(1)], "mask_var": None}, GeneMatchError,
        "Only 1 of the 43",
    ),
    "center NaN": (
        make_data, {"center": REFERENCE * np.nan, "mode": "project"}, ValueError,
        "center has NaN or infinite means",
    ),
    "center without cells": (
        make_data, {"center": make_data()[:0].copy(), "mode": "project"}, ValueError,
        "center has no cells",
    ),
    "center of other genes": (
        make_data, {"center": pd.Series(1.0, index=["xx_1"]), "mode": "project"}, GeneMatchError,
        "1 genes of center",
    ),
    "embedding absent": (
        make_data, {"embedding": "no-such"}, FileNotFoundError, "'no-such' is neither"
    ),
    "embedding of another type": (make_data, {"embedding": 3}, TypeError, "embedding is int"),
    "layer": (make_data, {"layer": "z"}, KeyError, "layer 'z' is not in adata.layers"),
    "modality": (
        make_data, {"modalities": ["a", "z"]}, KeyError, r"modalities \['z'\] are not.*\['a', 'b'\]"
    ),
    "no modality": (make_data, {"modalities": []}, KeyError, "modalities"),
    "mask name": (make_data, {"mask_var": "hvg"}, KeyError, "mask_var 'hvg' is not in adata.var"),
    "mask shape": (
        make_data, {"mask_var": np.ones(4, bool)}, ValueError,
        r"bool of shape \(4,\), expected.*\(43,\)",
    ),
    "mask of two dimensions": (
        make_data, {"mask_var": np.ones((43, 1), bool)}, ValueError, "expected bool of shape"
    ),
    "mask dtype": (make_data, {"mask_var": np.ones(43)}, ValueError, "mask_var is float64"),
    "mask False": (
        make_data, {"mask_var": np.zeros(43, bool)}, ValueError, "mask_var='array' selects no gene"
    ),
    "mask in other order": (
        make_data, {"mask_var": make_data().var["used"].iloc[::-1]}, ValueError,
        "index of mask_var is not",
    ),
}  # fmt: skip


class TestFailures:
    @pytest.mark.parametrize("copy", [False, True])
    @pytest.mark.parametrize(("make", "call", "error", "text"), FAILURES.values(), ids=FAILURES)
    def test_says_so_and_changes_nothing(
        self,
        make: Callable[[], Any],
        call: dict[str, Any],
        error: type[Exception],
        text: str,
        copy: bool,
    ) -> None:
        adata = make()
        before = state(adata) if isinstance(adata, ad.AnnData) else None
        with pytest.raises(error, match=text):
            nt.tl.embed(adata, **TOY | ({} if "mode" in call else {"n_comps": 4}) | call, copy=copy)
        if before is not None:
            assert_same(state(adata), before)

    def test_what_stood_there_stays(self) -> None:
        adata = make_data()
        nt.tl.embed(adata, **TOY, n_comps=4)
        before = state(adata)
        with pytest.raises(ValueError, match="n_comps"):
            nt.tl.embed(adata, **TOY, n_comps=400)
        assert_same(state(adata), before)

    @pytest.mark.parametrize(
        "values", [np.full((50, 43), "a"), np.full((50, 43), None)], ids=["text", "objects"]
    )
    def test_not_numeric(self, values: np.ndarray) -> None:
        adata = make_data()
        adata.layers["text"] = values
        with pytest.raises(TypeError, match="layer 'text' is ndarray of dtype"):
            nt.tl.embed(adata, **TOY, layer="text")

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (lambda X: np.expm1(X) // 10, "whole numbers only: it looks like raw counts"),
            (lambda X: np.minimum(np.rint(X), 2), "whole numbers only: it looks like raw counts"),
            (lambda X: X - X.mean(axis=0), "negative values: it looks scaled"),
            (np.expm1, "normalised but not log-transformed"),
        ],
        ids=["counts", "low counts", "scaled", "not logged"],
    )
    def test_values_that_look_wrong(self, change: Make, text: str) -> None:
        adata = make_data()
        adata.X = change(adata.X)
        with pytest.warns(NewtWarning, match=f"adata.X .*{text}") as record:
            nt.tl.embed(adata, **TOY, n_comps=4)
        assert [w.filename for w in record] == [__file__]
        assert "X_newt" in adata.obsm

    def test_empty_cells(self) -> None:
        adata = make_data()
        adata.X[:2] = 0
        with pytest.warns(NewtWarning, match="2 of 50 cells have no count"):
            nt.tl.embed(adata, **TOY, n_comps=4)

    def test_few_genes_known(self) -> None:
        adata = make_data()
        with pytest.warns(
            NewtWarning, match=r"Only \d of 4\d genes used \(\d+%\) have a vector.*uns\['k'\]"
        ):
            nt.tl.embed(
                adata,
                embedding=make_embedding()[symbols(9)],
                mask_var=None,
                n_comps=4,
                key_added="k",
            )


class TestGenes:
    @pytest.mark.parametrize("kind", ["ensembl", "versioned", "entrez", "mixed", "mouse"])
    def test_other_identifiers(self, kind: str) -> None:
        expected = make_data()
        nt.tl.embed(expected, **TOY, mode="project")
        adata = make_data()
        known = ~adata.var_names.isin(UNKNOWN)
        names = adata.var_names.to_series().reset_index(drop=True)
        if kind == "mouse":
            orthologs = nt.genes.orthologs().drop_duplicates("human_symbol", keep=False)
            orthologs = orthologs.drop_duplicates("mouse_symbol", keep=False).set_index(
                "human_symbol"
            )["mouse_symbol"]
            known &= adata.var_names.isin(orthologs.index)
            assert known.sum() > 10
            names[known] = orthologs[names[known]].to_numpy()
            names[~known] = [f"not-a-gene-{i}" for i in range((~known).sum())]
        else:
            column = "entrez" if kind == "entrez" else "ensembl"
            ids = table().loc[names[known], column] + (".7" if kind == "versioned" else "")
            if kind == "mixed":
                ids[::3] = ids.index[::3]
            names[known] = ids.to_numpy()
        adata.var_names = names
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Only .* have a vector", NewtWarning)
            warnings.filterwarnings("ignore", ".*taken as Entrez ids", NewtWarning)
            nt.tl.embed(adata, **TOY, mode="project")
        np.testing.assert_array_equal(adata.varm["X_newt"][known], expected.varm["X_newt"][known])
        assert np.isnan(adata.varm["X_newt"][~known]).all()
        assert adata.uns["newt"]["genes"]["organism"] == ("mouse" if kind == "mouse" else "human")
        if kind != "mouse":
            np.testing.assert_array_equal(adata.obsm["X_newt"], expected.obsm["X_newt"])

    def test_mapping_made_before_is_used(self) -> None:
        expected, adata = make_data(), make_data()
        nt.tl.embed(expected, **TOY, mode="project")
        ensembl = table()["ensembl"]
        adata.var["gene_ids"] = [ensembl.get(name, "none") for name in adata.var_names]
        names = [f"row{i}" for i in range(adata.n_vars)]
        adata.var_names = names
        nt.pp.map_genes(adata, column="gene_ids")
        nt.tl.embed(adata, **TOY, mode="project")
        np.testing.assert_array_equal(adata.varm["X_newt"], expected.varm["X_newt"])
        np.testing.assert_array_equal(adata.obsm["X_newt"], expected.obsm["X_newt"])
        report = adata.uns["newt"]["genes"]
        assert (report["n_genes"], report["n_matched"], report["n_dropped"]) == (43, 40, 3)
        assert report["matched_by"] == {"ensembl": 40}
        lost = np.isnan(expected.varm["X_newt"]).all(axis=1)
        assert report["dropped"].tolist() == np.array(names)[lost].tolist()

    def test_mapping_of_mouse_genes_is_final(self) -> None:
        """A mouse gene whose ortholog is ambiguous does not get the human gene that is called
        alike.
        """
        mouse = nt.genes.resolve(["Trp53", "Gata1", "Cd4", "H3c2"], organism="mouse")
        assert mouse["rule"].tolist() == [*["mouse_symbol"] * 3, "ambiguous"]
        embedding = ad.AnnData(
            np.eye(4, dtype=np.float32), obs=pd.DataFrame(index=["TP53", "GATA1", "CD4", "H3C2"])
        )
        X = np.log1p(np.random.default_rng(0).poisson(2.0, (20, 4)) + 0.5)
        adata = ad.AnnData(X, var=pd.DataFrame(index=mouse["query"]))
        with pytest.warns(NewtWarning, match="may mean several genes"):
            nt.pp.map_genes(adata)
        for organism in ("auto", "mouse"):
            nt.tl.embed(
                adata, embedding=embedding, mask_var=None, mode="project", organism=organism
            )
            np.testing.assert_array_equal(
                np.isnan(adata.varm["X_newt"]).any(axis=1), [False, False, False, True]
            )
            report = adata.uns["newt"]["genes"]
            assert report["organism"] == "mouse"
            assert report["matched_by"] == {"mouse_symbol": 3}
            assert report["dropped"].tolist() == ["H3c2"]

    def test_embedding_from_a_file(self, tmp_path: Path) -> None:
        make_embedding().write_h5ad(tmp_path / "toy.h5ad")
        a, b = make_data(), make_data()
        nt.tl.embed(a, embedding=tmp_path / "toy.h5ad", mask_var="used", n_comps=4)
        nt.tl.embed(b, **TOY, n_comps=4)
        np.testing.assert_array_equal(a.obsm["X_newt"], b.obsm["X_newt"])
        assert a.uns["newt"]["embedding"]["sha256"] == b.uns["newt"]["embedding"]["sha256"]
        assert (a.uns["newt"]["embedding"]["name"], b.uns["newt"]["embedding"]["name"]) == (
            str(tmp_path / "toy.h5ad"),
            "toy",
        )

    def test_shipped_embedding(self) -> None:
        adata = make_data(60, 300)
        embedding = nt.datasets.embedding()
        known = adata.var_names[adata.var_names.isin(embedding.obs_names)]
        for mode in MODES.values():
            nt.tl.embed(adata, mask_var="used", **mode)
            assert adata.varm["X_newt"].shape == (303, embedding.n_vars)
            assert adata.obsm["X_newt"].shape == (60, embedding.n_vars)
            middle = embedding.X.mean(axis=0) if mode.get("mode") == "project" else 0
            expected = (embedding[known].X - middle) * np.repeat([1, 4], 128)  # private ones
            np.testing.assert_allclose(adata[:, known].varm["X_newt"], expected, atol=1e-5)


class TestCenter:
    call: dict[str, Any] = {  # noqa: RUF012
        "embedding": TOY["embedding"],
        "mode": "project",
        "mask_var": None,
    }

    def test_data_sets_on_one_reference_are_comparable(self) -> None:
        a, b, reference = make_data(seed=1), make_data(30, seed=2), make_data(seed=3)
        joined = ad.concat([a, b], join="outer", index_unique="-")
        for adata in (a, b, joined):
            nt.tl.embed(adata, **self.call, center=reference)
        together = np.vstack([a.obsm["X_newt"], b.obsm["X_newt"]])
        np.testing.assert_allclose(joined.obsm["X_newt"], together, atol=1e-4)
        own = make_data(seed=1)
        nt.tl.embed(own, **self.call)
        assert np.abs(own.obsm["X_newt"] - a.obsm["X_newt"]).max() > 0.1
        assert a.uns["newt"]["params"]["center"] == "reference"

    def test_reference_of_the_data_is_the_data(self) -> None:
        a, b, c = make_data(), make_data(), make_data()
        means = pd.Series(a.X.mean(axis=0), index=a.var_names).sample(frac=1, random_state=0)
        nt.tl.embed(a, **self.call)
        nt.tl.embed(b, **self.call, center=make_data())
        nt.tl.embed(c, **self.call, center=means)
        for other in (b, c):
            np.testing.assert_allclose(other.obsm["X_newt"], a.obsm["X_newt"], atol=1e-4)

    @pytest.mark.parametrize("mapped", [False, True])
    def test_reference_with_other_identifiers(self, mapped: bool) -> None:
        a, b, reference = make_data(), make_data(), make_data(seed=2)
        nt.tl.embed(a, **self.call, center=reference)
        ensembl = table()["ensembl"]
        ids = [ensembl.get(name, name) for name in reference.var_names]
        if mapped:
            reference.var["ids"], reference.var_names = (
                ids,
                [f"row{i}" for i in range(reference.n_vars)],
            )
            nt.pp.map_genes(reference, column="ids")
        else:
            reference.var_names = ids
        nt.tl.embed(b, **self.call, center=reference)
        np.testing.assert_allclose(b.obsm["X_newt"], a.obsm["X_newt"], atol=1e-5)

    def test_genes_missing_in_the_reference_are_left_out(self) -> None:
        adata, reference = make_data(), make_data(seed=2)
        lost = adata.var_names[~adata.var_names.isin(UNKNOWN)][:7]
        kept = reference[:, ~reference.var_names.isin(lost)].copy()
        with pytest.warns(NewtWarning, match="7 of 40 genes have no mean in center") as record:
            nt.tl.embed(adata, **self.call, center=kept)
        assert record[0].filename == __file__
        used = ~adata.var_names.isin([*lost, *UNKNOWN])
        mean = pd.Series(reference.X.mean(axis=0), index=reference.var_names)[
            adata.var_names
        ].to_numpy()
        expected = (adata.X - mean)[:, used] @ adata.varm["X_newt"][used]
        np.testing.assert_allclose(adata.obsm["X_newt"], expected, atol=1e-3)
        assert adata.uns["newt"]["n_genes_used"] == used.sum() == 33

    def test_several_columns_of_one_gene(self) -> None:
        """Their sum is centred on the sum of the reference's columns of that gene."""
        names = symbols(10)
        X = np.log1p(np.random.default_rng(0).poisson(3.0, (20, 12)) + 0.5)
        ensembl, hgnc = table().loc[names[0], ["ensembl", "hgnc_id"]]
        split = ad.AnnData(X, var=pd.DataFrame(index=[*names, ensembl, hgnc]))
        whole = ad.AnnData(
            np.hstack([X[:, [0, 10, 11]].sum(axis=1, keepdims=True), X[:, 1:10]]),
            var=pd.DataFrame(index=names),
        )
        means = pd.Series(np.arange(10.0), index=names)
        halves = pd.concat([means.iloc[1:], pd.Series([-3.0, 3.0], index=[ensembl, names[0]])])
        for adata, center in ((split, means), (whole, halves)):
            nt.tl.embed(adata, **self.call, center=center)
        np.testing.assert_allclose(split.obsm["X_newt"], whole.obsm["X_newt"], atol=1e-4)

    @pytest.mark.parametrize("organism", ["auto", "mouse"])
    def test_mouse_cells_on_a_human_reference(self, organism: Any) -> None:
        human, mouse = ["TP53", "GATA1", "CD4", "SPI1"], ["Trp53", "Gata1", "Cd4", "Spi1"]
        embedding = ad.AnnData(np.eye(4, dtype=np.float32), obs=pd.DataFrame(index=human))
        X = np.log1p(np.random.default_rng(0).poisson(2.0, (20, 4)) + 0.5)
        adata = ad.AnnData(X, var=pd.DataFrame(index=mouse))
        means = pd.Series([1.0, 2.0, 3.0, 4.0], index=human)
        nt.tl.embed(
            adata,
            embedding=embedding,
            mode="project",
            mask_var=None,
            organism=organism,
            center=means,
        )
        E = np.eye(4) - 0.25  # centred
        np.testing.assert_allclose(adata.obsm["X_newt"], (X - means.to_numpy()) @ E, atol=1e-5)


class TestAlignment:
    @each_mode
    def test_is_the_ratio_to_the_mean_over_all_permutations(self, mode: str) -> None:
        """Of variances where cells are projected, of lengths of T, to the root mean square, where
        they are aligned.
        """
        names, rng = symbols(6), np.random.default_rng(0)
        X = np.log1p(rng.poisson(rng.gamma(1.0, 3.0, (15, 1)), (15, 7)) + 0.5)
        E = rng.normal(0.5, 1.0, (6, 3)).astype(np.float32)
        adata = ad.AnnData(X, var=pd.DataFrame(index=[*names, "not-a-gene"]))
        embedding = ad.AnnData(E, obs=pd.DataFrame(index=names))
        nt.tl.embed(
            adata,
            embedding=embedding,
            mask_var=None,
            **MODES[mode] | ({"n_comps": 2} if mode == "aligned" else {}),
        )
        Xc = X[:, :6] - X[:, :6].mean(axis=0)
        E = E - E.mean(axis=0)

        def size(order: list[int]) -> float:
            """Squared length of what the vectors in this order give."""
            if mode == "project":
                return float(((Xc @ E[order]) ** 2).sum())
            _, T = literal_aligned(X, np.vstack([E[order], np.full(3, np.nan)]), 2)
            return float((T**2).sum())

        shuffled = [size(list(order)) for order in permutations(range(6))]
        assert len(shuffled) == 720
        expected = size([*range(6)]) / np.mean(shuffled)
        expected = expected if mode == "project" else np.sqrt(expected)
        assert adata.uns["newt"]["alignment"] == pytest.approx(expected, rel=1e-4)

    @each_mode
    def test_about_one_for_shuffled_genes(self, mode: str) -> None:
        embedding = make_embedding(300)
        found = []
        for seed in range(-1, 5):
            one, adata = embedding.copy(), make_data(100, 300)
            if seed >= 0:
                one.X = embedding.X[np.random.default_rng(seed).permutation(300)]
            nt.tl.embed(adata, embedding=one, mask_var=None, **MODES[mode])
            found.append(adata.uns["newt"]["alignment"])
        assert found[0] > 2
        assert max(found[1:]) < 1.35
        assert np.mean(found[1:]) == pytest.approx(1, abs=0.15)


class TestInvariance:
    quick = hypothesis.settings(max_examples=8)

    @quick
    @hypothesis.given(order=st.permutations(range(50)))
    def test_order_of_cells(self, order: list[int]) -> None:
        for mode in MODES.values():
            adata = make_data()
            moved = adata[order].copy()
            nt.tl.embed(adata, **TOY, **mode)
            nt.tl.embed(moved, **TOY, **mode)
            assert_near(moved.obsm["X_newt"], adata.obsm["X_newt"][order], 1e-5)

    @quick
    @hypothesis.given(order=st.permutations(range(43)))
    def test_order_of_genes(self, order: list[int]) -> None:
        for mode in MODES.values():
            adata = make_data()
            moved = adata[:, order].copy()
            nt.tl.embed(adata, **TOY, **mode)
            nt.tl.embed(moved, **TOY, **mode)
            assert_near(moved.obsm["X_newt"], adata.obsm["X_newt"], 1e-5)
            np.testing.assert_array_equal(moved.varm["X_newt"], adata.varm["X_newt"][order])
            if LOADINGS in adata.varm:
                assert_near(moved.varm[LOADINGS], adata.varm[LOADINGS][order], 1e-5)
            assert moved.uns["newt"]["alignment"] == pytest.approx(
                adata.uns["newt"]["alignment"], rel=1e-6
            )

    @quick
    @hypothesis.given(n=st.integers(1, 20), value=st.floats(0, 9))
    def test_unknown_genes_outside_the_mask(self, n: int, value: float) -> None:
        for mode in MODES.values():
            adata = make_data()
            more = ad.AnnData(np.full((50, n), value), obs=adata.obs[[]])
            more.var_names, more.var["used"] = [f"more-{i}" for i in range(n)], False
            wide = ad.concat([adata, more], axis=1)
            nt.tl.embed(adata, **TOY, **mode)
            nt.tl.embed(wide, **TOY, **mode)
            np.testing.assert_allclose(wide.obsm["X_newt"], adata.obsm["X_newt"], atol=1e-4)
            assert wide.uns["newt"]["n_genes_used"] == adata.uns["newt"]["n_genes_used"]
