"""The readers on the real files; skipped where NEWT_SC_DATA_DIR has none."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from newt_sc.errors import NewtWarning
from newt_sc.io import (
    propagate_annotations,
    read_edges,
    read_gmt,
    read_regulons,
    read_string,
    write_gmt,
)
from newt_sc.io._string import CHANNELS


def test_every_gmt_file(data_dir, tmp_path):
    paths = sorted(data_dir.glob("knowledge/*/*.gmt.gz"))
    assert paths
    for path in paths:
        sets = read_gmt(path)
        assert all(sets.values())
    write_gmt(sets, tmp_path / "copy.gmt.gz")
    assert read_gmt(tmp_path / "copy.gmt.gz") == sets


@pytest.mark.parametrize("name", ["hi_union_2020", "lit_bm_17", "bioplex3_293T"])
def test_networks(data_file, name):
    path = data_file(f"knowledge/interaction/{name}.tsv.gz")
    frame = read_edges(path)
    expected = pd.read_csv(path, sep="\t", keep_default_na=False)
    assert frame["source"].tolist() == expected["source"].tolist()
    assert frame["target"].tolist() == expected["target"].tolist()
    np.testing.assert_allclose(frame["weight"], expected["weight"], rtol=1e-6)


def test_string_recombines_to_its_own_score(data_file):
    path = data_file("knowledge/interaction/string12_channels.tsv.gz")
    stated = read_string(path)
    combined = read_string(path, channels=[name for name in CHANNELS if name != "textmining"])
    assert combined[["source", "target"]].equals(stated[["source", "target"]])
    cut_off = 1000 * (combined["weight"] - stated["weight"])  # STRING truncates to whole numbers
    assert cut_off.between(-1e-3, 1 + 1e-3).all()
    experiments = read_string(path, channels="experiments", min_score=0.4)
    assert 0 < len(experiments) < len(stated)
    assert (experiments["source"] < experiments["target"]).all()


@pytest.mark.parametrize(
    ("name", "repeated"), [("collectri_2025-09", 0), ("dorothea_abcd", 0), ("cellnet_grn", 32705)]
)
def test_regulons(data_file, name, repeated):
    path = data_file(f"knowledge/regulon/{name}.tsv.gz")
    if repeated:
        with pytest.warns(NewtWarning, match=f"{repeated} repeated"):
            frame = read_regulons(path)
    else:
        frame = read_regulons(path)
    assert len(frame) == len(pd.read_csv(path, sep="\t")) - repeated
    assert np.isfinite(frame["weight"]).all()


def test_published_closure_of_go_is_closed(data_file):
    terms = pd.read_csv(data_file("knowledge/function/go_terms_2024.tsv.gz"), sep="\t").dropna(
        subset="parent"
    )
    graph = nx.MultiDiGraph()
    graph.add_edges_from(
        (child, parent, relation.replace("isa", "is_a").replace("part of", "part_of"))
        for child, relation, parent in terms[["go_id", "relationship", "parent"]].itertuples(
            index=False
        )
    )
    sets = read_gmt(data_file("knowledge/function/goa_2026-03_cc_propagated.gmt.gz"))
    known = {term: genes for term, genes in sets.items() if term in graph}
    closed = propagate_annotations(known, graph, min_size=1, max_size=None)
    assert set(known) <= set(closed)
    grown = [len(closed[term]) / len(genes) for term, genes in known.items()]
    assert min(grown) >= 1
    assert np.median(grown) == 1  # the release of the ontology differs, the closure hardly
