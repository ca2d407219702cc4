"""Gene programs scored in cells."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

import newt_sc as nt
from newt_sc.errors import GeneMatchError, NewtWarning
from newt_sc.tl import _rows

KNOWN = ["TP53", "MDM2", "EGFR", "MYC", "MAX", "GAPDH", "ACTB", "CDKN1A", "BRCA1", "PTEN"]
GENES = [*KNOWN, *(f"GENE{i}" for i in range(110))]
SETS = {"p53": ["TP53", "MDM2", "CDKN1A", "BRCA1"], "myc": ["MYC", "MAX", "EGFR", "PTEN", "ACTB"]}


@pytest.fixture
def embedding() -> ad.AnnData:
    rng = np.random.default_rng(0)
    genes = [*reversed(GENES), "KRAS", "NRAS"]
    return ad.AnnData(
        rng.normal(size=(len(genes), 4)).astype(np.float32), obs=pd.DataFrame(index=genes)
    )


@pytest.fixture
def cells() -> ad.AnnData:
    rng = np.random.default_rng(2)
    x = rng.gamma(2.0, rng.gamma(2.0, 0.3, len(GENES)), size=(30, len(GENES))) * (
        rng.random((30, len(GENES))) < 0.7
    )
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(30)])
    return ad.AnnData(x.astype(np.float32), obs=obs, var=pd.DataFrame(index=GENES))


def score(adata: ad.AnnData, sets: object = SETS, **options: object) -> ad.AnnData:
    return nt.tl.score_programs(adata, sets, copy=True, **options)


def peer(adata: ad.AnnData, genes: list[str], **options: object) -> np.ndarray:
    out = ad.AnnData(adata.X, obs=adata.obs[[]], var=adata.var[[]])
    sc.tl.score_genes(out, genes, use_raw=False, **options)
    return out.obs["score"].to_numpy()


# -- what is written -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_genes_that_are_measured_are_scored_as_scanpy_does(cells, embedding, kind):
    cells.X[:, 20:30] = cells.X[:, 30:40]  # ties
    cells.X[:, 50:60] = 0
    cells.X = kind(cells.X)
    out = score(cells, embedding=embedding)
    for name, members in SETS.items():
        np.testing.assert_allclose(
            out.obsm["newt_programs"][name], peer(cells, members), rtol=0, atol=1e-6
        )
    table = out.uns["newt_programs"]["programs"]
    assert table["scored_by"].tolist() == ["genes", "genes"]
    assert table["relatives"].tolist() == ["", ""]
    assert table["similarity"].isna().all()
    assert set(table.loc["p53", "measured"].split("|")) == set(SETS["p53"])
    assert out.obsm["newt_programs"].dtypes.eq(np.float32).all()
    assert not cells.obsm


def test_the_seed_is_scanpys(embedding):
    rng = np.random.default_rng(3)
    names = [f"GENE{i}" for i in range(3000)]  # bins of more genes than are drawn
    many = ad.AnnData(
        rng.gamma(2.0, size=(20, 3000)).astype(np.float32), var=pd.DataFrame(index=names)
    )
    out = [
        score(many, {"a": names[:5]}, embedding=embedding, random_state=seed).obsm["newt_programs"][
            "a"
        ]
        for seed in (0, 7)
    ]
    np.testing.assert_allclose(out[0], peer(many, names[:5]), rtol=0, atol=1e-6)
    np.testing.assert_allclose(out[1], peer(many, names[:5], random_state=7), rtol=0, atol=1e-6)
    assert np.abs(out[0] - out[1]).max() > 1e-3


def nearest(embedding: ad.AnnData, members: list[str], pool: list[str]) -> pd.Series:
    E = embedding.X - embedding.X.mean(axis=0)
    unit = pd.DataFrame(E / np.linalg.norm(E, axis=1)[:, None], index=embedding.obs_names)
    centre = unit.loc[members].mean()
    return (unit.loc[pool] @ (centre / np.linalg.norm(centre))).nlargest(20)


def test_a_program_that_is_not_measured_is_scored_by_its_relatives(cells, embedding):
    with pytest.warns(
        NewtWarning, match=r"1 of 2 programs have no gene that varies in adata.*'ras'"
    ):
        out = score(cells, {"ras": ["KRAS", "NRAS"], "p53": SETS["p53"]}, embedding=embedding)
    expected = nearest(embedding, ["KRAS", "NRAS"], GENES)
    table = out.uns["newt_programs"]["programs"].loc["ras"]
    assert table[["scored_by", "measured", "n_measured", "n_known"]].tolist() == [
        "relatives",
        "",
        0,
        2,
    ]
    assert table["relatives"].split("|") == list(expected.index)
    assert table["similarity"] == pytest.approx(expected.min(), abs=1e-5)
    np.testing.assert_allclose(
        out.obsm["newt_programs"]["ras"], peer(cells, list(expected.index)), atol=1e-6
    )


def test_few_measured_genes_are_scored_with_relatives(cells, embedding):
    sets = {"some": ["TP53", "MDM2", "KRAS"]}
    with pytest.warns(NewtWarning, match=r"have few genes that vary in adata.*'some'"):
        out = score(cells, sets, embedding=embedding)
    expected = nearest(
        embedding, sets["some"], [gene for gene in GENES if gene not in ("TP53", "MDM2")]
    )
    both = (peer(cells, ["TP53", "MDM2"]) + peer(cells, list(expected.index))) / 2
    np.testing.assert_allclose(out.obsm["newt_programs"]["some"], both, atol=1e-6)
    assert out.uns["newt_programs"]["programs"].loc[
        "some", ["scored_by", "n_measured"]
    ].tolist() == ["both", 2]
    alone = score(cells, sets, embedding=embedding, min_genes=2)
    np.testing.assert_allclose(
        alone.obsm["newt_programs"]["some"], peer(cells, ["TP53", "MDM2"]), atol=1e-6
    )


def test_relatives_are_never_taken_where_none_are_asked_for(cells, embedding):
    with pytest.warns(NewtWarning, match="1 of 2 programs can not be scored"):
        out = score(cells, {"ras": ["KRAS"], "p53": SETS["p53"]}, embedding=embedding, min_genes=0)
    assert out.obsm["newt_programs"]["ras"].isna().all()
    assert out.uns["newt_programs"]["programs"]["scored_by"].tolist() == ["nothing", "genes"]


def test_every_array_type(cells, embedding, array_type):
    sets = {**SETS, "ras": ["KRAS", "NRAS"]}
    other = ad.AnnData(array_type(cells.X), var=cells.var)
    with pytest.warns(NewtWarning, match="scored by relatives"):
        assert nt.tl.score_programs(other, sets, embedding=embedding) is None
    with pytest.warns(NewtWarning, match="scored by relatives"):
        expected = score(cells, sets, embedding=embedding).obsm["newt_programs"]
    np.testing.assert_allclose(other.obsm["newt_programs"], expected, atol=1e-6)


def test_entries_that_are_stored_twice(cells, embedding):
    half = sparse.coo_matrix(cells.X)
    half = (np.r_[half.data, half.data] / 2, (np.r_[half.row, half.row], np.r_[half.col, half.col]))
    twice = sparse.csr_matrix((half[0][:0], ([], [])), shape=cells.shape, dtype=np.float32)
    order = np.argsort(half[1][0], kind="stable")
    twice.data, twice.indices = (
        half[0][order].astype(np.float32),
        half[1][1][order].astype(np.int32),
    )
    twice.indptr = np.r_[0, np.bincount(half[1][0], minlength=cells.n_obs).cumsum()].astype(
        np.int32
    )
    twice.has_canonical_format = False
    found = score(ad.AnnData(twice, var=cells.var), embedding=embedding).obsm["newt_programs"]
    np.testing.assert_allclose(
        found, score(cells, embedding=embedding).obsm["newt_programs"], atol=1e-6
    )


def test_backed_written_and_read(cells, embedding, tmp_path, monkeypatch):
    cells.write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setattr(_rows, "_BLOCK_BYTES", 8 * len(GENES) * 7)
    out = score(
        ad.read_h5ad(tmp_path / "cells.h5ad", backed="r"), {"a/b": SETS["p53"]}, embedding=embedding
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of other packages
        out.write_h5ad(tmp_path / "out.h5ad")
    back = ad.read_h5ad(tmp_path / "out.h5ad")
    plain = score(cells, embedding=embedding)
    np.testing.assert_allclose(
        back.obsm["newt_programs"]["a_b"], plain.obsm["newt_programs"]["p53"], atol=1e-6
    )
    table = back.uns["newt_programs"]["programs"]
    assert list(table.index) == ["a/b"]
    assert table.loc["a/b", ["n_genes", "n_known", "n_measured"]].tolist() == [4, 4, 4]
    told = {"min_genes": 3, "layer": "X", "organism": "auto", "random_state": 0}
    assert back.uns["newt_programs"]["params"] == told


def test_mouse_and_a_gmt_file(cells, embedding, tmp_path):
    nt.io.write_gmt(SETS, tmp_path / "sets.gmt")
    mouse = cells.copy()
    names = ["Trp53", "Mdm2", "Egfr", "Myc", "Max", "Gapdh", "Actb", "Cdkn1a", "Brca1", "Pten"]
    mouse.var_names = [*names, *GENES[10:]]
    a = score(cells, embedding=embedding)
    b = score(mouse, tmp_path / "sets.gmt", embedding=embedding, organism="mouse")
    np.testing.assert_array_equal(a.obsm["newt_programs"], b.obsm["newt_programs"])
    named = {"p53": ["Trp53", "Mdm2", "Cdkn1a", "Brca1"]}
    found = score(cells, named, embedding=embedding).obsm["newt_programs"]["p53"]
    np.testing.assert_array_equal(found, a.obsm["newt_programs"]["p53"])


def test_layer_and_key(cells, embedding):
    expected = score(cells, embedding=embedding).obsm["newt_programs"]
    cells.layers["log"] = cells.X.copy()
    cells.X = np.zeros_like(cells.X)
    out = nt.tl.score_programs(
        cells, SETS, embedding=embedding, layer="log", key_added="mine", copy=True
    )
    assert set(out.obsm) == {"mine"}
    pd.testing.assert_frame_equal(out.obsm["mine"], expected)


def test_genes_without_a_vector_are_scored_by_their_name(cells, embedding):
    cells.var_names = [*GENES[:-1], "my_transgene"]
    out = score(cells, {"mine": ["my_transgene"], **SETS}, embedding=embedding)
    np.testing.assert_allclose(
        out.obsm["newt_programs"]["mine"], peer(cells, ["my_transgene"]), atol=1e-6
    )
    assert out.uns["newt_programs"]["programs"].loc["mine", "scored_by"] == "genes"


def test_genes_that_do_not_vary_are_not_measured(cells, embedding):
    cells.X[:, [GENES.index(gene) for gene in SETS["p53"]]] = 2.5
    with pytest.warns(NewtWarning, match="1 of 2 programs have no gene that varies"):
        out = score(cells, embedding=embedding)
    table = out.uns["newt_programs"]["programs"]
    assert table.loc["p53", ["scored_by", "n_known", "n_measured"]].tolist() == ["relatives", 4, 0]
    assert not set(table.loc["p53", "relatives"].split("|")) & set(SETS["p53"])
    assert np.isfinite(out.obsm["newt_programs"]).all(axis=None)


def test_planted_programs(make_adata):
    """Cells that express a program's neighbours are found, though none of its own genes is
    measured.
    """
    rng = np.random.default_rng(1)
    E = rng.normal(size=(300, 20)).astype(np.float32)
    E[:40] += 3 * rng.normal(size=20)
    names = [f"GENE{i}" for i in range(300)]
    embedding = ad.AnnData(E, obs=pd.DataFrame(index=names))
    cells = make_adata(80, 290, var_names=names[10:])
    cells.X[:40, :30] += 2.0
    with pytest.warns(NewtWarning, match="scored by relatives"):
        out = nt.tl.score_programs(cells, {"planted": names[:10]}, embedding=embedding, copy=True)
    found = out.obsm["newt_programs"]["planted"].to_numpy()
    assert found[:40].min() > found[40:].max()


def test_an_empty_program_and_a_network(cells, embedding):
    with pytest.warns(NewtWarning, match="1 of 3 programs can not be scored"):
        out = score(cells, {**SETS, "none": []}, embedding=embedding)
    assert out.obsm["newt_programs"]["none"].isna().all()
    net = pd.DataFrame([(name, gene, 1.0) for name, members in SETS.items() for gene in members])
    net.columns = ["source", "target", "weight"]
    other = score(cells, net, embedding=embedding)
    np.testing.assert_array_equal(
        other.obsm["newt_programs"], out.obsm["newt_programs"][list(SETS)]
    )


# -- what is refused -------------------------------------------------------------------------------


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
        ({"min_genes": -1}, ValueError, "min_genes is -1"),
        ({"min_genes": True}, ValueError, "min_genes is True"),
        ({"random_state": None}, ValueError, "random_state is None"),
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
    with pytest.raises(ValueError, match="None of the 4 genes of adata is left as a control"):
        score(cells[:, SETS["p53"]].copy(), {"p53": SETS["p53"]}, embedding=embedding)
    cells.X[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        score(cells, embedding=embedding)


def test_few_known_genes(cells, embedding):
    with (
        pytest.warns(NewtWarning, match="have few genes that vary"),
        pytest.warns(NewtWarning, match="relatives by less than half of their genes: 'a'"),
    ):
        score(cells, {"a": ["TP53", "x1", "x2"]}, embedding=embedding)
