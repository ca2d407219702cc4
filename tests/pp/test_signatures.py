from __future__ import annotations

import warnings

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import stats

import newt_sc as nt
from newt_sc.errors import NewtWarning

GENES = ["UP", "DOWN", "SAME", "SILENT", "RARE"]
GROUPS = np.repeat(["NT", "A", "B", "one"], [30, 20, 25, 1])


def expression(random_state: int = 0) -> np.ndarray:
    rng = np.random.default_rng(random_state)
    X = rng.gamma(4, 0.3, size=(GROUPS.size, 5)).astype(np.float32)
    X[GROUPS == "A", 0] += 2
    X[GROUPS == "A", 1] -= X[GROUPS == "A", 1] * 0.8
    X[GROUPS == "B", 1] += 1
    X[:, 3] = 0
    X[:, 4] = 0
    X[np.flatnonzero(GROUPS == "B")[:3], 4] = 1  # B alone expresses it
    return X


@pytest.fixture
def adata() -> ad.AnnData:
    obs = pd.DataFrame(
        {
            "gene": pd.Categorical(GROUPS),
            "plate": [f"p{i % 4}" for i in range(GROUPS.size)],
            "kind": pd.Categorical(np.where(GROUPS == "A", "kinase", "other")),
            "dose": np.where(GROUPS == "A", 1, 5),
            "cell": np.arange(GROUPS.size),
        },
        index=[f"c{i}" for i in range(GROUPS.size)],
    )
    order = np.random.default_rng(1).permutation(GROUPS.size)
    var = pd.DataFrame({"entrez": [str(i) for i in range(5)]}, index=GENES)
    return ad.AnnData(expression(), obs=obs, var=var)[order].copy()


def call(adata: ad.AnnData, **kwargs: object) -> ad.AnnData:
    """Signatures of A and B, the cell called "one" being too few."""
    with pytest.warns(
        NewtWarning,
        match="1 perturbations have fewer than min_cells=10 cells and are left out: 'one'",
    ):
        return nt.pp.signatures(adata, **{"groupby": "gene", "reference": "NT"} | kwargs)


# -- cells -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["wilcoxon", "t-test", "t-test_overestim_var"])
@pytest.mark.parametrize("tie_correct", [False, True])
def test_scores_are_those_of_scanpy(adata, method, tie_correct):
    sig = call(adata, method=method, tie_correct=tie_correct)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        sc.tl.rank_genes_groups(
            adata, "gene", groups=["A", "B"], reference="NT", method=method, tie_correct=tie_correct
        )
    found = adata.uns["rank_genes_groups"]
    measured = {"A": GENES[:3], "B": [*GENES[:3], "RARE"]}
    for name in ("A", "B"):
        expected = pd.Series(found["scores"][name], index=found["names"][name])
        row = sig[name].to_df().iloc[0]
        np.testing.assert_allclose(row[measured[name]], expected[measured[name]], rtol=1e-6)
        assert row.index[row.notna()].tolist() == measured[name]
    assert sig["A", "UP"].X.item() > 3
    assert sig["A", "DOWN"].X.item() < -3
    assert sig.X.dtype == np.float32


def test_wilcoxon_against_scipy(adata):
    sig = call(adata, tie_correct=True)
    for name in ("A", "B"):
        for gene in ("UP", "DOWN", "SAME"):
            x, y = (adata[adata.obs["gene"] == group, gene].X.ravel() for group in (name, "NT"))
            p = stats.mannwhitneyu(x, y, use_continuity=False, method="asymptotic").pvalue
            z = np.sign(
                np.mean(stats.rankdata([*x, *y])[: len(x)]) - (len(x) + len(y) + 1) / 2
            ) * stats.norm.isf(p / 2)
            assert sig[name, gene].X.item() == pytest.approx(z, rel=1e-5)


