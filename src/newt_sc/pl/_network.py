"""A network of compounds and targets, as a figure and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from newt_sc import io
from newt_sc._docs import with_docs
from newt_sc.io._network import network_graph, network_tables

from ._style import COLORS, LABEL, MISSING, SMALL, canvas, finish, legend_below

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData
    from numpy.typing import NDArray

__all__ = ["network", "network_html"]

_LONGEST = 24
_EDGE_COLORS = {"similar": "#9A9A9A", "known": "#D55E00", "predicted": "#0072B2", "gene": "#009E73"}
_EDGE_NAMES = {
    "similar": "alike",
    "known": "known target",
    "predicted": "predicted target",
    "gene": "like genes",
}
_OFFSETS = (
    (0, 7, "center", "bottom"),
    (0, -7, "center", "top"),
    (7, 0, "left", "center"),
    (-7, 0, "right", "center"),
)


@with_docs
def network(
    mdata: MuData | AnnData,
    *,
    compound: str | Sequence[str] | None = None,
    max_nodes: int = 200,
    n_labels: int = 30,
    targets: bool = True,
    modality: str = "compound",
    key: str | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot a network of compounds and targets.

    Circles are compounds, coloured by community; grey squares are targets. Grey lines link like
    compounds, green ones like genes; orange lines lead to known targets, dashed blue ones to
    predicted ones. The compounds and targets with the most links are named, where names do not
    overlap.

    Parameters
    ----------
    mdata
        MuData, or an AnnData of signatures, after :func:`newt_sc.tl.pharmacology_network`.
    compound
        Compounds, by id or name: draw them with what they are linked to. By default the compounds
        with the most links, and, with ``targets``, the targets that most of them share.
    max_nodes
        Nodes to draw at most.
    n_labels
        Names to write at most.
    targets
        Draw targets, too.
    modality
        Modality of the compounds; not asked of an AnnData.
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
    from matplotlib.lines import Line2D

    for name, value, least in (("max_nodes", max_nodes, 1), ("n_labels", n_labels, 0)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            msg = f"{name} is {value!r}, expected a whole number from {least}."
            raise ValueError(msg)
    nodes, edges = network_tables(mdata, modality, key)
    asked = (
        [compound] if isinstance(compound, str) else None if compound is None else list(compound)
    )
    graph = _part(nodes, edges, asked, max_nodes, targets)
    at = _layout(graph)
    own = ax is None
    figure, (ax,) = canvas(ax, figsize=(6.4, 5.6))
    handles: list[Any] = []
    for kind, color in _EDGE_COLORS.items():
        some = [(a, b) for a, b, found in graph.edges(data="kind") if found == kind]
        if not some:
            continue
        style: Any = (0, (3, 2)) if kind == "predicted" else "solid"
        alpha = float(np.clip(60 / len(some), 0.3 if kind == "similar" else 0.18, 0.7))
        for a, b in some:
            (x, y), (u, v) = at[a], at[b]
            ax.plot(
                [x, u], [y, v], color=color, linewidth=0.5, alpha=alpha, linestyle=style, zorder=1
            )
        handles.append(
            Line2D([], [], color=color, linestyle=style, linewidth=1.2, label=_EDGE_NAMES[kind])
        )
    size = float(np.clip(4_000 / max(len(graph), 1), 14, 60))
    for shape, kind in (("o", "compound"), ("s", "target")):
        some_nodes = [node for node in graph if graph.nodes[node]["kind"] == kind]
        if not some_nodes:
            continue
        xy = np.array([at[node] for node in some_nodes])
        colors = [_color(graph.nodes[node]) for node in some_nodes]
        area = size * (0.6 if kind == "target" else 1)
        ax.scatter(
            xy[:, 0],
            xy[:, 1],
            s=area,
            c=colors,
            marker=shape,
            edgecolors="white",
            linewidths=0.4,
            zorder=2,
        )
        handles.append(
            Line2D([], [], color="#666666", marker=shape, linestyle="", markersize=5, label=kind)
        )
    ax.set_axis_off()
    ax.margins(0.06)
    if own and handles:
        legend_below(figure, handles, "")
    if not len(graph):
        ax.text(
            0.5,
            0.5,
            "no compounds",
            ha="center",
            va="center",
            transform=ax.transAxes,
            fontsize=LABEL,
        )
    _write_names(ax, graph, at, asked or [], n_labels)
    return finish(figure, [ax], show=show, return_fig=return_fig)


def network_html(
    mdata: MuData | AnnData,
    path: str | PathLike[str],
    *,
    title: str = "Pharmacological network",
    modality: str = "compound",
    key: str | None = None,
) -> None:
    """Write a network of compounds and targets as a page for the browser.

    One file that needs nothing else. Compounds are found by name; a click shows neighbours and
    targets with their scores; ``page.html#compound=NAME`` opens with a compound chosen.

    Parameters
    ----------
    mdata
        MuData, or an AnnData of signatures, after :func:`newt_sc.tl.pharmacology_network`.
    path
        File to write; it appears complete or not at all.
    title
        Heading of the page.
    modality
        Modality of the compounds; not asked of an AnnData.
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
    nodes, edges = network_tables(mdata, modality, key)
    io.write_network_html(network_graph(nodes, edges), path, title=title)


