"""A network of compounds and targets, as a figure and as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from newt_sc import io
from newt_sc._verb import Count, Whole, checked
from newt_sc.io._network import network_graph, network_tables, node_of

from ._style import COLORS, LABEL, MISSING, SMALL, canvas, finish, legend_below

if TYPE_CHECKING:
    import networkx as nx
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from mudata import MuData
    from numpy.typing import NDArray

__all__ = ["network", "network_html"]

_LONGEST = 24
_EDGES = {
    "similar": ("#9A9A9A", "similar compounds"),
    "known": ("#D55E00", "known target"),
    "predicted": ("#0072B2", "predicted target"),
    "gene": ("#009E73", "similar genes"),
}
_LOOKS: tuple[dict[str, Any], ...] = (
    {"style": "normal", "color": "black"},
    {"style": "italic", "color": "#333333"},
)
_OFFSETS = (
    (0, 7, "center", "bottom"),
    (0, -7, "center", "top"),
    (7, 0, "left", "center"),
    (-7, 0, "right", "center"),
)


@checked
def network(
    mdata: MuData | AnnData,
    *,
    compound: str | Sequence[str] | None = None,
    max_nodes: Count = 200,
    n_labels: Whole = 30,
    targets: bool = True,
    modality: str = "compound",
    key: str | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot a network of compounds and targets.

    Circles are compounds, coloured by community; grey squares are targets. Grey lines link
    similar compounds, green lines link similar genes. Orange lines lead to known targets, dashed
    blue lines to predicted ones. The compounds and targets with the most links are named, where
    names do not overlap.

    Parameters
    ----------
    mdata
        MuData, or an AnnData of signatures, after :func:`newt_sc.tl.pharmacology_network`.
    compound
        Compounds, by id, name or synonym: draw them with what they are linked to. By default the
        compounds with the most links, and, with ``targets``, the targets that most of them share.
    max_nodes
        Nodes to draw at most.
    n_labels
        Names to write at most.
    targets
        Draw targets, too.
    modality
        Modality of the compounds. Not used for an AnnData.
    key
        ``key_added`` of :func:`newt_sc.tl.pharmacology_network`.
    ax
        Axes to draw on.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If there is no network under this key, or no such compound or modality.
    ValueError
        If ``max_nodes`` or ``n_labels`` is out of range.

    Examples
    --------
    >>> nt.tl.pharmacology_network(mdata)  # doctest: +SKIP
    >>> nt.pl.network(mdata)  # doctest: +SKIP
    >>> nt.pl.network(mdata, compound="Digoxin")  # doctest: +SKIP
    """
    graph = network_graph(*network_tables(mdata, modality, key))
    if not targets:
        graph.remove_nodes_from([node for node in graph if _is_target(graph, node)])
    named = [compound] if isinstance(compound, str) else list(compound or [])
    asked = [node_of(graph, name) for name in named]
    keep = _around(graph, asked, max_nodes) if compound is not None else _hubs(graph, max_nodes)
    graph = _subgraph(graph, keep)
    at = _layout(graph)
    own = ax is None
    figure, (ax,) = canvas(ax, figsize=(6.4, 5.6))
    handles = [*_draw_edges(ax, graph, at), *_draw_nodes(ax, graph, at)]
    ax.set_axis_off()
    ax.margins(0.06)
    if own and handles:
        legend_below(figure, handles, "")
    if not len(graph):
        middle: Any = {"ha": "center", "va": "center", "transform": ax.transAxes}
        ax.text(0.5, 0.5, "no compounds", fontsize=LABEL, **middle)
    elif n_labels:
        _write_names(ax, graph, at, asked, n_labels)
    return finish(figure, [ax], show=show, return_fig=return_fig)


