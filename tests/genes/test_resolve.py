from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import newt_sc as nt
from newt_sc._missing import MISSING
from newt_sc.errors import GeneMatchError, NewtWarning
from newt_sc.genes import _resolve
from newt_sc.genes._lookup import human, mouse, table_release

if TYPE_CHECKING:
    from collections.abc import Iterable

SYMBOLS = nt.genes.table()["symbol"].tolist()
MOUSE = sorted(set(nt.genes.orthologs()["mouse_symbol"]))


def one(name: str, organism: Literal["human", "mouse"] = "human") -> tuple[str | None, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)  # of what may be meant otherwise
        row = nt.genes.resolve([name], organism=organism).loc[0]
    return (None if pd.isna(row["gene"]) else row["gene"]), row["rule"]


@pytest.mark.parametrize(
    ("name", "gene", "rule"),
    [
        ("TP53", "TP53", "symbol"),
        ("  TP53\t", "TP53", "symbol"),
        ("ENSA", "ENSA", "symbol"),  # a gene, no Ensembl id
        ("H2AC11", "H2AC11", "symbol"),  # looks like a UniProt accession
        ("C9orf72", "C9orf72", "symbol"),
        ("TARP", "TARP", "symbol"),  # Ensembl only
        ("ENSG00000141510", "TP53", "ensembl"),
        ("ENSG00000141510.18", "TP53", "ensembl"),
        ("ENSG00000182378.15_PAR_Y", "PLCXD1", "ensembl"),
        ("ENSG00000182378_PAR_Y", "PLCXD1", "ensembl"),
        ("ENSG00000230417", None, "ambiguous"),  # two genes share it
        ("ENSG0000014151", None, "unmapped"),
        ("ENSG00000141510x", None, "unmapped"),
        ("HGNC:11998", "TP53", "hgnc"),
        ("HGNC:0", None, "unmapped"),
        ("7157", "TP53", "entrez"),
        ("LOC7157", "TP53", "entrez"),
        ("07157", None, "unmapped"),
        ("\u0667", None, "unmapped"),  # a digit, but not of Entrez
        ("P04637", "TP53", "uniprot"),
        ("P04637-2", "TP53", "uniprot"),
        ("P01562", None, "ambiguous"),  # IFNA1 and IFNA13 are one protein
        ("B3GNT8", "B3GNT8", "symbol"),
        ("O3FAR1", "FFAR4", "previous"),  # looks like an accession, was a symbol
        ("MLL", "KMT2A", "previous"),
        ("SEPT2", "SEPTIN2", "previous"),
        ("B3GNT1", None, "ambiguous"),
        ("p53", "TP53", "alias"),
        ("tp53", "TP53", "case_insensitive"),
        ("C9ORF72", "C9orf72", "case_insensitive"),
        ("C10ORF68", "CCDC7", "case_insensitive"),  # a previous symbol
        ("ENST00000269305", None, "unmapped"),
        ("ENST00000421891", None, "unmapped"),  # though HGNC has it as an alias
        ("ENSMUSG00000059552", None, "unmapped"),
        ("1-Mar", None, "unmapped"),
        ("ENSGR0000182378.12", "PLCXD1", "ensembl"),  # the Y copy in old releases of GENCODE
        ("ENSG00000168939.12_4", "SPRY3", "ensembl"),  # lifted to another genome
        ("ENSG00000182378.15-PAR-Y", "PLCXD1", "ensembl"),  # underscores are dashes in Seurat
        ("TBCE_ENSG00000284770", "TBCE", "ensembl"),  # a symbol made unique by the id
        ("TP53.ENSG00000141510.18", "TP53", "ensembl"),
        ("GRCh38_ENSG00000141510", None, "unmapped"),
        ("NA", None, "unmapped"),  # an alias of XK
        ("NaN", None, "unmapped"),  # an alias of SCN11A
        ("GRCh38_TP53", None, "unmapped"),
        ("", None, "unmapped"),
    ],
)
def test_human(name: str, gene: str | None, rule: str) -> None:
    assert one(name) == (gene, rule)


