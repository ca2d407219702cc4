"""Trees as Newick text."""

from __future__ import annotations

import re
from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING

from newt_sc.errors import FormatError

from ._table import parse_number
from ._text import open_text

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["format_newick", "read_newick"]

_TOKEN = re.compile(
    r"\s*(?:\[[^\]]*\]\s*)*([(),;:]|'(?:[^']|'')*'|[^\s(),;:'\[\]]+(?:[ \t]+[^\s(),;:'\[\]]+)*)"
)
_PLAIN = re.compile(r"[^\s(),;:'\[\]]+")


def read_newick(source: str | PathLike[str]) -> nx.DiGraph:
    """Read a tree from Newick text.

    Names in single quotes may hold any character, a quote being doubled; comments in square
    brackets are dropped, and underscores stay as they are.

    Parameters
    ----------
    source
        The text, which has a semicolon, or the path of a file with one tree.

    Returns
    -------
    A :class:`networkx.DiGraph` with edges from parent to child: leaves by their names; inner nodes
    numbered from the root, 0, with their label, such as the support, in the attribute ``label``
    (``""`` for none). Inner nodes whose label is a name, not a number, and comes once have it as
    their node. ``length`` of an edge is NaN where it has none.

    Raises
    ------
    FileNotFoundError
        If it is the path of no file.
    FormatError
        If the text is no tree, or a leaf has no name or one that comes twice.

    Examples
    --------
    >>> nt.io.read_newick("tree.nwk")  # doctest: +SKIP
    """
    import networkx as nx

    text, path = str(source), "<text>"
    if isinstance(source, PathLike) or ";" not in text:
        path = text
        with open_text(source) as file:
            text = file.read()
    graph, labels = _grow(_tokens(text, path), path)
    leaves = [labels[node] for node in graph if not graph.out_degree(node)]
    if "" in leaves or len(set(leaves)) < len(leaves):
        twice = sorted({name for name in leaves if leaves.count(name) > 1})
        raise FormatError(
            path, None, f"leaves need names, each once: found {twice or 'a leaf without'}"
        )
    names = list(labels.values())
    rename: dict[int, int | str] = {}
    for node, label in labels.items():
        if not graph.out_degree(node) or (label and not _number(label) and names.count(label) == 1):
            rename[node] = label
        graph.nodes[node]["label"] = label
    inner = (node for node in labels if node not in rename)
    return nx.relabel_nodes(graph, {**dict(zip(inner, range(len(labels)), strict=False)), **rename})


def _tokens(text: str, path: str) -> list[str]:
    """Brackets, commas, colons, names and lengths of a tree, without its semicolon."""
    parts, at = [], 0
    while at < len(text.rstrip()):
        found = _TOKEN.match(text, at)
        if found is None:
            raise FormatError(
                path, None, f"found {text[at : at + 20]!r}, which is no part of a Newick tree"
            )
        parts.append(found.group(1))
        at = found.end()
    if not parts or parts[-1] != ";" or parts.count(";") != 1:
        raise FormatError(
            path, None, f"found {parts.count(';')} semicolons, expected one, at the end of the tree"
        )
    return parts[:-1]


def _grow(parts: list[str], path: str) -> tuple[nx.DiGraph, dict[int, str]]:
    """Tree of numbered nodes, and their labels."""
    import networkx as nx

    graph = nx.DiGraph()
    labels: dict[int, str] = {0: ""}
    graph.add_node(0)
    current, previous = 0, ""
    parents: list[int] = []

    def add(parent: int) -> int:
        new = len(labels)
        labels[new] = ""
        graph.add_edge(parent, new, length=float("nan"))
        return new

    for part in parts:
        if part == "(" and previous in ("", "(", ","):
            parents.append(current)
            current = add(current)
        elif part == "," and parents:
            current = add(parents[-1])
        elif part == ")" and parents:
            current = parents.pop()
        elif previous == ":" and part not in "(),:":
            try:
                length = parse_number(part)
            except ValueError:
                raise FormatError(
                    path, None, f"found the branch length {part!r}, expected a number"
                ) from None
            if current:
                graph.edges[next(graph.predecessors(current)), current]["length"] = length
        elif part not in ("(", ")", ",", ":") and previous in ("", "(", ")", ","):
            labels[current] = part[1:-1].replace("''", "'") if part[0] == "'" else part
        elif part != ":" or previous not in (")", "name"):
            raise FormatError(
                path, None, f"found {part!r} where it cannot stand; are the brackets balanced?"
            )
        previous = part if part in ("(", ")", ",", ":") else "length" if previous == ":" else "name"
    if parents:
        raise FormatError(path, None, f"{len(parents)} brackets are not closed")
    return graph, labels


def _number(text: str) -> bool:
    try:
        parse_number(text)
    except ValueError:
        return False
    return True


def format_newick(
    root: int, children: list[list[int]], name: Callable[[int], str], length: Callable[[int], float]
) -> str:
    """Write Newick text of a tree given by the children of each node."""
    out: dict[int, str] = {}
    stack = [(root, False)]
    while stack:
        node, done = stack.pop()
        if not done:
            stack += [(node, True), *((child, False) for child in children[node])]
            continue
        inside = ",".join(out.pop(child) for child in children[node])
        label = name(node)
        if label and not _PLAIN.fullmatch(label):
            label = "'" + label.replace("'", "''") + "'"
        tail = "" if node == root else f":{length(node):.6g}"
        out[node] = (f"({inside})" if inside else "") + label + tail
    return out[root] + ";"
