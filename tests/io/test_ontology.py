from __future__ import annotations

import gzip
import logging

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from newt_sc.errors import FormatError, NewtWarning
from newt_sc.io import propagate_annotations, read_obo

OBO = """format-version: 1.2
ontology: toy

[Term]
id: T:1
name: root
namespace: process

[Term]
id: T:2
name: child ! not a comment in a name
namespace: process
alt_id: T:20
is_a: T:1 ! root

[Term]
id: T:3
name: part
namespace: process
relationship: part_of T:2 {source="x"} ! child
relationship: regulates T:1 ! root

[Term]
id: T:4
name: function
namespace: function
relationship: part_of T:3 ! part

[Term]
id: T:8
name: obsolete old
namespace: process
is_obsolete: true
replaced_by: T:3

[Term]
id: T:9
name: obsolete older
is_obsolete: true
consider: T:3

[Typedef]
id: part_of
name: part of
"""


@pytest.fixture
def ontology(tmp_path):
    path = tmp_path / "toy.obo"
    path.write_text(OBO)
    return read_obo(path)


def test_graph(ontology):
    assert set(ontology) == {"T:1", "T:2", "T:3", "T:4"}
    assert set(ontology.edges(keys=True)) == {
        ("T:2", "T:1", "is_a"),
        ("T:3", "T:2", "part_of"),
        ("T:3", "T:1", "regulates"),
        ("T:4", "T:3", "part_of"),
    }
    assert ontology.nodes["T:2"]["alt_id"] == ["T:20"]
    assert ontology.graph["obsolete"] == {"T:8": ["T:3"], "T:9": []}
    assert ontology.graph["name"] == "toy"


def test_gzip_and_header_without_a_name(tmp_path):
    path = tmp_path / "other.obo"
    path.write_bytes(gzip.compress(b"\n\n[Term]\nid: A\n\n[Term]\nid: B\nis_a: A\n"))
    handlers = list(logging.getLogger().handlers)
    graph = read_obo(path)
    assert list(graph.edges(keys=True)) == [("B", "A", "is_a")]
    assert graph.graph["name"] == "other.obo"
    assert logging.getLogger().handlers == handlers


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[Term]\nid: A\n\n[Term]\nid: B\nnonsense\n", 6, "expected 'tag: value'"),
        ("[Term]\nid: A\n\n[Term]\nid: A\n", 5, "line 2 already"),
        ("[Term]\nid:\n", 2, "empty id"),
        ("[Term]\nid: A\nrelationship: part_of\n", 3, "expected a relation and the id"),
        ("[Term]\nid: A\nis_a: B C\n", 3, "expected the id of a term"),
        ("[Term]\nname: without id\n", 2, "without 'id'"),
        ("format-version: 1.2\n", None, "no .Term. stanza"),
        ("", None, "no .Term. stanza"),
        ("<rdf>\n", 1, "expected 'tag: value'"),
    ],
)
def test_malformed(tmp_path, text, line, message):
    path = tmp_path / "a.obo"
    path.write_text(text)
    with pytest.raises(FormatError, match=message) as caught:
        read_obo(path)
    assert caught.value.line == line