@pytest.mark.parametrize(
    ("name", "gene", "rule"),
    [
        ("Trp53", "TP53", "mouse_symbol"),
        ("ENSMUSG00000059552", "TP53", "mouse_ensembl"),
        ("ENSMUSG00000059552.14", "TP53", "mouse_ensembl"),
        ("22059", "TP53", "mouse_entrez"),
        ("TRP53", "TP53", "case_insensitive"),
        ("CAR2", "CA2", "case_insensitive"),
        ("TMEM173", "STING1", "case_insensitive"),  # a synonym in capitals
        ("TP53", "TP53", "case_insensitive"),  # Tp53 is a synonym
        ("Sept2", "SEPTIN2", "mouse_alias"),
        ("H2afx", "H2AX", "mouse_alias"),
        ("Tmem173", "STING1", "mouse_alias"),
        ("NaN", None, "unmapped"),  # a synonym of Scn11a
        ("Xist", None, "unmapped"),  # no ortholog listed: not rescued as XIST
        ("ENSG00000141510", None, "unmapped"),
        ("Adh1", None, "ambiguous"),  # ADH1A and ADH1C
        ("Lyz1", "LYZ", "mouse_symbol"),
        ("Lyz2", "LYZ", "mouse_symbol"),
    ],
)
def test_mouse(name: str, gene: str | None, rule: str) -> None:
    assert one(name, "mouse") == (gene, rule)


def test_candidates() -> None:
    frame = nt.genes.resolve(["B3GNT1", "TP53", "nonesuch"])
    assert frame["candidates"].tolist() == [("B3GNT2", "B4GAT1"), (), ()]
    assert nt.genes.resolve(["Adh1"], organism="mouse")["candidates"].tolist() == [
        ("ADH1A", "ADH1C")
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("TP53", ""),
        ("nonesuch", ""),
        ("1-Mar", "date"),
        ("Mar-01", "date"),
        ("2-Sep", "date"),
        ("10-SEPT", "date"),
        ("2024-03-01", "date"),
        ("40973", "date"),  # the serial number of a day
        ("44256.0", "date"),
        *[
            (name, "date")
            for name in ("3/1", "03/01", "03-01", "3/1/2021", "1.Mrz", "1-Mar-21", "01-Mar-2021")
        ],
        *[(name, "date") for name in ("2006/09/01", "1.3.2021", "1-mars", "2. Sep", "1-Dez")],
        ("SET.1", "made_unique"),  # a gene, no month
        ("hg19_TP53", "species_prefix"),
        ("GRCh38_TP53", "species_prefix"),
        ("mm10___Trp53", "species_prefix"),
        ("ENST00000269305.9", "product"),
        ("ENSP00000269305", "product"),
        ("ENSMUST00000108658", "product"),
        ("ENSMUSG00000059552", "other_organism"),
        ("ENSDARG00000035559", "other_organism"),
        ("GRCh38:TP53", "species_prefix"),
        ("human_TP53", "species_prefix"),
        ("NM_000546.6", "product"),
        ("Trp53", "other_organism"),
        ("Gm10", "other_organism"),
        ("TP53;MDM2", "joined"),
        ("ENSG00000141510|ENSG00000012048", "joined"),
        ("A /// B", "joined"),
        ("TP53-1", "made_unique"),
        ("ownname.1", "made_unique"),
        ("7157.0", "float"),
        (" ", "empty"),
    ],
)
def test_hint(name: str, hint: str) -> None:
    frame = nt.genes.resolve([name, "TP53", "MDM2", "ownname"])
    assert frame.loc[0, "hint"] == hint


def test_hint_of_ids_in_mouse() -> None:
    frame = nt.genes.resolve(["ENSG00000141510", "HGNC:5", "ENSMUSG99999999999"], organism="mouse")
    assert frame["hint"].tolist() == ["other_organism", "other_organism", ""]


@pytest.mark.parametrize(
    "month",
    ["Mar Sep Dec", "Mrz Sep Dez", "mars sept déc", "mar set dic", "mrt sep dec", "мар сен дек"],
)
@pytest.mark.parametrize(
    "form",
    [
        "{d}-{m}",
        "{d:02d}. {m}",
        "{m}-{d:02d}",
        "{d}/{m}",
        "{d} {m} 2006",
        "{d:02d}.{m}.06",
        "{d}. {m}.",
        "{m} {d}, 2006",
        "{n}/{d}/06",
        "{d}.{n}.",
        "2006-{n:02d}-{d:02d}T00:00:00",
        "{n}月{d}日",
    ],
)
def test_dates_of_spreadsheets(month: str, form: str) -> None:
    """MARCH1, SEPT2 and DEC1, as spreadsheets of several countries write them."""
    days = zip((1, 2, 1), (3, 9, 12), month.split(), strict=True)
    names = [form.format(d=d, n=n, m=m) for d, n, m in days]
    assert nt.genes.resolve([*names, "TP53"], organism="human")["hint"].tolist() == [
        *["date"] * 3,
        "",
    ]