@checked
def network_html(
    mdata: MuData | AnnData,
    path: str | PathLike[str],
    *,
    title: str = "Pharmacological network",
    modality: str = "compound",
    key: str | None = None,
) -> None:
    """Write a network of compounds and targets as a page for the browser.

    One file that needs nothing else. Compounds are found by name, by a synonym (``synonyms`` of
    ``obs``, joined by ``|``), or by ``drugbank_id`` or ``pert_id``. A click shows neighbours and
    targets with their scores, known targets first; ``page.html#compound=NAME`` opens with a
    compound chosen.

    Parameters
    ----------
    mdata
        MuData, or an AnnData of signatures, after :func:`newt_sc.tl.pharmacology_network`.
    path
        File to write. It appears only when it is complete.
    title
        Heading of the page.
    modality
        Modality of the compounds. Not used for an AnnData.
    key
        ``key_added`` of :func:`newt_sc.tl.pharmacology_network`.

    Raises
    ------
    KeyError
        If there is no network under this key, or no such modality.
    FileNotFoundError
        If the directory does not exist.

    Examples
    --------
    >>> nt.tl.pharmacology_network(mdata)  # doctest: +SKIP
    >>> nt.pl.network_html(mdata, "network.html")  # doctest: +SKIP
    """
    io.write_network_html(network_graph(*network_tables(mdata, modality, key)), path, title=title)


def _is_target(graph: nx.Graph, node: str) -> bool:
    return bool(graph.nodes[node]["kind"] == "target")


def _around(graph: nx.Graph, asked: list[str], max_nodes: int) -> list[str]:
    """Take some compounds and what they are linked to, the most similar first."""
    around = [
        (attributes.get("kind") != "similar", -float(attributes.get("weight", 0)), other)
        for node in asked
        for other, attributes in graph[node].items()
    ]
    return list(dict.fromkeys([*asked, *(other for *_, other in sorted(around))]))[:max_nodes]


def _hubs(graph: nx.Graph, max_nodes: int) -> list[str]:
    """Take the best linked compounds, and a sixth of targets that several of them share."""
    import networkx as nx

    is_target = {node: _is_target(graph, node) for node in graph}
    n_targets = max_nodes // 6 if any(is_target.values()) else 0
    links = nx.Graph([(a, b) for a, b, kind in graph.edges(data="kind") if kind == "similar"])
    linked = sorted(links, key=lambda node: -links.degree(node))
    linked = linked or [node for node in graph if not is_target[node]]
    keep = linked[: max_nodes - n_targets]
    # small parts of their own would be drawn far from the others
    parts = nx.connected_components(links.subgraph(keep))
    part = max(parts, key=len, default=set(keep))
    keep = [node for node in keep if node in part]
    shared = Counter(other for node in keep for other in graph[node] if is_target[other])
    return [*keep, *(node for node, n in shared.most_common(n_targets) if n > 1)]


def _subgraph(graph: nx.Graph, keep: Sequence[str]) -> nx.Graph:
    """Copy a part, nodes and edges in the order of the whole.

    networkx's own order changes from run to run.
    """
    import networkx as nx

    inside = set(keep)
    out = nx.Graph()
    out.add_nodes_from(
        (node, attributes) for node, attributes in graph.nodes(data=True) if node in inside
    )
    out.add_edges_from(
        (a, b, attributes) for a, b, attributes in graph.edges(data=True) if {a, b} <= inside
    )
    return out


def _layout(graph: nx.Graph) -> dict[str, NDArray[np.float64]]:
    """Positions of a part, from those of the whole; small ones are laid out anew."""
    import networkx as nx

    if not len(graph):
        return {}
    start = {node: np.array([graph.nodes[node]["x"], graph.nodes[node]["y"]]) for node in graph}
    if graph.number_of_edges() == 0:
        return start
    weight = {"similar": 1.0, "known": 0.15, "predicted": 0.15, "gene": 0.05}
    for *_, attributes in graph.edges(data=True):
        attributes["pull"] = weight[attributes["kind"]]
    spread = 3.0 / np.sqrt(len(graph))
    found = nx.spring_layout(graph, pos=start, weight="pull", k=spread, iterations=150, seed=0)
    at = np.array(list(found.values()))
    at -= np.median(at, axis=0)
    distance = np.maximum(np.hypot(*at.T), 1e-12)
    radius = max(float(np.quantile(distance, 0.8)), 1e-9)
    at *= np.where(
        distance > radius, radius * (1 + 0.4 * np.log(distance / radius)) / distance, 1.0
    )[:, None]
    return dict(zip(found, at, strict=True))


