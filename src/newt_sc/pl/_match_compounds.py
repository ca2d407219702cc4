"""Compounds that move cells from one state towards another, beside their controls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from newt_sc import _keys
from newt_sc._docs import with_docs

from ._style import COLORS, canvas, dress, finish, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["match_compounds"]

_SHOWN = (
    ("z", "embedding", COLORS[0], "o"),
    ("z_shuffled", "shuffled vectors", COLORS[7], "^"),
    ("z_correlation", "correlation of shared genes", COLORS[1], "s"),
)
_BAND = 1.96


@with_docs
def match_compounds(
    table: pd.DataFrame,
    *,
    top: int = 20,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot the first compounds, or targets, of a match, with the null and both controls.

    The grey band is where 95 % of the permutations are. Where the controls are as far out as the
    embedding, it adds nothing.

    Parameters
    ----------
    table
        What :func:`newt_sc.tl.match_compounds` returned.
    top
        How many to show.
    ax
        Axes to draw on.
    %(show)s

    Returns
    -------
    The axes, the figure, or ``None`` after showing.

    Raises
    ------
    KeyError
        If the table lacks a column.
    ValueError
        If ``top`` is not a whole number from 1 up, or nothing has a score.

    Examples
    --------
    >>> table = nt.tl.match_compounds(
    ...     adata, mdata, groupby="state", source="A", target="B"
    ... )  # doctest: +SKIP
    >>> nt.pl.match_compounds(table)  # doctest: +SKIP
    """
    from matplotlib.lines import Line2D

    missing = [
        column for column in ("rank", *(column for column, *_ in _SHOWN)) if column not in table
    ]
    if missing:
        msg = f"table lacks the columns {missing}: give what newt_sc.tl.match_compounds returned."
        raise KeyError(msg)
    if isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1:
        msg = f"top is {top!r}, expected a whole number from 1 up."
        raise ValueError(msg)
    best = table[table["z"].notna()].sort_values("rank", kind="stable").head(top)
    if best.empty:
        msg = "No row of the table has a z: there is nothing to plot."
        raise ValueError(msg)
    names = best.index.astype(str).to_series()
    if "name" in best:
        given = best["name"].fillna("").astype(str).to_numpy()
        names = pd.Series(np.where(given != "", given, names))
    names = names.map(lambda name: name if len(name) <= 28 else f"{name[:27]}…")
    figure, (ax,) = canvas(ax, figsize=(4.2, 0.8 + 0.19 * len(best)))
    place = np.arange(len(best))
    ax.axvspan(-_BAND, _BAND, color="#EEEEEE", lw=0, zorder=0)
    ax.axvline(0, color="#999999", lw=0.8, zorder=1)
    handles = []
    for column, label, color, marker in reversed(_SHOWN):
        ax.scatter(
            best[column],
            place,
            s=22 if column == "z" else 14,
            color=color,
            marker=marker,
            zorder=3,
            lw=0,
        )
        handles.append(Line2D([], [], ls="", color=color, marker=marker, ms=5, label=label))
    ax.hlines(place, 0, best["z"], color=COLORS[0], lw=1, zorder=2)
    ax.set_yticks(place, names)
    ax.set_ylim(len(best) - 0.4, -0.6)
    ax.grid(axis="y", color="#EEEEEE", lw=0.5, zorder=0)
    info = table.attrs.get(_keys.MATCH, {})
    title = ""
    if info.get("source"):
        way = "towards" if info["direction"] == "towards" else "away from"
        title = f"{info['source']} to {info['target']}: {way} {info['target']}"
    dress(
        ax,
        title=title,
        x=f"z against permuted {info.get('null', 'labels')}",
        spines=["bottom"],
        length=0,
    )
    legend_below(figure, handles[::-1], "")
    return finish(figure, [ax], show=show, return_fig=return_fig)