def test_no_symbol_looks_like_a_date() -> None:
    pattern = dict(_resolve.HINT_PATTERNS)["date"]
    symbols = {*human().symbols, *mouse().pairs["mouse_symbol"]}
    assert not [name for name in symbols if pattern.fullmatch(name)]


def test_names_of_human_among_mouse() -> None:
    frame = nt.genes.resolve(["Trp53", "Cd4", "Gata1", "HLA-DRA", "nonesuch"])
    assert frame.attrs["organism"] == "mouse"
    assert frame["hint"].tolist() == ["", "", "", "other_organism", ""]


@pytest.mark.parametrize(
    ("name", "gene", "rule"),
    [
        ("gene:TP53", "TP53", "symbol"),
        ("gene-TP53", "TP53", "symbol"),
        ("entrez:7157", "TP53", "entrez"),
        ("hsa:7157", "TP53", "entrez"),
        ("UniProtKB:P04637", "TP53", "uniprot"),
        ("sp|P04637|P53_HUMAN", "TP53", "uniprot"),
        ("HGNC:HGNC:11998", "TP53", "hgnc"),
        ("hgnc:11998", "TP53", "hgnc"),
        ("ensg00000141510", "TP53", "ensembl"),
        ("ENSG00000141510.18|TP53", "TP53", "ensembl"),
        ("ENSG00000141510_TP53", "TP53", "ensembl"),
        ("PHB:PPT", None, "unmapped"),
    ],
)
def test_names_of_registries(name: str, gene: str | None, rule: str) -> None:
    assert one(name, "human") == (gene, rule)
    assert one("mmu:22059", "mouse") == ("TP53", "mouse_entrez")


@pytest.mark.parametrize("organism", ["auto", "human", "mouse"])
@pytest.mark.parametrize(
    "name",
    [
        "9" * 5000,
        "ENSG" * 100_000,
        "ENSMUSG" * 100_000,
        "a_" * 200_000,
        "A|" * 200_000,
        "-1" * 200_000,
    ],
    ids=["digits", "human ids", "mouse ids", "underscores", "bars", "suffixes"],
)
def test_long_names_take_no_time(name: str, organism: Any) -> None:
    start = time.process_time()
    frame = nt.genes.resolve([name, "TP53", "MDM2"], organism=organism)
    assert frame["gene"].isna()[0]
    nt.genes.align([name], [name, "TP53"], organism=organism)
    assert time.process_time() - start < 5


def test_mixed_vocabularies() -> None:
    frame = nt.genes.resolve(
        ["TP53", "ENSG00000012048.5", "672", "HGNC:1101", "P38398", "MLL", "tp53", "x"]
    )
    assert frame.index.equals(pd.RangeIndex(8))
    assert list(frame.columns) == ["query", "gene", "rule", "candidates", "hint"]
    assert frame["gene"].tolist()[:7] == [
        "TP53",
        "BRCA1",
        "BRCA1",
        "BRCA2",
        "BRCA1",
        "KMT2A",
        "TP53",
    ]
    assert frame["gene"].isna().tolist() == [False] * 7 + [True]
    assert frame.attrs["organism"] == "human"
    assert frame.attrs["table_release"] == table_release()["release"]


@pytest.mark.parametrize(
    ("names", "organism"),
    [
        (["TP53", "MDM2"], "human"),
        (["Trp53", "Mdm2", "TP53"], "mouse"),
        (["ENSG00000141510.2"], "human"),
        (["ENSMUSG00000059552.2"], "mouse"),
        (["ENSMUSG00000059552", "7157", "672", "5"], "mouse"),
        (["F2", "F3", "H19"], "human"),  # symbols of both
        (["Trp53", "TP53"], "human"),  # a tie
        (["nothing", "known"], "human"),
    ],
)
def test_auto(names: list[str], organism: str) -> None:
    assert nt.genes.resolve(names).attrs["organism"] == organism


