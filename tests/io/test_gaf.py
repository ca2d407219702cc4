from __future__ import annotations

import gzip

import pandas as pd
import pytest

from newt_sc.errors import FormatError, NewtWarning
from newt_sc.io import read_gaf
from newt_sc.io._gaf import COLUMNS


def row(symbol="TP53", **fields):
    values = {
        "db": "UniProtKB",
        "db_object_id": "P04637",
        "symbol": symbol,
        "relation": "involved_in",
        "go_id": "GO:0006915",
        "reference": "PMID:1",
        "evidence": "IDA",
        "with_from": "",
        "aspect": "P",
        "name": "Cellular tumor antigen",
        "synonym": "P53",
        "type": "protein",
        "taxon": "taxon:9606",
        "date": "20240131",
        "assigned_by": "UniProt",
        "extension": "",
        "gene_product_form": "",
    } | fields
    return "\t".join(values[name] for name in COLUMNS)


def write(path, *rows, head="!gaf-version: 2.2\n!\n! some comment\n"):
    path.write_text(head + "".join(line + "\n" for line in rows))
    return path


def test_columns_and_types(tmp_path):
    frame = read_gaf(write(tmp_path / "a.gaf", row(), "!comment", "", row("MDM2", date="19991231")))
    assert tuple(frame.columns) == COLUMNS
    assert frame["symbol"].tolist() == ["TP53", "MDM2"]
    assert frame["date"].tolist() == [pd.Timestamp(2024, 1, 31), pd.Timestamp(1999, 12, 31)]
    assert frame["extension"].tolist() == ["", ""]


def test_negated_rows_are_dropped_unless_wanted(tmp_path):
    path = write(
        tmp_path / "a.gaf",
        row("A"),
        row("B", relation="NOT|involved_in"),
        row("C", relation="NOT|part_of"),
    )
    assert read_gaf(path)["symbol"].tolist() == ["A"]
    assert read_gaf(path, negated=True)["symbol"].tolist() == ["A", "B", "C"]
    assert read_gaf(path, negated=True, relations="part_of")["symbol"].tolist() == ["C"]


@pytest.mark.parametrize(
    ("filters", "symbols"),
    [
        ({"aspects": "F"}, ["F"]),
        ({"aspects": ["F", "C"]}, ["F", "C"]),
        ({"evidence": {"IEA"}}, ["E"]),
        ({"relations": ["enables"]}, ["F"]),
        ({"taxon": 9606}, ["A", "F", "C", "E", "D"]),
        ({"taxon": "taxon:10090"}, ["M"]),
        ({"taxon": [10090, "9606"], "evidence": "IEA"}, ["E"]),
    ],
)
def test_filters(tmp_path, filters, symbols):
    path = write(
        tmp_path / "a.gaf",
        row("A"),
        row("F", aspect="F", relation="enables"),
        row("C", aspect="C"),
        row("E", evidence="IEA"),
        row("M", taxon="taxon:10090"),
        row("D", taxon="taxon:9606|taxon:1280"),
    )
    frame = read_gaf(path, **filters)
    assert frame["symbol"].tolist() == symbols
    assert tuple(frame.columns) == COLUMNS
    assert frame["date"].dtype.kind == "M"


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"aspects": "BP"}, "aspects holds 'BP', expected 'P', 'F' and 'C'"),
        ({"aspects": "biological_process"}, "aspects holds"),
        ({"aspects": []}, "aspects holds nothing"),
        ({"evidence": "IDA,IMP"}, "evidence holds 'IDA,IMP'.* as a list"),
        ({"evidence": ["ida"]}, "evidence holds 'ida'"),
        ({"relations": "NOT|enables"}, "relations holds"),
        ({"relations": "NOT"}, "relations holds"),
        ({"taxon": "human"}, "taxon holds 'human', expected numbers"),
        ({"taxon": "9606,10090"}, "taxon holds"),
    ],
)
def test_filters_that_can_match_nothing_are_refused(tmp_path, filters, message):
    path = write(tmp_path / "a.gaf", row("A"))
    with pytest.raises(ValueError, match=message):
        read_gaf(path, **filters)


@pytest.mark.parametrize(
    "filters",
    [
        {"aspects": ["P", "F"]},
        {"evidence": ["IDA", "IMP"]},
        {"relations": ["involved_in", "enables"]},
        {"taxon": 1280},
    ],
)
def test_filters_that_match_nothing_in_the_file_are_named(tmp_path, filters):
    path = write(tmp_path / "a.gaf", row("A"))
    with pytest.warns(NewtWarning) as caught:
        read_gaf(path, **filters)
    assert f"{next(iter(filters))}: no row of {path} has" in str(caught[0].message)


def test_filters_that_no_row_passes_together_are_named(tmp_path):
    path = write(tmp_path / "a.gaf", row("F", aspect="F"), row("E", evidence="IEA"))
    with pytest.warns(NewtWarning, match=r"passes all of the filters \['aspects', 'evidence'\]"):
        frame = read_gaf(path, aspects="F", evidence="IEA")
    assert frame.empty
    assert frame["date"].dtype.kind == "M"


def test_gzip_and_rows_without_the_last_columns(tmp_path):
    path = tmp_path / "a.gaf.gz"
    path.write_bytes(
        gzip.compress(("!gaf-version: 2.1\n" + "\t".join(row().split("\t")[:15])).encode())
    )
    assert read_gaf(path).loc[0, "gene_product_form"] == ""


@pytest.mark.parametrize(
    ("head", "line", "at", "message"),
    [
        ("", row(), 1, "gaf-version"),
        ("!gpa-version: 2.0\n", row(), 2, "gaf-version"),
        ("!gaf-version: 1.0\n", row(), 1, "'1.0', expected 2.x"),
        ("!gaf-version: 2.2\n", "a\tb", 2, "found 2 tab-separated fields"),
        ("!gaf-version: 2.2\n", row() + "\tmore", 2, "found 18"),
        ("!gaf-version: 2.2\n", row(symbol=""), 2, "'symbol' .column 3. is empty"),
        ("!gaf-version: 2.2\n", row(date="2024-01-31"), 2, "YYYYMMDD"),
        ("!gaf-version: 2.2\n", row(date="20241301"), 2, "YYYYMMDD"),
        ("", "", None, "gaf-version"),
    ],
)
def test_malformed(tmp_path, head, line, at, message):
    with pytest.raises(FormatError, match=message) as caught:
        read_gaf(write(tmp_path / "a.gaf", line, head=head))
    assert caught.value.line == at


def test_bad_filter_is_refused(tmp_path):
    with pytest.raises(TypeError, match="expected a string or several"):
        read_gaf(write(tmp_path / "a.gaf", row()), aspects=3)
