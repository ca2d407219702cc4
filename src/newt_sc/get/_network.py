"""The network of compounds and targets as a graph."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from newt_sc._verb import checked
from newt_sc.io._network import network_graph, network_tables, node_of

if TYPE_CHECKING:
    import networkx as nx
    from anndata import AnnData
    from mudata import MuData

__all__ = ["network"]

_KINDS = ("similar", "known", "predicted", "gene")


@checked
def network(
    mdata: MuData | AnnData,
    *,
    compound: str | None = None,
    kinds: Collection[str] = _KINDS,
    modality: str = "compound",
    key: str | None = None,
) -> nx.Graph:
    """Get the network that :func:`newt_sc.tl.pharmacology_network` found as a networkx graph.

    Parameters
    ----------
    mdata
        MuData, or an AnnData of signatures, after :func:`newt_sc.tl.pharmacology_network`.
    compound
        A compound, by its id, name or synonym: take only this compound, its neighbours, and the
        links among them.
    kinds
        Kinds of edges to include: ``"similar"``, ``"known"``, ``"predicted"``, ``"gene"``.
    modality
        Modality of the compounds. Not used for an AnnData.
    key
        ``key_added`` of :func:`newt_sc.tl.pharmacology_network`.

    Returns
    -------
    Graph. Nodes are ids of compounds, and ``gene:SYMBOL`` of targets that have an edge of these
    kinds, with ``kind`` (``compound`` or ``target``), ``name``, ``community`` (-1 for none),
    ``mechanism``, ``drug``, ``degree``, ``x``, ``y``, further annotations, and ``synonyms``,
    ``drugbank_id`` and ``pert_id`` where ``obs`` has them; edges have ``kind``, ``weight``,
    ``fdr``, and, to targets, ``z`` and ``probability``, where there are some.
    :func:`newt_sc.io.write_graphml`, :func:`newt_sc.io.write_cytoscape` and
    :func:`newt_sc.io.write_network_html` write it.

    Raises
    ------
    KeyError
        If there is no network under this key, or no such compound or modality.
    ValueError
        If a kind of edges is unknown.

    Examples
    --------
    >>> nt.tl.pharmacology_network(mdata)  # doctest: +SKIP
    >>> graph = nt.get.network(mdata)  # doctest: +SKIP
    """
    wanted = [kinds] if isinstance(kinds, str) else list(kinds)
    if set(wanted) - set(_KINDS):
        msg = f"kinds is {wanted}; expected some of {list(_KINDS)}."
        raise ValueError(msg)
    nodes, edges = network_tables(mdata, modality, key)
    edges = edges[edges["kind"].astype(str).isin(wanted)]
    linked = set(edges["source"].astype(str)) | set(edges["target"].astype(str))
    nodes = nodes[(nodes["kind"].astype(str) == "compound") | nodes["id"].astype(str).isin(linked)]
    graph = network_graph(nodes, edges)
    if compound is None:
        return graph
    node = node_of(graph, compound)
    return graph.subgraph([node, *graph[node]]).copy()