def test_what_is_kept_and_written(adata, tmp_path):
    before = adata.copy()
    sig = call(adata)
    order = [name for name in pd.unique(adata.obs["gene"]) if name in "AB"]
    assert sig.obs_names.tolist() == sig.obs["perturbation"].tolist() == order
    assert sig.obs.loc["A", ["n_cells", "n_reference"]].tolist() == [20, 30]
    assert sig.obs.loc["B", ["n_cells", "n_reference"]].tolist() == [25, 30]
    assert list(sig.obs) == ["perturbation", "n_cells", "n_reference", "kind", "dose"]
    assert sig.obs["kind"].dtype == "category"
    assert sig.obs.loc["A", ["kind", "dose"]].tolist() == ["kinase", 1]
    assert sig.obs["dose"].dtype.kind == "i"
    assert sig.var.equals(adata.var)
    np.testing.assert_array_equal(sig.layers["measured"], ~np.isnan(sig.X))
    assert sig.uns["newt_signatures"]["params"] == {
        "groupby": "gene",
        "reference": "NT",
        "method": "wilcoxon",
        "min_cells": 10,
        "layer": "X",
        "tie_correct": False,
    }
    sig.write_h5ad(tmp_path / "a.h5ad")
    again = ad.read_h5ad(tmp_path / "a.h5ad")
    assert again.uns["newt_signatures"] == sig.uns["newt_signatures"]
    np.testing.assert_array_equal(again.X, sig.X)
    assert adata.obs.equals(before.obs)
    assert not adata.uns
    np.testing.assert_array_equal(adata.X, before.X)


def test_array_types_and_layers(adata, array_type):
    expected = call(adata)
    other = adata.copy()
    other.layers["mine"] = array_type(adata.X)
    other.X = np.full(adata.shape, np.nan, dtype=np.float32)
    found = call(other, layer="mine")
    np.testing.assert_array_equal(found.X, expected.X)
    assert found.uns["newt_signatures"]["params"]["layer"] == "mine"


def test_backed(adata, tmp_path):
    expected = call(adata)
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed="r")
    np.testing.assert_array_equal(call(backed).X, expected.X)
    backed.file.close()


@pytest.mark.parametrize("kwargs", [{}, {"method": "pseudobulk", "replicates": "plate"}])
def test_labels_that_are_missing_or_numbers(adata, kwargs):
    expected = call(adata, **kwargs)
    codes = {"NT": 0, "A": 1, "B": 2, "one": np.nan}
    adata.obs["code"] = [codes[name] for name in adata.obs["gene"]]
    found = nt.pp.signatures(adata, groupby="code", reference=0.0, **kwargs)
    assert set(found.obs_names) == {"1.0", "2.0"}
    names = [{"A": "1.0", "B": "2.0"}[name] for name in expected.obs_names]
    np.testing.assert_array_equal(found[names].X, expected.X)


def test_pseudobulk_is_the_t_test_of_replicates(adata):
    sig = call(adata, method="pseudobulk", replicates="plate")
    means = adata.to_df().groupby([adata.obs["gene"].astype(str), adata.obs["plate"]]).mean()
    for name in ("A", "B"):
        t, p = stats.ttest_ind(means.loc[name], means.loc["NT"], equal_var=True)
        z = np.sign(t) * stats.norm.isf(p / 2)
        np.testing.assert_allclose(sig[name].X[0, :3], z[:3], rtol=1e-4)
    assert np.isnan(sig["A", ["SILENT", "RARE"]].X).all()
    assert sig.obs["n_replicates"].tolist() == [4, 4]
    assert sig.obs["n_reference_replicates"].tolist() == [4, 4]
    assert sig.uns["newt_signatures"]["params"]["replicates"] == "plate"
    assert "plate" not in sig.obs


def test_pseudobulk_of_one_replicate_against_several(adata):
    adata.obs["run"] = np.where(adata.obs["gene"] == "NT", adata.obs["plate"], "only")
    sig = call(adata, method="pseudobulk", replicates="run")
    assert sig.obs["n_replicates"].tolist() == [1, 1]
    assert np.isfinite(sig[:, :3].X).all()
    adata.obs["run"] = np.where(adata.obs["plate"] == "p0", "x", None)
    with pytest.raises(ValueError, match=r"replicates of the control 'NT' .* at least 3"):
        nt.pp.signatures(
            adata,
            groupby="gene",
            reference="NT",
            method="pseudobulk",
            replicates="run",
            min_cells=3,
        )


def test_genes_that_do_not_vary_between_replicates(adata):
    adata.X[:, 0] = np.where(adata.obs["gene"] == "A", 2, 1)
    adata.X[:, 2] = 1
    sig = call(adata, method="pseudobulk", replicates="plate")
    assert np.isnan(sig["A", "UP"].X.item())
    assert sig["B", "UP"].X.item() == 0
    assert sig["A", "SAME"].X.item() == 0