def _part(
    nodes: pd.DataFrame, edges: pd.DataFrame, asked: list[str] | None, max_nodes: int, targets: bool
) -> nx.Graph:
    """Take the neighbourhood of some compounds, or the best linked ones and common targets."""
    import networkx as nx

    graph = network_graph(nodes, edges)
    is_target = {node: kind == "target" for node, kind in graph.nodes(data="kind")}
    if not targets:
        graph.remove_nodes_from([node for node, yes in is_target.items() if yes])
    if asked is not None:
        found = []
        for name in asked:
            at = [node for node in graph if node == name]
            at = at or [node for node, called in graph.nodes(data="name") if called == name][:1]
            if not at:
                msg = (
                    f"No compound or target {name!r} in the network; there are {list(graph)[:3]}"
                    " and others."
                )
                raise KeyError(msg)
            found += at
        around = [
            (attributes.get("kind") != "similar", -float(attributes.get("weight", 0)), other)
            for node in found
            for other, attributes in graph[node].items()
        ]
        keep = list(dict.fromkeys([*found, *(other for *_, other in sorted(around))]))[:max_nodes]
        return _subgraph(graph, keep)
    n_targets = max_nodes // 6 if targets and any(is_target.values()) else 0
    links = nx.Graph([(a, b) for a, b, kind in graph.edges(data="kind") if kind == "similar"])
    linked = sorted(links, key=lambda node: -links.degree(node)) or [
        node for node in graph if not is_target[node]
    ]
    keep = linked[: max_nodes - n_targets]
    if links:  # small parts of their own would be drawn far from the others
        part = max(nx.connected_components(links.subgraph(keep)), key=len)
        keep = [node for node in keep if node in part]
    shared: dict[str, int] = {}
    for node in keep:
        for other in graph[node]:
            if is_target[other]:
                shared[other] = shared.get(other, 0) + 1
    common = sorted((node for node, n in shared.items() if n > 1), key=lambda node: -shared[node])[
        :n_targets
    ]
    return _subgraph(graph, [*keep, *common])


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
    if not at or n_labels == 0:
        return
    named = {node: str(graph.nodes[node]["name"]) for node in graph}

    def rank(node: str) -> tuple[bool, bool, int]:
        return not ({node, named[node]} & set(first)), named[node] == node, -graph.degree(node)

    wanted = sorted(named, key=rank)
    compounds = [node for node in wanted if graph.nodes[node]["kind"] == "compound"]
    others = [node for node in wanted if graph.nodes[node]["kind"] != "compound"]
    n_others = min(len(others), n_labels // 3)
    queue = [
        *compounds[: n_labels - n_others],
        *others[:n_others],
        *compounds[n_labels - n_others :],
    ]
    figure: Any = ax.figure
    figure.canvas.draw()
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    frame = ax.get_window_extent(renderer)
    taken: list[Any] = []
    written = 0
    for node in queue:
        if written == n_labels:
            break
        name = named[node] if len(named[node]) <= _LONGEST else f"{named[node][: _LONGEST - 1]}…"
        is_target = graph.nodes[node]["kind"] == "target"
        for dx, dy, ha, va in _OFFSETS:
            text = ax.annotate(
                name.replace("$", r"\$"),
                (float(at[node][0]), float(at[node][1])),
                xytext=(0.7 * dx, 0.7 * dy),
                textcoords="offset points",
                ha=ha,
                va=va,
                fontsize=SMALL,
                style="italic" if is_target else "normal",
                color="#333333" if is_target else "black",
                zorder=3,
            )
            box = text.get_window_extent(renderer).padded(2)
            inside = (
                frame.x0 <= box.x0
                and box.x1 <= frame.x1
                and frame.y0 <= box.y0
                and box.y1 <= frame.y1
            )
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                written += 1
                break
            text.remove()
