from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc.errors import GeneMatchError, NewtWarning
from newt_sc.genes._align import require_overlap, warn_coverage
from newt_sc.genes._lookup import table_release

REFERENCE = ["BRCA1", "TP53", "KMT2A", "LYZ", "g1"]


def test_every_kind_of_name_finds_its_row() -> None:
    names = [" TP53", "MLL", "ENSG00000012048.3", "nonesuch", "B3GNT1", "g1", "MDM2", "4069"]
    found = nt.genes.align(names, pd.Index(REFERENCE))
    assert found.index.tolist() == [1, 2, 0, -1, -1, 4, -1, 3]
    assert found.index.dtype == np.intp
    assert found.gene.tolist() == ["TP53", "KMT2A", "BRCA1", "", "", "g1", "", "LYZ"]
    assert found.rule.tolist() == [
        *("symbol", "previous", "ensembl", "unmapped", "ambiguous", "exact", "absent", "entrez")
    ]
    report = found.report
    assert report["organism"] == report["reference_organism"] == "human"
    assert (report["n_genes"], report["n_reference"]) == (8, 5)
    assert (
        report["n_matched"],
        report["n_ambiguous"],
        report["n_dropped"],
        report["n_absent"],
    ) == (5, 1, 2, 1)
    assert report["matched_by"] == {
        "ensembl": 1,
        "entrez": 1,
        "exact": 1,
        "previous": 1,
        "symbol": 1,
    }
    assert report["ambiguous"].tolist() == ["B3GNT1"]
    assert report["candidates"].tolist() == ["B3GNT2|B4GAT1"]
    assert report["dropped"].tolist() == ["nonesuch", "MDM2"]
    assert report["n_shared"] == report["n_reference_duplicates"] == 0
    assert report["table_release"] == table_release()["release"]


def test_reference_in_another_vocabulary() -> None:
    found = nt.genes.align(["TP53", "MLL"], ["ENSG00000118058.20", "ENSG00000141510.18"])
    assert found.index.tolist() == [1, 0]
    assert found.gene.tolist() == ["ENSG00000141510.18", "ENSG00000118058.20"]


def test_reference_with_names_of_its_own() -> None:
    found = nt.genes.align(["g3", "g1", "G1", "g9"], ["g1", "g2", "g3"])
    assert found.index.tolist() == [2, 0, -1, -1]
    assert set(found.rule) == {"exact", "unmapped"}


def test_ambiguous_name_matches_itself() -> None:
    found = nt.genes.align(["B3GNT1"], ["TP53", "B3GNT1"])
    assert found.index.tolist() == [1]
    assert found.rule.tolist() == ["exact"]
    assert found.report["n_ambiguous"] == 0


@pytest.mark.parametrize(
    ("reference", "row"),
    [
        (["MLL", "KMT2A"], 1),
        (["KMT2A", "MLL"], 0),
        (["MLL", "kmt2a"], 1),
        (["MLL", "ENSG00000118058"], 0),
        (["MLL", "MLL"], 0),
    ],
)
def test_duplicates_in_the_reference(reference: list[str], row: int) -> None:
    found = nt.genes.align(["KMT2A", "MLL"], ["TP53", *reference])
    assert found.index.tolist() == [row + 1, row + 1]
    assert found.report["n_reference_duplicates"] == 1


def test_shared_rows() -> None:
    found = nt.genes.align(["Lyz1", "Lyz2", "Trp53", "Xist"], REFERENCE)
    assert found.index.tolist() == [3, 3, 1, -1]
    assert found.report["organism"] == "mouse"
    assert found.report["reference_organism"] == "human"
    assert found.report["n_shared"] == 2
    assert found.report["shared"].tolist() == ["Lyz1", "Lyz2"]


def test_mouse_gene_is_not_found_by_the_name_of_a_human_gene() -> None:
    found = nt.genes.align(
        ["Trp53", "Lyz1", "XIST", "TP53"], ["XIST", "TP53", "LYZ"], organism="mouse"
    )
    assert found.index.tolist() == [1, 2, -1, 1]  # Tp53 is a synonym of Trp53; Xist has no ortholog


def test_mouse_in_mouse() -> None:
    reference = ["Lyz2", "Lyz1", "ENSMUSG00000059552", "Adh1", "Xist"]
    found = nt.genes.align(["Lyz1", "Lyz2", "Trp53", "Adh1", "Xist", "Mdm2"], reference)
    assert found.index.tolist() == [1, 0, 2, 3, 4, -1]  # paralogs stay apart; no ortholog is needed
    assert found.rule.tolist() == ["mouse_symbol"] * 5 + ["absent"]
    assert found.report["n_shared"] == 0


def test_human_in_mouse_reference() -> None:
    found = nt.genes.align(["TP53", "LYZ", "MDM2"], ["Mdm2", "Lyz2", "Trp53"])
    assert found.index.tolist() == [2, 1, 0]
    assert found.report["reference_organism"] == "mouse"


