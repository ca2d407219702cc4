"""What tasks conflict with, and knowledge from which the answers were taken out."""

from __future__ import annotations

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import newt_sc as nt


def embedding(manifest=None, **made) -> ad.AnnData:
    out = ad.AnnData(np.ones((2, 2), dtype=np.float32))
    out.uns["newt"] = ({} if manifest is None else {"manifest": manifest}) | made
    return out


def severity(task: str, **columns: str) -> str | None:
    row = {
        "modality": "mine",
        "source": "sets",
        "date": "2020",
        "file": "a.gmt",
        "origin": "",
    } | columns
    found = nt.metrics.conflicts(
        embedding({key: np.array([value]) for key, value in row.items()}), task
    )
    assert list(found.columns) == ["modality", "source", "date", "reason", "severity"]
    return None if found.empty else found["severity"].item()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"source": "OMIM"}, "refuse"),
        ({"source": "DisGeNET_v7"}, "refuse"),
        ({"source": "hpo-2024"}, "refuse"),
        ({"source": "ClinVar"}, "refuse"),
        ({"source": "Jensen DISEASES"}, "refuse"),
        ({"modality": "disease"}, "refuse"),
        ({"file": "knowledge/orphanet.gmt"}, "refuse"),
        ({"origin": "https://www.omim.org/"}, "refuse"),
        ({"source": "WikiPathways"}, "flag"),
        ({"source": "Reactome"}, "flag"),
        ({"source": "GenePT"}, "flag"),
        ({"source": "HPA"}, None),
        ({"source": "genomics"}, None),
        ({"source": "GO-BP", "origin": "https://current.geneontology.org/annotations/"}, None),
    ],
)
def test_omim(columns, expected):
    assert severity("omim", **columns) == expected


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("2023-12-31", None),
        ("2023-12", None),
        ("2023", None),
        ("2012", None),
        (" 2020-02-29 ", None),
        ("2024", "refuse"),
        ("2024-01-01", "refuse"),
        ("2026-03-26", "refuse"),
        ("", "refuse"),
        ("nan", "refuse"),
        ("v12", "refuse"),
        ("2023-13", "refuse"),
        ("2023-02-30", "refuse"),
        ("2023-00", "refuse"),
        ("31.12.2023", "refuse"),
        ("20231231", "refuse"),
    ],
)
def test_go_time_split(date, expected):
    assert severity("go_time_split", date=date) == expected


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"source": "HI-union"}, "refuse"),
        ({"source": "HuRI"}, "refuse"),
        ({"source": "Lit-BM", "excluded": "interactions"}, "refuse"),
        ({"source": "STRING"}, "refuse"),
        ({"source": "BioGRID 4.4"}, "refuse"),
        ({"origin": "https://string-db.org/"}, "refuse"),
        ({"source": "STRING", "excluded": "interactions"}, None),
        ({"source": "STRING", "excluded": "other interactions"}, None),
        ({"source": "STRING", "excluded": "other"}, "refuse"),
        ({"modality": "interaction", "source": "mine"}, "flag"),
        ({"modality": "interaction", "source": "mine", "excluded": "interactions"}, None),
        ({"source": "GO-MF"}, None),
        ({"source": "hinting"}, None),
    ],
)
def test_interactions(columns, expected):
    assert severity("interactions", **columns) == expected


def test_modalities_that_were_left_out_do_not_count():
    manifest = {"modality": ["a", "b"], "source": ["STRING", "GO"], "date": ["2020", "2026"]}
    for modalities, expected in ((["a", "b"], ["GO"]), (["a"], []), (np.array(["b"]), ["GO"])):
        found = nt.metrics.conflicts(embedding(manifest, modalities=modalities), "go_time_split")
        assert found["source"].tolist() == expected


@pytest.mark.parametrize("uns", [{}, {"newt": {}}, {"newt": "text"}, {"newt": {"manifest": {}}}])
def test_unknown(uns):
    out = embedding()
    out.uns = uns
    found = nt.metrics.conflicts(out, "omim")
    assert found[["source", "severity"]].to_numpy().tolist() == [["unknown", "flag"]]


def test_no_source_and_no_date():
    assert nt.metrics.conflicts(
        embedding({"source": np.array([], dtype=str)}), "go_time_split"
    ).empty
    found = nt.metrics.conflicts(embedding({"source": np.array(["GO"])}), "go_time_split")
    assert found["severity"].tolist() == ["refuse"]
    with pytest.raises(ValueError, match="has 2 of 'date' and 1 of 'source'"):
        nt.metrics.conflicts(embedding({"source": ["GO"], "date": ["2020", "2021"]}), "omim")


def test_shipped_embedding_and_bundles():
    shipped = nt.datasets.embedding("newt-human")
    assert set(nt.metrics.conflicts(shipped, "interactions")["source"]) == {
        "STRING",
        "HI-union",
        "Lit-BM",
        "BioPlex",
    }
    assert {"GO-BP", "CollecTRI"} <= set(nt.metrics.conflicts(shipped, "go_time_split")["source"])
    assert set(nt.metrics.conflicts(shipped, "omim")["severity"]) == {"flag"}
    table = nt.datasets.read_manifest("newt-human-frozen")
    frozen = embedding(
        {key: table[key].to_numpy(str) for key in ("modality", "source", "date", "file", "origin")}
    )
    assert nt.metrics.conflicts(frozen, "go_time_split").empty


