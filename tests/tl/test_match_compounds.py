"""Compounds that move cells from one state towards another."""

from __future__ import annotations

import warnings
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import newt_sc as nt
from newt_sc.errors import GeneMatchError, NewtWarning

N = 30


def names(n: int = 60) -> list[str]:
    return [f"GENE{i}" for i in range(n)]


@pytest.fixture
def embedding() -> ad.AnnData:
    rng = np.random.default_rng(0)
    return ad.AnnData(
        rng.normal(size=(70, 16)).astype(np.float32), obs=pd.DataFrame(index=names(70))
    )


@pytest.fixture
def signatures() -> ad.AnnData:
    rng = np.random.default_rng(1)
    obs = pd.DataFrame(
        {"target": [f"T{i % 5}" for i in range(N)]}, index=[f"c{i}" for i in range(N)]
    )
    X = rng.standard_t(4, size=(N, 60)).astype(np.float32)
    out = ad.AnnData(X, obs=obs, var=pd.DataFrame(index=names()))
    out.uns["targets"] = pd.DataFrame(
        {"compound": ["c0", "c1", "c1", "c2"], "target": ["A", "A", "B", "A"]}
    )
    return out


@pytest.fixture
def cells(signatures) -> ad.AnnData:
    """Cells of two states; compound c3 makes b of a."""
    rng = np.random.default_rng(2)
    X = rng.gamma(3.0, 0.5, size=(40, 60))
    state = np.repeat(["a", "b"], 20)
    X[20:] = np.maximum(X[20:] + 0.7 * signatures.X[3], 0)
    obs = pd.DataFrame(
        {"state": state, "donor": np.tile(list("uvwxyz12"), 5)},
        index=[f"cell{i}" for i in range(40)],
    )
    return ad.AnnData(X.astype(np.float32), obs=obs, var=pd.DataFrame(index=names()))


def match(cells: Any, signatures: Any, embedding: ad.AnnData, **options: Any) -> pd.DataFrame:
    how = {} if isinstance(cells, pd.Series) else {"groupby": "state", "source": "a", "target": "b"}
    options = {"n_permutations": 100, **how, **options}
    return nt.tl.match_compounds(cells, signatures, embedding=embedding, **options)


# -- what comes out --------------------------------------------------------------------------------


def test_the_compound_that_makes_the_change_comes_first(cells, signatures, embedding):
    towards = match(cells, signatures, embedding)
    assert towards.index[0] == "c3"
    assert towards.loc["c3", ["z", "z_correlation"]].min() > 3
    assert towards.loc["c3", "rank_correlation"] == 1
    assert towards.loc["c3", "p"] == pytest.approx(1 / 101)
    back = match(cells, signatures, embedding, source="b", target="a", direction="reverse")
    assert back.index[0] == "c3"
    assert back.loc["c3", "score"] == pytest.approx(-towards.loc["c3", "score"], abs=1e-5)
    reverse = match(cells, signatures, embedding, direction="reverse")
    assert reverse.index[-1] == "c3"
    assert reverse.loc["c3", "score"] > 0
    assert not cells.uns


def test_scores_without_whitening_are_cosines_of_embedded_signatures(signatures, embedding):
    few = signatures[:12].copy()
    change = pd.Series(np.random.default_rng(3).normal(size=60), index=names())
    with pytest.warns(NewtWarning, match="without whitening"):
        table = match(change, few, embedding).loc[few.obs_names]
    both = ad.AnnData(np.vstack([few.X, change]), var=few.var)
    nt.tl.embed_signatures(both, embedding=embedding)
    Z = both.obsm["X_newt"]
    expected = Z[:-1] @ Z[-1] / np.linalg.norm(Z[:-1], axis=1) / np.linalg.norm(Z[-1])
    np.testing.assert_allclose(table["score"], expected, atol=1e-5)
    rho = [stats.spearmanr(row, change).statistic for row in few.X]
    np.testing.assert_allclose(table["score_correlation"], rho, atol=1e-5)


