"""Trees as Newick text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from os import PathLike
from typing import TYPE_CHECKING

from newt_sc.errors import FormatError

from ._table import is_number, parse_number
from ._text import open_text

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["format_newick", "read_newick"]

_TOKEN = re.compile(
    r"\s*(?:\[[^\]]*\]\s*)*([(),;:]|'(?:[^']|'')*'|[^\s(),;:'\[\]]+(?:[ \t]+[^\s(),;:'\[\]]+)*)"
)
_ANY = ("", "(", ")", ",", ":", "name", "length")
_AFTER = {
    "(": ("", "(", ","),
    ")": _ANY,
    ",": _ANY,
    ":": (")", "name"),
    "name": ("", "(", ")", ","),
    "length": (":",),
}
"""After what each part of a tree may stand."""

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
    graph = _grow(_tokens(text, path), path)
    return nx.relabel_nodes(graph, _names(graph, path))


def _names(graph: nx.DiGraph, path: str) -> dict[int, int | str]:
    """Name of each node: its label if it is a leaf or the label one of its own, or a number."""
    labels = dict(graph.nodes(data="label"))
    leaves = [labels[node] for node, degree in graph.out_degree if not degree]
    if bad := set(leaves) - _once(leaves):
        found = ", ".join(name or "a leaf without" for name in sorted(bad)[:5])
        raise FormatError(path, None, f"leaves need names, each once: found {found}")
    own = {label for label in _once(labels.values()) if not is_number(label)}
    numbers = count()
    return {
        node: labels[node] if labels[node] in (own if degree else leaves) else next(numbers)
        for node, degree in graph.out_degree
    }


def _once(names: Iterable[str]) -> set[str]:
    """Names that are not empty and come once."""
    return {name for name, n in Counter(names).items() if name and n == 1}


def _tokens(text: str, path: str) -> list[str]:
    """Brackets, commas, colons, names and lengths of a tree, without its semicolon."""
    parts, at, text = [], 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            line = text.count("\n", 0, at) + 1
            raise FormatError(
                path, line, f"found {text[at : at + 20]!r}, which is no part of a Newick tree"
            )
        parts.append(found.group(1))
        at = found.end()
    if not parts or parts[-1] != ";" or parts.count(";") != 1:
        raise FormatError(
            path, None, f"found {parts.count(';')} semicolons, expected one, at the end of the tree"
        )
    return parts[:-1]


def _grow(parts: list[str], path: str) -> nx.DiGraph:
    """Tree of numbered nodes, each with its label, the root being 0."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_node(0, label="")
    current, previous = 0, ""
    parents: list[int] = []
    for part in parts:
        kind = part if part in "(),:" else "length" if previous == ":" else "name"
        if previous not in _AFTER[kind] or (kind in (",", ")") and not parents):
            message = f"found {part!r} where it cannot stand; are the brackets balanced?"
            raise FormatError(path, None, message)
        if kind == "(":
            parents.append(current)
        elif kind == ")":
            current = parents.pop()
        elif kind == "name":
            label = part[1:-1].replace("''", "'") if part[0] == "'" else part
            graph.nodes[current]["label"] = label
        elif kind == "length":
            for edge in graph.in_edges(current):  # none above the root
                graph.edges[edge]["length"] = _length(part, path)
        if kind in ("(", ","):
            current = len(graph)
            graph.add_node(current, label="")
            graph.add_edge(parents[-1], current, length=float("nan"))
        previous = kind
    if parents:
        raise FormatError(path, None, f"{len(parents)} brackets are not closed")
    return graph


def _length(text: str, path: str) -> float:
    try:
        return parse_number(text)
    except ValueError:
        message = f"found the branch length {text!r}, expected a number"
        raise FormatError(path, None, message) from None


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