def test_truncated_gzip_and_missing_file(tmp_path):
    path = tmp_path / "a.obo.gz"
    path.write_bytes(gzip.compress(OBO.encode())[:-30])
    with pytest.raises(FormatError, match="truncated"):
        read_obo(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_obo(tmp_path / "none.obo")


def test_true_path_rule_with_alternative_and_obsolete_ids(ontology):
    sets = propagate_annotations(
        {"T:20": ["B"], "T:8": ["C"], "T:4": ["A"], "T:1": ["D"]},
        ontology,
        min_size=1,
        max_size=None,
    )
    assert sets == {
        "T:1": ["A", "B", "C", "D"],
        "T:2": ["A", "B", "C"],
        "T:3": ["A", "C"],
        "T:4": ["A"],
    }


def test_namespace_limits_the_result_not_the_way(ontology):
    sets = propagate_annotations({"T:4": ["A"]}, ontology, namespace="process", min_size=1)
    assert sets == {"T:1": ["A"], "T:2": ["A"], "T:3": ["A"]}


def test_relations_and_sizes(ontology):
    annotations = {"T:3": ["A", "B"], "T:2": ["C"]}
    assert propagate_annotations(annotations, ontology, relations=["is_a"], min_size=1) == {
        "T:1": ["C"],
        "T:2": ["C"],
        "T:3": ["A", "B"],
    }
    assert propagate_annotations(annotations, ontology, min_size=3) == {
        "T:1": ["A", "B", "C"],
        "T:2": ["A", "B", "C"],
    }
    assert propagate_annotations(annotations, ontology, min_size=1, max_size=2) == {
        "T:3": ["A", "B"]
    }


def test_frame_without_negated_rows(ontology):
    frame = pd.DataFrame(
        {
            "symbol": ["A", "B", "A"],
            "go_id": ["T:2", "T:2", "T:2"],
            "relation": ["x", "NOT|involved_in", "x"],
        }
    )
    assert propagate_annotations(frame, ontology, min_size=1) == {"T:1": ["A"], "T:2": ["A"]}
    assert len(frame) == 3


def test_unknown_terms_are_left_out_with_a_warning(ontology):
    with pytest.warns(NewtWarning, match=r"2 of 3 annotated terms .*T:77, T:9"):
        sets = propagate_annotations(
            {"T:1": ["A"], "T:9": ["B"], "T:77": ["C"]}, ontology, min_size=1
        )
    assert sets == {"T:1": ["A"]}
    with pytest.raises(ValueError, match="none of the 1 annotated terms"):
        propagate_annotations({"T:77": ["C"]}, ontology)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"relations": "is_a"}, TypeError, "several strings"),
        ({"relations": ("is_b",)}, ValueError, "part_of"),
        ({"namespace": "biology"}, ValueError, "it has .'function', 'process'."),
        ({"annotations": {"T:1": "TP53"}}, TypeError, "list of strings"),
        ({"annotations": [("T:1", "A")]}, TypeError, "found list"),
        ({"annotations": pd.DataFrame({"symbol": ["A"]})}, ValueError, "go_id"),
        (
            {"annotations": pd.DataFrame({"symbol": ["A", None], "go_id": ["T:1", "T:1"]})},
            ValueError,
            "without symbol",
        ),
    ],
)
def test_bad_arguments(ontology, change, error, message):
    with pytest.raises(error, match=message):
        propagate_annotations(**({"annotations": {"T:1": ["A"]}, "ontology": ontology} | change))


def test_cycles_are_refused_only_along_the_chosen_relations(ontology):
    ontology.add_edge("T:1", "T:2", key="has_part")
    assert propagate_annotations({"T:2": ["A"]}, ontology, min_size=1) == {
        "T:1": ["A"],
        "T:2": ["A"],
    }
    with pytest.raises(ValueError, match=r"cycle.*T:1 -> T:2 -> T:1|cycle.*T:2 -> T:1 -> T:2"):
        propagate_annotations({"T:2": ["A"]}, ontology, relations=("is_a", "has_part"))


def test_replacements_in_a_circle_end(ontology):
    ontology.graph["obsolete"] = {"T:8": ["T:9"], "T:9": ["T:8"]}
    with pytest.warns(NewtWarning, match="1 of 2"):
        assert propagate_annotations({"T:1": ["A"], "T:8": ["B"]}, ontology, min_size=1) == {
            "T:1": ["A"]
        }


@pytest.mark.parametrize("seed", range(8))
def test_against_brute_force(seed):
    rng = np.random.default_rng(seed)
    n = 40
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(f"T{i:02d}" for i in rng.permutation(n))
    for child in range(n):
        for parent in range(child):
            if rng.random() < 0.06:
                graph.add_edge(
                    f"T{child:02d}",
                    f"T{parent:02d}",
                    key=str(rng.choice(["is_a", "part_of", "regulates"])),
                )
    annotations = {
        f"T{i:02d}": [f"G{g}" for g in rng.integers(0, 30, rng.integers(1, 6))]
        for i in range(n)
        if rng.random() < 0.5
    }
    expected: dict[str, set[str]] = {}

    def climb(term, gene):
        expected.setdefault(term, set()).add(gene)
        for _, parent, key in graph.out_edges(term, keys=True):
            if key != "regulates":
                climb(parent, gene)

    for term, genes in annotations.items():
        for gene in genes:
            climb(term, gene)
    sets = propagate_annotations(annotations, graph, min_size=2, max_size=15)
    assert sets == {
        term: sorted(genes) for term, genes in expected.items() if 2 <= len(genes) <= 15
    }
    assert list(sets) == sorted(sets)