def test_whitened_scores(signatures, embedding):
    change = pd.Series(np.random.default_rng(3).normal(size=60), index=names())
    table = match(change, signatures, embedding).loc[signatures.obs_names]
    both = ad.AnnData(np.vstack([signatures.X, change]), var=signatures.var)
    nt.tl.embed_signatures(both, embedding=embedding)
    Z, z = both.obsm["X_newt"][:-1].astype(float), both.obsm["X_newt"][-1].astype(float)
    mean, sd, W = nt._kernels.whitening(Z)
    B, a = (Z - mean) / sd @ W, z / sd @ W
    expected = B @ a / np.linalg.norm(B, axis=1) / np.linalg.norm(a)
    np.testing.assert_allclose(table["score"], expected, atol=1e-4)


@pytest.mark.parametrize("replicates", [None, "donor"])
def test_the_change_of_cells_is_their_signature(cells, signatures, embedding, replicates):
    how = (
        {"method": "t-test"}
        if replicates is None
        else {"method": "pseudobulk", "replicates": replicates}
    )
    z = nt.pp.signatures(cells, groupby="state", reference="a", **how)
    change = pd.Series(z.X[0], index=z.var_names)
    a = match(cells, signatures, embedding, replicates=replicates)
    b = match(change, signatures, embedding).loc[a.index]
    np.testing.assert_allclose(a["score"], b["score"], atol=1e-5)
    assert a.attrs["newt_match"]["null"] == "labels"
    assert b.attrs["newt_match"]["null"] == "genes"


def test_no_difference_is_not_significant(cells, signatures, embedding):
    cells.obs["state"] = np.tile(["a", "b"], 20)
    for kind in ("", "_shuffled", "_correlation"):
        table = match(cells, signatures, embedding)
        assert table[f"fdr{kind}"].min() > 0.05
        assert 0.3 < table[f"p{kind}"].mean() < 0.7


def test_per(cells, signatures, embedding, tmp_path):
    each = match(cells, signatures, embedding)
    by_column = match(cells, signatures, embedding, per="target")
    expected = each["score"].groupby(signatures.obs["target"].loc[each.index]).mean()
    np.testing.assert_allclose(by_column["score"], expected[by_column.index], atol=1e-5)
    assert by_column["n_signatures"].eq(6).all()
    for per in ("targets", signatures.uns["targets"]):
        table = match(cells, signatures, embedding, per=per)
        assert table.loc["A", "score"] == pytest.approx(
            each.loc[["c0", "c1", "c2"], "score"].mean(), abs=1e-5
        )
        assert table.loc["B", "n_signatures"] == 1
        assert table.loc["B", "z"] == pytest.approx(each.loc["c1", "z"], abs=1e-4)