# -- knowledge without the answers -----------------------------------------------------------------


@pytest.fixture
def knowledge(world):
    return nt.datasets.bundle(world.folder / "now.bundle.tsv")


def edges(mod: ad.AnnData, source: str) -> set[frozenset[str]]:
    coo = sparse.coo_array(mod.X)
    keep = (mod.var["source"].astype(str) == source).to_numpy()[coo.col] & (coo.data != 0)
    partner = [name.split("|")[1] for name in mod.var_names]
    return {
        frozenset((mod.obs_names[i], partner[j]))
        for i, j in zip(coo.row[keep], coo.col[keep], strict=True)
    }


def test_without_interactions(knowledge, tmp_path):
    before = knowledge.copy()
    clean = nt.metrics.without_interactions(knowledge)
    mod, was = clean["interaction"], before["interaction"]
    assert set(mod.var["source"]) == {"STRING", "BioPlex"}
    gone = edges(was, "HI-union") | edges(was, "Lit-BM")
    for source in ("STRING", "BioPlex"):
        assert edges(mod, source) == edges(was, source) - gone
        assert edges(was, source) & gone  # or nothing was tested
    assert (np.diff(sparse.csr_array(mod.X).indptr) > 0).all()
    assert set(mod.obs_names) == {
        gene for source in ("STRING", "BioPlex") for pair in edges(mod, source) for gene in pair
    }
    assert mod.X.dtype == was.X.dtype
    np.testing.assert_array_equal(clean["function"].X.toarray(), before["function"].X.toarray())

    manifest = clean.uns["newt_bundle"]
    assert manifest["source"].tolist() == ["GO", "STRING", "BioPlex"]
    assert manifest["excluded"].tolist() == ["", "interactions", "interactions"]
    assert {len(manifest[key]) for key in ("modality", "date", "sha256", "options")} == {3}
    assert manifest["name"] == before.uns["newt_bundle"]["name"]

    assert knowledge["interaction"].shape == was.shape  # the given one is as it was
    assert (knowledge["interaction"].X != was.X).nnz == 0
    assert (
        knowledge.uns["newt_bundle"]["source"].tolist()
        == before.uns["newt_bundle"]["source"].tolist()
    )
    clean.write_h5mu(tmp_path / "clean.h5mu")
    assert (
        md.read_h5mu(tmp_path / "clean.h5mu").uns["newt_bundle"]["excluded"].tolist()
        == manifest["excluded"].tolist()
    )


def test_twice_is_as_once(knowledge):
    once = nt.metrics.without_interactions(knowledge)
    twice = nt.metrics.without_interactions(once)
    assert (once["interaction"].X != twice["interaction"].X).nnz == 0
    assert (
        once.uns["newt_bundle"]["excluded"].tolist()
        == twice.uns["newt_bundle"]["excluded"].tolist()
    )


def test_what_is_made_of_it_may_be_asked(knowledge):
    for mdata, expected in ((knowledge, 4), (nt.metrics.without_interactions(knowledge), 0)):
        nt.pp.encode(mdata, n_comps=8)
        fused = nt.tl.fuse(mdata, n_comps=8)
        assert len(nt.metrics.conflicts(fused, "interactions")) == expected
    table = nt.metrics.evaluate(fused, "interactions")
    assert len(table) == 4


def test_aliases_are_the_same_pair(world, knowledge):
    """A network of the user's own that names genes by aliases loses the pairs, too."""
    mod = knowledge["interaction"]
    pair = sorted(min(map(sorted, edges(mod, "HI-union"))))
    table = nt.genes.table().set_index("symbol")["ensembl"]
    own = ad.AnnData(
        sparse.csr_matrix(np.array([[0, 1, 1], [1, 0, 0]], dtype=np.float32)),
        obs=pd.DataFrame(index=pair),
        var=pd.DataFrame(
            {"source": "mine", "kind": "partner", "group": ""},
            index=[f"mine|{table[pair[0]]}", f"mine|{table[pair[1]]}", "mine|nobody"],
        ),
    )
    mdata = md.MuData({"own": own, "function": knowledge["function"]})
    mdata.uns["newt_bundle"] = {"modality": np.array(["own"]), "source": np.array(["mine"])}
    clean = nt.metrics.without_interactions(mdata)
    assert clean["own"].obs_names.tolist() == [pair[0]]
    assert clean["own"].var_names.tolist() == ["mine|nobody"]
    assert clean.uns["newt_bundle"]["excluded"].tolist() == ["interactions"]


def test_what_goes_wrong(knowledge):
    with pytest.raises(TypeError, match="AnnData"):
        nt.metrics.without_interactions(knowledge["interaction"])
    bare = md.MuData({"interaction": knowledge["interaction"]})
    with pytest.raises(KeyError, match="newt_bundle"):
        nt.metrics.without_interactions(bare)
    bare.uns["newt_bundle"] = knowledge.uns["newt_bundle"]
    del bare["interaction"].var["kind"]
    with pytest.raises(KeyError, match="kind"):
        nt.metrics.without_interactions(bare)


def test_encoded_knowledge_is_refused(knowledge):
    nt.pp.encode(knowledge, n_comps=4)
    with pytest.raises(ValueError, match=r"before newt_sc\.pp\.encode"):
        nt.metrics.without_interactions(knowledge)
