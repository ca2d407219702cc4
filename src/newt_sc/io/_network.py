"""Networks as files: GraphML, Cytoscape JSON, and a page for the browser."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from newt_sc import _keys
from newt_sc._missing import read_labels
from newt_sc._verb import modality_of
from newt_sc.io._atomic import atomic_path

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "network_graph",
    "network_tables",
    "node_of",
    "write_cytoscape",
    "write_graphml",
    "write_network_html",
]

_PAGE: Final = Path(__file__).with_name("_network_page.html")
_CALLED: Final = ("synonyms", "drugbank_id", "pert_id")
"""Further names of a compound, in ``obs`` and of nodes; several are joined by ``|``."""
_ILLEGAL: Final = dict.fromkeys(
    [*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)]
)


def network_tables(mdata: Any, modality: str, key: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Nodes and edges as :func:`newt_sc.tl.pharmacology_network` wrote them.

    Nodes of compounds have the further names that ``obs`` holds now.

    Raises
    ------
    KeyError
        If there is no such modality, or no network under this key.
    """
    mod = modality_of(mdata, modality)
    slot = key or _keys.NETWORK
    info: Any = mod.uns.get(slot)
    if not isinstance(info, Mapping) or "nodes" not in info or "edges" not in info:
        msg = f"No network under {slot!r}: run newt_sc.tl.pharmacology_network first."
        raise KeyError(msg)
    nodes = info["nodes"].copy()
    for column in filter(mod.obs.__contains__, _CALLED):
        told = read_labels(mod.obs[column], column, quiet=True)
        nodes[column] = nodes["id"].astype(object).map(told).fillna("").astype(str)
    return nodes, info["edges"]


def network_graph(nodes: pd.DataFrame, edges: pd.DataFrame) -> nx.Graph:
    """Make a graph of these tables; what is missing of an edge is left out."""
    import networkx as nx

    graph = nx.Graph()
    for record in nodes.to_dict("records"):
        graph.add_node(str(record.pop("id")), **record)
    for record in edges.to_dict("records"):
        told = {name: value for name, value in record.items() if not pd.isna(value)}
        graph.add_edge(str(told.pop("source")), str(told.pop("target")), **told)
    return graph


def node_of(graph: nx.Graph, name: str) -> str:
    """Find the node of a compound or target, by its id, its name or else a further name.

    Of names the case does not matter.

    Raises
    ------
    KeyError
        If there is none.
    """
    name = str(name)
    if name in graph:
        return name
    wanted = name.strip().lower()
    for kind in ("name", *_CALLED) if wanted else ():
        for node, called in graph.nodes(data=kind, default=""):
            told = str(called).lower()
            if wanted in (told.strip(), *map(str.strip, told.split("|"))):
                return str(node)
    msg = f"No compound or target {name!r} in the network; there are {list(graph)[:3]} and others."
    raise KeyError(msg)


def write_graphml(graph: nx.Graph, path: str | PathLike[str]) -> None:
    """Write a network as GraphML, which Cytoscape, Gephi and yEd read.

    Parameters
    ----------
    graph
        Network, such as of :func:`newt_sc.get.network`. Attributes that are missing (None, NaN) are
        left out, those that are no text, number or truth value are written as text, and characters
        that XML forbids are dropped.
    path
        File to write. It appears only when it is complete.

    Raises
    ------
    FileNotFoundError
        If the directory does not exist.

    Examples
    --------
    >>> nt.io.write_graphml(nt.get.network(mdata), "network.graphml")  # doctest: +SKIP
    """
    import networkx as nx

    with atomic_path(path) as temporary:
        nx.write_graphml_xml(_plain(graph, xml=True), temporary)


