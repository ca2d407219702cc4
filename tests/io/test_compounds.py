"""What owners of annotation offer: the two files of the Repurposing Hub, DrugBank's targets."""

from __future__ import annotations

import gzip

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from newt_sc.errors import FormatError, NewtWarning
from newt_sc.io import read_drugbank_targets, read_repurposing_hub

HEAD = '!This file is made "by hand\n!Version\t1\n'
DRUGS = HEAD + (
    "pert_iname\tclinical_phase\tmoa\ttarget\tdisease_area\tindication\n"
    "alpha-one\tLaunched\tkinase inhibitor|channel blocker\tEGFR|MYC\toncology\tcancer|pain\n"
    '(R)-alpha-one\tPhase 1\t"kinase, inhibitor"\tEGFR\t\t\n'
    "beta\tPreclinical\t\t\t\t\n"
    "gamma\tLaunched\tagonist\tADRB2\tcardiology\thypertension\n"
)
SAMPLES = HEAD + (
    "broad_id\tpert_iname\tqc_incompatible\tpurity\tvendor\tcatalog_no\tvendor_name\texpected_mass"
    "\tsmiles\tInChIKey\tpubchem_cid\tdeprecated_broad_id\n"
    "BRD-K00000001-001-01-1\talpha-one\t0\t99\tv\t1\tn\t1.0\tCCO\tAAAAAAAAAAAAAA-SSSSSSSSSS-N\t1\t\n"
    "BRD-K00000001-002-01-1\talpha-one\t0\t98\tv\t1\tn\t1.0\tCCO.Cl\tAAAAAAAAAAAAAA-SSSSSSSSSS-N\t1\t\n"
    "BRD-K00000002-001-01-1\t(R)-alpha-one\t0\t99\tv\t1\tn\t1.0\tC[C@]O\tAAAAAAAAAAAAAA-RRRRRRRRRR-N\t2\t\n"
    "BRD-K00000003-001-01-1\tgamma\t0\t99\tv\t1\tn\t1.0\tCN\tCCCCCCCCCCCCCC-UHFFFAOYSA-N\t3\t\n"
)
TARGETS = (
    "ID,Name,Gene Name,GenBank Protein ID,UniProt ID,Uniprot Title,Species,Drug IDs\n"
    '1,"Receptor, long",EGFR,1,P00533,E_HUMAN,Humans,DB00001; DB00002\n'
    "2,Tumour antigen,,2,P04637,P_HUMAN,Humans,DB00001\n"
    "3,Enzyme,lacZ,3,P00722,L_ECOLI,Escherichia coli,DB00003\n"
    "4,Receptor again,EGFR,1,P00533,E_HUMAN,Humans,DB00002\n"
)


@pytest.fixture
def hub(tmp_path):
    (tmp_path / "drugs.txt").write_text(DRUGS)
    (tmp_path / "samples.txt").write_bytes(gzip.compress(SAMPLES.encode()))
    return tmp_path / "drugs.txt", tmp_path / "samples.txt"


def test_hub_has_a_row_for_each_drug(hub):
    found = read_repurposing_hub(*hub)
    assert found.set_index("name").loc["alpha-one"].to_dict() == {
        "moa": "kinase inhibitor|channel blocker",
        "target": "EGFR|MYC",
        "disease_area": "oncology",
        "indication": "cancer|pain",
        "phase": "Launched",
        "smiles": "CCO",
        "inchikey": "AAAAAAAAAAAAAA-SSSSSSSSSS-N",
        "broad_id": "BRD-K00000001-001-01-1|BRD-K00000001-002-01-1",
    }
    assert found["name"].tolist() == ["alpha-one", "(R)-alpha-one", "beta", "gamma"]
    assert found["moa"][1] == "kinase, inhibitor"
    assert (found.loc[2].drop(["name", "phase"]) == "").all()


def test_compounds_are_found_by_structure_then_by_name(hub):
    obs = pd.DataFrame(
        {
            "inchikey": [
                "AAAAAAAAAAAAAA-RRRRRRRRRR-N",  # the whole key
                "AAAAAAAAAAAAAA-QQQQQQQQQQ-N",  # the block alone: the name decides
                "ZZZZZZZZZZZZZZ-UHFFFAOYSA-N",  # of no entry: by name
                np.nan,
                "",
                "",
            ],
            "name": pd.Categorical(["x", "R alpha one", "Alpha One", "", "no such", "unknown"]),
            "synonyms": ["", "", "", "", "first|BETA", ""],
        },
        index=["a", "b", "c", "BRD-K00000003", "d", "e"],
    )
    found = read_repurposing_hub(*hub, compounds=obs)
    assert found.index.equals(obs.index)
    assert found["name"].tolist() == [
        *["(R)-alpha-one"] * 2,
        "alpha-one",
        "gamma",
        "beta",
        "",
    ]
    assert found["found_by"].tolist() == ["inchikey", "inchikey", "name", "name", "name", ""]
    assert found["smiles"].tolist() == ["C[C@]O", "C[C@]O", "CCO", "CN", "", ""]
    assert found["moa"]["e"] == ""
    mdata = ad.AnnData(np.zeros((6, 2), np.float32), obs=obs)
    mdata.obs["moa"] = found["moa"]
    assert mdata.obs["moa"].tolist() == found["moa"].tolist()


