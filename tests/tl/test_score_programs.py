"""Gene programs scored in cells."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

import newt_sc as nt
from newt_sc.errors import GeneMatchError, NewtWarning
from newt_sc.tl import _rows

GENES = ["TP53", "MDM2", "EGFR", "MYC", "MAX", "GAPDH", "ACTB", "CDKN1A", "BRCA1", "PTEN"]
SETS = {"p53": ["TP53", "MDM2", "CDKN1A"], "myc": ["MYC", "MAX"]}
SLOTS = ("newt_programs", "newt_programs_markers", "newt_programs_soft")


@pytest.fixture
def embedding() -> ad.AnnData:
    rng = np.random.default_rng(0)
    genes = [*reversed(GENES), "KRAS", "NRAS"]
    return ad.AnnData(rng.normal(size=(12, 4)).astype(np.float32), obs=pd.DataFrame(index=genes))


@pytest.fixture
def cells() -> ad.AnnData:
    rng = np.random.default_rng(2)
    x = rng.gamma(2.0, 0.5, size=(30, 10)) * (rng.random((30, 10)) < 0.7)
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(30)])
    return ad.AnnData(x.astype(np.float32), obs=obs, var=pd.DataFrame(index=GENES))


def score(adata: ad.AnnData, sets: object = SETS, **options: object) -> ad.AnnData:
    return nt.tl.score_programs(adata, sets, copy=True, **{"n_soft": 3, **options})


# -- what is written -------------------------------------------------------------------------------------------------


def test_scores_are_means_less_that_of_all_genes(cells, embedding):
    out = score(cells, embedding=embedding)
    z = cells.X - cells.X.mean(axis=0)
    z -= z.mean(axis=1, keepdims=True)
    E = embedding.X - embedding.X.mean(axis=0)
    unit = pd.DataFrame(E / np.linalg.norm(E, axis=1)[:, None], index=embedding.obs_names)
    for name, members in SETS.items():
        markers = z[:, [GENES.index(gene) for gene in members]].mean(axis=1)
        cosine = unit.loc[GENES] @ unit.loc[members].mean()
        nearest = cosine.nlargest(3).index
        soft = z[:, [GENES.index(gene) for gene in nearest]].mean(axis=1)
        np.testing.assert_allclose(out.obsm["newt_programs_markers"][name], markers, atol=1e-5)
        np.testing.assert_allclose(out.obsm["newt_programs_soft"][name], soft, atol=1e-5)
        both = (rankdata(out.obsm["newt_programs_markers"][name]) + rankdata(out.obsm["newt_programs_soft"][name])) / 60
        np.testing.assert_allclose(out.obsm["newt_programs"][name], both, atol=1e-6)
        assert out.uns["newt_programs"]["programs"].loc[name, "soft"].split("|") == list(nearest)
        length = np.linalg.norm(unit.loc[members].mean())
        lowest = out.uns["newt_programs"]["programs"].loc[name, "similarity"]
        assert lowest == pytest.approx(cosine.nlargest(3).min() / length, abs=1e-5)
    assert all(out.obsm[slot].dtypes.eq(np.float32).all() for slot in SLOTS)
    assert not cells.obsm


def test_soft_genes_are_compared_with_genes_of_like_expression():
    rng = np.random.default_rng(3)
    names = [f"GENE{i}" for i in range(200)]
    cells = ad.AnnData(rng.gamma(1 + rng.gamma(1.0, 1.0, 200), size=(20, 200)), var=pd.DataFrame(index=names))
    embedding = ad.AnnData(rng.normal(size=(200, 5)), obs=pd.DataFrame(index=names))
    out = nt.tl.score_programs(cells, {"a": names[:5]}, embedding=embedding, n_soft=20, copy=True)
    soft = out.uns["newt_programs"]["programs"].loc["a", "soft"].split("|")
    plain = pd.DataFrame(cells.X - cells.X.mean(axis=0), columns=names)
    quarter = pd.qcut(pd.Series(cells.X.mean(axis=0), index=names), 4, labels=False)  # bins of 50 genes
    like = plain.T.groupby(quarter).mean().T
    expected = np.mean([plain[gene] - like[quarter[gene]] for gene in soft], axis=0)
    np.testing.assert_allclose(out.obsm["newt_programs_soft"]["a"], expected, atol=1e-5)


def test_every_array_type(cells, embedding, array_type):
    other = ad.AnnData(array_type(cells.X), var=cells.var)
    assert nt.tl.score_programs(other, SETS, embedding=embedding, n_soft=3) is None
    for slot in SLOTS[1:]:
        np.testing.assert_allclose(other.obsm[slot], score(cells, embedding=embedding).obsm[slot], atol=1e-5)


def test_backed_written_and_read(cells, embedding, tmp_path, monkeypatch):
    cells.write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setattr(_rows, "_BLOCK_BYTES", 8 * 10 * 7)
    out = score(ad.read_h5ad(tmp_path / "cells.h5ad", backed="r"), {"a/b": SETS["p53"]}, embedding=embedding)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of other packages
        out.write_h5ad(tmp_path / "out.h5ad")
    back = ad.read_h5ad(tmp_path / "out.h5ad")
    plain = score(cells, embedding=embedding)
    np.testing.assert_allclose(
        back.obsm["newt_programs_soft"]["a_b"], plain.obsm["newt_programs_soft"]["p53"], atol=1e-5
    )
    table = back.uns["newt_programs"]["programs"]
    assert list(table.index) == ["a/b"]
    assert table.loc["a/b", ["n_genes", "n_known", "n_markers", "n_soft"]].tolist() == [3, 3, 3, 3]
    assert back.uns["newt_programs"]["params"] == {"share": 0.05, "n_soft": 3, "layer": "X", "organism": "auto"}


def test_mouse_and_a_gmt_file(cells, embedding, tmp_path):
    nt.io.write_gmt(SETS, tmp_path / "sets.gmt")
    mouse = cells.copy()
    mouse.var_names = ["Trp53", "Mdm2", "Egfr", "Myc", "Max", "Gapdh", "Actb", "Cdkn1a", "Brca1", "Pten"]
    a, b = score(cells, embedding=embedding), score(mouse, tmp_path / "sets.gmt", embedding=embedding)
    for slot in SLOTS:
        np.testing.assert_array_equal(a.obsm[slot], b.obsm[slot])
    named = {"p53": ["Trp53", "Mdm2", "Cdkn1a"]}
    np.testing.assert_array_equal(
        score(cells, named, embedding=embedding).obsm[SLOTS[2]]["p53"], a.obsm[SLOTS[2]]["p53"]
    )


def test_share_and_layer_and_key(cells, embedding):
    cells.layers["log"] = cells.X.copy()
    cells.X = np.zeros_like(cells.X)
    out = nt.tl.score_programs(cells, SETS, embedding=embedding, share=0.41, layer="log", key_added="mine", copy=True)
    assert out.uns["mine"]["programs"]["n_soft"].tolist() == [5, 5]  # 4.1 of 10 genes, rounded up
    assert set(out.obsm) == {"mine", "mine_markers", "mine_soft"}


def test_soft_genes_carry_a_program_whose_markers_are_not_measured(cells, embedding):
    with pytest.warns(NewtWarning, match=r"1 of 1 programs have no gene that varies in adata.*'ras'"):
        out = score(cells, {"ras": ["KRAS", "NRAS"]}, embedding=embedding)
    assert out.obsm["newt_programs_markers"]["ras"].isna().all()
    soft = out.obsm["newt_programs_soft"]["ras"]
    np.testing.assert_allclose(out.obsm["newt_programs"]["ras"], rankdata(soft) / 30, atol=1e-6)


def test_markers_without_a_vector_count_as_markers(cells, embedding):
    cells.var_names = [*GENES[:-1], "my_transgene"]
    with pytest.warns(NewtWarning, match="no gene with a vector"):
        out = score(cells, {"mine": ["my_transgene"], **SETS}, embedding=embedding)
    z = cells.X - cells.X.mean(axis=0)
    z = (z - z.mean(axis=1, keepdims=True))[:, -1]
    np.testing.assert_allclose(out.obsm["newt_programs_markers"]["mine"], z, atol=1e-5)
    assert out.obsm["newt_programs_soft"]["mine"].isna().all()


def test_genes_that_do_not_vary_are_not_used(cells, embedding):
    cells.X[:, GENES.index("TP53")] = 2.5
    out = score(cells, embedding=embedding, n_soft=10)
    table = out.uns["newt_programs"]["programs"]
    assert table.loc["p53", ["n_known", "n_markers", "n_soft"]].tolist() == [3, 2, 9]
    assert np.isfinite(out.obsm["newt_programs_soft"]).all(axis=None)


def test_planted_programs(make_adata):
    """Cells that express a program's neighbours, but none of its markers, are found by the soft score alone."""
    rng = np.random.default_rng(1)
    E = rng.normal(size=(300, 20)).astype(np.float32)
    E[:40] += 3 * rng.normal(size=20)
    names = [f"GENE{i}" for i in range(300)]
    embedding = ad.AnnData(E, obs=pd.DataFrame(index=names))
    cells = make_adata(80, 300, var_names=names)
    cells.X[:40, 10:40] += 2.0
    out = nt.tl.score_programs(cells, {"planted": names[:10]}, embedding=embedding, share=0.1, copy=True)
    soft, markers = (out.obsm[slot]["planted"].to_numpy() for slot in (SLOTS[2], SLOTS[1]))
    assert soft[:40].min() > soft[40:].max()
    assert markers[:40].min() < markers[40:].max()


