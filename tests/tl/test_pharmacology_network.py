from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import networkx as nx
import numpy as np
import pandas as pd
import pytest

import newt_sc as nt
from newt_sc.errors import NewtWarning

from . import _compounds


def example(**changed: Any) -> ad.AnnData:
    """60 compounds of four classes, each with a mechanism; the network by signatures."""
    adata = _compounds.compounds()
    adata.obs["name"] = [f"Drug {i}" for i in range(adata.n_obs)]
    adata.obs["moa"] = [f"class {i % 4}" if i % 5 else "" for i in range(adata.n_obs)]
    options = {
        "similarity": "signature",
        "embedding": _compounds.embedding(),
        "n_rewirings": 10,
        "whitening": 0,
    }
    nt.tl.pharmacology_network(adata, **(options | changed))
    return adata


@pytest.fixture(scope="module")
def network() -> ad.AnnData:
    return example()


def test_links_are_within_classes(network: ad.AnnData) -> None:
    edges = network.uns["newt_network"]["edges"]
    similar = edges[edges["kind"] == "similar"]
    number = similar[["source", "target"]].map(lambda name: int(name.removeprefix("drug")) % 4)
    assert len(similar) > 100
    assert (number["source"] == number["target"]).mean() > 0.95
    assert (similar["fdr"] <= 0.05).all()
    W = network.obsp["newt_network"]
    assert W.dtype == np.float32
    assert abs(W - W.T).nnz == 0
    assert W.nnz == 2 * len(similar)
    first = similar.iloc[0]
    at = network.obs_names.get_indexer([first["source"], first["target"]])
    assert W[at[0], at[1]] == pytest.approx(first["weight"])


def test_each_compound_keeps_its_strongest_links() -> None:
    adata = example(n_neighbors=2)
    every = example(n_neighbors=59).obsp["newt_network"].toarray()
    few = adata.obsp["newt_network"].toarray()
    best = np.argsort(-every, axis=1)[:, :2]
    assert (np.take_along_axis(few, best, 1) == np.take_along_axis(every, best, 1)).all()
    assert ((few > 0) <= (every > 0)).all()


def test_communities_and_what_they_are_enriched_in(network: ad.AnnData) -> None:
    community = network.obs["newt_network_community"]
    table = pd.crosstab(community, np.arange(60) % 4)
    assert (table.max(axis=1) / table.sum(axis=1)).min() > 0.9
    found = network.uns["newt_network"]["enrichment"]
    moa = found[found["kind"] == "moa"]
    assert set(moa.loc[moa["fdr"] < 0.01, "label"]) == {f"class {i}" for i in range(4)}
    assert (found["n"] <= found["size"]).all()
    organised = network.uns["newt_network"]["organisation"].set_index("kind")
    assert organised.loc["moa", "observed"] > 0.9
    assert organised.loc["moa", "null_mean"] < 0.5
    assert organised.loc["modularity", "z"] > 3


def test_noise_has_no_links_no_communities_and_no_failure(tmp_path: Path) -> None:
    adata = _compounds.compounds()
    adata.X = np.random.default_rng(5).standard_normal(adata.shape).astype(np.float32)
    del adata.uns["targets"]
    nt.tl.pharmacology_network(
        adata, similarity="signature", embedding=_compounds.embedding(), fdr=0.01
    )
    info = adata.uns["newt_network"]
    assert adata.obsp["newt_network"].nnz == 0
    assert len(info["edges"]) == len(info["enrichment"]) == len(info["organisation"]) == 0
    assert adata.obs["newt_network_community"].isna().all()
    assert np.unique(info["nodes"][["x", "y"]], axis=0).shape == (60, 2)  # no two on one place
    graph = nt.get.network(adata)
    assert (len(graph), graph.number_of_edges()) == (60, 0)
    nt.io.write_graphml(graph, tmp_path / "a.graphml")
    nt.pl.network_html(adata, tmp_path / "a.html")
    nt.pl.network(adata)
    adata.write_h5ad(tmp_path / "a.h5ad")


def test_twins_are_one_drug_and_not_linked() -> None:
    adata = _compounds.compounds()
    adata.X[1] = 3 * adata.X[0]
    nt.tl.pharmacology_network(
        adata, similarity="signature", embedding=_compounds.embedding(), n_rewirings=0
    )
    drug = adata.uns["newt_network"]["nodes"]["drug"]
    assert drug[0] == drug[1]
    assert adata.obsp["newt_network"][0, 1] == 0


