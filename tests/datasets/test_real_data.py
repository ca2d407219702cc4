"""The shipped bundle on the real files; skipped where NEWT_SC_DATA_DIR has none."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import newt_sc as nt
from newt_sc.io import read_edges, read_gmt


@pytest.fixture
def real(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Only the data directory; neither cache nor network."""
    monkeypatch.setattr(nt.settings, "data_dir", data_dir)
    monkeypatch.setattr(nt.settings, "data_url", None)
    monkeypatch.setattr(nt.settings, "cache_dir", tmp_path)
    return data_dir


@pytest.mark.parametrize("name", ["newt-human", "newt-human-frozen"])
def test_shipped_manifest_agrees_with_the_files(data_file, data_dir, name):
    listed = pd.read_csv(data_file("manifest.tsv"), sep="\t", dtype=str).set_index("file")
    table = nt.datasets.read_manifest(name)
    for row in table.to_dict("records"):
        assert row["sha256"] == listed.loc[row["file"], "sha256"]
        assert row["sha256"] == sha256((data_dir / row["file"]).read_bytes()).hexdigest()
        if row["redistributable"]:
            assert listed.loc[row["file"], "redistribute"] == "True"


def coding() -> set[str]:
    table = nt.genes.table()
    other = (table["locus_group"] == "other") & table["uniprot"].notna()
    return set(table.loc[(table["locus_group"] == "protein-coding gene") | other, "symbol"])


@pytest.mark.parametrize("modality", ["pathway", "lineage"])
def test_sets(real, modality):
    mdata = nt.datasets.bundle("newt-human", modalities=(modality,))
    mod = mdata[modality]
    table = nt.datasets.read_manifest("newt-human")
    files = table[table["modality"] == modality]
    sets = {
        f"{row['source']}|{name}": genes
        for row in files.to_dict("records")
        for name, genes in read_gmt(real / row["file"]).items()
    }
    assert list(mod.var_names) == list(sets)
    every = sorted({gene for genes in sets.values() for gene in genes})
    symbol = dict(zip(every, nt.genes.resolve(every, organism="human")["gene"], strict=True))
    keep = coding()
    expected = {name: {symbol[gene] for gene in genes} & keep for name, genes in sets.items()}
    assert set(mod.obs_names) == set().union(*expected.values())
    X = sparse.csc_array(mod.X)
    for j in range(0, mod.n_vars, 37):
        members = mod.obs_names[X.indices[X.indptr[j] : X.indptr[j + 1]]]
        assert set(members) == expected[mod.var_names[j]]
    assert set(np.unique(X.data)) == {1.0}


@pytest.mark.filterwarnings("ignore:202 of 10275 annotated terms")
def test_frozen_function(real):
    mod = nt.datasets.bundle("newt-human-frozen", modalities="function")["function"]
    given = read_gmt(real / "knowledge/function/go_before_2024_frozen.gmt.gz")
    X = pd.DataFrame.sparse.from_spmatrix(mod.X, index=mod.obs_names, columns=mod.var_names)
    keep = coding()
    for name in list(given)[::500]:
        term = "GO|" + name.split("_")[1]
        if (
            term in X and len(given[name]) >= 5
        ):  # a term has its own genes, and those of the terms below
            every = given[name]
            symbols = set(nt.genes.resolve(every, organism="human")["gene"].dropna()) & keep
            assert symbols <= set(X.index[X[term] > 0])
    assert mod.shape[0] > 13_000
    assert mod.shape[1] > 9_000


def test_interaction(real):
    mod = nt.datasets.bundle(modalities=("interaction",), redistributable_only=True)["interaction"]
    assert set(mod.var["source"]) == {"STRING", "HI-union", "Lit-BM", "BioPlex"}
    assert mod.n_obs > 15_000
    assert mod.X.data.min() > 0
    edges = read_edges(real / "knowledge/interaction/lit_bm_17.tsv.gz")
    edges = edges[edges["source"] != edges["target"]]
    edges = edges[edges["source"].isin(mod.obs_names) & edges["target"].isin(mod.obs_names)].iloc[
        ::97
    ]
    assert len(edges) > 50
    rows = sparse.csr_array(mod.X)[mod.obs_names.get_indexer(edges["source"])].toarray()
    weights = rows[np.arange(len(edges)), mod.var_names.get_indexer("Lit-BM|" + edges["target"])]
    np.testing.assert_allclose(weights, edges["weight"])


def test_coexpression(real):
    mod = nt.datasets.bundle(modalities=("coexpression",), redistributable_only=True)[
        "coexpression"
    ]
    raw = ad.read_h5ad(real / "knowledge/coexpression/bulk_compendium_log2.h5ad")
    assert mod.n_vars == raw.n_vars
    assert set(mod.var["group"]) == set(raw.var["source"].astype(str))
    genes = mod.obs_names.intersection(raw.obs_names)
    assert len(genes) > 15_000
    # A gene that other rows are merged into is at least as high, and measured where any of them is.
    got = pd.DataFrame(mod.X, index=mod.obs_names).loc[genes].to_numpy()
    was = np.asarray(
        raw[genes].X.toarray() if sparse.issparse(raw.X) else raw[genes].X, dtype=np.float32
    )
    order = [list(mod.var_names).index(f"bulk-compendium|{name}") for name in raw.var_names]
    got = got[:, order]
    assert not (np.isnan(got) & ~np.isnan(was)).any()
    assert (np.isnan(was) | (got >= was)).all()
    same = (got == was) | (np.isnan(got) & np.isnan(was))
    assert same.all(axis=1).mean() > 0.95


def test_a_changed_file_is_refused(real, tmp_path, monkeypatch):
    row = nt.datasets.read_manifest("newt-human").query("source == 'Hallmark'").iloc[0]
    copy = tmp_path / "data" / row["file"]
    copy.parent.mkdir(parents=True)
    copy.write_bytes((real / row["file"]).read_bytes()[:-1])
    monkeypatch.setattr(nt.settings, "data_dir", tmp_path / "data")
    manifest = tmp_path / "one.tsv"
    table = pd.DataFrame([row]).assign(options="")
    table.to_csv(manifest, sep="\t", index=False)
    with pytest.raises(nt.errors.ChecksumError, match="damaged"):
        nt.datasets.bundle(manifest)