def write_cytoscape(graph: nx.Graph, path: str | PathLike[str]) -> None:
    """Write a network as Cytoscape JSON, for Cytoscape and cytoscape.js.

    The file has ``elements`` of ``nodes`` and ``edges``.

    Parameters
    ----------
    graph
        Network, such as of :func:`newt_sc.get.network`. Attributes that are missing (None, NaN) are
        left out; ``x`` and ``y`` of nodes become their ``position``.
    path
        File to write. It appears only when it is complete.

    Raises
    ------
    FileNotFoundError
        If the directory does not exist.

    Examples
    --------
    >>> nt.io.write_cytoscape(nt.get.network(mdata), "network.cyjs")  # doctest: +SKIP
    """
    import networkx as nx

    data = nx.cytoscape_data(_plain(graph))
    for node, (_, of_node) in zip(data["elements"]["nodes"], graph.nodes(data=True), strict=True):
        node["data"]["name"] = str(of_node.get("name") or node["data"]["id"])
        if {"x", "y"} <= node["data"].keys():
            node["position"] = {"x": 100 * node["data"]["x"], "y": -100 * node["data"]["y"]}
    text = json.dumps(data, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")


def write_network_html(
    graph: nx.Graph, path: str | PathLike[str], *, title: str = "Pharmacological network"
) -> None:
    """Write a network as one page for the browser.

    The page needs nothing else: no server, no request, no library.

    Compounds are found by name, synonym or id; a click shows neighbours and targets with their
    scores. ``page.html#compound=NAME`` opens with a compound chosen. Names are shown as text,
    whatever they hold.

    Parameters
    ----------
    graph
        Network of :func:`newt_sc.get.network`: nodes with ``kind``, ``name``, ``x`` and ``y``, and
        perhaps ``community``, ``mechanism``, ``synonyms`` (joined by ``|``), ``drugbank_id`` and
        ``pert_id``; edges with ``kind`` and ``weight``.
    path
        File to write. It appears only when it is complete.
    title
        Heading of the page.

    Raises
    ------
    FileNotFoundError
        If the directory does not exist.
    KeyError
        If nodes have no position.

    Examples
    --------
    >>> nt.io.write_network_html(nt.get.network(mdata), "network.html")  # doctest: +SKIP
    """
    plain = _plain(graph)
    at = {node: i for i, node in enumerate(plain.nodes)}
    if any(not {"x", "y"} <= attributes.keys() for _, attributes in plain.nodes(data=True)):
        msg = "Nodes have no 'x' and 'y': take the graph from newt_sc.get.network, or add a layout."
        raise KeyError(msg)
    rounded = {"x": 4, "y": 4, "weight": 4, "fdr": 5, "z": 2}
    nodes = [
        {
            "id": str(node),
            **{key: _round(value, rounded.get(key)) for key, value in attributes.items()},
        }
        for node, attributes in plain.nodes(data=True)
    ]
    edges = [
        [at[a], at[b], {key: _round(value, rounded.get(key)) for key, value in attributes.items()}]
        for a, b, attributes in plain.edges(data=True)
    ]
    data = json.dumps(
        {"nodes": nodes, "edges": edges}, ensure_ascii=True, allow_nan=False, separators=(",", ":")
    )
    for sign in "<>&":  # nothing in the data can end the element that holds it
        data = data.replace(sign, f"\\u{ord(sign):04x}")
    parts = {"{{title}}": escape(str(title)), "{{data}}": data}
    page = re.sub(
        r"\{\{(?:title|data)\}\}", lambda found: parts[found[0]], _PAGE.read_text(encoding="utf-8")
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _round(value: Any, digits: int | None) -> Any:
    return round(value, digits) if digits is not None and isinstance(value, float) else value


def _plain(graph: nx.Graph, *, xml: bool = False) -> nx.Graph:
    """Copy whose attributes are text, numbers and truth values of Python."""
    import networkx as nx

    def one(value: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            return None
        if isinstance(value, bool | int | float):
            return value
        text = str(value)
        return text.translate(_ILLEGAL) if xml else text

    def some(attributes: dict[Any, Any]) -> dict[str, Any]:
        found = {str(key): one(value) for key, value in attributes.items()}
        return {key: value for key, value in found.items() if value is not None}

    out = nx.Graph()
    names = {node: str(node).translate(_ILLEGAL) if xml else str(node) for node in graph.nodes}
    out.add_nodes_from(
        (names[node], some(attributes)) for node, attributes in graph.nodes(data=True)
    )
    out.add_edges_from(
        (names[a], names[b], some(attributes)) for a, b, attributes in graph.edges(data=True)
    )
    return out