def test_many_digits_that_are_all_genes_raise_no_warning() -> None:
    """The landmark genes of L1000 are such; ids of mouse are not."""
    table = nt.genes.table()
    ids = table["entrez"].dropna()[:300].tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert nt.genes.resolve(ids)["gene"].notna().all()
    with pytest.warns(NewtWarning, match="50 of 50 names are all digits"):
        nt.genes.resolve(ids[:50])
    with pytest.warns(NewtWarning, match="300 of 300 names are all digits"):
        nt.genes.resolve(nt.genes.orthologs()["mouse_entrez"].dropna().unique()[:300].tolist())


def test_digits_are_human_with_a_warning() -> None:
    with pytest.warns(
        NewtWarning, match=r"2 of 2 names are all digits.*human.*organism="
    ) as caught:
        frame = nt.genes.resolve(["7157", "22059"])
    assert caught[0].filename == __file__
    assert frame["gene"].tolist()[0] == "TP53"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of other packages
        assert nt.genes.resolve(["7157"], organism="human")["gene"].tolist() == ["TP53"]
        assert nt.genes.resolve(["22059"], organism="mouse")["gene"].tolist() == ["TP53"]


@pytest.mark.parametrize("organism", ["auto", "human", "mouse"])
@pytest.mark.parametrize(
    "names",
    [
        [str(i) for i in range(5)],
        [str(i) for i in range(1, 766)],
        [str(i) for i in range(0, 3000, 3)],  # some rows of many
    ],
    ids=["from 0", "from 1", "some"],
)
def test_row_numbers_are_no_genes(names: list[str], organism: Any) -> None:
    with pytest.raises(GeneMatchError, match=r"names are row numbers \('\d', "):
        nt.genes.resolve(names, organism=organism)
    with pytest.raises(GeneMatchError, match="reference are row numbers"):
        nt.genes.align(["TP53"], names, organism=organism)


def test_entrez_ids_in_order_are_no_row_numbers() -> None:
    ids = sorted(nt.genes.table()["entrez"].dropna().astype(int))[:2000]
    frame = nt.genes.resolve([str(i) for i in ids], organism="human")
    assert frame["gene"].notna().all()


def test_mouse_in_capitals_is_told_from_the_whole_list() -> None:
    orthologs = nt.genes.orthologs()
    own = nt.genes.resolve(MOUSE, organism="mouse")["gene"]
    with pytest.warns(NewtWarning, match="symbols of mouse in capitals.*organism='human'"):
        found = nt.genes.resolve([name.upper() for name in MOUSE])
    assert found.attrs["organism"] == "mouse"
    twice = pd.Series(MOUSE).str.upper().duplicated(keep=False)  # two genes but for letter case
    pd.testing.assert_series_equal(found["gene"][~twice], own[~twice])
    assert set(orthologs["human_symbol"]) >= set(own.dropna())


@pytest.mark.parametrize("kind", ["symbol", "previous", "lower"])
@pytest.mark.parametrize("n", [1, 10, 100, 2000])
def test_human_is_never_read_as_mouse_in_capitals(kind: str, n: int) -> None:
    table = human()
    pool = SYMBOLS if kind == "symbol" else sorted(table.index["previous"])
    pool = [name.lower() for name in SYMBOLS] if kind == "lower" else pool
    rng = np.random.default_rng(n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)  # of previous symbols that are an alias
        for _ in range(5):
            names = [str(name) for name in rng.choice(pool, n, replace=False)]
            assert nt.genes.resolve(names).attrs["organism"] == "human"


@pytest.mark.parametrize("organism", ["human", "mouse"])
@pytest.mark.parametrize("name", sorted(MISSING))
def test_strings_for_missing_values_are_no_genes(name: str, organism: Any) -> None:
    with pytest.warns(NewtWarning, match=r"2 of 3 names are .*taken as missing"):
        frame = nt.genes.resolve([name, "TP53", f" {name} "], organism=organism)
    assert frame["gene"].isna().tolist() == [True, False, True]
    assert frame["hint"].tolist() == ["missing", "", "missing"]
    with pytest.warns(NewtWarning, match="1 names of genes of the sets"):
        assert nt.genes.gene_sets({"a": [name, "TP53"]}) == {"a": ["TP53"]}