def _draw_edges(ax: Axes, graph: nx.Graph, at: Mapping[str, NDArray[np.float64]]) -> list[Line2D]:
    """Draw links kind by kind, the paler the more there are; give what a legend shows."""
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D

    handles = []
    for kind, (color, label) in _EDGES.items():
        ends = [(at[a], at[b]) for a, b, found in graph.edges(data="kind") if found == kind]
        if not ends:
            continue
        style: Any = (0, (3, 2)) if kind == "predicted" else "solid"
        alpha = float(np.clip(60 / len(ends), 0.3 if kind == "similar" else 0.18, 0.7))
        look: Any = {"linestyles": style, "linewidths": 0.5, "alpha": alpha, "zorder": 1}
        ax.add_collection(LineCollection(ends, colors=color, **look))
        handles.append(Line2D([], [], color=color, linestyle=style, linewidth=1.2, label=label))
    return handles


def _draw_nodes(ax: Axes, graph: nx.Graph, at: Mapping[str, NDArray[np.float64]]) -> list[Line2D]:
    from matplotlib.lines import Line2D

    size = float(np.clip(4_000 / max(len(graph), 1), 14, 60))
    handles = []
    for shape, kind, area in (("o", "compound", size), ("s", "target", 0.6 * size)):
        nodes = [node for node in graph if graph.nodes[node]["kind"] == kind]
        if nodes:
            look: Any = {"edgecolors": "white", "linewidths": 0.4, "zorder": 2}
            colors = [_color(graph.nodes[node]) for node in nodes]
            x, y = np.array([at[node] for node in nodes]).T
            ax.scatter(x, y, s=area, c=colors, marker=shape, **look)
            look = {"marker": shape, "markersize": 5, "linestyle": "", "label": kind}
            handles.append(Line2D([], [], color="#666666", **look))
    return handles


def _color(node: Mapping[str, Any]) -> str:
    if node["kind"] == "target":
        return "#777777"
    return MISSING if node["community"] < 0 else COLORS[int(node["community"]) % (len(COLORS) - 1)]


def _write_names(
    ax: Axes,
    graph: nx.Graph,
    at: Mapping[str, NDArray[np.float64]],
    first: list[str],
    n_labels: int,
) -> None:
    """Write each hub's name where it overlaps no name and no edge of the axes, or not at all."""
    figure: Any = ax.figure
    figure.canvas.draw()
    figure.draw_without_rendering()
    frame = ax.get_window_extent(figure.canvas.get_renderer())
    taken: list[Any] = []
    for node in _by_rank(graph, first, n_labels):
        if len(taken) == n_labels:
            break
        name = str(graph.nodes[node]["name"])
        name = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
        look = _LOOKS[_is_target(graph, node)]
        for dx, dy, ha, va in _OFFSETS:
            text = ax.annotate(
                name.replace("$", r"\$"),
                (float(at[node][0]), float(at[node][1])),
                xytext=(0.7 * dx, 0.7 * dy),
                textcoords="offset points",
                ha=ha,
                va=va,
                fontsize=SMALL,
                zorder=3,
                **look,
            )
            box = text.get_window_extent().padded(2)
            inside = frame.containsx(box.x0) and frame.containsx(box.x1)
            inside = inside and frame.containsy(box.y0) and frame.containsy(box.y1)
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            text.remove()


def _by_rank(graph: nx.Graph, first: list[str], n_labels: int) -> list[str]:
    """Order nodes to be named: those asked for, then hubs; a third of the names go to targets."""

    def rank(node: str) -> tuple[bool, bool, int]:
        return node not in first, graph.nodes[node]["name"] == node, -graph.degree(node)

    wanted = sorted(graph, key=rank)
    compounds = [node for node in wanted if not _is_target(graph, node)]
    others = [node for node in wanted if _is_target(graph, node)][: n_labels // 3]
    n = n_labels - len(others)
    return [*compounds[:n], *others, *compounds[n:]]
