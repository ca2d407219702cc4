"""Newick text there and back."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import newt_sc as nt
from newt_sc.errors import FormatError
from newt_sc.io._newick import format_newick


def test_names_lengths_labels_and_comments() -> None:
    tree = nt.io.read_newick("((A:1,'B (it''s)':2.5)0.95:3,[a comment]C_c:1e-1,(D,E)inner)root;")
    assert set(tree) == {"root", 0, "inner", "A", "B (it's)", "C_c", "D", "E"}
    assert tree.nodes[0]["label"] == "0.95"
    assert tree.edges["root", 0]["length"] == 3
    assert tree.edges[0, "B (it's)"]["length"] == 2.5
    assert tree.edges["root", "C_c"]["length"] == 0.1
    assert np.isnan(tree.edges["inner", "D"]["length"])
    assert nx.is_arborescence(tree)


def test_there_and_back(tmp_path: Path) -> None:
    children = [[], [], [], [0, 1], [3, 2]]
    names = ["a b", "it's", "NK.27+11b-", "0.80", ""]
    text = format_newick(4, children, names.__getitem__, [1.0, 2.0, 3.0, 0.5, 0.0].__getitem__)
    path = tmp_path / "tree.nwk"
    path.write_text(text + "\n")
    for source in (text, path, str(path)):
        tree = nt.io.read_newick(source)
        assert {node for node in tree if not tree.out_degree(node)} == {"a b", "it's", "NK.27+11b-"}
        assert tree.edges[1, "it's"]["length"] == 2
        assert tree.nodes[1]["label"] == "0.80"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(A,B)",
        "(A,B);(C,D);",
        "((A,B);",
        "(A,B));",
        "(A,A);",
        "(A,);",
        "(A:x,B);",
        "(A B'C,D);",
        "A,B;",
        ";",
    ],
)
def test_what_is_no_tree_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.nwk"
    path.write_text(text)
    with pytest.raises(FormatError):
        nt.io.read_newick(path)


def test_a_leaf_may_be_called_as_an_inner_node():
    tree = nt.io.read_newick("((A,B)A,(C,D)E,(F,G)0.9);")
    assert set(tree) == {*"ABCDEFG", 0, 1, 2}
    assert tree.nodes[1]["label"] == "A"
    assert list(tree["E"]) == ["C", "D"]