def test_no_symbol_says_that_it_is_missing() -> None:
    assert not MISSING & {*SYMBOLS, *mouse().pairs["mouse_symbol"]}


def test_previous_symbols_that_are_an_alias_are_told() -> None:
    index, approved = human().index, human().symbols
    contested = [
        name
        for name, genes in index["previous"].items()
        if name not in approved and len(genes) == 1 and {*index["alias"].get(name, ())} - {*genes}
    ]
    assert len(contested) == 344
    with pytest.warns(
        NewtWarning, match=r"344 of 344 names .*previous symbol of one gene and an alias of another"
    ):
        frame = nt.genes.resolve(contested)
    assert set(frame["rule"]) == {"previous"}
    assert (frame["candidates"].str[0] == frame["gene"]).all()
    assert frame.set_index("query").loc["TAZ", "candidates"] == ("TAFAZZIN", "WWTR1")


def test_a_synonym_of_several_mouse_genes_is_ambiguous() -> None:
    symbols = mouse().folded[0]
    several = {
        name: genes
        for name, genes in mouse().synonyms.items()
        if len(genes) > 1 and name.upper() not in symbols
    }
    names = sorted(several)[:300]
    frame = nt.genes.resolve(names, organism="mouse")
    for row in frame.itertuples():
        own = nt.genes.resolve(list(several[row.query]), organism="mouse")["gene"]
        assert pd.isna(row.gene) or set(own) == {row.gene}, row


NAMES = ["TP53", "Trp53", "MLL", "x"]


@pytest.mark.parametrize(
    "names",
    [
        tuple(NAMES),
        np.array(NAMES),
        np.array(NAMES, dtype=object),
        pd.Index(NAMES),
        pd.CategoricalIndex(NAMES),
        pd.Series(NAMES, index=[3, 1, 4, 1]),
        pd.Series(NAMES, dtype="string"),
        pd.Series(NAMES, dtype="category"),
        (name for name in NAMES),
    ],
    ids=lambda names: type(names).__name__,
)
def test_containers(names: Iterable[str]) -> None:
    pd.testing.assert_frame_equal(nt.genes.resolve(names), nt.genes.resolve(NAMES))


