"""Which kinds of knowledge predict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from newt_sc._docs import with_docs

from ._style import INK, LABEL, SCALE, canvas, dress, finish

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["cross_modal"]


@with_docs
def cross_modal(
    table: pd.DataFrame,
    *,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool | None = None,
) -> Figure | Axes | list[Axes] | None:
    """Plot how well each modality predicts each other.

    Rows predict columns. What shuffled rows reach is stated below.

    Parameters
    ----------
    table
        What :func:`newt_sc.tl.cross_modal` returned.
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

    Examples
    --------
    >>> nt.pl.cross_modal(nt.tl.cross_modal("newt-human"))  # doctest: +SKIP
    """
    import matplotlib.pyplot as plt

    missing = [column for column in ("source", "target", "r2", "shuffled") if column not in table]
    if missing:
        msg = f"table lacks the columns {missing}: give what newt_sc.tl.cross_modal returned."
        raise KeyError(msg)
    names = list(dict.fromkeys([*table["source"], *table["target"]]))
    values = table.pivot(index="source", columns="target", values="r2").reindex(index=names, columns=names)
    side = max(0.45 * len(names) + 0.9, 3.0)
    figure, (ax,) = canvas(ax, figsize=(side, side))
    shown = values.to_numpy(float)
    top = max(float(np.nanmax(shown, initial=0.0)), 0.01)
    colors = plt.get_cmap(SCALE).with_extremes(bad="#FFFFFF")
    ax.imshow(np.ma.masked_invalid(shown), cmap=colors, vmin=0, vmax=top)
    for i, row in enumerate(shown):
        for j, value in enumerate(row):
            if np.isfinite(value):
                tone = "white" if value < 0.6 * top else INK
                text = f"{value:.2f}".replace("0.", ".", 1)
                ax.text(j, i, text, ha="center", va="center", fontsize=LABEL, color=tone)
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names)
    low, high = table["shuffled"].min(), table["shuffled"].max()
    x = f"shuffled genes: {low:.3f} to {high:.3f}"
    dress(ax, title="R², rows predict columns", x=x, spines=(), length=0)
    return finish(figure, [ax], show=show, return_fig=return_fig)
