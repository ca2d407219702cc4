"""A tree of groups of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from newt_sc import _keys
from newt_sc._verb import checked

from ._style import COLORS, LABEL, MISSING, SCALE, SMALL, TITLE, canvas, dress, finish

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["lineage"]

_ROW = 0.19  # inches a group
_STRONG, _FAIR = 0.9, 0.5
_TREE = "#333333"
_ENDS = ("child", "parent")
_ENTRIES = ("groups", "sizes", "params", "spanning_tree")
_COLUMNS = {
    "branches": ("parent", "length", "support", "n_groups"),
    "spanning_tree": (*_ENDS, "support", "in_paga"),
}


@checked
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
    numbers of cells stand behind the groups. Scores are means of each group. Each column is scaled
    on its own, from its lowest mean to its highest, as the colour bar says: compare groups within a
    column, not columns with each other.

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
        If ``kind`` is not known, scores are none or not numbers, or what
        :func:`newt_sc.tl.lineage` wrote was changed.

    Examples
    --------
    >>> nt.tl.lineage(adata, "cell_type", root="HSC")  # doctest: +SKIP
    >>> nt.pl.lineage(adata)  # doctest: +SKIP
    """
    info = _keys.written(adata, key, _keys.LINEAGE, "branches", "", *_ENTRIES)
    _check_trees(info, key or _keys.LINEAGE)
    groups = [str(name) for name in info["groups"]]
    sizes = dict(zip(groups, np.asarray(info["sizes"]).tolist(), strict=True))
    table = _scores(adata, info, groups, scores)
    width = 3.5 + (0.0 if table is None else 1.6 + 0.17 * table.shape[1])
    above = 0.0 if table is None else 0.055 * max(len(str(name)) for name in table.columns)
    figure, (ax,) = canvas(ax, figsize=(width, _ROW * len(groups) + 0.9 + above))
    order = _hierarchy(ax, info, groups) if kind == "hierarchy" else _spanning(ax, info, groups)
    right = ax.get_xlim()[1]
    if table is not None:
        right = _strip(figure, ax, table.loc[order], right)
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


def _check_trees(info: dict[str, Any], key: str) -> None:
    """Refuse trees that are not as the verb wrote them."""
    n = len(info["groups"])
    for name, columns in _COLUMNS.items():
        table = info[name]
        have = list(getattr(table, "columns", ()))
        least = n if name == "branches" else n - 1
        if n == 0 or not {*columns} <= {*have} or len(table) < least or len(info["sizes"]) != n:
            found = f"{len(table)} rows and the columns {have}" if have else type(table).__name__
            msg = (
                f"uns[{key!r}][{name!r}] has {found}, expected {max(least, 1)} rows or more and"
                f" the columns {list(columns)}; run newt_sc.tl.lineage again."
            )
            raise ValueError(msg)
    # A node stands before the one above it, and the root last: else there is no way down.
    parent = np.asarray(info["branches"]["parent"])
    known = parent.dtype.kind in "if"
    if not (known and parent[-1] < 0 and (parent[:-1] > np.arange(len(parent) - 1)).all()):
        msg = (
            f"uns[{key!r}]['branches'] has the parents {parent.tolist()[:8]}, expected a tree from"
            " the last node down; run newt_sc.tl.lineage again."
        )
        raise ValueError(msg)


def _below(parent: NDArray[np.intp]) -> NDArray[np.float64]:
    """Nodes x nodes: 1 where the second is below the first, or is it."""
    n, child = len(parent), np.flatnonzero(parent >= 0)
    step = np.zeros((n, n))
    step[parent[child], child] = 1
    return np.asarray(np.linalg.inv(np.eye(n) - step))  # the sum of all powers of one step down


def _order(parent: NDArray[np.intp], size: NDArray[Any]) -> list[int]:
    """Nodes from the root down, each before what is below it; small branches first."""
    order: list[int] = []
    stack = [int(np.flatnonzero(parent < 0)[0])]
    while stack:
        order.append(stack.pop())
        children = np.flatnonzero(parent == order[-1]).tolist()
        stack += sorted(children, key=lambda child: (-size[child], -child))
    return order