def test_a_name_of_its_own_goes_before_synonyms_and_an_id_before_names(hub):
    obs = pd.DataFrame(
        {
            "pert_id": ["BRD-K00000003", "", ""],
            "pert_iname": ["beta", "gamma", ""],
            "synonyms": ["alpha-one", "beta", "beta"],
        },
        index=["1", "2", "alphaone"],
    )
    found = read_repurposing_hub(*hub, compounds=obs)
    assert found["name"].tolist() == ["gamma", "gamma", "alpha-one"]


def test_no_compound_that_is_found_is_told(hub):
    obs = pd.DataFrame({"drug": ["gamma"]}, index=["x"])
    with pytest.warns(NewtWarning, match="none of 1 compounds .* expected inchikey, pert_id, name"):
        found = read_repurposing_hub(*hub, compounds=obs)
    assert (found == "").all(axis=None)


def test_samples_of_another_release_are_told(hub):
    drugs, samples = hub
    drugs.write_text(DRUGS.replace("gamma", "delta"))
    with pytest.warns(NewtWarning, match=r"1 of 4 samples .* such as 'gamma'.*one release"):
        assert read_repurposing_hub(drugs, samples)["smiles"].tolist() == ["CCO", "C[C@]O", "", ""]


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "message"),
    [
        (0, "\tmoa\t", "\tmechanism\t", 3, r"expected \['moa'\] too"),
        (1, "\tInChIKey\t", "\tkey\t", 3, r"expected \['InChIKey'\] too"),
        (0, "gamma", "beta", 7, "found 'beta' again, expected each drug once"),
        (0, "gamma\t", "gamma\t\t", 7, "found 7 fields, expected 6"),
    ],
)
def test_errors_of_the_hub_have_the_line(hub, file, old, new, line, message):
    text = (DRUGS, SAMPLES)[file]
    hub[file].write_text(text.replace(old, new, 1))
    with pytest.raises(FormatError, match=message) as caught:
        read_repurposing_hub(*hub)
    assert (caught.value.path, caught.value.line) == (str(hub[file]), line)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_releases_in_latin_1_are_read(hub, pack):
    """Those of 2017 to 2020 are, in names of vendors and of drugs."""
    drugs = DRUGS.replace("beta", "beta-Sjö")
    hub[0].write_bytes(pack(drugs.encode("latin-1")))
    hub[1].write_bytes(pack(SAMPLES.replace("\tv\t", "\tSjö\t").encode("latin-1")))
    found = read_repurposing_hub(*hub)
    assert found["name"].tolist() == ["alpha-one", "(R)-alpha-one", "beta-Sjö", "gamma"]
    hub[0].write_text("\ufeff" + drugs, encoding="utf-8")
    assert read_repurposing_hub(*hub)["name"].tolist()[2] == "beta-Sjö"


def test_a_truncated_hub_file_is_named(hub):
    hub[1].write_bytes(hub[1].read_bytes()[:-20])
    with pytest.raises(FormatError, match="truncated or damaged"):
        read_repurposing_hub(*hub)


def test_missing_files_are_offered(hub, tmp_path):
    missing = tmp_path / "none.txt"
    for paths in ((missing, hub[1]), (hub[0], missing)):
        with pytest.raises(FileNotFoundError, match=r"https://repo-hub\.broadinstitute\.org"):
            read_repurposing_hub(*paths)
    with pytest.raises(FileNotFoundError, match=r"https://go\.drugbank\.com") as caught:
        read_drugbank_targets(missing)
    assert caught.value.filename == str(missing)


def test_drugbank_gives_pairs_of_human_targets(tmp_path):
    path = tmp_path / "all.csv"
    path.write_text(TARGETS)
    assert list(read_drugbank_targets(path).itertuples(index=False, name=None)) == [
        ("DB00001", "EGFR"),
        ("DB00002", "EGFR"),
        ("DB00001", "P04637"),
    ]
    path.write_text(TARGETS.replace("Humans", "Mouse"))
    with pytest.raises(FormatError, match=r"found the species 'Mouse', .* expected one of"):
        read_drugbank_targets(path)
    path.write_text(TARGETS.replace("Drug IDs", "Drugs"))
    with pytest.raises(FormatError, match=r"line 1: .*expected \['Drug IDs'\] too"):
        read_drugbank_targets(path)


def test_proteins_without_a_name_or_drug_are_counted(tmp_path):
    path = tmp_path / "all.csv"
    path.write_text(TARGETS.replace("P04637", "").replace("DB00002\n", "\n"))
    with pytest.warns(NewtWarning, match=r"^2 proteins, by their name or their drugs"):
        found = read_drugbank_targets(path)
    assert found.to_numpy().tolist() == [["DB00001", "EGFR"]]