def test_no_z_is_infinite(adata):
    adata.X[:, 0] = np.where(adata.obs["gene"] == "A", 2, 1)
    sig = call(adata, method="t-test")
    assert sig["A", "UP"].X.item() == pytest.approx(37.5, abs=0.1)


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"groupby": "nope"}, KeyError, r"nope.*plate"),
        ({"layer": "nope"}, KeyError, "nope"),
        ({"method": "pseudobulk", "replicates": "nope"}, KeyError, "nope"),
        ({"reference": "nope"}, ValueError, r"0 cells of the control 'nope'.*'NT'"),
        ({"reference": "one"}, ValueError, "1 cells of the control 'one'"),
        ({"reference": None}, ValueError, "groupby= and reference="),
        ({"groupby": None}, ValueError, "groupby= and reference="),
        ({"method": "logreg"}, ValueError, "'logreg'"),
        ({"method": "pseudobulk"}, ValueError, "replicates"),
        ({"replicates": "plate"}, ValueError, "replicates"),
        ({"min_cells": 1}, ValueError, "min_cells"),
        ({"min_cells": True}, ValueError, "min_cells"),
        ({"min_cells": 26}, ValueError, "no perturbation of at least 26"),
        ({"min_cells": 99}, ValueError, "30 cells of the control"),
        ({"key": "rank_genes_groups"}, ValueError, "leave these out"),
        ({"columns": {"gene": "x"}}, ValueError, "columns="),
    ],
)
def test_bad_arguments(adata, kwargs, error, message):
    with pytest.raises(error, match=message):
        nt.pp.signatures(adata, **{"groupby": "gene", "reference": "NT"} | kwargs)


def test_bad_data(adata):
    both = {"groupby": "gene", "reference": "NT"}
    for wrong in (None, adata.X, md.MuData({"rna": adata})):
        with pytest.raises(TypeError, match="AnnData or a DataFrame"):
            nt.pp.signatures(wrong, **both)
    for value in (np.nan, np.inf):
        bad = adata.copy()
        bad.X[0, 0] = value
        with pytest.raises(ValueError, match="NaN or infinite"):
            nt.pp.signatures(bad, **both)
    with pytest.raises(TypeError, match="None"):
        nt.pp.signatures(ad.AnnData(obs=adata.obs, var=adata.var), **both)
    adata.var_names = ["X", "X", "Y", "Z", "W"]
    with pytest.raises(ValueError, match="'X' more than once"):
        nt.pp.signatures(adata, **both)


def test_raw_counts_are_told(adata):
    adata = adata[adata.obs["gene"] != "one"].copy()
    adata.X = np.rint(adata.X * 3)
    with pytest.warns(NewtWarning, match="raw counts"):
        nt.pp.signatures(adata, groupby="gene", reference="NT")