def _hierarchy(ax: Axes, info: dict[str, Any], groups: list[str]) -> list[str]:
    """Draw the rooted tree; groups from top to bottom."""
    table: pd.DataFrame = info["branches"]
    parent, n = table["parent"].to_numpy(), len(groups)
    x = _below(parent).T @ table["length"].to_numpy(float)
    order = [node for node in _order(parent, table["n_groups"].to_numpy()) if node < n]
    y = np.zeros(len(parent))
    y[order] = np.arange(n)
    inner = range(n, len(parent))
    for node in inner:  # children come before parents
        y[node] = y[parent == node].mean()
    end = x.max() or 1.0
    child = np.flatnonzero(parent >= 0)
    ax.hlines(y[child], x[parent[child]], x[child], color=_TREE, lw=1)
    ends = np.array([[y[parent == node].min(), y[parent == node].max()] for node in inner])
    ax.vlines(x[n:], *ends.T, color=_TREE, lw=1, capstyle="projecting")
    ax.hlines(y[:n], x[:n], end, color=MISSING, lw=0.6, ls=":")
    _dots(ax, x, y, table["support"].to_numpy(float))
    ax.set_xlim(-0.02 * end, 1.02 * end)
    return [groups[node] for node in order]


def _spanning(ax: Axes, info: dict[str, Any], groups: list[str]) -> list[str]:
    """Draw the spanning tree as an indented list of groups."""
    table: pd.DataFrame = info["spanning_tree"]
    child, up = (pd.Index(groups).get_indexer(table[name].astype(str)) for name in _ENDS)
    parent = np.full(len(groups), -1)
    parent[child] = up
    below = _below(parent)
    x = below.sum(axis=0) - 1
    order = _order(parent, below.sum(axis=1))
    y = np.argsort(order)
    steps: Any = ["-" if known else (0, (2, 1.5)) for known in table["in_paga"].astype(bool)]
    ax.vlines(x[up], y[up], y[child], color=_TREE, lw=1, capstyle="projecting")
    ax.hlines(y[child], x[up], x[child], color=_TREE, lw=1, linestyles=steps)
    ax.plot(x, y, "o", ms=3, color=COLORS[0], zorder=3)
    _dots(ax, x[child] - 0.5, y[child], table["support"].to_numpy(float))
    end = x.max() + 0.3
    ax.hlines(y, x, end, color=MISSING, lw=0.6, ls=":", zorder=0)
    ax.set_xlim(-0.3, end)
    return [groups[node] for node in order]


def _dots(ax: Axes, x: NDArray[np.float64], y: NDArray[Any], support: NDArray[np.float64]) -> None:
    """Draw the support of branches, where there is one."""
    for i in np.flatnonzero(np.isfinite(support)):
        face = "#111111" if support[i] >= _STRONG else "#AAAAAA" if support[i] >= _FAIR else "white"
        ax.plot(x[i], y[i], "o", ms=4, mfc=face, mec="#111111", mew=0.6, zorder=4)


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
    if not values.shape[1]:
        msg = "scores is empty, expected columns with numbers; name one, or None for no scores."
        raise ValueError(msg)
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in values.dtypes):
        msg = f"scores are {[str(kind) for kind in values.dtypes]}, expected numbers."
        raise ValueError(msg)
    of = adata.obs[str(info["params"]["groupby"])].astype(object).astype(str).to_numpy()
    return values.astype(float).groupby(of).mean().reindex(groups)


def _strip(figure: Figure, ax: Axes, table: pd.DataFrame, start: float) -> float:
    """Draw scores beside the tree, with a colour bar; where they end."""
    low, high = table.min(), table.max()  # NaN, and no warning, where nothing has a score
    shade = ((table - low) / (high - low).where(high > low, 1.0)).to_numpy(float)
    left = ax.get_xlim()[0]
    step = (start - left) * 0.06
    first = start + step / 2
    image = ax.imshow(
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
    bar = figure.colorbar(image, ax=ax, shrink=min(1.0, 6 / len(table)), aspect=10, ticks=[0, 1])
    bar.ax.set_yticklabels(["lowest", "highest"], fontsize=SMALL)
    bar.set_label("mean of the group,\neach column on its own", fontsize=SMALL)
    bar.outline.set_visible(False)
    end: float = first + step * shade.shape[1]
    ax.set_xlim(left, end)
    ax.locator_params(axis="x", nbins=5)
    ticks = [value for value in ax.get_xticks() if 0 <= value <= start]
    ax.set_xticks(ticks)
    return end
