from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

import newt_sc as nt
from newt_sc.errors import DataUnavailableError, FormatError
from newt_sc.genes._build import NUISANCE, SOURCES, build_tables
from newt_sc.genes._lookup import table_release

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = files("newt_sc.genes") / "_tables"

HGNC = """\
hgnc_id\tsymbol\tlocus_group\talias_symbol\tprev_symbol\tentrez_id\tensembl_gene_id\tuniprot_ids
HGNC:2\tBBB\tprotein-coding gene\tB1|ENST00000000001| B1\tOLDB\t2\tENSG00000000002\tP00002
HGNC:1\tAAA\tnon-coding RNA\t\t\t1\tENSG00000000001\t
"""
ENSEMBL = """symbol\tensembl\tentrez\tlocus_group\tuniprot_ids
AAA\tENSG00000000009\t1\tnon-coding RNA\t
BBB\tENSG00000000001\t2\tprotein-coding gene\tP00002
CCC\tENSG00000000003\t3\t\t
"""
HCOP = """\
human_symbol\thuman_entrez\thuman_ensembl\tmouse_symbol\tmouse_entrez\tmouse_ensembl\tsupport_n
NEWA\t\tENSG00000000001\tAaa\t10\tENSMUSG00000000010\t3.0
AAA\t1\tENSG00000000001\tAaa\t10\tENSMUSG00000000010\t5.0
NEWB\t2\tENSG99999999999\tBbb\t\t\t2.0
GONE\t99\tENSG00000000099\tCcc\t\t\t2.0
"""

NCBI = """symbol\tentrez\tsynonyms\tmgi
Bbb\t11\tOldb|ENST00000000002|Bb\tMGI:1
Aaa\t10\t\tMGI:2
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for name, text in (("hgnc", HGNC), ("ensembl", ENSEMBL), ("hcop", HCOP), ("ncbi", NCBI)):
        path = tmp_path / SOURCES[name]["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()))
    for name, sets in NUISANCE.items():
        path = tmp_path / SOURCES[name]["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "other\t\tAAA\n" + "".join(f"{key}\tname\tBBB\tGONE\n" for key in sets)
        path.write_bytes(gzip.compress(text.encode()))
    return tmp_path


def read(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


def test_build(sources: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    release = build_tables(sources, out)
    assert read(out / "human.tsv.gz")[1:] == [
        ["AAA", "1", "non-coding RNA", "1", "ENSG00000000001|ENSG00000000009", "", "", ""],
        # ENSG00000000001 is AAA's in HGNC; the transcript id and the repeated alias are left out
        ["BBB", "2", "protein-coding gene", "2", "ENSG00000000002", "P00002", "OLDB", "B1"],
        ["CCC", "", "protein-coding gene", "3", "ENSG00000000003", "", "", ""],
    ]
    assert read(out / "orthologs.tsv.gz")[1:] == [
        ["Aaa", "10", "ENSMUSG00000000010", "AAA", "5"],  # the better of two rows
        ["Bbb", "", "", "BBB", "2"],  # through Entrez
    ]
    assert read(out / "mouse.tsv.gz")[1:] == [["Aaa", "10", ""], ["Bbb", "11", "Oldb|Bb"]]
    assert read(out / "nuisance.tsv.gz") == [["symbol"], ["BBB"]]
    assert json.loads((out / "release.json").read_text()) == release
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    build_tables(sources, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first


def test_build_says_what_is_missing(sources: Path, tmp_path: Path) -> None:
    path = sources / SOURCES["hcop"]["file"]
    path.write_bytes(gzip.compress(b"human_symbol\tmouse_symbol\nA\ta\n"))
    with pytest.raises(FormatError, match="support_n"):
        build_tables(sources, tmp_path / "out")
    path.unlink()
    with pytest.raises(DataUnavailableError, match="mouse_human_hcop"):
        build_tables(sources, tmp_path / "out")
    path.write_bytes(gzip.compress(HCOP.encode()))
    (sources / SOURCES["hallmark"]["file"]).write_bytes(gzip.compress(b"HALLMARK_ELSE\t\tAAA\n"))
    with pytest.raises(FormatError, match="MITOTIC SPINDLE"):
        build_tables(sources, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.real_data
def test_shipped_tables_are_what_the_sources_give(tmp_path: Path) -> None:
    data_dir = os.environ.get("NEWT_SC_DATA_DIR")
    if not data_dir:
        pytest.skip("NEWT_SC_DATA_DIR is not set")
    build_tables(data_dir, tmp_path)
    assert json.loads((tmp_path / "release.json").read_text()) == table_release()
    for name in ("human.tsv.gz", "orthologs.tsv.gz", "mouse.tsv.gz", "nuisance.tsv.gz"):
        assert gzip.decompress((tmp_path / name).read_bytes()) == gzip.decompress(
            (SHIPPED / name).read_bytes()
        )


def test_shipped_tables_are_small() -> None:
    assert sum(len(path.read_bytes()) for path in SHIPPED.iterdir() if path.is_file()) < 2_000_000


def test_table() -> None:
    table = nt.genes.table()
    assert list(table.columns) == [
        "symbol",
        "locus_group",
        "ensembl",
        "entrez",
        "uniprot",
        "hgnc_id",
    ]
    assert table["symbol"].is_unique
    assert table["symbol"].is_monotonic_increasing
    row = table.set_index("symbol").loc["TP53"]
    assert row.tolist() == [
        "protein-coding gene",
        "ENSG00000141510",
        "7157",
        "P04637",
        "HGNC:11998",
    ]
    only_ensembl = table[table["hgnc_id"].isna()]
    assert only_ensembl["symbol"].tolist() == ["EFNA4-EFNA3", "TARP"]
    assert not (table.drop(columns="hgnc_id") == "").any(axis=None)
    table.loc[0, "symbol"] = "changed"
    assert nt.genes.table().loc[0, "symbol"] != "changed"


def test_orthologs() -> None:
    orthologs = nt.genes.orthologs()
    assert list(orthologs.columns) == [
        "mouse_symbol",
        "mouse_entrez",
        "mouse_ensembl",
        "human_symbol",
        "support_n",
    ]
    assert orthologs["human_symbol"].isin(nt.genes.table()["symbol"]).all()
    assert orthologs["support_n"].between(2, 12).all()
    assert orthologs.set_index("mouse_symbol").loc["Trp53", "human_symbol"] == "TP53"


def test_release_is_a_copy() -> None:
    release = table_release()
    assert {source["licence"] for source in release["sources"].values()} >= {"CC0-1.0"}
    release["sources"].clear()
    assert table_release()["sources"]


def test_face_loads_nothing() -> None:
    code = (
        "import sys, newt_sc.genes, newt_sc.pp; print({'pandas', 'numpy', 'anndata'} &"
        " set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert nt.genes.__all__ == sorted(nt.genes.__all__) == dir(nt.genes)


def test_genes_of_the_cell_cycle_and_of_housekeeping() -> None:
    found = nt.genes.nuisance()
    assert set(found) <= set(nt.genes.table()["symbol"])
    assert {"CDK1", "MKI67", "RPL3", "NDUFA1", "MYC"} & set(found) >= {"CDK1", "RPL3", "NDUFA1"}
    assert not {"CD3E", "GATA1", "ALB"} & set(found)
