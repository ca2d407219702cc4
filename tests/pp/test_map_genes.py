from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import newt_sc as nt
from newt_sc.errors import GeneMatchError, NewtWarning

NAMES = ["TP53", "MLL", "ENSG00000012048.3", "LYZ", "P61626", "nonesuch"]
GENES = ["TP53", "KMT2A", "BRCA1", "LYZ", "LYZ", None]


@pytest.fixture
def adata() -> ad.AnnData:
    x = sp.csr_matrix(np.arange(12, dtype=np.float32).reshape(2, 6))
    var = pd.DataFrame({"gene_ids": NAMES[::-1], "n": range(6)}, index=NAMES)
    return ad.AnnData(x, obs=pd.DataFrame(index=["a", "b"]), var=var, uns={"kept": "yes"})


def genes(adata: ad.AnnData, key: str = "newt_genes") -> list[str | None]:
    return [None if pd.isna(gene) else gene for gene in adata.var[key]]


def state(adata: ad.AnnData) -> Any:
    return list(adata.var.columns), sorted(adata.uns), adata.var_names.tolist(), adata.is_view


def test_slots(adata: ad.AnnData) -> None:
    before = adata.copy()
    assert nt.pp.map_genes(adata) is None
    assert genes(adata) == GENES
    assert isinstance(adata.var["newt_genes"].dtype, pd.CategoricalDtype)
    assert isinstance(adata.var["newt_genes_rule"].dtype, pd.CategoricalDtype)
    assert adata.var["newt_genes_rule"].tolist() == [
        "symbol",
        "previous",
        "ensembl",
        "symbol",
        "uniprot",
        "unmapped",
    ]
    report = adata.uns["newt_genes"]
    assert report["params"] == {"organism": "auto", "column": "var_names"}
    assert report["organism"] == "human"
    assert (report["n_genes"], report["n_matched"], report["n_dropped"], report["n_shared"]) == (
        6,
        5,
        1,
        2,
    )
    assert report["shared"].tolist() == ["LYZ", "P61626"]
    assert adata.var_names.equals(before.var_names)
    assert (adata.X != before.X).nnz == 0


def test_column_and_key_added(adata: ad.AnnData) -> None:
    nt.pp.map_genes(adata, column="gene_ids", key_added="mine", organism="human")
    assert genes(adata, "mine") == GENES[::-1]
    assert state(adata)[:2] == (["gene_ids", "n", "mine", "mine_rule"], ["kept", "mine"])
    assert adata.uns["mine"]["params"] == {"organism": "human", "column": "gene_ids"}


def test_copy(adata: ad.AnnData) -> None:
    before = state(adata)
    changed = nt.pp.map_genes(adata, copy=True)
    assert changed is not None
    assert genes(changed) == GENES
    assert state(adata) == before


def test_again_replaces(adata: ad.AnnData) -> None:
    nt.pp.map_genes(adata, column="gene_ids")
    nt.pp.map_genes(adata)
    assert genes(adata) == GENES
    assert adata.var.columns.is_unique


@pytest.mark.parametrize("dtype", ["int64", "Int64", "uint32"])
def test_integer_column_is_entrez(adata: ad.AnnData, dtype: str) -> None:
    adata.var["entrez"] = pd.array([7157, 4297, 672, 4069, 4069, 999999999], dtype=dtype)
    nt.pp.map_genes(adata, column="entrez", organism="human")
    assert genes(adata) == GENES


def test_missing_in_column(adata: ad.AnnData) -> None:
    adata.var["ids"] = pd.Categorical(["TP53", None, "BRCA1", "LYZ", "LYZ", None])
    nt.pp.map_genes(adata, column="ids")
    assert genes(adata) == ["TP53", None, "BRCA1", "LYZ", "LYZ", None]
    adata.var["entrez"] = pd.array([7157, None, 672, 4069, 4069, None], dtype="Int64")
    nt.pp.map_genes(adata, column="entrez", organism="human")
    assert genes(adata) == ["TP53", None, "BRCA1", "LYZ", "LYZ", None]
    assert adata.uns["newt_genes"]["hints"]["empty"].tolist() == ["", ""]


@pytest.mark.parametrize(
    ("change", "kwargs", "error", "match"),
    [
        ({}, {"column": "nope"}, KeyError, "no column 'nope'.*gene_ids"),
        ({}, {"organism": "rat"}, ValueError, "'rat'"),
        (
            {"ids": ["g"] * 6},
            {"column": "ids"},
            GeneMatchError,
            r"None of the 6 names of adata.var\['ids'\].*organism",
        ),
        ({"ids": [0.5] * 6}, {"column": "ids"}, TypeError, r"adata.var\['ids'\]\[0\] is float"),
        ({"ids": [b"TP53"] * 6}, {"column": "ids"}, TypeError, "decode"),
        ({"ids": [""] * 6}, {"column": "ids"}, GeneMatchError, "6 of them are empty"),
    ],
)
def test_failure_changes_nothing(
    adata: ad.AnnData,
    change: dict[str, Any],
    kwargs: dict[str, Any],
    error: type[Exception],
    match: str,
) -> None:
    for column, values in change.items():
        adata.var[column] = values
    before = state(adata)
    with pytest.raises(error, match=match):
        nt.pp.map_genes(adata, **kwargs)
    assert state(adata) == before


def test_warning_as_error_changes_nothing(adata: ad.AnnData) -> None:
    adata.var_names = ["TP53", "x1", "x2", "x3", "x4", "x5"]
    before = state(adata)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NewtWarning)
        with pytest.raises(NewtWarning):
            nt.pp.map_genes(adata)
    assert state(adata) == before


