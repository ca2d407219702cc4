"""A tree of groups of cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from newt_sc import _keys
from newt_sc._docs import with_docs

from ._style import COLORS, LABEL, MISSING, SCALE, SMALL, TITLE, canvas, dress, finish

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["lineage"]

_ROW = 0.19
_STRONG, _FAIR = 0.9, 0.5


@with_docs
def lineage(
    adata: AnnData,
    *,
    key: str | None = None,
    kind: Literal["hierarchy", "spanning_tree"] = "hierarchy",
    scores: str | Sequence[str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot a lineage with the support of its branches, sizes of groups and scores beside them.

    A dot on a branch is filled where its support is at least 0.9, half-tone from 0.5, hollow below;
    numbers of cells stand behind the groups. Scores are means of each group, each column on its own
    scale from lowest to highest.

    Parameters
    ----------
    adata
        Annotated data after :func:`newt_sc.tl.lineage`.
    key
        Its ``key_added``.
    kind
        ``"hierarchy"``, with groups as leaves and branches as long as they are, or
        ``"spanning_tree"``, in which groups are inner nodes, every edge is one step, and edges that
        PAGA's tree lacks are dashed.
    scores
        Columns of ``obs`` with numbers, or the key of a numeric table in ``obsm``, such as scores
        of programs.
    title
        Title; by default the column of groups and the representation.
    ax
        Axes to draw on.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If there is no lineage, or the scores are not there.
    ValueError
        If ``kind`` is not known or scores are not numbers.

    Examples
    --------
    >>> nt.tl.lineage(adata, "cell_type", root="HSC")  # doctest: +SKIP
    >>> nt.pl.lineage(adata)  # doctest: +SKIP
    """
    info = _info(adata, key)
    if kind not in ("hierarchy", "spanning_tree"):
        msg = f"kind is {kind!r}, expected 'hierarchy' or 'spanning_tree'."
        raise ValueError(msg)
    groups = [str(name) for name in info["groups"]]
    sizes = dict(zip(groups, np.asarray(info["sizes"]).tolist(), strict=True))
    table = _scores(adata, info, groups, scores)
    width = 3.5 + (0.0 if table is None else 0.3 + 0.17 * table.shape[1])
    figure, (ax,) = canvas(ax, figsize=(width, _ROW * len(groups) + 0.9))
    order = _hierarchy(ax, info, groups) if kind == "hierarchy" else _spanning(ax, info, groups)
    right = ax.get_xlim()[1]
    if table is not None:
        right = _strip(ax, table.loc[order], right)
    ax.set_yticks(range(len(order)), [f"{name} ({sizes[name]:,})" for name in order])
    ax.yaxis.tick_right()
    ax.set_ylim(len(order) - 0.4, -0.6)
    params = info["params"]
    text = title if title is not None else f"{params['groupby']} in {params['use_rep'] or 'genes'}"
    room = 0 if table is None else 5 * max(len(str(name)) for name in table.columns)
    ax.set_title(text, fontsize=TITLE, loc="left", pad=5 + room)
    dress(ax, spines=["bottom"])
    ax.tick_params(axis="y", length=0, pad=2)
    if kind == "hierarchy":
        label = f"{params['metric']} distance along the branches"
    else:
        label = "steps; dashed: not in PAGA's tree"
        ax.spines["bottom"].set_visible(False)
        ax.set_xticks([])
    if int(params["n_resamples"]):
        label += f"\nsupport: ● ≥ {_STRONG}, grey ≥ {_FAIR}, ○ below"
    ax.set_xlabel(label, fontsize=LABEL, loc="left")
    return finish(figure, [ax], show=show, return_fig=return_fig)


def _info(adata: AnnData, key: str | None) -> dict[str, Any]:
    slot = key or _keys.LINEAGE
    info: Any = adata.uns.get(slot)
    if not isinstance(info, Mapping) or "branches" not in info:
        msg = f"No lineage in adata.uns[{slot!r}]: run newt_sc.tl.lineage first."
        raise KeyError(msg)
    return dict(info)


def _hierarchy(ax: Axes, info: dict[str, Any], groups: list[str]) -> list[str]:
    """Draw the rooted tree; groups from top to bottom."""
    table: pd.DataFrame = info["branches"]
    parent, length = table["parent"].to_numpy(), table["length"].to_numpy(float)
    support = table["support"].to_numpy(float)
    n = len(groups)
    children: list[list[int]] = [[] for _ in parent]
    for node, up in enumerate(parent):
        if up >= 0:
            children[up].append(node)
    root = len(parent) - 1
    size = table["n_groups"].to_numpy()
    x, y = np.zeros(len(parent)), np.zeros(len(parent))
    order: list[int] = []
    stack = [root]
    while stack:
        node = stack.pop()
        if parent[node] >= 0:
            x[node] = x[parent[node]] + length[node]
        if node < n:
            y[node] = len(order)
            order.append(node)
        stack += sorted(children[node], key=lambda child: (-size[child], -child))
    for node in range(n, len(parent)):
        y[node] = np.mean([y[child] for child in children[node]])
    end = x.max() or 1.0
    for node in range(len(parent)):
        if parent[node] >= 0:
            ax.plot(
                [x[parent[node]], x[node]],
                [y[node], y[node]],
                color="#333333",
                lw=1,
                solid_capstyle="butt",
            )
        if node < n:
            ax.plot([x[node], end], [y[node], y[node]], color=MISSING, lw=0.6, ls=":")
        if children[node]:
            ends = [y[child] for child in children[node]]
            ax.plot(
                [x[node], x[node]],
                [min(ends), max(ends)],
                color="#333333",
                lw=1,
                solid_capstyle="projecting",
            )
    for node in np.flatnonzero(np.isfinite(support)).tolist():
        _dot(ax, x[node], y[node], support[node])
    ax.set_xlim(-0.02 * end, 1.02 * end)
    return [groups[node] for node in order]


