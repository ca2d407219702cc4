"""L1000 as a MuData, from small files of every format and from the real ones."""

from __future__ import annotations

import gzip
import json
import logging
from hashlib import sha256
from pathlib import Path
from typing import Any

import mudata as md
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc.datasets import _bundle, _l1000, _l1000_packed, _manifest
from newt_sc.errors import ChecksumError, DataUnavailableError, FormatError

NAN = np.nan
# Entrez: 7157 TP53, 4193 MDM2, 1956 EGFR, 4609 MYC
Z = "perturbagen\t7157\t4193\t999999999\nDB1\t207.228\t-1.5\t3\nDB2\t\t0\t1\nDB3\t0.5\t0.5\t0.5\n"
CHANGES = (
    "perturbagen\tentrez_gene_id\tz_score\tsymbol\n"
    "1956\t7157\t-4.5\tx\n1956\t4609\t5\tx\n654780\t7157\t3\tx\n4609\t999999999\t9\tx\n"
)
SETS = (
    "EGFR_overexpression_12_GSE27869_up\t\tTP53,1.0\tMYC,1.0\n"
    "ERBB1_knockdown_96h_PC3_dn\t\tp53,1.0\tTP53,1.0\tMDM2,0.5\tNOTAGENE\n"
)
GENES = "entrez_gene_id\tstatus\n7157\tmeasured\n4609\timputed\n"
BLOCK = "AAAAAAAAAAAAAA"
COMPOUNDS = (
    "drugbank_id\tname\tgroups\tatc_codes\tinchikey\tdescription\n"
    f'DB1\tAlpha\tapproved|withdrawn\t\tInChIKey={BLOCK}-BBBBBBBBBB-N\tsays ""nothing""\n'
    "DB2\tBeta\tapproved\tL01\tInChIKey=CCCCCCCCCCCCCC-BBBBBBBBBB-N\t\n"
    "DB9\tOther\tapproved\tL02\tInChIKey=DDDDDDDDDDDDDD-BBBBBBBBBB-N\t\n"
)
VOCABULARY = (
    "drugbank_id\tname\tsynonyms\tinchikey\tcas\tunii\n"
    "DB1\tAlpha acid\tAlpha | Alphum\tAAAAAAAAAAAAAA-BBBBBBBBBB-N\t\t\n"
    "DB3\tGamma\t\t\t\t\n"
)
HUB = (
    "\ufeffName\tMOA\tTarget\tDisease Area\tIndication\tId\tSMILES\tInChIKey\tPhase\n"
    f"alpha-(S)\twrong\tMYC\t\t\ti\tS1\t{BLOCK}-ZZZZZZZZZZ-N\tPreclinical\n"
    "AL-PHA\ta, b, a, nuclear factor, like (NRF2) activator\tEGFR, ERBB1, NOTAGENE\tonc,"
    " onc\tfever, fever\ti, j\t"
    f"S2, S3\t{BLOCK}-ZZZZZZZZZZ-N, {BLOCK}-BBBBBBBBBB-N\tLaunched\n"
    "nobody\tx\tMYC\t\t\ti\tS4\tEEEEEEEEEEEEEE-BBBBBBBBBB-N\tLaunched\n"
)
BINDS = (
    "drugbank_id\tentrez_gene_id\tsources\tpubmed_ids\tactions\taffinity_nM\tlicense\turls\n"
    "DB1\t1956\tChEMBL|DrugBank (target)\t\tinhibitor\t12.5\tCC BY-SA 3.0\t\n"
    "DB1\t4609\tDrugBank (target)\t\tinhibitor\t\tCC BY-NC 4.0\t\n"
    "DB2\t7157\tPDSP Ki\t\t\t3\t\t\n"
    "DB2\t4609\tDrugCentral (ChEMBL)\t\tagonist\t4\tCC BY 4.0\t\n"
    "DB2\t4193\tX\t\t\t4\tCC0 1.0\t\n"
    "DB3\t999999999\tChEMBL\t\t\t4\tCC BY 4.0\t\n"
    "DB9\t7157\tChEMBL\t\t\t4\tCC BY 4.0\t\n"
)
PROTEINS = (
    "drugbank_id\tcategory\tuniprot_id\tentrez_gene_id\torganism\tknown_action\tactions\tpubmed_ids\nDB1\ttarget\tP\t1956\tHuman\tyes\tinhibitor|binder\t1\nDB1\ttarget\tP\t1956\tHuman\tno\tother\t1\nDB1\tenzyme\tP\t4609\tHuman\tyes\t\t1\nDB2\ttarget\tP\t7157\tEscherichia"
    " coli\tyes\t\t1\nDB2\ttarget\tP\t\tHuman\tyes\t\t1\n"
)
FILES = {
    "l1000_zscores": ("compound", Z, True),
    "drugbank_compounds": ("compound", COMPOUNDS, False),
    "drugbank_vocabulary": ("compound", VOCABULARY, True),
    "repurposing_hub": ("compound", HUB, False),
    "compound_binds_gene": ("compound", BINDS, False),
    "drugbank_proteins": ("compound", PROTEINS, False),
    "l1000_changes": ("overexpression", CHANGES, True),
    "l1000_sets": ("knockdown", SETS, False),
    "l1000_genes": ("genes", GENES, True),
}