def test_mudata_and_names(cells, signatures, embedding):
    signatures.obs["name"] = [f"Compound {i}" for i in range(N)]
    other = ad.AnnData(
        -signatures.X, obs=pd.DataFrame(index=[f"k{i}" for i in range(N)]), var=signatures.var
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mdata = md.MuData({"compound": signatures, "knockdown": other}, axis=1)
    table = match(cells, mdata, embedding)
    assert table["name"].iloc[0] == "Compound 3"
    pd.testing.assert_frame_equal(table, match(cells, mdata, embedding))
    assert match(cells, mdata, embedding, modality="knockdown").index[-1] == "k3"
    with pytest.raises(KeyError, match="'crispr'"):
        match(cells, mdata, embedding, modality="crispr")


def test_every_array_type(cells, signatures, embedding, array_type):
    plain = match(cells, signatures, embedding, n_permutations=20)
    other = ad.AnnData(array_type(cells.X), obs=cells.obs, var=cells.var)
    sets = ad.AnnData(array_type(signatures.X), obs=signatures.obs, var=signatures.var)
    table = match(other, sets, embedding, n_permutations=20)
    np.testing.assert_allclose(table.loc[plain.index, "score"], plain["score"], atol=1e-4)
    np.testing.assert_allclose(table.loc[plain.index, "z"], plain["z"], rtol=2e-2, atol=2e-2)


def test_mouse_cells():
    human = [
        "TP53",
        "MDM2",
        "EGFR",
        "MYC",
        "MAX",
        "GAPDH",
        "ACTB",
        "CDKN1A",
        "BRCA1",
        "PTEN",
        "KRAS",
        "NRAS",
    ]
    mouse = [
        "Trp53",
        "Mdm2",
        "Egfr",
        "Myc",
        "Max",
        "Gapdh",
        "Actb",
        "Cdkn1a",
        "Brca1",
        "Pten",
        "Kras",
        "Nras",
    ]
    rng = np.random.default_rng(0)
    embedding = ad.AnnData(rng.normal(size=(12, 5)), obs=pd.DataFrame(index=human))
    signatures = ad.AnnData(rng.normal(size=(25, 12)), var=pd.DataFrame(index=human))
    change = pd.Series(rng.normal(size=12), index=human)
    a = match(change, signatures, embedding)
    b = match(change.set_axis(mouse), signatures, embedding)
    np.testing.assert_allclose(a["score"], b["score"], atol=1e-6)
    np.testing.assert_allclose(a["score_correlation"], b["score_correlation"], atol=1e-6)


# -- too little of something -----------------------------------------------------------------------


def test_few_cells(cells, signatures, embedding):
    some = cells[[0, 1, 25, 26, 27]].copy()
    with pytest.warns(NewtWarning, match="'a' has 2 and 'b' 3 cells, fewer than 3"):
        table = match(some, signatures, embedding)
    assert table.attrs["newt_match"]["null"] == "genes"
    change = pd.Series(some.X[2:].mean(axis=0) - some.X[:2].mean(axis=0), index=names())
    expected = match(change, signatures, embedding)["score"]
    np.testing.assert_allclose(table["score"], expected[table.index], atol=1e-5)
    with pytest.warns(NewtWarning), pytest.raises(ValueError, match="too few cells to permute"):
        match(some, signatures, embedding, null="labels")


def test_few_labellings(cells, signatures, embedding):
    some = cells[[0, 1, 2, 25, 26, 27]].copy()
    with pytest.warns(NewtWarning, match="only 20 ways"):
        table = match(some, signatures, embedding)
    assert table.attrs["newt_match"]["null"] == "genes"
    with pytest.warns(NewtWarning, match="cannot be smaller"):
        table = match(some, signatures, embedding, null="labels")
    assert table.attrs["newt_match"]["null"] == "labels"


def test_signatures_of_nothing_come_last(cells, signatures, embedding):
    signatures.X[5], signatures.X[7] = 0, np.nan
    with pytest.warns(NewtWarning, match="2 of 30 signatures change no gene"):
        table = match(cells, signatures, embedding)
    assert set(table.index[-2:]) == {"c5", "c7"}
    assert table.loc[["c5", "c7"], ["score", "z", "p", "fdr", "rank"]].isna().all(axis=None)
    assert table["rank"].max() == 28


def test_what_is_not_measured(cells, signatures, embedding):
    signatures.X[4, 10:30] = np.nan
    table = match(cells, signatures, embedding)
    change = nt.pp.signatures(cells, groupby="state", reference="a", method="t-test").X[0]
    known = np.isfinite(signatures.X[4])
    rho = stats.spearmanr(signatures.X[4, known], change[known]).statistic
    assert table.loc["c4", "score_correlation"] == pytest.approx(
        rho, abs=0.05
    )  # ranks are those of all 60 genes


def test_few_shared_genes(cells, signatures, embedding):
    some = cells[:, :5].copy()
    with pytest.warns(NewtWarning, match="share 5 genes, fewer than 10: no correlation"):
        table = match(some, signatures, embedding)
    assert table["score"].notna().all()
    assert table["score_correlation"].isna().all()
    assert np.isnan(table.attrs["newt_match"]["alike_correlation"])


def test_disjoint_genes_meet_in_the_embedding(signatures, embedding):
    """Genes with the same vectors, but other names, carry the change: no gene is shared."""
    twins = ad.AnnData(
        np.vstack([embedding.X, embedding.X]),
        obs=pd.DataFrame(index=[*names(70), *(f"TWIN{i}" for i in range(70))]),
    )
    change = pd.Series(signatures.X[3], index=[f"TWIN{i}" for i in range(60)])
    with pytest.warns(NewtWarning, match="share 0 genes"):
        table = match(change, signatures, twins)
    assert table.index[0] == "c3"
    assert table.loc["c3", "z"] > 3
    assert abs(table.loc["c3", "z_shuffled"]) < 3


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": "a"}, ValueError, "both 'a'"),
        ({"target": "c"}, ValueError, "no cell of 'c'; it has 'a', 'b'"),
        ({"groupby": "x"}, KeyError, "'x'"),
        ({"source": None}, ValueError, "source"),
        ({"direction": "up"}, ValueError, "direction is 'up'"),
        ({"null": "cells"}, ValueError, "null is 'cells'"),
        ({"organism": "rat"}, ValueError, "organism is 'rat'"),
        ({"n_permutations": 5}, ValueError, "n_permutations is 5"),
        ({"n_shuffles": 0}, ValueError, "n_shuffles is 0"),
        ({"layer": "x"}, KeyError, "'x'"),
        ({"replicates": "x"}, KeyError, "'x'"),
        ({"per": "x"}, KeyError, "'x'"),
        ({"per": 3}, TypeError, "per is int"),
        ({"per": pd.DataFrame({"compound": ["c1"]})}, KeyError, "target"),
        ({"per": pd.DataFrame({"compound": ["d1"], "target": ["A"]})}, ValueError, "No compound"),
    ],
)
def test_parameters(cells, signatures, embedding, options, error, message):
    with pytest.raises(error, match=message):
        match(cells, signatures, embedding, **options)