def test_an_empty_program_and_a_network(cells, embedding):
    with pytest.warns(NewtWarning, match="1 of 3 programs have no gene that is known"):
        out = score(cells, {**SETS, "none": []}, embedding=embedding)
    assert out.obsm["newt_programs"]["none"].isna().all()
    net = pd.DataFrame([(name, gene, 1.0) for name, members in SETS.items() for gene in members])
    net.columns = ["source", "target", "weight"]
    other = score(cells, net, embedding=embedding)
    np.testing.assert_array_equal(other.obsm["newt_programs"], out.obsm["newt_programs"][list(SETS)])


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sets", "error", "message"),
    [
        ({}, ValueError, "no set"),
        ({"a": []}, ValueError, "No set of gene_sets has a gene"),
        ({"a": "TP53"}, TypeError, "list of strings"),
        ({"a": [1]}, TypeError, "of type int"),
        ({"a/b": ["TP53"], "a_b": ["MYC"]}, ValueError, "'a_b'"),
        ([["TP53"]], TypeError, "sets is list"),
        ("nowhere.gmt", FileNotFoundError, "nowhere"),
        ({"a": ["nogene1", "nogene2"]}, GeneMatchError, "gene_sets"),
    ],
)
def test_sets(cells, embedding, sets, error, message):
    with pytest.raises(error, match=message):
        nt.tl.score_programs(cells, sets, embedding=embedding)
    assert not cells.obsm
    assert not cells.uns


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"share": 0}, ValueError, "share is 0"),
        ({"share": True}, ValueError, "share is True"),
        ({"n_soft": 0}, ValueError, "n_soft is 0"),
        ({"layer": "x"}, KeyError, "layer 'x'"),
        ({"organism": "rat"}, ValueError, "organism is 'rat'"),
    ],
)
def test_parameters(cells, embedding, options, error, message):
    with pytest.raises(error, match=message):
        nt.tl.score_programs(cells, SETS, embedding=embedding, **options)


def test_values(cells, embedding):
    with pytest.raises(TypeError, match="expected AnnData"):
        nt.tl.score_programs(cells.X, SETS, embedding=embedding)
    with pytest.raises(ValueError, match="No gene that has a vector varies"):
        score(cells[:1].copy(), embedding=embedding)
    with pytest.raises(ValueError, match="0 cells"):
        score(cells[:0].copy(), embedding=embedding)
    cells.X[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        score(cells, embedding=embedding)


def test_few_known_genes(cells, embedding):
    with pytest.warns(NewtWarning, match="less than half of their genes: 'a'"):
        score(cells, {"a": ["TP53", "x1", "x2"]}, embedding=embedding)