@pytest.mark.parametrize(
    ("names", "error", "match"),
    [
        ([], ValueError, "empty"),
        (pd.Index([]), ValueError, "empty"),
        ("TP53", TypeError, "not str"),
        (b"TP53", TypeError, "not bytes"),
        ({"TP53"}, TypeError, "not set"),
        (None, TypeError, "not NoneType"),
        (7157, TypeError, "not int"),
        (["TP53", 7157], TypeError, r"names\[1\] is int"),
        (np.array([7157, 672]), TypeError, "strings"),
        (["TP53", b"MDM2"], TypeError, "decode"),
        (["TP53", None], ValueError, r"names\[1\] is missing"),
        (["TP53", float("nan")], ValueError, "missing"),
        (["TP53", pd.NA], ValueError, "missing"),
        (pd.Index(["TP53", None], dtype="string"), ValueError, "missing"),
        ([["TP53"]], TypeError, r"names\[0\] is list"),
        (np.array([["TP53"]]), ValueError, "one dimension"),
        (pd.DataFrame({"a": ["TP53"]}), ValueError, "one dimension"),
    ],
)
def test_bad_names(names: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        nt.genes.resolve(names)


def test_bad_organism() -> None:
    with pytest.raises(ValueError, match="organism is 'rat', expected 'auto', 'human' or 'mouse'"):
        nt.genes.resolve(["TP53"], organism="rat")  # type: ignore[arg-type]


name_lists = st.lists(
    st.one_of(
        st.sampled_from(SYMBOLS),
        st.sampled_from(MOUSE),
        st.sampled_from(
            ["ENSG00000141510.3", "7157", "MLL", "B3GNT1", "tp53", "", "Adh1", "1-Mar"]
        ),
        st.text(max_size=8),
    ),
    min_size=1,
    max_size=20,
)


@settings(deadline=None, max_examples=60)
@given(
    names=name_lists,
    organism=st.sampled_from(["human", "mouse"]),
    seed=st.randoms(use_true_random=False),
)
def test_a_name_does_not_depend_on_the_others(names: list[str], organism: Any, seed: Any) -> None:
    columns = ["query", "gene", "rule", "candidates"]
    frame = nt.genes.resolve(names, organism=organism)[columns]
    order = list(range(len(names)))
    seed.shuffle(order)
    shuffled = nt.genes.resolve([names[i] for i in order], organism=organism)[columns]
    pd.testing.assert_frame_equal(
        shuffled, frame.iloc[order].reset_index(drop=True), check_dtype=False
    )


@settings(deadline=None, max_examples=60)
@given(names=name_lists, organism=st.sampled_from(["human", "mouse"]))
def test_idempotent(names: list[str], organism: Any) -> None:
    genes = nt.genes.resolve(names, organism=organism)["gene"].dropna().tolist()
    if genes:
        again = nt.genes.resolve(genes)
        assert again["gene"].tolist() == genes
        assert set(again["rule"]) == {"symbol"}
        assert again.attrs["organism"] == "human"


def test_every_approved_symbol_is_itself() -> None:
    start = time.perf_counter()
    frame = nt.genes.resolve(SYMBOLS)
    assert (
        time.perf_counter() - start < 10
    )  # far above what it takes, far below what a scan would take
    assert frame["gene"].tolist() == SYMBOLS


# An independent resolver: masks over the source tables, nothing of newt_sc.


class BruteForce:
    def __init__(self, data_dir: Path) -> None:
        folder = data_dir / "knowledge" / "identifiers"

        def read(name: str) -> pd.DataFrame:
            return pd.read_csv(folder / name, sep="\t", dtype=str, keep_default_na=False)

        self.hgnc = read("hgnc_20241018.tsv.gz")
        self.ensembl = read("protein_coding_ensembl109.tsv.gz")
        self.hcop = read("mouse_human_hcop_22.9.tsv.gz")
        ncbi = read("mouse_gene_info_2023-03.tsv.gz")
        self.mouse_symbols = {*self.hcop["mouse_symbol"], *ncbi["symbol"]} - {""}
        self.by_entrez = ncbi.set_index("symbol")["entrez"]
        synonyms = ncbi[["symbol"]].assign(name=ncbi["synonyms"].str.split("|")).explode("name")
        self.synonyms = synonyms[
            (synonyms["name"] != "") & ~synonyms["name"].isin(self.mouse_symbols)
        ]
        self.long = {
            column: (
                self.hgnc["symbol"]
                .to_frame()
                .assign(name=self.hgnc[column].str.split("|"))
                .explode("name")
            )
            for column in ("prev_symbol", "alias_symbol", "uniprot_ids")
        }
        self.approved = {*self.hgnc["symbol"], *self.ensembl["symbol"]}

    def human(self, name: str) -> set[str]:
        hgnc = self.hgnc
        if name in self.approved:
            return {name}
        if name.startswith("ENSG"):
            gene_id = name.split("_")[0].split(".")[0]
            if hits := set(hgnc["symbol"][hgnc["ensembl_gene_id"] == gene_id]):
                return hits
            if hits := set(self.ensembl["symbol"][self.ensembl["ensembl"] == gene_id]):
                return hits
        if name.startswith("HGNC:"):
            return set(hgnc["symbol"][hgnc["hgnc_id"] == name])
        if name.isdecimal():
            return set(hgnc["symbol"][hgnc["entrez_id"] == name]) | set(
                self.ensembl["symbol"][self.ensembl["entrez"] == name]
            )
        if name.startswith(("ENST", "ENSP")):
            return set()
        for column, key in (
            ("uniprot_ids", name.split("-")[0]),
            ("prev_symbol", name),
            ("alias_symbol", name),
        ):
            table = self.long[column]
            if column == "uniprot_ids" and len(key) not in (6, 10):
                continue
            if hits := set(table["symbol"][table["name"] == key]):
                return hits
        if name.startswith("LOC") and name[3:].isdecimal() and (hits := self.human(name[3:])):
            return hits
        if hits := set(hgnc["symbol"][hgnc["symbol"].str.upper() == name.upper()]):
            return hits
        previous = self.long["prev_symbol"]
        return set(previous["symbol"][previous["name"].str.upper() == name.upper()])

    def mouse(self, name: str) -> set[str]:
        if (
            not name.startswith("ENSMUSG")
            and not name.isdecimal()
            and name not in self.mouse_symbols
        ):
            fold = name.upper()
            meant = [symbol for symbol in self.mouse_symbols if symbol.upper() == fold]
            meant = meant or list(set(self.synonyms["symbol"][self.synonyms["name"] == name]))
            meant = meant or list(
                set(self.synonyms["symbol"][self.synonyms["name"].str.upper() == fold])
            )
            return set().union(*(self.mouse(symbol) for symbol in meant))
        column = (
            "mouse_ensembl"
            if name.startswith("ENSMUSG")
            else "mouse_entrez"
            if name.isdecimal()
            else None
        )
        key = name.split(".")[0] if column == "mouse_ensembl" else name
        rows = self.hcop[self.hcop[column or "mouse_symbol"] == key]
        if not column and rows.empty:
            rows = self.hcop[self.hcop["mouse_entrez"] == self.by_entrez.get(key)]
        votes: dict[str, float] = {}
        called: dict[str, set[str]] = {}
        for row in rows.itertuples():
            gene = self.current(row.human_symbol, row.human_ensembl, row.human_entrez)
            if gene:
                votes[gene] = max(votes.get(gene, 0), float(row.support_n))
                called.setdefault(gene, set()).add(row.mouse_symbol.upper())
        best = {gene for gene, n in votes.items() if n == max(votes.values())}
        return {gene for gene in best if gene.upper() in called[gene]} or best

    def current(self, symbol: str, gene_id: str, entrez: str) -> str | None:
        if symbol in self.approved:
            return symbol
        for column, key in (("ensembl_gene_id", gene_id), ("entrez_id", entrez)):
            hits = self.hgnc["symbol"][(self.hgnc[column] == key) & (key != "")]
            if len(hits):
                return str(hits.iloc[0])
        return None


@pytest.mark.real_data
def test_brute_force() -> None:
    data_dir = os.environ.get("NEWT_SC_DATA_DIR")
    if not data_dir:
        pytest.skip("NEWT_SC_DATA_DIR is not set")
    brute = BruteForce(Path(data_dir))
    rng = np.random.default_rng(0)

    def draw(values: Iterable[str], n: int = 25) -> list[str]:
        return [str(v) for v in rng.choice(sorted({v for v in values if v}), n, replace=False)]

    hgnc, hcop = brute.hgnc, brute.hcop
    names = draw(hgnc["symbol"]) + draw(hgnc["hgnc_id"]) + draw(hgnc["entrez_id"])
    names += [f"{name}.7" for name in draw(hgnc["ensembl_gene_id"])] + draw(
        brute.ensembl["ensembl"]
    )
    for column, table in brute.long.items():
        known = table["name"][table["name"] != ""]
        names += draw(known) + draw(known[known.duplicated(keep=False)])
        names += [name.lower() for name in draw(known)] if column != "uniprot_ids" else []
    names += [name.upper() for name in draw(hgnc["symbol"])] + [
        f"LOC{n}" for n in draw(hgnc["entrez_id"])
    ]
    check(names, "human", [brute.human(name) for name in names])

    several = hcop["mouse_symbol"][hcop["mouse_symbol"].duplicated()]
    renamed = hcop["mouse_symbol"][~hcop["human_symbol"].isin(brute.approved)]
    names = (
        draw(hcop["mouse_symbol"]) + draw(several, 100) + draw(renamed) + draw(hcop["mouse_entrez"])
    )
    names += draw(hcop["mouse_ensembl"]) + [name.upper() for name in draw(hcop["mouse_symbol"])]
    check(names, "mouse", [brute.mouse(name) for name in names])


def check(names: list[str], organism: Any, expected: list[set[str]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NewtWarning)  # of previous symbols that are an alias
        frame = nt.genes.resolve(names, organism=organism)
    for row, genes in zip(frame.itertuples(), expected, strict=True):
        if len(genes) == 1:
            assert {row.gene} == genes, row
        else:
            assert pd.isna(row.gene), row
            assert set(row.candidates) == genes, row
            assert row.rule == ("ambiguous" if genes else "unmapped"), row