def _spanning(ax: Axes, info: dict[str, Any], groups: list[str]) -> list[str]:
    """Draw the spanning tree as an indented list of groups."""
    table: pd.DataFrame = info["spanning_tree"]
    parent = dict(zip(table["child"].astype(str), table["parent"].astype(str), strict=True))
    support = dict(zip(table["child"].astype(str), table["support"].astype(float), strict=True))
    paga = dict(zip(table["child"].astype(str), table["in_paga"].astype(bool), strict=True))
    children: dict[str, list[str]] = {name: [] for name in groups}
    for child, up in parent.items():
        children[up].append(child)
    weight = dict.fromkeys(groups, 1)
    order: list[str] = []
    depth: dict[str, int] = {}
    stack = [next(name for name in groups if name not in parent)]
    walk = list(stack)
    while walk:  # parents before children
        name = walk.pop()
        depth[name] = depth[parent[name]] + 1 if name in parent else 0
        walk += children[name]
    for name in sorted(parent, key=lambda name: -depth[name]):
        weight[parent[name]] += weight[name]
    while stack:
        name = stack.pop()
        order.append(name)
        stack += sorted(children[name], key=lambda child: -weight[child])
    y = {name: i for i, name in enumerate(order)}
    for name in order:
        if name in parent:
            x = depth[name]
            ax.plot(
                [x - 1, x - 1],
                [y[parent[name]], y[name]],
                color="#333333",
                lw=1,
                solid_capstyle="projecting",
            )
            ax.plot(
                [x - 1, x],
                [y[name], y[name]],
                color="#333333",
                lw=1,
                ls="-" if paga[name] else (0, (2, 1.5)),
            )
        ax.plot(depth[name], y[name], "o", ms=3, color=COLORS[0], zorder=3)
    for name, value in support.items():
        if np.isfinite(value):
            _dot(ax, depth[name] - 0.5, y[name], value)
    deepest = max(depth.values())
    for name in order:
        ax.plot(
            [depth[name], deepest + 0.3],
            [y[name], y[name]],
            color=MISSING,
            lw=0.6,
            ls=":",
            zorder=0,
        )
    ax.set_xlim(-0.3, deepest + 0.3)
    return order


def _dot(ax: Axes, x: float, y: float, support: float) -> None:
    face = "#111111" if support >= _STRONG else "#AAAAAA" if support >= _FAIR else "white"
    ax.plot(x, y, "o", ms=4, mfc=face, mec="#111111", mew=0.6, zorder=4)


def _scores(
    adata: AnnData, info: dict[str, Any], groups: list[str], scores: str | Sequence[str] | None
) -> pd.DataFrame | None:
    """Means of groups, groups x scores."""
    if scores is None:
        return None
    if isinstance(scores, str) and scores in adata.obsm:
        found: Any = adata.obsm[scores]
        names = (
            list(found.columns)
            if hasattr(found, "columns")
            else [str(i) for i in range(found.shape[1])]
        )
        values = pd.DataFrame(np.asarray(found), index=adata.obs_names, columns=names)
    else:
        names = [scores] if isinstance(scores, str) else list(scores)
        missing = [name for name in names if name not in adata.obs]
        if missing:
            msg = (
                f"scores {missing} are neither in adata.obs nor a key of adata.obsm, which has"
                f" {list(adata.obsm)}."
            )
            raise KeyError(msg)
        values = adata.obs[names]
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in values.dtypes):
        msg = f"scores are {[str(kind) for kind in values.dtypes]}, expected numbers."
        raise ValueError(msg)
    of = adata.obs[str(info["params"]["groupby"])].astype(object).astype(str).to_numpy()
    return values.astype(float).groupby(of).mean().reindex(groups)


def _strip(ax: Axes, table: pd.DataFrame, start: float) -> float:
    """Draw scores beside the tree; where they end."""
    values: NDArray[np.float64] = table.to_numpy(float)
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    shade = (values - low) / np.where(high > low, high - low, 1)
    left = ax.get_xlim()[0]
    step = (start - left) * 0.06
    first = start + step / 2
    ax.imshow(
        np.ma.masked_invalid(shade), aspect="auto", cmap=SCALE, vmin=0, vmax=1,
        interpolation="nearest",
        extent=(first, first + step * shade.shape[1], len(table) - 0.5, -0.5),
    )  # fmt: skip
    for j, name in enumerate(table.columns):
        ax.text(
            first + step * (j + 0.5),
            -0.7,
            str(name),
            rotation=90,
            fontsize=SMALL,
            ha="center",
            va="bottom",
        )
    end: float = first + step * shade.shape[1]
    ax.set_xlim(left, end)
    ticks = [value for value in ax.get_xticks() if 0 <= value <= start]
    ax.set_xticks(ticks)
    return end