@pytest.mark.filterwarnings("ignore:From 0.4:FutureWarning")
def test_wrong_object(adata: ad.AnnData) -> None:
    with pytest.raises(TypeError, match="is DataFrame, expected AnnData"):
        nt.pp.map_genes(adata.var)
    with pytest.raises(TypeError, match="one modality"):
        nt.pp.map_genes(md.MuData({"rna": adata}))
    with pytest.raises(ValueError, match="var_names is empty"):
        nt.pp.map_genes(ad.AnnData(np.zeros((2, 0), dtype=np.float32)))


def test_warnings(adata: ad.AnnData) -> None:
    adata.var_names = ["TP53", "B3GNT1", "1-Mar", "x", "y", "z"]
    with pytest.warns(NewtWarning) as caught:
        nt.pp.map_genes(adata)
    assert {warning.filename for warning in caught} == {__file__}
    text = "\n".join(str(warning.message) for warning in caught)
    assert "Only 1 of the 6 genes of adata.var_names" in text
    assert "'B3GNT1 (B3GNT2 or B4GAT1)'" in text
    assert "1 names of adata.var_names ('1-Mar') look like dates" in text


def test_row_numbers_name_the_column_that_has_genes() -> None:
    adata = ad.AnnData(np.zeros((2, 4), dtype=np.float32))
    with pytest.raises(GeneMatchError, match=r"row numbers.*no column of var has them"):
        nt.pp.map_genes(adata)
    adata.var["feature_type"] = "Gene Expression"
    adata.var["symbol"] = pd.Categorical(["TP53", "EGFR", "INS", "own"])
    with pytest.raises(
        GeneMatchError, match=r"row numbers.*'symbol'.*3 genes.*map_genes\(adata, column='symbol'\)"
    ):
        nt.pp.map_genes(adata)


@pytest.mark.filterwarnings("ignore::anndata.ImplicitModificationWarning")
def test_view(adata: ad.AnnData) -> None:
    view = adata[:, [1, 0, 5]]
    before = state(adata)
    nt.pp.map_genes(view)
    assert genes(view) == ["KMT2A", "TP53", None]
    assert state(adata) == before


def test_read_only(adata: ad.AnnData) -> None:
    adata.X.data.flags.writeable = False
    nt.pp.map_genes(adata)
    assert genes(adata) == GENES


def test_without_x(adata: ad.AnnData) -> None:
    bare = ad.AnnData(var=adata.var)
    nt.pp.map_genes(bare)
    assert genes(bare) == GENES


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_backed(adata: ad.AnnData, tmp_path: Path, mode: Any) -> None:
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = ad.read_h5ad(tmp_path / "a.h5ad", backed=mode)
    changed = nt.pp.map_genes(backed, copy=True)
    assert changed is not None
    assert not changed.isbacked
    assert genes(changed) == GENES
    nt.pp.map_genes(backed)
    assert genes(backed) == GENES
    assert backed.isbacked
    backed.file.close()


@pytest.mark.filterwarnings("ignore:.*Zarr:UserWarning")  # what anndata says of its own format
@pytest.mark.parametrize(
    "names", [NAMES, ["TP53", "B3GNT1", "1-Mar", "GRCh38_A", "ENST00000269305", "LYZ"], NAMES[:1]]
)
@pytest.mark.parametrize("form", ["h5ad", "zarr"])
def test_round_trip(form: str, names: list[str], tmp_path: Path) -> None:
    adata = ad.AnnData(np.zeros((1, len(names)), dtype=np.float32), var=pd.DataFrame(index=names))
    adata.obs_names = ["a"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)
        nt.pp.map_genes(adata)
    getattr(adata, f"write_{form}")(tmp_path / f"a.{form}")
    back = getattr(ad, f"read_{form}")(tmp_path / f"a.{form}")
    assert genes(back) == genes(adata)
    assert back.var["newt_genes_rule"].tolist() == adata.var["newt_genes_rule"].tolist()
    same(back.uns["newt_genes"], adata.uns["newt_genes"])


def same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert sorted(found) == sorted(expected)
        for key, value in expected.items():
            same(found[key], value)
    elif isinstance(expected, np.ndarray):
        assert found.tolist() == expected.tolist()
    else:
        assert found == expected


COVERAGE = {
    "cytosimplex_bm_mouse": ("mouse", 0.85),
    "ginhoux_dc_mouse": ("mouse", 0.87),
    "goolam_embryo_mouse": ("mouse", 0.58),
    "immgen_sorted_mouse": ("mouse", 0.87),
    "ipsc_cm_human": ("human", 0.98),
    "paul_myeloid_mouse": ("mouse", 0.87),
    "pbmc3k_human": ("human", 0.90),
    "pollen2014_human": ("human", 0.98),
    "yan_embryo_human": ("human", 0.98),
}


@pytest.mark.real_data
@pytest.mark.filterwarnings("ignore::newt_sc.errors.NewtWarning")
@pytest.mark.parametrize("name", COVERAGE)
def test_real_cells(name: str) -> None:
    data_dir = os.environ.get("NEWT_SC_DATA_DIR")
    if not data_dir:
        pytest.skip("NEWT_SC_DATA_DIR is not set")
    adata = ad.read_h5ad(Path(data_dir) / "cells" / f"{name}.h5ad", backed="r")
    nt.pp.map_genes(adata)
    organism, coverage = COVERAGE[name]
    report = adata.uns["newt_genes"]
    assert report["organism"] == organism
    assert report["n_matched"] / report["n_genes"] > coverage
    assert adata.var["newt_genes"].dropna().isin(nt.genes.table()["symbol"]).all()
    if name == "yan_embryo_human":  # a spreadsheet was here
        assert len(report["hints"]["date"]) == 26
    adata.file.close()