# -- results of scanpy -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_genes", [None, 2])
def test_key(adata, n_genes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        sc.tl.rank_genes_groups(
            adata,
            "gene",
            groups=["A", "B"],
            reference="NT",
            n_genes=n_genes,
            method="wilcoxon",
            key_added="mine",
        )
    sig = nt.pp.signatures(adata, key="mine")
    assert sig.obs_names.tolist() == ["A", "B"]
    assert sig.obs["n_cells"].tolist() == [20, 25]
    assert sig.obs["n_reference"].tolist() == [30, 30]
    assert sig.var_names.tolist() == [gene for gene in GENES if gene in set(sig.var_names)]
    assert (~np.isnan(sig.X)).sum(axis=1).tolist() == [n_genes or 5] * 2
    found = adata.uns["mine"]
    for name in ("A", "B"):
        np.testing.assert_array_equal(
            sig[name, list(found["names"][name])].X[0], found["scores"][name]
        )
    assert "entrez" in sig.var
    assert sig.uns["newt_signatures"]["params"]["key"] == "mine"


def test_key_against_the_rest_and_of_raw(adata):
    adata.raw = adata
    adata = adata[adata.obs["gene"] != "one", :2].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        sc.tl.rank_genes_groups(adata, "gene", groups=["A"], method="t-test", use_raw=True)
    sig = nt.pp.signatures(adata, key="rank_genes_groups")
    assert sig.obs["n_reference"].tolist() == [55]
    assert sig.var_names[:2].tolist() == GENES[:2]
    assert sorted(sig.var_names) == sorted(GENES)


def test_key_that_does_not_fit(adata):
    with pytest.raises(KeyError, match="nope"):
        nt.pp.signatures(adata, key="nope")
    adata.uns["odd"] = {"names": 1}
    with pytest.raises(KeyError, match="odd"):
        nt.pp.signatures(adata, key="odd")
    adata = adata[adata.obs["gene"] != "one"].copy()
    sc.tl.rank_genes_groups(adata, "gene", method="logreg")
    with pytest.raises(ValueError, match="logreg"):
        nt.pp.signatures(adata, key="rank_genes_groups")


# -- tables ----------------------------------------------------------------------------------------

TABLE = pd.DataFrame(
    {
        "contrast": ["a", "a", "b", "b", "b"],
        "variable": ["X", "Y", "Y", "X", "Z"],
        "log_fc": [1.0, -2.0, 0.0, np.nan, 3.0],
        "p_value": [0.05, 0.0, 0.5, 0.1, np.nan],
    }
)


def test_effect_and_p_become_z():
    sig = nt.pp.signatures(TABLE)
    assert sig.obs_names.tolist() == sig.obs["perturbation"].tolist() == ["a", "b"]
    assert sig.var_names.tolist() == ["X", "Y", "Z"]
    np.testing.assert_allclose(sig.X, [[1.959964, -37.53, np.nan], [np.nan, 0, np.nan]], rtol=1e-3)
    assert sig.layers["measured"].tolist() == [[True, True, False], [False, True, False]]
    roles = {
        "perturbation": "contrast",
        "gene": "variable",
        "effect": "log_fc",
        "p_value": "p_value",
    }
    assert sig.uns["newt_signatures"]["params"] == {"columns": roles}


def test_score_goes_before_effect_unless_told():
    table = TABLE.assign(stat=[1.0, -np.inf, 3, 4, np.nan])
    np.testing.assert_allclose(
        nt.pp.signatures(table).X, [[1, -37.53, np.nan], [4, 3, np.nan]], rtol=1e-3
    )
    told = nt.pp.signatures(table, columns={"effect": "log_fc", "p_value": "p_value"})
    np.testing.assert_array_equal(told.X, nt.pp.signatures(TABLE).X)


def test_table_of_scanpy(adata):
    adata = adata[adata.obs["gene"] != "one"].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        sc.tl.rank_genes_groups(adata, "gene", groups=["A", "B"], reference="NT", method="wilcoxon")
    sig = nt.pp.signatures(sc.get.rank_genes_groups_df(adata, group=None))
    expected = nt.pp.signatures(adata, key="rank_genes_groups")
    np.testing.assert_array_equal(sig[:, expected.var_names].X, expected.X)


def test_entrez_ids_and_names_of_columns():
    table = pd.DataFrame({"who": pd.Categorical(["a", "b"]), "id": [7157, 1], "t": [1, -2]})
    sig = nt.pp.signatures(table, columns={"perturbation": "who", "gene": "id", "score": "t"})
    assert sig.var_names.tolist() == ["7157", "1"]
    np.testing.assert_array_equal(sig.X, [[1, np.nan], [np.nan, -2]])


@pytest.mark.parametrize(
    ("table", "kwargs", "error", "message"),
    [
        (TABLE.drop(columns="variable"), {}, KeyError, r"\['gene'\]"),
        (TABLE.drop(columns="p_value"), {}, KeyError, "p_value"),
        (TABLE, {"columns": {"gene": "nope"}}, KeyError, "nope"),
        (TABLE, {"columns": {"name": "variable"}}, ValueError, "'name'"),
        (TABLE, {"groupby": "contrast"}, ValueError, "groupby"),
        (TABLE, {"reference": "a"}, ValueError, "reference"),
        (TABLE.iloc[:0], {}, ValueError, "no rows"),
        (pd.concat([TABLE, TABLE[:1]]), {}, ValueError, "'X' of 'a'"),
        (TABLE.assign(p_value=1.5), {}, ValueError, "found 1.5"),
        (TABLE.assign(p_value=-0.1), {}, ValueError, "found -0.1"),
        (TABLE.assign(p_value="0.1"), {}, TypeError, "expected numbers"),
        (TABLE.assign(variable=[None, *"ABCD"]), {}, ValueError, "1 values are missing"),
        (TABLE.assign(variable=[1.5, *"ABCD"]), {}, TypeError, "float"),
        (TABLE.assign(contrast=np.arange(5.0)), {}, TypeError, "float"),
    ],
)
def test_bad_tables(table, kwargs, error, message):
    with pytest.raises(error, match=message):
        nt.pp.signatures(table, **kwargs)


def test_signatures_share_genes_in_a_mudata(adata, tmp_path):
    sig = call(adata)
    sig.obs_names = "knockdown:" + sig.obs_names
    mdata = md.MuData({"compound": nt.pp.signatures(TABLE), "knockdown": sig}, axis=1)
    assert mdata.shape == (4, 8)
    mdata.write(tmp_path / "a.h5mu")
    again = md.read_h5mu(tmp_path / "a.h5mu")
    assert again.axis == 1
    np.testing.assert_array_equal(again["knockdown"].X, sig.X)