@pytest.fixture(autouse=True)
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that lead nowhere."""
    monkeypatch.setattr(nt.settings, "data_dir", None)
    monkeypatch.setattr(nt.settings, "data_url", None)
    monkeypatch.setattr(nt.settings, "cache_dir", tmp_path / "cache")


def write(folder: Path, *formats: str, **content: str | bytes) -> Path:
    """Write files of these formats (all by default) and their manifest."""
    rows = []
    for kind in formats or FILES:
        modality, text, free = FILES[kind]
        text = content.get(kind, text)
        file = folder / f"{kind}.tsv.gz"
        file.write_bytes(text if isinstance(text, bytes) else gzip.compress(text.encode(), mtime=0))
        values = dict.fromkeys(_manifest.COLUMNS, "x") | {
            "modality": modality,
            "file": file.name,
            "format": kind,
            "source": kind,
            "licence": f"licence of {kind}",
            "redistributable": str(free),
            "sha256": sha256(file.read_bytes()).hexdigest(),
            "options": (
                json.dumps({"licence_column": "license"}) if kind == "compound_binds_gene" else ""
            ),
        }
        rows.append(values)
    path = folder / "mine.bundle.tsv"
    pd.DataFrame(rows).to_csv(path, sep="\t", index=False)
    return path


@pytest.fixture(scope="module")
def mdata(tmp_path_factory: pytest.TempPathFactory) -> md.MuData:
    """All formats, to be looked at only."""
    return nt.datasets.l1000(write(tmp_path_factory.mktemp("l1000")))


def frame(mod: Any) -> pd.DataFrame:
    return pd.DataFrame(mod.X, index=mod.obs_names, columns=mod.var_names)


# -- what is made of small files -------------------------------------------------------------------


def test_shape_and_names(mdata):
    assert mdata.axis == 1
    assert list(mdata.mod) == ["compound", "overexpression", "knockdown"]
    assert mdata.obs_names.is_unique
    assert set(mdata.var_names) == {"TP53", "MDM2", "MYC"}
    assert mdata.var.loc["TP53"].tolist() == ["7157", "measured"]
    assert mdata.var.loc["MYC"].tolist() == ["4609", "imputed"]
    assert mdata.var.loc["MDM2"].tolist() == ["4193", ""]
    for mod in mdata.mod.values():
        assert mod.X.dtype == np.float32
        pd.testing.assert_frame_equal(mod.var, mdata.var.loc[mod.var_names], check_index_type=False)


def test_compounds(mdata):
    mod = mdata["compound"]
    expected = pd.DataFrame(
        [[-1.5, 207.228], [0, NAN], [0.5, 0.5]],
        index=["DB1", "DB2", "DB3"],
        columns=["MDM2", "TP53"],
        dtype=np.float32,
    )
    pd.testing.assert_frame_equal(
        frame(mod), expected, check_index_type=False, check_column_type=False
    )
    assert mod.obs.loc["DB1"].to_dict() == {
        "drugbank_id": "DB1",
        "name": "Alpha",
        "inchikey": f"{BLOCK}-BBBBBBBBBB-N",
        "synonyms": "Alpha|Alphum",
        "hub_name": "AL-PHA",  # not the stereoisomer, which shares the block
        "smiles": "S3",  # the one with the whole InChIKey
        "moa": "a|b|nuclear factor, like (NRF2) activator",
        "disease_area": "onc",
        "indication": "fever",
        "phase": "Launched",
        "groups": "approved|withdrawn",
        "atc_codes": "",
    }
    assert mod.obs.loc[
        "DB2", ["name", "atc_codes", "hub_name", "smiles", "moa", "phase"]
    ].tolist() == [*("Beta", "L01", "", "", "", "")]
    assert mod.obs.loc["DB3", "name"] == "Gamma"  # DrugBank's other file does not have it
    assert (mod.obs.loc["DB3"].drop(["drugbank_id", "name"]) == "").all()


def test_overexpression(mdata):
    mod = mdata["overexpression"]
    assert mod.obs_names.tolist() == [
        "overexpression:EGFR",
        "overexpression:654780",
        "overexpression:MYC",
    ]
    assert mod.obs["target"].tolist() == ["EGFR", "", "MYC"]
    assert mod.obs["entrez"].tolist() == ["1956", "654780", "4609"]
    np.testing.assert_array_equal(frame(mod)[["MYC", "TP53"]], [[5, -4.5], [NAN, 3], [NAN, NAN]])
    assert mod.layers["measured"].dtype == bool
    np.testing.assert_array_equal(mod.layers["measured"], ~np.isnan(mod.X))


def test_knockdown(mdata):
    mod = mdata["knockdown"]
    np.testing.assert_array_equal(
        frame(mod)[["MDM2", "MYC", "TP53"]], [[NAN, 1, 1], [-0.5, NAN, -1]]
    )
    assert mod.obs_names[1] == "knockdown:ERBB1_knockdown_96h_PC3_dn"
    geo, l1000 = mod.obs.to_dict("records")
    assert np.isnan(geo.pop("time_h"))
    assert geo == {
        "target": "EGFR",
        "perturbation": "overexpression",
        "cell_line": "",
        "origin": "geo",
        "accession": "GSE27869",
        "direction": "up",
    }
    assert l1000 == {
        "target": "EGFR",
        "perturbation": "knockdown",
        "cell_line": "PC3",
        "time_h": 96.0,
        "origin": "l1000",
        "accession": "",
        "direction": "down",
    }


def test_targets(mdata):
    table = mdata["compound"].uns["targets"]
    assert table.columns.tolist() == [
        "compound",
        "target",
        "source",
        "action",
        "licence",
        "label_set",
        "affinity_nM",
    ]
    rows = [tuple(row) for row in table.fillna({"affinity_nM": -1}).itertuples(index=False)]
    assert rows == [
        ("DB1", "EGFR", "ChEMBL|DrugBank (target)", "inhibitor", "CC-BY-SA-3.0", "binds", 12.5),
        ("DB1", "MYC", "DrugBank (target)", "inhibitor", "CC-BY-NC-4.0", "binds", -1),
        ("DB2", "TP53", "PDSP Ki", "", "", "binds", 3),
        ("DB2", "MYC", "DrugCentral (ChEMBL)", "agonist", "CC-BY-4.0", "binds", 4),
        ("DB2", "MDM2", "X", "", "CC0-1.0", "binds", 4),
        (
            "DB1",
            "EGFR",
            "drugbank_proteins",
            "inhibitor|binder",
            "licence of drugbank_proteins",
            "drugbank",
            -1,
        ),
        ("DB1", "EGFR", "repurposing_hub", "", "licence of repurposing_hub", "hub", -1),
    ]


def test_redistributable_only(tmp_path):
    mdata = nt.datasets.l1000(write(tmp_path), redistributable_only=True)
    assert list(mdata.mod) == ["compound", "overexpression"]
    assert mdata["compound"].obs.columns.tolist() == ["drugbank_id", "name", "inchikey", "synonyms"]
    table = mdata["compound"].uns["targets"]
    assert [tuple(row)[:5] for row in table.itertuples(index=False)] == [
        (
            "DB1",
            "EGFR",
            "ChEMBL",
            "",
            "CC-BY-SA-3.0",
        ),  # of DrugBank, neither its name nor its action
        ("DB2", "MYC", "DrugCentral (ChEMBL)", "agonist", "CC-BY-4.0"),
        ("DB2", "MDM2", "X", "", "CC0-1.0"),
    ]
    assert set(mdata.uns["newt_l1000"]["format"]) == {
        *("l1000_zscores", "compound_binds_gene", "l1000_changes", "l1000_genes"),
        "drugbank_vocabulary",
    }


@pytest.mark.parametrize(
    ("licence", "kept"),
    [
        *[
            ("CC BY 3.0", True),
            ("CC BY-SA 4.0", True),
            ("CC0", True),
            ("CC BY-NC 4.0", False),
            ("", False),
        ],
        *[
            ("CC BY-NC-SA 4.0", False),
            ("CC BY-ND 4.0", False),
            ("CC BY 4.0 or not", False),
            ("cc by", False),
        ],
    ],
)
def test_open_licences(tmp_path, licence, kept):
    text = BINDS.replace("CC BY-SA 3.0", licence)
    manifest = write(tmp_path, "l1000_zscores", "compound_binds_gene", compound_binds_gene=text)
    table = nt.datasets.l1000(manifest, redistributable_only=True)["compound"].uns["targets"]
    assert (table["compound"] == "DB1").any() == kept


def test_report_of_genes(mdata):
    info = mdata.uns["newt_l1000"]
    genes = info["genes"]
    assert genes["compound"]["dropped"].tolist() == ["999999999"]
    assert genes["knockdown"]["dropped"].tolist() == ["NOTAGENE"]
    assert sorted(genes["knockdown"]["shared"]) == ["TP53", "p53"]
    assert sorted(genes["targets"]["dropped"]) == ["999999999", "NOTAGENE"]
    assert info["counts"]["compound"] == {"n_signatures": 3, "n_genes": 2}
    assert info["counts"]["targets"]["binds"] == {"n_labels": 5, "n_compounds": 2, "n_targets": 4}
    assert info["name"] == "mine"


def test_log_of_genes(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="newt_sc"):
        nt.datasets.l1000(write(tmp_path, "l1000_zscores"))
    assert "compound: 1 of 3 genes left out ('999999999'), 0 share" in caplog.text


def test_a_gene_of_two_names_keeps_the_larger_change(tmp_path):
    text = CHANGES.replace("1956\t4609\t5", "1956\tp53\t5")
    mod = nt.datasets.l1000(write(tmp_path, l1000_changes=text))["overexpression"]
    assert frame(mod).loc["overexpression:EGFR", "TP53"] == 5


def test_survives_h5mu(tmp_path):
    mdata = nt.datasets.l1000(write(tmp_path))
    obs = {
        name: mod.obs.copy() for name, mod in mdata.mod.items()
    }  # writing turns text into categories
    mdata.write_h5mu(tmp_path / "l.h5mu")
    back = md.read_h5mu(tmp_path / "l.h5mu")
    assert back.axis == 1
    for name, mod in mdata.mod.items():
        pd.testing.assert_frame_equal(
            frame(back[name]), frame(mod), check_index_type=False, check_column_type=False
        )
        pd.testing.assert_frame_equal(
            back[name].obs.astype(str), obs[name].astype(str), check_index_type=False
        )
    table = back["compound"].uns["targets"]
    pd.testing.assert_frame_equal(
        table, mdata["compound"].uns["targets"], check_dtype=False, check_index_type=False
    )
    assert back.uns["newt_l1000"]["counts"] == mdata.uns["newt_l1000"]["counts"]
    np.testing.assert_array_equal(
        back.uns["newt_l1000"]["licence"], mdata.uns["newt_l1000"]["licence"]
    )


def test_compounds_alone(tmp_path):
    mdata = nt.datasets.l1000(write(tmp_path, "l1000_zscores"))
    assert list(mdata.mod) == ["compound"]
    assert mdata["compound"].uns["targets"].empty
    assert mdata.var["status"].tolist() == ["", ""]
    mdata.write_h5mu(tmp_path / "l.h5mu")


# -- what goes wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("l1000_zscores", "", "not a tab-separated table"),
        ("l1000_zscores", "a\t7157\n", "found no row"),
        ("l1000_zscores", "a\nDB1\n", "expected numbers in every column"),
        ("l1000_zscores", "a\t7157\nDB1\tx\n", "found text in '7157'"),
        ("l1000_zscores", "a\t7157\nDB1\tinf\n", "infinite"),
        ("l1000_zscores", "a\t7157\nDB1\t\n", "none at all"),
        ("l1000_changes", "perturbagen\tentrez_gene_id\tz_score\n1\t2\t\n", "found no z-score"),
        ("l1000_sets", "EGFR_knockdown_96h_PC3_dn\t\t\n", "found no gene"),
        ("l1000_zscores", "a\t7157\nDB1\t1\nDB1\t2\n", "'DB1' is empty or comes more than once"),
        ("l1000_zscores", "a\t7157\n\t1\nDB1\t2\n", "is empty or comes more than once"),
        ("l1000_zscores", "a\t7157\nDB1\t1\t2\t3\n", "more fields than the header"),
        ("l1000_changes", "a\tb\n1\t2\n", r"columns \['perturbagen'"),
        ("l1000_changes", CHANGES.replace("-4.5", "strong"), "found 'strong' in 'z_score'"),
        ("l1000_sets", "EGFR_down\t\tTP53,1.0\n", "'EGFR_down' is not named as"),
        ("l1000_sets", SETS.replace("0.5", "half"), "found 'half' in 'the weights'"),
        ("drugbank_compounds", COMPOUNDS.replace("DB2", "DB1"), "'DB1' is empty or comes more"),
        ("repurposing_hub", HUB.replace("S2, S3", "S2"), "not as many SMILES"),
        (
            "compound_binds_gene",
            BINDS.replace("license", "rights"),
            r"columns \['license'\] are missing",
        ),
        ("compound_binds_gene", BINDS.replace("12.5", "nan?"), "found 'nan\\?' in 'affinity_nM'"),
    ],
)
def test_malformed_file(tmp_path, kind, text, message):
    with pytest.raises(FormatError, match=message):
        nt.datasets.l1000(write(tmp_path, **{kind: text}))


@pytest.mark.parametrize("kind", ["l1000_zscores", "l1000_sets", "compound_binds_gene"])
def test_truncated_file(tmp_path, kind):
    cut = gzip.compress(FILES[kind][1].encode(), mtime=0)[:-12]
    with pytest.raises(FormatError, match="truncated or damaged"):
        nt.datasets.l1000(write(tmp_path, **{kind: cut}))


def test_other_content_or_none(tmp_path):
    manifest = write(tmp_path)
    (tmp_path / "l1000_sets.tsv.gz").write_bytes(b"other")
    with pytest.raises(ChecksumError, match="l1000_sets"):
        nt.datasets.l1000(manifest)
    (tmp_path / "l1000_sets.tsv.gz").unlink()
    with pytest.raises(DataUnavailableError, match="NEWT_SC_DATA_DIR"):
        nt.datasets.l1000(manifest)


def test_manifests_that_do_not_fit(tmp_path):
    with pytest.raises(FormatError, match="no file of the format 'l1000_zscores'"):
        nt.datasets.l1000(write(tmp_path, "l1000_sets"))
    with pytest.raises(FormatError, match="without 'drugbank_vocabulary'"):
        nt.datasets.l1000(write(tmp_path, "l1000_zscores", "repurposing_hub"))
    manifest = write(tmp_path, "l1000_zscores")
    table = pd.read_csv(manifest, sep="\t")
    pd.concat([table, table.assign(source="y")]).to_csv(manifest, sep="\t", index=False)
    with pytest.raises(FormatError, match="line 3: the format 'l1000_zscores' comes twice"):
        nt.datasets.l1000(manifest)
    table.assign(options='{"no": 1}').to_csv(manifest, sep="\t", index=False)
    with pytest.raises(FormatError, match="do not fit the format"):
        nt.datasets.l1000(manifest)
    with pytest.raises(FileNotFoundError, match=r"shipped one .*l1000"):
        nt.datasets.l1000("l999")


def test_each_kind_of_bundle_names_its_reader(tmp_path):
    with pytest.raises(FormatError, match=r"read by newt_sc\.datasets\.l1000"):
        nt.datasets.bundle(write(tmp_path, "l1000_genes"))
    with pytest.raises(FormatError, match="no file of the format 'l1000_zscores'"):
        nt.datasets.l1000("newt-human")


def test_formats_are_those_that_are_read():
    assert set(_manifest.KNOWLEDGE) == set(_bundle._READERS)
    assert set(_manifest.SIGNATURES) == set(_l1000._READERS) == set(FILES)


# -- what is shipped -------------------------------------------------------------------------------


def test_packed_signatures_come_back(tmp_path):
    whole = nt.datasets.l1000(write(tmp_path))
    packed, loss = _l1000_packed.pack(whole)
    packed.write_h5mu(tmp_path / "packed.h5mu")
    back = _l1000_packed.unpack(tmp_path / "packed.h5mu")
    assert list(back.mod) == list(whole.mod)
    pd.testing.assert_frame_equal(back.var, whole.var)
    for name, mod in whole.mod.items():
        pd.testing.assert_frame_equal(back[name].obs, mod.obs)
        pd.testing.assert_frame_equal(back[name].var, mod.var)
        error = np.abs(frame(back[name]) - frame(mod)).max()
        assert (error <= np.nanmax(np.abs(mod.X), axis=0) / 32767).all()
        assert (np.isnan(back[name].X) == np.isnan(mod.X)).all()
        assert 0 <= loss[name] < 1e-4
        if name != "compound":
            np.testing.assert_array_equal(back[name].layers["measured"], mod.layers["measured"])
    pd.testing.assert_frame_equal(back["compound"].uns["targets"], whole["compound"].uns["targets"])


def test_what_is_not_packed_is_refused(tmp_path):
    nt.datasets.l1000(write(tmp_path)).write_h5mu(tmp_path / "whole.h5mu")
    with pytest.raises(FormatError, match="expected packed signatures"):
        _l1000_packed.unpack(tmp_path / "whole.h5mu")


def test_shipped_signatures_need_no_data():
    mdata = nt.datasets.l1000()
    assert {name: mod.n_obs for name, mod in mdata.mod.items()} == {
        "compound": 1170,
        "overexpression": 2088,
    }
    obs = mdata["compound"].obs
    assert (obs["name"] != "").all()
    assert (obs["name"] == obs["drugbank_id"]).sum() == 28
    assert obs["name"].is_unique
    assert "SAHA" in obs.loc["DB02546", "synonyms"]
    labels = mdata["compound"].uns["targets"]
    assert labels["compound"].isin(obs.index).all()
    assert labels["licence"].str.fullmatch(r"CC-BY(-SA)?-\d\.\d").all()
    assert mdata.uns["newt_l1000"]["redistributable"].all() or set(
        mdata.uns["newt_l1000"]["licence"][~mdata.uns["newt_l1000"]["redistributable"]]
    ) == {"stated for each row"}


def test_shipped_signatures_are_the_files(real):
    """They are what the build command makes of them."""
    shipped, sources = nt.datasets.l1000(), real[1]
    for name, mod in sources.mod.items():
        pd.testing.assert_frame_equal(shipped[name].obs, mod.obs)
        np.testing.assert_allclose(shipped[name].X, mod.X, atol=0.005)
    pd.testing.assert_frame_equal(
        shipped["compound"].uns["targets"], sources["compound"].uns["targets"]
    )


# -- the real files --------------------------------------------------------------------------------


def test_shipped_manifest_agrees_with_the_files(data_file):
    listed = pd.read_csv(data_file("manifest.tsv"), sep="\t", dtype=str).set_index("file")
    table = nt.datasets.read_manifest("l1000-sources")
    assert set(table["file"]) <= {file for file in listed.index if file.startswith("l1000/")}
    for row in table.to_dict("records"):
        assert row["sha256"] == listed.loc[row["file"], "sha256"]
        assert row["redistributable"] == (listed.loc[row["file"], "redistribute"] == "True")
        assert row["origin"] == listed.loc[row["file"], "url"]


@pytest.fixture(scope="module")
def real(data_dir):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nt.settings, "data_dir", data_dir)
        patch.setattr(nt.settings, "data_url", None)
        return (
            nt.datasets.l1000("l1000-sources"),
            nt.datasets.l1000("l1000-sources", redistributable_only=True),
        )


def test_real_signatures(real, data_dir):
    mdata = real[0]
    assert {name: mod.shape[0] for name, mod in mdata.mod.items()} == {
        "compound": 1170,
        "overexpression": 2088,
        "knockdown": 786,
    }
    compound = mdata["compound"]
    assert compound.n_vars == 978
    assert (compound.var["status"] == "measured").all()
    raw = pd.read_csv(data_dir / "l1000/consensus_drugbank_landmark.tsv.gz", sep="\t", index_col=0)
    got = pd.DataFrame(compound.X, index=compound.obs_names, columns=compound.var["entrez"])
    np.testing.assert_array_equal(got[raw.columns].loc[raw.index], raw.to_numpy(dtype=np.float32))
    over = mdata["overexpression"]
    raw = pd.read_csv(
        data_dir / "l1000/overexpression_signed.tsv.gz", sep="\t", dtype={"perturbagen": str}
    )
    one = raw[raw["perturbagen"] == "18"].set_index("symbol")["z_score"]
    got = frame(over).loc["overexpression:ABAT"].dropna()
    np.testing.assert_allclose(sorted(got), sorted(one.astype(np.float32)))
    down = mdata["knockdown"]
    assert down.obs["origin"].value_counts().to_dict() == {"l1000": 729, "geo": 57}
    l1000 = down[(down.obs["origin"] == "l1000").to_numpy()]
    assert l1000.obs["target"].nunique() == 472
    assert set(np.unique(l1000.X[~np.isnan(l1000.X)])) == {-1.0}
    n = l1000.layers["measured"].sum(axis=1)
    assert n.max() == 300
    assert n.min() > 280


def test_real_annotation(real):
    obs = real[0]["compound"].obs
    assert (obs["smiles"] != "").sum() == 1040
    assert obs.loc["DB00945", ["name", "hub_name"]].tolist() == ["Acetylsalicylic acid", "aspirin"]
    atenolol = obs[obs["name"] == "Atenolol"].iloc[0]  # one entry of aceclidine has its InChIKey
    assert atenolol["moa"] == "adrenergic receptor antagonist"
    dexamethasone = obs[obs["name"] == "Dexamethasone"].iloc[
        0
    ]  # shares its block with betamethasone
    assert dexamethasone["hub_name"] == "dexamethasone"
    assert not obs["moa"].str.split("|").map(lambda names: len(names) != len(set(names))).any()


def test_real_targets(real):
    table = real[0]["compound"].uns["targets"]
    assert set(table["label_set"]) == {"binds", "drugbank", "hub"}
    assert not table.duplicated(["compound", "target", "label_set"]).any()
    assert set(table.loc[table["label_set"] == "drugbank", "licence"]) == {"CC-BY-NC-4.0"}
    free = real[1]["compound"].uns["targets"]
    assert set(free["licence"]) == {"CC-BY-SA-3.0", "CC-BY-4.0", "CC-BY-3.0"}
    assert not free["source"].str.contains("DrugBank").any()
    assert (free["source"] != "").all()
    merged = free.merge(table[table["label_set"] == "binds"], on=["compound", "target"], how="left")
    assert (merged["licence_x"] == merged["licence_y"]).all()
    assert list(real[1].mod) == ["compound", "overexpression"]
