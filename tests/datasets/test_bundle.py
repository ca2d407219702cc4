"""Knowledge bundles from a manifest of the user's own."""

from __future__ import annotations

import gzip
import inspect
import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc.datasets import _bundle, _l1000, _manifest
from newt_sc.datasets._bundle import COLUMNS
from newt_sc.errors import ChecksumError, DataUnavailableError, FormatError, NewtWarning

NAN = np.nan
OPTIONAL = ("options",)


@pytest.fixture(autouse=True)
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that lead nowhere."""
    monkeypatch.setattr(nt.settings, "data_dir", None)
    monkeypatch.setattr(nt.settings, "data_url", None)
    monkeypatch.setattr(nt.settings, "cache_dir", tmp_path / "cache")


Row = dict[str, Any]


def entry(
    folder: Path,
    modality: str,
    file: str,
    kind: str,
    content: bytes | str | None = None,
    **values: Any,
) -> Row:
    """Write a file, unless it is there, and describe it as a row of a manifest."""
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    options = values.pop("options", {})
    return {
        "modality": modality,
        "file": file,
        "format": kind,
        "source": path.name.partition(".")[0],
        "version": "1",
        "date": "2026-01-01",
        "origin": "a test",
        "licence": "CC0-1.0",
        "redistributable": "True",
        "sha256": sha256(path.read_bytes()).hexdigest() if path.is_file() else "0" * 64,
        "options": json.dumps(options) if options else "",
    } | values


def write_manifest(path: Path, rows: list[Row]) -> Path:
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    return path


GMT = "S1\td\tTP53\tMDM2\tp53\tNOTAGENE1\nS2\td\tMDM2\tERBB1\tMALAT1\nS3\td\tp53\tEGFR\n"
EDGES = (
    "source\ttarget\tscore\nTP53\tMDM2\t0.9\nMDM2\tTP53\t0.5\nERBB1\tGRB2\t0.4\nEGFR\tGRB2\t0.8\n"
    "MYC\tMYC\t1\nMAX\tMYC\t0\n"
)
REGULONS = "source\ttarget\tmor\nTP53\tMDM2\t1\np53\tCDKN1A\t-1\nMYC\tTP53\t0.5\nMYC\tEGFR\t0\n"
MODULES = "gene\tlung\tliver\nTP53\tred\t\nMDM2\tred\tblue\np53\t\tblue\nNOTAGENE1\tred\tred\n"


def expression() -> ad.AnnData:
    X = np.array(
        [
            [1, 2, NAN, NAN],  # TP53
            [3, 1, 5, NAN],  # p53, the same gene
            [0, 0, 0, 0],  # MYC: measured, and zero
            [NAN, NAN, NAN, NAN],  # MAX: not measured
            [-1, 4, 2, 7],  # EGFR
            [9, 9, 9, 9],  # no gene
        ],
        dtype=np.float64,
    )
    return ad.AnnData(
        X,
        obs=pd.DataFrame(index=["TP53", "p53", "MYC", "MAX", "EGFR", "NOTAGENE1"]),
        var=pd.DataFrame({"source": ["one", "one", "two", "two"]}, index=["a", "b", "c", "d"]),
    )


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    expression().write_h5ad(tmp_path / "profiles.h5ad")
    return [
        entry(tmp_path, "pathway", "sets.gmt.gz", "gmt", gzip.compress(GMT.encode())),
        entry(
            tmp_path, "pathway", "deep/more.gmt", "gmt", "S1\t\tBRCA1\tTP53\n", redistributable="no"
        ),
        entry(tmp_path, "interaction", "net.tsv", "edges", EDGES, options={"weight": "score"}),
        entry(tmp_path, "regulon", "tf.tsv", "regulon", REGULONS),
        entry(tmp_path, "coexpression", "profiles.h5ad", "expression"),
        entry(tmp_path, "mine", "modules.tsv", "modules", MODULES, redistributable="FALSE"),
    ]


@pytest.fixture
def manifest(tmp_path: Path, rows: list[Row]) -> Path:
    return write_manifest(tmp_path / "my.bundle.tsv", rows)


def frame(mod: ad.AnnData) -> pd.DataFrame:
    X = mod.X if isinstance(mod.X, np.ndarray) else mod.X.toarray()
    return pd.DataFrame(X, index=list(mod.obs_names), columns=list(mod.var_names))


def same(mod: ad.AnnData, columns: dict[str, list[float]], index: list[str]) -> None:
    assert mod.X.dtype == np.float32
    pd.testing.assert_frame_equal(
        frame(mod)[list(columns)],
        pd.DataFrame(columns, index=index, dtype=np.float32),
        check_names=False,
    )
    assert mod.n_vars == len(columns)


# -- reading ---------------------------------------------------------------------------------------


def test_modalities_and_manifest(manifest, rows):
    mdata = nt.datasets.bundle(manifest)
    assert list(mdata.mod) == ["pathway", "interaction", "regulon", "coexpression", "mine"]
    assert mdata.axis == 0
    stored = mdata.uns["newt_bundle"]
    assert stored["name"] == "my"
    assert stored["sha256"].tolist() == [row["sha256"] for row in rows]
    assert stored["redistributable"].tolist() == [True, False, True, True, True, False]
    assert not nt.settings.cache_dir.exists()


def test_sets_with_aliases_and_unknown_genes(manifest):
    mod = nt.datasets.bundle(manifest)["pathway"]
    same(
        mod,
        {
            "sets|S1": [0, 0, 1, 1],
            "sets|S2": [0, 1, 1, 0],  # MALAT1 codes for no protein
            "sets|S3": [0, 1, 0, 1],
            "more|S1": [1, 0, 0, 1],
        },
        ["BRCA1", "EGFR", "MDM2", "TP53"],
    )
    assert mod.var["source"].tolist() == ["sets", "sets", "sets", "more"]
    assert set(mod.var["kind"]) == {"set"}


def test_networks_are_symmetric_without_loops(manifest):
    same(
        nt.datasets.bundle(manifest)["interaction"],
        {
            "net|TP53": [0, 0, np.float32(0.9), 0],
            "net|MDM2": [0, 0, 0, np.float32(0.9)],
            "net|ERBB1": [0, np.float32(0.4), 0, 0],
            "net|EGFR": [0, np.float32(0.8), 0, 0],
            "net|GRB2": [np.float32(0.8), 0, 0, 0],  # of ERBB1 (0.4) and EGFR (0.8), the same gene
        },
        ["EGFR", "GRB2", "MDM2", "TP53"],
    )


def test_regulons_tell_regulators_and_targets(manifest):
    mod = nt.datasets.bundle(manifest)["regulon"]
    same(
        mod,
        {
            "tf|TP53": [0, 1, 0, 0],
            "tf|p53": [-1, 0, 0, 0],
            "tf|MYC": [0, 0, 0, 0.5],
            "tf|MDM2|target": [0, 0, 0, 1],
            "tf|CDKN1A|target": [0, 0, 0, -1],
            "tf|TP53|target": [0, 0, 0.5, 0],
        },
        ["CDKN1A", "MDM2", "MYC", "TP53"],
    )
    assert mod.var["kind"].tolist() == ["regulator"] * 3 + ["target"] * 3


def test_expression_keeps_what_was_not_measured(manifest):
    mod = nt.datasets.bundle(manifest)["coexpression"]
    same(
        mod,
        {
            "profiles|a": [-1, 3],
            "profiles|b": [4, 2],
            "profiles|c": [2, 5],
            "profiles|d": [7, NAN],
        },
        ["EGFR", "TP53"],  # MYC is zero throughout, MAX was never measured
    )
    assert mod.var["kind"].tolist() == ["condition"] * 4
    assert mod.var["group"].tolist() == ["one", "one", "two", "two"]


def test_modules(manifest):
    mod = nt.datasets.bundle(manifest)["mine"]
    same(
        mod,
        {"modules|lung|red": [1, 1], "modules|liver|blue": [1, 1], "modules|liver|red": [0, 0]},
        ["MDM2", "TP53"],
    )
    assert set(mod.var["kind"]) == {"set"}


def test_sets_beside_expression(tmp_path, rows):
    rows[5]["modality"] = "coexpression"
    mod = nt.datasets.bundle(write_manifest(tmp_path / "m.tsv", rows))["coexpression"]
    got = frame(mod)
    assert got.index.tolist() == ["EGFR", "MDM2", "TP53"]
    assert got["modules|lung|red"].tolist() == [0, 1, 1]
    assert got.loc["MDM2", ["profiles|a", "profiles|d"]].isna().all()


def test_string_channels(tmp_path):
    text = (
        "protein1 protein2 experiments database combined_score\n"
        "TP53 MDM2 900 0 950\nTP53 EGFR 0 800 800\nEGFR GRB2 500 0 600\n"
    )
    row = entry(
        tmp_path, "interaction", "s.txt", "string", text, options={"channels": ["experiments"]}
    )
    got = frame(nt.datasets.bundle(write_manifest(tmp_path / "m.tsv", [row]))["interaction"])
    assert got.index.tolist() == ["EGFR", "GRB2", "MDM2", "TP53"]
    assert got.loc["TP53", "s|MDM2"] == got.loc["MDM2", "s|TP53"] > got.loc["GRB2", "s|EGFR"] > 0
    assert got.loc["TP53", "s|EGFR"] == 0  # known by another channel only


TERMS = (
    "go_id\tTerm\tOntology\trelationship\tparent\nGO:0000001\troot\tBP\tisa\tall\n"
    "GO:0000002\ta\tBP\tisa\tGO:0000001\nGO:0000003\tb\tMF\tpart of\tGO:0000002\n"
    "GO:0000004\tc\tBP\tregulates\tGO:0000003\n"
)
GO = (
    "19_GO:0000003\tfrozen\tTP53\tMDM2\n19_GO:0000002\tfrozen\tp53\tEGFR\n"
    "19_GO:0000004\tfrozen\tMYC\n"
)


def go_rows(folder: Path, terms: bytes | str = TERMS, sets: str = GO, **options: Any) -> list[Row]:
    """A manifest of GO alone; the ontology is a second file."""
    ontology = entry(folder, "", "deep/terms.tsv.gz", "", terms)
    named = {"ontology": {"file": ontology["file"], "sha256": ontology["sha256"]}}
    return [entry(folder, "function", "go.gmt", "go", sets, options=named | options)]


def test_go_is_propagated(tmp_path):
    path = write_manifest(
        tmp_path / "m.tsv", go_rows(tmp_path, gzip.compress(TERMS.encode()), min_size=1)
    )
    mod = nt.datasets.bundle(path)["function"]
    same(
        mod,
        {
            "go|GO:0000001": [1, 1, 0, 1],
            "go|GO:0000002": [1, 1, 0, 1],
            "go|GO:0000003": [0, 1, 0, 1],
            "go|GO:0000004": [0, 0, 1, 0],  # what regulates is no part
        },
        ["EGFR", "MDM2", "MYC", "TP53"],
    )
    assert set(mod.var["kind"]) == {"set"}
    sizes = go_rows(tmp_path, min_size=2, max_size=2)
    assert list(nt.datasets.bundle(write_manifest(path, sizes))["function"].var_names) == [
        "go|GO:0000003"
    ]


def test_go_on_obo(tmp_path):
    obo = "[Term]\nid: GO:0000002\nname: a\nnamespace: biological_process\n\n"
    obo += "[Term]\nid: GO:0000003\nname: b\nis_a: GO:0000002\n"
    terms = entry(tmp_path, "", "go.obo", "", obo)
    options = {"ontology": {"file": "go.obo", "sha256": terms["sha256"]}, "min_size": 1}
    row = entry(tmp_path, "function", "go.gmt", "go", GO, options=options)
    with pytest.warns(NewtWarning, match="1 of 3 annotated terms"):
        mod = nt.datasets.bundle(write_manifest(tmp_path / "m.tsv", [row]))["function"]
    assert frame(mod)["go|GO:0000002"].to_dict() == {"EGFR": 1, "MDM2": 1, "TP53": 1}


@pytest.mark.parametrize(
    ("terms", "sets", "message"),
    [
        (TERMS, "A\t\tTP53\n", "must hold one GO id"),
        (TERMS, "GO:0000001 GO:0000002\t\tTP53\n", "must hold one GO id"),
        (TERMS, "1_GO:0000003\t\tTP53\n2_GO:0000003\t\tMDM2\n", "of its own"),
        (TERMS, "GO:0000099\t\tTP53\n", "cannot be propagated on terms.tsv.gz: none of the 1"),
        (TERMS, "GO:0000003\t\tTP53\n", "no term has from 5 to 2000 genes"),
        (TERMS + "GO:0000001\troot\tBP\tisa\tGO:0000003\n", GO, "form a cycle"),
        (TERMS.replace("parent", "above"), GO, r"columns \['parent'\] are missing"),
        (TERMS.replace("\tGO:0000003\n", "\n"), GO, "found .* expected a term"),
        (TERMS.replace("MF", "XX"), GO, "found .* expected a term"),
        (TERMS.partition("\n")[0] + "\n", GO, "found no term"),
        ("", GO, "are missing"),
        (b"\x1f\x8b broken", GO, "gzip"),
    ],
)
def test_malformed_go(tmp_path, terms, sets, message):
    with pytest.raises(FormatError, match=message):
        nt.datasets.bundle(write_manifest(tmp_path / "m.tsv", go_rows(tmp_path, terms, sets)))


def test_second_file_is_checked_and_found_as_the_first(tmp_path, monkeypatch):
    rows = go_rows(tmp_path / "data", min_size=1)
    path = write_manifest(tmp_path / "m.tsv", rows)
    with pytest.raises(DataUnavailableError, match=r"go\.gmt was not found"):
        nt.datasets.bundle(path)
    monkeypatch.setattr(nt.settings, "data_dir", tmp_path / "data")
    assert nt.datasets.bundle(path).n_obs == 4
    (tmp_path / "data/deep/terms.tsv.gz").write_text(TERMS + "\n")
    with pytest.raises(ChecksumError, match="terms"):
        nt.datasets.bundle(path)
    (tmp_path / "data/deep/terms.tsv.gz").unlink()
    with pytest.raises(DataUnavailableError, match="terms"):
        nt.datasets.bundle(path)


def test_string_aliases_are_a_second_file(tmp_path):
    aliases = (
        "#string_protein_id\tpreferred_name\tprotein_size\tannotation\n"
        "9606.P1\tTP53\t1\t-\n9606.P2\tMDM2\t1\t-\n"
    )
    info = entry(tmp_path, "", "info.txt", "", aliases)
    options = {"aliases": {"file": "info.txt", "sha256": info["sha256"]}}
    row = entry(
        tmp_path,
        "interaction",
        "s.txt",
        "string",
        "protein1 protein2 combined_score\n9606.P1 9606.P2 900\n",
        options=options,
    )
    mod = nt.datasets.bundle(write_manifest(tmp_path / "m.tsv", [row]))["interaction"]
    assert mod.obs_names.tolist() == ["MDM2", "TP53"]


def test_expression_group_by_option(tmp_path):
    adata = expression()
    adata.var["batch"] = ["x", "y", "x", "y"]
    adata.write_h5ad(tmp_path / "e.h5ad")
    by, none = (
        entry(
            tmp_path, "coexpression", "e.h5ad", "expression", source=group, options={"group": group}
        )
        for group in ("batch", "absent")
    )
    mod = nt.datasets.bundle(write_manifest(tmp_path / "m.tsv", [by, none]))["coexpression"]
    assert dict(zip(mod.var_names, mod.var["group"], strict=True)) == {
        "batch|a": "x",
        "batch|b": "y",
        "batch|c": "x",
        "batch|d": "y",
    } | {f"absent|{name}": "" for name in "abcd"}


def test_all_genes(manifest):
    mdata = nt.datasets.bundle(manifest, protein_coding_only=False)
    assert list(mdata["pathway"].obs_names) == [
        "BRCA1",
        "EGFR",
        "MALAT1",
        "MDM2",
        "NOTAGENE1",
        "TP53",
    ]
    assert "NOTAGENE1" in mdata["coexpression"].obs_names


def test_mouse(tmp_path):
    row = entry(tmp_path, "pathway", "m.gmt", "gmt", "S\t\tTrp53\tMdm2\tXist\tNope1\n")
    path = write_manifest(tmp_path / "m.tsv", [row])
    assert list(nt.datasets.bundle(path, organism="mouse")["pathway"].obs_names) == ["MDM2", "TP53"]


def test_only_what_is_asked_for_is_read(manifest, tmp_path):
    for name in ("net.tsv", "tf.tsv", "profiles.h5ad", "modules.tsv", "deep/more.gmt"):
        (tmp_path / name).unlink()
    mdata = nt.datasets.bundle(manifest, modalities=["pathway"], redistributable_only=True)
    assert list(mdata.mod) == ["pathway"]
    assert mdata.uns["newt_bundle"]["source"].tolist() == ["sets"]


def test_redistributable_only(manifest):
    mdata = nt.datasets.bundle(manifest, redistributable_only=True)
    assert list(mdata.mod) == ["pathway", "interaction", "regulon", "coexpression"]
    assert set(mdata["pathway"].var["source"]) == {"sets"}
    assert mdata.uns["newt_bundle"]["redistributable"].all()


def test_order_of_modalities_is_that_of_the_manifest(manifest):
    mdata = nt.datasets.bundle(manifest, modalities=["regulon", "pathway"])
    assert list(mdata.mod) == ["pathway", "regulon"]
    assert list(nt.datasets.bundle(manifest, modalities="pathway").mod) == ["pathway"]


def test_survives_h5mu(manifest, tmp_path):
    mdata = nt.datasets.bundle(manifest)
    mdata.write_h5mu(tmp_path / "k.h5mu")
    back = md.read_h5mu(tmp_path / "k.h5mu")
    for name, mod in mdata.mod.items():
        pd.testing.assert_frame_equal(frame(back[name]), frame(mod))
        assert back[name].var["kind"].tolist() == mod.var["kind"].tolist()
    for key, value in mdata.uns["newt_bundle"].items():
        np.testing.assert_array_equal(back.uns["newt_bundle"][key], value)


def test_files_in_the_data_directory(tmp_path, manifest, monkeypatch):
    elsewhere = tmp_path / "elsewhere" / "my.bundle.tsv"
    elsewhere.parent.mkdir()
    manifest.rename(elsewhere)
    with pytest.raises(DataUnavailableError, match=r"NEWT_SC_DATA_DIR.*NEWT_SC_DATA_URL"):
        nt.datasets.bundle(elsewhere)
    monkeypatch.setattr(nt.settings, "data_dir", tmp_path)
    assert len(nt.datasets.bundle(elsewhere).mod) == 5


# -- what goes wrong -------------------------------------------------------------------------------


def test_other_content(manifest, tmp_path):
    (tmp_path / "net.tsv").write_text(EDGES + "A\tB\t1\n")
    with pytest.raises(ChecksumError, match=re.escape(str(tmp_path / "net.tsv"))):
        nt.datasets.bundle(manifest)
    assert "pathway" in nt.datasets.bundle(manifest, modalities=["pathway"]).mod


def test_modality_that_is_not_there(manifest):
    with pytest.raises(ValueError, match=r"no modality \['nothing'\]: it has \['pathway'"):
        nt.datasets.bundle(manifest, modalities=["pathway", "nothing"])


def test_nothing_redistributable(manifest):
    with pytest.raises(ValueError, match="none of theirs is redistributable"):
        nt.datasets.bundle(manifest, modalities=["mine"], redistributable_only=True)


def test_no_modality(manifest):
    with pytest.raises(ValueError, match="No file of the bundle is left"):
        nt.datasets.bundle(manifest, modalities=[])


@pytest.mark.parametrize("organism", ["rat", "auto", None])
def test_organism(manifest, organism):
    with pytest.raises(ValueError, match="expected 'human' or 'mouse'"):
        nt.datasets.bundle(manifest, organism=organism)


def test_no_known_gene(tmp_path):
    row = entry(tmp_path, "pathway", "s.gmt", "gmt", "S\t\tNOTAGENE1\tNOTAGENE2\n")
    with pytest.raises(ValueError, match="No gene of the bundle is known"):
        nt.datasets.bundle(write_manifest(tmp_path / "m.tsv", [row]))


MALFORMED: dict[str, tuple[str, bytes | str, str]] = {
    "gmt": ("gmt", "S\tno genes", "at least 3"),
    "gmt-empty": ("gmt", "", "no gene set"),
    "edges": ("edges", "source\ttarget\tweight\nTP53\tMDM2\tmuch\n", "finite number"),
    "edges-column": ("edges", "a\tb\nTP53\tMDM2\n", "expected one named 'source'"),
    "regulon": ("regulon", "a\tb\nTP53\tMDM2\n", "one of"),
    "string": ("string", "a b\n", "protein"),
    "expression-no-hdf5": ("expression", b"\x89HDF\r\n\x1a\n broken", "cannot be read as AnnData"),
    "expression-text": ("expression", "TP53,1", "cannot be read as AnnData"),
    "modules-empty": ("modules", "", "the file is empty"),
    "modules-header": ("modules", "gene\tlung\n", "0 genes x 1 tissues"),
    "modules-ragged": (
        "modules",
        "gene\tlung\nTP53\ta\nMDM2\ta\tb\tc\n",
        "found 4 fields, expected 2",
    ),
    "modules-short": (
        "modules",
        "gene\tlung\tliver\nTP53\ta\tb\nMDM2\ta\n",
        "found 2 fields, expected 3",
    ),
    "modules-binary": ("modules", b"gene\tlung\n\xff\xfe\t\x80\n", "not UTF-8"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_file_of_the_right_sha256(tmp_path, case):
    kind, content, message = MALFORMED[case]
    row = entry(tmp_path, "m", "f", kind, content)
    with pytest.raises(FormatError, match=message) as info:
        nt.datasets.bundle(write_manifest(tmp_path / "m.tsv", [row]))
    assert info.value.path == str(tmp_path / "f")


def test_expression_without_numbers(tmp_path):
    ad.AnnData(obs=pd.DataFrame(index=["TP53"]), var=pd.DataFrame(index=["a"])).write_h5ad(
        tmp_path / "e.h5ad"
    )
    row = entry(tmp_path, "coexpression", "e.h5ad", "expression")
    with pytest.raises(FormatError, match="expected numbers, genes x conditions"):
        nt.datasets.bundle(write_manifest(tmp_path / "m.tsv", [row]))


@pytest.mark.parametrize(
    ("row", "options"),
    [(2, {"colour": "red"}), (2, {"path": "other"}), (0, {"weight": "score"}), (4, {"batch": "x"})],
)
def test_options_that_the_format_does_not_have(tmp_path, rows, row, options):
    rows[row]["options"] = json.dumps(options)
    path = write_manifest(tmp_path / "m.tsv", rows)
    with pytest.raises(FormatError, match=f"do not fit the format {rows[row]['format']!r}") as info:
        nt.datasets.bundle(path)
    assert (info.value.path, info.value.line) == (str(path), row + 2)


def test_repeated_regulon_is_warned_of(tmp_path):
    row = entry(tmp_path, "regulon", "r.tsv", "regulon", REGULONS + "TP53\tMDM2\t-1\n")
    with pytest.warns(NewtWarning, match="repeated pairs"):
        got = nt.datasets.bundle(write_manifest(tmp_path / "m.tsv", [row]))
    assert frame(got["regulon"]).loc["MDM2", "r|TP53"] == 1


# -- manifests -------------------------------------------------------------------------------------


def test_read_manifest(manifest, rows):
    table = nt.datasets.read_manifest(manifest)
    assert list(table.columns) == [*COLUMNS, *OPTIONAL]
    assert table["redistributable"].tolist() == [True, False, True, True, True, False]
    assert table["options"].tolist() == [{}, {}, {"weight": "score"}, {}, {}, {}]
    assert table["sha256"].tolist() == [row["sha256"] for row in rows]
    pd.testing.assert_frame_equal(nt.datasets.read_manifest(str(manifest)), table)


def test_manifest_needs_no_options_and_may_have_more_columns(tmp_path, rows):
    for row in rows:
        del row["options"]
        row["note"] = "mine"
    table = nt.datasets.read_manifest(write_manifest(tmp_path / "m.tsv", rows))
    assert table["options"].tolist() == [{}] * len(rows)
    assert set(table["note"]) == {"mine"}


def test_shipped_manifest():
    table = nt.datasets.read_manifest("newt-human")
    assert list(dict.fromkeys(table["modality"])) == [
        "function",
        "coexpression",
        "pathway",
        "lineage",
        "regulon",
        "interaction",
    ]
    for _, part in table.groupby("modality"):
        assert part["redistributable"].any()
    assert table["licence"].ne("").all()
    assert table["origin"].str.contains("http").all()
    assert table["sha256"].is_unique


def test_frozen_manifest_is_older_than_its_cutoff():
    frozen, table = (
        nt.datasets.read_manifest("newt-human-frozen"),
        nt.datasets.read_manifest("newt-human"),
    )
    assert (frozen["date"].str[:4].astype(int) <= 2023).all()
    assert set(frozen["modality"]) == set(table["modality"])
    assert set(frozen["source"]) - set(table["source"]) == {"GO"}
    columns = [*COLUMNS, "options"]
    old = table[(table["date"].str[:4].astype(int) <= 2023)].set_index("file")[columns[2:]]
    shared = frozen[frozen["file"].isin(old.index)].set_index("file")[columns[2:]]
    pd.testing.assert_frame_equal(shared, old.loc[shared.index])
    assert set(old.index) == set(shared.index)  # all that is old enough
    assert set(frozen["file"]) - set(old.index) == {
        "knowledge/function/go_before_2024_frozen.gmt.gz",
        "knowledge/pathway/reactome_2023.1_frozen.gmt.gz",
    }


@pytest.mark.parametrize("name", ["newt-mouse", "", "no/such.tsv", "."])
def test_no_such_manifest(name):
    for function in (nt.datasets.read_manifest, nt.datasets.bundle):
        with pytest.raises(FileNotFoundError, match=r"shipped one .*newt-human"):
            function(name)


@pytest.mark.parametrize("column", COLUMNS)
def test_missing_column(tmp_path, rows, column):
    for row in rows:
        del row[column]
    with pytest.raises(FormatError, match=rf"columns \['{column}'\] are missing"):
        nt.datasets.read_manifest(write_manifest(tmp_path / "m.tsv", rows))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("format", "csv", "format 'csv' is not one of"),
        ("format", "", "format '' is not one of"),
        ("redistributable", "maybe", "expected True or False"),
        ("redistributable", "", "expected True or False"),
        ("sha256", "abc", "64 lower-case hexadecimal digits"),
        ("sha256", "G" * 64, "64 lower-case hexadecimal digits"),
        ("sha256", "A" * 64, "64 lower-case hexadecimal digits"),
        ("sha256", "", "64 lower-case hexadecimal digits"),
        ("file", "../secret.gmt", "relative path without"),
        ("file", "a/../../secret.gmt", "relative path without"),
        ("file", "/etc/secret.gmt", "relative path without"),
        ("file", "C:\\secret.gmt", "relative path without"),
        ("file", "..\\secret.gmt", "relative path without"),
        ("file", "\\\\host\\share\\secret.gmt", "relative path without"),
        ("file", "", "relative path without"),
        ("options", "{", "Expecting"),
        ("options", "channels=experiments", "Expecting value"),
        ("options", "[1]", "not a JSON object"),
        ("options", "1", "not a JSON object"),
        ("options", "[" * 100_000, "options are no JSON"),
        ("options", '{"min_size": ' + "9" * 5000 + "}", "options are no JSON"),
        (
            "options",
            '{"ontology": "/etc/hostname"}',
            "expected a file of the bundle",
        ),
        ("options", '{"aliases": "aliases.tsv"}', "expected a file of the bundle"),
        ("options", '{"aliases": null}', "expected a file of the bundle"),
        ("options", '{"ontology": {"file": "a"}}', "expected a file"),
        ("options", '{"ontology": {"file": "a", "sha256": 1}}', "expected a file"),
        (
            "options",
            '{"ontology": {"file": "a", "sha256": "abc"}}',
            "64 lower-case hexadecimal digits",
        ),
        (
            "options",
            json.dumps({"ontology": {"file": "../a", "sha256": "0" * 64}}),
            "relative path without",
        ),
        ("modality", "", "modality must be a plain name"),
        ("modality", "a/b", "modality must be a plain name"),
        ("source", "", "source must not be empty"),
    ],
)
def test_malformed_value(tmp_path, rows, column, value, message):
    rows[3][column] = value
    path = write_manifest(tmp_path / "m.tsv", rows)
    for function in (nt.datasets.read_manifest, nt.datasets.bundle):
        with pytest.raises(FormatError, match=message) as info:
            function(path)
        assert (info.value.path, info.value.line) == (str(path), 5)


def test_modality_and_source_twice(tmp_path, rows):
    rows[1]["source"] = "sets"
    with pytest.raises(FormatError, match=r"\['pathway', 'sets'\] occur twice"):
        nt.datasets.read_manifest(write_manifest(tmp_path / "m.tsv", rows))
    rows[1]["modality"] = "other"
    assert len(nt.datasets.read_manifest(write_manifest(tmp_path / "m.tsv", rows))) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: b"", "the file is empty"),
        (lambda text: text.split(b"\n")[0] + b"\n", "no file is listed"),
        (lambda text: b"\x89PNG\r\n\x1a\n\xff\xd8" + text, "not UTF-8 text"),
        (lambda text: gzip.compress(text)[:-20], "gzip data is truncated"),
        (lambda text: b"PK\x03\x04" + text, "found zip data"),
        (lambda text: text.replace(b"\t", b","), "columns .* are missing"),
        (lambda text: text + b"\t".join([b"x"] * 30) + b"\n", "found 30 fields, expected"),
        (
            lambda text: text.replace(b"\n", b"\tx\n").replace(b"\tx\n", b"\n", 1),
            "line 2: found 12 fields, expected 11 as in the header",
        ),
        (lambda text: text + b"pathway\tx.gmt\n", "found 2 fields, expected"),
        (lambda text: text + b'pathway\t"x.gmt\n', "check the quotes"),
    ],
    ids=[
        "empty",
        "header",
        "binary",
        "gzip",
        "zip",
        "commas",
        "longer",
        "shifted",
        "shorter",
        "quote",
    ],
)
def test_not_a_table(manifest, change, message):
    damaged = change(manifest.read_bytes())
    for suffix in ("", ".gz", ".zip"):
        path = manifest.with_name(f"{manifest.name}{suffix}")
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match=message):
            nt.datasets.read_manifest(path)


def test_a_manifest_may_be_gzip(manifest):
    packed = manifest.with_name("packed.tsv.gz")
    packed.write_bytes(gzip.compress(manifest.read_bytes()))
    pd.testing.assert_frame_equal(
        nt.datasets.read_manifest(packed), nt.datasets.read_manifest(manifest)
    )


def test_every_option_that_is_a_path_is_checked():
    """What readers take as a path is the options that must come with a sha256."""
    functions = [*_bundle._READERS.values(), nt.io.read_edges, nt.io.read_string]
    functions += [nt.io.read_regulons, *_l1000._READERS.values()]
    paths = {
        name
        for function in functions
        for name, parameter in list(inspect.signature(function).parameters.items())[1:]
        if "Path" in str(parameter.annotation)
    }
    assert paths == set(_manifest.FILE_OPTIONS)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("string", {"min_score": 7}), ("string", {"channels": 3}), ("edges", {"sep": 5})],
)
def test_options_that_a_reader_refuses(tmp_path, kind, options):
    row = entry(tmp_path, "interaction", "net.tsv", kind, "source\ttarget\nTP53\tMDM2\n")
    path = write_manifest(tmp_path / "m.tsv", [row | {"options": json.dumps(options)}])
    with pytest.raises(FormatError, match=r"do not fit the format|lacks|expected") as info:
        nt.datasets.bundle(path)
    assert info.value.path in (str(path), str(tmp_path / "net.tsv"))