def test_known_and_predicted_targets_and_genes() -> None:
    mdata = _compounds.mdata()
    nt.tl.predict_targets(mdata, model=_compounds.model(), embedding=_compounds.embedding())
    for similarity in ("profile", "both"):
        nt.tl.pharmacology_network(
            mdata, similarity=similarity, embedding=_compounds.embedding(), max_targets=3,
            n_rewirings=2,
        )  # fmt: skip
        edges = mdata["compound"].uns["newt_network"]["edges"]
        assert set(edges["kind"]) == {"similar", "known", "predicted", "gene"}
    labels = mdata["compound"].uns["targets"]
    known = edges[edges["kind"] == "known"]
    assert set(zip(known["source"], known["target"], strict=True)) == {
        (compound, f"gene:{target}")
        for compound, target in zip(labels["compound"], labels["target"], strict=True)
    }
    predicted = edges[edges["kind"] == "predicted"]
    # the three best of each compound that pass, those that are known left out
    table = nt.get.targets(mdata, top=3)
    best = table[(table["fdr"] <= 0.05) & ~table["known"]]
    expected = {(a, f"gene:{b}"): z for a, b, z in best[["compound", "target", "z"]].to_numpy()}
    found = dict(zip(zip(predicted["source"], predicted["target"], strict=True), predicted["z"],
                     strict=True))  # fmt: skip
    assert found == pytest.approx(expected)
    assert predicted["z"].is_monotonic_decreasing
    assert (predicted["fdr"] <= 0.05).all()
    genes = edges[edges["kind"] == "gene"]
    place = {name: i % 4 for i, name in enumerate(_compounds.names())}
    same = [
        place[a[5:]] == place[b[5:]] for a, b in zip(genes["source"], genes["target"], strict=True)
    ]
    assert np.mean(same) > 0.9


def test_missing_predictions_say_what_to_do() -> None:
    with pytest.raises(KeyError, match=r"predict_targets first, or set similarity='signature'"):
        nt.tl.pharmacology_network(_compounds.compounds(), embedding=_compounds.embedding())


def test_unusable_signatures_are_left_out() -> None:
    adata = _compounds.compounds()
    adata.X[0] = np.nan
    adata.X[1] = 0
    with pytest.warns(NewtWarning, match="2 of 60"):
        nt.tl.pharmacology_network(
            adata, similarity="signature", embedding=_compounds.embedding(), n_rewirings=0
        )
    assert adata.obsp["newt_network"][[0, 1]].nnz == 0
    assert adata.obs["newt_network_community"].isna()[:2].all()
    assert adata.obsp["newt_network"].nnz > 0


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_compounds(n: int) -> None:
    adata = _compounds.compounds()[:n].copy()
    with pytest.warns(NewtWarning, match="too few"):
        nt.tl.pharmacology_network(adata, similarity="signature", embedding=_compounds.embedding())
    assert adata.obsp["newt_network"].nnz == 0
    assert len(nt.get.network(adata, kinds=["similar"])) == n


def test_duplicate_ids_are_refused_and_duplicate_names_are_not() -> None:
    adata = _compounds.compounds()
    adata.obs["name"] = ""
    adata.obs.iloc[:3, adata.obs.columns.get_loc("name")] = "Same"
    nt.tl.pharmacology_network(
        adata, similarity="signature", embedding=_compounds.embedding(), n_rewirings=0
    )
    graph = nt.get.network(adata, compound="Same")
    assert "drug0" in graph
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twice = ad.concat([adata[:30], adata[:30]])
    before = set(twice.uns) | set(twice.obsp)
    with pytest.raises(ValueError, match="obs_names_make_unique"):
        nt.tl.pharmacology_network(twice, similarity="signature")
    assert set(twice.uns) | set(twice.obsp) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarity": "all"}, "similarity is 'all'"),
        ({"fdr": 2}, "fdr is 2"),
        ({"n_neighbors": 0}, "n_neighbors is 0"),
        ({"n_rewirings": -1}, "n_rewirings is -1"),
        ({"resolution": 0}, "resolution is 0"),
        ({"whitening": 0.5}, "whitening is 0.5"),
        ({"max_targets": -1}, "max_targets is -1"),
    ],
)
def test_parameters_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nt.tl.pharmacology_network(
            _compounds.compounds(), **({"similarity": "signature"} | options)
        )


def test_same_seed_same_network(network: ad.AnnData) -> None:
    again = example()
    assert again.uns["newt_network"]["nodes"].equals(network.uns["newt_network"]["nodes"])
    assert (again.obsp["newt_network"] != network.obsp["newt_network"]).nnz == 0


def test_survives_disk_and_copy(tmp_path: Path) -> None:
    mdata = _compounds.mdata()
    out = nt.tl.pharmacology_network(
        mdata, similarity="signature", embedding=_compounds.embedding(), n_rewirings=3,
        key_added="mine", copy=True,
    )  # fmt: skip
    assert "mine" not in mdata["compound"].uns
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out.write_h5mu(tmp_path / "a.h5mu")
        back = md.read_h5mu(tmp_path / "a.h5mu")
    one, two = nt.get.network(out, key="mine"), nt.get.network(back, key="mine")
    assert nx.utils.graphs_equal(one, two)
    assert two.nodes["drug0"]["kind"] == "compound"
    nt.pl.network(back, key="mine")
    with pytest.raises(KeyError, match="pharmacology_network first"):
        nt.get.network(out)
    with pytest.raises(KeyError, match="No compound or target 'nobody'"):
        nt.get.network(out, compound="nobody", key="mine")
    with pytest.raises(ValueError, match="kinds is"):
        nt.get.network(out, kinds=["friend"], key="mine")