def test_objects(cells, signatures, embedding):
    with pytest.raises(TypeError, match="adata is ndarray"):
        match(cells.X, signatures, embedding)
    with pytest.raises(TypeError, match="expected a MuData"):
        match(cells, signatures.X, embedding)
    with pytest.raises(ValueError, match="nothing to work on"):
        match(cells, signatures[:0].copy(), embedding)
    change = pd.Series(1.0, index=names())
    for options, message in (
        ({"groupby": "state"}, "leave groupby"),
        ({"null": "labels"}, "null is 'labels'"),
    ):
        with pytest.raises(ValueError, match=message):
            match(change, signatures, embedding, **options)
    with pytest.raises(ValueError, match="nothing to match"):
        match(0 * change, signatures, embedding)
    with pytest.raises(ValueError, match="infinite"):
        match(np.inf * change, signatures, embedding)
    with pytest.raises(TypeError, match="expected numbers"):
        match(change.astype(str), signatures, embedding)
    with pytest.raises(GeneMatchError):
        match(change.set_axis([f"no{i}" for i in range(60)]), signatures, embedding)
    cells.X[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        match(cells, signatures, embedding)


# -- the real files --------------------------------------------------------------------------------


def test_a_compound_finds_its_twin(data_dir, monkeypatch):
    """Naltrexone and two other names have one signature."""
    monkeypatch.setattr(nt.settings, "data_dir", data_dir)
    mdata = nt.datasets.l1000()
    compounds = mdata["compound"]
    change = pd.Series(compounds["DB00704"].X[0], index=compounds.var_names)
    table = nt.tl.match_compounds(change, mdata, n_permutations=20, n_shuffles=1)
    assert table.loc[["DB00704", "DB05302"], ["rank", "rank_correlation"]].eq(1).all(axis=None)
    assert table["score"].nlargest(2).index.isin(["DB00704", "DB05302", "DB05508"]).all()
    assert table.attrs["newt_match"]["n_genes_shared"] == 978