def test_digits_follow_the_names() -> None:
    assert nt.genes.align(["Trp53", "Mdm2"], ["22059", "17246"]).index.tolist() == [0, 1]
    assert nt.genes.align(["TP53", "MDM2"], ["4193", "7157"]).index.tolist() == [1, 0]
    assert nt.genes.align(["22059"], ["Trp53"], organism="mouse").index.tolist() == [0]


def test_empty_and_wrong() -> None:
    with pytest.raises(ValueError, match="reference is empty"):
        nt.genes.align(["TP53"], [])
    with pytest.raises(ValueError, match="names is empty"):
        nt.genes.align([], ["TP53"])
    with pytest.raises(TypeError, match=r"reference\[0\] is int"):
        nt.genes.align(["TP53"], [1])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="organism is 'rat'"):
        nt.genes.align(["TP53"], ["TP53"], organism="rat")  # type: ignore[arg-type]


def test_is_frozen() -> None:
    found = nt.genes.align(["TP53"], REFERENCE)
    with pytest.raises(AttributeError):
        found.index = np.array([0])  # type: ignore[misc]


def test_report_has_only_what_can_be_written() -> None:
    def check(value: Any) -> None:
        if isinstance(value, dict):
            assert all(type(key) is str for key in value)
            for item in value.values():
                check(item)
        elif isinstance(value, np.ndarray):
            assert value.dtype.kind == "U"
        else:
            assert type(value) in (str, int, float, bool)

    check(nt.genes.align(["TP53", "1-Mar", "B3GNT1", "x", "tp53"], REFERENCE).report)
    check(nt.genes.align(["TP53"], REFERENCE).report)


def test_counts_add_up() -> None:
    table = nt.genes.table()
    names = [*table["ensembl"].dropna()[:500], *table["symbol"][:500], "B3GNT1", "x"]
    report = nt.genes.align(names, table["symbol"][::2]).report
    assert (
        report["n_genes"]
        == report["n_matched"] + report["n_ambiguous"] + report["n_dropped"]
        == len(names)
    )
    assert sum(report["matched_by"].values()) == report["n_matched"]


@pytest.mark.parametrize(
    ("names", "organism", "guess"),
    [
        (["GRCh38_TP53", "GRCh38_LYZ"], "auto", "prefix of a genome"),
        (["1-Mar", "2-Sep"], "auto", "look like dates"),
        (["ENSMUSG00000059552"], "human", "another organism"),
        (["MDM2", "EGFR"], "auto", "known genes that the reference lacks"),
        (["999999998", "999999999"], "human", "Entrez ids of human"),
        (["foo", "bar"], "auto", "another column"),
    ],
)
def test_require_overlap(names: list[str], organism: Any, guess: str) -> None:
    found = nt.genes.align(names, REFERENCE, organism=organism)
    with pytest.raises(GeneMatchError, match=guess) as caught:
        require_overlap(found, names, REFERENCE, what="adata.var_names")
    message = str(caught.value)
    assert f"None of the {len(names)} genes of adata.var_names" in message
    assert repr(names[0]) in message
    assert "'BRCA1', 'TP53'" in message


def test_require_overlap_is_content_with_one() -> None:
    names = ["foo", "TP53"]
    require_overlap(nt.genes.align(names, REFERENCE), names, REFERENCE, what="names")


def test_warn_coverage() -> None:
    found = nt.genes.align(["TP53", "foo", "bar"], REFERENCE)
    with pytest.warns(
        NewtWarning, match=r"Only 1 of the 3 genes of adata.var_names were found \(33%\).*'foo'"
    ):
        warn_coverage(found, what="adata.var_names")
    warn_coverage(found, 0.3)
    warn_coverage(nt.genes.align(["TP53", "foo"], REFERENCE))


@pytest.mark.parametrize(
    ("name", "match"), [("1-Mar", "look like dates"), ("hg19_TP53", "prefix of a genome")]
)
def test_damaged_names_are_never_silent(name: str, match: str) -> None:
    found = nt.genes.align(["TP53", "BRCA1", name], REFERENCE)
    with pytest.warns(NewtWarning, match=match):
        warn_coverage(found)


def test_previous_symbols_that_are_an_alias_are_in_the_report() -> None:
    with pytest.warns(NewtWarning, match="TAZ is TAFAZZIN, not WWTR1"):
        found = nt.genes.align(["TAZ", "TP53"], ["TP53", "WWTR1", "TAFAZZIN"])
    assert found.index.tolist() == [2, 0]
    assert found.report["n_contested"] == 1
    assert found.report["contested"].tolist() == ["TAZ"]
    assert found.report["alternatives"].tolist() == ["WWTR1"]


def test_a_mixture_of_organisms_is_told() -> None:
    """The minority of mixed sets is not found; a few strangers of an annotation are no mixture."""
    names = ["Trp53", "Cd4", "Gata1", "HLA-DRA", "HLA-A"]
    with pytest.warns(
        NewtWarning, match="2 names of my sets .*'HLA-A'.* of another organism; keep"
    ):
        warn_coverage(nt.genes.align(names, REFERENCE), 0, what="my sets")
    mouse = nt.genes.orthologs()["mouse_symbol"].unique()[:300].tolist()
    warn_coverage(nt.genes.align([*mouse, "HLA-DRA"], REFERENCE), 0)
